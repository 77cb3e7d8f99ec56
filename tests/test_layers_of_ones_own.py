"""Layers as users write them, in the manner of Keras too."""

import copy

import numpy as np
import pytest

import fastconv
from fastconv import Parameter, Sequential, layers, models, optimizers

X = np.random.default_rng(0).normal(0, 1, (6, 5)).astype(np.float32)


class Linear(layers.Layer):
    """As in Keras' guide, with a backward."""

    def __init__(self, units=3, **options):
        super().__init__(**options)
        self.units = units

    def build(self, input_shape):
        self.seen = input_shape
        self.w = self.add_weight((input_shape[-1], self.units), "ones", name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", dtype="float32")
        self.built = True

    def call(self, inputs):
        self.remember(inputs)
        return inputs @ self.w + self.b

    def backward(self, dy, input_gradient=True):
        (x,) = self.recall()
        self.w.grad, self.b.grad = x.T @ dy, dy.sum(axis=0)
        return dy @ self.w.value.T if input_gradient else None


class WithSuper(Linear):
    def build(self, input_shape):
        super().build(input_shape)
        layers.Layer.build(self, input_shape)


class ShapeWithBatch(Linear):
    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)


class ShapeWithoutBatch(Linear):
    def compute_output_shape(self, input_shape):
        return (self.units,)


class ShapeAnyway(Linear):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


@pytest.mark.parametrize("cls", [Linear, WithSuper, ShapeWithBatch, ShapeWithoutBatch, ShapeAnyway])
def test_a_layer_in_the_manner_of_keras(cls, tmp_path):
    model = Sequential([layers.Input((5,)), cls(4), layers.Dense(2)])
    layer = model.layers[0]
    assert (layer.seen, layer.input_shape, layer.output_shape) == ((None, 5), (5,), (4,))
    assert [(w.path, w.shape) for w in layer.weights] == [
        (f"{layer.name}/w", (5, 4)),
        (f"{layer.name}/variable", (4,)),
    ]
    np.testing.assert_allclose(layer(X), np.repeat(X.sum(1, keepdims=True), 4, 1), rtol=1e-5)
    model.compile("sgd", "mse")
    before = model.evaluate(X, X[:, :2], verbose=0)
    model.fit(X, X[:, :2], epochs=3, verbose=0)
    assert model.evaluate(X, X[:, :2], verbose=0) < before
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors", {cls.__name__: cls})
    assert loaded.layers[0].units == 4
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_the_batch_of_a_shape_in_doubt_is_told_from_sizes_by_a_call():
    class Columns(layers.Layer):
        """Its shape, read with the batch, could be another one."""

        def compute_output_shape(self, input_shape):
            return (input_shape[0], input_shape[1], 1)

        def call(self, x):
            return x[..., :1]

    class Rows(Columns):
        def call(self, x):
            return x[:, :, 0, :1]

    for cls, expected in ((Columns, (4, 5, 1)), (Rows, (4, 1))):
        layer = cls()
        layer.build((None, 4, 5, 2))
        assert layer.output_shape == expected == layer(np.ones((3, 4, 5, 2))).shape[1:]


def test_built_by_the_first_call_or_for_a_shape():
    layer = Linear()
    assert (layer.built, layer.weights, layer.get_build_config()) == (False, [], None)
    layer(X)
    layer(X)
    assert (layer.built, len(layer.weights), layer.seen) == (True, 2, (None, 5))
    assert layer.get_build_config() == {"input_shape": (None, 5)}
    other = Linear()
    other.build_from_config(layer.get_build_config())
    assert [w.shape for w in other.weights] == [(5, 3), (3,)]
    stateless = layers.ReLU()
    assert (stateless.built, stateless.count_params()) == (True, 0)


def test_weights_made_in_the_constructor():
    class Scale(layers.Layer):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(initializer="ones")
            self.built = True

        def call(self, x):
            return x * self.scale

    layer = Scale()
    assert layer.scale.shape == ()
    np.testing.assert_array_equal(layer(X), X)
    assert (layer.output_shape, layer.count_params()) == ((5,), 1)
    copied = copy.deepcopy(layer)
    assert copied.weights == [copied.scale]


def test_a_build_that_fails_leaves_nothing_behind():
    class Failing(Linear):
        fails = True

        def build(self, input_shape):
            super().build(input_shape)
            if self.fails:
                raise ArithmeticError("no")

    layer = Failing()
    with pytest.raises(ArithmeticError):
        layer(X)
    assert (layer.built, layer.weights) == (False, [])
    layer.fails = False
    assert layer(X).shape == (6, 3)
    assert len(layer.weights) == 2


def test_add_weight_takes_keras_arguments_in_keras_order():
    layer = layers.Layer()
    weights = [
        layer.add_weight((2, 3), "ones", "float32", False, True, "l2", "non_neg", None, False, "w"),
        layer.add_weight(),
        layer.add_weight(4),
        layer.add_weight(np.array([2, 2]), dtype=np.float32),
    ]
    assert [(w.name, w.shape) for w in weights] == [
        ("w", (2, 3)), ("variable", ()), ("variable_1", (4,)), ("variable_2", (2, 2))
    ]  # fmt: skip
    assert (weights[0].trainable, weights[0].regularizer.l2) == (False, 0.01)
    assert isinstance(weights[0].constraint, fastconv.constraints.NonNeg)
    assert 0 < np.abs(weights[3].value).max() <= np.sqrt(6 / 4)  # glorot_uniform
    for arguments, message in (
        ({"dtype": "int32"}, "add_weight: dtype='int32' is not supported, numbers are float32"),
        ({"dtype": "bfloat16"}, "dtype='bfloat16'"),
        ({"shape": (2, -1)}, "every size of a weight's shape must be a whole number"),
        ({"shape": (2, None)}, r"\(2, None\), depends on a size of its input that is left open"),
        ({"overwrite_with_gradient": True}, "'overwrite_with_gradient' is not supported"),
        (
            {"shape": (2,), "initializer": lambda shape: np.zeros(3)},
            r"has shape \(2,\), its initializer made \(3,\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            layer.add_weight(**arguments)
    assert len(layer.weights) == 4


@pytest.mark.parametrize(
    "arguments",
    ["", ", training", ", training=None", ", *, training", ", mask=None, training=False", ", **more"],
)
def test_call_is_given_training_where_it_takes_it(arguments):
    seen = []
    training = {"": "None", ", **more": "more['training']"}.get(arguments, "training")
    names = {"seen": seen}
    exec(f"def call(self, x{arguments}):\n    seen.append({training})\n    return x", names)
    layer = type("Own", (layers.Layer,), {"call": names["call"]})()
    layer.build((5,))
    seen.clear()
    layer(X, training=True)
    layer(X)
    assert seen == ([None, None] if training == "None" else [True, False])


def test_a_subclass_may_call_the_base_without_training():
    class Doubled(layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    class Negative(Sequential):
        def call(self, inputs):
            return -super().call(inputs)

    doubled, dropped = Doubled(3, "tanh"), Negative([layers.Dropout(0.5)])
    np.testing.assert_allclose(doubled(X), 2 * np.tanh(X @ doubled.kernel), rtol=1e-5)
    np.testing.assert_array_equal(dropped(X), -X)


def test_add_loss_counts_until_the_next_forward():
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(0.5)
            self.add_loss([np.float32(0.25), np.sum(x[:1] * 0)])
            return x

        def backward(self, dy, input_gradient=True):
            return dy

    model = Sequential([layers.Input((5,)), layers.Dense(2, "linear"), Penalty()])
    layer = model.layers[1]
    assert layer.losses == []
    model(X)
    model(X)
    assert layer.losses == [0.5, 0.25, 0.0] == model.losses
    model.compile(optimizers.SGD(0.0), "mse")
    plain = np.mean(np.square(model(X) - X[:, :2]))
    assert model.train_on_batch(X, X[:, :2]) == pytest.approx(plain + 0.75, rel=1e-6)
    assert model.evaluate(X, X[:, :2], verbose=0) == pytest.approx(plain + 0.75, rel=1e-6)
    with pytest.raises(TypeError, match="add_loss takes a number"):
        layer.add_loss(lambda: 3)
    with pytest.raises(ValueError, match=r"one number, got an array of shape \(2,\)"):
        layer.add_loss(np.ones(2))


@pytest.mark.parametrize("jit_compile", [True, False])
def test_add_loss_counts_beside_a_program_too(jit_compile):
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(0.75)
            return x

    images, labels = np.ones((4, 6, 6, 1), np.float32), np.arange(4)
    parts = [layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(4, "softmax")]
    model = Sequential([layers.Input((6, 6, 1)), Penalty(), *parts])
    model.compile(optimizers.SGD(0.0), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    plain = -np.log(model.predict(images, verbose=0)[range(4), labels]).mean()
    for _ in range(2):
        assert model.train_on_batch(images, labels) == pytest.approx(plain + 0.75, rel=1e-5)
        assert model.test_on_batch(images, labels) == pytest.approx(plain + 0.75, rel=1e-5)


def test_a_layer_without_a_backward_says_what_is_missing():
    class Half(layers.Layer):
        def call(self, x):
            return x / 2

    model = Sequential([layers.Input((5,)), layers.Dense(2), Half()])
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict(X, verbose=0), model.layers[0](X) / 2)
    with pytest.raises(NotImplementedError, match=r"Half has no backward\(dy\): there is no automatic"):
        model.fit(X, X[:, :2], verbose=0)


@pytest.mark.parametrize(
    "hold",
    [
        lambda inner: inner,
        lambda inner: [1, inner],
        lambda inner: (inner,),
        lambda inner: {"a": [{"b": inner}]},
        lambda inner: {inner},
    ],
    ids=["itself", "list", "tuple", "dictionary", "set"],
)
@pytest.mark.parametrize(
    "made", [lambda: layers.Dense(5), lambda: Sequential([layers.Dense(5)])], ids=["layer", "model"]
)
def test_layers_inside_a_layer_are_its_parts(hold, made):
    inner = made()

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = hold(inner)

        def call(self, x):
            return x + inner(x)

    class Later(layers.Layer):
        def __init__(self):
            super().__init__()
            self.held = []
            self.held.append(hold(inner))

        def call(self, x):
            return inner(x) - x

    class Network(Sequential):
        def __init__(self):
            super().__init__([layers.Input((5,)), layers.Activation("tanh")])
            self.head = hold(inner)

        def call(self, x):
            return inner(super().call(x))

    for cls in (Block, Later):
        model = Sequential([layers.Input((5,)), cls()])
        assert model.layers[0].parts() == [inner]
        assert [weight.shape for weight in model.weights] == [(5, 5), (5,)]
    model = Network()
    assert [weight.shape for weight in model.weights] == [(5, 5), (5,)]
    for trained in (Sequential([layers.Input((5,)), Block()]), model):
        before = inner.get_weights()[0]
        trained.compile("sgd", "mse")
        trained.fit(X, 2 * X, verbose=0)
        assert np.abs(inner.get_weights()[0] - before).max() > 0
        trained.trainable = False
        assert inner.trainable is False
        inner.trainable = True


def test_weights_that_are_not_the_layers_own_are_an_error():
    class Own(layers.Layer):
        def create_weights(self, input_shape):
            self.w = Parameter(np.ones(5))

        def call(self, x):
            return x * self.w

    with pytest.raises(TypeError, match=r"'w' holds <Parameter .*>, which is no weight .*add_weight"):
        Own()(X)
    dense = layers.Dense(2)
    dense(X)
    with pytest.raises(TypeError, match="no weight of this layer or its parts"):
        layers.Dense(2).kernel = dense.kernel


def test_a_call_that_fails_on_zeros_and_one_that_returns_no_array_of_examples():
    class Failing(layers.Layer):
        def call(self, x):
            raise ArithmeticError("no zeros here")

    class Mean(layers.Layer):
        def call(self, x):
            return x.mean()

    class Nothing(layers.Layer):
        def call(self, x):
            pass

    for layer, message in (
        (Failing(), r"call on zeros of shape \(1, 5\), and that failed with ArithmeticError: no zeros here"),
        (Mean(), r"one output for each example, and for one example \(5,\) returned shape \(\)"),
        (Nothing(), "one output for each example"),
    ):
        with pytest.raises(ValueError, match=message):
            layer.build((5,))
        assert layer.output_shape is None
    with pytest.raises(ValueError, match="does not say its output shape before it is built"):
        Linear().compute_output_shape((5,))


def test_finding_the_shape_moves_no_count_and_no_random_numbers():
    class Noisy(layers.Layer):
        def __init__(self):
            super().__init__()
            self.random, self.calls, self.seen = np.random.default_rng(3), 0, []
            self.total = self.add_weight(initializer="zeros", trainable=False)

        def call(self, x):
            self.calls += 1
            self.total.assign_add(1)
            self.seen.append(x)
            return x + self.random.random(x.shape)

    layer = Noisy()
    layer.build((5,))
    assert (layer.calls, layer.seen, float(layer.total)) == (0, [], 0)
    np.testing.assert_array_equal(layer(X), X + np.random.default_rng(3).random(X.shape))


def test_configurations_of_layers_that_do_not_tell_theirs():
    class Plain(layers.Layer):
        def __init__(self, slope, names=("a", "b"), *, more=None):
            super().__init__()
            self.slope = slope

        def call(self, x):
            return x * self.slope

    layer = Plain(0.5, names=["c"])
    layer.trainable = False
    assert layer.get_config() == {"slope": 0.5, "names": ["c"], "name": layer.name, "trainable": False}
    same = layers.deserialize(layers.serialize(layer), {"Plain": Plain})
    assert (same.slope, same.name, same.trainable) == (0.5, layer.name, False)
    assert copy.deepcopy(layer).get_config() == layer.get_config()

    class Child(Plain):
        pass

    class Fixed(Plain):
        def __init__(self, factor, **options):
            super().__init__(2 * factor)

    for other, expected in ((Child(0.5), {"slope": 0.5}), (Fixed(3), {"factor": 3})):
        assert other.get_config() == {**expected, "name": other.name, "trainable": True}
        assert type(other).from_config(other.get_config()).slope == other.slope
    with pytest.raises(TypeError, match=r"its argument 'slope' is array.* define get_config\(\)"):
        layers.serialize(Plain(np.ones(5)))
    assert repr(Plain(2)).startswith("Plain(name=")


def test_a_list_that_holds_itself_and_a_constructor_that_forgets_the_base_class():
    layer = layers.ReLU()
    around = [1]
    around.append(around)
    layer.around = around
    assert layer.around is around

    class Forgetful(layers.Layer):
        def __init__(self):
            self.units = (3,)

        def call(self, x):
            return x

    with pytest.raises(
        AttributeError, match=r"Forgetful has no .*its __init__ must begin with super\(\).__init__"
    ):
        Forgetful()(X)
    with pytest.raises(AttributeError, match="'ReLU' object has no attribute 'unts'"):
        layer.unts  # noqa: B018
