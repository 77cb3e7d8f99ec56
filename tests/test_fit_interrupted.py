"""Ctrl-C while training: between two steps, with everything in order."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from fastconv import layers, optimizers, utils
from fastconv.callbacks import CSVLogger, LambdaCallback
from fastconv.models import Sequential
from fastconv.models.interrupts import between_steps

X, Y = np.random.default_rng(0).random((32, 5)), np.arange(32) % 2


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


class InterruptedSGD(optimizers.SGD):
    """Ctrl-C comes in the middle of step number 5: it has begun, and its parameters have not moved."""

    def update_all(self, arrays):
        if self.iterations == 4:
            ctrl_c()
        super().update_all(arrays)


def trained(optimizer, **arguments):
    utils.set_random_seed(0)
    model = Sequential([layers.Dense(4, activation="tanh"), layers.Dense(2, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model, lambda: model.fit(X, Y, batch_size=8, verbose=0, **arguments)


def test_an_interrupted_step_is_finished_first():
    model, fit = trained(InterruptedSGD(0.1, momentum=0.9), epochs=3)
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert model.optimizer.iterations == 5

    def stop_after_five(batch, logs):
        twin.stop_training = twin.optimizer.iterations == 5

    stop = LambdaCallback(on_train_batch_end=stop_after_five)
    twin, fit = trained(optimizers.SGD(0.1, momentum=0.9), epochs=3, callbacks=[stop])
    fit()
    for interrupted, whole in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(interrupted, whole)
    for name, value in model.optimizer.state_dict().items():
        np.testing.assert_array_equal(value, twin.optimizer.state_dict()[name])


class InterruptedModel(Sequential):
    """Ctrl-C comes in the middle of a step of its own, once or twice."""

    times = 1

    def train_step(self, data):
        self.reached = "beginning"
        for _ in range(self.times):
            ctrl_c()
        self.reached = "end"
        return super().train_step(data)


@pytest.mark.parametrize(("times", "reached", "steps"), [(1, "end", 1), (2, "beginning", 0)])
def test_a_second_interrupt_does_not_wait(times, reached, steps):
    model = InterruptedModel([layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.times = times
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=8, verbose=0)
    assert (model.reached, model.optimizer.iterations) == (reached, steps)


def test_callbacks_come_to_their_end_and_the_history_stays(tmp_path):
    ended = []
    model, fit = trained(
        InterruptedSGD(0.1),
        epochs=3,
        callbacks=[
            CSVLogger(tmp_path / "log.csv"),
            LambdaCallback(on_train_end=lambda logs: ended.append(sorted(logs))),
        ],
    )
    with pytest.raises(KeyboardInterrupt):
        fit()
    assert ended == [["loss"]]
    assert model.history.epoch == [0]  # four steps make an epoch, the fifth was of the next
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    assert len(model.fit(X, Y, epochs=1, verbose=0).history["loss"]) == 1  # and it can go on


def test_outside_a_step_ctrl_c_acts_at_once():
    model, _ = trained("sgd")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=lambda epoch, logs: ctrl_c())])
    assert model.optimizer.iterations == 0


def test_a_step_puts_the_signal_handler_back_whatever_happens():
    before = signal.getsignal(signal.SIGINT)
    reached = []

    def step(work):
        with between_steps() as whole, whole:
            ctrl_c()
            reached.append(work())

    with pytest.raises(ZeroDivisionError):
        step(lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        step(lambda: "the end")
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is before


def test_training_in_another_thread():
    """Only the main thread may set signal handlers."""
    model, fit = trained("sgd")
    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert model.optimizer.iterations == 4
