"""Fifty steps of each optimizer as Keras takes them: writes optimizers.npz.

    KERAS_BACKEND=jax python tests/golden/make_optimizers.py        (keras 3.15.1, jax)

Two parameters share the given gradients, whose sizes span six decades; among them are exact zeros. The
learning rate is halved after step 30. ``<case>_<parameter>`` holds the values after every fifth step.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np

STEPS, SHAPES = 50, [(4, 3), (3,)]
rng = np.random.default_rng(22)
initial = [rng.normal(0, 1, shape).astype(np.float32) for shape in SHAPES]
sizes = [10.0 ** rng.uniform(-3, 3, shape) for shape in SHAPES]
gradients = [
    [(size * rng.normal(0.3, 1, size.shape)).astype(np.float32) for size in sizes] for _ in range(STEPS)
]
for step in range(STEPS):
    gradients[step][0][0, 0] = 0  # never moves
    gradients[step][0][1, 1] *= step % 5 == 4  # moves now and then

cases = {
    "sgd": ["SGD", {"learning_rate": 1e-3}],
    "sgd_momentum": ["SGD", {"learning_rate": 1e-3, "momentum": 0.9}],
    "sgd_nesterov": ["SGD", {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True}],
    "adam": ["Adam", {}],
    "adam_arguments": ["Adam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}],
    "adam_amsgrad": ["Adam", {"learning_rate": 0.01, "amsgrad": True}],
    "nadam": ["Nadam", {}],
    "nadam_arguments": ["Nadam", {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}],
    "rmsprop": ["RMSprop", {}],
    "rmsprop_momentum": ["RMSprop", {"learning_rate": 2e-3, "momentum": 0.7}],
    "rmsprop_centered": ["RMSprop", {"rho": 0.8, "centered": True, "epsilon": 1e-5}],
    "rmsprop_both": ["RMSprop", {"rho": 0.95, "momentum": 0.5, "centered": True}],
}

outputs = {}
for case, (name, arguments) in cases.items():
    optimizer = getattr(keras.optimizers, name)(**arguments)
    variables = [keras.Variable(value) for value in initial]
    kept: list[list[np.ndarray]] = [[], []]
    for step in range(STEPS):
        if step == 30:
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
        optimizer.apply(gradients[step], variables)
        if step % 5 == 4:
            for series, variable in zip(kept, variables, strict=True):
                series.append(np.array(variable.value))
    for index, series in enumerate(kept):
        outputs[f"{case}_{index}"] = np.stack(series)

np.savez_compressed(
    Path(__file__).with_name("optimizers.npz"),
    cases=json.dumps(cases),
    initial_0=initial[0],
    initial_1=initial[1],
    gradients_0=np.stack([pair[0] for pair in gradients]),
    gradients_1=np.stack([pair[1] for pair in gradients]),
    **outputs,
)
