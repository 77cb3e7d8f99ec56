"""fastconv: small CNNs on a CPU. Keras' API on NumPy arrays, C kernels you can read.

>>> import fastconv as keras
>>> model = keras.models.Sequential([keras.layers.Dense(10, activation="softmax")])

``models``, ``layers``, ``optimizers``, ``losses``, ``metrics``, ``callbacks``, ``initializers``,
``regularizers``, ``constraints``, ``activations``, ``datasets``, ``applications`` and ``utils`` are what
their namesakes in Keras are. ``presets`` has ready networks with the usual defaults,
``visualize`` pictures of what is inside them; it is imported when first used.
Below them: ``ops``, the operations on arrays; ``reference``, the same in pure Python; ``gradcheck``.
"""

import fastconv._load  # noqa: F401  (first of all)  # isort: skip
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastconv import (
    activations,
    applications,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    presets,
    reference,
    regularizers,
    utils,
)
from fastconv._backend import get_backend, set_backend
from fastconv._machine import (
    available_isas,
    get_isa,
    get_num_threads,
    measure_peak,
    set_isa,
    set_num_threads,
    show_config,
)
from fastconv.gradcheck import gradcheck
from fastconv.initializers import Initializer
from fastconv.layers import Input, Layer
from fastconv.losses import Loss
from fastconv.metrics import Metric
from fastconv.models import Model, Sequential
from fastconv.optimizers import Optimizer
from fastconv.parameter import Parameter

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
    "Sequential",
    "activations",
    "applications",
    "available_isas",
    "callbacks",
    "constraints",
    "datasets",
    "get_backend",
    "get_isa",
    "get_num_threads",
    "gradcheck",
    "initializers",
    "layers",
    "losses",
    "measure_peak",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "presets",
    "reference",
    "regularizers",
    "set_backend",
    "set_isa",
    "set_num_threads",
    "show_config",
    "utils",
    "visualize",
]


if TYPE_CHECKING:
    from fastconv import visualize
else:

    def __getattr__(name: str) -> Any:
        """``fastconv.visualize`` at its first use: training and predicting do without."""
        if name == "visualize":
            return import_module("fastconv.visualize")
        raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "visualize"})
