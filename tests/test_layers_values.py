"""What layers compute, beside Keras and by hand."""

from __future__ import annotations

from pathlib import Path

import golden_models
import numpy as np
import pytest

import fastconv
from fastconv import layers, utils

GOLDEN = np.load(Path(__file__).parent / "golden" / "models.npz")  # golden/make_models.py
MODELS = list({key.split("/")[0] for key in GOLDEN.files})


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_output_of_every_layer_is_keras(name):
    model = golden_models.all_layers(fastconv)[name]
    golden_models.set_seeded_weights(model)
    x = golden_models.input_of(model, name)
    for index, layer in enumerate(model.layers):
        x = layer.forward(x)
        # float32 in both; sums of at most a few dozen products of numbers around 1.
        np.testing.assert_allclose(
            x, GOLDEN[f"{name}/{index}"], rtol=2e-5, atol=2e-6, err_msg=f"{name}/{index}: {layer}"
        )
        assert x.dtype == np.float32
        assert x.shape[1:] == layer.output_shape
    assert f"{name}/{len(model.layers)}" not in GOLDEN.files


def test_pooling_the_lectures_matrix():
    x = np.float32([[3, 4, -2, -1], [-2, 0, 1, 2], [1, -2, 2, 6], [0, 8, 3, 5]])[None, :, :, None]
    maximum, average = layers.MaxPooling2D(2), layers.AveragePooling2D(2)
    np.testing.assert_array_equal(maximum(x)[0, ..., 0], [[4, 2], [8, 6]])
    np.testing.assert_array_equal(average(x)[0, ..., 0], [[1.25, 0], [1.75, 4]])
    dy = np.float32([[1, 2], [3, 4]])[None, :, :, None]
    np.testing.assert_array_equal(
        maximum.backward(dy)[0, ..., 0], [[0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 4], [0, 3, 0, 0]]
    )
    np.testing.assert_array_equal(
        average.backward(dy)[0, ..., 0], np.repeat(np.repeat(dy[0, ..., 0], 2, 0), 2, 1) / 4
    )


def test_of_equal_pixels_the_first_gets_the_gradient():
    layer = layers.MaxPooling2D(2)
    layer.forward(np.ones((1, 2, 2, 1), np.float32))
    np.testing.assert_array_equal(
        layer.backward(np.ones((1, 1, 1, 1), np.float32))[0, ..., 0], [[1, 0], [0, 0]]
    )


@pytest.mark.parametrize(
    ("layer", "input_shape", "output_shape"),
    [
        (layers.Conv2D(8, 3), (10, 9, 2), (8, 7, 8)),
        (layers.Conv2D(8, 3, padding="same", strides=2), (10, 9, 2), (5, 5, 8)),
        (layers.Conv2D(8, 3, padding="SAME"), (10, 9, 2), (10, 9, 8)),
        (layers.Conv2D(8, (5, 3), dilation_rate=(2, 1)), (10, 9, 2), (2, 7, 8)),
        (layers.Conv2D(8, 5, padding=2), (10, 9, 2), (10, 9, 8)),
        (layers.Conv2D(8, 5, padding=((2, 1), (0, 3))), (10, 9, 2), (9, 8, 8)),
        (layers.MaxPooling2D(), (9, 8, 3), (4, 4, 3)),
        (layers.MaxPooling2D(3, 2, "same"), (9, 8, 3), (5, 4, 3)),
        (layers.AveragePooling2D((2, 3), (1, 3)), (9, 9, 3), (8, 3, 3)),
        (layers.GlobalMaxPooling2D(), (9, 8, 3), (3,)),
        (layers.GlobalAveragePooling2D(keepdims=True), (9, 8, 3), (1, 1, 3)),
        (layers.ZeroPadding2D(), (4, 5, 1), (6, 7, 1)),
        (layers.ZeroPadding2D((2, 0)), (4, 5, 1), (8, 5, 1)),
        (layers.ZeroPadding2D(((1, 2), (3, 4))), (4, 5, 1), (7, 12, 1)),
        (layers.Flatten(), (3, 4, 5), (60,)),
        (layers.Flatten(), (), (1,)),
        (layers.Reshape((5, -1, 2)), (3, 4, 5), (5, 6, 2)),
        (layers.Dense(7), (3, 4), (3, 7)),
        (layers.Dropout(0.5), (3, 4), (3, 4)),
    ],
    ids=str,
)
def test_output_shapes(layer, input_shape, output_shape):
    assert layer.compute_output_shape(input_shape) == output_shape
    assert layer.forward(np.zeros((2, *input_shape), np.float32)).shape == (2, *output_shape)


def test_explicit_padding_is_zero_padding_then_valid():
    x = np.random.default_rng(0).random((2, 6, 5, 3)).astype(np.float32)
    padded, plain = layers.Conv2D(4, 3, padding=((2, 0), (1, 3))), layers.Conv2D(4, 3)
    expected = plain(layers.ZeroPadding2D(((2, 0), (1, 3)))(x))
    padded.build(x.shape[1:])
    padded.set_weights(plain.get_weights())
    np.testing.assert_allclose(padded(x), expected, rtol=1e-5, atol=1e-6)


def test_dropout_keeps_the_expectation_and_the_share():
    utils.set_random_seed(0)
    layer, x = layers.Dropout(0.3), np.ones((100, 200), np.float32)
    y = layer.forward(x, training=True)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.7)}
    # 20,000 draws: the share dropped deviates by √(.3·.7/20000) = 0.0032.
    assert np.mean(y == 0) == pytest.approx(0.3, abs=4 * 0.0033)
    np.testing.assert_array_equal(layer.backward(x), y)  # the gradient goes where the signal went
    np.testing.assert_array_equal(layer.forward(x, training=False), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_dropout_masks_are_new_each_time_and_repeat_with_the_seed():
    x = np.ones((10, 10), np.float32)
    seeded = layers.Dropout(0.5, seed=3)
    first, second = seeded.forward(x, training=True), seeded.forward(x, training=True)
    assert (first != second).any()
    np.testing.assert_array_equal(layers.Dropout(0.5, seed=3).forward(x, training=True), first)
    utils.set_random_seed(5)
    first = layers.Dropout(0.5).forward(x, training=True)
    utils.set_random_seed(5)
    np.testing.assert_array_equal(layers.Dropout(0.5).forward(x, training=True), first)


@pytest.mark.parametrize(("rate", "expected"), [(0, 1), (1, 0)])
def test_dropout_of_nothing_and_of_everything(rate, expected):
    y = layers.Dropout(rate).forward(np.ones((4, 5), np.float32), training=True)
    np.testing.assert_array_equal(y, np.full((4, 5), expected))


def test_rescaling_takes_bytes_and_numbers_per_channel():
    x = np.array([[0, 255], [51, 102]], np.uint8)
    np.testing.assert_allclose(layers.Rescaling(1 / 255)(x), [[0, 1], [0.2, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(layers.Rescaling([1, 2], offset=[0.5, 0])(x), [[0.5, 510], [51.5, 204]])


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.uint8, bool])
def test_layers_compute_in_float32(dtype):
    x = np.ones((2, 4, 4, 1), dtype)
    for layer in (layers.Conv2D(2, 3), layers.Flatten(), layers.ZeroPadding2D(), layers.Dropout(0.5)):
        assert layer.forward(x).dtype == np.float32


def test_inputs_may_lie_in_memory_any_way():
    x = np.random.default_rng(0).random((2, 3, 8, 6)).astype(np.float32)
    layer = layers.Conv2D(4, 3)
    moved = np.moveaxis(x, 1, -1)[:, ::-1]
    assert not moved.flags.c_contiguous
    np.testing.assert_array_equal(layer(moved), layer(moved.copy()))
