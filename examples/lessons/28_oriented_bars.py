"""Lesson 28: bars of light, simple and complex cells, and the filters a network learns.

Hubel & Wiesel (1959, 1962) moved bars of light before the eyes of cats and listened to single cells of the
visual cortex. Their claims: a *simple* cell sees a small part of the picture, in which light excites it at
some places (ON) and inhibits it at others (OFF); even light does nothing; it fires at bars of one
orientation, in one place. A *complex* cell prefers an orientation too, but wherever in its field the bar is,
as if it heard many simple cells and fired with any of them. A convolution with ReLU is a sheet of simple
cells, max pooling above it makes complex ones. This lesson repeats the experiments on them: spots, even
light, bars that turn and move. Then it puts the same bars before the first layer of a network, before and
after it has learnt.

An orientation of 0° is a bar that lies, 90° one that stands; 180° is 0° again.

python examples/lessons/28_oriented_bars.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _pictures import picture
from _training import images

import fastconv as fc
from fastconv import layers, ops

SCREEN, FIELD, POOL = (
    61,
    21,
    21,
)  # pixels: what bars move on, what a simple cell sees, how far a complex one hears
PREFERRED = 60  # degrees: of the cells built here
ANGLES = np.arange(0, 180, 5)
OFFSETS = np.arange(-28, 29)


def along_and_across(angle: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of all pixels from the middle: along a line of this orientation, and across it."""
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    theta = np.deg2rad(angle)
    return column * np.cos(theta) - row * np.sin(theta), column * np.sin(theta) + row * np.cos(theta)


def bar(angle: float, offset: float, size: int, length: float, width: float) -> np.ndarray:
    """A bar of light moved across by ``offset`` pixels: (size, size) in [0, 1], with soft edges."""
    along, across = along_and_across(angle, size)
    inside = [np.clip((extent + 1) / 2 - np.abs(place), 0, 1)
              for extent, place in ((length, along), (width, across - offset))]  # fmt: skip
    return (inside[0] * inside[1]).astype(np.float32)


def simple_cell(angle: float) -> np.ndarray:
    """A filter (FIELD, FIELD): an ON stripe between OFF stripes, fading out; its weights add up to zero."""
    along, across = along_and_across(angle, FIELD)
    weights = np.exp(-((along / 4.5) ** 2 + (across / 3) ** 2) / 2) * np.cos(2 * np.pi * across / 8)
    envelope = np.exp(-((along / 4.5) ** 2 + (across / 3) ** 2) / 2)
    weights -= envelope * weights.sum() / envelope.sum()
    return (weights / np.abs(weights).sum()).astype(np.float32)


def cells(screens: np.ndarray, filter_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a simple cell in the middle says to each screen (N, SCREEN, SCREEN), and a complex one above "
    "it."""
    sheet = ops.conv2d(screens[..., None], filter_[:, :, None, None], activation="relu")
    middle, far = sheet.shape[1] // 2, POOL // 2
    heard = sheet[:, middle - far : middle + far + 1, middle - far : middle + far + 1]
    complex_cells, _ = ops.max_pool2d(heard, POOL)
    return sheet[:, middle, middle, 0], complex_cells[:, 0, 0, 0]


def sweep(angle: float, filter_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both cells' responses to a bar of that orientation, at each of ``OFFSETS``."""
    return cells(np.array([bar(angle, offset, SCREEN, 17, 3) for offset in OFFSETS]), filter_)


def width_at_half(curve: np.ndarray, step: float) -> float:
    """How wide a curve is where it is above half its maximum."""
    return float((curve > curve.max() / 2).sum() * step)


def spots(filter_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Responses to a spot of light, and to a dark spot, at each pixel of the field: where it is ON and "
    "OFF."""
    lit = np.eye(FIELD**2, dtype=np.float32).reshape(-1, FIELD, FIELD, 1)
    both = (ops.conv2d(sign * lit, filter_[:, :, None, None], activation="relu") for sign in (1, -1))
    on, off = (answers.reshape(FIELD, FIELD) for answers in both)
    return on, off


def draw_cell(on: np.ndarray, off: np.ndarray, simple: np.ndarray, complex_: np.ndarray) -> None:
    """The field found with spots, and how both cells' responses depend on orientation and on place."""
    fig, axes = figure(columns=3, height=3.3)
    strongest = max(on.max(), off.max())
    picture(
        axes[0, 0],
        on - off,
        "found with spots: ON red, OFF blue",
        cmap="RdBu_r",
        vmin=-strongest,
        vmax=strongest,
    )
    best = np.argmin(np.abs(ANGLES - PREFERRED))
    for responses, name in ((simple, "simple"), (complex_, "complex")):
        axes[0, 1].plot(ANGLES, responses.max(1) / responses.max(), marker="o", markersize=3, label=name)
        axes[0, 2].plot(OFFSETS, responses[best] / responses.max(), label=name)
    axes[0, 1].set(xlabel="orientation of the bar in degrees", ylabel="response", xticks=range(0, 181, 30))
    axes[0, 1].set_title("tuning curves", fontsize=10)
    axes[0, 2].set(xlabel="place of the bar in pixels", ylabel="response")
    axes[0, 2].set_title(f"a bar of {PREFERRED}°, moving across", fontsize=10)
    axes[0, 1].legend(fontsize=8, loc="upper right")
    save(fig, chosen.out, "28_simple_and_complex_cell")


def draw_spikes(simple: np.ndarray, complex_: np.ndarray, random: np.random.Generator) -> None:
    """The experiment as one sees it: each bar moves across, and the cells fire or do not."""
    fig, axes = figure(height=5.4)
    axis, shown = axes[0, 0], [angle for angle in ANGLES if angle % 30 == 0]
    time = np.linspace(OFFSETS[0], OFFSETS[-1], 240)
    for k, angle in enumerate(shown):
        row = len(shown) - 1 - k
        for responses, bottom, color in ((simple, 0.5, "tab:blue"), (complex_, 0.08, "tab:orange")):
            rate = np.interp(time, OFFSETS, responses[np.argmax(angle == ANGLES)] / responses.max())
            fired = time[random.random(len(time)) < 0.9 * rate]
            axis.vlines(fired, row + bottom, row + bottom + 0.34, color=color, linewidth=1.2)
            axis.hlines(row + bottom, OFFSETS[0], OFFSETS[-1], color=color, linewidth=0.6)
        seen = axis.inset_axes((-0.17, (row + 0.06) / len(shown), 0.15, 0.88 / len(shown)))
        picture(seen, bar(angle, 0, SCREEN, 17, 3))
        middle = (SCREEN - 1) / 2
        along_normal = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))]) * 20
        seen.annotate("", middle + along_normal, middle - along_normal,
                      arrowprops={"arrowstyle": "->", "color": "0.6", "linewidth": 0.8})  # fmt: skip
        axis.text(OFFSETS[-1] + 1, row + 0.45, f"{angle}°", va="center")
    axis.set(
        xlabel="place of the bar (time)", yticks=[], ylim=(0, len(shown)), xlim=(OFFSETS[0], OFFSETS[-1])
    )
    axis.set_title("A bar moves across; a simple cell (blue) and a complex cell (orange) fire", fontsize=10)
    axis.grid(False)
    axis.spines["left"].set_visible(False)
    save(fig, chosen.out, "28_spikes")


# ---- the filters of a network


def pictures(train: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Grey images (N, H, W, 1) of mean 0 and deviation 1 with labels, and what they are.

    CIFAR-10's photographs where they are on this machine, else what the lessons on training have.
    """
    try:
        (x, y), _ = fc.datasets.cifar10.load_data()
    except FileNotFoundError:
        data = images(train, 300)
        name, x, y = data.name, data.x[..., 0], data.y
    else:
        name, y = "CIFAR-10", y.ravel()[:train]
        x = x[:train].mean(axis=3) / 255
    return name, ((x - x.mean()) / x.std()).astype(np.float32)[..., None], y


def learnt_filters(x: np.ndarray, y: np.ndarray, epochs: int) -> np.ndarray:
    """The first layer (7, 7, 1, 16) of a network that has learnt to tell the images apart.

    It starts from next to nothing and is kept small, so that what there is in the end was learnt.
    """
    model = fc.Sequential([
        layers.Input(x.shape[1:]),
        layers.Conv2D(
            16, 7, padding="same", activation="relu",
            kernel_initializer=fc.initializers.RandomNormal(stddev=0.01),
            kernel_regularizer=fc.regularizers.L2(0.003),
        ),
        layers.MaxPooling2D(4),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip
    model.compile(fc.optimizers.Nadam(0.002), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=epochs, batch_size=32, verbose=0).history
    print(f"  it is right on {history['accuracy'][-1]:.0%} of them, with {model.count_params():,} parameters")
    return model.layers[0].kernel.value


def tuning(filters: np.ndarray) -> np.ndarray:
    """The largest response of each filter (k, k, 1, m) to bars of each of ``ANGLES``, wherever: (angles, "
    "m)."""
    size = filters.shape[0]
    bars = [bar(angle, 0, 3 * size, 2 * size, 1.5) for angle in ANGLES]
    return ops.conv2d(np.array(bars)[..., None], filters, activation="relu").max((1, 2))


def selectivity(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How selective each filter is, and its preferred orientation in degrees: length and half the angle of

    Σ r(θ) e^{2iθ} / Σ r(θ). 0: all orientations alike; 1: one only. (1 − the circular variance.)
    """
    turned = np.exp(2j * np.deg2rad(ANGLES)) @ curves / np.maximum(curves.sum(0), 1e-12)
    return np.abs(turned), np.rad2deg(np.angle(turned)) / 2 % 180


class Tuned:
    """How selective filters are, beside random ones of the same size: the text and whether they are more "
    "so."""

    def __init__(self, filters: np.ndarray) -> None:
        random = np.random.default_rng(chosen.seed).standard_normal((*filters.shape[:3], 500))
        self.curves, self.random = tuning(filters), tuning(random.astype(np.float32))
        self.index, self.angles = selectivity(self.curves)
        self.chance, _ = selectivity(self.random)
        self.usual = np.quantile(self.chance, 0.9)
        self.more = self.index > self.usual

    def __str__(self) -> str:
        leans = np.abs((self.angles + 45) % 90 - 45)  # away from 0° and 90°
        return (
            f"{len(self.index)} filters have a selectivity of {self.index.mean():.2f} in the mean, "
            f"{self.index.max():.2f} at most; 500 random ones {self.chance.mean():.2f}, nine of ten below "
            f"{self.usual:.2f}. Above that are {self.more.sum()} of the {len(self.index)}, and "
            f"{np.sum(leans[self.more] <= 15)} of these lie or stand, give or take 15°: by chance a third "
            "would"
        )

    @property
    def more_than_by_chance(self) -> bool:
        return bool(self.index.mean() > 1.25 * self.chance.mean() and self.more.mean() > 0.2)


def draw_filters(filters: np.ndarray, tuned: Tuned) -> None:
    """The filters that were learnt, the most selective first, with their preferred orientation."""
    fig, axes = figure(rows=2, columns=8, height=1.55)
    for axis, k in zip(axes.flat, np.argsort(-tuned.index), strict=True):
        weights = filters[:, :, 0, k]
        limit = np.abs(weights).max()
        picture(
            axis,
            weights,
            f"{tuned.angles[k]:.0f}°, {tuned.index[k]:.2f}",
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
        )
    fig.suptitle("What the first layer learnt: filter, preferred orientation, selectivity", fontsize=11)
    save(fig, chosen.out, "28_filters")


def draw_tuning(tuned: Tuned) -> None:
    """Tuning curves of the most selective filters, and how selective all of them are."""
    fig, axes = figure(columns=2, height=3.2)
    for k in np.argsort(-tuned.index)[:5]:
        axes[0, 0].plot(
            ANGLES, tuned.curves[:, k] / tuned.curves[:, k].max(), label=f"{tuned.angles[k]:.0f}°"
        )
    axes[0, 0].set(xlabel="orientation of the bar in degrees", ylabel="response", ylim=(0, 1.3))
    axes[0, 0].set_xticks(range(0, 181, 30))
    axes[0, 0].set_title("tuning of the five most selective filters", fontsize=10)
    axes[0, 0].legend(fontsize=8, ncols=5, columnspacing=0.8, handlelength=1.5, loc="upper center")
    for values, name in ((tuned.index, "learnt"), (tuned.chance, "random")):
        shares = (np.arange(len(values)) + 0.5) / len(values)
        axes[0, 1].plot(np.sort(values), shares, label=name, linestyle="-")
    axes[0, 1].set(xlabel="selectivity", ylabel="share of filters below", xlim=(0, None), ylim=(0, 1))
    axes[0, 1].set_title("all filters", fontsize=10)
    axes[0, 1].legend(fontsize=8, loc="lower right")
    save(fig, chosen.out, "28_tuning")


chosen = options(__doc__)
cell = simple_cell(PREFERRED)
on, off = spots(cell)
both = [sweep(angle, cell) for angle in ANGLES]
simple, complex_ = (np.array([responses[k] for responses in both]) for k in range(2))
draw_cell(on, off, simple, complex_)
draw_spikes(simple, complex_, np.random.default_rng(chosen.seed))

even, _ = cells(np.ones((1, SCREEN, SCREEN), np.float32), cell)
best, across = (int(np.argmin(np.abs(ANGLES - angle % 180))) for angle in (PREFERRED, PREFERRED + 90))
verdict(
    "a simple cell's field has ON and OFF regions, and even light does nothing",
    f"a spot of light excites it at {np.mean(on > 0):.0%} of the pixels of its field, a dark one at "
    f"{np.mean(off > 0):.0%}; "
    f"even light makes {even[0] / simple.max():.1%} of its strongest response. Both together are its "
    f"filter, off by {np.abs(on - off - cell).max():.1g}",
    min(np.mean(on > 0), np.mean(off > 0)) > 0.2
    and even[0] < 1e-3 * simple.max()
    and np.allclose(on - off, cell),
)
curve = simple.max(1)
verdict(
    "it fires at bars of one orientation",
    f"most at {ANGLES[curve.argmax()]}°, as it was built; half as much {width_at_half(curve, 5) / 2:g}° "
    f"away from it, {curve[across] / curve.max():.0%} at right angles",
    ANGLES[curve.argmax()] == PREFERRED and curve[across] < 0.2 * curve.max(),
)
widths = [width_at_half(responses[best], 1) for responses in (simple, complex_)]
curve = complex_.max(1)
verdict(
    "pooling makes a cell that prefers the same orientation, wherever the bar is",
    f"a simple cell fires over {widths[0]:g} pixels, the complex one above it over {widths[1]:g}; it prefers "
    f"{ANGLES[curve.argmax()]}°, with half the response {width_at_half(curve, 5) / 2:g}° away and "
    f"{curve[across] / curve.max():.0%} at right angles",
    widths[1] > 3 * widths[0] and ANGLES[curve.argmax()] == PREFERRED and curve[across] < 0.5 * curve.max(),
)

name, x, y = pictures(4000 if chosen.quick else 20000)
print(f"a network learns {len(x)} images of {name}")
filters = learnt_filters(x, y, 10 if chosen.quick else 8)
learnt, (by_hand, _) = Tuned(filters), selectivity(simple.max(1)[:, None])
draw_filters(filters, learnt)
draw_tuning(learnt)
verdict(
    "a network learns such cells by itself", f"its {learnt}. The cell above: {by_hand[0]:.2f}", bool(learnt)
)
for weights in fc.applications.pretrained_weights("convnetjs_cifar10"):
    kernel = fc.applications.ConvNetJSCifar10(weights=weights.name).parameters[0].value
    tuned = Tuned(kernel.sum(2, keepdims=True))  # white bars are alike in all three colors
    verdict(f"so has {weights.network}, trained on {weights.name}", f"its {tuned}", tuned.more_than_by_chance)
