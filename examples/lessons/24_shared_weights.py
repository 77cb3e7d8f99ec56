"""Lesson 24: dense layers against convolutions, or what it buys to share weights.

A dense layer of D = 32·32 units that sees a small colour image of 32×32 has 3D² + D weights and biases. Units
that see only 5×5 pixels each have 5·5·3 + 1; and units that all use the same weights, a map, have that many
together. The claims: that many parameters are hard to train and overfit; sharing makes what is learnt in one
place known in all, so that a shift of the image shifts the map and nothing else; and so a convolutional
network needs fewer images. This lesson counts, measures what a shift does, and trains a dense and two
convolutional networks of about as many parameters on small digits, and a dense one of ten times as many: on
few images and on many, tested where they were learnt and shifted, and with all pixels in disorder.

python examples/lessons/24_shared_weights.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from _figures import figure, save
from _lesson import options, verdict

import fastconv as fc
from fastconv import layers

SIDE = 32
SHIFTS = range(5)  # the digits have a border of four pixels, so that nothing is cut off


def digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The digits in the middle of 32×32, (N, 32, 32, 1) in [0, 1], and their labels: to learn from, to test.

    The images to learn from are mixed, so that the first few are some of each.
    """
    (x, y), (x_test, y_test) = fc.datasets.digits.load_data()
    order = np.random.default_rng(0).permutation(len(x))
    bordered = [
        np.pad(a, ((0, 0), (2, 2), (2, 2)))[..., None].astype(np.float32) / 255 for a in (x[order], x_test)
    ]
    return (bordered[0], y[order]), (bordered[1], y_test)


def shifted(images: np.ndarray, columns: int) -> np.ndarray:
    """The images moved to the right; what leaves on the right comes in on the left."""
    return np.roll(images, columns, axis=2)


def dense(units: int = 12) -> fc.Sequential:
    """All to all: twelve hidden units make about as many parameters as the convolutional networks have."""
    return fc.Sequential([
        layers.Input((SIDE, SIDE, 1)),
        layers.Flatten(),
        layers.Dense(units, activation="relu", kernel_initializer="he_normal"),
        layers.Dense(10, activation="softmax"),
    ], name="dense")  # fmt: skip


def convolutional() -> fc.Sequential:
    """Ends as networks for images commonly do: each place has its weights for each class."""
    return fc.Sequential([
        layers.Input((SIDE, SIDE, 1)),
        layers.Conv2D(8, 5, padding="same", activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ], name="convolutional")  # fmt: skip


def shared_to_the_end() -> fc.Sequential:
    """Forgets the place: of each map only the largest value decides."""
    return fc.Sequential([
        layers.Input((SIDE, SIDE, 1)),
        layers.Conv2D(8, 5, padding="same", activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, padding="same", activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(2),
        layers.Conv2D(48, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(10, activation="softmax"),
    ], name="shared to the end")  # fmt: skip


NETWORKS: dict[str, Callable[[], fc.Sequential]] = {
    "dense": dense,
    "dense, ten times": lambda: dense(120),
    "convolutional": convolutional,
    "shared to the end": shared_to_the_end,
}


def train(make: Callable[[], fc.Sequential], x: np.ndarray, y: np.ndarray, seed: int) -> fc.Sequential:
    """As many steps whatever the number of images."""
    fc.utils.set_random_seed(seed)
    model = make()
    model.compile(fc.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=max(1, round(steps * 32 / len(x))), batch_size=32, verbose=0)
    return model


def accuracy(model: fc.Sequential, x: np.ndarray, y: np.ndarray) -> float:
    return model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]


def count() -> None:
    """The same number of units, connected to all, to a window each, and with the same weights."""
    D = SIDE * SIDE
    flat, window = layers.Dense(D), layers.Conv2D(1, 5, padding="same")
    flat.build((3 * D,))
    window.build((SIDE, SIDE, 3))
    print(f"{D} units that see an image of 32×32×3:")
    print(f"  all of it, each with its own weights   3D² + D     {flat.count_params():>9,}")
    print(f"  5×5 pixels, each with its own weights  76·D        {D * window.count_params():>9,}")
    print(f"  5×5 pixels, all with the same weights  5·5·3 + 1   {window.count_params():>9,}\n")
    verdict(
        "a map needs a tiny part of a dense layer's parameters",
        f"{flat.count_params():,} against {window.count_params()}: "
        f"1/{flat.count_params() // window.count_params():,}. "
        f"Seeing less makes 1/{flat.count_params() / D / window.count_params():.0f} of them, sharing the "
        "rest",
        flat.count_params() == 3 * D**2 + D and window.count_params() == 76,
    )


def equivariance(images: np.ndarray) -> None:
    """Shift, then compute, against compute, then shift: relative difference of the two."""
    differences = {}
    for name, layer, shape in (
        ("convolution", layers.Conv2D(8, 5, padding="same"), (SIDE, SIDE, 1)),
        ("dense", layers.Dense(SIDE * SIDE), (SIDE * SIDE,)),
    ):
        layer.build(shape)

        def maps(x, layer=layer, shape=shape):
            return layer(x.reshape(len(x), *shape)).reshape(len(x), SIDE, SIDE, -1)

        # Not the four columns on each side, where there is padding, and where what leaves comes in.
        one, other = (a[:, :, 4:-4] for a in (maps(shifted(images, 2)), shifted(maps(images), 2)))
        differences[name] = float(np.linalg.norm(one - other) / np.linalg.norm(other))
    verdict(
        "a shift of the image shifts the map and does nothing else",
        "first shifted by 2 and then mapped, or first mapped and then shifted: a convolution's results "
        f"differ by {differences['convolution']:.1e} of their size, those of a dense layer of 1024 units by "
        f"{differences['dense']:.2f}",
        differences["convolution"] < 1e-6 < 0.5 < differences["dense"],
    )


def in_disorder(images: np.ndarray) -> np.ndarray:
    """All images with their pixels in the same wrong places."""
    places = np.random.default_rng(7).permutation(SIDE * SIDE)
    return images.reshape(len(images), -1)[:, places].reshape(images.shape)


chosen = options(__doc__)
seeds = range(chosen.seed, chosen.seed + (1 if chosen.quick else 3))
steps = 250 if chosen.quick else 400
sizes = (50, 100, 1440) if chosen.quick else (50, 100, 300, 1440)
(x, y), (x_test, y_test) = digits()
count()
equivariance(x_test[:50])

by_size = {name: np.zeros((len(seeds), len(sizes))) for name in NETWORKS}
by_shift = {name: np.zeros((len(seeds), len(SHIFTS))) for name in NETWORKS}
disordered = {name: np.zeros((len(seeds), len(sizes))) for name in NETWORKS}
for name, make in NETWORKS.items():
    for i, seed in enumerate(seeds):
        for j, size in enumerate(sizes):
            model = train(make, in_disorder(x[:size]), y[:size], seed)
            disordered[name][i, j] = accuracy(model, in_disorder(x_test), y_test)
            model = train(make, x[:size], y[:size], seed)
            by_size[name][i, j] = accuracy(model, x_test, y_test)
        by_shift[name][i] = [
            accuracy(model, shifted(x_test, s), y_test) for s in SHIFTS
        ]  # of the most images

fig, axes = figure(columns=3, height=3.6)
for name in NETWORKS:
    for axis, horizontal, results in ((axes[0, 0], sizes, by_size), (axes[0, 1], SHIFTS, by_shift)):
        axis.plot(horizontal, results[name].mean(0), marker="o", markersize=3, label=name)
        axis.fill_between(horizontal, results[name].min(0), results[name].max(0), alpha=0.15)
axes[0, 0].set(
    xscale="log", xlabel="images to learn from", ylabel="test accuracy", title="as they were learnt"
)
axes[0, 1].set(xlabel="pixels", title="shifted", ylim=(0, 1.02), xticks=SHIFTS)
for name in NETWORKS:
    axes[0, 2].plot(sizes, disordered[name].mean(0), marker="o", markersize=3, label=name)
    axes[0, 2].fill_between(sizes, disordered[name].min(0), disordered[name].max(0), alpha=0.15)
axes[0, 2].set(
    xscale="log", xlabel="images to learn from", title="pixels in disorder", ylim=axes[0, 0].get_ylim()
)
for axis in (axes[0, 0], axes[0, 2]):
    axis.set_xticks(sizes, [str(size) for size in sizes], fontsize=8)
    axis.minorticks_off()
for axis in axes.flat:
    axis.title.set_fontsize(10)
axes[0, 0].legend(fontsize=8, loc="lower right")
save(fig, chosen.out, "24_shared_weights")

print(f"\n{'':27}{'parameters':>11}" + "".join(f"{size:>8}" for size in sizes) + "   images to learn from")
for name, make in NETWORKS.items():
    cells = "".join(f"{value:8.1%}" for value in by_size[name].mean(0))
    print(f"{name:27}{make().count_params():>11,}{cells}")
for name in NETWORKS:
    cells = "".join(f"{value:8.1%}" for value in disordered[name].mean(0))
    print(f"{name + ', pixels in disorder':38}{cells}")
print(f"\n{'':38}" + "".join(f"{s:>8}" for s in SHIFTS) + "   pixels shifted")
for name in NETWORKS:
    print(f"{name:38}" + "".join(f"{value:8.1%}" for value in by_shift[name].mean(0)))
print()

plain, wide, shared, end = (by_size[name].mean(0) for name in NETWORKS)
verdict(
    "with as many parameters, the one that shares them is right more often",
    f"from {sizes[-1]} images: {shared[-1]:.1%} and {end[-1]:.1%} against {plain[-1]:.1%}, mean of "
    f"{len(seeds)}; a dense one with ten times the parameters {wide[-1]:.1%}",
    min(shared[-1], end[-1]) > plain[-1],
)
verdict(
    "it needs fewer images",
    f"from {sizes[1]} images: {shared[1]:.1%} and {end[1]:.1%} against {plain[1]:.1%}, and {wide[1]:.1%} "
    "with ten "
    f"times the parameters; from {sizes[0]}: {shared[0]:.1%} and {end[0]:.1%} against {plain[0]:.1%} and "
    f"{wide[0]:.1%}",
    shared[1] > plain[1],
)
plain, wide, shared, end = (by_shift[name].mean(0) for name in NETWORKS)
verdict(
    "a convolutional network recognises what is shifted",
    f"shifted by 4 pixels: dense {plain[-1]:.1%}, with ten times the parameters {wide[-1]:.1%}, "
    "convolutional "
    f"{shared[-1]:.1%}: its maps shift, but its last layer has other weights for each place. Where only "
    f"each map's maximum counts: {end[-1]:.1%}",
    shared[-1] > 0.9,
)
plain, _, shared, end = ((by_size[name].mean(0)[1], disordered[name].mean(0)[1]) for name in NETWORKS)
verdict(
    "sharing helps because neighbours belong together: with all pixels in the same disorder it is lost",
    f"from {sizes[1]} images in disorder a dense network is right on {plain[1]:.1%} instead of "
    f"{plain[0]:.1%}, a "
    f"convolutional one on {shared[1]:.1%} instead of {shared[0]:.1%}, one shared to the end on "
    f"{end[1]:.1%} instead of {end[0]:.1%}",
    shared[1] < shared[0] - 0.03 and end[1] < end[0] - 0.03,
)
