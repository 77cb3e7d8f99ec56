"""Graphs in files, as text, cloned, pickled, in parts of other models, and trainings of them that are
killed.
"""

import json
import pickle
import warnings
from pathlib import Path

import graph_networks as networks
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastconv
from fastconv import Model, Sequential, layers, saving
from fastconv.callbacks import BackupAndRestore, Callback
from fastconv.models import clone_model, load_model, model_from_json

RNG = np.random.default_rng(7)
KERAS = json.loads((Path(__file__).parent / "golden" / "functional.json").read_text())
NAMES = [name for name in networks.NETWORKS if name not in ("subclassed", "resnet20")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def started(name):
    """(model, batches), compiled, with weights and moments that are no longer those of the start."""
    model = networks.NETWORKS[name](fastconv)
    networks.start(model)
    model.compile("adam", **networks.compile_arguments(name))
    batches = networks.batches(name, *networks.shapes(name, model))
    for _ in range(2):
        model.train_on_batch(*next(batches))
    return model, batches


def two_headed(dropout=False):
    """Two outputs, a shared layer, a model inside, and perhaps dropout."""
    image, extra = layers.Input((6, 6, 2), name="image"), layers.Input((3,), name="extra")
    shared = layers.Conv2D(2, 3, padding="same", activation="tanh", name="shared")
    inner_in = layers.Input((6, 6, 2), name="inner_in")
    inner = Model(inner_in, layers.Conv2D(4, 3, name="deep")(inner_in), name="inner")
    x = layers.Add(name="sum")([shared(image), shared(shared(image))])
    x = layers.GlobalAveragePooling2D(name="pool")(inner(x))
    if dropout:
        x = layers.Dropout(0.4, name="drop")(x)
    x = layers.Concatenate(name="both")([x, extra])
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    size = layers.Dense(1, name="size")(x)
    return Model([image, extra], [kind, size], name="net")


def compiled(model, optimizer="adam"):
    model.compile(
        optimizer,
        {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return model


def data(count=24):
    x = {"image": RNG.random((count, 6, 6, 2), np.float32), "extra": RNG.random((count, 3), np.float32)}
    return x, {"kind": RNG.integers(0, 3, count), "size": RNG.random((count, 1), np.float32)}


def description(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def rewritten(path, change):
    """Change the description of the model in a file."""
    metadata, arrays = description(path), load_file(path)
    model = json.loads(metadata["model"])
    change(model)
    metadata["model"] = json.dumps(model)
    save_file(arrays, path, metadata)


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- there and back


@pytest.mark.parametrize("name", NAMES)
def test_what_is_loaded_goes_on_as_what_was_saved(name, path):
    model, batches = started(name)
    model.save(path)
    assert description(path)["format_version"] == "2"
    loaded = load_model(path)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    for _ in range(2):
        batch = next(batches)
        assert loaded.train_on_batch(*batch) == model.train_on_batch(*batch)
    assert_same(loaded.get_weights(), model.get_weights())


def test_compile_by_output_and_random_states_are_kept(path):
    model, (x, y) = compiled(two_headed(dropout=True)), data()
    model.fit(x, y, batch_size=8, verbose=0)
    model.save(path, notes={"classes": ["a", "b", "c"]})
    loaded = load_model(path)
    assert loaded.get_compile_config() == model.get_compile_config()
    assert loaded.random_state() == model.random_state() != two_headed(dropout=True).random_state()
    assert loaded.history.history == model.history.history
    assert saving.load_model(path, compile=False).optimizer is None
    again = [net.train_on_batch(x, y, return_dict=True) for net in (model, loaded)]
    assert again[0] == again[1]
    assert {"loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"} <= again[0].keys()


def test_chains_are_written_as_before(path):
    inside = Sequential([layers.Dense(3, name="a")], name="inside")
    model = Sequential([layers.Input((4,)), inside, layers.Dense(2, name="b")], name="chain")
    model.compile("sgd", "mse", metrics=["mae"])
    model.save(path)
    metadata = description(path)
    assert metadata["format_version"] == "1"
    assert json.loads(metadata["model"]).keys() == {"class_name", "config"}
    assert list(json.loads(metadata["compile"])) == [
        "optimizer", "loss", "metrics", "weighted_metrics", "jit_compile",
    ]  # fmt: skip
    assert list(load_file(path))[:1] == ["weights/0000/a/bias"] or "weights/0000/a/kernel" in load_file(path)


def test_a_layer_in_two_models_inside_is_one_layer_again(path):
    shared = layers.Dense(4, name="shared")
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    one = Model(a, layers.ReLU(name="relu")(shared(a)), name="one")
    other = Sequential([layers.Input((4,)), shared, layers.ReLU(name="relu")], name="other")
    model = Model(b, layers.Add(name="sum")([one(b), other(b), shared(b)]), name="net")
    assert len(model.weights) == 2
    model.save(path)
    for made in (load_model(path), model_from_json(model.to_json()), clone_model(model)):
        assert len(made.weights) == 2
        assert made.get_layer("one").get_layer("shared") is made.get_layer("other").get_layer("shared")
        made.set_weights(model.get_weights())
        x = RNG.random((3, 4), np.float32)
        np.testing.assert_array_equal(made(x), model(x))


def test_outputs_in_a_dictionary_come_back_so(path):
    x = layers.Input((4,), name="x")
    model = Model({"x": x}, {"b": layers.Dense(2, name="two")(x), "a": layers.Dense(1, name="one")(x)})
    model.save(path)
    batch = {"x": RNG.random((3, 4), np.float32)}
    expected, got = model.predict(batch, verbose=0), load_model(path).predict(batch, verbose=0)
    assert list(got) == list(expected) == ["b", "a"]
    assert_same(expected.values(), got.values())


# ---- subclasses


@saving.register_keras_serializable("tests")
class Residual(Model):
    def __init__(self, width, rate=0.0):
        super().__init__()
        self.first, self.second = layers.Dense(width, activation="relu"), layers.Dense(width)
        self.drop = layers.Dropout(rate)

    def call(self, x, training=None):
        x = self.first(x)
        return x + self.drop(self.second(x), training=training)


def test_a_subclass_comes_back_from_its_arguments(path):
    model = Residual(5, rate=0.3)
    model.compile("sgd", "mse")
    x, y = RNG.random((8, 3), np.float32), RNG.random((8, 5), np.float32)
    model.train_on_batch(x, y)
    model.save(path)
    loaded = load_model(path)
    assert type(loaded) is Residual
    assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)  # dropout too
    assert_same(loaded.get_weights(), model.get_weights())
    copied = model_from_json(model.to_json())
    assert copied.built
    assert copied.drop.rate == 0.3


def test_weights_of_a_subclass_need_no_description(path):
    class Holder(Model):
        def __init__(self, part):
            super().__init__()
            self.part = part

        def call(self, x):
            return self.part(x)

    one, other = Holder(layers.Dense(2)), Holder(layers.Dense(2))
    x = RNG.random((3, 4), np.float32)
    one(x), other(x)
    one.save_weights(path)
    other.load_weights(path)
    np.testing.assert_array_equal(one(x), other(x))
    with pytest.raises(TypeError, match=r"Holder .*argument 'part' is .*define get_config\(\)"):
        one.save(path)


def test_a_subclass_that_nobody_knows_is_an_error_with_a_remedy(path):
    class Unknown(Model):
        def __init__(self):
            super().__init__()
            self.part = layers.Dense(2)

        def call(self, x):
            return self.part(x)

    model = Unknown()
    x = RNG.random((3, 4), np.float32)
    model(x)
    model.save(path)
    with pytest.raises(ValueError, match=r"Unknown.*register_keras_serializable.*custom_objects"):
        load_model(path)
    np.testing.assert_array_equal(load_model(path, custom_objects={"Unknown": Unknown})(x), model(x))


def test_a_class_with_a_training_step_of_its_own_keeps_its_graph(path):
    class Noisy(Model):
        def train_step(self, data):
            return {"loss": 3.0}

    class Built(Model):
        def __init__(self, width, **options):
            x = layers.Input((4,))
            super().__init__(x, layers.Dense(width)(x), **options)

    x = layers.Input((4,))
    for model in (Noisy(x, layers.Dense(2)(x)), Built(3)):
        model.save(path)
        loaded = load_model(path, custom_objects={"Noisy": Noisy, "Built": Built})
        assert type(loaded) is type(model)
        batch = RNG.random((3, 4), np.float32)
        np.testing.assert_array_equal(loaded(batch), model(batch))
    assert type(clone_model(Noisy(x, layers.Dense(2)(x)))) is Noisy


class Block(layers.Layer):
    """Two layers inside a layer, one of which is made of layers too."""

    def __init__(self, width, depth=1, **options):
        super().__init__(**options)
        self.width, self.depth = width, depth
        self.dense = layers.Dense(width, name="dense")
        self.inner = Block(width, depth - 1, name="inner") if depth else layers.Dropout(0.5, name="drop")

    def call(self, x, training=None):
        return self.inner(self.dense(x), training=training)


def test_weights_of_layers_inside_layers_have_paths_of_their_own(path):
    x = layers.Input((3,))
    model = Model(x, Block(4, name="b")(Block(3, name="a")(x)))
    paths = [weight.path for weight in model.weights]
    assert paths[:4] == ["b/dense/kernel", "b/dense/bias", "b/inner/dense/kernel", "b/inner/dense/bias"] or (
        paths[:4] == ["a/dense/kernel", "a/dense/bias", "a/inner/dense/kernel", "a/inner/dense/bias"]
    )
    assert len(set(paths)) == 8
    model.save(path)
    loaded = load_model(path, custom_objects={"Block": Block})
    assert [weight.path for weight in loaded.weights] == paths
    assert_same(loaded.get_weights(), model.get_weights())
    # By name the second block finds itself, whatever its place.
    alone = Model(x, Block(4, name="b")(layers.Dense(3, name="other")(x)))
    alone.load_weights(path, by_name=True)
    assert_same(alone.get_layer("b").get_weights(), model.get_layer("b").get_weights())


def test_random_states_of_layers_inside_layers_are_kept(path):
    x = layers.Input((3,))
    model = Model(x, Block(4, name="b")(x))
    model.compile("sgd", "mse")
    batch = RNG.random((8, 3), np.float32), RNG.random((8, 4), np.float32)
    model.train_on_batch(*batch)
    model.save(path)
    loaded = load_model(path, custom_objects={"Block": Block})
    assert loaded.train_on_batch(*batch) == model.train_on_batch(*batch)


# ---- weights by name


def test_weights_by_name_and_those_that_do_not_fit(path):
    model = two_headed()
    model.save_weights(path)
    assert description(path)["format_version"] == "1"
    other = two_headed()
    x = other.get_layer("both").output
    other = Model(other.inputs, [layers.Dense(5, name="kind")(x), layers.Dense(1, name="new")(x)])
    before = other.get_layer("kind").get_weights()
    with pytest.raises(ValueError, match=r"kind .*skip_mismatch=True loads the rest"):
        other.load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match="1 of 3 layers skipped: kind"):
        other.load_weights(path, by_name=True, skip_mismatch=True)
    assert_same(other.get_layer("kind").get_weights(), before)
    for name in ("shared", "inner"):
        assert_same(other.get_layer(name).get_weights(), model.get_layer(name).get_weights())


# ---- as text


@pytest.mark.parametrize("name", KERAS)
def test_keras_text_of_a_functional_model_is_read(name):
    keras = KERAS[name]
    model = model_from_json(json.dumps(keras["json"]))
    assert [layer.name for layer in model.layers] == keras["layers"]
    assert [list(weight.shape) for weight in model.weights] == [shape for _, shape in keras["weights"]]
    assert model.compiled
    own = networks.NETWORKS[name](fastconv)
    for net in (own, model):
        networks.start(net)
    x, _ = next(networks.batches(name, *networks.shapes(name, own)))
    one, other = own.predict_on_batch(x), model.predict_on_batch(x)
    assert_same(one if isinstance(one, list) else [one], other if isinstance(other, list) else [other])


def test_the_text_of_a_graph_makes_the_same_graph():
    model = compiled(two_headed())
    twin = model_from_json(model.to_json(indent=1))
    assert json.loads(twin.to_json()) == json.loads(model.to_json())
    assert json.loads(model.to_json())["class_name"] == "Functional"
    assert twin.get_compile_config() == model.get_compile_config()


# ---- files that lie


def layer_named(model, name):
    return next(layer for layer in model["config"]["layers"] if layer["name"] == name)


def tensor(*history):
    return {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "keras_history": list(history)}}


def call_of(*history):
    return {"args": [tensor(*history)], "kwargs": {}}


def cycle(model):
    layer_named(model, "pool")["inbound_nodes"] = [call_of("kind", 0, 0)]


def nested_too_deeply(model):
    args = tensor("pool", 0, 0)
    for _ in range(400):
        args = [args]
    layer_named(model, "kind")["inbound_nodes"] = [{"args": args, "kwargs": {}}]


def set_in(name, key, value):
    return lambda model: layer_named(model, name).__setitem__(key, value)


HOSTILE = {
    "cycle": (cycle, "wait for tensors that nothing makes"),
    "itself": (set_in("kind", "inbound_nodes", [call_of("kind", 0, 0)]), "wait for tensors"),
    "layer that is missing": (
        lambda model: model["config"]["layers"].remove(layer_named(model, "pool")),
        "wait for tensors that nothing makes",
    ),
    "no layers": (lambda model: model["config"].update(layers=[]), "no layer makes the tensor"),
    "layers are no list": (lambda model: model["config"].update(layers=3), "layers must be a list, got int"),
    "layers are missing": (lambda model: model["config"].pop("layers"), "'layers' is missing"),
    "twice": (
        lambda model: model["config"]["layers"].append(layer_named(model, "pool")),
        "two layers in it are named 'pool'",
    ),
    "no name": (set_in("pool", "name", None), "has no name"),
    "a call that is not there": (
        set_in("kind", "inbound_nodes", [call_of("shared", 9, 0)]),
        "wait for tensors",
    ),
    "an output that is not there": (
        set_in("kind", "inbound_nodes", [call_of("both", 0, 5)]),
        "no layer makes",
    ),
    "a huge place": (
        lambda model: model["config"].update(output_layers=["kind", 10**30, 0]),
        "no layer makes",
    ),
    "a place of another kind": (
        lambda model: model["config"].update(output_layers=["kind", 0.5, 0]),
        "must be a list",
    ),
    "a place with too little": (
        set_in("kind", "inbound_nodes", [call_of("both")]),
        r"is \[layer, call, output\]",
    ),
    "a place that cannot be one": (
        set_in("kind", "inbound_nodes", [call_of(["both"], 0, 0)]),
        r"is \[layer, call, output\]",
    ),
    "outputs without end": (
        lambda model: model["config"].update(output_layers=[["kind", 0, 0]] * 3 + [["none", 0, 0]]),
        "no layer makes",
    ),
    "inputs of nothing": (lambda model: model["config"].update(input_layers=[]), "inputs is empty"),
    "an input too many": (
        lambda model: model["config"].update(input_layers=[["image", 0, 0], ["extra", 0, 0], ["pool", 0, 0]]),
        "",
    ),
    "an input that is called": (
        set_in("image", "inbound_nodes", [call_of("extra", 0, 0)]),
        "a model begins with it",
    ),
    "a layer without call": (set_in("pool", "inbound_nodes", []), "called on no tensor"),
    "a call of nothing": (
        set_in("kind", "inbound_nodes", [{"args": [[1.0, 2.0]], "kwargs": {}}]),
        "on no tensor",
    ),
    "a call with numbers": (
        set_in("both", "inbound_nodes", [{"args": [[tensor("pool", 0, 0), 3]], "kwargs": {}}]),
        "symbolic tensors",
    ),
    "unknown arguments": (
        set_in("kind", "inbound_nodes", [{**call_of("both", 0, 0), "kwargs": {"speed": 3}}]),
        "speed",
    ),
    "calls of another kind": (set_in("kind", "inbound_nodes", [5]), "must be"),
    "too few inputs": (set_in("sum", "inbound_nodes", [call_of("shared", 0, 0)]), "called on a list"),
    "shapes that do not fit": (set_in("kind", "inbound_nodes", [call_of("image", 0, 0)]), "kind"),
    "nested too deeply": (nested_too_deeply, ""),
    "a class that is none": (set_in("kind", "class_name", "os.system"), "os.system"),
    "a class of another kind": (set_in("kind", "class_name", ["Dense"]), ""),
    "shared with nobody": (
        lambda model: layer_named(model, "kind").update(shared_object_id=7, config=None),
        "before it describes it",
    ),
    "another number of weights": (set_in("size", "inbound_nodes", [call_of("pool", 0, 0)]), "does not fit"),
    "no model": (lambda model: model.update(class_name="Dense", config={"units": 3}), "describes no model"),
}


@pytest.mark.parametrize("which", HOSTILE)
def test_files_that_lie_are_an_error_that_names_the_file(which, path):
    change, message = HOSTILE[which]
    two_headed().save(path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=f"model.safetensors.*{message}"):
        load_model(path)


def test_a_description_without_end_is_an_error_that_names_the_file(path):
    model = two_headed()
    model.save(path)
    metadata, arrays = description(path), load_file(path)
    save_file(arrays, path, {**metadata, "model": "[" * 100_000 + "]" * 100_000})
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged.*nested too deeply"):
        load_model(path)
    with pytest.raises(ValueError, match="nested too deeply"):
        model_from_json("[" * 100_000)


def test_a_long_chain_described_backwards_is_read():
    """Work in proportion to the length, whatever the order."""
    x = y = layers.Input((2,))
    for _ in range(1500):
        y = layers.ReLU()(y)
    config = Model(x, y).get_config()
    config["layers"].reverse()
    assert len(Model.from_config(config).layers) == 1501


# ---- copies


def test_a_clone_function_and_models_inside():
    model = compiled(two_headed())
    seen = []

    def same(layer):
        seen.append(layer.name)
        return layer if layer.name == "shared" else type(layer).from_config(layer.get_config())

    one = clone_model(model, clone_function=same)
    assert "inner" in seen
    assert "deep" not in seen
    assert seen.count("shared") == 1
    assert one.get_layer("shared") is model.get_layer("shared")
    assert one.compiled
    seen.clear()
    clone_model(model, clone_function=same, recursive=True)
    assert "inner" not in seen
    assert "deep" in seen


def test_a_pickled_graph_learns_as_the_first_does():
    model, (x, y) = compiled(two_headed(dropout=True)), data()
    model.train_on_batch(x, y)
    twin = pickle.loads(pickle.dumps(model))
    assert twin.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert_same(twin.get_weights(), model.get_weights())
    assert twin.get_layer("shared") is not model.get_layer("shared")


# ---- parts of other models


def test_below_what_is_frozen_nothing_is_computed(monkeypatch):
    base = networks.NETWORKS["resnet8"](fastconv)
    for layer in base.layers[:-1]:
        layer.trainable = False
    head = layers.Dense(4, activation="softmax", name="head")
    model = Model(base.input, head(base.layers[-2].output))
    asked = []
    backward = layers.Conv2D.backward
    monkeypatch.setattr(
        layers.Conv2D, "backward", lambda self, *a, **k: asked.append(self) or backward(self, *a, **k)
    )
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)  # layers are asked
    before = model.get_weights()
    model.train_on_batch(RNG.random((4, 16, 16, 3), np.float32), np.array([0, 1, 2, 3]))
    assert asked == []
    assert_same(before[:-2], model.get_weights()[:-2])
    assert not np.array_equal(before[-2], head.kernel)
    # What is above the first layer that learns is gone through, and what is below is not.
    base.layers[-3].trainable = True
    last = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
    last.trainable = True
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    model.train_on_batch(RNG.random((4, 16, 16, 3), np.float32), np.array([0, 1, 2, 3]))
    assert asked == [last]


def test_a_new_head_shares_the_body():
    base = two_headed()
    model = Model(base.inputs, layers.Dense(7, name="head")(base.get_layer("both").output))
    x, _ = data(5)
    assert model.predict(x, verbose=0).shape == (5, 7)
    base.get_layer("shared").kernel *= 0.5
    np.testing.assert_array_equal(model.get_layer("shared").kernel, base.get_layer("shared").kernel)


# ---- killed


class Killed(BaseException):
    pass


class Kill(Callback):
    def __init__(self, at):
        super().__init__()
        self.left = at

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise Killed


@pytest.mark.parametrize("at", [2, 4, 7])
def test_a_killed_training_of_two_outputs_goes_on_to_the_bit(at, tmp_path):
    x, y = data()

    def run(*callbacks):
        fastconv.utils.set_random_seed(5)
        model = compiled(two_headed(dropout=True))
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=list(callbacks))
        return model, history

    expected, history = run()
    with pytest.raises(Killed):
        run(BackupAndRestore(tmp_path / "backup", save_freq=1), Kill(at))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, resumed = run(BackupAndRestore(tmp_path / "backup", save_freq=1))
    assert_same(model.get_weights(), expected.get_weights())
    assert resumed.history == history.history
    assert_same(model.optimizer.state_dict().values(), expected.optimizer.state_dict().values())
