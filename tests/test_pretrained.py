"""Trained weights: those in the package load and do what their notes say, and ``weights=`` is Keras'."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastconv
from fastconv import applications, datasets
from fastconv.applications import LeNet5, _pretrained, pretrained_weights
from fastconv.models import read_notes
from fastconv.models.answers import as_scores

# network -> how to make it
NETWORKS = {
    "convnetjs_cifar10": applications.ConvNetJSCifar10,
    "cs231n": applications.CS231nNet,
    "fashion_cnn": applications.FashionCNN,
    "lenet5_1998": partial(LeNet5, variant="1998"),
    "lenet5_modern": LeNet5,
}
NOTES = {
    "data", "test accuracy", "input_shape", "classes",
    "seed", "command", "fastconv", "instruction set", "threads", "machine", "date",
}  # fmt: skip


@pytest.mark.parametrize("shipped", pretrained_weights(), ids=lambda weights: f"{weights[0]}-{weights[1]}")
class TestShipped:
    def test_is_small_and_says_how_it_was_made(self, shipped):
        assert shipped.path.stat().st_size < 300_000
        assert set(shipped.notes) == NOTES
        assert shipped.notes["command"].startswith("python examples/")
        assert shipped.notes["command"] in repr(shipped)

    def test_loads(self, shipped):
        model = NETWORKS[shipped.network](weights=shipped.name)
        assert list(model.input_shape[1:]) == shipped.notes["input_shape"]
        assert model.output_shape == (None, shipped.notes["classes"])
        assert all(np.isfinite(weight).all() for weight in model.get_weights())

    def test_reaches_its_accuracy(self, shipped, monkeypatch):
        monkeypatch.setattr("fastconv.datasets.search.download", lambda *_: None)
        notes = shipped.notes
        try:
            _, (x, y) = getattr(datasets, notes["data"]).load_data()
        except FileNotFoundError:
            pytest.skip(f"{notes['data']} is not on this machine")
        x = x.reshape(len(x), *notes["input_shape"]) / np.float32(255)
        model = NETWORKS[shipped.network](weights=shipped.name)
        outputs = model.predict(x, verbose=0)
        predicted = as_scores(model, outputs).argmax(1)
        # Another instruction set rounds otherwise: of 10,000 images some few lie that close to a border.
        assert np.mean(predicted == y.ravel()) == pytest.approx(notes["test accuracy"], abs=5e-4)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder in the package's place, with weights "digits" of today's LeNet-5 that say what is needed."""
    monkeypatch.setattr(_pretrained, "FOLDER", tmp_path)
    model = LeNet5()
    path = tmp_path / "lenet5_modern" / "digits.safetensors"
    path.parent.mkdir()
    model.save_weights(path, notes={"input_shape": [28, 28, 1], "classes": 10, "seed": 3})
    return model


def test_none_is_random():
    one, other = LeNet5(weights=None), LeNet5()
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_a_name(shelf):
    model = LeNet5(weights="digits")
    for loaded, saved in zip(model.get_weights(), shelf.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, saved)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_path(tmp_path, as_text):
    model, path = LeNet5(classes=3), tmp_path / "mine.safetensors"
    model.save_weights(path)
    loaded = LeNet5(classes=3, weights=str(path) if as_text else path)
    np.testing.assert_array_equal(loaded.get_weights()[-2], model.get_weights()[-2])
    with pytest.raises(ValueError, match="does not fit"):
        LeNet5(classes=4, weights=path)


def test_a_path_to_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing\.safetensors"):
        LeNet5(weights=tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError, match=r"there is no file nothing\.safetensors"):
        LeNet5(weights="nothing.safetensors")


def test_an_unknown_name(shelf):
    with pytest.raises(ValueError, match=r"weights of lenet5_modern 'digit'; did you mean 'digits'\?"):
        LeNet5(weights="digit")
    with pytest.raises(ValueError, match=r"'imagenet'.*Known: 'digits'\. Or None.*path of a \.safetensors"):
        LeNet5(weights="imagenet")
    with pytest.raises(ValueError, match="no weights 'fashion_mnist': none for fashion_cnn come with"):
        applications.FashionCNN(weights="fashion_mnist")


def test_weights_that_do_not_fit_what_was_asked_for(shelf):
    with pytest.raises(ValueError, match=r"input_shape=\(28, 28, 1\), classes=10; .* classes=4\. Leave"):
        LeNet5(classes=4, weights="digits")
    with pytest.raises(ValueError, match=r"has input_shape=\(40, 40, 1\).*C5/kernel"):
        LeNet5((40, 40, 1), weights="digits")


def test_the_list(shelf):
    (weights,) = pretrained_weights()
    assert (weights.network, weights.name, weights.notes["seed"]) == ("lenet5_modern", "digits", 3)
    assert "lenet5_modern 'digits'" in repr(weights)
    assert "seed: 3" in repr(weights)
    assert pretrained_weights("lenet5_modern") == [weights]
    assert pretrained_weights("fashion_cnn") == []


def test_notes_are_kept_with_weights(tmp_path):
    model = fastconv.Sequential([fastconv.layers.Input((3,)), fastconv.layers.Dense(2)])
    path = tmp_path / "model.safetensors"
    model.save_weights(path, notes={"seed": 1, "curve": [0.5, 0.25], "rate": np.float32(0.5)})
    assert read_notes(path) == {"seed": 1, "curve": [0.5, 0.25], "rate": 0.5}
    model.load_weights(path)
    model.save_weights(path)
    assert read_notes(path) == {}
    with pytest.raises(TypeError, match="cannot save"):
        model.save_weights(path, notes={"model": model})


@pytest.mark.parametrize("notes", ["[1]", "{"])
def test_notes_that_are_damaged(tmp_path, notes):
    path = tmp_path / "model.safetensors"
    save_file({}, path, {"format": "fastconv", "format_version": "1", "notes": notes})
    with pytest.raises(ValueError, match="is damaged"):
        read_notes(path)
