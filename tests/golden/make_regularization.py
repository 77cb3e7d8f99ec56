"""Penalties, constraints and what they do to fifty steps of training in Keras: writes regularization.npz.

    KERAS_BACKEND=jax python tests/golden/make_regularization.py        (keras 3.15.1, jax)

Networks, weights and data are those of tests/golden_regularization.py, which the tests give to fastconv.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jax
import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import golden_regularization as golden

outputs = {}
for case in golden.cases(keras):
    model, losses = golden.trained(keras, case)
    outputs[f"{case}/losses"] = np.array(losses)
    outputs[f"{case}/evaluated"] = np.array(golden.evaluated(model))
    outputs |= {f"{case}/{index}": array for index, array in enumerate(model.get_weights())}
for name, (regularizer, array) in golden.penalized(keras).items():
    outputs[f"penalty {name}"] = np.array(regularizer(jax.numpy.asarray(array)))
    outputs[f"gradient {name}"] = np.array(jax.grad(regularizer)(array))
for name, (constraint, array) in golden.constrained(keras).items():
    outputs[f"constrained {name}"] = np.array(constraint(array))
for rate in (0.1, 0.3, 0.5, 0.9):  # what alpha dropout makes of zeros and of ones, kept or dropped
    for x in (0.0, 1.0):
        y = keras.layers.AlphaDropout(rate, seed=1)(np.full((1000,), x, np.float32), training=True)
        outputs[f"alpha dropout {rate} of {x}"] = np.unique(y)
np.savez_compressed(Path(__file__).with_name("regularization.npz"), **outputs)
