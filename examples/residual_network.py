"""ResNet-8, the residual network of MLPerf Tiny, learns digits in seconds, or CIFAR-10.

python examples/residual_network.py
python examples/residual_network.py --data cifar10 --epochs 30
python examples/residual_network.py --data cifar10 --limit 500 --epochs 1     a short run, of seconds

``--plot model.svg`` draws the network, with its shortcuts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import fastconv as fc

parser = argparse.ArgumentParser(description="Train ResNet-8.")
parser.add_argument("--data", choices=["digits", "cifar10"], default="digits")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--limit", type=int, default=50_000, help="train on the first so many images")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--plot", type=Path, help="draw the network in this .svg file")
arguments = parser.parse_args()

fc.utils.set_random_seed(arguments.seed)
if arguments.data == "digits":
    (x_train, y_train), (x_test, y_test) = fc.datasets.digits.load_data()
    # The mean of 2×2 pixels: 14×14 are enough for these digits.
    x_train, x_test = (x.reshape(-1, 14, 2, 14, 2, 1).mean((2, 4)) for x in (x_train, x_test))
else:
    (x_train, y_train), (x_test, y_test) = fc.datasets.cifar10.load_data()
x_train, y_train = x_train[: arguments.limit] / np.float32(255), y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 5] / np.float32(255), y_test[: arguments.limit // 5]

model = fc.applications.ResNet8(x_train.shape[1:])
model.summary()
if arguments.plot:
    fc.utils.plot_model(model, arguments.plot, show_shapes=True, show_layer_names=True)

steps = arguments.epochs * -(-len(x_train) // 32)
rate = fc.optimizers.schedules.CosineDecay(2e-3, steps)
model.compile(fc.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=arguments.epochs, validation_data=(x_test, y_test))
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"right on {accuracy:.1%} of the test images")
