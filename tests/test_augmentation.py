"""Layers that change images at random: what they do beside Keras, how often, when not, and backward."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from golden_cases import golden
from kernels import THREADS

import fastconv
from fastconv import layers, utils
from fastconv.models import Sequential, load_model

SEED = 5


def images(N=3, H=6, W=5, C=2):
    return np.random.default_rng(1).random((N, H, W, C), np.float32)


RANDOM = {
    "RandomFlip": lambda **o: layers.RandomFlip("horizontal", **o),
    "RandomTranslation": lambda **o: layers.RandomTranslation(0.3, (-0.2, 0.4), **o),
    "RandomRotation": lambda **o: layers.RandomRotation(0.2, **o),
    "RandomZoom": lambda **o: layers.RandomZoom(0.3, 0.2, **o),
    "RandomCrop": lambda **o: layers.RandomCrop(4, 3, **o),
    "RandomContrast": lambda **o: layers.RandomContrast(0.5, (0.1, 0.9), **o),
    "RandomBrightness": lambda **o: layers.RandomBrightness(0.5, (0.1, 0.9), **o),
}
SAME_SIZE = [name for name in RANDOM if name != "RandomCrop"]


# ---- beside Keras

AFFINE = ["RandomRotation", "RandomTranslation", "RandomZoom"]


def assert_keras(layer, case):
    y = layer(case["x"], training=True)
    assert y.dtype == np.float32
    # Keras finds places in float32: up to 1e-6 pixels off, among pixels that differ by up to 4.
    np.testing.assert_allclose(y, case["y"], rtol=1e-5, atol=2e-5)


@golden("RandomRotation", "images")
def test_rotations_are_keras(case):
    assert_keras(layers.RandomRotation(**case.arguments), case)


@golden("RandomTranslation", "images")
def test_translations_are_keras(case):
    assert_keras(layers.RandomTranslation(**case.arguments), case)


@golden("RandomZoom", "images")
def test_zooms_are_keras(case):
    assert_keras(layers.RandomZoom(**case.arguments), case)


@golden("RandomBrightness", "images")
def test_brightness_is_keras(case):
    assert_keras(layers.RandomBrightness(**case.arguments), case)


@golden("RandomContrast", "images")
def test_contrast_is_keras(case):
    layer = layers.RandomContrast(**case.arguments)
    np.testing.assert_allclose(layer.apply(case["x"], case["contrast_factor"]), case["y"], rtol=1e-5)


@golden("RandomFlip", "images")
def test_flips_are_keras(case):
    layer = layers.RandomFlip(**case.arguments)
    np.testing.assert_array_equal(layer.apply(case["x"], case["flips"].ravel()), case["y"])


@golden("CenterCrop", "images")
def test_center_crops_are_keras(case):
    assert_keras(layers.CenterCrop(**case.arguments), case)


@golden("Resizing", "images")
def test_resizing_is_keras(case):
    assert_keras(layers.Resizing(**case.arguments), case)


@pytest.mark.parametrize("training", [True, False])
def test_crops_of_images_that_are_too_small_are_their_middle_resized(training):
    x = images(2, 4, 6)
    cropped = layers.RandomCrop(8, 5)(x, training=training)
    np.testing.assert_array_equal(cropped, layers.CenterCrop(8, 5)(x))


# ---- by hand


def test_positive_is_down_right_counter_clockwise_and_further_away():
    x = images(2, 6, 6)
    moved = layers.RandomTranslation((1 / 6, 1 / 6), (1 / 3, 1 / 3), "constant")(x)
    np.testing.assert_allclose(moved[:, 1:, 2:], x[:, :-1, :-2], atol=1e-6)
    assert not moved[:, 0].any()
    assert not moved[:, :, :2].any()
    turned = layers.RandomRotation((0.25, 0.25))(x)
    np.testing.assert_allclose(turned, np.rot90(x, 1, (1, 2)), atol=1e-6)
    smaller = layers.RandomZoom((1, 1), fill_mode="constant")(np.ones((1, 8, 8, 1)))[0, ..., 0]
    expected = np.zeros((8, 8))
    expected[2:6, 2:6] = 1
    expected[[1, 6], 2:6] = expected[2:6, [[1], [6]]] = 0  # whole pixels: 2 · 2 − 3.5 = 0.5, and so on
    np.testing.assert_array_equal(smaller, expected)


def test_flips_mirror_both_ways_at_once_as_keras_does():
    x = images(60)
    y = layers.RandomFlip(seed=1)(x)
    turned = x[:, ::-1, ::-1]
    as_is = (y == x).all((1, 2, 3))
    np.testing.assert_array_equal(y[~as_is], turned[~as_is])
    assert 0 < as_is.sum() < 60


# ---- the dice


def test_half_of_the_images_are_flipped():
    x = images(4000, 2, 2, 1)
    flipped = (layers.RandomFlip("horizontal", seed=SEED)(x) != x).any((1, 2, 3))
    assert flipped.mean() == pytest.approx(0.5, abs=4 * 0.0079)  # √(½·½/4000) = 0.0079


def turns(maps):
    return np.arctan2(maps[:, 3], maps[:, 0]) / (2 * np.pi)


@pytest.mark.parametrize(
    ("layer", "drawn_from", "lower", "upper"),
    [
        (layers.RandomRotation(0.1, seed=SEED), turns, -0.1, 0.1),
        (layers.RandomRotation((0.1, 0.3), seed=SEED), turns, 0.1, 0.3),
        (layers.RandomTranslation(0.2, 0.1, seed=SEED), lambda t: -t[:, 5] / 10, -0.2, 0.2),
        (layers.RandomTranslation(0.2, 0.1, seed=SEED), lambda t: -t[:, 2] / 20, -0.1, 0.1),
        (layers.RandomTranslation(0.2, (0.4, -0.1), seed=SEED), lambda t: -t[:, 2] / 20, -0.1, 0.4),
        (layers.RandomZoom(0.2, 0.5, seed=SEED), lambda t: t[:, 4] - 1, -0.2, 0.2),
        (layers.RandomZoom(0.2, 0.5, seed=SEED), lambda t: t[:, 0] - 1, -0.5, 0.5),
        (layers.RandomBrightness(0.3, (0, 2), seed=SEED), lambda d: d.ravel() / 2, -0.3, 0.3),
        (layers.RandomContrast(0.4, seed=SEED), lambda d: d.ravel(), 0.6, 1.4),
        (layers.RandomContrast((0.1, 0.6), seed=SEED), lambda d: d.ravel(), 0.9, 1.6),
    ],
)  # fmt: skip
def test_factors_are_uniform_in_their_range(layer, drawn_from, lower, upper):
    N = 4000
    (drawn,) = layer.roll((N, 10, 20, 1), np.random.default_rng(SEED))
    numbers = drawn_from(drawn)
    width = upper - lower
    assert lower <= numbers.min() < lower + 0.01 * width  # misses with probability 0.99^4000
    assert upper - 0.01 * width < numbers.max() <= upper + 1e-12
    # deviations of the mean and of the variance: width √(1/12 / N), width² √(1/180 / N)
    assert numbers.mean() == pytest.approx((lower + upper) / 2, abs=4 * width * np.sqrt(1 / 12 / N))
    assert numbers.var() == pytest.approx(width**2 / 12, abs=4 * width**2 * np.sqrt(1 / 180 / N))
    assert len(set(numbers)) == N  # each image its own


def test_zoom_keeps_proportions_unless_told_otherwise():
    (maps,) = layers.RandomZoom(0.3).roll((50, 8, 9, 1), np.random.default_rng(0))
    np.testing.assert_array_equal(maps[:, 0], maps[:, 4])
    (maps,) = layers.RandomZoom(0.3, 0.3).roll((50, 8, 9, 1), np.random.default_rng(0))
    assert (maps[:, 0] != maps[:, 4]).all()


def test_crops_come_from_everywhere_and_are_the_same_in_a_batch():
    x = np.arange(5 * 4, dtype=np.float32).reshape(1, 5, 4, 1)
    layer = layers.RandomCrop(3, 3, seed=SEED)
    corners = [int(layer(x)[0, 0, 0, 0]) for _ in range(200)]
    assert set(corners) == {0, 1, 4, 5, 8, 9}
    assert min(map(corners.count, set(corners))) > 10  # 33 expected, deviation 5
    batch = layers.RandomCrop(3, 3)(np.concatenate([x, x + 100]))
    np.testing.assert_array_equal(batch[1], batch[0] + 100)
    assert layers.RandomCrop(5, 2, seed=0)(x).shape == (1, 5, 2, 1)  # no room in one direction


# ---- at rest, and in models


@pytest.mark.parametrize("name", SAME_SIZE)
def test_at_rest_nothing_happens(name):
    layer, x = RANDOM[name](seed=SEED), images(20)
    assert layer.forward(x) is x
    assert (layer(x) != x).any()  # by itself it is at work, as in Keras
    assert (layer(x, training=True) != x).any()
    np.testing.assert_array_equal(layer(x, training=False), x)
    assert layer.compute_output_shape((6, 5, 2)) == (6, 5, 2)


def test_at_rest_a_crop_is_the_middle():
    x, layer = images(2, 8, 6), layers.RandomCrop(4, 3)
    np.testing.assert_array_equal(layer.forward(x), x[:, 2:6, 1:4])
    np.testing.assert_array_equal(layer.forward(x), layers.CenterCrop(4, 3)(x))
    assert layer.compute_output_shape((8, 6, 2)) == (4, 3, 2)


def test_in_a_model_they_train_and_predict():
    utils.set_random_seed(0)
    model = Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomRotation(0.05),
            layers.RandomZoom(0.1),
            layers.RandomCrop(6, 6),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = images(20, 8, 8, 1), np.arange(20) % 2
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_data=(x, y))
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))
    bare = Sequential([layers.CenterCrop(6, 6), *model.layers[5:]])
    np.testing.assert_allclose(bare.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_repeats_everything_on_any_number_of_threads(name):
    x, found = images(300, 16, 16, 3), set()
    for threads in THREADS:
        with fastconv.set_num_threads(threads):
            layer = RANDOM[name](seed=SEED)
            found.add(b"".join(layer(x).tobytes() for _ in range(2)))
    assert len(found) == 1
    assert RANDOM[name](seed=SEED + 1)(x).tobytes() != RANDOM[name](seed=SEED)(x).tobytes()
    utils.set_random_seed(3)
    first = RANDOM[name]()(x)
    utils.set_random_seed(3)
    np.testing.assert_array_equal(RANDOM[name]()(x), first)


@pytest.mark.parametrize("name", RANDOM)
def test_a_layer_goes_on_rolling(name):
    layer, x = RANDOM[name](seed=SEED), images(30, 16, 16)
    assert len({layer(x).tobytes() for _ in range(3)}) == 3


@pytest.mark.parametrize("name", RANDOM)
def test_the_reference_does_the_same(name):
    x = images()
    native = RANDOM[name](seed=SEED)(x)
    with fastconv.set_backend("reference"):
        exact = RANDOM[name](seed=SEED)(x)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(native, exact, atol=1e-5)  # places in float32


# ---- backward


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect", "wrap"])
@pytest.mark.parametrize("name", AFFINE)
def test_gradients_of_affine_layers(name, fill_mode, interpolation):
    check_gradient(RANDOM[name](seed=SEED, fill_mode=fill_mode, interpolation=interpolation, fill_value=0.5))


@pytest.mark.parametrize("name", [name for name in RANDOM if name not in AFFINE])
def test_gradients_of_the_others(name):
    check_gradient(RANDOM[name](seed=SEED))


@pytest.mark.parametrize("size", [(4, 3), (6, 5), (9, 4), (2, 7)])
def test_gradients_of_crops_and_sizes(size):
    check_gradient(layers.CenterCrop(*size))
    check_gradient(layers.Resizing(*size))
    check_gradient(layers.Resizing(*size, interpolation="nearest", crop_to_aspect_ratio=True))


def check_gradient(layer):
    """Central differences, with the dice where they fell."""
    with fastconv.set_backend("reference"):
        random = np.random.default_rng(0)
        x = random.random((2, 6, 5, 2))

        def forward(x):
            again = copy.deepcopy(layer)
            return again, again.forward(x, training=True)

        used, y = forward(x)
        if hasattr(layer, "value_range"):
            assert np.isin(y, layer.value_range).any()  # some are clipped
        dy = random.normal(size=y.shape)
        dx = used.backward(dy)
        direction, h = random.normal(size=x.shape), 1e-6
        slope = ((forward(x + h * direction)[1] - forward(x - h * direction)[1]) * dy).sum() / (2 * h)
        # In h the layers are linear but where a pixel begins to be clipped; rounding is 1e-16 / h.
        np.testing.assert_allclose((dx * direction).sum(), slope, rtol=1e-6, atol=1e-8)
        assert used.backward(dy, input_gradient=False) is None


@pytest.mark.parametrize("name", SAME_SIZE)
def test_gradients_at_rest_pass(name):
    layer, x = RANDOM[name](), images()
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_a_layer_below_can_learn():
    utils.set_random_seed(0)
    model = Sequential([layers.Conv2D(2, 3), layers.RandomRotation(0.1), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = images(8, 6, 6, 1)
    model.train_on_batch(x, np.zeros(8))
    assert all(parameter.grad.any() for parameter in model.parameters)


# ---- arguments


ALL = {
    **{name: make(seed=3) for name, make in RANDOM.items()},
    "RandomZoom without width": layers.RandomZoom((-0.1, 0.2), fill_mode="wrap", interpolation="nearest"),
    "CenterCrop": layers.CenterCrop(3, 4),
    "Resizing": layers.Resizing(3, 4, "nearest", crop_to_aspect_ratio=True),
}


@pytest.mark.parametrize("layer", ALL.values(), ids=ALL)
def test_configurations_survive_json_and_files(layer, tmp_path):
    layer = type(layer).from_config(layer.get_config())
    written = json.dumps(layers.serialize(layer))
    restored = layers.deserialize(json.loads(written))
    assert json.dumps(layers.serialize(restored)) == written
    x = images()
    if getattr(layer, "seed", 0) is not None:
        np.testing.assert_array_equal(restored.forward(x, training=True), layer.forward(x, training=True))
    model = Sequential([layers.Input((6, 5, 2)), layer, layers.Flatten(), layers.Dense(1)])
    model.save(tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_copy_rolls_the_same_dice():
    layer, x = layers.RandomRotation(0.3, seed=1), images()
    layer(x)
    copied = copy.deepcopy(layer)
    np.testing.assert_array_equal(copied(x), layer(x))


@pytest.mark.parametrize("name", RANDOM)
def test_any_batch_will_do(name):
    layer = RANDOM[name](seed=1)
    assert len(layer(images(0))) == 0
    assert layer(images(1, 16, 16, 17)).shape[-1] == 17
    flipped = images().astype(np.float64)[:, ::-1]
    flipped.flags.writeable = False
    np.testing.assert_array_equal(
        RANDOM[name](seed=1)(flipped), RANDOM[name](seed=1)(np.float32(flipped.copy()))
    )
    bytes_ = (255 * images()).astype(np.uint8)
    assert RANDOM[name]()(bytes_).dtype == np.float32


def test_an_image_of_one_pixel():
    x = np.full((2, 1, 1, 1), 0.5, np.float32)
    for name in ("RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomContrast"):
        np.testing.assert_allclose(RANDOM[name](seed=1)(x), x, rtol=1e-6)
    assert layers.RandomCrop(4, 3)(x).shape == (2, 4, 3, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomFlip("horizontl"), "RandomFlip mode 'horizontl'; did you mean 'horizontal'"),
        (lambda: layers.RandomFlip(data_format="channels_first"), "channels_first.*is not supported"),
        (lambda: layers.RandomTranslation(1.5, 0), r"RandomTranslation: height_factor .* -1 to 1; got 1.5"),
        (lambda: layers.RandomTranslation(0, (0, 1, 2)), r"width_factor must be a number or a pair"),
        (lambda: layers.RandomTranslation(0, "much"), r"width_factor must be .*; got 'much'"),
        (lambda: layers.RandomTranslation(0.1, 0.1, "mirror"), "RandomTranslation fill_mode 'mirror'"),
        (lambda: layers.RandomRotation(0.1, interpolation="cubic"), "RandomRotation interpolation 'cubic'"),
        (lambda: layers.RandomRotation((0, 2)), r"RandomRotation: factor must be .*; got \(0, 2\)"),
        (lambda: layers.RandomZoom(-1), r"RandomZoom: height_factor .* from -1 \(exclusive\) to 1; got -1"),
        (lambda: layers.RandomZoom(0.1, np.nan), r"RandomZoom: width_factor .*; got nan"),
        (lambda: layers.RandomContrast(-0.1), r"RandomContrast: factor .* from 0 to 1; got -0.1"),
        (lambda: layers.RandomContrast(0.1, 255), "RandomContrast: value_range must be two numbers"),
        (lambda: layers.RandomBrightness(2), r"RandomBrightness: factor .*; got 2"),
        (lambda: layers.RandomBrightness(0.1, (0, 1, 2)), r"must be two numbers, got \(0, 1, 2\)"),
        (lambda: layers.RandomCrop(0, 3), "RandomCrop: height must be .*, at least 1; got 0"),
        (lambda: layers.CenterCrop(3, 2.5), r"CenterCrop: width must be a whole number.*2\.5"),
        (lambda: layers.Resizing(3, 3, "bicubic"), "'bicubic' is not supported yet; use \"bilinear\""),
        (lambda: layers.Resizing(3, 3, "bilinaer"), "did you mean 'bilinear'"),
        (lambda: layers.Resizing(3, 3, antialias=True), "Resizing: .*'antialias' is not supported"),
        (lambda: layers.Resizing(3, 3, pad_to_aspect_ratio=True), "'pad_to_aspect_ratio' is not supported"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", ALL.values(), ids=ALL)
def test_images_come_in_batches(layer):
    with pytest.raises(ValueError, match=rf"{type(layer).__name__} .*expects input \(N, H, W, C\)"):
        layer(np.zeros((6, 5)))
