"""Model files: everything comes back, anything wrong is named, and nothing is left half done."""

from __future__ import annotations

import datetime
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import fastconv
from fastconv._core import files
from fastconv.layers import Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from fastconv.models import Sequential
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


@pytest.mark.parametrize(("version", "shown"), [("3", "3"), ("", r"\?"), ("x", "x")])
def test_newer_format(path, version, shown):
    trained().save(path)
    rewrite(path, lambda arrays, metadata: metadata.update(format_version=version))
    check_unloadable(
        path, f"has file format {shown} of fastconv .*reads formats up to 2: install a newer one"
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
        TypeError,
        match=r"cannot save model/config/layers/0/config/callback: <built-in function print> is neither .*"
        r"get_config\(\) must return",
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
    assert metadata["format_version"] == "1"
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


# ---- what a file costs


def colossal_file(path) -> None:
    """A few kilobytes that describe a layer of 3.6 GB; its weights in the file are those of a small one."""
    Sequential([Input((300,)), Dense(3, name="wide")]).save(path)

    def grow(arrays, metadata):
        config = json.loads(metadata["model"])
        config["config"]["layers"][0]["config"]["units"] = 3_000_000
        metadata["model"] = json.dumps(config)

    rewrite(path, grow)
    assert path.stat().st_size < 6000


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_a_small_file_takes_little_memory(path):
    """However large the layers are that it describes: shapes are compared before anything is made."""
    colossal_file(path)
    program = f"""
import resource
import fastconv
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**28, now + 2**28))
try:
    fastconv.models.load_model({str(path)!r})
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "weight array 0 is wide/kernel (300, 3) in the file and wide/kernel (300, 3000000) in" in done.stdout
    )


def test_nothing_is_drawn_that_the_file_brings(path, monkeypatch):
    model = trained("adam")
    model.save(path)

    def draw(*_):
        raise AssertionError("initial values were drawn")

    monkeypatch.setattr(fastconv.initializers.GlorotUniform, "__call__", draw)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert {type(weight) for weight in loaded.weights} == {fastconv.parameter.Parameter}
    with pytest.raises(AssertionError, match="initial values were drawn"):
        make_model()


def test_loading_does_not_move_the_random_numbers(path):
    """Nothing is drawn, so what comes next does not depend on whether a model was loaded."""
    make_model().save(path)
    set_random_seed(11)
    expected = np.random.default_rng(11).random()
    load_model(path)
    assert fastconv._core.randomness.generator().random() == expected


class Shifted(Dense):
    """Reads and writes its own weights while they are made, and has one that no file holds."""

    def create_weights(self, input_shape):
        super().create_weights(input_shape)
        self.bias.value = self.bias.value + 7
        self.fixed = self.add_weight((3, 2), "ones", name="fixed")

    @property
    def weights(self):
        return [weight for weight in super().weights if weight.name != "fixed"]


def test_weights_that_the_file_does_not_bring_are_drawn(path):
    model = Sequential([Input((3,)), Shifted(2)])
    model.layers[0].bias.value = [1, 2]
    model.save(path)
    loaded = load_model(path, {"Shifted": Shifted})
    np.testing.assert_array_equal(loaded.layers[0].bias.value, [1, 2])
    np.testing.assert_array_equal(loaded.layers[0].kernel.value, model.layers[0].kernel.value)
    fixed = loaded.layers[0].fixed
    assert type(fixed) is fastconv.parameter.Parameter
    np.testing.assert_array_equal(fixed.value, np.ones((3, 2)))
    assert fixed.grad.shape == (3, 2)


# ---- Keras' names of the arguments


def test_filepath_and_path_are_the_same(path):
    model, other = make_model(), make_model()
    for name in ("filepath", "path"):
        model.save(**{name: path})
        save_model(model, **{name: path})
        np.testing.assert_array_equal(load_model(**{name: path}).get_weights()[0], model.get_weights()[0])
        model.save_weights(**{name: path})
        other.load_weights(**{name: path})
        np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
        other = make_model()
    for call in (model.save, model.save_weights, model.load_weights, load_model):
        with pytest.raises(TypeError, match="give the name of the file once, as filepath"):
            call()
        with pytest.raises(TypeError, match="give the name of the file once, as filepath"):
            call(path, path=path)


def test_safe_mode_makes_no_difference(path):
    model = make_model()
    model.save(path)
    for loaded in (load_model(path, None, True, False), load_model(path, safe_mode=True)):
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_notes_of_a_model(path):
    make_model().save(path, notes={"data": "mine", "rate": np.float32(0.5)})
    assert fastconv.models.read_notes(path) == {"data": "mine", "rate": 0.5}
    make_model().save(path)
    assert fastconv.models.read_notes(path) == {}


# ---- what cannot be saved is named


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime.date(2024, 5, 1), r"history/when/0: datetime\.date\(2024, 5, 1\) is neither a number"),
        (1j, "history/when/0: 1j is neither a number"),
        (np.datetime64("2024-05-01"), "history/when/0: .*2024-05-01.* is neither a number"),
        ({"a": [0, {1, 2}]}, r"history/when/0/a/1: \{1, 2\} is neither a number"),
        ({(1, 2): 0}, r"history/when/0: \(1, 2\), one of its keys, is not a string"),
    ],
    ids=str,
)
def test_logs_that_cannot_be_saved_are_named(path, value, shown):
    model = trained()
    model.history.history["when"] = [value]
    with pytest.raises(TypeError, match=f"cannot save {shown}.*A callback put it into the logs"):
        model.save(path)
    assert not path.exists()
    with pytest.raises(TypeError, match=r"cannot save notes/when: .* Notes must be made of these"):
        model.save_weights(path, notes={"when": datetime.date(2024, 5, 1)})
    assert not path.exists()


def test_numbers_of_all_kinds_are_saved(path):
    model = trained()
    values = [
        np.float32(0.5),
        np.int8(3),
        np.bool_(True),
        np.longdouble(0.25),
        np.str_("a"),
        np.array([1, 2]),
    ]
    model.history.history["kinds"] = values
    model.save(path)
    assert load_model(path).history.history["kinds"] == [0.5, 3, True, 0.25, "a", [1, 2]]


# ---- permissions


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_permissions_are_kept(path, umask):
    model = make_model()
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # of a new file: what the umask leaves
    for mode in (0o600, 0o640, 0o666, 0o755):
        path.chmod(mode)
        before = path.read_bytes()
        make_model().save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_bytes() != before
    path.unlink()
    umask(0o077)
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_private_file_is_private_while_it_is_written(path, umask, monkeypatch):
    make_model().save(path)
    path.chmod(0o600)
    umask(0)
    modes = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (modes.append(os.fstat(file).st_mode & 0o777), fsync(file)))
    make_model().save(path)
    assert modes[0] == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone may give files away")
def test_the_owner_is_kept(path):
    make_model().save(path)
    os.chown(path, 1234, 5678)
    make_model().save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_owner_where_it_may_not_be_given(path, monkeypatch):
    make_model().save(path)
    path.chmod(0o600)
    real = path.stat()

    def refuse(*_):
        raise PermissionError("not yours to give")

    monkeypatch.setattr(os, "chown", refuse)
    temporary = path.with_name("new")
    temporary.touch(0o600)
    other = os.stat_result((real.st_mode, 0, 0, 1, real.st_uid + 1, real.st_gid + 1, 0, 0, 0, 0))
    files._inherit(temporary, other, 0o600)
    assert stat.S_IMODE(temporary.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="POSIX links and devices")
def test_places_that_are_no_files_to_replace(tmp_path):
    model = make_model()
    loop = tmp_path / "loop.safetensors"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic link that leads back to itself"):
        model.save(loop)
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is a device or a pipe, not a regular file"):
        model.save(pipe)
    with pytest.raises(OSError, match=r"pipe\.safetensors is a device or a pipe, not a model file"):
        load_model(pipe)  # which would wait for ever for somebody to write
    dangling = tmp_path / "dangling.safetensors"
    dangling.symlink_to(tmp_path / "new.safetensors")
    model.save(dangling)
    assert dangling.is_symlink()
    assert (tmp_path / "new.safetensors").is_file()
    names = {"loop.safetensors", "pipe.safetensors", "dangling.safetensors", "new.safetensors"}
    assert {place.name for place in tmp_path.iterdir()} == names


def test_a_read_only_file_is_not_replaced(path, monkeypatch):
    make_model().save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "access", lambda place, mode: place != path)  # root may write anything
    with pytest.raises(
        PermissionError, match=r"cannot write model\.safetensors: the file in .* is read-only"
    ):
        make_model().save(path)
    assert path.read_bytes() == before


def test_a_file_that_may_not_be_read(path, monkeypatch):
    make_model().save(path)
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.R_OK)  # root may read everything
    for load in (load_model, make_model().load_weights, fastconv.models.read_notes):
        with pytest.raises(PermissionError, match=r"model\.safetensors: no permission to read this file"):
            load(path)
