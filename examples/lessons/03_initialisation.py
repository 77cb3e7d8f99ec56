"""Initialisation: how large the weights start, and what 50 layers make of it.

A layer of fan_in inputs multiplies the mean square of what passes through by
fan_in · Var(w) · E[φ(z)²] / E[z²]. The claim: Glorot's variance 2/(fan_in + fan_out) keeps the
signal level for functions that are nearly linear around 0 (tanh), He's 2/fan_in for ReLU and its relatives,
LeCun's 1/fan_in for SELU; with a fixed deviation the signal dies out or explodes. This lesson compares the
variances with the formulas, for dense layers and for convolutions, and follows the signal through 50 layers.

python examples/lessons/03_initialisation.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import _figures
import numpy as np
from _deep import UNITS, digits, stack
from _lesson import claim, found, options

from fastconv import initializers

SCALED = ("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform")
STARTS = {
    "deviation 0.3": initializers.RandomNormal(stddev=0.3),
    "deviation 0.05": initializers.RandomNormal(stddev=0.05),
    "Glorot": initializers.GlorotNormal(),
    "He": initializers.HeNormal(),
    "LeCun": initializers.LecunNormal(),
}
ACTIVATIONS = ("tanh", "relu", "elu", "selu")


def variances(draws: int) -> None:
    """Variances of drawn weights over the formulas'."""
    shapes = {"dense 300 → 100": (300, 100), "convolution 3×3, 16 → 32": (3, 3, 16, 32)}
    print(f"{'variance drawn / formula':28}" + "".join(f"{name:>16}" for name in SCALED))
    worst = 0.0
    for title, shape in shapes.items():
        fan_in, fan_out = np.prod(shape[:-1]), shape[-1] * np.prod(shape[:-2])
        formulas = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}
        ratios = []
        for name in SCALED:
            make = initializers.get(name)
            drawn = np.mean([np.var(make(shape), dtype=np.float64) for _ in range(draws)])
            ratios.append(drawn / formulas[name.split("_")[0]])
        worst = max(worst, *(abs(ratio - 1) for ratio in ratios))
        print(f"{title:28}" + "".join(f"{ratio:16.4f}" for ratio in ratios))
    claim("variances are 2/(fan_in + fan_out), 2/fan_in, 1/fan_in, fan_in of a convolution k_h·k_w·C_in")
    found(f"the furthest from it is {worst:.2%} away, over {draws} draws of each")


def signal(depth: int, folder: Path) -> None:
    """Root mean square of the activations, layer by layer."""
    (x, _), _ = digits()
    fig, axes = _figures.figure(rows=2, columns=2, height=2.8)
    last: dict[tuple[str, str], float] = {}
    for axis, activation in zip(axes.flat, ACTIVATIONS, strict=True):
        for title, initializer in STARTS.items():
            y, sizes = x[:200], []
            for layer in stack(depth, activation, initializer).layers[:-1]:
                y = layer.forward(y)
                sizes.append(float(np.sqrt(np.mean(np.square(y, dtype=np.float64)))))
            last[activation, title] = sizes[-1]
            axis.semilogy(range(1, depth + 1), np.maximum(sizes, 1e-30), label=title)
        axis.set(title=activation, ylim=(1e-24, 1e18))
        axis.set_yticks([10.0**power for power in range(-24, 17, 8)])
    for axis in axes[-1]:
        axis.set_xlabel("layer")
    for axis in axes[:, 0]:
        axis.set_ylabel("size of the activations")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    _figures.save(fig, folder, "03_signal_by_layer")

    print(f"root mean square of the activations of layer {depth}, {UNITS} units a layer")
    print(f"{'':10}" + "".join(f"{title:>16}" for title in STARTS))
    for activation in ACTIVATIONS:
        print(f"{activation:10}" + "".join(f"{last[activation, title]:16.3g}" for title in STARTS))
    claim("He keeps ReLU's signal level, LeCun SELU's, Glorot tanh's; fixed deviations do not")
    found(
        f"layer {depth}: ReLU {last['relu', 'He']:.2g} with He, {last['relu', 'Glorot']:.0e} with Glorot, "
        f"{last['relu', 'deviation 0.05']:.0e} with 0.05, {last['relu', 'deviation 0.3']:.0e} with 0.3; "
        f"SELU with LeCun {last['selu', 'LeCun']:.2g}; tanh with Glorot {last['tanh', 'Glorot']:.2g}"
    )


chosen = options(__doc__)
variances(5 if chosen.quick else 200)
signal(50, chosen.out)
