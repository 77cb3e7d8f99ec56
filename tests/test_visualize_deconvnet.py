"""Deconvnet: by loops, against the gradient, inside the receptive field, and what it refuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

import fastconv
from fastconv import layers
from fastconv.models import Sequential
from fastconv.models.receptive_field import receptive_field
from fastconv.visualize import MODES, deconvnet


def random_images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def with_random_weights(model: Sequential, seed: int = 1) -> Sequential:
    """Biases and moving averages too, so that nothing is 0 or 1 by chance; variances stay positive."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        shape = weight.shape
        positive = weight.name == "moving_variance"
        weight.value = random.uniform(0.5, 2, shape) if positive else random.normal(size=shape) / 2
    return model


def small_network(channels: int = 3) -> Sequential:
    """One of each kind of layer that has a way back."""
    return with_random_weights(
        Sequential([
            layers.Input((14, 13, channels)),
            layers.Rescaling(0.5, offset=0.1),
            layers.RandomFlip(seed=1),
            layers.Conv2D(5, 3, padding="same", activation="relu", name="fused"),
            layers.MaxPooling2D(3, strides=2, padding="same", name="overlapping"),
            layers.Conv2D(17, (2, 3), use_bias=False, name="linear"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="separate"),
            layers.SpatialDropout2D(0.5, seed=2),
            Sequential([
                layers.ZeroPadding2D(1),
                layers.Conv2D(4, 3, strides=2, padding="same", name="inner"),
                layers.Activation("relu6"),
            ], name="block"),
            layers.AveragePooling2D(2, padding="same", name="average"),
            layers.Flatten(name="flat"),
            layers.Dropout(0.5, seed=3),
            layers.Dense(6, activation="relu", name="hidden"),
            layers.Dense(1, name="score"),
        ])
    )  # fmt: skip


# ---- the projection itself


def by_loops(x, kernel1, bias1, kernel2, bias2, unit, k, mode):
    """conv(valid)-relu-pool(2)-conv(valid)-relu and back, one image, in float64, as the paper tells it."""

    def convolve(x, kernel, bias):
        KH, KW, _, _ = kernel.shape
        H, W = x.shape[0] - KH + 1, x.shape[1] - KW + 1
        z = np.zeros((H, W, kernel.shape[3]))
        for i in range(H):
            for j in range(W):
                z[i, j] = np.einsum("uvc,uvck->k", x[i : i + KH, j : j + KW], kernel) + bias
        return z

    def transposed(z, kernel, shape):
        KH, KW, _, _ = kernel.shape
        x = np.zeros(shape)
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                x[i : i + KH, j : j + KW] += np.einsum("k,uvck->uvc", z[i, j], kernel)
        return x

    def rectify(signal, z):
        if mode == "gradient":
            return signal * (z > 0)
        return np.maximum(signal, 0) * (z > 0 if mode == "guided" else 1)

    z1 = convolve(x, kernel1, bias1)
    h1 = np.maximum(z1, 0)
    H, W, C = h1.shape[0] // 2, h1.shape[1] // 2, h1.shape[2]
    pooled, switches = np.zeros((H, W, C)), {}
    for i in range(H):
        for j in range(W):
            for c in range(C):
                window = h1[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
                u, v = np.unravel_index(window.argmax(), (2, 2))
                pooled[i, j, c], switches[i, j, c] = window.max(), (2 * i + u, 2 * j + v)
    z2 = convolve(pooled, kernel2, bias2)
    assert z2[unit][k] > 0

    signal = np.zeros(z2.shape)
    signal[unit][k] = 1
    signal = transposed(rectify(signal, z2), kernel2, pooled.shape)
    unpooled = np.zeros(h1.shape)
    for (i, j, c), (row, column) in switches.items():
        unpooled[row, column, c] += signal[i, j, c]
    return transposed(rectify(unpooled, z1), kernel1, x.shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_what_the_paper_tells_in_loops(mode, channels):
    model = with_random_weights(
        Sequential([
            layers.Input((12, 11, channels)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(3, 2, activation="relu"),
        ]), seed=2,
    )  # fmt: skip
    model.layers[-1].bias.value = np.full(3, 20.0)  # every map has units that are not silent
    x = random_images(1, 12, 11, channels)
    y = model.forward(x)
    for k in range(3):
        i, j = np.unravel_index(y[0, :, :, k].argmax(), y.shape[1:3])
        weights = [weight.numpy().astype(np.float64) for weight in model.weights]
        expected = by_loops(x[0].astype(np.float64), *weights, (int(i), int(j)), k, mode)
        projection = deconvnet(model, -1, x, map=k, unit=(i, j), mode=mode)
        assert projection.dtype == np.float32
        assert np.abs(expected).max() > 0.01
        # Two convolutions back, of at most 4 · 3 and 9 · 4 terms: some dozens of roundings of 6e-8.
        np.testing.assert_allclose(projection[0], expected, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["fused", "overlapping", "linear", "norm", "separate", "block", "inner",
                                  "average", "flat", "hidden", "score"])  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_without_rectification_it_is_the_gradient(name, channels):
    """Against ``backward`` through the model's own layers, from every unit that there is to choose."""
    model, x = small_network(channels), random_images(4, 14, 13, channels)
    upper = next(i for i, layer in enumerate(model.layers) if name in (layer.name, *_names(layer)))
    below = [*model.layers[:upper]]
    last = model.layers[upper]
    if name == "inner":
        below, last = [*below, last.layers[0]], last.layers[1]
    path = Sequential([*below, last])
    y = path.forward(x)
    maps = y if y.ndim == 4 else y[:, None, None]
    random, signal = np.random.default_rng(5), np.zeros_like(maps)
    units = random.integers(maps.shape[1:3], size=(4, 2))
    numbers = random.integers(maps.shape[3], size=4)
    signal[np.arange(4), units[:, 0], units[:, 1], numbers] = 1
    gradient = path.backward(signal.reshape(y.shape), input_gradient=True)
    projection = deconvnet(model, name, x, map=numbers, unit=units, mode="gradient")
    # The same sums; only how many images there are at a time may order them otherwise.
    np.testing.assert_allclose(projection, gradient, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())


def _names(layer: layers.Layer) -> list[str]:
    return [inner.name for inner in layer.layers] if isinstance(layer, Sequential) else []


def test_the_gradient_is_the_slope():
    """Central differences in float64; a step of 1e-6 crosses no kink here."""
    with fastconv.set_backend("reference"):
        model, x = small_network(), random_images(1, 14, 13, 3).astype(np.float64)
        gradient = deconvnet(model, "score", x, map=0, mode="gradient")[0]
        assert gradient.dtype == np.float64
        random = np.random.default_rng(0)
        for i, j, c in random.integers((14, 13, 3), size=(12, 3)).tolist():
            ends = []
            for step in (1e-6, -1e-6):
                moved = x.copy()
                moved[0, i, j, c] += step
                ends.append(model.forward(moved)[0, 0])
            assert gradient[i, j, c] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)


def test_modes_agree_where_no_rectifier_has_a_choice():
    linear = with_random_weights(
        Sequential([
            layers.Input((9, 9, 2)),
            layers.Conv2D(3, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.Conv2D(4, 2),
        ])
    )  # fmt: skip
    positive = Sequential([
        layers.Input((9, 9, 2)),
        layers.Conv2D(3, 3, activation="relu", kernel_initializer="ones", bias_initializer="ones"),
        layers.Conv2D(4, 2, activation="relu", kernel_initializer="ones"),
    ])  # fmt: skip
    x = np.abs(random_images(3, 9, 9, 2)) + 0.1
    for model in (linear, positive):
        gradient, *others = (deconvnet(model, -1, x, mode=mode) for mode in MODES)
        for other in others:
            np.testing.assert_array_equal(gradient, other)


def test_where_the_modes_differ():
    """One pixel through two units with weights 1 and −1, which another layer weighs 1 and −1, or −1 and 1."""
    model = Sequential([
        layers.Input((1, 1, 1)),
        layers.Conv2D(2, 1, activation="relu"),
        layers.Conv2D(2, 1),
    ])  # fmt: skip
    model.set_weights([
        np.array([[[[1.0, -1.0]]]]), np.zeros(2),
        np.array([[[[2.0, -3.0], [-5.0, 7.0]]]]), np.zeros(2),
    ])  # fmt: skip
    x = np.ones((1, 1, 1, 1))  # only the first unit is positive
    found = {mode: [deconvnet(model, -1, x, map=k, mode=mode).item() for k in (0, 1)] for mode in MODES}
    assert found == {"gradient": [2, -3], "deconvnet": [2, -7], "guided": [2, 0]}


@pytest.mark.parametrize("mode", MODES)
def test_a_silent_unit_shows_nothing(mode):
    model = Sequential([
        layers.Input((6, 6, 1)),
        layers.Conv2D(2, 3, activation="relu", bias_initializer=fastconv.initializers.Constant(-100.0)),
        layers.MaxPooling2D(2),
    ])  # fmt: skip
    for layer in (0, 1):
        assert not deconvnet(model, layer, random_images(2, 6, 6, 1), mode=mode).any()


@pytest.mark.parametrize("mode", MODES)
def test_the_first_of_equal_maxima_is_the_switch(mode):
    model = Sequential([layers.Input((6, 6, 1)), layers.MaxPooling2D(3)])
    [projection] = deconvnet(model, -1, np.ones((1, 6, 6, 1)), map=0, unit=(1, 1), mode=mode)
    assert np.argwhere(projection).tolist() == [[3, 3, 0]]
    assert projection[3, 3, 0] == 1
    # and where nothing says which unit, the first of equal ones
    [projection] = deconvnet(model, -1, np.ones((1, 6, 6, 1)), mode=mode)
    assert np.argwhere(projection).tolist() == [[0, 0, 0]]


# ---- the support


@st.composite
def networks(draw):
    """Small random networks of convolutions and poolings, and the shape of their images."""
    H, W, C = draw(st.integers(1, 14)), draw(st.integers(1, 14)), draw(st.sampled_from([1, 3]))
    parts: list[layers.Layer] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "max", "average", "norm", "pad"]))
        size = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        padding = draw(st.sampled_from(["same", "valid"]))
        if kind == "conv":
            dilation = draw(st.sampled_from([1, 2])) if strides == (1, 1) else 1
            activation = draw(st.sampled_from(["relu", "linear"]))
            parts.append(
                layers.Conv2D(2, size, strides, padding, dilation_rate=dilation, activation=activation)
            )
        elif kind == "norm":
            parts += [layers.BatchNormalization(), layers.ReLU()]
        elif kind == "pad":
            parts.append(layers.ZeroPadding2D(((1, 0), (2, 1))))
        else:
            pool = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            parts.append(pool(size, strides, padding))
    shape: tuple[int, ...] = (H, W, C)
    fitting = []
    for part in parts:
        try:
            shape = part.compute_output_shape(shape)
        except ValueError:  # the image has become too small for it
            break
        fitting.append(part)
    model = Sequential([layers.Input((H, W, C)), *(fitting or [layers.ReLU()])])
    return with_random_weights(model, seed=draw(st.integers(0, 1000)))


@examples(120)
@given(networks(), st.integers(0, 2**32 - 1), st.sampled_from(MODES))
def test_the_support_lies_in_the_receptive_field(model, seed, mode):
    _, H, W, C = model.output_shape
    random = np.random.default_rng(seed)
    i, j, k = random.integers((H, W, C)).tolist()
    x = random.normal(size=(2, *model.input_shape[1:]))
    projection = deconvnet(model, -1, x, map=k, unit=(i, j), mode=mode)
    top, left, bottom, right = receptive_field(model, model.layers[-1]).box(i, j)
    projection[:, top:bottom, left:right] = 0
    assert not projection.any()


def test_the_support_fills_the_receptive_field():
    """Of positive weights and average pooling, everything in the field counts, and nothing else."""
    model = Sequential([
        layers.Input((20, 17, 1)),
        layers.Conv2D(2, 3, activation="relu", padding="same", kernel_initializer="ones"),
        layers.AveragePooling2D(2),
        layers.Conv2D(2, (3, 2), activation="relu", kernel_initializer="ones"),
    ])  # fmt: skip
    for i, j in ((0, 0), (3, 4), (7, 6)):
        [projection] = deconvnet(model, -1, np.ones((1, 20, 17, 1)), map=1, unit=(i, j))
        rows, columns, _ = np.nonzero(projection)
        box = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        assert box == receptive_field(model, model.layers[-1]).box(i, j)
        assert len(rows) == (box[2] - box[0]) * (box[3] - box[1])


def test_no_dust_beyond_the_receptive_field():
    """With many maps 3×3 filters are Winograd's, whose rounding errors lie all over its tiles."""
    random = np.random.default_rng(0)
    model = Sequential([
        layers.Input((28, 28, 16)),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Conv2D(64, 3, padding="same", activation="relu", algorithm="winograd"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
    ])  # fmt: skip
    x = random.normal(size=(4, 28, 28, 16))
    for mode in MODES:
        projection = deconvnet(model, -1, x, unit=(13, 14), mode=mode)
        assert projection.any()
        projection[:, 10:17, 11:18] = 0
        assert not projection.any()
    assert [layer.algorithm for layer in model.layers] == ["auto", "winograd", "auto"]


# ---- which unit


def test_the_strongest_unit_where_none_is_named():
    model, x = small_network(), random_images(5, 14, 13, 3)
    y = fastconv.visualize.extract_features(model, "linear", x)
    strongest = np.stack(np.unravel_index(y.reshape(5, -1).argmax(1), y.shape[1:]), axis=1)
    named = deconvnet(model, "linear", x, map=strongest[:, 2], unit=strongest[:, :2])
    np.testing.assert_array_equal(deconvnet(model, "linear", x), named)

    of_map = np.stack(np.divmod(y[..., 4].reshape(5, -1).argmax(1), y.shape[2]), axis=1)
    named = deconvnet(model, "linear", x, map=4, unit=of_map)
    np.testing.assert_array_equal(deconvnet(model, "linear", x, map=4), named)

    at_place = y[:, 2, 1].argmax(1)
    named = deconvnet(model, "linear", x, map=at_place, unit=(2, 1))
    np.testing.assert_array_equal(deconvnet(model, "linear", x, unit=(2, 1)), named)


def test_lenet5_of_1998():
    """Connected convolutions, trained subsampling, squashing and distances: the gradient goes through all."""
    model, x = fastconv.applications.LeNet5(variant="1998"), random_images(2, 28, 28, 1)
    y = model.forward(x)
    gradient = model.backward(np.eye(y.shape[1], dtype=np.float32)[[3, 3]], input_gradient=True)
    projection = deconvnet(model, -1, x, map=3, mode="gradient")
    np.testing.assert_allclose(projection, gradient, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())

    rectified = with_random_weights(Sequential([
        layers.Input((14, 14, 1)),
        layers.Conv2D(6, 5, activation="relu"),
        layers.Subsampling2D(2, activation="relu"),
        layers.Conv2D(3, 3, connections=[[0, 1, 2], [3, 4], [5]]),
    ]))  # fmt: skip
    for mode in MODES:
        assert deconvnet(rectified, -1, random_images(2, 14, 14, 1), map=0, mode=mode).any()


def test_layers_by_name_place_path_and_themselves():
    model, x = small_network(), random_images(1, 14, 13, 3)
    by_name = deconvnet(model, "average", x)
    np.testing.assert_array_equal(deconvnet(model, model.get_layer("average"), x), by_name)
    np.testing.assert_array_equal(
        deconvnet(model, model.layers.index(model.get_layer("average")), x), by_name
    )
    inner = deconvnet(model, "block/inner", x)
    np.testing.assert_array_equal(deconvnet(model, "inner", x), inner)
    np.testing.assert_array_equal(
        deconvnet(model, "block", x), deconvnet(model, model.get_layer("block").layers[-1], x)
    )


# ---- what goes in


def test_layouts_types_and_batches():
    model, x = small_network(), random_images(5, 14, 13, 3)
    expected = deconvnet(model, "inner", x, map=1)
    read_only = x.copy()
    read_only.flags.writeable = False
    for given_x in (x.astype(np.float64), np.asfortranarray(x), x[:, ::-1][:, ::-1], read_only, x.tolist()):
        np.testing.assert_array_equal(deconvnet(model, "inner", given_x, map=1), expected)
    for batch_size in (1, 2, 100):
        np.testing.assert_allclose(
            deconvnet(model, "inner", x, map=1, batch_size=batch_size), expected, rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(deconvnet(model, "inner", x[2:3], map=1)[0], expected[2], rtol=1e-5, atol=1e-6)
    assert deconvnet(model, "inner", x[:0], map=1).shape == (0, 14, 13, 3)
    assert deconvnet(model, "inner", x[:0]).shape == (0, 14, 13, 3)
    bytes_ = np.random.default_rng(0).integers(0, 256, (2, 14, 13, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        deconvnet(model, "inner", bytes_), deconvnet(model, "inner", bytes_.astype(np.float32))
    )


def test_one_pixel():
    model = Sequential(
        [layers.Input((1, 1, 1)), layers.Conv2D(1, 1, kernel_initializer="ones"), layers.ReLU()]
    )
    assert deconvnet(model, -1, np.full((1, 1, 1, 1), 3.0)).tolist() == [[[[1.0]]]]


# ---- what it leaves alone


def test_a_step_under_way_goes_on_as_if_nothing_had_happened():
    model, x = small_network(), random_images(4, 14, 13, 3)
    other = copy.deepcopy(model)
    dy = random_images(4, 1)
    for each in (model, other):
        each.forward(x, training=True)
        if each is model:
            for mode in MODES:
                deconvnet(each, "hidden", 2 * x, mode=mode)
        each.backward(dy)
    for ours, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)
        assert ours.trainable == theirs.trainable
    for ours, theirs in zip(model.parameters, other.parameters, strict=True):
        np.testing.assert_array_equal(ours.grad, theirs.grad)
    assert model.random_state() == other.random_state()


def test_penalties_are_no_part_of_it():
    x = random_images(2, 6, 6, 1)
    projections = []
    for penalty in (None, "l2"):
        model = Sequential([
            layers.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu", activity_regularizer=penalty, kernel_regularizer=penalty),
            *([layers.ActivityRegularization(l1=3.0)] if penalty else []),
            layers.Conv2D(2, 2, activity_regularizer=penalty),
        ])  # fmt: skip
        with_random_weights(model)
        projections.append(deconvnet(model, -1, x, mode="gradient"))
        assert penalty is None or model.layers[0].activity_regularizer is not None
    np.testing.assert_array_equal(*projections)


# ---- what it refuses


def test_what_is_no_rectifier():
    x = random_images(1, 6, 6, 1)
    for awkward, name in (
        (layers.Conv2D(2, 3, activation="tanh", name="c1"), r"Conv2D 'c1' with activation 'tanh'"),
        (layers.LeakyReLU(name="leaky"), r"LeakyReLU 'leaky' with activation 'leaky_relu'"),
        (layers.PReLU(name="learned"), r"PReLU 'learned'"),
        (layers.ReLU(negative_slope=0.1, name="sloping"), r"ReLU 'sloping'"),
        (layers.Softmax(name="soft"), r"Softmax 'soft'"),
        (layers.Subsampling2D(activation="scaled_tanh", name="s2"), r"Subsampling2D 's2' with activation"),
    ):
        model = Sequential([layers.Input((6, 6, 1)), awkward, layers.Conv2D(2, 3)])
        for mode in ("deconvnet", "guided"):
            with pytest.raises(ValueError, match=rf"{mode}.*{name}.*mode=\"gradient\""):
                deconvnet(model, -1, x, mode=mode)
        assert deconvnet(model, -1, x, mode="gradient").shape == x.shape


def test_rectifiers_with_a_ceiling_or_a_threshold_do():
    model = Sequential([
        layers.Input((6, 6, 1)),
        layers.Conv2D(2, 3, activation="relu6"),
        layers.ReLU(max_value=3.0, threshold=0.1),
        layers.Conv2D(2, 3),
    ])  # fmt: skip
    for mode in MODES:
        deconvnet(model, -1, random_images(1, 6, 6, 1), mode=mode)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "cov2d"}, "unknown layer 'cov2d'; did you mean"),
        ({"layer": 99}, "none at index 99"),
        ({"layer": layers.ReLU()}, "is not a layer of"),
        ({"layer": 1.5}, "a layer is given as"),
        ({"map": 2}, "has the feature maps 0 to 1, got map=\\[2"),
        ({"map": -1}, "has the feature maps 0 to 1"),
        ({"map": [0, 1]}, "map must be a whole number, once or for each of the 3 images"),
        ({"map": 0.5}, "map must be a whole number"),
        ({"unit": (4, 0)}, "have 4x4 units, got unit="),
        ({"unit": 3}, "unit must be \\(row, column\\)"),
        ({"mode": "deconv"}, "unknown mode 'deconv'; did you mean 'deconvnet'"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"x": np.zeros((6, 6, 1))}, "add the batch axis with x\\[None\\]"),
        ({"x": np.zeros((3, 6, 6, 2))}, "expects input"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    model = Sequential([layers.Input((6, 6, 1)), layers.Conv2D(2, 3, name="conv2d")])
    with pytest.raises((ValueError, TypeError), match=message):
        deconvnet(**{"model": model, "layer": "conv2d", "x": np.zeros((3, 6, 6, 1)), **arguments})


def test_a_model_without_weights():
    model = Sequential([layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="has no weights yet"):
        deconvnet(model, 0, np.zeros((1, 6, 6, 1)))
    assert not model.built
    with pytest.raises(TypeError, match="must be a Sequential or another Model"):
        deconvnet(layers.Conv2D(2, 3), 0, np.zeros((1, 6, 6, 1)))
    with pytest.raises(ValueError, match="has no layers"):
        deconvnet(Sequential(), 0, np.zeros((1, 6, 6, 1)))


def test_outputs_that_are_neither_maps_nor_units():
    model = Sequential([layers.Input((6, 6, 1)), layers.Reshape((6, 6), name="rows")])
    with pytest.raises(ValueError, match=r"Reshape 'rows' has outputs \('N', 6, 6\)"):
        deconvnet(model, -1, np.zeros((1, 6, 6, 1)))


def test_nan_is_an_error_that_names_the_image():
    model, x = small_network(), random_images(5, 14, 13, 3)
    x[3, 7, 7, 1] = np.nan
    for layer in ("fused", "score"):
        with pytest.raises(ValueError, match="image 3 has NaN"):
            deconvnet(model, layer, x, batch_size=2)
    model.get_layer("linear").kernel.value = np.full(model.get_layer("linear").kernel.shape, np.nan)
    with pytest.raises(ValueError, match=r"image 0 has NaN in Conv2D 'linear'"):
        deconvnet(model, "linear", np.nan_to_num(x))


def test_infinity_is_a_number():
    model = Sequential([layers.Input((4, 4, 1)), layers.MaxPooling2D(2)])
    x = np.zeros((1, 4, 4, 1))
    x[0, 3, 2] = np.inf
    assert np.argwhere(deconvnet(model, -1, x)[0]).tolist() == [[3, 2, 0]]


# ---- copies and kernels


def test_a_copied_and_a_saved_model_project_alike(tmp_path):
    model, x = small_network(), random_images(2, 14, 13, 3)
    expected = deconvnet(model, "hidden", x)
    np.testing.assert_array_equal(deconvnet(copy.deepcopy(model), "hidden", x), expected)
    model.save(tmp_path / "model.safetensors")
    loaded = fastconv.models.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(deconvnet(loaded, "hidden", x), expected)


@pytest.mark.parametrize("isa", fastconv.available_isas())
@pytest.mark.parametrize("mode", MODES)
def test_every_instruction_set_projects_as_the_reference(isa, mode):
    model, x = small_network(), random_images(2, 14, 13, 3)
    with fastconv.set_backend("reference"):
        expected = deconvnet(model, "hidden", x, map=[0, 3], mode=mode)
    assert expected.any()
    with fastconv.set_isa(isa):
        found = deconvnet(model, "hidden", x, map=[0, 3], mode=mode)
    # Five layers up and down in float32: some hundreds of roundings of 6e-8, as often up as down.
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
