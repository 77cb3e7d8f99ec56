"""Fifty steps of each optimizer as Keras takes them: writes optimizers.npz.

    KERAS_BACKEND=jax python tests/golden/make_optimizers.py        (keras 3.15.1, jax)

Two parameters, named kernel and bias, share the given gradients, whose sizes span six decades; among them are
exact zeros. Where the learning rate is a number it is halved after step 30. ``<case>_<parameter>`` holds the
values after every fifth step; the last of them, where there are moving averages, after
``finalize_variable_values``.

A case is (class, arguments, names that weight decay leaves alone); a schedule among the arguments is a
dictionary as Keras' ``schedules.serialize`` makes it.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np

STEPS, SHAPES, NAMES = 50, [(4, 3), (3,)], ["kernel", "bias"]
rng = np.random.default_rng(22)
initial = [rng.normal(0, 1, shape).astype(np.float32) for shape in SHAPES]
sizes = [10.0 ** rng.uniform(-3, 3, shape) for shape in SHAPES]
gradients = [
    [(size * rng.normal(0.3, 1, size.shape)).astype(np.float32) for size in sizes] for _ in range(STEPS)
]
for step in range(STEPS):
    gradients[step][0][0, 0] = 0  # never moves
    gradients[step][0][1, 1] *= step % 5 == 4  # moves now and then

MOMENTS = {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}
cases = {
    "sgd": ["SGD", {"learning_rate": 1e-3}, []],
    "sgd_momentum": ["SGD", {"learning_rate": 1e-3, "momentum": 0.9}, []],
    "sgd_nesterov": ["SGD", {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True}, []],
    "adagrad": ["Adagrad", {}, []],
    "adagrad_arguments": [
        "Adagrad",
        {"learning_rate": 0.05, "initial_accumulator_value": 0.5, "epsilon": 1e-3},
        [],
    ],
    "rmsprop": ["RMSprop", {}, []],
    "rmsprop_momentum": ["RMSprop", {"learning_rate": 2e-3, "momentum": 0.7}, []],
    "rmsprop_centered": ["RMSprop", {"rho": 0.8, "centered": True, "epsilon": 1e-5}, []],
    "rmsprop_both": ["RMSprop", {"rho": 0.95, "momentum": 0.5, "centered": True}, []],
    "adam": ["Adam", {}, []],
    "adam_arguments": ["Adam", MOMENTS, []],
    "adam_amsgrad": ["Adam", {"learning_rate": 0.01, "amsgrad": True}, []],
    "adamw": ["AdamW", {}, []],
    "adamw_arguments": ["AdamW", MOMENTS | {"weight_decay": 0.1, "amsgrad": True}, []],
    "adamax": ["Adamax", {}, []],
    "adamax_arguments": ["Adamax", MOMENTS, []],
    "nadam": ["Nadam", {}, []],
    "nadam_arguments": ["Nadam", MOMENTS, []],
    "adadelta": ["Adadelta", {}, []],
    "adadelta_arguments": ["Adadelta", {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-8}, []],
}

decay = keras.optimizers.schedules.serialize(keras.optimizers.schedules.ExponentialDecay(0.02, 20, 0.5))
OPTIONS = {
    "weight_decay": ({"weight_decay": 0.2}, []),
    "excluded": ({"weight_decay": 0.2}, ["bias"]),
    "clipvalue": ({"clipvalue": 0.5}, []),
    "clipnorm": ({"clipnorm": 1.0}, []),
    "global_clipnorm": ({"global_clipnorm": 2.0}, []),
    "ema": ({"use_ema": True, "ema_momentum": 0.8}, []),
    "ema_overwrite": ({"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}, []),
    "accumulation": ({"gradient_accumulation_steps": 4}, []),
    "schedule": ({"learning_rate": decay}, []),
    "together": (
        {
            "learning_rate": decay,
            "weight_decay": 0.1,
            "global_clipnorm": 3.0,
            "use_ema": True,
            "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 3,
        },
        ["kernel"],
    ),
}
RULES = {
    "SGD": {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": True},
    "Adagrad": {"learning_rate": 0.02},
    "RMSprop": {"learning_rate": 2e-3, "momentum": 0.7, "centered": True},
    "Adam": {"learning_rate": 0.01},
    "AdamW": {"learning_rate": 0.01},
    "Adamax": {"learning_rate": 0.01},
    "Nadam": {"learning_rate": 0.01},
    "Adadelta": {"learning_rate": 0.5},
}
for rule, arguments in RULES.items():
    for option, (more, excluded) in OPTIONS.items():
        cases[f"{rule.lower()}_{option}"] = [rule, arguments | more, excluded]

outputs = {}
for case, (name, arguments, excluded) in cases.items():
    config = json.loads(json.dumps(arguments))  # from_config changes it
    optimizer = getattr(keras.optimizers, name).from_config(config)
    optimizer.exclude_from_weight_decay(var_names=excluded)
    variables = [keras.Variable(value, name=n) for value, n in zip(initial, NAMES, strict=True)]
    kept: list[list[np.ndarray]] = [[], []]
    for step in range(STEPS):
        if step == 30 and arguments.get("learning_rate") != decay:
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
        optimizer.apply(gradients[step], variables)
        if step == STEPS - 1:
            optimizer.finalize_variable_values(variables)
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
