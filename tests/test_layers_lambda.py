"""Lambda: a function of arrays, its derivative, and what is said where there is none."""

import json

import numpy as np
import pytest

from fastconv import Input, Model, Sequential, callbacks, gradcheck, layers, ops, saving, set_backend
from fastconv.models import clone_model, load_model

RNG = np.random.default_rng(9)
X = RNG.standard_normal((6, 4)).astype(np.float32)


def square(x):
    return x**2


def square_gradient(x, dy):
    return 2 * x * dy


def scaled(x, factor=1.0):
    return factor * x


def scaled_gradient(x, dy, factor=1.0):
    return factor * dy


def same_shape(shape):
    return shape


@pytest.fixture(autouse=True)
def registered():
    for function in (scaled, scaled_gradient, same_shape):
        saving.register_keras_serializable("tests_lambda")(function)
    yield
    saving.get_custom_objects().clear()


@pytest.fixture
def reference():
    set_backend("reference")
    yield
    set_backend("native")


def test_a_function_and_its_derivative(reference):
    layer = layers.Lambda(square, gradient=square_gradient)
    np.testing.assert_allclose(layer(X), X.astype(float) ** 2)
    gradcheck(layer, RNG.standard_normal((3, 4, 2)))


def test_numbers_are_floats_of_the_backend():
    layer = layers.Lambda(lambda x: x > 0)
    y = layer(X)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, X > 0)
    assert layers.Lambda(np.tanh)(X).dtype == np.float32  # a function of NumPy's, whose signature is not told


def test_arguments_reach_both_functions():
    layer = layers.Lambda(scaled, arguments={"factor": 3.0}, gradient=scaled_gradient)
    np.testing.assert_array_equal(layer.forward(X), 3 * X)
    np.testing.assert_array_equal(layer.backward(X), 3 * X)


def test_training_reaches_functions_that_ask_for_it():
    def noisy(x, training):
        return x + 1 if training else x

    layer = layers.Lambda(noisy, gradient=lambda x, dy, training: dy * (2 if training else 3))
    for training in (True, False):
        np.testing.assert_array_equal(layer.forward(X, training=training), X + training)
        np.testing.assert_array_equal(layer.backward(X), X * (2 if training else 3))


def test_several_inputs():
    layer = layers.Lambda(
        lambda pair: pair[0] * pair[1], gradient=lambda pair, dy: [dy * pair[1], dy * pair[0]]
    )
    one, two = Input((4,)), Input((4,))
    dense = layers.Dense(4, activation="tanh")
    model = Model([one, two], layer([dense(one), dense(two)]))
    twin = Model([one, two], layers.Multiply()([dense(one), dense(two)]))
    for each in (model, twin):
        np.testing.assert_array_equal(
            each.predict([X, X + 1], verbose=0), twin.predict([X, X + 1], verbose=0)
        )
    gradients = []
    for each in (model, twin):
        each.compile("sgd", "mse")
        each.forward([X, X + 1], training=True)
        each.backward(np.ones((6, 4), np.float32))
        gradients.append(dense.kernel.grad.copy())
    np.testing.assert_allclose(*gradients, rtol=1e-6)


def test_output_shapes():
    flatten = layers.Lambda(lambda x: x.reshape(len(x), -1))
    assert flatten.compute_output_shape((2, 3)) == (6,)
    assert layers.Lambda(square, output_shape=[4]).compute_output_shape((4,)) == (4,)
    wide = layers.Lambda(lambda x: np.tile(x, 2), output_shape=lambda shape: (shape[0], 2 * shape[1]))
    assert wide.compute_output_shape((4,)) == (8,)
    assert wide(Input((4,))).shape == (None, 8)
    assert wide(X).shape == (6, 8)


def test_empty_batches():
    layer = layers.Lambda(square, gradient=square_gradient)
    assert layer.forward(X[:0]).shape == (0, 4)
    assert layer.backward(X[:0]).shape == (0, 4)


def test_functions_of_this_package_take_what_the_function_is_given():
    image = RNG.standard_normal((2, 4, 4, 3)).astype(np.float32)
    kernel = RNG.standard_normal((3, 3, 3, 2)).astype(np.float32)
    layer = layers.Lambda(
        lambda x: ops.conv2d(x, kernel),
        gradient=lambda x, dy: ops.conv2d_backward_data(dy, kernel, x.shape),
    )
    np.testing.assert_array_equal(layer.forward(image), ops.conv2d(image, kernel))
    set_backend("reference")
    try:
        gradcheck(layer, image.astype(float))
    finally:
        set_backend("native")


def test_a_function_cannot_write_into_its_input():
    def worse(x):
        x *= 2
        return x

    x = X.copy()
    with pytest.raises(ValueError, match="read-only"):
        layers.Lambda(worse).forward(x)
    np.testing.assert_array_equal(x, X)
    y = layers.Lambda(lambda x: x).forward(x)
    y += 1  # its own
    np.testing.assert_array_equal(x, X)


# ---- without a derivative


def head(function_layer, *below):
    model = Sequential([Input((4,)), *below, function_layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_at_the_beginning_of_a_model_none_is_needed():
    model = head(layers.Lambda(square))
    before = model.layers[-1].kernel.numpy()
    model.fit(X, np.ones((6, 1)), verbose=0)
    assert np.abs(model.layers[-1].kernel.numpy() - before).max() > 0


def test_nor_above_what_is_frozen():
    below = layers.Dense(4, trainable=False)
    model = head(layers.Lambda(square), below)
    model.fit(X, np.ones((6, 1)), verbose=0)


def test_where_a_gradient_passes_it_is_missed():
    model = head(layers.Lambda(square, name="power"), layers.Dense(4))
    weights = model.get_weights()
    with pytest.raises(
        NotImplementedError, match=r"Lambda 'power': something below it learns.*gradient=lambda x, dy"
    ):
        model.fit(X, np.ones((6, 1)), verbose=0)
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    layer = layers.Lambda(square)
    layer.forward(X)
    assert layer.backward(X, input_gradient=False) is None
    with pytest.raises(NotImplementedError, match="freeze the layers below"):
        layer.backward(X)


def test_a_model_with_one_learns_as_with_the_layer_it_replaces():
    made = []
    for middle in (
        layers.Lambda(np.tanh, gradient=lambda x, dy: dy * (1 - np.tanh(x) ** 2)),
        layers.Activation("tanh"),
    ):
        model = Sequential([Input((4,)), layers.Dense(5), middle, layers.Dense(1)])
        made.append(model)
    made[1].set_weights(made[0].get_weights())
    for model in made:
        model.compile("adam", "mse")
        model.fit(X, X[:, :1], epochs=5, shuffle=False, verbose=0)
    for one, other in zip(*(model.get_weights() for model in made), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_which_pixels_it_sees_is_unknown():
    layer = layers.Lambda(lambda x: x[:, ::-1], name="flip")
    layer.build((4, 4, 1))
    with pytest.raises(ValueError, match="Lambda 'flip' does not tell which pixels"):
        layer.windows()
    layer = layers.Lambda(square)
    layer.build((4,))
    assert layer.windows() == ()


def test_a_training_with_one_is_backed_up(tmp_path):
    model = head(layers.Lambda(square))
    model.fit(X, np.ones((6, 1)), epochs=2, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path / "b")])


# ---- files


def named():
    return layers.Lambda(scaled, output_shape=same_shape, arguments={"factor": 2.0}, gradient=scaled_gradient)


def test_registered_functions_are_saved_by_name(tmp_path):
    model = Sequential([Input((4,)), layers.Dense(3), named()])
    path = tmp_path / "model.safetensors"
    model.save(path)
    again = load_model(path)
    layer = again.layers[-1]
    assert (layer.function, layer.derivative, layer.requested_output_shape) == (
        scaled,
        scaled_gradient,
        same_shape,
    )
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    config = json.loads(json.dumps(layers.serialize(layer)))
    assert config["config"]["function"]["config"] == "tests_lambda>scaled"
    assert layers.deserialize(config).get_config() == layer.get_config()


def test_other_functions_are_an_error_and_leave_no_file(tmp_path):
    model = head(layers.Lambda(lambda x: x, name="mine"))
    path = tmp_path / "model.safetensors"
    with pytest.raises(
        TypeError, match=r"Lambda 'mine': files hold no code, and its function .*register_keras"
    ):
        model.save(path)
    assert not path.exists()
    model.save_weights(tmp_path / "weights.safetensors")
    twin = head(layers.Lambda(lambda x: x))
    twin.load_weights(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))
    with pytest.raises(TypeError, match="its gradient"):
        layers.serialize(layers.Lambda(scaled, gradient=square_gradient))
    with pytest.raises(TypeError, match="its output_shape"):
        layers.serialize(layers.Lambda(scaled, output_shape=lambda shape: shape))
    with pytest.raises(TypeError, match=r"its arguments .* write them into the function"):
        layers.serialize(layers.Lambda(scaled, arguments={"factor": np.ones(4)}))


def test_functions_given_while_loading(tmp_path):
    with saving.custom_object_scope({"square": square}):
        config = layers.serialize(layers.Lambda(square))
        assert layers.deserialize(config).function is square
    assert layers.deserialize(config, {"square": square}).function is square
    with pytest.raises(ValueError, match="unknown function 'square': register it"):
        layers.deserialize(config)


def test_code_in_files_is_not_run():
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None, "closure": None}}
    with pytest.raises(ValueError, match="code in files is never run"):
        layers.Lambda.from_config({"name": "l", "function": code})
    with pytest.raises(ValueError, match="code in files is never run"):
        layers.Lambda.from_config({"name": "l", "function": "os.system"})
    saved = layers.serialize(named())["config"]
    with pytest.raises(ValueError, match=r"output_shape=.*code in files is never run"):
        layers.Lambda.from_config({**saved, "output_shape": code})


@pytest.mark.parametrize("nested", [False, True])
def test_clones_have_the_same_functions_whatever_they_are_called(nested):
    doubled, squared = layers.Lambda(lambda x: 2 * x), layers.Lambda(lambda x: x * x)
    inner = [Input((4,)), doubled, squared]
    model = Sequential([Input((4,)), Sequential(inner)]) if nested else Sequential(inner)
    for clone_function in (None, lambda layer: type(layer).from_config(layer.get_config())):
        twin = clone_model(model, clone_function=clone_function)
        np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))


def test_how_it_prints():
    assert repr(layers.Lambda(square, name="l")) == "Lambda(name='l', function=square)"
    assert repr(layers.Lambda(scaled, arguments={"factor": 2}, name="l")) == (
        "Lambda(name='l', function=scaled, arguments={'factor': 2})"
    )


# ---- errors


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.Lambda("relu"), TypeError, "Lambda: function must be a function; got 'relu'"),
        (lambda: layers.Lambda(square, gradient=2), TypeError, "Lambda: gradient must be a function; got 2"),
        (lambda: layers.Lambda(square, output_shape=4), ValueError, "Lambda: output_shape must be the shape"),
        (lambda: layers.Lambda(square, output_shape=(None, 4)), ValueError, "Lambda: output_shape"),
        (lambda: layers.Lambda(square, arguments=[1]), TypeError, "Lambda: arguments must be a dictionary"),
        (lambda: layers.Lambda(square, mask=square), ValueError, "Lambda: .*'mask' is not supported"),
        (
            lambda: layers.Lambda(np.sum)(X),
            ValueError,
            "must return one output for each example, 1 of them; got shape",
        ),
        (
            lambda: layers.Lambda(lambda x: x[:1], output_shape=(4,))(X),
            ValueError,
            r"one output for each example, 6 of them; got shape \(1, 4\)",
        ),
        (
            lambda: layers.Lambda(square, output_shape=(3,))(X),
            ValueError,
            r"its function returned shape \(6, 4\), and output_shape says \(3,\) for one example",
        ),
        (lambda: layers.Lambda(lambda x: "a", output_shape=(4,))(X), TypeError, "the function of Lambda"),
        (
            lambda: layers.Lambda(lambda x: x @ np.ones((3, 3)))(Input((4,))),
            ValueError,
            "Lambda .*found by a call on zeros.* Correct the function, or give output_shape=",
        ),
    ],
)
def test_what_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_gradients_of_another_shape():
    layer = layers.Lambda(square, gradient=lambda x, dy: dy[:, :1])
    layer.forward(X)
    with pytest.raises(ValueError, match=r"its gradient must return the shape of x, \(6, 4\); got \(6, 1\)"):
        layer.backward(X)
