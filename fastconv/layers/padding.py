"""Frames of zeros around images and sequences, and frames that are cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import ops
from fastconv._core.geometry import Pair, Window, frame, pair, sides
from fastconv.layers._arguments import check_data_format, errors_named
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Spatial
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor

Sides = tuple[Pair, ...]


class Framing(Spatial):
    """Base of the layers that change how much there is at the sides: so many pixels before and after, in each
    direction.
    """

    def __init__(self, argument: str, amounts: Any, data_format: str | None, **options: Any) -> None:
        super().__init__(**options)
        name = type(self).__name__
        check_data_format(data_format, name)
        with errors_named(name):
            given = sides(amounts, argument) if self.rank == 2 else pair(amounts, argument, 0)
        setattr(self, argument, given)

    def _more(self) -> Sides:
        """How much more there is before and after, in each direction; less where it is negative."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        *places, channels = input_shape
        sizes = zip(places, self._more(), strict=True)
        return (*(None if n is None else n + sum(more) for n, more in sizes), channels)

    def windows(self) -> tuple[Window, ...]:
        (*places, _), _ = self.shapes()
        more = self._more() if self.rank == 2 else ((0, 0), *self._more())
        return (frame(self._pair(tuple(places)), more),)  # type: ignore[arg-type]


class ZeroPadding(Framing):
    """Base of the two that add zeros."""

    padding: Any

    def _more(self) -> Sides:
        return self.padding if self.rank == 2 else (self.padding,)

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return np.pad(x, ((0, 0), *self._more(), (0, 0)))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        ((_, *places, _),) = self.recall()
        inside = [slice(before, before + n) for (before, _), n in zip(self._more(), places, strict=True)]
        index = (slice(None), *inside)
        return dy[index]

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        rows, columns = ((0, 0), *self._more())[-2:]
        return builder.pad(x, rows, columns)


class ZeroPadding2D(ZeroPadding):
    """(N, H, W, C) → (N, top + H + bottom, left + W + right, C)

    ``padding``: one number, (vertical, horizontal), or ((top, bottom), (left, right)). Raises ValueError
    where it is something else.
    """

    def __init__(
        self,
        padding: int | Pair | tuple[Pair, Pair] = (1, 1),
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__("padding", padding, data_format, **options)


class ZeroPadding1D(ZeroPadding):
    """(N, L, C) → (N, before + L + after, C)

    ``padding``: one number for both sides, or (before, after).
    """

    rank = 1
    input_rank = 3

    def __init__(self, padding: int | Pair = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__("padding", padding, data_format, **options)


class Cropping(Framing):
    """Base of the two that cut off."""

    cropping: Any

    def _more(self) -> Sides:
        amounts = self.cropping if self.rank == 2 else (self.cropping,)
        return tuple((-before, -after) for before, after in amounts)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        *sizes, channels = super().compute_output_shape(input_shape)
        if any(n is not None and n < 1 for n in sizes):
            image = "x".join(map(str, input_shape[:-1]))
            raise ValueError(f"{self}: cropping {self.cropping} leaves nothing of {image} pixels")
        return (*sizes, channels)

    def _image_cropping(self) -> tuple[Pair, Pair]:
        return self.cropping if self.rank == 2 else ((0, 0), self.cropping)

    def call(self, x: Array, training: bool = False) -> Array:
        self.compute_output_shape(x.shape[1:])  # says where nothing is left
        self.remember(x.shape)
        return self._as_given(ops.crop2d(self._images(x), self._image_cropping()))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (shape,) = self.recall()
        dx = ops.crop2d_backward(self._images(dy), self._image_shape(shape), self._image_cropping())
        return self._as_given(dx)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        rows, columns = ((0, 0), *self._more())[-2:]
        return builder.pad(x, rows, columns)


class Cropping2D(Cropping):
    """y[n,i,j,c] = x[n, i + top, j + left, c]: (N, H, W, C) → (N, H − top − bottom, W − left − right, C)

    ``cropping``: one number, (vertical, horizontal), or ((top, bottom), (left, right)). Raises ValueError
    where it is something else, or nothing would be left.
    """

    def __init__(
        self,
        cropping: int | Pair | tuple[Pair, Pair] = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__("cropping", cropping, data_format, **options)


class Cropping1D(Cropping):
    """y[n,i,c] = x[n, i + before, c]: (N, L, C) → (N, L − before − after, C)

    ``cropping``: one number for both sides, or (before, after). Raises ValueError where it is something else,
    or nothing would be left.
    """

    rank = 1
    input_rank = 3

    def __init__(self, cropping: int | Pair = (1, 1), **options: Any) -> None:
        super().__init__("cropping", cropping, None, **options)
