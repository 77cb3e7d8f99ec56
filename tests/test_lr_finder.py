"""The learning-rate range test: what it sees, what it suggests, and that it leaves no trace."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fastconv import layers, models, optimizers, utils
from fastconv._core.randomness import generator_state
from fastconv.callbacks import LambdaCallback, LRFinder
from fastconv.datasets import Loader

X = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def make_model(optimizer="sgd"):
    utils.set_random_seed(3)
    model = models.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(12, activation="relu"),
            layers.Dropout(0.2, name="global_masks"),
            layers.Dropout(0.1, seed=4, name="own_masks"),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def everything(model):
    return [
        *model.get_weights(),
        *model.optimizer.state_dict().values(),
        repr(generator_state()),
        repr(model.random_state()),
        model.optimizer.learning_rate,
    ]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("trained_before", [False, True])
def test_no_trace_is_left(trained_before):
    model = make_model(optimizers.Nadam(0.003))
    if trained_before:
        model.fit(X, Y, epochs=2, verbose=0)
    else:
        model.optimizer.build(model.parameters)
    before, history = everything(model), model.history
    finder = LRFinder(max_learning_rate=1e3).find(model, X, Y, batch_size=8)
    assert len(finder.losses) > 10
    assert_same(everything(model), before)
    assert model.history is history


def test_training_afterwards_is_as_without_it():
    plain, tested = make_model("adam"), make_model("adam")
    utils.set_random_seed(9)
    plain.fit(X, Y, epochs=2, verbose=0)
    utils.set_random_seed(9)
    LRFinder(steps=20).find(tested, X, Y)
    tested.fit(X, Y, epochs=2, verbose=0)
    assert_same(everything(tested), everything(plain))


@pytest.mark.parametrize("by_hand", [False, True])
def test_averages_at_the_end_of_fit_are_undone_too(by_hand):
    model = make_model(optimizers.SGD(0.1, momentum=0.9, use_ema=True))
    model.fit(X, Y, verbose=0)
    before, finder = everything(model), LRFinder(steps=20)
    if by_hand:
        model.fit(X, Y, batch_size=4, callbacks=finder, verbose=0)
    else:
        finder.find(model, X, Y)
    assert len(finder.losses) > 10
    assert_same(everything(model), before)


def test_a_loader_begins_anew():
    loader = Loader(X, Y, seed=1)
    LRFinder(steps=20).find(make_model(), loader)
    assert loader.epoch == 0


def test_traces_are_removed_also_where_something_goes_wrong():
    model = make_model()
    model.optimizer.build(model.parameters)
    before = everything(model)

    def batches():
        yield X[:8], Y[:8]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        LRFinder().find(model, batches())
    assert_same(everything(model), before)


def test_rates_grow_exponentially_and_losses_are_those_of_the_batches():
    model = make_model()
    finder = LRFinder(1e-4, 1.0, steps=9, smoothing=0.5, explosion=1e9).find(model, X, Y, shuffle=False)
    np.testing.assert_allclose(finder.learning_rates, 10.0 ** np.linspace(-4, 0, 9), rtol=1e-12)

    twin, losses = make_model(), []
    for step, rate in enumerate(finder.learning_rates):  # two batches are all the data
        twin.optimizer.learning_rate = rate
        part = slice(32 * (step % 2), 32 * (step % 2) + 32)
        losses.append(twin.train_on_batch(X[part], Y[part])[0])
    np.testing.assert_array_equal(finder.losses, losses)

    mean, smoothed = 0.0, []
    for step, loss in enumerate(losses):
        mean = 0.5 * mean + 0.5 * loss
        smoothed.append(mean / (1 - 0.5 ** (step + 1)))
    np.testing.assert_allclose(finder.smoothed_losses, smoothed, rtol=1e-12)


def test_it_stops_when_the_loss_explodes():
    finder = LRFinder(1e-3, 1e4, steps=200, explosion=2).find(make_model(), X, Y, batch_size=16)
    assert len(finder.losses) < 200
    losses = finder.smoothed_losses
    exploded = [losses[i] > 2 * min(losses[:i]) for i in range(1, len(losses))]
    assert exploded == [False] * (len(losses) - 2) + [True]


def test_it_stops_when_the_loss_is_no_number():
    x = X.copy()
    x[40] = np.nan
    finder = LRFinder().find(make_model(), x, Y, batch_size=16, shuffle=False)
    assert len(finder.losses) == 3
    assert np.isnan(finder.smoothed_losses[-1])


def test_as_a_callback_of_fit():
    model = make_model()
    weights = model.get_weights()
    finder = LRFinder(max_learning_rate=1e3, steps=30)
    batches = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    model.fit(X, Y, batch_size=16, epochs=50, callbacks=[finder, count], verbose=0)
    assert len(finder.losses) == len(batches) <= 30
    assert_same(model.get_weights(), weights)
    finder.find(model, X, Y)  # it can be used again
    assert len(finder.losses) <= 30


def test_a_model_that_learns_the_shape_from_the_data():
    model = models.Sequential([layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="has no weights yet: give it an Input, or call build"):
        model.fit(X, Y, callbacks=LRFinder(), verbose=0)
    LRFinder(steps=5).find(model, X, Y)
    assert model.built


# ---- the suggestion


def seen(rates, losses):
    finder = LRFinder()
    finder.learning_rates, finder.losses, finder.smoothed_losses = rates, losses, losses
    return finder


def test_a_tenth_of_the_turning_point():
    finder = seen([1e-3, 1e-2, 1e-1, 1.0, 10.0], [2.0, 1.5, 0.5, 0.7, np.nan])
    assert finder.suggestion() == pytest.approx(0.01)


def test_where_there_is_no_turning_point():
    with pytest.raises(ValueError, match="has not been run"):
        LRFinder().suggestion()
    with pytest.raises(ValueError, match=r"did not fall at any rate from 1.0e-03 to 1.0e-02: test a model"):
        seen([1e-3, 1e-2], [1.0, 2.0]).suggestion()
    with pytest.raises(
        ValueError, match=r"rate of 1.0e-02 the loss was still falling: raise max_learning_rate"
    ):
        seen([1e-3, 1e-2], [2.0, 1.0]).suggestion()


def test_the_suggestion_trains_well():
    model = make_model()
    finder = LRFinder(max_learning_rate=1e3, steps=150).find(model, X, Y, batch_size=16)
    model.optimizer.learning_rate = finder.suggestion()
    history = model.fit(X, Y, batch_size=16, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]


# ---- the picture


def test_plot():
    Figure = pytest.importorskip("matplotlib.figure").Figure
    finder = seen([1e-3, 1e-2, 1e-1, 1.0], [2.0, 1.5, 0.5, 0.7])
    figure = finder.plot()
    assert isinstance(figure, Figure)
    [axes] = figure.axes
    assert axes.get_xscale() == "log"
    curves = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(curves["smoothed"], [[1e-3, 2], [1e-2, 1.5], [1e-1, 0.5], [1, 0.7]])
    assert "suggestion: 1.0e-02" in curves

    without = seen([1e-3, 1e-2], [2.0, 1.0])  # a suggestion
    mine = Figure()
    left, right = mine.subplots(1, 2)
    assert without.plot(right) is mine
    assert (len(left.lines), len(right.lines)) == (0, 2)
    other = Figure()
    assert without.plot(figure=other) is other
    assert len(other.axes[0].lines) == 2


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "fastconv.visualize._picture", raising=False)
    with pytest.raises(ImportError, match=r"need matplotlib: python -m pip install 'fastconv\[plot\]'"):
        seen([1e-3], [2.0]).plot()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"min_learning_rate": 0}, "min_learning_rate > 0 to a larger max_learning_rate; got 0 and 10.0"),
        ({"min_learning_rate": 20}, "to a larger max_learning_rate"),
        ({"steps": 1}, "steps must be at least 2"),
        ({"smoothing": 1}, "smoothing must lie in"),
        ({"explosion": 1}, "explosion must be above 1"),
    ],
)
def test_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        LRFinder(**arguments)


def test_find_sets_the_length_itself():
    with pytest.raises(TypeError, match=r"epochs cannot be set here; LRFinder\(steps=...\)"):
        LRFinder().find(make_model(), X, Y, epochs=3)


def test_a_trained_model_gets_no_suggestion_out_of_noise():
    x = np.random.default_rng(1).normal(size=(400, 6)).astype(np.float32)
    y = ((x[:, 0] > 0) ^ (np.random.default_rng(2).random(400) < 0.2)).astype(np.int64)  # a fifth is wrong
    model = make_model("adam")
    fresh = LRFinder().find(model, x, y).suggestion()
    assert 1e-5 < fresh < 1
    model.optimizer.learning_rate = fresh
    model.fit(x, y, epochs=30, verbose=0)
    finder = LRFinder().find(model, x, y)
    with pytest.raises(
        ValueError, match=r"did not fall at any rate from 1.0e-06 to .*: test a model that has"
    ):
        finder.suggestion()


def test_the_start_of_the_smoothed_curve_does_not_win():
    rates = (10.0 ** np.linspace(-6, 1, 100)).tolist()
    losses = [0.4, *[2.2, 2.4] * 10, *np.linspace(2.3, 0.5, 60), *np.linspace(0.6, 5, 19)]
    assert int(np.argmin(losses)) == 0
    assert seen(rates, losses).suggestion() == pytest.approx(rates[80] / 10)


def test_a_suggestion_below_the_range_is_an_error():
    finder = seen([1e-3, 2e-3, 4e-3, 8e-3], [2.0, 1.0, 1.5, 3.0])
    with pytest.raises(ValueError, match=r"smallest at a rate of 2.0e-03, and a tenth .* lower min_learning"):
        finder.suggestion()
    with pytest.raises(ValueError, match="did not fall"):
        seen([1e-3, 1e-2], [np.nan, np.nan]).suggestion()
