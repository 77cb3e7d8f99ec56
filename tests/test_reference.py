"""The pure-Python reference equals PyTorch, Keras and NumPy to the last digits of float64."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import numpy as np
import numpy_oracle
import pytest
from golden_cases import golden
from hypothesis import given
from strategies import Convolution, Sliding, convolutions, examples, slidings

from fastconv import reference
from fastconv.reference import activations, ieee

# Sums of at most some hundred products of numbers around 1: rounding errors in float64 stay below 1e-13.
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def close(actual, expected) -> None:
    np.testing.assert_allclose(actual, expected, **CLOSE)


# ---- golden cases


@golden("conv2d")
def test_convolution_equals_pytorch_and_keras(case):
    close(reference.conv2d(case["x"], case["kernel"], case["bias"], **case.arguments), case["y"])
    close(
        reference.conv2d_backward_data(case["dy"], case["kernel"], case["x"].shape, **case.arguments),
        case["dx"],
    )
    kernel_size = case["kernel"].shape[:2]
    dkernel, dbias = reference.conv2d_backward_kernel(case["x"], case["dy"], kernel_size, **case.arguments)
    close(dkernel, case["dkernel"])
    close(dbias, case["dbias"])


@golden("max_pool2d")
def test_max_pooling_equals_pytorch_and_keras(case):
    y, switches = reference.max_pool2d(case["x"], **case.arguments)
    close(y, case["y"])
    close(reference.max_pool2d_backward(case["dy"], switches, case["x"].shape, **case.arguments), case["dx"])


@golden("avg_pool2d")
def test_average_pooling_equals_pytorch_and_keras(case):
    close(reference.avg_pool2d(case["x"], **case.arguments), case["y"])
    close(reference.avg_pool2d_backward(case["dy"], case["x"].shape, **case.arguments), case["dx"])


@golden("activation")
def test_activations_equal_keras(case):
    y = reference.activation(case["x"], **case.arguments)
    close(y, case["y"])
    close(reference.activation_backward(case["dy"], y, **case.arguments), case["dx"])


IN_KERAS = [name for name in activations.FUNCTIONS if name != "scaled_tanh"]


@pytest.mark.parametrize("name", [*IN_KERAS, "softmax", "log_softmax"])
def test_activations_at_many_points_equal_keras(name):
    file = np.load(Path(__file__).parent / "golden" / "activations.npz")  # golden/make_activations.py
    if name in activations.FUNCTIONS_OF_ROWS:
        y = reference.activation(file["rows"], name)
        close(y, file[f"{name}/y"])
        close(reference.activation_backward(file["gradient"], y, name), file[f"{name}/dx"])
        return
    x = file["x"].astype(np.float64)
    y = reference.activation(x, name)
    # Keras' 1 + tanh cancels where ours does not, and its e^x is a unit or two of ours at x = -100
    rounding = 1e-14
    if name in ("squareplus", "tanh_shrink"):  # so do Keras' x + a root and x - tanh
        rounding = rounding + 2 * np.finfo(np.float64).eps * np.abs(x)
    assert np.isclose(y, file[f"{name}/y"], rtol=1e-12, atol=rounding).all()
    slope = reference.activation_backward(np.ones_like(x), y, name, x=x)
    np.testing.assert_allclose(slope, file[f"{name}/slope"], rtol=1e-12, atol=1e-13)


def test_batch_normalisation_equals_pytorch():
    file = np.load(Path(__file__).parent / "golden" / "batch_norm.npz")  # golden/make_batch_norm.py
    x, dy, gamma, beta = (file[f"torch/{name}"] for name in ("x", "dy", "gamma", "beta"))
    mean, variance = reference.moments(x)
    close(reference.batch_norm(x, mean, variance, gamma, beta, 1e-2), file["torch/y"])
    dgamma, dbeta = reference.batch_norm_backward_weights(dy, x, mean, variance, 1e-2)
    close(dgamma, file["torch/dgamma"])
    close(dbeta, file["torch/dbeta"])
    dx = reference.batch_norm_backward_data(dy, x, mean, variance, gamma, dgamma, dbeta, 1e-2)
    close(dx, file["torch/dx"])


@golden("softmax_cross_entropy")
def test_cross_entropy_equals_pytorch(case):
    loss, dlogits = reference.softmax_cross_entropy(case["logits"], case["labels"], case["sample_weight"])
    close(loss, case["loss"])
    close(dlogits, case["dlogits"])


@golden("sgd_update")
def test_sgd_equals_keras(case):
    value, velocity = case["value"].copy(), np.zeros(5)
    for grad, expected in zip(case["grads"], case["trajectory"], strict=True):
        reference.sgd_update(value, grad, velocity if case.arguments["momentum"] else None, **case.arguments)
        close(value, expected)


@golden("adam_update")
def test_adam_equals_keras(case):
    value, m, v, v_hat = case["value"].copy(), np.zeros(5), np.zeros(5), np.zeros(5)
    memory = v_hat if case.arguments["amsgrad"] else None
    for step, (grad, expected) in enumerate(zip(case["grads"], case["trajectory"], strict=True), 1):
        reference.adam_update(value, grad, m, v, memory, step=step, **case.arguments)
        close(value, expected)


@golden("nadam_update")
def test_nadam_equals_keras(case):
    value, m, v = case["value"].copy(), np.zeros(5), np.zeros(5)
    schedule = [case.arguments["beta_1"] * (1 - 0.5 * 0.96**t) for t in range(1, 9)]
    for step, (grad, expected) in enumerate(zip(case["grads"], case["trajectory"], strict=True), 1):
        products = math.prod(schedule[:step]), math.prod(schedule[: step + 1])
        u_t, u_t1 = schedule[step - 1 : step + 1]
        reference.nadam_update(
            value, grad, m, v, **case.arguments, u_t=u_t, u_t1=u_t1, u_product=products[0],
            u_product_1=products[1], step=step,
        )  # fmt: skip
        close(value, expected)


@golden("rmsprop_update")
def test_rmsprop_equals_keras(case):
    arguments = dict(case.arguments)
    average = np.zeros(5) if arguments.pop("centered") else None
    buffer = np.zeros(5) if arguments["momentum"] else None
    value, velocity = case["value"].copy(), np.zeros(5)
    for grad, expected in zip(case["grads"], case["trajectory"], strict=True):
        reference.rmsprop_update(value, grad, velocity, average, buffer, **arguments)
        close(value, expected)


# ---- random shapes against NumPy


@examples(60)
@given(convolutions(most_products=5_000))
def test_convolution_equals_numpy(case: Convolution):
    random = np.random.default_rng(case.seed)
    x, kernel, bias = (
        random.normal(size=s) for s in (case.input_shape, case.kernel_shape, case.kernel_shape[-1])
    )
    dy, view = random.normal(size=case.output_shape), case.sliding.view

    close(
        reference.conv2d(x, kernel, bias, **case.arguments),
        numpy_oracle.conv2d(x, kernel, bias, view, case.groups),
    )
    close(
        reference.conv2d_backward_data(dy, kernel, x.shape, **case.arguments),
        numpy_oracle.conv2d_backward_data(dy, kernel, x.shape, view, case.groups),
    )
    dkernel, dbias = reference.conv2d_backward_kernel(x, dy, case.sliding.size, **case.arguments)
    expected = numpy_oracle.conv2d_backward_kernel(x, dy, view, case.groups)
    np.testing.assert_allclose(
        dkernel, expected[0], rtol=1e-11, atol=1e-12
    )  # longer sums: up to 2000 products
    np.testing.assert_allclose(dbias, expected[1], rtol=1e-11, atol=1e-12)


@examples(60)
@given(slidings(pooling=True))
def test_pooling_equals_numpy(case: Sliding):
    x = np.random.default_rng(3).normal(size=(case.batch, *case.image, 2))
    arguments = {"pool_size": case.size, "strides": case.strides, "padding": case.padding}
    close(reference.max_pool2d(x, **arguments)[0], numpy_oracle.max_pool2d(x, case.view))
    close(reference.avg_pool2d(x, **arguments), numpy_oracle.avg_pool2d(x, case.view))


def test_dense_is_a_matrix_product():
    random = np.random.default_rng(4)
    x, kernel, bias, dy = (random.normal(size=s) for s in [(2, 3, 5), (5, 4), (4,), (2, 3, 4)])
    close(reference.dense(x, kernel, bias), x @ kernel + bias)
    close(reference.dense(x, kernel, activation="relu"), np.maximum(x @ kernel, 0))
    close(reference.dense_backward_data(dy, kernel), dy @ kernel.T)
    dkernel, dbias = reference.dense_backward_kernel(x, dy)
    close(dkernel, np.einsum("abi,abk->ik", x, dy))
    close(dbias, dy.sum((0, 1)))


# ---- the small print


LECTURE = np.array([[3, 4, -2, -1], [-2, 0, 1, 2], [1, -2, 2, 6], [0, 8, 3, 5]], float)[None, ..., None]


def test_pooling_of_the_lecture():
    y, switches = reference.max_pool2d(LECTURE)
    assert y[0, ..., 0].tolist() == [[4, 2], [8, 6]]
    assert switches[0, ..., 0].tolist() == [[1, 3], [3, 1]]
    assert reference.avg_pool2d(LECTURE)[0, ..., 0].tolist() == [[1.25, 0], [1.75, 4]]
    dy = np.array([[1, 2], [3, 4]], float)[None, ..., None]
    dx = reference.max_pool2d_backward(dy, switches, LECTURE.shape)
    assert dx[0, ..., 0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 4], [0, 3, 0, 0]]
    dx = reference.avg_pool2d_backward(dy, LECTURE.shape)
    assert dx[0, ..., 0].tolist() == [[0.25, 0.25, 0.5, 0.5]] * 2 + [[0.75, 0.75, 1, 1]] * 2


def test_global_pooling():
    assert reference.global_avg_pool2d(LECTURE).tolist() == [[1.75]]
    y, switches = reference.global_max_pool2d(LECTURE)
    assert (y.tolist(), switches.tolist()) == ([[8]], [[13]])
    dx = reference.global_max_pool2d_backward(np.array([[5.0]]), switches, LECTURE.shape)
    assert np.argwhere(dx).tolist() == [[0, 3, 1, 0]]
    assert dx.sum() == 5
    assert (reference.global_avg_pool2d_backward(np.array([[8.0]]), LECTURE.shape) == 0.5).all()


def test_the_first_maximum_wins_and_the_first_nan_beats_it():
    nan, inf = math.nan, math.inf
    for pixels, y, winner in [
        ([1, 7, 7, 7], 7, 1),
        ([-inf, -inf, -inf, -inf], -inf, 0),
        ([1, nan, inf, nan], nan, 1),
        ([inf, 2, 3, inf], inf, 0),
    ]:
        x = np.array(pixels, float).reshape(1, 2, 2, 1)
        for pool in (reference.max_pool2d, reference.global_max_pool2d):
            largest, switches = pool(x)
            np.testing.assert_equal(largest.item(), float(y))
            assert switches.item() == winner


def test_padding_is_never_the_maximum():
    x = np.full((1, 3, 3, 1), -math.inf)
    x[0, 2, 2] = -5
    y, switches = reference.max_pool2d(x, 3, 2, 1)
    assert y[0, ..., 0].tolist() == [[-math.inf, -math.inf], [-math.inf, -5]]
    assert switches[0, ..., 0].tolist() == [[4, 3], [1, 4]]  # the first of each window that lies in the image


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh", "elu", "selu", "softmax"])
def test_activations_at_the_ends_of_the_number_line(name):
    x = np.array([[-math.inf, -1000.0, 0.0, 1000.0], [math.nan, 1.0, 2.0, 3.0]])
    y = reference.activation(x, name)
    lowest = {
        "leaky_relu": [-math.inf, -200],
        "tanh": [-1, -1],
        "elu": [-1, -1],
        "selu": [-1.7580993408473766] * 2,
    }
    np.testing.assert_allclose(y[0, :2], lowest.get(name, [0, 0]))
    at_zero = {"sigmoid": 0.5}.get(name, 0.0)
    at_thousand = {"sigmoid": 1, "tanh": 1, "softmax": 1, "selu": 1050.7009873554805}.get(name, 1000)
    np.testing.assert_allclose(y[0, 2:], [at_zero, at_thousand])
    assert np.isnan(y[1]).tolist() == [True] + [name == "softmax"] * 3


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="unknown activation 'rleu'; did you mean 'relu'"):
        reference.activation([1.0], "rleu")
    with pytest.raises(ValueError, match="'softmax'"):
        reference.activation_backward([1.0], [1.0], "sin")


def test_cross_entropy_survives_certainty():
    loss, dlogits = reference.softmax_cross_entropy([[1000.0, 0.0], [0.0, -math.inf]], [1, 0])
    assert loss == 500  # (1000 + 0) / 2
    assert dlogits.tolist() == [[0.5, -0.5], [0, 0]]
    one_hot = reference.softmax_cross_entropy([[1000.0, 0.0], [0.0, -math.inf]], np.eye(2)[[1, 0]])
    assert one_hot[0] == loss
    assert one_hot[1].tolist() == dlogits.tolist()


def test_an_empty_batch_is_no_error():
    empty = np.empty((0, 5, 5, 2))
    y = reference.conv2d(empty, np.ones((3, 3, 2, 4)), activation="relu")
    assert y.shape == (0, 3, 3, 4)
    assert reference.conv2d_backward_data(y, np.ones((3, 3, 2, 4)), empty.shape).shape == empty.shape
    dkernel, dbias = reference.conv2d_backward_kernel(empty, y, 3)
    assert dkernel.shape == (3, 3, 2, 4)
    assert not dkernel.any()
    assert dbias.tolist() == [0] * 4
    assert reference.max_pool2d(empty)[0].shape == reference.avg_pool2d(empty).shape == (0, 2, 2, 2)
    assert reference.global_avg_pool2d(empty).shape == reference.global_max_pool2d(empty)[0].shape == (0, 2)
    assert reference.dense(np.empty((0, 3)), np.ones((3, 2)), activation="softmax").shape == (0, 2)
    assert not reference.dense_backward_kernel(np.empty((0, 3)), np.empty((0, 2)))[0].any()
    loss, dlogits = reference.softmax_cross_entropy(np.empty((0, 3)), np.empty(0, int))
    assert loss == 0
    assert dlogits.shape == (0, 3)


def test_overflow_gives_infinity_not_an_exception():
    assert reference.conv2d([[[[1e300]]]], [[[[1e300]]]]).item() == math.inf
    assert math.isnan(reference.dense([[math.inf, 1]], [[0], [1]]).item())


def test_optimizers_survive_what_python_calls_an_error():
    value, zeros = np.zeros(2), np.zeros(2)
    reference.adam_update(value, zeros, zeros.copy(), zeros.copy(), None, 0.1, 0.9, 0.999, 0.0, 1, False)
    assert np.isnan(value).all()  # 0 / 0, as in the compiled kernels
    value = np.zeros(2)
    reference.sgd_update(value, np.array([math.nan, 1e300]), None, 1e300)
    np.testing.assert_array_equal(value, [math.nan, -math.inf])


def test_optimizers_update_float32_arrays_in_place():
    value = np.ones((2, 3), np.float32)
    kept = value[1]
    reference.sgd_update(value, np.full((2, 3), 0.5, np.float32), None, 1.0)
    assert kept.tolist() == [0.5, 0.5, 0.5]
    assert value.dtype == np.float32


def test_ieee_arithmetic():
    assert [ieee.divide(a, b) for a, b in [(1.0, 0.0), (-1.0, 0.0), (1.0, -0.0), (6.0, 3.0)]] == [
        math.inf, -math.inf, -math.inf, 2,
    ]  # fmt: skip
    assert math.isnan(ieee.divide(0.0, 0.0))
    assert math.isnan(ieee.divide(math.nan, 0.0))
    assert ieee.exp(1000) == math.inf
    assert ieee.exp(-1000) == 0
    assert math.isnan(ieee.exp(math.nan))
    assert math.isnan(ieee.sqrt(-1.0))
    assert ieee.sqrt(4.0) == 2
    assert ieee.sqrt(math.inf) == math.inf
    assert math.isnan(ieee.maximum([1.0, math.nan, 2.0]))
    assert ieee.maximum([1.0, 3.0, 2.0]) == 3


def test_every_function_of_the_reference_is_an_operation_with_the_same_signature():
    from fastconv import ops

    for name in reference.__all__:
        ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (reference, ops))
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in theirs.values()
        ], name
