"""Windows and images of any size, arrays that are missing: work in proportion to the data, or an error."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from kernels import each_isa

import fastconv
from fastconv import _kernels, ops
from fastconv._core.geometry import Axis, Window, is_sparse, meeting, window

RNG = np.random.default_rng(14)
ALGORITHMS = ("naive", "im2col", "direct")
FAR = 2**31 - 1


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


# ---- convolutions dilated by more than the image ------------------------------------------------


@pytest.mark.parametrize("dilation", [8, 10**5, FAR])
def test_a_tap_that_never_meets_the_image_adds_nothing(dilation):
    x, kernel, dy = floats(2, 8, 8, 3), floats(3, 3, 3, 4), floats(2, 8, 8, 4)
    centre = kernel[1:2, 1:2]
    how = {"padding": "same", "dilation_rate": dilation}
    for _, algorithm in itertools.product(each_isa(), ALGORITHMS):
        how["algorithm"] = algorithm
        y = ops.conv2d(x, kernel, **how)
        np.testing.assert_allclose(y, x @ centre[0, 0], rtol=1e-5, atol=1e-5)
        dx = ops.conv2d_backward_data(dy, kernel, x.shape, **how)
        np.testing.assert_allclose(dx, dy @ centre[0, 0].T, rtol=1e-5, atol=1e-5)
        given = np.full((3, 3, 3, 4), np.nan, np.float32)
        dkernel, dbias = ops.conv2d_backward_kernel(x, dy, 3, **how, out=(given, None))
        expected = np.zeros_like(kernel)
        expected[1, 1] = np.einsum("nhwc,nhwk->ck", x, dy)
        assert dkernel is given
        np.testing.assert_allclose(dkernel, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(dbias, dy.sum((0, 1, 2)), rtol=1e-4, atol=1e-4)


def test_connected_filters_too():
    x, dy = floats(2, 8, 8, 3), floats(2, 8, 8, 2)
    table = np.array([[1, 0], [1, 1], [0, 1]], bool)
    kernel = floats(3, 3, 4)
    dense = np.zeros((3, 2), np.float32)
    dense[table] = kernel[1, 1]
    how = {"padding": "same", "dilation_rate": FAR}
    for _ in each_isa():
        y = ops.conv2d_connected(x, kernel, table, **how)
        np.testing.assert_allclose(y, x @ dense, rtol=1e-5, atol=1e-5)
        dx = ops.conv2d_connected_backward_data(dy, kernel, table, x.shape, **how)
        np.testing.assert_allclose(dx, dy @ dense.T, rtol=1e-5, atol=1e-5)
        dkernel, _ = ops.conv2d_connected_backward_kernel(x, dy, table, 3, **how)
        expected = np.zeros_like(kernel)
        expected[1, 1] = np.einsum("nhwc,nhwk->ck", x, dy)[table]
        np.testing.assert_allclose(dkernel, expected, rtol=1e-4, atol=1e-4)


def test_a_layer_dilated_so_trains():
    layer = fastconv.layers.Conv2D(2, 3, padding="same", dilation_rate=FAR, use_bias=False)
    x = floats(1, 8, 8, 2)
    y = layer(x)
    np.testing.assert_allclose(y, x @ layer.kernel.value[1, 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("distance", [10**5, 10**9])
def test_outputs_far_apart_see_what_the_padding_leaves_them(distance):
    """Every other output is all padding; the middle one sees the image, wherever strides and padding lead."""
    x, kernel, bias = floats(1, 6, 6, 2), floats(2, 2, 2, 3), floats(3)
    for _, algorithm in itertools.product(each_isa(), ALGORITHMS):
        y = ops.conv2d(x, kernel, bias, distance, distance, algorithm=algorithm)
        assert y.shape == (1, 3, 3, 3)
        expected = np.broadcast_to(bias, y.shape).copy()
        expected[0, 1, 1] += np.einsum("hwc,hwck->k", x[0, :2, :2], kernel)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
        dx = ops.conv2d_backward_data(y, kernel, x.shape, distance, distance, algorithm=algorithm)
        expected = np.zeros_like(x)
        expected[0, :2, :2] = np.einsum("k,hwck->hwc", y[0, 1, 1], kernel)
        np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-5)


def test_meeting_keeps_the_taps_that_see_the_image():
    for n, taps, stride, dilation, padding in itertools.product(
        (1, 2, 5, 8), (1, 2, 3, 6), (1, 2, 9), (1, 2, 7, 30), ("same", (9, 9), (0, 20))
    ):
        pads = padding if padding == "same" else (padding, (0, 0))
        try:
            view = window((n, 1), (taps, 1), (stride, 1), pads, (dilation, 1))
        except ValueError:
            continue
        places = {
            tap: [h * stride + tap * dilation - view.rows.before for h in range(view.rows.output)]
            for tap in range(taps)
        }
        seen = [tap for tap, at in places.items() if any(0 <= place < n for place in at)]
        fewer, (rows, columns) = meeting(view, (n, 1))
        assert columns == slice(0, 1)
        assert set(seen) <= set(range(rows.start, rows.stop))
        if seen and stride <= n:
            assert rows == slice(seen[0], seen[-1] + 1)
        for tap in range(rows.start, rows.stop):  # each still sees what it saw
            first = (tap - rows.start) * (fewer.dilation[0]) - fewer.rows.before
            assert first == places[tap][0]


def test_what_is_sparse():
    assert not is_sparse(window((8, 8), 3, 2, "same"), (8, 8))
    assert not is_sparse(window((224, 224), 7, 2, 3), (224, 224))
    assert is_sparse(window((8, 8), 3, 10**4, 10**4), (8, 8))
    assert is_sparse(Window(Axis(2, 0, 0), Axis(1, 0, 0), (2, 1), (1, 1), (100, 1)), (4, 4))


# ---- numbers that no image needs ----------------------------------------------------------------


@pytest.mark.parametrize("number", [2**31, 2**32 - 1, 2**61, 2**62, 2**63 - 1, 2**64])
def test_larger_numbers_than_any_image_has_are_refused(number):
    x, kernel = np.ones((1, 8, 8, 2)), np.ones((2, 2, 2, 1))
    for argument in ("strides", "dilation_rate", "padding"):
        with pytest.raises(ValueError, match=rf"{argument}.* must be at most 2,147,483,647.*; got {number}"):
            ops.conv2d(x, kernel, **{argument: number})
    with pytest.raises(ValueError, match="pool_size must be at most"):
        ops.avg_pool2d(x, number)
    layers = fastconv.layers
    with pytest.raises(ValueError, match="Conv2D: dilation_rate must be at most"):
        layers.Conv2D(2, 3, dilation_rate=(1, number), padding="same")
    with pytest.raises(ValueError, match="MaxPooling2D: pool_size must be at most"):
        layers.MaxPooling2D(number)


def test_numpy_arrays_are_pairs():
    assert window((8, 8), np.array([2, 3])).size == (2, 3)  # type: ignore[arg-type]
    assert window((8, 8), np.int64(3)).size == (3, 3)
    with pytest.raises(ValueError, match="kernel_size must be a whole number or a pair"):
        window((8, 8), np.array([2.0, 3.0]), size_name="kernel_size")  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [-1, -(2**40), 2**59, 2**61 - 17 + 1, 2**61, 2**62, sys.maxsize])
def test_memory_of_no_size_is_refused_and_nothing_in_use_is_handed_out(count):
    large = ops.dense(np.ones((512, 512)), np.eye(512))  # in the arena
    with pytest.raises(MemoryError):
        _kernels.Memory(count)
    again = ops.dense(np.zeros((512, 512)), np.eye(512))
    assert not np.shares_memory(large, again)
    assert (large == 1).all()


def test_outputs_without_memory_for_them_are_a_memory_error():
    one = np.ones((1, 1, 1, 1))
    for size in [(2**61 - 17, 1), (2**40, 2**40), (sys.maxsize, sys.maxsize)]:
        with pytest.raises(MemoryError):
            ops.affine_transform(one, np.zeros(8), output_size=size)
    with pytest.raises(MemoryError):
        fastconv.layers.Resizing(2**61 - 17, 1)(np.ones((1, 2, 2, 1)))
    with pytest.raises(MemoryError):
        ops.conv2d(np.ones((1, 8, 8, 1)), np.ones((1, 1, 1, 1)), padding=FAR)


# ---- what is missing or empty -------------------------------------------------------------------


def test_windows_of_an_image_without_pixels():
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        with pytest.raises(ValueError, match="nothing in them but padding"):
            pool(np.zeros((1, 0, 8, 8)), 2, None, 1)
    dx = ops.conv2d_backward_data(np.ones((3, 16, 4, 1)), np.ones((7, 1, 31, 1)), (3, 18, 0, 31), padding=2)
    assert dx.shape == (3, 18, 0, 31)
    table = np.ones((31, 1), bool)
    dx = ops.conv2d_connected_backward_data(
        np.ones((3, 16, 4, 1)), np.ones((7, 1, 31)), table, (3, 18, 0, 31), padding=2
    )
    assert dx.shape == (3, 18, 0, 31)


def test_more_pixels_than_switches_can_number():
    with pytest.raises(ValueError, match=r"images of 2147483648x2 pixels have more than the 2,147,483,648"):
        ops.global_max_pool2d_backward(np.ones((1, 1)), np.ones((1, 1), int), (1, 2**31, 2, 1))


def test_statistics_are_not_optional():
    x, ones = np.ones((2, 3)), np.ones(3)
    for mean, variance in ((None, ones), (ones, None)):
        with pytest.raises(TypeError, match="must hold real numbers; got None"):
            ops.batch_norm(x, mean, variance)
        with pytest.raises(TypeError, match="must hold real numbers; got None"):
            ops.batch_norm_backward_weights(x, x, mean, variance)
        with pytest.raises(TypeError, match="must hold real numbers; got None"):
            ops.batch_norm_backward_data(x, x, mean, variance)


def test_kernels_refuse_none_themselves():
    a = np.ones((3, 4), np.float32)
    for kernel, arguments in [
        (_kernels.moments, (a, None, None)),
        (_kernels.softmax, (None, a)),
        (_kernels.dense, (a, None, None, a)),
        (_kernels.gather_gradients, (None,)),
    ]:
        with pytest.raises((TypeError, AttributeError)):
            kernel(*arguments)


def update_arrays(*states):
    return ops.UpdateArrays([(floats(4), floats(4), *states)], tuple("abc"[: len(states)]))


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize(
    ("step", "numbers", "states", "missing"),
    [
        (ops.sgd_step, (0.1, 0.9, False), 1, 0),
        (ops.adagrad_step, (0.1, 1e-7), 1, 0),
        (ops.adam_step, (0.1, 0.9, 0.99, 1e-7, 1, False), 3, 0),
        (ops.adam_step, (0.1, 0.9, 0.99, 1e-7, 1, False), 3, 1),
        (ops.adam_step, (0.1, 0.9, 0.99, 1e-7, 1, True), 3, 2),
        (ops.adamax_step, (0.1, 0.9, 0.99, 1e-7, 1), 2, 1),
        (ops.nadam_step, (0.1, 0.9, 0.99, 1e-7, 0.5, 0.5, 0.5, 0.25, 1), 2, 0),
        (ops.rmsprop_step, (0.1, 0.9, 0.0, 1e-7), 3, 0),
        (ops.rmsprop_step, (0.1, 0.9, 0.5, 1e-7), 3, 2),
        (ops.adadelta_step, (0.1, 0.9, 1e-7), 2, 1),
    ],
)
def test_a_rule_without_an_array_it_needs(backend, step, numbers, states, missing):
    with fastconv.set_backend(backend):
        given = [np.ones(4, np.float32) for _ in range(states)]
        step(update_arrays(*given), *numbers)
        with pytest.raises(ValueError, match=f"has {states} arrays of its own.* row 0 has {missing}"):
            step(update_arrays(*given[:missing]), *numbers)
        given[missing] = None
        with pytest.raises(ValueError, match=f"needs {'abc'[missing]} for every.*; in row 0 it is None"):
            step(update_arrays(*given), *numbers)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_gathering_without_room_for_the_sums(backend):
    missing = r"needs Kept\.gathered for every parameter; row 0 has none"
    with fastconv.set_backend(backend), pytest.raises(ValueError, match=missing):
        update_arrays().gather()
