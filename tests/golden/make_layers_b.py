"""What Keras' normalizations, and activations as layers, return and pass back: writes layers_b.npz here.

    KERAS_BACKEND=jax python tests/golden/make_layers_b.py        (keras 3.15.1, jax)

Case n of ``CASES`` is "layer/<n>/case", a line of JSON: the layer's class, its arguments, the argument
``training``, the names of the weights in order. With it come "x", "dy", "y", "dx"; "w0", "w1", ... the
weights before the call, "dw0", ... the gradients of those that learn, "after0", ... the weights after the
call. ``dy`` weighs y in the sum that is derived. An inner layer is a nested dictionary.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers
from keras.src.layers.preprocessing import normalization

# Normalization.adapt asks whether a list of batches is a data set of TensorFlow's, which need not be here.
normalization.tf = SimpleNamespace(data=SimpleNamespace(Dataset=type("Dataset", (), {})))

DENSE = {"class_name": "Dense", "config": {"units": 3}}
CONV = {"class_name": "Conv2D", "config": {"filters": 2, "kernel_size": 3, "use_bias": False}}
DEPTHWISE = {"class_name": "DepthwiseConv2D", "config": {"kernel_size": 2, "depth_multiplier": 2}}

# class, arguments, shape of x, training
CASES: list[tuple[str, dict[str, Any], tuple[int, ...], bool]] = [
    ("LayerNormalization", {}, (3, 5), False),
    ("LayerNormalization", {"axis": [1, 2, 3], "epsilon": 1e-5}, (2, 3, 4, 2), True),
    ("LayerNormalization", {"axis": 1, "center": False}, (2, 4, 3, 2), False),
    ("LayerNormalization", {"axis": [1, 3], "scale": False}, (2, 4, 3, 2), False),
    ("LayerNormalization", {"axis": [-2, -1], "center": False, "scale": False}, (3, 4, 5), False),
    ("GroupNormalization", {"groups": 2}, (2, 3, 4, 6), False),
    ("GroupNormalization", {"groups": -1, "center": False}, (2, 3, 4, 3), True),
    ("GroupNormalization", {"groups": 1, "scale": False, "epsilon": 0.1}, (2, 3, 4, 3), False),
    ("GroupNormalization", {"groups": 2, "axis": 1}, (2, 4, 3, 2), False),
    ("GroupNormalization", {"groups": 3, "axis": -2}, (2, 4, 6, 2), False),
    ("GroupNormalization", {"groups": 4}, (3, 8), False),
    ("RMSNormalization", {}, (3, 5), False),
    ("RMSNormalization", {"axis": 1, "epsilon": 0.01}, (4, 3), True),
    ("RMSNormalization", {"axis": [1, 2]}, (2, 4, 3), False),
    ("UnitNormalization", {}, (3, 5), False),
    ("UnitNormalization", {"axis": [1, 2]}, (2, 4, 3, 2), True),
    ("UnitNormalization", {"axis": 0}, (4, 3), False),
    ("BatchNormalization", {"axis": 1, "momentum": 0.7}, (3, 4, 2, 5), True),
    ("BatchNormalization", {"axis": 1}, (3, 4, 2, 5), False),
    ("BatchNormalization", {"axis": 2, "scale": False, "momentum": 0.5}, (3, 4, 2, 5), True),
    ("BatchNormalization", {"axis": -2, "center": False, "momentum": 0.5}, (3, 4, 5), True),
    ("SpectralNormalization", {"layer": DENSE}, (4, 5), True),
    ("SpectralNormalization", {"layer": DENSE, "power_iterations": 3}, (4, 5), True),
    ("SpectralNormalization", {"layer": DENSE}, (4, 5), False),
    ("SpectralNormalization", {"layer": CONV, "power_iterations": 2}, (2, 5, 4, 3), True),
    ("SpectralNormalization", {"layer": DEPTHWISE}, (2, 4, 4, 2), True),
    ("Normalization", {"mean": 3.0, "variance": 2.0}, (3, 4), False),
    ("Normalization", {"mean": [1, 2], "variance": [0.5, 0], "axis": 1, "invert": True}, (3, 2, 3), False),
    ("Normalization", {"mean": [1, 2, 3], "variance": [1, 4, 9], "axis": [1, 2]}, (2, 2, 3), False),
    ("Normalization", {"axis": None}, (3, 4), False),
    ("Normalization", {"axis": [1, 3], "invert": True}, (3, 2, 4, 2), False),
    ("Activation", {"activation": "glu"}, (3, 2, 6), False),
    ("Activation", {"activation": "hard_shrink"}, (4, 7), False),
    ("Activation", {"activation": "soft_shrink"}, (4, 7), False),
    ("Activation", {"activation": "sparse_plus"}, (4, 7), False),
    ("Activation", {"activation": "sparse_sigmoid"}, (4, 7), False),
    ("Activation", {"activation": "squareplus"}, (4, 7), False),
    ("Activation", {"activation": "tanh_shrink"}, (4, 7), False),
]

# name of an activation, its arguments, shape of x
FUNCTIONS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("glu", {"axis": 1}, (2, 4, 3)),
    ("glu", {"axis": 0}, (4, 3)),
    ("softmax", {"axis": 1}, (2, 5, 3)),
    ("log_softmax", {"axis": -2}, (2, 5, 3)),
    ("hard_shrink", {"threshold": 1.25}, (6, 7)),
    ("hard_shrink", {"threshold": -1.0}, (6, 7)),
    ("soft_shrink", {"threshold": 0.75}, (6, 7)),
    ("soft_shrink", {"threshold": -0.75}, (6, 7)),
    ("squareplus", {"b": 0.25}, (6, 7)),
    ("squareplus", {"b": 0}, (6, 7)),
    ("threshold", {"threshold": 0.25, "default_value": -3.0}, (6, 7)),
    ("threshold", {"threshold": -0.5, "default_value": 0.0}, (6, 7)),
]

# arguments of Normalization, shapes of the batches that it adapts to
ADAPTED: list[tuple[dict[str, Any], list[tuple[int, ...]]]] = [
    ({}, [(7, 3)]),
    ({"axis": None}, [(4, 3, 2)]),
    ({"axis": [1, 2]}, [(4, 3, 2)]),
    ({"axis": -1}, [(4, 2, 3), (1, 2, 3), (3, 2, 3)]),
    ({"axis": None, "invert": True}, [(4, 3), (2, 3)]),
]

random = np.random.default_rng(20)


def normal(shape: tuple[int, ...]) -> np.ndarray:
    return random.normal(0, 1.5, shape).astype(np.float32)


def made(name: str, arguments: dict[str, Any]) -> layers.Layer:
    inner = arguments.get("layer")
    if inner is not None:
        arguments = {**arguments, "layer": made(inner["class_name"], inner["config"])}
    return getattr(layers, name)(**arguments)


def of_layer(name: str, arguments: dict[str, Any], shape: tuple[int, ...], training: bool) -> dict[str, Any]:
    layer = made(name, arguments)
    layer.build(shape)
    for weight in layer.weights:
        given = random.normal(0.3, 0.8, weight.shape).astype(np.float32)
        if weight.dtype == "float32":
            weight.assign(abs(given) if "variance" in weight.name else given)
    if name == "Normalization":
        layer.finalize_state()
    before = [np.asarray(weight.value) for weight in layer.weights]
    x = normal(shape)
    takes_training = {"training": training} if layer._call_has_training_arg else {}
    dy = normal(layer(x).shape)
    # a layer that assigns to its kernel: the gradient is that of the new one
    if name == "SpectralNormalization" and training:
        for weight, value in zip(layer.weights, before, strict=True):
            weight.assign(value)
        layer(x, training=True)
        start = [np.asarray(weight.value) for weight in layer.weights]
        takes_training = {"training": False}
    else:
        start = before
    learning = [id(weight) for weight in layer.trainable_variables]
    places = [i for i, weight in enumerate(layer.variables) if id(weight) in learning]
    others = [i for i in range(len(start)) if i not in places]

    def total(learned: list[Any], z: Any) -> Any:
        y, changed = layer.stateless_call(learned, [start[i] for i in others], z, **takes_training)
        return (y * dy).sum(), (y, changed)

    given = [jnp.asarray(start[i]) for i in places]
    (dweights, dx), (y, changed) = jax.grad(total, (0, 1), has_aux=True)(given, jnp.asarray(x))
    after = list(start)
    for i, value in zip(others, changed, strict=True):
        after[i] = np.asarray(value)
    case = {
        "class_name": name,
        "config": arguments,
        "training": training,
        "weights": [weight.name for weight in layer.variables],
        "learns": places,
    }
    arrays = {"x": x, "dy": dy, "y": y, "dx": dx}
    arrays |= {f"w{i}": value for i, value in enumerate(before)}
    arrays |= {f"dw{i}": value for i, value in zip(places, dweights, strict=True)}
    arrays |= {f"after{i}": value for i, value in enumerate(after)}
    return {"case": json.dumps(case), **arrays}


def of_function(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    x = normal(shape)
    function = getattr(keras.activations, name)
    y = np.asarray(function(jnp.asarray(x), **arguments))
    dy = normal(y.shape)
    dx = jax.grad(lambda z: (function(z, **arguments) * dy).sum())(jnp.asarray(x))
    return {"case": json.dumps({"name": name, "arguments": arguments}), "x": x, "dy": dy, "y": y, "dx": dx}


def of_adapted(arguments: dict[str, Any], shapes: list[tuple[int, ...]]) -> dict[str, Any]:
    layer = layers.Normalization(**arguments)
    batches = [normal(shape) + 2 for shape in shapes]
    layer.adapt(batches[0] if len(batches) == 1 else batches)
    arrays = {f"batch{i}": batch for i, batch in enumerate(batches)}
    arrays |= {f"w{i}": np.asarray(weight.value) for i, weight in enumerate(layer.variables)}
    names = [weight.name for weight in layer.variables]
    case = {"config": arguments, "batches": len(batches), "weights": names}
    return {"case": json.dumps(case), **arrays, "y": layer(batches[0])}


if __name__ == "__main__":
    golden: dict[str, np.ndarray] = {}
    for kind, function, cases in (
        ("layer", of_layer, CASES),
        ("function", of_function, FUNCTIONS),
        ("adapted", of_adapted, ADAPTED),
    ):
        for number, case in enumerate(cases):
            found = function(*case)
            golden |= {f"{kind}/{number}/{name}": np.asarray(value) for name, value in found.items()}
    np.savez_compressed(Path(__file__).with_name("layers_b.npz"), **golden)
