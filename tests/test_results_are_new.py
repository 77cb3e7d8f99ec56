"""Results of public calls are new arrays: to write into one changes nothing that was given."""

import inspect

import numpy as np
import pytest

import fastconv
from fastconv import Sequential, activations, datasets, layers, ops
from fastconv.layers import serialization

IMAGES = np.random.default_rng(0).normal(0, 1, (2, 4, 4, 3))
ARGUMENTS = {
    "Activation": ("linear",),
    "AlphaDropout": (0.0,),
    "CenterCrop": (4, 4),
    "Conv2D": (3, 1),
    "Dense": (3,),
    "Dropout": (0.5,),
    "GaussianDropout": (0.5,),
    "GaussianNoise": (0.0,),
    "GroupNormalization": (3,),
    "InputLayer": ((4, 4, 3),),
    "Pipeline": ([layers.Dropout(0.0)],),
    "RandomBrightness": (0.0,),
    "RandomContrast": (0.0,),
    "RandomCrop": (4, 4),
    "RandomRotation": (0.0,),
    "RandomTranslation": (0.0, 0.0),
    "RandomZoom": (0.0,),
    "RBF": (2,),
    "Rescaling": (1.0,),
    "SpectralNormalization": (layers.Dense(3),),
    "Reshape": ((4, 4, 3),),
    "Resizing": (4, 4),
    "SpatialDropout2D": (0.0,),
}
PASSING_ON = {"AveragePooling2D": (1,), "MaxPooling2D": (1,), "Subsampling2D": (1,), "ZeroPadding2D": (0,)}
CLASSES = sorted(
    {cls.__name__: cls for cls in serialization._registry._classes.values()}.items(), key=lambda item: item[0]
)


def example(backend, shape=IMAGES.shape):
    return IMAGES.reshape(shape).astype(np.float64 if backend == "reference" else np.float32)


def assert_new(results, *given):
    for result in results if isinstance(results, (list, tuple)) else [results]:
        for array in given:
            assert not np.shares_memory(result, array)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize(("name", "cls"), CLASSES, ids=[name for name, _ in CLASSES])
def test_of_layers(name, cls, backend):
    arguments = PASSING_ON.get(name, ARGUMENTS.get(name, ()))
    x = example(backend, (2, 48) if name == "RBF" else IMAGES.shape)
    with fastconv.set_backend(backend):
        for training in (False, True):
            before = x.copy()
            y = cls(*arguments)(x, training=training)
            assert_new(y, x)
            y[...] = 7
            np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_of_models(backend):
    x = example(backend)
    with fastconv.set_backend(backend):
        for parts in ([layers.Dropout(0.5)], [Sequential([layers.Dropout(0.5)]), layers.Flatten()]):
            model = Sequential([layers.Input((4, 4, 3)), *parts])
            for y in (model(x), model.predict(x, verbose=0), model.predict_on_batch(x)):
                assert_new(y, x)


def test_within_a_model_nothing_is_copied():
    passing = Sequential(
        [layers.Input((4, 4, 3)), layers.Dropout(0.5), layers.Flatten(), layers.Reshape((6, 8))]
    )
    x = example("native")
    assert np.shares_memory(passing.forward(x), x)
    assert passing.layers[0].forward(x) is x


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("name", ops.ACTIVATIONS)
def test_of_activations(name, backend):
    x = example(backend)
    with fastconv.set_backend(backend):
        assert_new(getattr(activations, name)(x), x)
        assert_new(ops.activation(x, name), x)
        assert_new(ops.activation_backward(x, x, name, x=x), x)
        assert_new(activations.relu(x, threshold=0.5), x)


IN_PLACE = {name for name in ops.__all__ if name.endswith(("_step", "_update"))} | {"Kept"}
ONE, EYE, SAME = np.ones(3), np.eye(3), [1, 0, 0, 0, 1, 0, 0, 0]
OPERATIONS = {
    "affine_transform": lambda x: ops.affine_transform(x, SAME),
    "affine_transform_backward": lambda x: ops.affine_transform_backward(x, SAME, x.shape),
    "avg_pool2d": lambda x: ops.avg_pool2d(x, 1),
    "avg_pool2d_backward": lambda x: ops.avg_pool2d_backward(x, x.shape, 1),
    "batch_norm": lambda x: ops.batch_norm(x, 0 * ONE, ONE, epsilon=0.0),
    "batch_norm_backward_data": lambda x: ops.batch_norm_backward_data(x, x, 0 * ONE, ONE),
    "batch_norm_backward_weights": lambda x: ops.batch_norm_backward_weights(x, x, 0 * ONE, ONE),
    "clip_by_global_norm": lambda x: ops.clip_by_global_norm([x], 1e6),
    "clip_by_norm": lambda x: ops.clip_by_norm(x, 1e6),
    "clip_by_value": lambda x: ops.clip_by_value(x, 1e6),
    "conv2d": lambda x: ops.conv2d(x, EYE[None, None]),
    "conv2d_backward_data": lambda x: ops.conv2d_backward_data(x, EYE[None, None], x.shape),
    "conv2d_backward_kernel": lambda x: ops.conv2d_backward_kernel(x, x, 1),
    "conv2d_connected": lambda x: ops.conv2d_connected(x, ONE[None, None], EYE == 1),
    "conv2d_connected_backward_data": lambda x: ops.conv2d_connected_backward_data(
        x, ONE[None, None], EYE == 1, x.shape
    ),
    "conv2d_connected_backward_kernel": lambda x: ops.conv2d_connected_backward_kernel(x, x, EYE == 1, 1),
    "dense": lambda x: ops.dense(x, EYE),
    "dense_backward_data": lambda x: ops.dense_backward_data(x, EYE),
    "dense_backward_kernel": lambda x: ops.dense_backward_kernel(x, x),
    "dropout": lambda x: ops.dropout(x, 0.0, 1),
    "global_avg_pool2d": lambda x: ops.global_avg_pool2d(x[:, :1, :1]),
    "global_avg_pool2d_backward": lambda x: ops.global_avg_pool2d_backward(x[:, 0, 0], (2, 1, 1, 3)),
    "global_max_pool2d": lambda x: ops.global_max_pool2d(x[:, :1, :1]),
    "global_max_pool2d_backward": lambda x: ops.global_max_pool2d_backward(
        x[:, 0, 0], np.zeros((2, 3), np.int32), (2, 1, 1, 3)
    ),
    "log_softmax": lambda x: ops.log_softmax(x.reshape(-1, 3)),
    "max_pool2d": lambda x: ops.max_pool2d(x, 1),
    "max_pool2d_backward": lambda x: ops.max_pool2d_backward(x, ops.max_pool2d(x, 1)[1], x.shape, 1),
    "moments": lambda x: ops.moments(x[:1, :1, :1]),
    "prelu": lambda x: ops.prelu(x, np.ones((1, 1, 3))),
    "prelu_backward": lambda x: ops.prelu_backward(x, x, np.ones((1, 1, 3))),
    "rbf": lambda x: ops.rbf(x.reshape(-1, 3), EYE),
    "rbf_backward_data": lambda x: ops.rbf_backward_data(x.reshape(-1, 3), x.reshape(-1, 3), EYE),
    "rbf_backward_kernel": lambda x: ops.rbf_backward_kernel(x.reshape(-1, 3), x.reshape(-1, 3), EYE),
    "softmax_cross_entropy": lambda x: ops.softmax_cross_entropy(x.reshape(-1, 3), x.reshape(-1, 3)),
}  # fmt: skip


def test_all_operations_are_here():
    functions = {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}
    assert functions - IN_PLACE - {"activation", "activation_backward", "l1_l2_penalty"} == OPERATIONS.keys()


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_of_operations(name, backend):
    x = example(backend)
    with fastconv.set_backend(backend):
        results = OPERATIONS[name](x)
        results = results if isinstance(results, (list, tuple)) else [results]
        assert_new([y for y in results if isinstance(y, np.ndarray)], x)


def test_of_loaders():
    x, y = example("native"), np.arange(2.0)
    for batch in datasets.Loader(x, y, shuffle=False, prefetch=0):
        assert_new(batch, x, y)
