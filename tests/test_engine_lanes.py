"""Operations on bundles, images in the lanes: each alone against the reference, and all together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy_oracle
import pytest
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, Sliding, check, normal, rounding_bound

from fastconv import _kernels, reference
from fastconv.parameter import roomy_zeros

N = 11  # no multiple of the lanes of any instruction set


def roomy(weight: np.ndarray | None) -> np.ndarray | None:
    """The same with room behind it, as the weights of layers have."""
    if weight is None:
        return None
    copy = roomy_zeros(weight.shape)
    copy[...] = weight
    return copy


@dataclass
class Passes:
    """What one operation made of its inputs and of dy."""

    isa: str
    y: np.ndarray
    dx: list[np.ndarray]
    gradients: list[np.ndarray | None]


@dataclass
class Operation:
    """An operation between tensors of its own, told as ``Program`` wants it."""

    kind: str
    inputs: list[np.ndarray]
    dy: np.ndarray
    weights: list[np.ndarray | None] = field(default_factory=list)
    fields: dict = field(default_factory=dict)
    trains: bool = True  # gradients of the weights are wanted
    wanted: bool = True  # and those of the inputs

    def passes(self) -> Iterator[Passes]:
        """Forward and back on every instruction set."""
        for isa in each_isa():
            images, count = self.dy.shape[0], len(self.inputs)
            weights = [roomy(w) for w in self.weights]
            gradients = [None if not self.trains or w is None else np.full_like(w, np.nan) for w in weights]
            op = {"kind": self.kind, "inputs": list(range(count)), "output": count, "weights": weights}
            op |= {"gradients": gradients} | self.fields
            sizes = [tensor.shape[1:] for tensor in (*self.inputs, self.dy)]
            program = _kernels.Program(
                [op], sizes, list(range(count)), [self.wanted] * count, [count], ["lanes"]
            )
            assert program.describe(images, True)[0][0]["way"] == "lanes"
            y = np.full_like(self.dy, np.nan)
            dx = [np.full_like(x, np.nan) if self.wanted else None for x in self.inputs]
            program.run(self.inputs, [y], keep=True).backward([self.dy], dx)
            yield Passes(isa, y, dx, gradients)
            predicted = np.full_like(self.dy, np.nan)
            program.run(self.inputs, [predicted])
            np.testing.assert_array_equal(predicted, y, isa)


def window_fields(sliding: Sliding) -> dict:
    view = sliding.view
    return {
        "size": view.size,
        "strides": view.strides,
        "dilation": view.dilation,
        "padding": (view.rows.before, view.columns.before),
    }


SLIDINGS = {
    "valid": Sliding(N, (7, 6), (3, 2), (1, 1), "valid"),
    "same": Sliding(N, (6, 9), (3, 3), (1, 1), "same"),
    "one pixel": Sliding(N, (4, 5), (1, 1), (1, 1), "valid"),
    "5x5, lopsided": Sliding(N, (8, 7), (5, 5), (1, 1), ((4, 0), (1, 3))),
    "stride 2": Sliding(N, (8, 9), (3, 3), (2, 2), "same"),
    "stride 2, even": Sliding(N, (9, 8), (4, 2), (2, 2), "valid"),
    "stride larger than the kernel": Sliding(N, (8, 9), (2, 1), (3, 2), "valid"),
    "stride 3 of 5, padded": Sliding(N, (9, 11), (5, 5), (3, 2), 2),
    "more padding than kernel": Sliding(N, (3, 4), (2, 3), (1, 2), ((3, 2), (4, 5))),
    "dilation": Sliding(N, (9, 8), (3, 3), (1, 1), "same", (2, 3)),
    "dilation and stride": Sliding(N, (11, 12), (3, 2), (2, 3), "same", (2, 3)),
    "dilation, stride with a divisor": Sliding(N, (13, 9), (3, 3), (4, 2), 3, (2, 1)),
    "one output": Sliding(N, (5, 4), (5, 4), (7, 9), "valid"),
    "long rows": Sliding(N, (2, 31), (2, 3), (1, 1), "same"),
}
CHANNELS = [(1, 1, 1), (1, 6, 1), (3, 4, 1), (17, 5, 1), (2, 17, 1), (4, 6, 2), (9, 3, 3)]


@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("name", SLIDINGS)
def test_convolution(name, channels):
    sliding, (C, K, groups) = SLIDINGS[name], channels
    random = np.random.default_rng(len(name) + C)
    x, kernel, bias = (
        normal(random, N, *sliding.image, C),
        normal(random, *sliding.size, C // groups, K),
        normal(random, K),
    )
    dy = normal(random, N, *sliding.view.output_size, K)
    assert_convolution(x, kernel, bias, dy, sliding, groups)


def assert_convolution(x, kernel, bias, dy, sliding, groups=1, rounds=1.0, **options):
    view, wide = sliding.view, [a.astype(np.float64) for a in (x, kernel, dy)]
    expected = [
        numpy_oracle.conv2d(wide[0], wide[1], bias, view, groups),
        numpy_oracle.conv2d_backward_data(wide[2], wide[1], x.shape, view, groups),
        *numpy_oracle.conv2d_backward_kernel(wide[0], wide[2], view, groups),
    ]
    wide = [abs(a) for a in wide]
    scales = [
        numpy_oracle.conv2d(wide[0], wide[1], abs(bias), view, groups),
        numpy_oracle.conv2d_backward_data(wide[2], wide[1], x.shape, view, groups),
        *numpy_oracle.conv2d_backward_kernel(wide[0], wide[2], view, groups),
    ]
    outputs = dy[..., 0].size
    terms = [kernel[..., 0].size + 1, kernel[:, :, 0].size, outputs, outputs]
    fields = window_fields(sliding) | {"groups": groups}
    for p in Operation("conv", [x], dy, [kernel, bias], fields, **options).passes():
        for found, right, scale, count in zip(
            (p.y, *p.dx, *p.gradients), expected, scales, terms, strict=True
        ):
            if found is not None:
                bound = rounding_bound(scale if rounds == 1 else scale.max(), count)
                check(found, right, rounds * bound, p.isa)


WINOGRAD = {
    "3x3, same": (Sliding(N, (12, 8), (3, 3), (1, 1), "same"), 7, 12),
    "3x3, valid": (Sliding(N, (13, 9), (3, 3), (1, 1), "valid"), 12, 13),
    "3x3, lopsided": (Sliding(N, (13, 10), (3, 3), (1, 1), ((2, 0), (0, 1))), 12, 13),
    "5x5, same": (Sliding(N, (11, 9), (5, 5), (1, 1), "same"), 16, 19),
    "5x5, lopsided": (Sliding(N, (12, 10), (5, 5), (1, 1), ((1, 3), (4, 0))), 13, 12),
    "more tiles than are transformed at once": (Sliding(N, (28, 45), (3, 3), (1, 1), "same"), 8, 10),
}


@pytest.mark.parametrize("name", WINOGRAD)
def test_convolution_with_fewer_multiplications(name):
    """Transforms round a few times more than sums of products do, and by a tile's largest numbers."""
    sliding, C, K = WINOGRAD[name]
    random = np.random.default_rng(C)
    x, kernel, bias = (
        normal(random, N, *sliding.image, C),
        normal(random, *sliding.size, C, K),
        normal(random, K),
    )
    dy = normal(random, N, *sliding.view.output_size, K)
    assert_convolution(x, kernel, bias, dy, sliding, rounds=2)
    assert_convolution(x, kernel, bias, dy, sliding, rounds=2, trains=False)
    assert_convolution(x, kernel, bias, dy, sliding, rounds=2, wanted=False)


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "leaky_relu"])
def test_convolution_with_activation_and_without_bias(kind, activation):
    sliding, C = SLIDINGS["stride 2"], 5
    random = np.random.default_rng(3)
    x, dy = normal(random, N, *sliding.image, C), normal(random, N, *sliding.view.output_size, C)
    kernel = normal(random, *sliding.size, C, C if kind == "conv" else 1)
    fields = window_fields(sliding) | {"activation": activation, "alpha": 0.25}
    linear = {p.isa: p for p in Operation(kind, [x], dy, [kernel, None], window_fields(sliding)).passes()}
    for p in Operation(kind, [x], dy, [kernel, None], fields).passes():
        z = linear[p.isa].y
        y = reference.activation(z, activation, 0.25 if activation == "leaky_relu" else None)
        check(p.y, y, 16 * UNIT_ROUNDOFF * (1 + abs(y)), p.isa)
        slope = {"relu": y > 0, "tanh": 1 - y * y, "leaky_relu": np.where(y > 0, 1, 0.25)}[activation]
        dz = (dy * slope).astype(np.float32)
        expected = {
            q.isa: q for q in Operation(kind, [x], dz, [kernel, None], window_fields(sliding)).passes()
        }[p.isa]
        for found, right in ((p.dx[0], expected.dx[0]), (p.gradients[0], expected.gradients[0])):
            check(found, right.astype(np.float64), 64 * UNIT_ROUNDOFF * (1 + abs(right)).max(), p.isa)
        assert p.gradients[1] is None


@pytest.mark.parametrize("C", [1, 4, 17])
@pytest.mark.parametrize("name", SLIDINGS)
def test_depthwise_convolution(name, C):
    sliding = SLIDINGS[name]
    random = np.random.default_rng(len(name) + C)
    x, kernel, bias = (
        normal(random, N, *sliding.image, C),
        normal(random, *sliding.size, C, 1),
        normal(random, C),
    )
    dy = normal(random, N, *sliding.view.output_size, C)
    view, one = sliding.view, kernel.reshape(*sliding.size, 1, C)

    def all_passes(x, kernel, bias, dy):
        x, kernel, dy = (a.astype(np.float64) for a in (x, kernel, dy))
        dkernel, dbias = numpy_oracle.conv2d_backward_kernel(x, dy, view, C)
        return [
            numpy_oracle.conv2d(x, kernel, bias, view, C),
            numpy_oracle.conv2d_backward_data(dy, kernel, x.shape, view, C),
            dkernel.reshape(*sliding.size, C, 1),
            dbias,
        ]

    expected, scales = all_passes(x, one, bias, dy), all_passes(abs(x), abs(one), abs(bias), abs(dy))
    outputs, taps = dy[..., 0].size, sliding.size[0] * sliding.size[1]
    for p in Operation("depthwise", [x], dy, [kernel, bias], window_fields(sliding)).passes():
        for found, right, scale, terms in zip(
            (p.y, *p.dx, *p.gradients), expected, scales, (taps + 1, taps, outputs, outputs), strict=True
        ):
            check(found, right, rounding_bound(scale, terms), p.isa)


POOLS = {
    "2x2": Sliding(N, (6, 8), (2, 2), (2, 2), "valid"),
    "2x2, odd": Sliding(N, (7, 9), (2, 2), (2, 2), "valid"),
    "2x2, odd, same": Sliding(N, (7, 9), (2, 2), (2, 2), "same"),
    "3x2": Sliding(N, (8, 9), (3, 2), (3, 2), "valid"),
    "overlapping": Sliding(N, (7, 8), (3, 3), (2, 2), "same"),
    "overlapping by more": Sliding(N, (5, 9), (3, 2), (1, 1), "valid"),
    "apart": Sliding(N, (8, 9), (2, 1), (3, 4), "valid"),
    "padded": Sliding(N, (6, 5), (3, 4), (2, 1), ((2, 1), (3, 2))),
    "the whole image": Sliding(N, (4, 3), (4, 3), (1, 1), "valid"),
}


@pytest.mark.parametrize("C", [1, 17])
@pytest.mark.parametrize("name", POOLS)
def test_pooling(name, C):
    sliding = POOLS[name]
    random = np.random.default_rng(len(name) + C)
    x = random.integers(-3, 4, (N, *sliding.image, C)).astype(np.float32)  # many maxima more than once
    x[3, 1, 1] = np.nan
    dy = normal(random, N, *sliding.view.output_size, C)
    window = sliding.size, sliding.strides, sliding.padding
    y, switches = reference.max_pool2d(x, *window)
    dx = reference.max_pool2d_backward(dy, switches, x.shape, *window)
    dx_scale = reference.max_pool2d_backward(abs(dy), switches, x.shape, *window)
    taps = sliding.size[0] * sliding.size[1]
    fields = window_fields(sliding)
    for p in Operation("max_pool", [x], dy, fields=fields).passes():
        check(p.y, y, 0, p.isa)
        check(p.dx[0], dx, rounding_bound(dx_scale, taps), p.isa)
    x[3, 1, 1] = 0.1
    y, scale = reference.avg_pool2d(x, *window), reference.avg_pool2d(abs(x), *window)
    dx, dx_scale = (reference.avg_pool2d_backward(g, x.shape, *window) for g in (dy, abs(dy)))
    for p in Operation("avg_pool", [x], dy, fields=fields).passes():
        check(p.y, y, rounding_bound(scale, taps), p.isa)
        check(p.dx[0], dx, rounding_bound(dx_scale, taps), p.isa)


@pytest.mark.parametrize("C", [1, 17])
def test_global_pooling(C):
    random = np.random.default_rng(C)
    x, dy = random.integers(-3, 4, (N, 5, 4, C)).astype(np.float32), normal(random, N, 1, 1, C)
    flat = dy.reshape(N, C)
    y, switches = reference.global_max_pool2d(x)
    for p in Operation("global_max_pool", [x], dy).passes():
        check(p.y.reshape(N, C), y, 0, p.isa)
        check(p.dx[0], reference.global_max_pool2d_backward(flat, switches, x.shape), 0, p.isa)
    y, dx = reference.global_avg_pool2d(x), reference.global_avg_pool2d_backward(flat, x.shape)
    for p in Operation("global_avg_pool", [x], dy).passes():
        check(p.y.reshape(N, C), y, rounding_bound(reference.global_avg_pool2d(abs(x)), 20), p.isa)
        check(p.dx[0], dx, rounding_bound(abs(dx), 1), p.isa)


@pytest.mark.parametrize("with_weights", [True, False])
@pytest.mark.parametrize("shape", [(5, 4, 17), (1, 1, 3), (7, 6, 1)], ids=str)
def test_batch_norm_in_training(shape, with_weights):
    C = shape[-1]
    random = np.random.default_rng(C)
    x, dy = normal(random, N, *shape) * 2 + 30, normal(random, N, *shape)
    gamma, beta = (normal(random, C), normal(random, C)) if with_weights else (None, None)
    mean, variance = reference.moments(x)
    y = reference.batch_norm(x, mean, variance, gamma, beta, 1e-3)
    dgamma, dbeta = reference.batch_norm_backward_weights(dy, x, mean, variance, 1e-3)
    dx = reference.batch_norm_backward_data(dy, x, mean, variance, gamma, dgamma, dbeta, 1e-3)
    fields = {"training": True, "epsilon": 1e-3, "momentum": 0.9}
    # The mean is rounded to float32, at most by 30 ulps of what is normalised.
    each = 64 * UNIT_ROUNDOFF * 30 * (1 + (abs(gamma) if with_weights else 0))
    rows = x[..., 0].size
    for p in Operation("batch_norm", [x], dy, [gamma, beta, None, None], fields).passes():
        check(p.y, y, each + abs(y) * 8 * UNIT_ROUNDOFF, p.isa)
        check(p.dx[0], dx, each * (1 + abs(dx)), p.isa)
        if with_weights:
            check(p.gradients[0], dgamma, rows * each, p.isa)
            check(
                p.gradients[1],
                dbeta,
                rounding_bound(abs(dy).sum(axis=(0, 1, 2), dtype=np.float64), rows),
                p.isa,
            )
    frozen = Operation("batch_norm", [x], dy, [gamma, beta, None, None], fields, trains=False)
    for p in frozen.passes():
        check(p.dx[0], dx, each * (1 + abs(dx)), p.isa)


def test_batch_norm_in_inference():
    random = np.random.default_rng(1)
    x, dy = normal(random, N, 3, 4, 17), normal(random, N, 3, 4, 17)
    gamma, beta, mean = (normal(random, 17) for _ in range(3))
    variance = abs(normal(random, 17)) + 0.1
    y = reference.batch_norm(x, mean, variance, gamma, beta, 1e-3)
    dx = reference.batch_norm_backward_data(dy, x, mean, variance, gamma, epsilon=1e-3)
    operation = Operation(
        "batch_norm", [x], dy, [gamma, beta, mean, variance], {"epsilon": 1e-3}, trains=False
    )
    for p in operation.passes():
        check(p.y, y, 32 * UNIT_ROUNDOFF * (1 + abs(y)), p.isa)
        check(p.dx[0], dx, 8 * UNIT_ROUNDOFF * abs(dx), p.isa)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "tanh", "elu", "silu", "gelu", "mish"])
def test_activation(activation):
    random = np.random.default_rng(1)
    x, dy = normal(random, N, 3, 5, 7), normal(random, N, 3, 5, 7)
    alpha = 1.0 if activation == "elu" else None
    y = reference.activation(x, activation, alpha)
    dx = reference.activation_backward(dy, y, activation, alpha, x)
    fields = {"activation": activation, "alpha": alpha or 0.0}
    for p in Operation("activation", [x], dy, fields=fields).passes():
        check(p.y, y, 16 * UNIT_ROUNDOFF * (1 + abs(y)), p.isa)
        check(p.dx[0], dx, 32 * UNIT_ROUNDOFF * (1 + abs(dy)), p.isa)


@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 1, 9)], ids=str)
@pytest.mark.parametrize(("trains", "wanted"), [(True, True), (True, False), (False, True)])
def test_prelu(shape, trains, wanted):
    random = np.random.default_rng(1)
    x, dy, alpha = normal(random, N, *shape), normal(random, N, *shape), normal(random, *shape)
    y = reference.prelu(x, alpha)
    dx, dalpha = reference.prelu_backward(dy, x, alpha)
    for p in Operation("prelu", [x], dy, [alpha], trains=trains, wanted=wanted).passes():
        check(p.y, y, UNIT_ROUNDOFF * abs(y), p.isa)
        if wanted:
            check(p.dx[0], dx, UNIT_ROUNDOFF * abs(dx), p.isa)
        if trains:
            check(p.gradients[0], dalpha, rounding_bound(abs(dy * x).sum(0), N), p.isa)


def test_scale():
    random = np.random.default_rng(1)
    x, dy = normal(random, N, 3, 5, 3), normal(random, N, 3, 5, 3)
    for p in Operation("scale", [x], dy, fields={"scale": 0.3, "shift": -0.7}).passes():
        check(p.y, 0.3 * x.astype(np.float64) - 0.7, 4 * UNIT_ROUNDOFF * (1 + abs(x)), p.isa)
        check(p.dx[0], 0.3 * dy.astype(np.float64), 4 * UNIT_ROUNDOFF * abs(dy), p.isa)


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "average", "maximum", "minimum"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4, 17), (3, 4, 17)),
        ((3, 4, 5), (1, 1, 5)),
        ((1, 1, 5), (3, 4, 5)),
        ((3, 4, 5), (1, 4, 5)),
        ((3, 1, 2), (3, 4, 2)),
        ((3, 1, 2), (1, 4, 2)),
    ],
    ids=str,
)
def test_elementwise(a, b, operation):
    random = np.random.default_rng(1)
    a, b = normal(random, N, *a), normal(random, N, *b)
    if a.shape == b.shape:
        b[:, :, 0] = a[:, :, 0]  # both are the maximum
    y = reference.elementwise(a, b, operation)
    dy = normal(random, *y.shape)
    da, db = reference.elementwise_backward(dy, a, b, operation)
    scales = reference.elementwise_backward(
        abs(dy), abs(a), abs(b), "multiply" if operation == "multiply" else "add"
    )
    for p in Operation("elementwise", [a, b], dy, fields={"elementwise": operation}).passes():
        check(p.y, y, 4 * UNIT_ROUNDOFF * abs(y), p.isa)
        for found, right, scale in zip(p.dx, (da, db), scales, strict=True):
            check(found, right, rounding_bound(scale, 12), p.isa)


def test_concatenate():
    random = np.random.default_rng(1)
    parts = [normal(random, N, 3, 4, C) for C in (1, 17, 2)]
    dy = normal(random, N, 3, 4, 20)
    for p in Operation("concatenate", parts, dy).passes():
        np.testing.assert_array_equal(p.y, np.concatenate(parts, -1), p.isa)
        np.testing.assert_array_equal(np.concatenate(p.dx, -1), dy, p.isa)


@pytest.mark.parametrize(
    "sides", [((1, 2), (3, 0)), ((-1, 1), (2, -2)), ((-1, -2), (-1, 0)), ((0, 3), (0, 0))], ids=str
)
def test_pad_and_crop(sides):
    random = np.random.default_rng(1)
    x = normal(random, N, 5, 6, 3)

    def moved(source: np.ndarray, sides) -> np.ndarray:
        padded = np.pad(source, ((0, 0), *((max(a, 0), max(b, 0)) for a, b in sides), (0, 0)))
        cuts = (slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(sides, padded.shape[1:3], strict=True))
        return np.ascontiguousarray(padded[(slice(None), *cuts)])

    y = moved(x, sides)
    dy = normal(random, *y.shape)
    back = [(-a, -b) for a, b in sides]
    for p in Operation("pad", [x], dy, fields={"padding": (sides[0][0], sides[1][0])}).passes():
        np.testing.assert_array_equal(p.y, y, p.isa)
        np.testing.assert_array_equal(p.dx[0], moved(dy, back), p.isa)


@pytest.mark.parametrize("size", [(2, 2), (1, 3), (3, 1)], ids=str)
def test_upsampling(size):
    random = np.random.default_rng(1)
    x, dy = normal(random, N, 3, 4, 5), normal(random, N, 3 * size[0], 4 * size[1], 5)
    y, dx = reference.upsample2d(x, size), reference.upsample2d_backward(dy, size)
    scale = reference.upsample2d_backward(abs(dy), size)
    for p in Operation("upsample", [x], dy, fields={"size": size}).passes():
        check(p.y, y, 0, p.isa)
        check(p.dx[0], dx, rounding_bound(scale, size[0] * size[1]), p.isa)


@pytest.mark.parametrize("shape", [(1, 1, 60), (6, 2, 5), (3, 4, 5), (60, 1, 1), (1, 15, 4)], ids=str)
def test_reshape(shape):
    random = np.random.default_rng(1)
    x, dy = normal(random, N, 3, 4, 5), normal(random, N, *shape)
    for p in Operation("reshape", [x], dy).passes():
        np.testing.assert_array_equal(p.y, x.reshape(N, *shape), p.isa)
        np.testing.assert_array_equal(p.dx[0], dy.reshape(x.shape), p.isa)


# ---- together -----------------------------------------------------------------------------------


def network(random: np.random.Generator, way: str) -> tuple[_kernels.Program, list[np.ndarray]]:
    """Batch normalisation in two branches: a gradient in a lane without an image would be in the sums."""

    def conv(source: int, output: int, C: int, K: int, bias: bool = False, **fields) -> dict:
        weights = [roomy(normal(random, 3, 3, C, K)), roomy(normal(random, K)) if bias else None]
        gradients = [None if w is None else np.zeros_like(w) for w in weights]
        fields = {"size": (3, 3), "padding": (1, 1), "weights": weights, "gradients": gradients} | fields
        return {"kind": "conv", "inputs": [source], "output": output} | fields

    def norm(source: int, output: int, C: int) -> dict:
        weights = [roomy(normal(random, C)), roomy(normal(random, C)), None, None]
        gradients = [np.zeros_like(weights[0]), np.zeros_like(weights[1]), None, None]
        fields = {"training": True, "epsilon": 1e-3, "weights": weights, "gradients": gradients}
        return {"kind": "batch_norm", "inputs": [source], "output": output} | fields

    pool = {
        "kind": "max_pool",
        "inputs": [4],
        "output": 5,
        "size": (3, 3),
        "strides": (2, 2),
        "padding": (1, 1),
    }
    ops = [
        conv(0, 1, 3, 5),
        norm(1, 2, 5),
        {"kind": "activation", "inputs": [2], "output": 3, "activation": "tanh"},
        {"kind": "elementwise", "inputs": [3, 1], "output": 4, "elementwise": "add"},
        pool,
        conv(0, 6, 3, 5, strides=(2, 2)),
        {"kind": "concatenate", "inputs": [5, 6], "output": 7},
        norm(7, 8, 10),
        conv(8, 9, 10, 4, bias=True),
        {"kind": "global_avg_pool", "inputs": [9], "output": 10},
    ]
    whole, half = (9, 11), (5, 6)
    sizes = [(*whole, C) for C in (3, 5, 5, 5, 5)] + [(*half, C) for C in (5, 5, 10, 10, 4)] + [(1, 1, 4)]
    program = _kernels.Program(ops, sizes, [0], [True], [10], [way] * len(ops))
    return program, [g for op in ops for g in op.get("gradients", ()) if g is not None]


def step(program: _kernels.Program, gradients: list[np.ndarray], images: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(5)
    x, dy = normal(random, images, 9, 11, 3), normal(random, images, 1, 1, 4)
    y, dx = np.zeros_like(dy), np.zeros_like(x)
    program.run([x], [y], keep=True).backward([dy], [dx])
    return (y, dx, *(g.copy() for g in gradients))


def test_a_network_in_lanes_and_by_drivers():
    for isa in each_isa():
        in_lanes, by_drivers = (
            step(*network(np.random.default_rng(1), way), N) for way in ("lanes", "whole")
        )
        for found, expected in zip(in_lanes, by_drivers, strict=True):
            check(found, expected.astype(np.float64), 2e-5 * abs(expected).max(), isa)


def test_threads_change_no_bit():
    program, gradients = network(np.random.default_rng(1), "lanes")
    assert {op["way"] for op in program.describe(150, True)[0]} == {"lanes"}
    assert_same_bits_on_any_threads(lambda: step(program, gradients, 150))
