"""Convolution by a table of connections: every instruction set against the reference."""

from __future__ import annotations

import numpy as np
import numpy_oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import Convolution, check, convolutions, examples, normal, rounding_bound

import fastconv
from fastconv import ops, reference
from fastconv._core.geometry import window


def random_table(random: np.random.Generator, maps: int, filters: int, share: float) -> np.ndarray:
    """Every filter sees at least one map; some maps may be seen by none."""
    table = random.random((maps, filters)) < share
    table[random.integers(maps, size=filters), np.arange(filters)] = True
    return table


def spread(kernel: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The dense kernel with zeros where there is no connection."""
    dense = np.zeros((*kernel.shape[:2], *table.shape))
    dense[:, :, table] = kernel
    return dense


def ungrouped(case: Convolution) -> dict:
    return {name: value for name, value in case.arguments.items() if name != "groups"}


@examples(100)
@given(convolutions(most_products=4_000), st.sampled_from([0.0, 0.4, 1.0]), st.booleans())
def test_all_three_passes_equal_the_reference(case: Convolution, share: float, with_bias: bool):
    random = np.random.default_rng(case.seed)
    _, _, _, C = case.input_shape
    K, view, how = case.kernel_shape[3], case.sliding.view, ungrouped(case)
    table = random_table(random, C, K, share)
    x, dy = normal(random, *case.input_shape), normal(random, *case.output_shape)
    kernel = normal(random, *case.sliding.size, int(table.sum()))
    bias = normal(random, K) if with_bias else None
    y = reference.conv2d_connected(x, kernel, table, bias, **how)
    dx = reference.conv2d_connected_backward_data(dy, kernel, table, x.shape, **how)
    gradients = reference.conv2d_connected_backward_kernel(x, dy, table, case.sliding.size, **how)

    size, dense = abs(x), spread(abs(kernel), table)
    taps = kernel[..., 0].size
    y_scale = numpy_oracle.conv2d(size, dense, abs(bias) if with_bias else None, view)
    dx_scale = numpy_oracle.conv2d_backward_data(abs(dy), dense, x.shape, view)
    dkernel_scale, dbias_scale = numpy_oracle.conv2d_backward_kernel(size, abs(dy), view)
    for isa in each_isa():
        check(ops.conv2d_connected(x, kernel, table, bias, **how), y, rounding_bound(y_scale, taps * C), isa)
        found = ops.conv2d_connected_backward_data(dy, kernel, table, x.shape, **how)
        check(found, dx, rounding_bound(dx_scale, taps * K), isa)
        dkernel, dbias = ops.conv2d_connected_backward_kernel(x, dy, table, case.sliding.size, **how)
        terms = case.sliding.positions
        check(dkernel, gradients[0], rounding_bound(dkernel_scale[:, :, table], terms), isa)
        check(dbias, gradients[1], rounding_bound(dbias_scale, terms), isa)


LARGE = {
    # what it is for: (batch, (H, W), maps, (KH, KW), filters, other arguments)
    "C3 of LeNet-5": (37, (14, 14), 6, (5, 5), 16, {}),
    "a single image": (1, (14, 14), 6, (5, 5), 16, {}),
    "more chunks than sixteen": (300, (6, 6), 3, (3, 3), 5, {}),
    "17 maps, rows of several tiles": (3, (5, 40), 17, (3, 3), 17, {"padding": "same"}),
    "one map, one filter": (20, (9, 9), 1, (3, 3), 1, {"padding": "same"}),
    "strides and dilation": (
        5, (33, 34), 8, (3, 4), 20, {"dilation_rate": (2, 3), "strides": (3, 2), "padding": 5}
    ),
    "stride larger than the kernel": (4, (20, 21), 5, (2, 3), 18, {"strides": (4, 5)}),
    "one output pixel": (18, (5, 5), 16, (5, 5), 30, {}),
}  # fmt: skip


@pytest.mark.parametrize("shape", LARGE.values(), ids=LARGE.keys())
def test_large_shapes_equal_a_dense_convolution_with_zeros(shape):
    batch, image, C, size, K, how = shape
    view = window(image, size, **how)
    random = np.random.default_rng(7)
    table = random_table(random, C, K, 0.5)
    x, bias = normal(random, batch, *image, C), normal(random, K)
    dy, kernel = normal(random, batch, *view.output_size, K), normal(random, *size, int(table.sum()))
    shape = x.shape

    def oracle(x, kernel, bias, dy):
        dense = spread(kernel, table)
        dkernel, dbias = numpy_oracle.conv2d_backward_kernel(x, dy, view)
        dx = numpy_oracle.conv2d_backward_data(dy, dense, shape, view)
        return numpy_oracle.conv2d(x, dense, bias, view), dx, dkernel[:, :, table], dbias

    def compute():
        return (
            ops.conv2d_connected(x, kernel, table, bias, **how),
            ops.conv2d_connected_backward_data(dy, kernel, table, shape, **how),
            *ops.conv2d_connected_backward_kernel(x, dy, table, size, **how),
        )

    expected, scales = oracle(x, kernel, bias, dy), oracle(abs(x), abs(kernel), abs(bias), abs(dy))
    pixels = batch * view.output_size[0] * view.output_size[1]
    terms = size[0] * size[1] * C, size[0] * size[1] * K, pixels, pixels
    for isa in each_isa():
        for found, wanted, scale, count in zip(compute(), expected, scales, terms, strict=True):
            check(found, wanted, rounding_bound(scale, count), isa)
        assert_same_bits_on_any_threads(compute)


def test_a_full_table_is_a_dense_convolution():
    random = np.random.default_rng(3)
    x, dense = normal(random, 20, 9, 8, 4), normal(random, 3, 3, 4, 7)
    table = np.ones((4, 7), bool)
    kernel = dense[:, :, table]
    np.testing.assert_array_equal(kernel, dense.reshape(3, 3, 28))
    y = ops.conv2d(x, dense, padding="same")
    np.testing.assert_allclose(ops.conv2d_connected(x, kernel, table, padding="same"), y, atol=2e-5)


def test_only_filters_connected_to_a_nan_see_it():
    table = np.array([[1, 0, 1], [0, 1, 1]], bool)
    x = np.zeros((3, 5, 5, 2), np.float32)
    x[1, 2, 2, 0], x[2, 4, 4, 1] = np.nan, np.inf
    kernel = np.ones((3, 3, 4), np.float32)
    for isa in each_isa():
        y = ops.conv2d_connected(x, kernel, table, padding="same")
        seen = np.isnan(y).any(axis=(1, 2))
        np.testing.assert_array_equal(seen, [[0, 0, 0], [1, 0, 1], [0, 0, 0]], isa)
        assert np.isinf(y[2, 3:, 3:, 1:]).all(), isa
        np.testing.assert_array_equal(
            np.isfinite(y[1, :, :, 0]), np.pad(np.zeros((3, 3), bool), 1, constant_values=True)
        )


def test_other_layouts_and_types_are_the_same_numbers():
    random = np.random.default_rng(4)
    table = random_table(random, 3, 4, 0.5)
    x, kernel = normal(random, 2, 6, 7, 3), normal(random, 3, 2, int(table.sum()))
    x.flags.writeable = kernel.flags.writeable = False
    y = ops.conv2d_connected(x, kernel, table)
    np.testing.assert_array_equal(ops.conv2d_connected(x.astype(np.float64), kernel, table.astype(int)), y)
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(ops.conv2d_connected(turned, kernel[:, :, :], table.tolist()), y)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_an_empty_batch(backend):
    table, kernel = np.ones((2, 3), bool), np.ones((3, 3, 6), np.float32)
    with fastconv.set_backend(backend):
        assert ops.conv2d_connected(np.ones((0, 5, 5, 2)), kernel, table).shape == (0, 3, 3, 3)
        assert ops.conv2d_connected_backward_data(
            np.ones((0, 3, 3, 3)), kernel, table, (0, 5, 5, 2)
        ).shape == (0, 5, 5, 2)
        dkernel, dbias = ops.conv2d_connected_backward_kernel(
            np.ones((0, 5, 5, 2)), np.ones((0, 3, 3, 3)), table, 3
        )
    np.testing.assert_array_equal(dkernel, np.zeros((3, 3, 6)))
    np.testing.assert_array_equal(dbias, np.zeros(3))


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_name_what_does_not_fit(backend):
    x, table, kernel = np.ones((1, 5, 5, 2)), np.array([[1, 0, 1], [0, 1, 1]]), np.ones((3, 3, 4))
    with fastconv.set_backend(backend):
        with pytest.raises(ValueError, match=r"kernel must have shape \(KH, KW, 4\).*got \(3, 3, 6\)"):
            ops.conv2d_connected(x, np.ones((3, 3, 6)), table)
        with pytest.raises(ValueError, match="a table for 2 input channels, x has 3"):
            ops.conv2d_connected(np.ones((1, 5, 5, 3)), kernel, table)
        with pytest.raises(ValueError, match="at least one input channel; filter 1 has none"):
            ops.conv2d_connected(x, kernel, [[1, 0, 1], [1, 0, 1]])
        with pytest.raises(ValueError, match=r"a table .* of booleans, or of 0 and 1"):
            ops.conv2d_connected(x, kernel, [[1, 2, 1], [0, 1, 1]])
        with pytest.raises(ValueError, match=r"bias must have shape \(3,\)"):
            ops.conv2d_connected(x, kernel, table, np.ones(4))
        with pytest.raises(ValueError, match=r"dy must have shape \(1, 3, 3, 3\)"):
            ops.conv2d_connected_backward_data(np.ones((1, 3, 3, 2)), kernel, table, (1, 5, 5, 2))
        with pytest.raises(ValueError, match=r"dy must have shape \(1, 3, 3, 3\)"):
            ops.conv2d_connected_backward_kernel(x, np.ones((1, 2, 3, 3)), table, 3)
