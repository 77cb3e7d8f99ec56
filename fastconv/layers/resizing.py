"""Images of another size."""

from __future__ import annotations

from typing import Any

from fastconv._core.checks import unsupported_argument
from fastconv._core.geometry import Window
from fastconv.layers._arguments import check_data_format, check_interpolation, errors_named, whole
from fastconv.layers._boxes import Box, Size, cut, cut_backward, cut_windows, shaped_box
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array


class Resizing(Layer):
    """(N, H, W, C) → (N, height, width, C)

    Each output pixel shows the place that lies where it lies: y[h, w] = x at the row (h + ½) H / height − ½
    and the column (w + ½) W / width − ½, blended of four pixels or, with "nearest", of one.

    Parameters
    ----------
    interpolation : "bilinear" or "nearest"
    crop_to_aspect_ratio : True cuts off what would not fit without distortion
    pad_to_aspect_ratio, antialias : not supported: errors. fill_mode and fill_value are for padding alone
    """

    input_rank = 4

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_data_format(data_format, "Resizing")
        for argument, given in (("pad_to_aspect_ratio", pad_to_aspect_ratio), ("antialias", antialias)):
            if given:
                raise unsupported_argument("Resizing", argument)
        if fill_mode != "constant" or fill_value:
            raise unsupported_argument("Resizing", "fill_mode" if fill_value == 0 else "fill_value")
        check_interpolation(interpolation, "Resizing")
        self.height, self.width = whole(height, "Resizing: height"), whole(width, "Resizing: width")
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_input((None, *input_shape))
        return self.height, self.width, input_shape[-1]

    def _box(self, image: Size) -> Box:
        """The part of the image that is shown."""
        return (
            shaped_box(image, (self.height, self.width)) if self.crop_to_aspect_ratio else Box(0, 0, *image)
        )

    def windows(self) -> tuple[Window, ...]:
        (H, W, _), _ = self.shapes()
        with errors_named(self):
            return cut_windows((H, W), self._box((H, W)), (self.height, self.width))

    def call(self, x: Array, training: bool = False) -> Array:
        box = self._box((x.shape[1], x.shape[2]))
        self.remember(x.shape, box)
        return cut(x, box, (self.height, self.width), self.interpolation)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        input_shape, box = self.recall()
        return cut_backward(dy, box, input_shape, self.interpolation) if input_gradient else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
        }
