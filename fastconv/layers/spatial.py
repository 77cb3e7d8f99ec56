"""What layers of images and layers of sequences share: a sequence is an image of one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv._core.checks import unknown_name
from fastconv._core.geometry import Padding, Pair, closed, explicit_padding, opened, pair
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array

Sizes = tuple[int, ...]


class Spatial(Layer):
    """Base of layers of images (N, H, W, C), ``rank`` 2, and of sequences (N, L, C), ``rank`` 1.

    A subclass computes on images: those of ``rank`` 1 take a sequence as an image of one row, (N, 1, L, C).
    """

    rank = 2
    input_rank = 4

    def expected_input(self) -> tuple[int | str, ...]:
        return ("N", "H", "W", "C") if self.rank == 2 else ("N", "L", "C")

    # ---- arguments

    def _sizes(self, value: int | Sizes, argument: str, minimum: int = 1) -> Sizes:
        """One whole number for each direction."""
        if self.rank == 2:
            return pair(value, argument, minimum)
        (size,) = value if isinstance(value, (list, tuple)) and len(value) == 1 else (value,)
        return (whole(size, argument, minimum),)

    def _named_paddings(self) -> list[str]:
        """What ``padding`` may be, besides numbers."""
        return ["valid", "same"]

    def _checked_padding(self, padding: Padding) -> Any:
        if isinstance(padding, str):
            if padding.lower() not in self._named_paddings():
                raise unknown_name("padding", padding, self._named_paddings())
            return padding.lower()
        return explicit_padding(padding) if self.rank == 2 else pair(padding, "padding", 0)

    # ---- sequences as images of one row

    def _images(self, x: Array) -> Array:
        return x if self.rank == 2 else x[:, None]

    def _as_given(self, y: Array) -> Array:
        return y if self.rank == 2 else y[:, 0]

    def _open_sizes(
        self, places: Sequence[int | None], size_of: Callable[[Pair], Pair]
    ) -> tuple[int | None, ...]:
        """What ``size_of`` makes of an image of these sizes, open where they are."""
        image = self._pair(tuple(places))
        return opened(size_of(closed(image)), image)[2 - self.rank :]

    def _image_shape(self, shape: Shape) -> tuple[int, int, int, int]:
        """The shape of images for that of a batch."""
        return shape if self.rank == 2 else (shape[0], 1, *shape[1:])

    def _pair(self, sizes: Any) -> Pair:
        """(vertical, horizontal) for one number for each direction."""
        return sizes if self.rank == 2 else (1, sizes[0])

    @property
    def _image_padding(self) -> Padding:
        """``padding``, of images."""
        padding: Any = self.padding  # type: ignore[attr-defined]
        return padding if self.rank == 2 or isinstance(padding, str) else ((0, 0), padding)
