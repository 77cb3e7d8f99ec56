"""What all optimizers can do besides their rule: clipping, weight decay, averages, accumulation, rates."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from kernels import assert_same_bits_on_any_threads, each_isa

import fastconv
from fastconv import Sequential, layers, optimizers, set_backend, utils
from fastconv.models import load_model
from fastconv.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Nadam,
    Optimizer,
    RMSprop,
    schedules,
)
from fastconv.parameter import Parameter

RULES = [SGD, Adagrad, RMSprop, Adam, AdamW, Adamax, Nadam, Adadelta]
OPTIONS = [
    {"clipvalue": 0.5},
    {"clipnorm": 0.5},
    {"global_clipnorm": 0.5},
    {"weight_decay": 0.1},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3},
    {"learning_rate": schedules.ExponentialDecay(0.01, 5, 0.5)},
    {
        "learning_rate": schedules.CosineDecay(0.01, 20),
        "clipnorm": 0.5,
        "weight_decay": 0.1,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
        "gradient_accumulation_steps": 2,
    },
]


@pytest.fixture(params=["native", "reference"])
def backend(request):
    with set_backend(request.param):
        yield request.param


def parameters(sizes=((4, 3), (3,)), seed=0):
    random = np.random.default_rng(seed)
    return [
        Parameter(random.standard_normal(size), name, path=f"layer/{name}")
        for size, name in zip(sizes, ["kernel", "bias", "slope"], strict=False)
    ]


def take_steps(optimizer, given, start, stop):
    for step in range(start, stop):
        random = np.random.default_rng(step)
        for parameter in given:
            parameter.grad = random.standard_normal(parameter.shape)
        optimizer.step(given)


def step_once(optimizer, value, grad):
    parameter = Parameter(value, "kernel")
    parameter.grad = grad
    optimizer.step([parameter])
    return parameter.value


# ---- clipping


def test_gradients_are_clipped(backend):
    start, grad = [0.0, 0.0], [0.9, 100.0]
    np.testing.assert_allclose(step_once(SGD(1.0, clipvalue=1.0), start, grad), [-0.9, -1.0], rtol=1e-6)
    expected = [-0.00899964, -0.9999595]
    np.testing.assert_allclose(step_once(SGD(1.0, clipnorm=1.0), start, grad), expected, rtol=1e-6)
    np.testing.assert_allclose(step_once(SGD(1.0, global_clipnorm=1.0), start, grad), expected, rtol=1e-6)


def test_a_norm_is_one_parameters_or_that_of_all(backend):
    for option, expected in [("clipnorm", [[-1.0], [-1.0]]), ("global_clipnorm", [[-0.6], [-0.8]])]:
        both = [Parameter([0.0]), Parameter([0.0])]
        both[0].grad, both[1].grad = [3.0], [4.0]
        SGD(1.0, **{option: 1.0}).step(both)
        np.testing.assert_allclose([parameter.value for parameter in both], expected, rtol=1e-6)


def test_a_frozen_gradient_is_not_in_the_norm():
    moving, frozen = Parameter([0.0]), Parameter([0.0])
    moving.grad, frozen.grad, frozen.trainable = [3.0], [4.0], False
    SGD(1.0, global_clipnorm=1.0).step([moving, frozen])
    assert moving.value == [-1.0]
    assert frozen.value == [0.0]


@pytest.mark.parametrize("option", ["clipvalue", "clipnorm", "global_clipnorm"])
def test_clipping_can_be_changed_in_flight(option):
    optimizer, parameter = SGD(1.0, **{option: 1.0}), Parameter([0.0])
    for limit, expected in [(1.0, -1.0), (0.5, -1.5), (None, -11.5)]:
        setattr(optimizer, option, limit)
        parameter.grad = [10.0]
        optimizer.step([parameter])
        assert parameter.value == [expected]


# ---- weight decay


def test_weights_decay_by_learning_rate_times_weight_decay(backend):
    np.testing.assert_allclose(
        step_once(SGD(0.5, weight_decay=0.2), [10.0, -1.0], [0.0, 1.0]), [9.0, -1.4], rtol=1e-6
    )


def test_what_is_excluded_does_not_decay(backend):
    for arguments, decays in [
        ({"var_names": ["bias"]}, [True, False]),
        ({"var_names": ["ern", "nothing"]}, [False, True]),
        ({"var_names": ["kernel", "b.as"]}, [False, False]),
        ({}, [True, True]),
        (None, [True, True]),
    ]:
        optimizer, given = SGD(0.5, weight_decay=0.2), parameters()
        before = [parameter.numpy() for parameter in given]
        if arguments is not None:
            optimizer.exclude_from_weight_decay(**arguments)
        optimizer.step(given)
        for parameter, old, decayed in zip(given, before, decays, strict=True):
            np.testing.assert_allclose(parameter.value, old * (0.9 if decayed else 1.0), rtol=1e-6)


def test_exclusion_of_parameters_survives_saving():
    given = parameters()
    optimizer = AdamW()
    optimizer.exclude_from_weight_decay(var_list=[given[1]])
    config = json.loads(json.dumps(optimizers.serialize(optimizer)))
    again, copies = optimizers.deserialize(config), parameters()
    take_steps(optimizer, given, 0, 3)
    take_steps(again, copies, 0, 3)
    for parameter, twin in zip(given, copies, strict=True):
        np.testing.assert_array_equal(parameter.value, twin.value)
    assert again.get_config() == optimizer.get_config()
    decayed = parameters()
    take_steps(AdamW(), decayed, 0, 3)
    assert (decayed[1].value != given[1].value).all()


def test_exclusion_may_change_between_steps():
    optimizer, given = SGD(0.5, weight_decay=0.2), parameters()
    optimizer.step(given)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    kernel, bias = (parameter.numpy() for parameter in given)
    optimizer.step(given)
    np.testing.assert_array_equal(given[0].value, kernel)
    np.testing.assert_allclose(given[1].value, 0.9 * bias, rtol=1e-6)


# ---- averages


def test_averages_by_hand(backend):
    optimizer, parameter = SGD(1.0, use_ema=True, ema_momentum=0.75), Parameter([4.0])
    for gradient in (1.0, 2.0, -4.0):  # values 3, 1, 5; averages 3, 2.5, 3.125
        parameter.grad = [gradient]
        optimizer.step([parameter])
    assert parameter.value == [5.0]
    optimizer.finalize_variable_values([parameter])
    assert parameter.value == [3.125]


def test_averages_overwrite_now_and_then(backend):
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    parameter, values = Parameter([4.0]), []
    for _ in range(4):  # values 3, 2 -> 2.5, 1.5, 0.5; averages 3, 2.5, 2, 1.25
        parameter.grad = [1.0]
        optimizer.step([parameter])
        values.append(float(parameter.value[0]))
    assert values == [3.0, 2.5, 1.5, 1.25]


def test_only_what_is_given_moved_and_averaged_is_finalized():
    optimizer, (kernel, bias, slope) = SGD(use_ema=True), parameters(((2,), (2,), (2,)))
    before = kernel.numpy()
    optimizer.finalize_variable_values([kernel])  # nothing known yet
    take_steps(optimizer, [kernel, bias, slope], 0, 3)
    slope.trainable = False
    kept = [parameter.numpy() for parameter in (bias, slope)]
    moved = kernel.numpy()
    optimizer.finalize_variable_values([kernel, slope])
    assert (kernel.value != moved).all()
    assert (kernel.value != before).all()
    np.testing.assert_array_equal([bias.value, slope.value], kept)
    plain = SGD()
    take_steps(plain, [kernel], 0, 1)
    kept = kernel.numpy()
    plain.finalize_variable_values([kernel])
    np.testing.assert_array_equal(kernel.value, kept)


# ---- accumulation


def test_accumulated_gradients_make_one_step(backend):
    slow, fast = SGD(0.1, momentum=0.9, gradient_accumulation_steps=4), SGD(0.1, momentum=0.9)
    given, twins = parameters(), parameters()
    for first in (0, 4):
        start = [parameter.numpy() for parameter in given]
        take_steps(slow, given, first, first + 3)
        for parameter, old in zip(given, start, strict=True):
            np.testing.assert_array_equal(parameter.value, old)
        take_steps(slow, given, first + 3, first + 4)
        generators = [np.random.default_rng(step) for step in range(first, first + 4)]
        for twin in twins:
            twin.grad = np.mean([random.standard_normal(twin.shape) for random in generators], axis=0)
        fast.step(twins)
    assert slow.iterations == fast.iterations == 2
    for parameter, twin in zip(given, twins, strict=True):
        np.testing.assert_allclose(parameter.value, twin.value, rtol=1e-5, atol=1e-7)


def test_the_sum_is_clipped_not_its_parts():
    optimizer, parameter = SGD(1.0, clipvalue=1.0, gradient_accumulation_steps=2), Parameter([0.0])
    for gradient in (100.0, -99.0):
        parameter.grad = [gradient]
        optimizer.step([parameter])
    assert parameter.value == [-0.5]


# ---- learning rates


def test_a_schedule_is_followed():
    optimizer, parameter = SGD(schedules.PiecewiseConstantDecay([1], [1.0, 0.25])), Parameter([0.0])
    rates = []
    for _ in range(4):
        rates.append(optimizer.learning_rate)
        parameter.grad = [1.0]
        optimizer.step([parameter])
    assert rates == [1.0, 1.0, 0.25, 0.25]
    assert parameter.value == [-2.5]


def test_schedules_count_batches_not_steps():
    optimizer = SGD(schedules.PolynomialDecay(1.0, 4, 0.0), gradient_accumulation_steps=2)
    take_steps(optimizer, parameters(), 0, 2)
    assert optimizer.iterations == 1
    assert optimizer.learning_rate == 0.5


def test_a_function_is_asked_once_a_step():
    rates = iter([1.0, 0.5])
    optimizer, parameter = SGD(lambda: next(rates), weight_decay=0.0, use_ema=True), Parameter([0.0])
    for _ in range(2):
        parameter.grad = [1.0]
        optimizer.step([parameter])
    assert parameter.value == [-1.5]


def test_a_learning_rate_is_assigned_in_any_way():
    optimizer = SGD(0.5)
    for rate in (1e-3, 1, np.float32(0.25), np.array(0.125), np.int64(2)):
        optimizer.learning_rate = rate
        assert optimizer.learning_rate == float(rate)
        assert type(optimizer.learning_rate) is float
    optimizer.learning_rate = lambda: 0.75
    assert optimizer.learning_rate == 0.75
    optimizer.learning_rate = schedules.ExponentialDecay(0.5, 1, 0.5)
    assert optimizer.learning_rate == 0.5
    with pytest.raises(
        TypeError, match=r"the learning rate of this SGD follows ExponentialDecay.*another schedule"
    ):
        optimizer.learning_rate = 0.1
    assert optimizer.learning_rate == 0.5


def test_a_bad_rate_moves_nothing():
    given = parameters()
    before = [parameter.numpy() for parameter in given]
    for rate in (lambda: float("nan"), lambda: -1.0, lambda: None, schedules.PowerDecay(-0.1, 1)):
        optimizer = Nadam(rate, weight_decay=0.1)
        with pytest.raises(ValueError, match="at step 0: learning_rate must be"):
            optimizer.step(given)
        assert optimizer.iterations == 0
        assert optimizer.momentum_product == 1.0
    for parameter, old in zip(given, before, strict=True):
        np.testing.assert_array_equal(parameter.value, old)


def test_functions_come_back_by_name():
    def tenth():
        return 0.1

    config = json.loads(json.dumps(optimizers.serialize(SGD(tenth))))
    assert optimizers.deserialize(config, {"tenth": tenth}).learning_rate == 0.1
    with pytest.raises(
        ValueError, match=r"the learning rate was a function, 'tenth'.*custom_objects=\{'tenth'"
    ):
        optimizers.deserialize(config)


# ---- all rules, all options


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
@pytest.mark.parametrize("rule", RULES)
def test_resuming_continues_bit_for_bit(rule, options):
    whole, given = rule(**options), parameters()
    whole.exclude_from_weight_decay(var_names=["bias"])
    take_steps(whole, given, 0, 7)
    config, state = json.loads(json.dumps(optimizers.serialize(whole))), whole.state_dict()
    resumed, copies = optimizers.deserialize(config), copy.deepcopy(given)
    resumed.build(copies)
    resumed.load_state_dict(state)
    take_steps(whole, given, 7, 12)
    take_steps(resumed, copies, 7, 12)
    for parameter, twin in zip(given, copies, strict=True):
        np.testing.assert_array_equal(twin.value, parameter.value)
    end, resumed_end = whole.state_dict(), resumed.state_dict()
    assert end.keys() == resumed_end.keys()
    for name in end:
        np.testing.assert_array_equal(end[name], resumed_end[name])
    assert repr(resumed) == repr(whole)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
@pytest.mark.parametrize("rule", RULES)
def test_every_instruction_set_takes_the_references_steps(rule, options):
    # 1 - beta^t of Keras, and so of the compiled rules, is off by 1.3e-5 at 0.999; these betas are floats.
    if "beta_2" in rule().get_config():
        options = options | {"beta_1": 0.875, "beta_2": 0.96875}
    sizes = ((17, 5), (3,), (1,))
    expected = parameters(sizes)
    with set_backend("reference"):
        take_steps(rule(**options), expected, 0, 6)
    for isa in each_isa():
        found = parameters(sizes)
        take_steps(rule(**options), found, 0, 6)
        for parameter, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(parameter.value, wanted.value, rtol=2e-6, atol=2e-6, err_msg=isa)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
def test_threads_do_not_change_a_bit(options):
    def trained():
        given = parameters(((401, 257), (7,), (30_000,)))
        take_steps(Adam(**options), given, 0, 3)
        return tuple(parameter.value for parameter in given)

    assert_same_bits_on_any_threads(trained)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
def test_frozen_parameters_keep_every_bit(options):
    given = parameters(((4, 3), (3,), (2,)))
    given[0].trainable = False
    given[0].grad = np.full((4, 3), np.nan)
    before = given[0].numpy()
    optimizer = Adam(**options)
    take = [parameter for parameter in given if parameter is not given[0]]
    for step in range(4):
        for parameter in take:
            parameter.grad = np.full(parameter.shape, 0.1 * step)
        optimizer.step(given)
    given[1].trainable = False  # frozen later
    kept = given[1].numpy()
    optimizer.step(given)
    optimizer.finalize_variable_values(given)
    np.testing.assert_array_equal(given[0].value, before)
    np.testing.assert_array_equal(given[1].value, kept)
    assert np.isfinite(given[2].value).all()


def test_copies_go_their_own_way():
    for options in OPTIONS:
        optimizer, given = Adam(**options), parameters()
        take_steps(optimizer, given, 0, 2)
        twin, twins = copy.deepcopy((optimizer, given))
        kept = [parameter.numpy() for parameter in given]
        take_steps(twin, twins, 2, 6)
        for parameter, old in zip(given, kept, strict=True):
            np.testing.assert_array_equal(parameter.value, old)
        take_steps(optimizer, given, 2, 6)
        for parameter, other in zip(given, twins, strict=True):
            np.testing.assert_array_equal(parameter.value, other.value)


class Plain(Optimizer):
    """SGD with momentum, in Python."""

    slots = ("speed",)

    def update(self, value, grad, speed):
        speed *= 0.9
        speed -= self.learning_rate * grad
        value += speed


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
def test_rules_in_python_have_all_options(backend, options):
    options = {"learning_rate": 0.01} | options
    given, twins = parameters(), parameters()
    own, built_in = Plain(**options), SGD(**options, momentum=0.9)
    take_steps(own, given, 0, 9)
    take_steps(built_in, twins, 0, 9)
    for optimizer, trained in ((own, given), (built_in, twins)):
        optimizer.finalize_variable_values(trained)
    for parameter, twin in zip(given, twins, strict=True):
        np.testing.assert_allclose(parameter.value, twin.value, rtol=1e-6, atol=1e-7)


class Many(Optimizer):
    """Keeps more arrays than any rule in C."""

    slots = tuple(f"slot_{i}" for i in range(7))

    def update(self, value, grad, **slots):
        for i, array in enumerate(slots.values()):
            array += grad * i
        value -= self.learning_rate * slots["slot_6"]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
def test_a_rule_in_python_may_keep_many_arrays(options):
    optimizer, given = Many(**{"learning_rate": 0.01} | options), parameters()
    take_steps(optimizer, given, 0, 6)
    state = optimizer.state_dict()
    for i in range(7):
        np.testing.assert_allclose(state[f"slot_{i}.0"], i * state["slot_1.0"], rtol=1e-5, atol=1e-6)
    assert all(np.isfinite(parameter.value).all() for parameter in given)


def test_momentum_may_come_and_go():
    optimizer, parameter = SGD(1.0), Parameter([0.0])
    for momentum, expected in [(0.0, -1.0), (0.5, -2.0), (0.5, -3.5), (0.0, -4.5)]:
        optimizer.momentum = momentum
        parameter.grad = [1.0]
        optimizer.step([parameter])
        assert parameter.value == [expected]


def test_parameters_of_no_size_and_none_at_all():
    for options in OPTIONS:
        optimizer = Adam(**options)
        empty, full = Parameter(np.empty((0, 3))), Parameter([1.0])
        full.grad = [1.0]
        for _ in range(3):
            optimizer.step([empty, full])
        assert full.value < 1
        optimizer = Adam(**options)
        optimizer.step([])
        assert optimizer._batches == 1


# ---- models


def model(optimizer):
    utils.set_random_seed(1)
    net = Sequential([layers.Dense(5, activation="tanh"), layers.Dense(3, activation="softmax")])
    net.compile(optimizer, "sparse_categorical_crossentropy")
    return net


X = np.random.default_rng(5).standard_normal((24, 4)).astype(np.float32)
Y = np.arange(24) % 3


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
def test_a_saved_model_goes_on_where_it_stopped(tmp_path, options):
    optimizer = AdamW(**options)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    net = model(optimizer)
    net.fit(X, Y, batch_size=5, epochs=1, shuffle=False, verbose=0)
    net.save(tmp_path / "net.safetensors")
    again = load_model(tmp_path / "net.safetensors")
    assert again.optimizer.learning_rate == net.optimizer.learning_rate
    assert repr(again.optimizer) == repr(net.optimizer)
    for trained in (net, again):
        trained.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    for weight, twin in zip(net.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(twin, weight)


def test_a_file_does_not_bring_functions_along(tmp_path):
    net = model(SGD(lambda: 0.1))
    net.fit(X, Y, verbose=0)
    net.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="the learning rate was a function, '<lambda>'"):
        load_model(tmp_path / "net.safetensors")
    assert load_model(tmp_path / "net.safetensors", compile=False).built


def test_fit_ends_with_the_averages():
    plain, averaged = model(SGD(0.5)), model(SGD(0.5, use_ema=True, ema_momentum=0.5))
    for net in (plain, averaged):
        net.build((4,))
        net.set_weights(
            [np.full(weight.shape, 0.1 * i, np.float32) for i, weight in enumerate(net.get_weights())]
        )
    averages = None
    for batch in range(0, 24, 8):
        plain.train_on_batch(X[batch : batch + 8], Y[batch : batch + 8])
        now = plain.get_weights()
        averages = now if averages is None else [(a + w) / 2 for a, w in zip(averages, now, strict=True)]
    averaged.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    for weight, average in zip(averaged.get_weights(), averages, strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-5, atol=1e-6)


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"clipnorm": 1.0, "clipvalue": 2.0},
            r"only one of .* can be set, got clipnorm=1\.0, clipvalue=2\.0",
        ),
        ({"clipnorm": 1.0, "global_clipnorm": 1.0}, "only one of"),
        ({"clipnorm": 0}, "clipnorm must be positive, got 0; None does not clip"),
        ({"clipvalue": -1.0}, "clipvalue must be positive"),
        ({"global_clipnorm": float("nan")}, "global_clipnorm must be positive"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"use_ema": True, "ema_momentum": 1.5}, r"ema_momentum must lie in \[0, 1\]"),
        (
            {"use_ema": True, "ema_overwrite_frequency": 0},
            "ema_overwrite_frequency must be a whole number, at least 1",
        ),
        ({"use_ema": True, "ema_overwrite_frequency": 2.5}, "ema_overwrite_frequency must be a whole number"),
        (
            {"gradient_accumulation_steps": 1},
            "gradient_accumulation_steps must be a whole number, at least 2",
        ),
        (
            {"loss_scale_factor": 2.0},
            "Keras' argument 'loss_scale_factor' is not supported yet; leave it out: .*float32",
        ),
    ],
)
@pytest.mark.parametrize("rule", [SGD, AdamW])
def test_options_out_of_range(rule, arguments, message):
    with pytest.raises(ValueError, match=message):
        rule(**arguments)


def test_other_mistakes():
    with pytest.raises(ValueError, match="AdamW needs a number as weight_decay"):
        AdamW(weight_decay=None)
    with pytest.raises(TypeError, match=r"write \['bias'\]"):
        SGD().exclude_from_weight_decay(var_names="bias")
    with pytest.raises(ValueError, match=r"wants some\. A function of the step is a LearningRateSchedule"):
        SGD(lambda step: 0.1)


@pytest.mark.parametrize("trained", [False, True])
def test_weights_of_one_path_are_told_apart_when_a_model_is_saved(trained, tmp_path):
    def part(name):
        return fastconv.Sequential([layers.Dense(3, name="d"), layers.Dense(2, name="e")], name=name)

    def weights_after_a_step(model):
        model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
        x = np.zeros((2, 4))
        model.train_on_batch(x, model.predict(x, verbose=0))  # no gradient
        return [float(weight.value.flat[0]) for weight in model.weights]

    model = fastconv.Sequential([layers.Input((4,)), part("a"), part("b")])
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([model.layers[1].layers[0].kernel, model.layers[0].layers[1].bias])
    model.compile(optimizer, "mse")
    if trained:
        weights_after_a_step(model)
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = fastconv.models.load_model(path)
    loaded.save(path)
    for other in (model, loaded, fastconv.models.load_model(path), fastconv.models.clone_model(model)):
        after = weights_after_a_step(other)
        np.testing.assert_allclose(after, [0.95, 0.95, 0.95, 1, 1, 0.95, 0.95, 0.95], rtol=1e-6)


def test_variables_go_into_another_optimizer():
    def made():
        parameters = [Parameter(np.ones((2, 2))), Parameter(np.ones(3))]
        for parameter in parameters:
            parameter.grad = np.full(parameter.shape, 0.5)
        return Adam(0.1), parameters

    (first, ones), (second, others) = made(), made()
    first.step(ones)
    second.build(others)
    assert [v.shape for v in first.variables] == [(), (), (2, 2), (2, 2), (3,), (3,)]
    second.set_weights(first.get_weights())
    for parameter, one in zip(others, ones, strict=True):
        parameter.value = one.value
    first.step(ones)
    second.step(others)
    assert second.iterations == 2
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one.value, other.value)
    with pytest.raises(ValueError, match=r"has 6 variables \(iterations, learning_rate, .*got 2"):
        second.set_weights(second.variables[:2])
    with pytest.raises(ValueError, match="has shape"):
        second.set_weights([v.reshape(-1) for v in second.variables])
