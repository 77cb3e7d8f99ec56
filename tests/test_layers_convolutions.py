"""The convolutions beside ``Conv2D``: shapes, gradients, and what a sequence has in common with an image of
one row."""

import numpy as np
import pytest

from fastconv import gradcheck, layers, set_backend

RNG = np.random.default_rng(5)
MADE = {
    "conv1d": (lambda: layers.Conv1D(3, 3, strides=2, padding="same", activation="tanh"), (7, 2), (4, 3)),
    "conv1d causal": (lambda: layers.Conv1D(2, 3, padding="causal", dilation_rate=2), (7, 2), (7, 2)),
    "conv1d groups": (lambda: layers.Conv1D(4, 2, groups=2), (5, 4), (4, 4)),
    "conv1d padded": (lambda: layers.Conv1D(2, 3, padding=(2, 0)), (5, 2), (5, 2)),
    "depthwise": (
        lambda: layers.DepthwiseConv2D((3, 2), 2, "same", 2, activation="tanh"),
        (5, 4, 3),
        (3, 2, 6),
    ),
    "depthwise1d": (lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (6, 2), (4, 4)),
    "separable": (
        lambda: layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="tanh"),
        (5, 4, 3),
        (3, 2, 4),
    ),
    "separable1d": (lambda: layers.SeparableConv1D(3, 2, strides=2), (6, 2), (3, 3)),
    "transpose": (lambda: layers.Conv2DTranspose(2, 3, 2, "same", activation="tanh"), (3, 4, 3), (6, 8, 2)),
    "transpose valid": (lambda: layers.Conv2DTranspose(2, (2, 3), (3, 2)), (3, 4, 3), (9, 9, 2)),
    "transpose padded": (lambda: layers.Conv2DTranspose(2, 3, 2, output_padding=1), (3, 3, 2), (8, 8, 2)),
    "transpose1d": (lambda: layers.Conv1DTranspose(3, 3, 2, "same"), (4, 2), (8, 3)),
}


@pytest.fixture
def reference():
    set_backend("reference")
    yield
    set_backend("native")


@pytest.mark.parametrize("name", MADE)
def test_output_shapes_and_gradients(name, reference):
    make, shape, expected = MADE[name]
    layer = make()
    assert layer.compute_output_shape(shape) == expected
    x = RNG.standard_normal((2, *shape))
    assert gradcheck(layer, x)
    assert layer.forward(x).shape == (2, *expected)


@pytest.mark.parametrize("name", MADE)
def test_kernels_and_reference_agree(name):
    make, shape, _ = MADE[name]
    layer = make()
    layer.build(shape)
    x = RNG.standard_normal((3, *shape)).astype(np.float32)
    y = layer.forward(x)
    dy = RNG.standard_normal(y.shape).astype(np.float32)
    dx = layer.backward(dy)
    found = [y, dx, *(parameter.grad.copy() for parameter in layer.parameters)]
    set_backend("reference")
    try:
        expected = [layer.forward(x), layer.backward(dy), *(parameter.grad for parameter in layer.parameters)]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
    finally:
        set_backend("native")


@pytest.mark.parametrize("name", MADE)
def test_configurations_make_the_same_layer(name):
    make, shape, _ = MADE[name]
    layer = make()
    twin = layers.deserialize(layers.serialize(layer))
    assert twin.get_config() == layer.get_config()
    for each in (layer, twin):
        each.build(shape)
    twin.set_weights(layer.get_weights())
    x = RNG.standard_normal((2, *shape)).astype(np.float32)
    np.testing.assert_array_equal(twin(x), layer(x))


def test_a_sequence_is_an_image_of_one_row():
    line = layers.Conv1D(3, 4, strides=2, dilation_rate=1)
    image = layers.Conv2D(3, (1, 4), strides=(1, 2))
    x = RNG.standard_normal((2, 9, 2)).astype(np.float32)
    y = line(x)
    image.build((1, 9, 2))
    image.set_weights([w[None] if w.ndim == 3 else w for w in line.get_weights()])
    np.testing.assert_array_equal(image(x[:, None])[:, 0], y)


def test_a_causal_convolution_sees_nothing_that_comes_later():
    layer = layers.Conv1D(2, 3, padding="causal", dilation_rate=2)
    x = RNG.standard_normal((1, 8, 2)).astype(np.float32)
    y = layer(x)
    x[0, 5:] += 1
    np.testing.assert_array_equal(layer(x)[0, :5], y[0, :5])
    assert np.abs(layer(x)[0, 5:] - y[0, 5:]).min() > 0


def test_arguments_that_cannot_be():
    with pytest.raises(ValueError, match="Conv1D: kernel_size"):
        layers.Conv1D(2, (3, 3))
    with pytest.raises(ValueError, match=r"unknown padding 'full'.*'causal'"):
        layers.Conv1D(2, 3, padding="full")
    with pytest.raises(ValueError, match='Conv2DTranspose: padding must be "valid" or "same"'):
        layers.Conv2DTranspose(2, 3, padding=1)
    with pytest.raises(ValueError, match="output_padding"):
        layers.Conv2DTranspose(2, 3, strides=2, output_padding=2).build((4, 4, 1))
    with pytest.raises(ValueError, match="DepthwiseConv2D: depth_multiplier"):
        layers.DepthwiseConv2D(3, depth_multiplier=0)
