"""Random graphs: the compiled kernels against the reference, one way of running against another, and
gradients against central differences.
"""

import os

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from fastconv import Model, gradcheck, layers, set_backend

EXAMPLES = max(1, int(200 * float(os.environ.get("FASTCONV_TEST_EXAMPLES", "1"))))
QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
SIZE = 6


def one_to_one(draw, channels):
    """A layer that keeps height and width."""
    kind = draw(st.integers(0, 6))
    activation = draw(st.sampled_from(["linear", "tanh", "sigmoid", "softplus", "elu"]))
    if kind == 0:
        return layers.Conv2D(draw(st.integers(1, 4)), draw(st.sampled_from([1, 3, (1, 3)])), padding="same",
                             activation=activation)  # fmt: skip
    if kind == 1:
        return layers.DepthwiseConv2D(
            3, padding="same", depth_multiplier=draw(st.integers(1, 2)), activation=activation
        )
    if kind == 2:
        return layers.BatchNormalization()
    if kind == 3:
        return layers.AveragePooling2D(draw(st.integers(1, 3)), strides=1, padding="same")
    if kind == 4:
        return layers.MaxPooling2D(2, strides=1, padding="same")
    if kind == 5:
        return layers.Dense(channels, activation=activation)
    return layers.Activation(activation)


MERGES = [layers.Add, layers.Multiply, layers.Average, layers.Subtract, layers.Maximum, layers.Minimum]


@st.composite
def graphs(draw, most=30):
    """A model of up to so many layers: shared ones, several inputs, several outputs, models inside."""
    inputs = [layers.Input((SIZE, SIZE, draw(st.integers(1, 3)))) for _ in range(draw(st.integers(1, 2)))]
    tensors, reusable = list(inputs), []
    for _ in range(draw(st.integers(1, most))):
        tensor = draw(st.sampled_from(tensors))
        step = draw(st.integers(0, 5))
        if step <= 2:
            layer = one_to_one(draw, tensor.shape[-1])
            reusable.append((layer, tensor.shape))
            tensors.append(layer(tensor))
        elif step == 3:  # a layer once more
            fitting = [layer for layer, shape in reusable if shape == tensor.shape]
            if fitting:
                tensors.append(draw(st.sampled_from(fitting))(tensor))
        elif step == 4:
            other = draw(st.sampled_from(tensors))
            if draw(st.booleans()) or other.shape != tensor.shape:
                tensors.append(layers.Concatenate()([tensor, other]))
            else:
                tensors.append(draw(st.sampled_from(MERGES))()([tensor, other]))
        else:  # a gate, broadcast over the image
            gate = layers.GlobalAveragePooling2D(keepdims=True)(tensor)
            tensors.append(tensor * layers.Dense(tensor.shape[-1], activation="sigmoid")(gate))
        if tensors[-1].shape[-1] > 12:
            tensors[-1] = layers.Conv2D(3, 1)(tensors[-1])
    used = {id(t) for tensor in tensors for t in tensor.node.inputs}
    ends = [tensor for tensor in tensors if id(tensor) not in used]
    outputs = [layers.Dense(2)(layers.GlobalAveragePooling2D()(end)) for end in ends[:3]]
    reached = everything_below(outputs)
    model = Model([tensor for tensor in inputs if id(tensor) in reached], outputs)
    if draw(st.booleans()):
        outer = [layers.Input(tensor.shape[1:]) for tensor in model.inputs]
        model = Model(outer, model(outer))
    return model


def everything_below(outputs):
    found, pending = set(), list(outputs)
    while pending:
        tensor = pending.pop()
        if id(tensor) not in found:
            found.add(id(tensor))
            pending += tensor.node.inputs
    return found


def run(model, x, dys):
    """Outputs, gradients with respect to inputs and parameters, moving averages."""
    ys = model.forward(x, training=True)
    dx = model.backward(dys, input_gradient=True)
    return [
        *ys,
        *dx,
        *(p.grad.copy() for p in model.parameters),
        *(w.numpy() for w in model.non_trainable_weights),
    ]


@settings(max_examples=EXAMPLES, **QUIET)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_kernels_and_reference_agree(model, seed):
    rng = np.random.default_rng(seed)
    start = [
        rng.uniform(0.2, 1, w.shape).astype(np.float32) * rng.choice([-1, 1], w.shape) for w in model.weights
    ]
    start = [abs(v) if "variance" in w.name else v for v, w in zip(start, model.weights, strict=True)]
    x = [rng.standard_normal((3, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    dys = [rng.standard_normal((3, 2)).astype(np.float32) for _ in model.outputs]
    model.set_weights(start)
    found = run(model, x, dys)
    model.set_weights(start)
    set_backend("reference")
    try:
        expected = run(model, x, dys)
    finally:
        set_backend("native")
    # Rounding is a factor of the deepest path's condition: compared by the whole array's size.
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max(initial=0) <= 2e-3 * max(1, np.abs(other).max(initial=0))


@settings(max_examples=max(1, EXAMPLES // 4), **QUIET)
@given(graphs(most=8), st.integers(0, 2**32 - 1))
def test_gradients_are_central_differences(model, seed):
    rng = np.random.default_rng(seed)
    assert gradcheck(model, [rng.standard_normal((2, *t.shape[1:])) for t in model.inputs], samples=10)


@settings(max_examples=max(1, EXAMPLES // 8), **QUIET)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_copies_and_configurations_compute_the_same(model, seed):
    rng = np.random.default_rng(seed)
    x = [rng.standard_normal((3, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    twin = Model.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    for one, other in zip(twin(x), model(x), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("threads", [2])
@settings(max_examples=max(1, EXAMPLES // 8), **QUIET)
@given(model=graphs(), seed=st.integers(0, 2**32 - 1))
def test_bits_do_not_depend_on_threads(threads, model, seed):
    import fastconv

    rng = np.random.default_rng(seed)
    x = [rng.standard_normal((3, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    dys = [rng.standard_normal((3, 2)).astype(np.float32) for _ in model.outputs]
    start = model.get_weights()
    found = []
    for count in (1, threads):
        model.set_weights(start)
        with fastconv.set_num_threads(count):
            found.append(run(model, x, dys))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
