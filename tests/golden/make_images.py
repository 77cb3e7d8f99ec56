"""Golden cases for augmentation: affine maps, and Keras' layers where nothing is left to chance.

    KERAS_BACKEND=jax python tests/golden/make_images.py        (with keras 3.15.1 and jax)

writes images.npz beside this file: "affine_transform/<case>/<array>" computed in float64, and
"<layer>/<case>/<array>" computed in float32 by the layer while training; the arguments of the call are JSON
under ".../arguments". Ranges of random factors are single numbers. Inputs are multiples of 1/16.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import keras
import numpy as np

jax.config.update("jax_enable_x64", True)

random = np.random.default_rng(21)
golden: dict[str, np.ndarray] = {}
counts: dict[str, int] = {}


def sixteenths(*shape: int) -> np.ndarray:
    return random.integers(0, 65, shape) / 16


def save(operation: str, arguments: dict, **arrays: object) -> None:
    case = counts[operation] = counts.get(operation, -1) + 1
    golden[f"{operation}/{case}/arguments"] = np.array(json.dumps(arguments))
    for name, array in arrays.items():
        golden[f"{operation}/{case}/{name}"] = np.asarray(array)


def affine(shape, transform, interpolation, fill_mode, fill_value) -> None:
    x = sixteenths(*shape)
    transform = np.float64(np.float32(transform))
    arguments = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": fill_value}
    y = keras.ops.image.affine_transform(x, transform, **arguments)
    dy = sixteenths(*shape)
    _, adjoint = jax.vjp(lambda x: keras.ops.image.affine_transform(x, transform, **arguments), x)
    save("affine_transform", arguments, x=x, transform=transform, y=y, dy=dy, dx=adjoint(dy)[0])


def layer(name: str, shape, transformation: dict | None = None, **arguments) -> None:
    x = np.float32(sixteenths(*shape))
    made = getattr(keras.layers, name)(**arguments)
    if transformation is None:
        y = made(x, training=True)
    else:  # the layer's own arithmetic, with given dice
        y = made.transform_images(x, transformation, training=True)
    save(name, arguments, x=x, y=np.asarray(y), **(transformation or {}))


identity = [1, 0, 0, 0, 1, 0, 0, 0]
for interpolation in ("nearest", "bilinear"):
    for fill_mode in ("constant", "nearest", "reflect", "wrap"):
        for shape in ((3, 6, 5, 1), (2, 5, 7, 3), (1, 1, 4, 17)):
            scatter = random.normal(0, [0.7, 0.7, 6, 0.7, 0.7, 6, 0, 0], (shape[0], 8))
            affine(shape, scatter, interpolation, fill_mode, 0.75)
        # Half-way between pixels, and further away than the image is wide.
        affine((2, 4, 3, 2), [[1, 0, 0.5, 0, 1, -1.5, 0, 0], [1, 0, 11, 0, 1, -14, 0, 0]],
               interpolation, fill_mode, -1.0)  # fmt: skip
        affine((2, 4, 3, 1), [identity, [-1, 0, 2, 0, -1, 3, 0, 0]], interpolation, fill_mode, 0.0)

for fill_mode in ("constant", "nearest", "reflect", "wrap"):
    layer("RandomRotation", (2, 6, 5, 3), factor=[0.1, 0.1], fill_mode=fill_mode, fill_value=0.5)
    layer("RandomTranslation", (2, 6, 5, 3), height_factor=[0.3, 0.3], width_factor=[-0.15, -0.15],
          fill_mode=fill_mode, fill_value=0.5)  # fmt: skip
    layer("RandomZoom", (2, 6, 5, 3), height_factor=[0.4, 0.4], width_factor=[-0.3, -0.3],
          fill_mode=fill_mode)  # fmt: skip
layer("RandomZoom", (2, 6, 5, 3), height_factor=[-0.25, -0.25], interpolation="bilinear")
layer("RandomRotation", (1, 7, 7, 1), factor=[-0.2, -0.2], interpolation="nearest")
layer("RandomBrightness", (2, 4, 4, 3), factor=[0.3, 0.3], value_range=[0, 5])
for mode in ("horizontal", "vertical", "horizontal_and_vertical"):
    flips = np.array([True, False, True])
    layer("RandomFlip", (3, 3, 4, 2), {"flips": flips[:, None, None, None], "input_shape": None}, mode=mode)
factors = np.float32([0.4, 1.0, 1.7])[:, None, None, None]
layer("RandomContrast", (3, 4, 5, 3), {"contrast_factor": factors}, factor=[0.6, 0.7], value_range=[0.5, 3.5])
for size in ((4, 4), (3, 6), (9, 5), (8, 9), (5, 5)):
    layer("CenterCrop", (2, 7, 6, 3), height=size[0], width=size[1])
    layer("Resizing", (2, 7, 6, 3), height=size[0], width=size[1])
    layer("Resizing", (2, 7, 6, 3), height=size[0], width=size[1], crop_to_aspect_ratio=True)
layer("Resizing", (2, 7, 6, 2), height=3, width=11, interpolation="nearest")
layer("Resizing", (2, 8, 6, 1), height=4, width=12, interpolation="nearest")

golden = {key: array for key, array in golden.items() if array.dtype != object}
np.savez_compressed(Path(__file__).parent / "images.npz", **golden)
