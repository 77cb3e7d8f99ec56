"""Images changed at random while training: mirrored, lit otherwise, with parts taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv._core.checks import is_real, unknown_name
from fastconv.layers._arguments import check_data_format
from fastconv.layers.layer import Shape
from fastconv.layers.random_layer import RandomLayer, numbers_of
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor

Factor = float | Sequence[float]  # how much a layer may change an image: a number, or a range of numbers

_AXES = {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}


def factor_range(
    factor: Any, name: str, least: float = -1.0, most: float = 1.0, *, above: bool = False
) -> tuple[float, float]:
    """(lower, upper): the two numbers given, or −f and f for a single number f.

    Raises ValueError, which begins with ``name``, for numbers outside [least, most], or for ``least`` itself
    where they must lie ``above`` it.
    """
    given = (factor,) if np.ndim(factor) == 0 else tuple(factor)
    if not all(map(is_real, given)) or len(given) not in (1, 2) or not all(least <= f <= most for f in given):
        fits = False
    else:
        fits = not above or least not in given
    if not fits:
        raise ValueError(
            f"{name} must be a number or a pair of numbers from {least:g}{' (exclusive)' if above else ''} "
            f"to {most:g}; got {factor!r}"
        )
    if len(given) == 1:
        return -abs(float(given[0])), abs(float(given[0]))
    lower, upper = sorted(map(float, given))
    return lower, upper


def plain_factor(factor: Factor | None) -> Any:
    """A factor as a number, or a list of numbers; None for None."""
    return np.asarray(factor).tolist() if factor is not None else None


def value_range_of(given: Any, name: str) -> tuple[float, float]:
    """(least, most) that a pixel may be, in order; a ValueError that begins with ``name`` otherwise."""
    try:
        low, high = (float(value) for value in given)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two numbers, got {given!r}") from None
    return min(low, high), max(low, high)


class Augmentation(RandomLayer):
    """Base of the random layers: while training no image is shown twice in the same way. Otherwise y = x.

    They learn nothing and go first in a model, or into a ``fastconv.utils.Loader``. Called by themselves, as
    ``layer(images)``, they are at work: ``training`` is True unless said otherwise.

    A subclass overrides ``roll``, which rolls the dice for a batch, ``apply``, and ``apply_backward``, the
    adjoint. Random numbers do not depend on the number of threads.
    """

    input_rank: int | None = 4
    training_by_itself = True

    _lower_takes = frozenset({"roll", "apply", "apply_backward", "at_rest"})

    def __init__(self, seed: int | None = None, data_format: str | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        check_data_format(data_format, type(self).__name__)

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        """What to do to each image of a batch of this shape."""
        raise NotImplementedError(f"{type(self).__name__} has no roll(shape, random)")

    def apply(self, x: Array, *drawn: Any) -> Array:
        """Do to the images x what was drawn."""
        raise NotImplementedError(f"{type(self).__name__} has no apply(x, ...)")

    def apply_backward(self, dy: Array, x: Array, *drawn: Any) -> Array:
        """dx, from dy and what ``apply`` was given."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_backward(dy, x, ...)")

    def at_rest(self, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
        """What to do instead of ``roll`` while not training; None for nothing."""
        return None

    def call(self, x: Array, training: bool = False) -> Array:
        if self.is_random(training):
            drawn: tuple[Any, ...] | None = self.roll(x.shape, numbers_of(self.draw()))
        else:
            drawn = self.at_rest(x.shape)
        self.remember(x, drawn)
        return x if drawn is None else self.apply(x, *drawn)

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        x, drawn = self.recall()
        if not input_gradient:
            return None
        return dy if drawn is None else self.apply_backward(dy, x, *drawn)

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.is_random(builder.training) or self.at_rest((1, *x.shape)) is not None:
            builder.cut("it changes images")
        return x


class RandomFlip(Augmentation):
    """Training: each image is mirrored with probability ½. Else y = x.

    Parameters
    ----------
    mode : "horizontal" (left and right change places), "vertical" (top and bottom), or
        "horizontal_and_vertical" (both at once, as in Keras 3: half of the images stand on their heads)
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, data_format, **options)
        if mode not in _AXES:
            raise unknown_name("RandomFlip mode", mode, _AXES)
        self.mode = mode

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        return (random.random(shape[0]) < 0.5,)

    def apply(self, x: Array, flipped: Array) -> Array:
        y = x.copy()
        y[flipped] = np.flip(x[flipped], _AXES[self.mode])
        return y

    def apply_backward(self, dy: Array, x: Array, flipped: Array) -> Array:
        return self.apply(dy, flipped)  # a mirror image of a mirror image is the image


class RandomColor(Augmentation):
    """Base of RandomBrightness and RandomContrast. A subclass overrides ``roll``, ``change`` and its adjoint.

    value_range : (least, most) that a pixel may be; what is beyond after the change is clipped
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        name = type(self).__name__
        self.value_range = value_range_of(value_range, f"{name}: value_range")
        self.factor = self._factors(factor, f"{name}: factor")

    def _factors(self, factor: Factor, name: str) -> tuple[float, float]:
        """(lower, upper) of the argument; ValueError that begins with ``name`` where it does not fit."""
        return factor_range(factor, name)

    def change(self, x: Array, amount: Array) -> Array:
        """The new values, before they are clipped; ``amount`` is (N, 1, 1, 1)."""
        raise NotImplementedError(f"{type(self).__name__} has no change(x, amount)")

    def change_backward(self, dy: Array, amount: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no change_backward(dy, amount)")

    def apply(self, x: Array, amount: Array) -> Array:
        return np.clip(self.change(x, amount.astype(x.dtype)), *self.value_range)

    def apply_backward(self, dy: Array, x: Array, amount: Array) -> Array:
        """Clipped pixels have no say."""
        low, high = self.value_range
        y, amount = self.change(x, amount.astype(x.dtype)), amount.astype(dy.dtype)
        return self.change_backward(np.where((low <= y) & (y <= high), dy, dy.dtype.type(0)), amount)


class RandomBrightness(RandomColor):
    """Training: y = x + δ (high − low), δ drawn for each image, clipped to [low, high]. Else y = x.

    Parameters
    ----------
    factor : δ, uniform in [−f, f] for a number f, in [lower, upper] for a pair; −1 is black, 1 is white
    value_range : (low, high): (0, 255) unless said otherwise, (0, 1) behind a ``Rescaling(1/255)``
    """

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        low, high = self.value_range
        return (random.uniform(*self.factor, (shape[0], 1, 1, 1)) * (high - low),)

    def change(self, x: Array, amount: Array) -> Array:
        return x + amount

    def change_backward(self, dy: Array, amount: Array) -> Array:
        return dy


class RandomContrast(RandomColor):
    """Training: y = m + κ (x − m), m the mean of the image's channel, clipped to [low, high]. Else y = x.

    Parameters
    ----------
    factor : κ, drawn for each image, is uniform in [1 − f, 1 + f] for a number f, in [1 − lower, 1 + upper]
        for a pair; all from 0 to 1
    value_range : (low, high): (0, 255) unless said otherwise, (0, 1) behind a ``Rescaling(1/255)``
    """

    def _factors(self, factor: Factor, name: str) -> tuple[float, float]:
        lower, upper = factor_range(factor, name, least=0)
        return abs(lower), upper

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        lower, upper = self.factor
        return (random.uniform(1 - lower, 1 + upper, (shape[0], 1, 1, 1)),)

    def change(self, x: Array, amount: Array) -> Array:
        mean = x.mean(axis=(1, 2), keepdims=True)
        return (x - mean) * amount + mean

    def change_backward(self, dy: Array, amount: Array) -> Array:
        return dy * amount + (1 - amount) * dy.mean(axis=(1, 2), keepdims=True)


class RandomErasing(Augmentation):
    """Training: a rectangle of some of the images is filled with something else. Otherwise y = x.

    For each image of height H and width W

        its sides are √a · H and √b · W, with a and b uniform in ``scale``, and its place is uniform in the
        image it is erased with probability p, uniform in ``factor``

    The gradient of what is erased is 0.

    Parameters
    ----------
    factor : p, uniform in [0, f] for a number f, in [lower, upper] for a pair
    scale : a and b, likewise
    fill_value : a number, or one for each channel; None for noise: normal, with mean 0 and a standard
        deviation of the upper end of ``value_range``. It is clipped to ``value_range``
    value_range : (low, high): (0, 255) unless said otherwise, (0, 1) behind a ``Rescaling(1/255)``

    Raises ValueError for factors and scales outside [0, 1], and for a ``fill_value`` that does not fit.

    Zhong et al. 2020, *Random erasing data augmentation*, section 3.2 and algorithm 1.
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, data_format, **options)
        self.factor = _share(factor, "RandomErasing: factor")
        self.scale = _share(scale, "RandomErasing: scale")
        self.value_range = value_range_of(value_range, "RandomErasing: value_range")
        given = fill_value if isinstance(fill_value, (list, tuple)) else [fill_value]
        if fill_value is not None and not (given and all(map(is_real, given))):
            raise ValueError(
                f"RandomErasing: fill_value must be a number, or one for each channel; got {fill_value!r}"
            )
        self.fill_value = fill_value

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        given = self.fill_value
        if isinstance(given, (list, tuple)) and len(given) not in (1, input_shape[-1]):
            raise ValueError(
                f"{self}: fill_value={self.fill_value!r} must be a number, or one for each of the "
                f"{input_shape[-1]} channels"
            )
        return input_shape

    def roll(self, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
        N, H, W, _ = shape
        (smallest, largest), (rarest, oftenest) = self.scale, self.factor
        sides = np.sqrt(random.uniform(smallest, largest, (N, 2))) * (H, W)
        starts = random.uniform(0, 1, (N, 2)) * (np.array([H, W]) - sides)
        rows, columns = (
            (start <= np.arange(size)) & (np.arange(size) < start + side)
            for size, start, side in zip((H, W), starts.T[..., None], sides.T[..., None], strict=True)
        )
        erased = random.uniform(0, 1, N) < random.uniform(rarest, oftenest, N)
        mask = (erased[:, None, None] & rows[:, :, None] & columns[:, None])[..., None]
        fill = self.fill_value
        if fill is None:
            fill = random.standard_normal(shape, dtype=np.float32) * np.float32(self.value_range[1])
        return mask, np.clip(fill, *self.value_range)

    def apply(self, x: Array, mask: Array, fill: Array) -> Array:
        return np.where(mask, fill.astype(x.dtype), x)

    def apply_backward(self, dy: Array, x: Array, mask: Array, fill: Array) -> Array:
        return np.where(mask, dy.dtype.type(0), dy)


def _share(given: Factor, name: str) -> list[float]:
    """[lower, upper]: the two numbers given, or 0 and f for a single number f."""
    lower, upper = factor_range(given, name, 0.0)
    return [max(lower, 0.0), upper]
