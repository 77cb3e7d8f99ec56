"""The compiled convolutions: every algorithm on every instruction set against the reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy_oracle
import pytest
from golden_cases import golden
from hypothesis import given
from hypothesis import strategies as st
from kernels import ALGORITHMS, assert_same_bits_on_any_threads, each_isa, each_kernel
from strategies import UNIT_ROUNDOFF, Convolution, check, convolutions, examples, normal, rounding_bound

import fastconv
from fastconv import ops, reference
from fastconv._core.geometry import window

# ---- random small shapes


@examples(1000)
@given(convolutions(), st.booleans())
def test_forward_equals_the_reference(case: Convolution, with_bias: bool):
    random = np.random.default_rng(case.seed)
    x, kernel = normal(random, *case.input_shape), normal(random, *case.kernel_shape)
    bias = normal(random, case.kernel_shape[3]) if with_bias else None
    expected = reference.conv2d(x, kernel, bias, **case.arguments)
    scale = numpy_oracle.conv2d(
        abs(x), abs(kernel), abs(bias) if with_bias else None, case.sliding.view, case.groups
    )
    bound = rounding_bound(scale, terms=kernel[..., 0].size)
    for isa, algorithm in each_kernel():
        y = ops.conv2d(x, kernel, bias, **case.arguments, algorithm=algorithm)
        check(y, expected, bound, (isa, algorithm))


@examples(800)
@given(convolutions())
def test_backward_data_equals_the_reference(case: Convolution):
    random = np.random.default_rng(case.seed)
    dy, kernel = normal(random, *case.output_shape), normal(random, *case.kernel_shape)
    expected = reference.conv2d_backward_data(dy, kernel, case.input_shape, **case.arguments)
    scale = numpy_oracle.conv2d_backward_data(
        abs(dy), abs(kernel), case.input_shape, case.sliding.view, case.groups
    )
    bound = rounding_bound(scale, terms=kernel[:, :, 0].size // case.groups)
    for isa, algorithm in each_kernel():
        dx = ops.conv2d_backward_data(dy, kernel, case.input_shape, **case.arguments, algorithm=algorithm)
        check(dx, expected, bound, (isa, algorithm))


@examples(800)
@given(convolutions())
def test_backward_kernel_equals_the_reference(case: Convolution):
    random = np.random.default_rng(case.seed)
    x, dy = normal(random, *case.input_shape), normal(random, *case.output_shape)
    size, terms = case.sliding.size, case.sliding.positions
    expected = reference.conv2d_backward_kernel(x, dy, size, **case.arguments)
    scales = numpy_oracle.conv2d_backward_kernel(abs(x), abs(dy), case.sliding.view, case.groups)
    for isa, algorithm in each_kernel():
        gradients = ops.conv2d_backward_kernel(x, dy, size, **case.arguments, algorithm=algorithm)
        for gradient, wanted, scale in zip(gradients, expected, scales, strict=True):
            check(gradient, wanted, rounding_bound(scale, terms), (isa, algorithm))


# ---- larger shapes: several tiles, blocks, panels and chunks

LARGE = {
    # what it is for: (batch, (H, W), C_in, (KH, KW), C_out, other arguments)
    "a first layer, one channel": (4, (28, 28), 1, (7, 7), 64, {"padding": "same"}),
    "three pixel tiles and odd channels": (2, (30, 31), 33, (3, 3), 70, {"padding": "same"}),
    "several blocks of rows": (1, (70, 64), 17, (3, 3), 16, {}),
    "one small image, many panels": (1, (7, 7), 40, (3, 3), 272, {"padding": 1}),
    "batch in uneven chunks": (67, (8, 8), 3, (5, 5), 6, {}),
    "chunks with padding": (67, (9, 9), 4, (3, 3), 10, {"padding": "same", "strides": 2}),
    "padding in several rounds": (40, (28, 28), 12, (3, 3), 4, {"padding": "same"}),
    "pointwise with stride": (3, (31, 29), 20, (1, 1), 48, {"strides": 2}),
    "im2col in several blocks": (16, (12, 12), 8, (3, 3), 24, {}),
    "groups": (3, (14, 15), 24, (3, 3), 68, {"groups": 4, "padding": "same"}),
    "depthwise": (2, (16, 16), 48, (3, 3), 48, {"groups": 48, "padding": "same"}),
    "dilation": (3, (20, 21), 9, (3, 4), 35, {"dilation_rate": (2, 3), "padding": ((1, 4), (3, 0))}),
    "strides and dilation": (
        2,
        (33, 34),
        8,
        (3, 3),
        20,
        {"dilation_rate": 2, "strides": (3, 2), "padding": 5},
    ),
    "stride larger than the kernel": (4, (40, 41), 5, (2, 3), 18, {"strides": (4, 5)}),
}


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE.keys())
def test_large_shapes_equal_numpy(shape):
    batch, image, c_in, size, c_out, arguments = shape
    groups = arguments.get("groups", 1)
    rest = {name: value for name, value in arguments.items() if name != "groups"}
    view = window(image, size, **rest)
    random = np.random.default_rng(7)
    x, kernel = normal(random, batch, *image, c_in), normal(random, *size, c_in // groups, c_out)
    bias, dy = normal(random, c_out), normal(random, batch, *view.output_size, c_out)

    def oracle(x, kernel, bias, dy):
        return (
            numpy_oracle.conv2d(x, kernel, bias, view, groups),
            numpy_oracle.conv2d_backward_data(dy, kernel, x.shape, view, groups),
            *numpy_oracle.conv2d_backward_kernel(x, dy, view, groups),
        )

    expected, scales = oracle(x, kernel, bias, dy), oracle(abs(x), abs(kernel), abs(bias), abs(dy))
    pixels = batch * view.output_size[0] * view.output_size[1]
    terms = kernel[..., 0].size, kernel[:, :, 0].size // groups, pixels, pixels
    for isa, algorithm in each_kernel():
        found = (
            ops.conv2d(x, kernel, bias, **arguments, algorithm=algorithm),
            ops.conv2d_backward_data(dy, kernel, x.shape, **arguments, algorithm=algorithm),
            *ops.conv2d_backward_kernel(x, dy, size, **arguments, algorithm=algorithm),
        )
        for name, *compared in zip(
            ("y", "dx", "dkernel", "dbias"), found, expected, scales, terms, strict=True
        ):
            actual, wanted, scale, count = compared
            check(actual, wanted, rounding_bound(scale, count), (isa, algorithm, name))


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE.keys())
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_threads_do_not_change_a_bit(shape, algorithm):
    batch, image, c_in, size, c_out, arguments = shape
    random = np.random.default_rng(8)
    x, bias = normal(random, batch, *image, c_in), normal(random, c_out)
    kernel = normal(random, *size, c_in // arguments.get("groups", 1), c_out)
    dy = normal(random, *ops.conv2d(x, kernel, **arguments).shape)
    for _ in each_isa():
        assert_same_bits_on_any_threads(
            lambda: (
                ops.conv2d(x, kernel, bias, **arguments, algorithm=algorithm),
                ops.conv2d_backward_data(dy, kernel, x.shape, **arguments, algorithm=algorithm),
                *ops.conv2d_backward_kernel(x, dy, size, **arguments, algorithm=algorithm),
            )
        )


def test_several_python_threads_may_compute_at_once():
    """The kernels release the interpreter lock; each call has a workspace of its own."""
    random = np.random.default_rng(14)
    cases = [(normal(random, 4, 20, 20, 3 + i), normal(random, 3, 3, 3 + i, 10 + i)) for i in range(8)]

    def compute(case):
        x, kernel = case
        y = ops.conv2d(x, kernel, padding="same")
        return [a.tobytes() for a in (y, *ops.conv2d_backward_kernel(x, y, 3, padding="same"))]

    expected = [compute(case) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(compute, cases * 5)) == expected * 5


# ---- golden cases


@golden("conv2d")
def test_convolution_equals_pytorch_and_keras(case):
    x, kernel, bias, dy = case["x"], case["kernel"], case["bias"], case["dy"]
    # Numbers up to 2 in sums of at most 100 products: 100 * 2 * 2 * 2**-24 is 2.4e-5 at the very worst.
    for isa, algorithm in each_kernel():
        where, arguments = (isa, algorithm), case.arguments | {"algorithm": algorithm}
        check(ops.conv2d(x, kernel, bias, **arguments), case["y"], 2.4e-5, where)
        check(ops.conv2d_backward_data(dy, kernel, x.shape, **arguments), case["dx"], 2.4e-5, where)
        dkernel, dbias = ops.conv2d_backward_kernel(x, dy, kernel.shape[:2], **arguments)
        check(dkernel, case["dkernel"], 2.4e-5, where)
        check(dbias, case["dbias"], 2.4e-5, where)


# ---- edges


def backward(x, kernel, dy, **arguments):
    dx = ops.conv2d_backward_data(dy, kernel, x.shape, **arguments)
    return dx, *ops.conv2d_backward_kernel(x, dy, kernel.shape[:2], **arguments)


def test_a_single_number():
    for _, algorithm in each_kernel():
        one = np.full((1, 1, 1, 1), 3.0)
        assert ops.conv2d(one, 2 * one, [5.0], algorithm=algorithm).tolist() == [[[[23]]]]
        gradients = backward(one, 2 * one, 7 * one, algorithm=algorithm)
        assert [g.item() for g in gradients] == [7 * 3 * 2 * 3, 3 * 7 * 3, 21]


def test_a_window_that_sees_only_padding_gives_the_bias():
    x, kernel, bias = np.ones((1, 2, 2, 1)), np.ones((1, 1, 1, 3)), np.array([1.0, 2.0, 3.0])
    for _, algorithm in each_kernel():
        y = ops.conv2d(x, kernel, bias, padding=4, strides=3, algorithm=algorithm)
        assert y.shape == (1, 4, 4, 3)
        seen = np.zeros((4, 4), bool)  # pixels -4, -1, 2 and 5 of an image of two: none
        np.testing.assert_array_equal(y - bias, np.broadcast_to(seen[None, ..., None], y.shape))
        dx, dkernel, dbias = backward(x, kernel, np.ones_like(y), padding=4, strides=3, algorithm=algorithm)
        assert not dx.any()
        assert not dkernel.any()
        assert dbias.tolist() == [16, 16, 16]


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_images_that_are_nothing_but_padding(backend):
    """Two rows of zeros make a row of biases, and that is where the gradient goes."""
    x, kernel, bias = np.empty((3, 0, 5, 2)), np.ones((2, 1, 2, 4)), np.array([1.0, 2.0, 3.0, 4.0])
    padding = ((1, 1), (0, 0))
    with fastconv.set_backend(backend):
        y = ops.conv2d(x, kernel, bias, padding=padding)
        assert np.array_equal(y, np.broadcast_to(bias, (3, 1, 5, 4)))
        dy = np.arange(60.0).reshape(y.shape)
        dkernel, dbias = ops.conv2d_backward_kernel(x, dy, (2, 1), padding=padding)
        assert np.array_equal(dkernel, np.zeros((2, 1, 2, 4)))
        assert np.array_equal(dbias, dy.sum((0, 1, 2)))
        assert ops.conv2d_backward_data(dy, kernel, x.shape, padding=padding).shape == x.shape


def test_an_empty_batch():
    x, kernel = np.empty((0, 5, 5, 2)), np.ones((3, 3, 2, 4))
    for _, algorithm in each_kernel():
        y = ops.conv2d(x, kernel, np.ones(4), algorithm=algorithm, activation="relu")
        assert y.shape == (0, 3, 3, 4)
        dx, dkernel, dbias = backward(x, kernel, y, algorithm=algorithm)
        assert dx.shape == x.shape
        assert (dkernel == np.zeros((3, 3, 2, 4))).all()
        assert dbias.tolist() == [0, 0, 0, 0]


def test_pixels_that_no_window_sees_get_no_gradient():
    for _, algorithm in each_kernel():
        dx = ops.conv2d_backward_data(
            np.ones((1, 2, 2, 1)), np.ones((1, 2, 1, 1)), (1, 5, 8, 1), (3, 4), algorithm=algorithm
        )
        assert dx[0, ..., 0].tolist() == [
            [1, 1, 0, 0, 1, 1, 0, 0] if row in (0, 3) else [0] * 8 for row in range(5)
        ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("arguments", [
    {"padding": "same"},
    {"strides": 2, "padding": ((1, 2), (0, 3))},
    {"dilation_rate": 2, "padding": 2},
    {"groups": 3},
])  # fmt: skip
def test_what_is_not_finite_reaches_exactly_what_sees_it(bad, arguments):
    random = np.random.default_rng(9)
    kernel = normal(random, 3, 3, 9 // arguments.get("groups", 1), 21)
    shape = (2, 7, 16, 9)
    for pixel in [(0, 0, 0, 0), (1, 3, 5, 4), (1, 6, 15, 8)]:
        x = normal(random, *shape)
        x[pixel] = bad
        expected = reference.conv2d(x, kernel, **arguments)
        dy = normal(random, *expected.shape)
        output = tuple(i % n for i, n in zip(pixel, dy.shape, strict=True))
        dy[output] = bad
        expected_dx = reference.conv2d_backward_data(dy, kernel, shape, **arguments)
        assert 0 < (~np.isfinite(expected)).sum() <= 9 * 21  # nine windows see it, or fewer
        for isa, algorithm in each_kernel():
            # 81 products of numbers of size 1, some of size 4: 1e-4 is 20 times their rounding
            where, chosen = (isa, algorithm), {"algorithm": algorithm, **arguments}
            check(ops.conv2d(x, kernel, **chosen), expected, 1e-4, where)
            check(ops.conv2d_backward_data(dy, kernel, shape, **chosen), expected_dx, 1e-4, where)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_kernels_gradient_is_not_finite_exactly_where_the_bad_number_took_part(bad):
    random = np.random.default_rng(10)
    x, dy = normal(random, 3, 6, 6, 5), normal(random, 3, 4, 4, 19)
    x[1, 2, 2, 3] = bad
    dy[2, 1, 1, 17] = bad
    expected = reference.conv2d_backward_kernel(x, dy, 3)
    assert np.isfinite(expected[0]).any()
    for isa, algorithm in each_kernel():
        for actual, wanted in zip(
            ops.conv2d_backward_kernel(x, dy, 3, algorithm=algorithm), expected, strict=True
        ):
            check(actual, wanted, 1e-4, (isa, algorithm))


def test_a_bad_weight_spoils_its_own_channel_only():
    random = np.random.default_rng(11)
    x, kernel, bias = normal(random, 2, 6, 9, 3), normal(random, 3, 3, 3, 20), normal(random, 20)
    kernel[1, 2, 0, 17] = np.nan
    bias[3] = np.inf
    for isa, algorithm in each_kernel():
        y = ops.conv2d(x, kernel, bias, algorithm=algorithm)
        channels = np.arange(20)
        np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(channels == 17, y.shape), isa)
        np.testing.assert_array_equal(np.isposinf(y), np.broadcast_to(channels == 3, y.shape), isa)


# ---- laws


@examples(100)
@given(convolutions())
def test_same_is_padding_by_hand_and_valid(case: Convolution):
    random = np.random.default_rng(case.seed)
    x, kernel = normal(random, *case.input_shape), normal(random, *case.kernel_shape)
    rest = {name: value for name, value in case.arguments.items() if name != "padding"}
    rows, columns, *_ = window(case.sliding.image, case.sliding.size, case.sliding.strides, "same",
                               case.sliding.dilation_rate)  # fmt: skip
    by_hand = np.pad(x, [(0, 0), (rows.before, rows.after), (columns.before, columns.after), (0, 0)])
    scale = ops.conv2d(abs(by_hand), abs(kernel), **rest)
    for isa, algorithm in each_kernel():
        same = ops.conv2d(x, kernel, **rest, padding="same", algorithm=algorithm)
        valid = ops.conv2d(by_hand, kernel, **rest, algorithm=algorithm)
        check(
            same, valid.astype(np.float64), 2 * rounding_bound(scale, kernel[..., 0].size), (isa, algorithm)
        )


@examples(150)
@given(convolutions(most_products=400_000))
def test_backward_data_and_backward_kernel_are_adjoint_to_forward(case: Convolution):
    """<conv(x, w), dy> = <x, backward_data(dy, w)> = <w, backward_kernel(x, dy)>, for any x, w and dy."""
    random = np.random.default_rng(case.seed)
    x, kernel = normal(random, *case.input_shape), normal(random, *case.kernel_shape)
    dy = normal(random, *case.output_shape)

    def inner(a, b):
        return float(np.sum(a.astype(np.float64) * b))

    def products(x, kernel, dy, algorithm):
        arguments = case.arguments | {"algorithm": algorithm}
        return (
            inner(ops.conv2d(x, kernel, **arguments), dy),
            inner(x, ops.conv2d_backward_data(dy, kernel, x.shape, **arguments)),
            inner(kernel, ops.conv2d_backward_kernel(x, dy, case.sliding.size, **arguments)[0]),
        )

    # All three are the sum of the same x·w·dy, each rounded in a sum of at most this many terms.
    terms = max(kernel[:, :, 0].size, kernel[..., 0].size, case.sliding.positions)
    bound = rounding_bound(products(abs(x), abs(kernel), abs(dy), "direct")[0], terms)
    for isa, algorithm in each_kernel():
        forward, data, weights = products(x, kernel, dy, algorithm)
        assert abs(forward - data) <= 2 * bound, (isa, algorithm)
        assert abs(forward - weights) <= 2 * bound, (isa, algorithm)


@examples(100)
@given(convolutions(), st.sampled_from(ops.ACTIVATIONS))
def test_with_an_activation_is_the_activation_of_the_convolution(case: Convolution, name):
    random = np.random.default_rng(case.seed)
    x, kernel, bias = (
        normal(random, *s) for s in (case.input_shape, case.kernel_shape, case.kernel_shape[3:])
    )
    for isa, algorithm in each_kernel():
        z = ops.conv2d(x, kernel, bias, **case.arguments, algorithm=algorithm)
        y = ops.activation(z, name)
        fused = ops.conv2d(x, kernel, bias, **case.arguments, activation=name, algorithm=algorithm)
        check(fused, y.astype(np.float64), 2 * UNIT_ROUNDOFF * np.abs(y), (isa, algorithm, name))


def test_auto_is_one_of_the_algorithms():
    random = np.random.default_rng(12)
    x, kernel = normal(random, 2, 9, 9, 3), normal(random, 3, 3, 3, 5)
    by_name = [ops.conv2d(x, kernel, algorithm=name).tobytes() for name in ops.ALGORITHMS if name != "auto"]
    assert ops.conv2d(x, kernel).tobytes() in by_name


def test_the_reference_backend_runs_the_reference():
    random = np.random.default_rng(13)
    x, kernel, bias = (
        random.normal(size=(1, 4, 4, 2)),
        random.normal(size=(3, 3, 2, 3)),
        random.normal(size=3),
    )
    with fastconv.set_backend("reference"):
        y = ops.conv2d(x, kernel, bias, padding="same", algorithm="direct")
        dx, dkernel, dbias = backward(x, kernel, y, padding="same")
    assert {a.dtype for a in (y, dx, dkernel, dbias)} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(y, reference.conv2d(x, kernel, bias, padding="same"))
    assert ops.conv2d(x, kernel).dtype == np.float32


# ---- errors


X, KERNEL = np.zeros((2, 8, 8, 3)), np.zeros((3, 3, 3, 4))


@pytest.mark.parametrize(("x", "kernel", "arguments", "message"), [
    (X[0], KERNEL, {}, r"x must have 4 axes \(N, H, W, C\); got shape \(8, 8, 3\).*x\[\.\.\., None\]"),
    (X[0, :, :, 0], KERNEL, {}, r"x must have 4 axes.*x\[None, :, :, None\]"),
    (X, KERNEL[0], {}, r"kernel must have 4 axes \(KH, KW, C_in / groups, C_out\); got shape \(3, 3, 4\)"),
    (X.transpose(0, 3, 1, 2), KERNEL, {}, r"x has 8 channels, but kernel \(3, 3, 3, 4\).*\(N, H, W, C\)"),
    (X, KERNEL, {"groups": 2}, "x has 3 channels.*groups=2 takes 6"),
    (X, KERNEL, {"groups": 3}, "groups=3 must divide.*4 output channels"),
    (X, KERNEL, {"groups": 0}, "groups must be"),
    (X, KERNEL, {"groups": 1.5}, "groups must be"),
    (X, np.zeros((9, 9, 3, 4)), {}, r"kernel_size \(9, 9\) covers 9x9 pixels, more than"),
    (X, KERNEL, {"dilation_rate": 4}, "covers 9x9"),
    (X, KERNEL, {"bias": np.zeros(3)}, r"bias must have shape \(4,\)"),
    (X, KERNEL, {"strides": 0}, "strides must be"),
    (X, KERNEL, {"dilation_rate": (1, 0)}, "dilation_rate must be"),
    (X, KERNEL, {"padding": "smae"}, "unknown padding 'smae'; did you mean 'same'"),
    (X, KERNEL, {"padding": -1}, "padding must be"),
    (X, KERNEL, {"algorithm": "drect"}, "unknown algorithm 'drect'; did you mean 'direct'"),
    (X, KERNEL, {"activation": "rleu"}, "unknown activation 'rleu'; did you mean 'relu'"),
    (X, np.zeros((3, 0, 3, 4)), {}, "kernel must have no empty axis"),
])  # fmt: skip
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_of_the_forward_pass_name_the_argument(x, kernel, arguments, message, backend):
    with fastconv.set_backend(backend), pytest.raises(ValueError, match=message):
        ops.conv2d(x, kernel, **arguments)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_of_the_backward_passes_name_the_argument(backend):
    dy = np.zeros((2, 6, 6, 4))
    with fastconv.set_backend(backend):
        for call, message in [
            (
                lambda: ops.conv2d_backward_data(dy[..., :3], KERNEL, X.shape),
                r"dy must have shape \(2, 6, 6, 4\)",
            ),
            (lambda: ops.conv2d_backward_data(dy[:1], KERNEL, X.shape), r"dy must have shape \(2, 6, 6, 4\)"),
            (lambda: ops.conv2d_backward_data(dy, KERNEL, (2, 8, 8)), r"input_shape must be \(N, H, W, C\)"),
            (lambda: ops.conv2d_backward_data(dy, KERNEL, (2, 8, 8, 5)), "input_shape has 5 channels"),
            (lambda: ops.conv2d_backward_kernel(X, dy, 4), r"dy must have shape \(2, 5, 5, 4\)"),
            (lambda: ops.conv2d_backward_kernel(X, dy[0], 3), "dy must have 4 axes"),
            (lambda: ops.conv2d_backward_kernel(X, dy, 3, groups=2), "groups=2 must divide"),
            (lambda: ops.conv2d_backward_kernel(X, dy, (3, 3, 3)), "kernel_size must be"),
        ]:
            with pytest.raises(ValueError, match=message):
                call()


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_gradients_are_written_to_the_arrays_given(backend):
    x, dy = np.arange(16.0).reshape(1, 4, 4, 1), np.ones((1, 3, 3, 2))
    dkernel, dbias = np.full((2, 2, 1, 2), np.nan, np.float32), np.full(2, np.nan, np.float32)
    with fastconv.set_backend(backend):
        results = ops.conv2d_backward_kernel(x, dy, 2, out=(dkernel, dbias))
        assert results[0] is dkernel
        assert results[1] is dbias
        assert np.array_equal(dkernel, ops.conv2d_backward_kernel(x, dy, 2)[0])
        assert np.array_equal(dkernel[0, 0, 0], [45, 45])
        assert np.array_equal(dbias, [9, 9])
