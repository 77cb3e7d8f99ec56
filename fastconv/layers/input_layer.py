"""The shape of a model's input, said before any data is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv._errors import unsupported_argument
from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class InputLayer(Layer):
    """First in a Sequential model, it says the shape of one example: ``Input(shape=(28, 28, 1))``. It
    computes nothing.
    """

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

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.requested_input_shape or ())}

    def call(self, x: Array, training: bool) -> Array:
        return x

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy if input_gradient else None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise TypeError(
            f"{self} holds no numbers: it begins a chain of layers, models.Sequential([Input(...), ...]). "
            "Layers that are called on it, and Model(inputs, outputs), are not supported"
        )


def Input(shape: Sequence[int] | None = None, **options: Any) -> InputLayer:
    """The input of a Sequential model, for examples of this shape (without the batch axis)."""
    return InputLayer(shape, **options)
