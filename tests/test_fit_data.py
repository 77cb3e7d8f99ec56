"""Where batches come from, and in which order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastconv import layers, losses, optimizers, utils
from fastconv.callbacks import LambdaCallback
from fastconv.models import Sequential

X = np.arange(10.0, dtype=np.float32)[:, None]
Y = X[:, 0]


class Watcher(layers.Layer):
    """Passes everything on, and notes what went by while training and while not."""

    def __init__(self):
        super().__init__()
        self.trained, self.tested = [], []

    def call(self, x, training):
        (self.trained if training else self.tested).append(x[:, 0].astype(int).tolist())
        return x

    def backward(self, dy, input_gradient=True):
        return dy if input_gradient else None


def watched():
    watcher = Watcher()
    model = Sequential([watcher, layers.Dense(1)])
    model.compile(optimizers.SGD(0.0), "mse")
    return model, watcher


def batches(*starts):
    return [(X[i : i + 2], Y[i : i + 2]) for i in starts]


def test_arrays_are_cut_into_batches():
    model, watcher = watched()
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    assert watcher.trained == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_the_batch_size_is_32_by_default():
    model, watcher = watched()
    model.fit(np.zeros((70, 1)), np.zeros(70), verbose=0)
    assert [len(batch) for batch in watcher.trained] == [32, 32, 6]


def test_shuffling_deals_out_everything_in_a_new_order_each_epoch():
    model, watcher = watched()
    utils.set_random_seed(4)
    model.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    first, second = (list(itertools.chain(*watcher.trained[i : i + 2])) for i in (0, 2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))
    again, other = watched()
    utils.set_random_seed(4)
    again.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    assert other.trained == watcher.trained


def test_targets_and_weights_are_shuffled_along():
    model = Sequential([layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizers.SGD(0.0), "mse", weighted_metrics=["mae"])
    weights = np.where(Y > 4, 0.0, 1.0)
    history = model.fit(X, np.where(Y > 4, 99, Y), sample_weight=weights, batch_size=3, verbose=0)
    assert history.history == {"loss": [0.0], "mae": [0.0]}


def test_shuffling_within_batches():
    model, watcher = watched()
    utils.set_random_seed(1)
    model.fit(X, Y, batch_size=5, shuffle="batch", verbose=0)
    assert [sorted(batch) for batch in watcher.trained] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert watcher.trained != [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_validation_split_takes_the_last_examples_unshuffled():
    model, watcher = watched()
    model.fit(X, Y, validation_split=0.3, verbose=0)
    assert sorted(watcher.trained[0]) == [0, 1, 2, 3, 4, 5, 6]
    assert watcher.tested == [[7, 8, 9]]


def test_validation_data_has_its_own_batch_size_and_frequency():
    model, watcher = watched()
    arguments = {"validation_data": (X[:6], Y[:6]), "validation_batch_size": 4}
    model.fit(X, Y, epochs=5, verbose=0, validation_freq=2, **arguments)
    assert [len(batch) for batch in watcher.tested] == [4, 2] * 2
    watcher.tested.clear()
    history = model.fit(X, Y, epochs=5, verbose=0, validation_freq=[1, 5], validation_steps=1, **arguments)
    assert [len(batch) for batch in watcher.tested] == [4, 4]  # the same first batch each time
    assert len(history.history["val_loss"]) == 2


@pytest.mark.parametrize("kind", ["list", "loader", "indexed", "generator"])
def test_iterables_of_batches(kind):
    class Loader:
        def __iter__(self):
            return iter(batches(0, 2, 4))

    class Indexed:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return batches(0, 2, 4)[
                index
            ]  # Python's own iteration would end in an IndexError: this has a len

    source = {
        "list": batches(0, 2, 4),
        "loader": Loader(),
        "indexed": Indexed(),
        "generator": (batch for batch in batches(0, 2, 4) * 2),
    }[kind]
    model, watcher = watched()
    steps = 3 if kind == "generator" else None
    history = model.fit(source, epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0)
    assert watcher.trained == [[0, 1], [2, 3], [4, 5]] * 2
    assert history.epoch == [0, 1]
    assert history.params["steps"] == (None if kind == "loader" else 3)


def test_an_infinite_generator_goes_on_where_it_stopped():
    model, watcher = watched()
    endless = (batches(i % 10)[0] for i in itertools.count(0, 2))
    model.fit(endless, epochs=2, steps_per_epoch=3, verbose=0, validation_data=endless, validation_steps=1)
    assert watcher.trained == [[0, 1], [2, 3], [4, 5], [8, 9], [0, 1], [2, 3]]
    assert watcher.tested == [[6, 7], [4, 5]]


def test_steps_of_arrays_begin_again_when_used_up():
    model, watcher = watched()
    model.fit(X, Y, batch_size=4, epochs=2, steps_per_epoch=2, shuffle=False, verbose=0)
    assert watcher.trained == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]
    watcher.trained.clear()
    model.fit(X, Y, steps_per_epoch=3, shuffle=False, verbose=0)  # no batch_size: as many as make 3 steps
    assert watcher.trained == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_generator_that_runs_dry_ends_training_with_a_warning():
    model, _ = watched()
    with pytest.warns(UserWarning, match="ran out after 1 of the epoch's 2 batches"):
        history = model.fit(iter(batches(0, 2, 4)), epochs=5, steps_per_epoch=2, verbose=0)
    assert history.epoch == [0, 1]


def test_a_generator_cannot_make_several_epochs():
    model, watcher = watched()
    with pytest.raises(
        ValueError, match=r"x is a generator and can run only once, but 2 passes.*steps_per_epoch"
    ):
        model.fit(iter(batches(0)), epochs=2, verbose=0)
    with pytest.raises(ValueError, match=r"validation_data is a generator.*validation_steps"):
        model.fit(X, Y, epochs=2, validation_data=iter(batches(0)), verbose=0)
    assert watcher.trained == []
    model.fit(iter(batches(0)), epochs=1, verbose=0, validation_data=iter(batches(0)))
    model.fit(X, Y, epochs=3, validation_data=iter(batches(0)), validation_freq=[2], verbose=0)


def test_batches_may_carry_weights():
    model, _ = watched()
    weighted = [(X[:2], Y[:2], [0.0, 0.0]), (X[2:4], Y[2:4], [0.0, 0.0])]
    assert model.fit(weighted, verbose=0).history["loss"] == [0.0]
    assert model.evaluate(weighted, verbose=0) == 0
    assert model.fit(X, Y, validation_data=weighted, verbose=0).history["val_loss"] == [0.0]


def test_class_weights_of_generated_batches():
    model, _ = watched()
    zeros = {int(label): 0.0 for label in Y}
    assert model.fit(batches(0, 2), class_weight=zeros, verbose=0).history["loss"] == [0.0]


def test_lists_are_arrays_where_targets_come_apart():
    model, watcher = watched()
    model.fit([[1], [2]], [1, 2], shuffle=False, verbose=0)
    assert watcher.trained == [[1, 2]]
    assert model.predict([[1.0], [2.0]], verbose=0).shape == (2, 1)


def test_initial_epoch_counts_on():
    model, _ = watched()
    begun = []
    note = LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    history = model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0, callbacks=[note])
    assert history.epoch == begun == [3, 4]
    assert model.fit(X, Y, epochs=3, initial_epoch=3, verbose=0).epoch == []


def test_bytes_are_converted_batch_by_batch():
    model = Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    history = model.fit(x, np.arange(6) % 2, verbose=0)
    assert np.isfinite(history.history["loss"][0])


# ---- Keras' structures of one


@pytest.mark.parametrize("wrap", [lambda a: [a], lambda a: (a,), lambda a: {"only": a}])
def test_structures_of_one(wrap):
    model, watcher = watched()
    weights = np.ones(10)
    arguments = {"batch_size": 5, "shuffle": False, "verbose": 0}
    model.fit(wrap(X), wrap(Y), **arguments)  # the model learns its shape
    model.fit(wrap(X), wrap(Y), sample_weight=wrap(weights), validation_data=(wrap(X), wrap(Y)), **arguments)
    assert watcher.trained == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]] * 2
    loss = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(wrap(X), wrap(Y), verbose=0) == loss
    assert model.test_on_batch(wrap(X), wrap(Y)) == loss
    assert model.train_on_batch(wrap(X), wrap(Y)) == pytest.approx(loss, rel=1e-6)
    np.testing.assert_array_equal(model.predict(wrap(X), verbose=0), model.predict(X, verbose=0))


def test_a_list_of_one_example_is_a_batch_of_one():
    model, watcher = watched()
    model.build((1,))
    model.fit([X[3]], [Y[3]], verbose=0)
    model.fit([X[4]], np.array([Y[4]]), verbose=0)
    assert model.predict([X[5]], verbose=0).shape == (1, 1)
    assert watcher.trained == [[3], [4]]
    assert watcher.tested == [[5]]


@pytest.mark.parametrize("loss", [["mse"], ("mse",), [["mse"]], [losses.MeanSquaredError()]])
@pytest.mark.parametrize("names", [["mae"], [["mae"]], (("mae",),)])
def test_lists_of_one_loss_and_of_one_list_of_metrics(loss, names):
    model, _ = watched()
    model.compile("sgd", loss, metrics=names, weighted_metrics=[["mse"]])
    assert list(model.evaluate(X, Y, verbose=0, return_dict=True)) == ["loss", "mae", "mse"]


def test_two_losses_are_an_error():
    model, _ = watched()
    with pytest.raises(ValueError, match="loss has 2 items, but the model has one output"):
        model.compile("sgd", ["mse", "mae"])


# ---- what is not quite an array of numbers


@pytest.mark.parametrize("dtype", [bool, object])
def test_frames_of_bools_and_of_mixed_columns(dtype):
    pandas = pytest.importorskip("pandas")
    frame = pandas.get_dummies(pandas.Series(list("abcab")))
    if dtype is object:
        frame["size"] = [1.5, 2, 3, 4, 5]
    assert np.asarray(frame).dtype == dtype
    model, watcher = watched()
    model.fit(frame, frame["a"], verbose=0, shuffle=False)
    assert watcher.trained == [[1, 0, 0, 1, 0]]
    assert model.predict_on_batch(frame).shape == (5, 1)


def test_objects_that_are_numbers():
    model, watcher = watched()
    x = np.array([[True, 1.5], [False, np.float32(2)], [np.int64(7), np.bool_(True)]], object)
    model.fit(x, np.array([1, 2.5, np.int32(3)], object), verbose=0, shuffle=False)
    assert watcher.trained == [[1, 0, 7]]


class Sparse:
    """What SciPy's sparse matrices have."""

    shape = (10, 1)

    def toarray(self):
        return X

    def __getitem__(self, rows):
        return X[rows]


TEXT = np.array(list("abcab"), object)


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (Sparse(), Y, ValueError, r"x is a sparse matrix, .* give x\.toarray\(\)"),
        (X, Sparse(), ValueError, r"y is a sparse matrix, .* give y\.toarray\(\)"),
        ({"a": X, "b": X}, Y, ValueError, r"x is a dictionary \('a', 'b'\).*list\(x\.values\(\)\)\)"),
        (X[:5], TEXT, TypeError, r"y must hold real numbers, .* a str at \[0\], 'a': .*np\.unique\(y"),
        (X[:5], TEXT.astype(str), TypeError, r"y must hold .* dtype <U1: .*np\.unique\(y, return_inverse=Tr"),
        (TEXT[:, None], Y[:5], TypeError, r"x must .* at \[0, 0\], 'a': .* pandas\.get_dummies"),
        (
            [1, None, 3],
            [1, 2, 3],
            TypeError,
            r"x must .* a NoneType at \[1\], None: .* fill in what is missing",
        ),
        (X, Y.astype("M8[s]"), TypeError, r"y must hold real numbers, but it has the dtype datetime64"),
    ],
)
def test_errors_name_the_remedy(x, y, error, message):
    model, _ = watched()
    for method in (model.fit, model.evaluate):
        with pytest.raises(error, match=message):
            method(x, y, verbose=0)
    with pytest.raises(error, match=message):
        model.train_on_batch(x, y)


def test_errors_of_predict_name_the_remedy():
    model, _ = watched()
    for method in (lambda x: model.predict(x, verbose=0), model.predict_on_batch):
        with pytest.raises(ValueError, match=r"give x\.toarray\(\)"):
            method(Sparse())
        with pytest.raises(TypeError, match=r"x must hold real numbers, .* pandas\.get_dummies"):
            method(TEXT[:, None])
    ragged = np.empty(2, object)
    ragged[:] = [np.ones(2), np.ones(3)]
    with pytest.raises(TypeError, match=r"np\.stack"):
        model.predict(ragged, verbose=0)
