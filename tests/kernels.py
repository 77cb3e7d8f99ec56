"""Every compiled kernel there is: all instruction sets of this CPU, all algorithms, any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import fastconv

# Those that add up the products of the formula. (Winograd's takes fewer products, rounds differently, and is
# tested apart; "auto" is one of them all.)
ALGORITHMS = ("naive", "im2col", "direct")
THREADS = (1, 2, 3, 8)


def each_isa() -> Iterator[str]:
    """The names of the instruction sets, each switched on, on one thread, while its turn lasts.

    One thread, because tests of the threads are apart, and waking them thousands of times takes its time.
    """
    for isa in fastconv.available_isas():
        with fastconv.set_isa(isa), fastconv.set_num_threads(1):
            yield isa


def each_kernel() -> Iterator[tuple[str, str]]:
    """(isa, algorithm) of every convolution kernel, its instruction set switched on."""
    for isa in each_isa():
        for algorithm in ALGORITHMS:
            yield isa, algorithm


def assert_same_bits_on_any_threads(compute: Callable[[], object]) -> None:
    """``compute`` returns an array or a tuple of arrays: the same bytes at 1, 2, 3 and 8 threads."""
    expected = None
    for threads in THREADS:
        with fastconv.set_num_threads(threads):
            result = compute()
        arrays = result if isinstance(result, tuple) else (result,)
        found = [np.asarray(array).tobytes() for array in arrays]
        expected = expected or found
        assert found == expected, f"{threads} threads give other bits than {THREADS[0]}"
