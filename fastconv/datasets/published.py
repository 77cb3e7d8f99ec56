"""What is known of a published data set: its files, their checksums, where they are served."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """A data set as its authors published it.

    name          as in ``fastconv.datasets.<name>``; also the cache's subdirectory
    title         for messages
    contents      file name -> SHA-256 of the unpacked file: the images themselves, however they were packed
    downloads     file name -> SHA-256 of the file as served
    mirrors       addresses to put before those file names; the official one first
    read          directory -> {file name: unpacked content}; FileNotFoundError says which one is missing
    directories   subdirectories of ``FASTCONV_DATA`` it may be in
    system        directories in which operating systems install it
    hint          one more way to get it
    """

    name: str
    title: str
    contents: Mapping[str, str]
    downloads: Mapping[str, str]
    mirrors: tuple[str, ...]
    read: Callable[[Path], dict[str, bytes]]
    directories: tuple[str, ...]
    system: tuple[str, ...] = ()
    hint: str = ""

    def read_verified(self, directory: Path) -> dict[str, bytes]:
        """The unpacked files of a directory. ValueError if one is damaged or another data set's namesake."""
        contents = self.read(directory)
        for name, expected in self.contents.items():
            found = hashlib.sha256(contents[name]).hexdigest()
            if found != expected:
                raise ValueError(
                    f"{name} is not {self.title}'s: its SHA-256 is {found[:12]}..., not {expected[:12]}..."
                )
        return contents
