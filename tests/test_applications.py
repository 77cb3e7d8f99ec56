"""The networks' sizes are those of the papers and books they come from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fastconv.applications import Cifar10CNN, FashionCNN, LeNet5


def test_lenet5_parameters_layer_by_layer():
    # C1: 6·(5·5·1 + 1), C3: 16·(5·5·6 + 1), C5: 120·(5·5·16 + 1), F6: 84·(120 + 1), output: 10·(84 + 1)
    counts = {layer.name: layer.count_params() for layer in LeNet5().layers if layer.count_params()}
    assert counts == {"C1": 156, "C3": 2_416, "C5": 48_120, "F6": 10_164, "output": 850}
    assert LeNet5().count_params() == 61_706


def test_lenet5_shapes_are_the_papers_for_28_and_for_32_pixels():
    for size in (28, 32):
        model = LeNet5((size, size, 1))
        shapes = [model.get_layer(name).output_shape for name in ("C1", "S2", "C3", "S4", "C5", "F6")]
        assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (120,), (84,)]


def test_lenet5_for_other_images_and_classes():
    model = LeNet5((32, 32, 3), classes=7)
    assert model.predict(np.zeros((2, 32, 32, 3), np.float32), verbose=0).shape == (2, 7)


def test_fashion_cnn_parameters():
    # The count that the book's own model.summary() prints.
    assert FashionCNN().count_params() == 1_413_834
    assert FashionCNN().name == "fashion_cnn"


def test_cifar10_cnn_parameters_and_shapes():
    model = Cifar10CNN()
    # A block has 9 * in * out weights and no bias; its batch normalisation 4 numbers a map.
    maps = (3, 32, 64, 128, 128, 256, 256, 256)
    assert model.count_params() == 2 * 3 + sum(9 * c * k + 4 * k for c, k in pairwise(maps)) + 10 * (256 + 1)
    assert model.count_params() == 1_722_096
    sizes = [model.get_layer(f"block{block}_relu").output_shape for block in range(1, 8)]
    assert sizes == [
        (32, 32, 32), (16, 16, 64), (16, 16, 128), (8, 8, 128), (8, 8, 256), (4, 4, 256), (4, 4, 256)
    ]  # fmt: skip
    assert model.get_layer("features").output_shape == (256,)


def test_cifar10_cnn_standardizes_its_input_and_learns_nothing_there():
    images = np.random.default_rng(1).random((64, 32, 32, 3), np.float32) * [0.5, 1, 2] + [0, 3, -1]
    first = Cifar10CNN().layers[0]
    standard = first.forward(images, training=True)
    assert first.parameters == []
    np.testing.assert_allclose(standard.mean((0, 1, 2)), 0, atol=1e-5)  # 65,536 numbers about 1
    variance = images.var((0, 1, 2))
    np.testing.assert_allclose(standard.var((0, 1, 2)), variance / (variance + 1e-3), rtol=1e-4)


@pytest.mark.parametrize("application", [LeNet5, FashionCNN, Cifar10CNN])
def test_outputs_are_probabilities(application):
    model = application()
    images = np.random.default_rng(0).random((3, *model.input_shape[1:]), np.float32)
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (3, 10)
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)  # ten float32 roundings of at most 6e-8
