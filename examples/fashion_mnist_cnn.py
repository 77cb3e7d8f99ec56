"""A CNN of 1.4 million parameters learns to tell clothes apart: the longest run here, minutes an epoch.

    python examples/fashion_mnist_cnn.py                            as in the book: Nadam, batch 32, 10 epochs
    python examples/fashion_mnist_cnn.py --recipe ours              1cycle, flips and small shifts, 14 epochs
    python examples/fashion_mnist_cnn.py --limit 500 --epochs 1     a short run, of seconds

The network, and the first recipe, are those of A. Géron, "Hands-On Machine Learning with Scikit-Learn, Keras
& TensorFlow", 2nd edition, chapter 14; his own run reached 89.8% after 10 epochs. Ours shows the same network
no image twice in the same way: each is mirrored or not, and moved by up to two pixels.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from results import add_results_option, save_results

import fastconv as keras

parser = argparse.ArgumentParser(description="Train the Fashion-MNIST CNN.")
parser.add_argument("--recipe", choices=["book", "ours"], default="book")
parser.add_argument("--epochs", type=int, help="10 in the book, 14 in ours")
parser.add_argument(
    "--limit", type=int, default=60_000, help="train on the first so many images, test on a sixth as many"
)
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--save", type=Path, help="save the trained model in this .safetensors file")
add_results_option(parser)
arguments = parser.parse_args()

keras.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[: arguments.limit, :, :, None] / np.float32(255), y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 6, :, :, None] / np.float32(255), y_test[: arguments.limit // 6]

model = keras.models.Sequential([
    keras.layers.Conv2D(64, 7, activation="relu", padding="same",
                        input_shape=[28, 28, 1]),
    keras.layers.MaxPooling2D(2),
    keras.layers.Conv2D(128, 3, activation="relu", padding="same"),
    keras.layers.Conv2D(128, 3, activation="relu", padding="same"),
    keras.layers.MaxPooling2D(2),
    keras.layers.Conv2D(256, 3, activation="relu", padding="same"),
    keras.layers.Conv2D(256, 3, activation="relu", padding="same"),
    keras.layers.MaxPooling2D(2),
    keras.layers.Flatten(),
    keras.layers.Dense(128, activation="relu"),
    keras.layers.Dropout(0.5),
    keras.layers.Dense(64, activation="relu"),
    keras.layers.Dropout(0.5),
    keras.layers.Dense(10, activation="softmax")
])  # fmt: skip
model.summary()


def as_in_the_book():
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(x_train, y_train, epochs=arguments.epochs or 10, validation_data=(x_test, y_test))


def ours():
    flip = keras.layers.RandomFlip("horizontal")
    shift = keras.layers.RandomTranslation(2 / 28, 2 / 28, fill_mode="constant", interpolation="nearest")
    batches = keras.datasets.Loader(x_train, y_train, batch_size=64, map=lambda x, y: (shift(flip(x)), y))
    rate = 1.5e-3
    model.compile(keras.optimizers.Nadam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model.fit(
        batches, epochs=arguments.epochs or 14, validation_data=(x_test, y_test),
        callbacks=[keras.callbacks.OneCycle(rate)],
    )  # fmt: skip


name, recipe, train = {
    "book": ("fashion_mnist_cnn", "Nadam, batch 32", as_in_the_book),
    "ours": ("fashion_mnist_cnn_ours", "flips, shifts, 1cycle", ours),
}[arguments.recipe]
start = time.perf_counter()
history = train().history
seconds = time.perf_counter() - start

if arguments.save:
    arguments.save.parent.mkdir(parents=True, exist_ok=True)
    model.save(arguments.save)
best = max(history["val_accuracy"])
title = f"Fashion-MNIST CNN, {recipe}: {history['val_accuracy'][-1]:.2%} at the end, {best:.2%} at best"
print(title)
save_results(arguments.results, name, title, history, seconds, seed=arguments.seed)
