"""The shape of a model's input, said before any data is seen."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from fastconv._errors import unsupported_argument
from fastconv.graph.symbolic import Node, SymbolicTensor
from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class InputLayer(Layer):
    """Where a model begins: the shape of one example, ``Input(shape=(28, 28, 1))``. It computes nothing."""

    is_input = True

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        *,
        batch_shape: Sequence[int | None] | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        if batch_shape is not None and shape is None:
            batch_size, *rest = batch_shape
            shape = rest  # type: ignore[assignment]
        if shape is None:
            raise ValueError("Input needs the shape of one example, such as Input(shape=(28, 28, 1))")
        if isinstance(shape, int):
            raise ValueError(
                f"Input: shape must be a tuple, the shape of one example; write Input(shape=({shape},))"
            )
        if None in shape:
            raise ValueError(
                "Input: shape is that of one example without the batch axis, as (28, 28, 1); "
                f"got {tuple(shape)}. Sizes left open with None are not supported: cut or pad the examples "
                "to one size"
            )
        if batch_size is not None:
            raise unsupported_argument("Input", "batch_size", "batches of any size are welcome")
        super().__init__(name=name, input_shape=shape, dtype=dtype, **unknown)
        self._input_shape = self._output_shape = self.requested_input_shape
        self._begin()

    def _begin(self) -> None:
        self._node = Node(self, (), {}, self._output_shape)  # the one call, for good
        self._first_call = weakref.ref(self._node)

    def called(self, args: tuple[Any, ...], kwargs: dict[str, Any], output_shapes: Any) -> Node:
        return self._node

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_node"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.requested_input_shape or ())}

    def call(self, x: Array, training: bool) -> Array:
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy if input_gradient else None


def Input(shape: Sequence[int | None] | None = None, **options: Any) -> SymbolicTensor:
    """The input of a model, for examples of this shape (without the batch axis): a symbolic tensor.

    Layers are called on it, ``Conv2D(8, 3)(Input((28, 28, 1)))``; in a list of layers it begins a ``Sequential``.
    Arguments as those of ``InputLayer``.
    """
    return InputLayer(shape, **options).output
