"""The shape of a model's input, said before any data is seen."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from fastconv._core.checks import is_whole
from fastconv.graph.symbolic import Node, SymbolicTensor
from fastconv.layers._arguments import refuse_unless_none, whole
from fastconv.layers.layer import Layer, Shape, checked_sizes
from fastconv.parameter import Array


class InputLayer(Layer):
    """Where a model begins: the shape of one example, ``Input(shape=(28, 28, 1))``. It computes nothing.

    None in the shape leaves a size open: ``Input((None, None, 3))`` is for images of any size.
    ``batch_size``, or the first size of ``batch_shape``, is kept and changes nothing: batches of any size are
    taken.
    """

    is_input = True

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: None = None,
        optional: bool = False,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unless_none(
            "Input", sparse=sparse or None, ragged=ragged or None, input_tensor=input_tensor,
            optional=optional or None,
        )  # fmt: skip
        if batch_shape is not None:
            if shape is not None:
                raise ValueError("Input: give shape, or batch_shape with the batch axis in front, not both")
            if not len(batch_shape):
                raise ValueError("Input: batch_shape has the batch axis in front, as (None, 28, 28, 1)")
            batch_size, *rest = batch_shape
            shape = rest
        if shape is None:
            raise ValueError("Input needs the shape of one example, such as Input(shape=(28, 28, 1))")
        if is_whole(shape):
            raise ValueError(
                f"Input: shape must be a tuple, the shape of one example; write Input(shape=({shape},))"
            )
        self.batch_size = None if batch_size is None else whole(batch_size, "Input: batch_size")
        super().__init__(name=name, dtype=dtype, **unknown)
        self.requested_input_shape = checked_sizes(list(shape), shape)
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

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape with the batch axis: (None, 28, 28, 1), say."""
        return (self.batch_size, *(self.requested_input_shape or ()))

    def get_config(self) -> dict[str, Any]:
        shape = list(self.requested_input_shape or ())
        return {"name": self.name, "shape": shape, "batch_size": self.batch_size}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy if input_gradient else None


def Input(
    shape: Sequence[int | None] | None = None, batch_size: int | None = None, **options: Any
) -> SymbolicTensor:
    """The input of a model, for examples of this shape (without the batch axis): a symbolic tensor.

    Layers are called on it, ``Conv2D(8, 3)(Input((28, 28, 1)))``; in a list of layers it begins a
    ``Sequential``. ``options`` are those of ``InputLayer``: ``batch_size``, ``batch_shape``, ``name``.
    """
    if "tensor" in options:
        refuse_unless_none("Input", tensor=options.pop("tensor"))
    return InputLayer(shape, batch_size, **options).output
