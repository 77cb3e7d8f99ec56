"""A plain stack of convolutions learns CIFAR-10: above 90% of the test photographs, in minutes on two cores.

    python examples/cifar10_cnn.py                            all 50,000 photographs, 15 epochs
    python examples/cifar10_cnn.py --limit 500 --epochs 1     a short run, of seconds

No photograph is shown twice in the same way: each is mirrored or not, and moved by up to four pixels. SGD
with Nesterov's momentum goes through one cycle of the learning rate, with weight decay on the kernels;
targets are smoothed. At the end each test photograph is also looked at in the mirror, and both opinions are
averaged.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from results import add_results_option, save_results

import fastconv as fc

parser = argparse.ArgumentParser(description="Train the larger CNN on CIFAR-10.")
parser.add_argument("--epochs", type=int, default=15)
parser.add_argument(
    "--limit", type=int, default=50_000, help="train on the first so many images, test on a fifth as many"
)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--save", type=Path, help="save the trained model in this .safetensors file")
add_results_option(parser)
arguments = parser.parse_args()

BATCH, RATE, DECAY, SMOOTHING, PIXELS = 128, 0.1, 5e-3, 0.1, 4

fc.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = fc.datasets.cifar10.load_data()
x_train, y_train = x_train[: arguments.limit], y_train[: arguments.limit, 0]
x_test, y_test = x_test[: arguments.limit // 5] / np.float32(255), y_test[: arguments.limit // 5, 0]
one_hot = np.eye(10, dtype=np.float32)

flip = fc.layers.RandomFlip("horizontal")
shift = fc.layers.RandomTranslation(PIXELS / 32, PIXELS / 32, interpolation="nearest")


def augmented(images, labels):
    return shift(flip(images / np.float32(255))), one_hot[labels]


model = fc.applications.Cifar10CNN()
model.summary()
optimizer = fc.optimizers.SGD(RATE, momentum=0.9, nesterov=True, weight_decay=DECAY)
optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
loss = fc.losses.CategoricalCrossentropy(label_smoothing=SMOOTHING)
model.compile(optimizer, loss, metrics=["accuracy"])

start = time.perf_counter()
history = model.fit(
    fc.datasets.Loader(x_train, y_train, batch_size=BATCH, map=augmented),
    epochs=arguments.epochs,
    validation_data=(x_test, one_hot[y_test]),
    callbacks=[fc.callbacks.OneCycle(RATE)],
).history
seconds = time.perf_counter() - start

if arguments.save:
    arguments.save.parent.mkdir(parents=True, exist_ok=True)
    model.save(arguments.save)
plain = model.predict(x_test, verbose=0)
mirrored = model.predict(x_test[:, :, ::-1], verbose=0)
averaged = float(((plain + mirrored).argmax(1) == y_test).mean())
title = (
    f"A plain CNN on CIFAR-10: {history['val_accuracy'][-1]:.2%} after {arguments.epochs} epochs; "
    f"{averaged:.2%} averaged with the mirror image"
)
print(title)
history["averaged_accuracy"] = averaged
save_results(arguments.results, "cifar10_cnn", title, history, seconds, seed=arguments.seed)
