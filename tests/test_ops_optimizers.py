"""The compiled optimizer updates on every instruction set, against the reference and Keras' trajectories."""

from __future__ import annotations

import math

import numpy as np
import pytest
from golden_cases import golden
from hypothesis import example, given
from hypothesis import strategies as st
from kernels import assert_same_bits_on_any_threads, each_isa
from strategies import UNIT_ROUNDOFF, check, examples

from fastconv import ops, reference

# The compiled Adam and Nadam round beta and its powers to float32, as Keras does, which the reference in
# float64 does not. These betas and their powers are floats, so that both compute the same.
MOMENTS = {"learning_rate": 0.01, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 1e-7}
SCHEDULE = [0.875 * (1 - 0.5 * 0.96**t) for t in range(1, 6)]
NADAM = {
    "u_t": SCHEDULE[3],
    "u_t1": SCHEDULE[4],
    "u_product": math.prod(SCHEDULE[:4]),
    "u_product_1": math.prod(SCHEDULE[:5]),
    "step": 4,
}
RMSPROP = {"learning_rate": 0.01, "rho": 0.9, "epsilon": 1e-7}

# name: (operation, which of its arrays after value and grad are None, other arguments)
UPDATES = {
    "sgd": ("sgd_update", [None], {"learning_rate": 0.1}),
    "momentum": ("sgd_update", ["velocity"], {"learning_rate": 0.1, "momentum": 0.9}),
    "nesterov": ("sgd_update", ["velocity"], {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("adam_update", ["m", "v", None], MOMENTS | {"step": 3, "amsgrad": False}),
    "amsgrad": ("adam_update", ["m", "v", "v_hat"], MOMENTS | {"step": 3, "amsgrad": True}),
    "nadam": ("nadam_update", ["m", "v"], MOMENTS | NADAM),
    "rmsprop": ("rmsprop_update", ["v", None, None], RMSPROP | {"momentum": 0.0}),
    "rmsprop momentum": ("rmsprop_update", ["v", None, "velocity"], RMSPROP | {"momentum": 0.5}),
    "rmsprop centered": ("rmsprop_update", ["v", "average", None], RMSPROP | {"momentum": 0.0}),
    "rmsprop both": ("rmsprop_update", ["v", "average", "velocity"], RMSPROP | {"momentum": 0.5}),
    "adagrad": ("adagrad_update", ["v"], {"learning_rate": 0.01, "epsilon": 1e-7}),
    "adamax": ("adamax_update", ["m", "v"], MOMENTS | {"step": 3}),
    "adadelta": ("adadelta_update", ["v", "v"], {"learning_rate": 0.5, "rho": 0.95, "epsilon": 1e-7}),
}


def arrays(states: list[str | None], n: int, random: np.random.Generator):
    """value, grad and states: means of squares are positive, and larger than the squared mean gradient."""
    value, grad = (random.standard_normal(n, dtype=np.float32) for _ in range(2))
    found: list[np.ndarray | None] = [value, grad]
    for state in states:
        array = 0.1 * random.standard_normal(n, dtype=np.float32)
        positive = state in ("v", "v_hat")
        found.append(None if state is None else array * array + np.float32(1) if positive else array)
    return found


def copies(found):
    return [None if array is None else array.copy() for array in found]


@examples(300)
@given(st.sampled_from(sorted(UPDATES)), st.integers(0, 70), st.integers(0, 2**16))
@example("sgd", 20_011, 1)  # several blocks of some thousand parameters
@example("nesterov", 20_011, 2)
@example("amsgrad", 20_011, 3)
@example("nadam", 20_011, 4)
@example("rmsprop both", 20_011, 5)
@example("adagrad", 20_011, 6)
@example("adamax", 20_011, 7)
@example("adadelta", 20_011, 8)
def test_one_step_equals_the_reference(name, n, seed):
    operation, states, arguments = UPDATES[name]
    start = arrays(states, n, np.random.default_rng(seed))
    exact = [None if array is None else array.astype(np.float64) for array in start]
    getattr(reference, operation)(*exact, **arguments)
    # Every result is a sum a + b of what was there and what the gradient adds. Rounding errors are relative
    # to |a| + |b|, which is the larger of |a + b| and |a - b|.
    scale = None
    for sign in (1, -1):
        one = [None if array is None else np.abs(array.astype(np.float64)) for array in start]
        value, one[1] = one[0].copy(), sign * one[1]
        getattr(reference, operation)(*one, **arguments)
        one[0] = np.abs(value) + np.abs(one[0] - value)
        sizes = [None if array is None else np.abs(array) for array in one]
        scale = scale or sizes
        scale = [None if a is None else np.maximum(a, b) for a, b in zip(scale, sizes, strict=True)]
    for isa in each_isa():
        found = copies(start)
        getattr(ops, operation)(*found, **arguments)
        np.testing.assert_array_equal(found[1], start[1], isa)  # the gradient is only read
        for index, (actual, wanted) in enumerate(zip(found, exact, strict=True)):
            if wanted is not None:
                check(actual, wanted, 16 * UNIT_ROUNDOFF * scale[index], (isa, name, index))


@pytest.mark.parametrize("name", UPDATES)
def test_threads_do_not_change_a_bit(name):
    operation, states, arguments = UPDATES[name]
    start = arrays(states, 200_003, np.random.default_rng(1))

    def updated():
        found = copies(start)
        getattr(ops, operation)(*found, **arguments)
        return tuple(array for array in found if array is not None)

    for _ in each_isa():
        assert_same_bits_on_any_threads(updated)


@pytest.mark.parametrize("name", UPDATES)
def test_a_nan_stays_where_it_is(name):
    operation, states, arguments = UPDATES[name]
    start = arrays(states, 37, np.random.default_rng(2))
    start[1][[5, 36]] = np.nan
    for isa in each_isa():
        found = copies(start)
        getattr(ops, operation)(*found, **arguments)
        assert np.flatnonzero(np.isnan(found[0])).tolist() == [5, 36], isa


@pytest.mark.parametrize("name", UPDATES)
def test_arrays_of_any_shape_are_updated_in_place(name):
    operation, states, arguments = UPDATES[name]
    start = arrays(states, 3 * 4 * 5, np.random.default_rng(3))
    flat = copies(start)
    getattr(ops, operation)(*flat, **arguments)
    shaped = [None if array is None else array.reshape(3, 4, 5).copy() for array in start]
    one_row = shaped[0][1, 2]
    getattr(ops, operation)(*shaped, **arguments)
    np.testing.assert_array_equal(shaped[0].ravel(), flat[0])
    np.testing.assert_array_equal(one_row, flat[0].reshape(3, 4, 5)[1, 2])
    assert not np.array_equal(flat[0], start[0])


# ---- Keras' trajectories

# Six steps in float32, each right to a few units of 6e-8 of numbers up to 4.
CLOSE = {"rtol": 2e-6, "atol": 2e-6}


@golden("sgd_update")
def test_sgd_equals_keras(case):
    for _ in each_isa():
        value, velocity = case["value"].astype(np.float32), np.zeros(5, np.float32)
        for grad, expected in zip(case["grads"].astype(np.float32), case["trajectory"], strict=True):
            ops.sgd_update(value, grad, velocity if case.arguments["momentum"] else None, **case.arguments)
            np.testing.assert_allclose(value, expected, **CLOSE)


@golden("adam_update")
def test_adam_equals_keras(case):
    for _ in each_isa():
        value = case["value"].astype(np.float32)
        m, v, v_hat = np.zeros((3, 5), np.float32)
        memory = v_hat if case.arguments["amsgrad"] else None
        for step, grad in enumerate(case["grads"].astype(np.float32), 1):
            ops.adam_update(value, grad, m, v, memory, step=step, **case.arguments)
            np.testing.assert_allclose(value, case["trajectory"][step - 1], **CLOSE)


@golden("nadam_update")
def test_nadam_equals_keras(case):
    u = [case.arguments["beta_1"] * (1 - 0.5 * 0.96**t) for t in range(1, 9)]
    for _ in each_isa():
        value = case["value"].astype(np.float32)
        m, v = np.zeros((2, 5), np.float32)
        for step, grad in enumerate(case["grads"].astype(np.float32), 1):
            ops.nadam_update(
                value, grad, m, v, **case.arguments, u_t=u[step - 1], u_t1=u[step],
                u_product=math.prod(u[:step]), u_product_1=math.prod(u[: step + 1]), step=step,
            )  # fmt: skip
            np.testing.assert_allclose(value, case["trajectory"][step - 1], **CLOSE)


@golden("rmsprop_update")
def test_rmsprop_equals_keras(case):
    arguments = dict(case.arguments)
    centered = arguments.pop("centered")
    for _ in each_isa():
        value = case["value"].astype(np.float32)
        velocity, average, buffer = np.zeros((3, 5), np.float32)
        for grad, expected in zip(case["grads"].astype(np.float32), case["trajectory"], strict=True):
            states = average if centered else None, buffer if arguments["momentum"] else None
            ops.rmsprop_update(value, grad, velocity, *states, **arguments)
            np.testing.assert_allclose(value, expected, **CLOSE)


# ---- errors


def test_errors_name_the_argument():
    value, grad = np.zeros(5, np.float32), np.zeros(5, np.float32)
    read_only = np.zeros(5, np.float32)
    read_only.flags.writeable = False
    m, v = np.zeros(5, np.float32), np.zeros(5, np.float32)
    for call, message in [
        (lambda: ops.sgd_update(value, grad[:4], None, 0.1), r"grad must have shape \(5,\)"),
        (lambda: ops.sgd_update(value, grad, grad[:4].copy(), 0.1, 0.9), r"velocity must have shape \(5,\)"),
        (lambda: ops.sgd_update(value, grad, None, 0.1, 0.9), "momentum=0.9 needs a velocity"),
        (lambda: ops.sgd_update(value[::2], grad[::2], None, 0.1), "value must be C-contiguous"),
        (
            lambda: ops.sgd_update(value, np.asfortranarray(np.zeros(9, np.float32))[::2], None, 0.1),
            "grad must be",
        ),
        (lambda: ops.sgd_update([1.0, 2.0], grad, None, 0.1), "value is updated in place.*got list"),
        (lambda: ops.sgd_update(value.astype(float), grad, None, 0.1), "value is updated.*got dtype float64"),
        (
            lambda: ops.sgd_update(value, grad.astype(float), None, 0.1),
            "grad is .*float32.*got dtype float64",
        ),
        (lambda: ops.sgd_update(read_only, grad, None, 0.1), "value is updated in place, but is read-only"),
        (
            lambda: ops.adam_update(value, grad, m, v, None, 0.1, 0.9, 0.999, 1e-7, 1, True),
            "amsgrad=True needs v_hat",
        ),
        (
            lambda: ops.adam_update(value, grad, m, v, None, 0.1, 0.9, 0.999, 1e-7, 0, False),
            "step counts from 1",
        ),
        (
            lambda: ops.adam_update(value, grad, m, v[:2], None, 0.1, 0.9, 0.999, 1e-7, 1, False),
            "v must have shape",
        ),
        (
            lambda: ops.rmsprop_update(value, grad, v, None, None, 0.1, 0.9, 0.5, 1e-7),
            "needs a momentum_buffer",
        ),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            call()
