"""Golden cases for the operations, computed in float64 by PyTorch and by Keras on JAX.

    KERAS_BACKEND=jax python tests/golden/make_ops.py        (with torch 2.13, keras 3.15.1 and jax)

writes ops.npz beside this file: keys "<operation>/<case>/<array>", with the arguments of the call as JSON
under "<operation>/<case>/arguments". Layout is NHWC and HWIO throughout. Inputs are multiples of 1/16, so
that float32 holds them exactly.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import keras
import numpy as np
import torch
import torch.nn.functional as F

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")

random = np.random.default_rng(20)
golden: dict[str, np.ndarray] = {}
counts: dict[str, int] = {}


def sixteenths(*shape: int) -> np.ndarray:
    return random.integers(-32, 33, shape) / 16


def save(operation: str, arguments: dict, **arrays: object) -> None:
    case = counts[operation] = counts.get(operation, -1) + 1
    golden[f"{operation}/{case}/arguments"] = np.array(json.dumps(arguments))
    for name, array in arrays.items():
        golden[f"{operation}/{case}/{name}"] = np.asarray(array)


def nchw(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array.transpose(0, 3, 1, 2).copy(), requires_grad=True)


def nhwc(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def torch_conv2d(
    image, size, channels, strides=1, padding=((0, 0), (0, 0)), dilation_rate=1, groups=1
) -> None:
    c_in, c_out = channels
    x, bias = sixteenths(2, *image, c_in), sixteenths(c_out)
    kernel = sixteenths(*size, c_in // groups, c_out)
    tx, tb = nchw(x), torch.tensor(bias, requires_grad=True)
    tk = torch.tensor(kernel.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    (top, bottom), (left, right) = padding
    y = F.conv2d(F.pad(tx, (left, right, top, bottom)), tk, tb, strides, 0, dilation_rate, groups)
    dy = sixteenths(*nhwc(y).shape)
    y.backward(nchw(dy))
    save(
        "conv2d",
        {"strides": strides, "padding": padding, "dilation_rate": dilation_rate, "groups": groups},
        x=x, kernel=kernel, bias=bias, y=nhwc(y), dy=dy, dx=nhwc(tx.grad),
        dkernel=tk.grad.numpy().transpose(2, 3, 1, 0), dbias=tb.grad,
    )  # fmt: skip


def torch_pool(operation: str, image, pool_size, strides, padding) -> None:
    x = sixteenths(2, *image, 3)
    tx = nchw(x)
    if operation == "max_pool2d":
        y = F.max_pool2d(tx, pool_size, strides, padding)
    else:
        y = F.avg_pool2d(tx, pool_size, strides, padding, count_include_pad=False)
    dy = sixteenths(*nhwc(y).shape)
    y.backward(nchw(dy))
    save(
        operation,
        {"pool_size": pool_size, "strides": strides, "padding": padding},
        x=x, y=nhwc(y), dy=dy, dx=nhwc(tx.grad),
    )  # fmt: skip


def torch_cross_entropy(classes: int, form: str, weighted: bool) -> None:
    logits = sixteenths(5, classes) * 4
    tz = torch.tensor(logits, requires_grad=True)
    if form == "class numbers":
        labels = random.integers(0, classes, 5)
    else:
        labels = random.integers(1, 9, (5, classes)).astype(float)
        labels /= labels.sum(-1, keepdims=True)
    weight = sixteenths(5) ** 2 if weighted else np.ones(5)
    losses = F.cross_entropy(tz, torch.tensor(labels), reduction="none")
    loss = (losses * torch.tensor(weight)).sum() / 5
    loss.backward()
    save(
        "softmax_cross_entropy", {},
        logits=logits, labels=labels, sample_weight=weight, loss=loss.item(), dlogits=tz.grad,
    )  # fmt: skip


def keras_case(operation: str, arguments: dict, function, **inputs: np.ndarray) -> None:
    """The output of a Keras function of its inputs, and by JAX the gradient of sum(y * dy) at each."""
    inputs = {name: keras.ops.convert_to_tensor(array) for name, array in inputs.items()}
    y = np.asarray(function(**inputs))
    dy = sixteenths(*y.shape)
    gradients = jax.grad(lambda arrays: (function(**arrays) * dy).sum())(inputs)
    save(operation, arguments, **inputs, y=y, dy=dy, **{f"d{name}": g for name, g in gradients.items()})


def keras_conv2d(image, size, channels, strides=1, padding="same", dilation_rate=1) -> None:
    keras_case(
        "conv2d",
        {"strides": strides, "padding": padding, "dilation_rate": dilation_rate},
        lambda x, kernel, bias: keras.ops.conv(
            x, kernel, strides, padding, "channels_last", dilation_rate
        ) + bias,
        x=sixteenths(2, *image, channels[0]),
        kernel=sixteenths(*size, *channels),
        bias=sixteenths(channels[1]),
    )  # fmt: skip


def keras_pool(operation: str, image, pool_size, strides, padding) -> None:
    function = keras.ops.max_pool if operation == "max_pool2d" else keras.ops.average_pool
    x = sixteenths(2, *image, 3)
    if operation == "max_pool2d":  # no ties: JAX gives the gradient to another of the equal pixels than we do
        x = random.permutation(x.size).reshape(x.shape) / 16
    keras_case(
        operation,
        {"pool_size": pool_size, "strides": strides, "padding": padding},
        lambda x: function(x, pool_size, strides, padding, "channels_last"), x=x,
    )  # fmt: skip


def keras_activation(name: str, alpha: float | None = None) -> None:
    arguments = {"leaky_relu": {"negative_slope": alpha}, "elu": {"alpha": alpha}}.get(name, {})
    x = sixteenths(4, 6) * 2
    x[x == 0] = 0.5  # where the derivative jumps, none of its values is the right one
    # keras.activations.tanh answers in float32 whatever it is asked in
    function = jax.numpy.tanh if name == "tanh" else getattr(keras.activations, name)
    keras_case("activation", {"name": name, "alpha": alpha}, lambda x: function(x, **arguments), x=x)


def keras_optimizer(operation: str, optimizer: keras.optimizers.Optimizer, arguments: dict) -> None:
    """Six steps, each with its own gradient; the last three gradients are zero or tiny."""
    value = sixteenths(5)
    variable = keras.Variable(value)
    grads = sixteenths(6, 5) * np.array([4, 1, 0.25, 0, 2**-10, 1])[:, None]
    trajectory = []
    for grad in grads:
        optimizer.apply([keras.ops.convert_to_tensor(grad)], [variable])
        trajectory.append(keras.ops.convert_to_numpy(variable))
    save(operation, arguments, value=value, grads=grads, trajectory=np.array(trajectory))


torch_conv2d((5, 6), (3, 3), (2, 3))
torch_conv2d((7, 5), (2, 3), (3, 4), strides=(2, 1), padding=((1, 1), (2, 2)))
torch_conv2d((9, 8), (3, 2), (1, 2), dilation_rate=(2, 3), padding=((2, 0), (1, 3)))
torch_conv2d((6, 6), (3, 3), (4, 6), groups=2, padding=((1, 1), (1, 1)))
torch_conv2d((5, 5), (3, 3), (3, 3), groups=3, strides=2)
torch_conv2d((8, 7), (2, 2), (2, 2), strides=(3, 4))
torch_conv2d((4, 4), (3, 3), (2, 17), strides=2, padding=((5, 4), (6, 7)))
torch_conv2d((7, 7), (3, 3), (2, 4), strides=2, dilation_rate=2, groups=2, padding=((3, 2), (2, 3)))
torch_conv2d((1, 1), (1, 1), (3, 2))
for image, size, strides in [
    ((5, 5), (2, 2), 1),
    ((6, 7), (3, 3), 2),
    ((7, 6), (5, 4), (3, 2)),
    ((9, 5), (2, 2), 4),
]:
    keras_conv2d(image, size, (2, 3), strides)
keras_conv2d((6, 7), (3, 2), (2, 3), dilation_rate=2)
keras_conv2d((7, 7), (3, 3), (2, 3), strides=2, padding="valid")

torch_pool("max_pool2d", (6, 6), 2, 2, 0)
torch_pool("max_pool2d", (7, 8), (3, 2), (2, 3), (1, 1))
torch_pool("max_pool2d", (5, 5), 3, 1, 1)
torch_pool("avg_pool2d", (6, 6), 2, 2, 0)
torch_pool("avg_pool2d", (7, 8), (3, 2), (2, 3), (1, 1))
for operation in ("max_pool2d", "avg_pool2d"):
    keras_pool(operation, (5, 7), 2, 2, "same")
    keras_pool(operation, (6, 5), 3, 2, "same")
    keras_pool(operation, (7, 4), (2, 3), 1, "same")
    keras_pool(operation, (7, 7), 2, 3, "valid")

for classes, form, weighted in [
    (3, "class numbers", False),
    (4, "class numbers", True),
    (4, "distribution", True),
]:
    torch_cross_entropy(classes, form, weighted)

for name in ("linear", "relu", "sigmoid", "tanh", "selu", "softmax"):
    keras_activation(name)
keras_activation("leaky_relu", 0.125)
keras_activation("elu", 1.5)

for momentum, nesterov in [(0.0, False), (0.875, False), (0.875, True)]:
    keras_optimizer(
        "sgd_update", keras.optimizers.SGD(0.125, momentum, nesterov),
        {"learning_rate": 0.125, "momentum": momentum, "nesterov": nesterov},
    )  # fmt: skip
moments = {"learning_rate": 0.125, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 1e-7}
for amsgrad in (False, True):
    keras_optimizer(
        "adam_update", keras.optimizers.Adam(**moments, amsgrad=amsgrad), moments | {"amsgrad": amsgrad}
    )
keras_optimizer("nadam_update", keras.optimizers.Nadam(**moments), moments)
for momentum, centered in [(0.0, False), (0.5, False), (0.0, True), (0.5, True)]:
    arguments = {"learning_rate": 0.125, "rho": 0.875, "momentum": momentum, "epsilon": 1e-3}
    optimizer = keras.optimizers.RMSprop(**arguments, centered=centered)
    keras_optimizer("rmsprop_update", optimizer, arguments | {"centered": centered})

np.savez_compressed(Path(__file__).with_name("ops.npz"), **golden)
