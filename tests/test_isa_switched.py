"""Another instruction set is selected while kernels run: each call computes all of its result with one."""

from __future__ import annotations

import hashlib
import sys
import threading

import numpy as np
import pytest

import fastconv
from fastconv import ops

RNG = np.random.default_rng(3)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


x, kernel, dy = floats(4, 16, 16, 40), floats(3, 3, 40, 50), floats(4, 16, 16, 50)
table = RNG.random((40, 50)) < 0.3
table[0] = True
connected = floats(3, 3, int(table.sum()))
rows, more_rows, weights, images = (
    x.reshape(-1, 40),
    dy.reshape(-1, 50),
    floats(70, 50),
    floats(40, 12, 12, 2),
)


def small_network():
    layers = fastconv.layers
    return fastconv.Sequential(
        [
            layers.Input((12, 12, 2)),
            layers.Conv2D(6, 3, activation="tanh"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


model = small_network()
CALLS = {
    "connected": lambda: ops.conv2d_connected(x, connected, table, padding="same"),
    "connected, data": lambda: ops.conv2d_connected_backward_data(
        dy, connected, table, x.shape, padding="same"
    ),
    "connected, kernel": lambda: ops.conv2d_connected_backward_kernel(x, dy, table, 3, padding="same"),
    "dense, data": lambda: ops.dense_backward_data(more_rows, weights),
    "dense, kernel": lambda: ops.dense_backward_kernel(rows, more_rows),
    "program": lambda: model.predict_on_batch(images),
}

for algorithm in ("im2col", "direct", "winograd"):
    how = {"padding": "same", "algorithm": algorithm}
    CALLS[algorithm] = lambda how=how: ops.conv2d(x, kernel, **how)
    CALLS[f"{algorithm}, data"] = lambda how=how: ops.conv2d_backward_data(dy, kernel, x.shape, **how)
    CALLS[f"{algorithm}, kernel"] = lambda how=how: ops.conv2d_backward_kernel(x, dy, 3, **how)


def bits(result):
    parts = result if isinstance(result, tuple) else (result,)
    return tuple(hashlib.sha256(part).hexdigest() for part in parts)


@pytest.fixture
def switching():
    """A thread that selects one instruction set after another, until the test is over."""
    names, over, before = fastconv.available_isas(), threading.Event(), fastconv.get_isa()

    def switch():
        while not over.is_set():
            for name in names:
                fastconv.set_isa(name)

    thread, interval = threading.Thread(target=switch), sys.getswitchinterval()

    def start():
        sys.setswitchinterval(1e-6)
        thread.start()

    yield start
    over.set()
    thread.join()
    sys.setswitchinterval(interval)
    fastconv.set_isa(before)


@pytest.mark.skipif(len(fastconv.available_isas()) < 2, reason="this CPU has one instruction set")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_has_one_instruction_set(call, threads, switching):
    expected = set()
    with fastconv.set_num_threads(threads):
        for isa in fastconv.available_isas():
            with fastconv.set_isa(isa):
                expected.add(bits(CALLS[call]()))
        switching()
        for _ in range(20):
            assert bits(CALLS[call]()) in expected
