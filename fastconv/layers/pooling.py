"""Pooling: of the values in a window, or of a whole image, one goes on: the largest, or their mean."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from fastconv import ops
from fastconv._core.configuration import call_of
from fastconv._core.geometry import Padding, Pair, Window, whole_image, window
from fastconv.layers._arguments import check_data_format, errors_named
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Sizes, Spatial
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor

# ---- over windows


class Pooling(Spatial):
    """Base of the layers whose window slides over each channel by itself: (N, H, W, C) → (N, H', W', C)."""

    def __init__(
        self,
        pool_size: int | Sizes = 2,
        strides: int | Sizes | None = None,
        padding: Padding = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_data_format(data_format, type(self).__name__)
        with errors_named(type(self).__name__):
            self.pool_size = self._sizes(pool_size, "pool_size")
            self.strides = self.pool_size if strides is None else self._sizes(strides, "strides")
            self.padding = self._checked_padding(padding)

    @property
    def _sliding(self) -> tuple[Pair, Pair, Padding]:
        """Window, strides and padding, of images."""
        return self._pair(self.pool_size), self._pair(self.strides), self._image_padding

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        *places, channels = input_shape
        return (*self._open_sizes(places, lambda image: self._window(image).output_size), channels)

    def _window(self, image: Pair) -> Window:
        with errors_named(self):
            return window(image, *self._sliding, size_name="pool_size")

    def windows(self) -> tuple[Window, ...]:
        (*places, _), _ = self.shapes()
        return (self._window(self._pair(tuple(places))),)

    def count_connections(self) -> int:
        """Each output has its window."""
        _, output_shape = self.shapes()
        return prod(output_shape) * prod(self.pool_size)

    def __repr__(self) -> str:
        always = {"name": self.name, "pool_size": self.pool_size}
        return call_of(self, always, usual={"strides": self.pool_size})


class MaxPooling(Pooling):
    """Base of the two that keep the maximum."""

    def call(self, x: Array, training: bool = False) -> Array:
        y, switches = ops.max_pool2d(self._images(x), *self._sliding)
        self.remember(switches, x.shape)
        return self._as_given(y)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        switches, shape = self.recall()
        dy = self._images(dy)
        return self._as_given(ops.max_pool2d_backward(dy, switches, self._image_shape(shape), *self._sliding))

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.max_pool(x, self._window(x.image))


class MaxPooling2D(MaxPooling):
    """y[n,i,j,c] = max over u, v of x[n, i·s_h+u, j·s_w+v, c]

    (N, H, W, C) → (N, H', W', C). Forward keeps a *switch* for each output, the place of its maximum (the
    first one on ties). Backward sends each gradient where its switch points and nowhere else.

    Parameters
    ----------
    pool_size : the window, a whole number or (vertical, horizontal)
    strides : steps of the window; ``pool_size`` where None
    padding : as for Conv2D; padded pixels are never the maximum

    Riesenhuber & Poggio 1999, *Hierarchical models of object recognition in cortex*.
    """


class MaxPooling1D(MaxPooling):
    """y[n,i,c] = max over u of x[n, i·s+u, c]

    (N, L, C) → (N, L', C): ``MaxPooling2D`` along a sequence. ``padding`` may be a pair (before, after) too.
    """

    rank = 1
    input_rank = 3


class AveragePooling(Pooling):
    """Base of the two that keep the mean."""

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return self._as_given(ops.avg_pool2d(self._images(x), *self._sliding))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (shape,) = self.recall()
        return self._as_given(
            ops.avg_pool2d_backward(self._images(dy), self._image_shape(shape), *self._sliding)
        )

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.avg_pool(x, self._window(x.image))


class AveragePooling2D(AveragePooling):
    """y[n,i,j,c] = mean over u, v of x[n, i·s_h+u, j·s_w+v, c], padded pixels not counted.

    (N, H, W, C) → (N, H', W', C)

    Parameters
    ----------
    pool_size : the window, a whole number or (vertical, horizontal)
    strides : steps of the window; ``pool_size`` where None
    padding : as for Conv2D

    LeCun et al. 1989, *Handwritten digit recognition with a back-propagation network*.
    """


class AveragePooling1D(AveragePooling):
    """y[n,i,c] = mean over u of x[n, i·s+u, c], padding not counted.

    (N, L, C) → (N, L', C): ``AveragePooling2D`` along a sequence. ``padding`` may be a pair (before, after)
    too.
    """

    rank = 1
    input_rank = 3


# ---- over the whole image


class GlobalPooling(Spatial):
    """Base of the layers of which each channel becomes one number: (N, H, W, C) → (N, C), or (N, 1, 1, C)
    with ``keepdims``.
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        check_data_format(data_format, type(self).__name__)
        self.keepdims = bool(keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return (*self._ones(), input_shape[-1])

    def _ones(self) -> Sizes:
        return (1,) * self.rank if self.keepdims else ()

    def windows(self) -> tuple[Window, ...]:
        (*places, _), _ = self.shapes()
        return (whole_image(self._pair(tuple(places))),)

    def count_connections(self) -> int:
        """Each output has the whole of its map."""
        input_shape, _ = self.shapes()
        return prod(input_shape)

    def _shape_output(self, y: Array) -> Array:
        return y.reshape(len(y), *self._ones(), y.shape[-1]) if self.keepdims else y

    def _unshape_gradient(self, dy: Array) -> Array:
        return dy.reshape(len(dy), dy.shape[-1])


class GlobalAveragePooling(GlobalPooling):
    """Base of the two that keep the mean."""

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember(x.shape)
        return self._shape_output(ops.global_avg_pool2d(self._images(x)))

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        (shape,) = self.recall()
        dy = self._unshape_gradient(dy)
        return self._as_given(ops.global_avg_pool2d_backward(dy, self._image_shape(shape)))

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.global_pool(x, "avg", (*self._ones(), x.channels))


class GlobalAveragePooling2D(GlobalAveragePooling):
    """y[n,c] = mean over h, w of x[n,h,w,c]; with ``keepdims`` (N, 1, 1, C).

    Lin et al. 2013, *Network in network*, section 3.2.
    """


class GlobalAveragePooling1D(GlobalAveragePooling):
    """y[n,c] = mean over l of x[n,l,c]: (N, L, C) → (N, C); with ``keepdims`` (N, 1, C)."""

    rank = 1
    input_rank = 3


class GlobalMaxPooling(GlobalPooling):
    """Base of the two that keep the maximum."""

    def call(self, x: Array, training: bool = False) -> Array:
        y, switches = ops.global_max_pool2d(self._images(x))
        self.remember(switches, x.shape)
        return self._shape_output(y)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        switches, shape = self.recall()
        dy = self._unshape_gradient(dy)
        return self._as_given(ops.global_max_pool2d_backward(dy, switches, self._image_shape(shape)))

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        return builder.global_pool(x, "max", (*self._ones(), x.channels))


class GlobalMaxPooling2D(GlobalMaxPooling):
    """y[n,c] = max over h, w of x[n,h,w,c]; the gradient goes to the (first) maximum. With ``keepdims``
    (N, 1, 1, C).
    """


class GlobalMaxPooling1D(GlobalMaxPooling):
    """y[n,c] = max over l of x[n,l,c]: (N, L, C) → (N, C); the gradient goes to the (first) maximum. With
    ``keepdims`` (N, 1, C).
    """

    rank = 1
    input_rank = 3
