"""What all pictures share: their size, their colours, images at the right aspect, and many in one.

Nothing here imports matplotlib before something is drawn.
"""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.checks import unknown_name
from fastconv.parameter import Array

WIDTH = 9.0  # inches of 100 dots: as wide as a notebook
DOTS_PER_INCH = 100
TITLE, SMALL = 10, 8  # points: above all of it, and among the images
LETTER = 0.57  # how wide a letter is, as a share of its points

# Okabe & Ito 2008, "Color Universal Design": to be told apart by everybody.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SIGNED = "RdBu_r"  # blue below zero, white, red above
UNSIGNED = "gray"  # black is zero
BETWEEN = "0.7"  # behind white tiles, lest they run into each other


def new_figure(
    width: float = WIDTH,
    height: float = 4.0,
    *,
    figure: Any = None,
    title: str | None = None,
    arranged: bool = True,
) -> Any:
    """``figure``, or where that is None a new one of so many inches.

    Its parts are laid out without overlap where ``arranged``. Raises ImportError, which says what to install,
    where matplotlib is missing.
    """
    if figure is None:
        try:
            from fastconv.visualize._picture import Picture
        except ImportError as error:
            raise ImportError("pictures need matplotlib: python -m pip install 'fastconv[plot]'") from error
        figure = Picture(
            figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained" if arranged else None
        )
    if title is not None:
        figure.suptitle(fitted(title, width_of(figure), TITLE), fontsize=TITLE)
    return figure


def width_of(figure: Any) -> float:
    """Inches: of ``figure``, or, where that is None, of a new one."""
    return WIDTH if figure is None else float(figure.bbox.width / figure.dpi)


def fitted(text: str, inches: float, points: float = SMALL) -> str:
    """``text`` with its lines broken so that letters of ``points`` take at most about so many inches."""
    letters = max(int(inches * 72 / (LETTER * points)), 8)
    lines = [textwrap.wrap(line, letters, break_on_hyphens=False) or [""] for line in text.split("\n")]
    return "\n".join(line for broken in lines for line in broken)


def whole_epochs(axes: Any) -> None:
    """Ticks of the x axis at whole numbers only, however few there are."""
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def plain_axes(axes: Any) -> None:
    """Axes for curves and bars: a light grid, no box."""
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


# ---- images


def show_image(axes: Any, image: ArrayLike, title: str | None = None) -> Any:
    """Draw an input image, whatever range its values are in; returns matplotlib's image."""
    return _draw(axes, as_picture(image), title, cmap="gray", vmin=0, vmax=1)


def show_numbers(
    axes: Any,
    numbers: Array,
    title: str | None = None,
    limit: float | None = None,
    signed: bool | None = None,
) -> Any:
    """Draw numbers (H, W) as colours, the strongest for ``limit``, or the largest size; NaN stays empty.

    Where some are below zero, or ``signed`` says so, blue is negative, white zero and red positive; else
    black is zero. Returns matplotlib's image.
    """
    limit = largest(numbers) if limit is None else limit
    signed = bool((numbers < 0).any()) if signed is None else signed
    return _draw(
        axes, numbers, title, cmap=SIGNED if signed else UNSIGNED, vmin=-limit if signed else 0, vmax=limit
    )


def _draw(axes: Any, pixels: Array, title: str | None, **options: Any) -> Any:
    drawn = axes.imshow(pixels, interpolation="nearest", aspect="equal", **options)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if title is not None:
        axes.set_title(title, fontsize=SMALL)
    return drawn


def as_picture(image: ArrayLike) -> Array:
    """An image (H, W), (H, W, 1) or (H, W, 3) as matplotlib shows it: (H, W) or (H, W, 3) in 0..1.

    Bytes are divided by 255, values in 0..1 stay, others (centred, standardized) are stretched so that the
    least is 0 and the largest 1. Raises ValueError for other shapes.
    """
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] != 3):
        raise ValueError(f"a picture is (H, W), (H, W, 1) or (H, W, 3), got {np.shape(image)}")
    if pixels.dtype == np.uint8:
        return pixels / np.float32(255)
    pixels = pixels.astype(np.float32)
    low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
    if low >= 0 and high <= 1:
        return pixels
    return (pixels - low) / ((high - low) or 1)


def as_colors(numbers: Array) -> Array:
    """Signed (..., 3) as colours: zero is grey, the largest size black or full."""
    return 0.5 + numbers / (2 * largest(numbers))


# ---- many images in one


def mosaic(images: ArrayLike, columns: int, gap: int = 1) -> Array:
    """Images (N, H, W) or (N, H, W, 3) in rows of ``columns``, as one image with empty lines between.

    What is empty is NaN. One image is drawn much faster than N, and its tiles cannot differ in size. Tile n
    begins at ``tile_corner(n, ...)``.
    """
    tiles = np.asarray(images, np.float32)
    n, h, w = tiles.shape[:3]
    rows = math.ceil(n / columns)
    whole = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, *tiles.shape[3:]), np.nan, np.float32)
    for number, tile in enumerate(tiles):
        top, left = tile_corner(number, columns, (h, w), gap)
        whole[top : top + h, left : left + w] = tile
    return whole


def enlarged(tiles: Array, times: int) -> Array:
    """(N, H, W, ...) with each pixel as a square of ``times`` × ``times``, so that gaps can be finer."""
    return tiles.repeat(times, axis=1).repeat(times, axis=2)


def even_columns(number: int, most: int) -> int:
    """How many tiles to put in a row, ``most`` or less, so that the rows are about equally long."""
    rows = math.ceil(number / most)
    return math.ceil(number / rows)


def tile_corner(number: int, columns: int, size: tuple[int, int], gap: int = 1) -> tuple[int, int]:
    """(top, left) of a tile of ``mosaic``, in its pixels."""
    row, column = divmod(number, columns)
    return row * (size[0] + gap), column * (size[1] + gap)


def scaled(maps: Array, scale: str) -> Array:
    """(N, ...) with scale "each": each of the N divided by its largest size, so that a weak one can be seen.

    With "all" they are as they were. ValueError for another word.
    """
    if scale not in ("each", "all"):
        raise unknown_name("scale", scale, ["each", "all"])
    if scale == "all":
        return maps
    sizes = np.array([largest(each) for each in maps], maps.dtype)
    return maps / sizes.reshape(-1, *[1] * (maps.ndim - 1))


def largest(numbers: Array) -> float:
    """The largest size among the numbers that are not NaN; 1 where all are zero."""
    return float(np.nanmax(np.abs(numbers), initial=0)) or 1.0


def first_of(shown: int, number: int, what: str) -> str:
    """``1 unit``, ``16 units``, or ``the first 16 of 256 units`` where not all are shown."""
    if shown < number:
        return f"the first {shown} of {number} {what}s"
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
