"""A parameter in expressions: it stands for its value, and what comes out is new."""

import operator

import numpy as np
import pytest

from fastconv import Parameter, constraints, layers, regularizers

VALUE = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]], np.float32)


@pytest.fixture
def kernel():
    return Parameter(VALUE, "kernel", path="d/kernel")


@pytest.mark.parametrize(
    "name",
    ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge"],
)
@pytest.mark.parametrize("other", [2.0, VALUE[:1] + 5, 3], ids=["float", "row", "int"])
def test_operators_on_either_side(kernel, name, other):
    apply = getattr(operator, name)
    for found, expected in (
        (apply(kernel, other), apply(VALUE, other)),
        (apply(abs(other), kernel), apply(abs(other), VALUE)),
        (apply(kernel, kernel), apply(VALUE, VALUE)),
    ):
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(kernel.value, VALUE)


def test_other_operations(kernel):
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(x @ kernel, x @ VALUE)
    np.testing.assert_array_equal(kernel @ VALUE.T, VALUE @ VALUE.T)
    np.testing.assert_array_equal(-kernel, -VALUE)
    np.testing.assert_array_equal(abs(kernel), abs(VALUE))
    np.testing.assert_array_equal(round(Parameter(VALUE / 3), 2), np.round(VALUE / 3, 2))
    np.testing.assert_array_equal(np.maximum(kernel, 0), np.maximum(VALUE, 0))
    assert (kernel[0, 1], kernel.ndim, len(kernel)) == (-2, 2, 2)
    np.testing.assert_array_equal(list(kernel), VALUE)
    assert (float(Parameter(2.5)), int(Parameter(2.5)), bool(Parameter(0.0))) == (2.5, 2, False)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(kernel)


def test_parts_are_copies(kernel):
    for part in (kernel[0], kernel[:, 1], kernel[...], next(iter(kernel)), kernel + 0):
        part[...] = 9
    np.testing.assert_array_equal(kernel.value, VALUE)


def test_parameters_are_keys_though_they_compare_by_element(kernel):
    other = Parameter(VALUE)
    assert {kernel: 1, other: 2}[kernel] == 1
    assert len({kernel, other}) == 2


def test_in_place_and_assign(kernel):
    array, same = kernel.value, kernel
    kernel -= 1
    kernel *= VALUE
    assert kernel is same
    assert kernel.value is array
    np.testing.assert_array_equal(array, (VALUE - 1) * VALUE)
    kernel.assign(VALUE)
    kernel.assign_add(VALUE)
    kernel.assign_sub(0.5)
    np.testing.assert_array_equal(array, 2 * VALUE - np.float32(0.5))
    for change in (kernel.assign_add, kernel.assign_sub):
        with pytest.raises(ValueError, match=r"d/kernel: the value has shape \(2, 3\), got \(5, 2, 3\)"):
            change(np.ones((5, 2, 3)))
    np.testing.assert_array_equal(array, 2 * VALUE - np.float32(0.5))


def test_regularizers_and_constraints_take_weights_and_lists():
    layer = layers.Dense(2, kernel_initializer=VALUE.T)
    layer.build((3,))
    assert regularizers.L2(0.1)(layer.kernel) == pytest.approx(0.1 * np.square(VALUE).sum())
    np.testing.assert_allclose(regularizers.L2(0.1).gradient(layer.kernel), 0.2 * VALUE.T)
    assert regularizers.L1(np.float32(0.5))([1, -2]) == 1.5
    rows = [[1, 1], [1, 0]]
    assert regularizers.OrthogonalRegularizer(0.1)(rows) == pytest.approx(0.1 / np.sqrt(2))
    matrix = Parameter(rows)
    assert regularizers.OrthogonalRegularizer(0.1)(matrix) == pytest.approx(0.1 / np.sqrt(2))
    np.testing.assert_allclose(
        regularizers.OrthogonalRegularizer(1.0).gradient(rows),
        regularizers.OrthogonalRegularizer(1.0).gradient(np.array(rows, np.float32)),
    )
    np.testing.assert_array_equal(constraints.NonNeg()(layer.kernel), np.maximum(VALUE.T, 0))
    np.testing.assert_allclose(constraints.UnitNorm()([[3.0], [4.0]]), [[0.6], [0.8]], rtol=1e-6)
    np.testing.assert_array_equal(constraints.Constraint()(VALUE), VALUE)
    assert not np.shares_memory(constraints.Constraint()(VALUE), VALUE)
    norms = np.linalg.norm(constraints.MaxNorm(1, axis=np.array([0, 1]))(VALUE))
    assert norms == pytest.approx(1, rel=1e-6)
