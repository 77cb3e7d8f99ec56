"""The kernels of layers beyond a plain CNN, each checked against NumPy before it is timed.

Depthwise convolution is timed beside convolution with as many groups as channels; the table gives GFLOP/s and
the share of the peak. Everything else waits for memory: its table is in GB/s, of the arrays that have to be
moved.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.test_batch_norm import race_bandwidth
from fastconv import ops

Array = np.ndarray

# (batch, height and width, channels, kernel, stride): of MobileNets, and few channels
DEPTHWISE = [
    (8, 28, 128, 3, 1),
    (8, 56, 64, 3, 2),
    (8, 7, 512, 3, 1),
    (8, 28, 128, 5, 1),
    (8, 28, 1, 3, 1),
    (8, 28, 17, 3, 1),
]
SHAPES = [(32, 28, 28, 64), (32, 28, 28, 3), (32, 28, 28, 17)]


def normal(*shape: int) -> Array:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def depthwise_oracle(x: Array, kernel: Array, stride: int) -> Array:
    """ "same" padding, tap by tap in float64."""
    size, out = kernel.shape[0], -(-x.shape[1] // stride)
    total = max((out - 1) * stride + size - x.shape[1], 0)
    around = (total // 2, total - total // 2)
    padded = np.pad(x.astype(np.float64), ((0, 0), around, around, (0, 0)))
    y = np.zeros((x.shape[0], out, out, x.shape[3]))
    for kh, kw in np.ndindex(size, size):
        rows, columns = (slice(k, k + (out - 1) * stride + 1, stride) for k in (kh, kw))
        y += padded[:, rows, columns] * kernel[kh, kw, :, 0]
    return y


@pytest.mark.parametrize("algorithm", ["depthwise", "groups"])
@pytest.mark.parametrize("shape", DEPTHWISE, ids=lambda s: "{0}x{1}x{1}x{2}, {3}x{3}, stride {4}".format(*s))
class TestDepthwise:
    def operands(self, shape: tuple[int, ...]) -> tuple[Array, Array, Array, float]:
        N, side, C, size, stride = shape
        x, kernel = normal(N, side, side, C), normal(size, size, C, 1)
        y = ops.depthwise_conv2d(x, kernel, strides=stride, padding="same")
        np.testing.assert_allclose(y, depthwise_oracle(x, kernel, stride), atol=1e-4)
        return x, kernel, normal(*y.shape), 2.0 * y.size * size * size

    def race(self, race, benchmark, shape, algorithm: str, which: str) -> None:
        benchmark.group = "depthwise {5} {0}x{1}x{1}x{2}, {3}x{3}, stride {4}".format(*shape, which)
        (x, kernel, dy, operations), (_, _, C, size, stride) = self.operands(shape), shape
        how, grouped = {"strides": stride, "padding": "same"}, kernel.reshape(size, size, 1, C)
        calls = {
            "forward": (
                lambda: ops.depthwise_conv2d(x, kernel, **how),
                lambda: ops.conv2d(x, grouped, **how, groups=C),
            ),
            "backward data": (
                lambda: ops.depthwise_conv2d_backward_data(dy, kernel, x.shape, **how),
                lambda: ops.conv2d_backward_data(dy, grouped, x.shape, **how, groups=C),
            ),
            "backward kernel": (
                lambda: ops.depthwise_conv2d_backward_kernel(x, dy, size, **how)[0].ravel(),
                lambda: ops.conv2d_backward_kernel(x, dy, size, **how, groups=C)[0].ravel(),
            ),
        }[which]
        found, expected = (call() for call in calls)
        np.testing.assert_allclose(found, expected, atol=1e-3 * max(1, abs(expected).max()))
        race(calls[algorithm == "groups"], operations)

    def test_forward(self, race, benchmark, shape, algorithm) -> None:
        self.race(race, benchmark, shape, algorithm, "forward")

    def test_backward_data(self, race, benchmark, shape, algorithm) -> None:
        self.race(race, benchmark, shape, algorithm, "backward data")

    def test_backward_kernel(self, race, benchmark, shape, algorithm) -> None:
        self.race(race, benchmark, shape, algorithm, "backward kernel")


@pytest.mark.parametrize("channels", [3, 64])
def test_transposed_convolution(race, benchmark, channels) -> None:
    benchmark.group = f"transposed 8x14x14x32 -> {channels}, 3x3, stride 2"
    x, kernel = normal(8, 14, 14, 32), normal(3, 3, channels, 32)
    y = ops.conv2d_transpose(x, kernel, strides=2, padding="same")
    exact = np.zeros((8, 30, 30, channels))
    for kh, kw in np.ndindex(3, 3):
        exact[:, kh : kh + 27 : 2, kw : kw + 27 : 2] += x.astype(np.float64) @ kernel[kh, kw].T
    np.testing.assert_allclose(y, exact[:, :28, :28], atol=1e-4)
    call = lambda: ops.conv2d_transpose(x, kernel, strides=2, padding="same")  # noqa: E731
    race(call, 2.0 * x[..., 0].size * kernel.size)


@pytest.mark.parametrize("second", ["equal", "excitation", "channels", "pixels"])
@pytest.mark.parametrize("operation", ["add", "multiply", "maximum"])
@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
class TestElementwise:
    def operands(self, shape: tuple[int, ...], second: str) -> tuple[Array, Array]:
        N, _, _, C = shape
        other = {"equal": shape, "excitation": (N, 1, 1, C), "channels": (C,), "pixels": (*shape[:3], 1)}[
            second
        ]
        return normal(*shape), normal(*other) + 1

    def test_forward(self, benchmark, shape, operation, second) -> None:
        benchmark.group = f"elementwise {operation} forward {shape}, {second}"
        a, b = self.operands(shape, second)
        expected = {"add": np.add, "multiply": np.multiply, "maximum": np.maximum}[operation](a, b)
        np.testing.assert_array_equal(ops.elementwise(a, b, operation), expected)
        race_bandwidth(benchmark, lambda: ops.elementwise(a, b, operation), a, 3 if second == "equal" else 2)

    def test_backward(self, benchmark, shape, operation, second) -> None:
        benchmark.group = f"elementwise {operation} backward {shape}, {second}"
        a, b = self.operands(shape, second)
        dy, wide = normal(*shape), np.broadcast_to(b, shape).astype(np.float64)
        slope = {"add": np.ones(shape), "multiply": a, "maximum": (wide > a) * 0.5 + (wide >= a) * 0.5}[
            operation
        ]
        axes = {"equal": (), "excitation": (1, 2), "channels": (0, 1, 2), "pixels": (3,)}[second]
        expected = (dy * slope).sum(axes).reshape(b.shape)
        np.testing.assert_allclose(
            ops.elementwise_backward(dy, a, b, operation)[1],
            expected,
            atol=1e-4 * max(1, abs(expected).max()),
        )
        call = lambda: ops.elementwise_backward(dy, a, b, operation)  # noqa: E731
        race_bandwidth(benchmark, call, a, 3 if second != "equal" else 5)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("shape", [(16, 28, 28, 64), (16, 28, 28, 3)], ids=str)
class TestUpsampling:
    def test_forward(self, benchmark, shape, interpolation) -> None:
        benchmark.group = f"upsampling {interpolation} forward {shape}"
        x = normal(*shape)
        y = ops.upsample2d(x, 2, interpolation)
        if interpolation == "nearest":
            np.testing.assert_array_equal(y, x.repeat(2, 1).repeat(2, 2))
        else:
            inner = 0.75 * x[:, :, 1:-1] + 0.25 * x[:, :, 2:]
            inner = 0.75 * inner[:, 1:-1] + 0.25 * inner[:, 2:]
            np.testing.assert_allclose(y[:, 3:-2:2, 3:-2:2], inner, atol=1e-5)
        race_bandwidth(benchmark, lambda: ops.upsample2d(x, 2, interpolation), x, 5)

    def test_backward(self, benchmark, shape, interpolation) -> None:
        benchmark.group = f"upsampling {interpolation} backward {shape}"
        x, dy = normal(*shape), ops.upsample2d(normal(*shape), 2)
        dx = ops.upsample2d_backward(dy, 2, interpolation)
        adjoint = (ops.upsample2d(x, 2, interpolation).astype(np.float64) * dy).sum()
        assert abs((x.astype(np.float64) * dx).sum() - adjoint) <= 1e-5 * (x.astype(np.float64) ** 2).sum()
        race_bandwidth(benchmark, lambda: ops.upsample2d_backward(dy, 2, interpolation), x, 5)


@pytest.mark.parametrize("kind", ["layer", "rms", "unit", "group"])
@pytest.mark.parametrize("shape", [*SHAPES, (32, 28, 28, 256), (256, 512)], ids=str)
class TestRowNormalization:
    def passes(self, kind: str, x: Array, dy: Array, gamma: Array):
        if kind == "layer":
            _, mean, inverse = ops.layer_norm(x, gamma, gamma)
            return (
                lambda: ops.layer_norm(x, gamma, gamma)[0],
                lambda: ops.layer_norm_backward(dy, x, mean, inverse, gamma)[0],
            )
        if kind == "group":
            _, mean, inverse = ops.group_norm(x, 1, gamma, gamma)
            return (
                lambda: ops.group_norm(x, 1, gamma, gamma)[0],
                lambda: ops.group_norm_backward(dy, x, mean, inverse, gamma)[0],
            )
        if kind == "rms":
            _, inverse = ops.rms_norm(x, gamma)
            return lambda: ops.rms_norm(x, gamma)[0], lambda: ops.rms_norm_backward(dy, x, inverse, gamma)[0]
        _, inverse = ops.unit_norm(x)
        return lambda: ops.unit_norm(x)[0], lambda: ops.unit_norm_backward(dy, x, inverse)

    def exact(self, kind: str, x: Array, gamma: Array) -> Array:
        axes = tuple(range(1, x.ndim)) if kind == "group" else (-1,)
        wide = x.astype(np.float64)
        if kind in ("layer", "group"):
            centered = wide - wide.mean(axes, keepdims=True)
            return gamma * centered / np.sqrt((centered**2).mean(axes, keepdims=True) + 1e-3) + gamma
        if kind == "rms":
            return gamma * wide / np.sqrt((wide**2).mean(axes, keepdims=True) + 1e-6)
        return wide / np.sqrt((wide**2).sum(axes, keepdims=True))

    def test_forward(self, benchmark, shape, kind) -> None:
        benchmark.group = f"{kind} normalisation forward {shape}"
        x, gamma = normal(*shape), normal(shape[-1])
        forward, _ = self.passes(kind, x, x, gamma)
        np.testing.assert_allclose(forward(), self.exact(kind, x, gamma), atol=1e-4)
        race_bandwidth(benchmark, forward, x, 2)

    def test_backward(self, benchmark, shape, kind) -> None:
        benchmark.group = f"{kind} normalisation backward {shape}"
        x, gamma, dy = normal(*shape), normal(shape[-1]), normal(*shape)[..., ::-1].copy()
        _, backward = self.passes(kind, x, dy, gamma)
        step = 1e-4 * dy.astype(np.float64)  # along it y · dy grows by dx · step
        grown = (self.exact(kind, x + step, gamma) - self.exact(kind, x - step, gamma)) * dy
        expected = grown.sum() / 2e-4
        assert abs((backward() * dy.astype(np.float64)).sum() - expected) <= 1e-3 * abs(dy * dy).sum()
        race_bandwidth(benchmark, backward, x, 3)
