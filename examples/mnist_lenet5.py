"""LeNet-5 learns MNIST: in today's form above 99% of the test digits, in that of 1998 the paper's 99.05%.

python examples/mnist_lenet5.py
python examples/mnist_lenet5.py --variant 1998
python examples/mnist_lenet5.py --limit 6000 --epochs 4     a short run, of seconds

The images are shown as they are, undistorted. The paper trained with a stochastic diagonal
Levenberg-Marquardt method, steps of their own size for each weight, 20 times through the images; here the
form of 1998 is trained by Adam, whose steps are of their own size for each weight too, and today's by Nadam,
both with rates that fall along half a cosine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from results import add_results_option, save_pretrained, save_results

import fastconv as fc

parser = argparse.ArgumentParser(description="Train LeNet-5 on MNIST.")
parser.add_argument("--variant", choices=["modern", "1998"], default="modern")
parser.add_argument("--epochs", type=int, default=16)
parser.add_argument(
    "--limit", type=int, default=60_000, help="train on the first so many images, test on a sixth as many"
)
parser.add_argument("--seed", type=int, default=1)
add_results_option(parser)
parser.add_argument("--weights", type=Path, help="save the trained weights in this .safetensors file")
arguments = parser.parse_args()

fc.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = fc.datasets.mnist.load_data()
x_train, y_train = x_train[: arguments.limit, :, :, None] / np.float32(255), y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 6, :, :, None] / np.float32(255), y_test[: arguments.limit // 6]

model = fc.applications.LeNet5(variant=arguments.variant)
model.summary()
if arguments.variant == "1998":
    name, loss, batch_size = "mnist_lenet5_1998", "maximum_a_posteriori", 32
else:
    name, loss, batch_size = "mnist_lenet5", "sparse_categorical_crossentropy", 64
steps = arguments.epochs * -(-len(x_train) // batch_size)
rate = fc.optimizers.schedules.CosineDecay(3e-3, steps)
optimizer = fc.optimizers.Adam(rate) if arguments.variant == "1998" else fc.optimizers.Nadam(rate)

model.compile(optimizer, loss, metrics=["accuracy"])
start = time.perf_counter()
history = model.fit(
    x_train,
    y_train,
    batch_size=batch_size,
    epochs=arguments.epochs,
    validation_data=(x_test, y_test),
).history
seconds = time.perf_counter() - start

accuracy = history["val_accuracy"][-1]
form = {"modern": "today's form", "1998": "as of 1998"}[arguments.variant]
title = f"LeNet-5 ({form}) on MNIST: {accuracy:.2%} after {seconds:.0f} s"
print(title)
save_results(arguments.results, name, title, history, seconds, seed=arguments.seed)
if arguments.weights:
    save_pretrained(arguments.weights, model, "mnist", accuracy, arguments.seed)
