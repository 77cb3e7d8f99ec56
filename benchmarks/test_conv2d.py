"""The lessons side by side: the same convolution by every algorithm, each checked before it is timed.

``naive``, ``im2col`` and ``direct`` run in C on a batch of images; ``reference`` is the pure-Python formula,
on one image, because life is short (rates compare, times do not); ``numpy`` is sliding windows and tensordot.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import numpy_conv
from benchmarks.layers import LAYERS, ConvLayer
from fastconv import ops, reference

BATCH = 8
# Winograd is for 3x3 kernels; test_conv2d skips it elsewhere.
ALGORITHMS = [name for name in ops.ALGORITHMS if name != "auto"] + ["numpy", "reference"]

pytestmark = [
    pytest.mark.parametrize("algorithm", ALGORITHMS),
    pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name),
]


class Operands:
    """Random operands of a layer, and the three passes' answers in float64."""

    def __init__(self, layer: ConvLayer, batch: int):
        rng = np.random.default_rng(0)
        self.x, self.kernel, self.bias, self.dy = (
            rng.standard_normal(shape, np.float32)
            for shape in (
                (batch, layer.size, layer.size, layer.C_in),
                (layer.f, layer.f, layer.C_in, layer.C_out),
                (layer.C_out,),
                (batch, layer.size, layer.size, layer.C_out),
            )
        )

    def exact(self) -> tuple[np.ndarray, ...]:
        return tuple(a.astype(np.float64) for a in (self.x, self.kernel, self.bias, self.dy))


def agrees(answer: np.ndarray, expected: np.ndarray, terms: int) -> None:
    """Sums of ``terms`` products of standard normals: the error grows as their root, with room to spare."""
    # Winograd's transforms round about ten times as much.
    tolerance = 80 * np.finfo(np.float32).eps * np.sqrt(terms) * max(1.0, np.sqrt(terms))
    assert np.abs(answer - expected).max() <= tolerance


def race_pass(race, benchmark, layer, algorithm, group, calls, expected, terms) -> None:
    """``calls(operands, algorithm)`` is one pass, as a function to call."""
    size, C_in, C_out, f = layer.size, layer.C_in, layer.C_out, layer.f
    benchmark.group = f"{group} {layer.name}: {size}x{size}x{C_in} -> {C_out}, {f}x{f}"
    if algorithm == "winograd" and layer.f != 3:
        pytest.skip("Winograd is for 3x3 kernels")
    batch = 1 if algorithm == "reference" else BATCH
    operands = Operands(layer, batch)
    call = calls(operands, algorithm)
    agrees(call(), expected(*operands.exact()), terms(batch))
    race(call, layer.operations(batch), rounds=1 if algorithm == "reference" else None)


def test_forward(race, benchmark, layer, algorithm) -> None:
    def calls(o: Operands, algorithm: str):
        if algorithm == "numpy":
            return lambda: numpy_conv.forward(o.x, o.kernel, o.bias)
        if algorithm == "reference":
            return lambda: reference.conv2d(o.x, o.kernel, o.bias, padding="same")
        return lambda: ops.conv2d(o.x, o.kernel, o.bias, padding="same", algorithm=algorithm)

    race_pass(
        race, benchmark, layer, algorithm, "forward", calls,
        expected=lambda x, kernel, bias, dy: numpy_conv.forward(x, kernel, bias),
        terms=lambda batch: layer.f**2 * layer.C_in,
    )  # fmt: skip


def test_backward_data(race, benchmark, layer, algorithm) -> None:
    def calls(o: Operands, algorithm: str):
        if algorithm == "numpy":
            return lambda: numpy_conv.backward_data(o.dy, o.kernel)
        if algorithm == "reference":
            return lambda: reference.conv2d_backward_data(o.dy, o.kernel, o.x.shape, padding="same")
        options = {"padding": "same", "algorithm": algorithm}
        return lambda: ops.conv2d_backward_data(o.dy, o.kernel, o.x.shape, **options)

    race_pass(
        race, benchmark, layer, algorithm, "backward-data", calls,
        expected=lambda x, kernel, bias, dy: numpy_conv.backward_data(dy, kernel),
        terms=lambda batch: layer.f**2 * layer.C_out,
    )  # fmt: skip


def test_backward_kernel(race, benchmark, layer, algorithm) -> None:
    def calls(o: Operands, algorithm: str):
        if algorithm == "numpy":
            return lambda: numpy_conv.backward_kernel(o.x, o.dy, layer.f)
        if algorithm == "reference":
            return lambda: reference.conv2d_backward_kernel(o.x, o.dy, layer.f, padding="same")[0]
        return lambda: ops.conv2d_backward_kernel(o.x, o.dy, layer.f, padding="same", algorithm=algorithm)[0]

    race_pass(
        race, benchmark, layer, algorithm, "backward-kernel", calls,
        expected=lambda x, kernel, bias, dy: numpy_conv.backward_kernel(x, dy, layer.f),
        terms=lambda batch: batch * layer.size**2,
    )  # fmt: skip
