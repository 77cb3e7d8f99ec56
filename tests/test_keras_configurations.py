"""Layers and models as Keras 3.15 serializes them."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import Sequential, layers

FLOAT32 = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}


def serialized(class_name, build_shape=None, module="keras.layers", dtype=FLOAT32, **config):
    made = {
        "module": module,
        "class_name": class_name,
        "config": {"name": class_name.lower(), "trainable": True, "dtype": dtype, **config},
        "registered_name": None,
    }
    return made if build_shape is None else {**made, "build_config": {"input_shape": build_shape}}


def initializer(class_name, **config):
    return {
        "module": "keras.initializers",
        "class_name": class_name,
        "config": config,
        "registered_name": None,
    }


GLOROT = initializer("GlorotUniform", seed=None, input_axes=None, output_axes=None)
WEIGHTED = {
    "use_bias": True,
    "kernel_initializer": GLOROT,
    "bias_initializer": initializer("Zeros"),
    "kernel_regularizer": None,
    "bias_regularizer": None,
    "kernel_constraint": None,
    "bias_constraint": None,
}
CONV = serialized(
    "Conv2D", [None, 8, 8, 3], filters=2, kernel_size=[3, 3], strides=[1, 1], padding="valid",
    data_format="channels_last", dilation_rate=[1, 1], groups=1, activation="relu", activity_regularizer=None,
    **WEIGHTED,
)  # fmt: skip
DENSE = serialized("Dense", units=4, activation="softmax", quantization_config=None, **WEIGHTED)
NORM = serialized(
    "BatchNormalization", axis=-1, momentum=0.9, epsilon=0.001, center=True, scale=True,
    beta_initializer=initializer("Zeros"), gamma_initializer=initializer("Ones"),
    moving_mean_initializer=initializer("Zeros"), moving_variance_initializer=initializer("Ones"),
    beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, gamma_constraint=None,
    synchronized=False, renorm=False, renorm_clipping=None, renorm_momentum=0.99,
)  # fmt: skip
INPUT = {
    "module": "keras.layers",
    "class_name": "InputLayer",
    "config": {
        "batch_shape": [None, 8, 8, 3], "dtype": "float32", "sparse": False, "ragged": False, "name": "i",
        "optional": False,
    },
    "registered_name": None,
}  # fmt: skip


def test_layers():
    conv = layers.deserialize(CONV)
    assert (conv.filters, conv.kernel_size, conv.activation.name, conv.name) == (2, (3, 3), "relu", "conv2d")
    assert (conv.input_shape, conv.kernel.shape) == ((8, 8, 3), (3, 3, 3, 2))
    assert layers.Dense.from_config(DENSE["config"]).units == 4
    assert layers.BatchNormalization.from_config(NORM["config"]).momentum == 0.9
    given = layers.deserialize(INPUT)
    assert (given.batch_shape, given.name) == ((None, 8, 8, 3), "i")


def test_a_model():
    config = {
        "name": "m",
        "trainable": True,
        "dtype": FLOAT32,
        "layers": [INPUT, CONV, NORM, serialized("Flatten", data_format="channels_last"), DENSE],
        "build_input_shape": [None, 8, 8, 3],
    }
    model = Sequential.from_config(config)
    assert [layer.name for layer in model.layers] == ["conv2d", "batchnormalization", "flatten", "dense"]
    assert (model.input_shape, model.output_shape) == ((None, 8, 8, 3), (None, 4))
    np.testing.assert_allclose(model(np.ones((2, 8, 8, 3))).sum(-1), [1, 1], rtol=1e-6)


def test_other_types_are_an_error():
    half = {**FLOAT32, "config": {"name": "mixed_float16"}}
    with pytest.raises(ValueError, match=r"Dense: dtype=\{.*mixed_float16.* is not supported"):
        layers.deserialize(serialized("Dense", dtype=half, units=2))
    for dtype in ("float32", np.float32, np.dtype("float32"), None, FLOAT32):
        assert layers.Dense(2, dtype=dtype).dtype == "float32"
    with pytest.raises(ValueError, match="Dense: Keras' argument 'quantization_config' is not supported"):
        layers.Dense(2, quantization_config={"mode": "int8"})


GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("layer_configurations.json").read_text())


@pytest.mark.parametrize("golden", GOLDEN, ids=[f"{i}-{made['class_name']}" for i, made in enumerate(GOLDEN)])
def test_whatever_keras_writes(golden):
    """golden/make_layer_configurations.py wrote it."""
    layer = layers.deserialize(golden, {"Sequential": Sequential})
    assert type(layer).__name__ == golden["class_name"]
    own = json.loads(json.dumps(layer.get_config()))
    plain = {
        k: v for k, v in golden["config"].items() if not isinstance(v, dict) and k in own and k != "layers"
    }
    factors = {"factor", "height_factor", "width_factor"}  # a pair in one of the two, a number in the other
    assert {k: own[k] for k in plain.keys() - factors} == {k: plain[k] for k in plain.keys() - factors}
    assert plain.keys() >= {"name"}


def test_activations_that_are_layers():
    found = [made for made in GOLDEN if isinstance(made["config"].get("activation"), dict)]
    z = np.float32([[-2, 8]])
    for made, expected in zip(found, ([-0.2, 8], [0, 6]), strict=True):
        np.testing.assert_allclose(layers.deserialize(made).activation(z), [expected], rtol=1e-6)
