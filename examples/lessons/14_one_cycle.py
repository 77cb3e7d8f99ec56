"""Lesson 14: 1cycle needs fewer epochs than a constant rate.

A range test suggests a rate s. Constant rates s and 3 s get all epochs, 1cycle up to 5 s half as many. (The
suggestion lies ten times below the point where the loss starts to climb: the right distance for a rate that
is to last. 1cycle's highest rate is there for a moment only.) The claim: 1cycle reaches the same or better
accuracy in fewer epochs. `examples/one_cycle.py` is the same with all 60,000 images.

python examples/lessons/14_one_cycle.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

chosen = options(__doc__)
data = images(6000, 1000) if chosen.quick else images(12_000, 3000)
epochs, seeds = (16, 1) if chosen.quick else (16, 3)


def network(rate, seed):
    fc.utils.set_random_seed(seed)
    model = fc.applications.LeNet5()
    optimizer = fc.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def accuracies(rate, epochs, cycle):
    """On other images, after each epoch, for each seed: (seeds, epochs)."""
    return np.array([
        network(rate, seed).fit(
            data.x, data.y, batch_size=32, epochs=epochs, validation_data=(data.x_val, data.y_val), verbose=0,
            callbacks=[fc.callbacks.OneCycle(rate)] if cycle else [],
        ).history["val_accuracy"]
        for seed in range(chosen.seed, chosen.seed + seeds)
    ])  # fmt: skip


finder = fc.callbacks.LRFinder(1e-4, 10, steps=200)
finder.find(network(0.01, chosen.seed), data.x, data.y, batch_size=32)
rate = finder.suggestion()
curves = {
    f"constant {rate:.2g}": accuracies(rate, epochs, cycle=False),
    f"constant {3 * rate:.2g}": accuracies(3 * rate, epochs, cycle=False),
    f"1cycle to {5 * rate:.2g}": accuracies(5 * rate, epochs // 2, cycle=True),
}

fig, axes = figure(columns=2, height=3.6)
finder.plot(axes[0, 0])
axis = axes[0, 1]
for (name, curve), style in zip(curves.items(), ("--", "--", "-"), strict=True):
    x = np.arange(1, curve.shape[1] + 1)
    [line] = axis.plot(x, curve.mean(0), linestyle=style, label=name)
    axis.fill_between(x, curve.min(0), curve.max(0), color=line.get_color(), alpha=0.15)
axis.set(xlabel="epoch", ylabel=f"accuracy on other images\n(mean and range of {seeds} seeds)")
axis.set_ylim(bottom=np.min([curve[:, 1].mean() for curve in curves.values()]) - 0.03)
axis.legend(fontsize=8)
save(fig, chosen.out, "14_one_cycle")

*constants, ours = curves.values()
ends = [f"{name}: {curve[:, -1].mean():.2%} after {curve.shape[1]} epochs" for name, curve in curves.items()]
verdict(
    "1cycle reaches the same or better accuracy in fewer epochs",
    "; ".join(ends),
    all(ours[:, -1].mean() >= curve[:, -1].mean() for curve in constants),
)
