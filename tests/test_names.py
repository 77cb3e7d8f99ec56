"""Every public name of Keras is here, or is an error that says what to use instead."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import activations, backend, datasets, layers, losses, models, ops, random
from fastconv._core.missing import GROUPS, REMEDIES, remedy_for
from fastconv.layers.layer import Layer
from fastconv.parameter import Parameter

KERAS = json.loads((Path(__file__).parent / "golden" / "names.json").read_text())
MODULES = {name: set(names) for name, names in KERAS["modules"].items()}
MODULES["backend"] |= set(KERAS["legacy backend"])
NAMES = [(module, name) for module in MODULES for name in sorted(MODULES[module])]


def path(module: str) -> str:
    return f"fastconv.{module}".rstrip(".")


def existing(module: str):
    """The module of fastconv, or None where it says what to use instead."""
    try:
        return importlib.import_module(path(module))
    except ImportError as error:
        answer = str(error)
    above = MODULES.keys() & {".".join(module.split(".")[:n]) for n in range(1, module.count(".") + 2)}
    remedies = [REMEDIES.get((name.rpartition(".")[0] or ".", name.rpartition(".")[2])) for name in above]
    assert any(remedy and answer.endswith(remedy) for remedy in remedies)
    return None


def test_all_modules_of_keras_are_walked():
    assert KERAS["keras"].startswith("3.15")
    assert len(MODULES) > 60
    assert len(NAMES) > 1500


@pytest.mark.parametrize("module", MODULES)
def test_each_name_is_there_or_answers_with_a_remedy(module):
    found = existing(module)
    if found is None:
        return
    for name in sorted(MODULES[module]):
        remedy = remedy_for(module, name)
        if hasattr(found, name):
            assert remedy is None or (module, name) not in REMEDIES, f"{name} exists: delete its remedy"
            continue
        assert remedy, f"{path(module)} has no {name}, and no remedy for it"
        message = f"{path(module)} has no {name}: {remedy}"
        with pytest.raises(AttributeError, match=re.escape(message)):
            getattr(found, name)
        with pytest.raises(ImportError, match=re.escape(message)):
            exec(f"from {path(module)} import {name}", {})


def test_no_remedy_is_for_a_name_that_exists():
    for module, name in REMEDIES:
        found = existing(module.strip("."))
        assert found is not None, f"{module} does not exist: remedies for its names are never seen"
        assert not hasattr(found, name), f"{path(module)}.{name} exists: delete its remedy"


REFERENCE = re.compile(
    r"(?<![\w.])(np|math|types|PIL|scipy|safetensors|fastconv|keras|model|layer|parameter|teacher|"
    + "|".join(name for name in fastconv.__all__ if name.islower())
    + r")((?:\.\w+)+)"
)
OBJECTS = {
    "np": np,
    "fastconv": fastconv,
    "model": models.Sequential(),
    "teacher": models.Sequential(),
    "layer": Layer(),
    "parameter": Parameter([0.0]),
}


def assert_exists(root: str, rest: str) -> None:
    attributes = rest.strip(".").split(".")
    if root == "keras":
        *module, name = attributes
        while module and ".".join(module) not in MODULES:
            name = module.pop()
        assert name in MODULES[".".join(module)]
        return
    if root in OBJECTS:
        thing = OBJECTS[root]
    elif root in fastconv.__all__:
        thing = getattr(fastconv, root)
    elif importlib.util.find_spec(root) is None:
        return
    else:
        thing = importlib.import_module(root)
    for attribute in attributes:
        if not hasattr(thing, attribute):  # PIL.Image is a module that PIL does not import
            importlib.import_module(f"{thing.__name__}.{attribute}")
        thing = getattr(thing, attribute)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.names.split()[0])
def test_remedies_name_things_that_exist(group):
    for module in group.modules.split():
        for name in group.names.split():
            references = REFERENCE.findall(REMEDIES[module, name])
            assert references or "np, NumPy itself" in group.remedy
            for root, rest in references:
                assert_exists(root, rest)


def test_numpy_is_the_remedy_for_what_keras_has_of_it():
    for module, name in (("ops", "einsum"), ("ops", "sum"), ("backend", "square"), ("backend", "mean")):
        with pytest.raises(AttributeError, match=rf"has no {name}: arrays are NumPy's here: np\.{name}$"):
            getattr(getattr(fastconv, module), name)
    assert np.square(3) == 9


def test_modules_that_are_missing_answer_wherever_they_are_imported():
    for statement in (
        "import fastconv.preprocessing",
        "import fastconv.preprocessing.image",
        "from fastconv.preprocessing.image import ImageDataGenerator",
        "from fastconv import preprocessing",
    ):
        with pytest.raises(ImportError, match=r"fastconv has no preprocessing: layers\.RandomFlip"):
            exec(statement, {})
    with pytest.raises(ImportError, match=r"has no vgg16: .* keras\.applications\.vgg16"):
        exec("from fastconv.applications.vgg16 import VGG16", {})


def test_names_that_nobody_has_are_ordinary_errors():
    with pytest.raises(
        AttributeError, match=r"'fastconv\.layers' has no attribute 'Conv2d'; did you mean 'Conv2D'\?"
    ):
        layers.Conv2d  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'conv2d'; did you mean 'Conv2D'\?"):
        layers.conv2d(8, 3)
    with pytest.raises(ImportError, match=r"did you mean 'Conv2D'\?"):
        exec("from fastconv.layers import Conv2d", {})
    with pytest.raises(AttributeError, match=r"module 'fastconv\.layers' has no attribute 'zzzzzz'$"):
        layers.zzzzzz  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'zzzzzz'"):
        exec("from fastconv.layers import zzzzzz", {})
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'fastconv\.zzzzzz'"):
        importlib.import_module("fastconv.zzzzzz")
    assert not hasattr(layers, "__wrapped__")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.get("dice"), r"Keras' loss 'dice' is not supported: .* subclass of losses\.Loss"),
        (lambda: fastconv.metrics.get("r2_score"), r"Keras' metric 'r2_score' .*np\.corrcoef"),
        (lambda: fastconv.optimizers.get("Lion"), r"Keras' optimizer 'Lion' .*optimizers\.AdamW"),
        (lambda: fastconv.initializers.get("stft"), r"Keras' initializer 'stft' .*any function of a shape"),
        (
            lambda: layers.deserialize({"class_name": "LSTM", "config": {}}),
            r"Keras' layer 'LSTM' .*keras\.layers\.LSTM of Keras itself\. ",
        ),
    ],
)
def test_names_in_strings_answer_alike(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- what dir and TAB show


def public_modules() -> list[str]:
    ours = ["", "datasets.digits", "presets", "reference", "visualize"]
    return sorted({*ours, *(name for name in MODULES if existing(name) is not None)})


@pytest.mark.parametrize("module", public_modules())
def test_dir_shows_public_names_alone(module):
    found = importlib.import_module(path(module))
    shown = {name for name in dir(found) if not name.startswith("__")}
    assert shown == set(found.__all__)
    assert all(hasattr(found, name) for name in shown)


def test_completion_of_layers_offers_layers():
    assert "Dense" in dir(layers)
    assert not {"dense", "conv2d", "Registry", "annotations", "publish"} & set(dir(layers))


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: layers.dense(10), "layers.Dense"),
        (lambda: layers.dropout(0.5), "layers.Dropout"),
        (lambda: layers.batch_normalization(), "layers.BatchNormalization"),
        (lambda: layers.subsampling2d(), "layers.Subsampling2D"),
        (lambda: fastconv.optimizers.sgd(0.1), "optimizers.SGD"),
        (lambda: fastconv.callbacks.early_stopping(patience=3), "callbacks.EarlyStopping"),
        (lambda: fastconv.optimizers.schedules.one_cycle(0.1), "optimizers.schedules.OneCycle"),
        (lambda: fastconv.metrics.auc(), "metrics.AUC"),
        (lambda: models.sequential([]), "models.Sequential"),
    ],
)
def test_files_called_like_layers_name_the_layer(call, meant):
    with pytest.raises(TypeError, match=rf"is a file of fastconv, .*; did you mean {re.escape(meant)}\?"):
        call()


def test_files_without_a_namesake_cannot_be_called_either():
    with pytest.raises(TypeError, match=r"^fastconv\.layers\.weighted is a file .* cannot be called$"):
        layers.weighted()


def test_functions_are_not_hidden_by_their_files():
    assert losses.hinge([1.0], [1.0]) == 0.0
    assert callable(fastconv.gradcheck)
    assert callable(fastconv.utils.confusion_matrix)
    for module in public_modules():
        found = importlib.import_module(path(module))
        for name in found.__all__:
            inside = type(getattr(found, name)).__name__ == "_Implementation"
            assert not inside, f"{path(module)}.{name} is a file"


def test_files_can_still_be_imported_by_those_who_read_them():
    from fastconv.layers import dense

    assert dense.Dense is layers.Dense
    assert (
        importlib.reload(importlib.import_module("fastconv.datasets.idx")).__name__ == "fastconv.datasets.idx"
    )
    assert pickle.loads(pickle.dumps(layers.Dense)) is layers.Dense


def test_star_imports_bring_the_public_names():
    space: dict[str, object] = {}
    exec("from fastconv.layers import *", space)
    assert set(space) - {"__builtins__"} == set(layers.__all__)


def test_modules_are_imported_when_they_are_used():
    code = (
        "import sys, fastconv\n"
        "late = ['backend', 'config', 'random', 'saving', 'visualize', '_core.missing']\n"
        "assert not [name for name in late if f'fastconv.{name}' in sys.modules]\n"
        "assert not hasattr(fastconv, 'KerasTensor')\n"
        "fastconv.saving.load_model, fastconv.visualize.deconvnet, fastconv.config.floatx()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- small modules


def test_backend_and_config_say_what_is_fixed():
    from fastconv import config

    assert (config.floatx(), config.epsilon(), config.image_data_format()) == (
        "float32",
        1e-7,
        "channels_last",
    )
    assert backend.floatx is config.floatx
    assert config.backend() == "native"
    with config.set_backend("reference"):
        assert backend.backend() == "reference"
    config.set_floatx("float32")
    config.set_epsilon(1e-7)
    config.set_image_data_format("channels_last")
    for change, value, remedy in (
        (config.set_floatx, "float64", r"'float32' alone, got 'float64'; .*set_backend"),
        (config.set_epsilon, 1e-5, "1e-07 alone, got 1e-05; .*argument epsilon"),
        (config.set_image_data_format, "channels_first", r"np\.moveaxis"),
    ):
        with pytest.raises(ValueError, match=remedy):
            change(value)


def test_backend_reads_and_writes_weights():
    layer = layers.Dense(2, input_shape=(3,))
    model = models.Sequential([layer])
    kernel = model.weights[0]
    backend.set_value(kernel, np.full((3, 2), 0.5))
    np.testing.assert_array_equal(backend.get_value(kernel), np.full((3, 2), 0.5, np.float32))
    backend.get_value(kernel)[:] = 7
    np.testing.assert_array_equal(kernel.value, np.full((3, 2), 0.5))
    assert backend.get_value(0.01) == 0.01
    with pytest.raises(TypeError, match=r"0\.1 is a float; assign .* optimizer\.learning_rate"):
        backend.set_value(0.1, 0.2)
    with pytest.raises(ValueError, match="shape"):
        backend.set_value(kernel, np.zeros(2))


def test_clear_session_restarts_names():
    backend.clear_session()
    assert layers.Dense(2).name == "dense"
    assert layers.Dense(2).name == "dense_1"
    backend.clear_session()
    assert layers.Dense(2).name == "dense"


def test_random_numbers_follow_from_their_seed():
    for make in (random.normal, random.uniform, random.truncated_normal):
        numbers = make((1000,), seed=3)
        assert numbers.dtype == np.float32
        np.testing.assert_array_equal(numbers, make((1000,), seed=3))
        assert not np.array_equal(numbers, make((1000,), seed=4))
        fastconv.utils.set_random_seed(5)
        drawn = make((8,))
        assert not np.array_equal(drawn, make((8,)))
        fastconv.utils.set_random_seed(5)
        np.testing.assert_array_equal(drawn, make((8,)))
    generator = np.random.default_rng(0)
    assert not np.array_equal(random.normal((8,), seed=generator), random.normal((8,), seed=generator))


def test_random_numbers_have_their_distribution():
    normal = random.normal((4000,), mean=3, stddev=0.5, seed=0)
    assert abs(normal.mean() - 3) < 0.05
    assert abs(normal.std() - 0.5) < 0.05
    truncated = random.truncated_normal((4000,), mean=1, stddev=0.1, seed=0)
    assert np.abs(truncated - 1).max() <= 0.2 + 1e-6
    uniform = random.uniform((4000,), -2, 2, seed=0)
    assert uniform.min() < -1.9
    assert uniform.max() > 1.9
    whole = random.randint((4000,), 0, 3, seed=0)
    assert whole.dtype == np.int32
    assert set(whole.tolist()) == {0, 1, 2}
    assert set(random.uniform((100,), 0, 3, dtype="int64", seed=0).tolist()) == {0, 1, 2}


def test_shuffle_keeps_slices_whole():
    x = np.arange(12).reshape(6, 2)
    rows = random.shuffle(x, seed=0)
    assert sorted(map(tuple, rows)) == sorted(map(tuple, x))
    assert not np.array_equal(rows, x)
    np.testing.assert_array_equal(np.sort(random.shuffle(x, axis=1, seed=0), axis=1), x)
    np.testing.assert_array_equal(x, np.arange(12).reshape(6, 2))


def test_other_names_for_the_same():
    assert fastconv.Variable is Parameter
    assert fastconv.Regularizer is fastconv.regularizers.Regularizer
    assert fastconv.utils.Sequence is fastconv.utils.PyDataset
    assert layers.Convolution1D is layers.Conv1D
    assert layers.Convolution2D is layers.Conv2D
    assert layers.Convolution1DTranspose is layers.Conv1DTranspose
    assert layers.Convolution2DTranspose is layers.Conv2DTranspose
    assert layers.SeparableConvolution1D is layers.SeparableConv1D
    assert layers.SeparableConvolution2D is layers.SeparableConv2D
    assert fastconv.initializers.OrthogonalInitializer is fastconv.initializers.Orthogonal
    assert activations.relu in [getattr(activations, name) for name in dir(activations)]
    assert {"CLASSES", "load_data"} <= set(dir(datasets.mnist))
    assert "conv2d" in dir(ops)
