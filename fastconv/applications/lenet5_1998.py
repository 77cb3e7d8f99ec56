"""LeNet-5 as it was: partial connections, subsampling that learns, and bitmaps of the digits as targets.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, section II-B and appendix A.
"""

from __future__ import annotations

from typing import Any

from fastconv.applications.digit_bitmaps import DIGIT_BITMAPS
from fastconv.initializers import FanInUniform
from fastconv.layers import RBF, Conv2D, Dense, Flatten, Input, Rescaling, Subsampling2D, ZeroPadding2D
from fastconv.models import Sequential

C3_MAPS = [
    [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [0, 4, 5], [0, 1, 5],
    [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [0, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 5],
    [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5],
    [0, 1, 2, 3, 4, 5],
]  # fmt: skip
"""Table I: the maps of S2 that each of the 16 filters of C3 sees."""

BACKGROUND, FOREGROUND = -0.1, 1.175
"""What 0 and 1 become, so that the mean of a digit's pixels is about 0 and their variance about 1."""


def lenet5_1998(input_shape: tuple[int, int, int], classes: int, name: str | None) -> Sequential:
    """See ``LeNet5``."""
    height, width, channels = input_shape
    units, *bitmap = DIGIT_BITMAPS.shape
    if classes != units:
        raise ValueError(
            f'LeNet5(variant="1998") has a bitmap for each of {units} digits; got classes={classes}. For '
            'other classes use variant="modern", or put RBF(classes) on top of model.layers[:-1]'
        )
    if max(height, width) > 32:
        raise ValueError(
            f'LeNet5(variant="1998") takes images up to 32x32; got input_shape={input_shape}. Shrink them, '
            "with layers.Resizing(32, 32) say"
        )
    rows, columns = 32 - height, 32 - width
    seen = [25 * len(maps) for maps in C3_MAPS]
    return Sequential(
        [
            Input(input_shape),
            ZeroPadding2D(
                ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)), name="border"
            ),
            Rescaling(FOREGROUND - BACKGROUND, offset=BACKGROUND, name="range"),  # the border's zeros too
            Conv2D(6, 5, **_units(25 * channels), name="C1"),
            Subsampling2D(2, coefficient_initializer=FanInUniform(2.4, 4), **_squash(4), name="S2"),
            Conv2D(16, 5, connections=C3_MAPS, **_units(seen), name="C3"),
            Subsampling2D(2, coefficient_initializer=FanInUniform(2.4, 4), **_squash(4), name="S4"),
            Conv2D(120, 5, algorithm="im2col", **_units(400), name="C5"),  # its one patch is S4, as it lies
            Flatten(),
            Dense(bitmap[0] * bitmap[1], **_units(120), name="F6"),
            RBF(units, prototypes=DIGIT_BITMAPS.reshape(units, -1), name="output"),
        ],
        name=name,
    )


def _units(fan_in: int | list[int]) -> dict[str, Any]:
    return {"kernel_initializer": FanInUniform(2.4), **_squash(fan_in)}


def _squash(fan_in: int | list[int]) -> dict[str, Any]:
    """A bias is a weight like others: it too starts between ±2.4 / fan_in."""
    return {"bias_initializer": FanInUniform(2.4, fan_in), "activation": "scaled_tanh"}
