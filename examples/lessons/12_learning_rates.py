"""Lesson 12: what too low, just right, too high and diverging learning rates look like, and how to find one.

The same small network is trained by plain gradient descent with four rates. The claims: with too low a rate
the loss falls slowly; somewhat too high, it falls fast at first and then goes no further; much too high, it
diverges. A range test, which raises the rate from step to step, finds the rates between: the best is some ten
times below the point where the loss starts to climb.

python examples/lessons/12_learning_rates.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import math

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

RATES = {"too low": 0.002, "just right": 0.05, "too high": 0.4, "diverges": 5.0}

chosen = options(__doc__)
data = images(3000, 300)
epochs = 30 if chosen.quick else 40


def network(rate):
    fc.utils.set_random_seed(chosen.seed)
    model = fc.Sequential([
        fc.layers.Flatten(input_shape=(28, 28, 1)),
        fc.layers.Dense(100, activation="relu"),
        fc.layers.Dense(50, activation="relu"),
        fc.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(fc.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return model


def losses(rate):
    """The training loss before training, and after each epoch."""
    model = network(rate)
    start = model.evaluate(data.x, data.y, verbose=0)
    curve = [start]
    for _ in range(epochs):
        model.fit(data.x, data.y, batch_size=32, verbose=0)
        curve.append(model.evaluate(data.x, data.y, verbose=0))
    return np.array(curve)


curves = {name: losses(rate) for name, rate in RATES.items()}
finder = fc.callbacks.LRFinder(1e-4, 10, steps=200).find(network(0.01), data.x, data.y, batch_size=32)
suggestion = finder.suggestion()
suggested = losses(suggestion)

fig, axes = figure(columns=2, height=3.8)
axis = axes[0, 0]
for (name, rate), curve in zip(RATES.items(), curves.values(), strict=True):
    axis.plot(np.minimum(np.nan_to_num(curve, nan=1e9), 1e9), linestyle="-", label=f"{name}: {rate:g}")
axis.plot(suggested, linestyle="--", label=f"suggested: {suggestion:.2g}")
axis.set(xlabel="epoch", ylabel="training loss", yscale="log", ylim=(0.05, 10))
axis.set_title("Training with each rate", fontsize=10)
axis.legend(fontsize=8)
finder.plot(axes[0, 1])
axes[0, 1].set_title("The range test", fontsize=10)
save(fig, chosen.out, "12_learning_rates")


def ups(curve):
    """In how many epochs the loss rose."""
    return int((np.diff(curve) > 0).sum())


low, right, high, wild = curves.values()
verdict(
    "too low a rate is slow",
    f"a rate of {RATES['too low']} takes {epochs} epochs to a loss of {low[-1]:.3f}, "
    f"{RATES['just right']} gets there in {int(np.argmax(right <= low[-1]))}",
    right[-1] < low[-1] < low[0],
)
verdict(
    "too high a rate goes no further in the end",
    f"{RATES['too high']} jumps about: the loss went up in {ups(high)} of {epochs} epochs and "
    f"ends at {high[-1]:.3f}; {RATES['just right']} went up in {ups(right)} and ends at "
    f"{right[-1]:.3f}",
    high[-1] > right[-1],
)
verdict(
    "too high a rate is the faster one at first",
    f"after 1 epoch the losses are {high[1]:.3f} with {RATES['too high']} and "
    f"{right[1]:.3f} with {RATES['just right']}",
    high[1] < right[1],
)
verdict(
    "much too high, it diverges",
    f"with {RATES['diverges']} the loss goes from {wild[0]:.2f} to {wild[-1]:.3g}, "
    f"at most {np.nanmax(wild):.3g}",
    not math.isfinite(wild[-1]) or wild[-1] >= 0.95 * wild[0],
)
verdict(
    "the range test finds a good rate",
    f"it suggests {suggestion:.2g}, with which the loss after {epochs} epochs is {suggested[-1]:.3f}",
    suggested[-1] < min(low[-1], high[-1]),
)
