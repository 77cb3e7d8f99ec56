"""Normalizations of examples, of channels and of kernels, and activations as layers: as Keras has them."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import Sequential, activations, gradcheck, layers, models

RNG = np.random.default_rng(8)
GOLDEN = np.load(Path(__file__).parent / "golden" / "layers_b.npz")  # golden/make_layers_b.py
GOLDEN = {name: GOLDEN[name] for name in GOLDEN.files}
BACKENDS = ["reference", "native"]


def cases(kind):
    """[(case, arrays)] of one kind."""
    found = {}
    for key, array in GOLDEN.items():
        of_kind, number, name = key.split("/")
        if of_kind == kind:
            found.setdefault(int(number), {})[name] = array
    return [(json.loads(str(arrays.pop("case"))), arrays) for _, arrays in sorted(found.items())]


def named(case):
    return f"{case.get('class_name', case.get('name', ''))}-{case.get('config', case.get('arguments'))}"


LAYERS, FUNCTIONS, ADAPTED = cases("layer"), cases("function"), cases("adapted")


def made(case):
    config = dict(case["config"])
    if "layer" in config:
        config["layer"] = layers.deserialize(config["layer"])
    return getattr(layers, case["class_name"])(**config)


def with_weights(case, arrays):
    layer = made(case)
    layer.build(arrays["x"].shape[1:])
    layer.set_weights([arrays[f"w{i}"] for i in range(len(case["weights"]))])
    return layer


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "arrays"), LAYERS, ids=[named(case) for case, _ in LAYERS])
def test_values_gradients_and_weights_equal_keras(case, arrays, backend):
    with fastconv.set_backend(backend):
        layer = with_weights(case, arrays)
        assert [weight.name for weight in layer.weights] == case["weights"]
        y = layer.forward(arrays["x"], training=case["training"])
        dx = layer.backward(arrays["dy"])
        assert layer.output_shape == arrays["y"].shape[1:]
        np.testing.assert_allclose(y, arrays["y"], rtol=1e-5, atol=2e-6)
        np.testing.assert_allclose(dx, arrays["dx"], rtol=2e-5, atol=1e-5)
        learning = [i for i, weight in enumerate(layer.weights) if weight.trainable]
        assert learning == case["learns"]
        for i in learning:
            np.testing.assert_allclose(layer.weights[i].grad, arrays[f"dw{i}"], rtol=2e-5, atol=1e-5)
        for i, weight in enumerate(layer.weights):
            np.testing.assert_allclose(weight.value, arrays[f"after{i}"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "arrays"), LAYERS, ids=[named(case) for case, _ in LAYERS])
def test_gradients(case, arrays, backend):
    layer = with_weights(case, arrays)
    kernel_moves = case["class_name"] == "SpectralNormalization"
    training = case["training"] and not kernel_moves
    check = gradcheck(layer, arrays["x"], backend=backend, training=training)
    assert check, check


@pytest.mark.parametrize(("case", "arrays"), LAYERS, ids=[named(case) for case, _ in LAYERS])
def test_configurations_make_the_same_layer_also_in_files(case, arrays, tmp_path):
    layer = with_weights(case, arrays)
    twin = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    assert twin.get_config() == layer.get_config()
    if case["class_name"] == "UnitNormalization" and case["config"].get("axis") == 0:
        return
    model = Sequential([layers.Input(arrays["x"].shape[1:]), layer])
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        loaded.predict(arrays["x"], verbose=0), model.predict(arrays["x"], verbose=0)
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "arrays"), FUNCTIONS, ids=[named(case) for case, _ in FUNCTIONS])
def test_functions_with_arguments_equal_keras(case, arrays, backend):
    with fastconv.set_backend(backend):
        function = getattr(activations, case["name"])
        shaped = function.with_parameters(**case["arguments"])
        x, y = arrays["x"], function(arrays["x"], **case["arguments"])
        np.testing.assert_array_equal(function(x, *case["arguments"].values()), y)
        np.testing.assert_array_equal(activations.get(activations.serialize(shaped))(x), y)
        dx = shaped.backward(arrays["dy"], x if shaped.needs_input else y)
        np.testing.assert_allclose(y, arrays["y"], rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(dx, arrays["dx"], rtol=5e-6, atol=2e-6)


def sparsemax_by_bisection(x, axis):
    """max(x − τ, 0) with the τ that makes the sum 1. (Keras 3.15 adds up running sums in its τ, and so its
    numbers do not add up to 1.)
    """
    low, high = x.min(axis, keepdims=True) - 1, x.max(axis, keepdims=True)
    for _ in range(200):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparsemax_is_the_nearest_point_of_which_all_numbers_add_up_to_1(axis, backend):
    x, dy = RNG.normal(0, 1.5, (2, 4, 5, 3))
    with fastconv.set_backend(backend):
        function = activations.sparsemax.with_parameters(axis=axis)
        y = function(x)
        dx = function.backward(dy, y)
        np.testing.assert_array_equal(activations.sparsemax(x, axis), y)
        assert gradcheck(layers.Activation("sparsemax"), x, backend=backend)
    np.testing.assert_allclose(y, sparsemax_by_bisection(x, axis), atol=1e-6)
    assert 0 < (y == 0).mean() < 1
    average = np.where(y > 0, dy, 0).sum(axis, keepdims=True) / (y > 0).sum(axis, keepdims=True)
    np.testing.assert_allclose(dx, np.where(y > 0, dy - average, 0), atol=1e-6)
    np.testing.assert_allclose(activations.sparsemax([[1, 1, 0], [3, 0, 0]]), [[0.5, 0.5, 0], [1, 0, 0]])


# ---- activations as arguments


def test_glu_changes_the_shape_and_so_is_a_layer_of_its_own():
    layer = layers.Activation("glu")
    assert layer.compute_output_shape((4, 6)) == (4, 3)
    assert layers.Activation(activations.glu.with_parameters(axis=1)).compute_output_shape((4, 6)) == (2, 6)
    model = Sequential([layers.Input((5,)), layers.Dense(6), layer, layers.Dense(2)])
    assert model.layers[2].kernel.shape == (3, 2)
    assert gradcheck(model, RNG.normal(size=(3, 5)), backend="reference")
    for make in (lambda: layers.Dense(4, activation="glu"), lambda: layers.Conv2D(4, 3, activation="glu")):
        with pytest.raises(
            ValueError, match=r'the activation glu changes the shape .*put Activation\("glu"\)'
        ):
            make()
    with pytest.raises(ValueError, match=r"Activation .*: activations\.glu halves x .* odd size 5"):
        layer.compute_output_shape((5,))
    with pytest.raises(ValueError, match="the batch cannot be halved"):
        layers.Activation(activations.glu.with_parameters(axis=0)).build((4,))
    with pytest.raises(ValueError, match=r"activations\.glu: axis=2 is no axis of x, of shape \(2, 4\)"):
        activations.glu(np.zeros((2, 4)), 2)
    with pytest.raises(ValueError, match=r"activations\.sparsemax: axis=2 is no axis of x"):
        activations.sparsemax(np.zeros((2, 4)), 2)
    with pytest.raises(ValueError, match=r"activations\.softmax: axis must be a whole number, got 1\.5"):
        activations.softmax(np.zeros((2, 4)), 1.5)


def test_threshold_needs_its_parameters_before_it_is_a_layers():
    function = activations.threshold.with_parameters(threshold=0.5, default_value=-1)
    dense = layers.Dense(3, activation=function)
    x = RNG.normal(size=(20, 4)).astype(np.float32)
    z = layers.Dense(3)
    z.build((4,))
    dense.build((4,))
    z.set_weights(dense.get_weights())
    np.testing.assert_array_equal(dense(x), np.where(z(x) > 0.5, z(x), -1))
    assert layers.deserialize(layers.serialize(dense)).get_config() == dense.get_config()
    assert np.isnan(activations.threshold(np.array([np.nan]), 0.0, 1.0)).all()
    for make in (
        lambda: layers.Activation("threshold"),
        lambda: layers.Dense(2, activation=activations.threshold),
        lambda: activations.threshold(x),
    ):
        with pytest.raises(TypeError, match=r"activations.threshold needs threshold and default_value"):
            make()
    with pytest.raises(TypeError, match="needs default_value"):
        activations.threshold(x, 0.5)
    with pytest.raises(TypeError, match=r"activations.threshold has no argument 'default'"):
        activations.threshold(x, 0.5, default=1)
    with pytest.raises(ValueError, match="threshold must be a number, got 'high'"):
        activations.threshold(x, "high", 0)


@pytest.mark.parametrize("name", ["hard_shrink", "soft_shrink", "sparse_plus", "tanh_shrink", "sparsemax"])
def test_activations_by_name_train_in_dense_and_convolution(name):
    model = Sequential(
        [
            layers.Input((5, 5, 1)),
            layers.Conv2D(3, 3, activation=name),
            layers.Flatten(),
            layers.Dense(4, activation=name),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = RNG.normal(size=(16, 5, 5, 1)), RNG.integers(0, 2, 16)
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, batch_size=4, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


# ---- normalizations of examples


@pytest.mark.parametrize("axis", [0, [0, 1], 4, -5, [1, 1], [1, -3]])
def test_axes_that_cannot_be(axis):
    for cls in (layers.LayerNormalization, layers.RMSNormalization):
        with pytest.raises(
            ValueError, match=rf"{cls.__name__} .*: axis=.* does not fit inputs with 4 axes, the"
        ):
            cls(axis).build((3, 4, 5))
    if 0 not in np.atleast_1d(axis):
        with pytest.raises(ValueError, match=r"UnitNormalization .*: axis=.* does not fit inputs"):
            layers.UnitNormalization(axis).build((3, 4, 5))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: layers.LayerNormalization("last"),
            TypeError,
            "LayerNormalization: axis must be a whole number",
        ),
        (lambda: layers.RMSNormalization(1.5), TypeError, "RMSNormalization: axis must be a whole number"),
        (lambda: layers.UnitNormalization([]), TypeError, "UnitNormalization: axis must be a whole number"),
        (lambda: layers.LayerNormalization(epsilon=-1), ValueError, "LayerNormalization: epsilon must be"),
        (
            lambda: layers.LayerNormalization(rms_scaling=True),
            ValueError,
            "'rms_scaling' .*; use RMSNormalization",
        ),
        (
            lambda: layers.GroupNormalization(0),
            ValueError,
            "groups must be a whole number of at least 1, or -1",
        ),
        (
            lambda: layers.GroupNormalization(2.5),
            ValueError,
            "groups must be a whole number of at least 1, or -1",
        ),
        (lambda: layers.GroupNormalization(2, axis=[1]), ValueError, "axis must be one whole number"),
        (
            lambda: layers.GroupNormalization(4).build((5, 6)),
            ValueError,
            "groups=4 must divide the 6 channels",
        ),
        (
            lambda: layers.GroupNormalization(8).build((5, 4)),
            ValueError,
            "groups=8 must divide the 4 channels",
        ),
        (lambda: layers.GroupNormalization(1, 0).build((5, 4)), ValueError, "axis=0 does not fit inputs"),
    ],
)
def test_errors_of_normalizations(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_inputs_of_other_sizes():
    layer = layers.LayerNormalization([1, 3])
    layer.build((4, 5, 2))
    assert layer.forward(np.ones((1, 4, 9, 2))).shape == (1, 4, 9, 2)  # nothing along that axis is learned
    with pytest.raises(ValueError, match=r"has weights for inputs of size \[4, 2\] along axis=\[1, 3\], got"):
        layer.forward(np.ones((1, 4, 5, 3)))
    group = layers.GroupNormalization(-1)
    group.build((4, 5, 2))
    assert group.groups == group.get_config()["groups"] == 2
    assert group.forward(np.ones((1, 7, 7, 2))).shape == (1, 7, 7, 2)
    with pytest.raises(ValueError, match=r"has weights for 2 channels along axis=-1, got an input of shape"):
        group.forward(np.ones((1, 4, 5, 3)))


def test_what_they_do_to_constants_and_zeros():
    zeros = np.zeros((2, 3, 4), np.float32)
    for layer in (layers.LayerNormalization(), layers.GroupNormalization(2), layers.RMSNormalization(),
                  layers.UnitNormalization()):  # fmt: skip
        np.testing.assert_array_equal(layer(zeros), zeros)
        assert np.isfinite(layer.backward(np.ones_like(zeros))).all()
        assert layer.forward(zeros[:0]).shape == (0, 3, 4)
        assert layer.backward(zeros[:0]).shape == (0, 3, 4)


def test_examples_do_not_see_each_other_and_training_changes_nothing():
    x = RNG.normal(size=(5, 4, 4, 6)).astype(np.float32)
    for layer in (layers.LayerNormalization([1, 2, 3]), layers.GroupNormalization(3),
    layers.RMSNormalization(),
                  layers.UnitNormalization([1, 2])):  # fmt: skip
        y = layer.forward(x, training=True)
        np.testing.assert_array_equal(layer.forward(x), y)
        np.testing.assert_array_equal(layer.forward(x[:1]), y[:1])
    y = layers.GroupNormalization(1, epsilon=0)(x)
    np.testing.assert_allclose(y, layers.LayerNormalization([1, 2, 3], epsilon=0)(x), atol=1e-5)


def test_frozen_normalizations_have_no_gradients_and_pass_them_on():
    x = RNG.normal(size=(3, 4))
    for layer in (layers.LayerNormalization(), layers.GroupNormalization(2), layers.RMSNormalization()):
        layer.build((4,))
        layer.trainable = False
        for weight in layer.weights:
            weight.grad = np.full(weight.shape, 7.0)
        layer.forward(x, training=True)
        dy = RNG.normal(size=(3, 4))
        assert layer.backward(dy, input_gradient=False) is None
        assert np.abs(layer.backward(dy)).max() > 0
        for weight in layer.weights:
            np.testing.assert_array_equal(weight.grad, 7)


def test_penalties_constraints_and_initializers():
    for cls in (layers.LayerNormalization, layers.GroupNormalization):
        options = {"groups": 2} if cls is layers.GroupNormalization else {}
        layer = cls(gamma_regularizer="l2", beta_constraint="non_neg", beta_initializer="ones", **options)
        model = Sequential([layers.Input((6,)), layer])
        assert layer.losses == pytest.approx([0.01 * 6])
        model.compile(fastconv.optimizers.SGD(100.0), "mse")
        model.train_on_batch(RNG.normal(size=(4, 6)), np.zeros((4, 6)))
        np.testing.assert_array_equal(layer.beta.value, 0)
        assert layers.deserialize(layers.serialize(layer)).get_config() == layer.get_config()


def test_what_mixes_pixels_has_no_receptive_field():
    image = (6, 6, 4)
    for layer in (
        layers.GroupNormalization(2),
        layers.LayerNormalization([1, 2, 3]),
        layers.UnitNormalization(1),
    ):
        model = Sequential([layers.Input(image), layer])
        with pytest.raises(ValueError, match="statistics mix pixels of the image"):
            models.receptive_field(model, layer)
    model = Sequential([layers.Input(image), layers.Conv2D(2, 3), layers.LayerNormalization()])
    assert models.receptive_field(model, model.layers[-1]).size == (3, 3)


def test_in_a_model_with_branches():
    inputs = layers.Input((6, 6, 4))
    a = layers.GroupNormalization(2)(layers.Conv2D(4, 3, padding="same")(inputs))
    b = layers.LayerNormalization()(inputs)
    shared = layers.RMSNormalization()
    x = layers.Add()([shared(a), shared(b)])
    x = layers.BatchNormalization(axis=1)(layers.UnitNormalization()(x))
    x = layers.SpectralNormalization(layers.Dense(3))(layers.Flatten()(x))
    model = fastconv.Model(inputs, x)
    assert gradcheck(model, RNG.normal(size=(3, 6, 6, 4)), backend="reference", samples=15)
    model.compile("adam", "mse")
    data, targets = RNG.normal(size=(20, 6, 6, 4)), RNG.normal(size=(20, 3))
    before = model.evaluate(data, targets, verbose=0)
    model.fit(data, targets, epochs=5, verbose=0)
    assert model.evaluate(data, targets, verbose=0) < before
    again = models.clone_model(model)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))
