"""Classes and functions of the user's own: in files, configurations and clones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastconv import (
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    saving,
)
from fastconv.layers import Dense, Input, Layer
from fastconv.models import Sequential, clone_model, load_model, model_from_json
from fastconv.optimizers import schedules


@pytest.fixture(autouse=True)
def nothing_registered():
    """Tests register what they need, and leave nothing behind."""
    yield
    saving.get_custom_objects().clear()


def own_classes() -> dict[str, type]:
    class Shift(Layer):
        def __init__(self, by: float = 1.0, **options: object) -> None:
            super().__init__(**options)
            self.by = by

        def call(self, x, training=False):
            return x + np.float32(self.by)

        def backward(self, dy, input_gradient=True):
            return dy if input_gradient else None

        def get_config(self):
            return {**super().get_config(), "by": self.by}

    class Filled(initializers.Initializer):
        def __init__(self, value: float = 2.0) -> None:
            self.value = value

        def __call__(self, shape):
            return np.full(shape, self.value, np.float32)

        def get_config(self):
            return {"value": self.value}

    class Pull(regularizers.L2):
        pass

    class Bounded(constraints.MaxNorm):
        pass

    class Cubic(losses.Loss):
        def call(self, y_true, y_pred):
            return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)

        def derivative(self, y_true, y_pred):
            return 3 * (y_pred - y_true) * np.abs(y_pred - y_true) / y_pred.shape[-1]

    class Worst(metrics.Mean):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(np.abs(y_true - y_pred).max())

    class Steady(schedules.ExponentialDecay):
        pass

    class Plain(optimizers.SGD):
        pass

    class Net(Sequential):
        pass

    return {cls.__name__: cls for cls in (Shift, Filled, Pull, Bounded, Cubic, Worst, Steady, Plain, Net)}


def model_of(own: dict[str, type]) -> Sequential:
    dense = Dense(
        2,
        kernel_initializer=own["Filled"](0.5),
        kernel_regularizer=own["Pull"](0.01),
        kernel_constraint=own["Bounded"](3.0),
    )
    model = own["Net"]([Input((3,)), own["Shift"](2.0), Sequential([Input((3,)), dense], name="inner")])
    rate = own["Steady"](0.1, decay_steps=10, decay_rate=0.5)
    model.compile(own["Plain"](rate), loss=own["Cubic"](), metrics=[own["Worst"](name="worst")])
    model.fit(np.ones((4, 3)), np.zeros((4, 2)), verbose=0)
    return model


def assert_same(restored: Sequential, model: Sequential, own: dict[str, type], *, weights: bool) -> None:
    shift, inner = restored.layers
    (dense,) = inner.layers
    assert type(shift) is own["Shift"]
    assert shift.by == 2.0
    assert type(dense.kernel_initializer) is own["Filled"]
    assert type(dense.weights[0].regularizer) is own["Pull"]
    assert type(dense.weights[0].constraint) is own["Bounded"]
    assert type(restored.loss) is own["Cubic"]
    assert type(restored.optimizer) is own["Plain"]
    assert restored.optimizer.get_config()["learning_rate"] == model.optimizer.get_config()["learning_rate"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    if weights:
        np.testing.assert_array_equal(restored(x), model(x))
    else:
        np.testing.assert_array_equal(restored(x), np.full((2, 2), 0.5) * (x + 2).sum(1, keepdims=True))
    restored.fit(x, np.zeros((2, 2)), verbose=0)
    assert type(restored.metrics[-1]) is own["Worst"]
    assert "worst" in restored.history.history


def test_registered_classes_are_found_by_load_model(tmp_path):
    own = {name: saving.register_keras_serializable("lab")(cls) for name, cls in own_classes().items()}
    model = model_of(own)
    model.save(tmp_path / "m.safetensors")
    restored = load_model(tmp_path / "m.safetensors")
    assert type(restored) is own["Net"]
    assert_same(restored, model, own, weights=True)


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("way", ["custom_objects", "scope", "get_custom_objects"])
def test_classes_are_given_by_name(tmp_path, way, registered):
    """Also where what was saved as "lab>Shift" is known by its own name alone."""
    own = own_classes()
    if registered:
        own = {name: saving.register_keras_serializable("lab")(cls) for name, cls in own.items()}
    model = model_of(own)
    model.save(tmp_path / "m.safetensors")
    text = model.to_json()
    assert ('"lab>Shift"' in text) == registered
    saving.get_custom_objects().clear()
    with pytest.raises(ValueError, match=r"custom_objects=\{'MyLayer': MyLayer\}"):
        load_model(tmp_path / "m.safetensors")
    if way == "custom_objects":
        restored = load_model(tmp_path / "m.safetensors", custom_objects=own)
        described = model_from_json(text, custom_objects=own)
    elif way == "scope":
        with saving.custom_object_scope({"Shift": None}), saving.CustomObjectScope(own):
            restored = load_model(tmp_path / "m.safetensors")
            described = model_from_json(text)
    else:
        saving.get_custom_objects().update(own)
        restored = load_model(tmp_path / "m.safetensors")
        described = model_from_json(text)
    assert_same(restored, model, own, weights=True)
    assert_same(described, model, own, weights=False)
    saving.get_custom_objects().clear()
    with pytest.raises(ValueError, match="unknown"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("registered", [False, True])
def test_clones_know_the_classes_of_their_model(registered):
    own = own_classes()
    if registered:
        own = {name: saving.register_keras_serializable()(cls) for name, cls in own.items()}
    model = model_of(own)
    clone = clone_model(model)
    assert_same(clone, model, own, weights=False)


def test_a_loss_and_a_metric_of_one_name_are_not_confused_by_clones():
    model = Sequential([Input((3,)), Dense(2)])
    model.compile("sgd", loss="mse", metrics=[metrics.MeanSquaredError()])
    clone = clone_model(model)
    assert type(clone.loss) is losses.MeanSquaredError
    clone.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    assert type(clone.metrics[-1]) is metrics.MeanSquaredError


def test_functions_are_found_too(tmp_path):
    def furthest(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    def rate():
        return 0.25

    model = Sequential([Input((3,)), Dense(2)])
    model.compile(optimizers.SGD(rate), "mse", metrics=[furthest])
    clone = clone_model(model)
    assert clone.optimizer.learning_rate == 0.25
    clone.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    assert "furthest" in clone.history.history

    model.save(tmp_path / "before.safetensors")
    saving.register_keras_serializable("lab")(furthest)
    saving.register_keras_serializable("lab", name="constant_rate")(rate)
    model.save(tmp_path / "after.safetensors")
    restored = load_model(tmp_path / "after.safetensors")
    assert restored.optimizer.learning_rate == 0.25
    assert saving.get_registered_name(rate) == "lab>constant_rate"
    for name in ("before", "after"):
        known = {"furthest": furthest, "rate": rate, "constant_rate": rate}
        restored = load_model(tmp_path / f"{name}.safetensors", custom_objects=known)
        restored.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
        assert "furthest" in restored.history.history


def test_registering():
    @saving.register_keras_serializable("lab", name="Moved")
    class Shift(Layer):
        pass

    assert saving.get_registered_name(Shift) == "lab>Moved"
    assert saving.get_registered_object("lab>Moved") is Shift
    assert saving.get_registered_object("Moved") is None
    assert saving.get_registered_object("Moved", module_objects={"Moved": 1}) == 1
    assert saving.get_registered_object("Moved", {"Moved": 2}) == 2
    assert saving.get_custom_objects()["lab>Moved"] is Shift
    assert layers.serialize(Shift(name="s"))["class_name"] == "lab>Moved"
    assert type(layers.deserialize(layers.serialize(Shift(name="s")))) is Shift
    assert saving.get_registered_name(Dense) == "Dense"
    with pytest.raises(ValueError, match=r"Bare has no get_config\(\)"):
        saving.register_keras_serializable()(type("Bare", (), {}))
    with pytest.raises(TypeError, match=r"write @register_keras_serializable\(\), with parentheses"):

        @saving.register_keras_serializable
        class Other(Layer):
            pass


def test_a_registered_namesake_does_not_take_the_place_of_ours():
    @saving.register_keras_serializable("lab")
    class Dense(layers.Dense):
        pass

    assert type(layers.deserialize(layers.serialize(layers.Dense(2)))) is layers.Dense
    assert type(layers.deserialize(layers.serialize(Dense(2)))) is Dense
    saving.get_custom_objects().clear()
    message = r"unknown layer 'lab>Dense'.* @saving\.register_keras_serializable\(\), .*\{'Dense': Dense\}"
    with pytest.raises(ValueError, match=message):
        layers.deserialize(layers.serialize(Dense(2)))


# ---- text


def test_to_json_is_the_model_without_its_weights():
    model = Sequential([Input((4, 4, 1)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), Dense(3)])
    assert json.loads(model.to_json()) == saving.serialize_keras_object(model)
    assert model.to_json(indent=2).startswith('{\n  "module"')
    described = model_from_json(model.to_json())
    assert described.get_config() == model.get_config()
    assert not described.compiled
    assert [w.shape for w in described.weights] == [w.shape for w in model.weights]
    described.set_weights(model.get_weights())
    x = np.ones((2, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(described(x), model(x))
    model.compile(optimizers.Adam(0.02), "mse", metrics=["mae"])
    described = model_from_json(model.to_json())
    assert described.get_compile_config() == model.get_compile_config()
    assert model_from_json(Sequential(name="empty").to_json()).layers == []


DENSE = '{"module": "fastconv.layers", "class_name": "Dense", "config": {"units": 2}}'


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (DENSE, ValueError, "no model"),
        (DENSE.replace("Dense", "LSTM"), ValueError, "Keras' layer 'LSTM' is not supported"),
        ("{", ValueError, "not the text of model.to_json"),
        (17, TypeError, r"needs the text from model\.to_json\(\), got 17"),
        ("[]", ValueError, r"describes no model, but \[\]"),
        ('{"class_name": "Sequential"}', ValueError, "cannot make the model"),
        ('{"class_name": "Dense", "config": {}}', ValueError, "has a module"),
        (
            '{"module": "fastconv.layers", "class_name": "Dense", "config": {"units": 2}}',
            ValueError,
            "no model",
        ),
        (
            '{"module": "keras.layers", "class_name": "LSTM", "config": {}}',
            ValueError,
            "Keras' layer 'LSTM' is not supported",
        ),
    ],
)
def test_text_that_is_no_model(text, error, message):
    with pytest.raises(error, match=message):
        model_from_json(text)


@pytest.mark.parametrize(
    "thing",
    [
        Dense(3, activation="relu", kernel_regularizer="l2", name="d"),
        losses.Huber(2.0),
        metrics.Precision(thresholds=0.25),
        optimizers.SGD(0.1, momentum=0.9),
        schedules.CosineDecay(0.1, 100),
        initializers.HeNormal(seed=3),
        regularizers.L1L2(0.1, 0.2),
        constraints.MaxNorm(2.0),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_objects_come_back_from_their_configuration(thing):
    config = json.loads(json.dumps(saving.serialize_keras_object(thing)))
    restored = saving.deserialize_keras_object(config)
    assert type(restored) is type(thing)
    assert restored.get_config() == thing.get_config()


def test_configurations_of_plain_things():
    values = {"a": [1, 2.5, None, "x", True], "b": np.arange(3), "loss": losses.Poisson()}
    plain = saving.serialize_keras_object(values)
    assert plain["b"] == [0, 1, 2]
    restored = saving.deserialize_keras_object(plain)
    assert restored["a"] == values["a"]
    assert type(restored["loss"]) is losses.Poisson
    with pytest.raises(TypeError, match=r"cannot serialize <object .*: it is no layer"):
        saving.serialize_keras_object(object())
    with pytest.raises(ValueError, match="unknown function 'len'"):
        saving.deserialize_keras_object(saving.serialize_keras_object(len))
    with saving.custom_object_scope({"len": len}):
        assert saving.deserialize_keras_object(saving.serialize_keras_object(len)) is len


def test_arrays_in_a_configuration_become_lists():
    class Scaled(Layer):
        def get_config(self):
            return {**super().get_config(), "factors": np.array([1.5, 2.0]), "count": np.int64(3)}

    model = Sequential([Scaled(name="s")])
    (layer,) = json.loads(model.to_json())["config"]["layers"]
    assert layer["config"] == {"name": "s", "trainable": True, "factors": [1.5, 2.0], "count": 3}


def test_scopes_end(tmp_path):
    class Shift(Layer):
        pass

    config = layers.serialize(Shift())
    with saving.custom_object_scope({"Shift": Shift}):
        with saving.custom_object_scope({"Dense": Dense}):
            assert type(layers.deserialize(config)) is Shift
        assert type(layers.deserialize(config)) is Shift
    with pytest.raises(ValueError, match="unknown layer 'Shift'"):
        layers.deserialize(config)
    with pytest.raises(ZeroDivisionError), saving.custom_object_scope({"Shift": Shift}):
        raise ZeroDivisionError
    with pytest.raises(ValueError, match="unknown layer 'Shift'"):
        layers.deserialize(config)


def test_the_same_functions_are_in_utils_and_models():
    from fastconv import utils

    for name in ("custom_object_scope", "get_custom_objects", "register_keras_serializable"):
        assert getattr(utils, name) is getattr(saving, name)
    assert saving.load_model is models.load_model
    assert saving.save_model is models.save_model
