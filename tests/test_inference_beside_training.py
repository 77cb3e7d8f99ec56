"""Inference in some threads while another one trains: every prediction is that of a model after a whole step.

No test waits for luck: threads meet at barriers and events where it matters that they are at work together.
"""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import _kernels, layers, losses, optimizers
from fastconv._core.changes import Changes
from fastconv._core.turns import writing
from fastconv.engine.program import Compiled
from fastconv.models import Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.random((12, 8, 8, 2), np.float32)
Y = RNG.integers(0, 3, 12)
ONE, SOME = RNG.random((1, 8, 8, 2), np.float32), RNG.random((21, 8, 8, 2), np.float32)
STEPS, THREADS = 40, 4


def network(*more: layers.Layer) -> Sequential:
    fastconv.utils.set_random_seed(1)
    model = Sequential(
        [
            layers.Input((8, 8, 2)),
            layers.Conv2D(6, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.5),
            layers.ReLU(),
            *more,
            layers.Dropout(0.3, seed=2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    return model


def programs(model: Model) -> list[Any]:
    """Those in C that it has made so far."""
    found = [found.program for found in model._executor._programs._found.values()]
    calls = [call for program in found for call in program.schedule.calls]
    return [in_c for call in calls if isinstance(call.layer, Compiled) for in_c in call.layer._in_c.values()]


def together(*functions: Callable[[], object]) -> list[Any]:
    """What each returns, in a thread of its own."""
    results: list[Any] = [None] * len(functions)
    errors: list[BaseException] = []

    def work(place: int) -> None:
        try:
            results[place] = functions[place]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
    return results


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(params=[1, 2])
def num_threads(request):
    before = fastconv.get_num_threads()
    fastconv.set_num_threads(request.param)
    yield
    fastconv.set_num_threads(before)


@pytest.mark.usefixtures("num_threads")
def test_every_prediction_is_that_of_a_whole_step():
    alone, model = network(), network()
    allowed: dict[int, set[bytes]] = {1: set(), 21: set()}
    for _ in range(STEPS + 1):
        for x in (ONE, SOME):
            allowed[len(x)].add(alone.predict_on_batch(x).tobytes())
        last = alone.train_on_batch(X, Y)
    assert all(len(predictions) == STEPS + 1 for predictions in allowed.values())  # each step is seen
    for x in (ONE, SOME):
        model.predict_on_batch(x)
    start, over = threading.Barrier(THREADS + 1), threading.Event()

    def train() -> float:
        start.wait(600)
        try:
            for _ in range(STEPS):
                loss = model.train_on_batch(X, Y)
        finally:
            over.set()
        return loss

    def predict(x: np.ndarray) -> int:
        start.wait(600)
        count = 0
        while not over.is_set() or count == 0:
            assert model.predict_on_batch(x).tobytes() in allowed[len(x)]
            count += 1
        return count

    predicting = [lambda x=x: predict(x) for x in (ONE, SOME, ONE, SOME)]
    found = together(train, *predicting)
    assert min(found[1:]) >= 1
    assert model.train_on_batch(X, Y) == last
    assert_same(model.get_weights(), alone.get_weights())
    assert list(model.random_state().values()) == list(alone.random_state().values())


def test_a_prediction_in_the_middle_of_a_step_does_not_wait_for_it(monkeypatch):
    model, alone = network(), network()
    before = alone.predict_on_batch(ONE)
    model.predict_on_batch(ONE)
    found = []
    train = Compiled.train

    def train_meanwhile(compiled, *args):
        outputs = train(compiled, *args)  # statistics and gradients are there, and nothing has moved
        found.extend(together(lambda: model.predict_on_batch(ONE), lambda: model.predict(ONE, verbose=0)))
        return outputs

    monkeypatch.setattr(Compiled, "train", train_meanwhile)
    model.train_on_batch(X, Y)
    monkeypatch.undo()
    alone.train_on_batch(X, Y)
    assert_same(found, [before, before])
    after = model.predict_on_batch(ONE)
    assert_same([after], [alone.predict_on_batch(ONE)])
    assert (after != before).any()


class Meeting:
    """In place of the program in C: whoever calls waits until all are there."""

    def __init__(self, program: _kernels.Program, barrier: threading.Barrier) -> None:
        self.program, self.barrier = program, barrier

    def __getattr__(self, name: str) -> Any:
        self.barrier.wait(600)
        return getattr(self.program, name)


@pytest.mark.parametrize("how", ["predict_on_batch", "predict"])
def test_threads_predict_at_the_same_time(how):
    model = network()
    predict = {
        "predict_on_batch": lambda: model.predict_on_batch(SOME),
        "predict": lambda: model.predict(SOME, verbose=0),
    }[how]
    expected = predict()
    barrier = threading.Barrier(THREADS)
    (found,) = model._executor._programs._found.values()
    (call,) = found.program.schedule.calls
    call.layer._in_c = {count: Meeting(program, barrier) for count, program in call.layer._in_c.items()}
    assert_same(together(*[predict] * THREADS), [expected] * THREADS)


def batch_norm(x: np.ndarray, moving: list[np.ndarray]) -> _kernels.Program:
    op = {
        "kind": "batch_norm", "inputs": [0], "output": 1, "weights": [None, None, *moving], "epsilon": 1e-3,
        "momentum": 0.5, "training": True,
    }  # fmt: skip
    return _kernels.Program([op], [x.shape[1:]] * 2, [0], [True], [1])


def test_runs_of_one_program_at_the_same_time_have_an_arena_each():
    """They meet in the middle of the run, where statistics are exchanged with other parts of the batch."""
    x = RNG.random((16, 3, 3, 4), np.float32)
    moving = [np.zeros(4, np.float32), np.ones(4, np.float32)]
    program, barrier = batch_norm(x, moving), threading.Barrier(THREADS)

    def run(number: int) -> np.ndarray:
        def exchange(level, mine, theirs):
            barrier.wait(600)
            theirs[:] = mine

        part, y = _kernels.Part(32, 2, 0, exchange), np.empty_like(x)
        program.run([x + number], [y], True, part, None, True)
        return y

    def alone(number: int) -> np.ndarray:
        y = np.empty_like(x)
        one = _kernels.Part(32, 2, 0, lambda level, mine, theirs: theirs.__setitem__(slice(None), mine))
        batch_norm(x, [array.copy() for array in moving]).run([x + number], [y], True, one)
        return y

    for _ in range(3):
        assert_same(together(*[lambda n=n: run(n) for n in range(THREADS)]), map(alone, range(THREADS)))
    assert program.arenas["most"] == program.arenas["made"] == THREADS
    assert program.arenas["out"] == 0
    assert_same(moving, [np.zeros(4), np.ones(4)])  # nobody has committed


def test_a_run_holds_its_arena_until_it_went_back_and_was_committed():
    x = RNG.random((16, 3, 3, 4), np.float32)
    moving = [np.zeros(4, np.float32), np.ones(4, np.float32)]
    program = batch_norm(x, moving)
    y, dx, others = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    first = program.run([x], [y], True, None, None, True)
    second = program.run([2 * x], [others], True, None, None, True)
    assert program.arenas["out"] == 2
    first.backward([np.ones_like(y)], [dx])
    with pytest.raises(RuntimeError, match="goes back once"):
        first.backward([np.ones_like(y)], [dx])
    assert program.arenas["out"] == 2
    assert not moving[0].any()
    first.commit()
    np.testing.assert_allclose(moving[0], x.mean((0, 1, 2)) / 2, rtol=1e-6)
    first.commit()
    np.testing.assert_allclose(moving[0], x.mean((0, 1, 2)) / 2, rtol=1e-6)
    assert program.arenas["out"] == 1
    del second
    assert program.arenas == {"made": 2, "out": 0, "idle": 2, "most": 2}
    with pytest.raises(RuntimeError, match="run without"):
        program.run([x], [y]).backward([np.ones_like(y)], [dx])


def test_arenas_do_not_grow():
    model = network()

    def predict() -> None:
        for _ in range(250):
            model.predict_on_batch(SOME)

    model.train_on_batch(X, Y)
    together(*[predict] * THREADS)
    for _ in range(20):
        model.train_on_batch(X, Y)
    for program in programs(model):
        arenas = program.arenas
        assert arenas["made"] == arenas["idle"] == arenas["most"] <= THREADS
        assert arenas["out"] == 0
    for N in range(1, 12):
        model.predict_on_batch(X[:N])
    assert max(program.arenas["idle"] for program in programs(model)) <= THREADS


# ---- steps that fail -----------------------------------------------------------------------------


def failing(place: str, error: type[BaseException], monkeypatch) -> None:
    def fail(*args, **kwargs):
        raise error

    target, name = {
        "loss": (losses.SparseCategoricalCrossentropy, "gradient_at_logits"),
        "penalties": (fastconv.regularizers, "penalize"),
        "metrics": (fastconv.models.measures.Measures, "update"),
        "optimizer": (optimizers.Adam, "update_all"),
    }[place]
    monkeypatch.setattr(target, name, fail)
    if place == "loss":  # in Python
        monkeypatch.setattr(fastconv.models.executor, "_judged", lambda *args: None)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, ArithmeticError])
@pytest.mark.parametrize("place", ["loss", "penalties", "metrics", "optimizer"])
def test_a_step_that_fails_leaves_nothing_moved(place, error, monkeypatch):
    model, alone = network(), network()
    for each in (model, alone):
        each.train_on_batch(X, Y)
    before, state = model.get_weights(), model.random_state()
    assert list(state.values()) == [{"seed": 2, "draws": 1}]
    with monkeypatch.context() as patch:
        failing(place, error, patch)
        with pytest.raises(error):
            model.train_on_batch(X, Y)
    assert_same(model.get_weights(), before)
    assert model.random_state() == state
    assert model.optimizer.iterations == 1
    assert model.train_on_batch(X, Y) == alone.train_on_batch(X, Y)
    assert_same(model.get_weights(), alone.get_weights())
    assert all(program.arenas["out"] == 0 for program in programs(model))


def test_nothing_of_a_failing_step_is_seen_by_other_threads():
    """Nor is it put back: it never was there."""
    model, seen = network(), []

    class Looking(losses.MeanSquaredError):
        def call(self, y_true, y_pred):
            seen.extend(together(lambda: model.predict_on_batch(ONE)))
            seen.append(model.layers[1].moving_mean.numpy())
            raise ArithmeticError

    mean = model.layers[1].moving_mean.numpy()
    model.compile("sgd", Looking())
    before = model.predict_on_batch(ONE)
    with pytest.raises(ArithmeticError):
        model.train_on_batch(X, np.zeros((12, 3)))
    assert_same(seen, [before, mean])


# ---- layer by layer, and loops of one's own ------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [True, False])
def test_batch_normalization_moves_with_the_weights(jit_compile, monkeypatch):
    model = network()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit_compile)
    norm, found = model.layers[1], []
    step = optimizers.SGD._step_alone

    def look(optimizer):
        found.append(norm.moving_mean.numpy())
        step(optimizer)

    monkeypatch.setattr(optimizers.SGD, "_step_alone", look)
    model.train_on_batch(X, Y)
    assert not found[0].any()
    assert norm.moving_mean.numpy().all()


def test_in_a_loop_of_ones_own_it_moves_at_once():
    layer = layers.BatchNormalization(momentum=0.5)
    x = RNG.random((8, 4), np.float32)
    layer.forward(x, training=True)
    once = layer.moving_mean.numpy()
    np.testing.assert_allclose(once, x.mean(0) / 2, rtol=1e-6)
    with Changes():
        layer.forward(x, training=True)
        layer.forward(x, training=True)
        assert_same([layer.moving_mean.numpy()], [once])
    np.testing.assert_allclose(layer.moving_mean.numpy(), x.mean(0) * 0.875, rtol=1e-6)


def test_draws_count_once_the_step_is_done():
    layer = layers.Dropout(0.5, seed=3)
    assert layer.draw() == (3, 0)
    with Changes():
        assert [layer.draw(), layer.draw()] == [(3, 1), (3, 2)]
        assert layer.random_state() == {"seed": 3, "draws": 1}
    assert layer.random_state() == {"seed": 3, "draws": 3}

    def fail() -> None:
        with Changes():
            layer.draw()
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert layer.random_state() == {"seed": 3, "draws": 3}


# ---- the lock ------------------------------------------------------------------------------------


def test_whoever_writes_waits_for_readers_of_the_same_weights_alone():
    model, other = network(), network()
    sharing = Sequential(model.layers[:2])
    order: list[str] = []
    tried = threading.Event()

    def write(parameters: list[Any], name: str) -> None:
        tried.set()
        with writing(parameters):
            order.append(name)

    for one in (model, sharing):
        with one._turns.reading:
            write(model.parameters, "its own thread")
            together(lambda: write(other.parameters, "others"))
            tried.clear()
            thread = threading.Thread(target=write, args=(model.parameters, "shared"), daemon=True)
            thread.start()
            assert tried.wait(600)
            while _kernels.reading_now() and not waiting():
                pass
            together(lambda: other.predict_on_batch(ONE))  # another model's reader need not wait
            order.append("read")
        thread.join(600)
    assert order == ["its own thread", "others", "read", "shared"] * 2


def waiting() -> bool:
    from fastconv._core import turns

    return any(not one._is_at_work for one in turns._writers)


def test_a_reader_waits_for_a_writer_and_a_second_one_in_the_same_thread_does_not():
    model, order = network(), []
    expected = model.predict_on_batch(ONE)
    with model._turns.reading:
        thread = threading.Thread(target=model.set_weights, args=([0 * w for w in model.get_weights()],))
        thread.start()
        while not waiting():
            pass
        assert_same([model.predict_on_batch(ONE)], [expected])
        late = threading.Thread(target=lambda: order.append(model.predict_on_batch(ONE)))
        late.start()
    thread.join(600)
    late.join(600)
    np.testing.assert_allclose(order[0], 1 / 3, rtol=1e-6)


def test_two_readers_that_want_to_write_are_told():
    model = network()
    inside, errors = threading.Barrier(2), []

    def upgrade() -> None:
        with model._turns.reading:
            inside.wait(600)
            try:
                with writing(model.parameters):
                    pass
            except RuntimeError as error:
                errors.append(str(error))

    together(upgrade, upgrade)
    assert len(errors) == 1
    assert errors[0].startswith("two threads change weights in the middle of an inference")


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_read_and_written_by_themselves(copier):
    model = network()
    model.train_on_batch(X, Y)
    copied = copier(model)
    with model._turns.reading:
        together(lambda: copied.train_on_batch(X, Y))
    model.train_on_batch(X, Y)
    assert_same(copied.get_weights(), model.get_weights())
    assert copied._turns._weights.ids() == frozenset(map(id, copied.weights))


def test_layers_that_change_their_weights_in_call_are_had_alone(monkeypatch):
    """SpectralNormalization divides its kernel in the middle of a step, and puts it back if that fails."""
    model = network(layers.SpectralNormalization(layers.Conv2D(4, 1)))
    model.train_on_batch(X, Y)
    before = model.get_weights()
    with monkeypatch.context() as patch:
        failing("optimizer", ArithmeticError, patch)
        with pytest.raises(ArithmeticError):
            model.train_on_batch(X, Y)
    assert_same(model.get_weights(), before)
