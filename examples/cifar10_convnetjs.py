"""ConvNetJS' network learns CIFAR-10: by the recipe of its demonstration, or by one of today.

python examples/cifar10_convnetjs.py --recipe demo
python examples/cifar10_convnetjs.py --recipe ours
python examples/cifar10_convnetjs.py --limit 2000 --epochs 2     a short run, of seconds

Both show the network each image shifted by up to two pixels each way, grey moving in, and mirrored every
second time; and both count on the mean of predictions for several such copies of a test image.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from results import add_results_option, save_pretrained, save_results

import fastconv as fc

parser = argparse.ArgumentParser(description="Train ConvNetJS' network on CIFAR-10.")
parser.add_argument("--recipe", choices=["demo", "ours"], default="ours")
parser.add_argument("--epochs", type=int, help="default: 60 of the demonstration's, 90 of ours")
parser.add_argument(
    "--limit", type=int, default=50_000, help="train on the first so many images, test on a fifth as many"
)
parser.add_argument("--copies", type=int, default=6, help="predictions of a test image to take the mean of")
parser.add_argument("--seed", type=int, default=1)
add_results_option(parser)
parser.add_argument("--weights", type=Path, help="save the trained weights in this .safetensors file")
arguments = parser.parse_args()

fc.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = fc.datasets.cifar10.load_data()
x_train, y_train = x_train[: arguments.limit] / np.float32(255), y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 5] / np.float32(255), y_test[: arguments.limit // 5]

# 2.5 pixels, to the nearest whole one: -2, -1, 0, 1, 2, each as often.
augment = [
    fc.layers.RandomFlip("horizontal"),
    fc.layers.RandomTranslation(
        2.5 / 32, 2.5 / 32, fill_mode="constant", fill_value=0.5, interpolation="nearest"
    ),
]

if arguments.recipe == "demo":
    epochs, batch_size = arguments.epochs or 60, 4
    # Its l2_decay is .0001; what that is in Keras' terms, ConvNetJSCifar10 says.
    net = fc.applications.ConvNetJSCifar10(kernel_regularizer=fc.regularizers.L2(1e-4 / (2 * batch_size)))
    optimizer = fc.optimizers.Adadelta(1.0, rho=0.95, epsilon=1e-8)
    callbacks = []
else:
    epochs, batch_size = arguments.epochs or 90, 64
    net = fc.applications.ConvNetJSCifar10()
    optimizer = fc.optimizers.Nadam()
    callbacks = [fc.callbacks.OneCycle(5e-3)]

# The same layers, and what happens to the images while they train in front of them.
model = fc.Sequential([fc.layers.Input((32, 32, 3)), *augment, *net.layers])
model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
start = time.perf_counter()
history = model.fit(
    x_train,
    y_train,
    batch_size=batch_size,
    epochs=epochs,
    callbacks=callbacks,
    validation_data=(x_test, y_test),
).history
seconds = time.perf_counter() - start

single = history["val_accuracy"][-1]
mean = fc.utils.predict_augmented(net, x_test, augment, arguments.copies, batch_size=250).mean
averaged = float((mean.argmax(1) == y_test[:, 0]).mean())
history["averaged_accuracy"] = averaged
title = (
    f"ConvNetJS' network on CIFAR-10, recipe {arguments.recipe}: {single:.2%}, "
    f"mean of {arguments.copies} copies {averaged:.2%}, {epochs} epochs in {seconds / 60:.0f} min"
)
print(title)
save_results(
    arguments.results, f"cifar10_convnetjs_{arguments.recipe}", title, history, seconds, seed=arguments.seed
)
if arguments.weights:
    save_pretrained(arguments.weights, net, "cifar10", single, arguments.seed)
