"""Golden cases for pooling, upsampling, padding, cropping, arrangement and Dot, by Keras' layers on JAX.

    KERAS_BACKEND=jax python tests/golden/make_layers_a.py        (with keras 3.15 and jax)

writes layers_a.npz beside this file, in float32: keys "<layer>/<case>/<array>", with the arguments of the
constructor as JSON under "<layer>/<case>/arguments". Inputs are x0, and x1 where there are two; their
gradients, dx0 and dx1, are those of sum(y · dy), by JAX. No two numbers of an input are equal, so that maxima
are single.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import keras
import numpy as np

random = np.random.default_rng(31)
golden: dict[str, np.ndarray] = {}
counts: dict[str, int] = {}


def distinct(*shape: int) -> np.ndarray:
    size = int(np.prod(shape))
    return (random.permutation(size).reshape(shape) - size // 2).astype(np.float32) / 16


def case(name: str, *shapes: tuple[int, ...], **arguments) -> None:
    """y of the layer, a random dy, and the gradients at all inputs."""
    layer = getattr(keras.layers, name)(**arguments)
    inputs = [distinct(*shape) for shape in shapes]
    y, adjoint = jax.vjp(lambda *given: layer(list(given) if len(given) > 1 else given[0]), *inputs)
    dy = (random.integers(-32, 33, y.shape) / 16).astype(np.float32)
    number = counts[name] = counts.get(name, -1) + 1
    key = f"{name}/{number}"
    golden[f"{key}/arguments"] = np.array(json.dumps(arguments))
    golden[f"{key}/y"], golden[f"{key}/dy"] = np.asarray(y), dy
    for index, (x, dx) in enumerate(zip(inputs, adjoint(dy), strict=True)):
        golden[f"{key}/x{index}"], golden[f"{key}/dx{index}"] = x, np.asarray(dx)


for name in ("MaxPooling1D", "AveragePooling1D"):
    case(name, (2, 8, 3), pool_size=2)
    case(name, (2, 7, 2), pool_size=3, strides=2, padding="same")
    case(name, (1, 7, 2), pool_size=[3], strides=[1], padding="valid")
    case(name, (1, 5, 1), pool_size=2, strides=3, padding="same")
    case(name, (1, 1, 1), pool_size=1)

for name in ("GlobalAveragePooling1D", "GlobalMaxPooling1D"):
    case(name, (2, 6, 3))
    case(name, (2, 5, 3), keepdims=True)
    case(name, (1, 1, 1))

for name in ("AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D"):
    case(name, (2, 6, 8, 3), output_size=2)
    case(name, (2, 7, 5, 2), output_size=[3, 2])
    case(name, (1, 5, 4, 1), output_size=[5, 1])
    case(name, (1, 1, 1, 1), output_size=1)

for name in ("AdaptiveAveragePooling1D", "AdaptiveMaxPooling1D"):
    case(name, (2, 8, 3), output_size=4)
    case(name, (2, 7, 2), output_size=[3])

case("UpSampling1D", (2, 4, 3))
case("UpSampling1D", (1, 3, 1), size=3)
case("UpSampling2D", (2, 3, 4, 2))
case("UpSampling2D", (1, 3, 2, 3), size=[1, 3])
for size in (2, [3, 2], [1, 4]):
    case("UpSampling2D", (2, 3, 4, 2), size=size, interpolation="bilinear")
case("UpSampling2D", (1, 1, 1, 1), size=3, interpolation="bilinear")

case("ZeroPadding1D", (2, 4, 3))
case("ZeroPadding1D", (1, 3, 2), padding=[0, 2])
case("ZeroPadding2D", (2, 3, 4, 2), padding=[[1, 0], 2])
case("Cropping1D", (2, 5, 3))
case("Cropping1D", (1, 4, 2), cropping=[0, 3])
case("Cropping1D", (1, 4, 2), cropping=1)
case("Cropping2D", (2, 5, 6, 2), cropping=1)
case("Cropping2D", (2, 5, 6, 2), cropping=[1, 2])
case("Cropping2D", (1, 5, 6, 2), cropping=[[0, 2], [3, 0]])
case("Cropping2D", (1, 4, 3, 1))
case("Cropping2D", (1, 4, 5, 1), cropping=[1, [2, 0]])

case("Permute", (2, 4, 3), dims=[2, 1])
case("Permute", (2, 2, 3, 4), dims=[3, 1, 2])
case("Permute", (1, 5), dims=[1])
case("RepeatVector", (2, 3), n=4)
case("RepeatVector", (1, 1), n=1)

for normalize in (False, True):
    case("Dot", (2, 5), (2, 5), axes=1, normalize=normalize)
    case("Dot", (2, 5), (2, 5), axes=-1, normalize=normalize)
    case("Dot", (2, 4, 3), (2, 5, 3), axes=2, normalize=normalize)
    case("Dot", (2, 4, 3), (2, 3, 5), axes=[2, 1], normalize=normalize)
    case("Dot", (1, 4, 3), (1, 4), axes=[1, 1], normalize=normalize)
    case("Dot", (2, 2, 3, 4), (2, 4, 5), axes=[-1, 1], normalize=normalize)

np.savez_compressed(Path(__file__).with_name("layers_a.npz"), **golden)
