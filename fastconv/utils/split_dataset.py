"""Data in two parts, one to learn from and one to validate on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv._core.checks import unsupported_argument
from fastconv._core.randomness import generator_for
from fastconv.utils.py_dataset import PyDataset

_BATCH_SIZE = 32


class _Part(PyDataset):
    """Some of the examples in batches, in their order."""

    def __init__(self, arrays: tuple[Any, ...], alone: bool) -> None:
        super().__init__()
        self._arrays, self._alone = arrays, alone

    def __len__(self) -> int:
        return math.ceil(len(self._arrays[0]) / _BATCH_SIZE)

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} batches, none at {index}")
        place = slice(index * _BATCH_SIZE, (index + 1) * _BATCH_SIZE)
        batch = tuple(array[place] for array in self._arrays)
        return batch[0] if self._alone else batch


def split_dataset(
    dataset: Any,
    left_size: int | float | None = None,
    right_size: int | float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: None = None,
) -> tuple[PyDataset, PyDataset]:
    """Two data sets for ``fit``, of the first examples and of the last.

    >>> left, right = split_dataset((x, y), left_size=0.8)
    >>> model.fit(left, validation_data=right)

    Each makes batches of 32 examples, without mixing them: ``fit`` takes the batches in a new order each
    epoch. ``datasets.Loader`` mixes the examples too.

    Parameters
    ----------
    dataset : an array, or a tuple or list of arrays of the same length, such as (x, y)
    left_size, right_size : how many examples, or a share between 0 and 1; None for those that are left over
    shuffle : mix the examples before they are split
    seed : for the mixing; where None it draws from the global generator
    preferred_backend : there is none to prefer: an error

    Raises TypeError for other data, ValueError for sizes that do not fit.
    """
    if preferred_backend is not None:
        raise unsupported_argument("split_dataset", "preferred_backend")
    alone = hasattr(dataset, "__array__")
    given = (dataset,) if alone else dataset
    if not (isinstance(given, (tuple, list)) and given and all(hasattr(a, "__array__") for a in given)):
        raise TypeError(
            "split_dataset splits an array, or a tuple of arrays such as (x, y); got "
            f"{type(dataset).__name__}"
        )
    arrays = tuple(np.asarray(array) for array in given)
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"split_dataset: the arrays differ in length, their shapes are {shapes}")
    (number,) = lengths
    left, right = _sizes(left_size, right_size, number)
    if shuffle:
        order = generator_for(seed).permutation(number)
        arrays = tuple(array[order] for array in arrays)
    return (
        _Part(tuple(array[:left] for array in arrays), alone),
        _Part(tuple(array[number - right :] for array in arrays), alone),
    )


def _sizes(left: int | float | None, right: int | float | None, number: int) -> tuple[int, int]:
    """Both as numbers of examples."""
    if left is None and right is None:
        raise ValueError("split_dataset needs left_size or right_size, such as left_size=0.8")
    counts = [_count(name, size, number) for name, size in (("left_size", left), ("right_size", right))]
    first = number - counts[1] if left is None else counts[0]
    second = number - counts[0] if right is None else counts[1]
    if first + second > number:
        raise ValueError(f"split_dataset: left_size={left} and right_size={right} are more than {number}")
    if not (first and second):
        raise ValueError(f"split_dataset: nothing is left for one side of {first} and {second} examples")
    return first, second


def _count(name: str, size: int | float | None, number: int) -> int:
    if size is None:
        return 0
    whole = hasattr(size, "__index__") and not isinstance(size, bool)
    if not whole and not isinstance(size, (float, np.floating)):
        raise TypeError(f"split_dataset: {name} is a number of examples or a share, got {size!r}")
    if not 0 < size < (number if whole else 1):
        raise ValueError(
            f"split_dataset: {name} is a number of examples below {number}, or a share between 0 and 1; got "
            f"{size!r}"
        )
    return int(size) if whole else round(size * number)
