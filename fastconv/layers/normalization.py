"""Inputs brought to the range a network likes, by numbers given or found in data before training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.checks import is_real, is_whole
from fastconv.layers._arguments import truth
from fastconv.layers._axes import axes_within, axis_argument, known_sizes
from fastconv.layers.layer import Layer, Shape
from fastconv.ops import _door
from fastconv.parameter import Array, Parameter

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor


class Rescaling(Layer):
    """y = x · scale + offset; ``Rescaling(1/255)`` takes bytes to [0, 1], ``Rescaling(1/127.5, offset=-1)``
    to [-1, 1].

    ``scale`` and ``offset`` are numbers, or one number per channel.
    """

    def __init__(
        self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.scale, self.offset = scale, offset

    @property
    def takes_bytes(self) -> bool:
        """Whether it makes small numbers of 0 to 255, as ``Rescaling(1/255)`` does and a mere shift of
        numbers in [0, 1] does not.
        """
        return bool(np.max(np.abs(self.scale)) < 0.1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def call(self, x: Array, training: bool = False) -> Array:
        scale, offset = np.asarray(self.scale, x.dtype), np.asarray(self.offset, x.dtype)
        self.remember(scale)
        return x * scale + offset

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (scale,) = self.recall()
        return dy * scale if input_gradient else None

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if not (is_real(self.scale) and is_real(self.offset)):
            builder.cut("it has a scale or offset for each channel")
        return builder.scale(x, float(self.scale), float(self.offset))


_LEAST = 1e-7  # of the standard deviation, so that a constant input is divided by no zero
_SMALL = 1e-7  # a variance beside which the square of that is nothing
_NUMBERS_AT_ONCE = 1 << 22  # of an array that it adapts to


class Normalization(Layer):
    """y = (x − mean) / max(√variance, 1e-7), mean and variance being constants that ``adapt`` finds in data.

    The shapes of x and y are the same. Weights, none of which learns: mean and variance, of the sizes along
    ``axis``, and count (), which Keras has too and which stays 0. Where ``mean`` and ``variance`` are given
    there are none.

    Parameters
    ----------
    axis : each index along it, or along each of several, has a mean and variance of its own: -1 is one for
        each channel. None is one for all numbers. Counted with the batch, which is none of them
    mean, variance : numbers, or arrays that fit the sizes along ``axis``; both or neither
    invert : y = x · max(√variance, 1e-7) + mean, the way back

    Raises ValueError for an axis that inputs do not have, and where only one of ``mean`` and ``variance`` is
    given, or they do not fit each other or the inputs.

    >>> layer = Normalization()
    >>> layer.adapt(x_train)
    >>> model = Sequential([Input((4,)), layer, Dense(1)])

    LeCun et al. 1998, *Efficient backprop*, section 4.3.
    """

    adapt_mean: Parameter
    adapt_variance: Parameter
    count: Parameter

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: ArrayLike | None = None,
        variance: ArrayLike | None = None,
        invert: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if axis is None or (not is_whole(axis) and len(tuple(axis)) == 0):  # type: ignore[arg-type]
            self.axis: tuple[int, ...] = ()
        else:
            given = axis_argument(axis, "Normalization: axis")
            self.axis = (given,) if isinstance(given, int) else tuple(given)
        self.invert = truth(invert, "Normalization: invert")
        if (mean is None) != (variance is None):
            raise ValueError(
                f"Normalization: mean and variance belong together, got mean={mean!r} and "
                f"variance={variance!r}"
            )
        self.input_mean = None if mean is None else _constant(mean, "mean")
        self.input_variance = None if variance is None else _constant(variance, "variance")
        if self.input_mean is None or self.input_variance is None:
            return
        if self.input_mean.shape != self.input_variance.shape:
            raise ValueError(
                "Normalization: mean and variance must have the same shape, got "
                f"{self.input_mean.shape} and {self.input_variance.shape}"
            )
        if self.input_mean.ndim > len(self.axis):
            raise ValueError(
                f"Normalization: mean has shape {self.input_mean.shape}, more axes than "
                f"axis={self.axis} names"
            )
        if (self.input_variance < 0).any():
            raise ValueError(f"Normalization: a variance is not negative, got {variance!r}")

    # ---- shapes

    def _kept(self, rank: int) -> tuple[int, ...]:
        """The axes that have means of their own, ascending, for inputs with so many."""
        return tuple(sorted(axes_within(self, list(self.axis), rank))) if self.axis else ()

    def check_input(self, shape: Sequence[int | None]) -> None:
        kept = self._kept(len(shape))
        if self.input_shape is None:
            return
        expected = [self.input_shape[a - 1] for a in self._kept(1 + len(self.input_shape))]
        if [shape[a] for a in kept] != expected:
            raise ValueError(
                f"{self} has means for inputs of size {expected} along axis={self.axis}, got an input of "
                f"shape {tuple(shape)}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = known_sizes(self, self._kept(1 + len(input_shape)), input_shape)
        if self.input_mean is not None:
            try:
                np.broadcast_to(self.input_mean, sizes)
            except ValueError:
                raise ValueError(
                    f"{self}: mean and variance have shape {self.input_mean.shape}, which does not fit the "
                    f"sizes {sizes} of inputs {(None, *input_shape)} along axis={self.axis}"
                ) from None
        return input_shape

    def create_weights(self, input_shape: Shape) -> None:
        if self.input_mean is None:
            sizes = known_sizes(self, self._kept(1 + len(input_shape)), input_shape)
            self.adapt_mean = self.add_weight(sizes, "zeros", name="mean", trainable=False)
            self.adapt_variance = self.add_weight(sizes, "ones", name="variance", trainable=False)
            self.count = self.add_weight((), "zeros", name="count", trainable=False)

    # ---- mean and variance

    @property
    def mean(self) -> Array | None:
        """The mean, of a shape that spreads over the inputs; None before the layer is built."""
        return self._spread(self.input_mean, "adapt_mean")

    @property
    def variance(self) -> Array | None:
        """The variance, likewise."""
        return self._spread(self.input_variance, "adapt_variance")

    def _spread(self, constant: Array | None, weight: str) -> Array | None:
        if self.input_shape is None:
            return None
        kept = self._kept(1 + len(self.input_shape))
        sizes = tuple(self.input_shape[a - 1] for a in kept)
        value = getattr(self, weight).value if constant is None else np.broadcast_to(constant, sizes)
        shape = [n if a in kept else 1 for a, n in enumerate((1, *self.input_shape))]
        return np.asarray(value, _door.dtype()).reshape(shape)

    def adapt(self, data: ArrayLike | Iterable[Any]) -> None:
        """Take mean and (biased) variance from data, in place of those from before.

        ``data`` is an array of examples, or an iterable of batches: arrays, or tuples whose first part is
        one, such as a ``Loader`` or a ``PyDataset``. An iterable is gone through once.

        Raises TypeError for anything else, ValueError where there are no examples, where batches do not fit
        each other or the layer, and for a layer with a ``mean`` and ``variance`` of its own. After an error
        the layer is as it was.
        """
        if self.input_mean is not None:
            raise ValueError(f"{self} has the mean and variance that it was given, and adapts to no data")
        found = _Moments()
        shape: tuple[int, ...] | None = None
        for batch in self._batches(data):
            self.check_input(batch.shape)
            kept = self._kept(batch.ndim)
            sizes = tuple(batch.shape[a] for a in kept)
            if shape is None:
                shape, first = batch.shape[1:], sizes
            elif batch.ndim != 1 + len(shape) or sizes != first:
                raise ValueError(
                    f"{self}: adapt got a batch of shape {batch.shape} after one of {(len(batch), *shape)}: "
                    f"they must have the same sizes along axis={self.axis}"
                )
            found.add(batch, tuple(a for a in range(batch.ndim) if a not in kept))
        if shape is None or not found.count:
            raise ValueError(f"{self}: adapt got no examples to take a mean of")
        if self.input_shape is None:
            self.build(shape)
        self.adapt_mean.value, self.adapt_variance.value = found.mean, found.variance

    def _batches(self, data: Any) -> Iterable[Array]:
        """Arrays of examples."""
        if isinstance(data, np.ndarray) or hasattr(data, "__array__"):
            array = np.asarray(data)
            if array.ndim == 0:
                raise TypeError(f"{self}: adapt takes an array of examples, got a single number")
            rows = max(1, _NUMBERS_AT_ONCE // max(1, prod(array.shape[1:])))
            return (_numbers(self, array[i : i + rows]) for i in range(0, len(array), rows))
        if not hasattr(data, "__iter__") or isinstance(data, (str, bytes, dict)):
            raise TypeError(
                f"{self}: adapt takes an array, or an iterable of batches; got {type(data).__name__}"
            )
        batches = iter(data)
        for first in batches:
            return (_numbers(self, batch) for batch in chain([first], batches))
        raise ValueError(f"{self}: adapt got an empty iterable, and there is nothing to take a mean of")

    # ---- forward and backward

    def call(self, x: Array, training: bool = False) -> Array:
        mean, variance = self.mean, self.variance
        assert mean is not None
        assert variance is not None
        size = np.maximum(np.sqrt(variance), x.dtype.type(_LEAST))
        self.remember(size)
        return x * size + mean if self.invert else (x - mean) / size

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (size,) = self.recall()
        if not input_gradient:
            return None
        return dy * size if self.invert else dy / size

    def lower(self, builder: Builder, x: Tensor) -> Tensor:
        if self.input_mean is not None or self.invert or self._kept(1 + len(x.shape)) != (len(x.shape),):
            builder.cut("it is for other axes than the last, inverted, or of given means")
        variance = self.adapt_variance.value
        if np.any((variance > 0) & (variance < _SMALL)):
            builder.cut("it has a tiny variance")
        # √(variance + 1e-14) is max(√variance, 1e-7), for 0 and for what is not tiny
        return builder.batch_norm(x, None, None, self.adapt_mean, self.adapt_variance, _LEAST**2)

    def count_multiply_adds(self) -> int:
        """One for each number."""
        _, output_shape = self.shapes()
        return prod(output_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": list(self.axis),
            "mean": None if self.input_mean is None else self.input_mean.tolist(),
            "variance": None if self.input_variance is None else self.input_variance.tolist(),
            "invert": self.invert,
        }


class _Moments:
    """Mean and variance of all batches so far, in double precision.

    Those of two sets of n and m examples make those of both: Chan, Golub & LeVeque 1983, *Algorithms for
    computing the sample variance*.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.variance: Any = 0.0

    def add(self, batch: Array, axes: tuple[int, ...]) -> None:
        count = prod(batch.shape[a] for a in axes)
        if not count:
            return
        mean, variance = batch.mean(axes, np.float64), batch.var(axes, np.float64)
        self.count += count
        share, step = count / self.count, mean - self.mean
        self.mean = self.mean + share * step
        self.variance = (1 - share) * self.variance + share * variance + share * (1 - share) * step * step


def _numbers(layer: Normalization, batch: Any) -> Array:
    """A batch's examples."""
    examples = batch[0] if isinstance(batch, tuple) and batch else batch
    if np.ndim(examples) == 0:
        raise TypeError(
            f"{layer}: adapt takes batches that are arrays of examples; got one of {type(examples).__name__}"
        )
    return _door.array(examples, f"{layer}: a batch for adapt")


def _constant(given: ArrayLike, name: str) -> Array:
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Normalization: {name} must hold numbers, got {given!r}")
    return array.astype(np.float32)
