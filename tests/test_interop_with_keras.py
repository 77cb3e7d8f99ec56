"""Files that Keras wrote are read, and files for Keras are read by it: against Keras itself."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import interop_networks as networks
import numpy as np
import pytest

import fastconv
from fastconv import applications
from fastconv.models import load_model

keras = pytest.importorskip("keras", minversion="3.15", reason="needs Keras 3.15")
pytest.importorskip("h5py", reason="needs h5py")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of Keras and what it imports


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.fixture(params=networks.NETWORKS)
def network(request):
    keras.utils.clear_session()
    return networks.NETWORKS[request.param]


def test_keras_files_are_read(network, tmp_path):
    model = network(keras)
    networks.scramble(model)
    x = networks.inputs_of(model)
    y = networks.outputs_of(model, x)
    model.save(tmp_path / "net.keras")
    model.save_weights(tmp_path / "net.weights.h5")
    if network is not networks.augmentation:  # which Keras cannot write as HDF5
        model.save(tmp_path / "net.h5")
    for path in tmp_path.iterdir():
        if not path.name.endswith(".weights.h5"):
            assert_same(networks.outputs_of(load_model(path), x), y)
        made = network(fastconv)
        networks.scramble(made, seed=2)
        made.load_weights(path)
        assert_same(networks.outputs_of(made, x), y)


def test_files_for_keras_are_read_by_it(network, tmp_path):
    model = network(fastconv)
    networks.scramble(model)
    x = networks.inputs_of(model)
    y = networks.outputs_of(model, x)
    model.save(tmp_path / "net.keras")
    model.save_weights(tmp_path / "net.weights.h5")
    made = keras.saving.load_model(tmp_path / "net.keras")
    assert_same(networks.outputs_of(made, x), y)
    other = network(keras)
    other.load_weights(tmp_path / "net.weights.h5")
    assert_same(networks.outputs_of(other, x), y)
    made.save(tmp_path / "again.keras")
    for path in ("net.keras", "again.keras"):
        again = load_model(tmp_path / path)
        assert_same(networks.outputs_of(again, x), y)
        assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


APPLICATIONS = {
    "DSCNN": lambda: applications.DSCNN(),
    "CS231nNet": lambda: applications.CS231nNet(),
    "Cifar10CNN": lambda: applications.Cifar10CNN(),
    "ConvAutoencoder": lambda: applications.ConvAutoencoder(),
    "ConvNetJSCifar10": lambda: applications.ConvNetJSCifar10(),
    "FashionCNN": lambda: applications.FashionCNN(),
    "LeNet5": lambda: applications.LeNet5(),
    "MobileNetV1": lambda: applications.MobileNetV1(),
    "ResNet8": lambda: applications.ResNet8(),
    "ResNet20": lambda: applications.ResNet20(),
    "UNet": lambda: applications.UNet((32, 32, 1)),
}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications_there_and_back(name, tmp_path):
    keras.utils.clear_session()
    model = APPLICATIONS[name]()
    x = networks.inputs_of(model)
    y = networks.outputs_of(model, x)
    model.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    assert_same(networks.outputs_of(theirs, x), y)
    theirs.save(tmp_path / "theirs.keras")
    assert_same(networks.outputs_of(load_model(tmp_path / "theirs.keras"), x), y)


def classes_of_ones_own(k):
    """A layer made of layers, and a subclassed model, in either library."""
    L = k.layers

    class Block(L.Layer):
        def __init__(self, filters, **options):
            super().__init__(**options)
            self.filters = filters
            self.conv, self.norm = L.Conv2D(filters, 1), L.BatchNormalization()
            self.more = [L.Conv2D(filters, 3, padding="same"), L.Conv2D(filters, 1)]

        def build(self, input_shape):
            if k is fastconv:
                return super().build(input_shape)
            self.conv.build(input_shape)
            for layer in (self.norm, *self.more):
                layer.build((*input_shape[:-1], self.filters))
            self.built = True

        def call(self, x):
            x = self.norm(self.conv(x))
            for layer in self.more:
                x = layer(x)
            return x

        def get_config(self):
            return {**super().get_config(), "filters": self.filters}

    class Net(k.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.z, self.a = L.Conv2D(3, 3), Block(3)
            self.flat, self.top = L.Flatten(), L.Dense(2)

        def call(self, x):
            return self.top(self.flat(self.a(self.z(x))))

    return Block, Net


def test_classes_of_ones_own(tmp_path):
    (their_block, their_net), (block, net) = map(classes_of_ones_own, (keras, fastconv))
    x = [np.random.default_rng(2).random((2, 6, 6, 2), np.float32)]
    L = keras.layers
    theirs = keras.Sequential([L.Input((6, 6, 2)), their_block(3, name="block"), L.Flatten()])
    networks.scramble(theirs)
    theirs.save(tmp_path / "theirs.keras")
    ours = load_model(tmp_path / "theirs.keras", custom_objects={"Block": block})
    assert_same(networks.outputs_of(ours, x), networks.outputs_of(theirs, x))
    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras", custom_objects={"Block": their_block})
    assert_same(networks.outputs_of(again, x), networks.outputs_of(theirs, x))

    theirs, ours = their_net(), net()
    theirs(x[0])
    ours.build((None, 6, 6, 2))
    networks.scramble(theirs)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert_same(networks.outputs_of(ours, x), networks.outputs_of(theirs, x))
    networks.scramble(ours, seed=5)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    assert_same(networks.outputs_of(theirs, x), networks.outputs_of(ours, x))


OPTIMIZERS = {
    "sgd": lambda k: k.optimizers.SGD(0.1),
    "momentum": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda k: k.optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "adamw": lambda k: k.optimizers.AdamW(0.01),
    "nadam": lambda k: k.optimizers.Nadam(0.01),
    "adamax": lambda k: k.optimizers.Adamax(0.01),
    "adagrad": lambda k: k.optimizers.Adagrad(0.01),
    "adadelta": lambda k: k.optimizers.Adadelta(0.1),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "averaged": lambda k: k.optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2),
    "schedule": lambda k: k.optimizers.SGD(
        k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9
    ),
}


def trained(k, optimizer):
    """A model after three steps, and the batch to go on with."""
    rng = np.random.default_rng(3)
    L = k.layers
    inputs = L.Input((5,))
    x = L.Dense(4, activation="tanh", name="a")(inputs)
    x = L.BatchNormalization(name="norm")(x)
    model = k.Model(inputs, L.Dense(3, activation="softmax", name="b")(x))
    model.compile(
        OPTIMIZERS[optimizer](k),
        k.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", k.metrics.SparseTopKCategoricalAccuracy(2)],
    )
    networks.scramble(model)
    batches = [(rng.random((8, 5), np.float32), rng.integers(0, 3, 8)) for _ in range(7)]
    for x, y in batches[:3]:
        model.train_on_batch(x, y)
    return model, batches[3:]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_training_begun_in_keras_goes_on(optimizer, suffix, tmp_path):
    if optimizer == "schedule" and suffix == ".h5":
        pytest.skip("Keras cannot write a schedule as HDF5")
    keras.utils.clear_session()
    theirs, rest = trained(keras, optimizer)
    theirs.save(tmp_path / f"net{suffix}")
    ours = load_model(tmp_path / f"net{suffix}")
    assert ours.optimizer.iterations == (1 if optimizer == "averaged" else 3)
    for x, y in rest:
        for model in (theirs, ours):
            model.train_on_batch(x, y)
    assert_same([np.asarray(w) for w in ours.get_weights()], [np.asarray(w) for w in theirs.get_weights()])


@pytest.mark.filterwarnings("error:Skipping variable loading")
def test_what_compile_chose_by_output(tmp_path):
    L = fastconv.layers
    a, b = L.Input((3,), name="a"), L.Input((2,), name="b")
    model = fastconv.Model([a, b], {"p": L.Dense(2, name="p")(a), "q": L.Dense(1, name="q")(b)})
    model.compile(
        fastconv.optimizers.SGD(fastconv.optimizers.schedules.CosineDecay(0.1, 10)),
        {"p": "mse", "q": fastconv.losses.Huber()},
        loss_weights={"p": 1.0, "q": 0.5},
        metrics={"p": ["mae"], "q": [fastconv.metrics.RootMeanSquaredError()]},
        weighted_metrics={"q": ["mse"]},
    )
    model.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    loaded = load_model(tmp_path / "theirs.keras")
    x, y = [np.ones((4, 3)), np.ones((4, 2))], {"p": np.ones((4, 2)), "q": np.ones((4, 1))}
    found = [net.evaluate(x, y, verbose=0, return_dict=True) for net in (model, theirs, loaded)]
    assert found[0].keys() == found[1].keys() == found[2].keys()
    assert len(found[0]) == 6
    for name, value in found[0].items():
        np.testing.assert_allclose([other[name] for other in found[1:]], value, rtol=1e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_begun_here_goes_on_in_keras(optimizer, tmp_path):
    keras.utils.clear_session()
    ours, rest = trained(fastconv, optimizer)
    ours.save(tmp_path / "net.keras")
    theirs = keras.saving.load_model(tmp_path / "net.keras")
    for x, y in rest:
        for model in (theirs, ours):
            model.train_on_batch(x, y)
    assert_same([np.asarray(w) for w in theirs.get_weights()], [np.asarray(w) for w in ours.get_weights()])


OPERATIONS = {
    "add": lambda k, x, y: x + y,
    "numbers": lambda k, x, y: (2.0 - x) / 4.0 + 3.0 * y - 1.0,
    "quotient": lambda k, x, y: 1.0 / (x * x + 1.5) - y / (x + 2.5),
    "negative": lambda k, x, y: -x,
    "extremes": lambda k, x, y: k.ops.maximum(x, y) - k.ops.minimum(x, y),
    "maximum_of_0": lambda k, x, y: k.ops.maximum(0, x - 0.4),
    "square": lambda k, x, y: k.ops.square(x),
    "relu": lambda k, x, y: k.ops.relu(x - 0.5),
    "activations": lambda k, x, y: k.ops.sigmoid(x) + k.ops.tanh(y) + k.ops.silu(x) + k.ops.softplus(y),
    "more": lambda k, x, y: k.ops.gelu(x) + k.ops.gelu(y, approximate=False) + k.ops.elu(x - 0.5, alpha=0.7),
    "leaky": lambda k, x, y: k.ops.leaky_relu(x - 0.5, negative_slope=0.3) + k.ops.exp(y),
    "softmax": lambda k, x, y: k.ops.softmax(x, axis=-1) + k.ops.log_softmax(y),
    "hard": lambda k, x, y: k.ops.hard_sigmoid(x) + k.ops.hard_silu(y) + k.ops.relu6(x) + k.ops.selu(y),
    "reshape": lambda k, x, y: k.ops.reshape(x, (-1, 2, 8, 3)),
    "transpose": lambda k, x, y: k.ops.transpose(x, (0, 2, 1, 3)),
    "concatenate": lambda k, x, y: k.ops.concatenate([x, y], axis=-1),
    "mean": lambda k, x, y: k.ops.mean(x, axis=(1, 2)),
    "max": lambda k, x, y: k.ops.max(x, axis=[1, 2], keepdims=True),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_bare_operations(name, suffix, tmp_path):
    keras.utils.clear_session()
    inputs = keras.Input((4, 4, 3))
    x, y = keras.layers.Conv2D(3, 1)(inputs), keras.layers.Conv2D(3, 1)(inputs)
    model = keras.Model(inputs, keras.layers.Flatten()(OPERATIONS[name](keras, x, y)))
    networks.scramble(model)
    path = tmp_path / f"net{suffix}"
    model.save(path)
    batch = networks.inputs_of(model)
    assert_same(networks.outputs_of(load_model(path), batch), networks.outputs_of(model, batch))


def test_operations_without_an_equal_are_named(tmp_path):
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.ops.sum(inputs, axis=1))
    model.save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"operation 'sum\w*', keras.ops.sum\(a tensor, axis=1"):
        load_model(tmp_path / "net.keras")


def test_calls_keep_training_only_where_it_was_given(tmp_path):
    keras.utils.clear_session()
    L = keras.layers
    inputs = L.Input((6,))
    x = L.GaussianNoise(0.5, name="noise")(L.Dropout(0.5, name="drop")(inputs))
    frozen = keras.Sequential([L.Input((6,)), L.BatchNormalization()], name="frozen")
    model = keras.Model(inputs, frozen(x, training=False))
    model.save(tmp_path / "net.keras")
    loaded = load_model(tmp_path / "net.keras")
    ones = np.ones((4, 6), np.float32)
    assert np.asarray(loaded(ones, training=True)).std() > 0.1
    calls = {node.layer.name: node.kwargs for node in loaded.graph.nodes}
    assert (calls["drop"], calls["noise"], calls["frozen"]) == ({}, {}, {"training": False})


def test_layers_that_are_missing_here_are_named(tmp_path):
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2, name="memory")])
    model.save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"the layer 'memory' \(GRU\): .*GRU"):
        load_model(tmp_path / "net.keras")
