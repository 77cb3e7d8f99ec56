"""Files from the network, kept in a cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fastconv._core.checks import unknown_name

_HASHES = {"sha256": 64, "md5": 32}  # hexadecimal digits
_FORMATS = ("tar", "zip")


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file that is downloaded unless the cache has it: ``cache_dir/cache_subdir/fname``.

    A file is put into the cache whole, and with the hash that was given, or not at all. One whose hash is
    another is downloaded anew.

    Parameters
    ----------
    fname : name in the cache; where None the last part of ``origin``
    origin : where it is served
    file_hash : its SHA-256 or MD5; ``md5_hash`` is its old name for MD5
    cache_subdir : below ``cache_dir``, or an absolute path
    hash_algorithm : "sha256" or "md5"; "auto" goes by the length of the hash
    extract : unpack the archive, and return the path of the folder with its contents: "name_extracted" for a
        ``fname`` "name.zip", else ``fname``; ``untar`` is its old name for tar alone
    archive_format : "tar", "zip", a list of them, or "auto" for either
    cache_dir : where None ``FASTCONV_CACHE``, or the user's cache directory on this system
    force_download : download it anew in any case

    Raises ValueError for arguments that do not fit, a wrong hash and an archive that is none, OSError where
    the download fails.
    """
    from tempfile import TemporaryDirectory
    from urllib.parse import urlsplit

    from fastconv.datasets.download import fetch, one_line
    from fastconv.datasets.search import cache_directory

    if not origin:
        raise ValueError("get_file needs origin, the address to download from")
    known_hash = _hash(md5_hash if file_hash is None else file_hash, hash_algorithm)
    name = os.fspath(fname or "") or Path(urlsplit(origin).path).name
    if not name or name in (".", "..") or Path(name).name != name:
        raise ValueError(
            f"get_file: fname must be the name of a file, got {name!r}; folders go into cache_dir and "
            "cache_subdir"
        )
    folder = (cache_directory() if cache_dir is None else Path(cache_dir).expanduser()) / cache_subdir
    unpacked: Path | None = None
    if extract or untar:
        formats = ("tar",) if untar else _formats(archive_format)
        unpacked = folder / (f"{name.partition('.')[0]}_extracted" if fname and "." in name else name)
        name = name if fname and "." in name else f"{name}_archive"
    before = _stamp(folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if force_download:
            with TemporaryDirectory(dir=folder) as beside:  # the old file stays where the download fails
                fetch(origin, known_hash, name, Path(beside))
                Path(beside, name).replace(folder / name)
        else:
            fetch(origin, known_hash, name, folder)
    except ValueError as error:
        raise ValueError(f"get_file: {origin}: {one_line(error)}") from None
    except OSError as error:
        raise OSError(f"get_file: {origin} could not be downloaded: {one_line(error)}") from None
    if unpacked is None:
        return str(folder / name)
    if _stamp(folder / name) != before or not unpacked.is_dir():
        _extract(folder / name, unpacked, formats)
    return str(unpacked)


def _hash(digits: str | None, algorithm: str) -> str | None:
    """The hash as pooch writes it, "sha256:01ab..."."""
    if algorithm not in ("auto", *_HASHES):
        raise unknown_name("hash_algorithm", algorithm, ["auto", *_HASHES])
    if digits is None:
        return None
    fitting = [name for name, length in _HASHES.items() if length == len(digits)]
    if not fitting or algorithm not in ("auto", *fitting):
        raise ValueError(
            f"get_file: file_hash {digits!r} has {len(digits)} digits; SHA-256 has 64 and MD5 has 32"
        )
    return f"{fitting[0]}:{digits.lower()}"


def _formats(archive_format: str | Sequence[str] | None) -> tuple[str, ...]:
    if archive_format == "auto":
        return _FORMATS
    formats = (archive_format,) if isinstance(archive_format, str) else tuple(archive_format or ())
    for name in formats:
        if name not in _FORMATS:
            raise unknown_name("archive_format", name, ["auto", *_FORMATS])
    return formats


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when the file is replaced; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _extract(archive: Path, folder: Path, formats: Sequence[str]) -> None:
    """Unpack beside the place, then rename. What is already there is replaced."""
    import shutil
    import tarfile
    import tempfile
    import zipfile

    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        contents = Path(beside) / "contents"
        contents.mkdir()
        try:
            if "tar" in formats and tarfile.is_tarfile(archive):
                if not hasattr(tarfile, "data_filter"):
                    raise ValueError("tar archives need Python 3.10.12, 3.11.4 or newer")
                with tarfile.open(archive) as tar:
                    tar.extractall(contents, filter="data")  # refuses paths that lead out of the folder
            elif "zip" in formats and zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(contents)
            else:
                raise ValueError(f"it is no {' or '.join(formats) or 'archive of a known'} file")
        except (ValueError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"get_file: cannot extract {archive}: {error}") from None
        if folder.is_dir():
            shutil.rmtree(folder)
        contents.rename(folder)
