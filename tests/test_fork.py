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
        signal.alarm(600)  # ends a child that waits for ever
        os._exit(0 if np.array_equal(convolve(), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
done.set()
for thread in threads:
    thread.join()
print("forked")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_children_forked_while_threads_convolve_can_convolve():
    run = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True)
    assert run.stdout == "forked\n", run.stderr


# Threads that are in the middle of something when the process forks: each stops where it holds a lock.
IN_THE_MIDDLE = """
import os, signal, sys, threading
import numpy as np
import fastconv
from fastconv import layers
from fastconv.models import Sequential

fastconv.set_num_threads(1)
x, y = np.ones((4, 6, 6, 1), np.float32), np.array([0, 1, 2, 0])
stopped, go_on = threading.Event(), threading.Event()

def stop():
    stopped.set()
    go_on.wait()

class Stopping(layers.Layer):
    active = False

    def call(self, x, training):
        if training and self.active:
            stop()
        return x

    def backward(self, dy, input_gradient=True):
        return dy

def network(*more):
    fastconv.utils.set_random_seed(1)
    model = Sequential([
        layers.Input((6, 6, 1)), layers.Conv2D(4, 3), *more, layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model

class StoppingProgram:
    # in place of the program in C: what it works on is not to be used in a child
    def __init__(self, program):
        self.program = program

    def __getattr__(self, name):
        stop()
        return getattr(self.program, name)

def predicting():
    model = network()
    model.predict_on_batch(x)
    (found,) = model._executor._programs._found.values()
    (call,) = found.program.schedule.calls
    call.layer._in_c = {count: StoppingProgram(program) for count, program in call.layer._in_c.items()}
    return model, lambda: model.predict_on_batch(x)

def training():
    layer = Stopping()
    model = network(layer)
    layer.active = True
    return model, lambda: model.fit(x, y, verbose=0)

model, work = {"predicting": predicting, "training": training}[sys.argv[1]]()
twin = network(*([Stopping()] if sys.argv[1] == "training" else []))
expected = twin.predict_on_batch(x)
thread = threading.Thread(target=work)
thread.start()
assert stopped.wait(600)
child = os.fork()
if child == 0:
    signal.alarm(600)  # ends a child that waits for ever
    go_on.set()
    same = np.array_equal(model.predict_on_batch(x), expected)
    trained, twins = model.fit(x, y, verbose=0, shuffle=False), twin.fit(x, y, verbose=0, shuffle=False)
    same = same and np.isfinite(model.evaluate(x, y, verbose=0))
    os._exit(0 if same and trained.history == twins.history else 1)
status = os.waitpid(child, 0)[1]
go_on.set()
thread.join()
print("child", status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("what", ["predicting", "training"])
def test_children_forked_in_the_middle_of_what_another_thread_does_can_use_the_model(what):
    run = subprocess.run(
        [sys.executable, "-c", IN_THE_MIDDLE, what], capture_output=True, text=True, timeout=900
    )
    assert run.stdout == "child 0\n", run.stderr


# The thread that forks goes on in the child, with the locks that it holds.
FORKING_ITSELF = """
import os, signal
import numpy as np
import fastconv
from fastconv import layers
from fastconv.models import Sequential

class Forking(layers.Layer):
    child = None

    def call(self, x, training):
        if training and self.child is None:
            self.child = os.fork()
        return x

    def backward(self, dy, input_gradient=True):
        return dy

fastconv.set_num_threads(1)
x, y = np.ones((4, 3), np.float32), np.array([0, 1, 2, 0])
forking = Forking()
model = Sequential([layers.Input((3,)), layers.Dense(4), forking, layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy")
history = model.fit(x, y, epochs=2, verbose=0).history["loss"]
assert history[1] < history[0]
if forking.child == 0:
    os._exit(0)
print("child", os.waitpid(forking.child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_step_that_forks_ends_in_both_processes():
    run = subprocess.run([sys.executable, "-c", FORKING_ITSELF], capture_output=True, text=True, timeout=900)
    assert run.stdout == "child 0\n", run.stderr


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
    signal.alarm(600)
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
        [sys.executable, "-c", THREADS_IN_A_CHILD], capture_output=True, text=True, timeout=900
    )
    assert run.stdout == "forked\n", run.stderr
