"""Lesson 17: transfer learning, from eight kinds of clothes to two others.

Network A learns eight classes of Fashion-MNIST, all but sandals and shirts. Task B is to tell these two
apart from 200 images. One network B begins from scratch; another takes A's layers but the last, first frozen
under a new head, then, unfrozen, with a lower rate. The claims: what is transferred learns faster and ends
better than what begins from scratch; frozen weights do not change.

Such experiments depend on luck (which 200 images, which first weights), so several seeds are run, and the
mean and the spread of all of them are what counts.

python examples/lessons/17_transfer_learning.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

IN_B = (5, 6)  # sandals and shirts; of the digits fives and sixes
SCRATCH_RATE, HEAD_RATE, LOW_RATE = 0.02, 0.05, 0.01  # the first two: each the best of 0.001 to 0.05
FROZEN, UNFROZEN = 4, 12  # epochs; from scratch it is their sum

chosen = options(__doc__)
data = images(8000 if chosen.quick else 20_000, 2000 if chosen.quick else 5000)
seeds = range(chosen.seed, chosen.seed + (4 if chosen.quick else 10))
in_b, val_in_b = np.isin(data.y, IN_B), np.isin(data.y_val, IN_B)
x_a, y_a = data.x[~in_b], data.y[~in_b]
y_a = np.where(y_a > max(IN_B), y_a - len(IN_B), y_a)  # 0 to 7
x_b, y_b = data.x[in_b], data.y[in_b] == IN_B[1]
x_val, y_val = data.x_val[val_in_b], data.y_val[val_in_b] == IN_B[1]


def body():
    relu = {"activation": "relu", "kernel_initializer": "he_normal"}
    return [
        fc.layers.Conv2D(16, 3, input_shape=(28, 28, 1), **relu),
        fc.layers.MaxPooling2D(2),
        fc.layers.Conv2D(32, 3, **relu),
        fc.layers.MaxPooling2D(2),
        fc.layers.Flatten(),
        fc.layers.Dense(64, **relu),
    ]


def compiled(model, rate, loss):
    model.compile(fc.optimizers.SGD(rate, momentum=0.9, nesterov=True), loss, metrics=["accuracy"])
    return model


def learn_b(model, rate, epochs, x, y):
    """Accuracy on other images of B, after each epoch."""
    compiled(model, rate, "binary_crossentropy")
    history = model.fit(x, y, batch_size=32, epochs=epochs, validation_data=(x_val, y_val), verbose=0)
    return history.history["val_accuracy"]


def bits(model):
    return [weight.tobytes() for layer in model.layers[:-1] for weight in layer.get_weights()]


scratch, transferred = [], []
for seed in seeds:
    fc.utils.set_random_seed(seed)
    model_a = fc.Sequential([*body(), fc.layers.Dense(8, activation="softmax")])
    compiled(model_a, 0.01, "sparse_categorical_crossentropy")
    model_a.fit(x_a, y_a, batch_size=32, epochs=3 if chosen.quick else 5, verbose=0)

    few = np.random.default_rng(seed).permutation(len(x_b))[:200]
    model_b = fc.Sequential([*body(), fc.layers.Dense(1, activation="sigmoid")])
    scratch.append(learn_b(model_b, SCRATCH_RATE, FROZEN + UNFROZEN, x_b[few], y_b[few]))

    copy_of_a = fc.models.clone_model(model_a)  # else B's training would change A's layers, which it shares
    copy_of_a.set_weights(model_a.get_weights())
    on_a = fc.Sequential([*copy_of_a.layers[:-1], fc.layers.Dense(1, activation="sigmoid")])
    for layer in on_a.layers[:-1]:
        layer.trainable = False
    before = bits(on_a)
    curve = learn_b(on_a, HEAD_RATE, FROZEN, x_b[few], y_b[few])
    assert bits(on_a) == before, "frozen weights changed"
    for layer in on_a.layers[:-1]:
        layer.trainable = True
    transferred.append(curve + learn_b(on_a, LOW_RATE, UNFROZEN, x_b[few], y_b[few]))
    assert bits(on_a) != before, "weights did not change once unfrozen"
    assert bits(on_a) != bits(model_a), "A's own weights changed with them"

curves = {"from scratch": np.array(scratch), "transferred": np.array(transferred)}
fig, axes = figure(height=3.8)
axis = axes[0, 0]
x = np.arange(1, FROZEN + UNFROZEN + 1)
for (name, curve), colour in zip(curves.items(), ("tab:gray", "tab:blue"), strict=True):
    axis.plot(x, curve.T, color=colour, linestyle="-", linewidth=0.7, alpha=0.4)
    axis.plot(
        x,
        curve.mean(0),
        color=colour,
        linestyle="-",
        linewidth=2.5,
        label=f"{name}: mean of {len(curve)} seeds",
    )
axis.axvline(FROZEN + 0.5, color="black", linewidth=0.8, linestyle=":")
axis.annotate(
    "frozen  |  unfrozen",
    (FROZEN + 0.5, 1),
    xycoords=("data", "axes fraction"),
    ha="center",
    va="bottom",
    fontsize=9,
)
axis.set(xlabel="epoch", ylabel="accuracy on other images of B", ylim=(0.94, 1.002))
axis.legend(loc="lower right", fontsize=9)
save(fig, chosen.out, "17_transfer")


def spread(values):
    return f"{values.mean():.2%} ± {values.std():.2%}"


mean = {name: curve.mean(0) for name, curve in curves.items()}
goal = mean["from scratch"][-1]
reached = {name: int(np.argmax(curve >= goal)) + 1 for name, curve in mean.items() if curve.max() >= goal}
verdict(
    "it learns faster",
    f"the mean reaches from scratch's last, {goal:.2%}, after epoch {reached.get('transferred', 'none')} "
    f"transferred, {reached['from scratch']} from scratch. After the very first it is "
    f"{spread(curves['transferred'][:, 0])} and {spread(curves['from scratch'][:, 0])}",
    reached.get("transferred", np.inf) < reached["from scratch"],
)
difference = curves["transferred"][:, -1] - curves["from scratch"][:, -1]
verdict(
    "it ends better",
    f"after {FROZEN + UNFROZEN} epochs {spread(curves['transferred'][:, -1])} transferred, "
    f"{spread(curves['from scratch'][:, -1])} from scratch; seed by seed {difference.mean():+.2%} ± "
    f"{difference.std():.2%}, better in {(difference > 0).sum()} of {len(difference)}, worse in "
    f"{(difference < 0).sum()}",
    difference.mean() > 0,
)
verdict("frozen weights do not change", f"bit-identical after {FROZEN} epochs, with all seeds", True)
