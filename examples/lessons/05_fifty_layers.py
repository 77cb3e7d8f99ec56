"""Fifty layers that do not learn, and each cure.

The claim: a deep stack of sigmoids with plain initialisation does not train, for no gradient reaches its
lower layers; He's initialisation with ReLU or ELU, LeCun's with SELU, batch normalisation, and against
gradients that explode clipping, each make it trainable. This lesson trains all of them on the digits, with
the same optimizer (Nadam, rate 0.0003), the same batches and the same number of epochs; but for clipping,
which is tried where something explodes: plain stochastic gradient descent with Nesterov momentum, at a rate
that is too high for the first steps.

python examples/lessons/05_fifty_layers.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import _figures
from _deep import stack, train
from _lesson import claim, found, options

import fastconv as fc
from fastconv.initializers import RandomNormal
from fastconv.optimizers import SGD, Nadam

DEPTH = 50


class Recipe(NamedTuple):
    """A stack, and what trains it."""

    title: str
    activation: str
    initializer: Any
    batch_norm: bool = False
    optimizer: Callable[[], fc.Optimizer] = lambda: Nadam(3e-4)


def nadam_clipped() -> fc.Optimizer:
    return Nadam(3e-4, global_clipnorm=1.0)


def nesterov() -> fc.Optimizer:
    return SGD(0.005, momentum=0.9, nesterov=True)


def nesterov_clipped() -> fc.Optimizer:
    return SGD(0.005, momentum=0.9, nesterov=True, global_clipnorm=1.0)


UNCURED = (
    Recipe("sigmoid, normal of deviation 0.05", "sigmoid", RandomNormal(stddev=0.05)),
    Recipe("sigmoid, normal of deviation 1", "sigmoid", RandomNormal(stddev=1.0)),
    Recipe("sigmoid, Glorot", "sigmoid", "glorot_normal"),
    Recipe("sigmoid, Glorot, clipping", "sigmoid", "glorot_normal", optimizer=nadam_clipped),
    Recipe("ELU, He, Nesterov at 0.005", "elu", "he_normal", optimizer=nesterov),
)
CURES = (
    Recipe("ReLU, He", "relu", "he_normal"),
    Recipe("ELU, He", "elu", "he_normal"),
    Recipe("SELU, LeCun", "selu", "lecun_normal"),
    Recipe("sigmoid, Glorot, batch norm", "sigmoid", "glorot_normal", batch_norm=True),
    Recipe("ELU, He, batch norm", "elu", "he_normal", batch_norm=True),
    Recipe("ELU, He, Nesterov at 0.005, clipping", "elu", "he_normal", optimizer=nesterov_clipped),
)


def accuracies(recipe: Recipe, epochs: int, seed: int) -> list[float]:
    """On the test digits, after every epoch."""
    fc.utils.set_random_seed(seed)
    model = stack(DEPTH, recipe.activation, recipe.initializer, recipe.batch_norm)
    return train(model, recipe.optimizer(), epochs)["val_accuracy"]


def compare(epochs: int, seed: int, folder: Path) -> None:
    """The table and the figure."""
    fig, axes = _figures.figure(columns=2, height=4.2)
    best: dict[str, float] = {}
    print(f"{f'test accuracy, {epochs} epochs':46}{'last':>8}{'best':>8}")
    for axis, group, recipes in zip(axes[0], ("no cure", "cure"), (UNCURED, CURES), strict=True):
        for recipe in recipes:
            curve = accuracies(recipe, epochs, seed)
            best[recipe.title] = max(curve)
            print(f"{group + ': ' + recipe.title:46}{curve[-1]:8.3f}{max(curve):8.3f}")
            axis.plot(range(1, epochs + 1), curve, marker="o", markersize=3, label=recipe.title)
    axes[0, 0].set(title=f"{DEPTH} layers without a cure", ylabel="test accuracy")
    axes[0, 1].set(title="and with one")
    for axis, corner in zip(axes[0], ("upper left", "lower right"), strict=True):
        axis.set(xlabel="epoch", ylim=(0, 1))
        axis.legend(loc=corner, fontsize="small")
    _figures.save(fig, folder, "05_fifty_layers")

    claim("50 layers of sigmoids with plain initialisation do not train; each of the cures makes them train")
    cures = {recipe.title: best[recipe.title] for recipe in CURES}
    found(
        f"without a cure {max(best[recipe.title] for recipe in UNCURED):.2f} at best (0.10 is chance); with "
        f"one {min(cures.values()):.2f} ({min(cures, key=cures.__getitem__)}) to {max(cures.values()):.2f} "
        f"({max(cures, key=cures.__getitem__)})"
    )
    claim("clipping is for gradients that explode")
    found(
        f"sigmoids, whose gradients vanish, stay at {best['sigmoid, Glorot, clipping']:.2f} with it; ELU at "
        f"a rate too high for its first steps goes from {best['ELU, He, Nesterov at 0.005']:.2f} to "
        f"{best['ELU, He, Nesterov at 0.005, clipping']:.2f}"
    )


chosen = options(__doc__)
compare(6 if chosen.quick else 12, chosen.seed, chosen.out)
