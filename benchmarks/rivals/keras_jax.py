"""Keras 3 on JAX, through Keras' public API: the same calls as ours."""

from __future__ import annotations

import os

import numpy as np

if os.environ["OMP_NUM_THREADS"] == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # XLA makes a thread for every CPU it sees

import jax
import keras

from benchmarks.networks import Conv, Dense, Layer, Network, Pool, Weights
from benchmarks.rivals import MOMENTUM, NetworkContestant


def sequential(network: Network) -> keras.Sequential:
    model = keras.Sequential([keras.layers.Input(network.input_shape)])
    for layer, below, _ in network.shapes():
        if isinstance(layer, Dense) and len(below) == 3:
            model.add(keras.layers.Flatten())
        model.add(_layer(layer))
    return model


def _layer(layer: Layer) -> keras.layers.Layer:
    if isinstance(layer, Conv):
        padding = "same" if layer.padding else "valid"
        return keras.layers.Conv2D(layer.filters, layer.size, padding=padding, activation="relu")
    if isinstance(layer, Pool):
        return keras.layers.MaxPooling2D(2) if layer.kind == "max" else keras.layers.AveragePooling2D(2)
    if isinstance(layer, Dense):
        return keras.layers.Dense(layer.units, activation=layer.activation)
    return keras.layers.Dropout(layer.rate)


class RivalNetwork(NetworkContestant):
    def __init__(self, network: Network, weights: Weights, batches: list, learning_rate: float):
        self.model = sequential(network)
        self.model.set_weights(weights)
        optimizer = keras.optimizers.SGD(learning_rate, momentum=MOMENTUM, nesterov=True)
        self.model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=True)
        self.batches = batches

    def train(self, i: int) -> float:
        return float(self.model.train_on_batch(*self.batches[i % len(self.batches)]))

    def infer(self, i: int) -> np.ndarray:
        return self.model.predict_on_batch(self.batches[i % len(self.batches)][0])

    def probabilities(self) -> np.ndarray:
        return np.asarray(self.infer(0))

    def weights(self) -> Weights:
        return [np.array(weight) for weight in self.model.get_weights()]


def version() -> str:
    return f"keras {keras.__version__}, jax {jax.__version__}"
