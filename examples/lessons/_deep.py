"""The network these lessons look into, a tall stack of dense layers, and the data it gets: small digits."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

import fastconv as fc
from fastconv import layers

Arrays = tuple[np.ndarray, np.ndarray]
UNITS = 100  # of every hidden layer


def digits(images: int = 1440) -> tuple[Arrays, Arrays]:
    """The digits as rows of 784 numbers: over all training images their mean is 0 and their deviation 1.

    Two of the 1,442 training ``images`` are left out, so that batches of 32 come out even: mean and variance
    of the two left over would be no estimate of anything, and batch normalisation goes wild on them.
    """
    (x_train, y_train), (x_test, y_test) = fc.datasets.digits.load_data()
    x_train, y_train = x_train[:images], y_train[:images]
    mean, deviation = x_train.mean(), x_train.std()
    x_train, x_test = (
        ((x - mean) / deviation).reshape(len(x), -1).astype(np.float32) for x in (x_train, x_test)
    )
    return (x_train, y_train), (x_test, y_test)


def stack(depth: int, activation: str, initializer: Any, batch_norm: bool = False) -> fc.Sequential:
    """``depth`` hidden layers of ``UNITS``, and the scores of ten classes on top.

    Hidden layer i is named "dense_i"; with batch normalisation "norm_i" and "active_i" come behind it.
    """
    model = fc.Sequential([fc.Input((784,))])
    for i in range(1, depth + 1):
        if batch_norm:
            model.add(layers.Dense(UNITS, use_bias=False, kernel_initializer=initializer, name=f"dense_{i}"))
            # What is used for testing follows the batches at 0.9: these runs are too short for 0.99.
            model.add(layers.BatchNormalization(momentum=0.9, name=f"norm_{i}"))
            model.add(layers.Activation(activation, name=f"active_{i}"))
        else:
            model.add(layers.Dense(UNITS, activation, kernel_initializer=initializer, name=f"dense_{i}"))
    model.add(layers.Dense(10, name="scores"))
    return model


def gradient_norms(model: fc.Sequential, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """‖∂ loss / ∂ kernel‖ of every hidden layer, first to last, for one batch."""
    _, dscores = fc.losses.softmax_cross_entropy(model.forward(x, training=True), y)
    model.backward(dscores)
    kernels = [layer.kernel for layer in model.layers if layer.name.startswith("dense_")]
    return np.array([np.linalg.norm(kernel.grad.astype(np.float64)) for kernel in kernels])


def train(
    model: fc.Sequential, optimizer: fc.Optimizer, epochs: int, images: int = 1440, **fit: Any
) -> Mapping[str, list[float]]:
    """Train on the digits, test after every epoch, and return the history."""
    (x_train, y_train), (x_test, y_test) = digits(images)
    loss = fc.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    with np.errstate(all="ignore"), warnings.catch_warnings():  # some of them are meant to overflow
        warnings.filterwarnings("ignore", ".*training diverged")
        history = model.fit(
            x_train, y_train, epochs=epochs, validation_data=(x_test, y_test), verbose=0, **fit
        )
    return history.history
