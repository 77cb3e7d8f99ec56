"""Lesson 27: what each layer of a convolutional network sees.

Of each map take the nine images that excite it most, and project each of these units back to the pixels:
undo max pooling with the switches it left, rectify, apply the filters transposed. Zeiler & Fergus 2013,
*Visualizing and Understanding Convolutional Networks*, looked into a trained network in this way and found
edges and colors first, then textures, then parts of things, then things. The claims: such a projection is the
gradient, but for what ReLU does on the way back; nothing in it lies outside the unit's receptive field; the
images of a map high up agree more in *what* they show than those of a map below, though they look less alike;
and where the class score depends on the pixels, there it hurts to cover them.

A small network learns in some seconds, and then is looked into.

python examples/lessons/27_what_each_layer_sees.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import save
from _lesson import options, verdict
from _training import images

import fastconv as fc
from fastconv import layers, visualize
from fastconv.models.receptive_field import receptive_field

LEVELS = ("low", "middle", "high")  # the names of the convolutions, too


def network() -> fc.Sequential:
    return fc.Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(16, 5, padding="same", activation="relu", name="low"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="middle"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu", name="high"),
        layers.Flatten(),
        layers.Dropout(0.4),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


def agreement(labels: np.ndarray) -> float:
    """The mean share of a map's nine images, (maps, 9), that are of its most frequent class."""
    return float(np.mean([np.bincount(row).max() / len(row) for row in labels]))


def likeness(patches: np.ndarray) -> float:
    """The mean correlation between two of the patches (9, h, w, 1); those all of one gray do not count."""
    flat = patches.reshape(len(patches), -1)
    flat = flat[flat.std(axis=1) > 0]
    if len(flat) < 2:
        return np.nan
    pairs = np.corrcoef(flat)[np.triu_indices(len(flat), 1)]
    return float(pairs.mean())


def mean_over(heat: np.ndarray, size: int) -> np.ndarray:
    """The mean of maps (N, H, W) over the square around each pixel, as far as it is in the image."""
    pooled = layers.AveragePooling2D(size, strides=1, padding="same")
    return pooled(heat[..., None])[..., 0]


chosen = options(__doc__)
data = images(*((4000, 1000) if chosen.quick else (12_000, 3000)))
model = network()
model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
epochs = 3 if chosen.quick else 5
history = model.fit(
    data.x, data.y, batch_size=64, epochs=epochs, validation_data=(data.x_val, data.y_val), verbose=0
).history
print(f"after {epochs} epochs {history['val_accuracy'][-1]:.1%} of other images are right\n")

tops = {level: visualize.top_activations(model, level, data.x_val) for level in LEVELS}
for number, (level, top) in enumerate(tops.items(), 1):
    fig = visualize.plot_top_activations(model, level, data.x_val, maps=6, top=top)
    save(fig, chosen.out, f"27_{number}_{level}")
first = [int(np.flatnonzero(data.y_val == label)[0]) for label in range(8)]
fig = visualize.plot_deconvnet(model, "high", data.x_val[first], modes=visualize.MODES)
save(fig, chosen.out, "27_4_modes")
print()

some = data.x_val[:200]
gradient = visualize.deconvnet(model, "high", some, mode="gradient")
features = visualize.extract_features(model, "high", some)
below = fc.Sequential(model.layers[: model.layers.index(model.get_layer("high")) + 1])
strongest = features.reshape(len(some), -1).argmax(axis=1)
signal = np.eye(features[0].size, dtype=np.float32)[strongest].reshape(features.shape)
below.forward(some)
difference = np.abs(below.backward(signal, input_gradient=True) - gradient).max() / np.abs(gradient).max()
verdict(
    "without rectifying what comes back, the projection is the gradient",
    f"on {len(some)} images it differs from what backward gives by {difference:.0e} of the largest number",
    difference < 1e-5,
)

outside = seen = 0
for level, top in tops.items():
    for m in range(0, len(top.values), 4):
        signals = visualize.deconvnet(model, level, data.x_val[top.images[m]], map=m, unit=top.positions[m])
        for projected, position in zip(signals, top.positions[m].tolist(), strict=True):
            upper, left, lower, right = receptive_field(model, level).box(*position)
            seen += np.count_nonzero(projected[upper:lower, left:right])
            outside += np.count_nonzero(projected)
outside -= seen
verdict(
    "a projection lies inside its unit's receptive field",
    f"of {seen + outside:,} pixels that are not zero, {outside} lie outside",
    outside == 0,
)

print(f"{'':8}{'field':>8}{'same class':>12}{'look alike':>12}   among a map's nine strongest")
same_class, alike = {}, {}
for level, top in tops.items():
    active = np.flatnonzero(top.values[:, -1] > 0)
    same_class[level] = agreement(data.y_val[top.images[active]])
    alike[level] = float(np.nanmean([likeness(top.patches(m)) for m in active]))
    h, w = receptive_field(model, level).size
    print(f"{level:8}{f'{h}×{w}':>8}{same_class[level]:12.0%}{alike[level]:12.2f}")
print()
verdict(
    "a high layer's strongest images agree more in class than a low one's",
    " → ".join(f"{same_class[level]:.0%}" for level in LEVELS) + " of nine are of the most frequent class",
    same_class["low"] < same_class["high"],
)
verdict(
    "and look less alike, pixel by pixel: high layers are more tolerant",
    "mean correlation of two patches " + " → ".join(f"{alike[level]:.2f}" for level in LEVELS),
    alike["low"] > alike["high"],
)

fig = visualize.plot_saliency(model, data.x_val[first], classes=data.classes, samples=25)
save(fig, chosen.out, "27_5_saliency")
fig = visualize.plot_occlusion(model, data.x_val[first], size=7, classes=data.classes)
save(fig, chosen.out, "27_6_occlusion")
print()
few = data.x_val[: 40 if chosen.quick else 100]
sure = model.predict(few, verbose=0).max(axis=1)
drop = (sure[:, None, None] - visualize.occlusion(model, few, size=7, stride=1)).reshape(len(few), -1)
pixels = mean_over(visualize.saliency(model, few, samples=25), 7).reshape(len(few), -1)
most, least = (drop[np.arange(len(few)), pick(pixels, axis=1)] for pick in (np.argmax, np.argmin))
verdict(
    "it hurts to cover what the score depends on",
    f"a gray square of 7×7 takes {most.mean():.2f} from the probability of the class where the saliency is "
    f"largest, {drop.mean():.2f} in the mean over all places, and {least.mean():.2f} where it is least",
    most.mean() > drop.mean() > least.mean(),
)
