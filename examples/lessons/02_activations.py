"""Activation functions and their derivatives.

On its way down through a layer a gradient is multiplied by φ′(z). The claim: the sigmoid's derivative is at
most ¼, and almost 0 where it saturates, so that of what goes in at the top of 50 layers at most ¼⁵⁰ ≈ 8·10⁻³¹
comes out below, but for the weights; tanh has derivative 1 at 0 only; ReLU and its relatives have derivative
1 on the whole positive side. This lesson draws φ and φ′, and measures what matters for deep stacks: with z
from the standard normal distribution, the mean square of φ′, which is the share of the gradient's energy that
passes, and the mean and the deviation of φ.

python examples/lessons/02_activations.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import _figures
import numpy as np
from _lesson import claim, found, options

from fastconv import activations

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu")


def value_and_derivative(name: str, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ(z) and φ′(z), both as the layers compute them: backward, with ones coming from above."""
    function = activations.get(name)
    y = function(z)
    return y, function.backward(np.ones_like(y), z if function.needs_input else y)


def draw(folder: Path) -> dict[str, float]:
    """The figure, and the largest derivative of each function on it."""
    z = np.linspace(-6, 6, 2401, dtype=np.float32)
    fig, axes = _figures.figure(rows=3, columns=3, height=2.3)
    largest = {}
    for axis, name in zip(axes.flat, NAMES, strict=True):
        y, slope = value_and_derivative(name, z)
        largest[name] = float(slope.max())
        axis.plot(z, y, label="φ(z)")
        axis.plot(z, slope, "--", label="φ′(z)")
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set(title=f"{name}: φ′ ≤ {largest[name]:.4g}", ylim=(-2.0, 3.0), xlim=(-6, 6))
    for axis in axes[-1]:
        axis.set_xlabel("z")
    axes[0, 0].legend(loc="upper left", fontsize="small")
    _figures.save(fig, folder, "02_activations")
    return largest


def measure(samples: int, seed: int, largest: dict[str, float]) -> None:
    """The table, and what it says about the claims."""
    z = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    passes = {}
    print(f"{'':12}{'largest φ′':>12}{'mean φ′²':>12}{'mean φ':>12}{'deviation φ':>13}   z ~ N(0, 1)")
    for name in NAMES:
        y, slope = (array.astype(np.float64) for array in value_and_derivative(name, z))
        passes[name] = float(np.mean(slope**2))
        print(f"{name:12}{largest[name]:12.4f}{passes[name]:12.4f}{y.mean():12.4f}{y.std():13.4f}")

    claim("the sigmoid's derivative is at most 1/4, so 50 layers let at most 8e-31 through")
    found(
        f"largest derivative {largest['sigmoid']:.6f}, to the 50th power {largest['sigmoid'] ** 50:.1e}; for "
        f"normal z the root mean square is {passes['sigmoid'] ** 0.5:.3f}"
    )
    claim("ReLU passes half of a gradient's energy, which is why He doubles the variance of the weights")
    found(f"mean φ′² of ReLU {passes['relu']:.4f}; twice that is {2 * passes['relu']:.4f}")
    y, _ = value_and_derivative("selu", z)
    claim("SELU keeps mean 0 and deviation 1 (Klambauer et al. 2017)")
    found(f"mean {y.mean(dtype=np.float64):.4f}, deviation {y.std(dtype=np.float64):.4f}")


chosen = options(__doc__)
measure(100_000 if chosen.quick else 4_000_000, chosen.seed, draw(chosen.out))
