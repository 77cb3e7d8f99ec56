"""What is built around models works on graphs: Monte Carlo, augmented prediction, the rate test, callbacks,
summaries, warnings."""

import csv
import warnings

import graph_networks as networks
import numpy as np
import pytest

import fastconv
from fastconv import Model, Sequential, callbacks, layers
from fastconv.callbacks import LRFinder
from fastconv.utils import monte_carlo_predict, predict_augmented

RNG = np.random.default_rng(11)


def two_heads(rate=0.5):
    """An image and numbers in, a class and a size out, dropout below the class alone."""
    image, extra = layers.Input((6, 6, 2), name="image"), layers.Input((3,), name="extra")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    both = layers.Concatenate(name="both")([x, layers.Dense(2, name="dense")(extra)])
    kind = layers.Dense(3, activation="softmax", name="kind")(layers.Dropout(rate, name="drop")(both))
    return Model([image, extra], [kind, layers.Dense(1, name="size")(both)], name="net")


def compiled(model):
    model.compile(
        "sgd", {"kind": "sparse_categorical_crossentropy", "size": "mse"}, metrics={"kind": ["accuracy"]}
    )
    return model


def data(count=24):
    x = {"image": RNG.random((count, 6, 6, 2), np.float32), "extra": RNG.random((count, 3), np.float32)}
    return x, {"kind": RNG.integers(0, 3, count), "size": RNG.random((count, 1), np.float32)}


# ---- one batch


def test_a_batch_of_several_inputs_is_predicted_as_all_are():
    model, (x, _) = two_heads(), data(5)
    expected = model.predict(x, verbose=0)
    for given in (x, [x["image"], x["extra"]]):
        for one, other in zip(model.predict_on_batch(given), expected, strict=True):
            np.testing.assert_array_equal(one, other)


# ---- Monte Carlo


def test_what_depends_on_no_dropout_is_computed_once(monkeypatch):
    model, (x, _) = two_heads(), data(5)
    calls = []
    call = layers.Conv2D.call
    monkeypatch.setattr(
        layers.Conv2D, "call", lambda self, *a, **k: calls.append(self.name) or call(self, *a, **k)
    )
    seen = []
    dense = layers.Dense.call
    monkeypatch.setattr(
        layers.Dense, "call", lambda self, *a, **k: seen.append(self.name) or dense(self, *a, **k)
    )
    mean, std = monte_carlo_predict(model, x, samples=6, batch_size=3)
    assert calls == ["conv"] * 2
    assert seen == (["dense", "size"] + ["kind"] * 6) * 2
    kind, size = model.predict(x, verbose=0)
    np.testing.assert_allclose(mean[1], size, atol=1e-6)  # in batches of 3, and of 5
    assert not std[1].any()
    assert std[0].any()
    assert mean[0].shape == std[0].shape == kind.shape


def test_the_mean_and_deviation_are_those_of_the_thinned_networks():
    model, (x, _) = two_heads(), data(4)
    drop = model.get_layer("drop")
    drop.set_random_state({"seed": 3, "draws": 0})
    mean, std = monte_carlo_predict(model, x, samples=5)
    drop.set_random_state({"seed": 3, "draws": 0})
    each = [np.asarray(model([x["image"], x["extra"]], training=True)[0]) for _ in range(5)]
    np.testing.assert_allclose(mean[0], np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(std[0], np.std(each, axis=0), atol=1e-6)


def test_monte_carlo_nests_as_predict_does_and_asks_for_dropout():
    x = layers.Input((4,), name="x")
    y = layers.Dropout(0.5, name="drop")(layers.Dense(3, name="a")(x))
    model = Model(x, {"twice": y + y, "once": layers.Dense(2, name="b")(x)})
    batch = RNG.random((6, 4), np.float32)
    mean, std = monte_carlo_predict(model, batch, samples=3)
    assert list(mean) == list(std) == ["twice", "once"]
    np.testing.assert_array_equal(mean["once"], model.predict(batch, verbose=0)["once"])
    with pytest.raises(ValueError, match="has no dropout"):
        monte_carlo_predict(Model(x, layers.Dense(2)(x)), batch)


def test_dropout_in_a_model_inside_that_is_called_twice():
    inner = Sequential([layers.Input((4,)), layers.Dense(4), layers.Dropout(0.5)])
    a, b = layers.Input((4,)), layers.Input((4,))
    model = Model([a, b], layers.Subtract()([inner(a), inner(b)]))
    batch = RNG.random((6, 4), np.float32)
    mean, std = monte_carlo_predict(model, [batch, batch], samples=20)
    assert mean.shape == std.shape == (6, 4)
    assert std.all()


# ---- test-time augmentation


def test_augmented_inputs_are_named_and_others_stay():
    model, (x, _) = two_heads(), data(4)
    seen = []

    def brighter(batch):
        seen.append(batch.shape)
        return batch + len(seen)

    mean, std = predict_augmented(model, x, {"image": brighter}, samples=2)
    assert seen == [(4, 6, 6, 2)] * 2
    each = [model.predict({**x, "image": x["image"] + n}, verbose=0) for n in (1, 2)]
    for output in (0, 1):
        np.testing.assert_allclose(mean[output], (each[0][output] + each[1][output]) / 2, atol=1e-6)
        np.testing.assert_allclose(std[output], abs(each[0][output] - each[1][output]) / 2, atol=1e-6)
    with pytest.raises(TypeError, match="inputs image, extra: augment is a dictionary"):
        predict_augmented(model, x, brighter)
    with pytest.raises(ValueError, match="unknown input 'img'"):
        predict_augmented(model, x, {"img": brighter})
    with pytest.raises(TypeError, match="must be a function of a batch of images, or several; got 3"):
        predict_augmented(model, x, {"image": [brighter, 3]})


# ---- training, and what looks at it


def test_the_rate_test_leaves_a_two_headed_model_as_it_was():
    model, (x, y) = compiled(two_heads()), data()
    model.fit(x, y, batch_size=8, verbose=0)
    before, rate, random = model.get_weights(), model.optimizer.learning_rate, model.random_state()
    finder = LRFinder(steps=12, max_learning_rate=100.0).find(model, x, y, batch_size=8)
    assert 2 <= len(finder.losses) <= 12
    assert finder.learning_rates[0] == 1e-6
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.optimizer.learning_rate == rate
    assert model.random_state() == random


def test_callbacks_see_the_logs_of_both_heads(tmp_path):
    model, (x, y) = compiled(two_heads()), data()
    watched = [
        callbacks.EarlyStopping("val_kind_loss", patience=5, restore_best_weights=True),
        callbacks.ReduceLROnPlateau("size_loss", patience=5),
        callbacks.ModelCheckpoint(
            tmp_path / "best.safetensors", "val_kind_accuracy", mode="max", save_best_only=True
        ),
        callbacks.CSVLogger(str(tmp_path / "log.csv")),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(x, y, batch_size=8, epochs=2, validation_split=0.25, callbacks=watched, verbose=0)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = {
        "loss",
        "kind_loss",
        "size_loss",
        "kind_accuracy",
        "val_loss",
        "val_kind_loss",
        "val_kind_accuracy",
    }
    assert names <= rows[0].keys() - {"epoch"}
    assert [float(row["kind_loss"]) for row in rows] == pytest.approx(history.history["kind_loss"])
    best = int(np.argmax(history.history["val_kind_accuracy"]))
    saved = fastconv.models.load_model(tmp_path / "best.safetensors")
    held = {name: array[-6:] for name, array in x.items()}, {name: array[-6:] for name, array in y.items()}
    assert saved.evaluate(*held, return_dict=True, verbose=0)["kind_accuracy"] == pytest.approx(
        history.history["val_kind_accuracy"][best]
    )


def test_likely_mistakes_are_named_output_by_output():
    image = layers.Input((4, 4, 1), name="image")
    x = layers.Flatten()(image)
    kind = layers.Dense(3, name="kind")(x)
    sure = layers.Dense(1, activation="sigmoid", name="sure")(x)
    model = Model(image, [kind, sure])
    model.compile(
        "sgd",
        ["sparse_categorical_crossentropy", fastconv.losses.BinaryCrossentropy(from_logits=True)],
    )
    images = RNG.integers(0, 255, (4, 4, 4, 1)).astype(np.uint8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.train_on_batch(images, [np.array([0, 1, 2, 0]), np.ones((4, 1))])
    said = [str(warning.message) for warning in caught]
    assert any("takes probabilities, but Dense 'kind', an output of Model" in text for text in said)
    assert any(
        "Dense 'sure', an output of Model" in text and "leave out one of the two" in text for text in said
    )
    assert any("uint8 images" in text for text in said)
    # A layer that scales bytes counts in a model inside, too.
    body = Sequential([layers.Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Flatten()])
    model = Model(image, layers.Dense(3, activation="softmax")(body(image)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train_on_batch(images, np.array([0, 1, 2, 0]))


def test_nan_in_one_of_several_inputs_is_found():
    model, (x, y) = compiled(two_heads()), data(8)
    x["extra"][3, 0] = np.nan
    with pytest.warns(UserWarning, match=r"x\['extra'\] holds NaN .* 1 of the 8 examples .* at index 3"):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    model, (x, y) = compiled(two_heads()), data(8)
    y["size"][5] = np.inf
    with pytest.warns(UserWarning, match=r"y\['size'\] holds NaN or infinity, 1 of the 8 .* index 5"):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)


# ---- summaries


def text_of(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return lines[0]


def test_the_summary_says_what_layers_are_connected_to():
    model = two_heads()
    text = text_of(model, line_length=120)
    lines = text.splitlines()
    assert lines[2].split()[-2:] == ["Connected", "to"]
    row = next(place for place, line in enumerate(lines) if line.startswith(" both"))
    assert lines[row].split()[-1] == "pool[0][0]"
    assert lines[row + 1].split() == ["dense[0][0]"]
    assert next(line for line in lines if line.startswith(" kind")).split()[-1] == "drop[0][0]"
    extra = next(line for line in lines if line.startswith(" extra"))
    assert "(None, 3)" in extra
    assert extra.split()[-1] == "-"
    html = model._repr_html_()
    assert "pool[0][0]<br>dense[0][0]" in html
    assert "Connected to" in html


def test_each_call_of_a_shared_layer_is_in_the_summary():
    x = layers.Input((8, 8, 2), name="x")
    conv = layers.Conv2D(2, 3, padding="same", use_bias=False, name="conv")
    y = conv(layers.MaxPooling2D(name="pool")(conv(x)))
    model = Model(x, y)
    assert model.count_multiply_adds() == 36 * (64 + 16)
    lines = text_of(model, line_length=120).splitlines()
    row = next(place for place, line in enumerate(lines) if line.startswith(" conv"))
    assert "2,880" in lines[row]
    assert lines[row].split()[-1] == "x[0][0]"
    assert lines[row + 1].split() == ["pool[0][0]"]
    assert next(line for line in lines if line.startswith(" pool")).split()[-1] == "conv[0][0]"


def test_chains_have_no_column_of_connections():
    chain = Sequential([layers.Input((4,)), layers.Dense(2)])
    x = layers.Input((4,))
    for model in (chain, Model(x, layers.Dense(2)(x)), networks.NETWORKS["subclassed"](fastconv)):
        assert "Connected" not in text_of(model)
    # A model inside that is no chain, where its layers are shown.
    branches = Model(x, layers.Add()([layers.Dense(2)(x), layers.Dense(2)(x)]))
    outer = Sequential([layers.Input((4,)), branches])
    assert "Connected" not in text_of(outer)
    assert "Connected" in text_of(outer, expand_nested=True)


def test_layers_composed_of_layers_count_what_these_do():
    class Twice(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.conv = layers.Conv2D(2, 3, padding="same")

        def call(self, x):
            return self.conv(self.conv(x))

    image = layers.Input((8, 8, 2))
    model = Model(image, layers.Add()([Twice(name="twice")(image), image]))
    assert model.count_multiply_adds() == 2 * 64 * 36
    assert model.count_connections() == 2 * 128 * 19
    assert "4,608" in text_of(model, show_dense=True, line_length=140)


def test_the_field_of_what_sees_no_image():
    model = two_heads()
    with pytest.raises(ValueError, match="Dense 'dense' does not depend on the image"):
        fastconv.models.receptive_field(model, "dense")
    assert fastconv.models.receptive_field(model, "kind").size == (6, 6)
