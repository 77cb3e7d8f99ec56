"""Pooling to a given size: the image is divided into so many bins, and of each one value goes on."""

from __future__ import annotations

from math import prod
from typing import Any

from fastconv import ops
from fastconv._core.checks import is_whole
from fastconv._core.geometry import Pair, Window, bins, window
from fastconv.layers._arguments import check_data_format, errors_named
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Sizes, Spatial
from fastconv.parameter import Array


class AdaptivePooling(Spatial):
    """Base of the layers whose output is of ``output_size``, whatever the input's is: (N, H, W, C) → (N, H',
    W', C).

    Output i sees the rows ⌊i·H/H'⌋ to ⌈(i + 1)·H/H'⌉ − 1, its bin; columns alike. Bins are as nearly equal as
    whole pixels allow, overlap where H / H' is not whole, and are repeated where the input is smaller than
    the output.
    """

    def __init__(self, output_size: int | Sizes, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        name = type(self).__name__
        check_data_format(data_format, name)
        listed = isinstance(output_size, (tuple, list)) and (self.rank == 1 or len(output_size) == 2)
        if not is_whole(output_size) and not listed:
            wanted = "(height, width)" if self.rank == 2 else "(length,)"
            raise TypeError(f"{name}: output_size must be a whole number or {wanted}; got {output_size!r}")
        with errors_named(name):
            self.output_size = self._sizes(output_size, "output_size")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (*self.output_size, input_shape[-1])

    def _bins(self) -> list[list[Pair]]:
        """(first, end) of each bin, of each direction."""
        (*places, _), _ = self.shapes()
        return [bins(n, count) for n, count in zip(places, self.output_size, strict=True)]

    def windows(self) -> tuple[Window, ...]:
        (*places, _), _ = self.shapes()
        if any(n % count for n, count in zip(places, self.output_size, strict=True)):
            raise ValueError(
                f"{self}: the sizes {tuple(places)} are no multiples of {self.output_size}, so that there "
                "are no whole steps between what two neighbours see"
            )
        image, output = self._pair(tuple(places)), self._pair(self.output_size)
        size = image[0] // output[0], image[1] // output[1]
        return (window(image, size, size),)

    def count_connections(self) -> int:
        """Each output has its bin."""
        input_shape, _ = self.shapes()
        return input_shape[-1] * prod(sum(end - first for first, end in along) for along in self._bins())


class AdaptiveAveragePooling(AdaptivePooling):
    """Base of the two that keep the mean."""

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return self._as_given(ops.adaptive_avg_pool2d(self._images(x), self._pair(self.output_size)))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (shape,) = self.recall()
        return self._as_given(ops.adaptive_avg_pool2d_backward(self._images(dy), self._image_shape(shape)))


class AdaptiveAveragePooling2D(AdaptiveAveragePooling):
    """y[n,i,j,c] = the mean of x[n,h,w,c] over the rows h from ⌊i·H/H'⌋ to ⌈(i + 1)·H/H'⌉ − 1, columns w
    alike.

    (N, H, W, C) → (N, H', W', C). ``output_size``: (H', W'), or one number for both. Raises TypeError where
    it is neither.

    He et al. 2014, *Spatial pyramid pooling in deep convolutional networks for visual recognition*, section
    2.2.
    """


class AdaptiveAveragePooling1D(AdaptiveAveragePooling):
    """``AdaptiveAveragePooling2D`` along a sequence: (N, L, C) → (N, output_size, C)."""

    rank = 1
    input_rank = 3


class AdaptiveMaxPooling(AdaptivePooling):
    """Base of the two that keep the maximum."""

    def call(self, x: Array, training: bool = False) -> Array:
        y, switches = ops.adaptive_max_pool2d(self._images(x), self._pair(self.output_size))
        self.remember(switches, x.shape)
        return self._as_given(y)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        switches, shape = self.recall()
        dy = self._images(dy)
        return self._as_given(ops.adaptive_max_pool2d_backward(dy, switches, self._image_shape(shape)))


class AdaptiveMaxPooling2D(AdaptiveMaxPooling):
    """y[n,i,j,c] = max of x[n,h,w,c] over the rows h from ⌊i·H/H'⌋ to ⌈(i + 1)·H/H'⌉ − 1, columns w alike;
    the gradient goes to the (first) maximum.

    (N, H, W, C) → (N, H', W', C). ``output_size`` as that of ``AdaptiveAveragePooling2D``.
    """


class AdaptiveMaxPooling1D(AdaptiveMaxPooling):
    """``AdaptiveMaxPooling2D`` along a sequence: (N, L, C) → (N, output_size, C)."""

    rank = 1
    input_rank = 3
