"""A siamese network tells whether two images show the same digit.

python examples/siamese_digits.py

Both images go through the same layers, ``twin``, which make 32 numbers of each; the answer depends on how far
these are apart. J. Bromley et al., "Signature Verification using a 'Siamese' Time Delay Neural Network",
1993.
"""

from __future__ import annotations

import argparse

import numpy as np

import fastconv as fc

parser = argparse.ArgumentParser(description="Train a siamese network on pairs of digits.")
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument(
    "--pairs", type=int, default=6_000, help="train on so many pairs, test on a sixth as many"
)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()

fc.utils.set_random_seed(arguments.seed)
rng = np.random.default_rng(arguments.seed)


def pairs(images, labels, count):
    """Two arrays of images, and whether they show the same digit, in one case of two."""
    first = rng.integers(0, len(images), count)
    second = rng.integers(0, len(images), count)
    for i in range(0, count, 2):
        second[i] = rng.choice(np.flatnonzero(labels == labels[first[i]]))
    same = (labels[first] == labels[second]).astype(np.float32)
    return [images[first], images[second]], same[:, None]


(x_train, y_train), (x_test, y_test) = fc.datasets.digits.load_data()
x_train, x_test = (x[..., None] / np.float32(255) for x in (x_train, x_test))
train, train_same = pairs(x_train, y_train, arguments.pairs)
test, test_same = pairs(x_test, y_test, arguments.pairs // 6)

twin = fc.Sequential(
    [
        fc.Input((28, 28, 1)),
        fc.layers.Conv2D(8, 5, strides=2, activation="relu"),
        fc.layers.Conv2D(16, 3, strides=2, activation="relu"),
        fc.layers.Flatten(),
        fc.layers.Dense(32, activation="tanh"),
    ],
    name="twin",
)
one, other = fc.Input((28, 28, 1), name="one"), fc.Input((28, 28, 1), name="other")
difference = twin(one) - twin(other)
same = fc.layers.Dense(1, activation="sigmoid", name="same")(difference * difference)
model = fc.Model([one, other], same)
model.summary()

model.compile("nadam", "binary_crossentropy", metrics=["accuracy"])
model.fit(train, train_same, epochs=arguments.epochs, validation_data=(test, test_same))
loss, accuracy = model.evaluate(test, test_same, verbose=0)
print(f"right on {accuracy:.1%} of {len(test_same)} pairs of test digits")
