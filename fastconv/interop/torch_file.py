"""Tensors in PyTorch's files, read without PyTorch and without running anything.

A ``.pt`` file is a zip archive: the numbers of each storage, and a pickle, a program that puts tensors
together. That program is not run by Python's ``pickle``, which may call anything. ``_Machine`` here knows the
few instructions that a dictionary of tensors takes, and what a name in the program stands for is looked up in
one table: nothing is imported and nothing is called.
"""

from __future__ import annotations

import os
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.files import read_arrays
from fastconv.interop.archives import Archive
from fastconv.parameter import Array

_PICKLED = (".pt", ".pth", ".bin", ".ckpt")


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The tensors in a ``.safetensors`` or ``.pt`` file, by name and in order.

    Of a checkpoint with several dictionaries it is the one named ``state_dict``, ``model_state_dict`` or
    ``model``. Raises ValueError for a file that is damaged, that holds anything but tensors, numbers and
    texts (the message names it), or that ends in something else.
    """
    suffix = Path(path).suffix
    if suffix == ".safetensors":
        try:
            return read_arrays(path, "safetensors file", lambda texts: None)[0]
        except (TypeError, AttributeError) as error:  # bfloat16, which NumPy has not
            raise ValueError(f"{path}: {error}: save the tensors as float32") from error
    if suffix not in _PICKLED:
        raise ValueError(f"{path}: expected a file of PyTorch's, .safetensors or {', '.join(_PICKLED)}")
    archive = Archive(path, "file of PyTorch's (one by PyTorch before 1.6 must be saved again)")
    pickles = [name for name in archive.names if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise ValueError(f"{path} is no file of PyTorch's: it has no data.pkl")
    folder = pickles[0].partition("/")[0]
    order = f"{folder}/byteorder"
    swapped = order in archive.names and archive.read(order).strip() == b"big"
    try:
        value = _Machine(lambda key: archive.read(f"{folder}/data/{key}"), swapped).run(
            archive.read(pickles[0])
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # What a program that is none does to the machine.
    except (IndexError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its pickle makes no sense: {error!r}") from error
    return _tensors(value, path)


def _tensors(value: Any, path: object) -> dict[str, Array]:
    if isinstance(value, dict):
        for name in ("state_dict", "model_state_dict", "model"):
            if isinstance(value.get(name), dict):
                value = value[name]
                break
    named = isinstance(value, dict) and value and all(isinstance(name, str) for name in value)
    if not named or not all(isinstance(tensor, np.ndarray) for tensor in value.values()):
        raise ValueError(
            f"{path} holds no dictionary of tensors: write it with torch.save(net.state_dict(), path)"
        )
    return dict(value)


# ---- the program --------------------------------------------------------------------------------

_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<u1",
}


class _Name(NamedTuple):
    """A class or function that the program mentions."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Machine:
    """Runs the instructions of a pickle that make dictionaries, lists, numbers, texts and tensors."""

    def __init__(self, storage: Callable[[str], bytes], swapped: bool) -> None:
        self.storage, self.swapped = storage, swapped
        self.storages: dict[str, Array] = {}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        """What the program makes. ValueError for an instruction or a name that tensors do not take."""
        for instruction, argument, _ in pickletools.genops(program):
            name = instruction.name
            if name == "STOP":
                return self.stack.pop()
            if name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _GIVEN:
                self.stack.append(argument)
            else:
                step = getattr(self, f"_{name.lower()}", None)
                if step is None:
                    raise ValueError(f"its pickle has the instruction {name}, which tensors do not take")
                step(argument)
        raise ValueError("its pickle ends too early")

    # ---- the stack

    def _proto(self, _: Any) -> None:
        pass

    _frame = _proto

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _marked(self) -> list[Any]:
        place = self.marks.pop()
        taken = self.stack[place:]
        del self.stack[place:]
        return taken

    def _put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, number: int) -> None:
        self.stack.append(self.memo[number])

    _binget = _long_binget = _get

    # ---- containers

    def _empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _of_last(self, count: int) -> None:
        taken = tuple(self.stack[-count:])
        if len(taken) != count:
            raise ValueError("its pickle takes what is not there")
        self.stack[-count:] = [taken]

    def _tuple1(self, _: Any) -> None:
        self._of_last(1)

    def _tuple2(self, _: Any) -> None:
        self._of_last(2)

    def _tuple3(self, _: Any) -> None:
        self._of_last(3)

    def _setitem(self, _: Any) -> None:
        self._set(self.stack[-2:], -2)

    def _setitems(self, _: Any) -> None:
        self._set(self._marked(), None)

    def _set(self, items: list[Any], remove: int | None) -> None:
        if remove is not None:
            del self.stack[remove:]
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("its pickle sets items of what is no dictionary")
        target |= dict(zip(items[::2], items[1::2], strict=True))

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        self._extend(self._marked())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("its pickle appends to what is no list")
        self.stack[-1].extend(items)

    # ---- names and what they make

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._name(_Name(module, name))

    def _stack_global(self, _: Any) -> None:
        module, name = self.stack[-2:]
        del self.stack[-2:]
        self._name(_Name(str(module), str(name)))

    def _name(self, name: _Name) -> None:
        if name not in _MAKERS and not (name.module == "torch" and name.name in _TYPES):
            raise ValueError(
                f"its pickle asks for {name}, which is refused: only tensors are read. Write the file with "
                "torch.save(net.state_dict(), path), or as .safetensors"
            )
        self.stack.append(name)

    def _reduce(self, _: Any) -> None:
        name, arguments = self.stack[-2:]
        del self.stack[-2:]
        if name not in _MAKERS or not isinstance(arguments, tuple):
            raise ValueError(f"its pickle calls {name!s:.100}, which is refused")
        self.stack.append(_MAKERS[name](*arguments))

    def _build(self, _: Any) -> None:
        self.stack.pop()  # attributes of a dictionary: the versions of the modules
        if not isinstance(self.stack[-1], dict):
            raise ValueError("its pickle gives attributes to what is no dictionary")

    def _binpersid(self, _: Any) -> None:
        kind, type_name, key, _, count = self.stack.pop()
        if kind != "storage" or not isinstance(type_name, _Name) or not isinstance(key, str):
            raise ValueError("its pickle asks for something that is no storage")
        if key not in self.storages:
            self.storages[key] = self._numbers(type_name.name, self.storage(key), count)
        self.stack.append(self.storages[key])

    def _numbers(self, type_name: str, data: bytes, count: Any) -> Array:
        dtype = np.dtype(_TYPES[type_name])
        if type(count) is not int or len(data) != count * dtype.itemsize:
            raise ValueError(f"a storage has {len(data):,} bytes, {count} numbers of {dtype} were announced")
        numbers = np.frombuffer(data, dtype.newbyteorder(">") if self.swapped else dtype)
        if type_name == "BFloat16Storage":  # the upper half of a float32
            return (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any = False, *more: Any
) -> Array:
    """A view of a storage. ValueError where it reaches out of it."""
    whole = all(type(n) is int and n >= 0 for n in (offset, *shape, *strides))
    if not isinstance(storage, np.ndarray) or not whole or len(shape) != len(strides):
        raise ValueError("a tensor has no storage, sizes or strides")
    reach = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + 1
    if 0 in shape:
        return np.zeros(shape, storage.dtype)
    if reach > storage.size:
        raise ValueError(
            f"a tensor of shape {tuple(shape)} reaches out of its storage of {storage.size} numbers"
        )
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


def _parameter(tensor: Any, requires_grad: Any, *hooks: Any) -> Any:
    return tensor


def _ordered(*items: Any) -> dict[Any, Any]:
    return dict(*items) if all(isinstance(item, (list, dict)) for item in items) else {}


_MAKERS: Mapping[Any, Callable[..., Any]] = {
    _Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    _Name("torch._utils", "_rebuild_tensor"): _tensor,
    _Name("torch._utils", "_rebuild_parameter"): _parameter,
    _Name("collections", "OrderedDict"): _ordered,
}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}

_GIVEN = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
}  # fmt: skip
