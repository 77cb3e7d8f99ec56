"""Images and sequences enlarged by whole factors: nothing is learned, unlike in a transposed convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastconv import ops
from fastconv._core.checks import is_whole
from fastconv._core.geometry import Pair, Window
from fastconv.layers._arguments import check_data_format, check_interpolation, errors_named, whole
from fastconv.layers.layer import Shape
from fastconv.layers.spatial import Sizes, Spatial
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class UpSampling(Spatial):
    """Base of the two: ``size`` outputs for each pixel, in each direction."""

    size: Any
    interpolation = "nearest"

    def _factors(self) -> Sizes:
        """One number for each direction."""
        return self.size if self.rank == 2 else (self.size,)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        *places, channels = input_shape
        sizes = zip(places, self._factors(), strict=True)
        return (*(None if n is None else n * factor for n, factor in sizes), channels)

    def windows(self) -> tuple[Window, ...]:
        self.shapes()
        if set(self._factors()) == {1}:
            return ()
        raise ValueError(
            f"{self} makes several pixels of one: which pixels an output sees depends on its place"
        )

    def call(self, x: Array, training: bool = False) -> Array:
        self.remember()
        return self._as_given(
            ops.upsample2d(self._images(x), self._pair(self._factors()), self.interpolation)
        )

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self.recall()
        if not input_gradient:
            return None
        factors = self._pair(self._factors())
        return self._as_given(ops.upsample2d_backward(self._images(dy), factors, self.interpolation))

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.interpolation != "nearest":
            builder.cut(f"interpolation={self.interpolation!r}")
        return builder.upsample(x, self._pair(self._factors()))


class UpSampling2D(UpSampling):
    """(N, H, W, C) → (N, H·f_h, W·f_w, C), with (f_h, f_w) = ``size``: what decoders and U-Nets go up by.

    "nearest" repeats every pixel, y[n,i,j,c] = x[n, ⌊i/f_h⌋, ⌊j/f_w⌋, c]; "bilinear" blends the four pixels
    whose centers lie around (i + ½) / f_h − ½ and (j + ½) / f_w − ½, with those at the edges repeated
    outside.

    Parameters
    ----------
    size : the factors, a whole number or (vertical, horizontal)
    interpolation : "nearest" or "bilinear"; Keras' "bicubic", "lanczos3" and "lanczos5" are errors

    Odena et al. 2016, *Deconvolution and checkerboard artifacts*.
    """

    def __init__(
        self,
        size: int | Pair = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_data_format(data_format, "UpSampling2D")
        self.interpolation = str(interpolation).lower()
        check_interpolation(self.interpolation, "UpSampling2D")
        with errors_named("UpSampling2D"):
            self.size = self._sizes(size, "size")


class UpSampling1D(UpSampling):
    """y[n,i,c] = x[n, ⌊i/size⌋, c]: (N, L, C) → (N, L·size, C), every step ``size`` times.

    Raises TypeError where ``size`` is no whole number, ValueError where it is less than 1.
    """

    rank = 1
    input_rank = 3

    def __init__(self, size: int = 2, **options: Any) -> None:
        super().__init__(**options)
        if not is_whole(size):
            raise TypeError(f"UpSampling1D: size must be a whole number; got {size!r}")
        self.size = whole(size, "UpSampling1D: size")
