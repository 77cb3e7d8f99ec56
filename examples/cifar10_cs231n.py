"""The 17 layers and 6,440 parameters of CS231n's small network learn CIFAR-10.

python examples/cifar10_cs231n.py
python examples/cifar10_cs231n.py --limit 2000 --epochs 2     a short run, of seconds

In training each image is shifted by up to two pixels each way, its border repeated, and mirrored every second
time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from results import add_results_option, save_pretrained, save_results

import fastconv as fc

parser = argparse.ArgumentParser(description="Train CS231n's small network on CIFAR-10.")
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument(
    "--limit", type=int, default=50_000, help="train on the first so many images, test on a fifth as many"
)
parser.add_argument("--seed", type=int, default=1)
add_results_option(parser)
parser.add_argument("--weights", type=Path, help="save the trained weights in this .safetensors file")
arguments = parser.parse_args()

fc.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = fc.datasets.cifar10.load_data()
x_train, y_train = x_train[: arguments.limit] / np.float32(255), y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 5] / np.float32(255), y_test[: arguments.limit // 5]

net = fc.applications.CS231nNet()
net.summary()
# The same layers, and in front of them what happens to the images while they train.
model = fc.Sequential(
    [
        fc.layers.Input((32, 32, 3)),
        fc.layers.RandomFlip("horizontal"),
        # 2.5 pixels, to the nearest whole one: -2, -1, 0, 1, 2, each as often.
        fc.layers.RandomTranslation(2.5 / 32, 2.5 / 32, fill_mode="nearest", interpolation="nearest"),
        *net.layers,
    ]
)
model.compile(fc.optimizers.Nadam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
start = time.perf_counter()
history = model.fit(
    x_train, y_train, batch_size=64, epochs=arguments.epochs,
    callbacks=[fc.callbacks.OneCycle(0.01)], validation_data=(x_test, y_test),
).history  # fmt: skip
seconds = time.perf_counter() - start

accuracy = history["val_accuracy"][-1]
title = f"CS231n's network on CIFAR-10: {accuracy:.2%}, {arguments.epochs} epochs in {seconds / 60:.0f} min"
print(title)
save_results(arguments.results, "cifar10_cs231n", title, history, seconds, seed=arguments.seed)
if arguments.weights:
    save_pretrained(arguments.weights, net, "cifar10", accuracy, arguments.seed)
