"""Calls every operation with one or several arguments replaced by what does not belong there.

    python tests/hostile_calls.py SEED CALLS

First every replacement of every single argument, then CALLS random combinations, and CALLS windows with
strides, dilations and paddings up to the largest numbers. Whatever happens, the process goes on; an error is
a ValueError, a TypeError or a MemoryError; and a result is that of the formulas in fastconv.reference. Prints
every call that breaks this and then how many there were. Started by test_ops_hostile.py, in a process of its
own with little memory.
"""

from __future__ import annotations

import faulthandler
import inspect
import os
import random
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastconv
from fastconv import ops
from fastconv._core.geometry import window

ROOM = 1 << 30  # bytes of memory besides what is in use at the start
SECONDS = 120  # that a call may take, before it counts as one without end
MOST_COMPARED = 4096  # numbers of a result that the formulas are asked for as well

seed, calls = int(sys.argv[1]), int(sys.argv[2])
numbers, choice = np.random.default_rng(seed), random.Random(seed)


def floats(*shape: int) -> np.ndarray:
    return numbers.standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(floats(*shape)) + 0.1


def switches(x: np.ndarray, whole: bool = False) -> np.ndarray:
    return ops.global_max_pool2d(x)[1] if whole else ops.max_pool2d(x)[1]


TABLE = np.array([[1, 0, 1], [0, 1, 1]], bool)
X, SMALL, LINE = floats(2, 6, 5, 2), floats(3, 4), floats(2, 7, 2)


def rows(states: int, many: int = 2) -> ops.UpdateArrays:
    names = tuple(f"state {i}" for i in range(states))
    arrays = [(floats(5), floats(5), *(positive(5) for _ in range(states))) for _ in range(many)]
    return ops.UpdateArrays(arrays, names)


# A call that is right, of every operation.
RIGHT: dict[str, Callable[[], dict[str, Any]]] = {
    "activation": lambda: {"x": SMALL, "name": "gelu"},
    "activation_backward": lambda: {"dy": SMALL, "y": SMALL, "name": "tanh", "x": SMALL},
    "affine_transform": lambda: {
        "images": X, "transform": [1, 0.125, 0, 0, 0.875, 0.25, 0, 0], "output_size": (4, 3),
    },
    "affine_transform_backward": lambda: {
        "dy": floats(2, 4, 3, 2), "transform": [1, 0.125, 0, 0, 0.875, 0.25, 0, 0], "input_shape": X.shape,
    },
    "avg_pool2d": lambda: {"x": X, "pool_size": 2, "strides": 1, "padding": "same"},
    "avg_pool2d_backward": lambda: {"dy": floats(2, 3, 2, 2), "input_shape": X.shape, "padding": "valid"},
    "batch_norm": lambda: {"x": SMALL, "mean": floats(4), "variance": positive(4), "gamma": floats(4)},
    "batch_norm_backward_weights": lambda: {
        "dy": SMALL, "x": SMALL, "mean": floats(4), "variance": positive(4),
    },
    "batch_norm_backward_data": lambda: {
        "dy": SMALL, "x": SMALL, "mean": floats(4), "variance": positive(4), "dgamma": floats(4),
        "dbeta": floats(4),
    },
    "clip_by_global_norm": lambda: {"grads": [SMALL, floats(3)], "norm": 1.0},
    "clip_by_norm": lambda: {"grad": SMALL, "norm": 1.0},
    "clip_by_value": lambda: {"grad": SMALL, "limit": 0.5},
    "conv2d": lambda: {
        "x": X, "kernel": floats(3, 2, 2, 4), "bias": floats(4), "padding": "same", "dilation_rate": 2,
    },
    "conv2d_backward_data": lambda: {
        "dy": floats(2, 3, 3, 4), "kernel": floats(3, 3, 2, 4), "input_shape": X.shape, "strides": 2,
        "padding": "same",
    },
    "conv2d_backward_kernel": lambda: {
        "x": X, "dy": floats(2, 3, 3, 4), "kernel_size": 3, "strides": 2, "padding": "same",
    },
    "conv2d_connected": lambda: {"x": X, "kernel": floats(3, 2, 4), "connections": TABLE, "bias": floats(3)},
    "conv2d_connected_backward_data": lambda: {
        "dy": floats(2, 4, 4, 3), "kernel": floats(3, 2, 4), "connections": TABLE, "input_shape": X.shape,
    },
    "conv2d_connected_backward_kernel": lambda: {
        "x": X, "dy": floats(2, 4, 4, 3), "connections": TABLE, "kernel_size": (3, 2),
    },
    "dense": lambda: {"x": SMALL, "kernel": floats(4, 5), "bias": floats(5)},
    "dense_backward_data": lambda: {"dy": floats(3, 5), "kernel": floats(4, 5)},
    "dense_backward_kernel": lambda: {"x": SMALL, "dy": floats(3, 5)},
    "dropout": lambda: {"x": SMALL, "rate": 0.4, "seed": 3, "call": 1},
    "global_avg_pool2d": lambda: {"x": X},
    "global_avg_pool2d_backward": lambda: {"dy": floats(2, 2), "input_shape": X.shape},
    "global_max_pool2d": lambda: {"x": X},
    "global_max_pool2d_backward": lambda: {
        "dy": floats(2, 2), "switches": switches(X, whole=True), "input_shape": X.shape,
    },
    "l1_l2_penalty": lambda: {"x": SMALL, "l1": 0.1, "l2": 0.2, "grad": floats(3, 4)},
    "log_softmax": lambda: {"x": SMALL},
    "max_pool2d": lambda: {"x": X, "pool_size": 2, "strides": 1, "padding": "same"},
    "max_pool2d_backward": lambda: {
        "dy": floats(2, 3, 2, 2), "switches": switches(X), "input_shape": X.shape, "padding": "valid",
    },
    "moments": lambda: {"x": SMALL},
    "prelu": lambda: {"x": X, "alpha": floats(1, 1, 2)},
    "prelu_backward": lambda: {"dy": X, "x": X, "alpha": floats(1, 1, 2)},
    "rbf": lambda: {"x": SMALL, "prototypes": floats(5, 4)},
    "rbf_backward_data": lambda: {"dy": floats(3, 5), "x": SMALL, "prototypes": floats(5, 4)},
    "rbf_backward_kernel": lambda: {"dy": floats(3, 5), "x": SMALL, "prototypes": floats(5, 4)},
    "softmax_cross_entropy": lambda: {"logits": SMALL, "labels": [0, 3, 1], "sample_weight": positive(3)},
    "depthwise_conv2d": lambda: {
        "x": X, "kernel": floats(3, 2, 2, 2), "bias": floats(4), "padding": "same", "dilation_rate": 2,
    },
    "depthwise_conv2d_backward_data": lambda: {
        "dy": floats(2, 3, 3, 4), "kernel": floats(3, 3, 2, 2), "input_shape": X.shape, "strides": 2,
        "padding": "same",
    },
    "depthwise_conv2d_backward_kernel": lambda: {
        "x": X, "dy": floats(2, 3, 3, 4), "kernel_size": 3, "strides": 2, "padding": "same",
    },
    "conv2d_transpose": lambda: {
        "x": X, "kernel": floats(3, 3, 4, 2), "bias": floats(4), "strides": 2, "padding": "same",
        "output_padding": 1,
    },
    "conv2d_transpose_backward_data": lambda: {
        "dy": floats(2, 12, 10, 4), "kernel": floats(3, 3, 4, 2), "input_shape": X.shape, "strides": 2,
        "padding": "same",
    },
    "conv2d_transpose_backward_kernel": lambda: {
        "x": X, "dy": floats(2, 12, 10, 4), "kernel_size": 3, "strides": 2, "padding": "same",
    },
    "conv1d": lambda: {"x": LINE, "kernel": floats(3, 2, 4), "bias": floats(4), "padding": "causal"},
    "conv1d_backward_data": lambda: {
        "dy": floats(2, 7, 4), "kernel": floats(3, 2, 4), "input_shape": LINE.shape, "padding": "same",
    },
    "conv1d_backward_kernel": lambda: {"x": LINE, "dy": floats(2, 7, 4), "kernel_size": 3, "padding": "same"},
    "depthwise_conv1d": lambda: {"x": LINE, "kernel": floats(3, 2, 2), "bias": floats(4), "strides": 2},
    "depthwise_conv1d_backward_data": lambda: {
        "dy": floats(2, 7, 4), "kernel": floats(3, 2, 2), "input_shape": LINE.shape, "padding": "same",
    },
    "depthwise_conv1d_backward_kernel": lambda: {
        "x": LINE, "dy": floats(2, 7, 4), "kernel_size": 3, "padding": "same",
    },
    "conv1d_transpose": lambda: {"x": LINE, "kernel": floats(3, 4, 2), "bias": floats(4), "strides": 2},
    "conv1d_transpose_backward_data": lambda: {
        "dy": floats(2, 14, 4), "kernel": floats(3, 4, 2), "input_shape": LINE.shape, "strides": 2,
        "padding": "same",
    },
    "conv1d_transpose_backward_kernel": lambda: {
        "x": LINE, "dy": floats(2, 14, 4), "kernel_size": 3, "strides": 2, "padding": "same",
    },
    "avg_pool1d": lambda: {"x": LINE, "pool_size": 2, "strides": 1, "padding": "same"},
    "avg_pool1d_backward": lambda: {"dy": floats(2, 3, 2), "input_shape": LINE.shape},
    "max_pool1d": lambda: {"x": LINE, "pool_size": 2, "strides": 1, "padding": "same"},
    "max_pool1d_backward": lambda: {
        "dy": floats(2, 3, 2), "switches": ops.max_pool1d(LINE)[1], "input_shape": LINE.shape,
    },
    "global_avg_pool1d": lambda: {"x": LINE},
    "global_avg_pool1d_backward": lambda: {"dy": floats(2, 2), "input_shape": LINE.shape},
    "global_max_pool1d": lambda: {"x": LINE},
    "global_max_pool1d_backward": lambda: {
        "dy": floats(2, 2), "switches": ops.global_max_pool1d(LINE)[1], "input_shape": LINE.shape,
    },
    "upsample1d": lambda: {"x": LINE, "size": 3},
    "upsample1d_backward": lambda: {"dy": floats(2, 6, 2), "size": 3},
    "upsample2d": lambda: {"x": X, "size": (2, 3), "interpolation": "bilinear"},
    "upsample2d_backward": lambda: {"dy": floats(2, 4, 6, 2), "size": (2, 3), "interpolation": "bilinear"},
    "adaptive_avg_pool2d": lambda: {"x": X, "output_size": (4, 3)},
    "adaptive_avg_pool2d_backward": lambda: {"dy": floats(2, 4, 3, 2), "input_shape": X.shape},
    "adaptive_max_pool2d": lambda: {"x": X, "output_size": (4, 3)},
    "adaptive_max_pool2d_backward": lambda: {
        "dy": floats(2, 4, 3, 2), "switches": ops.adaptive_max_pool2d(X, (4, 3))[1], "input_shape": X.shape,
    },
    "elementwise": lambda: {"a": X, "b": floats(2, 1, 1, 2), "operation": "multiply"},
    "elementwise_backward": lambda: {
        "dy": floats(2, 6, 5, 2), "a": X, "b": floats(6, 1, 2), "operation": "maximum", "needs": (True, True),
    },
    "layer_norm": lambda: {"x": SMALL, "gamma": floats(4), "beta": floats(4), "axis": -1},
    "layer_norm_backward": lambda: {
        "dy": SMALL, "x": SMALL, "mean": floats(3), "inverse": positive(3), "gamma": floats(4),
    },
    "rms_norm": lambda: {"x": X, "scale": floats(6, 5), "axis": (1, 2)},
    "rms_norm_backward": lambda: {"dy": SMALL, "x": SMALL, "inverse": positive(3), "scale": floats(4)},
    "unit_norm": lambda: {"x": SMALL, "axis": 0},
    "unit_norm_backward": lambda: {"dy": SMALL, "x": SMALL, "inverse": positive(3)},
    "group_norm": lambda: {"x": floats(2, 3, 5, 4), "groups": 2, "gamma": floats(4), "beta": floats(4)},
    "group_norm_backward": lambda: {
        "dy": floats(2, 3, 4), "x": floats(2, 3, 4), "mean": floats(2, 2), "inverse": positive(2, 2),
        "gamma": floats(4),
    },
    "concatenate": lambda: {"arrays": [SMALL, floats(3, 2)], "axis": 1},
    "split": lambda: {"x": SMALL, "sizes": (1, 3), "axis": 1},
    "crop2d": lambda: {"x": X, "cropping": ((1, 2), (0, 1))},
    "crop2d_backward": lambda: {"dy": floats(2, 4, 3, 2), "input_shape": X.shape, "cropping": 1},
    "permute": lambda: {"x": X, "order": (0, 3, 1, 2)},
    "dot": lambda: {"a": SMALL, "b": floats(3, 5, 4), "axes": (1, 2)},
    "dot_backward": lambda: {"dy": floats(3, 5), "a": SMALL, "b": floats(3, 5, 4), "axes": (1, 2)},
    # Optimizers change their arguments.
    "sgd_update": lambda: {
        "value": floats(5), "grad": floats(5), "velocity": floats(5), "learning_rate": 0.1, "momentum": 0.9,
    },
    "adagrad_update": lambda: {
        "value": floats(5), "grad": floats(5), "accumulator": positive(5), "learning_rate": 0.1,
        "epsilon": 1e-7,
    },
    "adam_update": lambda: {
        "value": floats(5), "grad": floats(5), "m": floats(5), "v": positive(5), "v_hat": positive(5),
        "learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "step": 1, "amsgrad": True,
    },
    "adamax_update": lambda: {
        "value": floats(5), "grad": floats(5), "m": floats(5), "u": positive(5), "learning_rate": 0.1,
        "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "step": 1,
    },
    "nadam_update": lambda: {
        "value": floats(5), "grad": floats(5), "m": floats(5), "v": positive(5), "learning_rate": 0.1,
        "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "u_t": 0.5, "u_t1": 0.5, "u_product": 0.5,
        "u_product_1": 0.25, "step": 1,
    },
    "rmsprop_update": lambda: {
        "value": floats(5), "grad": floats(5), "velocity": positive(5), "average_grad": None,
        "momentum_buffer": floats(5), "learning_rate": 0.1, "rho": 0.9, "momentum": 0.5, "epsilon": 1e-7,
    },
    "adadelta_update": lambda: {
        "value": floats(5), "grad": floats(5), "squared_grads": positive(5), "squared_steps": positive(5),
        "learning_rate": 0.1, "rho": 0.9, "epsilon": 1e-7,
    },
    "sgd_step": lambda: {"arrays": rows(1), "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "adagrad_step": lambda: {"arrays": rows(1), "learning_rate": 0.1, "epsilon": 1e-7},
    "adam_step": lambda: {
        "arrays": rows(3), "learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "step": 1,
        "amsgrad": True,
    },
    "adamax_step": lambda: {
        "arrays": rows(2), "learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "step": 1,
    },
    "nadam_step": lambda: {
        "arrays": rows(2), "learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "u_t": 0.5,
        "u_t1": 0.5, "u_product": 0.5, "u_product_1": 0.25, "step": 1,
    },
    "rmsprop_step": lambda: {
        "arrays": rows(3), "learning_rate": 0.1, "rho": 0.9, "momentum": 0.5, "epsilon": 1e-7,
    },
    "adadelta_step": lambda: {"arrays": rows(2), "learning_rate": 0.1, "rho": 0.9, "epsilon": 1e-7},
    "UpdateArrays": lambda: {
        "rows": [(floats(5), floats(5), positive(5))], "names": ("state",),
        "kept": [ops.Kept(floats(5), floats(5))],
    },
}  # fmt: skip

HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**61 - 17, 2**61, 2**62, 2**63 - 1, 2**63, 2**64, 10**400)
SCALARS: tuple[Any, ...] = (
    *HUGE, *(-n for n in HUGE), None, -1, 0, 1, 2, 3, 7, 0.5, -0.5, 1e30, float("nan"), float("inf"),
    -float("inf"), True, 1j, "", "same", "valid", "softmax", "celu", "winograd", "direct", "im2col", "naive",
    "wrap", "nearest", "reflect", b"x", object(), np.float32(3), np.int64(5), np.uint64(2**64 - 1),
    np.datetime64("2001"),
)  # fmt: skip
SEQUENCES: tuple[Any, ...] = (
    (), [], {}, set(), (1,), (0, 0), (-1, 2), (1, 2, 3), (None, None), ("a", "b"), (2, 3), (3, 7), (1.5, 2.5),
    *((n, m) for n in HUGE for m in (1, 2, n)), ((0, 1), (2, 0)), ((5, 5), (9, 9)), ((2**31 - 1, 0), (0, 0)),
    ((10**9, 10**9), (10**9, 10**9)), ((2**62, 1), (0, 0)), ((0, 0, 0), (1, 1, 1)), (1, 0, 8, 8),
    (2, 6, 0, 2),
    (0, 6, 5, 2), (2, 6, 5, 0), (2**31, 2**31, 1, 2), (2**62, 2**62, 2**62, 2**62), (2, -6, 5, 2),
    (2, 2**61, 5, 2), (0, 2**62, 2**62, 2**62), (2.0, 6.0, 5.0, 2.0), (float("inf"),) * 4, [[1, 2], [3]],
    [[0] * 3] * 2, [[1] * 3] * 2, np.zeros((0, 0)), np.zeros((2, 0), bool),
)  # fmt: skip


# Of windows: strides, dilations, paddings. Some divide others, some are beside others.
STEPS = (
    0, 1, 1, 2, 3, 4, 7, 8, 9, 16, 10**5, 10**5 + 1, 10**9, 2 * 10**9, 2**31 - 1, 2**31, 2**32 - 1, 2**61,
)  # fmt: skip


def spoiled(array: np.ndarray) -> Iterator[Any]:
    """What an array could be given as, or taken for."""
    for axis in range(array.ndim):
        for length in (0, 1, array.shape[axis] + 1):
            yield np.resize(array, (*array.shape[:axis], length, *array.shape[axis + 1 :]))
    for kind in (np.float64, np.float16, np.int8, bool, np.complex64, object, str, ">f4"):
        yield array.astype(kind)
    yield from (
        array[None],
        array[..., None],
        array.ravel(),
        array[:, ::-1] if array.ndim > 1 else array[::-1],
    )
    yield np.full(array.shape, np.nan, np.float32)
    yield np.zeros((0,) * array.ndim, np.float32)
    yield np.broadcast_to(np.float32(1), (*array.shape[:-1], 2**40))
    yield np.broadcast_to(np.float32(1), (2**33, *array.shape[1:]))
    read_only = array.copy()
    read_only.setflags(write=False)
    yield read_only
    yield array.tolist()


def replacements(value: Any) -> list[Any]:
    found = [*SCALARS, *SEQUENCES]
    if isinstance(value, np.ndarray):
        found += spoiled(value)
    if isinstance(value, ops.UpdateArrays):
        found += [rows(states, many) for states in range(4) for many in (0, 1)]
        some = [(floats(5), floats(5), None, positive(5), None)]
        found += [
            ops.UpdateArrays(some, ("a", "b", "c")),
            ops.UpdateArrays([(floats(0),) * 5], ("a", "b", "c")),
        ]
    return found


def show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape}>"
    return repr(value)[:60]


def numbers_of(result: Any) -> list[np.ndarray]:
    """All arrays and numbers of a result, as one list."""
    if result is None or isinstance(result, ops.UpdateArrays):
        return []
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in numbers_of(part)]
    return [np.asarray(result)]


def copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


wrong = 0


def attempt(name: str, arguments: dict[str, Any]) -> None:
    global wrong
    described = f"{name}({', '.join(f'{k}={show(v)}' for k, v in arguments.items())})"
    print(described, file=sys.stderr, flush=True)  # the last one, should the process end
    call = getattr(ops, name)
    signal.alarm(SECONDS)
    try:
        result = call(**{key: copied(value) for key, value in arguments.items()})
        if isinstance(result, ops.UpdateArrays):
            result.options = ops.UpdateOptions(clipnorm=1.0, weight_decay=0.1, ema_momentum=0.5)
            result.gather(), result.average(), result.prepare(0.1)
    except (ValueError, TypeError, MemoryError) as error:
        if not str(error):
            wrong += 1
            print(f"{described}: {type(error).__name__} without a word")
        return
    except Exception as error:
        wrong += 1
        print(f"{described}: {type(error).__name__}: {error}")
        return
    found = numbers_of(result)
    if not found or sum(array.size for array in found) > MOST_COMPARED or "dropout" in name:
        return
    with fastconv.set_backend("reference"):
        try:
            expected = numbers_of(call(**{key: copied(value) for key, value in arguments.items()}))
        except (ValueError, TypeError, ArithmeticError, IndexError, MemoryError):
            return
    for a, b in zip(found, expected, strict=True):
        finite = np.abs(b) < 1e30
        scale = np.max(np.abs(b[finite]), initial=1.0)
        if a.shape != b.shape or not np.allclose(a[finite], b[finite], 1e-3, 1e-3 * scale):
            wrong += 1
            print(f"{described}: not the formula's result")
            return


def in_all() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, right in RIGHT.items():
        places = inspect.signature(getattr(ops, name)).parameters
        for place in places:
            for value in replacements(right().get(place)):
                yield name, {**right(), place: value}
    for _ in range(calls):
        name = choice.choice(list(RIGHT))
        arguments, places = RIGHT[name](), list(inspect.signature(getattr(ops, name)).parameters)
        for place in choice.sample(places, min(len(places), choice.choice((2, 2, 3)))):
            arguments[place] = choice.choice(replacements(arguments.get(place)))
        yield name, arguments
    for _ in range(calls):
        yield from windows()


def windows() -> Iterator[tuple[str, dict[str, Any]]]:
    """A random window, in all operations that have one."""
    N, H, W, C, K = (
        choice.choice(sizes) for sizes in ((0, 1, 2, 9), *[(0, 1, 2, 3, 5, 8)] * 2, (1, 2), (1, 3))
    )
    size = choice.choice((1, 2, 3, 5)), choice.choice((1, 2, 3, 5))
    strides, dilation, before, after = ((choice.choice(STEPS), choice.choice(STEPS)) for _ in range(4))
    if choice.random() < 0.5:
        strides = (choice.choice((1, 2, 3)), choice.choice((1, 2)))
    if choice.random() < 0.4:
        dilation = (1, 1)
    paddings = ("same", "valid", before, (before, after), tuple(zip(before, after, strict=True)))
    padding = choice.choice(paddings)
    try:
        OH, OW = window((H, W), size, strides, padding, dilation).output_size
    except ValueError:
        return
    how = {"strides": strides, "padding": padding}
    if max(OH, OW, OH * OW * N * K) > MOST_COMPARED:
        if OH * OW * N * K * 4 > ROOM:  # there is no memory for it
            kernel = floats(*size, C, K)
            yield "conv2d", {"x": floats(N, H, W, C), "kernel": kernel, **how, "dilation_rate": dilation}
        return
    x, dy, kernel, shape = floats(N, H, W, C), floats(N, OH, OW, K), floats(*size, C, K), (N, H, W, C)
    for algorithm in ("auto", "naive", "im2col", "direct"):
        conv = {**how, "dilation_rate": dilation, "algorithm": algorithm}
        yield "conv2d", {"x": x, "kernel": kernel, "bias": floats(K), **conv}
        yield "conv2d_backward_data", {"dy": dy, "kernel": kernel, "input_shape": shape, **conv}
        yield "conv2d_backward_kernel", {"x": x, "dy": dy, "kernel_size": size, **conv}
    conv, M = {**how, "dilation_rate": dilation}, choice.choice((1, 3))
    deep, filters = floats(N, OH, OW, C * M), floats(*size, C, M)
    yield "depthwise_conv2d", {"x": x, "kernel": filters, "bias": floats(C * M), **conv}
    yield "depthwise_conv2d_backward_data", {"dy": deep, "kernel": filters, "input_shape": shape, **conv}
    yield "depthwise_conv2d_backward_kernel", {"x": x, "dy": deep, "kernel_size": size, **conv}
    table = np.ones((C, K), bool)
    table[0, : K // 2] = C == 1
    conv, kernel = {**how, "dilation_rate": dilation, "connections": table}, floats(*size, int(table.sum()))
    yield "conv2d_connected", {"x": x, "kernel": kernel, "bias": floats(K), **conv}
    yield "conv2d_connected_backward_data", {"dy": dy, "kernel": kernel, "input_shape": shape, **conv}
    yield "conv2d_connected_backward_kernel", {"x": x, "dy": dy, "kernel_size": size, **conv}
    if dilation != (1, 1):
        return
    how["pool_size"] = size
    yield "avg_pool2d", {"x": x, **how}
    yield "max_pool2d", {"x": x, **how}
    dy = floats(N, OH, OW, C)
    yield "avg_pool2d_backward", {"dy": dy, "input_shape": shape, **how}
    try:
        _, winners = ops.max_pool2d(x, **how)
    except ValueError:
        return
    yield "max_pool2d_backward", {"dy": dy, "switches": winners, "input_shape": shape, **how}


faulthandler.enable()
warnings.simplefilter("ignore")
np.seterr(all="ignore")
missing = (
    {name for name in ops.__all__ if callable(getattr(ops, name))} - RIGHT.keys() - {"Kept", "UpdateOptions"}
)
assert not missing, f"no call of {missing}"
for name, right in RIGHT.items():
    getattr(ops, name)(**right())
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
if "libasan" not in os.environ.get(
    "LD_PRELOAD", ""
):  # which needs addresses without number, and limits memory
    resource.setrlimit(resource.RLIMIT_AS, (in_use + ROOM, in_use + ROOM))
total = 0
for name, arguments in in_all():
    attempt(name, arguments)
    total += 1
print(f"{total} calls, {wrong} wrong")
