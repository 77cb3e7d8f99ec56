"""Random small convolutions and poolings, and how far float32 may be from the formula.

Images are 1 to 9 pixels a side (sometimes rows of up to 40, so that tiles of pixels are full more than once),
channel counts lie around the vector lengths 4, 8, 16 and 32, strides may be larger than the kernel and
padding larger than the image. Hypothesis draws the shape; the numbers come from a seeded NumPy generator.

FASTCONV_TEST_EXAMPLES=10 in the environment tests ten times as many shapes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from fastconv._core.geometry import Window, window

SCALE = float(os.environ.get("FASTCONV_TEST_EXAMPLES", "1"))
CHANNELS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 18, 19, 24, 31, 32, 33, 40, 47, 48, 49, 64, 65]
UNIT_ROUNDOFF = 2.0**-24


def examples(count: int) -> settings:
    """Decorator: this many random examples, times FASTCONV_TEST_EXAMPLES."""
    return settings(max_examples=max(1, int(count * SCALE)))


def rounding_bound(scale: np.ndarray | float, terms: int) -> np.ndarray | float:
    """How far a float32 sum of ``terms`` products may be from the exact one.

    ``scale`` is the sum of the products' absolute values: the same operation on the absolute values of its
    inputs. The worst case is terms * u * scale, u = 2**-24. Roundings are as often up as down, so the error
    of a sum in any order grows with the square root of the number of terms (Higham & Mary 2019). A factor 4
    leaves room for the tails. Where scale is 0 nothing was added up, and the result has to be exact.
    """
    return 4 * np.sqrt(terms + 1) * UNIT_ROUNDOFF * scale


def check(actual: np.ndarray, expected: np.ndarray, bound: np.ndarray | float, where: object = "") -> None:
    """Float32, same shape, NaN and infinity in the same places, all else within the bound of the formula."""
    assert actual.dtype == np.float32, where
    assert actual.shape == expected.shape, where
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite].astype(np.float32), str(where))
    error = np.abs(np.where(finite, actual, 0).astype(np.float64) - np.where(finite, expected, 0))
    smallest = np.finfo(np.float32).tiny  # numbers below it have no full digits
    allowed = np.broadcast_to(bound, expected.shape) + smallest
    wrong = ~(error <= allowed) & finite
    if wrong.any():
        at = tuple(map(int, np.argwhere(wrong)[0]))
        raise AssertionError(
            f"{where}: {wrong.sum()} of {wrong.size} wrong, the first at {at}: "
            f"{actual[at]!r}, should be {expected[at]!r} within {allowed[at]:.2g}"
        )


@dataclass(frozen=True)
class Sliding:
    """A window sliding over images: what convolution and pooling have in common."""

    batch: int
    image: tuple[int, int]
    size: tuple[int, int]
    strides: tuple[int, int]
    padding: str | int | tuple
    dilation_rate: tuple[int, int] = (1, 1)

    @property
    def view(self) -> Window:
        return window(self.image, self.size, self.strides, self.padding, self.dilation_rate)

    @property
    def positions(self) -> int:
        return self.batch * self.view.rows.output * self.view.columns.output


@dataclass(frozen=True)
class Convolution:
    sliding: Sliding
    channels_in: int  # of one group
    channels_out: int  # of one group
    groups: int
    seed: int

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (self.sliding.batch, *self.sliding.image, self.groups * self.channels_in)

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        return (*self.sliding.size, self.channels_in, self.groups * self.channels_out)

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return (self.sliding.batch, *self.sliding.view.output_size, self.groups * self.channels_out)

    @property
    def arguments(self) -> dict:
        s = self.sliding
        return {
            "strides": s.strides,
            "padding": s.padding,
            "dilation_rate": s.dilation_rate,
            "groups": self.groups,
        }


@st.composite
def slidings(draw, pooling: bool = False) -> Sliding:
    """An image too small for its window grows until the window fits.

    For pooling there is no dilation, and no padding as wide as the window: some windows would see no pixel.
    """
    image, size, strides, dilation, sides = [], [], [], [], []
    form = draw(st.sampled_from(["valid", "same", "number", "pair", "sides"]))
    long_row = draw(st.integers(0, 5)) == 0
    for axis in range(2):
        n = draw(st.integers(1, 9))
        if long_row:
            n = draw(st.integers(10, 40)) if axis == 1 else min(n, 3)
        f = draw(st.integers(1, 5))
        d = 1 if pooling else draw(st.sampled_from([1, 1, 1, 2, 3]))
        s = draw(st.sampled_from([1, 1, 2, 3, f + 1]))
        before, after = (draw(st.integers(0, f - 1 if pooling else n + 2)) for _ in range(2))
        image.append(n)
        size.append(f)
        strides.append(s)
        dilation.append(d)
        sides.append((before, after))
    padding: str | int | tuple = form
    if form == "number":
        padding = min(sides[0][0], sides[1][0])
        sides = [(padding, padding)] * 2
    elif form == "pair":
        padding = (sides[0][0], sides[1][0])
        sides = [(p, p) for p in padding]
    elif form == "sides":
        padding = tuple(sides)
    if form != "same":
        for axis in range(2):
            reach = (size[axis] - 1) * dilation[axis] + 1
            room = 0 if form == "valid" else sum(sides[axis])
            image[axis] = max(image[axis], reach - room)
    batch = draw(st.sampled_from([1, 1, 2, 3, 0]))
    return Sliding(batch, tuple(image), tuple(size), tuple(strides), padding, tuple(dilation))


@st.composite
def convolutions(draw, most_products: int = 40_000) -> Convolution:
    """At most about ``most_products`` multiplications, since the reference spends 0.1 µs on each."""
    sliding = draw(slidings())
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    room = most_products // (max(sliding.positions, 1) * sliding.size[0] * sliding.size[1] * groups)
    channels = []
    for _ in range(2):
        fitting = [c for c in CHANNELS if c <= room] or [1]
        channels.append(draw(st.sampled_from(fitting)))
        room //= channels[-1]
    if draw(st.booleans()):
        channels.reverse()
    return Convolution(sliding, *channels, groups, draw(st.integers(0, 2**16)))


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.standard_normal(shape, dtype=np.float32)
