"""Copies of every kind go on from where the original stands, and learn for themselves."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import fastconv
from fastconv import layers, optimizers
from fastconv.models import Sequential
from fastconv.parameter import Parameter

RNG = np.random.default_rng(0)
X = RNG.random((24, 6, 6, 1), np.float32)
Y = RNG.integers(0, 3, 24)


def pickled(protocol):
    return lambda thing: pickle.loads(pickle.dumps(thing, protocol))


def pickled_by_python(thing):
    """As cloudpickle does, by the pickler written in Python."""
    file = io.BytesIO()
    pickle._Pickler(file).dump(thing)
    return pickle._loads(file.getvalue())


def mapped(thing):
    """As joblib gives large arrays to other processes: in memory that cannot be written to."""
    buffers = []
    data = pickle.dumps(thing, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])


COPIERS = {
    "pickle 2": pickled(2),
    "pickle 5": pickled(5),
    "pickle in Python": pickled_by_python,
    "read-only buffers": mapped,
    "deepcopy": copy.deepcopy,
    "twice": lambda thing: copy.deepcopy(pickled(5)(thing)),
}

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum, decay": lambda: optimizers.SGD(0.1, 0.9, weight_decay=0.01),
    "adam, averages": lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=3, clipnorm=1.0),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop, gathering": lambda: optimizers.RMSprop(0.01, gradient_accumulation_steps=2),
}


def network(jit_compile="auto", optimizer="sgd", norm=False) -> Sequential:
    fastconv.utils.set_random_seed(1)
    model = Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu", kernel_constraint="max_norm"),
            *([layers.BatchNormalization(), layers.Dropout(0.2, seed=4)] if norm else []),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(OPTIMIZERS[optimizer](), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    return model


def weights_after(model: Sequential, steps: int) -> list[np.ndarray]:
    for step in range(steps):
        part = slice(8 * (step % 3), 8 * (step % 3) + 8)
        model.train_on_batch(X[part], Y[part])
    return model.get_weights()


def assert_same(found, expected) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def assert_learns_as(model: Sequential, copied: Sequential) -> None:
    """The copy moves, the original does not move with it, and then moves to the same place."""
    start = model.get_weights()
    assert_same(copied.get_weights(), start)
    learned = weights_after(copied, 3)
    assert all(np.abs(one - other).max() > 1e-4 for one, other in zip(learned, start, strict=True))
    assert_same(model.get_weights(), start)
    assert_same(weights_after(model, 3), learned)
    assert_same([copied.predict(X, verbose=0)], [model.predict(X, verbose=0)])


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("jit_compile", ["auto", False])
@pytest.mark.parametrize("copier", COPIERS)
def test_a_copy_learns(copier, jit_compile, steps):
    model = network(jit_compile)
    weights_after(model, steps)
    model.predict(X, verbose=0)  # by programs, which belong to the original's arrays
    assert_learns_as(model, COPIERS[copier](model))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("copier", COPIERS)
def test_whatever_the_optimizer_remembers(copier, optimizer):
    model = network(optimizer=optimizer)
    model.optimizer.exclude_from_weight_decay([model.layers[0].kernel])
    weights_after(model, 3)
    assert_learns_as(model, COPIERS[copier](model))


@pytest.mark.parametrize("copier", COPIERS)
def test_moving_averages_and_random_numbers_go_on(copier):
    model = network(norm=True)
    weights_after(model, 2)
    assert_learns_as(model, COPIERS[copier](model))


@pytest.mark.parametrize("copier", COPIERS)
def test_a_loop_of_ones_own_with_a_copied_optimizer(copier):
    parameter, optimizer = Parameter(np.ones(3)), optimizers.Adam(0.1)
    parameter.grad = [1, 2, 3]
    optimizer.step([parameter])
    for copied, own in (
        COPIERS[copier]((parameter, optimizer)),
        reversed(COPIERS[copier]([optimizer, parameter])),
    ):
        own.step([copied])
        np.testing.assert_allclose(copied.value, 0.8, rtol=1e-5)
    np.testing.assert_allclose(parameter.value, 0.9, rtol=1e-5)


def test_a_shallow_copy_of_an_optimizer_remembers_for_itself():
    parameter, optimizer = Parameter(np.zeros(1)), optimizers.SGD(1.0, momentum=0.5)
    parameter.grad = [1.0]
    optimizer.step([parameter])
    copy.copy(optimizer).step([parameter])  # momentum -1.5
    optimizer.step([parameter])  # and -1.5 again, not -1.75
    assert parameter.value == pytest.approx(-4.0)


def test_a_clone_learns_from_the_start():
    model = network(optimizer="adam, averages")
    start = model.get_weights()
    learned = weights_after(model, 3)
    clone = fastconv.models.clone_model(model)
    clone.set_weights(start)
    assert_same(weights_after(clone, 3), learned)
    assert_same(model.get_weights(), learned)


class Doubled(Sequential):
    def call(self, x, training):
        return 2 * super().call(x, training)


@pytest.mark.parametrize("nested", [False, True])
def test_a_clone_computes_what_the_model_computes(nested):
    model = Doubled([layers.Input((4,)), layers.Dense(3)])
    if nested:
        model = Sequential([layers.Input((4,)), model])
    clone = fastconv.models.clone_model(model)
    clone.set_weights(model.get_weights())
    x = RNG.random((2, 4), np.float32)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(clone.predict(x, verbose=0), 2 * (x @ kernel + bias), rtol=1e-5)


def test_a_model_sent_to_another_process_and_back():
    model = network(optimizer="momentum, decay")
    weights_after(model, 1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        learned, returned = pool.submit(trained_elsewhere, model).result()
    assert_same(returned.get_weights(), learned)
    assert_same(weights_after(model, 3), learned)
    assert_same(weights_after(returned, 2), weights_after(model, 2))


def trained_elsewhere(model: Sequential) -> tuple[list[np.ndarray], Sequential]:
    fastconv.set_num_threads(1)
    return weights_after(model, 3), model
