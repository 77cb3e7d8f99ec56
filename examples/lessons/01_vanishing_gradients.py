"""Vanishing and exploding gradients, layer by layer, in 50 layers.

Backpropagation multiplies by one matrix and one derivative per layer: δˡ = (Wˡ⁺¹ᵀ δˡ⁺¹) ⊙ φ′(zˡ). The claim:
with sigmoids that product shrinks until the first layers do not learn at all; He's initialisation with ReLU
or ELU, and LeCun's with SELU, keep it level; where it grows instead, clipping bounds the step. This lesson
measures ‖∂ loss / ∂ kernel‖ of every layer before the first step, for five activation functions, three
initialisers, with and without batch normalisation; and then what clipping does to a step and to a training.

python examples/lessons/01_vanishing_gradients.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import _figures
import numpy as np
from _deep import digits, gradient_norms, stack, train
from _lesson import claim, found, options

import fastconv as fc
from fastconv.initializers import RandomNormal
from fastconv.optimizers import SGD

ACTIVATIONS = ("sigmoid", "tanh", "relu", "elu", "selu")
INITIALIZERS = {"glorot_normal": "Glorot", "he_normal": "He", "lecun_normal": "LeCun"}
CLIPPINGS = {
    "no clipping": {},
    "clipvalue=0.01": {"clipvalue": 0.01},
    "clipnorm=1": {"clipnorm": 1.0},
    "global_clipnorm=1": {"global_clipnorm": 1.0},
}


def layer_by_layer(depth: int, folder: Path) -> None:
    """The figure of all gradients at the start, and their table."""
    (x, y), _ = digits()
    x, y = x[:200], y[:200]
    fig, axes = _figures.figure(rows=2, columns=3, height=3.2)
    first: dict[tuple[str, str, bool], float] = {}
    print(f"‖gradient‖ in layer 1 and, after the slash, in layer {depth}, at initialisation")
    print(f"{'':22}" + "".join(f"{name:>20}" for name in ACTIVATIONS))
    for row, batch_norm in enumerate((False, True)):
        for column, (initializer, title) in enumerate(INITIALIZERS.items()):
            axis, cells = axes[row, column], []
            for activation in ACTIVATIONS:
                norms = gradient_norms(stack(depth, activation, initializer, batch_norm), x, y)
                first[activation, title, batch_norm] = norms[0]
                cells.append(f"{norms[0]:.1e} / {norms[-1]:.1e}")
                axis.semilogy(range(1, depth + 1), np.maximum(norms, 1e-38), label=activation)
            suffix = ", batch norm" if batch_norm else ""
            print(f"{title + suffix:22}" + "".join(f"{cell:>20}" for cell in cells))
            axis.set(title=title + suffix, ylim=(1e-34, 1e8))
            axis.set_yticks([10.0**power for power in range(-32, 9, 8)])
    for axis in axes[-1]:
        axis.set_xlabel("layer (1: nearest the input)")
    for axis in axes[:, 0]:
        axis.set_ylabel("‖∂ loss / ∂ kernel‖")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    _figures.save(fig, folder, "01_gradients_by_layer")

    sigmoid = max(first["sigmoid", title, False] for title in INITIALIZERS.values())
    claim("a deep sigmoid network's gradients vanish, whichever initialiser; He with ReLU or ELU stays level")
    found(
        f"layer 1 of {depth}: sigmoid at best {sigmoid:.0e}; He with ReLU {first['relu', 'He', False]:.2g}, "
        f"He with ELU {first['elu', 'He', False]:.2g}, LeCun with SELU {first['selu', 'LeCun', False]:.2g}; "
        f"Glorot with ReLU only {first['relu', 'Glorot', False]:.0e}, in all layers alike"
    )
    claim("batch normalisation makes gradients nearly independent of the initialiser")
    spread = {
        name: [first[name, title, True] for title in INITIALIZERS.values()] for name in ("sigmoid", "relu")
    }
    found(
        f"layer 1 with batch normalisation: sigmoid {min(spread['sigmoid']):.2g} to "
        f"{max(spread['sigmoid']):.2g}, ReLU {min(spread['relu']):.2g} to {max(spread['relu']):.2g} over "
        "the initialisers: none vanishes any more, but in so deep a stack they grow towards the input"
    )


def clipped(depth: int, epochs: int, seed: int, folder: Path) -> None:
    """One step of a network that explodes, and a training at a rate that is too high without clipping."""
    (x, y), _ = digits()
    fig, axes = _figures.figure(columns=2, height=3.8)
    steps = {}
    for label, clipping in CLIPPINGS.items():
        fc.utils.set_random_seed(seed)
        model = stack(depth, "relu", RandomNormal(stddev=0.2))
        before = [layer.kernel.value.copy() for layer in model.layers[:-1]]
        gradient_norms(model, x[:200], y[:200])
        SGD(0.01, **clipping).step(model.parameters)
        changes = zip(model.layers, before, strict=False)
        steps[label] = np.array(
            [np.linalg.norm((layer.kernel.value - old).astype(np.float64)) for layer, old in changes]
        )
        axes[0, 0].semilogy(range(1, depth + 1), steps[label])
    axes[0, 0].set(
        title="one step, weights started too large", xlabel="layer", ylabel="‖change of the kernel‖"
    )

    accuracies = {}
    for label, clipping in CLIPPINGS.items():
        fc.utils.set_random_seed(seed)
        optimizer = SGD(0.005, momentum=0.9, nesterov=True, **clipping)
        history = train(stack(depth, "elu", "he_normal"), optimizer, epochs)
        accuracies[label] = history["val_accuracy"]
        axes[0, 1].plot(range(1, epochs + 1), history["val_accuracy"], marker="o", markersize=3, label=label)
    axes[0, 1].set(
        title="He + ELU, Nesterov, rate 0.005", xlabel="epoch", ylabel="test accuracy", ylim=(0, 1)
    )
    fig.legend(loc="outside lower center", ncols=4)
    _figures.save(fig, folder, "01_clipping")

    claim("clipping bounds the step where gradients explode, and training goes on")
    found(
        "ReLU with weights of deviation 0.2: the largest change of a kernel is "
        + ", ".join(f"{steps[label].max():.1e} ({label})" for label in CLIPPINGS)
    )
    found(
        f"He + ELU at rate 0.005, best test accuracy of {epochs} epochs: "
        + ", ".join(f"{max(accuracies[label]):.2f} ({label})" for label in CLIPPINGS)
    )
    gradients = np.array([0.9, 100.0], np.float32)
    by_value, by_norm = fc.ops.clip_by_value(gradients, 1.0), fc.ops.clip_by_norm(gradients, 1.0)
    found(f"[0.9, 100] becomes {by_value} by value, which turns it, and {by_norm} by norm, which does not")


chosen = options(__doc__)
layer_by_layer(50, chosen.out)
clipped(50, 2 if chosen.quick else 10, chosen.seed, chosen.out)
