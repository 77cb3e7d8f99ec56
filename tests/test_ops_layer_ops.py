"""The operations of layers beyond a plain CNN give Keras' numbers, forward and backward, on both backends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from golden_cases import all_cases
from kernels import each_isa
from strategies import check

import fastconv
from fastconv import ops

CASES = all_cases("layer_ops")


def convolution(name: str) -> Callable:
    """(y, dx, dkernel, dbias) of a convolution with a bias."""

    def run(case, dy):
        x, kernel, how = case["x"], case["kernel"], case.arguments
        size = kernel.shape[:2] if "2d" in name else kernel.shape[0]
        y = getattr(ops, name)(x, kernel, case["bias"], **how)
        dx = getattr(ops, f"{name}_backward_data")(dy, kernel, x.shape, **how)
        dkernel, dbias = getattr(ops, f"{name}_backward_kernel")(x, dy, size, **how)
        return {"y": y, "dx": dx, "dkernel": dkernel, "dbias": dbias}

    return run


def elementwise(case, dy):
    a, b, operation = case["a"], case["b"], case.arguments["operation"]
    da, db = ops.elementwise_backward(dy, a, b, operation)
    return {"y": ops.elementwise(a, b, operation), "da": da, "db": db}


def upsampling(name: str) -> Callable:
    def run(case, dy):
        y = getattr(ops, name)(case["x"], **case.arguments)
        return {"y": y, "dx": getattr(ops, f"{name}_backward")(dy, **case.arguments)}

    return run


def axis_of(case) -> int | tuple[int, ...]:
    axis = case.arguments["axis"]
    return tuple(axis) if isinstance(axis, list) else axis


def layer_norm(case, dy):
    x, gamma, axis = case["x"], case["gamma"], axis_of(case)
    y, mean, inverse = ops.layer_norm(x, gamma, case["beta"], 1e-3, axis)
    dx, dgamma, dbeta = ops.layer_norm_backward(dy, x, mean, inverse, gamma, axis)
    return {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def rms_norm(case, dy):
    x, scale, axis = case["x"], case["scale"], axis_of(case)
    y, inverse = ops.rms_norm(x, scale, 1e-6, axis)
    dx, dscale = ops.rms_norm_backward(dy, x, inverse, scale, axis)
    return {"y": y, "dx": dx, "dscale": dscale}


def unit_norm(case, dy):
    y, inverse = ops.unit_norm(case["x"], axis_of(case))
    return {"y": y, "dx": ops.unit_norm_backward(dy, case["x"], inverse, axis_of(case))}


def group_norm(case, dy):
    x, gamma = case["x"], case["gamma"]
    y, mean, inverse = ops.group_norm(x, case.arguments["groups"], gamma, case["beta"], 1e-3)
    dx, dgamma, dbeta = ops.group_norm_backward(dy, x, mean, inverse, gamma)
    return {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}


def average(name: str, *, of_pool: bool = False) -> Callable:
    def run(case, dy):
        how = case.arguments if of_pool else {}
        y = getattr(ops, name)(case["x"], **case.arguments)
        return {"y": y, "dx": getattr(ops, f"{name}_backward")(dy, case["x"].shape, **how)}

    return run


def maximum(name: str, *, of_pool: bool = False) -> Callable:
    def run(case, dy):
        how = case.arguments if of_pool else {}
        y, switches = getattr(ops, name)(case["x"], **case.arguments)
        return {"y": y, "dx": getattr(ops, f"{name}_backward")(dy, switches, case["x"].shape, **how)}

    return run


def dot(case, dy):
    axes = case.arguments["axes"]
    da, db = ops.dot_backward(dy, case["a"], case["b"], axes)
    return {"y": ops.dot(case["a"], case["b"], axes), "da": da, "db": db}


RUNS: dict[str, Callable] = {
    **{
        name: convolution(name)
        for name in ("depthwise_conv2d", "conv2d_transpose", "conv1d", "depthwise_conv1d", "conv1d_transpose")
    },
    "elementwise": elementwise,
    "upsample2d": upsampling("upsample2d"),
    "upsample1d": upsampling("upsample1d"),
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "unit_norm": unit_norm,
    "group_norm": group_norm,
    "adaptive_avg_pool2d": average("adaptive_avg_pool2d"),
    "adaptive_max_pool2d": maximum("adaptive_max_pool2d"),
    "avg_pool1d": average("avg_pool1d", of_pool=True),
    "max_pool1d": maximum("max_pool1d", of_pool=True),
    "global_avg_pool1d": average("global_avg_pool1d"),
    "global_max_pool1d": maximum("global_max_pool1d"),
    "dot": dot,
}


def test_every_golden_operation_is_run():
    assert set(CASES) == set(RUNS)


EACH = [
    pytest.param(name, case, id=f"{name} {case.arguments}") for name, cases in CASES.items() for case in cases
]


@pytest.mark.parametrize(("name", "case"), EACH)
def test_kernels_equal_keras(name, case):
    for isa in each_isa():
        for array, found in RUNS[name](case, case["dy"]).items():
            expected = case[array]
            # Sums of at most a few hundred products of numbers up to 2, and quotients of such.
            bound = (
                1e-6
                * np.sqrt(1 + case["x" if "x" in case.arrays else "a"].size)
                * max(1, abs(expected).max())
            )
            check(found, expected, bound, (isa, name, array))


@pytest.mark.parametrize(("name", "case"), EACH)
def test_the_reference_equals_keras(name, case):
    # Keras takes means in float32, whatever floatx is.
    close = 1e-6 if name.endswith("_norm") or name == "global_avg_pool1d" else 1e-12
    with fastconv.set_backend("reference"):
        for array, found in RUNS[name](case, case["dy"]).items():
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, case[array], rtol=close, atol=10 * close, err_msg=array)
