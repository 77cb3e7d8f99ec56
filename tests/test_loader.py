"""Batches prepared in the background: the same ones, in the same order, and no thread stays behind."""

from __future__ import annotations

import itertools
import threading
import traceback

import numpy as np
import pytest

from fastconv import layers, utils
from fastconv.callbacks import LambdaCallback
from fastconv.datasets import Loader
from fastconv.models import Sequential
from fastconv.utils import Prefetch, PyDataset, prefetch
from fastconv.utils.prefetch import made_ahead

X = np.random.default_rng(0).random((50, 6, 6, 1), np.float32)
Y = np.arange(50) % 3
PAIRS = [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 50, 10)]


@pytest.fixture(autouse=True)
def no_thread_stays_behind():
    yield
    assert threads() == []


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "fastconv.Prefetch"]


def compiled(seed=0):
    utils.set_random_seed(seed)
    model = Sequential(
        [
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def assert_same_weights(model, other):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def firsts(batches):
    """The first pixel of every image: who is in which batch."""
    return [x[:, 0, 0, 0].tolist() for x, *_ in batches]


# ---- Prefetch


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_the_batches_are_those_of_the_source_as_often_as_wanted(depth):
    ahead = Prefetch(PAIRS, depth=depth)
    assert len(ahead) == 5
    assert ahead.repeatable
    for _ in range(2):
        for (x, y), (wanted_x, wanted_y) in zip(ahead, PAIRS, strict=True):
            assert x is wanted_x
            assert y is wanted_y


def test_map_gets_the_parts_of_a_batch():
    negative = Prefetch([(1, 2), (3, 4)], map=lambda x, y: (-x, y))
    assert list(negative) == [(-1, 2), (-3, 4)]
    assert list(Prefetch([1, 2], map=lambda x: -x)) == [-1, -2]
    assert list(Prefetch([], map=lambda x: x)) == []


def test_the_next_batch_is_made_while_this_one_is_worked_on():
    """Would wait for ever, were the batches made one after the other when they are asked for."""
    made = [threading.Event() for _ in range(4)]

    def source():
        for number in range(4):
            assert threading.current_thread() is not threading.main_thread()
            made[number].set()
            yield number

    for number in Prefetch(source()):
        assert all(event.wait(600) for event in made[number : number + 2])


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_than_depth_batches_wait(depth):
    started = 0
    enough = threading.Event()

    def source():
        nonlocal started
        for number in range(50):
            started += 1
            if started == depth + 2:  # one was taken, depth wait, one has no place yet
                enough.set()
            yield number

    batches = iter(Prefetch(source(), depth=depth))
    assert next(batches) == 0
    assert enough.wait(600)
    threads()[0].join(0.05)  # time to make one more, if it were not asleep
    assert started == depth + 2
    batches.close()


@pytest.mark.parametrize("where", ["source", "map"])
def test_errors_reach_the_consumer_where_they_belong(where):
    class Broken(Exception):
        pass

    def source():
        yield from PAIRS[:2]
        if where == "source":
            raise Broken("the disk is gone")
        yield PAIRS[2]

    seen = itertools.count()

    def fail_at_the_third(x, y):
        if where == "map" and next(seen) == 2:
            raise Broken("the disk is gone")
        return x, y

    taken = []
    with pytest.raises(Broken, match="the disk is gone") as caught:
        taken.extend(Prefetch(source(), map=fail_at_the_third))
    assert "fail_at_the_third" in "".join(traceback.format_tb(caught.tb)) or where == "source"
    batches = iter(Prefetch(source(), map=fail_at_the_third if where == "source" else None))
    assert next(batches)[0] is PAIRS[0][0]
    assert threads() != []
    batches.close()


def test_leaving_early_ends_the_thread():
    for number, _ in enumerate(Prefetch(PAIRS, depth=1)):
        if number == 1:
            break
    assert threads() == []


def test_an_error_of_the_consumer_ends_the_thread():
    def consume():
        for _ in Prefetch(itertools.count()):
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        consume()


def test_what_cannot_be_prefetched():
    with pytest.raises(TypeError, match="source must be an iterable of batches, got 3"):
        Prefetch(3)
    with pytest.raises(TypeError, match="map must be a function"):
        Prefetch(PAIRS, map="flip")
    with pytest.raises(ValueError, match="Prefetch: depth must be a whole number, at least 1; got 0"):
        Prefetch(PAIRS, depth=0)
    with pytest.raises(TypeError, match="has no length"):
        len(Prefetch(iter(PAIRS)))


# ---- in fit


def test_training_on_prefetched_batches_changes_no_bit():
    plain = compiled()
    expected = plain.fit(PAIRS, epochs=3, verbose=0).history
    ahead = compiled()
    assert ahead.fit(Prefetch(PAIRS), epochs=3, verbose=0).history == expected
    assert_same_weights(plain, ahead)


def test_training_on_a_loader_is_training_on_the_arrays():
    for shuffle in (True, False):
        plain = compiled()
        history = plain.fit(X, Y, batch_size=16, epochs=3, verbose=0, shuffle=shuffle, validation_data=(X, Y))
        loaded = compiled()
        ahead = Loader(X, Y, batch_size=16, shuffle=shuffle)
        again = loaded.fit(
            ahead, epochs=3, verbose=0, validation_data=Loader(X, Y, batch_size=16, shuffle=False)
        )
        assert_same_weights(plain, loaded)
        assert again.history == history.history
        assert again.params["steps"] == len(ahead) == 4


def test_predicting_and_evaluating():
    model = compiled()
    model.build((6, 6, 1))
    in_order = Loader(X, Y, shuffle=False, batch_size=7)
    assert model.evaluate(in_order, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-6)
    images = Loader(X, shuffle=False, batch_size=7)
    np.testing.assert_allclose(model.predict(images, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    weighted = Loader(X, Y, np.ones(50), batch_size=50)
    assert [len(batch) for batch in weighted] == [3]


def test_a_generator_runs_once():
    def source():
        yield from PAIRS

    model = compiled()
    assert not Prefetch(source()).repeatable
    with pytest.raises(ValueError, match="can run only once, but 2 passes"):
        model.fit(Prefetch(source()), epochs=2, verbose=0)
    model.fit(Prefetch(itertools.cycle(PAIRS)), epochs=2, steps_per_epoch=3, verbose=0)
    assert model.optimizer.iterations == 6


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupting_fit_ends_the_thread_at_once(error, steps):
    def interrupt(batch, logs):
        if batch == 1:
            raise error("now")

    model = compiled()
    with pytest.raises(error) as kept:  # a traceback keeps fit's variables alive
        model.fit(
            Prefetch(itertools.cycle(PAIRS)),
            steps_per_epoch=steps,
            verbose=0,
            validation_data=Prefetch(PAIRS),
            callbacks=LambdaCallback(on_train_batch_end=interrupt),
        )
    assert threads() == []
    assert kept.value.args == ("now",)


def test_stopping_early_ends_the_thread():
    model = compiled()

    def stop(batch, logs):
        model.stop_training = True

    model.fit(Prefetch(itertools.cycle(PAIRS)), verbose=0, callbacks=LambdaCallback(on_train_batch_end=stop))
    assert model.optimizer.iterations == 1
    assert threads() == []


def test_errors_of_the_map_end_fit():
    def broken(x, y):
        raise OSError("no such image")

    with pytest.raises(OSError, match="no such image"):
        compiled().fit(Loader(X, Y, map=broken), verbose=0)
    with pytest.raises(ValueError, match=r"a batch is x, \(x, y\) or \(x, y, sample_weight\); got 4 items"):
        compiled().fit(Loader(X, Y, map=lambda x, y: (x, y, None, y)), verbose=0)


# ---- Loader


def test_a_seed_makes_the_order_of_each_epoch():
    one, other, resumed = Loader(X, Y, seed=4), Loader(X, Y, seed=4, prefetch=0), Loader(X, Y, seed=4)
    epochs = [firsts(one) for _ in range(3)]
    assert [firsts(other) for _ in range(3)] == epochs
    assert sorted(itertools.chain(*epochs[0])) == sorted(X[:, 0, 0, 0].tolist())
    assert epochs[0] != epochs[1] != epochs[2]
    resumed.epoch = 2
    assert firsts(resumed) == epochs[2]
    assert firsts(Loader(X, Y, seed=5)) != epochs[0]
    assert firsts(Loader(X, Y, shuffle=False)) == [X[:32, 0, 0, 0].tolist(), X[32:, 0, 0, 0].tolist()]


def test_without_a_seed_the_global_one_counts():
    orders = []
    for _ in range(2):
        utils.set_random_seed(6)
        loader = Loader(X, Y)
        orders.append([firsts(loader), firsts(loader)])
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]


def augmented(prefetch, epochs=3):
    flip, turn = layers.RandomFlip("horizontal", seed=1), layers.RandomRotation(0.1, seed=2)
    loader = Loader(X, Y, batch_size=8, seed=3, map=lambda x, y: (turn(flip(x)), y), prefetch=prefetch)
    return [[(x.tobytes(), y.tobytes()) for x, y in loader] for _ in range(epochs)]


def test_augmentation_in_the_background_changes_no_bit():
    expected = augmented(prefetch=0)
    assert augmented(prefetch=1) == augmented(prefetch=5) == expected
    assert expected[0] != expected[1]


def drawn(loader, epochs=2):
    return [[x.tobytes() for x, _ in loader] for _ in range(epochs)]


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("layer_seed", [None, 1])
def test_what_is_drawn_depends_on_the_place_alone(seed, layer_seed):
    """Not on the batches made before, nor on those waiting, nor on what the training draws meanwhile."""

    def loader(prefetch):
        utils.set_random_seed(0)
        noise, flip = layers.GaussianNoise(1.0, seed=layer_seed), layers.RandomFlip(seed=layer_seed)
        prepare = {"map": lambda x, y: (flip(noise(x, training=True)), y), "prefetch": prefetch}
        return Loader(X, Y, batch_size=8, shuffle=False, seed=seed, **prepare)

    expected = drawn(loader(0))
    assert len(set(itertools.chain(*expected))) == 14
    assert drawn(loader(5)) == expected
    ahead = loader(2)
    taken = []
    for x, _ in ahead:
        layers.Dropout(0.5)(x, training=True)  # draws a seed from the global generator
        taken.append(x.tobytes())
    assert taken == expected[0]
    resumed = loader(1)
    assert [x.tobytes() for x, _ in resumed.start(3)] == expected[0][3:]


def test_a_batch_need_not_be_made_to_be_skipped():
    made = []

    def prepare(x, y):
        made.append(len(x))
        return x, y

    for source in (Loader(X, Y, batch_size=10, map=prepare), Prefetch(PAIRS, map=prepare)):
        made.clear()
        assert len(list(source.start(3))) == 2
        assert len(made) == 2
        assert list(source.start(5)) == []


def test_layers_of_the_same_seed_do_the_same():
    """To an image and its mask, say; also where a layer is called for each image by itself."""
    flip_image, flip_mask = layers.RandomFlip(seed=1), layers.RandomFlip(seed=1)
    for x, mask in Loader(X, X, seed=2, batch_size=10, map=lambda x, y: (flip_image(x), flip_mask(y))):
        np.testing.assert_array_equal(x, mask)
    one_by_one = Loader(
        np.stack([X[0]] * 50),
        seed=2,
        batch_size=50,
        map=lambda x: np.concatenate([flip_image(i[None]) for i in x]),
    )
    (x,) = one_by_one
    assert len({image.tobytes() for image in x}) == 2  # as it is, and turned round


def test_outside_the_map_layers_count_as_ever():
    noise = layers.GaussianNoise(1.0, seed=4)
    first, second = noise(X, training=True), noise(X, training=True)
    noise.set_random_state({"seed": 4, "draws": 0})
    list(Prefetch(PAIRS, map=lambda x, y: (noise(x, training=True), y)))
    assert noise.random_state() == {"seed": 4, "draws": 0}
    np.testing.assert_array_equal(noise(X, training=True), first)
    np.testing.assert_array_equal(noise(X, training=True), second)


def test_a_generator_of_the_users_stays_open():
    source = iter(PAIRS * 3)
    generator = (pair for pair in source)
    model = compiled()
    for _ in range(3):
        model.fit(generator, steps_per_epoch=2, verbose=0)
        model.fit(Prefetch(generator, depth=1), steps_per_epoch=1, verbose=0)
    assert model.optimizer.iterations == 9


def test_in_layers_of_layers_no_thread_stays():
    for _ in Prefetch(Prefetch(Prefetch(Loader(X, Y, batch_size=5)))):
        assert len(threads()) == 4
        break
    Prefetch(Loader(X, Y)).start().close()  # before it began


def test_augmented_in_the_background_a_model_trains():
    shift = layers.RandomTranslation(0.2, 0.2, seed=1)
    model = compiled()
    model.fit(Loader(X, Y, seed=3, map=lambda x, y: (shift(x), y)), epochs=2, verbose=0)
    assert model.optimizer.iterations == 4


def test_what_cannot_be_loaded():
    with pytest.raises(ValueError, match="x and y must have the same length, got 50 and 3"):
        Loader(X, Y[:3])
    with pytest.raises(ValueError, match="x is empty"):
        Loader(X[:0])
    with pytest.raises(ValueError, match="Loader: batch_size must be a whole number, at least 1; got 0"):
        Loader(X, Y, batch_size=0)
    with pytest.raises(TypeError, match="map must be a function"):
        Loader(X, Y, map=3)
    with pytest.raises(ValueError, match="Loader: prefetch must be"):
        Loader(X, Y, prefetch=-1)
    with pytest.raises(ValueError, match="Loader: seed must be"):
        Loader(X, Y, seed=0.5)


# ---- PyDataset


class Numbered(PyDataset):
    def __init__(self, **options):
        super().__init__(**options)
        self.calls = []

    def __len__(self):
        return 5

    def __getitem__(self, index):
        self.calls.append(index)
        return PAIRS[index]

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_data_set_of_ones_own(workers):
    dataset, plain = Numbered(workers=workers), compiled()
    plain.fit(PAIRS, epochs=2, verbose=0)
    model = compiled()
    model.fit(dataset, epochs=2, verbose=0, shuffle=False)
    assert_same_weights(plain, model)
    assert dataset.calls == ["begin", 0, 1, 2, 3, 4, "end"] * 2
    dataset.calls.clear()
    model.fit(dataset, verbose=0)
    assert sorted(dataset.calls[1:-1]) == [0, 1, 2, 3, 4]
    assert dataset.num_batches == 5
    assert [y[0] for _, y in dataset] == [0, 1, 2, 0, 1]
    assert model.predict(dataset, verbose=0).shape == (50, 3)


def test_data_sets_that_lack_something():
    with pytest.raises(ValueError, match="'use_multiprocessing' is not supported yet; say workers=2"):
        PyDataset(use_multiprocessing=True)
    with pytest.raises(NotImplementedError, match=r"PyDataset has no __len__\(\)"):
        len(PyDataset())
    with pytest.raises(NotImplementedError, match=r"PyDataset has no __getitem__\(index\)"):
        PyDataset()[0]


def test_a_source_that_blocks_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(prefetch, "_PATIENCE", 0.01)
    goes_on = threading.Event()

    def blocking():
        yield from PAIRS[:2]
        goes_on.wait()
        yield PAIRS[2]

    model = compiled()
    try:
        model.fit(Prefetch(blocking()), steps_per_epoch=2, verbose=0)  # without an end it would wait for ever
        assert model.optimizer.iterations == 2
    finally:
        goes_on.set()
        for thread in threads():
            thread.join()


def test_the_thread_closes_what_it_was_given():
    closed = []

    def source():
        try:
            yield from PAIRS
        finally:
            closed.append(threading.current_thread().name)

    batches = made_ahead(source(), 1)
    next(batches)
    batches.close()
    assert closed == ["fastconv.Prefetch"]
