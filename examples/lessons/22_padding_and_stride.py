"""Lesson 22: padding and stride: how large the map is, and which pixels have a say in it.

A filter of f pixels that moves s pixels at a time over n of them stops at

    valid   ⌊(n − f) / s⌋ + 1 places: it never leaves the image
    same    ⌈n / s⌉ places: zeros around the image, the odd one at the bottom and on the right

The claims: these formulas; that without padding the image shrinks from layer to layer and its border has less
of a say than its middle; that padding with zeros keeps the size. This lesson counts how often each pixel is
read (the gradient of the sum of a map, made with a filter of ones, is that number), finds those that are
never read, and looks at what the zeros of the padding do to the border, layer by layer.

python examples/lessons/22_padding_and_stride.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _pictures import frame, matrix, picture

from fastconv import ops

# (pixels, filter, stride, padding): those that the figure shows
SHOWN = ((7, 3, 1, "valid"), (7, 3, 1, "same"), (7, 4, 1, "same"),
         (8, 3, 2, "valid"), (8, 3, 2, "same"), (8, 2, 3, "valid"))  # fmt: skip


def places(n: int, f: int, s: int, padding: str) -> int:
    """The formulas above: how many places the filter stops at."""
    return -(-n // s) if padding == "same" else (n - f) // s + 1


def zeros_around(n: int, f: int, s: int, padding: str) -> tuple[int, int]:
    """How many zeros come before and after: as many as the last place lacks, the odd one after."""
    if padding == "valid":
        return 0, 0
    missing = max((places(n, f, s, padding) - 1) * s + f - n, 0)
    return missing // 2, missing - missing // 2


def times_read(n: int, f: int, s: int, padding: str) -> np.ndarray:
    """(n, n): in how many windows of f×f each pixel is."""
    maps, ones = places(n, f, s, padding), np.ones((f, f, 1, 1), np.float32)
    sums = np.ones((1, maps, maps, 1), np.float32)
    return ops.conv2d_backward_data(sums, ones, (1, n, n, 1), s, padding)[0, :, :, 0]


def draw_times_read() -> None:
    """The counts, with the padding around them, and the first and the last window."""
    fig, axes = figure(rows=2, columns=3, height=3.3)
    for axis, (n, f, s, padding) in zip(axes.flat, SHOWN, strict=True):
        before, after = zeros_around(n, f, s, padding)
        counts = np.pad(times_read(n, f, s, padding), (before, after), constant_values=np.nan)
        stops = places(n, f, s, padding)
        title = f"{n}×{n}, {padding}, filter {f}×{f}, stride {s}: {stops}×{stops}"
        axis.set_facecolor("0.85")  # seen where there is no count: in the padding
        matrix(axis, counts, title, limit=20)
        for row, column in np.argwhere(counts == 0):
            frame(axis, row, column, 1, 1, "black", 1.2)
        last = (stops - 1) * s
        frame(axis, 0, 0, f, f)
        frame(axis, last, last, f, f, "tab:green")
    fig.suptitle(
        "How many windows read each pixel (grey: padding; orange, green: first and last window)", fontsize=11
    )
    save(fig, chosen.out, "22_times_read")


def blurred(layers: int, size: int = 28) -> np.ndarray:
    """An even white image after so many filters that take the mean of 3×3, with padding of zeros."""
    image, mean = np.ones((1, size, size, 1), np.float32), np.full((3, 3, 1, 1), 1 / 9, np.float32)
    for _ in range(layers):
        image = ops.conv2d(image, mean, padding="same")
    return image[0, :, :, 0]


def draw_borders(depths: tuple[int, ...]) -> None:
    """What is left of an even image behind layers with zero padding, and its size without."""
    fig, axes = figure(columns=len(depths) + 2, height=2.5)
    for axis, depth in zip(axes[0], depths, strict=False):
        picture(axis, blurred(depth), f"after {depth} layer{'s' * (depth > 1)}", vmin=0, vmax=1)
    for depth in depths:
        axes[0, -2].plot(blurred(depth)[14], label=f"{depth}")
    axes[0, -2].set(title="the middle row", ylim=(0, 1.05), xlabel="column")
    axes[0, -2].legend(fontsize=8, title="layers", title_fontsize=8, loc="lower center")
    for f in (3, 5, 7):
        axes[0, -1].plot([28 - (f - 1) * depth for depth in range(27 // (f - 1) + 1)], label=f"{f}×{f}")
    axes[0, -1].set(title="without padding", xlabel="layers", ylabel="size", ylim=(0, 29))
    axes[0, -1].legend(fontsize=8)
    for axis in axes[0, -2:]:
        axis.title.set_fontsize(10)
    save(fig, chosen.out, "22_borders")


def settings(largest: int) -> list[tuple[int, int, int, str]]:
    """All (n, f, s, padding) up to that size that have an output."""
    sizes = range(1, largest + 1)
    every = product(sizes, range(1, 8), range(1, 6), ("valid", "same"))
    return [(n, f, s, padding) for n, f, s, padding in every if f <= n or padding == "same"]


def column(values: Any) -> np.ndarray:
    """Numbers as an image of one column: (1, n, 1, 1)."""
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


chosen = options(__doc__)
random = np.random.default_rng(chosen.seed)
draw_times_read()
draw_borders((1, 4, 12))

every = settings(10 if chosen.quick else 20)
wrong_sizes = wrong_values = odd = unread_wrong = with_unread = 0
for n, f, s, padding in every:
    x, kernel = column(random.standard_normal(n)), random.standard_normal((f, 1, 1, 1)).astype(np.float32)
    y = ops.conv2d(x, kernel, strides=(s, 1), padding=padding)
    before, after = zeros_around(n, f, s, padding)
    by_hand = column(np.pad(x.ravel(), (before, after)))
    wrong_sizes += y.shape[1] != places(n, f, s, padding)
    wrong_values += not np.array_equal(y, ops.conv2d(by_hand, kernel, strides=(s, 1)))
    odd += after > before
    # Gaps between windows, and what is left over behind the last one.
    gaps = (places(n, f, s, padding) - 1) * max(s - f, 0)
    left_over = max(n - (places(n, f, s, padding) - 1) * s - f, 0)
    unread = int((times_read(n, f, s, padding).max(0) == 0).sum())
    unread_wrong += unread != gaps + left_over
    with_unread += unread > 0
verdict(
    "valid makes ⌊(n−f)/s⌋+1 of n pixels, same ⌈n/s⌉",
    f"{len(every)} combinations of n, f ≤ 7, s ≤ 5 and padding tried, {wrong_sizes} were of another size",
    wrong_sizes == 0,
)
verdict(
    "same is a border of zeros, half of them before, the odd one after",
    f"with zeros added by hand and then no padding, {wrong_values} of {len(every)} results differ in a "
    f"bit; in {odd} the number of zeros was odd",
    wrong_values == 0 and odd > 0,
)
verdict(
    "every pixel has a say",
    f"not so in {with_unread} of {len(every)} combinations: a stride larger than the filter leaves gaps of "
    "s − f "
    f"pixels, and valid leaves (n − f) mod s over at the end. That this is all: {unread_wrong} exceptions. "
    f"8 pixels, filter 2, stride 3: {int((times_read(8, 2, 3, 'valid') == 0).sum())} of 64 pixels are "
    "never read",
    with_unread == 0,
)
valid, same = times_read(28, 3, 1, "valid"), times_read(28, 3, 1, "same")
verdict(
    "without padding the border has less of a say, and with padding of zeros more",
    f"28×28, filter 3×3: a corner is read {valid[0, 0]:g} time without padding and {same[0, 0]:g} times "
    "with it, a "
    f"pixel inside {valid[9, 9]:g} times. After {(28 - 1) // 2} layers without padding 28×28 pixels are "
    f"{28 - 2 * ((28 - 1) // 2)}×{28 - 2 * ((28 - 1) // 2)}, and no further 3×3 fits",
    valid[0, 0] < same[0, 0] < same[9, 9],
)
first, last = blurred(1), blurred(12)
verdict(
    "padding with zeros does not change the picture",
    f"it does: of an even image of ones, filtered by means of 3×3, the corner is {first[0, 0]:.2f} after "
    "one layer "
    f"and {last[0, 0]:.2f} after 12, when {np.mean(last < 0.999):.0%} of all pixels have lost something. "
    "The border tells a network where it is",
    bool(np.allclose(last, 1)),
)
