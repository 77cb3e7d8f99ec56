"""A parameter of a layer: an array of weights and the gradient of the loss with respect to it."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, NDArray

from fastconv._core.versions import changed

Array = NDArray[Any]

_ROOM = 32  # floats, FC_SLACK
_ALIGNMENT = 16  # numbers; a cache line of floats


def roomy_zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Zeros that begin with a cache line and are followed by a few floats that nobody uses.

    Kernels may then read whole vectors from where the weights lie, also the last ones (csrc/engine/engine.h).
    """
    size = prod(shape)
    memory = np.zeros(size + _ROOM + _ALIGNMENT, dtype)
    start = -(_address(memory) // memory.itemsize) % _ALIGNMENT
    return memory[start : start + size].reshape(shape)


def is_roomy(array: Array) -> bool:
    """Whether ``array`` is one of ``roomy_zeros``."""
    memory = array.base
    if not isinstance(memory, np.ndarray):
        return False
    return _address(memory) + memory.nbytes >= _address(array) + array.nbytes + _ROOM * array.itemsize


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _array_of(thing: Any) -> Any:
    return thing._value if isinstance(thing, Parameter) else thing


def _roomy_copy(array: Array) -> Array:
    copied = roomy_zeros(array.shape, array.dtype)
    copied[...] = array
    return copied


class Parameter(NDArrayOperatorsMixin):
    """Weights of one layer (a kernel, a bias, ...) with their gradient.

    In expressions a parameter stands for its value: ``kernel * 2``, ``x @ kernel``, ``kernel[0, 0]`` and
    ``kernel > 0`` are new arrays. ``kernel -= 0.1 * kernel.grad`` changes the value in place.

    ``value`` and ``grad`` are float32 arrays that live as long as the parameter: assigning to them copies
    *into* the array, so that whoever holds a reference (an optimizer, a view of one filter) sees the new
    numbers.

    name        "kernel", "bias", ...: unique within its layer
    path        "conv2d_1/kernel": the layer's name and this one
    trainable   False for numbers that no optimizer should touch
    constraint  a function of the value that the optimizer applies after each step; None for none
    regularizer a ``regularizers.Regularizer`` whose penalty on the value is part of the loss; None for none
    """

    def __init__(
        self,
        value: ArrayLike,
        name: str = "parameter",
        *,
        path: str | None = None,
        trainable: bool = True,
        constraint: Any = None,
        regularizer: Any = None,
    ) -> None:
        given = np.asarray(value, np.float32)
        self._value, self._grad = roomy_zeros(given.shape), roomy_zeros(given.shape)
        self._value[...] = given
        self.name = name
        self.path = path or name
        self.trainable = trainable
        self.constraint = constraint
        self.regularizer = regularizer

    def _set_trainable(self, trainable: bool) -> None:
        self._trainable = trainable
        changed()

    trainable = property(operator.attrgetter("_trainable"), _set_trainable)  # in C: asked for at every step

    @property
    def value(self) -> Array:
        return self._value

    @value.setter
    def value(self, new: ArrayLike) -> None:
        self._copy_into(self._value, new, "value")

    @property
    def grad(self) -> Array:
        return self._grad

    @grad.setter
    def grad(self, new: ArrayLike) -> None:
        self._copy_into(self._grad, new, "gradient")

    def _copy_into(self, target: Array, new: ArrayLike, what: str) -> None:
        source = np.asarray(new)
        if source.shape != self.shape:  # NumPy alone would broadcast silently
            raise ValueError(f"{self.path}: the {what} has shape {self.shape}, got {source.shape}")
        target[...] = source

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def ndim(self) -> int:
        return self._value.ndim

    @property
    def size(self) -> int:
        return self._value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._value.dtype

    def numpy(self) -> Array:
        """A copy of the value."""
        return self._value.copy()

    def assign(self, new: ArrayLike) -> None:
        """The same as ``parameter.value = new``."""
        self.value = new

    def assign_add(self, change: ArrayLike) -> None:
        """Add ``change`` to the value. Raises ValueError where the sum has another shape."""
        self.value = self._value + np.asarray(change)

    def assign_sub(self, change: ArrayLike) -> None:
        """Subtract ``change`` from the value. Raises ValueError where the difference has another shape."""
        self.value = self._value - np.asarray(change)

    # ---- as an array in expressions

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """All operators and NumPy's element-wise functions, on the values."""
        out = options.get("out", ())
        if out:
            options["out"] = tuple(map(_array_of, out))
        result = getattr(ufunc, method)(*map(_array_of, inputs), **options)
        return out[0] if len(out) == 1 else result

    __hash__ = object.__hash__  # == compares element by element, but a parameter is still a key

    def __getitem__(self, key: Any) -> Any:
        """A copy of a part of the value; ``parameter.value[key]`` is the part itself."""
        return self._value[key].copy()

    def __len__(self) -> int:
        return len(self._value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.numpy())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __float__(self) -> float:
        return float(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __round__(self, digits: int = 0) -> Array:
        return np.round(self._value, digits)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._value, dtype=dtype, copy=True if copy is None else copy)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        copied = Parameter.__new__(Parameter)
        memo[id(self)] = copied
        for array in (self._value, self._grad):  # whoever else holds these arrays gets the same copies
            memo[id(array)] = _roomy_copy(array)
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._value, self._grad = _roomy_copy(self._value), _roomy_copy(self._grad)

    def __repr__(self) -> str:
        return f"<Parameter {self.path} {self.shape}, {'trainable' if self.trainable else 'not trainable'}>"


# ---- values that a file is about to bring -------------------------------------------------------
#
# A file of a few bytes can describe a layer of any size. While a file is loaded, the weights of its layers
# take no memory until their values are set or read, so that shapes can be compared first.

_undrawn: ContextVar[list[Undrawn] | None] = ContextVar("undrawn", default=None)


def new_parameter(draw: Callable[[], Array], shape: tuple[int, ...], name: str, **options: Any) -> Parameter:
    """The parameter with the values that ``draw`` makes; inside ``values_come_later`` it draws them only if
    somebody reads them. ``options`` are those of ``Parameter``.
    """
    undrawn = _undrawn.get()
    if undrawn is None:
        return Parameter(draw(), name, **options)
    parameter = Undrawn(draw, shape, name, **options)
    undrawn.append(parameter)
    return parameter


@contextmanager
def values_come_later() -> Iterator[None]:
    """Meanwhile the weights of layers are made without values. At the end those that got none draw them."""
    undrawn: list[Undrawn] = []
    token = _undrawn.set(undrawn)
    try:
        yield
    finally:
        _undrawn.reset(token)
    for parameter in undrawn:
        if isinstance(parameter, Undrawn):
            parameter.draw()


def make_room(weights: Iterable[Parameter]) -> None:
    """Give weights without values their memory, filled with zeros."""
    for weight in weights:
        if isinstance(weight, Undrawn):
            weight.take(roomy_zeros(weight.shape))


class Undrawn(Parameter):
    """A parameter without values. It becomes an ordinary ``Parameter`` when its arrays are first needed."""

    def __init__(self, draw: Callable[[], Array], shape: tuple[int, ...], name: str, **options: Any) -> None:
        super().__init__((), name, **options)
        del self._value, self._grad
        self._draw, self._shape = draw, shape

    def __getattr__(self, name: str) -> Any:
        """Asked for attributes that are missing, as both arrays are."""
        if name not in ("_value", "_grad") or "_draw" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.draw()
        return self.__dict__[name]

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def size(self) -> int:
        return prod(self._shape)

    def draw(self) -> None:
        """Draw the initial values now."""
        self.take(Parameter(self._draw())._value)

    def take(self, value: Array) -> None:
        """Become an ordinary parameter that holds ``value``, an array of ``roomy_zeros``."""
        self._value, self._grad = value, roomy_zeros(value.shape, value.dtype)
        del self._draw, self._shape
        self.__class__ = Parameter  # type: ignore[assignment]
