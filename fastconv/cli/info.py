"""Show what fastconv has found on this machine.

Version, instruction sets, threads, the measured peak of multiply-adds (the roof for all kernels), and where
the data sets are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastconv.datasets.published import Published


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> int:
    from fastconv import get_num_threads, measure_peak, show_config
    from fastconv.datasets import cifar10, fashion_mnist, mnist
    from fastconv.datasets.search import cache_directory, data_directories

    show_config()
    threads = get_num_threads()
    print(f"\nFMA peak       {measure_peak() / 1e9:.0f} GFLOP/s, measured with {threads} thread(s)")
    print("\nFASTCONV_DATA ", ", ".join(map(str, data_directories())) or "not set")
    print("cache         ", cache_directory())
    print("digits         in the package")
    for module in (mnist, fashion_mnist, cifar10):
        place = _place(module.PUBLISHED)
        print(f"{module.PUBLISHED.name:14}", place or "not here; load_data() would download it")
    return 0


def _place(dataset: Published) -> Path | None:
    """The first of the places searched that has a file of the data set."""
    from fastconv.datasets.search import places

    names = (*dataset.downloads, *dataset.contents)
    return next((place for place in places(dataset) if any((place / name).is_file() for name in names)), None)
