"""Tables of connections: which input maps each filter of a convolution sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.checks import is_whole
from fastconv.initializers import GlorotUniform, InitializerFunction
from fastconv.parameter import Array

ConnectionsLike = NDArray[Any] | Sequence[Sequence[int]]


class Connections:
    """The input maps of each filter.

    ``given`` is a table, an array (input maps, filters) of booleans or of 0 and 1, or for each filter the
    list of its maps: ``[[0, 1, 2], [1, 2, 3]]``. Not every map need be seen, but every filter sees one.
    """

    def __init__(self, given: ConnectionsLike, filters: int) -> None:
        self._table_maps: int | None = None
        if isinstance(given, np.ndarray):
            self.maps = _from_table(given, filters)
            self._table_maps = given.shape[0]
        else:
            self.maps = _from_lists(given, filters)

    def table(self, input_maps: int) -> NDArray[np.bool_]:
        """(input maps, filters): whether filter k sees map c. Raises ValueError where they are too few."""
        most = max(map(max, self.maps))
        if self._table_maps not in (None, input_maps):
            raise ValueError(
                f"connections is a table for {self._table_maps} input channels, the input has {input_maps}"
            )
        if most >= input_maps:
            raise ValueError(
                f"connections has input channel {most}, but the input has channels 0 to {input_maps - 1}"
            )
        table = np.zeros((input_maps, len(self.maps)), bool)
        for k, maps in enumerate(self.maps):
            table[maps, k] = True
        return table

    def start(
        self, initializer: InitializerFunction | None, kernel_size: tuple[int, int], table: Array
    ) -> Array:
        """The first kernel (KH, KW, connections): each filter as in a convolution of so many maps as it sees.

        That is what decides its fan-in. Where all filters see all maps it is the dense kernel.
        """
        initializer = initializer or GlorotUniform()
        filters = len(self.maps)
        dense = np.zeros((*kernel_size, *table.shape), np.float32)
        for seen in sorted({len(maps) for maps in self.maps}):
            drawn = np.asarray(initializer((*kernel_size, seen, filters)))
            for k in range(filters):
                if len(self.maps[k]) == seen:
                    dense[:, :, self.maps[k], k] = drawn[..., k]
        return dense[:, :, table]


def _from_table(table: NDArray[Any], filters: int) -> list[list[int]]:
    if table.ndim != 2 or table.shape[1] != filters or table.dtype.kind not in "biuf":
        raise ValueError(
            f"a table of connections has shape (input channels, filters) = (C, {filters}); got an array "
            f"of {table.dtype}, shape {table.shape}. For lists of channels leave out np.array"
        )
    if not np.isin(table, (0, 1)).all():
        raise ValueError("a table of connections holds booleans, or 0 and 1; for channel numbers give lists")
    return [_checked(np.flatnonzero(column).tolist(), k) for k, column in enumerate(table.T)]


def _from_lists(given: Any, filters: int) -> list[list[int]]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(maps, (list, tuple)) for maps in given):
        raise TypeError(
            "connections must be a table, an array (input channels, filters) of booleans, or a list of the "
            f"input channels of each filter, such as [[0, 1], [1, 2]]; got {type(given).__name__}"
        )
    if len(given) != filters:
        raise ValueError(f"connections lists the channels of {len(given)} filters, but there are {filters}")
    return [_checked(maps, k) for k, maps in enumerate(given)]


def _checked(maps: Sequence[Any], k: int) -> list[int]:
    whole = all(is_whole(c) and int(c) >= 0 for c in maps)
    if not whole:
        raise ValueError(
            f"connections: the channels of filter {k} must be whole numbers from 0; got {list(maps)}"
        )
    if not maps:
        raise ValueError(f"connections: filter {k} has no input channel; every filter needs one")
    if len(set(maps)) < len(maps):
        raise ValueError(f"connections: filter {k} lists a channel twice: {list(maps)}")
    return sorted(int(c) for c in maps)
