"""The shape arithmetic of sliding windows, against counting on one's fingers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastconv._kernels import Cached

from fastconv import layers, ops
from fastconv._core.geometry import Axis, explicit_padding, pair, slide, window


def windows_that_fit(n: int, taps: int, stride: int, dilation: int) -> int:
    """Start at pixel 0, step by stride, count while the last tap is inside."""
    return sum(1 for start in range(0, n, stride) if start + (taps - 1) * dilation < n)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_valid_counts_the_windows_that_fit(dilation):
    for n, taps, stride in itertools.product(range(1, 16), range(1, 8), range(1, 8)):
        assert slide(n, taps, stride, dilation, "valid") == (
            windows_that_fit(n, taps, stride, dilation),
            0,
            0,
        )


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_keeps_the_size_divided_by_the_stride(dilation):
    for n, taps, stride in itertools.product(range(1, 16), range(1, 8), range(1, 8)):
        output, before, after = slide(n, taps, stride, dilation, "same")
        assert output == -(-n // stride)
        assert windows_that_fit(n + before + after, taps, stride, dilation) == output
        assert after - before in (0, 1)  # the odd pixel goes to the bottom/right
        if before + after:  # and there is not a pixel more than needed
            assert windows_that_fit(n + before + after - 1, taps, stride, dilation) < output


def test_same_at_stride_1_keeps_the_size_for_even_and_odd_windows():
    assert slide(28, 7, 1, 1, "same") == Axis(28, 3, 3)
    assert slide(28, 2, 1, 1, "same") == Axis(28, 0, 1)
    assert slide(28, 3, 2, 1, "same") == Axis(14, 0, 1)


def test_explicit_padding_is_valid_on_a_larger_image():
    for n, taps, stride, before, after in itertools.product(
        range(1, 8), range(1, 5), range(1, 5), range(4), range(4)
    ):
        expected = windows_that_fit(n + before + after, taps, stride, 1)
        assert slide(n, taps, stride, 1, (before, after)) == (expected, before, after)


def test_a_window_keeps_its_axes_apart():
    view = window((10, 7), (3, 2), (2, 3), ((1, 0), (0, 2)), (2, 1))
    assert view.rows == Axis(4, 1, 0)  # 11 pixels, reach 5, stride 2
    assert view.columns == Axis(3, 0, 2)  # 9 pixels, reach 2, stride 3
    assert view.output_size == (4, 3)
    assert (view.size, view.strides, view.dilation) == ((3, 2), (2, 3), (2, 1))


def test_pooling_steps_by_its_size_unless_told_otherwise():
    assert window((6, 6), (2, 3), None).strides == (2, 3)
    assert window((6, 6), (2, 3), 1).strides == (1, 1)


def test_all_forms_of_padding():
    assert explicit_padding("valid") is None
    assert explicit_padding("SAME") is None
    assert explicit_padding(2) == ((2, 2), (2, 2))
    assert explicit_padding((1, 2)) == ((1, 1), (2, 2))
    assert explicit_padding([1, 2]) == ((1, 1), (2, 2))
    assert explicit_padding(((1, 2), (3, 4))) == ((1, 2), (3, 4))


def test_an_empty_image_has_no_windows_and_is_no_error():
    assert window((0, 0), 2, padding="same").output_size == (0, 0)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None, (1, 2, 3), (1,), (0, 1), (1, 2.5), (True, 1)])
def test_a_pair_refuses_what_is_not_whole_numbers(value):
    with pytest.raises(ValueError, match=r"strides must be a whole number or a pair.*got"):
        pair(value, "strides")


def test_an_unknown_padding_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"unknown padding 'smae'; did you mean 'same'.*'valid'"):
        window((5, 5), 3, padding="smae")


@pytest.mark.parametrize("padding", [-1, (0, -2), ((0, 0), (0, -1)), 1.5, ((1,), (2, 3)), (1, 2, 3)])
def test_malformed_padding_is_refused(padding):
    with pytest.raises(ValueError, match="padding"):
        window((5, 5), 3, padding=padding)


def test_a_window_larger_than_the_image_says_what_to_do():
    with pytest.raises(ValueError, match=r"kernel_size \(3, 3\) covers 5x5 pixels, more than.*4x9.*padding"):
        window((4, 9), 3, dilation_rate=2)
    with pytest.raises(ValueError, match="pool_size"):
        window((1, 1), 2, size_name="pool_size")


def test_arrays_and_numbers_of_numpy_as_arguments():
    images = np.random.default_rng(0).normal(0, 1, (1, 8, 8, 4)).astype(np.float32)
    array = np.array
    for found, expected in (
        (
            layers.Conv2D(array(2), array([3, 2]), array([2, 1]), array([[1, 0], [2, 1]]), groups=array(2)),
            layers.Conv2D(2, (3, 2), (2, 1), ((1, 0), (2, 1)), groups=2),
        ),
        (
            layers.Conv2D(2, 3, padding=[array([1, 0]), array([2, 1])]),
            layers.Conv2D(2, 3, padding=((1, 0), (2, 1))),
        ),
        (layers.MaxPooling2D(array([2, 3]), array([1, 2])), layers.MaxPooling2D((2, 3), (1, 2))),
        (layers.ZeroPadding2D(array([[1, 2], [3, 4]])), layers.ZeroPadding2D(((1, 2), (3, 4)))),
        (layers.Reshape(array([16, -1])), layers.Reshape((16, -1))),
        (layers.PReLU(shared_axes=array([1, 2])), layers.PReLU(shared_axes=[1, 2])),
        (layers.Resizing(array(3), np.int8(5)), layers.Resizing(3, 5)),
        (layers.RandomContrast(array(0.1)), layers.RandomContrast(0.1)),
        (layers.Dropout(array(0.5), seed=array(3)), layers.Dropout(0.5, seed=3)),
        (layers.ReLU(array(6.0), np.float32(0.5)), layers.ReLU(6, 0.5)),
    ):
        assert {**found.get_config(), "name": ""} == {**expected.get_config(), "name": ""}
        assert found(images).shape == expected(images).shape
    for make in (
        lambda: layers.Conv2D(2, array([3])),
        lambda: layers.Conv2D(2, array([3.0, 3.0])),
        lambda: layers.Conv2D(2, array([3, 3, 3])),
        lambda: layers.Conv2D(2, array([True, True])),
        lambda: layers.MaxPooling2D(array([[2, 2]])),
    ):
        with pytest.raises(ValueError, match="must be a whole number or a pair of them, each at least 1"):
            make()
    with pytest.raises(ValueError, match="Conv2D: filters must be a whole number, at least 1; got"):
        layers.Conv2D(array([2]), 3)
    with pytest.raises(ValueError, match="target_shape is sizes of at least 1"):
        layers.Reshape((16.5, -1))
    with pytest.raises(ValueError, match=r"a tuple; write \(8,\), got 8"):
        layers.Dense(2, input_shape=8)


def test_what_is_computed_once_tells_numbers_of_other_types_apart():
    """1, True and 1.0 are equal and have one hash: an answer for the first is none for the others."""
    x, kernel = np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 2), np.float32)
    for strides in (1, (1, 1)):
        expected = ops.conv2d(x, kernel, strides=strides)
        for same in ([1, 1], np.array([1, 1]), np.int64(1), (np.int8(1), 1)):
            np.testing.assert_array_equal(ops.conv2d(x, kernel, strides=same), expected)
        for wrong in (True, 1.0, (1.0, 1), (True, True), "1"):
            with pytest.raises(ValueError, match="strides must be a whole number or a pair"):
                ops.conv2d(x, kernel, strides=wrong)


def test_a_function_that_is_computed_once_forgets_some_and_keeps_none_of_its_errors():
    calls = []

    def reciprocal(n):
        calls.append(n)
        return 1 / n

    cached = Cached(reciprocal)
    assert [cached(2), cached(2), cached(np.int64(2)), cached(2.0)] == [0.5] * 4
    assert len(calls) == 3
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cached(0)
    assert len(calls) == 5
    for n in range(1, 3000):
        assert cached(n) == 1 / n
