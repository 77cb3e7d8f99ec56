"""Golden cases for the operations of Keras' layers beyond a plain CNN, by Keras on JAX in float64.

    KERAS_BACKEND=jax python tests/golden/make_layer_ops.py        (with keras 3.15 and jax)

writes layer_ops.npz beside this file: keys "<operation>/<case>/<array>", with the arguments of the call as
JSON under "<operation>/<case>/arguments". Gradients are of sum(y · dy), by JAX. Inputs are multiples of 1/16.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import keras
import numpy as np

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")

random = np.random.default_rng(22)
golden: dict[str, np.ndarray] = {}
counts: dict[str, int] = {}


def sixteenths(*shape: int) -> np.ndarray:
    return random.integers(-32, 33, shape) / 16


def case(operation: str, arguments: dict, function, **inputs: np.ndarray) -> None:
    """y of the inputs, a random dy, and the gradients at all inputs."""
    y, adjoint = jax.vjp(lambda arrays: function(*(arrays[name] for name in inputs)), inputs)
    dy = sixteenths(*y.shape)
    (gradients,) = adjoint(dy)
    number = counts[operation] = counts.get(operation, -1) + 1
    key = f"{operation}/{number}"
    golden[f"{key}/arguments"] = np.array(json.dumps(arguments))
    named = {f"d{name}": gradient for name, gradient in gradients.items()}
    for name, array in (inputs | named | {"y": y, "dy": dy}).items():
        golden[f"{key}/{name}"] = np.asarray(array)


for shape, size, M, arguments in [
    ((2, 6, 7, 3), (3, 3), 1, {"strides": 1, "padding": "same"}),
    ((2, 7, 6, 3), (3, 2), 2, {"strides": 2, "padding": "valid"}),
    ((1, 8, 8, 17), (3, 3), 1, {"strides": 2, "padding": "same"}),
    ((2, 9, 8, 2), (2, 3), 3, {"padding": "same", "dilation_rate": [2, 3]}),
    ((1, 3, 3, 16), (5, 5), 1, {"padding": "same"}),
]:
    case(
        "depthwise_conv2d", arguments,
        lambda x, kernel, bias, arguments=arguments: keras.ops.depthwise_conv(x, kernel, **arguments) + bias,
        x=sixteenths(*shape), kernel=sixteenths(*size, shape[3], M), bias=sixteenths(shape[3] * M),
    )  # fmt: skip

for shape, size, filters, arguments in [
    ((2, 4, 5, 3), (3, 3), 2, {"strides": 2, "padding": "same"}),
    ((2, 4, 5, 3), (3, 3), 2, {"strides": 2, "padding": "valid"}),
    ((1, 3, 4, 2), (2, 2), 5, {"strides": 2, "padding": "same"}),
    ((1, 3, 4, 2), (2, 4), 3, {"strides": [3, 2], "padding": "same"}),
    ((1, 3, 4, 2), (1, 2), 3, {"strides": 3, "padding": "valid"}),
    ((1, 3, 4, 2), (5, 4), 3, {"strides": 1, "padding": "same"}),
    ((1, 3, 4, 2), (3, 3), 3, {"strides": 2, "padding": "same", "output_padding": 1}),
    ((1, 3, 4, 2), (4, 3), 3, {"strides": 3, "padding": "same", "output_padding": [0, 2]}),
    ((1, 3, 4, 2), (3, 2), 3, {"strides": 3, "padding": "valid", "output_padding": [2, 1]}),
    ((1, 4, 3, 2), (3, 2), 3, {"strides": 1, "padding": "same", "dilation_rate": [2, 3]}),
    ((1, 4, 3, 2), (2, 3), 3, {"strides": 1, "padding": "valid", "dilation_rate": 2}),
]:
    case(
        "conv2d_transpose", arguments,
        lambda x, kernel, bias, arguments=arguments: keras.ops.conv_transpose(x, kernel, **arguments) + bias,
        x=sixteenths(*shape), kernel=sixteenths(*size, filters, shape[3]), bias=sixteenths(filters),
    )  # fmt: skip

for name in ("add", "subtract", "multiply", "maximum", "minimum"):
    for shapes in [((2, 3, 4, 5),) * 2, ((2, 3, 4, 5), (2, 1, 1, 5)), ((2, 3, 1, 1), (5,))]:
        a, b = (np.round(2 * sixteenths(*shape)) / 2 for shape in shapes)  # some of them equal
        function = {"add": keras.ops.add, "subtract": keras.ops.subtract, "multiply": keras.ops.multiply,
                    "maximum": keras.ops.maximum, "minimum": keras.ops.minimum}[name]  # fmt: skip
        case("elementwise", {"operation": name}, function, a=a, b=b)
case(
    "elementwise", {"operation": "divide"}, lambda a, b: a / b, a=sixteenths(2, 3, 4), b=4 + sixteenths(3, 1)
)
case(
    "elementwise", {"operation": "average"}, lambda a, b: keras.layers.average([a, b]),
    a=sixteenths(2, 3, 4), b=sixteenths(2, 3, 4),
)  # fmt: skip

for interpolation in ("nearest", "bilinear"):
    for shape, size in [((2, 3, 4, 2), [2, 2]), ((1, 1, 5, 3), [3, 4]), ((2, 4, 1, 17), [5, 1])]:
        layer = keras.layers.UpSampling2D(size, interpolation=interpolation)
        arguments = {"size": size, "interpolation": interpolation}
        case("upsample2d", arguments, layer, x=sixteenths(*shape))

for shape, axis in [((3, 5), -1), ((2, 3, 4, 5), -1), ((2, 3, 4, 5), [1, 2, 3]), ((2, 3, 4), [1])]:
    sizes = [shape[a] for a in (axis if isinstance(axis, list) else [axis])]
    axes = axis if isinstance(axis, list) else [axis]
    spread = [n if i in [a % len(shape) for a in axes] else 1 for i, n in enumerate(shape)]
    case(
        "layer_norm", {"axis": axis, "epsilon": 1e-3},
        lambda x, gamma, beta, axis=axis, spread=spread: keras.ops.layer_normalization(
            x, gamma.reshape(spread), beta.reshape(spread), axis, 1e-3
        ),
        x=sixteenths(*shape), gamma=sixteenths(*sizes), beta=sixteenths(*sizes),
    )  # fmt: skip
    case(
        "rms_norm", {"axis": axis, "epsilon": 1e-6},
        lambda x, scale, axis=axis, spread=spread: keras.ops.rms_normalization(
            x, scale.reshape(spread), axis, 1e-6
        ),
        x=sixteenths(*shape), scale=sixteenths(*sizes),
    )  # fmt: skip
    layer = keras.layers.UnitNormalization(axis)
    case("unit_norm", {"axis": axis}, layer, x=sixteenths(*shape))

for shape, groups in [((2, 3, 4, 6), 3), ((2, 5, 4), 1), ((2, 3, 3, 4), 4), ((3, 8), 2)]:
    layer = keras.layers.GroupNormalization(groups, epsilon=1e-3)
    layer.build(shape)

    def group_norm(x, gamma, beta, layer=layer):
        return layer.stateless_call([gamma, beta], [], x)[0]

    weights = {"gamma": sixteenths(shape[-1]), "beta": sixteenths(shape[-1])}
    case("group_norm", {"groups": groups, "epsilon": 1e-3}, group_norm, x=sixteenths(*shape), **weights)

for shape, size in [
    ((2, 7, 5, 3), [3, 2]),
    ((1, 6, 8, 2), [3, 4]),
    ((1, 3, 2, 2), [5, 3]),
    ((2, 4, 4, 17), [1, 1]),
]:
    arguments = {"output_size": size}
    for name, layer in [
        ("adaptive_avg_pool2d", keras.layers.AdaptiveAveragePooling2D(size)),
        ("adaptive_max_pool2d", keras.layers.AdaptiveMaxPooling2D(size)),
    ]:
        # a random order of different numbers: no ties
        x = random.permutation(np.prod(shape)).reshape(shape) / 16
        case(name, arguments, layer, x=x)

for shape, size, filters, arguments in [
    ((2, 9, 3), 3, 4, {"padding": "same"}),
    ((2, 9, 3), 3, 4, {"padding": "causal", "dilation_rate": 2}),
    ((1, 12, 6), 4, 4, {"padding": "valid", "strides": 3, "groups": 2}),
]:
    layer = keras.layers.Conv1D(filters, size, **arguments)
    layer.build(shape)

    def conv1d(x, kernel, bias, layer=layer):
        return layer.stateless_call([kernel, bias], [], x)[0]

    kernel = sixteenths(size, shape[2] // arguments.get("groups", 1), filters)
    case("conv1d", arguments, conv1d, x=sixteenths(*shape), kernel=kernel, bias=sixteenths(filters))

case(
    "depthwise_conv1d", {"padding": "same", "strides": 2},
    lambda x, kernel, bias: keras.ops.depthwise_conv(x, kernel, 2, "same") + bias,
    x=sixteenths(2, 9, 3), kernel=sixteenths(4, 3, 2), bias=sixteenths(6),
)  # fmt: skip
case(
    "conv1d_transpose", {"padding": "same", "strides": 3},
    lambda x, kernel, bias: keras.ops.conv_transpose(x, kernel, 3, "same") + bias,
    x=sixteenths(2, 4, 3), kernel=sixteenths(5, 2, 3), bias=sixteenths(2),
)  # fmt: skip
for size, strides, padding in [(2, None, "valid"), (3, 2, "same")]:
    arguments = {"pool_size": size, "strides": strides, "padding": padding}
    x = random.permutation(42).reshape(2, 7, 3) / 16
    case("max_pool1d", arguments, keras.layers.MaxPooling1D(**arguments), x=x)
    case("avg_pool1d", arguments, keras.layers.AveragePooling1D(**arguments), x=x)
case("global_avg_pool1d", {}, keras.layers.GlobalAveragePooling1D(), x=sixteenths(2, 5, 3))
case(
    "global_max_pool1d", {}, keras.layers.GlobalMaxPooling1D(), x=random.permutation(30).reshape(2, 5, 3) / 16
)
case("upsample1d", {"size": 3}, keras.layers.UpSampling1D(3), x=sixteenths(2, 4, 3))

for shapes, axes in [
    (((2, 5), (2, 5)), 1),
    (((2, 3, 5), (2, 5, 4)), [2, 1]),
    (((2, 5, 3), (2, 4, 5)), [1, 2]),
    (((2, 5), (2, 4, 5)), [1, 2]),
    (((2, 3, 4, 5), (2, 6, 5)), [-1, -1]),
]:
    a, b = (sixteenths(*shape) for shape in shapes)
    layer = keras.layers.Dot(axes if isinstance(axes, int) else tuple(axes))
    case("dot", {"axes": axes}, lambda a, b, layer=layer: layer([a, b]), a=a, b=b)

np.savez_compressed(Path(__file__).with_name("layer_ops.npz"), **golden)
