"""Large arrays' memory: begins at a cache line, is used again, is nobody else's meanwhile, and is bounded."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from fastconv import ops
from fastconv.ops._door import empty

LARGE = (64, 32, 32, 16)  # four megabytes


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_results_begin_at_a_cache_line():
    kernel = np.ones((1, 1, 1, 8), np.float32)
    for size in (300, 301, 355):
        y = ops.conv2d(np.ones((1, size, size, 1), np.float32), kernel)
        assert address(y) % 64 == 0
        assert y.flags.carray
        assert (y == 1).all()


def test_memory_of_an_array_that_is_gone_is_used_again():
    x = np.ones(LARGE, np.float32)
    y = ops.activation(x, "relu")
    before = address(y)
    view = y[1:, ::2]
    del y
    held = ops.activation(x, "relu")
    assert address(held) != before  # a view still needs it
    del view
    assert before in {address(ops.activation(x, "relu")) for _ in range(3)}


def test_what_is_freed_side_by_side_is_one_gap():
    def blocks(sizes):
        return [empty((size << 18,)) for size in sizes]

    fence = blocks([1] * 64)  # fills the gaps that earlier tests left
    first, second, third, end = blocks([3, 4, 5, 1])
    start = address(first)
    for order in [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)]:
        held = [first, second, third]
        del first, second, third
        for place in order:
            held[place] = None
        (large,) = blocks([12])
        assert address(large) == start
        large[...] = 1
        del large
        first, second, third = blocks([3, 4, 5])
        assert address(first) == start
        assert address(first) + first.nbytes <= address(second)
        assert address(second) + second.nbytes <= address(third)
        assert address(third) + third.nbytes <= address(end)
    del fence


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_sizes_and_types_come_out_right(dtype):
    for shape in [(0,), (3, 0, 5), (65536,), (65537, 3), (1 << 19,), ()]:
        array = empty(shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)
        array[...] = 7
        assert (array == 7).all()


def test_threads_never_share_a_block():
    wrong: list[str] = []

    def work(number: int) -> None:
        random = np.random.default_rng(number)
        x = np.full(200_000, number, np.float32)
        kept: list[np.ndarray] = []
        for _ in range(200):
            y = ops.activation(x[: random.integers(70_000, 200_000)], "relu")
            kept.append(y)
            if len(kept) > 4:
                old = kept.pop(int(random.integers(4)))
                if not (old == number).all():
                    wrong.append(f"thread {number} found {np.unique(old)}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_kept_is_bounded():
    """A gigabyte and a half of arrays of 35 sizes comes and goes; at most a quarter of one stays."""
    program = """
import numpy as np
from fastconv import ops
from fastconv.ops._door import empty

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

x = np.ones(20 << 20, np.float32)
before = resident()
for megabytes in range(10, 80, 2):
    ops.activation(x[: megabytes << 18], "relu")
print(resident() - before)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < (256 + 8) << 20


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit that Linux keeps")
def test_without_addresses_to_spare_memory_comes_from_the_system():
    """``ulimit -v`` counts addresses; the arena's would be too many."""
    program = """
import resource
import numpy as np
from fastconv import ops

used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30),) * 2)
x = np.ones(1 << 22, np.float32)
held = [ops.activation(x, "relu") for _ in range(4)]
assert all((y == 1).all() for y in held)
try:
    ops.conv2d(np.ones((1, 8192, 8192, 1), np.float32), np.ones((1, 1, 1, 64), np.float32))
except MemoryError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "no memory for an array of" in run.stdout
