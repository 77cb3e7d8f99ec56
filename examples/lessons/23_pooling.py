"""Lesson 23: pooling, what it keeps, where the gradient goes, and how much a shift it forgives.

A window of 2×2 moves two pixels at a time over each map and keeps one number of four: the largest, or the
mean. The claims: it quarters a map, channel by channel, and has nothing to learn; backward, the maximum sends
its gradient to the one pixel that won (on a tie to the first), the mean a quarter to each; and what comes out
hardly depends on small shifts of the image. This lesson does the arithmetic on a matrix of 4×4, and then
measures the last claim on shifted digits.

python examples/lessons/23_pooling.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from _figures import COLORS, figure, save
from _lesson import options, verdict
from _pictures import frame, matrix, picture

import fastconv as fc
from fastconv import ops

MATRIX = np.array([[3, 4, -2, -1],
                   [-2, 0, 1, 2],
                   [1, -2, 2, 6],
                   [0, 8, 3, 5]])  # fmt: skip
ABOVE = np.array([[1, 2],
                  [3, 4]])  # fmt: skip
TIED = np.array([[5, 5], [5, 5]])
SHIFTS = range(7)


def one_map(values: np.ndarray) -> np.ndarray:
    """(H, W) as one image of one channel, (1, H, W, 1)."""
    return np.asarray(values, np.float32)[None, :, :, None]


def forward_and_backward() -> dict[str, np.ndarray]:
    """Both kinds of pooling of the matrix, and what becomes of a gradient from above."""
    x, dy = one_map(MATRIX), one_map(ABOVE)
    largest, winners = ops.max_pool2d(x)
    pooled = {
        "maximum": largest,
        "average": ops.avg_pool2d(x),
        "gradient through the maximum": ops.max_pool2d_backward(dy, winners, x.shape),
        "gradient through the average": ops.avg_pool2d_backward(dy, x.shape),
    }
    return {name: array[0, :, :, 0] for name, array in pooled.items()}


def draw(pooled: dict[str, np.ndarray]) -> None:
    """Forward above, backward below; windows and what comes of them in the same colour."""
    fig, axes = figure(rows=2, columns=3, height=3.2)
    pictures = {"x": MATRIX, **pooled, "gradient from above": ABOVE}
    backward = "gradient from above", "gradient through the maximum", "gradient through the average"
    for axis, name in zip(axes.flat, ("x", "maximum", "average", *backward), strict=True):
        values = pictures[name]
        matrix(axis, values, name, limit=20 if axis in axes[0] else 10, size=13)
        cells = len(values) // 2  # of one window
        for color, (i, j) in zip(COLORS, np.ndindex(2, 2), strict=False):
            inset = 0.06  # so that neighbouring frames can both be seen
            frame(axis, i * cells + inset, j * cells + inset, cells - 2 * inset, cells - 2 * inset, color)
    save(fig, chosen.out, "23_pooling")


def maxima(pixels: int) -> Callable[[np.ndarray], np.ndarray]:
    """Max pooling with windows of that many pixels a side."""
    return lambda images: ops.max_pool2d(images, pixels)[0]


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pixels": lambda images: images,
    "mean of 2×2": lambda images: ops.avg_pool2d(images, 2),
    "maximum of 2×2": maxima(2),
    "maximum of 4×4": maxima(4),
    "maximum of 7×7": maxima(7),
    "maximum of all": maxima(28),
}


def shifted(images: np.ndarray, columns: int) -> np.ndarray:
    """The images moved to the right, with zeros coming in."""
    return np.pad(images, ((0, 0), (0, 0), (columns, 0), (0, 0)))[:, :, : images.shape[2]]


def change(features: Callable[[np.ndarray], np.ndarray], images: np.ndarray, columns: int) -> float:
    """‖features(shifted) − features‖ / ‖features‖, the mean over the images."""
    before, after = (features(x).reshape(len(x), -1) for x in (images, shifted(images, columns)))
    return float(np.mean(np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)))


def draw_shifted(digit: np.ndarray) -> None:
    """A digit (1, H, W, 1), shifted pixel by pixel, and the maxima of its windows."""
    fig, axes = figure(rows=2, columns=5, height=2.1)
    unmoved = maxima(2)(digit)[0, :, :, 0]
    for s, (above, below) in enumerate(axes.T):
        pooled = maxima(2)(shifted(digit, s))[0, :, :, 0]
        picture(above, shifted(digit, s)[0, :, :, 0], f"shifted by {s}", cmap="gray_r")
        same = np.mean((pooled == unmoved)[(pooled > 0) | (unmoved > 0)])
        picture(below, pooled, f"{same:.0%} as before" if s else "maxima of 2×2", cmap="gray_r")
        for axis in (above, below):
            axis.spines[:].set(visible=True, color="0.7")
    save(fig, chosen.out, "23_shifted_digit")


def draw_changes(images: np.ndarray) -> dict[str, list[float]]:
    """How much a shift changes what comes out, for each kind of pooling."""
    changes = {name: [change(features, images, s) for s in SHIFTS] for name, features in FEATURES.items()}
    fig, axes = figure(height=3.8)
    for name, curve in changes.items():
        axes[0, 0].plot(SHIFTS, curve, marker="o", markersize=3, label=name)
    axes[0, 0].set(xlabel="shift in pixels", ylabel="change, relative to what was there", ylim=(-0.05, None))
    axes[0, 0].legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    save(fig, chosen.out, "23_shifts")
    return changes


chosen = options(__doc__)
pooled = forward_and_backward()
draw(pooled)
print(f"x = {MATRIX.tolist()}, gradient from above {ABOVE.tolist()}")
for name, values in pooled.items():
    print(f"{name}: {values.tolist()}")
print()
layer = fc.layers.MaxPooling2D(2)
layer.build((4, 4, 1))
verdict(
    "pooling quarters a map and has nothing to learn",
    f"4×4 becomes {pooled['maximum'].shape[0]}×{pooled['maximum'].shape[1]}: the maxima are "
    f"{pooled['maximum'].tolist()}, the means {pooled['average'].tolist()}; a layer of it has "
    f"{layer.count_params()} parameters",
    pooled["maximum"].tolist() == [[4, 2], [8, 6]] and pooled["average"].tolist() == [[1.25, 0], [1.75, 4]],
)
winners = {(0, 1): 1, (1, 3): 2, (3, 1): 3, (2, 3): 4}  # where 4, 2, 8 and 6 are, and what comes from above
to_winners = np.zeros((4, 4))
for place, gradient in winners.items():
    to_winners[place] = gradient
shares = np.kron(ABOVE, np.full((2, 2), 0.25))
verdict(
    "backward, the maximum sends all to the pixel that won, the mean a quarter to each",
    f"{np.count_nonzero(pooled['gradient through the maximum'])} of 16 pixels get a gradient through the "
    f"maximum, {np.count_nonzero(pooled['gradient through the average'])} through the mean; both add up to "
    f"{pooled['gradient through the maximum'].sum():g} and "
    f"{pooled['gradient through the average'].sum():g}, which is what came from above, {ABOVE.sum()}",
    np.array_equal(pooled["gradient through the maximum"], to_winners)
    and np.array_equal(pooled["gradient through the average"], shares),
)
_, winner = ops.max_pool2d(one_map(TIED))
to_first = ops.max_pool2d_backward(one_map(np.ones((1, 1))), winner, (1, 2, 2, 1))[0, :, :, 0]
verdict(
    "on a tie the first maximum wins",
    f"four fives: the winner is number {winner.item()}, and the gradient goes to {to_first.tolist()}",
    to_first.tolist() == [[1, 0], [0, 0]],
)

(digits, _), _ = fc.datasets.digits.load_data()
digits = (digits[: 200 if chosen.quick else 1442, :, :, None] / 255).astype(np.float32)
draw_shifted(digits[:1])
changes = draw_changes(digits)
print(f"{'change by a shift of':24}" + "".join(f"{s:8d}" for s in SHIFTS))
for name, curve in changes.items():
    print(f"{name:24}" + "".join(f"{value:8.3f}" for value in curve))
print()
before, after = maxima(2)(digits), maxima(2)(shifted(digits, 1))
ink = (before > 0) | (after > 0)
verdict(
    "what max pooling puts out hardly depends on small shifts",
    f"of {len(digits)} digits shifted by one pixel, the maxima of 2×2 change by "
    f"{changes['maximum of 2×2'][1]:.0%} where the pixels themselves change by {changes['pixels'][1]:.0%}; "
    f"{np.mean((before == after)[ink]):.0%} of the "
    f"maxima that see ink stay the same. It takes windows of 7×7 ({changes['maximum of 7×7'][1]:.0%}), or "
    f"one for the whole map ({changes['maximum of all'][1]:.0%}), which no longer says where",
    changes["maximum of 2×2"][1] < 0.5 * changes["pixels"][1],
)
verdict(
    "the maximum forgives more than the mean",
    f"shifted by one pixel, means of 2×2 change by {changes['mean of 2×2'][1]:.0%}, maxima by "
    f"{changes['maximum of 2×2'][1]:.0%}",
    changes["maximum of 2×2"][1] < changes["mean of 2×2"][1],
)
by_two = maxima(2)(shifted(digits, 2))
verdict(
    "shifted by its stride, the map moves by one",
    f"shifted by 2 pixels, maps of 2×2 maxima are those before moved by 1, but for "
    f"{np.mean(by_two != shifted(before, 1)):.0%} of their values; shifted by 1 pixel they are neither the "
    "same nor moved in "
    f"{np.mean((after != before) & (after != shifted(before, 1)) & ink) / np.mean(ink):.0%} "
    "of those that see ink",
    np.array_equal(by_two, shifted(before, 1)),
)
