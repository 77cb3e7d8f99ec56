"""Lesson 21: two filters of 7×7 and what they make of a photograph.

The first filter is a vertical line of ones with zeros around it, the second a horizontal one. The claims: the
neurons of a feature map all use the same filter, and the map shows which parts of the image look like it:
with the vertical line, vertical lines stand out and the rest is blurred; the horizontal one does the
opposite. This lesson draws both maps, and measures what is kept and what is blurred. And it asks whether the
map is large *where there are lines*: filters of zeros and ones are large wherever it is bright, and only when
the surroundings count against the line (weights that add up to zero) does the map show lines.

The photograph is matplotlib's, or one of your own:

python examples/lessons/21_line_filters.py [--image FILE] [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _photograph import photograph
from _pictures import picture

from fastconv import ops

SIZE = 7
LINES = ("vertical", "horizontal")


def line_filters() -> np.ndarray:
    """A vertical and a horizontal line of ones in the middle of zeros: (7, 7, 1, 2)."""
    filters = np.zeros((SIZE, SIZE, 1, 2), np.float32)
    filters[:, SIZE // 2, 0, 0] = 1
    filters[SIZE // 2, :, 0, 1] = 1
    return filters


def against_surroundings(filters: np.ndarray) -> np.ndarray:
    """The same lines, less the mean of each filter: all weights of a filter add up to zero."""
    return filters - filters.mean((0, 1), keepdims=True)


def maps(image: np.ndarray, filters: np.ndarray, activation: str | None = None) -> np.ndarray:
    """The feature maps (H − 6, W − 6, filters): no padding."""
    return ops.conv2d(image[None, :, :, None], filters, activation=activation)[0]


def contrast(image: np.ndarray, axis: int) -> float:
    """The mean difference between neighbours in the same row (``axis`` 1) or the same column (0)."""
    return float(np.abs(np.diff(image.astype(np.float64), axis=axis)).mean())


def windows(image: np.ndarray) -> np.ndarray:
    """All windows of 7×7: (H − 6, W − 6, 7, 7)."""
    return np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), (SIZE, SIZE))


def correlation(map_: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, over all places: 1 where one map is the other but for scale and offset."""
    return float(np.corrcoef(map_.ravel(), other.ravel())[0, 1])


def draw(image: np.ndarray, spread: np.ndarray, plain: np.ndarray, zero_sum: np.ndarray) -> None:
    """The photograph and the four maps, each with its filter in the corner."""
    fig, axes = figure(rows=2, columns=3, height=3.75)
    picture(axes[0, 0], image, "the photograph", vmin=0, vmax=1)
    picture(axes[1, 0], spread, "deviation within each 7×7 window", vmin=0)
    rows = (
        (plain, line_filters(), "{} line of ones"),
        (zero_sum, against_surroundings(line_filters()), "{}, sum 0, ReLU"),
    )
    for row, (found, filters, title) in zip(axes, rows, strict=True):
        for k, (axis, line) in enumerate(zip(row[1:], LINES, strict=True)):
            # The brightest hundredth may burn out, so that the rest can be seen.
            picture(axis, found[:, :, k], title.format(line), vmin=0, vmax=np.quantile(found[:, :, k], 0.99))
            corner = axis.inset_axes((0.74, 0.02, 0.24, 0.24))
            picture(corner, filters[:, :, 0, k])
            corner.spines[:].set(visible=True, color="tab:orange", linewidth=2)
    save(fig, chosen.out, "21_feature_maps")


chosen = options(__doc__, image=True)
image = photograph(chosen.image, 150 if chosen.quick else 300)
plain = maps(image, line_filters())
zero_sum = maps(image, against_surroundings(line_filters()), "relu")
brightness, spread = windows(image).mean((-2, -1)), windows(image).std((-2, -1))
print(f"a photograph of {image.shape[0]}×{image.shape[1]} pixels, two filters of 7×7: maps of {plain.shape}")
draw(image, spread, plain, zero_sum)

kept = {
    (line, axis): contrast(plain[:, :, k] / SIZE, axis) / contrast(image, axis)
    for k, line in enumerate(LINES)
    for axis in (0, 1)
}
verdict(
    "the vertical filter keeps vertical lines and blurs the rest, the horizontal one the opposite",
    "of the contrast between neighbours in a row, which is what vertical lines make, the vertical filter "
    f"keeps {kept['vertical', 1]:.0%}, the horizontal one {kept['horizontal', 1]:.0%}; of that between "
    f"neighbours in a column {kept['vertical', 0]:.0%} and {kept['horizontal', 0]:.0%}",
    kept["vertical", 1] > kept["horizontal", 1] and kept["vertical", 0] < kept["horizontal", 0],
)

bright = [correlation(plain[:, :, k], brightness) for k in range(2)]
verdict(
    "a map is large where the image looks like the filter",
    "with zeros and ones it is large where it is bright: the maps' correlation with the mean of each 7×7 "
    f"window is {bright[0]:.2f} (vertical) and {bright[1]:.2f} (horizontal)",
    max(bright) < 0.5,
)
bright, lines = ([correlation(zero_sum[:, :, k], what) for k in range(2)] for what in (brightness, spread))
wall = maps(np.full((9, 9), 0.5, np.float32), against_surroundings(line_filters()))
verdict(
    "with weights that add up to 0 it is",
    f"the correlation with brightness is {bright[0]:.2f} and {bright[1]:.2f}, with the deviation within "
    "the window "
    f"{lines[0]:.2f} and {lines[1]:.2f}; to an even grey wall these filters answer {np.abs(wall).max():.3f}, "
    f"those of ones {0.5 * SIZE}",
    max(bright) < 0.5 and min(lines) > max(bright),
)
