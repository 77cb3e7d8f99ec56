"""How fast a machine moves bytes."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np


def bandwidth(threads: int, seconds: float, floats: int = 1 << 24) -> float:
    """Bytes a second that a + b -> c moves to and from memory, with arrays of so many floats.

    Of memory itself where they are far larger than any cache, else of the cache that they fit into. Counted
    as STREAM counts: two arrays read, one written (https://www.cs.virginia.edu/stream/).
    """
    from concurrent.futures import ThreadPoolExecutor  # which takes its time

    a, b, c = (np.ones(floats, np.float32) for _ in range(3))
    bounds = [floats * i // threads for i in range(threads + 1)]
    parts = [slice(low, high) for low, high in pairwise(bounds)]
    repeats = max(1, (1 << 22) // floats)  # or the time is that of waking the threads
    times: list[float] = []

    def add(part: slice) -> None:
        x, y, z = a[part], b[part], c[part]
        for _ in range(repeats):
            np.add(x, y, out=z)  # NumPy lets the GIL go

    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(threads) as pool:
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            list(pool.map(add, parts))
            times.append(time.perf_counter() - start)
    return 3 * a.nbytes * repeats / min(times)
