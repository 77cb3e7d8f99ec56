"""What ``+ - * /`` and unary minus make of symbolic tensors and numbers: layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import ops
from fastconv.graph.symbolic import SymbolicTensor
from fastconv.layers.layer import Layer, Shape
from fastconv.layers.merging import Add, Divide, Multiply, Subtract
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor

_OF_TENSORS = {"add": Add, "subtract": Subtract, "multiply": Multiply, "divide": Divide}


class WithNumber(Layer):
    """y = x ∘ number, or number ∘ x with ``number_first``; ∘ is add, subtract, multiply or divide."""

    def __init__(self, operation: str, number: float, number_first: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.operation, self.number, self.number_first = operation, float(number), bool(number_first)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x)
        return ops.elementwise(*self._operands(x), self.operation)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (x,) = self.recall()
        needs = (not self.number_first, self.number_first)
        return ops.elementwise_backward(dy, *self._operands(x), self.operation, needs)[self.number_first]

    def _operands(self, x: Array) -> tuple[Array, Array]:
        number = np.full((1,) * x.ndim, self.number, x.dtype)
        return (number, x) if self.number_first else (x, number)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        number = self.number
        if self.operation == "add":
            return builder.scale(x, 1.0, number)
        if self.operation == "subtract":
            return builder.scale(x, -1.0, number) if self.number_first else builder.scale(x, 1.0, -number)
        if self.operation == "multiply":
            return builder.scale(x, number)
        if self.operation != "divide" or self.number_first or not number:
            builder.cut(f"{self.operation}, of {number:g} and x")
        return builder.scale(x, 1 / number)


def combine(operation: str, left: Any, right: Any) -> SymbolicTensor:
    """``left ∘ right``, of two symbolic tensors or of one and a number. TypeError for anything else."""
    tensors = [isinstance(operand, SymbolicTensor) for operand in (left, right)]
    if all(tensors):
        return _OF_TENSORS[operation]()([left, right])
    tensor, number = (left, right) if tensors[0] else (right, left)
    if isinstance(number, bool) or not isinstance(number, (int, float, np.number)):
        raise TypeError(
            f"cannot {operation} {tensor!r} and {type(number).__name__}: only numbers and symbolic tensors; "
            "an array of constants belongs into a layer such as Rescaling(scale, offset)"
        )
    return WithNumber(operation, float(number), number_first=not tensors[0])(tensor)
