"""Read files out of .gz and .tar.gz, writing nothing to disk, and say plainly when they are damaged."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path


def read_plain_or_gzip(directory: Path, name: str) -> bytes:
    """The content of ``name`` or of ``name.gz`` in ``directory``."""
    import gzip

    plain, packed = directory / name, directory / f"{name}.gz"
    if plain.is_file():
        return plain.read_bytes()
    if not packed.is_file():
        raise FileNotFoundError(f"no {packed.name}")
    try:
        return gzip.decompress(packed.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{packed.name} is damaged: {error}") from error


def read_tar(archive: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The content of the archive's files with these base names, in one pass over the archive."""
    import tarfile

    wanted, found = set(names), {}
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                stream = tar.extractfile(member) if name in wanted else None
                if stream is not None:
                    found[name] = stream.read()
    except (EOFError, tarfile.TarError, zlib.error) as error:
        raise ValueError(f"{archive.name} is damaged: {error}") from error
    if missing := sorted(wanted - found.keys()):
        raise ValueError(f"{archive.name} lacks {', '.join(missing)}")
    return found
