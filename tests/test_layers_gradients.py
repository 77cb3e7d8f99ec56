"""Every layer's backward against slopes measured in float64."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import gradcheck, layers
from fastconv.models import Sequential

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 5, 4))
VECTORS = np.random.default_rng(1).normal(size=(3, 7))

CASES = {
    "convolution": (layers.Conv2D(3, 3), IMAGES),
    "strided": (layers.Conv2D(3, (3, 2), strides=(2, 1), padding="same", activation="tanh"), IMAGES),
    "dilated, in groups": (layers.Conv2D(4, 2, dilation_rate=(2, 3), groups=2, padding="same"), IMAGES),
    "padded by hand": (layers.Conv2D(2, 3, padding=((2, 0), (1, 2)), strides=2, activation="elu"), IMAGES),
    "without bias": (layers.Conv2D(2, 3, use_bias=False, activation="softmax"), IMAGES),
    "connected": (
        layers.Conv2D(3, 3, connections=[[0, 1], [3], [0, 1, 3]], activation="scaled_tanh"),
        IMAGES,
    ),
    "connected, strided": (
        layers.Conv2D(2, (3, 2), connections=[[2], [0, 2]], strides=(2, 3), padding="same", use_bias=False),
        IMAGES,
    ),
    "connected, dilated": (
        layers.Conv2D(2, 2, connections=[[0, 3], [1, 2]], dilation_rate=(3, 2), padding=((1, 0), (2, 1))),
        IMAGES,
    ),
    "subsampling": (layers.Subsampling2D(2, activation="scaled_tanh"), IMAGES),
    "subsampling, overlapping": (
        layers.Subsampling2D((3, 2), strides=(1, 2), coefficient_initializer="random_normal"),
        IMAGES,
    ),
    "distances": (layers.RBF(5), VECTORS),
    "distances from prototypes that learn": (
        layers.RBF(5, prototypes="random_normal", train_prototypes=True),
        VECTORS,
    ),
    "dense": (layers.Dense(4, activation="sigmoid"), VECTORS),
    "dense on maps": (layers.Dense(3, activation="selu", use_bias=False), IMAGES),
    "max pooling": (layers.MaxPooling2D(3, strides=2, padding="same"), IMAGES),
    "average pooling": (layers.AveragePooling2D((2, 3), strides=1, padding="same"), IMAGES),
    "global max": (layers.GlobalMaxPooling2D(keepdims=True), IMAGES),
    "global average": (layers.GlobalAveragePooling2D(), IMAGES),
    "zero padding": (layers.ZeroPadding2D(((1, 2), (3, 0))), IMAGES),
    "flatten": (layers.Flatten(), IMAGES),
    "reshape": (layers.Reshape((4, -1)), IMAGES),
    "activation": (layers.Activation("softmax"), VECTORS),
    "rectifier": (layers.ReLU(), VECTORS),
    "leaky rectifier": (layers.ReLU(negative_slope=0.3), VECTORS),
    "clipped rectifier": (layers.ReLU(0.5, 0.2, 0.1), VECTORS),
    "softmax": (layers.Softmax(), VECTORS),
    "softmax over rows": (layers.Softmax(axis=2), IMAGES),
    "dropout": (layers.Dropout(0.4, seed=2), VECTORS),
    "rescaling": (layers.Rescaling([1.0, 2.0, 3.0, 4.0], offset=1.0), IMAGES),
    "model in a model": (
        Sequential([Sequential([layers.Dense(5, activation="tanh"), layers.Dropout(0.2)]), layers.Dense(2)]),
        VECTORS,
    ),
}


@pytest.mark.parametrize("backend", ["reference", "native"])
@pytest.mark.parametrize("case", CASES)
def test_gradients(case, backend):
    layer, x = CASES[case]
    check = gradcheck(layer, x, backend=backend, training=True, samples=30)
    assert check, check


@pytest.mark.parametrize(
    "layer",
    [layers.Dense(3, activation="sigmoid"), layers.Activation("tanh"), layers.Softmax()],
    ids=lambda layer: type(layer).__name__,
)
def test_backward_is_the_activations_derivative_then_backward_from_logits(layer):
    dy = np.random.default_rng(2).normal(size=(3, 7 if not hasattr(layer, "units") else 3)).astype(np.float32)
    y = layer.forward(VECTORS)
    dx = layer.backward(dy)
    if layer.output_activation == "sigmoid":
        dz = dy * y * (1 - y)
    elif layer.output_activation == "tanh":
        dz = dy * (1 - y**2)
    else:
        dz = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(layer.backward_from_logits(dz), dx, rtol=1e-4, atol=1e-6)


def test_a_softmax_over_another_axis_does_not_fuse_with_a_loss_over_the_last():
    assert layers.Softmax().output_activation == "softmax"
    assert layers.Softmax(axis=1).output_activation is None


def test_layers_without_an_activation_have_no_logits():
    layer = layers.Flatten()
    with pytest.raises(NotImplementedError, match="does not end in an activation"):
        layer.backward_from_logits(np.ones((1, 1)))
