"""What fit and its kin say when something is wrong, and that nothing has changed then."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastconv import layers, losses
from fastconv.callbacks import EarlyStopping
from fastconv.models import Sequential

X = np.random.default_rng(0).random((12, 6, 6, 1)).astype(np.float32)
Y = np.arange(12) % 3


def model_for(x=X, **options):
    model = Sequential(
        [layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(3, activation="softmax")],
        name="net",
    )
    model.build(x.shape[1:])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (X[..., 0], Y),
            ValueError,
            r"Conv2D 'conv' expects input \(N, H, W, 1\), got \(12, 6, 6\): add the channel",
        ),
        ((np.moveaxis(X, -1, 1), Y), ValueError, r"channels first \(NCHW\).*np\.moveaxis\(x, 1, -1\)"),
        ((X[:, :5], Y), ValueError, r"Sequential 'net' expects input \(N, 6, 6, 1\), got \(12, 5, 6, 1\)"),
        ((X[:0], Y[:0]), ValueError, "x is empty"),
        ((X, Y[:5]), ValueError, "x and y must have the same length, got 12 and 5"),
        ((X, None), ValueError, "the targets are missing"),
        ((None, Y), ValueError, "x is missing"),
        ((X, Y + 1), ValueError, r"label 3 .* outside 0\.\.2"),
        ((X, np.eye(3)[Y]), ValueError, "one-hot"),
        ((X, np.array(list("abcabcabcabc"))), TypeError, "numbers"),
        (("images.npz", None), ValueError, "x must be an array, or a generator .* got str"),
        (
            ({"left": X, "right": X}, Y),
            ValueError,
            r"dictionary \('left', 'right'\), .* give the array",
        ),
        ((3, Y), ValueError, "got int"),
        (([[1, 2], [3]], [1, 2]), ValueError, "x is not one array: its items differ in shape"),
        ((iter([(X, Y)]), Y), ValueError, "y must be in its batches"),
        (([(X, Y, Y, Y)],), ValueError, r"a batch is x, \(x, y\) or \(x, y, sample_weight\); got 4 items"),
        (([(X, Y[:3])],), ValueError, "same length, got 12 and 3"),
        (([(X,)],), ValueError, "the targets are missing"),
        ((X.astype(complex), Y), TypeError, "must hold real numbers"),
    ],
)
def test_data_that_does_not_fit(arguments, error, message):
    model = model_for()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(*arguments, verbose=0)
    assert model.optimizer.iterations == 0
    for array, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, old)
    assert len(model.fit(X, Y, verbose=0).history["loss"]) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": -1}, ValueError, "epochs must be a whole number, at least 0; got -1"),
        ({"epochs": 2.0}, ValueError, "epochs must be a whole number"),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number, at least 1; got 0"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch"),
        ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch"),
        ({"shuffle": "yes"}, ValueError, "shuffle must be True, False or"),
        ({"validation_split": 1.0}, ValueError, "validation_split is a share between 0 and 1"),
        ({"validation_split": 0.99}, ValueError, "leaves none for training"),
        ({"validation_data": (X, Y[:3])}, ValueError, "same length, got 12 and 3"),
        ({"validation_data": (X[..., 0], Y)}, ValueError, "add the channel axis"),
        ({"validation_freq": 0}, ValueError, "validation_freq"),
        (
            {"sample_weight": np.ones(3)},
            ValueError,
            "x and sample_weight must have the same length, got 12 and 3",
        ),
        ({"sample_weight": np.ones((12, 2))}, ValueError, "sample_weight must hold one weight per sample"),
        ({"class_weight": [1, 2, 3]}, TypeError, "class_weight must be a dictionary"),
        ({"class_weight": {0: 2.0}, "sample_weight": np.ones(12)}, ValueError, "not both"),
        ({"class_weight": {"0": 0.5}}, ValueError, "keys are class numbers, .* got the key '0'"),
        ({"class_weight": {0.5: 0.5}}, ValueError, "keys are class numbers, .* got the key 0.5"),
        ({"class_weight": {np.nan: 0.5}}, ValueError, "keys are class numbers, .* got the key nan"),
        ({"class_weight": {None: 0.5}}, ValueError, "keys are class numbers, .* got the key None"),
        ({"class_weight": {0: None}}, ValueError, "the weight of class 0 must be a number, .* got None"),
        ({"class_weight": {1: "2"}}, ValueError, "the weight of class 1 must be a number, .* got '2'"),
        ({"class_weight": {1: np.nan}}, ValueError, "the weight of class 1 must be a number, .* got nan"),
        ({"class_weight": {1: -1.0}}, ValueError, "the weight of class 1 must be .* not negative; got -1.0"),
        ({"class_weight": {1: True}}, ValueError, "the weight of class 1 must be a number, .* got True"),
        ({"callbacks": [EarlyStopping]}, TypeError, r"write EarlyStopping\(\.\.\.\)"),
        ({"callbacks": ["early"]}, TypeError, "callbacks must be Callback objects, .* got 'early'"),
        ({"verbose": "loud"}, ValueError, "verbose must be 0"),
    ],
)
def test_options_that_cannot_be(options, error, message):
    model = model_for()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(X, Y, **{"verbose": 0, **options})
    for array, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_a_model_that_is_not_compiled(method):
    model = Sequential([layers.Dense(1)], name="net")
    with pytest.raises(ValueError, match=rf"'net' is not compiled: before {method}\(\) comes compile"):
        getattr(model, method)(X, Y)
    with pytest.raises(ValueError, match="compile needs a loss"):
        model.compile("adam")
    assert not model.compiled


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adm", "loss": "mse"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"loss": "sparse_categorical_crossentorpy"}, "did you mean 'sparse_categorical_crossentropy'"),
        ({"loss": "mse", "metrics": ["acuracy"]}, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        ({"loss": "mse", "metrics": "accuracy"}, r"metrics must be a list, such as metrics=\['accuracy'\]"),
        (
            {"loss": "mse", "loss_weights": [1.0, 2.0]},
            "loss_weights has 2 items, but the model has one output",
        ),
    ],
)
def test_compile_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Sequential([layers.Dense(1)]).compile(**arguments)


def test_predicting_and_evaluating_nothing():
    model = model_for()
    with pytest.raises(ValueError, match="x is empty"):
        model.predict(X[:0])
    with pytest.raises(ValueError, match="nothing to predict: the data yielded no batch"):
        model.predict(iter(()), verbose=0)
    with pytest.raises(ValueError, match="nothing to evaluate on"):
        model.evaluate(iter(()), verbose=0)


BYTES = np.random.default_rng(1).integers(0, 256, (12, 6, 6, 1), dtype=np.uint8)


@pytest.mark.parametrize("train", ["fit", "train_on_batch"])
def test_bytes_that_nobody_scaled_are_warned_of_once(train):
    model = model_for()
    with pytest.warns(UserWarning, match=r"divide by 255 or start with Rescaling\(1/255\)") as caught:
        getattr(model, train)(BYTES, Y)
    assert len(caught) == 1
    getattr(model, train)(BYTES, Y)


def test_a_rescaling_that_leaves_bytes_large_does_not_count():
    model = Sequential([layers.Rescaling(1, offset=-0.5), layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="divide by 255"):
        model.train_on_batch(BYTES, Y)


def test_bytes_that_are_scaled_or_only_zeros_and_ones_are_fine():
    model_for().train_on_batch(BYTES // 255, Y)
    model_for().train_on_batch(BYTES / 255, Y)
    model = Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(BYTES, Y)


def test_scores_and_probabilities_mixed_up():
    scores = Sequential([layers.Flatten(), layers.Dense(3)])
    scores.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match=r'takes probabilities.*activation="softmax".*from_logits=True'):
        scores.train_on_batch(X, Y)
    probabilities = Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")])
    probabilities.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.warns(UserWarning, match="takes scores, but the last layer .* makes probabilities"):
        probabilities.train_on_batch(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
        scores.train_on_batch(X, Y)


def test_class_weights_of_classes_that_one_hot_targets_do_not_have():
    model = model_for()
    model.compile("adam", "categorical_crossentropy")
    with pytest.raises(ValueError, match=r"y has the classes 0\.\.2, but a key is 3"):
        model.fit(X, np.eye(3)[Y], class_weight={0: 1.0, 3: 2.0}, verbose=0)
    model.fit(X, np.eye(3)[Y], class_weight={False: 1, 1.0: 2, np.int64(2): np.float32(3)}, verbose=0)
    labels = np.where(Y == 1, np.nan, Y)
    with pytest.raises(ValueError, match="y holds NaN or infinity"):
        model.fit(X, labels, class_weight={0: 1.0}, verbose=0)
