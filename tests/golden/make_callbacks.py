"""What Keras' callbacks do when a monitored number goes up and down: writes callbacks.json.

    KERAS_BACKEND=jax python tests/golden/make_callbacks.py        (keras 3.15.1, jax)

The model is a stand-in whose weights are the number of the epoch. Each case is a series of numbers and the
arguments of a callback, with what came of it: for EarlyStopping the epoch after which training stopped, the
weights at the end and the best number; for ModelCheckpoint the epochs that were saved; for ReduceLROnPlateau
and LearningRateScheduler the logs' learning rate of each epoch, and the optimizer's after the last.
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


def learning_rates(callback, series, name, start):
    model = Model()
    model.optimizer = keras.optimizers.SGD(start)
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, value in enumerate(series):
        callback.on_epoch_begin(epoch)
        logs = {name: value}
        callback.on_epoch_end(epoch, logs)
        rates.append(logs["learning_rate"])
    callback.on_train_end()
    return [*rates, float(model.optimizer.learning_rate)]


plateaus = []
long_series = [[round(float(v), 2) for v in rng.uniform(0, 1, 20)] for _ in range(3)]
long_series += [[1.0, 0.9, *[0.9] * 12], [0.5, 0.49995, 0.4999, 0.4, 0.41, 0.4, 0.39995, 0.2, 0.3, 0.3]]
for series, patience, cooldown, mode, min_delta in itertools.product(
    long_series, (0, 1, 3), (0, 2), ("auto", "max"), (1e-4, 0.1)
):
    arguments = {"factor": 0.5, "patience": patience, "cooldown": cooldown, "mode": mode}
    arguments |= {"min_delta": min_delta, "min_lr": 0.01}
    callback = keras.callbacks.ReduceLROnPlateau(**arguments)
    plateaus.append([series, arguments, learning_rates(callback, series, "val_loss", 0.1)])
defaults = keras.callbacks.ReduceLROnPlateau("loss")
series = [1.0] * 35
plateaus.append([series, {"monitor": "loss"}, learning_rates(defaults, series, "loss", 1.0)])

scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch < 3 else rate * 0.8)
by_epoch = keras.callbacks.LearningRateScheduler(lambda epoch: 1 / (2 + epoch))
scheduled = {
    "of_both": learning_rates(scheduler, [0.0] * 8, "loss", 0.5),
    "of_epoch": learning_rates(by_epoch, [0.0] * 8, "loss", 0.5),
}

results = {
    "early_stopping": stopping,
    "model_checkpoint": checkpoints,
    "reduce_lr_on_plateau": plateaus,
    "learning_rate_scheduler": scheduled,
}
Path(__file__).with_name("callbacks.json").write_text(json.dumps(results))
