"""fastconv: small CNNs on a CPU. Keras' API on NumPy arrays, C kernels you can read.

>>> import fastconv as keras
>>> model = keras.models.Sequential([keras.layers.Dense(10, activation="softmax")])

``models``, ``layers``, ``optimizers``, ``losses``, ``metrics``, ``callbacks``, ``initializers``,
``regularizers``, ``constraints``, ``activations``, ``datasets``, ``applications``, ``utils``, ``backend``,
``config``, ``random`` and ``saving`` are what their namesakes in Keras are. ``presets`` has ready networks
with the usual defaults, ``visualize`` pictures of what is inside them, ``interop`` weights of other
libraries.
Below them: ``ops``, the operations on arrays; ``reference``, the same in pure Python; ``gradcheck``.
"""

import fastconv._core.kernels  # noqa: F401  (first of all)  # isort: skip
from typing import TYPE_CHECKING

from fastconv import (
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    reference,
    regularizers,
    utils,
)
from fastconv._core.machine import (
    available_isas,
    get_backend,
    get_isa,
    get_num_threads,
    measure_peak,
    set_backend,
    set_isa,
    set_num_threads,
    show_config,
)
from fastconv._core.names import publish
from fastconv.gradcheck import gradcheck
from fastconv.initializers import Initializer
from fastconv.layers import Input, Layer
from fastconv.losses import Loss
from fastconv.metrics import Metric
from fastconv.models import Model, Sequential
from fastconv.optimizers import Optimizer
from fastconv.parameter import Parameter
from fastconv.regularizers import Regularizer

Variable = Parameter  # its name in Keras

__version__ = "0.1.0"

__all__ = [
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Parameter",
    "Regularizer",
    "Sequential",
    "Variable",
    "activations",
    "applications",
    "available_isas",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "get_backend",
    "get_isa",
    "get_num_threads",
    "gradcheck",
    "initializers",
    "interop",
    "layers",
    "losses",
    "measure_peak",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "presets",
    "random",
    "reference",
    "regularizers",
    "saving",
    "set_backend",
    "set_isa",
    "set_num_threads",
    "show_config",
    "utils",
    "visualize",
]


if TYPE_CHECKING:  # imported when first used: training and predicting do without
    from fastconv import applications, backend, config, datasets, interop, presets, random, saving, visualize

publish(__name__)
