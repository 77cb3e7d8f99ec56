"""Lesson 18: augmentation, more images than there are.

Shifted, mirrored, turned or zoomed, an image still shows the same thing, and a network that never sees it
twice in the same way cannot know it by heart. The claims: with few images to learn from, augmentation makes
overfitting smaller and accuracy on other images larger. It is at work in training only: a prediction does not
depend on chance. The network here learns from shifted and, but for digits, mirrored images; turning and
zooming blur images as small as these.

python examples/lessons/18_augmentation.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

chosen = options(__doc__)
data = images(400, 500 if chosen.quick else 3000)
epochs, seeds = (40, 1) if chosen.quick else (80, 4)


WHOLE_PIXELS = {"interpolation": "nearest", "fill_mode": "constant"}  # keeps edges sharp; black comes in

KINDS = {
    "mirrored": lambda: fc.layers.RandomFlip("horizontal"),
    "shifted": lambda: fc.layers.RandomTranslation(0.06, 0.06, **WHOLE_PIXELS),
    "turned": lambda: fc.layers.RandomRotation(0.05, fill_mode="constant"),
    "zoomed": lambda: fc.layers.RandomZoom(0.2, fill_mode="constant"),
}


def augmentation():
    """Those with which the network learns."""
    return [KINDS["shifted"](), *([KINDS["mirrored"]()] if data.name == "Fashion-MNIST" else [])]


def train(augmented, seed):
    fc.utils.set_random_seed(seed)
    model = fc.Sequential([
        fc.layers.Input((28, 28, 1)),
        *(augmentation() if augmented else []),
        fc.layers.Conv2D(16, 3, activation="relu"),
        fc.layers.MaxPooling2D(2),
        fc.layers.Conv2D(32, 3, activation="relu"),
        fc.layers.MaxPooling2D(2),
        fc.layers.Flatten(),
        fc.layers.Dense(64, activation="relu"),
        fc.layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        data.x, data.y, epochs=epochs, validation_data=(data.x_val, data.y_val), verbose=0
    ).history
    known = model.evaluate(data.x, data.y, verbose=0, return_dict=True)["loss"]  # as they are, not augmented
    same = np.array_equal(*(model.predict(data.x_val[:64], verbose=0) for _ in range(2)))
    return history, history["val_loss"][-1] - known, same


image = data.x[:1]
fig, axes = figure(rows=len(KINDS), columns=9, height=1.05)
for row, (name, make) in zip(axes, KINDS.items(), strict=True):
    layer = make()
    row[0].imshow(image[0, :, :, 0], cmap="gray_r", vmin=0, vmax=1)
    row[0].set_ylabel(name)
    for axis in row[1:]:
        axis.imshow(layer(image)[0, :, :, 0], cmap="gray_r", vmin=0, vmax=1)
    for axis in row:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
fig.suptitle("The original, and how it may be shown in eight epochs", fontsize=11)
save(fig, chosen.out, "18_augmented_images")

runs = {
    name: [train(augmented, seed) for seed in range(chosen.seed, chosen.seed + seeds)]
    for name, augmented in (("as they are", False), ("augmented", True))
}
fig, axes = figure(columns=2, height=3.5)
for (name, results), colour in zip(runs.items(), ("tab:gray", "tab:blue"), strict=True):
    for axis, measure in zip(axes[0], ("val_loss", "val_accuracy"), strict=True):
        curves = np.array([history[measure] for history, _, _ in results])
        x = np.arange(1, epochs + 1)
        axis.plot(x, curves.mean(0), color=colour, linestyle="-", label=name)
        axis.fill_between(x, curves.min(0), curves.max(0), color=colour, alpha=0.2)
axes[0, 0].set(xlabel="epoch", ylabel="loss on other images", ylim=(0, 2))
axes[0, 1].set(
    xlabel="epoch", ylabel=f"accuracy on other images\n(mean and range of {seeds})", ylim=(0.6, None)
)
axes[0, 1].legend(loc="lower right", fontsize=9)
save(fig, chosen.out, "18_effect")

accuracy = {
    name: np.array([history["val_accuracy"][-1] for history, _, _ in results])
    for name, results in runs.items()
}
gap = {name: np.mean([gap for _, gap, _ in results]) for name, results in runs.items()}
verdict(
    "augmentation makes overfitting smaller",
    f"loss on other images less that on the training images: {gap['augmented']:.3f} with it, "
    f"{gap['as they are']:.3f} without",
    gap["augmented"] < gap["as they are"],
)
verdict(
    "augmentation makes accuracy on other images larger",
    f"{accuracy['augmented'].mean():.2%} ± {accuracy['augmented'].std():.2%} with it, "
    f"{accuracy['as they are'].mean():.2%} ± {accuracy['as they are'].std():.2%} without, "
    f"after {epochs} epochs",
    accuracy["augmented"].mean() > accuracy["as they are"].mean(),
)
verdict(
    "predictions do not depend on chance",
    "the same images predicted twice give the same bits",
    all(same for results in runs.values() for _, _, same in results),
)
