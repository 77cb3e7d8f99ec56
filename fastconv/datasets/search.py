"""Find a data set's files. The order:

1. the directories in ``FASTCONV_DATA`` (one, or several separated by ``os.pathsep``) and their subdirectories
   named after the data set;
2. the cache: ``FASTCONV_CACHE``, or the user's cache directory of this operating system;
3. where the operating system's packages put it;
4. the network, into the cache.

A place whose files are damaged is passed over with a warning. If nothing is found the error lists every place
and what was wrong with it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from fastconv.datasets.download import download
from fastconv.datasets.published import Published


def cache_directory() -> Path:
    """Where downloads are kept: ``FASTCONV_CACHE``, or the user's cache directory on this system."""
    if chosen := os.environ.get("FASTCONV_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("fastconv")


def data_directories() -> list[Path]:
    """The directories named by ``FASTCONV_DATA``, in its order."""
    return [Path(part).expanduser() for part in os.environ.get("FASTCONV_DATA", "").split(os.pathsep) if part]


def places(dataset: Published) -> Iterator[Path]:
    """Every directory that may hold the data set, in the order they are searched."""
    for directory in data_directories():
        yield from (directory / name for name in dataset.directories)
        yield directory
    yield cache_directory() / dataset.name
    yield from map(Path, dataset.system)


def find(dataset: Published) -> dict[str, bytes]:
    """Its files, unpacked and verified: ``{file name: content}``. FileNotFoundError if there is none."""
    looked, damaged = [], []
    for place in places(dataset):
        try:
            contents = dataset.read_verified(place)
        except FileNotFoundError as error:
            looked.append(f"{place}: {error if place.is_dir() else 'no such directory'}")
        except (OSError, ValueError) as error:
            looked.append(f"{place}: {error}")
            damaged.append(looked[-1])
        else:
            break
    else:
        contents = _download(dataset, looked)
    for problem in damaged:
        warnings.warn(f"{dataset.title}: passed over {problem}", stacklevel=3)
    return contents


def _download(dataset: Published, looked: list[str]) -> dict[str, bytes]:
    cache = cache_directory() / dataset.name
    try:
        download(dataset, cache)
        return dataset.read_verified(cache)
    except (OSError, ValueError) as error:
        ways = [
            f"download {', '.join(dataset.downloads)} from {dataset.mirrors[0]} or {dataset.mirrors[-1]}",
            f"put them in a directory and set FASTCONV_DATA to it, or put them in {cache}",
        ]
        if dataset.hint:
            ways.append(f"or {dataset.hint}")
        sections = {
            f"{dataset.title} is not on this machine and could not be downloaded. Looked in": looked,
            "Tried to download": str(error).splitlines(),
            "To get it": ways,
        }
        lines = [f"{title}:\n" + "\n".join(f"  {line}" for line in body) for title, body in sections.items()]
        raise FileNotFoundError("\n".join(lines)) from None
