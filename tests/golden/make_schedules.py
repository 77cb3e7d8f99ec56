"""Learning rates of Keras' schedules at many steps, in double precision: writes schedules.json.

KERAS_BACKEND=jax JAX_ENABLE_X64=1 python tests/golden/make_schedules.py        (keras 3.15.1, jax)
"""

from __future__ import annotations

import json
from pathlib import Path

import keras

keras.config.set_floatx("float64")
STEPS = [*range(13), 19, 20, 21, 29, 30, 31, 39, 40, 41, 57, 69, 70, 71, 99, 100, 101, 149, 150, 200, 1000]

CASES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.1}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [5, 20, 100], "values": [0.1, 0.05, 0.02, 0.001]}),
    ("PiecewiseConstantDecay", {"boundaries": [10], "values": [1.0, 0.5]}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.7}),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 2.0, "decay_steps": 20, "decay_rate": 3.0, "staircase": True},
    ),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 30, "end_learning_rate": 0.01, "power": 2.5},
    ),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "power": 0.5, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 70, "alpha": 0.1}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 60, "warmup_target": 0.2, "warmup_steps": 10},
    ),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.05,
            "decay_steps": 20,
            "alpha": 0.3,
            "warmup_target": 0.1,
            "warmup_steps": 30,
        },
    ),
    ("CosineDecay", {"initial_learning_rate": 0.05, "decay_steps": 20, "warmup_target": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 30, "t_mul": 1.0, "m_mul": 0.8, "alpha": 0.05},
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 20, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.1},
    ),
]

recorded = []
for name, arguments in CASES:
    schedule = getattr(keras.optimizers.schedules, name)(**arguments)
    recorded.append(
        {
            "schedule": keras.optimizers.schedules.serialize(schedule),
            "rates": [float(schedule(step)) for step in STEPS],
        }
    )
Path(__file__).with_name("schedules.json").write_text(
    json.dumps({"steps": STEPS, "cases": recorded}, indent=1)
)
