"""The training loops: what they feed, count, record and return."""

from __future__ import annotations

import json
from pathlib import Path

import golden_models
import numpy as np
import pytest

import fastconv
from fastconv import layers, losses, metrics, optimizers, utils
from fastconv.callbacks import Callback, EarlyStopping, History, LambdaCallback
from fastconv.models import Sequential

GOLDEN = json.loads((Path(__file__).parent / "golden" / "models.json").read_text())  # golden/make_models.py
X, Y = golden_models.examples(40, (6, 6, 2), 3)


def compiled(optimizer="sgd", loss="sparse_categorical_crossentropy", **options):
    utils.set_random_seed(0)
    model = golden_models.small_classifier(fastconv)
    model.compile(optimizer, loss, **options)
    return model


def weights_of(model):
    return np.concatenate([array.ravel() for array in model.get_weights()])


# ---- beside Keras


@pytest.mark.parametrize("optimizer", GOLDEN["loss curves"])
def test_the_loss_curve_of_the_lectures_network_is_keras(optimizer):
    curve = golden_models.loss_curve(fastconv, optimizer)
    # The losses fall by 0.1% to 0.3%: a step of the wrong length would show. Rounding alone reaches 4e-6.
    np.testing.assert_allclose(curve, GOLDEN["loss curves"][optimizer], rtol=2e-5)


def test_histories_are_keras():
    """Splitting, class weights, sample weights, validation: the same numbers under the same names."""
    ours = golden_models.histories(fastconv)
    assert ours.keys() == GOLDEN["histories"].keys()
    for name, theirs in GOLDEN["histories"].items():
        assert list(ours[name]["history"]) == list(theirs["history"]), name
        assert ours[name]["epochs"] == theirs["epochs"], name
        for key, values in theirs["history"].items():
            # float32 sums over 50 examples, 21 steps of momentum
            np.testing.assert_allclose(
                ours[name]["history"][key], values, rtol=2e-5, err_msg=f"{name}: {key}"
            )
        assert ours[name]["evaluated"] == pytest.approx(theirs["evaluated"], rel=2e-5), name


# ---- what they return


def test_fit_returns_a_history_with_sorted_names():
    model = compiled(metrics=["accuracy"])
    history = model.fit(X, Y, epochs=2, validation_split=0.25, verbose=0)
    assert isinstance(history, History)
    assert model.history is history
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.epoch == [0, 1]
    assert all(isinstance(v, float) for values in history.history.values() for v in values)
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 1}


def test_evaluate_returns_the_loss_first():
    model = compiled(metrics=["accuracy", "sparse_categorical_crossentropy"])
    loss, accuracy, entropy = model.evaluate(X, Y, verbose=0)
    probabilities = model.predict(X, verbose=0)
    assert loss == pytest.approx(-np.log(probabilities[range(40), Y]).mean(), rel=1e-5)
    assert entropy == pytest.approx(loss, rel=1e-6)
    assert accuracy == np.mean(probabilities.argmax(axis=1) == Y)
    as_dictionary = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(as_dictionary) == ["accuracy", "loss", "sparse_categorical_crossentropy"]
    assert model.metrics_names == ["loss", "accuracy", "sparse_categorical_crossentropy"]
    assert [metric.name for metric in model.metrics] == [
        "loss",
        "accuracy",
        "sparse_categorical_crossentropy",
    ]


def test_without_metrics_the_loss_is_a_number():
    model = compiled()
    assert isinstance(model.evaluate(X, Y, verbose=0), float)
    assert isinstance(model.train_on_batch(X, Y), float)


def test_the_loss_of_an_epoch_counts_each_example_once():
    """40 examples in batches of 32 and 8."""
    model = compiled(optimizers.SGD(0.0))
    whole = model.test_on_batch(X, Y)
    assert model.fit(X, Y, verbose=0, shuffle=False).history["loss"][0] == pytest.approx(whole, rel=1e-6)
    assert model.evaluate(X, Y, batch_size=7, verbose=0) == pytest.approx(whole, rel=1e-6)


def test_predict_puts_batches_together():
    model = compiled()
    expected = model.predict_on_batch(X)
    for source in (
        X,
        ((X[i : i + 8],) for i in range(0, 40, 8)),
        (X[i : i + 8] for i in range(0, 40, 8)),
        [(X[:8], Y[:8]), (X[8:], Y[8:])],
    ):
        np.testing.assert_allclose(model.predict(source, batch_size=7, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(model.predict(X, batch_size=8, steps=2, verbose=0), expected[:16], rtol=1e-5)


# ---- one batch


def test_a_step_is_forward_loss_backward_step():
    model = compiled(optimizers.SGD(0.5, momentum=0.9), metrics=["accuracy"])
    twin = golden_models.small_classifier(fastconv)
    twin.set_weights(model.get_weights())
    optimizer, loss = optimizers.SGD(0.5, momentum=0.9), losses.SparseCategoricalCrossentropy()
    for _ in range(3):
        value, _accuracy = model.train_on_batch(X, Y)
        probabilities = twin.forward(X, training=True)
        assert value == pytest.approx(loss(Y, probabilities), rel=1e-6)
        twin.backward_from_logits(loss.gradient_at_logits(Y, probabilities))
        optimizer.step(twin.parameters)
    # A model may run its layers in one go, which sums in another order.
    np.testing.assert_allclose(weights_of(model), weights_of(twin), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "activation", "targets"),
    [
        ("sparse_categorical_crossentropy", "softmax", Y),
        ("categorical_crossentropy", "softmax", np.eye(3)[Y]),
        ("binary_crossentropy", "sigmoid", np.eye(3)[Y]),
    ],
)
def test_the_fused_gradient_is_the_chain_rule(loss, activation, targets):
    """Softmax and cross-entropy in one step, and each by itself: the same gradients."""

    def gradients(fused):
        utils.set_random_seed(1)
        last = [layers.Dense(3, activation=activation)]
        if not fused:  # the model does not see through a layer that comes after
            last.append(layers.Reshape((3,)))
        model = Sequential([layers.Flatten(), layers.Dense(5, activation="tanh"), *last])
        model.compile("sgd", loss)
        model.train_on_batch(X, targets)
        return [parameter.grad for parameter in model.parameters]

    for together, apart in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-7)


def test_a_probability_of_zero_still_learns():
    """Where p has rounded to 0, the gradient through log p alone would be clipped away."""
    model = Sequential([layers.Input((1,)), layers.Dense(2, activation="softmax")])
    model.set_weights([[[300.0, -300.0]], [0.0, 0.0]])
    model.compile(optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    model.train_on_batch(np.ones((1, 1)), [1])
    np.testing.assert_allclose(model.get_weights()[1], [-1, 1])


def test_train_on_batch_reports_this_batch_alone():
    model = compiled(optimizers.SGD(0.0), metrics=["accuracy"])
    first = model.train_on_batch(X[:10], Y[:10])
    model.train_on_batch(X[10:], Y[10:])
    assert model.train_on_batch(X[:10], Y[:10]) == first
    assert model.test_on_batch(X[:10], Y[:10]) == pytest.approx(first)
    assert model.test_on_batch(X[:10], Y[:10], return_dict=True).keys() == {"accuracy", "loss"}


def test_weights_of_classes_and_samples_agree():
    by_class, by_sample = compiled(), compiled()
    weights = np.choose(Y, [0.5, 1.0, 3.0])
    a = by_class.train_on_batch(X, Y, class_weight={0: 0.5, 2: 3.0})
    b = by_sample.train_on_batch(X, Y, sample_weight=weights)
    assert a == b
    np.testing.assert_array_equal(weights_of(by_class), weights_of(by_sample))


def test_evaluating_changes_no_weight():
    model = compiled("adam")
    before = weights_of(model)
    model.evaluate(X, Y, verbose=0)
    model.test_on_batch(X, Y)
    model.predict(X, verbose=0)
    np.testing.assert_array_equal(weights_of(model), before)
    assert model.optimizer.iterations == 0


# ---- metrics


@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy"])
@pytest.mark.parametrize(
    ("units", "activation", "loss", "targets", "expected"),
    [
        (3, "softmax", "sparse_categorical_crossentropy", Y, metrics.SparseCategoricalAccuracy),
        (3, "softmax", "sparse_categorical_crossentropy", Y[:, None], metrics.SparseCategoricalAccuracy),
        (3, "softmax", "categorical_crossentropy", np.eye(3)[Y], metrics.CategoricalAccuracy),
        (1, "sigmoid", "binary_crossentropy", (Y > 0)[:, None], metrics.BinaryAccuracy),
        (1, "sigmoid", "binary_crossentropy", Y > 0, metrics.BinaryAccuracy),
    ],
)
def test_accuracy_is_the_one_that_suits(name, units, activation, loss, targets, expected):
    model = Sequential([layers.Flatten(), layers.Dense(units, activation=activation)])
    model.compile("sgd", loss, metrics=[name])
    assert list(model.test_on_batch(X, targets, return_dict=True)) == sorted([name, "loss"])
    assert type(model.metrics[1]) is expected


def test_metrics_of_the_same_name_are_told_apart():
    model = compiled(metrics=["accuracy", "accuracy"], weighted_metrics=["accuracy", "accuracy"])
    results = model.test_on_batch(X, Y, sample_weight=np.arange(40), return_dict=True)
    assert list(results) == ["accuracy", "accuracy_1", "loss", "weighted_accuracy", "weighted_accuracy_1"]
    assert results["weighted_accuracy"] == results["weighted_accuracy_1"]


def test_a_function_can_be_a_metric():
    def confidence(y_true, y_pred):
        return y_pred.max(axis=-1)

    model = compiled(metrics=[confidence])
    assert 1 / 3 < model.test_on_batch(X, Y, return_dict=True)["confidence"] < 1


# ---- callbacks


class Recorder(Callback):
    """Notes which hooks are called, with which numbers and which names in the logs."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            return lambda *arguments: self.calls.append((name, *[_names(a) for a in arguments]))
        return super().__getattribute__(name)


def _names(argument):
    return list(argument) if isinstance(argument, dict) else argument


def test_every_hook_is_called_in_order():
    recorder = Recorder()
    model = compiled(metrics=["accuracy"])
    model.fit(X, Y, batch_size=20, validation_data=(X[:5], Y[:5]), verbose=0, callbacks=[recorder])
    both = ["accuracy", "loss"]
    assert recorder.calls == [
        ("on_train_begin", []),
        ("on_epoch_begin", 0, []),
        ("on_train_batch_begin", 0, []),
        ("on_train_batch_end", 0, both),
        ("on_train_batch_begin", 1, []),
        ("on_train_batch_end", 1, both),
        ("on_test_begin", []),
        ("on_test_batch_begin", 0, []),
        ("on_test_batch_end", 0, both),
        ("on_test_end", both),
        ("on_epoch_end", 0, ["accuracy", "loss", "val_accuracy", "val_loss"]),
        ("on_train_end", ["accuracy", "loss", "val_accuracy", "val_loss"]),
    ]
    recorder.calls.clear()
    model.evaluate(X, Y, verbose=0, callbacks=[recorder])
    model.predict(X, verbose=0, callbacks=[recorder])
    assert [call[0] for call in recorder.calls] == [
        "on_test_begin",
        *["on_test_batch_begin", "on_test_batch_end"] * 2,
        "on_test_end",
        "on_predict_begin",
        *["on_predict_batch_begin", "on_predict_batch_end"] * 2,
        "on_predict_end",
    ]


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_begin", "on_epoch_end"])
def test_stop_training_ends_the_epoch_or_the_step(hook):
    steps = []
    model = compiled()

    def stop(*arguments):
        model.stop_training = True

    count = LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    history = model.fit(
        X, Y, batch_size=10, epochs=5, verbose=0, callbacks=[count, LambdaCallback(**{hook: stop})]
    )
    assert history.epoch == [0]
    assert steps == ([0, 1, 2, 3] if hook == "on_epoch_end" else [0])
    assert model.fit(X, Y, epochs=2, verbose=0).epoch == [0, 1]  # a new fit starts afresh


def test_early_stopping_restores_the_best_weights():
    seen = []
    model = compiled(optimizers.SGD(0.5))
    stopping = EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))
    history = model.fit(
        X, Y, epochs=60, verbose=0, validation_data=(X[:9], (Y[:9] + 1) % 3), callbacks=[keep, stopping]
    )
    validation = history.history["val_loss"]
    assert len(validation) < 60
    for now, best in zip(model.get_weights(), seen[int(np.argmin(validation))], strict=True):
        np.testing.assert_array_equal(now, best)


def test_what_a_callback_adds_to_the_logs_is_in_the_history():
    model = compiled()
    note = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(rate=0.5))
    assert model.fit(X, Y, verbose=0, callbacks=note).history["rate"] == [0.5]


# ---- compile


def test_compile_takes_names_and_objects():
    model = compiled(optimizers.Adam(0.01), losses.SparseCategoricalCrossentropy())
    assert model.optimizer.learning_rate == 0.01
    model.optimizer.learning_rate = 0.5
    assert model.get_compile_config()["optimizer"]["config"]["learning_rate"] == 0.5
    model.compile(loss="mse")
    assert isinstance(model.optimizer, optimizers.RMSprop)  # Keras' default


def test_a_failed_compile_leaves_the_old_one():
    model = compiled("adam")
    optimizer = model.optimizer
    with pytest.raises(ValueError, match="did you mean 'mse'"):
        model.compile("sgd", "msee")
    with pytest.raises(ValueError, match="did you mean 'accuracy'"):
        model.compile("sgd", "mse", metrics=["acuracy"])
    assert model.optimizer is optimizer
    model.fit(X, Y, verbose=0)


def test_compile_configuration_round_trip():
    model = compiled(
        optimizers.SGD(0.1, momentum=0.5),
        losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
        weighted_metrics=["acc"],
    )
    other = golden_models.small_classifier(fastconv)
    other.set_weights(model.get_weights())
    other.compile_from_config(json.loads(json.dumps(model.get_compile_config())))
    for _ in range(2):
        expected = model.train_on_batch(X, Y, return_dict=True)
        assert other.train_on_batch(X, Y, return_dict=True) == expected
    assert list(expected) == ["acc", "accuracy", "loss", "top2"]
    assert Sequential([layers.Dense(1)]).get_compile_config() == {}


def test_training_runs_on_the_reference_too():
    def trained():
        utils.set_random_seed(0)
        model = Sequential(
            [
                layers.Conv2D(2, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dropout(0.2),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(X[:6], Y[:6], batch_size=3, epochs=2, verbose=0)
        return weights_of(model), history.history["loss"]

    native_weights, native_losses = trained()
    with fastconv.set_backend("reference"):
        exact_weights, exact_losses = trained()
    np.testing.assert_allclose(native_losses, exact_losses, rtol=1e-5)
    np.testing.assert_allclose(native_weights, exact_weights, rtol=1e-3, atol=1e-5)


def test_arrays_of_the_last_batch_are_let_go():
    model = compiled()
    model.fit(X, Y, verbose=0)
    with pytest.raises(RuntimeError, match="forward"):
        model.layers[0].backward(np.ones((8, 4, 4, 4)))
