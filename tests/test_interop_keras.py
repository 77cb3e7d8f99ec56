"""Keras' files without Keras: those in ``golden/interop`` are read, damaged and hostile ones refused."""

import io
import json
import warnings
import zipfile
from pathlib import Path

import interop_networks as networks
import numpy as np
import pytest
from damaged_files import damaged

import fastconv
from fastconv import Model, Sequential, layers
from fastconv.models import load_model, model_from_json, read_notes

try:
    import h5py
except ImportError:
    h5py = None

needs_h5py = pytest.mark.skipif(h5py is None, reason="files for Keras are written by h5py")

GOLDEN = Path(__file__).with_name("golden") / "interop"
BY_KERAS = ("convolutions", "normalizations", "nested", "operators")


@pytest.fixture(scope="module")
def answers():
    """What the networks computed in Keras: {name: [array, ...]}."""
    found = {}
    for file in ("keras.npz", "keras2.npz"):
        with np.load(GOLDEN / file) as arrays:
            for name in arrays.files:
                found.setdefault(name.rpartition("_")[0], []).append(arrays[name])
    return found


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# ---- what Keras wrote


@pytest.mark.parametrize("name", BY_KERAS)
def test_keras_files(name, answers):
    model = load_model(GOLDEN / f"{name}.keras")
    assert_same(networks.outputs_of(model, networks.inputs_of(model)), answers[name])
    other = networks.NETWORKS[name](fastconv)
    other.load_weights(GOLDEN / f"{name}.keras")
    assert_same(networks.outputs_of(other, networks.inputs_of(other)), answers[name])


def test_hdf5_files_of_keras_3(answers):
    model = load_model(GOLDEN / "operators.h5")
    assert_same(networks.outputs_of(model, networks.inputs_of(model)), answers["operators"])
    for file in ("operators.h5", "operators.weights.h5"):
        other = networks.operators(fastconv)
        other.load_weights(GOLDEN / file)
        assert_same(networks.outputs_of(other, networks.inputs_of(other)), answers["operators"])


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_functional_models_of_keras_2(suffix, answers):
    model = load_model(GOLDEN / f"keras2_functional{suffix}")
    x, *expected = _keras_2(answers, "keras2_functional")
    assert_same(model.predict(x, verbose=0), expected)
    assert type(model.optimizer).__name__ == "Adam"
    assert abs(model.optimizer.learning_rate - 0.01) < 1e-8
    assert len(model.loss) == 2


def _keras_2(answers, name):
    with np.load(GOLDEN / "keras2.npz") as arrays:
        return [
            arrays[f"{name}_x"],
            *(arrays[key] for key in arrays.files if key[-1].isdigit() and name in key),
        ]


def test_sequential_models_of_keras_2(answers):
    x, expected = _keras_2(answers, "keras2_sequential")
    model = load_model(GOLDEN / "keras2_sequential.h5")
    assert_same([model.predict(x, verbose=0)], [expected])
    copy = Sequential.from_config(model.get_config())
    for file in ("keras2_sequential_weights.h5", "keras2_sequential.h5"):
        networks.scramble(copy, seed=4)
        copy.load_weights(GOLDEN / file)
        assert_same([copy.predict(x, verbose=0)], [expected])


def test_descriptions_by_keras_2():
    model = model_from_json((GOLDEN / "keras2_functional.json").read_text())
    assert [layer.name for layer in model.layers][:3] == ["image", "c", "depthwise_conv2d"]
    calls = [node.layer.name for node in model.graph.nodes].count("inner")
    assert calls == 3
    assert model.output_shape == [(None, 3), (None, 144)]


def test_descriptions_by_the_first_keras():
    """A list of layers, names of the time, and no InputLayer."""
    uniform = {"class_name": "VarianceScaling", "config": {
        "scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None,
    }}  # fmt: skip
    described = {
        "class_name": "Sequential",
        "keras_version": "2.1.6",
        "backend": "tensorflow",
        "config": [
            {"class_name": "Conv2D", "config": {
                "name": "conv2d_1", "trainable": True, "batch_input_shape": [None, 8, 8, 1],
                "dtype": "float32", "filters": 4, "kernel_size": [3, 3], "strides": [1, 1],
                "padding": "valid",
                "data_format": "channels_last", "dilation_rate": [1, 1], "activation": "relu",
                "use_bias": True,
                "kernel_initializer": uniform, "bias_initializer": {"class_name": "Zeros", "config": {}},
                "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
                "kernel_constraint": None, "bias_constraint": None,
            }},
            {"class_name": "LeakyReLU", "config": {"name": "leaky", "trainable": True, "alpha": 0.2}},
            {"class_name": "Flatten", "config": {"name": "flatten_1", "trainable": True}},
            {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5, "seed": None}},
        ],
    }  # fmt: skip
    model = model_from_json(json.dumps(described))
    assert model.output_shape == (None, 144)
    assert model.layers[1].negative_slope == 0.2
    described["config"].append({"class_name": "LSTM", "config": {"name": "memory", "units": 3}})
    with pytest.raises(ValueError, match=r"the layer 'memory' \(LSTM\)"):
        model_from_json(json.dumps(described))


def test_training_goes_on_where_keras_stopped():
    """Golden: the weights after two more steps in Keras."""
    model = load_model(GOLDEN / "trained.keras")
    assert model.optimizer.iterations == 3
    for _ in range(2):
        model.train_on_batch(np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
    with np.load(GOLDEN / "keras.npz") as arrays:
        assert_same(model.get_weights(), [arrays["trained_kernel"], arrays["trained_bias"]])
    assert load_model(GOLDEN / "trained.keras", compile=False).optimizer is None


# ---- what is written here


@needs_h5py
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_there_and_back(name, tmp_path):
    model = networks.NETWORKS[name](fastconv)
    networks.scramble(model)
    x = networks.inputs_of(model)
    model.save(tmp_path / "net.keras")
    loaded = load_model(tmp_path / "net.keras")
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    np.testing.assert_equal(networks.outputs_of(loaded, x), networks.outputs_of(model, x))
    model.save_weights(tmp_path / "net.weights.h5")
    networks.scramble(loaded, seed=3)
    loaded.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_equal(loaded.get_weights(), model.get_weights())


@needs_h5py
def test_the_files_are_laid_out_as_keras_lays_them(tmp_path):
    model = networks.nested(fastconv)
    model.save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as ours, zipfile.ZipFile(GOLDEN / "nested.keras") as theirs:
        assert ours.namelist() == theirs.namelist()
        places = []
        for archive in (ours, theirs):
            with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
                found = {}
                file.visititems(
                    lambda name, item, found=found: found.update({name: getattr(item, "shape", None)})
                )
            places.append(found)
        assert places[0] == places[1]
        configs = [json.loads(archive.read("config.json")) for archive in (ours, theirs)]
        calls = [
            [(layer["class_name"], len(layer["inbound_nodes"])) for layer in config["config"]["layers"]]
            for config in configs
        ]
        assert calls[0] == calls[1]
        for end in ("input_layers", "output_layers"):
            assert configs[0]["config"][end] == configs[1]["config"][end]


@needs_h5py
def test_notes_optimizer_and_overwrite(tmp_path):
    path = tmp_path / "net.keras"
    model = Sequential([layers.Input((3,)), layers.Dense(2, name="a")])
    model.compile("nadam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.save(path, notes={"classes": ["x", "y"]})
    assert read_notes(path) == {"classes": ["x", "y"]}
    loaded = load_model(path)
    assert loaded.get_compile_config() == model.get_compile_config()
    kept, back = (net.optimizer.state_dict() for net in (model, loaded))
    np.testing.assert_equal(
        {n: np.float32(v) for n, v in back.items()}, {n: np.float32(v) for n, v in kept.items()}
    )
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(path, overwrite=False)
    with pytest.raises(ValueError, match="no place for notes"):
        model.save_weights(tmp_path / "w.weights.h5", notes={})
    with pytest.raises(ValueError, match=r"must end in \.weights\.h5"):
        model.save_weights(tmp_path / "w.h5")
    with pytest.raises(ValueError, match=r"models are saved as \.keras"):
        model.save(tmp_path / "net.h5")
    with pytest.raises(ValueError, match=r"weights alone are saved as \.weights\.h5"):
        model.save_weights(path)
    with pytest.raises(ValueError, match="no weights to save"):
        Sequential([layers.Dense(2)]).save(tmp_path / "other.keras")
    assert {file.name for file in tmp_path.iterdir()} == {"net.keras"}


class Shift(layers.Layer):
    """y = x + shift"""

    def build(self, input_shape):
        self.shift = self.add_weight((input_shape[-1],), "ones", name="shift")

    def call(self, x):
        return x + self.shift.value

    def backward(self, dy, input_gradient=True):
        return dy


@needs_h5py
def test_layers_of_ones_own(tmp_path):
    model = Sequential([layers.Input((3,)), Shift(name="own"), layers.Dense(2)])
    networks.scramble(model)
    model.save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"(?s)layer 'own' \(Shift\).*custom_objects"):
        load_model(tmp_path / "net.keras")
    loaded = load_model(tmp_path / "net.keras", custom_objects={"Shift": Shift})
    np.testing.assert_equal(loaded.get_weights(), model.get_weights())


NOT_IN_KERAS = {
    "RBF": (lambda: [layers.Input((3,)), layers.RBF(2, name="odd")], "'odd' .RBF.: Keras has no such layer"),
    "padding": (
        lambda: [layers.Input((5, 5, 1)), layers.Conv2D(2, 3, padding=1, name="odd")],
        r"'odd' .Conv2D.: Keras has no padding=.*ZeroPadding",
    ),
    "activation": (
        lambda: [layers.Input((3,)), layers.Dense(2, activation="scaled_tanh", name="odd")],
        "'odd' .Dense.: Keras has no activation 'scaled_tanh'",
    ),
    "connections": (
        lambda: [layers.Input((5, 5, 2)), layers.Conv2D(2, 3, connections=[[0], [1]], name="odd")],
        "'odd' .Conv2D.: Keras has no connections=",
    ),
}


@needs_h5py
@pytest.mark.parametrize("case", NOT_IN_KERAS)
def test_what_keras_has_not_is_named(case, tmp_path):
    build, message = NOT_IN_KERAS[case]
    with pytest.raises(ValueError, match=f"cannot be saved for Keras: .*{message}"):
        Sequential(build()).save(tmp_path / "net.keras")
    assert not list(tmp_path.iterdir())


@needs_h5py
def test_initializers_and_metrics_that_keras_has_not_are_left_out(tmp_path):
    from fastconv.initializers import FanInUniform

    model = Sequential([layers.Input((3,)), layers.Dense(2, kernel_initializer=FanInUniform(), name="odd")])
    with pytest.warns(UserWarning, match="leaves out: kernel_initializer=FanInUniform of the layer 'odd'"):
        model.save(tmp_path / "net.keras")
    model = Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[fastconv.metrics.ConfusionMatrix(2)])
    with pytest.warns(UserWarning, match=r"leaves out: what compile chose, for metrics\.ConfusionMatrix"):
        model.save(tmp_path / "net.keras")
    assert load_model(tmp_path / "net.keras").optimizer is None


@needs_h5py
def test_numbers_in_a_chain(tmp_path):
    inputs = layers.Input((3,))
    operator = (2.0 - inputs).node.layer
    model = Sequential([layers.Input((3,)), operator, layers.Dense(2)])
    model.save(tmp_path / "net.keras")
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(load_model(tmp_path / "net.keras")(x), model(x), rtol=1e-6)


# ---- loading weights into other models


def chain(units=4, name="dense"):
    return Sequential(
        [layers.Input((3,)), layers.Dense(units, name=name), layers.Dense(2, name="top")], name="net"
    )


@needs_h5py
@pytest.mark.parametrize("file", ["w.weights.h5", "net.keras"])
def test_weights_that_do_not_fit(file, tmp_path):
    path, source = tmp_path / file, chain()
    (source.save if file.endswith(".keras") else source.save_weights)(path)
    other = chain(5)
    before = other.get_weights()
    with pytest.raises(
        ValueError, match=r"dense \(kernel \(3, 4\), bias \(4,\)\) in the file, dense .kernel \(3, 5"
    ):
        other.load_weights(path)
    np.testing.assert_equal(other.get_weights(), before)
    longer = Sequential([*chain(4, "otherwise").layers, layers.Dense(2, name="more")])
    with pytest.warns(UserWarning, match="1 of 3 layers skipped: only the model has more"):
        longer.load_weights(path, skip_mismatch=True)
    np.testing.assert_equal(longer.get_weights()[:4], source.get_weights())
    shorter = Sequential([layers.Input((4,)), layers.Dense(2, name="top")])
    shorter.load_weights(path, by_name=True)
    np.testing.assert_equal(shorter.get_weights(), source.get_weights()[2:])
    with pytest.raises(ValueError, match="no layer of the same name"):
        Sequential([layers.Input((4,)), layers.Dense(2, name="none")]).load_weights(path, by_name=True)


def test_old_weights_that_do_not_fit():
    path = GOLDEN / "keras2_sequential_weights.h5"
    model = load_model(GOLDEN / "keras2_sequential.h5")
    other = Sequential([layers.Input((3,)), layers.Dense(2, name="dense")])
    with pytest.raises(ValueError, match=r"in the file, dense \(kernel \(3, 2\)"):
        other.load_weights(path)
    with pytest.raises(ValueError, match="holds weights alone"):
        load_model(path)
    named = Sequential([layers.Input((8,)), layers.Dense(2, name="dense")])
    named.load_weights(path, by_name=True)
    np.testing.assert_equal(named.get_weights(), model.layers[-1].get_weights())


@needs_h5py
def test_nan_is_refused(tmp_path):
    model = chain()
    model.layers[0].kernel.value = np.full((3, 4), np.nan)
    with pytest.warns(UserWarning, match="NaN"):
        model.save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="NaN or infinity"):
        load_model(tmp_path / "net.keras")
    load_model(tmp_path / "net.keras", allow_nan=True)


# ---- code and hostile files


def test_code_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'twice' is Python code in the file, which is never run"):
        load_model(GOLDEN / "keras2_lambda.h5")
    with pytest.raises(ValueError, match="'twice' is Python code in the file, which is never run"):
        model_from_json((GOLDEN / "lambda.json").read_text())
    described = json.loads((GOLDEN / "lambda.json").read_text())
    with pytest.raises(ValueError, match="never run"):
        load_model(rezipped(tmp_path, config=described), safe_mode=False)


def rezipped(tmp_path, config=None, weights=None, more=()):
    """trained.keras with another description or other weights."""
    path = tmp_path / "hostile.keras"
    with zipfile.ZipFile(GOLDEN / "trained.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        members["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
    if weights is not None:
        members["model.weights.h5"] = weights
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [*members.items(), *more]:
            archive.writestr(name, data)
    return path


def described():
    with zipfile.ZipFile(GOLDEN / "trained.keras") as archive:
        return json.loads(archive.read("config.json"))


def weights_file(change):
    """The weights of trained.keras, changed."""
    with zipfile.ZipFile(GOLDEN / "trained.keras") as archive:
        memory = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(memory, "r+") as file:
        change(file)
    return memory.getvalue()


def replaced(name, **dataset):
    def change(file):
        del file[name]
        file.create_dataset(name, **dataset)

    return change


def removed(name):
    def change(file):
        del file[name]

    return change


def linked(kind, *where):
    def change(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = getattr(h5py, kind)(*where)

    return change


def cycle(file):
    file["layers/dense/again"] = file["layers"]


KERNEL = "layers/dense/vars/0"
WEIGHTS = {
    "a group is missing": (removed("layers/dense/vars"), "only the model has top"),
    "an array is missing": (removed(KERNEL), r"top \(1 \(2,\)\) in the file"),
    "another shape": (replaced(KERNEL, data=np.zeros((3, 3), np.float32)), r"kernel \(3, 3\)"),
    "another type": (replaced(KERNEL, data=np.zeros((3, 2))), "float64, not float32"),
    "whole numbers": (replaced(KERNEL, data=np.zeros((3, 2), int)), "int64, not float32"),
    "texts": (replaced(KERNEL, data=np.full((3, 2), b"x")), "not float32"),
    "numbers that are not there": (replaced(KERNEL, shape=(1 << 20, 1 << 20), dtype="f4"), "claims"),
    "packed numbers": (
        replaced(KERNEL, shape=(3, 2), dtype="f4", chunks=(1, 1), compression="gzip"), "in pieces or packed",
    ),
    "another file": (linked("ExternalLink", "/etc/passwd", "/x"), "is not followed"),
    "another place": (linked("SoftLink", "/layers/dense/vars/1"), "is not followed"),
    "numbers in another file": (
        replaced(KERNEL, shape=(3, 2), dtype="f4", external=[("/etc/passwd", 0, 24)]),
        "in another file",
    ),
    "a cycle": (cycle, "stands in two places"),
    "more layers": (
        lambda file: file.create_dataset("layers/dense_1/vars/0", data=[1.0]), "only the file has dense_1",
    ),
}  # fmt: skip


@needs_h5py
@pytest.mark.parametrize("case", WEIGHTS)
def test_hostile_weights(case, tmp_path):
    change, message = WEIGHTS[case]
    path = rezipped(tmp_path, weights=weights_file(change))
    with pytest.raises(ValueError, match=message):
        load_model(path)
    model = load_model(GOLDEN / "trained.keras")
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.load_weights(path)
    np.testing.assert_equal(model.get_weights(), before)


def test_hostile_archives(tmp_path):
    for name in ("../evil.py", "/etc/evil", "a/../../evil", "..\\evil"):
        with pytest.raises(ValueError, match="to be unpacked elsewhere"):
            load_model(rezipped(tmp_path, more=[(name, b"x")]))
    with pytest.raises(ValueError, match=r"config\.json claims 50,000,000 bytes"):
        load_model(rezipped(tmp_path, config=b" " * 50_000_000))
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ValueError, match=r"it has no config\.json"):
        load_model(tmp_path / "empty.keras")
    (tmp_path / "no.keras").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"is damaged, or no \.keras file"):
        load_model(tmp_path / "no.keras")
    (tmp_path / "no.h5").write_bytes(b"no HDF5 file")
    with pytest.raises(ValueError, match="is damaged, or no HDF5 file"):
        load_model(tmp_path / "no.h5")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_model(tmp_path / "nowhere.keras")


def large(config):
    config["config"]["layers"][1]["config"]["units"] = 10**12


def deep(config):
    for _ in range(20_000):
        config["config"] = {"layers": [config["config"]]}


def set_at(*path):
    *way, last, value = path

    def change(config):
        for key in way:
            config = config[key]
        config[last] = value

    return change


CONFIGS = {
    "no model": (set_at("class_name", "Dense"), "hostile.keras"),
    "no class": (lambda config: config.pop("class_name"), "no model by Keras"),
    "layers that are none": (set_at("config", "layers", [3]), "no dictionary with a class_name"),
    "an unknown layer": (set_at("config", "layers", 1, "class_name", "LSTM"), r"the layer 'top' \(LSTM\)"),
    "an unknown argument": (
        set_at("config", "layers", 1, "config", "lora_rank", 4),
        r"the layer 'top' \(Dense\): .*lora_rank",
    ),
    "another number type": (
        set_at("config", "layers", 1, "config", "dtype", "mixed_float16"),
        r"the layer 'top' \(Dense\): .*mixed_float16.* is not supported",
    ),
    "a huge layer": (large, r"kernel \(3, 1000000000000\)"),
    "an unknown loss": (set_at("compile_config", "loss", "no_such_loss"), "compile=False"),
    "an unknown optimizer": (set_at("compile_config", "optimizer", "class_name", "Lion"), "compile=False"),
    "a compile_config that is none": (set_at("compile_config", [1]), "is no dictionary"),
    "code as activation": (
        set_at(
            "config",
            "layers",
            1,
            "config",
            "activation",
            {"class_name": "__lambda__", "config": {"value": "x"}},
        ),
        "never run",
    ),
    "a module to import": (
        set_at(
            "config", "layers", 1, {"module": "os", "class_name": "system", "config": {"command": "touch x"}}
        ),
        "system",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_hostile_descriptions(case, tmp_path):
    change, message = CONFIGS[case]
    config = described()
    change(config)
    with pytest.raises(ValueError, match=message):
        load_model(rezipped(tmp_path, config=config))


def test_descriptions_that_are_nested_too_deeply(tmp_path):
    text = '{"class_name": "Sequential", "config": {"layers": [' * 3000 + "]}}" * 3000
    with pytest.raises(ValueError, match=r"hostile\.keras"):
        load_model(rezipped(tmp_path, config=text.encode()))


@pytest.mark.parametrize(
    "name", ["trained.keras", "operators.h5", "keras2_functional.h5", "operators.weights.h5"]
)
def test_damaged_files_are_errors_and_nothing_else(name, tmp_path):
    """Whatever bytes are changed or missing: a model or a ValueError; weights are all new or all old."""
    data = (GOLDEN / name).read_bytes()
    path = tmp_path / name
    target = networks.operators(fastconv) if "operators" in name else None
    for broken in damaged(data, seed=1, count=120):
        path.write_bytes(broken)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if target is None or not name.endswith(".weights.h5"):
                try:
                    assert isinstance(load_model(path), Model)
                except ValueError as error:
                    assert name in str(error)  # noqa: PT017
            if target is not None:
                before = target.get_weights()
                try:
                    target.load_weights(path)
                except ValueError:
                    np.testing.assert_equal(target.get_weights(), before)


def test_h5py_is_asked_for(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    load_model(GOLDEN / "trained.keras")
    for action in (
        lambda: chain().save(tmp_path / "net.keras"),
        lambda: chain().save_weights(tmp_path / "w.weights.h5"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'fastconv\[keras\]'"):
            action()
    assert not list(tmp_path.iterdir())
