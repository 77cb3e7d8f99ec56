"""Download a data set into the cache with pooch: checked by SHA-256, moved into place whole or not at all."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path

from fastconv.datasets.published import Published

TIMEOUT = (10.0, 30.0)  # seconds to connect, seconds of silence before a server is given up


def download(dataset: Published, directory: Path) -> None:
    """Fetch the data set's files from one mirror after the other. OSError lists what each of them answered.

    Files already there with the right checksum are kept, so an interrupted download goes on where it was.
    """
    failures = []
    for mirror in dataset.mirrors:
        url = ""
        try:
            for name, sha256 in dataset.downloads.items():
                url = mirror + name
                fetch(url, f"sha256:{sha256}", name, directory)
            return
        except (OSError, ValueError) as error:  # requests raises OSErrors; a wrong checksum is a ValueError
            failures.append(f"{url}: {one_line(error)}")
    raise OSError("\n".join(failures))


def fetch(url: str, known_hash: str | None, name: str, directory: Path) -> None:
    """One file into a directory, unless it is there: with its hash, such as "sha256:01ab...", where given."""
    import pooch

    show_progress = sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
    downloader = pooch.HTTPDownloader(progressbar=show_progress, chunk_size=1 << 16, timeout=TIMEOUT)
    pooch.retrieve(url, known_hash, fname=name, path=directory, downloader=downloader)


def one_line(error: Exception) -> str:
    """The reason of a failed download."""
    reason = getattr(error.args[0], "reason", error) if error.args else error  # inside "max retries exceeded"
    return f"{type(error).__name__}: {textwrap.shorten(str(reason), 200, placeholder='...')}"
