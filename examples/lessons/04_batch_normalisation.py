"""Batch normalisation: what it does to a layer's inputs while the layers below change, and to training.

The claim: normalising what goes into every activation, per unit over the batch, keeps its distribution in
place while the weights below move; that allows higher learning rates and takes fewer epochs. This lesson
trains the same ten layers with and without it, watches what reaches the fifth activation after every step,
then repeats the training at rising learning rates, and shows what a tiny last batch does.

python examples/lessons/04_batch_normalisation.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import _figures
import numpy as np
from _deep import digits, stack, train
from _lesson import claim, found, options

import fastconv as fc

DEPTH, WATCHED = 10, 5
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
TITLES = {False: "without batch normalisation", True: "with batch normalisation"}


class Watch(fc.callbacks.Callback):
    """After every step, percentiles of what goes into the activation of layer ``WATCHED``."""

    def __init__(self) -> None:
        super().__init__()
        (x, _), _ = digits()
        self.x = x[:200]
        self.percentiles: list[np.ndarray] = []

    def on_train_batch_end(self, batch, logs=None):
        z = self.x
        for layer in self.model.layers:
            if layer.name == f"active_{WATCHED}":
                break
            if layer.name == f"dense_{WATCHED}":
                z = fc.ops.dense(z, layer.kernel.value, None if layer.bias is None else layer.bias.value)
                if layer.activation.name != "linear":
                    break
            elif layer.name.startswith("norm_"):  # as in training: by the batch, not by the averages
                deviation = np.sqrt(z.var(0) + layer.epsilon)
                z = (z - z.mean(0)) / deviation * layer.gamma.value + layer.beta.value
            else:
                z = layer.forward(z)
        self.percentiles.append(np.percentile(z, [5, 25, 50, 75, 95]))


def distributions(epochs: int, seed: int, folder: Path) -> None:
    """What reaches the activation in the middle, step by step."""
    fig, axes = _figures.figure(columns=2, height=3.4)
    wandering = {}
    for axis, batch_norm in zip(axes[0], (False, True), strict=True):
        fc.utils.set_random_seed(seed)
        watch = Watch()
        model = stack(DEPTH, "elu", "he_normal", batch_norm)
        train(model, fc.optimizers.SGD(0.02), epochs, callbacks=[watch])
        lowest, low, middle, high, highest = np.transpose(watch.percentiles)
        steps = np.arange(1, len(middle) + 1)
        axis.fill_between(steps, lowest, highest, alpha=0.25, label="5 % to 95 %")
        axis.fill_between(steps, low, high, alpha=0.45, label="25 % to 75 %")
        axis.plot(steps, middle, color="black", linewidth=1, label="median")
        axis.set(title=TITLES[batch_norm], xlabel="step", ylim=(-6, 6))
        wandering[batch_norm] = (highest - lowest)[-1], np.abs(np.diff(middle)).max()
    axes[0, 0].set_ylabel(f"input of activation {WATCHED}")
    axes[0, 1].legend(loc="upper right", fontsize="small")
    _figures.save(fig, folder, "04_distributions")

    claim("the distribution of what reaches an activation stays in place")
    found(
        f"He + ELU, input of layer {WATCHED} of {DEPTH}: the width from 5 % to 95 % ends at "
        f"{wandering[False][0]:.2f} without and {wandering[True][0]:.2f} with batch normalisation (a normal "
        f"distribution: 3.29); the median's largest jump in one step is {wandering[False][1]:.3f} without, "
        f"{wandering[True][1]:.3f} with"
    )


def speed(epochs: int, rates: tuple[float, ...], seed: int, folder: Path) -> None:
    """Test accuracy by learning rate, and by epoch at the best rate."""
    fig, axes = _figures.figure(columns=2, height=3.4)
    print(f"test accuracy after {epochs} epochs by learning rate (He + ReLU, {DEPTH} layers)")
    print(f"{'':28}" + "".join(f"{rate:>8}" for rate in rates))
    workable = {}
    for batch_norm in (False, True):
        histories = {}
        for rate in rates:
            fc.utils.set_random_seed(seed)
            model = stack(DEPTH, "relu", "he_normal", batch_norm)
            histories[rate] = train(model, fc.optimizers.SGD(rate), epochs)["val_accuracy"]
        last = [histories[rate][-1] for rate in rates]
        print(f"{TITLES[batch_norm]:28}" + "".join(f"{accuracy:8.3f}" for accuracy in last))
        best = rates[int(np.argmax(last))]
        workable[batch_norm] = [rate for rate in rates if histories[rate][-1] > 0.9], histories[best]
        axes[0, 0].semilogx(rates, last, marker="o", label=TITLES[batch_norm])
        axes[0, 1].plot(
            range(1, epochs + 1), histories[best], marker="o", label=f"{TITLES[batch_norm]}, {best}"
        )
    axes[0, 0].set(xlabel="learning rate", ylabel=f"test accuracy after {epochs} epochs", ylim=(0, 1))
    axes[0, 1].set(xlabel="epoch", ylabel="test accuracy", title="each at its best rate", ylim=(0, 1))
    for axis in axes[0]:
        axis.legend(loc="lower left" if axis is axes[0, 0] else "lower right", fontsize="small")
    _figures.save(fig, folder, "04_learning_rates")

    claim("batch normalisation allows higher learning rates and needs fewer epochs")
    for batch_norm, (rates_that_work, history) in workable.items():
        reached = next((f"after epoch {i}" for i, value in enumerate(history, 1) if value > 0.9), "never")
        found(
            f"{TITLES[batch_norm]}: above 0.9 at rates "
            f"{', '.join(map(str, rates_that_work)) or 'none'}; the best is there {reached} and ends at "
            f"{history[-1]:.3f}"
        )


def last_batch(epochs: int, seed: int) -> None:
    """What a tiny batch at the end of every epoch does: 1,440 images, and 2 more."""
    best = {}
    for images in (1440, 1442):
        for batch_norm in (False, True):
            fc.utils.set_random_seed(seed)
            model = stack(DEPTH, "relu", "he_normal", batch_norm)
            history = train(model, fc.optimizers.SGD(0.03), epochs, images)
            best[images, batch_norm] = max(history["val_accuracy"])
    claim("(a warning) statistics of a batch say something only if the batch is not tiny")
    found(
        f"batches of 32, {epochs} epochs, rate 0.03: with 2 more images than 45 full batches, which make a "
        f"batch of two, the best test accuracy goes from {best[1440, True]:.2f} to {best[1442, True]:.2f} "
        f"with batch normalisation; without it from {best[1440, False]:.2f} to {best[1442, False]:.2f}"
    )


chosen = options(__doc__)
distributions(1 if chosen.quick else 6, chosen.seed, chosen.out)
speed(2 if chosen.quick else 8, RATES[1::2] if chosen.quick else RATES, chosen.seed, chosen.out)
last_batch(2 if chosen.quick else 8, chosen.seed)
