"""Tensors without numbers, and the calls of layers that make them.

``Input((28, 28, 1))`` returns a ``SymbolicTensor``; a layer called on one returns another and records the
call as a ``Node``. Nodes belong to the tensors, not to the layers: a layer may be called any number of times.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fastconv.graph import structure

if TYPE_CHECKING:
    from fastconv.layers.layer import Layer

Shape = tuple[int | None, ...]


class Untraceable(TypeError, AttributeError):
    """Something needs numbers of a tensor that has none."""


class SymbolicTensor:
    """One result of a layer's call: a shape without numbers. Other layers may be called on it.

    shape       with the batch axis, whose size is None: ``(None, 28, 28, 1)``
    node        the call that makes it
    index       its place among the results of that call
    name        the name of the layer that makes it

    ``+ - * /`` and unary minus with tensors and numbers are layers too. Whatever needs numbers, such as
    NumPy's functions, ``if`` or ``float``, raises TypeError: there are none before ``predict`` or ``fit``.
    """

    __slots__ = ("__weakref__", "index", "node", "shape")
    dtype = "float32"

    def __init__(self, shape: Shape, node: Node, index: int = 0) -> None:
        self.shape = tuple(shape)
        self.node = node
        self.index = index

    @property
    def name(self) -> str:
        return self.node.layer.name if len(self.node.outputs) < 2 else f"{self.node.layer.name}_{self.index}"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, made by {self.node.layer}>"

    # ---- arithmetic, by layers

    def __add__(self, other: Any) -> SymbolicTensor:
        return _combined("add", self, other)

    def __radd__(self, other: Any) -> SymbolicTensor:
        return _combined("add", self, other)

    def __sub__(self, other: Any) -> SymbolicTensor:
        return _combined("subtract", self, other)

    def __rsub__(self, other: Any) -> SymbolicTensor:
        return _combined("subtract", other, self)

    def __mul__(self, other: Any) -> SymbolicTensor:
        return _combined("multiply", self, other)

    def __rmul__(self, other: Any) -> SymbolicTensor:
        return _combined("multiply", self, other)

    def __truediv__(self, other: Any) -> SymbolicTensor:
        return _combined("divide", self, other)

    def __rtruediv__(self, other: Any) -> SymbolicTensor:
        return _combined("divide", other, self)

    def __neg__(self) -> SymbolicTensor:
        return _combined("multiply", self, -1)

    # ---- what needs numbers

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._has_no_numbers("NumPy")

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **options: Any) -> SymbolicTensor:
        operation = _OPERATIONS.get(function.__name__)
        numbers = all(isinstance(operand, SymbolicTensor) or np.ndim(operand) == 0 for operand in operands)
        if operation is None or method != "__call__" or options or not numbers:
            self._has_no_numbers(f"numpy.{function.__name__}")
        return _combined(operation, *operands)  # np.float32(2) * x

    def __array_function__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self._has_no_numbers(f"numpy.{function.__name__}")

    def __bool__(self) -> NoReturn:
        self._has_no_numbers("a condition (if, while, and, or, not)")

    def __float__(self) -> NoReturn:
        self._has_no_numbers("float()")

    def __int__(self) -> NoReturn:
        self._has_no_numbers("int()")

    def __index__(self) -> NoReturn:
        self._has_no_numbers("an index")

    def __len__(self) -> NoReturn:
        self._has_no_numbers("len()")

    def __iter__(self) -> NoReturn:
        self._has_no_numbers("a loop over its examples")

    def __getitem__(self, key: Any) -> NoReturn:
        self._has_no_numbers(
            "indexing", "use a Cropping2D, Reshape, Permute or Lambda layer to take a part of a tensor"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # which Python and NumPy ask for to see what this is
            raise AttributeError(name)
        self._has_no_numbers(f"the attribute {name!r}")

    def __pow__(self, other: Any) -> NoReturn:
        self._has_no_numbers("**")

    def __matmul__(self, other: Any) -> NoReturn:
        self._has_no_numbers("@")

    def _compare(self, other: Any) -> NoReturn:
        self._has_no_numbers("a comparison")

    __lt__ = __le__ = __gt__ = __ge__ = _compare
    __rpow__ = __pow__
    __rmatmul__ = __matmul__

    def _has_no_numbers(self, what: str, instead: str = "") -> NoReturn:
        remedy = instead or (
            "write it with layers or + - * /, put it into a layer of your own with call and backward, "
            "or into Lambda(function, gradient=...)"
        )
        raise Untraceable(
            f"{what} needs numbers, and {self!r} has none yet: the model is being described, not run; "
            f"{remedy}"
        )

    # What refers to tensors compares them by identity.
    __hash__ = object.__hash__


class Node:
    """One call of a layer: ``layer(*args, **kwargs)``, with tensors in the arguments, and its results.

    layer       whose call it is
    args, kwargs  the arguments, nested as they were given, ``training`` among them if it was given
    inputs      the tensors in the arguments, in order
    result      what the call returned, nested as the layer nests it
    outputs     the tensors in the result, in order
    """

    __slots__ = ("__weakref__", "args", "inputs", "kwargs", "layer", "outputs", "result")

    def __init__(self, layer: Layer, args: tuple[Any, ...], kwargs: Mapping[str, Any], shapes: Any) -> None:
        self.layer = layer
        self.args = args
        self.kwargs = dict(kwargs)
        given = structure.leaves([args, self.kwargs])
        self.inputs = tuple(leaf for leaf in given if isinstance(leaf, SymbolicTensor))
        self.outputs: tuple[SymbolicTensor, ...] = ()
        numbers = count()
        self.result = structure.map_shapes(
            lambda shape: SymbolicTensor((None, *shape), self, next(numbers)), shapes
        )
        self.outputs = tuple(structure.leaves(self.result))

    @property
    def is_input(self) -> bool:
        """Whether this is an ``Input``, where a graph begins."""
        return self.layer.is_input

    @property
    def input_shapes(self) -> Any:
        """The shapes of the inputs without the batch axis, nested as the arguments: see ``shapes_of``."""
        return shapes_of(self.args)

    @property
    def output_shapes(self) -> Any:
        """The shapes of the outputs without the batch axis, nested as the result."""
        return structure.mapped(lambda tensor: tensor.shape[1:], self.result)

    def __repr__(self) -> str:
        return f"<Node {self.layer}: {[t.shape for t in self.inputs]} -> {[t.shape for t in self.outputs]}>"


def holds_symbolic(arguments: Any) -> bool:
    """Whether a tensor without numbers is among nested arguments."""
    if isinstance(arguments, (list, tuple)):
        return any(map(holds_symbolic, arguments))
    if isinstance(arguments, dict):
        return any(map(holds_symbolic, arguments.values()))
    return isinstance(arguments, SymbolicTensor)


def shapes_of(args: tuple[Any, ...]) -> Any:
    """The shapes of the tensors in the arguments of a call, without the batch axis.

    Of one argument they are nested as it is, in lists and dictionaries; several arguments make a tuple.
    """
    nested = [structure.mapped(lambda tensor: tensor.shape[1:], argument) for argument in args]
    if len(nested) > 1:
        return tuple(nested)
    (only,) = nested
    return list(only) if isinstance(only, tuple) and not structure.is_shape(only) else only


# The names of NumPy's functions for + - * /.
_OPERATIONS = {"add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide"}


def _combined(operation: str, left: Any, right: Any) -> SymbolicTensor:
    from fastconv.layers.arithmetic import combine

    return combine(operation, left, right)


def input_tensors(shapes: Any) -> tuple[Any, ...]:
    """Symbolic tensors of these shapes, as a layer's ``call`` takes them: a tuple of its arguments.

    Nested shapes in a tuple are those of several arguments, in a list or dictionary those of one.
    """
    from fastconv.layers.input_layer import Input

    tensors = structure.map_shapes(lambda shape: Input(shape), shapes)
    return tensors if isinstance(tensors, tuple) else (tensors,)
