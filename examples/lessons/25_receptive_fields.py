"""Lesson 25: receptive fields, how much of the image one unit sees, and how much of that counts.

    r_l = r_{l−1} + (k − 1)·j_{l−1},      j_l = j_{l−1}·s,      r_0 = j_0 = 1

r pixels, j apart, are what units see through windows of k that move s at a time. The claims: this formula;
that three layers of 3×3 see as much as one of 7×7, with fewer weights; that strides and pooling make fields
grow faster. As in the experiments on the visual cortex, this lesson finds fields with spots of light: each
pixel alone is lit, and it notes which units answer. Then it asks how much each pixel of a field counts. In
deep stacks it is a Gaussian whose width only grows as the square root of the depth (Luo et al. 2016,
*Understanding the effective receptive field*), so that most of a field hardly matters.

python examples/lessons/25_receptive_fields.py [--image FILE] [--quick] [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
from _figures import figure, save
from _lesson import options, verdict
from _photograph import photograph
from _pictures import frame, picture

import fastconv as fc
from fastconv import layers
from fastconv.models.receptive_field import receptive_field


def seventeen_layers() -> fc.Sequential:
    """[conv–relu–conv–relu–pool]×3–fc–softmax on 32×32×3, ten maps a layer; here relu is part of its conv."""
    stack = [layers.Input((32, 32, 3))]
    for _ in range(3):
        stack += [layers.Conv2D(10, 3, padding="same", activation="relu") for _ in range(2)]
        stack.append(layers.MaxPooling2D(2))
    return fc.Sequential([*stack, layers.Flatten(), layers.Dense(10, activation="softmax")], name="17 layers")


def sliding(model: fc.Sequential) -> list[layers.Layer]:
    """The layers that have maps: convolutions and pooling."""
    return [layer for layer in model.layers if len(layer.output_shape) == 3]


def by_formula(model: fc.Sequential) -> list[tuple[int, int]]:
    """(r, j) of each of these layers: the two equations."""
    r, j, fields = 1, 1, []
    for layer in sliding(model):
        k, s = (getattr(layer, "kernel_size", None) or layer.pool_size)[0], layer.strides[0]
        r, j = r + (k - 1) * j, j * s
        fields.append((r, j))
    return fields


def answers_to_spots(model: fc.Sequential) -> list[np.ndarray]:
    """For each layer, which pixels each unit answers to: (pixels, H, W), true or false.

    All weights are made positive and all biases zero, so that nothing can cancel out; and since all pixels
    but one are dark, that one is the maximum of whatever window it is in. What answers is set to 1 before the
    next layer, so that no answer fades to the size of rounding errors.
    """
    H, W, C = model.input_shape[1:]
    x = np.repeat(np.eye(H * W, dtype=np.float32).reshape(H * W, H, W, 1), C, axis=3)
    answers = []
    for layer in sliding(model):
        for parameter in layer.parameters:
            shape = parameter.value.shape
            parameter.value = np.full(shape, 1 / np.prod(shape[:-1]) if len(shape) > 1 else 0, np.float32)
        x = (layer(x) > 1e-3).astype(np.float32)
        answers.append(x.max(3) > 0)
    return answers


def agree(model: fc.Sequential) -> tuple[int, int]:
    """How many units were looked at, and for how many the spots filled another box than ``box`` says."""
    units = wrong = 0
    H, W = model.input_shape[1:3]
    for layer, answers in zip(sliding(model), answers_to_spots(model), strict=True):
        field = receptive_field(model, layer)
        for i, j in np.ndindex(answers.shape[1:]):
            seen = np.zeros((H, W), bool)
            top, left, bottom, right = field.box(i, j)
            seen[top:bottom, left:right] = True
            wrong += not np.array_equal(seen, answers[:, i, j].reshape(H, W))
            units += 1
    return units, wrong


def draw_boxes(pictures: dict[fc.Sequential, np.ndarray]) -> None:
    """What one unit in the middle of each layer sees of an image."""
    from matplotlib import colormaps

    fig, axes = figure(columns=len(pictures), height=4.3)
    for axis, (model, image) in zip(axes[0], pictures.items(), strict=True):
        picture(axis, image, model.name)
        every = sliding(model)
        for layer, color in zip(every, colormaps["rainbow"](np.linspace(0, 1, len(every))), strict=True):
            field = receptive_field(model, layer)
            top, left, bottom, right = field.box(*(size // 2 for size in field.map_size))
            frame(axis, top, left, bottom - top, right - left, color)
            kind = "conv" if isinstance(layer, layers.Conv2D) else "pool"
            axis.plot([], [], color=color, linestyle="-", label=f"{kind} {field.size[0]}×{field.size[1]}")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, fontsize=9, frameon=False)
    fig.suptitle("What a unit in the middle of each map sees", fontsize=11)
    save(fig, chosen.out, "25_boxes")


def weight_of_pixels(depth: int, seed: int | None, channels: int) -> np.ndarray:
    """How much each pixel of its field counts for one unit of ``depth`` layers of 3×3: its (∂unit/∂pixel)².

    With a ``seed``, He's random weights and ReLU, and a random image; without, all weights are the same, and
    it is ∂unit/∂pixel itself, for these all have the same sign. It adds up to one.
    """
    if seed is not None:
        fc.utils.set_random_seed(seed)
    size = 2 * depth + 1
    activations = ["relu"] * (depth - 1) + [None] if seed is not None else [None] * depth
    start = "he_normal" if seed is not None else "ones"
    model = fc.Sequential([
        layers.Input((size, size, 1)),
        *(layers.Conv2D(channels, 3, activation=name, kernel_initializer=start) for name in activations),
    ])  # fmt: skip
    if seed is None:
        for parameter in model.parameters:
            parameter.value = parameter.value / (9 * channels)  # else it overflows
    x = np.random.default_rng(seed).standard_normal((1, size, size, 1)).astype(np.float32)
    y = model.forward(x, training=True)
    unit = np.zeros_like(y)
    unit[0, 0, 0, 0] = 1
    gradient = model.backward(unit, input_gradient=True)[0, :, :, 0].astype(np.float64)
    counts = gradient if seed is None else gradient**2
    return counts / counts.sum()


def width(counts: np.ndarray) -> float:
    """The standard deviation along one axis, in pixels."""
    profile, place = counts.sum(0), np.arange(len(counts)) - len(counts) // 2
    return float(np.sqrt((profile * place**2).sum() - (profile * place).sum() ** 2))


def draw_effective(maps: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
    """Fields with what counts in them, their profiles, and their widths."""
    fig, axes = figure(rows=2, columns=len(maps), height=2.7)
    for column, (depth, (_, random)) in zip(axes.T, maps.items(), strict=True):
        picture(column[0], np.sqrt(random), f"{depth} layers: sees {len(random)}×{len(random)}", cmap="magma")
        column[0].add_patch(_circle(len(random) // 2, 2 * np.sqrt(2 * depth / 3)))
        place, sigma = np.arange(len(random)) - len(random) // 2, np.sqrt(2 * depth / 3)
        normal = np.exp(-(place**2) / (2 * sigma**2)) / np.sqrt(2 * np.pi * sigma**2)
        column[1].plot(place, random.sum(0), linestyle="-", label="measured")
        column[1].plot(place, normal, label="σ = √(2L/3)")
        column[1].set(xlabel="column", xlim=(place[0], place[-1]), ylim=(0, None))
    axes[1, 0].set_ylabel("share of what counts")
    axes[1, -1].legend(fontsize=7, loc="upper right")
    save(fig, chosen.out, "25_effective_fields")


def _circle(centre: float, radius: float):
    from matplotlib.patches import Circle

    return Circle((centre, centre), radius, fill=False, edgecolor="white", linestyle="--", linewidth=1)


def thumbnail(image: np.ndarray, size: int) -> np.ndarray:
    """The upper left square of an image, as size×size means of blocks."""
    block = min(image.shape) // size
    square = image[: size * block, : size * block]
    return square.reshape(size, block, size, block).mean((1, 3))


chosen = options(__doc__, image=True)
photo = photograph(chosen.image, 300)
(digits, _), _ = fc.datasets.digits.load_data()
lenet, seventeen, fashion = fc.applications.LeNet5(), seventeen_layers(), fc.applications.FashionCNN()
draw_boxes({lenet: 255 - digits[0], seventeen: thumbnail(photo, 32), fashion: thumbnail(photo, 28)})

same_numbers = True
for model in (lenet, seventeen, fashion):
    print(f"\n{model.name:22}{'map':>8}{'r':>5}{'j':>4}  first pixel of unit (0, 0)")
    for layer, formula in zip(sliding(model), by_formula(model), strict=True):
        field = receptive_field(model, layer)
        same_numbers &= formula == (field.size[0], field.stride[0])
        map_size = "×".join(map(str, field.map_size))
        print(f"  {layer.name:20}{map_size:>8}{formula[0]:5}{formula[1]:4}{field.offset[0]:6}")
print()
looked_at = [agree(model) for model in (lenet, seventeen)]
verdict(
    "r_l = r_{l−1} + (k − 1)·j_{l−1}",
    f"receptive_field says {'the same' if same_numbers else 'something else'} for all layers of three "
    "networks. Spots "
    f"of light: of {sum(units for units, _ in looked_at)} units of two of them, cut off at the border or "
    f"not, {sum(wrong for _, wrong in looked_at)} answer to other pixels than it says",
    same_numbers and not any(wrong for _, wrong in looked_at),
)
C = 64
threes = fc.Sequential([layers.Input((28, 28, C)), *(layers.Conv2D(C, 3, use_bias=False) for _ in range(3))])
seven = fc.Sequential([layers.Input((28, 28, C)), layers.Conv2D(C, 7, use_bias=False)])
sizes = [receptive_field(model, model.layers[-1]).size[0] for model in (threes, seven)]
verdict(
    "three layers of 3×3 see as much as one of 7×7, with fewer weights",
    f"they see {sizes[0]}×{sizes[0]} and {sizes[1]}×{sizes[1]}; with {C} channels they have "
    f"{threes.count_params():,} and {seven.count_params():,} weights, 27/49",
    sizes[0] == sizes[1] == 7 and threes.count_params() * 49 == seven.count_params() * 27,
)
grown = [receptive_field(seventeen, layer).size[0] for layer in sliding(seventeen)]
print(
    f"17 layers: r grows {' → '.join(map(str, [1, *grown]))}; without pooling six layers of 3×3 would see "
    "13×13\n"
)

depths = (5, 10) if chosen.quick else (5, 10, 20, 40)
seeds = range(chosen.seed, chosen.seed + (10 if chosen.quick else 20))
maps = {
    depth: (
        weight_of_pixels(depth, None, 1),
        np.mean([weight_of_pixels(depth, seed, 16) for seed in seeds], axis=0),
    )
    for depth in depths
}
draw_effective(maps)
print(
    f"{'layers':>8}{'field':>8}{'σ = √(2L/3)':>14}{'equal weights':>15}{'random, ReLU':>14}{'within ±2σ':>12}"
)
within = {}
for depth, (equal, random) in maps.items():
    sigma, middle = np.sqrt(2 * depth / 3), len(random) // 2
    reach = int(2 * sigma)
    within[depth] = random[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1].sum()
    print(
        f"{depth:8}{len(random):8}{sigma:14.2f}{width(equal):15.2f}{width(random):14.2f}{within[depth]:12.1%}"
    )
print()
last = depths[-1]
equal, random = maps[last]
area = (2 * int(2 * np.sqrt(2 * last / 3)) + 1) ** 2 / len(random) ** 2
verdict(
    "a unit uses all of its field",
    f"{last} layers of 3×3 see {len(random)}×{len(random)} pixels, but {within[last]:.0%} of what counts "
    f"is in {area:.0%} of the area, the middle",
    within[last] < 1.5 * area,
)
verdict(
    "what counts is a Gaussian whose width grows as the square root of the depth",
    f"from {depths[0]} to {last} layers, {last / depths[0]:g} times as many, σ grows by "
    f"{width(random) / width(maps[depths[0]][1]):.2f} with random weights and ReLU, by "
    f"{width(equal) / width(maps[depths[0]][0]):.2f} with equal ones; the root of {last / depths[0]:g} is "
    f"{np.sqrt(last / depths[0]):.2f}",
    abs(width(random) / width(maps[depths[0]][1]) / np.sqrt(last / depths[0]) - 1) < 0.15,
)
