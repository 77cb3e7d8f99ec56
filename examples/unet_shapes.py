"""A small U-Net segments images: each pixel belongs to a disc, to a square, or to neither.

python examples/unet_shapes.py

The images are drawn here: a disc and a square of any size and grey, in noise. Where they overlap, a pixel
belongs to the one that was drawn second.
"""

from __future__ import annotations

import argparse

import numpy as np

import fastconv as fc

parser = argparse.ArgumentParser(description="Train a U-Net on discs and squares.")
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument(
    "--images", type=int, default=600, help="train on so many images, test on a sixth as many"
)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()

SIZE, KINDS = 32, ("neither", "disc", "square")

fc.utils.set_random_seed(arguments.seed)
rng = np.random.default_rng(arguments.seed)
rows, columns = np.mgrid[:SIZE, :SIZE]


def drawn(count):
    """Images (count, 32, 32, 1), and the kind of each pixel (count, 32, 32)."""
    images = rng.normal(0.2, 0.1, (count, SIZE, SIZE, 1)).astype(np.float32)
    kinds = np.zeros((count, SIZE, SIZE), np.int64)
    for image, kind in zip(images, kinds, strict=True):
        for shape in rng.permutation([1, 2]):
            (row, column), radius = rng.uniform(6, SIZE - 6, 2), rng.uniform(4, 9)
            down, right = abs(rows - row), abs(columns - column)
            inside = down**2 + right**2 < radius**2 if shape == 1 else np.maximum(down, right) < radius
            image[inside, 0] += rng.uniform(0.3, 0.7)
            kind[inside] = shape
    return images, kinds


x_train, y_train = drawn(arguments.images)
x_test, y_test = drawn(arguments.images // 6)

model = fc.applications.UNet((SIZE, SIZE, 1), classes=len(KINDS))
model.summary()
model.compile(fc.optimizers.Nadam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=16, epochs=arguments.epochs, validation_data=(x_test, y_test))

# The usual measure: the pixels that both network and truth call a disc, out of those that either does.
found = model.predict(x_test, verbose=0).argmax(-1)
for number, kind in enumerate(KINDS):
    both = ((found == number) & (y_test == number)).sum()
    either = ((found == number) | (y_test == number)).sum()
    print(f"{kind}: intersection over union {both / either:.2f}")

print("\na test image, every second row: on the left the truth, on the right the network's answer")
for truth, answer in zip(y_test[0, ::2], found[0, ::2], strict=True):
    print("".join(".o#"[kind] for kind in truth), " ", "".join(".o#"[kind] for kind in answer))
