"""LeNet-5 of 1998: the paper's counts, its first step computed once more, and what trained weights know."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import datasets, losses
from fastconv.applications import LeNet5
from fastconv.applications.digit_bitmaps import DIGIT_BITMAPS
from fastconv.applications.lenet5_1998 import C3_MAPS
from fastconv.models import receptive_field

IMAGES = np.random.default_rng(0).random((5, 28, 28, 1)).astype(np.float32)
LABELS = np.array([3, 0, 9, 9, 1])


def named(model):
    return {layer.name: layer for layer in model.layers}


# ---- counts


def test_parameters_and_connections_are_the_papers():
    layers = named(LeNet5(variant="1998"))
    parameters = {name: layer.count_params() for name, layer in layers.items() if layer.parameters}
    assert parameters == {"C1": 156, "S2": 12, "C3": 1_516, "S4": 32, "C5": 48_120, "F6": 10_164}
    connections = {name: layer.count_connections() for name, layer in layers.items() if layer.weights}
    assert connections == {
        "C1": 122_304, "S2": 5_880, "C3": 151_600, "S4": 2_000, "C5": 48_120, "F6": 10_164, "output": 840
    }  # fmt: skip
    # What the table of connections leaves to multiply: its 1,500 weights at 10 × 10 places.
    assert layers["C3"].count_multiply_adds() == 151_600 - 1_600


def test_in_all_60000_parameters_learn_and_340908_connections():
    model = LeNet5(variant="1998")
    assert sum(parameter.size for parameter in model.parameters) == 60_000
    assert model.count_params() == 60_000 + 840
    assert model.count_connections() == 340_908


def test_the_table_of_c3_is_the_papers():
    table = named(LeNet5(variant="1998"))["C3"].table
    assert table.shape == (6, 16)
    assert table.sum() == 60
    np.testing.assert_array_equal(table.sum(1), 10)  # every map is seen by ten filters
    assert sorted(map(len, C3_MAPS)) == [3] * 6 + [4] * 9 + [6]


def test_shapes_and_names():
    model = LeNet5(variant="1998")
    assert [(name, layer.output_shape) for name, layer in named(model).items()] == [
        ("border", (32, 32, 1)), ("range", (32, 32, 1)), ("C1", (28, 28, 6)), ("S2", (14, 14, 6)),
        ("C3", (10, 10, 16)), ("S4", (5, 5, 16)), ("C5", (1, 1, 120)), (model.layers[7].name, (120,)),
        ("F6", (84,)), ("output", (10,)),
    ]  # fmt: skip


def test_what_the_units_see():
    """C5 sees the whole 32 × 32 input, two pixels past each side of a digit of 28 × 28."""
    model = LeNet5(variant="1998")
    seen = {name: receptive_field(model, name) for name in ("C1", "S2", "C3", "S4", "C5")}
    assert {name: field.size[0] for name, field in seen.items()} == {
        "C1": 5,
        "S2": 6,
        "C3": 14,
        "S4": 16,
        "C5": 32,
    }
    assert seen["C5"].offset == (-2, -2)


def test_the_border_is_background():
    """0 becomes −0.1 and 1 becomes 1.175, in the border of two pixels as well."""
    layers = named(LeNet5(variant="1998"))
    x = np.zeros((1, 28, 28, 1), np.float32)
    x[0, 0, 27] = 1
    y = layers["range"](layers["border"](x))[0, :, :, 0]
    expected = np.full((32, 32), -0.1)
    expected[2, 29] = 1.175
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_images_of_other_sizes():
    assert named(LeNet5((32, 32, 3), variant="1998"))["border"].output_shape == (32, 32, 3)
    assert LeNet5((27, 30, 1), variant="1998").predict(np.zeros((1, 27, 30, 1)), verbose=0).shape == (1, 10)
    with pytest.raises(ValueError, match="up to 32x32"):
        LeNet5((33, 28, 1), variant="1998")
    with pytest.raises(ValueError, match="a bitmap for each of 10 digits; got classes=7"):
        LeNet5(classes=7, variant="1998")
    with pytest.raises(ValueError, match="unknown variant of LeNet5 '1989'"):
        LeNet5(variant="1989")


def test_weights_start_between_plus_and_minus_2_4_over_fan_in():
    fastconv.utils.set_random_seed(3)
    layers = named(LeNet5(variant="1998"))
    fan_in = {"C1": 25, "S2": 4, "S4": 4, "C5": 400, "F6": 120}
    for name, n in fan_in.items():
        for weight in layers[name].parameters:
            assert np.abs(weight.value).max() <= 2.4 / n * (1 + 1e-6), weight.path
    assert np.abs(layers["C5"].kernel.value).max() > 0.999 * 2.4 / 400
    kernel, table = layers["C3"].kernel.value, layers["C3"].table
    filters = np.nonzero(table)[1]
    for k, maps in enumerate(C3_MAPS):
        largest = np.abs(kernel[:, :, filters == k]).max()
        assert 0.9 * 2.4 / (25 * len(maps)) < largest <= 2.4 / (25 * len(maps)) * (1 + 1e-6)
        assert abs(layers["C3"].bias.value[k]) <= 2.4 / (25 * len(maps)) * (1 + 1e-6)


# ---- the first step, once more, in NumPy and double precision


def squash(a):
    return 1.7159 * np.tanh(2 * a / 3)


def patches(x, size):
    """(N, C, H', W', size, size): every window of images (N, C, H, W)."""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))


def loss_of(weights, images, labels, j):
    """The paper's equations, maps first, filter by filter: from weights in the order of the model to E(W)."""
    C1, b1, s2, t2, C3, b3, s4, t4, C5, b5, F6, b6, codes = weights
    x = np.full((len(images), 1, 32, 32), -0.1)
    x[:, 0, 2:30, 2:30] = 1.275 * images[..., 0] - 0.1
    maps = squash(np.einsum("nchwij,ijck->nkhw", patches(x, 5), C1) + b1[:, None, None])
    maps = squash(s2[:, None, None] * subsampled(maps) + t2[:, None, None])

    table = [[k in (c, (c + 5) % 6, (c + 4) % 6) for c in range(6)] for k in range(6)]  # three in a row
    table += [[c in {(k + i) % 6 for i in range(4)} for c in range(6)] for k in range(6)]  # four in a row
    table += [[c in four for c in range(6)] for four in ((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5))]
    table += [[True] * 6]
    order = {place: e for e, place in enumerate((c, k) for c in range(6) for k in range(16) if table[k][c])}
    windows = patches(maps, 5)
    filtered = []
    for k in range(16):
        seen = [c for c in range(6) if table[k][c]]
        filtered.append(
            b3[k] + sum(np.einsum("nhwij,ij->nhw", windows[:, c], C3[:, :, order[c, k]]) for c in seen)
        )
    maps = squash(np.stack(filtered, 1))
    maps = squash(s4[:, None, None] * subsampled(maps) + t4[:, None, None])

    c5 = squash(np.einsum("ncij,ijck->nk", maps, C5) + b5)
    f6 = squash(c5 @ F6 + b6)
    y = ((f6[:, None, :] - codes) ** 2).sum(-1)
    own = y[np.arange(len(y)), labels]
    return np.mean(own + np.log(np.exp(-j) + np.exp(-y).sum(1)))


def subsampled(maps):
    return maps[:, :, ::2, ::2] + maps[:, :, 1::2, ::2] + maps[:, :, ::2, 1::2] + maps[:, :, 1::2, 1::2]


def test_the_first_steps_loss_and_gradients_are_those_of_the_papers_equations():
    fastconv.utils.set_random_seed(1)
    model = LeNet5(variant="1998")
    loss = losses.MaximumAPosteriori()
    y = model.forward(IMAGES, training=True)
    weights = [weight.value.astype(np.float64) for weight in model.weights]
    expected = loss_of(weights, IMAGES.astype(np.float64), LABELS, loss.j)
    # Distances are sums of 84 squares of some 1 each, of states with some 2e-7 of rounding in them.
    assert loss(LABELS, y) == pytest.approx(expected, rel=2e-6)

    model.backward(loss.gradient(LABELS, y))
    random = np.random.default_rng(2)
    step = 1e-6
    for parameter, value in zip(model.weights, weights, strict=True):
        if not parameter.trainable:
            continue
        for index in random.choice(value.size, min(6, value.size), replace=False):
            place = np.unravel_index(index, value.shape)
            slopes = []
            for sign in (1, -1):
                value[place] += sign * step
                slopes.append(loss_of(weights, IMAGES.astype(np.float64), LABELS, loss.j))
                value[place] -= sign * step
            slope = (slopes[0] - slopes[1]) / (2 * step)
            # float32 rounding, relative to the largest element; the differences are good to some 1e-8
            allowed = 1e-5 * np.abs(parameter.grad).max() + 1e-7
            assert abs(parameter.grad[place] - slope) < allowed, (parameter.path, place)


def test_whatever_runs_it_the_outputs_are_the_same():
    fastconv.utils.set_random_seed(1)
    model = LeNet5(variant="1998")
    y = model.predict(IMAGES, verbose=0)
    with fastconv.set_backend("reference"):
        expected = model.forward(IMAGES[:1])
    np.testing.assert_allclose(y[:1], expected, rtol=5e-6)
    model.compile("sgd", "maximum_a_posteriori", metrics=["accuracy"])
    first = {}
    for threads in (1, 2):
        fastconv.utils.set_random_seed(1)
        model = LeNet5(variant="1998")
        model.compile("sgd", "maximum_a_posteriori", metrics=["accuracy"])
        with fastconv.set_num_threads(threads):
            first[threads] = model.fit(np.repeat(IMAGES, 8, 0), np.repeat(LABELS, 8), verbose=0).history
    assert first[1] == first[2]


# ---- the bitmaps


def test_bitmaps_are_ten_different_pictures_of_7_by_12():
    assert DIGIT_BITMAPS.shape == (10, 12, 7)
    assert set(np.unique(DIGIT_BITMAPS)) == {-1, 1}
    codes = DIGIT_BITMAPS.reshape(10, 84)
    different = (codes[:, None] != codes).sum(-1)
    assert (different[~np.eye(10, dtype=bool)] >= 9).all()
    # A one is narrow, an eight has two holes, a seven's last row is one stroke.
    assert (DIGIT_BITMAPS[1, 4:8] == 1).sum() == 4 * 2
    np.testing.assert_array_equal(DIGIT_BITMAPS[8], DIGIT_BITMAPS[8][:, ::-1])
    np.testing.assert_array_equal(DIGIT_BITMAPS[0], DIGIT_BITMAPS[0][::-1])


# ---- trained


@pytest.mark.parametrize(("variant", "least"), [("1998", 0.9905), ("modern", 0.992)])
def test_trained_weights_know_the_test_digits(variant, least):
    try:
        _, (images, labels) = datasets.mnist.load_data()
    except FileNotFoundError:
        pytest.skip("mnist is not on this machine")
    model = LeNet5(variant=variant, weights="mnist")
    model.compile(loss="maximum_a_posteriori" if variant == "1998" else "sparse_categorical_crossentropy",
                  metrics=["accuracy"])  # fmt: skip
    results = model.evaluate(images[..., None] / np.float32(255), labels, verbose=0, return_dict=True)
    assert results["accuracy"] >= least
    [found] = fastconv.applications.pretrained_weights(f"lenet5_{variant}")
    assert found.notes["test accuracy"] == pytest.approx(
        results["accuracy"], abs=2e-4
    )  # on other instructions
    assert found.path.stat().st_size < 300_000
