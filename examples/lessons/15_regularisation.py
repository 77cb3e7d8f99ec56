"""Lesson 15: regularisation against overfitting.

A dense network with far more weights than it has images to learn from knows these by heart: the loss on them
goes to 0 while the loss on other images rises. The claims: ℓ1, ℓ2, dropout, max-norm and early stopping each
make the gap between the two smaller, and the network better on images it has not seen: its loss and its
accuracy.

The losses drawn are the cross-entropy alone, measured with dropout off, so that they can be compared.

python examples/lessons/15_regularisation.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

chosen = options(__doc__)
data = images(500 if chosen.quick else 1000, 1000 if chosen.quick else 3000)
epochs, seeds = (40, 1) if chosen.quick else (60, 3)

WAYS = {
    "none": {},
    "L1, 0.0002": {"kernel_regularizer": fc.regularizers.L1(0.0002)},
    "L2, 0.002": {"kernel_regularizer": fc.regularizers.L2(0.002)},
    "dropout, 0.5": {"dropout": 0.5},
    "max-norm, 1": {"kernel_constraint": fc.constraints.MaxNorm(1.0)},
    "early stopping": {"stop": True},
}


def curves(dropout=0.0, stop=False, seed=1, **kernel):
    """Cross-entropy and accuracy, of the training images and of others, by epoch; and those to keep."""
    fc.utils.set_random_seed(seed)
    hidden: list[fc.Layer] = []
    for units in (200, 100):
        hidden.append(fc.layers.Dense(units, activation="relu", kernel_initializer="he_normal", **kernel))
        if dropout:
            hidden.append(fc.layers.Dropout(dropout))
    model = fc.Sequential(
        [
            fc.layers.Flatten(input_shape=(28, 28, 1)),
            *hidden,
            fc.layers.Dense(10, activation="softmax"),
        ]
    )
    metrics = ["accuracy", "sparse_categorical_crossentropy"]
    model.compile(fc.optimizers.Nadam(1e-3), "sparse_categorical_crossentropy", metrics=metrics)
    seen = []

    def measure(epoch, logs):
        known = model.evaluate(data.x, data.y, verbose=0, return_dict=True)
        seen.append([
            known["sparse_categorical_crossentropy"], logs["val_sparse_categorical_crossentropy"],
            known["accuracy"], logs["val_accuracy"],
        ])  # fmt: skip

    callbacks = [fc.callbacks.LambdaCallback(on_epoch_end=measure)]
    if stop:
        callbacks.append(fc.callbacks.EarlyStopping(patience=5, restore_best_weights=True))
    model.fit(
        data.x,
        data.y,
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
        validation_data=(data.x_val, data.y_val),
    )
    seen = np.array(seen)
    return seen, seen[callbacks[1].best_epoch if stop else -1]


results = {
    name: [curves(seed=seed, **way) for seed in range(chosen.seed, chosen.seed + seeds)]
    for name, way in WAYS.items()
}
ends = {name: np.mean([end for _, end in runs], axis=0) for name, runs in results.items()}

print(f"{'':16}{'loss':>8}{'on others':>11}{'gap':>8}{'accuracy':>10}{'on others':>11}   mean of {seeds}")
for name, (known, other, right, right_on_others) in ends.items():
    print(f"{name:16}{known:8.3f}{other:11.3f}{other - known:8.3f}{right:10.2%}{right_on_others:11.2%}")
print()

fig, axes = figure(rows=2, columns=3, height=2.7)
for axis, (name, runs) in zip(axes.flat, results.items(), strict=True):
    seen = runs[0][0]
    x = np.arange(1, len(seen) + 1)
    axis.plot(x, seen[:, 0], color="tab:blue", linestyle="-", label="training images")
    axis.plot(x, seen[:, 1], color="tab:red", linestyle="-", label="other images")
    axis.fill_between(x, seen[:, 0], seen[:, 1], color="tab:red", alpha=0.1)
    axis.set(ylim=(0, 1.5), xlim=(0, epochs))
    axis.set_title(f"{name}: {ends[name][3]:.1%} of others right", fontsize=10)
axes[0, 0].legend(fontsize=8)
for axis in axes[:, 0]:
    axis.set_ylabel("cross-entropy")
for axis in axes[-1]:
    axis.set_xlabel("epoch")
save(fig, chosen.out, "15_regularisation")

known, other, _, plain = ends["none"]
for name, (ours, others, _, right) in ends.items():
    if name != "none":
        verdict(
            f"{name}: a smaller gap, and a smaller loss on other images",
            f"gap {others - ours:.3f} instead of {other - known:.3f}, loss {others:.3f} instead of "
            f"{other:.3f}; accuracy {right:.2%} instead of {plain:.2%}",
            others - ours < other - known and others < other,
        )

better = {name: end[3] - plain for name, end in ends.items() if name != "none" and end[3] > plain}
verdict(
    "regularisation makes the accuracy on other images larger",
    f"{plain:.2%} without any; more with "
    + (", ".join(f"{name} ({more:+.2%})" for name, more in better.items()) or "none of them"),
    len(better) == len(ends) - 1,
)
