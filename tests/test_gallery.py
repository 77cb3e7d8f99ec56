"""The gallery's script draws what a saved model sees, and takes the layers it says it takes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv
from fastconv import layers
from fastconv.models import Sequential

pytest.importorskip("matplotlib", reason="the gallery draws: it needs the extra 'plot'")

SCRIPT = Path(__file__).parent.parent / "examples" / "gallery.py"


@pytest.fixture(scope="module")
def gallery():
    spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_layers_it_takes(gallery):
    fused = Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(2, 5, activation="relu", name="first"),
        layers.MaxPooling2D(2),
        layers.Conv2D(2, 3, activation="relu", name="second"),
        layers.Conv2D(2, 3, activation="relu", name="third"),
        layers.Conv2D(2, 3, activation="relu", name="fourth"),
    ])  # fmt: skip
    assert [layer.name for layer in gallery.stages(fused)] == ["first", "second", "fourth"]

    apart = Sequential([layers.Input((32, 32, 3))])
    for i in range(5):  # the first sees 3×3 pixels only
        apart.add(layers.Conv2D(2, 3, name=f"conv{i}"))
        apart.add(layers.MaxPooling2D(2, strides=1))
        apart.add(layers.BatchNormalization())
        apart.add(layers.ReLU(name=f"relu{i}"))
    assert [layer.name for layer in gallery.stages(apart)] == ["relu1", "relu2", "relu4"]


def test_it_draws(tmp_path):
    try:
        fastconv.datasets.fashion_mnist.load_data()
    except FileNotFoundError:
        pytest.skip("fashion_mnist is not on this machine")
    fastconv.utils.set_random_seed(1)
    model = Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(7, 5, activation="relu", name="low"),
        layers.MaxPooling2D(4),
        layers.Conv2D(8, 3, activation="relu", name="high"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ], name="small")  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy")
    (x, y), _ = fastconv.datasets.fashion_mnist.load_data()
    model.fit(x[:1000, ..., None] / 255, y[:1000], epochs=8, verbose=0)
    model.save(tmp_path / "small.safetensors")
    command = [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path / "small.safetensors")]
    done = subprocess.run(
        [*command, "--limit", "300", "--out", str(tmp_path / "g")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = ["1_low", "2_middle", "3_high", "4_saliency", "5_occlusion"]
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == [f"small_{n}.png" for n in names]
    for path in (tmp_path / "g").iterdir():
        picture = path.read_bytes()
        assert int.from_bytes(picture[16:20], "big") == 900
        assert 5_000 < len(picture) < 300_000


def test_a_model_for_other_images(gallery, tmp_path):
    model = Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(SystemExit, match=r"\(None, 8, 8, 1\): there are only images for"):
        gallery.images_for(model, 10)
