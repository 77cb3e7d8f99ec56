"""Several threads and one model: each computes what it would alone, or is told that it cannot.

No test waits for luck. One thread stops inside a layer until the other one has either finished or asked for
the model's lock.
"""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import fastconv
from fastconv import layers
from fastconv._core.turns import Turns
from fastconv.callbacks import LambdaCallback
from fastconv.engine.program import Program
from fastconv.models import Sequential
from fastconv.utils import monte_carlo_predict

RNG = np.random.default_rng(0)
X = RNG.random((12, 5, 5, 1), np.float32)
Y = RNG.integers(0, 3, 12)
OTHER = RNG.random((4, 5, 5, 1), np.float32)


class Hook(layers.Layer):
    """y = x; while training, ``then`` is called on the way."""

    then: Callable[[], object] | None = None

    def call(self, x, training):
        if training and self.then is not None:
            self.then()
        return x

    def backward(self, dy, input_gradient=True):
        return dy


def network(*hooks: layers.Layer) -> Sequential:
    fastconv.utils.set_random_seed(1)
    model = Sequential(
        [
            layers.Input((5, 5, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            *hooks,
            layers.Flatten(),
            layers.Dense(8, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(fastconv.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Thread(threading.Thread):
    """Keeps what its function returned or raised."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self.result: object = None
        self.error: BaseException | None = None
        self.over = threading.Event()

    def run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error
        finally:
            self.over.set()


class WatchedLock:
    """A lock that says when a thread has to wait for it."""

    def __init__(self, wanted: threading.Event) -> None:
        self._lock, self._wanted = threading.RLock(), wanted

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._wanted.set()
            self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def beside(model: Sequential, function: Callable[[], object]) -> tuple[Thread, Callable[[], None]]:
    """A thread, and what starts it, and goes on once it is over or has to wait for the model."""
    thread = Thread(function)
    model._turns.lock = WatchedLock(thread.over)

    def start() -> None:
        thread.start()
        assert thread.over.wait(600)
        thread.over.clear()

    return thread, start


def finished(thread: Thread) -> object:
    thread.join(600)
    assert not thread.is_alive()
    if thread.error is not None:
        raise thread.error
    return thread.result


INFERENCE = {
    "call": lambda model: model(OTHER),
    "predict_on_batch": lambda model: model.predict_on_batch(OTHER),
    "predict": lambda model: model.predict(OTHER, verbose=0),
    "forget": lambda model: [model.predict(OTHER, verbose=0), model.forget()][0],
}


@pytest.mark.parametrize("how", INFERENCE)
def test_inference_in_the_middle_of_a_step(how):
    hook, alone = Hook(), network(Hook())
    model = network(hook)
    thread, hook.then = beside(model, lambda: INFERENCE[how](model))
    before = alone.predict_on_batch(OTHER)
    assert model.train_on_batch(X, Y) == alone.train_on_batch(X, Y)
    for one, other in zip(model.parameters, alone.parameters, strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)
        np.testing.assert_array_equal(one.value, other.value)
    np.testing.assert_array_equal(finished(thread), alone.predict_on_batch(OTHER))
    assert np.abs(finished(thread) - before).max() > 1e-3


def test_inference_in_the_middle_of_a_step_of_a_program(monkeypatch):
    model, alone = network(), network()
    thread, start = beside(model, lambda: model.predict_on_batch(OTHER))
    train = Program.train

    def train_meanwhile(program, *args):
        outputs = train(program, *args)
        if program.schedule.owner is model:
            start()  # when gradients are there, and weights are not yet moved
        return outputs

    monkeypatch.setattr(Program, "train", train_meanwhile)
    model.train_on_batch(X, Y)
    alone.train_on_batch(X, Y)
    np.testing.assert_array_equal(finished(thread), alone.predict_on_batch(OTHER))


def test_a_copy_taken_in_the_middle_of_a_step_is_whole():
    """Its weights, and what its optimizer remembers, are those after the step."""
    hook, alone = Hook(), network(Hook())
    model = network(hook)
    for each in (model, alone):
        each.compile(fastconv.optimizers.Adam(0.1), "sparse_categorical_crossentropy")
        each.train_on_batch(X, Y)
    thread, start = beside(model, lambda: copy.deepcopy(model))

    def once() -> None:
        hook.then = None
        start()

    hook.then = once
    model.train_on_batch(X, Y)
    alone.train_on_batch(X, Y)
    copied = finished(thread)
    for one, other in zip(copied.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert copied.train_on_batch(X, Y) == alone.train_on_batch(X, Y)
    for one, other in zip(copied.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_are_read_and_written_between_steps():
    hook, alone = Hook(), network(Hook())
    model = network(hook)
    zeros = [weight * 0 for weight in model.get_weights()]

    def exchange() -> list[np.ndarray]:
        found = model.get_weights()
        model.set_weights(zeros)
        return found

    thread, hook.then = beside(model, exchange)
    model.train_on_batch(X, Y)
    alone.train_on_batch(X, Y)
    for one, other in zip(finished(thread), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any(weight.any() for weight in model.get_weights())


def test_a_step_in_the_middle_of_inference():
    """The prediction is that of the weights before the step."""

    class AtRest(Hook):
        def call(self, x, training):
            if not training and self.then is not None:
                then, self.then = self.then, None
                then()
            return x

    hook = AtRest()
    model, alone = network(hook), network(AtRest())
    before = alone.predict_on_batch(OTHER)
    thread, hook.then = beside(model, lambda: model.train_on_batch(X, Y))
    np.testing.assert_array_equal(model.predict_on_batch(OTHER), before)
    assert finished(thread) == alone.train_on_batch(X, Y)
    np.testing.assert_array_equal(model.predict_on_batch(OTHER), alone.predict_on_batch(OTHER))


def test_two_threads_that_train_take_turns():
    hook, alone = Hook(), network(Hook())
    model = network(hook)
    thread, start = beside(model, lambda: model.train_on_batch(OTHER, Y[:4]))

    def once() -> None:
        hook.then = None
        start()

    hook.then = once
    assert model.train_on_batch(X, Y) == alone.train_on_batch(X, Y)
    assert finished(thread) == alone.train_on_batch(OTHER, Y[:4])
    for one, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# ---- loops ---------------------------------------------------------------------------------------

LOOPS = {
    "fit": lambda model: model.fit(OTHER, Y[:4], verbose=0),
    "evaluate": lambda model: model.evaluate(OTHER, Y[:4], verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(OTHER, Y[:4]),
    "test_on_batch": lambda model: model.test_on_batch(OTHER, Y[:4]),
}


def in_another_thread(function: Callable[[], object]) -> BaseException | None:
    thread = Thread(function)
    thread.start()
    thread.join(600)
    assert not thread.is_alive()
    return thread.error


@pytest.mark.parametrize("when", ["on_train_batch_begin", "on_test_batch_end", "on_epoch_end"])
@pytest.mark.parametrize("which", LOOPS)
def test_a_second_loop_is_an_error_and_the_first_goes_on(which, when):
    model, alone = network(Hook()), network(Hook())
    errors = []
    callback = LambdaCallback(
        **{when: lambda *args: errors.append(in_another_thread(lambda: LOOPS[which](model)))}
    )
    arguments = {"batch_size": 4, "epochs": 2, "validation_data": (X, Y), "verbose": 0, "shuffle": False}
    found = model.fit(X, Y, callbacks=[callback], **arguments).history
    assert found == alone.fit(X, Y, **arguments).history
    assert len(errors) >= 2
    assert {str(error) for error in errors} == {
        f"{model} is being trained or evaluated in another thread, which uses the same metrics: wait until "
        "it has ended (thread.join()), or use a copy of the model (copy.deepcopy(model))"
    }
    LOOPS[which](model)


def test_predicting_beside_a_loop_is_not_an_error():
    model = network(Hook())
    found = []

    def predict(*args: object) -> None:
        thread = Thread(lambda: model.predict(OTHER, verbose=0))
        thread.start()
        found.append((finished(thread), model.predict(OTHER, verbose=0)))

    model.fit(X, Y, epochs=2, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=predict)])
    assert len(found) == 2
    for one, other in found:
        np.testing.assert_array_equal(one, other)


def test_the_same_thread_may_evaluate_in_the_middle_of_fit():
    model = network(Hook())
    found = []
    model.fit(
        X, Y, verbose=0,
        callbacks=[LambdaCallback(on_epoch_end=lambda *args: found.append(model.evaluate(X, Y, verbose=0)))],
    )  # fmt: skip
    assert found == [model.evaluate(X, Y, verbose=0)]


def test_after_a_loop_that_failed_other_threads_may_use_the_model():
    hook = Hook()
    model = network(hook)

    def fail() -> None:
        raise ArithmeticError

    hook.then = fail
    with pytest.raises(ArithmeticError):
        model.fit(X, Y, verbose=0)
    hook.then = None
    assert in_another_thread(lambda: model.fit(X, Y, verbose=0)) is None


# ---- loops of one's own, and shared layers -------------------------------------------------------


def test_backward_after_the_forward_of_another_thread_is_an_error():
    model = network()
    model.forward(X, training=True)
    assert in_another_thread(lambda: model(OTHER)) is None
    with pytest.raises(RuntimeError, match=r"Sequential .*most recent forward\(x\) was in another thread"):
        model.backward(np.ones((12, 3), np.float32))
    model.forward(X, training=True)
    model.backward(np.ones((12, 3), np.float32))


@pytest.mark.parametrize("use", [lambda other: other(OTHER), lambda other: other.predict(OTHER, verbose=0)])
def test_a_model_that_shares_layers_disturbs_no_step(use):
    """What a step needs of its forward pass is its own, whoever calls the layers meanwhile."""
    hook = Hook()
    model, alone = network(hook), network(Hook())
    alone.set_weights(model.get_weights())
    other = Sequential(model.layers[:2])
    hook.then = lambda: in_another_thread(lambda: use(other))
    assert model.train_on_batch(X, Y) == alone.train_on_batch(X, Y)
    for one, twin in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, twin)


# ---- Monte-Carlo dropout -------------------------------------------------------------------------


class Between(layers.Layer):
    """y = x; ``then`` is called the first time."""

    then: Callable[[], object] | None = None

    def call(self, x, training):
        then, self.then = self.then, None
        if then is not None:
            then()
        return x


def dropout_network(*more: layers.Layer) -> Sequential:
    fastconv.utils.set_random_seed(2)
    flat = [layers.Flatten(), layers.Dropout(0.5, seed=1), *more]
    return Sequential(
        [layers.Input((5, 5, 1)), layers.Conv2D(4, 3), *flat, layers.Dense(3, activation="softmax")]
    )


def test_predict_beside_monte_carlo_predict_is_not_random():
    hook = Between()
    model = dropout_network(hook)
    steady, alone = model.predict(OTHER, verbose=0), monte_carlo_predict(dropout_network(), X, 5)
    thread, hook.then = beside(model, lambda: model.predict(OTHER, verbose=0))
    found = monte_carlo_predict(model, X, 5)
    np.testing.assert_array_equal(finished(thread), steady)
    np.testing.assert_array_equal(found.mean, alone.mean)
    np.testing.assert_array_equal(found.std, alone.std)


def test_nor_is_that_of_a_model_with_the_same_layers():
    hook = Between()
    model = dropout_network(hook)
    other = Sequential(model.layers)
    steady = other.predict(OTHER, verbose=0)
    found = []

    def predict() -> None:
        thread = Thread(lambda: other.predict(OTHER, verbose=0))
        thread.start()
        found.append(finished(thread))

    hook.then = predict
    monte_carlo_predict(model, X, 5)
    np.testing.assert_array_equal(found, [steady])


def test_a_model_that_overrides_call_is_sampled_as_it_is():
    class Reversed(Sequential):
        def call(self, x, training):
            return super().call(x, training)[:, ::-1]

    mean, std = monte_carlo_predict(dropout_network(), X, 5)
    plain = dropout_network()
    found = monte_carlo_predict(Reversed([layers.Input((5, 5, 1)), *plain.layers]), X, 5)
    np.testing.assert_array_equal(found.mean, mean[:, ::-1])
    np.testing.assert_array_equal(found.std, std[:, ::-1])


# ---- copies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_locks_of_their_own(copier):
    hook, copies = Hook(), []
    model = network(hook)
    other = copier(model)

    def copied_in_a_step() -> None:
        hook.then = None
        copies.append(copier(model))
        assert in_another_thread(lambda: copies[0].train_on_batch(X, Y)) is None
        assert in_another_thread(lambda: other.train_on_batch(X, Y)) is None

    hook.then = copied_in_a_step
    model.train_on_batch(X, Y)
    for each in (other, *copies):
        for one, wanted in zip(each.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, wanted)


def test_turns_are_kept_no_longer_than_what_they_belong_to():
    model = network()
    model.predict(X, verbose=0)
    gone = weakref.ref(model._turns)
    assert isinstance(gone(), Turns)
    del model
    gc.collect()
    assert gone() is None
