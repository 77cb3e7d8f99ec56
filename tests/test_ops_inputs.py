"""Arrays that are not C-contiguous float32 are converted or refused, never misread."""

from __future__ import annotations

import numpy as np
import pytest
from kernels import each_isa

import fastconv
from fastconv import ops

random = np.random.default_rng(6)


def whole(*shape: int) -> np.ndarray:
    """Small whole numbers, which every type holds exactly."""
    return random.integers(-4, 5, shape).astype(np.float32)


X, KERNEL, BIAS, DY = whole(2, 7, 6, 5), whole(3, 2, 5, 18), whole(18), whole(2, 5, 5, 18)
AFFINE = np.float32([1] * 6 + [0] * 2)
POOLED, _SWITCHES = ops.max_pool2d(X)
_PLACES = ops.global_max_pool2d(X)[1]

# name: (function of the arrays, arrays)
OPERATIONS = {
    "conv2d": (ops.conv2d, (X, KERNEL, BIAS)),
    "conv2d_backward_data": (lambda dy, kernel: ops.conv2d_backward_data(dy, kernel, X.shape), (DY, KERNEL)),
    "conv2d_backward_kernel": (lambda x, dy: ops.conv2d_backward_kernel(x, dy, (3, 2)), (X, DY)),
    "max_pool2d": (ops.max_pool2d, (X,)),
    "max_pool2d_backward": (lambda dy: ops.max_pool2d_backward(dy, _SWITCHES, X.shape), (POOLED,)),
    "avg_pool2d": (ops.avg_pool2d, (X,)),
    "avg_pool2d_backward": (lambda dy: ops.avg_pool2d_backward(dy, X.shape), (POOLED,)),
    "global_avg_pool2d": (ops.global_avg_pool2d, (X,)),
    "global_avg_pool2d_backward": (lambda dy: ops.global_avg_pool2d_backward(dy, X.shape), (whole(2, 5),)),
    "global_max_pool2d": (ops.global_max_pool2d, (X,)),
    "global_max_pool2d_backward": (
        lambda dy: ops.global_max_pool2d_backward(dy, _PLACES, X.shape),
        (whole(2, 5),),
    ),
    "affine_transform": (ops.affine_transform, (X, whole(2, 8) * AFFINE)),
    "affine_transform_backward": (
        lambda dy, maps: ops.affine_transform_backward(dy, maps, X.shape, fill_mode="reflect"),
        (X, whole(2, 8) * AFFINE),
    ),
    "depthwise_conv2d": (ops.depthwise_conv2d, (X, whole(3, 2, 5, 2), whole(10))),
    "depthwise_conv2d_backward_data": (
        lambda dy, kernel: ops.depthwise_conv2d_backward_data(dy, kernel, X.shape),
        (whole(2, 5, 5, 10), whole(3, 2, 5, 2)),
    ),
    "depthwise_conv2d_backward_kernel": (
        lambda x, dy: ops.depthwise_conv2d_backward_kernel(x, dy, (3, 2)),
        (X, whole(2, 5, 5, 10)),
    ),
    "conv2d_transpose": (ops.conv2d_transpose, (X, whole(3, 2, 4, 5), whole(4))),
    "conv2d_transpose_backward_data": (
        lambda dy, kernel: ops.conv2d_transpose_backward_data(dy, kernel, X.shape),
        (whole(2, 9, 7, 4), whole(3, 2, 4, 5)),
    ),
    "conv2d_transpose_backward_kernel": (
        lambda x, dy: ops.conv2d_transpose_backward_kernel(x, dy, (3, 2)),
        (X, whole(2, 9, 7, 4)),
    ),
    "conv1d": (ops.conv1d, (X[0], whole(3, 5, 4), whole(4))),
    "elementwise": (lambda a, b: ops.elementwise(a, b, "multiply"), (X, whole(2, 1, 1, 5))),
    "elementwise_backward": (
        lambda dy, a, b: ops.elementwise_backward(dy, a, b, "maximum"),
        (whole(*X.shape), X, whole(7, 1, 5)),
    ),
    "upsample2d": (lambda x: ops.upsample2d(x, 2, "bilinear"), (X,)),
    "upsample2d_backward": (lambda dy: ops.upsample2d_backward(dy, (1, 2)), (X,)),
    "layer_norm": (ops.layer_norm, (X, whole(5), whole(5))),
    "layer_norm_backward": (
        ops.layer_norm_backward,
        (whole(*X.shape), X, whole(*X.shape[:3]), whole(*X.shape[:3]), whole(5)),
    ),
    "rms_norm": (lambda x, scale: ops.rms_norm(x, scale, axis=(1, 2)), (X, whole(7, 6))),
    "unit_norm": (ops.unit_norm, (X,)),
    "group_norm": (lambda x, gamma: ops.group_norm(x, 5, gamma), (X, whole(5))),
    "group_norm_backward": (
        ops.group_norm_backward,
        (whole(*X.shape), X, whole(2, 5), whole(2, 5), whole(5)),
    ),
    "adaptive_avg_pool2d": (lambda x: ops.adaptive_avg_pool2d(x, (3, 4)), (X,)),
    "adaptive_max_pool2d": (lambda x: ops.adaptive_max_pool2d(x, (3, 4)), (X,)),
    "concatenate": (lambda a, b: ops.concatenate([a, b], 1), (X, whole(*X.shape))),
    "crop2d": (ops.crop2d, (X,)),
    "permute": (lambda x: ops.permute(x, (0, 3, 1, 2)), (X,)),
    "dot": (lambda a, b: ops.dot(a, b, (2, 1)), (X[0], whole(7, 5, 4))),
    "dense": (ops.dense, (X, whole(5, 19), whole(19))),
    "dense_backward_data": (ops.dense_backward_data, (DY, whole(3, 18))),
    "dense_backward_kernel": (ops.dense_backward_kernel, (whole(9, 5), whole(9, 18))),
    "activation": (lambda x: ops.activation(x, "elu"), (X,)),
    "activation_backward": (lambda dy, y: ops.activation_backward(dy, y, "tanh"), (X, whole(*X.shape))),
    "activation_backward of x": (
        lambda dy, x: ops.activation_backward(dy, None, "gelu", x=x),
        (X, whole(*X.shape)),
    ),
    "prelu": (ops.prelu, (X, whole(*X.shape[1:]))),
    "prelu_backward": (ops.prelu_backward, (whole(*X.shape), X, whole(1, 1, X.shape[-1]))),
    "moments": (ops.moments, (X,)),
    "batch_norm": (ops.batch_norm, (X, whole(5), whole(5) ** 2, whole(5), whole(5))),
    "batch_norm_backward_weights": (
        ops.batch_norm_backward_weights,
        (whole(*X.shape), X, whole(5), whole(5) ** 2),
    ),
    "batch_norm_backward_data": (
        ops.batch_norm_backward_data,
        (whole(*X.shape), X, whole(5), whole(5) ** 2, whole(5), whole(5), whole(5)),
    ),
    "softmax": (lambda x: ops.activation(x, "softmax"), (X,)),
    "log_softmax": (ops.log_softmax, (X,)),
    "softmax_cross_entropy": (
        lambda logits, weight: ops.softmax_cross_entropy(logits, np.arange(9), weight),
        (whole(9, 10), whole(9) ** 2),
    ),
}


def reversed_twice(array):
    """The same numbers at negative strides."""
    backwards = (slice(None, None, -1),) * array.ndim
    return array[backwards].copy()[backwards]


def every_other(array):
    """The same numbers with a gap behind each: every second element of an array twice as wide."""
    wide = np.full((*array.shape, 2), 77, array.dtype)
    wide[..., 0] = array
    return wide[..., 0]


def misaligned(array):
    """The same numbers, one byte off."""
    return np.frombuffer(b"?" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS = {
    "Fortran order": np.asfortranarray,
    "negative strides": reversed_twice,
    "gaps": every_other,
    "misaligned": misaligned,
    "read-only": read_only,
    "big-endian": lambda array: array.astype(">f4"),
    "float64": lambda array: array.astype(np.float64),
    "float16": lambda array: array.astype(np.float16),
    "int64": lambda array: array.astype(np.int64),
    "int8": lambda array: array.astype(np.int8),
    "nested lists": lambda array: array.tolist(),
}


def results(function, arrays):
    found = function(*arrays)
    return [np.asarray(part) for part in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_the_form_of_an_array_does_not_change_a_bit(operation, form):
    function, arrays = operation
    expected = results(function, arrays)
    before = [array.copy() for array in arrays]
    found = results(function, [form(array) for array in arrays])
    for actual, wanted in zip(found, expected, strict=True):
        assert actual.dtype == wanted.dtype
        np.testing.assert_array_equal(actual, wanted)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_results_are_new_contiguous_arrays(operation):
    function, arrays = operation
    for _ in each_isa():
        for result in results(function, arrays):
            assert result.flags.c_contiguous
            assert result.flags.writeable
            assert not any(np.shares_memory(result, array) for array in arrays)


def test_booleans_are_numbers():
    np.testing.assert_array_equal(
        ops.global_avg_pool2d(X > 0), ops.global_avg_pool2d((X > 0).astype(np.float32))
    )


def test_float64_is_rounded_to_the_nearest_float32():
    x = np.array([[1 + 2.0**-24 + 2.0**-40, 0.1]])
    assert ops.activation(x, "linear").tolist() == x.astype(np.float32).tolist()
    assert ops.activation(x, "linear")[0, 0] == np.float32(1 + 2.0**-23)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
@pytest.mark.parametrize("bad", [np.complex64, str, object])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_what_is_not_real_numbers_is_refused(operation, bad, backend):
    function, arrays = operation
    for index in range(len(arrays)):
        spoiled = [array.astype(bad) if i == index else array for i, array in enumerate(arrays)]
        with (
            fastconv.set_backend(backend),
            pytest.raises(TypeError, match="must hold real numbers; got dtype"),
        ):
            function(*spoiled)


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match="x is not an array"):
        ops.activation([[1.0, 2.0], [3.0]], "relu")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_the_reference_backend_answers_in_float64(operation):
    function, arrays = operation
    native = results(function, arrays)
    with fastconv.set_backend("reference"):
        exact = results(function, arrays)
    for found, wanted in zip(native, exact, strict=True):
        assert found.shape == wanted.shape
        if found.dtype == np.float32:
            assert wanted.dtype == np.float64
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
        else:  # switches and the loss
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
