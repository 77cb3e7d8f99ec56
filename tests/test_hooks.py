"""Subclasses that say themselves what is done with a batch, and callbacks that end loops or compile anew."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv import layers, losses, metrics, optimizers, utils
from fastconv.callbacks import BackupAndRestore, Callback, LambdaCallback
from fastconv.models import Sequential

X = np.random.default_rng(0).random((64, 8)).astype(np.float32)
Y = (X.sum(axis=1) > 4).astype(np.int64)
WEIGHTS = np.linspace(0.5, 2, 64)


def net(cls=Sequential, loss="sparse_categorical_crossentropy", **options):
    utils.set_random_seed(0)
    model = cls([layers.Input((8,)), layers.Dense(2, activation="softmax")])
    model.compile(optimizers.SGD(0.1), loss, **{"metrics": ["accuracy"], **options})
    return model


def trained(model, **arguments):
    arguments = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0, **arguments}
    history = model.fit(X, Y, **arguments).history
    return history, model.get_weights()


def assert_trained_alike(one, other, rtol=1e-6):
    (history, weights), (expected_history, expected_weights) = one, other
    assert history.keys() == expected_history.keys()
    for name in history:
        np.testing.assert_allclose(history[name], expected_history[name], rtol=rtol)
    for array, expected in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(array, expected, rtol=rtol)


# ---- train_step, test_step, predict_step


class Watched(Sequential):
    """Does what a plain model does, and writes down with what data it was called."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.calls = []

    def note(self, hook, data):
        parts = data if isinstance(data, tuple) else (data,)
        self.calls.append((hook, type(data) is tuple, [part.shape for part in parts]))

    def train_step(self, data):
        self.note("train", data)
        return super().train_step(data)

    def test_step(self, data):
        self.note("test", data)
        return super().test_step(data)

    def predict_step(self, data):
        self.note("predict", data)
        return super().predict_step(data)


def test_every_loop_calls_its_hook_with_keras_data():
    model = net(Watched)
    model.fit(X, Y, batch_size=32, validation_data=(X[:8], Y[:8]), verbose=0)
    model.evaluate(X[:4], Y[:4], sample_weight=WEIGHTS[:4], verbose=0)
    model.predict(X[:3], verbose=0)
    model.train_on_batch(X[:5], Y[:5])
    model.test_on_batch(X[:6], Y[:6], sample_weight=WEIGHTS[:6])
    model.predict_on_batch(X[:7])
    assert model.calls == [
        ("train", True, [(32, 8), (32,)]),
        ("train", True, [(32, 8), (32,)]),
        ("test", True, [(8, 8), (8,)]),
        ("test", True, [(4, 8), (4,), (4,)]),
        ("predict", False, [(3, 8)]),
        ("train", True, [(5, 8), (5,)]),
        ("test", True, [(6, 8), (6,), (6,)]),
        ("predict", False, [(7, 8)]),
    ]


def test_hooks_that_call_super_change_nothing():
    assert_trained_alike(trained(net(Watched)), trained(net()), rtol=0)


class FromScratch(Sequential):
    """Training by hand, as the documentation of ``train_step`` has it."""

    def train_step(self, data):
        x, y = data
        y_pred = self(x, training=True)
        self.tracker.update_state(self.compute_loss(x, y, y_pred))
        self.backward(self.loss.gradient(y, y_pred))
        self.optimizer.step(self.parameters)
        return self.compute_metrics(x, y, y_pred)


def test_a_step_from_scratch_trains_as_the_built_in_one():
    model = net(FromScratch, metrics=["accuracy"])
    model.tracker = metrics.Mean(name="loss")
    assert_trained_alike(trained(model), trained(net()), rtol=1e-5)
    assert model.tracker.count == 4


def test_the_logs_are_what_train_step_returns():
    class Constant(Sequential):
        def train_step(self, data):
            return {"loss": np.float32(3.0), "pair": [1.0, 2.0]}

        def test_step(self, data):
            return {"loss": 5, "other": np.array(7.0)}

    model = net(Constant, loss=None)
    seen = []
    watch = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(sorted(logs)))
    history = model.fit(X, Y, validation_data=(X, Y), callbacks=watch, verbose=0).history
    assert history["loss"] == [3.0]
    assert history["val_loss"] == [5.0]
    assert history["val_other"] == [7.0]
    np.testing.assert_array_equal(history["pair"], [[1, 2]])
    assert seen == [["loss", "pair"]] * 2
    assert model.evaluate(X, Y, verbose=0) == [5.0, 7.0]
    assert model.train_on_batch(X, Y, return_dict=True)["loss"] == 3.0


def test_a_hook_may_be_given_to_one_model_alone():
    model, other = net(), net()
    model.train_step = lambda data: {"loss": 7.0}
    assert model.fit(X, Y, verbose=0).history == {"loss": [7.0]}
    assert other.fit(X, Y, verbose=0).history["loss"] != [7.0]


@pytest.mark.parametrize("hook", ["train_step", "test_step"])
def test_a_hook_must_return_logs(hook):
    cls = type("Silent", (Sequential,), {hook: lambda self, data: None})
    model = net(cls)
    with pytest.raises(TypeError, match=rf"Silent\.{hook} must return a dictionary .* returned None"):
        model.fit(X, Y, verbose=0) if hook == "train_step" else model.evaluate(X, Y, verbose=0)


def test_predict_step_makes_the_predictions():
    class Labels(Sequential):
        def predict_step(self, data):
            return super().predict_step(data).argmax(axis=1)

    model = net(Labels)
    expected = model(X).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(X, batch_size=10, verbose=0), expected)
    np.testing.assert_array_equal(model.predict_on_batch(X), expected)


def test_a_step_takes_x_alone_and_too_much_is_an_error():
    model = net()
    np.testing.assert_array_equal(model.predict_step(X), model.predict_step((X, Y)))
    with pytest.raises(ValueError, match="the targets are missing"):
        model.train_step(X)
    with pytest.raises(ValueError, match="got 4 items"):
        model.train_step((X, Y, WEIGHTS, WEIGHTS))


class Counting(Sequential):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.examples = metrics.Mean(name="first_label")

    def train_step(self, data):
        self.examples.update_state(data[1][:1])
        return super().train_step(data)


@pytest.mark.parametrize("killed_at", [2, 4])
def test_metrics_that_are_attributes_are_in_a_backup(tmp_path, killed_at):
    class Killed(Exception):
        pass

    def kill(batch, logs):
        if model.optimizer.iterations == killed_at - 1:
            raise Killed

    backup = BackupAndRestore(tmp_path, save_freq=1)
    model = net(Counting)
    with pytest.raises(Killed):
        trained(model, callbacks=[backup, LambdaCallback(on_train_batch_begin=kill)], epochs=1)
    assert_trained_alike(
        trained(net(Counting), callbacks=backup, epochs=1), trained(net(Counting), epochs=1), rtol=0
    )


def test_metrics_that_are_attributes_start_anew_each_epoch():
    model = net(Counting)
    history, _ = trained(model, batch_size=32)
    assert history["first_label"] == [Y[[0, 32]].mean()] * 2
    assert [metric.name for metric in model.metrics] == ["loss", "accuracy", "first_label"]


# ---- compute_loss


class Doubled(Sequential):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        assert x.shape == (16, 8)
        return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_loss_gradient(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 2 * super().compute_loss_gradient(x, y, y_pred, sample_weight)


def test_compute_loss_is_what_is_trained_and_measured():
    doubled = net(Doubled)
    plain = net()
    plain.optimizer.learning_rate = 0.2
    (history, weights), (expected, expected_weights) = trained(doubled), trained(plain)
    np.testing.assert_allclose(history["loss"], np.multiply(2, expected["loss"]), rtol=1e-5)
    for array, other in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-5)
    loss = [model.evaluate(X, Y, batch_size=16, verbose=0)[0] for model in (doubled, plain)]
    assert loss[0] == pytest.approx(2 * loss[1], rel=1e-5)


def test_penalties_are_in_compute_loss_and_their_gradients_in_training():
    def penalized(cls):
        utils.set_random_seed(0)
        dense = layers.Dense(2, activation="softmax", kernel_regularizer="l2", bias_regularizer="l1")
        model = cls([layers.Input((8,)), dense])
        model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    class Same(Sequential):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs)

        def compute_loss_gradient(self, *args, **kwargs):
            return super().compute_loss_gradient(*args, **kwargs)

    assert_trained_alike(trained(penalized(Same)), trained(penalized(Sequential)), rtol=1e-5)


def test_a_loss_without_compile_and_without_targets():
    class Mean(Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight):  # without training, as in older Keras
            return np.mean(y_pred)

        def compute_loss_gradient(self, x, y, y_pred, sample_weight):
            return np.full_like(y_pred, 1 / y_pred.size)

    utils.set_random_seed(0)
    model = Mean([layers.Input((8,)), layers.Dense(2)])
    model.compile(optimizers.SGD(0.5))
    before, start = model.get_weights(), model(X).mean()
    history = model.fit(X, batch_size=64, verbose=0).history
    assert history["loss"] == [pytest.approx(start, rel=1e-5)]
    np.testing.assert_allclose(model.get_weights()[1], before[1] - 0.5 / 2, rtol=1e-6)
    np.testing.assert_allclose(
        model.get_weights()[0], before[0] - 0.5 * X.mean(axis=0)[:, None] / 2, rtol=1e-5
    )


def test_compute_loss_alone_can_be_evaluated_but_not_differentiated():
    class Shifted(Sequential):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs) + 1

    model, plain = net(Shifted), net()
    loss = [one.evaluate(X, Y, verbose=0)[0] for one in (model, plain)]
    assert loss[0] == pytest.approx(loss[1] + 1, rel=1e-6)
    before = model.get_weights()
    with pytest.raises(TypeError, match=r"Shifted overrides compute_loss.*no autograd.*_loss_gradient"):
        model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_compute_loss_must_be_one_number():
    class Many(Sequential):
        def compute_loss(self, *args, **kwargs):
            return np.zeros(3)

    with pytest.raises(TypeError, match=r"Many\.compute_loss must return one number, .* shape \(3,\)"):
        net(Many).evaluate(X, Y, verbose=0)


def test_the_values_of_the_base_class():
    model = net()
    y_pred = model(X)
    expected = -np.log(y_pred[range(64), Y])
    assert model.compute_loss(X, Y, y_pred) == pytest.approx(expected.mean(), rel=1e-5)
    weighted = model.compute_loss(y=Y, y_pred=y_pred, sample_weight=WEIGHTS, training=False)
    assert weighted == pytest.approx((expected * WEIGHTS).mean(), rel=1e-5)
    assert model.get_metrics_result() == {}
    logs = model.compute_metrics(X, Y, y_pred)
    assert logs == {"accuracy": pytest.approx((y_pred.argmax(axis=1) == Y).mean())}
    assert logs == model.get_metrics_result()
    model.compile("sgd", losses.MeanSquaredError())
    with pytest.raises(ValueError, match="the targets are missing"):
        model.compute_loss(X, None, y_pred)


def test_a_plain_model_needs_a_loss():
    with pytest.raises(ValueError, match="compile needs a loss"):
        net(loss=None)
    model = net(Watched, loss=None)  # its train_step may do without
    with pytest.raises(ValueError, match="compiled without a loss"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="compiled without a loss"):
        model.evaluate(X, Y, verbose=0)


# ---- what callbacks may do to the loops


def stop(name, when):
    class Stop(Callback):
        def on_test_batch_end(self, batch, logs=None):
            setattr(self.model, name, batch == when)

        on_predict_batch_end = on_test_batch_end

    return Stop()


def test_stop_evaluating():
    model, seen = net(), []
    count = LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(batch))
    callbacks = [stop("stop_evaluating", 1), count]
    loss, _ = model.evaluate(X, Y, batch_size=16, callbacks=callbacks, verbose=0)
    assert seen == [0, 1]
    assert loss == pytest.approx(model.evaluate(X[:32], Y[:32], verbose=0)[0], rel=1e-6)
    history, _ = trained(model, validation_data=(X, Y), callbacks=callbacks)
    assert seen == [0, 1] * 3
    assert len(history["val_loss"]) == 2  # it ends an evaluation, and not the training


def test_stop_predicting():
    model = net()
    some = model.predict(X, batch_size=16, callbacks=stop("stop_predicting", 1), verbose=0)
    np.testing.assert_array_equal(some, model(X[:32]))
    assert len(model.predict(X, batch_size=16, verbose=0)) == 64


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_end", "on_epoch_end"])
def test_compile_in_a_callback_counts_for_the_rest_of_fit(hook):
    done = []

    def compile_anew(number, logs=None):
        if not done:
            done.append(number)
            model.compile(optimizers.SGD(0.0), "mse", metrics=["mae"])

    model = net(loss="mse", metrics=[])
    utils.set_random_seed(0)
    targets = np.eye(2)[Y]
    callback = LambdaCallback(**{hook: compile_anew})
    before = model.get_weights()[0]
    history = model.fit(
        X, targets, batch_size=32, epochs=3, shuffle=False, callbacks=callback, verbose=0
    ).history
    steps = {"on_epoch_begin": 0, "on_train_batch_end": 1, "on_epoch_end": 2}[hook]
    twin = net(loss="mse", metrics=[])
    for step in range(steps):
        twin.train_on_batch(X[32 * step : 32 * step + 32], targets[32 * step : 32 * step + 32])
    assert (steps == 0) == np.array_equal(model.get_weights()[0], before)
    np.testing.assert_allclose(model.get_weights()[0], twin.get_weights()[0], rtol=1e-6)
    assert len(history["mae"]) == (2 if hook == "on_epoch_end" else 3)


def test_an_optimizer_may_be_assigned():
    model = net()
    with pytest.raises(ValueError, match="optimizer must be a name"):
        model.optimizer = None
    with pytest.raises(ValueError, match="unknown optimizer"):
        model.optimizer = "sgdd"
    model.optimizer = optimizers.SGD(0.0)
    before = model.get_weights()[0]
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    model.optimizer = "adam"
    assert type(model.optimizer) is optimizers.Adam
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(model.get_weights()[0], before)
    with pytest.raises(ValueError, match="is not compiled"):
        Sequential().optimizer = "sgd"


def test_flags_of_compile_are_attributes():
    model = net(run_eagerly=True, jit_compile=False)
    assert (model.run_eagerly, model.jit_compile) == (True, False)
    model.jit_compile = "auto"
    assert model.jit_compile == "auto"
    with pytest.raises(ValueError, match='jit_compile must be True, False or "auto"'):
        model.jit_compile = "yes"
    with pytest.raises(ValueError, match='jit_compile must be True, False or "auto"'):
        net(jit_compile="yes")
