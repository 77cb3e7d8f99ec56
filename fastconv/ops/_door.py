"""The door: what is an acceptable array, and which backend is behind it."""

from __future__ import annotations

import operator
import sys
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import _kernels
from fastconv._core import machine

Array = NDArray[Any]

_FLOAT32 = np.dtype(np.float32)

empty = _kernels.empty
"""``empty(shape, dtype=np.float32)``: a new array, to be filled."""


def on_reference() -> bool:
    """True where the pure-Python backend is to run."""
    return machine._active == "reference"


def dtype() -> type[np.floating]:
    """float32 for the compiled backend, float64 for the reference."""
    return np.float64 if on_reference() else np.float32


def is_ready(value: object) -> TypeGuard[Array]:
    """Whether it is an array that the backend takes as it is; there are others, that ``array`` knows."""
    return (
        type(value) is np.ndarray
        and value.dtype is _FLOAT32
        and value.flags.carray
        and machine._active != "reference"
    )


def array(value: ArrayLike, name: str, axes: str | None = None) -> Array:
    """``value`` as a C-contiguous array of the backend's type.

    ``axes`` names the axes it must have, as in ``"N, H, W, C"``. Raises TypeError for what is not real
    numbers, ValueError for another number of axes.
    """
    if is_ready(value):
        if axes is not None:
            check_axes(value, name, axes)
        return value
    try:
        given = np.asarray(value)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name} is not an array: {error}") from None
    if given.dtype.kind not in "fiub":
        got = "None" if value is None else f"dtype {given.dtype}"
        raise TypeError(f"{name} must hold real numbers; got {got}")
    if axes is not None:
        check_axes(given, name, axes)
    return laid_out(given, dtype())


def laid_out(given: Array, dtype: type[np.generic]) -> Array:
    """``given`` as C reads it: of this type, C-contiguous, on addresses that are multiples of its size."""
    result = np.asarray(given, dtype, order="C")
    return result if result.flags.aligned else result.copy()


def output(given: Array | None, name: str, shape: tuple[int, ...]) -> Array:
    """``given``, an array that a float32 result of this shape can be written to; a new one where None."""
    if given is None:
        return empty(shape)
    if not isinstance(given, np.ndarray):
        raise TypeError(f"{name} must be an array to write to, or None; got {type(given).__name__}")
    check_shape(given, name, shape, "the result's shape")
    if given.dtype != np.float32 or not given.flags.carray:
        raise ValueError(f"{name} must be a C-contiguous, writable float32 array; got dtype {given.dtype}")
    return given


def outputs(given: Any, kernel_shape: tuple[int, ...], bias_shape: tuple[int, ...]) -> tuple[Array, Array]:
    """``given``, a pair of arrays or None, as those that dkernel and dbias are written to."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"out must be a pair of arrays, or None for new ones; got {type(given).__name__}")
    return output(given[0], "out[0]", kernel_shape), output(given[1], "out[1]", bias_shape)


def check_axes(given: Array, name: str, axes: str) -> None:
    expected = axes.count(",") + 1
    if given.ndim == expected:
        return
    fix = ""
    if axes == "N, H, W, C" and given.ndim == 3:
        fix = f": add the channel axis with {name}[..., None], or the batch axis with {name}[None]"
    elif axes == "N, H, W, C" and given.ndim == 2:
        fix = f": add batch and channel axes with {name}[None, :, :, None]"
    raise ValueError(f"{name} must have {expected} axes ({axes}); got shape {given.shape}{fix}")


def check_shape(given: Array, name: str, expected: tuple[int, ...], why: str) -> None:
    """ValueError unless ``given`` has just this shape; ``why`` says where the expectation comes from."""
    if given.shape != expected:
        raise ValueError(f"{name} must have shape {expected} ({why}); got {given.shape}")


def check_dy(dy: Array, output_shape: tuple[int, ...], operation: str) -> None:
    """ValueError unless ``dy`` has the shape of what ``operation`` made."""
    if dy.shape != output_shape:
        check_shape(dy, "dy", output_shape, f"what {operation} returns for these arguments")


def image_shape(input_shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """``input_shape``, the (N, H, W, C) of the x whose gradient is asked for."""
    return sizes(input_shape, "input_shape", "N, H, W, C")  # type: ignore[return-value]


def number(value: float, name: str) -> float:
    """``value`` as a float; ValueError for a whole number larger than any."""
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a floating-point number") from None


def sizes(given: Any, name: str, axes: str) -> tuple[int, ...]:
    """``given`` as a tuple of whole numbers, one for each of ``axes``."""
    try:
        shape = tuple(map(operator.index, given))
    except TypeError:
        shape = ()
    if len(shape) != axes.count(",") + 1 or min(shape) < 0 or max(shape) > sys.maxsize:
        raise ValueError(f"{name} must be ({axes}), whole numbers of at least 0; got {given!r}")
    return shape
