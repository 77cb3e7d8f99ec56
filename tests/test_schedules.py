"""Learning-rate schedules: Keras' rates, formulas by hand, arrays of steps, configuration, errors."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest

from fastconv import optimizers
from fastconv.optimizers import schedules
from fastconv.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
    PolynomialDecay,
    PowerDecay,
)

GOLDEN = json.loads(
    (Path(__file__).parent / "golden" / "schedules.json").read_text()
)  # golden/make_schedules.py

ALL = [
    ExponentialDecay(0.1, 10, 0.5),
    PiecewiseConstantDecay([5, 9], [0.3, 0.2, 0.1]),
    InverseTimeDecay(0.1, 10, 0.5),
    PolynomialDecay(0.1, 10),
    CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=5),
    CosineDecayRestarts(0.1, 10),
    PowerDecay(0.1, 10, 0.5),
    OneCycle(0.1, 100),
]


def identifier(case):
    config = case["schedule"]["config"]
    return f"{config['name']}{len(config)}-{json.dumps(list(config.values()))}"


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=identifier)
def test_rates_are_those_of_keras(case):
    schedule = schedules.deserialize(case["schedule"])
    found = [schedule(step) for step in GOLDEN["steps"]]
    # Keras takes the cosine in float32, whatever it is told.
    tolerance = 1e-7 * max(case["rates"]) if "Cosine" in type(schedule).__name__ else 1e-15
    np.testing.assert_allclose(found, case["rates"], rtol=1e-12, atol=tolerance)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_a_step_gives_a_number_and_steps_an_array(schedule):
    steps = np.arange(120)
    rates = schedule(steps)
    assert rates.shape == (120,)
    assert isinstance(schedule(7), float)
    assert isinstance(schedule(np.int64(7)), float)
    np.testing.assert_allclose(rates, [schedule(int(step)) for step in steps], rtol=1e-14)
    assert (rates >= 0).all()


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_configuration_survives_json(schedule):
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert again(3) == schedule(3)
    assert copy.deepcopy(schedule)(3) == schedule(3)
    assert repr(again) == repr(schedule)


def test_the_configuration_of_keras_is_ours():
    # without "module" and "registered_name", which Keras adds; arguments in its order
    for case in GOLDEN["cases"]:
        schedule = schedules.deserialize(case["schedule"])
        assert schedules.serialize(schedule) == {k: case["schedule"][k] for k in ("class_name", "config")}
        assert list(schedule.get_config()) == list(case["schedule"]["config"])


# ---- by hand


def test_power():
    schedule = PowerDecay(0.1, 20)
    assert [schedule(step) for step in (0, 20, 40, 60)] == pytest.approx([0.1, 0.1 / 2, 0.1 / 3, 0.1 / 4])
    assert PowerDecay(0.1, 20, power=2.0)(60) == pytest.approx(0.1 / 16)
    assert PowerDecay(0.1, 20, power=0.5)(60) == pytest.approx(0.1 / 2)
    stairs = PowerDecay(0.1, 20, staircase=True)
    assert [stairs(19), stairs(20), stairs(39)] == pytest.approx([0.1, 0.05, 0.05])
    steps = np.arange(200)
    np.testing.assert_allclose(PowerDecay(0.1, 20)(steps), InverseTimeDecay(0.1, 20, 1.0)(steps), rtol=1e-14)


def test_exponential_by_ten_every_s_steps():
    schedule = ExponentialDecay(0.01, 20, 0.1)
    assert [schedule(step) for step in (0, 10, 20, 40)] == pytest.approx(
        [0.01, 0.01 / math.sqrt(10), 1e-3, 1e-4]
    )


def test_piecewise_constant_changes_after_its_boundaries():
    schedule = PiecewiseConstantDecay([5, 15], [0.01, 0.005, 0.001])
    assert [schedule(step) for step in (0, 5, 6, 15, 16, 1000)] == [0.01, 0.01, 0.005, 0.005, 0.001, 0.001]
    assert PiecewiseConstantDecay([], [0.5])(3) == 0.5


def test_restarts_begin_high_at_the_very_step():
    # log(1000) / log(10) is 2.9999999999999996 in floating point
    schedule = CosineDecayRestarts(0.1, 9, t_mul=10.0, m_mul=0.5)
    assert [schedule(step) for step in (0, 9, 99, 999)] == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    assert schedule(998) < 1e-6


def test_one_cycle():
    schedule = OneCycle(1.0, 101)
    assert schedule.initial_learning_rate == 0.1
    assert schedule.final_learning_rate == pytest.approx(1e-4)
    corners = [0, 45, 90, 100]
    assert [schedule(step) for step in corners] == pytest.approx([0.1, 1.0, 0.1, 1e-4])
    assert [schedule.momentum(step) for step in corners] == pytest.approx([0.95, 0.85, 0.95, 0.95])
    steps = np.arange(101)
    slopes = np.diff(schedule(steps))
    np.testing.assert_allclose(slopes[:45], 0.9 / 45)
    np.testing.assert_allclose(slopes[45:90], -0.9 / 45)
    np.testing.assert_allclose(slopes[90:], -(0.1 - 1e-4) / 10)
    slopes = [-0.1 / 45] * 45 + [0.1 / 45] * 45 + [0.0] * 10
    np.testing.assert_allclose(np.diff(schedule.momentum(steps)), slopes, atol=1e-15)
    assert schedule(1000) == schedule(100)


def test_one_cycle_with_all_arguments():
    schedule = OneCycle(0.5, 11, 0.25, 0.125, final_share=0.2, max_momentum=0.9, min_momentum=0.5)
    assert [schedule(step) for step in (0, 2, 4, 8, 9, 10)] == pytest.approx(
        [0.25, 0.375, 0.5, 0.25, 0.1875, 0.125]
    )
    assert [schedule.momentum(step) for step in (0, 2, 4, 8, 10)] == pytest.approx([0.9, 0.7, 0.5, 0.9, 0.9])
    no_end = OneCycle(0.5, 11, final_share=0.0)
    assert [no_end(step) for step in (0, 5, 9)] == pytest.approx([0.05, 0.5, 0.05 + 0.45 / 5])
    assert OneCycle(0.5, 1)(0) > 0


# ---- inside an optimizer


class Halving(LearningRateSchedule):
    def __init__(self, first):
        self.first = first

    def __call__(self, step):
        return self.first / 2**step


def test_a_schedule_of_ones_own():
    assert Halving(8.0).get_config() == {"first": 8.0}
    config = optimizers.serialize(optimizers.SGD(Halving(8.0)))
    assert config["config"]["learning_rate"] == {"class_name": "Halving", "config": {"first": 8.0}}
    optimizer = optimizers.deserialize(json.loads(json.dumps(config)), {"Halving": Halving})
    assert optimizer.learning_rate == 8.0
    optimizer = optimizers.SGD.from_config(config["config"], {"Halving": Halving})
    assert optimizer.learning_rate == 8.0
    with pytest.raises(ValueError, match=r"unknown learning rate schedule 'Halving'.*'CosineDecay'"):
        optimizers.deserialize(config)


def test_a_schedule_that_hides_its_arguments_cannot_be_saved():
    class Secret(LearningRateSchedule):
        def __init__(self, rate):
            self._rate = rate

    with pytest.raises(NotImplementedError, match=r"keep the argument 'rate' as self\.rate"):
        Secret(1.0).get_config()
    with pytest.raises(NotImplementedError, match=r"Secret must define __call__\(self, step\)"):
        Secret(1.0)(0)


# ---- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "decay_steps must be > 0, got 0"),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), "decay_steps must be > 0"),
        (lambda: PolynomialDecay(0.1, 0), "decay_steps must be > 0"),
        (lambda: PowerDecay(0.1, math.nan), "decay_steps must be > 0"),
        (lambda: CosineDecay(0.1, 0), "decay_steps must be > 0"),
        (lambda: CosineDecayRestarts(0.1, 0), "first_decay_steps must be > 0"),
        (lambda: CosineDecayRestarts(0.1, 5, t_mul=0.5), "t_mul must be at least 1, got 0.5"),
        (lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "got 2 values and 2 boundaries"),
        (lambda: PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "boundaries must rise"),
        (lambda: OneCycle(0.1, 0), "total_steps must be > 0"),
        (lambda: OneCycle(0.1, 10, final_share=1.0), r"final_share must lie in \[0, 1\)"),
        (lambda: OneCycle(0.1, 10, max_momentum=0.8), "max_momentum=0.8, min_momentum=0.85"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
