"""Batch normalisation in Keras, over several steps, and in PyTorch: writes batch_norm.npz beside this file.

    KERAS_BACKEND=jax python tests/golden/make_batch_norm.py        (keras 3.15.1, jax, torch 2.13)

For each case "<case>/config" (JSON: the layer's arguments), its weights before, and for four batches x and
dy: y, dx, the gradients of gamma and beta, and the moving averages afterwards; then y and the gradients in
inference. Keras' layer computes in float32 whatever its type. So there is "torch", once, in float64.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import keras
import numpy as np
import torch

CASES = {
    "vectors": ((6, 5), {}),
    "images": ((4, 3, 5, 7), {"momentum": 0.9, "epsilon": 1e-2}),
    "sequences": ((3, 4, 17), {"center": False}),
    "one channel": ((5, 2, 3, 1), {"scale": False, "momentum": 0.5}),
    "one vector": ((1, 3), {}),
    "bare": ((7, 4), {"center": False, "scale": False, "epsilon": 1e-5}),
    "frozen": ((6, 5), {"trainable": False}),
}
STEPS = 4

random = np.random.default_rng(8)
golden: dict[str, np.ndarray] = {}


def initial(weight) -> np.ndarray:
    if weight.name == "moving_variance":
        return random.uniform(0.5, 2, weight.shape).astype(np.float32)
    return random.normal(size=weight.shape).astype(np.float32)


def step(layer, x, dy, training):
    """y, dx, the gradients of the learned weights, and the moving averages afterwards."""
    trainable = len(layer.trainable_variables)
    values = [weight.value for weight in layer.weights]
    learned, averages = values[:-2], values[-2:]

    def total(x, learned):
        both = learned + averages
        y, state = layer.stateless_call(both[:trainable], both[trainable:], x, training=training)
        return (y * dy).sum(), (y, state[-2:])

    (_, (y, moved)), (dx, gradients) = jax.value_and_grad(total, (0, 1), has_aux=True)(x, learned)
    return y, dx, gradients, moved


for case, (shape, config) in CASES.items():
    layer = keras.layers.BatchNormalization(**config)
    layer.build((None, *shape[1:]))
    layer.set_weights([initial(weight) for weight in layer.weights])
    names = [weight.name for weight in layer.weights]
    golden[f"{case}/config"] = np.array(json.dumps(config))
    golden |= {f"{case}/weights/{i} {names[i]}": value for i, value in enumerate(layer.get_weights())}
    for number in range(STEPS + 1):
        x = random.normal(number - 1, 1 + number, shape).astype(np.float32)
        dy = random.normal(size=shape).astype(np.float32)
        y, dx, gradients, moved = step(layer, x, dy, training=number < STEPS)
        layer.moving_mean.assign(moved[0])
        layer.moving_variance.assign(moved[1])
        found = {"x": x, "dy": dy, "y": y, "dx": dx, "moving_mean": moved[0], "moving_variance": moved[1]}
        found |= {f"d{name}": gradient for name, gradient in zip(names, gradients, strict=False)}
        golden |= {f"{case}/{number}/{name}": np.asarray(array) for name, array in found.items()}

x, dy, gamma, beta = (torch.tensor(random.normal(size=s)) for s in ((3, 7, 4, 5), (3, 7, 4, 5), 7, 7))
for tensor in (x, gamma, beta):
    tensor.requires_grad_()
y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-2)
y.backward(dy)
for name, tensor in {"x": x, "y": y, "dy": dy, "dx": x.grad}.items():
    golden[f"torch/{name}"] = tensor.detach().numpy().transpose(0, 2, 3, 1)
for name, tensor in {"gamma": gamma, "beta": beta, "dgamma": gamma.grad, "dbeta": beta.grad}.items():
    golden[f"torch/{name}"] = tensor.detach().numpy()

np.savez_compressed(Path(__file__).with_name("batch_norm.npz"), **golden)
