"""Keras 3 on JAX, through Keras' public API: the same calls as ours."""

from __future__ import annotations

import os

import numpy as np

if os.environ["OMP_NUM_THREADS"] == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # XLA makes a thread for every CPU it sees

import jax
import keras

from benchmarks.description import Network, Weights
from benchmarks.rivals import MOMENTUM, NetworkContestant
from benchmarks.rivals.keras_style import KerasModel


class RivalNetwork(NetworkContestant):
    def __init__(self, network: Network, weights: Weights, batches: list, learning_rate: float):
        self.built = KerasModel(keras, network)
        self.built.set_weights(weights)
        self.built.compile(network, learning_rate, MOMENTUM, jit_compile=True)
        self.model, self.batches = self.built.model, batches

    def train(self, i: int) -> float:
        return float(self.model.train_on_batch(*self.batches[i % len(self.batches)]))

    def infer(self, i: int) -> np.ndarray:
        return self.model.predict_on_batch(self.batches[i % len(self.batches)][0])

    def outputs(self) -> np.ndarray:
        return np.asarray(self.infer(0))

    def weights(self) -> Weights:
        return [np.array(weight) for weight in self.built.get_weights()]


def version() -> str:
    return f"keras {keras.__version__}, jax {jax.__version__}"
