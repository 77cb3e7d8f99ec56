"""Along which axes a dropout mask is the same."""

from __future__ import annotations

from typing import Any

from fastconv.layers._arguments import whole

NoiseShape = tuple[int | None, ...]


def noise_shape_argument(layer: str, noise_shape: Any) -> NoiseShape | None:
    """The argument ``noise_shape`` as a tuple of sizes and None, or ValueError."""
    if noise_shape is None:
        return None
    if isinstance(noise_shape, str) or not hasattr(noise_shape, "__iter__"):
        raise ValueError(
            f"{layer}: noise_shape must be a list of sizes, as (None, 1, 1, 8); got {noise_shape!r}"
        )
    return tuple(None if n is None else whole(n, f"{layer}: every size of noise_shape") for n in noise_shape)


def concrete_shape(layer: object, noise_shape: NoiseShape, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``noise_shape`` with the sizes of an input of ``shape`` for None; ValueError where they do not fit."""
    fits = len(noise_shape) == len(shape) and all(
        n in (None, 1, size) for n, size in zip(noise_shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{layer}: noise_shape {noise_shape} does not fit an input of shape {shape}: each of its sizes "
            "must be 1, None or the input's"
        )
    return tuple(size if n is None else n for n, size in zip(noise_shape, shape, strict=True))
