"""HDF5 files, read as trees of groups and arrays, and written.

A file is not trusted: links to other files, cycles, arrays that are stored elsewhere and arrays that claim
more numbers than the file holds are errors. Nothing is read of an array before somebody asks for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv.parameter import Array


def h5py() -> Any:
    """The module. ImportError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("Keras' files need h5py: pip install 'fastconv[keras]'") from error
    return h5py


class Stored(NamedTuple):
    """An array in a file: its shape and type, and the way to its numbers."""

    place: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    handle: Any

    def read(self) -> Array:
        """The numbers. ValueError where the file does not hold them."""
        with _damage(self.place):
            return np.asarray(self.handle[()])


class Group(NamedTuple):
    """A group in a file: what is in it, by name, and its attributes: texts and lists of texts."""

    place: str
    groups: dict[str, Group]
    arrays: dict[str, Stored]
    attributes: dict[str, Any]

    def find(self, path: str) -> Group | None:
        """The group at "a/b/c" below this one."""
        group: Group | None = self
        for name in path.split("/"):
            group = group and group.groups.get(name)
        return group

    def array(self, path: str) -> Stored | None:
        """The array at "a/b/c" below this one."""
        above, _, name = path.rpartition("/")
        group = self.find(above) if above else self
        return group and group.arrays.get(name)

    def text(self, name: str) -> str | None:
        """The attribute of this name, where it is a text."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[str] | None:
        """The attribute that is a list of texts. A long one stands in several: name0, name1, ..."""
        parts = [self.attributes[name]] if name in self.attributes else []
        while name not in self.attributes and f"{name}{len(parts)}" in self.attributes:
            parts.append(self.attributes[f"{name}{len(parts)}"])
        if not parts or not all(isinstance(part, list) for part in parts):
            return None
        return [text for part in parts for text in part]


@contextmanager
def opened(data: bytes, place: str) -> Iterator[Group]:
    """The tree in the bytes of a file. Arrays can be read as long as the context lasts.

    Raises ValueError that begins with ``place`` for what is no HDF5 file, is damaged, or refers to other
    files; ImportError without h5py.
    """
    library = h5py()
    with _damage(place):
        file = library.File(io.BytesIO(data), "r")
    try:
        with _damage(place):
            tree = _Reader(library).group(file, place)
        yield tree
    finally:
        with _damage(place):
            file.close()


class _Refused(ValueError):
    """What is wrong with a file, in words."""


@contextmanager
def _damage(place: str) -> Iterator[None]:
    try:
        yield
    except _Refused:
        raise
    # What h5py raises for damaged files is of many kinds.
    except Exception as error:
        raise _Refused(f"{place} is damaged, or no HDF5 file: {error}") from error


class _Reader:
    def __init__(self, library: Any) -> None:
        self.library = library
        self.seen: set[Any] = set()

    def group(self, group: Any, place: str) -> Group:
        address = self.library.h5o.get_info(group.id).addr
        if address in self.seen:
            raise _Refused(f"{place}: a group in the file stands in two places, or in itself")
        self.seen.add(address)
        found = Group(place, {}, {}, self._attributes(group))
        for name in group:
            below = f"{place}/{name}"
            link = group.get(name, getlink=True)
            if not isinstance(link, self.library.HardLink):
                raise _Refused(f"{below} is a link to another place or file, which is not followed")
            item = group[name]
            if isinstance(item, self.library.Group):
                found.groups[name] = self.group(item, below)
            elif isinstance(item, self.library.Dataset):
                found.arrays[name] = self._array(item, below)
        return found

    def _attributes(self, group: Any) -> dict[str, Any]:
        return {name: _text(group.attrs[name]) for name in group.attrs}

    def _array(self, item: Any, place: str) -> Stored:
        if item.external or item.is_virtual:
            raise _Refused(f"{place}: its numbers are in another file, which is not opened")
        shape, dtype = item.shape, item.dtype
        if shape is None or dtype.kind not in "biuf":
            return Stored(place, shape or (), dtype, item)
        claimed, stored = prod(shape) * dtype.itemsize, item.id.get_storage_size()
        packed = item.id.get_create_plist().get_nfilters() > 0
        if claimed > (_MOST_PACKED * stored + _ALWAYS if packed else stored):
            raise _Refused(f"{place} claims {claimed:,} bytes of numbers, and the file has {stored:,}")
        return Stored(place, tuple(shape), dtype, item)


_MOST_PACKED = 100  # times
_ALWAYS = 1 << 20  # bytes that a packed array may have however small it is packed


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray):
        return [_text(part) for part in value.tolist()] if value.ndim == 1 else None
    return value


def written(arrays: Mapping[str, Array], attributes: Mapping[str, Mapping[str, str]]) -> bytes:
    """The bytes of a file that holds the arrays, by their paths, and texts: {group: {name: text}}."""
    memory = io.BytesIO()
    with h5py().File(memory, "w") as file:
        for place, texts in attributes.items():
            group = file.require_group(place) if place else file
            for name, text in texts.items():
                group.attrs[name] = text
        for place, array in arrays.items():
            file.create_dataset(place, data=array)
    return memory.getvalue()
