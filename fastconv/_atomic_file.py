"""Write a file so that at every moment either the old one or the new one is there, whole."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def writable_place(path: str | os.PathLike[str]) -> Path:
    """The file to replace. FileNotFoundError, IsADirectoryError or PermissionError says what to do."""
    target = Path(os.path.realpath(path))  # a symbolic link keeps pointing, its target is replaced
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a directory: give the name of a file in it")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {target.name}: there is no directory {target.parent}; create it first"
        )
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"cannot write {target.name}: no permission to write in {target.parent}")
    return target


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace the file at ``path`` by ``data``: temporary file beside it, fsync, rename, fsync the directory.

    Errors are those of ``writable_place``, and the disk's. Whatever goes wrong, the old file stays and no
    temporary file does.
    """
    target = writable_place(path)
    temporary = _temporary(target, secrets.token_hex(4))
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(target.parent)


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
