"""Networks with penalties and constraints that Keras and fastconv can both be given.

``keras`` is the argument's name throughout, and either package is what it may be.
"""

from __future__ import annotations

import numpy as np
from golden_models import examples, set_seeded_weights

STEPS, RATE, CLASSES = 50, 0.05, 3
SHAPE = (6, 6, 2)


def cases(keras):
    """name -> (arguments of the convolution, of the dense layer)"""
    r, c = keras.regularizers, keras.constraints
    whole_filters = [0, 1, 2]
    return {
        "l1 kernels": ({"kernel_regularizer": r.L1(0.003)}, {"kernel_regularizer": "l1"}),
        "l2 kernels": ({"kernel_regularizer": "l2"}, {"kernel_regularizer": r.l2(0.05)}),
        "l1_l2 kernels": (
            {"kernel_regularizer": r.L1L2(0.003, 0.02)},
            {"kernel_regularizer": r.l1_l2(l1=0.001, l2=0.01)},
        ),
        "l1 biases": ({"bias_regularizer": r.L1(0.05)}, {"bias_regularizer": "l1"}),
        "l2 biases": ({"bias_regularizer": r.L2(0.5)}, {"bias_regularizer": "l2"}),
        "activities": ({"activity_regularizer": r.L1(0.002)}, {"activity_regularizer": r.L2(0.3)}),
        "l1_l2 activities": ({"activity_regularizer": r.L1L2(0.001, 0.004)}, {}),
        "everything": (
            {
                "kernel_regularizer": r.L1L2(0.001, 0.01),
                "bias_regularizer": r.L2(0.1),
                "activity_regularizer": r.L2(0.003),
            },
            {"kernel_regularizer": r.OrthogonalRegularizer(0.1, "columns"), "bias_regularizer": r.L1(0.02)},
        ),
        "max norm": (
            {"kernel_constraint": c.MaxNorm(0.6, axis=whole_filters)},
            {"kernel_constraint": c.MaxNorm(0.9), "bias_constraint": c.MaxNorm(0.05)},
        ),
        "non-negative": ({"kernel_constraint": "non_neg"}, {"bias_constraint": c.NonNeg()}),
        "unit norm": (
            {"kernel_constraint": c.UnitNorm(axis=whole_filters)},
            {"kernel_constraint": "unit_norm"},
        ),
        "min-max norm": (
            {"kernel_constraint": c.MinMaxNorm(0.8, 1.1, rate=0.3, axis=whole_filters)},
            {"kernel_constraint": c.MinMaxNorm(0.2, 0.7)},
        ),
    }


def trained(keras, case):
    """The model of that case after fifty steps of SGD on two batches, and its loss at each."""
    layers = keras.layers
    of_convolution, of_dense = cases(keras)[case]
    model = keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(4, 3, activation="tanh", **of_convolution),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax", **of_dense),
        ]
    )
    set_seeded_weights(model)
    model.compile(keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy")
    x, y = examples(20, SHAPE, CLASSES)
    batches = [(x[:12], y[:12]), (x[12:], y[12:])]
    losses = [float(model.train_on_batch(*batches[step % 2])) for step in range(STEPS)]
    return model, losses


def evaluated(model):
    """The loss on all examples, in batches of unequal size."""
    x, y = examples(20, SHAPE, CLASSES)
    return float(model.evaluate(x, y, batch_size=8, verbose=0))


def penalized(keras):
    """name -> (regularizer, array): what each one says of which numbers."""
    r, random = keras.regularizers, np.random.default_rng(5)
    matrix = random.normal(0, 1, (5, 7)).astype(np.float32)
    kernel = random.normal(0, 0.3, (3, 3, 4, 17)).astype(np.float32)
    return {
        "l1": (r.L1(), kernel),
        "l2": (r.L2(), kernel),
        "l1_l2": (r.L1L2(0.3, 0.02), kernel),
        "nothing": (r.L1L2(), kernel),
        "orthogonal rows": (r.OrthogonalRegularizer(), matrix),
        "orthogonal columns": (r.OrthogonalRegularizer(0.5, mode="columns"), matrix),
    }


def constrained(keras):
    """name -> (constraint, array)"""
    c, random = keras.constraints, np.random.default_rng(6)
    matrix = random.normal(0, 1, (5, 7)).astype(np.float32)
    matrix[:, 2] = 0
    kernel = random.normal(0, 0.3, (3, 3, 4, 17)).astype(np.float32)
    return {
        "max_norm": (c.MaxNorm(), matrix),
        "max_norm of filters": (c.MaxNorm(1.5, axis=[0, 1, 2]), kernel),
        "max_norm of rows": (c.MaxNorm(2.0, axis=1), matrix),
        "non_neg": (c.NonNeg(), matrix),
        "unit_norm": (c.UnitNorm(), matrix),
        "unit_norm of filters": (c.UnitNorm(axis=[0, 1, 2]), kernel),
        "min_max_norm": (c.MinMaxNorm(), matrix),
        "min_max_norm slowly": (c.MinMaxNorm(2.0, 2.1, rate=0.4, axis=[0, 1, 2]), kernel),
    }
