"""Model files: everything comes back, anything wrong is named, and nothing is left half done."""

from __future__ import annotations

import json
import os
import stat

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import fastconv
from fastconv.layers import Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from fastconv.models import Sequential
from fastconv.models import saving as saving_module
from fastconv.models.saving import load_model, load_weights, save_model, save_weights
from fastconv.optimizers import SGD, Adam
from fastconv.utils import set_random_seed

RNG = np.random.default_rng(0)
X = RNG.random((40, 6, 6, 1), np.float32)
Y = RNG.integers(0, 3, 40)


def make_model(filters: int = 2, classes: int = 3, **options) -> Sequential:
    layers = [
        Conv2D(filters, 3, activation="relu"),
        MaxPooling2D(2),
        Flatten(),
        Dropout(0.2),
        Dense(classes, "softmax"),
    ]
    return Sequential([Input((6, 6, 1)), *layers], **options)


def trained(optimizer="nadam", epochs: int = 2) -> Sequential:
    set_random_seed(3)
    model = make_model()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0)
    return model


def arrays_and_metadata(path):
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def rewrite(path, change):
    """Change a saved file's arrays and metadata in place."""
    arrays, metadata = arrays_and_metadata(path)
    change(arrays, metadata)
    save_file(arrays, path, metadata)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# ---- what comes back


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "nadam", "rmsprop", SGD(0.05, 0.9, nesterov=True), Adam(amsgrad=True)]
)
def test_going_on_after_loading_is_going_on(path, optimizer):
    """Two epochs, save, load, two more: bit for bit what four epochs in one piece give."""
    model = trained(optimizer)
    model.save(path)
    loaded = load_model(path)
    for one in (model, loaded):
        set_random_seed(4)  # for shuffling and dropout
        one.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert loaded.optimizer.iterations == 20


def test_everything_comes_back(path):
    model = trained(SGD(0.25, 0.5))
    model.layers[0].trainable = False
    model.compile(
        SGD(0.25, 0.5),
        "sparse_categorical_crossentropy",
        metrics=["accuracy", "sparse_top_k_categorical_accuracy"],
    )
    history = dict(model.history.history)
    model.save(path)
    loaded = load_model(path)
    assert loaded.get_config() == model.get_config()
    assert loaded.get_compile_config() == model.get_compile_config()
    assert loaded.history.history == history
    assert len(history["loss"]) == 2
    assert [layer.trainable for layer in loaded.layers] == [False, True, True, True, True]
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_public_names():
    assert fastconv.models.load_model is load_model
    assert fastconv.models.save_model is save_model


def test_uncompiled_model_and_compile_false(path):
    make_model().save(path)
    assert not load_model(path).compiled
    trained().save(path)
    assert not load_model(path, compile=False).compiled


def test_layers_frozen_after_training_start_with_a_fresh_optimizer(path):
    model = trained("adam")
    model.layers[0].trainable = False
    model.save(path)
    with pytest.warns(UserWarning, match=r"the optimizer starts afresh: .*momentum\.2"):
        loaded = load_model(path)
    loaded.fit(X, Y, verbose=0)


def test_weights_alone(path):
    model, other = trained(), make_model()
    model.save_weights(path)
    assert arrays_and_metadata(path)[0].keys() == {
        f"weights/{i:04d}/{weight.path}" for i, weight in enumerate(model.weights)
    }
    other.load_weights(path)
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))
    with pytest.raises(ValueError, match=r"holds weights alone, no layers: build the model"):
        load_model(path)


def test_weights_from_a_whole_model(path):
    model, other = trained(), make_model()
    model.save(path)
    load_weights(other, path)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])


class Doubling(Dense):
    """A layer of one's own."""


def test_layers_of_ones_own(path):
    Sequential([Input((4,)), Doubling(2)]).save(path)
    with pytest.raises(ValueError, match=r"unknown layer 'Doubling'.*custom_objects=\{'MyLayer': MyLayer\}"):
        load_model(path)
    assert type(load_model(path, {"Doubling": Doubling}).layers[0]) is Doubling


def test_layers_of_ones_own_in_a_model_in_a_model(path):
    inner = Sequential([Sequential([Doubling(3)]), Doubling(2)])
    Sequential([Input((4,)), inner]).save(path)
    with pytest.raises(ValueError, match="unknown layer 'Doubling'"):
        load_model(path)
    found = load_model(path, {"Doubling": Doubling}).layers[0]
    assert type(found.layers[0].layers[0]) is type(found.layers[1]) is Doubling


# ---- files that cannot be loaded


def check_unloadable(path, message, model=None):
    """load_model and load_weights both say so, and the model is as it was."""
    with pytest.raises(ValueError, match=message):
        load_model(path)
    model = model or make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        load_weights(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1, -1000])
def test_truncated(path, keep):
    trained().save(path)
    path.write_bytes(path.read_bytes()[:keep])
    check_unloadable(path, "model.safetensors is damaged, or no safetensors file")


def test_not_a_model_file(path):
    path.write_bytes(b"PK\x03\x04 this is a zip file, perhaps" * 20)
    check_unloadable(path, "is damaged, or no safetensors file")
    save_file({"a": np.zeros(3, np.float32)}, path)
    check_unloadable(path, "is a safetensors file, but not one written by fastconv")
    save_file({"a": np.zeros(3, np.float32)}, path, {"format": "pt"})
    check_unloadable(path, "is a safetensors file, but not one written by fastconv")


@pytest.mark.parametrize(("version", "shown"), [("2", "2"), ("", r"\?"), ("x", "x")])
def test_newer_format(path, version, shown):
    trained().save(path)
    rewrite(path, lambda arrays, metadata: metadata.update(format_version=version))
    check_unloadable(
        path, f"has file format {shown} of fastconv .*reads formats up to 1: install a newer one"
    )


def test_description_that_is_no_json(path):
    trained().save(path)
    rewrite(path, lambda arrays, metadata: metadata.update(model=metadata["model"][:-3]))
    check_unloadable(path, "is damaged: its description of the model is not JSON")


def description(layer):
    return json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})


@pytest.mark.parametrize(
    "model",
    [
        "[]",
        "{}",
        '{"class_name": "Sequential"}',
        '{"class_name": "os.system", "config": {}}',
        description({"class_name": "Conv2D", "config": {"filter": 1}}),
        description({"class_name": "Conv9D", "config": {}}),
        description("Conv2D"),
    ],
)
def test_description_that_describes_no_model(path, model):
    trained().save(path)
    rewrite(path, lambda arrays, metadata: metadata.update(model=model))
    with pytest.raises(ValueError, match=r"model\.safetensors: cannot make its layers"):
        load_model(path)


def test_description_of_another_compile(path):
    trained().save(path)
    rewrite(path, lambda arrays, metadata: metadata.update(compile='{"optimizer": {"class_name": "Lion"}}'))
    with pytest.raises(
        ValueError, match=r"cannot restore its training configuration: Keras' optimizer 'Lion' is not"
    ):
        load_model(path)
    assert not load_model(path, compile=False).compiled


DAMAGES = {
    "missing": (
        lambda arrays: arrays.pop("weights/0003/dense/bias"),
        r"has 3 weight arrays, the model 4; only the model has dense\w*/bias \(3,\)",
    ),
    "extra": (
        lambda arrays: arrays.update({"weights/0004/dense_9/kernel": np.zeros((3, 3), np.float32)}),
        r"has 5 weight arrays, the model 4; only the file has dense_9/kernel \(3, 3\)",
    ),
    "shape": (
        lambda arrays: arrays.update({"weights/0000/conv2d/kernel": np.zeros((5, 5, 1, 2), np.float32)}),
        r"conv2d/kernel \(5, 5, 1, 2\) in the file and conv2d\w*/kernel \(3, 3, 1, 2\) in the model",
    ),
    "dtype": (
        lambda arrays: arrays.update({"weights/0003/dense/bias": np.zeros(3)}),
        "dense/bias is float64, not float32",
    ),
    "nan": (
        lambda arrays: arrays["weights/0001/conv2d/bias"].put(1, np.nan),
        "conv2d/bias holds NaN or infinity",
    ),
    "infinity": (
        lambda arrays: arrays["weights/0002/dense/kernel"].put(0, np.inf),
        "dense/kernel holds NaN or infinity",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_weights_that_do_not_fit(path, damage):
    change, message = DAMAGES[damage]
    fastconv.utils.clear_session()  # names begin again at "conv2d"
    trained().save(path)

    def changed(arrays, metadata):
        for name in arrays:
            arrays[name] = arrays[name].copy()
        change(arrays)

    rewrite(path, changed)
    check_unloadable(path, message)


def test_weights_of_another_architecture(path):
    trained().save_weights(path)
    model = make_model(filters=4)
    before = model.get_weights()
    with pytest.raises(
        ValueError, match=r"weight array 0 is conv2d\w*/kernel \(3, 3, 1, 2\) in the file and "
    ):
        model.load_weights(path)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    with pytest.raises(ValueError, match=r"it has 4 weight arrays, the model 0"):
        load_weights(Sequential([Input((6,)), Flatten()]), path)
    with pytest.raises(ValueError, match="has no weights yet: call build"):
        load_weights(Sequential([Dense(2)]), path)


def test_nan_weights_on_request(path):
    model = trained()
    model.layers[0].weights[1].value[0] = np.nan
    with pytest.warns(UserWarning, match="/bias holds NaN or infinity: training diverged"):
        model.save(path)
    with pytest.raises(ValueError, match="holds NaN"):
        load_model(path)
    assert np.isnan(load_model(path, allow_nan=True).get_weights()[1][0])


# ---- places


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("m.keras", r"does not read or write Keras' \.keras.*set_weights"),
        ("m.h5", r"Keras' \.h5"),
        ("m.pt", "must end in .safetensors"),
        ("m", "must end in .safetensors"),
    ],
)
def test_other_extensions(tmp_path, name, message):
    for attempt in (
        lambda p: save_model(trained(epochs=1), p),
        load_model,
        lambda p: load_weights(make_model(), p),
    ):
        with pytest.raises(ValueError, match=message):
            attempt(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    model = make_model()
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*nowhere; create it first"):
        model.save(tmp_path / "nowhere" / "m.safetensors")
    (tmp_path / "d.safetensors").mkdir()
    with pytest.raises(IsADirectoryError, match="is a directory: give the name of a file in it"):
        model.save(tmp_path / "d.safetensors")
    with pytest.raises(IsADirectoryError, match="is a directory, not a model file"):
        load_model(tmp_path / "d.safetensors")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*absent"):
        load_model(tmp_path / "absent.safetensors")
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match=r"cannot write m\.safetensors: no permission to write in"):
        model.save(tmp_path / "m.safetensors")


def test_no_overwriting_unless_allowed(path):
    model = trained()
    model.save_weights(path, overwrite=False)
    before = path.read_bytes()
    for save in (save_model, save_weights):
        with pytest.raises(FileExistsError, match="exists already; overwrite=True replaces it"):
            save(model, path, overwrite=False)
    assert path.read_bytes() == before
    save_model(model, path)
    assert path.read_bytes() != before


def test_unbuilt_model_cannot_be_saved(path):
    with pytest.raises(ValueError, match="has no weights to save yet: call build"):
        Sequential([Dense(2)]).save(path)
    assert not path.exists()


def test_arguments_that_are_no_plain_values(path):
    class Strange(Dense):
        def get_config(self):
            return {**super().get_config(), "callback": print}

    with pytest.raises(
        TypeError, match=r"cannot save <built-in function print>: get_config\(\) must return plain"
    ):
        Sequential([Input((2,)), Strange(2)]).save(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(path, monkeypatch, call):
    trained().save(path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        make_model().save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_data_is_on_disk_before_the_name_is_changed(path, monkeypatch):
    """fsync of the file, then the renaming, then fsync of the directory."""
    events = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor):
        events.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def record_replace(source, target):
        events.append("rename")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    make_model().save(path)
    assert events == ["file", "rename", "directory"]


def test_symbolic_link_stays_a_link(path):
    link = path.with_name("latest.safetensors")
    link.symlink_to(path)
    make_model().save(link)
    assert link.is_symlink()
    assert path.is_file()


def test_the_file_is_readable_by_others(path):
    """Plain safetensors and JSON: no pickle, nothing only fastconv understands."""
    model = trained()
    model.save(path)
    arrays, metadata = arrays_and_metadata(path)
    assert metadata["format"] == "fastconv"
    assert metadata["format_version"] == str(saving_module.FORMAT_VERSION) == "1"
    assert [layer["class_name"] for layer in json.loads(metadata["model"])["config"]["layers"]] == [
        "Conv2D",
        "MaxPooling2D",
        "Flatten",
        "Dropout",
        "Dense",
    ]
    assert json.loads(metadata["compile"])["loss"]["class_name"] == "SparseCategoricalCrossentropy"
    assert json.loads(metadata["history"]) == model.history.history
    assert arrays["optimizer/iterations"] == 10
    kernel = arrays[f"weights/0000/{model.weights[0].path}"]
    np.testing.assert_array_equal(kernel, model.get_weights()[0])
