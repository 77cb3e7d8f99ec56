"""The same numbers in another shape or order, or several times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import ops
from fastconv._core.checks import is_whole
from fastconv._core.geometry import Window, image_size, whole_image
from fastconv.layers._arguments import check_data_format, whole
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class Flatten(Layer):
    """(N, H, W, C) → (N, H·W·C), in memory order: the channel runs fastest."""

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        check_data_format(data_format, "Flatten")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None if None in input_shape else math.prod(input_shape),)

    def windows(self) -> tuple[Window, ...]:
        """Together the outputs see the whole map."""
        image = image_size(self.shapes()[0])
        return () if image is None else (whole_image(image),)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (input_shape,) = self.recall()
        return dy.reshape(input_shape)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.reshape(x, (math.prod(x.shape),))


class Reshape(Layer):
    """(N, ...) → (N, *target_shape), in memory order. One size may be -1: it is whatever is left over."""

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        sizes = [] if is_whole(target_shape) else list(target_shape)
        fits = all(is_whole(n) and (n > 0 or n == -1) for n in sizes) and sizes.count(-1) < 2
        if is_whole(target_shape) or not fits:
            raise ValueError(
                f"Reshape: target_shape is sizes of at least 1, one of which may be -1; got {target_shape!r}"
            )
        self.target_shape = tuple(map(int, sizes))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if None in input_shape:  # what is open decides what is left over
            return tuple(None if n == -1 else n for n in self.target_shape)
        total = math.prod(input_shape)
        known = math.prod(n for n in self.target_shape if n != -1)
        open_sized = -1 in self.target_shape
        if total % known or (total != known and not open_sized):
            raise ValueError(
                f"{self}: the {total} numbers of an example {input_shape} do not fit into {self.target_shape}"
            )
        return tuple(total // known if n == -1 else n for n in self.target_shape)

    def windows(self) -> tuple[Window, ...]:
        """As ``Flatten``, where it makes a vector of a map."""
        before, after = map(image_size, self.shapes())
        if before is not None and after is None:
            return (whole_image(before),)
        return super().windows()

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return x.reshape(len(x), *self.compute_output_shape(x.shape[1:]))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (input_shape,) = self.recall()
        return dy.reshape(input_shape)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.reshape(x, self.compute_output_shape(x.shape))


class Permute(Layer):
    """y with axis i of x's axis dims[i − 1]: ``Permute((2, 1))`` makes (N, C, L) of (N, L, C).

    ``dims`` holds the axes behind the batch, each once, counted from 1. Raises TypeError where it is no list
    of them, ValueError where it is another one.
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(dims, (tuple, list)) or not all(map(is_whole, dims)):
            raise TypeError(f"Permute: dims must be a tuple of whole numbers, such as (2, 1); got {dims!r}")
        if sorted(dims) != list(range(1, len(dims) + 1)) or not dims:
            raise ValueError(
                "Permute: dims must hold each axis behind the batch once, counted from 1, such as (2, 1, 3); "
                f"got {dims!r}"
            )
        self.dims = tuple(map(int, dims))
        self.input_rank = len(self.dims) + 1

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return tuple(input_shape[dim - 1] for dim in self.dims)

    def windows(self) -> tuple[Window, ...]:
        self.shapes()
        if self.dims[:2] in ((1,), (1, 2)):
            return ()
        raise ValueError(
            f"{self} moves rows and columns to other axes: its output is no map of places of its input"
        )

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        return ops.permute(x, (0, *self.dims))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        if not input_gradient:
            return None
        return ops.permute(dy, [0, *(self.dims.index(axis) + 1 for axis in range(1, len(self.dims) + 1))])


class RepeatVector(Layer):
    """y[n,i,c] = x[n,c] for i from 0 to n − 1: (N, C) → (N, n, C); the gradients of the copies are added.

    Raises TypeError where ``n`` is no whole number, ValueError where it is less than 1.
    """

    input_rank = 2

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        if not is_whole(n):
            raise TypeError(f"RepeatVector: n must be a whole number; got {n!r}")
        self.n = whole(n, "RepeatVector: n")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (self.n, *input_shape)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        return np.repeat(x[:, None], self.n, axis=1)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        return dy.sum(axis=1) if input_gradient else None

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.upsample(x, (1, self.n))
