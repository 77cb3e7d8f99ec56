"""Lesson 26: LeNet-5 of 1998, step by step.

A digit on its way through every layer of the network of LeCun, Bottou, Bengio and Haffner, with trained
weights: what comes out of each, how many numbers it has learned and how many connections it uses; which maps
each filter of C3 sees; and how the last layer reads a picture of 7 x 12 pixels.

The claims are the paper's, section II-B: 60,000 parameters and 340,908 connections; a table that makes C3
cheaper and its filters different; a code that draws the digit.

python examples/lessons/26_lenet5_1998.py [--quick] [--seed N] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import claim, found, options

import fastconv as fc
from fastconv.applications.digit_bitmaps import DIGIT_BITMAPS, HEIGHT, WIDTH

MAPS = ("C1", "S2", "C3", "S4")

chosen = options(__doc__)
try:
    _, (images, labels) = fc.datasets.mnist.load_data()
    source = "MNIST's test digits"
except FileNotFoundError:
    _, (images, labels) = fc.datasets.digits.load_data()
    source = "the package's digits, which are blurred as none that it has learned from"
pick = np.random.default_rng(chosen.seed).integers(len(images))
x, label = images[pick, :, :, None] / np.float32(255), int(labels[pick])
model = fc.applications.LeNet5(variant="1998", weights="mnist")

# ---- layer by layer: a layer is a function, and what it returns is what the next one is given

print(f"A {label}, pixels from 0 to 1, through the layers of {model.name}:\n")
print(
    f"{'layer':<8}{'output':>10}{'from':>8}{'to':>8}{'learned':>10}{'connections':>13}{'multiply-adds':>15}"
)
outputs, a = {}, x[np.newaxis]
for layer in model.layers:
    a = outputs[layer.name] = layer.forward(a)
    learned = sum(parameter.size for parameter in layer.parameters)
    print(
        f"{layer.name:<8}{'x'.join(map(str, a.shape[1:])):>10}{a.min():>8.2f}{a.max():>8.2f}"
        f"{learned:>10,}{layer.count_connections():>13,}{layer.count_multiply_adds():>15,}"
    )
learned = sum(parameter.size for parameter in model.parameters)
print(f"{'':<34}{learned:>10,}{model.count_connections():>13,}{model.count_multiply_adds():>15,}\n")

claim("it has 60,000 parameters to learn and 340,908 connections: weights are shared over the image")
uses = model.count_connections() / learned
found(f"{learned:,} and {model.count_connections():,}: a number is used {uses:.1f} times, in C1 784 times")

fig, axes = figure(9.0, rows=5, columns=16, height=0.85)
for axis in axes.flat:
    axis.set_axis_off()
axes[0, 0].imshow(outputs["range"][0, :, :, 0], cmap="gray")
axes[0, 0].set_title("input", fontsize=8)
for row, name in enumerate(MAPS, start=1):
    maps = outputs[name][0]
    for k in range(maps.shape[-1]):
        axes[row, k].imshow(maps[:, :, k], cmap="RdBu_r", vmin=-1.7159, vmax=1.7159)
        axes[row, k].set_title(f"{name}\n{k}" if k == 0 else str(k), fontsize=8)
fig.suptitle("Feature maps, from −1.7159 (blue) to 1.7159 (red)", fontsize=10)
save(fig, chosen.out, "26_feature_maps")

# ---- which maps of S2 each filter of C3 sees

c3 = model.get_layer("C3")
claim("a table of connections keeps C3 small, and makes its filters differ: they are given different things")
found(
    f"{c3.table.sum()} of {c3.table.size} connections, so {c3.kernel.size:,} weights instead of "
    f"{25 * c3.table.size:,} and {c3.count_multiply_adds():,} multiply-adds instead of "
    f"{2500 * c3.table.size:,}. Each map of S2 goes to {', '.join(map(str, sorted(set(c3.table.sum(1)))))} "
    f"filters; of the 16 columns of the table {len(set(map(tuple, c3.table.T)))} are different"
)
fig, axes = figure(6.5, height=2.8)
axis = axes[0, 0]
axis.grid(visible=False)
axis.imshow(c3.table, cmap="Greys", vmin=0, vmax=1.6)
axis.set(xticks=range(16), yticks=range(6), xlabel="filter of C3", ylabel="map of S2")
axis.set_xticks(np.arange(17) - 0.5, minor=True)
axis.set_yticks(np.arange(7) - 0.5, minor=True)
axis.grid(visible=True, which="minor", color="white", linewidth=2, linestyle="-")
axis.tick_params(which="both", length=0)
fig.suptitle("Which maps each filter sees", fontsize=10)
save(fig, chosen.out, "26_connections")

# ---- subsampling: two numbers for each map

s2 = model.get_layer("S2")
claim("each map of S2 learns a coefficient and a bias: small coefficients blur, large ones decide")
found(
    f"coefficients (1/4 would be the mean): {np.array2string(s2.coefficient.value, precision=2)}; biases: "
    f"{np.array2string(s2.bias.value, precision=2)}"
)

# ---- the code and its distances

code, distances = outputs["F6"][0], outputs["output"][0]
answer = int(distances.argmin())
claim("F6 draws the digit, as a picture of 7 x 12 pixels; the last layer says how far it is from each bitmap")
by_hand = np.square(code.astype(np.float64) - DIGIT_BITMAPS.reshape(10, -1)).sum(1)
right = np.mean((code > 0) == (DIGIT_BITMAPS[label].ravel() > 0))
second = np.sort(distances)[1]
found(
    f"{right:.0%} of the 84 signs are those of the {label}; the distance is {distances[label]:.2f}, the next "
    f"one is {second:.2f}, to a {int(distances.argsort()[1])}. By hand, Σ (x − w)²: {by_hand[label]:.2f}. "
    f"The answer is {answer}, which is {'right' if answer == label else 'wrong'}"
)
fig, axes = figure(9.0, rows=2, columns=6, height=2.1)
pictures = [code.reshape(HEIGHT, WIDTH), None, *DIGIT_BITMAPS]
order = [0, 2, 3, 4, 5, 6, None, 7, 8, 9, 10, 11]
for axis, place in zip(axes.flat, order, strict=True):
    axis.set_axis_off()
    if place is None:
        axis.imshow(x[:, :, 0], cmap="gray")
        axis.set_title("the digit", fontsize=9)
        continue
    axis.imshow(pictures[place], cmap="RdBu_r", vmin=-1.7159, vmax=1.7159)
    digit = place - 2
    text = "what F6 says" if place == 0 else f"{digit}: {distances[digit]:.1f}"
    axis.set_title(text, fontsize=9, fontweight="bold" if digit == answer else "normal")
fig.suptitle("The code, and its distance from each digit's bitmap", fontsize=10)
save(fig, chosen.out, "26_code")

# ---- all of them

some = slice(2000 if chosen.quick else None)
y = model.predict(images[some, :, :, None] / np.float32(255), batch_size=200, verbose=0)
claim("the smallest distance is the answer, and the paper's network is wrong on 0.95% of MNIST's test digits")
wrong, nearest = y.argmin(1) != labels[some], y.min(1)
found(
    f"{wrong.mean():.2%} of {len(y):,} of {source}; median distance {np.median(nearest[~wrong]):.2f} where "
    f"it is right, {np.median(nearest[wrong]):.2f} where it is wrong: the distance says how far to trust it"
)
