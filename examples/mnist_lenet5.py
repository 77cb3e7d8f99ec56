"""LeNet-5 in today's form learns MNIST: above 99% of the test digits in a minute or two.

python examples/mnist_lenet5.py
python examples/mnist_lenet5.py --limit 6000 --epochs 4     a taste of it, in seconds
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from results import save_results

import fastconv as fc

parser = argparse.ArgumentParser(description="Train LeNet-5 on MNIST.")
parser.add_argument("--epochs", type=int, default=12, help="the last third at a tenth of the learning rate")
parser.add_argument(
    "--limit", type=int, default=60_000, help="learn from so many images, test on a sixth of that"
)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "docs" / "results")
arguments = parser.parse_args()

fc.utils.set_random_seed(arguments.seed)
(x_train, y_train), (x_test, y_test) = fc.datasets.mnist.load_data()
x_train, y_train = x_train[: arguments.limit, :, :, None] / 255, y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 6, :, :, None] / 255, y_test[: arguments.limit // 6]

model = fc.applications.LeNet5()
model.summary()
model.compile(fc.optimizers.Nadam(1.5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])

start = time.perf_counter()
options = {"batch_size": 64, "validation_data": (x_test, y_test)}
turn = arguments.epochs - arguments.epochs // 3
fast = model.fit(x_train, y_train, epochs=turn, **options).history

# Near the minimum large steps jump about; ten times smaller ones settle in it.
model.optimizer.learning_rate /= 10
slow = model.fit(x_train, y_train, initial_epoch=turn, epochs=arguments.epochs, **options).history
seconds = time.perf_counter() - start

history = {name: fast[name] + slow.get(name, []) for name in fast}
title = f"LeNet-5 (today's form) on MNIST: {history['val_accuracy'][-1]:.2%} after {seconds:.0f} s"
print(title)
save_results(arguments.results, "mnist_lenet5", title, history, seconds)
