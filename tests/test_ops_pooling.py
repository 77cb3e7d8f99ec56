"""The compiled poolings on every instruction set, against the reference."""

from __future__ import annotations

import itertools

import numpy as np
import numpy_oracle
import pytest
from golden_cases import golden
from hypothesis import given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import CHANNELS, Sliding, check, examples, normal, rounding_bound, slidings

import fastconv
from fastconv import ops, reference
from fastconv._core.geometry import window

channels = st.sampled_from([c for c in CHANNELS if c <= 40])
seeds = st.integers(0, 2**16)


def arguments_of(case: Sliding) -> dict:
    return {"pool_size": case.size, "strides": case.strides, "padding": case.padding}


def windows_over_a_pixel(case: Sliding) -> int:
    """The most numbers that a backward pass adds up for one pixel."""
    return int(np.prod([-(-size // stride) for size, stride in zip(case.size, case.strides, strict=True)]))


# ---- random small shapes


@examples(400)
@given(slidings(pooling=True), channels, seeds)
def test_max_pooling_equals_the_reference(case: Sliding, C, seed):
    """Few different numbers, so that there are ties; a NaN and infinities now and then."""
    random = np.random.default_rng(seed)
    x = random.integers(-2, 3, (case.batch, *case.image, C)).astype(np.float32)
    x[random.random(x.shape) < 0.03] = random.choice([np.nan, np.inf, -np.inf])
    y, switches = reference.max_pool2d(x, **arguments_of(case))
    dy = normal(random, *y.shape)
    dx = reference.max_pool2d_backward(dy, switches, x.shape, **arguments_of(case))
    scale = reference.max_pool2d_backward(abs(dy), switches, x.shape, **arguments_of(case))
    for isa in each_isa():
        found, found_switches = ops.max_pool2d(x, **arguments_of(case))
        check(found, y, 0, isa)
        assert found_switches.dtype == np.uint16
        np.testing.assert_array_equal(found_switches, switches, isa)
        found_dx = ops.max_pool2d_backward(dy, found_switches, x.shape, **arguments_of(case))
        check(found_dx, dx, rounding_bound(scale, windows_over_a_pixel(case)), isa)


@examples(400)
@given(slidings(pooling=True), channels, seeds)
def test_average_pooling_equals_the_reference(case: Sliding, C, seed):
    random = np.random.default_rng(seed)
    x = normal(random, case.batch, *case.image, C)
    y, scale = (reference.avg_pool2d(a, **arguments_of(case)) for a in (x, abs(x)))
    dy = normal(random, *y.shape)
    dx, dx_scale = (reference.avg_pool2d_backward(a, x.shape, **arguments_of(case)) for a in (dy, abs(dy)))
    for isa in each_isa():
        taps = case.size[0] * case.size[1]
        check(ops.avg_pool2d(x, **arguments_of(case)), y, rounding_bound(scale, taps), isa)
        found_dx = ops.avg_pool2d_backward(dy, x.shape, **arguments_of(case))
        check(found_dx, dx, rounding_bound(dx_scale, windows_over_a_pixel(case)), isa)


@examples(200)
@given(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), channels, seeds)
def test_global_pooling_equals_the_reference(N, H, W, C, seed):
    random = np.random.default_rng(seed)
    x, dy = normal(random, N, H, W, C), normal(random, N, C)
    tied = random.integers(-2, 3, x.shape).astype(np.float32)
    tied[random.random(x.shape) < 0.02] = np.nan
    y, switches = reference.global_max_pool2d(tied)
    average, scale = reference.global_avg_pool2d(x), reference.global_avg_pool2d(abs(x))
    for isa in each_isa():
        check(ops.global_avg_pool2d(x), average, rounding_bound(scale, H * W), isa)
        average_dx = reference.global_avg_pool2d_backward(dy, x.shape)
        check(
            ops.global_avg_pool2d_backward(dy, x.shape), average_dx, rounding_bound(abs(average_dx), 1), isa
        )
        found, found_switches = ops.global_max_pool2d(tied)
        check(found, y, 0, isa)
        assert found_switches.dtype == np.int32
        np.testing.assert_array_equal(found_switches, switches, isa)
        dx = reference.global_max_pool2d_backward(dy, switches, x.shape)
        check(ops.global_max_pool2d_backward(dy, found_switches, x.shape), dx, 0, isa)


@pytest.mark.parametrize(
    "padding", ["valid", "same", 1, ((1, 0), (0, 0)), ((0, 0), (1, 0)), ((0, 1), (0, 1))]
)
@pytest.mark.parametrize("strides", list(itertools.product((1, 2, 3), repeat=2)))
def test_everything_near_two_by_two_with_stride_two(strides, padding):
    """That one has code of its own; its neighbours must not be taken for it."""
    random = np.random.default_rng(5)
    for image, pool_size in itertools.product(
        [(4, 6), (5, 7), (3, 3)], [(2, 2), (2, 1), (1, 2), (2, 3), (3, 2)]
    ):
        if not isinstance(padding, str) and 1 in pool_size:
            continue  # some windows would see no pixel
        arguments = {"pool_size": pool_size, "strides": strides, "padding": padding}
        x = normal(random, 2, *image, 5)
        y, switches = reference.max_pool2d(x, **arguments)
        average, dy = reference.avg_pool2d(x, **arguments), normal(random, *y.shape)
        dx = reference.max_pool2d_backward(dy, switches, x.shape, **arguments)
        average_dx = reference.avg_pool2d_backward(dy, x.shape, **arguments)
        for isa in each_isa():
            found, found_switches = ops.max_pool2d(x, **arguments)
            check(found, y, 0, (isa, arguments))
            np.testing.assert_array_equal(found_switches, switches, isa)
            # at most 6 numbers of size 1, some of size 4
            check(ops.max_pool2d_backward(dy, switches, x.shape, **arguments), dx, 1e-5, (isa, arguments))
            check(ops.avg_pool2d(x, **arguments), average, 1e-5, (isa, arguments))
            check(ops.avg_pool2d_backward(dy, x.shape, **arguments), average_dx, 1e-5, (isa, arguments))


# ---- larger shapes: several tasks of 8192 floats, several vectors of channels

LARGE = [
    ((6, 56, 40, 33), {"pool_size": 2}),
    ((4, 29, 31, 64), {"pool_size": 2, "padding": "same"}),
    ((3, 28, 37, 17), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ((2, 40, 41, 6), {"pool_size": (5, 4), "strides": 1, "padding": 2}),
    ((2, 30, 30, 100), {"pool_size": (2, 3), "strides": (4, 5)}),
]


@pytest.mark.parametrize(("shape", "arguments"), LARGE)
def test_large_shapes_equal_numpy(shape, arguments):
    x = normal(np.random.default_rng(1), *shape)
    view = window(
        shape[1:3], arguments["pool_size"], arguments.get("strides"), arguments.get("padding", "valid")
    )
    largest, average = numpy_oracle.max_pool2d(x, view), numpy_oracle.avg_pool2d(x, view)
    scale, taps = numpy_oracle.avg_pool2d(abs(x), view), view.size[0] * view.size[1]
    dy = normal(np.random.default_rng(2), *largest.shape)
    for isa in each_isa():
        y, switches = ops.max_pool2d(x, **arguments)
        check(y, largest, 0, isa)
        dx = ops.max_pool2d_backward(dy, switches, shape, **arguments)
        # Pooling's own law: f(x) = <max_pool(x), dy> is linear along x, so <x, gradient> is f itself.
        bound = rounding_bound(float(np.sum(abs(y * dy))), taps)
        assert abs(np.sum(x.astype(float) * dx) - np.sum(y.astype(float) * dy)) <= bound, isa
        check(ops.avg_pool2d(x, **arguments), average, rounding_bound(scale, taps), isa)
        dx = ops.avg_pool2d_backward(dy, shape, **arguments)
        bound = rounding_bound(float(np.sum(scale * abs(dy))), taps)
        assert abs(np.sum(x.astype(float) * dx) - np.sum(average * dy)) <= bound, isa


@pytest.mark.parametrize(("shape", "arguments"), LARGE)
def test_threads_do_not_change_a_bit(shape, arguments):
    random = np.random.default_rng(3)
    x = normal(random, *shape)
    dy = normal(random, *ops.avg_pool2d(x, **arguments).shape)
    small = normal(random, shape[0], shape[3])

    def everything():
        y, switches = ops.max_pool2d(x, **arguments)
        largest, places = ops.global_max_pool2d(x)
        return (
            y,
            switches,
            ops.max_pool2d_backward(dy, switches, shape, **arguments),
            ops.avg_pool2d(x, **arguments),
            ops.avg_pool2d_backward(dy, shape, **arguments),
            largest,
            places,
            ops.global_max_pool2d_backward(small, places, shape),
            ops.global_avg_pool2d(x),
            ops.global_avg_pool2d_backward(small, shape),
        )

    for _ in each_isa():
        assert_same_bits_on_any_threads(everything)


def test_the_place_of_a_global_maximum_may_be_beyond_16_bits():
    x = np.zeros((2, 300, 301, 5), np.float32)
    x[0, 290, 17, 3] = x[1, 299, 300, 0] = 1
    for isa in each_isa():
        y, switches = ops.global_max_pool2d(x)
        assert switches[0].tolist() == [0, 0, 0, 290 * 301 + 17, 0], isa
        assert switches[1].tolist() == [299 * 301 + 300, 0, 0, 0, 0], isa
        dx = ops.global_max_pool2d_backward(2 * y, switches, x.shape)
        np.testing.assert_array_equal(dx, 2 * x, isa)


# ---- golden cases


@golden("max_pool2d")
def test_max_pooling_equals_pytorch_and_keras(case):
    for isa in each_isa():
        y, switches = ops.max_pool2d(case["x"], **case.arguments)
        check(y, case["y"], 0, isa)
        # sums of at most 9 numbers up to 2: 9 * 2 * 2**-24 is 1.1e-6
        dx = ops.max_pool2d_backward(case["dy"], switches, case["x"].shape, **case.arguments)
        check(dx, case["dx"], 1.1e-6, isa)


@golden("avg_pool2d")
def test_average_pooling_equals_pytorch_and_keras(case):
    for isa in each_isa():
        check(ops.avg_pool2d(case["x"], **case.arguments), case["y"], 1.1e-6, isa)
        dx = ops.avg_pool2d_backward(case["dy"], case["x"].shape, **case.arguments)
        check(dx, case["dx"], 1.1e-6, isa)


# ---- edges and laws

LECTURE = np.array([[3, 4, -2, -1], [-2, 0, 1, 2], [1, -2, 2, 6], [0, 8, 3, 5]])[None, ..., None]


def test_pooling_of_the_lecture():
    dy = np.array([[1, 2], [3, 4]])[None, ..., None]
    for _ in each_isa():
        y, switches = ops.max_pool2d(LECTURE)
        assert y[0, ..., 0].tolist() == [[4, 2], [8, 6]]
        assert switches[0, ..., 0].tolist() == [[1, 3], [3, 1]]
        dx = ops.max_pool2d_backward(dy, switches, LECTURE.shape)
        assert dx[0, ..., 0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 4], [0, 3, 0, 0]]
        assert ops.avg_pool2d(LECTURE)[0, ..., 0].tolist() == [[1.25, 0], [1.75, 4]]
        dx = ops.avg_pool2d_backward(dy, LECTURE.shape)
        assert dx[0, ..., 0].tolist() == [[0.25, 0.25, 0.5, 0.5]] * 2 + [[0.75, 0.75, 1, 1]] * 2


@pytest.mark.parametrize("C", [1, 17])
@pytest.mark.parametrize(("pixels", "largest", "winner"), [
    ([5, 5, 5, 5], 5, 0),
    ([1, 7, 7, 7], 7, 1),
    ([-np.inf] * 4, -np.inf, 0),
    ([np.inf, 2, np.inf, 3], np.inf, 0),
    ([1, np.nan, np.inf, np.nan], np.nan, 1),
    ([np.nan, 1, 2, np.nan], np.nan, 0),
    ([0.0, -0.0, 0.0, -0.0], 0, 0),
])  # fmt: skip
def test_the_first_maximum_wins_and_the_first_nan_beats_it(pixels, largest, winner, C):
    x = np.repeat(np.array(pixels).reshape(1, 2, 2, 1), C, axis=-1)
    for isa in each_isa():
        for y, switches in (ops.max_pool2d(x), ops.global_max_pool2d(x)):
            np.testing.assert_array_equal(y.ravel(), [largest] * C, isa)
            assert switches.ravel().tolist() == [winner] * C, isa


def test_padding_is_never_the_maximum_nor_counted_in_the_average():
    x = np.full((1, 3, 3, 1), -9.0)
    x[0, 2, 2] = -5
    for _ in each_isa():
        y, switches = ops.max_pool2d(x, 3, 2, 1)
        assert y[0, ..., 0].tolist() == [[-9, -9], [-9, -5]]
        assert switches[0, ..., 0].tolist() == [[4, 3], [1, 4]]
        assert ops.avg_pool2d(x, 3, 2, 1)[0, ..., 0].tolist() == [[-9, -9], [-9, -8]]


@examples(100)
@given(slidings(pooling=True), channels, seeds)
def test_same_is_padding_with_minus_infinity_by_hand_and_valid(case: Sliding, C, seed):
    x = normal(np.random.default_rng(seed), case.batch, *case.image, C)
    rows, columns, *_ = window(case.image, case.size, case.strides, "same")
    sides = [(0, 0), (rows.before, rows.after), (columns.before, columns.after), (0, 0)]
    by_hand = np.pad(x, sides, constant_values=-np.inf)
    for isa in each_isa():
        same = ops.max_pool2d(x, case.size, case.strides, "same")
        valid = ops.max_pool2d(by_hand, case.size, case.strides, "valid")
        for found, expected in zip(same, valid, strict=True):
            np.testing.assert_array_equal(found, expected, isa)


def test_an_empty_batch():
    x = np.empty((0, 4, 4, 3))
    y, switches = ops.max_pool2d(x)
    assert y.shape == switches.shape == (0, 2, 2, 3)
    assert ops.max_pool2d_backward(y, switches, x.shape).shape == x.shape
    assert ops.avg_pool2d_backward(ops.avg_pool2d(x), x.shape).shape == x.shape
    assert ops.global_avg_pool2d_backward(ops.global_avg_pool2d(x), x.shape).shape == x.shape
    y, switches = ops.global_max_pool2d(x)
    assert y.shape == switches.shape == (0, 3)
    assert ops.global_max_pool2d_backward(y, switches, x.shape).shape == x.shape


# ---- errors


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("pool", ["max_pool2d", "avg_pool2d"])
def test_errors_of_the_forward_passes_name_the_argument(pool, backend):
    x, pool = np.zeros((2, 6, 6, 3)), getattr(ops, pool)
    with fastconv.set_backend(backend):
        for call, message in [
            (lambda: pool(x[0]), r"x must have 4 axes \(N, H, W, C\); got shape \(6, 6, 3\)"),
            (lambda: pool(x, 7), r"pool_size \(7, 7\) covers 7x7 pixels, more than"),
            (lambda: pool(x, 0), "pool_size must be"),
            (lambda: pool(x, 2, 0), "strides must be"),
            (lambda: pool(x, 2, 2, "smae"), "unknown padding 'smae'; did you mean 'same'"),
            (lambda: pool(x, 2, 2, 2), "padding"),  # the first window would see no pixel at all
            (lambda: pool(x, 2, 2, ((0, 2), (0, 0))), "padding"),
        ]:
            with pytest.raises(ValueError, match=message):
                call()


def test_a_window_of_more_taps_than_16_bits_count_is_refused():
    with pytest.raises(ValueError, match="pool_size"):
        ops.max_pool2d(np.zeros((1, 300, 300, 1)), 300)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_errors_of_the_backward_passes_name_the_argument(backend):
    x, dy = np.zeros((2, 6, 6, 3)), np.zeros((2, 3, 3, 3))
    with fastconv.set_backend(backend):
        _, switches = ops.max_pool2d(x)
        _, places = ops.global_max_pool2d(x)
        for call, message in [
            (
                lambda: ops.max_pool2d_backward(dy[:1], switches, x.shape),
                r"dy must have shape \(2, 3, 3, 3\)",
            ),
            (
                lambda: ops.max_pool2d_backward(dy, switches[:1], x.shape),
                r"switches must have shape \(2, 3, 3, 3\)",
            ),
            (lambda: ops.max_pool2d_backward(dy, dy, x.shape), "switches"),
            (lambda: ops.max_pool2d_backward(dy, switches, (6, 6, 3)), r"input_shape must be \(N, H, W, C\)"),
            (lambda: ops.avg_pool2d_backward(dy, (2, 8, 6, 3)), r"dy must have shape \(2, 4, 3, 3\)"),
            (lambda: ops.global_avg_pool2d(x[0]), "x must have 4 axes"),
            (lambda: ops.global_max_pool2d(x[0]), "x must have 4 axes"),
            (lambda: ops.global_avg_pool2d_backward(dy, x.shape), "dy must have"),
            (lambda: ops.global_max_pool2d_backward(dy[:, 0, 0, :2], places, x.shape), "dy must have shape"),
            (
                lambda: ops.global_max_pool2d_backward(dy[:, 0, 0], places[:, :2], x.shape),
                "switches must have shape",
            ),
        ]:
            with pytest.raises((ValueError, TypeError), match=message):
                call()
