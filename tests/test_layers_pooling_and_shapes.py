"""Pooling of sequences and to given sizes, upsampling, padding, cropping, arrangement and Dot."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import Input, Model, Sequential, gradcheck, layers, set_backend, visualize
from fastconv.models import receptive_field

RNG = np.random.default_rng(6)

with np.load(Path(__file__).parent / "golden" / "layers_a.npz") as file:
    GOLDEN = dict(file)
CASES = sorted({key.rpartition("/")[0] for key in GOLDEN})


def made(case):
    name = case.partition("/")[0]
    return getattr(layers, name)(**json.loads(str(GOLDEN[f"{case}/arguments"])))


def inputs_of(case):
    given = [GOLDEN[f"{case}/x{i}"] for i in range(2) if f"{case}/x{i}" in GOLDEN]
    return given[0] if len(given) == 1 else given


def listed(nested):
    return nested if isinstance(nested, list) else [nested]


def shape_of(x):
    return [each.shape[1:] for each in x] if isinstance(x, list) else x.shape[1:]


@pytest.fixture
def reference():
    set_backend("reference")
    yield
    set_backend("native")


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_keras(case, backend):
    """golden/make_layers_a.py wrote them."""
    layer, x = made(case), inputs_of(case)
    set_backend(backend)
    try:
        y = layer.forward(x)
        dx = layer.backward(GOLDEN[f"{case}/dy"])
    finally:
        set_backend("native")
    assert y.shape == GOLDEN[f"{case}/y"].shape
    np.testing.assert_allclose(y, GOLDEN[f"{case}/y"], rtol=1e-5, atol=2e-6)
    for i, each in enumerate(listed(dx)):
        np.testing.assert_allclose(each, GOLDEN[f"{case}/dx{i}"], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", CASES)
def test_output_shapes_are_told_beforehand(case):
    layer, x = made(case), inputs_of(case)
    assert layer.compute_output_shape(shape_of(x)) == GOLDEN[f"{case}/y"].shape[1:]
    inputs = [Input(each.shape[1:]) for each in listed(x)]
    tensor = layer(inputs if isinstance(x, list) else inputs[0])
    assert tensor.shape == (None, *GOLDEN[f"{case}/y"].shape[1:])
    np.testing.assert_array_equal(Model(inputs, tensor).predict(x, verbose=0), layer(x))


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("Dot")])
def test_gradients_are_derivatives(case, reference):
    gradcheck(made(case), inputs_of(case).astype(np.float64))


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("axes", "other"), [(2, (5, 3)), ((1, 2), (2, 4)), ((-1, 1), (3,))])
def test_gradients_of_dot(axes, other, normalize, reference):
    """One input is a constant, whatever the other one is."""
    a, b = RNG.standard_normal((2, 4, 3)), RNG.standard_normal((2, *other))

    class OfOne(layers.Layer):
        def __init__(self, place):
            super().__init__()
            self.dot, self.place = layers.Dot(axes, normalize), place

        def compute_output_shape(self, shape):
            return self.dot.compute_output_shape([a.shape[1:], b.shape[1:]])

        def call(self, x):
            return self.dot.forward([x, b] if self.place == 0 else [a, x])

        def backward(self, dy, input_gradient=True):
            return self.dot.backward(dy)[self.place]

    gradcheck(OfOne(0), a)
    gradcheck(OfOne(1), b)


@pytest.mark.parametrize("case", CASES)
def test_configurations_make_the_same_layer(case):
    layer, x = made(case), inputs_of(case)
    config = json.loads(json.dumps(layers.serialize(layer)))
    twin = layers.deserialize(config)
    assert twin.get_config() == layer.get_config()
    assert eval(repr(layer), vars(layers)).get_config() == layer.get_config()
    np.testing.assert_array_equal(twin(x), layer(x))


@pytest.mark.parametrize("case", CASES)
def test_empty_batches_and_other_layouts(case):
    layer, x = made(case), inputs_of(case)
    y = layer.forward(x)
    dx = layer.backward(GOLDEN[f"{case}/dy"])

    def strided(a):
        return np.repeat(a, 2, axis=-1)[..., ::2]

    spread = [strided(each) for each in x] if isinstance(x, list) else strided(x)
    np.testing.assert_array_equal(layer.forward(spread), y)
    for one, other in zip(listed(layer.backward(strided(GOLDEN[f"{case}/dy"]))), listed(dx), strict=True):
        np.testing.assert_array_equal(one, other)
    none = layer.forward([each[:0] for each in x] if isinstance(x, list) else x[:0])
    assert none.shape == (0, *y.shape[1:])
    for one, other in zip(listed(layer.backward(none)), listed(dx), strict=True):
        assert one.shape == (0, *other.shape[1:])


@pytest.mark.parametrize("case", CASES)
def test_no_gradient_is_computed_where_none_is_asked_for(case):
    layer = made(case)
    layer.forward(inputs_of(case))
    assert layer.backward(GOLDEN[f"{case}/dy"], input_gradient=False) is None


def test_a_sequence_is_an_image_of_one_row():
    x = RNG.standard_normal((2, 9, 3)).astype(np.float32)
    pairs = [
        (
            layers.MaxPooling1D(3, 2, padding=(1, 0)),
            layers.MaxPooling2D((1, 3), (1, 2), padding=((0, 0), (1, 0))),
        ),
        (layers.AveragePooling1D(2, padding="same"), layers.AveragePooling2D((1, 2), padding="same")),
        (layers.AdaptiveMaxPooling1D(4), layers.AdaptiveMaxPooling2D((1, 4))),
        (layers.UpSampling1D(2), layers.UpSampling2D((1, 2))),
        (layers.Cropping1D((1, 2)), layers.Cropping2D(((0, 0), (1, 2)))),
    ]
    for line, image in pairs:
        np.testing.assert_array_equal(line(x), image(x[:, None])[:, 0])


def test_a_maximum_among_equals_is_the_first():
    layer = layers.GlobalMaxPooling1D()
    layer.forward(np.ones((1, 3, 1)))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1)))[0, :, 0], [1, 0, 0])
    layer = layers.AdaptiveMaxPooling2D(1)
    layer.forward(np.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 1, 1)))[0, ..., 0], [[1, 0], [0, 0]])


def test_of_a_vector_without_length_the_cosine_is_0():
    layer = layers.Dot(1, normalize=True)
    y = layer.forward([np.zeros((1, 3)), np.ones((1, 3))])
    np.testing.assert_array_equal(y, [[0]])
    da, db = layer.backward(np.ones((1, 1)))
    assert np.isfinite(da).all()
    np.testing.assert_array_equal(db, [[0, 0, 0]])


# ---- what a place of the output sees, and what that costs


def test_receptive_fields():
    model = Sequential(
        [
            Input((12, 12, 1)),
            layers.Cropping2D(((1, 1), (2, 0)), name="crop"),
            layers.AdaptiveAveragePooling2D(5, name="parts"),
            layers.UpSampling2D(2, name="up"),
        ]
    )
    assert receptive_field(model, "crop").box(0, 0) == (1, 2, 2, 3)
    assert receptive_field(model, "parts").box(1, 1) == (3, 4, 5, 6)
    with pytest.raises(ValueError, match="UpSampling2D 'up' makes several pixels of one"):
        receptive_field(model, "up")


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.AdaptiveMaxPooling2D(2), (5, 4, 1), r"the sizes \(5, 4\) are no multiples of \(2, 2\)"),
        (layers.Permute((2, 1, 3)), (4, 4, 1), "moves rows and columns to other axes"),
        (layers.Dot(2), [(4, 3), (4, 3)], "adds up products of different places"),
        (layers.RepeatVector(3), (4,), "does not tell which pixels"),
    ],
)
def test_what_cannot_tell_what_it_sees_says_so(layer, shape, message):
    layer.build(shape)
    with pytest.raises(ValueError, match=message):
        layer.windows()


def test_windows_of_what_stays_in_its_place():
    for layer, shape in (
        (layers.Permute((1, 2, 3)), (4, 5, 2)),
        (layers.UpSampling2D(1), (4, 5, 2)),
        (layers.Dot(1), [(4,), (4,)]),
    ):
        layer.build(shape)
        assert layer.windows() == ()


def test_windows_of_sequences_are_rows():
    for layer, before, size, strides in (
        (layers.MaxPooling1D(3, 2), (9, 2), (1, 3), (1, 2)),
        (layers.GlobalAveragePooling1D(), (9, 2), (1, 9), (1, 1)),
        (layers.AdaptiveAveragePooling1D(3), (9, 2), (1, 3), (1, 3)),
        (layers.ZeroPadding1D(2), (9, 2), (1, 1), (1, 1)),
    ):
        layer.build(before)
        (view,) = layer.windows()
        places = layer.output_shape[:-1] or (1,)
        assert (view.size, view.strides, view.output_size) == (size, strides, (1, *places))


def test_connections():
    for layer, shape, count in (
        (layers.MaxPooling1D(3, 2), (9, 2), 4 * 2 * 3),
        (layers.GlobalMaxPooling1D(), (9, 2), 18),
        (layers.AdaptiveAveragePooling2D((2, 3)), (5, 6, 2), (3 + 3) * 6 * 2),
        (layers.UpSampling1D(2), (9, 2), 0),
    ):
        layer.build(shape)
        assert layer.count_connections() == count
        assert layer.count_multiply_adds() == 0


def test_deconvnet_goes_back_through_them():
    """They are linear, given where the maxima were: the way back is the gradient, in every mode."""
    model = Sequential(
        [
            Input((8, 8, 2)),
            layers.AdaptiveMaxPooling2D(5),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Cropping2D(1),
            layers.Permute((2, 1, 3)),
            layers.Conv2D(3, 3, name="top"),
        ]
    )
    images = RNG.standard_normal((2, 8, 8, 2)).astype(np.float32)
    gradient = visualize.deconvnet(model, "top", images, mode="gradient")
    assert np.abs(gradient).max() > 0
    for mode in ("deconvnet", "guided"):
        np.testing.assert_array_equal(visualize.deconvnet(model, "top", images, mode=mode), gradient)


# ---- in a model


def test_an_encoder_and_decoder_of_sequences_learns():
    x = RNG.standard_normal((32, 8, 2)).astype(np.float32)
    inputs = Input((8, 2))
    code = layers.Conv1D(4, 3, padding="same", activation="relu")(inputs)
    code = layers.MaxPooling1D(2)(code)
    y = layers.UpSampling1D(2)(code)
    y = layers.Cropping1D(1)(layers.ZeroPadding1D(1)(y))
    model = Model(inputs, layers.Conv1D(2, 3, padding="same")(y))
    model.compile("adam", "mse")
    losses = model.fit(x, x, epochs=15, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


def test_a_siamese_net_compares_by_cosine(tmp_path):
    one, two = Input((6,)), Input((6,))
    tower = layers.Dense(4, activation="tanh")
    similarity = layers.Dot(1, normalize=True)([tower(one), tower(two)])
    model = Model([one, two], similarity)
    x = RNG.standard_normal((8, 6)).astype(np.float32)
    np.testing.assert_allclose(model.predict([x, x], verbose=0), np.ones((8, 1)), atol=1e-6)
    model.compile("sgd", "mse")
    other = RNG.standard_normal((8, 6)).astype(np.float32)
    losses = model.fit([x, other], -np.ones((8, 1)), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


# ---- errors


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layers.MaxPooling1D((2, 2)), ValueError, "MaxPooling1D: pool_size must be a whole number"),
        (lambda: layers.MaxPooling1D(2, strides=0), ValueError, "MaxPooling1D: strides must be"),
        (lambda: layers.AveragePooling1D(2, padding="causal"), ValueError, "unknown padding 'causal'"),
        (
            lambda: layers.MaxPooling1D(5).build((3, 1)),
            ValueError,
            "MaxPooling1D .* pool_size .*more than 1x3",
        ),
        (lambda: layers.MaxPooling1D(2).build((4, 4, 1)), ValueError, r"expects input \(N, L, C\)"),
        (
            lambda: layers.GlobalMaxPooling1D(data_format="channels_first"),
            ValueError,
            "GlobalMaxPooling1D: data_f",
        ),
        (
            lambda: layers.AdaptiveMaxPooling2D("2"),
            TypeError,
            r"output_size must be a whole number or \(height",
        ),
        (lambda: layers.AdaptiveMaxPooling2D((2, 2, 2)), TypeError, "AdaptiveMaxPooling2D: output_size"),
        (lambda: layers.AdaptiveMaxPooling2D(0), ValueError, "AdaptiveMaxPooling2D: output_size"),
        (
            lambda: layers.AdaptiveAveragePooling1D((2, 2)),
            ValueError,
            "AdaptiveAveragePooling1D: output_size",
        ),
        (lambda: layers.AdaptiveAveragePooling1D(None), TypeError, r"or \(length,\); got None"),
        (lambda: layers.UpSampling1D(2.0), TypeError, "UpSampling1D: size must be a whole number; got 2.0"),
        (lambda: layers.UpSampling1D(0), ValueError, "UpSampling1D: size must be a whole number, at least 1"),
        (lambda: layers.UpSampling2D((2, 2, 2)), ValueError, "UpSampling2D: size"),
        (
            lambda: layers.UpSampling2D(interpolation="bicubic"),
            ValueError,
            "UpSampling2D: Keras' interpolation 'bicubic' is not supported yet; use .bilinear. or .nearest.",
        ),
        (
            lambda: layers.UpSampling2D(interpolation="x"),
            ValueError,
            "unknown UpSampling2D interpolation 'x'",
        ),
        (lambda: layers.ZeroPadding1D("same"), ValueError, "ZeroPadding1D: padding must be"),
        (lambda: layers.ZeroPadding1D(-1), ValueError, "ZeroPadding1D: padding must be"),
        (lambda: layers.Cropping2D("valid"), ValueError, "Cropping2D: cropping must be numbers"),
        (lambda: layers.Cropping2D(((1, 2, 3), 1)), ValueError, r"Cropping2D: cropping \(top, bottom\)"),
        (lambda: layers.Cropping1D(2).build((4, 1)), ValueError, "Cropping1D .* leaves nothing of 4 pixels"),
        (lambda: layers.Cropping2D(2)(np.zeros((1, 9, 4, 1))), ValueError, "leaves nothing of 9x4 pixels"),
        (lambda: layers.Permute((0, 1)), ValueError, r"Permute: dims must hold each axis .* got \(0, 1\)"),
        (lambda: layers.Permute((1, 3)), ValueError, "Permute: dims"),
        (lambda: layers.Permute(2), TypeError, "Permute: dims must be a tuple"),
        (
            lambda: layers.Permute((2, 1)).build((4, 4, 1)),
            ValueError,
            r"Permute .* expects input \(N, ..., ...\)",
        ),
        (lambda: layers.RepeatVector("3"), TypeError, "RepeatVector: n must be a whole number"),
        (lambda: layers.RepeatVector(0), ValueError, "RepeatVector: n must be"),
        (lambda: layers.RepeatVector(2).build((4, 1)), ValueError, "RepeatVector .* expects input"),
        (lambda: layers.Dot("1"), TypeError, "Dot: axes must be a whole number or a pair"),
        (lambda: layers.Dot((1, 2, 3)), ValueError, "Dot: axes must be"),
        (lambda: layers.Dot(0), ValueError, "other than 0, the batch"),
        (
            lambda: layers.Dot(3)([Input((2, 3)), Input((2, 3))]),
            ValueError,
            r"axes=3 is not an axis of \(None, 2, 3\)",
        ),
        (
            lambda: layers.Dot(1)([Input((2,)), Input((3,))]),
            ValueError,
            "of one size along axes=1; got 2 and 3",
        ),
        (lambda: layers.Dot(1)([Input((2,))]), ValueError, "exactly 2 tensors, got 1"),
        (lambda: layers.Dot(1)(Input((2,))), ValueError, "is called on a list of tensors"),
        (lambda: layers.Dot(1, normalize="no"), ValueError, "Dot: normalize must be True or False"),
    ],
)
def test_arguments_that_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        make()
