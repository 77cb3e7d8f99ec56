"""Members of zip archives that are not trusted: read into memory, never unpacked to the disk."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from fastconv._core.files import check_readable

_MOST_PACKED = 100  # times
_ALWAYS = 1 << 20  # bytes that a member may have however small it is packed


class Archive:
    """The members of a zip archive, by name.

    Raises ValueError for a file that is damaged, or no archive, or is to be unpacked to other places than
    below one folder; the errors of ``check_readable`` for what cannot be read. ``kind`` is what the file
    should be, in messages.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str) -> None:
        self.path, self.kind = path, kind
        check_readable(path, kind)
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(Path(path).read_bytes()))
            self.names = self._archive.namelist()
        except Exception as error:  # zipfile raises many kinds for damaged files
            raise self._damaged(error) from error
        for name in self.names:
            if name.startswith(("/", "\\")) or ".." in Path(name.replace("\\", "/")).parts:
                raise self._damaged(f"a member is to be unpacked elsewhere, to {name!r}")

    def read(self, name: str) -> bytes:
        """The bytes of a member. ValueError where there is none, or it claims far more than the file has."""
        if name not in self.names:
            raise self._damaged(f"it has no {name}")
        try:
            info = self._archive.getinfo(name)
            if info.file_size > _MOST_PACKED * info.compress_size + _ALWAYS:
                raise ValueError(f"{name} claims {info.file_size:,} bytes, {info.compress_size:,} are there")
            return self._archive.read(info)
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, reason: object) -> ValueError:
        return ValueError(f"{self.path} is damaged, or no {self.kind}: {reason}")


def written(members: Iterable[tuple[str, str | bytes]]) -> bytes:
    """The bytes of an archive that holds these members, not compressed."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return memory.getvalue()
