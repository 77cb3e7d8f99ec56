"""Lesson 11: ten optimizers train the same small network.

LeNet-5 starts from the same weights and sees the same batches each time; only the optimizer differs. Each may
choose among three rates, a factor of 4 apart: the one with the smallest loss at the end. The claims: momentum
and Nesterov are faster than plain gradient descent, and so are the adaptive optimizers RMSProp, Adam and
Nadam; AdaGrad is quick at first but stops too early for deep networks.

python examples/lessons/11_optimizers_on_images.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import math

from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

RACERS = {
    "SGD": (0.1, lambda rate: fc.optimizers.SGD(rate)),
    "momentum": (0.02, lambda rate: fc.optimizers.SGD(rate, momentum=0.9)),
    "Nesterov": (0.02, lambda rate: fc.optimizers.SGD(rate, momentum=0.9, nesterov=True)),
    "AdaGrad": (0.02, fc.optimizers.Adagrad),
    "RMSProp": (0.001, fc.optimizers.RMSprop),
    "Adam": (0.001, fc.optimizers.Adam),
    "AdamW": (0.001, fc.optimizers.AdamW),
    "AdaMax": (0.002, fc.optimizers.Adamax),
    "Nadam": (0.001, fc.optimizers.Nadam),
    "Adadelta": (0.5, fc.optimizers.Adadelta),
}

chosen = options(__doc__)
data = images(1000, 300) if chosen.quick else images(6000, 2000)
epochs, factors = (4, (1,)) if chosen.quick else (8, (0.25, 1, 4))


def train(optimizer):
    fc.utils.set_random_seed(chosen.seed)
    model = fc.applications.LeNet5()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(
        data.x, data.y, batch_size=32, epochs=epochs, validation_data=(data.x_val, data.y_val), verbose=0
    ).history


def last_loss(run):
    loss = run[1]["loss"][-1]
    return loss if math.isfinite(loss) else math.inf


best = {}
print(f"{'':10}{'best rate':>10}{'loss':>8}{'accuracy':>10}   of others, after {epochs} epochs")
for name, (rate, make) in RACERS.items():
    best[name] = min(((rate * factor, train(make(rate * factor))) for factor in factors), key=last_loss)
    rate, history = best[name]
    print(f"{name:10}{rate:10.3g}{history['loss'][-1]:8.3f}{history['val_accuracy'][-1]:10.2%}")
print()

fig, axes = figure(columns=2, height=4)
for number, (name, (rate, history)) in enumerate(best.items()):
    style = {"color": f"C{number}", "linestyle": "-" if number < 5 else "--"}
    for axis, measure in zip(axes[0], ("loss", "val_accuracy"), strict=True):
        axis.plot(range(1, epochs + 1), history[measure], label=f"{name}, {rate:.3g}", **style)
axes[0, 0].set(xlabel="epoch", ylabel="training loss")
axes[0, 1].set(xlabel="epoch", ylabel=f"accuracy on other images ({data.name})")
axes[0, 0].legend(ncols=2, fontsize=8)
save(fig, chosen.out, "11_race")

loss = {name: history["loss"] for name, (_, history) in best.items()}
goal = loss["SGD"][-1]


def epochs_to_goal(name):
    return next((epoch for epoch, value in enumerate(loss[name], 1) if value <= goal), None)


faster = {name: epochs_to_goal(name) for name in ("momentum", "Nesterov", "RMSProp", "Adam", "Nadam")}
for names, text in (
    (("momentum",), "momentum is faster than plain gradient descent"),
    (("Nesterov",), "Nesterov is faster than plain gradient descent"),
    (("RMSProp", "Adam", "Nadam"), "RMSProp, Adam and Nadam are faster than plain gradient descent"),
):
    verdict(
        text,
        f"epochs to gradient descent's loss after {epochs}, {goal:.3f}: "
        + ", ".join(f"{name} {faster[name] or f'more than {epochs}'}" for name in names),
        all(faster[name] is not None and loss[name][-1] < goal for name in names),
    )
first, last = (min(loss, key=lambda name: loss[name][epoch]) for epoch in (0, -1))
ranks = [sorted(loss, key=lambda name: loss[name][epoch]).index("AdaGrad") + 1 for epoch in (0, -1)]
verdict(
    "AdaGrad is quick at first but stops too early",
    f"among {len(loss)} it is number {ranks[0]} after the first epoch, number {ranks[1]} at the end (first "
    f"then: {first}, {last}), with a loss of {loss['AdaGrad'][-1]:.3f} against {loss[last][-1]:.3f}",
    ranks[1] > ranks[0],
)
