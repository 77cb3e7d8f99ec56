"""The small helpers around training."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fastconv import layers, models, utils
from fastconv._core.randomness import generator


def test_one_seed_for_all_generators():
    drawn = []
    for _ in range(2):
        utils.set_random_seed(11)
        drawn.append((random.random(), np.random.rand(), generator().random()))  # noqa: NPY002
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, True])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(ValueError, match="seed must be a whole number"):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("labels", [[2, 0, 1], [[2], [0], [1]], np.uint8([2, 0, 1]), [2.0, 0.0, 1.0]])
def test_to_categorical(labels):
    rows = utils.to_categorical(labels)
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert rows.dtype == np.float32
    assert utils.to_categorical(labels, 5).shape == (3, 5)


def test_to_categorical_keeps_leading_axes():
    assert utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 3], 3, r"label 3 is outside 0\.\.2"),
        ([-1, 0], None, r"label -1 is outside 0\.\.0"),
        ([0.5], None, "whole-number labels, got float64"),
        (["a"], None, "whole-number labels"),
        ([], None, "needs num_classes"),
    ],
)
def test_to_categorical_refuses(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        utils.to_categorical(labels, classes)


# ---- normalize


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [[0.6, 0.8], [0, 0]]),
        ({"order": 1}, [[3 / 7, 4 / 7], [0, 0]]),
        ({"axis": 0}, [[1, 1], [0, 0]]),
        ({"axis": 1, "order": np.inf}, [[0.75, 1], [0, 0]]),
    ],
)
def test_normalize_divides_by_the_norm(arguments, expected):
    np.testing.assert_allclose(utils.normalize([[3.0, 4.0], [0.0, 0.0]], **arguments), expected, rtol=1e-12)
    assert utils.normalize(np.ones((2, 3), np.float32)).dtype == np.float32


# ---- packing


def test_packing_leaves_out_what_is_none():
    x, y, w = np.ones(3), np.zeros(3), np.full(3, 2.0)
    assert utils.pack_x_y_sample_weight(x) is x
    assert utils.pack_x_y_sample_weight([x]) == ([x],)
    assert utils.pack_x_y_sample_weight(x, y) == (x, y)
    assert utils.pack_x_y_sample_weight(x, y, w) == (x, y, w)
    for packed in ((x,), (x, y), (x, y, w)):
        assert utils.unpack_x_y_sample_weight(packed) == (*packed, *[None] * (3 - len(packed)))
        assert utils.unpack_x_y_sample_weight(list(packed)) == (*packed, *[None] * (3 - len(packed)))
    assert utils.unpack_x_y_sample_weight(x) == (x, None, None)
    for data in ((), (x, y, w, x)):
        with pytest.raises(ValueError, match=rf"a batch is .*; got {len(data)} items"):
            utils.unpack_x_y_sample_weight(data)


# ---- split_dataset


def parts_of(*sources):
    return [
        [np.concatenate(columns) for columns in zip(*(source[i] for i in range(len(source))), strict=True)]
        for source in sources
    ]


@pytest.mark.parametrize(
    ("sizes", "left", "right"),
    [
        ({"left_size": 0.8}, 80, 20),
        ({"right_size": 0.25}, 75, 25),
        ({"left_size": 33}, 33, 67),
        ({"left_size": 50, "right_size": 0.2}, 50, 20),
    ],
)
def test_split_dataset_takes_the_first_and_the_last(sizes, left, right):
    x, y = np.arange(200).reshape(100, 2), np.arange(100)
    first, last = utils.split_dataset((x, y), **sizes)
    assert [len(first), len(last)] == [-(-left // 32), -(-right // 32)]
    (x_first, y_first), (x_last, y_last) = parts_of(first, last)
    np.testing.assert_array_equal(x_first, x[:left])
    np.testing.assert_array_equal(y_first, y[:left])
    np.testing.assert_array_equal(x_last, x[100 - right :])
    np.testing.assert_array_equal(y_last, y[100 - right :])


def test_split_dataset_shuffles_pairs():
    x = np.arange(100)
    first, last = utils.split_dataset([x, 2 * x], left_size=0.7, shuffle=True, seed=1)
    again, _ = utils.split_dataset([x, 2 * x], left_size=0.7, shuffle=True, seed=1)
    (x_first, y_first), (x_last, y_last), (x_again, _) = parts_of(first, last, again)
    np.testing.assert_array_equal(y_first, 2 * x_first)
    np.testing.assert_array_equal(y_last, 2 * x_last)
    assert not np.array_equal(x_first, x[:70])
    np.testing.assert_array_equal(np.sort(np.concatenate([x_first, x_last])), x)
    np.testing.assert_array_equal(x_again, x_first)


def test_split_datasets_are_for_fit():
    x = np.random.default_rng(0).random((100, 3), np.float32)
    y = x.sum(axis=1, keepdims=True)
    left, right = utils.split_dataset((x, y), left_size=0.8)
    model = models.Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    history = model.fit(left, validation_data=right, epochs=2, verbose=0).history
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(x[80:], y[80:], verbose=0), rel=1e-6)
    (alone, _) = utils.split_dataset(x, left_size=40)
    np.testing.assert_array_equal(model.predict(alone, verbose=0), model.predict(x[:40], verbose=0))
    with pytest.raises(IndexError, match="there are 2 batches, none at 2"):
        alone[2]


@pytest.mark.parametrize(
    ("data", "arguments", "error", "message"),
    [
        ("text", {"left_size": 0.5}, TypeError, "got str"),
        (iter([1]), {"left_size": 0.5}, TypeError, "a tuple of arrays such as"),
        ((np.ones(4), np.ones(5)), {"left_size": 0.5}, ValueError, r"differ in length, .*\(4,\), \(5,\)"),
        (np.ones(4), {}, ValueError, "needs left_size or right_size"),
        (np.ones(4), {"left_size": 4}, ValueError, "left_size is a number of examples below 4, .*got 4"),
        (np.ones(4), {"left_size": 1.0}, ValueError, "a share between 0 and 1; got 1.0"),
        (np.ones(4), {"right_size": -1}, ValueError, "right_size .*got -1"),
        (np.ones(4), {"left_size": "2"}, TypeError, "got '2'"),
        (np.ones(4), {"left_size": True}, TypeError, "got True"),
        (np.ones(4), {"left_size": 3, "right_size": 2}, ValueError, "left_size=3 and right_size=2 are more"),
        (np.ones(4), {"left_size": 0.9}, ValueError, "nothing is left for one side of 4 and 0 examples"),
        (np.ones(4), {"left_size": 3, "preferred_backend": "torch"}, ValueError, "preferred_backend"),
    ],
)
def test_split_dataset_refuses(data, arguments, error, message):
    with pytest.raises(error, match=message):
        utils.split_dataset(data, **arguments)


# ---- Progbar


def test_progbar_shows_means_over_the_steps(capsys):
    bar = utils.Progbar(4, verbose=2, stateful_metrics=["rate"])
    bar.update(1, [("loss", 4.0), ("rate", 0.5)])
    bar.add(2, [("loss", 1.0), ("rate", 0.25)])
    assert bar.values == {"loss": 2.0, "rate": 0.25}
    assert capsys.readouterr().out == ""
    bar.update(4)
    line = capsys.readouterr().out
    assert line.startswith("4/4 - ")
    assert line.endswith("s - loss: 2.0000 - rate: 0.2500\n")


def test_progbar_shows_what_it_is_given_last_as_it_is():
    bar = utils.Progbar(None, verbose=0, stateless_metrics=["loss"])
    bar.update(1, [("loss", 4.0), ("accuracy", 0.5)])
    bar.update(2, [("loss", 2.0), ("accuracy", 0.75)])
    assert bar.values == {"loss": 3.0, "accuracy": 0.75}
    bar.update(2, [("loss", 2.5)], finalize=True)
    assert bar.values["loss"] == 2.5


@pytest.mark.parametrize("target", [3, None])
def test_progbar_draws_a_bar(capsys, target):
    bar = utils.Progbar(target, width=6, interval=0, unit_name="image")
    for step in range(3):
        bar.update(step + 1, [("loss", 1.5)], finalize=step == 2)
    last = capsys.readouterr().out.rstrip("\n").rpartition("\r")[2]
    assert "loss: 1.5000" in last
    assert ("3/3" if target else "3image") in last


def test_progbar_takes_any_output(monkeypatch):
    class Written:
        text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    for verbose, end in ((1, "| 3/3 ["), (2, "3/3 - ")):
        for output in (None, Written()):
            monkeypatch.setattr("sys.stdout", output)
            bar = utils.Progbar(3, verbose=verbose)
            bar.update(3, [("loss", 2.0)])
        monkeypatch.undo()
        assert end in output.text
        assert output.text.endswith(" loss: 2.0000\n")


def test_progbar_refuses():
    with pytest.raises(ValueError, match="verbose must be 0"):
        utils.Progbar(3, verbose=3)
    with pytest.raises(ValueError, match="stateful_metrics or stateless_metrics, not both"):
        utils.Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])
