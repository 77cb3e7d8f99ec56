"""1cycle against constant learning rates: LeNet-5 on all of Fashion-MNIST.

    python examples/one_cycle.py                                    three seeds, minutes
    python examples/one_cycle.py --limit 500 --epochs 2 --seeds 1   a short run, of seconds

The learning-rate range test suggests s, a tenth of the learning rate from which the loss climbs. Constant
learning rates from s / 3 to 5 s train for ``--epochs`` epochs, 1cycle with peaks of s and of 5 s for half as
many. A constant learning rate needs that tenth as a margin; 1cycle is at its peak for a few steps only and
may come closer to the limit. The optimizer is SGD with Nesterov momentum, the batch size 64. All accuracies
are those of the test images after each epoch.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from results import add_results_option, save_results

import fastconv as fc

CONSTANT, ONE_CYCLE = (1 / 3, 1, 3, 5), (1, 5)  # rates, in suggestions

parser = argparse.ArgumentParser(description="1cycle against constant learning rates.")
parser.add_argument(
    "--epochs",
    type=int,
    default=20,
    help="epochs with a constant learning rate; 1cycle trains for half of them",
)
parser.add_argument(
    "--limit", type=int, default=60_000, help="train on the first so many images, test on a sixth as many"
)
parser.add_argument("--seeds", type=int, default=3, help="train with so many seeds: 1, 2, ...")
add_results_option(parser)
arguments = parser.parse_args()

(x_train, y_train), (x_test, y_test) = fc.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[: arguments.limit, :, :, None] / 255, y_train[: arguments.limit]
x_test, y_test = x_test[: arguments.limit // 6, :, :, None] / 255, y_test[: arguments.limit // 6]


def fresh_model(rate, seed):
    fc.utils.set_random_seed(seed)
    model = fc.applications.LeNet5()
    optimizer = fc.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_accuracies(rate, epochs, *callbacks):
    """After each epoch, for each seed: (seeds, epochs)."""
    curves = []
    for seed in range(1, arguments.seeds + 1):
        model = fresh_model(rate, seed)
        history = model.fit(
            x_train, y_train, batch_size=64, epochs=epochs, validation_data=(x_test, y_test),
            callbacks=list(callbacks), verbose=0,
        )  # fmt: skip
        curves.append(history.history["val_accuracy"])
    return np.array(curves)


start = time.perf_counter()
finder = fc.callbacks.LRFinder(1e-4, 10, steps=300).find(
    fresh_model(0.01, 1), x_train, y_train, batch_size=64
)
suggestion = finder.suggestion()
print(f"the range test suggests the learning rate {suggestion:.3g}")

half = max(1, arguments.epochs // 2)
plan = {f"constant {factor * suggestion:.2g}": (factor * suggestion, arguments.epochs) for factor in CONSTANT}
plan |= {f"1cycle to {factor * suggestion:.2g}": (factor * suggestion, half) for factor in ONE_CYCLE}
curves = {}
for name, (rate, epochs) in plan.items():
    cycle = [fc.callbacks.OneCycle(rate)] if name.startswith("1cycle") else []
    curves[name] = test_accuracies(rate, epochs, *cycle)
    last = curves[name][:, -1]
    print(f"{name}: {last.mean():.2%} ± {last.std():.2%} after {epochs} epochs", flush=True)
seconds = time.perf_counter() - start


def draw(figure):
    axis = figure.subplots()
    for name, accuracy in curves.items():
        epochs = np.arange(1, accuracy.shape[1] + 1)
        style = {"linewidth": 2.5} if name.startswith("1cycle") else {"linestyle": "--"}
        [line] = axis.plot(epochs, accuracy.mean(0), label=name, **style)
        axis.fill_between(epochs, accuracy.min(0), accuracy.max(0), color=line.get_color(), alpha=0.15)
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axis.set(xlabel="epoch", ylabel="test accuracy")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right", ncols=2, title=f"mean and range of {arguments.seeds} seeds")


best_constant = max(list(curves)[: len(CONSTANT)], key=lambda name: curves[name][:, -1].mean())
ours = list(curves)[-1]
title = (
    f"LeNet-5 on Fashion-MNIST: {ours}, {half} epochs, {curves[ours][:, -1].mean():.2%}; "
    f"{best_constant}, {arguments.epochs} epochs, {curves[best_constant][:, -1].mean():.2%}"
)
print(title)
history = {"suggestion": suggestion, "val_accuracy": {name: curve.tolist() for name, curve in curves.items()}}
save_results(arguments.results, "one_cycle", title, history, seconds, draw)
