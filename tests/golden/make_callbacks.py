"""What Keras' callbacks do when a monitored number goes up and down: writes callbacks.json.

    KERAS_BACKEND=jax python tests/golden/make_callbacks.py        (keras 3.15.1, jax)

The model is a stand-in whose weights are the number of the epoch. Each case is a series of numbers and the
arguments of a callback, with what came of it: for EarlyStopping the epoch after which training stopped, the
weights at the end and the best number; for ModelCheckpoint the epochs that were saved.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import keras
import numpy as np


class Model:
    metrics = ()

    def __init__(self):
        self.weights, self.stop_training, self.saved = None, False, []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite):
        self.saved.append(self.weights)


def run(callback, series):
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(series):
        model.weights = epoch
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_loss": value})
        if model.stop_training:
            break
    callback.on_train_end()
    return model, epoch


rng = np.random.default_rng(23)
every_series = [[round(float(v), 2) for v in rng.uniform(0, 1, 9)] for _ in range(3)]
every_series += [
    [0.9, 0.8, 0.7, 0.6, 0.5],  # ever better
    [0.5, 0.5, 0.5, 0.5, 0.5],  # a plateau is no improvement
    [0.1, 0.9, 0.8, 0.7, 0.6],  # best at once
    [0.5, 0.45, 0.41, 0.38, 0.2, 0.3],  # small steps
]

stopping = []
for series, patience, min_delta, mode, baseline, start in itertools.product(
    every_series, (0, 2), (0, 0.06), ("auto", "max"), (None, 0.4), (0, 2)
):
    arguments = {
        "patience": patience,
        "min_delta": min_delta,
        "mode": mode,
        "baseline": baseline,
        "start_from_epoch": start,
        "restore_best_weights": True,
    }
    callback = keras.callbacks.EarlyStopping(**arguments)
    model, last = run(callback, series)
    stopping.append([series, arguments, last, callback.stopped_epoch, model.weights, callback.best])

checkpoints = []
for series, mode, threshold in itertools.product(every_series, ("auto", "max"), (None, 0.5)):
    arguments = {"mode": mode, "initial_value_threshold": threshold, "save_best_only": True}
    model, _ = run(keras.callbacks.ModelCheckpoint("x.keras", **arguments), series)
    checkpoints.append([series, arguments, model.saved])

results = {"early_stopping": stopping, "model_checkpoint": checkpoints}
Path(__file__).with_name("callbacks.json").write_text(json.dumps(results))
