"""Lesson 16: Monte-Carlo dropout, or what a network says when it is asked a hundred times.

With dropout left on, each prediction is that of another thinned network. Their mean is the ensemble's
prediction, their spread says how sure it is. The claims: the plain prediction is often very sure of what is
wrong; the mean of many is less so, and their spread is larger where the image is unclear. The unclear images
here are the test images on which the ensemble is least sure, and mixtures: halfway between two images of
different classes.

python examples/lessons/16_monte_carlo_dropout.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _training import images

import fastconv as fc

chosen = options(__doc__)
data = images(3000 if chosen.quick else 12_000, 500 if chosen.quick else 2000)
epochs = 8
samples = 50 if chosen.quick else 100

model = fc.Sequential([
    fc.layers.Conv2D(16, 3, activation="relu", input_shape=(28, 28, 1)),
    fc.layers.MaxPooling2D(2),
    fc.layers.Conv2D(32, 3, activation="relu"),
    fc.layers.MaxPooling2D(2),
    fc.layers.Flatten(),
    fc.layers.Dropout(0.4),
    fc.layers.Dense(64, activation="relu"),
    fc.layers.Dropout(0.4),
    fc.layers.Dense(10, activation="softmax"),
])  # fmt: skip
model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(data.x, data.y, epochs=epochs, verbose=0)


def ask(x):
    """The plain prediction, the ensemble's, and the spread at the ensemble's answer."""
    plain = model.predict(x, verbose=0)
    mean, std = fc.utils.monte_carlo_predict(model, x, samples)
    return plain, mean, np.take_along_axis(std, mean.argmax(1)[:, None], 1)[:, 0]


plain, mean, spread = ask(data.x_val)
right = mean.argmax(1) == data.y_val
other = np.random.default_rng(chosen.seed).permutation(len(data.x_val))
mixed = data.y_val != data.y_val[other]
mixtures = ((data.x_val + data.x_val[other]) / 2)[mixed]
_, mixed_mean, mixed_spread = ask(mixtures)

# The clearest image, the two least clear ones, and the least clear mixture.
unclear = np.argsort(-spread)[:2]
shown = np.concatenate([data.x_val[[spread.argmin(), *unclear]], mixtures[[mixed_spread.argmax()]]])
truths = [data.classes[data.y_val[i]] for i in (spread.argmin(), *unclear)]
pair = (data.y_val[mixed][mixed_spread.argmax()], data.y_val[other][mixed][mixed_spread.argmax()])
truths.append(" and ".join(data.classes[label] for label in pair))
shown_plain = model.predict(shown, verbose=0)
shown_mean, shown_std = fc.utils.monte_carlo_predict(model, shown, samples)

fig, axes = figure(rows=len(shown), columns=2, height=1.9)
for i, (left, bars) in enumerate(axes):
    left.imshow(shown[i, :, :, 0], cmap="gray_r")
    left.set_title(truths[i], fontsize=10)
    left.set_axis_off()
    x = np.arange(10)
    bars.bar(x - 0.2, shown_plain[i], 0.4, color="lightgray", label="one prediction, dropout off")
    bars.bar(
        x + 0.2, shown_mean[i], 0.4, yerr=shown_std[i], color="tab:blue", label=f"{samples} with dropout on"
    )
    bars.set(ylim=(0, 1.1), xticks=x, xticklabels=[])
axes[-1, 1].set_xticklabels(data.classes, rotation=40, ha="right", fontsize=8)
axes[0, 1].legend(fontsize=8)
axes[1, 1].set_ylabel("probability ± spread")
save(fig, chosen.out, "16_unclear_images")

fig, axes = figure(height=3.2)
for values, label in (
    (spread[right], "right"),
    (spread[~right], "wrong"),
    (mixed_spread, "mixtures of two classes"),
):
    axes[0, 0].hist(
        values,
        np.linspace(0, 0.4, 41),
        density=True,
        histtype="step",
        linewidth=1.8,
        linestyle="-",
        label=label,
    )
axes[0, 0].set(xlabel="spread of the probability of the ensemble's answer", ylabel="density")
axes[0, 0].legend(fontsize=9)
save(fig, chosen.out, "16_spread")

plainly_right = plain.argmax(1) == data.y_val
sure = plain.max(1)[~plainly_right].mean()
ensemble_sure = mean.max(1)[~right].mean()
verdict(
    "where they are wrong, the ensemble is less sure than the plain prediction",
    f"mean probability of a wrong answer: {sure:.3f} plain, {ensemble_sure:.3f} with {samples} samples",
    ensemble_sure < sure,
)
verdict(
    "the spread is larger where the answer is wrong and where the image is unclear",
    f"median spread {np.median(spread[right]):.3f} where right, {np.median(spread[~right]):.3f} where wrong, "
    f"{np.median(mixed_spread):.3f} on mixtures of two classes",
    np.median(spread[right]) < min(np.median(spread[~right]), np.median(mixed_spread)),
)
verdict(
    "the ensemble's accuracy is no worse",
    f"{right.mean():.2%} against {plainly_right.mean():.2%} plain",
    right.mean() >= plainly_right.mean(),
)
