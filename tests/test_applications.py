"""The networks' sizes are those of the papers and books they come from."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.applications import FashionCNN, LeNet5


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


@pytest.mark.parametrize("application", [LeNet5, FashionCNN])
def test_outputs_are_probabilities(application):
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    probabilities = application().predict(images, verbose=0)
    assert probabilities.shape == (3, 10)
    assert (probabilities > 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)  # ten float32 roundings of at most 6e-8
