"""Images shifted, turned and zoomed at random while training: an affine map for each image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import ops
from fastconv._core.checks import unknown_name
from fastconv.layers.augmentation import Augmentation, Factor, factor_range, plain_factor
from fastconv.ops.images import FILL_MODES, INTERPOLATIONS
from fastconv.parameter import Array


class RandomAffine(Augmentation):
    """Base of RandomTranslation, RandomRotation and RandomZoom. A subclass overrides ``maps``.

    Parameters
    ----------
    fill_mode : what stands for pixels from outside (a b c d being a row of the image): "reflect" c b a|a b c
        d|d c b, "nearest" a a|a b c d|d d, "wrap" c d|a b c d|a b, "constant" ``fill_value``
    interpolation : "bilinear" blends four pixels, "nearest" takes one
    """

    def __init__(
        self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        if fill_mode not in FILL_MODES:
            raise unknown_name(f"{type(self).__name__} fill_mode", fill_mode, FILL_MODES)
        if interpolation not in INTERPOLATIONS:
            raise unknown_name(f"{type(self).__name__} interpolation", interpolation, INTERPOLATIONS)
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = float(fill_value)

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        """(a0, a1, a2, b0, b1, b2), numbers or (N,): where the output pixel (w, h) comes from, as
        (a0·w + a1·h + a2, b0·w + b1·h + b2).
        """
        raise NotImplementedError(f"{type(self).__name__} has no maps(shape, random)")

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        transform = np.zeros((shape[0], 8))
        for column, numbers in enumerate(self.maps(shape, random)):
            transform[:, column] = numbers
        return (transform,)

    def apply(self, x: Array, transform: Array) -> Array:
        return ops.affine_transform(x, transform, self.interpolation, self.fill_mode, self.fill_value)

    def apply_backward(self, dy: Array, x: Array, transform: Array) -> Array:
        return ops.affine_transform_backward(dy, transform, x.shape, self.interpolation, self.fill_mode)


class RandomTranslation(RandomAffine):
    """Training: y[h, w] = x[h − v·H, w − u·W], v and u drawn for each image. Else y = x.

    Parameters
    ----------
    height_factor, width_factor : v and u, shares of the image's size: uniform in [−f, f] for a number f, in
        [lower, upper] for a pair. Positive is down, and to the right
    fill_mode, interpolation, fill_value : as in ``RandomAffine``
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **options)
        self.height_factor, self.width_factor = plain_factor(height_factor), plain_factor(width_factor)
        self._vertical = factor_range(height_factor, "RandomTranslation: height_factor")
        self._horizontal = factor_range(width_factor, "RandomTranslation: width_factor")

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        down, right = H * random.uniform(*self._vertical, N), W * random.uniform(*self._horizontal, N)
        return 1, 0, -right, 0, 1, -down


class RandomRotation(RandomAffine):
    """Training: each image is turned about its center by an angle θ of its own. Else y = x.

    With (w, h) counted from the center ((W−1)/2, (H−1)/2), y[h, w] = x[h cos θ + w sin θ, w cos θ − h sin θ]

    Parameters
    ----------
    factor : θ in turns of 360°: uniform in [−f, f] for a number f, in [lower, upper] for a pair. Positive is
        counter-clockwise
    fill_mode, interpolation, fill_value : as in ``RandomAffine``
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **options)
        self.factor = factor_range(factor, "RandomRotation: factor")

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        angle = 2 * np.pi * random.uniform(*self.factor, N)
        cos, sin, x, y = np.cos(angle), np.sin(angle), (W - 1) / 2, (H - 1) / 2
        return cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos


class RandomZoom(RandomAffine):
    """Training: each image is zoomed about its center by factors of its own. Else y = x.

    With (w, h) counted from the center ((W−1)/2, (H−1)/2), y[h, w] = x[(1 + v) h, (1 + u) w]

    Parameters
    ----------
    height_factor : v, uniform in [−f, f] for a number f, in [lower, upper] for a pair, all above −1. Positive
        zooms out, negative in
    width_factor : u, likewise; None makes u = v, which keeps the shape of things
    fill_mode, interpolation, fill_value : as in ``RandomAffine``
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **options)
        self.height_factor, self.width_factor = plain_factor(height_factor), plain_factor(width_factor)
        self._vertical = factor_range(height_factor, "RandomZoom: height_factor", above=True)
        self._horizontal = None
        if width_factor is not None:
            self._horizontal = factor_range(width_factor, "RandomZoom: width_factor", above=True)

    def maps(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        rows = columns = 1 + random.uniform(*self._vertical, N)
        if self._horizontal is not None:
            columns = 1 + random.uniform(*self._horizontal, N)
        return columns, 0, (1 - columns) * (W - 1) / 2, 0, rows, (1 - rows) * (H - 1) / 2
