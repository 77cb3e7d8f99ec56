"""Sequential: stacking layers, building them, looking at them, the chain rule through them."""

from __future__ import annotations

import json
from pathlib import Path

import golden_models
import numpy as np
import pytest

import fastconv
from fastconv import layers
from fastconv.models import Sequential

GOLDEN = json.loads((Path(__file__).parent / "golden" / "models.json").read_text())  # golden/make_models.py


def small(**options):
    return Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        **options,
    )


X = np.random.default_rng(0).random((5, 6, 6, 2)).astype(np.float32)


def test_the_lectures_network():
    import fastconv as keras

    model = keras.models.Sequential([
        keras.layers.Conv2D(64, 7, activation="relu", padding="same",
                            input_shape=[28, 28, 1]),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(128, 3, activation="relu", padding="same"),
        keras.layers.Conv2D(128, 3, activation="relu", padding="same"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(256, 3, activation="relu", padding="same"),
        keras.layers.Conv2D(256, 3, activation="relu", padding="same"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(10, activation="softmax")
    ])  # fmt: skip
    assert model.count_params() == 1_413_834 == GOLDEN["lecture_cnn parameters"]
    assert model.output_shape == (None, 10)
    assert model.predict(np.zeros((2, 28, 28, 1)), verbose=0).shape == (2, 10)


@pytest.mark.parametrize("where", ["Input", "input_shape", "input_dim", "build", "first batch", "add"])
def test_the_input_shape_may_come_from_anywhere(where):
    x = np.ones((4, 7), np.float32)
    if where == "Input":
        model = Sequential([layers.Input(shape=(7,)), layers.Dense(3), layers.Dense(2)])
    elif where == "input_shape":
        model = Sequential([layers.Dense(3, input_shape=[7]), layers.Dense(2)])
    elif where == "input_dim":
        model = Sequential([layers.Dense(3, input_dim=7), layers.Dense(2)])
    elif where == "add":
        model = Sequential()
        model.add(layers.InputLayer((7,)))
        model.add(layers.Dense(3))
        model.add(layers.Dense(2))
    else:
        model = Sequential([layers.Dense(3), layers.Dense(2)])
        assert not model.built
        if where == "build":
            model.build((None, 7))
    if where == "first batch":
        assert (hasattr(model, "input_shape"), hasattr(model, "output_shape")) == (False, False)
        assert model.weights == []
        model(x)
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 7), (None, 2))
    assert [weight.shape for weight in model.weights] == [(7, 3), (3,), (3, 2), (2,)]
    assert [type(layer) for layer in model.layers] == [layers.Dense, layers.Dense]
    assert model(x).shape == (4, 2)


def test_add_and_pop():
    model = small()
    top = model.pop()
    assert isinstance(top, layers.Dense)
    assert model.output_shape == (None, 64)
    model.add(layers.Dense(5))
    assert model.output_shape == (None, 5)
    assert len(model.weights) == 4
    while model.layers:
        model.pop()
    assert not model.built
    with pytest.raises(IndexError, match="no layer to take off"):
        model.pop()


def test_get_layer():
    model = small()
    assert model.get_layer(index=0) is model.layers[0]
    assert model.get_layer(index=-1) is model.layers[-1]
    assert model.get_layer(model.layers[1].name) is model.layers[1]
    with pytest.raises(ValueError, match="did you mean 'conv2d"):
        model.get_layer("conv2")
    with pytest.raises(ValueError, match="has 3 layers, none at index 3"):
        model.get_layer(index=3)
    with pytest.raises(ValueError, match="either a name or an index"):
        model.get_layer()


def test_forward_and_backward_are_those_of_the_layers():
    model = small()
    y = model.forward(X, training=True)
    by_hand = X
    for layer in model.layers:
        by_hand = layer.forward(by_hand, training=True)
    np.testing.assert_array_equal(y, by_hand)
    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    dx = model.backward(dy, input_gradient=True)
    gradients = [parameter.grad.copy() for parameter in model.parameters]
    for layer in reversed(model.layers):
        dy = layer.backward(dy)
    np.testing.assert_array_equal(dx, dy)
    for parameter, gradient in zip(model.parameters, gradients, strict=True):
        np.testing.assert_array_equal(parameter.grad, gradient)


def test_backward_stops_at_the_first_layer_that_learns():
    """No gradient for the input of that layer, no backward at all below it."""
    asked = []

    class Watched(layers.Dense):
        def backward(self, dy, input_gradient=True):
            asked.append((self.name, input_gradient))
            return super().backward(dy, input_gradient)

    model = Sequential([Watched(4, name=name) for name in "abcd"])
    y = model.forward(np.ones((2, 3), np.float32))
    assert model.backward(np.ones_like(y)) is None
    assert asked == [("d", True), ("c", True), ("b", True), ("a", False)]
    asked.clear()
    model.layers[0].trainable = model.layers[1].trainable = False
    model.backward(np.ones_like(y))
    assert asked == [("d", True), ("c", False)]
    asked.clear()
    assert model.backward(np.ones_like(y), input_gradient=True).shape == (2, 3)
    assert asked == [(name, True) for name in "dcba"]


def test_a_model_with_nothing_to_learn_has_nothing_to_do_backward():
    model = Sequential([layers.Flatten(), layers.Activation("relu")])
    y = model.forward(X)
    assert model.backward(np.ones_like(y)) is None
    assert model.backward(np.ones_like(y), input_gradient=True).shape == X.shape


def test_a_model_is_a_layer():
    inner = Sequential([layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(2)], name="features")
    model = Sequential([inner, layers.Flatten(), layers.Dense(2)])
    model.build((6, 6, 2))
    flat = Sequential([*inner.layers, *model.layers[1:]])
    assert [w.shape for w in model.weights] == [w.shape for w in flat.weights]
    np.testing.assert_array_equal(model(X), flat(X))
    inner.trainable = False
    assert not inner.layers[0].trainable
    assert len(model.parameters) == 2
    assert len(model.non_trainable_weights) == 2


def test_layers_can_move_to_another_model_with_their_weights():
    first = small()
    second = Sequential(first.layers[:-1])
    assert second.built
    second.add(layers.Dense(7))
    assert second.output_shape == (None, 7)
    assert second.weights[0] is first.weights[0]


def test_weights_in_and_out():
    model, other = small(), small()
    assert (model(X) != other(X)).any()
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(X), other(X))
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"dense.*/bias has shape \(3,\), got \(4,\)"):
        model.set_weights([np.zeros_like(array) for array in before[:-1]] + [np.zeros(4)])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_configuration_round_trip():
    inner = Sequential([layers.Dense(3, activation="tanh")], name="inner")
    model = Sequential([layers.Flatten(input_shape=(6, 6, 2)), inner, layers.Dropout(0.5)], name="outer")
    restored = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert restored.get_config() == model.get_config()
    assert restored.built
    restored.set_weights(model.get_weights())
    np.testing.assert_array_equal(restored(X), model(X))
    unbuilt = Sequential([layers.Dense(3)])
    assert not Sequential.from_config(unbuilt.get_config()).built
    frozen = Sequential.from_config(small(trainable=False).get_config())
    assert frozen.parameters == []


def test_every_model_of_the_golden_file_runs_on_the_reference():
    for name, model in golden_models.all_layers(fastconv).items():
        golden_models.set_seeded_weights(model)
        x = golden_models.input_of(model, name)[:1]
        native = model(x)
        with fastconv.set_backend("reference"):
            exact = model(x)
        assert exact.dtype == np.float64
        np.testing.assert_allclose(native, exact, rtol=2e-5, atol=2e-6)


def test_a_model_cannot_be_a_part_of_itself():
    empty = Sequential(name="e")
    with pytest.raises(ValueError, match="Sequential 'e' cannot be put into itself: add a copy"):
        empty.add(empty)
    model = Sequential([layers.Input((3,)), layers.Dense(3)], name="m")
    outer = Sequential([Sequential([model], name="between")], name="o")
    with pytest.raises(ValueError, match="'m' cannot be put into itself"):
        model.add(model)
    with pytest.raises(ValueError, match="'m' cannot be put into Sequential 'o', which it is a part of"):
        model.add(outer)
    assert (len(empty.layers), len(model.layers)) == (0, 1)


def test_an_input_may_say_the_size_of_a_batch():
    for given in (
        layers.Input((3,), 16).node.layer,
        layers.Input(batch_shape=(16, 3)).node.layer,
        layers.InputLayer(batch_shape=np.array([16, 3])),
        layers.InputLayer(np.array([3]), batch_size=np.int64(16)),
    ):
        assert given.batch_shape == (16, 3)
        assert layers.InputLayer.from_config(given.get_config()).batch_shape == (16, 3)
        model = Sequential([given, layers.Dense(2)])
        assert model.predict(np.ones((5, 3)), verbose=0).shape == (5, 2)


def test_trainable_is_true_or_false():
    model = Sequential([layers.Input((3,)), layers.Dense(2)])
    for thing in (model.layers[0], model):
        with pytest.raises(ValueError, match="trainable must be True or False; got 'no'"):
            thing.trainable = "no"
        assert thing.trainable is True
        thing.trainable = np.bool_(False)
        assert thing.trainable is False


def test_what_layers_have_besides(tmp_path):
    dense = layers.Dense(2, name="d")
    dense.build((None, 3))
    dense.trainable = False
    assert dense.variables == dense.weights == dense.non_trainable_variables
    assert (dense.trainable_variables, dense.path, dense.count_params()) == ([], "d", 8)
    assert (dense.dtype, dense.compute_dtype, dense.variable_dtype) == ("float32",) * 3
