"""A CNN of 1.4 million parameters learns to tell clothes apart: the longest run here, minutes an epoch.

    python examples/fashion_mnist_cnn.py                            all 60,000 images, 10 epochs
    python examples/fashion_mnist_cnn.py --limit 500 --epochs 1     a taste of it, in seconds

Network, optimizer and batch size are those of A. Géron, "Hands-On Machine Learning with Scikit-Learn, Keras &
TensorFlow", 2nd edition, chapter 14; his own run reached 89.8% after 10 epochs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from results import save_results

import fastconv as keras

parser = argparse.ArgumentParser(description="Train the Fashion-MNIST CNN.")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument(
    "--limit", type=int, default=60_000, help="learn from so many images, test on a sixth of that"
)
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "docs" / "results")
arguments = parser.parse_args()

keras.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[: arguments.limit, :, :, None] / 255, y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 6, :, :, None] / 255, y_test[: arguments.limit // 6]

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
model.compile(loss="sparse_categorical_crossentropy", optimizer="nadam", metrics=["accuracy"])

start = time.perf_counter()
history = model.fit(x_train, y_train, epochs=arguments.epochs, validation_data=(x_test, y_test)).history
seconds = time.perf_counter() - start

best = max(history["val_accuracy"])
title = (
    f"Fashion-MNIST CNN, Nadam, batch 32: {history['val_accuracy'][-1]:.2%} at the end, {best:.2%} at best"
)
print(title)
save_results(arguments.results, "fashion_mnist_cnn", title, history, seconds)
