"""A process that forks while other threads are inside kernels, as data loaders that start workers do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FORKING = """
import os, signal, threading
import numpy as np
from fastconv import ops

x = np.ones((8, 32, 32, 16), np.float32)
kernel = np.ones((3, 3, 16, 16), np.float32)

def convolve():
    return ops.conv2d(x, kernel, algorithm="im2col")  # asks for large scratch memory inside C

expected = convolve()
done = threading.Event()

def keep_convolving():
    while not done.is_set():
        convolve()

threads = [threading.Thread(target=keep_convolving) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(200):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for ever
        os._exit(0 if np.array_equal(convolve(), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
done.set()
for thread in threads:
    thread.join()
print("forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_children_forked_while_threads_convolve_can_convolve():
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=300)
    assert run.stdout == "forked\n", run.stderr


THREADS_IN_A_CHILD = """
import os, signal
import numpy as np
import fastconv
from fastconv import ops

x = np.ones((8, 32, 32, 16), np.float32)
kernel = np.ones((3, 3, 16, 16), np.float32)
fastconv.set_num_threads(2)
expected = ops.conv2d(x, kernel)
child = os.fork()
if child == 0:
    signal.alarm(20)
    alone = fastconv.get_num_threads()
    fastconv.set_num_threads(2)
    os._exit(0 if alone == 1 and np.array_equal(ops.conv2d(x, kernel), expected) else 1)
assert os.waitpid(child, 0)[1] == 0
assert fastconv.get_num_threads() == 2 and np.array_equal(ops.conv2d(x, kernel), expected)
print("forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_can_use_threads_again():
    run = subprocess.run(
        [sys.executable, "-c", THREADS_IN_A_CHILD], capture_output=True, text=True, timeout=300
    )
    assert run.stdout == "forked\n", run.stderr
