"""A training step that fails or is interrupted leaves the model as it was before."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import fastconv
from fastconv import _kernels, layers, losses, metrics, optimizers
from fastconv._core.snapshot import restore, snapshot
from fastconv.models import Sequential

RNG = np.random.default_rng(0)
X = RNG.random((8, 6, 6, 1), np.float32)
Y = RNG.integers(0, 3, 8)


class Failure:
    """What raises while it is switched on."""

    def __init__(self) -> None:
        self.error: type[BaseException] | None = None

    def __call__(self) -> None:
        if self.error is not None:
            raise self.error


class Failing(layers.Layer):
    """y = x, until told otherwise."""

    def __init__(self, forward: Failure, backward: Failure, **options) -> None:
        super().__init__(**options)
        self.fail_forward, self.fail_backward = forward, backward

    def call(self, x, training):
        self.fail_forward()
        return x

    def backward(self, dy, input_gradient=True):
        self.fail_backward()
        return dy


class FailingLoss(losses.MeanSquaredError):
    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure

    def call(self, y_true, y_pred):
        self.failure()
        return super().call(y_true, y_pred)


class FailingMetric(metrics.MeanSquaredError):
    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure

    def update_state(self, *args, **kwargs):
        self.failure()
        super().update_state(*args, **kwargs)


class HalfWay(optimizers.Optimizer):
    """Momentum, which may fail before the second parameter, when the first one has moved."""

    slots = ("speed",)
    scalars = ("length",)
    length = 0.0

    def __init__(self, failure: Failure) -> None:
        super().__init__(0.1)
        self.failure = failure

    def begin_step(self):
        self.count = 0
        self.length += 0.1

    def update(self, value, grad, speed):
        self.count += 1
        if self.count == 2:
            self.failure()
        speed *= 0.9
        speed -= self.learning_rate * self.length * grad
        value += speed


class FailingRule(optimizers.Nadam):
    """Of our own rules but for one that fails once everything has moved."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(0.1)
        self.failure = failure

    def update_all(self, arrays):
        super().update_all(arrays)
        self.failure()


PLACES = ("forward", "backward", "loss", "metric", "rate", "constraint", "half of a rule", "all of a rule")


def failing_model(place: str) -> tuple[Sequential, Failure]:
    fastconv.utils.set_random_seed(1)
    failures = {each: Failure() for each in PLACES}

    def constraint(w):
        failures["constraint"]()
        return np.clip(w, -0.5, 0.5)

    def rate():
        failures["rate"]()
        return 0.1

    model = Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.RandomTranslation(0.2, 0.2, seed=1),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            Sequential(
                [layers.Dropout(0.3, seed=2), layers.BatchNormalization(), layers.GaussianNoise(0.1, seed=3)]
            ),
            Failing(failures["forward"], failures["backward"]),
            layers.Flatten(),
            layers.Dense(1, kernel_constraint=constraint),
        ]
    )
    rule = {
        "half of a rule": lambda: HalfWay(failures[place]),
        "all of a rule": lambda: FailingRule(failures[place]),
    }.get(place, lambda: optimizers.SGD(rate, momentum=0.9))()
    model.compile(rule, FailingLoss(failures["loss"]), metrics=[FailingMetric(failures["metric"])])
    return model, failures[place]


def assert_same(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("place", PLACES)
def test_as_if_the_step_had_not_been(place, steps, error):
    model, failure = failing_model(place)
    twin, _ = failing_model(place)
    for each in (model, twin):
        for _ in range(steps):
            each.train_on_batch(X, Y)
    failure.error = error
    before, random_state = model.get_weights(), model.random_state()
    iterations = model.optimizer.iterations
    with pytest.raises(error):
        model.train_on_batch(X, Y)
    assert_same(model.get_weights(), before)
    assert model.random_state() == random_state
    assert model.optimizer.iterations == iterations
    failure.error = None
    assert model.train_on_batch(X, Y) == twin.train_on_batch(X, Y)
    assert_same(model.get_weights(), twin.get_weights())
    assert_same(model.optimizer.state_dict().values(), twin.optimizer.state_dict().values())


def test_fit_too():
    model, failure = failing_model("backward")
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    failure.error = ArithmeticError
    with pytest.raises(ArithmeticError):
        model.fit(X, Y, verbose=0)
    assert_same(model.get_weights(), before)


def test_ctrl_c_in_the_middle_of_a_step_that_is_done_anyway_is_no_failure():
    """fit raises KeyboardInterrupt once the step is complete, and then it counts."""

    class Interrupting(metrics.MeanSquaredError):
        def update_state(self, *args, **kwargs):
            super().update_state(*args, **kwargs)
            signal.raise_signal(signal.SIGINT)

    model, twin = failing_model("loss")[0], failing_model("loss")[0]
    for each in (model, twin):
        fastconv.utils.set_random_seed(2)
        more = [Interrupting()] if each is model else []
        each.compile(optimizers.SGD(0.1), "mse", metrics=more)
        if each is model:
            with pytest.raises(KeyboardInterrupt):
                each.fit(X, Y, epochs=5, verbose=0, shuffle=False)
        else:
            each.fit(X, Y, verbose=0, shuffle=False)
    assert_same(model.get_weights(), twin.get_weights())
    assert model.optimizer.iterations == 1


def test_a_program_that_fails_has_not_drawn(monkeypatch):
    model = Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.RandomFlip(seed=1),
            layers.Conv2D(3, 3),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(X, Y)
    assert model.random_state() == {model.layers[0].name: {"seed": 1, "draws": 1}}

    class Full:
        def __init__(self, *table):
            pass

        def train(self, *args):
            raise MemoryError

    monkeypatch.setattr(_kernels, "Program", Full)
    model.layers[1].activation = fastconv.activations.get("relu")
    with pytest.raises(MemoryError):
        model.train_on_batch(X, Y)
    assert model.random_state() == {model.layers[0].name: {"seed": 1, "draws": 1}}


def test_batch_normalization_by_itself(monkeypatch):
    """In a loop of one's own, ``forward`` moves the averages when nothing more can fail."""
    layer = layers.BatchNormalization()
    layer(X)
    before = layer.get_weights()

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(fastconv.ops, "batch_norm", fail)
    with pytest.raises(MemoryError):
        layer.forward(X, training=True)
    assert_same(layer.get_weights(), before)


def test_going_back_to_a_snapshot_is_all_or_nothing():
    model, _ = failing_model("loss")
    model.train_on_batch(X, Y)
    state = snapshot(model)
    model.train_on_batch(X, Y)
    before = snapshot(model)
    optimizer = {name: value for name, value in state["optimizer"].items() if name != "momentum.0"}
    for broken in ({**state, "optimizer": optimizer}, {**state, "layers": {"other": {}}}):
        with pytest.raises(ValueError, match=r"momentum\.0|other"):
            restore(model, broken)
        assert_same(model.get_weights(), before["weights"])
        assert_same(model.optimizer.state_dict().values(), before["optimizer"].values())
        assert model.random_state() == before["layers"]
    restore(model, state)
    assert_same(model.get_weights(), state["weights"])
