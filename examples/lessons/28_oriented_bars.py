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
    for responses, name in ((simple, "simple cell"), (complex_, "complex cell")):
        axes[0, 1].plot(ANGLES, responses.max(1) / responses.max(), marker="o", markersize=3, label=name)
        axes[0, 2].plot(OFFSETS, responses[best] / responses.max(), label=name)
    axes[0, 1].set(xlabel="orientation of the bar in degrees", ylabel="response", xticks=range(0, 181, 30))
    axes[0, 1].set_title("tuning curves", fontsize=10)
    axes[0, 2].set(xlabel="place of the bar in pixels from the middle", ylabel="response")
    axes[0, 2].set_title(f"a bar of {PREFERRED}°, moving across", fontsize=10)
    axes[0, 2].legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.42, 0.0))
    save(fig, chosen.out, "28_simple_and_complex_cell")


def draw_spikes(simple: np.ndarray, complex_: np.ndarray, random: np.random.Generator) -> None:
    """The experiment as one sees it: each bar moves across, and the cells fire or do not."""
    fig, axes = figure(height=5.4)
    axis, shown = axes[0, 0], [angle for angle in ANGLES if angle % 30 == 0]
    time = np.linspace(OFFSETS[0], OFFSETS[-1], 160)
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


def network() -> fc.Sequential:
    return fc.Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(16, 7, padding="same", activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, activation="relu", kernel_initializer="he_normal"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


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


def draw_filters(before: np.ndarray, after: np.ndarray) -> None:
    """Filters as they started and as they were learnt, the most selective first, with their preferences."""
    fig, axes = figure(rows=2, columns=8, height=1.75)
    for row, filters, name in zip(axes, (before, after), ("random", "learnt"), strict=True):
        index, angles = selectivity(tuning(filters))
        for axis, k in zip(row, np.argsort(-index), strict=False):
            weights = filters[:, :, 0, k]
            limit = np.abs(weights).max()
            title = f"{name}: {angles[k]:.0f}°, {index[k]:.2f}"
            picture(axis, weights, title, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axis.title.set_fontsize(8)
    fig.suptitle("The eight most selective of 16 filters, preferred orientation and selectivity", fontsize=10)
    save(fig, chosen.out, "28_filters")


def draw_tuning(before: np.ndarray, after: np.ndarray) -> None:
    """Tuning curves of the four most selective filters each, and how selective all of them are."""
    fig, axes = figure(columns=3, height=3.2)
    for axis, filters, name in ((axes[0, 0], before, "random"), (axes[0, 1], after, "learnt")):
        curves = tuning(filters)
        for k in np.argsort(-selectivity(curves)[0])[:4]:
            axis.plot(ANGLES, curves[:, k] / curves[:, k].max(), linestyle="-")
        axis.set(xlabel="orientation in degrees", ylabel="response", ylim=(0, 1.05), xticks=range(0, 181, 30))
        axis.set_title(f"the four most selective, {name}", fontsize=10)
    for filters, name in ((before, "random"), (after, "learnt")):
        axes[0, 2].plot(np.sort(selectivity(tuning(filters))[0])[::-1], marker="o", markersize=3, label=name)
    axes[0, 2].set(xlabel="filter, the most selective first", ylabel="selectivity", ylim=(0, None))
    axes[0, 2].legend(fontsize=8)
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
    "filter, off by "
    f"{np.abs(on - off - cell).max():.1g}",
    min(np.mean(on > 0), np.mean(off > 0)) > 0.2
    and even[0] < 1e-3 * simple.max()
    and np.allclose(on - off, cell),
)
curve = simple.max(1)
verdict(
    "it fires at bars of one orientation",
    f"most at {ANGLES[curve.argmax()]}°, as it was built; half as much {width_at_half(curve, 5) / 2:g}° "
    "away from it, "
    f"{curve[across] / curve.max():.0%} at right angles",
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

data = images(1500 if chosen.quick else 5000, 300)
fc.utils.set_random_seed(chosen.seed)
model = network()
before = model.layers[0].kernel.value.copy()
model.compile("nadam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(data.x, data.y, epochs=4 if chosen.quick else 10, batch_size=32, verbose=0)
right = model.evaluate(data.x_val, data.y_val, verbose=0, return_dict=True)["accuracy"]
after = model.layers[0].kernel.value
draw_filters(before, after)
draw_tuning(before, after)
(index_before, _), (index, angles) = selectivity(tuning(before)), selectivity(tuning(after))
print(
    f"a network that has learnt {data.name} ({right:.1%}): selectivity and preferred orientation of its "
    "filters"
)
print("  " + ", ".join(f"{index[k]:.2f} {angles[k]:.0f}°" for k in np.argsort(-index)) + "\n")
upright = np.abs((angles + 22.5) % 90 - 22.5) < 22.5
verdict(
    "a network learns such cells by itself",
    f"selectivity of its 16 filters, mean and largest: {index.mean():.2f} and {index.max():.2f}; as they "
    "started, at "
    f"random, {index_before.mean():.2f} and {index_before.max():.2f}. (The cell above: "
    f"{selectivity(simple.max(1)[:, None])[0][0]:.2f}.) "
    f"{upright.sum()} of 16 prefer what lies or stands to what leans; by chance it would be 8",
    index.mean() > index_before.mean(),
)
