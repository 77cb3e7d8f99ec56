"""One network, two answers: which digit is in the picture, and where it is.

python examples/two_heads.py

The digits, 28×28, are put somewhere into pictures of 40×40. Both heads share the layers below; each has a
loss of its own, and ``loss_weights`` says how much each counts.
"""

from __future__ import annotations

import argparse

import numpy as np

import fastconv as fc

parser = argparse.ArgumentParser(description="Train a network with two heads.")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--limit", type=int, default=1_442, help="train on the first so many digits")
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()

SIZE, ROOM = 40, 40 - 28

fc.utils.set_random_seed(arguments.seed)
rng = np.random.default_rng(arguments.seed)


def placed(digits):
    """Pictures with a digit somewhere, and for each the digit's corner: row and column, from 0 to 1."""
    corners = rng.integers(0, ROOM + 1, (len(digits), 2))
    pictures = np.zeros((len(digits), SIZE, SIZE, 1), np.float32)
    for picture, digit, (row, column) in zip(pictures, digits, corners, strict=True):
        picture[row : row + 28, column : column + 28, 0] = digit / 255
    return pictures, corners / np.float32(ROOM)


(x_train, y_train), (x_test, y_test) = fc.datasets.digits.load_data()
x_train, train_place = placed(x_train[: arguments.limit])
x_test, test_place = placed(x_test)
y_train = y_train[: arguments.limit]

picture = fc.Input((SIZE, SIZE, 1), name="picture")
x = picture
for filters in (16, 32, 32):
    x = fc.layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    x = fc.layers.MaxPooling2D(2)(x)
x = fc.layers.Flatten()(x)
x = fc.layers.Dense(128, activation="relu", kernel_initializer="he_normal")(x)
digit = fc.layers.Dense(10, activation="softmax", name="digit")(x)
place = fc.layers.Dense(2, name="place")(x)
model = fc.Model(picture, {"digit": digit, "place": place})
model.summary()

steps = arguments.epochs * -(-len(x_train) // 32)
model.compile(
    fc.optimizers.Nadam(fc.optimizers.schedules.CosineDecay(3e-3, steps)),
    loss={"digit": "sparse_categorical_crossentropy", "place": "mse"},
    loss_weights={"digit": 1, "place": 10},
    metrics={"digit": "accuracy", "place": "mae"},
)
model.fit(
    x_train,
    {"digit": y_train, "place": train_place},
    epochs=arguments.epochs,
    validation_data=(x_test, {"digit": y_test, "place": test_place}),
)
answers = model.predict(x_test, verbose=0)
right = (answers["digit"].argmax(1) == y_test).mean()
pixels = np.abs(answers["place"] - test_place).mean() * ROOM
print(f"right on {right:.1%} of the test digits; rows and columns are off by {pixels:.1f} pixels on average")
