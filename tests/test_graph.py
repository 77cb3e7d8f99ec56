"""Networks that are no chains: what they compute, forward and backward, and what they say when it cannot
be."""

import copy
import pickle

import numpy as np
import pytest

import fastconv
from fastconv import Input, Model, Sequential, activations, layers, utils
from fastconv.graph import SymbolicTensor

RNG = np.random.default_rng(3)


def images(n=4, size=6, channels=3):
    return RNG.standard_normal((n, size, size, channels)).astype(np.float32)


def residual(size=6, channels=3):
    x = layers.Input((size, size, channels), name="x")
    y = layers.Conv2D(channels, 3, padding="same", activation="tanh", name="conv")(x)
    z = layers.Add(name="add")([x, y])
    return Model(x, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(z)), name="residual")


def gradients(model, x, dy, **options):
    """{path: gradient} and dx"""
    y = model.forward(x, training=True)
    dx = model.backward(dy if dy is not None else np.ones_like(y), input_gradient=True, **options)
    return {p.path: p.grad.copy() for p in model.parameters}, dx


# ---- forward


def test_a_residual_network_adds_its_shortcut():
    model, x = residual(), images()
    conv, out = model.get_layer("conv"), model.get_layer("out")
    expected = (x + conv(x)).mean((1, 2)) @ out.kernel.value + out.bias.value
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)


def test_the_order_of_layers_and_weights_is_that_of_keras():
    a = layers.Input((4,), name="a")
    b = layers.Input((4,), name="b")
    left = layers.Dense(3, name="left")(a)
    right = layers.Dense(3, name="right")(layers.Dense(5, name="low")(b))
    model = Model([a, b], [layers.Add(name="sum")([left, right]), layers.Dense(1, name="top")(right)])
    # What Keras 3.15 gives for the same lines: [layer.name for layer in model.layers]
    assert [layer.name for layer in model.layers] == ["b", "a", "low", "left", "right", "sum", "top"]


def test_layers_called_several_times_come_where_keras_has_them():
    x = layers.Input((4,), name="x")
    d, e = layers.Dense(4, name="d"), layers.Dense(4, name="e")
    model = Model(x, d(layers.Add(name="sum")([e(x), d(x)])))
    assert [layer.name for layer in model.layers] == ["x", "d", "e", "sum"]  # as Keras 3.15


def test_outputs_share_no_memory():
    x = layers.Input((4,))
    y = layers.Dense(4)(x)
    first, second, third = Model(x, [y, y, layers.Identity()(y)])(np.ones((2, 4), np.float32))
    before = second.copy()
    first[...] = 7
    np.testing.assert_array_equal(second, before)
    np.testing.assert_array_equal(third, before)


def test_numbers_of_numpy_in_arithmetic():
    x = layers.Input((3,))
    model = Model(x, np.float32(2) * x - np.float64(1))
    np.testing.assert_array_equal(model(np.full((1, 3), 3, np.float32)), np.full((1, 3), 5, np.float32))
    for given in (np.ones(3), np.ones((1, 3))):
        with pytest.raises(TypeError, match=r"numpy\.multiply needs numbers"):
            given * x
    with pytest.raises(TypeError, match=r"outputs must be made of symbolic tensors, got an array of shape"):
        Model(x, np.ones((2, 3)))


def test_several_inputs_and_outputs_keep_their_nesting():
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    model = Model({"a": a, "b": b}, {"sum": layers.Add()([a, b]), "difference": layers.Subtract()([a, b])})
    x = {"b": RNG.random((2, 3), np.float32), "a": RNG.random((2, 3), np.float32)}
    y = model(x)
    assert list(y) == ["sum", "difference"]
    np.testing.assert_array_equal(y["sum"], x["a"] + x["b"])
    np.testing.assert_array_equal(y["difference"], x["a"] - x["b"])


def test_arithmetic_on_symbolic_tensors():
    a, b = layers.Input((3,)), layers.Input((3,))
    model = Model([a, b], (2 * a + b / 4 - 1) * (-b) + 3 / (a + 5) + (1 - a) - b)
    x, y = RNG.random((2, 5, 3), np.float32)
    expected = (2 * x + y / 4 - 1) * (-y) + 3 / (x + 5) + (1 - x) - y
    np.testing.assert_allclose(model([x, y]), expected, atol=1e-6)


def test_activation_functions_on_symbolic_tensors():
    inputs = Input((3,))
    outputs = [
        activations.tanh(inputs),
        activations.relu(inputs, max_value=0.5),
        activations.leaky_relu(inputs, negative_slope=0.1),
    ]
    x = np.array([[-1.0, 0.25, 2.0]], np.float32)
    tanh, relu, leaky = Model(inputs, outputs)(x)
    np.testing.assert_allclose(tanh, np.tanh(x), rtol=1e-6)
    np.testing.assert_array_equal(relu, [[0.0, 0.25, 0.5]])
    np.testing.assert_allclose(leaky, [[-0.1, 0.25, 2.0]], rtol=1e-6)


@pytest.mark.parametrize("nested", [lambda tensor: [tensor], lambda tensor: (tensor,)])
def test_a_list_of_one_input_or_output_is_that_one(nested):
    inputs = Input((3,))
    model = Model(nested(inputs), nested(layers.Dense(2)(inputs)))
    x = np.random.default_rng(0).random((4, 3), np.float32)
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    expected = x @ model.get_weights()[0]
    for y in (model(x), model([x]), model.predict(x, verbose=0), model.predict([x], verbose=0)):
        np.testing.assert_allclose(y, expected, rtol=1e-5)
    np.testing.assert_allclose(model([x[0]]), expected[:1], rtol=1e-5)  # a list of examples
    model.compile("sgd", "mse")
    model.fit([x], [expected], verbose=0)


def test_the_features_of_a_layer_by_its_output():
    model, x = residual(), images()
    features = Model(model.input, model.get_layer("conv").output)
    np.testing.assert_array_equal(features.predict(x, verbose=0), model.get_layer("conv")(x))


def test_the_output_of_a_layer_in_a_sequential_model():
    model = Sequential(
        [layers.Input((6, 6, 3)), layers.Conv2D(2, 3, name="c"), layers.Flatten(), layers.Dense(1)]
    )
    features = Model(model.inputs, model.get_layer("c").output)
    x = images()
    np.testing.assert_array_equal(features.predict(x, verbose=0), model.get_layer("c")(x))
    model.pop()
    assert model.output_shape == (None, 32)
    assert model.output.shape == (None, 32)


def test_a_model_that_begins_in_the_middle_of_another():
    model, x = residual(), images()
    top = Model(model.get_layer("add").output, model.output)
    features = Model(model.input, model.get_layer("add").output)
    np.testing.assert_allclose(top(features(x)), model(x), atol=1e-6)


def test_training_given_to_a_call_stays():
    base = Sequential(
        [layers.Input((6, 6, 3)), layers.BatchNormalization(), layers.Dropout(0.5, seed=1)], name="base"
    )
    x = layers.Input((6, 6, 3))
    model = Model(x, layers.Flatten()(base(x, training=False)))
    batch = images()
    moving = base.layers[0].moving_mean.numpy()
    y = model.forward(batch, training=True)
    np.testing.assert_allclose(y, base(batch).reshape(4, -1), atol=1e-6)
    np.testing.assert_array_equal(base.layers[0].moving_mean.value, moving)


# ---- backward


def test_gradients_of_a_residual_network_are_central_differences():
    model, x = residual(4, 2), images(2, 4, 2).astype(np.float64)
    assert fastconv.gradcheck(model, x)


def test_a_shared_layer_gets_the_sum_of_its_gradients():
    dense = layers.Dense(3, activation="tanh", name="shared")
    a, b, c = (layers.Input((3,)) for _ in range(3))
    model = Model([a, b, c], layers.Concatenate()([dense(a), dense(dense(b)), dense(c)]))
    arrays = [RNG.standard_normal((4, 3)).astype(np.float32) for _ in range(3)]
    dy = RNG.standard_normal((4, 12 - 3)).astype(np.float32)
    shared, dx = gradients(model, arrays, dy)
    # The same with copies of the layer, each called once.
    copies = [copy.deepcopy(dense) for _ in range(4)]
    total = {"kernel": 0.0, "bias": 0.0}
    expected = []
    for x, chain, part in zip(arrays, ([0], [1, 2], [3]), np.split(dy, 3, axis=1), strict=True):
        for i in chain:
            x = copies[i].forward(x)
        gradient = np.ascontiguousarray(part)
        for i in reversed(chain):
            gradient = copies[i].backward(gradient)
            total["kernel"] += copies[i].kernel.grad
            total["bias"] += copies[i].bias.grad
        expected.append(gradient)
    np.testing.assert_allclose(shared["shared/kernel"], total["kernel"], atol=1e-5)
    np.testing.assert_allclose(shared["shared/bias"], total["bias"], atol=1e-5)
    for got, wanted in zip(dx, expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_an_output_without_a_gradient_changes_nothing():
    x = layers.Input((3,))
    y = layers.Dense(3, name="below")(x)
    model = Model(x, [layers.Dense(2, name="one")(y), layers.Dense(2, name="other")(y)])
    batch = RNG.standard_normal((4, 3)).astype(np.float32)
    model.get_layer("other").kernel.grad[...] = 7  # of an earlier batch
    model.forward(batch, training=True)
    model.backward([np.ones((4, 2), np.float32), None])
    assert not model.get_layer("other").kernel.grad.any()
    assert model.get_layer("one").kernel.grad.any()
    assert model.get_layer("below").kernel.grad.any()


@pytest.mark.parametrize(
    "last",
    [
        lambda: layers.Dense(3, activation="softmax"),
        lambda: Sequential([layers.Dense(3), layers.Softmax()]),
        lambda: Sequential([layers.Dense(3), layers.Activation("softmax", activity_regularizer="l2")]),
    ],
)
def test_probabilities_of_a_loss_that_are_read_by_another_layer_too(last):
    """Cross-entropy and softmax are derived together, and what the other layer adds goes through softmax."""

    def model(between):
        utils.set_random_seed(0)
        x = layers.Input((4,))
        kinds = last()(layers.Dense(5, activation="tanh")(x))
        return Model(x, [layers.Identity()(kinds) if between else kinds, layers.Dense(2)(kinds)])

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)), [np.eye(3)[rng.integers(3, size=6)], rng.normal(size=(6, 2))]
    together, apart = model(between=False), model(between=True)
    for network in (together, apart):
        network.compile("sgd", ["categorical_crossentropy", "mse"])
        network.train_on_batch(x, y)
    for one, other in zip(together.get_weights(), apart.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_nothing_is_computed_below_what_learns(monkeypatch):
    model = residual()
    model.get_layer("conv").trainable = False
    called = []
    monkeypatch.setattr(
        fastconv.ops,
        "conv2d_backward_data",
        lambda *a, **k: called.append("data") or np.zeros(a[2], np.float32),
    )
    model.forward(images(), training=True)
    model.backward(np.ones((4, 2), np.float32))
    assert called == []


def test_a_nested_model_is_the_same_as_its_layers():
    inner = residual()
    x = layers.Input((6, 6, 3))
    nested = Model(x, layers.Activation("tanh")(inner(x)))
    y = layers.GlobalAveragePooling2D()(layers.Add()([x, inner.get_layer("conv")(x)]))
    flat = Model(x, layers.Activation("tanh")(inner.get_layer("out")(y)))
    batch, dy = images(), RNG.standard_normal((4, 2)).astype(np.float32)
    one, dx_one = gradients(nested, batch, dy)
    other, dx_other = gradients(flat, batch, dy)
    np.testing.assert_array_equal(nested(batch), flat(batch))
    np.testing.assert_array_equal(dx_one, dx_other)
    assert one.keys() == other.keys()
    for path, gradient in one.items():
        np.testing.assert_array_equal(gradient, other[path])


def test_a_siamese_pair_shares_a_model():
    twin = Sequential([layers.Input((3,)), layers.Dense(4, activation="tanh")], name="twin")
    a, b = layers.Input((3,)), layers.Input((3,))
    model = Model([a, b], layers.Subtract()([twin(a), twin(b)]))
    x = RNG.standard_normal((2, 5, 3)).astype(np.float32)
    found, _ = gradients(model, list(x), np.ones((5, 4), np.float32))
    first, _ = gradients(twin, x[0], np.ones((5, 4), np.float32))
    second, _ = gradients(twin, x[1], -np.ones((5, 4), np.float32))
    for path, gradient in found.items():
        np.testing.assert_allclose(gradient, first[path] + second[path], atol=1e-6)


# ---- subclassed models, and layers made of layers


class Block(layers.Layer):
    """A layer of one's own that composes others."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters
        self.convs = [layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(2)]
        self.drop = layers.Dropout(0.5, seed=2)

    def call(self, x, training=False):
        y = x
        for conv in self.convs:
            y = conv(y)
        if training:
            y = self.drop(y, training=training)
        return x + y

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class Net(Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.block = Block(3)
        self.pool = layers.GlobalAveragePooling2D()
        self.out = layers.Dense(2, activation="softmax")

    def call(self, x, training=None):
        return self.out(self.pool(self.block(x, training=training)))


def test_a_subclassed_model_learns_and_is_what_its_call_says():
    model = Net()
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = images(32), np.arange(32) % 2
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before
    assert model.count_params() == 2 * (3 * 3 * 3 * 3 + 3) + 3 * 2 + 2
    hidden = model.block.convs[1](model.block.convs[0](x))
    np.testing.assert_allclose(model.predict(x, verbose=0), model.out(model.pool(x + hidden)), atol=1e-6)


def test_the_two_traces_differ_where_call_asks_for_training():
    model, x = Net(), images()
    model.build((6, 6, 3))
    kinds = [{type(layer).__name__ for layer in model.block.composition(now).layers} for now in (True, False)]
    assert "Dropout" in kinds[0]
    assert "Dropout" not in kinds[1]
    np.testing.assert_array_equal(model(x), model(x))
    assert np.abs(model(x, training=True) - model(x, training=True)).max() > 0


def test_layers_inside_a_layer_are_frozen_counted_and_saved_with_it(tmp_path):
    x = layers.Input((6, 6, 3))
    model = Model(x, layers.Flatten()(Block(3, name="block")(x)))
    block = model.get_layer("block")
    assert len(block.weights) == 4
    assert [w.trainable for w in block.weights] == [True] * 4
    block.trainable = False
    assert model.parameters == []
    assert len(model.get_weights()) == 4


def test_what_a_layer_made_of_layers_computes_by_itself():
    block, x = Block(3), images()
    y = block.forward(x)
    dx = block.backward(np.ones_like(y))
    assert dx.shape == x.shape
    assert all(p.grad.any() for p in block.parameters)


# ---- copies


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deep", "pickle"]
)
def test_copies_compute_the_same_and_share_nothing(copied):
    model, x = residual(), images()
    twin = copied(model)
    np.testing.assert_array_equal(twin(x), model(x))
    twin.set_weights([w + 1 for w in twin.get_weights()])
    assert np.abs(twin(x) - model(x)).max() > 0.1
    assert twin.get_layer("conv") is not model.get_layer("conv")
    assert isinstance(twin.get_layer("conv").output, SymbolicTensor)


def test_a_deep_network_is_copied():
    x = y = layers.Input((2,))
    for _ in range(400):
        y = layers.Dense(2)(y)
    model = Model(x, y)
    twin = pickle.loads(pickle.dumps(model))
    batch = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(twin(batch), model(batch))


def test_the_configuration_makes_the_same_graph():
    shared = layers.Dense(3, name="shared")
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    y = layers.Multiply(name="product")([shared(a), shared(shared(b))]) * 2 - 1
    model = Model([a, b], [y, layers.Concatenate(axis=1, name="both")([a, b])], name="net")
    twin = Model.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    x = list(RNG.random((2, 4, 3), np.float32))
    for one, other in zip(twin(x), model(x), strict=True):
        np.testing.assert_array_equal(one, other)
    assert twin.get_config() == model.get_config()


# ---- errors


def test_what_needs_numbers_says_what_to_write():
    x = layers.Input((3,))
    for attempt in (
        np.exp,
        float,
        bool,
        len,
        list,
        np.asarray,
        lambda t: t[0],
        lambda t: np.concatenate([t, t]),
    ):
        with pytest.raises(TypeError, match=r"needs numbers.*InputLayer"):
            attempt(x)


def test_outputs_that_depend_on_something_else():
    a, b = layers.Input((3,), name="a"), layers.Input((3,), name="b")
    y = layers.Add()([a, b])
    with pytest.raises(ValueError, match=r"depend on the input 'b' .* add it to inputs"):
        Model(a, y)
    with pytest.raises(ValueError, match="no output depends on the input 'b'"):
        Model([a, b], layers.Dense(1)(a))
    with pytest.raises(TypeError, match=r"symbolic tensors, got .*Dense.*call it on a tensor"):
        Model(a, layers.Dense(1))
    with pytest.raises(ValueError, match="outputs is missing"):
        Model(a)
    with pytest.raises(TypeError, match="needs inputs and outputs"):
        Model()
    with pytest.raises(ValueError, match="two layers are named 'same'"):
        Model(a, layers.Dense(1, name="same")(layers.Dense(1, name="same")(a)))


def test_a_call_that_cannot_be_traced():
    class Branches(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x) if x.sum() > 0 else x

    class Computes(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x, training=None):
            return np.maximum(self.dense(x), 0)

    x, y = RNG.random((4, 3), np.float32), np.zeros((4, 2), np.float32)
    for model, what in ((Branches(), "the attribute 'sum'"), (Computes(), "numpy.maximum")):
        assert model(x).shape == (4, 2)  # it may be called,
        model.compile("sgd", "mse")
        with pytest.raises(TypeError, match=f"no derivative: .*{what} needs numbers.*write it with layers"):
            model.fit(x, y, verbose=0)  # and has no derivative


class Penalized(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        self.add_loss(5.0)
        return self.dense(x)


class Passes(layers.Layer):
    def call(self, x):
        self.add_loss(5.0)
        return x

    def backward(self, dy, input_gradient=True):
        return dy


def test_losses_are_added_for_each_batch_not_for_each_trace():
    x, y = RNG.random((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model = Sequential([layers.Input((3,)), Penalized()])
    model.compile("sgd", "mse")
    expected = np.mean(model.predict(x, verbose=0) ** 2) + 5
    for _ in range(2):
        assert model.evaluate(x, y, verbose=0) == pytest.approx(expected)
    with pytest.raises(TypeError, match=r"no derivative: .*add_loss needs a call that runs for each batch"):
        model.fit(x, y, verbose=0)
    model = Sequential([layers.Input((3,)), Around(Passes()), layers.Dense(2)])  # a layer of its own may
    model.compile("sgd", "mse")
    before = model.evaluate(x, y, verbose=0)
    assert before == pytest.approx(np.mean(model.predict(x, verbose=0) ** 2) + 5)
    model.fit(x, y, verbose=0)
    assert 5 < model.evaluate(x, y, verbose=0) < before


@pytest.mark.parametrize("base", [layers.Layer, Model])
def test_a_call_that_depends_on_the_shape_is_traced_for_each(base):
    class Scales(base):
        def __init__(self):
            super().__init__()
            self.relu = layers.ReLU()

        def call(self, x):
            return self.relu(x) * float(x.shape[1])

    scales = Scales()
    for training in (False, True):
        for size in (6, 3, *range(2, 40), 6):
            x = np.ones((2, size, 4), np.float32)
            np.testing.assert_array_equal(scales(x, training=training), size * x)
            assert scales.compute_output_shape((size, 4)) == (size, 4)
            scales.forward(x, training=True)
            np.testing.assert_array_equal(scales.backward(x, input_gradient=True), size * x)
    assert len(scales._compositions) <= 32
    assert len(scales._schedules) <= 32
    a, b = layers.Input((6, 4)), layers.Input((3, 4))
    model = Model([a, b], [scales(a), scales(b)])
    y, z = model([np.ones((2, 6, 4), np.float32), np.ones((2, 3, 4), np.float32)])
    np.testing.assert_array_equal(y, np.full((2, 6, 4), 6))
    np.testing.assert_array_equal(z, np.full((2, 3, 4), 3))


@pytest.mark.parametrize("base", [layers.Layer, Model])
def test_weights_beside_layers_need_a_backward(base):
    class Gains(base):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def build(self, input_shape):
            self.gain = self.add_weight((), "ones", name="gain")
            super().build(input_shape)

        def call(self, x):
            return self.dense(x) * float(self.gain.value)

    gains = Gains()
    x, y = RNG.random((4, 3), np.float32), np.zeros((4, 2), np.float32)
    model = Sequential([layers.Input((3,)), gains])
    model.compile("sgd", "mse")
    before = model.predict(x, verbose=0)
    assert len(model.weights) == 3
    gains.gain.value = np.float32(3)
    np.testing.assert_allclose(model.predict(x, verbose=0), 3 * before, rtol=1e-6)
    with pytest.raises(
        TypeError, match=r"no derivative: .*weights of its own, gain, and layers inside.*own backward"
    ):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize("base", [layers.Layer, Model])
def test_layers_with_weights_that_are_made_in_call(base):
    class Makes(base):
        def __init__(self, make):
            super().__init__()
            self.dense = layers.Dense(3)
            self.inside = [Sequential([layers.Dense(3)])]
            self.make = make

        def call(self, x):
            y = self.inside[0].layers[0](self.inside[0](self.dense(x)))
            return self.make()(layers.Add()([y, 2 * x]))

    x = RNG.random((4, 3), np.float32)
    assert Makes(layers.ReLU)(x).shape == (4, 3)
    for make in (
        lambda: layers.Dense(4, name="made"),
        lambda: Sequential([layers.Dense(2)], name="made"),
    ):
        layer = Makes(make)
        for _ in range(2):
            with pytest.raises(ValueError, match=r"'made', which has weights .* Make it in __init__"):
                layer(x)


def test_merging_layers_say_which_shapes_do_not_fit():
    a, b = layers.Input((4, 4, 3)), layers.Input((4, 5, 3))
    with pytest.raises(ValueError, match=r"Add 'add.*\(None, 4, 4, 3\), \(None, 4, 5, 3\) do not fit"):
        layers.Add()([a, b])
    with pytest.raises(ValueError, match=r"Concatenate .*differ in other axes than axis=-1"):
        layers.Concatenate()([a, b])
    with pytest.raises(ValueError, match="called on a list of tensors"):
        layers.Add()(a)
    with pytest.raises(ValueError, match="exactly 2 tensors, got 3"):
        layers.Subtract()([a, a, a])


# ---- what it sees


def test_a_unit_sees_what_it_sees_on_any_way():
    x = layers.Input((20, 20, 1))
    a = layers.Conv2D(2, 3, padding="same", name="three")(x)
    b = layers.Conv2D(2, (1, 7), padding="same", name="seven")(x)
    y = layers.Concatenate(name="both")([a, b])
    z = layers.MaxPooling2D(2, name="pool")(
        layers.Add(name="add")([y, layers.Conv2D(4, 3, padding="same")(y)])
    )
    model = Model(x, layers.Dense(2, name="out")(layers.Flatten()(z)))
    assert fastconv.models.receptive_field(model, "both").size == (3, 7)
    assert fastconv.models.receptive_field(model, "add").size == (5, 9)
    field = fastconv.models.receptive_field(model, "pool")
    assert (field.size, field.stride, field.offset) == ((6, 10), (2, 2), (-2, -4))
    # The same by the pixels that a gradient reaches.
    features = Model(model.input, model.get_layer("pool").output)
    features.set_weights([np.ones_like(w) for w in features.get_weights()])
    batch = np.random.default_rng(0).uniform(1, 2, (1, 20, 20, 1)).astype(np.float32)
    dy = np.zeros_like(features.forward(batch))
    dy[0, 5, 4] = 1
    pixels = np.nonzero(features.backward(dy, input_gradient=True)[0, :, :, 0])
    top, left, bottom, right = field.box(5, 4)
    assert top <= pixels[0].min() <= pixels[0].max() < bottom
    assert left <= pixels[1].min() <= pixels[1].max() < right
    assert field.box(5, 4) == (8, 4, 14, 14)


def test_where_the_field_cannot_be_told():
    x = layers.Input((8, 8, 4))
    gate = layers.Dense(4)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = Model(x, layers.Multiply(name="gated")([x, gate]))
    with pytest.raises(ValueError, match="combines feature maps"):
        fastconv.models.receptive_field(model, "gated")
    shown = []
    model.summary(print_fn=shown.append)
    assert "gated" in shown[0]


# ---- open sizes


def test_images_of_any_size():
    x = layers.Input((None, None, 3))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(layers.Add()([y, layers.Conv2D(4, 1)(x)])))
    model = Model(x, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(y)))
    assert model.input_shape == (None, None, None, 3)
    assert y.shape == (None, None, None, 4)
    assert model.output_shape == (None, 2)
    model.compile("sgd", "sparse_categorical_crossentropy")
    for size in (6, 9, 14):
        batch = images(8, size)
        model.fit(batch, np.arange(8) % 2, verbose=0)
        assert model.predict(batch, verbose=0).shape == (8, 2)
    shown = []
    model.summary(print_fn=shown.append)
    assert "(None, None, None, 4)" in shown[0]
    with pytest.raises(
        ValueError, match=r"the input .* has the shape \(None, None, None, 3\), got \(None, 6, 6, 2\)"
    ):
        model(images(channels=2))


@pytest.mark.parametrize(
    "layer",
    [
        layers.MaxPooling2D(3, 2, "same"),
        layers.AveragePooling2D(2),
        layers.AdaptiveMaxPooling2D(2),
        layers.UpSampling2D((2, 3), interpolation="bilinear"),
        layers.ZeroPadding2D(((1, 2), (3, 4))),
        layers.Cropping2D(1),
        layers.DepthwiseConv2D(3, strides=2),
        layers.Conv2DTranspose(2, 3, strides=2),
        layers.Permute((2, 1, 3)),
        layers.LayerNormalization(),
        layers.GroupNormalization(3),
        layers.GlobalMaxPooling2D(keepdims=True),
        layers.MaxPooling1D(2),
        layers.UpSampling1D(2),
        layers.ZeroPadding1D(2),
        layers.Cropping1D(1),
        layers.Conv1D(2, 3, padding="causal"),
        layers.GlobalAveragePooling1D(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_leave_sizes_open(layer):
    axes = layer.input_rank - 2 if layer.input_rank in (3, 4) else 2
    model = Model(x := layers.Input((*[None] * axes, 3)), layer(x))
    for sizes in ((8, 9), (11, 6)):
        y = model(np.zeros((2, *sizes[:axes], 3), np.float32))
        for expected, found in zip(model.output_shape, y.shape, strict=True):
            assert expected in (None, found)
        fixed = Model(x := layers.Input((*sizes[:axes], 3)), type(layer).from_config(layer.get_config())(x))
        assert fixed.output_shape[1:] == y.shape[1:]
        for expected, given in zip(model.output_shape[1:], fixed.output_shape[1:], strict=True):
            assert expected in (None, given)


class Around(layers.Layer):
    """Does what the layer in it does."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


class Doubles(layers.Layer):
    def call(self, x):
        return x * np.float32(2)


@pytest.mark.parametrize(
    ("make", "channels"),
    [
        (lambda: Around(layers.Conv2D(5, 3)), 5),
        (lambda: Around(layers.ReLU()), 3),
        (lambda: Around(Around(Doubles())), 3),
        (lambda: layers.Pipeline([layers.Conv2D(5, 3), layers.ReLU()]), 5),
        (lambda: layers.SpectralNormalization(layers.Conv2D(5, 3)), 5),
        (lambda: Sequential([Around(layers.Conv2D(5, 3)), Doubles()]), 5),
        (Doubles, 3),
        (lambda: layers.Lambda(lambda x: x[:, ::2, 1:, :2]), 2),
    ],
)
def test_own_and_composed_layers_leave_sizes_open(make, channels):
    y = make()(x := layers.Input((None, None, 3)))
    assert y.shape == (None, None, None, channels)
    model = Model(x, y)
    for size in (6, 9):
        found = model(images(2, size)).shape
        assert model.compute_output_shape((size, size, 3)) == found[1:]
    sequence = layers.Input((None, 3))
    assert Around(layers.ReLU())(sequence).shape == (None, None, 3)


def test_weights_that_depend_on_an_open_size_are_an_error():
    x = layers.Input((None, None, 3))
    with pytest.raises(ValueError, match=r"Dense .* depends on a size of its input that is left open"):
        layers.Dense(2)(layers.Flatten()(x))


def test_a_sequential_model_takes_other_sizes_where_its_layers_do():
    model = Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(),
         layers.Dense(2, activation="softmax")]
    )  # fmt: skip
    small, large = images(4, 8), images(4, 10)
    before = model.predict(small, verbose=0)
    by_hand = large
    for layer in model.layers:
        by_hand = layer.forward(by_hand)
    np.testing.assert_allclose(model.predict(large, verbose=0), by_hand, atol=1e-6)
    np.testing.assert_array_equal(model.predict(small, verbose=0), before)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(large, np.arange(4) % 2, verbose=0)
    functional = Model(model.inputs, model.outputs)
    with pytest.raises(ValueError, match=r"has the shape \(None, 8, 8, 3\), got \(None, 10, 10, 3\)"):
        functional(large)


@pytest.mark.parametrize(
    ("function", "cls", "options"),
    [
        (layers.add, layers.Add, {}),
        (layers.subtract, layers.Subtract, {}),
        (layers.multiply, layers.Multiply, {}),
        (layers.average, layers.Average, {}),
        (layers.maximum, layers.Maximum, {}),
        (layers.minimum, layers.Minimum, {}),
        (layers.concatenate, layers.Concatenate, {"axis": 1}),
        (layers.concatenate, layers.Concatenate, {}),
        (layers.dot, layers.Dot, {"axes": (2, 2)}),
    ],
)
def test_merging_layers_as_functions(function, cls, options):
    arrays = [RNG.random((2, 3, 4), np.float32), RNG.random((2, 3, 4), np.float32)]
    tensors = [layers.Input((3, 4)), layers.Input((3, 4))]
    y = function(tensors, name="merged", **options)
    model = Model(tensors, y)
    layer = model.get_layer("merged")
    assert type(layer) is cls
    expected = cls(**{"axes": -1, **options} if cls is layers.Dot else options)(arrays)
    np.testing.assert_array_equal(function(arrays, **options), expected)
    np.testing.assert_array_equal(model(arrays), expected)
