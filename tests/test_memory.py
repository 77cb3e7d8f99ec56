"""Large arrays' memory: begins at a cache line, is used again, is nobody else's meanwhile, and is bounded."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from fastconv import ops

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


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_sizes_and_types_come_out_right(dtype):
    from fastconv.ops._door import empty

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

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

x = np.ones(20 << 20, np.float32)
before = resident()
for megabytes in range(10, 80, 2):
    ops.activation(x[: megabytes << 18], "relu")
print(resident() - before)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < (256 + 8) << 20
