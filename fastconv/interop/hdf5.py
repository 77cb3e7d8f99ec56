"""HDF5 files as Keras writes them: read in Python as trees of groups and arrays, and written by h5py.

HDF5's own library crashes on damaged files, and opens other files where a file says so. Here a file is a
string of bytes, every address in it is checked, and no place is read twice: whatever the bytes are, the end
is a tree or a ValueError. Read is what Keras writes, the oldest form of the format, which all versions of
h5py write unless told otherwise: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html

    superblock       where the root group is
    object header    messages: what a group or an array is, its attributes, where its numbers are
    B-tree, heap     the names in a group, and the addresses of their object headers
    global heap      texts of any length
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv.parameter import Array

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = 0xFFFFFFFFFFFFFFFF
_DEEPEST = 100  # groups inside groups


class Stored(NamedTuple):
    """An array in a file: its shape and type, and its numbers as bytes."""

    place: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: memoryview

    def read(self) -> Array:
        """The numbers, in the file's memory."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


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


def read(data: bytes, place: str) -> Group:
    """The tree in the bytes of a file. The numbers of arrays stay where they are until somebody asks.

    Raises ValueError that begins with ``place`` for what is no HDF5 file, is damaged, refers to other files
    or is of a form that Keras does not write.
    """
    try:
        return _Reader(data, place).root()
    except _Refused:
        raise
    # What damaged bytes lead to.
    except (ValueError, TypeError, LookupError, ArithmeticError, struct.error, RecursionError) as error:
        raise _Refused(f"{place} is damaged, or no HDF5 file: {error}") from error


class _Refused(ValueError):
    """What is wrong with a file, in words."""


class _Type(NamedTuple):
    """The type of an element: ``dtype`` of numbers and of texts of one length; texts of any length."""

    dtype: np.dtype[Any] | None
    size: int
    is_text: bool = False


class _Message(NamedTuple):
    """A part of an object header."""

    kind: int
    body: memoryview


_SPACE, _LINK_INFO, _TYPE, _EXTERNAL, _LINK, _LAYOUT, _FILTERS = 0x01, 0x02, 0x03, 0x07, 0x06, 0x08, 0x0B
_ATTRIBUTE, _CONTINUED, _TABLE, _ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x15
_SHARED = 0x02  # a flag: the message is elsewhere


class _Reader:
    def __init__(self, data: bytes, place: str) -> None:
        self.data, self.place = memoryview(data), place
        self.seen: set[int] = set()
        self.heaps: dict[int, dict[int, memoryview]] = {}
        self.text_left = len(data)  # texts take no more room than the file has

    # ---- bytes

    def take(self, address: int, count: int) -> memoryview:
        if not 0 <= address <= address + count <= len(self.data):
            raise _Refused(f"{self.place} is damaged: it ends before byte {address + count:,}")
        return self.data[address : address + count]

    def unpack(self, layout: str, address: int) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(address, struct.calcsize("<" + layout)))

    def once(self, address: int, what: str) -> None:
        if address in self.seen:
            raise _Refused(f"{what} stands in two places of the file, or in itself")
        self.seen.add(address)

    def check(self, address: int, signature: bytes, what: str) -> None:
        if self.take(address, len(signature)) != signature:
            raise _Refused(f"{self.place} is damaged, or no HDF5 file: {what} is missing")

    # ---- groups

    def root(self) -> Group:
        self.check(0, _SIGNATURE, "the signature")
        version, _, _, _, _, offsets, lengths = self.unpack("7B", 8)
        if version > 1:
            raise _Refused(
                f"{self.place} is of a newer form of HDF5 (superblock {version}) than Keras writes: open it "
                "with h5py and copy it into h5py.File(path, 'w')"
            )
        start = 24 if version == 0 else 28
        base, _, _, _, _, header = self.unpack("6Q", start)
        if (offsets, lengths, base) != (8, 8, 0):
            raise _Refused(f"{self.place}: addresses of other than 8 bytes, counted from 0, are not read")
        root = self.object(header, self.place, 0)
        if not isinstance(root, Group):
            raise _Refused(f"{self.place} is damaged: its root is no group")
        return root

    def object(self, header: int, place: str, depth: int) -> Group | Stored:
        self.once(header, place)
        if depth > _DEEPEST:
            raise _Refused(f"{self.place}: groups in it are nested too deeply")
        messages = list(self.messages(header))
        kinds = {message.kind for message in messages}
        if _LAYOUT in kinds:
            return self.stored(messages, place)
        found = Group(place, {}, {}, self.attributes(messages, place))
        for message in messages:
            names = self.names(message, place)
            for name, address in names:
                item = self.object(address, f"{place}/{name}", depth + 1)
                (found.groups if isinstance(item, Group) else found.arrays)[name] = item  # type: ignore[assignment]
        return found

    def names(self, message: _Message, place: str) -> Iterator[tuple[str, int]]:
        """What is in a group: names and addresses of object headers."""
        if message.kind == _TABLE:
            tree, heap = struct.unpack("<2Q", message.body[:16])
            self.check(heap, b"HEAP", "a heap of names")
            size, _, start = self.unpack("3Q", heap + 8)
            yield from self.symbols(tree, self.take(start, size), place)
        elif message.kind == _LINK:
            yield self.link(message.body, place)
        elif message.kind == _LINK_INFO:
            flags = message.body[1]
            start = 10 if flags & 1 else 2
            if struct.unpack("<Q", message.body[start : start + 8])[0] != _NOWHERE:
                raise _Refused(f"{place} is of a newer form of HDF5 than Keras writes")

    def symbols(self, node: int, names: memoryview, place: str) -> Iterator[tuple[str, int]]:
        self.once(node, place)
        self.check(node, b"TREE", "a tree of names")
        kind, _, count = self.unpack("2BH", node + 4)
        if kind != 0:
            raise _Refused(f"{self.place} is damaged: a tree of names holds something else")
        for number in range(count):
            (child,) = self.unpack("Q", node + 24 + 8 + 16 * number)
            if self.take(child, 4) == b"TREE":
                yield from self.symbols(child, names, place)
                continue
            self.once(child, place)
            self.check(child, b"SNOD", "a list of names")
            (symbols,) = self.unpack("H", child + 6)
            for symbol in range(symbols):
                offset, header, cached = self.unpack("2QI", child + 8 + 40 * symbol)
                name = _until_zero(names[offset:])
                if cached == 2:
                    raise _Refused(f"{place}/{name} is a link to another place, which is not followed")
                yield name, header

    def link(self, body: memoryview, place: str) -> tuple[str, int]:
        flags, at = body[1], 2
        kind = 0
        if flags & 8:
            kind, at = body[at], at + 1
        at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        length, at = int.from_bytes(body[at : at + width], "little"), at + width
        name = bytes(body[at : at + length]).decode()
        if kind != 0:
            raise _Refused(f"{place}/{name} is a link to another place or file, which is not followed")
        return name, struct.unpack("<Q", body[at + length : at + length + 8])[0]

    # ---- object headers

    def messages(self, header: int) -> Iterator[_Message]:
        version, _, _, _, size = self.unpack("2BHII", header)
        if version != 1:
            raise _Refused(f"{self.place} is damaged, or of a newer form of HDF5 than Keras writes")
        blocks = [self.take(header + 16, size)]
        while blocks:
            block = blocks.pop(0)
            while len(block) >= 8:
                kind, length, flags = struct.unpack("<2HB", block[:5])
                body = block[8 : 8 + length]
                if len(body) < length:
                    raise _Refused(f"{self.place} is damaged: a part of an object header is cut off")
                if flags & _SHARED:
                    raise _Refused(f"{self.place}: named types are not read; Keras writes none")
                if kind == _CONTINUED:
                    address, size = struct.unpack("<2Q", body[:16])
                    self.once(address, "an object header")
                    blocks.append(self.take(address, size))
                elif kind != 0:
                    yield _Message(kind, body)
                block = block[8 + length :]

    # ---- arrays

    def stored(self, messages: list[_Message], place: str) -> Stored:
        found = {message.kind: message.body for message in messages}
        if _EXTERNAL in found:
            raise _Refused(f"{place}: its numbers are in another file, which is not opened")
        shape, kind, layout = _shape(found[_SPACE]), _element(found[_TYPE]), found[_LAYOUT]
        if layout[0] != 3 or layout[1] > 1 or _FILTERS in found:
            raise _Refused(
                f"{place} is stored in pieces or packed, as Keras never does: copy it with h5py, without "
                "chunks and compression"
            )
        dtype = kind.dtype if kind.dtype is not None else np.dtype((np.void, kind.size))
        if layout[1] == 0:
            (size,) = struct.unpack("<H", layout[2:4])
            data = layout[4 : 4 + size]
        else:
            address, size = struct.unpack("<2Q", layout[2:18])
            data = self.take(0, 0) if address == _NOWHERE else self.take(address, size)
        claimed = prod(shape) * dtype.itemsize
        if claimed > len(data):
            raise _Refused(f"{place} claims {claimed:,} bytes of numbers, and the file has {len(data):,}")
        return Stored(place, shape, dtype, data[:claimed])

    # ---- attributes

    def attributes(self, messages: list[_Message], place: str) -> dict[str, Any]:
        found = {}
        for kind, body in messages:
            if kind == _ATTRIBUTE_INFO and struct.unpack("<Q", body[-16:-8])[0] != _NOWHERE:
                raise _Refused(f"{place} is of a newer form of HDF5 than Keras writes")
            if kind == _ATTRIBUTE:
                name, value = self.attribute(body)
                found[name] = value
        return found

    def attribute(self, body: memoryview) -> tuple[str, Any]:
        version = body[0]
        sizes = struct.unpack("<3H", body[2:8])
        at = 9 if version == 3 else 8
        parts = []
        for size in sizes:
            parts.append(body[at : at + size])
            at += -(-size // 8) * 8 if version == 1 else size
        name, element, shape = _until_zero(parts[0]), _element(parts[1]), _shape(parts[2])
        return name, self.values(body[at:], element, shape)

    def values(self, data: memoryview, element: _Type, shape: tuple[int, ...]) -> Any:
        """Texts, and None for anything else."""
        count = prod(shape)
        if not element.is_text or len(shape) > 1:
            return [] if shape == (0,) else None
        if element.size * count > len(data):
            raise _Refused(f"{self.place} is damaged: an attribute is cut off")
        pieces = [
            data[start : start + element.size] for start in range(0, element.size * count, element.size)
        ]
        texts = [self.text(piece, element) for piece in pieces]
        return texts if shape else texts[0]

    def text(self, piece: memoryview, element: _Type) -> str:
        if element.dtype is None:
            length, heap, number = struct.unpack("<IQI", piece)
            piece = self.heap(heap)[number][:length] if length else piece[:0]
        self.text_left -= len(piece)
        if self.text_left < 0:
            raise _Refused(f"{self.place} is damaged: its texts are longer than the file")
        return bytes(piece).rstrip(b"\0").decode()

    def heap(self, address: int) -> dict[int, memoryview]:
        if address not in self.heaps:
            self.check(address, b"GCOL", "a heap of texts")
            (size,) = self.unpack("Q", address + 8)
            block, found, at = self.take(address, size), {}, 16
            while at + 16 <= size:
                number, _, _, length = struct.unpack("<2HIQ", block[at : at + 16])
                if number == 0:
                    break
                found[number] = block[at + 16 : at + 16 + length]
                at += 16 + -(-length // 8) * 8
            self.heaps[address] = found
        return self.heaps[address]


def _until_zero(data: memoryview) -> str:
    return bytes(data[:_LONGEST_NAME]).partition(b"\0")[0].decode()


_LONGEST_NAME = 1 << 16


def _shape(body: memoryview) -> tuple[int, ...]:
    version, rank = body[0], body[1]
    if version == 2 and body[3] == 2:  # nothing at all
        return (0,)
    start = 8 if version == 1 else 4
    return struct.unpack(f"<{rank}Q", body[start : start + 8 * rank])


_EXPONENTS = {2: 5, 4: 8, 8: 11}  # bits of a float's exponent, by its size in bytes


def _element(body: memoryview) -> _Type:
    kind, flags, size = body[0] & 15, body[1], struct.unpack("<I", body[4:8])[0]
    order = ">" if flags & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return _Type(np.dtype(f"{order}{'i' if flags & 8 else 'u'}{size}"), size)
    if kind == 1 and size in _EXPONENTS and body[13] == _EXPONENTS[size]:
        return _Type(np.dtype(f"{order}f{size}"), size)
    if kind == 3 and 0 < size < _LONGEST_NAME:
        return _Type(np.dtype(f"S{size}"), size, is_text=True)
    if kind == 9 and flags & 15 == 1 and size == 16:
        return _Type(None, size, is_text=True)
    return _Type(None, min(size, _LONGEST_NAME))


# ---- writing ------------------------------------------------------------------------------------


def h5py() -> Any:
    """The module. ImportError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("files for Keras are written by h5py: pip install 'fastconv[keras]'") from error
    return h5py


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
