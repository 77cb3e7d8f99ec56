"""Saliency and occlusion maps: the numbers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import fastconv
from fastconv import layers
from fastconv.models import Sequential
from fastconv.visualize import occlusion, saliency


def classifier(top: list[layers.Layer] | None = None, channels: int = 3) -> Sequential:
    weights = np.random.default_rng(0)
    model = Sequential([
        layers.Input((9, 8, channels)),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.5),
        *([layers.Dense(4, activation="softmax")] if top is None else top),
    ])  # fmt: skip
    model.set_weights([weights.normal(size=weight.shape) / 2 for weight in model.weights])
    return model


def some_images(n: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, 9, 8, channels)).astype(np.float32)


# ---- saliency


@pytest.mark.parametrize("channels", [1, 3])
def test_saliency_is_the_slope_of_the_score_before_softmax(channels):
    """Against central differences of the logits in float64."""
    model, x = classifier(channels=channels), some_images(2, channels)
    logits = classifier([layers.Dense(4)], channels)
    with fastconv.set_backend("reference"):
        heat = saliency(model, x, label=[3, 1])
        for n, i, j in ((0, 4, 4), (1, 0, 7), (0, 8, 0)):
            slopes = []
            for c in range(channels):
                ends = []
                for step in (1e-6, -1e-6):
                    moved = x[n : n + 1].astype(np.float64)
                    moved[0, i, j, c] += step
                    ends.append(logits.forward(moved)[0, (3, 1)[n]])
                slopes.append(abs(ends[0] - ends[1]) / 2e-6)
            assert heat[n, i, j] == pytest.approx(max(slopes), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "top",
    [
        [layers.Dense(4, activation="softmax")],
        [layers.Dense(4, activation="sigmoid")],
        [layers.Dense(4, activation="log_softmax")],
        [layers.Dense(4), layers.Softmax()],
        [layers.Dense(4), layers.Activation("softmax")],
        [Sequential([layers.Dense(4, activation="softmax")])],
    ],
    ids=["softmax", "sigmoid", "log_softmax", "Softmax", "Activation", "a model on top"],
)
def test_whatever_makes_probabilities_of_the_scores_does_not_count(top):
    x = some_images(3)
    expected = saliency(classifier([layers.Dense(4)]), x, label=2)
    np.testing.assert_array_equal(saliency(classifier(top), x, label=2), expected)


def test_shapes_labels_and_layouts():
    model, x = classifier(), some_images(5)
    maps = saliency(model, x)
    assert maps.shape == (5, 9, 8)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    np.testing.assert_array_equal(maps, saliency(model, x, label=model.predict(x, verbose=0).argmax(1)))
    one = saliency(model, x[2])
    assert one.shape == (9, 8)
    np.testing.assert_allclose(one, maps[2], rtol=1e-5, atol=1e-6)
    assert not np.array_equal(saliency(model, x, label=0), saliency(model, x, label=1))
    np.testing.assert_array_equal(saliency(model, np.asfortranarray(x, np.float64)), maps)
    np.testing.assert_allclose(saliency(model, x, batch_size=2), maps, rtol=1e-5, atol=1e-6)
    assert saliency(model, x[:0]).shape == (0, 9, 8)
    assert saliency(model, x, mode="guided").shape == (5, 9, 8)


def test_where_the_outputs_are_distances_the_smallest_is_the_answer():
    model = classifier([layers.Dense(5, activation="scaled_tanh"), layers.RBF(4)])
    x = some_images(6)
    answers = model.predict(x, verbose=0).argmin(axis=1)
    np.testing.assert_array_equal(saliency(model, x), saliency(model, x, label=answers))
    np.testing.assert_array_equal(occlusion(model, x, 3, 3), occlusion(model, x, 3, 3, label=answers))


def test_smoothgrad():
    model, x = classifier(), some_images(3)
    plain = saliency(model, x)
    np.testing.assert_allclose(saliency(model, x, samples=4, noise=0), plain, rtol=1e-5, atol=1e-7)
    noisy = saliency(model, x, samples=8, seed=3)
    assert not np.allclose(noisy, plain)
    np.testing.assert_array_equal(noisy, saliency(model, x, samples=8, seed=3))
    np.testing.assert_allclose(
        noisy, saliency(model, x, samples=8, seed=3, batch_size=1), rtol=1e-4, atol=1e-5
    )
    assert not np.array_equal(noisy, saliency(model, x, samples=8, seed=4))

    # it is the size of the mean gradient, over copies that one can make oneself
    label = int(model.predict(x[:1], verbose=0).argmax())
    random, gradients = np.random.default_rng(3), []
    logits = Sequential([*model.layers[:-1], layers.Dense(4)])
    logits.layers[-1].set_weights(model.layers[-1].get_weights())
    for _ in range(8):
        copy_ = x[:1] + 0.15 * (x[0].max() - x[0].min()) * random.standard_normal((9, 8, 3))
        logits.forward(copy_)
        gradients.append(logits.backward(np.eye(4, dtype=np.float32)[[label]], input_gradient=True)[0])
    np.testing.assert_allclose(noisy[0], np.abs(np.mean(gradients, axis=0)).max(-1), rtol=1e-4, atol=1e-5)


def test_what_saliency_refuses():
    model, x = classifier(), some_images(3)
    with pytest.raises(ValueError, match="has the classes 0 to 3, got label="):
        saliency(model, x, label=4)
    with pytest.raises(ValueError, match="label must be a whole number"):
        saliency(model, x, label=[0, 1])
    with pytest.raises(ValueError, match="unknown mode 'smooth'"):
        saliency(model, x, mode="smooth")
    with pytest.raises(ValueError, match="noise must be a number, not negative"):
        saliency(model, x, samples=2, noise=-1)
    with pytest.raises(ValueError, match="samples must be a whole number, at least 0"):
        saliency(model, x, samples=-1)
    with pytest.raises(ValueError, match="expects input"):
        saliency(model, x[..., :2])
    with pytest.raises(ValueError, match=r"are not class scores \(N, classes\)"):
        saliency(Sequential([layers.Input((9, 8, 3)), layers.Conv2D(2, 3)]), x)
    x[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="image 1 has NaN"):
        saliency(model, x, batch_size=1)


@pytest.mark.parametrize("look", [saliency, occlusion])
def test_a_model_without_weights_gets_none(look):
    model = Sequential([layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="has no weights yet"):
        look(model, some_images(1))
    assert not model.built
    with pytest.raises(TypeError, match="must be a Sequential or another Model"):
        look(layers.Dense(2), some_images(1))


def test_looking_changes_nothing():
    model, x = classifier(), some_images(2)
    before = copy.deepcopy(model)
    saliency(model, x, samples=2)
    occlusion(model, x, 3, 3)
    for ours, theirs in zip(model.weights, before.weights, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)
        np.testing.assert_array_equal(ours.grad, theirs.grad)
    assert model.random_state() == before.random_state()


# ---- occlusion


def covered_by_hand(model, image, top, left, size, color, label):
    image = image.copy()
    for i in range(max(top, 0), min(top + size[0], image.shape[0])):
        for j in range(max(left, 0), min(left + size[1], image.shape[1])):
            image[i, j] = color
    return model.predict(image[None], verbose=0)[0, label]


@pytest.mark.parametrize(
    ("size", "stride", "corner"),
    # Where the first rectangle begins: its middle is upon the middle of the first ``stride`` pixels.
    [(3, 1, (-1, -1)), ((2, 4), (2, 3), (0, -1)), (1, 1, (0, 0)), (5, 3, (-1, -1)), ((9, 8), (9, 8), (0, 0))],
)
def test_occlusion_by_hand(size, stride, corner):
    model, [image] = classifier(), some_images(1)
    heat = occlusion(model, image, size, stride, label=2, batch_size=7)
    h, w = (size, size) if isinstance(size, int) else size
    down, right = (stride, stride) if isinstance(stride, int) else stride
    assert heat.shape == (-(-9 // down), -(-8 // right))
    color = image.mean(axis=(0, 1))
    for i in range(heat.shape[0]):
        for j in range(heat.shape[1]):
            top, left = corner[0] + i * down, corner[1] + j * right
            expected = covered_by_hand(model, image, top, left, (h, w), color, 2)
            assert heat[i, j] == pytest.approx(expected, rel=1e-4)


def test_fill_and_labels():
    model, x = classifier(), some_images(3)
    maps = occlusion(model, x, 3, 2, fill=0.5)
    assert maps.shape == (3, 5, 4)
    labels = model.predict(x, verbose=0).argmax(1)
    for n, label in enumerate(labels):
        expected = occlusion(model, x[n], 3, 2, fill=[0.5, 0.5, 0.5], label=label)
        np.testing.assert_array_equal(maps[n], expected)
    assert occlusion(model, x[:0], 3).shape == (0, 9, 8)
    # what is of one color already cannot be covered
    plain = np.full((9, 8, 3), 0.25, np.float32)
    heat = occlusion(model, plain, 3)
    np.testing.assert_allclose(heat, model.predict(plain[None], verbose=0).max(), rtol=1e-5)


def test_the_dark_place_is_where_the_evidence_is():
    """The score of class 1 is the brightness of one pixel."""
    model = Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    kernel = np.zeros((64, 2))
    kernel[8 * 5 + 2, 1] = 10
    model.set_weights([kernel, np.zeros(2)])
    image = np.zeros((8, 8, 1))
    image[5, 2] = 1
    heat = occlusion(model, image, 3, fill=0)
    assert np.argwhere(heat < 0.6).tolist() == [[i, j] for i in (4, 5, 6) for j in (1, 2, 3)]
    assert heat.max() > 0.99
    assert np.unravel_index(saliency(model, image).argmax(), (8, 8)) == (5, 2)


def test_what_occlusion_refuses():
    model, x = classifier(), some_images(3)
    for arguments, message in (
        ({"size": 0}, "size must be a whole number or a pair"),
        ({"stride": 0}, "stride must be a whole number or a pair"),
        ({"fill": [1, 2]}, "fill must be a number, or one for each of 3 channels"),
        ({"label": 9}, "has the classes 0 to 3"),
        ({"batch_size": 0}, "batch_size must be"),
    ):
        with pytest.raises(ValueError, match=message):
            occlusion(model, x, **arguments)
    x[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match="image 2"):
        occlusion(model, x, 3, 3)
