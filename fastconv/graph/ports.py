"""The inputs and outputs of a model by their names, and the arrays that are given for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Several(list[Any]):
    """The arrays of several inputs or outputs, in the model's order."""

    @property
    def shape(self) -> list[tuple[int, ...]]:
        return [array.shape for array in self]


class Ports(NamedTuple):
    """The names of a model's inputs and outputs, in order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether there is one of each."""
        return len(self.inputs) == 1 and len(self.outputs) == 1

    def sorted(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """The parts of a batch, or of all data, in the order of inputs and outputs.

        Raises ValueError where a list has another length, or a dictionary other keys. One ``sample_weight``
        is for all outputs.
        """
        x = _in_order(x, self.inputs, "x", "inputs")
        y, sample_weight = self.sorted_targets(y, sample_weight)
        self._check_lengths(x, y, sample_weight)
        return x, y, sample_weight

    def sorted_targets(self, y: Any, sample_weight: Any) -> tuple[Any, Any]:
        """The same of targets and their weights alone."""
        if y is not None:
            y = _in_order(y, self.outputs, "y", "outputs")
        if sample_weight is not None:
            given = sample_weight if _is_nested(sample_weight) else [sample_weight] * len(self.outputs)
            sample_weight = _in_order(given, self.outputs, "sample_weight", "outputs")
        return y, sample_weight

    def _check_lengths(self, x: Any, y: Any, sample_weight: Any) -> None:
        """Raise ValueError, which names the input or output, where one is missing or has another length."""
        parts = [("x", "input", self.inputs, x), ("y", "output", self.outputs, y)]
        parts.append(("sample_weight", "output", self.outputs, sample_weight))
        first: tuple[str, int] | None = None
        for argument, what, names, part in parts:
            for name, array in zip(names, listed(part, len(names)), strict=True):
                if array is None and argument == "x" and isinstance(x, Several):
                    raise ValueError(f"x is None for the input {name!r} of the model")
                count = _count(array)
                if first is None and count is not None:
                    first = f"{argument} of the {what} {name!r}", count
                elif first is not None and count not in (None, first[1]):
                    both = "the arrays of x" if argument == "x" else f"x and {argument}"
                    raise ValueError(
                        f"{both} must have the same length, got {first[1]} ({first[0]}) and "
                        f"{count} ({argument} of the {what} {name!r})"
                    )


def keyed(ports: Ports, inputs: Any, outputs: Any) -> Ports:
    """The same, with the keys for names where the inputs or outputs of the graph are a dictionary."""
    if not isinstance(inputs, Mapping) and not isinstance(outputs, Mapping):
        return ports
    return Ports(_keys(inputs, ports.inputs), _keys(outputs, ports.outputs))


def _keys(nested: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of a dictionary of ``len(names)`` tensors, in their order; else ``names``."""
    keys = tuple(sorted(nested)) if isinstance(nested, Mapping) else ()
    return keys if len(keys) == len(names) else names


def taken(part: Any, which: Any) -> Any:
    """The examples ``which`` of an array, of several, or None of None."""
    return part if part is None else each(part, lambda array: array[which])


def each(part: Any, function: Callable[[Any], Any]) -> Any:
    """``function`` of an array, or of each of several."""
    if isinstance(part, Several):
        return Several(None if array is None else function(array) for array in part)
    return function(part)


def listed(part: Any, count: int = 1) -> list[Any]:
    """The arrays of one or several outputs in a list; None for each of ``count`` where there are none."""
    if part is None:
        return [None] * count
    return list(part) if isinstance(part, Several) else [part]


def length(part: Any) -> int:
    """How many examples there are."""
    return len(part[0]) if isinstance(part, Several) else len(part)


def _count(array: Any) -> int | None:
    """How many examples an array or list has; None for anything else."""
    if isinstance(array, (list, tuple)):
        return len(array)
    shape = getattr(array, "shape", None)
    return shape[0] if shape else None


def _is_nested(part: Any) -> bool:
    if isinstance(part, Mapping):
        return True
    return isinstance(part, (list, tuple)) and any(item is None or np.ndim(item) for item in part)


def by_name(part: Mapping[str, Any], names: Sequence[str], argument: str, what: str) -> list[Any]:
    """The items of a dictionary in the order of ``names``. Raises ValueError where it has other keys."""
    if set(part) != set(names):
        raise ValueError(
            f"{argument} is a dictionary with the keys {sorted(map(str, part))}; the {what} of the model are "
            f"{list(names)}"
        )
    return [part[name] for name in names]


def _in_order(part: Any, names: Sequence[str], argument: str, what: str) -> Any:
    if isinstance(part, Mapping):
        part = by_name(part, names, argument, what)
    elif len(names) == 1:
        return part
    elif not isinstance(part, (list, tuple)) or len(part) != len(names):
        got = f"{len(part)} items" if isinstance(part, (list, tuple)) else type(part).__name__
        raise ValueError(
            f"{argument} must be a list of {len(names)} arrays, or a dictionary: the {what} of the model are "
            f"{list(names)}; got {got}"
        )
    return Several(part) if len(names) > 1 else part[0]
