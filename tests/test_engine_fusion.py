"""Batch normalisation, addition and activation as one operation, and gradients that share an array."""

from __future__ import annotations

import copy
from itertools import product
from typing import Any

import numpy as np
import pytest
from kernels import each_isa
from strategies import UNIT_ROUNDOFF, check, normal
from test_engine_pixels import batch_norm, compare, draw, elementwise, expected_of, run
from test_engine_program import (
    Result,
    assert_all_in_c,
    assert_close,
    batch,
    below,
    compiled,
    filled,
    hold_against_layers,
    programs,
)

import fastconv
from fastconv import _kernels, reference
from fastconv.engine.explaining import explained
from fastconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    ReLU,
    Subtract,
)
from fastconv.models import Model
from fastconv.models.executor import LayerByLayer, Programmed
from fastconv.parameter import roomy_zeros

WAYS = ("lanes", "pixels", "whole")
OF_OUTPUT = {
    "linear": None, "relu": None, "relu6": None, "leaky_relu": 0.1, "sigmoid": None, "tanh": None, "elu": 0.7,
    "softplus": None, "hard_tanh": None,
}  # fmt: skip

# ---- one operation ------------------------------------------------------------------------------


def normed(residual: bool, training: bool, name: str, image: tuple[int, int], C: int, scaled: bool) -> Any:
    return batch_norm(image, C, training, scaled, residual, activation=name, alpha=OF_OUTPUT[name] or 0.0)


@pytest.mark.parametrize("name", OF_OUTPUT)
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("residual", [True, False], ids=["residual", ""])
def test_batch_norm_with_an_ending(name, training, residual):
    for (image, C, scaled), N in product(
        [((5, 3), 17, True), ((2, 9), 8, False), ((1, 1), 3, True)], (1, 11)
    ):
        if training and N * image[0] * image[1] == 1:
            continue
        case = normed(residual, training, name, image, C, scaled)
        arrays = draw(case, N)
        for isa, way in product(each_isa(), WAYS):
            learns = (
                case.learns if training or way != "lanes" else [False] * 4
            )  # lanes do not learn from constants
            found = run(case, arrays, way, [True] * len(case.inputs), learns)
            few = _kernels.isa_lanes() > 2 * N  # pixels take statistics from all images at once
            assert found[-1] == way or (way == "pixels" and training and not few)
            compare(case, arrays, found, expected_of(case, arrays, found[0]), (isa, way, N))


@pytest.mark.parametrize("name", ["relu", "tanh", "leaky_relu"])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "average", "maximum"])
def test_elementwise_with_an_activation(operation, name):
    for (a, b), N in product(
        [((5, 3, 17), (5, 3, 17)), ((4, 6, 3), (1, 1, 3)), ((1, 1, 4), (3, 7, 4))], (1, 11)
    ):
        case = elementwise(a, b, operation, activation=name, alpha=OF_OUTPUT[name] or 0.0)
        arrays = draw(case, N)
        for isa, way in product(each_isa(), WAYS):
            found = run(case, arrays, way, [True, True], [])
            assert found[-1] == way
            compare(case, arrays, found, expected_of(case, arrays, found[0]), (isa, way, N))


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (False, False)], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_that_are_not_wanted(training, wanted):
    case = normed(True, training, "relu", (4, 3), 7, True)
    arrays = draw(case, 11)
    for isa, way in product(each_isa(), WAYS):
        learns = case.learns if training or way != "lanes" else [False] * 4
        found = run(case, arrays, way, list(wanted), learns)
        compare(case, arrays, found, expected_of(case, arrays, found[0]), (isa, way))


def test_large_images_in_one_pass():
    """Rows longer than what is done at once, and more pieces than threads."""
    for name, residual in product(("relu", "tanh"), (True, False)):
        case = normed(residual, True, name, (40, 37), 24, True)
        arrays = draw(case, 9)
        for isa, way in product(each_isa(), ("lanes", "whole")):
            bits = []
            for threads in (1, 3):
                with fastconv.set_num_threads(threads):
                    bits.append(run(case, arrays, way, [True] * len(case.inputs), case.learns))
            compare(case, arrays, bits[0], expected_of(case, arrays, bits[0][0]), (isa, way))
            (y, dxs, gradients, *_), (other_y, other_dxs, other_gradients, *_) = bits
            for one, other in zip(
                [y, *dxs, *gradients], [other_y, *other_dxs, *other_gradients], strict=True
            ):
                np.testing.assert_array_equal(one, other)


# ---- folded into the weights --------------------------------------------------------------------

KINDS = {
    "conv": ((3, 3, 5, 12), {"size": (3, 3), "padding": (1, 1)}, (6, 7, 5), (6, 7, 12)),
    "conv, 1x1, stride 2": ((1, 1, 5, 12), {"size": (1, 1), "strides": (2, 2)}, (6, 8, 5), (3, 4, 12)),
    "groups": ((3, 3, 2, 6), {"size": (3, 3), "padding": (1, 1), "groups": 2}, (6, 7, 4), (6, 7, 6)),
    "depthwise": ((3, 3, 5, 2), {"size": (3, 3), "padding": (1, 1)}, (6, 7, 5), (6, 7, 10)),
    "dense": ((5, 9), {}, (2, 3, 5), (2, 3, 9)),
}


@pytest.mark.parametrize("N", [1, 11])
@pytest.mark.parametrize("residual", [True, False], ids=["residual", ""])
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", ""])
@pytest.mark.parametrize("name", KINDS)
def test_folded_into_the_weights(name, with_bias, residual, N):
    """The same as the two by themselves, of weights that change between runs."""
    shape, fields, x_size, y_size = KINDS[name]
    kind, K = name.split(",")[0].replace("groups", "conv"), y_size[2]
    random = np.random.default_rng(N)
    weights = [roomy_zeros(s) for s in (shape, (K,), (K,), (K,), (K,), (K,))]
    kernel, bias, gamma, beta, mean, variance = weights
    x, r = normal(random, N, *x_size), normal(random, N, *y_size)
    sum_ = {
        "kind": kind,
        "inputs": [0],
        "output": 2,
        "weights": [kernel, bias if with_bias else None],
        **fields,
    }
    norm = {"kind": "batch_norm", "inputs": [2, 1] if residual else [2], "output": 3, "epsilon": 1e-3}
    norm |= {"weights": [gamma, beta, mean, variance], "activation": "relu"}
    sizes = [x_size, y_size, y_size, y_size]
    for isa, way in product(each_isa(), [*WAYS, None]):
        both = _kernels.Program([sum_, norm], sizes, [0, 1], [False, False], [3], [way, way])
        alone = _kernels.Program([sum_], sizes, [0], [False], [2], [way])
        magnitude = _kernels.Program([sum_], sizes, [0], [False], [2], ["whole"])
        for _ in range(2):
            for weight in weights:
                weight[...] = normal(random, *weight.shape)
            variance[...] = abs(variance) + 0.1
            y, z, scale = (np.full((N, *y_size), np.nan, np.float32) for _ in range(3))
            both.run([x, r], [y])
            alone.run([x], [z])
            kept = kernel.copy(), bias.copy()
            kernel[...], bias[...] = abs(kernel), abs(bias)
            magnitude.run([abs(x)], [scale])
            kernel[...], bias[...] = kept
            expected = reference.batch_norm(z, mean, variance, gamma, beta, 1e-3) + (r if residual else 0)
            factor = abs(gamma) / np.sqrt(variance + 1e-3)
            bound = factor * (scale + abs(mean)) + abs(beta) + abs(r)
            # Winograd's transforms lose two digits more: both sides have made theirs with other weights.
            check(y, np.maximum(expected, 0), 64 * np.sqrt(kernel.size) * UNIT_ROUNDOFF * bound, (isa, way))


def test_a_layer_larger_than_its_outputs_is_not_folded():
    """That costs more than it saves; the numbers are the same."""
    random = np.random.default_rng(1)
    kernel, *columns = (roomy_zeros(s) for s in ((200, 40), (40,), (40,), (40,), (40,)))
    for weight in (kernel, *columns):
        weight[...] = abs(normal(random, *weight.shape)) + 0.1
    gamma, beta, mean, variance = columns
    ops = [
        {"kind": "dense", "inputs": [0], "output": 1, "weights": [kernel, None]},
        {"kind": "batch_norm", "inputs": [1], "output": 2, "weights": columns, "epsilon": 1e-3},
    ]
    program = _kernels.Program(ops, [(1, 1, 200), (1, 1, 40), (1, 1, 40)], [0], [False], [2])
    for N in (3, 250):
        x, y = normal(random, N, 1, 1, 200), np.empty((N, 1, 1, 40), np.float32)
        program.run([x], [y])
        stages = [row["stage"] for row in program.describe(N, False)[0]]
        assert (stages[1] < 0) == (N == 250)
        z = x.reshape(N, 200).astype(np.float64) @ kernel
        expected = reference.batch_norm(z, mean, variance, gamma, beta, 1e-3)
        np.testing.assert_allclose(y.reshape(N, 40), expected, rtol=2e-4, atol=2e-4)


# ---- networks -----------------------------------------------------------------------------------

IMAGE = (8, 7, 6)


def conv(x: Any, **more: Any) -> Any:
    return Conv2D(6, 3, padding="same", use_bias=False, **more)(x)


def normed_conv(x: Any) -> Any:
    return BatchNormalization(momentum=0.8)(conv(x))


def plain(x: Any) -> Any:
    return ReLU()(normed_conv(ReLU()(normed_conv(x))))


def residual(x: Any) -> Any:
    y = ReLU()(normed_conv(x))
    return ReLU()(Add()([y, normed_conv(ReLU()(normed_conv(y)))]))


def residual_first(x: Any) -> Any:
    y = below(x, IMAGE)
    return Activation("tanh")(Add()([normed_conv(y), y]))


def both_normed(x: Any) -> Any:
    return ReLU()(Add()([normed_conv(x), normed_conv(x)]))


def three(x: Any) -> Any:
    return ReLU()(Add()([normed_conv(x), below(x, IMAGE), normed_conv(x)]))


def twice_the_same(x: Any) -> Any:
    y = normed_conv(x)
    return ReLU()(Add()([y, y]))


def sums_of_sums(x: Any) -> Any:
    y, z = below(x, IMAGE), below(x, IMAGE)
    both = Add()([y, z])
    return Add()([both, Subtract()([both, y]), Add()([z, z])])


def repeated(x: Any) -> Any:
    y = BatchNormalization()(GlobalAveragePooling2D(keepdims=True)(below(x, IMAGE)))
    return ReLU()(Add()([normed_conv(x), y]))


def read_twice(x: Any) -> Any:
    y = normed_conv(x)
    return Add()([ReLU()(y), conv(y)])


def after_the_sum(x: Any) -> Any:
    y = Add()([normed_conv(x), below(x, IMAGE)])
    return Add()([ReLU()(y), conv(y)])


def shared(x: Any) -> Any:
    norm = BatchNormalization(momentum=0.7)
    y = norm(conv(x))
    z = norm(conv(x))
    return Add()([ReLU()(Add()([y, below(x, IMAGE)])), z])


def of_the_input(x: Any) -> Any:
    return ReLU()(BatchNormalization()(Activation("gelu")(below(x, IMAGE))))


def with_dropout(x: Any) -> Any:
    return Dropout(0.3, seed=1)(ReLU()(BatchNormalization()(Dropout(0.2, seed=2)(below(x, IMAGE)))))


def depthwise(x: Any) -> Any:
    y = ReLU(max_value=6.0)(BatchNormalization()(DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)))
    return ReLU(max_value=6.0)(BatchNormalization()(Conv2D(6, 1)(y)))


def vectors(x: Any) -> Any:
    y = ReLU()(BatchNormalization()(Dense(12)(Flatten()(x))))
    return ReLU()(Add()([y, BatchNormalization()(Dense(12)(y))]))


def frozen(x: Any) -> Any:
    norm = BatchNormalization(trainable=False)
    return ReLU()(Add()([norm(conv(below(x, IMAGE))), below(x, IMAGE)]))


BODIES = [
    plain, residual, residual_first, both_normed, three, twice_the_same, sums_of_sums, repeated, read_twice,
    after_the_sum, shared, of_the_input, with_dropout, depthwise, vectors, frozen,
]  # fmt: skip


def network(body: Any, also: bool = False) -> Model:
    """``also``: the body's result is an output too."""
    x = Input(IMAGE)
    y = body(x)
    z = Dense(4)(Flatten()(y) if len(y.shape) > 2 else y)
    return filled(Model(x, [z, y] if also else z))


@pytest.mark.parametrize("images", [2, 19])
@pytest.mark.parametrize("body", BODIES)
def test_networks_equal_layer_by_layer(body, images):
    for also in (False, True):
        model = network(body, also)
        loss = ["mse", "mae"] if also else "mse"
        for _ in each_isa():
            assert_all_in_c(hold_against_layers(compiled(model, loss), images))


def kinds(model: Model, training: bool) -> list[str]:
    executor = hold_against_layers(compiled(model))
    (program,) = [p for p in programs(executor) if p.training == training]
    return [row.operation for row in explained(program, 16, None, None).rows]


@pytest.mark.parametrize("training", [True, False])
def test_what_is_one_operation(training):
    assert kinds(network(plain), training).count("batch norm + relu") == 2
    found = kinds(network(residual), training)
    assert found.count("batch norm + relu") == 3
    assert not {"add", "relu"} & set(found)
    assert "add + relu" in kinds(network(twice_the_same), training)
    assert "add + relu" in kinds(network(repeated), training)


@pytest.mark.parametrize("images", [1, 5, 20])
def test_predictions_follow_the_weights(images):
    """What is folded is made anew in every run: after training, and after weights are assigned."""
    model = compiled(network(residual))
    x, y = batch(model, 20)
    for _ in range(3):
        model.train_on_batch(x, y)
        found = model.predict_on_batch(x[:images])
        again = LayerByLayer().infer(model, [x[:images]])
        np.testing.assert_allclose(found, np.asarray(again).reshape(found.shape), rtol=0, atol=2e-4)
        for weight in model.weights:
            weight.value = np.asarray(weight.numpy() * 1.25)
        found = model.predict_on_batch(x[:images])
        again = LayerByLayer().infer(model, [x[:images]])
        np.testing.assert_allclose(found, np.asarray(again).reshape(found.shape), rtol=0, atol=2e-4)


def test_reference():
    """Against the formulas in double precision."""
    for body in (residual, depthwise):
        model = compiled(network(body))
        other = copy.deepcopy(model)
        x, y = batch(model, 5)
        found = Result(model, Programmed(), x, y)
        with fastconv.set_backend("reference"):
            assert_close(found, Result(other, LayerByLayer(), x, y))


def test_threads_change_no_bit():
    results = []
    model = compiled(network(residual))
    for threads in (1, 2, 3):
        with fastconv.set_num_threads(threads):
            results.append(Result(copy.deepcopy(model), Programmed(), *batch(model, 37)).numbers)
    for other in results[1:]:
        for name, array in results[0].items():
            np.testing.assert_array_equal(other[name], array, err_msg=name)
