"""Configurations follow from the signatures of constructors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from fastconv import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from fastconv._config import arguments

# Arguments that no configuration holds: those that only say what is not supported.
UNHELD = {"data_format", "dtype", "synchronized", "renorm", "renorm_clipping", "renorm_momentum"}

EXAMPLES = [
    layers.Conv1D(4, 3, padding="causal", groups=2, kernel_regularizer="l2"),
    layers.Conv2D(4, 3, activation="elu", algorithm="im2col"),
    layers.Conv2DTranspose(4, 3, 2, output_padding=1, bias_constraint="non_neg"),
    layers.Dense(3, "tanh", activity_regularizer="l1"),
    layers.DepthwiseConv1D(3, depthwise_initializer="he_normal"),
    layers.SeparableConv2D(4, 3, pointwise_constraint="max_norm", depthwise_regularizer="l2"),
    layers.BatchNormalization(momentum=0.9, moving_mean_initializer="ones"),
    layers.GroupNormalization(2, epsilon=0.1),
    layers.PReLU(shared_axes=[1]),
    layers.Subsampling2D(3, activation="scaled_tanh"),
    layers.RandomZoom((0.1, 0.2), fill_mode="wrap", seed=3),
    layers.RandomErasing(0.5, fill_value=[1.0, 2.0]),
    layers.SpatialDropout2D(0.5, seed=1),
    layers.UpSampling2D((2, 3), interpolation="bilinear"),
    losses.BinaryFocalCrossentropy(True, 0.3, 1.0, label_smoothing=0.1),
    metrics.F1Score("macro", threshold=0.3),
    optimizers.AdamW(0.1, 0.2, beta_1=0.8, amsgrad=True, clipnorm=1.0),
    initializers.VarianceScaling(2.0, "fan_out", seed=4),
    regularizers.OrthogonalRegularizer(0.1, "columns"),
    constraints.MinMaxNorm(0.1, 2.0, axis=[0, 1]),
]


@pytest.mark.parametrize("thing", EXAMPLES, ids=lambda thing: type(thing).__name__)
def test_a_configuration_holds_the_arguments_and_makes_a_like_object(thing):
    config = thing.get_config()
    named = {
        name
        for name, one in inspect.signature(type(thing)).parameters.items()
        if one.kind is not one.VAR_KEYWORD
    }
    unheld = UNHELD | ({"axis"} if isinstance(thing, losses.Loss) else set())
    assert named - unheld <= config.keys()
    assert type(thing).from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("cls", "own"),
    [
        (layers.ELU, ("alpha", "activity_regularizer")),  # and not the activation, which it gives itself
        (layers.ZeroPadding1D, ("padding", "data_format")),
        (layers.RandomFlip, ("mode", "seed", "data_format")),
        (layers.Add, ()),
    ],
)
def test_arguments_are_those_that_a_class_takes_or_hands_on(cls, own):
    assert arguments(cls, layers.Layer) == own


def test_a_configuration_is_of_now():
    elu, dense = layers.ELU(0.5), layers.Dense(3, "relu")
    elu.alpha, dense.activation = 0.25, "tanh"
    assert elu.get_config()["alpha"] == 0.25
    assert dense.get_config()["activation"] == "tanh"


def test_a_configuration_holds_the_numbers_of_arrays():
    assert layers.Rescaling(np.array([1.0, 2.0])).get_config()["scale"] == [1.0, 2.0]
    assert initializers.Constant(np.float32(2)).get_config()["value"] == 2.0
    weights = metrics.AUC(multi_label=True, label_weights=[1, 2]).get_config()["label_weights"]
    assert weights == [1.0, 2.0]


def test_a_class_of_ones_own_adds_what_it_takes_more():
    class Named(layers.Dense):
        def __init__(self, units, labels=None, **options):
            super().__init__(units, **options)
            self.labels = labels

    class Told(Named):
        def get_config(self):
            return {**super().get_config(), "labels": self.labels}

    assert "labels" not in Named(2, ["a", "b"]).get_config()
    config = Told(2, ["a", "b"]).get_config()
    assert config["labels"] == ["a", "b"]
    assert config["units"] == 2
    assert Told.from_config(config).get_config() == config


def test_a_layer_on_a_base_without_arguments_is_what_it_was_called_with():
    class Weighted(layers.Add):
        def __init__(self, weight, **options):
            super().__init__(**options)
            self.heaviness = weight

    assert Weighted(3, name="w").get_config() == {"weight": 3, "name": "w", "trainable": True}
