"""Training networks that are no chains: Keras' losses on the same weights and batches, and Keras' ways to say
it."""

import json
from pathlib import Path

import graph_networks as networks
import numpy as np
import pytest

import fastconv
from fastconv import Model, layers, optimizers

GOLDEN = json.loads((Path(__file__).parent / "golden" / "graphs.json").read_text())
CASES = [(name, optimizer) for name in networks.NETWORKS for optimizer in networks.OPTIMIZERS]


# Twenty layers of ReLU at batches of 8 are chaotic: one unit that is on the other side of zero, by the
# rounding of Winograd's algorithm, is a thousandth of the loss ten steps later.
CALM_STEPS = {("resnet20", "auto"): 4}


@pytest.mark.parametrize("jit_compile", ["auto", False])
@pytest.mark.parametrize(("name", "optimizer"), CASES)
def test_losses_are_those_of_keras(name, optimizer, jit_compile):
    model = networks.NETWORKS[name](fastconv)
    assert model.count_params() == GOLDEN[name][optimizer]["params"]
    networks.start(model)
    config = {"class_name": optimizer, "config": networks.OPTIMIZERS[optimizer]}
    arguments = networks.compile_arguments(name)
    model.compile(optimizers.get(config), **arguments, jit_compile=jit_compile)
    found = []
    for x, y in networks.batches(name, *networks.shapes(name, model)):
        found.append(model.train_on_batch(x, y, return_dict=True)["loss"])
    steps = CALM_STEPS.get((name, jit_compile), len(found))
    expected = GOLDEN[name][optimizer]["losses"]
    np.testing.assert_allclose(found[:steps], expected[:steps], rtol=1e-5, atol=1e-5)


def two_heads():
    image, extra = layers.Input((4, 4, 1), name="image"), layers.Input((3,), name="extra")
    x = layers.Concatenate()([layers.Flatten()(image), extra])
    x = layers.Dense(8, activation="tanh")(x)
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    size = layers.Dense(1, name="size")(x)
    return Model([image, extra], [kind, size], name="two_heads")


def data(n=24):
    rng = np.random.default_rng(0)
    x = {"image": rng.random((n, 4, 4, 1), np.float32), "extra": rng.random((n, 3), np.float32)}
    y = {"kind": rng.integers(0, 3, n), "size": rng.random((n, 1), np.float32)}
    return x, y


LOSSES = {"kind": "sparse_categorical_crossentropy", "size": "mse"}


def test_logs_are_named_as_in_keras():
    x, y = data()
    model = two_heads()
    model.compile("sgd", loss=LOSSES, metrics={"kind": ["accuracy"], "size": ["mae"]})
    history = model.fit(x, y, epochs=2, verbose=0, validation_split=0.25).history
    # What Keras 3.15 gives for the same lines: sorted(history)
    names = ["kind_accuracy", "kind_loss", "loss", "size_loss", "size_mae"]
    assert sorted(history) == sorted([*names, *(f"val_{name}" for name in names)])
    for logs in zip(*(history[name] for name in ("loss", "kind_loss", "size_loss")), strict=True):
        assert logs[0] == pytest.approx(logs[1] + logs[2])
    assert model.metrics_names == ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"]


def fitted(x, y, loss=None, metrics=None, **options):
    model = two_heads()
    model.set_weights([np.full(w.shape, 0.1 * (i + 1), np.float32) for i, w in enumerate(model.weights)])
    model.compile("sgd", loss=loss or LOSSES, metrics=metrics)
    model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0, **options)
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_lists_dictionaries_and_batches_are_the_same_data():
    x, y = data()
    expected = fitted(x, y)
    listed = [x["image"], x["extra"]], [y["kind"], y["size"]]
    np.testing.assert_array_equal(fitted(*listed), expected)
    np.testing.assert_array_equal(fitted(x, listed[1], loss=[LOSSES["kind"], LOSSES["size"]]), expected)
    batches = [
        ({name: a[i : i + 8] for name, a in x.items()}, [a[i : i + 8] for a in listed[1]]) for i in (0, 8, 16)
    ]
    np.testing.assert_array_equal(fitted(batches, None), expected)


@pytest.mark.parametrize("kind", [tuple, list])
def test_validation_data_of_several_inputs(kind):
    x, y = data()
    model = two_heads()
    model.compile(optimizers.SGD(0.0), loss=LOSSES)
    inputs, targets = kind([x["image"], x["extra"]]), kind([y["kind"], y["size"]])
    expected = model.evaluate(x, y, verbose=0)[0]
    whole_batch = (tuple(inputs), tuple(targets))
    for validation in ((inputs, targets), (inputs, targets, np.ones(24)), (whole_batch,), [whole_batch] * 2):
        logs = model.fit(inputs, targets, validation_data=validation, verbose=0).history
        assert logs["val_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_model_with_a_call_of_its_own_is_built_for_the_inputs_it_is_given(kind):
    class Joined(Model):
        def __init__(self):
            super().__init__()
            self.join, self.out = layers.Concatenate(), layers.Dense(1)

        def call(self, inputs):
            left, right = inputs
            return self.out(self.join([left, right]))

    left, right = np.random.default_rng(0).random((2, 6, 4), np.float32)
    inputs = kind([left, right[:, :3]])
    for use in (
        lambda model: model.fit(inputs, left[:, :1], verbose=0),
        lambda model: model.evaluate(inputs, list(left[:, 0]), verbose=0),
        lambda model: model.train_on_batch(inputs, left[:, :1]),
        lambda model: model.predict(inputs, verbose=0),
        lambda model: model.predict_on_batch(inputs),
    ):
        model = Joined()
        model.compile("sgd", "mse")
        use(model)
        kernel, bias = model.get_weights()
        expected = np.concatenate(inputs, axis=1) @ kernel + bias
        np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_lists_of_examples_stay_examples():
    class Plain(Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)

        def call(self, x):
            return self.out(x)

    rows = list(np.random.default_rng(0).random((3, 3), np.float32))
    model = Plain()
    model.compile("sgd", "mse")
    model.fit(rows, [1.0, 2.0, 3.0], verbose=0)
    assert model.input_shape == (None, 3)
    assert Plain().predict(rows, verbose=0).shape == (3, 1)


def test_sample_weights_by_output():
    x, y = data()
    model = two_heads()
    model.compile("sgd", loss=LOSSES)
    weights = {"kind": np.linspace(0, 1, 24), "size": np.linspace(2, 0, 24)}
    logs = model.evaluate(x, y, sample_weight=weights, batch_size=24, verbose=0, return_dict=True)
    kind, size = model.predict(x, verbose=0)
    expected = [
        fastconv.losses.get(LOSSES[name])(y[name], prediction, weights[name])
        for name, prediction in (("kind", kind), ("size", size))
    ]
    assert logs["kind_loss"] == pytest.approx(expected[0], rel=1e-5)
    assert logs["size_loss"] == pytest.approx(expected[1], rel=1e-5)
    assert logs["loss"] == pytest.approx(sum(expected), rel=1e-5)
    with pytest.raises(ValueError, match="class_weight is for models with one output"):
        model.fit(x, y, class_weight={0: 1.0}, verbose=0)


def test_an_output_without_a_loss_is_not_judged():
    x, y = data()
    model = two_heads()
    model.compile("sgd", loss={"kind": LOSSES["kind"]})
    size = model.get_layer("size").get_weights()
    model.fit(x, y, verbose=0)
    for before, after in zip(size, model.get_layer("size").get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


def test_predict_nests_as_the_outputs():
    x, _ = data()
    model = two_heads()
    kind, size = model.predict(x, batch_size=10, verbose=0)
    assert kind.shape == (24, 3)
    assert size.shape == (24, 1)
    for inputs in (x, [x["image"], x["extra"]], (x["image"], x["extra"])):
        for found, expected in zip(model.predict_on_batch(inputs), (kind, size), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    named = Model(model.inputs, {"k": model.outputs[0], "s": model.outputs[1]})
    found = named.predict(x, batch_size=7, verbose=0)
    np.testing.assert_allclose(found["k"], kind, atol=1e-6)
    np.testing.assert_allclose(found["s"], size, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"nobody": "mse"}}, r"keys \['nobody'\], but the outputs are \['kind', 'size'\]"),
        ({"loss": ["mse"]}, "loss has 1 items, but the model has 2 outputs"),
        ({"loss": LOSSES, "loss_weights": [1]}, "loss_weights has 1 items"),
        ({"loss": {"kind": None, "size": None}}, "judges none of the outputs"),
    ],
)
def test_compile_says_what_does_not_fit_the_outputs(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_heads().compile("sgd", **arguments)


def test_data_that_does_not_fit_the_inputs():
    x, y = data()
    model = two_heads()
    model.compile("sgd", loss=LOSSES)
    with pytest.raises(
        ValueError, match=r"x is a dictionary with the keys \['image'\]; the inputs .*'extra'"
    ):
        model.fit({"image": x["image"]}, y, verbose=0)
    with pytest.raises(ValueError, match=r"x must be a list of 2 arrays.*got 1 items"):
        model.fit([x["image"]], y, verbose=0)
    with pytest.raises(ValueError, match="same length"):
        model.fit({**x, "extra": x["extra"][:5]}, y, verbose=0)
    with pytest.raises(ValueError, match="input 'image' has the shape"):
        model.fit({**x, "image": x["image"][:, :3]}, y, verbose=0)


def difference(keyed=False):
    a, b = layers.Input((4,), name="zz"), layers.Input((4,), name="aa")
    return Model({"k1": a, "k2": b} if keyed else [a, b], layers.Subtract()([a, b]))


def test_a_dictionary_in_a_call_goes_by_the_names_of_the_inputs():
    model, ones = difference(), np.ones((4, 4), np.float32)
    named = {"zz": ones, "aa": ones + 1}
    for found in (model(named), model.forward(named), model.predict(named, verbose=0)):
        np.testing.assert_array_equal(found, -ones)
    p, q = layers.Input((4,), name="p"), layers.Input((4,), name="q")
    outer = Model([p, q], model({"aa": q, "zz": p}))
    np.testing.assert_array_equal(outer.predict([ones, ones + 1], verbose=0), -ones)
    for use in (model, model.forward):
        with pytest.raises(
            ValueError, match=r"keys \['q', 'r'\]; the inputs of the model are \['zz', 'aa'\]"
        ):
            use({"q": ones, "r": ones})
    with pytest.raises(ValueError, match=r"keys \['p', 'q'\]; the inputs"):
        model({"p": p, "q": q})
    keyed = difference(keyed=True)
    np.testing.assert_array_equal(keyed({"k2": ones + 1, "k1": ones}), -ones)
    with pytest.raises(ValueError, match=r"a dictionary with the keys \['k1', 'k2'\], got a list"):
        keyed([ones, ones + 1])


def test_a_dictionary_for_the_only_input_has_its_name():
    ones = np.ones((4, 4), np.float32)
    x = layers.Input((4,), name="x")
    model = Model(x, layers.Rescaling(2.0)(x))
    np.testing.assert_array_equal(model.predict({"x": ones}, verbose=0), 2 * ones)
    np.testing.assert_array_equal(model({"x": ones}), 2 * ones)
    for use in (model.predict, model.predict_on_batch, model):
        with pytest.raises(ValueError, match=r"keys \['nonsense'\]; the inputs of the model are \['x'\]"):
            use({"nonsense": ones})


def two_outputs():
    x = layers.Input((4,), name="x")
    return Model(x, [layers.Dense(4, name="o1")(x), layers.Dense(4, name="o2")(x)])


def test_lists_of_one_loss_in_a_dictionary():
    ones = np.ones((4, 4), np.float32)
    model = two_outputs()
    model.compile("sgd", loss={"o1": "mse", "o2": ["mse"]})
    assert {"o1_loss", "o2_loss"} <= model.fit(ones, [ones, ones], verbose=0).history.keys()
    with pytest.raises(ValueError, match="loss has 2 items, but the model has one output"):
        model.compile("sgd", loss={"o1": "mse", "o2": ["mse", "mae"]})


class TwoOutputs(Model):
    def __init__(self, in_dictionary):
        super().__init__()
        self.in_dictionary, self.p, self.q = in_dictionary, layers.Dense(4), layers.Dense(4)

    def call(self, x):
        p, q = self.p(x), self.q(x)
        return {"q": q, "p": p} if self.in_dictionary else (p, q)


@pytest.mark.parametrize("in_dictionary", [False, True])
def test_a_model_with_a_call_of_its_own_is_built_for_several_targets(in_dictionary):
    x = np.random.default_rng(0).random((6, 4), np.float32)
    y = {"q": x + 1, "p": x} if in_dictionary else [x, x + 1]
    for use in (
        lambda model: model.fit(x, y, verbose=0),
        lambda model: model.evaluate(x, y, verbose=0),
        lambda model: model.train_on_batch(x, y),
    ):
        model = TwoOutputs(in_dictionary)
        model.compile("sgd", "mse")
        use(model)
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        found = model.predict(x, verbose=0)
        p, q = (found["p"], found["q"]) if in_dictionary else found
        expected = np.mean((p - x) ** 2), np.mean((q - x - 1) ** 2)
        assert logs["loss"] == pytest.approx(sum(expected), rel=1e-5)
        if in_dictionary:
            assert logs["p_loss"] == pytest.approx(expected[0], rel=1e-5)
            assert logs["q_loss"] == pytest.approx(expected[1], rel=1e-5)


class KeyedDifference(Model):
    def __init__(self):
        super().__init__()
        self.difference = layers.Subtract()

    def call(self, x):
        return self.difference([x["k1"], x["k2"]])


@pytest.mark.parametrize("make", [KeyedDifference, lambda: difference(keyed=True)])
def test_inputs_in_a_dictionary_go_by_its_keys(make):
    ones = np.ones((4, 4), np.float32)
    x = {"k2": ones + 1, "k1": ones}
    for use in (
        lambda model: model.fit(x, -ones, verbose=0),
        lambda model: model.predict(x, verbose=0),
        lambda model: model(x),
    ):
        model = make()
        model.compile("sgd", "mse")
        use(model)
        assert model.evaluate(x, -ones, verbose=0) == model.evaluate([(x, -ones)], verbose=0) == 0
        np.testing.assert_array_equal(model.predict(x, verbose=0), -ones)
        with pytest.raises(
            ValueError, match=r"keys \['k1', 'zz'\]; the inputs of the model are \['k1', 'k2'\]"
        ):
            model.predict({"k1": ones, "zz": ones}, verbose=0)


def test_outputs_in_a_dictionary_go_by_its_keys():
    x = layers.Input((4,), name="x")
    model = Model(x, {"q": layers.Dense(4, name="d1")(x), "p": layers.Dense(4, name="d2")(x)})
    ones = np.ones((4, 4), np.float32)
    model.compile("sgd", loss={"q": "mse", "p": "mae"}, metrics={"q": ["mae"]})
    history = model.fit(ones, {"q": ones, "p": 2 * ones}, verbose=0).history
    assert sorted(history) == ["loss", "p_loss", "q_loss", "q_mae"]
    found = model.predict(ones, verbose=0)
    logs = model.evaluate(ones, {"p": 2 * ones, "q": ones}, verbose=0, return_dict=True)
    assert logs["p_loss"] == pytest.approx(np.mean(np.abs(found["p"] - 2 * ones)), rel=1e-5)
    assert logs["q_loss"] == pytest.approx(np.mean((found["q"] - ones) ** 2), rel=1e-5)


def test_messages_name_the_input_or_output():
    x, y = data()
    model = two_heads()
    model.compile("sgd", loss=LOSSES)
    inputs, targets = [x["image"], x["extra"]], [y["kind"], y["size"]]
    message = r"x and y .* same length, got 24 \(x of the input 'image'\) and 5 \(y of the output 'size'\)"
    with pytest.raises(ValueError, match=message):
        model.fit(inputs, [y["kind"], y["size"][:5]], verbose=0)
    with pytest.raises(ValueError, match=r"and 5 \(x of the input 'extra'\)"):
        model.predict([x["image"], x["extra"][:5]], verbose=0)
    with pytest.raises(ValueError, match=r"and 5 \(sample_weight of the output 'kind'\)"):
        model.fit(inputs, targets, sample_weight=[np.ones(5), None], verbose=0)
    for use in (model.predict, model.predict_on_batch, lambda given: model.fit(given, targets, verbose=0)):
        with pytest.raises(ValueError, match="x is None for the input 'extra'"):
            use([x["image"], None])
    with pytest.raises(ValueError, match="loss_weights must be numbers, got 'x' for the output 'kind'"):
        model.compile("sgd", loss=LOSSES, loss_weights={"kind": "x"})


def test_loss_and_metrics_of_targets_nested_as_given():
    """As the steps of a subclass ask for them, for a model of several inputs."""
    model = two_heads()
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]])
    x, y = data()
    outputs = model(x)
    measured = model.evaluate(x, y, verbose=0, return_dict=True, batch_size=len(outputs[0]))
    for targets in (y, [y["kind"], y["size"]]):
        np.testing.assert_allclose(model.compute_loss(x, targets, outputs), measured["loss"], rtol=1e-6)
        model.reset_metrics()
        found = model.compute_metrics(x, targets, outputs)
        for name in ("kind_accuracy", "size_mae"):
            np.testing.assert_allclose(found[name], measured[name], rtol=1e-6)
