"""Lesson 13: learning-rate schedules, as curves and in a short training.

The claims: a rate that is large at first and falls later reaches a good solution faster than any constant
rate; performance scheduling and exponential decay both work well, 1cycle better still.

python examples/lessons/13_schedules.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc
from fastconv.optimizers import schedules

RATE, BATCH = 0.05, 32  # the highest rate of them all

chosen = options(__doc__)
data = images(1000, 300) if chosen.quick else images(8000, 2000)
epochs, seeds = (6, 1) if chosen.quick else (10, 3)
total = epochs * -(-len(data.x) // BATCH)

SCHEDULES = {
    "constant": RATE,
    "exponential": schedules.ExponentialDecay(RATE, total / 2, 0.1),
    "piecewise constant": schedules.PiecewiseConstantDecay(
        [total / 2, 0.8 * total], [RATE, RATE / 5, RATE / 50]
    ),
    "inverse time": schedules.InverseTimeDecay(RATE, total / 10, 1.0),
    "power, c = 2": schedules.PowerDecay(RATE, total / 3, 2),
    "polynomial": schedules.PolynomialDecay(RATE, total, RATE / 100, power=1.5),
    "cosine, warm-up": schedules.CosineDecay(
        RATE / 10, 0.9 * total, warmup_target=RATE, warmup_steps=0.1 * total
    ),
    "cosine, restarts": schedules.CosineDecayRestarts(RATE, total / 7, t_mul=2.0, m_mul=0.8),
    "1cycle": schedules.OneCycle(RATE, total),
}


def train(rate, callbacks, seed):
    """The history, and the rate of each step."""
    fc.utils.set_random_seed(seed)
    model = fc.applications.LeNet5()
    optimizer = fc.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    rates = []
    recorder = fc.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: rates.append(optimizer.learning_rate)
    )
    history = model.fit(
        data.x, data.y, batch_size=BATCH, epochs=epochs, validation_data=(data.x_val, data.y_val), verbose=0,
        callbacks=[*callbacks, recorder],
    )  # fmt: skip
    return history.history, rates


CALLBACKS = {
    "1cycle": lambda: fc.callbacks.OneCycle(RATE),  # it moves the momentum as well
    "performance": lambda: fc.callbacks.ReduceLROnPlateau("val_loss", factor=0.3, patience=1),
}

runs = {}
for name in (*SCHEDULES, "performance"):
    rate = RATE if name in CALLBACKS else SCHEDULES[name]
    runs[name] = [
        train(rate, [CALLBACKS[name]()] if name in CALLBACKS else [], seed)
        for seed in range(chosen.seed, chosen.seed + seeds)
    ]

fig, axes = figure(rows=5, columns=2, height=1.75)
steps = np.arange(total)
for axis, (name, results) in zip(axes.flat, runs.items(), strict=True):
    rates = results[0][1]
    axis.plot(steps, rates, color="tab:blue", linestyle="-")
    axis.set(ylim=(0, 1.1 * RATE), xlim=(0, total))
    axis.set_title(name, fontsize=10)
twin = axes.flat[list(runs).index("1cycle")].twinx()
twin.plot(steps, SCHEDULES["1cycle"].momentum(steps), color="tab:orange", linestyle="--")
twin.set(ylim=(0.8, 0.96))
twin.set_ylabel("momentum", color="tab:orange")
for axis in axes[:, 0]:
    axis.set_ylabel("rate")
for axis in axes[-1]:
    axis.set_xlabel("step")
save(fig, chosen.out, "13_schedules")


def mean_of(name, measure):
    return np.mean([history[measure] for history, _ in runs[name]], axis=0)


fig, axes = figure(columns=2, height=3.8)
for number, name in enumerate(runs):
    style = {"color": f"C{number}", "linestyle": "--" if number % 2 else "-"}
    for axis, measure in zip(axes[0], ("loss", "val_accuracy"), strict=True):
        axis.plot(range(1, epochs + 1), mean_of(name, measure), label=name, **style)
axes[0, 0].set(xlabel="epoch", ylabel="training loss", yscale="log")
axes[0, 1].set(xlabel="epoch", ylabel=f"accuracy on other images, mean of {seeds}")
axes[0, 1].legend(ncols=2, fontsize=8)
save(fig, chosen.out, "13_effect")

loss = {name: mean_of(name, "val_loss")[-1] for name in runs}
final = {name: mean_of(name, "val_accuracy")[-1] for name in runs}
print(f"{'':20}{'loss':>8}{'accuracy':>10}   on other images, after {epochs} epochs, mean of {seeds}")
for name in sorted(final, key=final.get, reverse=True):
    print(f"{name:20}{loss[name]:8.3f}{final[name]:10.2%}")
print()
others = [name for name in runs if name != "constant"]
better = [name for name in others if final[name] >= final["constant"]]
verdict(
    "a rate that falls is better than the same rate held constant",
    f"{len(better)} of {len(others)} schedules end at the constant rate's accuracy or "
    f"above; the best, {max(final, key=final.get)}, at "
    f"{max(final.values()):.2%} instead of {final['constant']:.2%}",
    len(better) > len(others) / 2,
)
verdict(
    "exponential decay and performance scheduling work well",
    f"exponential ends at {final['exponential']:.2%}, performance scheduling at {final['performance']:.2%}",
    min(final["exponential"], final["performance"]) >= final["constant"],
)
