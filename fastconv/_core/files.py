"""Write a file so that at every moment either the old one or the new one is there, whole.

Both sides check the place first, for errors that say what is wrong with it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastconv._core.configuration import plain
from fastconv.parameter import Array


def writable_place(path: str | os.PathLike[str]) -> Path:
    """The file to replace. FileNotFoundError, IsADirectoryError or PermissionError says what to do.

    A symbolic link stays, and the file it leads to is replaced. A read-only file is not, nor is what is no
    regular file, such as a device: OSError.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(f"cannot write {os.fspath(path)}: it is a symbolic link that leads back to itself")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory: give the name of a file in it")
    if target.exists():
        if not target.is_file():
            raise OSError(f"cannot write {target}: it is a device or a pipe, not a regular file")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"cannot write {target.name}: the file in {target.parent} is read-only")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target.name}: there is no directory {target.parent}; create it first"
        )
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"cannot write {target.name}: no permission to write in {target.parent}")
    return target


def check_readable(path: str | os.PathLike[str], kind: str) -> None:
    """FileNotFoundError, IsADirectoryError, PermissionError or OSError for what cannot be read as a file.

    ``kind`` says what the file should be, such as "model file".
    """
    name, place = os.fspath(path), Path(path)
    if not place.exists():
        raise FileNotFoundError(f"there is no file {name}")
    if place.is_dir():
        raise IsADirectoryError(f"{name} is a directory, not a {kind}")
    if not place.is_file():
        raise OSError(f"{name} is a device or a pipe, not a {kind}")
    if not os.access(place, os.R_OK):
        raise PermissionError(f"{name}: no permission to read this file")


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace the file at ``path`` by ``data``: temporary file beside it, fsync, rename, fsync the directory.

    Errors are those of ``writable_place``, and the disk's. Whatever goes wrong, the old file stays and no
    temporary file does. The new file has the permissions of the old one, and its owner where the system
    allows that; where there was none it has those of any new file.
    """
    target = writable_place(path)
    temporary = _temporary(target, secrets.token_hex(4))
    old = target.stat() if target.exists() else None
    mode = 0o666 if old is None else old.st_mode & 0o777
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            if old is not None:
                _inherit(temporary, old, mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(target.parent)


def _inherit(new: Path, old: os.stat_result, mode: int) -> None:
    """Give ``new`` the owner, where allowed, and the permissions of the file it will replace."""
    own = new.stat()
    if hasattr(os, "chown") and (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.chown(new, old.st_uid, old.st_gid)
    with suppress(OSError):  # it then has fewer permissions, never more: what the umask left of ``mode``
        os.chmod(new, mode)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Delete the temporary files of processes that were killed while they wrote the file at ``path``."""
    target = Path(os.path.realpath(path))
    for temporary in target.parent.glob(_temporary(target, "*").name):
        temporary.unlink(missing_ok=True)


def _temporary(target: Path, mark: str) -> Path:
    return target.with_name(f".{target.name}.{mark}.tmp")


def _sync_directory(directory: Path) -> None:
    """Make the renaming itself survive a power cut, where the system can open a directory."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- arrays and texts, as safetensors -----------------------------------------------------------


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array], texts: Mapping[str, str]) -> None:
    """Write arrays and texts by name, in the format safetensors; errors of ``write_atomically``."""
    from safetensors.numpy import save

    write_atomically(path, save(dict(arrays), dict(texts)))


def read_arrays(
    path: str | os.PathLike[str], kind: str, check: Callable[[dict[str, str]], None]
) -> tuple[dict[str, Array], dict[str, str]]:
    """(arrays, texts) of such a file. ``check`` sees the texts before an array is read, and may raise.

    Raises ValueError for a file that is damaged, and the errors of ``check_readable``.
    """
    from safetensors import SafetensorError, safe_open

    check_readable(path, kind)
    try:
        with safe_open(path, framework="numpy") as file:
            texts = file.metadata() or {}
            check(texts)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no safetensors file: {error}") from error
    return arrays, texts


# ---- the state of a program ---------------------------------------------------------------------
#
# Dictionaries and lists of numbers, texts and arrays. The format is safetensors
# (https://github.com/huggingface/safetensors): a JSON header and raw arrays. Arrays are stored as tensors
# named after their place, "model/weights/0"; all else is JSON in the header, where an array's place is held
# by {"array": its name}. Reading such a file executes nothing.

VERSION = 1


def write_state(path: str | os.PathLike[str], state: Mapping[str, Any], kind: str) -> None:
    """Write ``state`` in one piece: at every moment the old file or the new one is there, whole.

    ``kind`` says what it is the state of, and ``read_state`` asks for it. Raises TypeError that names the
    place, such as callbacks/0/when, for what JSON cannot hold and is not an array.
    """
    arrays: dict[str, Array] = {}

    def kept(array: Array, place: str) -> dict[str, str]:
        arrays[place] = np.asarray(array, order="C")
        return {"array": place}

    parts = {name: plain(part, name, kept) for name, part in state.items()}
    metadata = {"format": kind, "format_version": str(VERSION), "state": json.dumps(parts)}
    write_arrays(path, arrays, metadata)


def read_state(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """The way back. Raises ValueError for a file that is damaged or not of this kind, OSError for none."""

    def check(texts: dict[str, str]) -> None:
        if texts.get("format") != kind or texts.get("format_version") != str(VERSION):
            raise ValueError(
                f"{path} is {texts.get('format', 'something')} in version "
                f"{texts.get('format_version', '?')}; expected {kind} in version {VERSION}"
            )

    arrays, metadata = read_arrays(path, kind, check)
    return _with_arrays(json.loads(metadata["state"]), arrays)


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {name: _with_arrays(part, arrays) for name, part in value.items()}
    return value
