"""One operation of a program at a time, in pixels: by a team of threads and by the drivers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy_oracle
import pytest
from kernels import each_isa
from strategies import UNIT_ROUNDOFF, check, normal, rounding_bound

import fastconv
from fastconv import _kernels, reference
from fastconv._core.geometry import Window, frame, transposed, window
from fastconv.parameter import roomy_zeros

Size = tuple[int, int, int]
Bounded = tuple[np.ndarray, Any]  # a value, and how far from it float32 may be
WAYS = ("pixels", "whole")


@dataclass
class Case:
    """An operation, and what it should give; subclasses say how."""

    inputs: list[Size]
    output: Size
    op: dict
    weights: list[tuple[int, ...] | None] = field(default_factory=list)
    learns: list[bool] = field(default_factory=list)

    def forward(self, xs: list, weights: list) -> Bounded:
        raise NotImplementedError

    def backward(self, xs: list, weights: list, y: np.ndarray, dy: np.ndarray) -> tuple[list, list]:
        """Bounded gradients of the inputs and of the weights that learn, from the y that was found."""
        raise NotImplementedError

    def activated(self, y: np.ndarray, bound: Any) -> Bounded:
        """With the activation at the end; and going back, without it."""
        name = self.op.get("activation", "linear")
        value = reference.activation(y, name, self.op.get("alpha"))
        return value, bound + 8 * UNIT_ROUNDOFF * abs(value)

    def slope(self, y: np.ndarray, dy: np.ndarray) -> Bounded:
        name = self.op.get("activation", "linear")
        value = reference.activation_backward(dy, y, name, self.op.get("alpha"))
        return value, 8 * UNIT_ROUNDOFF * abs(dy) if name != "linear" else 0 * abs(dy)


# ---- sums of products ---------------------------------------------------------------------------


@dataclass
class Sum(Case):
    view: Window | None = None

    def products(self, x: np.ndarray, kernel: np.ndarray, bias: Any) -> np.ndarray:
        return numpy_oracle.conv2d(x, kernel, bias, self.view, self.groups)

    def data(self, dy: np.ndarray, kernel: np.ndarray, shape: tuple) -> np.ndarray:
        return numpy_oracle.conv2d_backward_data(dy, kernel, shape, self.view, self.groups)

    def kernel(self, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return numpy_oracle.conv2d_backward_kernel(x, dy, self.view, self.groups)

    @property
    def groups(self) -> int:
        return self.op.get("groups", 1)

    def forward(self, xs, weights):
        (x,), (kernel, bias) = xs, weights
        absolute = None if bias is None else abs(bias)
        bound = rounding_bound(self.products(abs(x), abs(kernel), absolute), kernel.size)
        return self.activated(self.products(x, kernel, bias), bound)

    def backward(self, xs, weights, y, dy):
        (x,), (kernel, _) = xs, weights
        dz, dz_bound = self.slope(y, dy)
        found = self.data(dz, kernel, x.shape), *self.kernel(x, dz)
        scales = self.data(abs(dz), abs(kernel), x.shape), *self.kernel(abs(x), abs(dz))
        slips = self.data(dz_bound, abs(kernel), x.shape), *self.kernel(abs(x), dz_bound)
        terms = kernel.size, dy.size, dy.size
        bounded = [
            (value, rounding_bound(scale, count) + slip)
            for value, scale, slip, count in zip(found, scales, slips, terms, strict=True)
        ]
        return bounded[:1], bounded[1:]


class Depthwise(Sum):
    """The kernel (KH, KW, C, M) as that of as many groups."""

    @property
    def groups(self):
        return self.inputs[0][2]

    def products(self, x, kernel, bias):
        return super().products(x, kernel.reshape(*kernel.shape[:2], 1, -1), bias)

    def data(self, dy, kernel, shape):
        return super().data(dy, kernel.reshape(*kernel.shape[:2], 1, -1), shape)

    def kernel(self, x, dy):
        dkernel, dbias = super().kernel(x, dy)
        return dkernel.reshape(self.weights[0]), dbias


class Transposed(Sum):
    """The adjoint of the convolution from y to x."""

    def products(self, x, kernel, bias):
        y = super().data(x, kernel, (x.shape[0], *self.output))
        return y if bias is None else y + bias

    def data(self, dy, kernel, shape):
        return super().products(dy, kernel, None)

    def kernel(self, x, dy):
        return super().kernel(dy, x)[0], dy.sum((0, 1, 2), dtype=np.float64)


class Dense(Sum):
    def products(self, x, kernel, bias):
        y = x.astype(np.float64) @ kernel
        return y if bias is None else y + bias

    def data(self, dy, kernel, shape):
        return dy @ kernel.astype(np.float64).T

    def kernel(self, x, dy):
        rows = dy.reshape(-1, dy.shape[-1])
        return x.reshape(-1, x.shape[-1]).astype(np.float64).T @ rows, rows.sum(0, dtype=np.float64)


def fields(view: Window) -> dict:
    return {
        "size": view.size,
        "strides": view.strides,
        "dilation": view.dilation,
        "padding": (view.rows.before, view.columns.before),
    }


def conv(image, C, size, K, strides=1, padding="valid", dilation=1, groups=1, bias=True, **more) -> Case:
    view = window(image, size, strides, padding, dilation)
    weights = [(*view.size, C // groups, K), (K,) if bias else None]
    op = {"kind": "conv", "groups": groups, **fields(view), **more}
    return Sum([(*image, C)], (*view.output_size, K), op, weights, [True, bias], view)


def depthwise(image, C, size, M, strides=1, padding="same", **more) -> Case:
    view = window(image, size, strides, padding)
    op = {"kind": "depthwise", **fields(view), **more}
    weights = [(*view.size, C, M), (C * M,)]
    return Depthwise([(*image, C)], (*view.output_size, C * M), op, weights, [True, True], view)


def conv_transposed(image, C, size, K, strides=1, padding="valid", **more) -> Case:
    rows, columns = transposed(image, size, strides, padding)
    larger = (rows.output, columns.output)
    sides = ((rows.before, rows.after), (columns.before, columns.after))
    view = window(larger, size, strides, sides)
    op = {"kind": "conv_transposed", **fields(view), **more}
    weights = [(*view.size, K, C), (K,)]
    return Transposed([(*image, C)], (*larger, K), op, weights, [True, True], view)


def dense(C, K, image=(1, 1), bias=True, **more) -> Case:
    weights = [(C, K), (K,) if bias else None]
    return Dense([(*image, C)], (*image, K), {"kind": "dense", **more}, weights, [True, bias])


# ---- pools --------------------------------------------------------------------------------------


class MaxPool(Case):
    def arguments(self) -> dict:
        return self.op["reference"]

    def forward(self, xs, weights):
        return reference.max_pool2d(xs[0], **self.arguments())[0], 0

    def backward(self, xs, weights, y, dy):
        switches = reference.max_pool2d(xs[0], **self.arguments())[1]
        gradient = [
            reference.max_pool2d_backward(g, switches, xs[0].shape, **self.arguments()) for g in (dy, abs(dy))
        ]
        return [(gradient[0], rounding_bound(gradient[1], 25))], []


class AvgPool(MaxPool):
    def forward(self, xs, weights):
        y, scale = (reference.avg_pool2d(x, **self.arguments()) for x in (xs[0], abs(xs[0])))
        return y, rounding_bound(scale, 100)

    def backward(self, xs, weights, y, dy):
        dx, scale = (reference.avg_pool2d_backward(g, xs[0].shape, **self.arguments()) for g in (dy, abs(dy)))
        return [(dx, rounding_bound(scale, 100))], []


def pool(kind: type[Case], image, C, size, strides=None, padding="valid") -> Case:
    view = window(image, size, strides, padding)
    name = "avg_pool" if kind is AvgPool else "max_pool"
    how = {"pool_size": size, "strides": strides, "padding": padding}
    return kind([(*image, C)], (*view.output_size, C), {"kind": name, **fields(view), "reference": how})


def global_pool(kind: type[Case], image, C) -> Case:
    name = "global_avg_pool" if kind is AvgPool else "global_max_pool"
    return kind([(*image, C)], (1, 1, C), {"kind": name, "reference": {"pool_size": image}})


# ---- batch norm ---------------------------------------------------------------------------------

EPSILON = 1e-3


class BatchNorm(Case):
    def statistics(self, xs, weights):
        return reference.moments(xs[0]) if self.op["training"] else weights[2:]

    def forward(self, xs, weights):
        (x, *residual), (gamma, beta) = xs, weights[:2]
        mean, variance = self.statistics(xs, weights)
        y = reference.batch_norm(x, mean, variance, gamma, beta, EPSILON)
        factor = (1 if gamma is None else abs(gamma)) / np.sqrt(variance + EPSILON)
        scale = factor * (abs(x) + abs(mean)) + (0 if beta is None else abs(beta))
        for added in residual:
            y, scale = y + added, scale + abs(added)
        return self.activated(y, rounding_bound(scale, x.size // x.shape[-1]))

    def backward(self, xs, weights, y, dy):
        (x, *residual), (gamma, _) = xs, weights[:2]
        rows = x.size // x.shape[-1]
        mean, variance = self.statistics(xs, weights)
        dy, slip = self.slope(y, dy)
        given = abs(dy) + slip / UNIT_ROUNDOFF / 4  # what its error is of
        inverse = 1 / np.sqrt(variance + EPSILON)
        dgamma, dbeta = reference.batch_norm_backward_weights(dy, x, mean, variance, EPSILON)
        far = (abs(x) + abs(mean)) * inverse
        dgamma_scale = (given * far).sum((0, 1, 2))
        dbeta_scale = given.astype(np.float64).sum((0, 1, 2))
        factor = inverse * (1 if gamma is None else abs(gamma))
        sums, scale = (None, None), given
        if self.op["training"]:
            sums, scale = (dgamma, dbeta), given + (dbeta_scale + far * dgamma_scale) / rows
        dx = reference.batch_norm_backward_data(dy, x, mean, variance, gamma, *sums, EPSILON)
        learned = [(dgamma, rounding_bound(dgamma_scale, rows)), (dbeta, rounding_bound(dbeta_scale, rows))]
        return [(dx, 2 * rounding_bound(factor * scale, rows)), *((dy, slip) for _ in residual)], learned


def batch_norm(image, C, training, scaled=True, residual=False, **more) -> Case:
    size = (*image, C)
    weights = [(C,) if scaled else None] * 2 + [(C,)] * 2
    op = {"kind": "batch_norm", "training": training, "epsilon": EPSILON, "momentum": 0.9, **more}
    return BatchNorm([size] * (1 + residual), size, op, weights, [scaled, scaled, False, False])


# ---- number by number, and rearrangements --------------------------------------------------------


class Activation(Case):
    def forward(self, xs, weights):
        y = reference.activation(xs[0], self.op["activation"], self.op.get("alpha"))
        return y, 16 * UNIT_ROUNDOFF * (abs(y) + 1)

    def backward(self, xs, weights, y, dy):
        dx = reference.activation_backward(dy, y, self.op["activation"], self.op.get("alpha"), xs[0])
        return [(dx, 64 * UNIT_ROUNDOFF * abs(dy))], []


class Softmax(Case):
    def forward(self, xs, weights):
        y = reference.activation(xs[0], "softmax")
        return y, 16 * UNIT_ROUNDOFF * y

    def backward(self, xs, weights, y, dy):
        dx = reference.activation_backward(dy, y, "softmax")
        scale = y * (abs(dy) + (abs(dy) * y).sum(-1, keepdims=True))
        return [(dx, rounding_bound(scale, y.shape[-1]))], []


class PReLU(Case):
    def forward(self, xs, weights):
        y = reference.prelu(xs[0], weights[0])
        return y, UNIT_ROUNDOFF * abs(y)

    def backward(self, xs, weights, y, dy):
        dx, dalpha = reference.prelu_backward(dy, xs[0], weights[0])
        return [(dx, UNIT_ROUNDOFF * abs(dx))], [
            (dalpha, rounding_bound(abs(dy * xs[0]).sum(0), dy.shape[0]))
        ]


class Scale(Case):
    def forward(self, xs, weights):
        scaled = self.op["scale"] * xs[0].astype(np.float64)
        return scaled + self.op["shift"], 3 * UNIT_ROUNDOFF * (abs(scaled) + abs(self.op["shift"]))

    def backward(self, xs, weights, y, dy):
        dx = self.op["scale"] * dy.astype(np.float64)
        return [(dx, 2 * UNIT_ROUNDOFF * abs(dx))], []


class Elementwise(Case):
    def forward(self, xs, weights):
        y = reference.elementwise(*xs, self.op["elementwise"])
        return self.activated(y, 2 * UNIT_ROUNDOFF * (abs(y) + abs(xs[0]) + abs(xs[1])))

    def backward(self, xs, weights, y, dy):
        name = self.op["elementwise"]
        dy, slip = self.slope(y, dy)
        gradients = reference.elementwise_backward(dy, *xs, name)
        scales = reference.elementwise_backward(abs(dy) + slip / UNIT_ROUNDOFF, *map(abs, xs), name)
        bounds = [rounding_bound(abs(s), y[0].size) + 4 * UNIT_ROUNDOFF for s in scales]
        return [(d, b) for d, b in zip(gradients, bounds, strict=True)], []


class Concatenate(Case):
    def forward(self, xs, weights):
        return reference.concatenate(xs), 0

    def backward(self, xs, weights, y, dy):
        return [(d, 0) for d in reference.split(dy, [x.shape[-1] for x in xs])], []


class Pad(Case):
    """``view`` is the frame: of more pixels around, or fewer."""

    def around(self, x, size, top, left):
        whole = np.pad(x, [(0, 0), (9, 9), (9, 9), (0, 0)])
        return whole[:, 9 - top : 9 - top + size[0], 9 - left : 9 - left + size[1]]

    def forward(self, xs, weights):
        return self.around(xs[0], self.output, *self.op["padding"]), 0

    def backward(self, xs, weights, y, dy):
        top, left = self.op["padding"]
        return [(self.around(dy, self.inputs[0], -top, -left), 0)], []


class Upsample(Case):
    def forward(self, xs, weights):
        return reference.upsample2d(xs[0], self.op["size"]), 0

    def backward(self, xs, weights, y, dy):
        dx, scale = (reference.upsample2d_backward(g, self.op["size"]) for g in (dy, abs(dy)))
        return [(dx, rounding_bound(scale, 9))], []


class Reshape(Case):
    def forward(self, xs, weights):
        return xs[0].reshape(-1, *self.output), 0

    def backward(self, xs, weights, y, dy):
        return [(dy.reshape(-1, *self.inputs[0]), 0)], []


def unary(kind: type[Case], size: Size, name: str, **more) -> Case:
    return kind([size], size, {"kind": name, **more})


def elementwise(a: Size, b: Size, name: str, **more) -> Case:
    size = tuple(np.maximum(a, b).tolist())
    return Elementwise([a, b], size, {"kind": "elementwise", "elementwise": name, **more})


def concatenate(image, *channels: int) -> Case:
    inputs = [(*image, C) for C in channels]
    return Concatenate(inputs, (*image, sum(channels)), {"kind": "concatenate"})


def pad(image, C, sides) -> Case:
    view = frame(image, sides)
    op = {"kind": "pad", "padding": (view.rows.before, view.columns.before)}
    return Pad([(*image, C)], (*view.output_size, C), op)


def upsample(image, C, size) -> Case:
    output = (image[0] * size[0], image[1] * size[1], C)
    return Upsample([(*image, C)], output, {"kind": "upsample", "size": size})


CASES = {
    "conv 3x3, one channel": conv((6, 7), 1, 3, 5),
    "conv 5x5 same, relu": conv((7, 9), 3, 5, 6, padding="same", activation="relu"),
    "conv 17 to 19, tanh": conv((5, 6), 17, (2, 3), 19, activation="tanh"),
    "conv 1x1": conv((4, 5), 7, 1, 33),
    "conv 1x1, stride 2": conv((5, 7), 8, 1, 9, strides=2),
    "conv, strides 2 and 3": conv((9, 11), 4, (3, 4), 5, strides=(2, 3), padding="same"),
    "conv, stride 2, as large as the image": conv((5, 5), 2, 5, 17, strides=2),
    "conv, stride larger than the kernel": conv((11, 13), 3, 2, 4, strides=(3, 5), padding=1),
    "conv, stride larger than the image": conv((3, 4), 2, 2, 3, strides=9, padding=((0, 1), (1, 0))),
    "conv, padded by more than the kernel": conv((3, 2), 2, (2, 3), 4, padding=((4, 2), (5, 3))),
    "conv, padded lopsidedly, stride 2": conv((6, 5), 3, 3, 4, strides=2, padding=((5, 0), (0, 6))),
    "conv, valid with rows left over": conv((8, 10), 2, 3, 4, strides=3),
    "conv without bias, leaky relu": conv((5, 5), 3, 3, 4, bias=False, activation="leaky_relu", alpha=0.3),
    "conv, a single pixel": conv((1, 1), 6, 3, 7, padding="same"),
    "conv, dilated": conv((9, 8), 3, 3, 4, dilation=(2, 3), padding="same"),
    "conv, groups": conv((6, 6), 8, 3, 12, groups=4, activation="sigmoid"),
    "conv by im2col": conv((6, 6), 4, 3, 5, algorithm=1),
    "conv, enough channels for winograd": conv((9, 9), 32, 3, 33, padding="same"),
    "conv, very sparse": conv((4, 4), 2, 2, 3, strides=900, padding=900),
    "depthwise": depthwise((6, 7), 17, 3, 1, activation="relu6"),
    "depthwise, two filters, stride 2": depthwise((7, 7), 5, (3, 2), 2, strides=2),
    "transposed": conv_transposed((4, 5), 6, 3, 7, activation="relu"),
    "transposed, stride 2": conv_transposed((4, 3), 17, 2, 5, strides=2, padding="same"),
    "dense": dense(37, 19, activation="relu"),
    "dense, wide": dense(9, 150),
    "dense, one number": dense(1, 1, activation="sigmoid"),
    "dense without bias": dense(64, 17, bias=False, activation="tanh"),
    "dense of pixels": dense(5, 33, image=(3, 4), activation="elu", alpha=1.0),
    "max pool": pool(MaxPool, (6, 8), 17, 2),
    "max pool, overlapping": pool(MaxPool, (7, 9), 5, 3, 2, "same"),
    "max pool, rows left over": pool(MaxPool, (5, 7), 3, 2),
    "max pool, strides larger than the window": pool(MaxPool, (9, 11), 1, 2, 4, 1),
    "avg pool": pool(AvgPool, (6, 4), 16, 2),
    "avg pool, overlapping": pool(AvgPool, (7, 6), 9, (3, 2), 1, "same"),
    "global max pool": global_pool(MaxPool, (5, 3), 18),
    "global avg pool": global_pool(AvgPool, (4, 7), 33),
    "batch norm in training": batch_norm((4, 5), 17, True),
    "batch norm in training, one channel": batch_norm((3, 3), 1, True, scaled=False),
    "batch norm in training, vectors": batch_norm((2, 1), 40, True),
    "batch norm in inference": batch_norm((3, 5), 6, False),
    "batch norm in inference, not scaled": batch_norm((2, 2), 19, False, scaled=False),
    "activation": unary(Activation, (5, 6, 7), "activation", activation="tanh"),
    "activation of the input": unary(Activation, (9, 11, 13), "activation", activation="gelu"),
    "linear": unary(Activation, (3, 3, 3), "activation", activation="linear"),
    "softmax": unary(Softmax, (1, 1, 10), "softmax"),
    "softmax of pixels": unary(Softmax, (3, 4, 17), "softmax"),
    "scale": unary(Scale, (9, 11, 13), "scale", scale=0.7, shift=-0.25),
    "prelu": PReLU([(3, 4, 5)], (3, 4, 5), {"kind": "prelu"}, [(3, 4, 5)], [True]),
    "prelu, large": PReLU([(9, 11, 13)], (9, 11, 13), {"kind": "prelu"}, [(9, 11, 13)], [True]),
    "add": elementwise((7, 9, 17), (7, 9, 17), "add"),
    "multiply by a vector": elementwise((5, 6, 17), (1, 1, 17), "multiply"),
    "a vector subtracts": elementwise((1, 1, 3), (20, 40, 3), "subtract"),
    "maximum": elementwise((4, 4, 4), (4, 4, 4), "maximum"),
    "divide, repeated along channels": elementwise((4, 5, 6), (4, 5, 1), "divide"),
    "average of rows and columns": elementwise((1, 5, 3), (4, 1, 3), "average"),
    "multiply, four axes": elementwise((1, 5, 1), (4, 1, 3), "multiply"),
    "concatenate": concatenate((3, 5), 4, 1, 17),
    "concatenate one": concatenate((2, 2), 3),
    "pad": pad((4, 5), 3, ((1, 2), (0, 3))),
    "crop": pad((6, 7), 3, ((-1, -2), (-3, 0))),
    "pad and crop": pad((6, 7), 2, ((3, -2), (-1, 4))),
    "upsample": upsample((3, 4), 17, (2, 3)),
    "reshape": Reshape([(4, 6, 5)], (1, 1, 120), {"kind": "reshape"}),
    "reshape, large": Reshape([(20, 30, 5)], (30, 4, 25), {"kind": "reshape"}),
}

# Not in pixels by a team.
LEFT = {
    "conv, dilated", "conv, groups", "conv by im2col", "conv, very sparse", "depthwise",
    "depthwise, two filters, stride 2", "transposed", "transposed, stride 2",
    "divide, repeated along channels", "average of rows and columns", "multiply, four axes",
}  # fmt: skip


@dataclass
class Arrays:
    xs: list[np.ndarray]
    dy: np.ndarray
    weights: list[np.ndarray | None]


def draw(case: Case, N: int) -> Arrays:
    random = np.random.default_rng(N)
    weights: list[np.ndarray | None] = []
    for i, shape in enumerate(case.weights):
        weight = None if shape is None else roomy_zeros(shape)
        if weight is not None:
            weight[...] = abs(normal(random, *shape)) + 0.5 if i == 3 else normal(random, *shape)
        weights.append(weight)
    xs = [normal(random, N, *size) for size in case.inputs]
    return Arrays(xs, normal(random, N, *case.output), weights)


def run(case: Case, arrays: Arrays, way: str | None, wanted: list[bool], learns: list[bool]) -> tuple:
    """y, the gradients of the inputs, and those of the weights; None for what is not asked for."""
    N, count = arrays.dy.shape[0], len(case.inputs)
    gradients = [roomy_zeros(shape) if learns[i] else None for i, shape in enumerate(case.weights)]
    weights = [None if w is None else w.copy() if i > 1 else w for i, w in enumerate(arrays.weights)]
    op = {k: v for k, v in case.op.items() if k != "reference"}
    op |= {"inputs": list(range(count)), "output": count, "weights": weights, "gradients": gradients}
    program = _kernels.Program([op], [*case.inputs, case.output], list(range(count)), wanted, [count], [way])
    y = np.full((N, *case.output), np.nan, np.float32)
    dxs = [np.full_like(x, np.nan) if want else None for x, want in zip(arrays.xs, wanted, strict=True)]
    program.run(arrays.xs, [y], keep=True).backward([arrays.dy], dxs)
    described, _ = program.describe(N, True)
    return y, dxs, gradients, weights, described[0]["way"]


def compare(case: Case, arrays: Arrays, found: tuple, expected: tuple, where: object) -> None:
    (y, dxs, gradients, _, _), (wanted_y, wanted_dxs, wanted_gradients) = found, expected
    check(y, *wanted_y, (where, "y"))
    for i, dx in enumerate(dxs):
        if dx is not None:
            check(dx, *wanted_dxs[i], (where, "dx", i))
    for i, gradient in enumerate(gradients):
        if gradient is not None:
            check(gradient, *wanted_gradients[i], (where, "gradient", i))


def expected_of(case: Case, arrays: Arrays, y: np.ndarray) -> tuple:
    return case.forward(arrays.xs, arrays.weights), *case.backward(arrays.xs, arrays.weights, y, arrays.dy)


@pytest.mark.parametrize("N", [1, 3, 33])
@pytest.mark.parametrize("name", CASES)
def test_forward_and_backward_equal_the_formula(name, N):
    case = CASES[name]
    arrays = draw(case, N)
    everything = [True] * len(case.inputs)
    for isa in each_isa():
        for way in WAYS:
            if way == "pixels" and name in LEFT:
                continue
            found = run(case, arrays, way, everything, case.learns)
            few = _kernels.isa_lanes() > 2 * N  # statistics are taken from all images at once
            assert found[-1] == way or (name.startswith("batch norm in training") and not few)
            compare(case, arrays, found, expected_of(case, arrays, found[0]), (isa, way))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.weights])
def test_what_is_not_asked_for_is_left_out(name):
    """The same bits for each gradient, whichever others are wanted."""
    case = CASES[name]
    arrays = draw(case, 3)
    for way in WAYS:
        if way == "pixels" and name in LEFT:
            continue
        _, dxs, gradients, _, _ = run(case, arrays, way, [True], case.learns)
        for which in range(len(case.weights)):
            if not case.learns[which]:
                continue
            alone = [i == which for i in range(len(case.weights))]
            _, dx, found, _, _ = run(case, arrays, way, [False], alone)
            assert dx == [None]
            terms = rounding_bound(abs(gradients[which]).max() + 1, arrays.dy.size)
            check(found[which], gradients[which].astype(np.float64), terms, (way, which))
        _, dx, _, _, _ = run(case, arrays, way, [True], [False] * len(case.weights))
        np.testing.assert_array_equal(dx[0], dxs[0], str(way))


LARGE = {
    "conv": conv((16, 17), 17, 3, 19, padding="same", activation="relu"),
    "conv, stride 2": conv((33, 31), 16, 5, 17, strides=2, padding="same"),
    "dense": dense(700, 330, activation="tanh"),
    "dense of pixels": dense(64, 70, image=(10, 11)),
    "depthwise": depthwise((40, 41), 40, 3, 1),
    "transposed": conv_transposed((12, 13), 24, 3, 17, strides=2),
    "max pool": pool(MaxPool, (60, 61), 40, 3, 2, "same"),
    "avg pool": pool(AvgPool, (60, 60), 40, 2),
    "global avg pool": global_pool(AvgPool, (70, 70), 33),
    "batch norm in training": batch_norm((50, 51), 17, True),
    "batch norm in inference": batch_norm((50, 51), 17, False),
    "activation": unary(Activation, (60, 61, 33), "activation", activation="tanh"),
    "softmax": unary(Softmax, (50, 51, 17), "softmax"),
    "scale": unary(Scale, (60, 61, 33), "scale", scale=0.7, shift=-0.25),
    "multiply by a vector": elementwise((50, 61, 33), (1, 1, 33), "multiply"),
    "maximum": elementwise((60, 61, 33), (60, 61, 33), "maximum"),
    "concatenate": concatenate((50, 51), 40, 17),
    "pad": pad((60, 61), 33, ((1, 2), (0, 3))),
    "upsample": upsample((30, 41), 33, (2, 3)),
    "reshape": Reshape([(60, 60, 33)], (36, 100, 33), {"kind": "reshape"}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LARGE)
def test_threads_do_not_change_a_bit(name, way):
    case = LARGE[name]
    for N in (1, 3):
        arrays, bits = draw(case, N), []
        for threads in (1, 2, 3):
            with fastconv.set_num_threads(threads):
                y, dxs, gradients, weights, _ = run(case, arrays, way, [True] * len(case.inputs), case.learns)
            kept = [a for a in [y, *dxs, *gradients, *weights] if a is not None]
            bits.append([a.tobytes() for a in kept])
        assert bits[0] == bits[1] == bits[2], N


def test_moving_statistics_follow_the_batch():
    case = CASES["batch norm in training"]
    arrays = draw(case, 3)
    mean, variance = reference.moments(arrays.xs[0])
    for way in WAYS:
        weights = run(case, arrays, way, [True], case.learns)[3]
        for found, before, now in zip(weights[2:], arrays.weights[2:], (mean, variance), strict=True):
            np.testing.assert_allclose(found, 0.9 * before + 0.1 * now, rtol=1e-5, atol=1e-6)


def test_what_stands_in_padding_stays_zero():
    """Copies with borders are laid out once: later runs on other images find the borders as the first did."""
    case = CASES["conv, padded lopsidedly, stride 2"]
    for way in WAYS:
        count = len(case.inputs)
        arrays = draw(case, 3)
        op = {**case.op, "inputs": [0], "output": 1, "weights": arrays.weights}
        program = _kernels.Program([op], [*case.inputs, case.output], [0], [True], [count], [way])
        for scale in (1, 1e30, 1):
            xs = [np.float32(scale) * x for x in arrays.xs]
            y, dx = np.empty_like(arrays.dy), np.empty_like(xs[0])
            program.run(xs, [y], keep=True).backward([arrays.dy], [dx])
        found = run(case, arrays, way, [True], [False, False])
        np.testing.assert_array_equal(y, found[0])
        np.testing.assert_array_equal(dx, found[1][0])


def test_blocks_of_a_batch():
    """In pixels between operations in lanes, a bundle of images at a time, as on all images at once."""
    first = conv((6, 7), 3, 3, 5, padding="same", activation="relu")
    second = conv((6, 7), 5, 3, 17, strides=2, padding="same", activation="tanh")
    last = dense(3 * 4 * 17, 40, activation="tanh")
    cases = [first, second, dense(17, 17, image=(3, 4)), unary(Reshape, (3, 4, 17), "reshape"), last]
    sizes = [first.inputs[0], *(case.output for case in cases[:3]), (1, 1, 204), last.output]
    x, dy = normal(np.random.default_rng(1), 33, *sizes[0]), normal(np.random.default_rng(2), 33, *sizes[-1])
    arrays = [draw(case, 1).weights for case in cases]
    found = []
    for ways in (["lanes", *["pixels"] * 4], ["whole"] * 5):
        gradients = [[None if w is None else roomy_zeros(w.shape) for w in weights] for weights in arrays]
        ops = [
            {**case.op, "inputs": [i], "output": i + 1, "weights": arrays[i], "gradients": gradients[i]}
            for i, case in enumerate(cases)
        ]
        program = _kernels.Program(ops, sizes, [0], [True], [5], ways)
        y, dx = np.empty_like(dy), np.empty_like(x)
        program.run([x], [y], keep=True).backward([dy], [dx])
        assert [row["way"] for row in program.describe(33, True)[0]] == ways
        found.append([y, dx, *(g for listed in gradients for g in listed)])
    for blocks, whole in zip(*found, strict=True):
        np.testing.assert_allclose(blocks, whole, rtol=1e-4, atol=1e-4 * abs(whole).max())
