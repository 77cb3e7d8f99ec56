"""``Normalization``, ``SpectralNormalization``, ``Pipeline`` and ``RandomErasing``, call by call."""

import copy

import numpy as np
import pytest
from test_layers_normalizations import ADAPTED, named

import fastconv
from fastconv import Sequential, gradcheck, layers, models, utils
from fastconv.datasets import Loader

RNG = np.random.default_rng(9)

# ---- Normalization


@pytest.mark.parametrize(("case", "arrays"), ADAPTED, ids=[named(case) for case, _ in ADAPTED])
def test_adapting_as_keras_does(case, arrays):
    batches = [arrays[f"batch{i}"] for i in range(case["batches"])]
    layer = layers.Normalization(**case["config"])
    layer.adapt(batches[0] if len(batches) == 1 else batches)
    assert [weight.name for weight in layer.weights] == case["weights"] == ["mean", "variance", "count"]
    assert layer.parameters == []
    for i, weight in enumerate(layer.weights):
        np.testing.assert_allclose(weight.value, arrays[f"w{i}"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(batches[0]), arrays["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("axis", [-1, 1, None, [1, 2]])
def test_all_ways_to_give_the_data_find_the_same(axis, monkeypatch):
    x = RNG.normal(3, 2, (25, 4, 3)).astype(np.float32)
    kept = tuple(np.arange(1, 3)[[a - 1 for a in np.atleast_1d(-1 if axis == -1 else axis)]]) if axis else ()
    kept = (2,) if axis == -1 else kept
    over = tuple(a for a in range(3) if a not in kept)

    class Batches(utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return x[5 * index : 5 * index + 5], np.zeros(5)

    def adapted(data):
        layer = layers.Normalization(axis)
        layer.adapt(data)
        np.testing.assert_allclose(layer.adapt_mean.value, x.mean(over, np.float64), rtol=1e-6)
        np.testing.assert_allclose(layer.adapt_variance.value, x.var(over, np.float64), rtol=1e-6)
        assert layer.mean.shape == tuple(n if a in kept else 1 for a, n in enumerate(x.shape))

    adapted(x)
    adapted(x.astype(np.float64))
    adapted([x[:10], x[10:]])
    adapted(part for part in (x[:1], x[1:20], x[20:]))
    adapted([(x, np.zeros(25))])
    adapted(Batches())
    adapted(Loader(x, np.zeros(25), batch_size=7))
    monkeypatch.setattr("fastconv.layers.normalization._NUMBERS_AT_ONCE", 40)
    adapted(x)


def test_adapting_again_forgets_and_inverts():
    x = RNG.normal(3, 2, (50, 3)).astype(np.float32)
    layer, back = layers.Normalization(), layers.Normalization(invert=True)
    layer.adapt(x + 100)
    layer.adapt(x)
    back.adapt(x)
    y = layer(x)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-5)
    np.testing.assert_allclose(back(y), x, atol=1e-5)
    for each in (layer, back):
        assert gradcheck(each, x)
    constant = layers.Normalization()
    constant.adapt(np.full((4, 2), 3.0))
    np.testing.assert_array_equal(constant(np.full((2, 2), 3.0)), 0)
    scalars = layers.Normalization(axis=None)
    scalars.adapt(np.array([1.0, 2, 3, 4, 5]))
    np.testing.assert_allclose(scalars([1.0, 2, 3]), [-(2**0.5), -(0.5**0.5), 0], rtol=1e-6)


def test_in_a_model_that_is_saved(tmp_path):
    x = RNG.normal(5, 3, (40, 4)).astype(np.float32)
    layer = layers.Normalization()
    layer.adapt(x)
    model = Sequential([layers.Input((4,)), layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x.sum(1), epochs=2, verbose=0)
    np.testing.assert_allclose(layer.adapt_mean.value, x.mean(0), rtol=1e-5)
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(copy.deepcopy(model).predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: layers.Normalization(mean=1.0), ValueError, "mean and variance belong together"),
        (lambda: layers.Normalization(mean=[1.0], variance=1.0), ValueError, "must have the same shape"),
        (
            lambda: layers.Normalization(mean=[[1.0]], variance=[[1.0]]),
            ValueError,
            r"more axes than axis=\(-1,\) names",
        ),
        (
            lambda: layers.Normalization(mean=1.0, variance=-1.0),
            ValueError,
            "a variance is not negative, got -1",
        ),
        (lambda: layers.Normalization(mean="a", variance="b"), TypeError, "mean must hold numbers"),
        (lambda: layers.Normalization("last"), TypeError, "Normalization: axis must be a whole number"),
        (
            lambda: layers.Normalization(invert="no"),
            ValueError,
            "Normalization: invert must be True or False",
        ),
        (lambda: layers.Normalization(3).build((4,)), ValueError, "axis=.3. does not fit inputs with 2 axes"),
        (lambda: layers.Normalization(0).adapt(np.ones((3, 2))), ValueError, "axis=.0. does not fit inputs"),
        (lambda: layers.Normalization().adapt(np.ones(3)), ValueError, "does not fit inputs with 1 axes"),
        (
            lambda: layers.Normalization(mean=[1, 2], variance=[1, 1]).build((3,)),
            ValueError,
            r"mean and variance have shape \(2,\), which does not fit the sizes \(3,\)",
        ),
        (
            lambda: layers.Normalization(mean=1, variance=1).adapt(np.ones((3, 2))),
            ValueError,
            "adapts to no data",
        ),
        (lambda: layers.Normalization().adapt([]), ValueError, "adapt got an empty iterable"),
        (lambda: layers.Normalization().adapt(np.ones((0, 2))), ValueError, "adapt got no examples"),
        (
            lambda: layers.Normalization().adapt([1, 2]),
            TypeError,
            "batches that are arrays of examples; got one of int",
        ),
        (
            lambda: layers.Normalization().adapt(3),
            TypeError,
            "takes an array, or an iterable of batches; got int",
        ),
        (
            lambda: layers.Normalization().adapt("data"),
            TypeError,
            "takes an array, or an iterable of batches; got str",
        ),
        (lambda: layers.Normalization().adapt(np.array(3.0)), TypeError, "got a single number"),
        (lambda: layers.Normalization().adapt(np.array([["a"]])), TypeError, "must hold real numbers"),
        (
            lambda: layers.Normalization().adapt([np.ones((2, 3)), np.ones((2, 4))]),
            ValueError,
            r"adapt got a batch of shape \(2, 4\) after one of \(2, 3\)",
        ),
    ],
)
def test_errors_of_normalization(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_an_error_while_adapting_leaves_the_layer_as_it_was():
    layer = layers.Normalization()
    x = RNG.normal(size=(6, 3))
    layer.adapt(x)
    before = layer.get_weights()

    def failing():
        yield x + 9
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        layer.adapt(failing())
    with pytest.raises(
        ValueError, match=r"has means for inputs of size \[3\] along axis=\(-1,\), got an input of shape"
    ):
        layer.adapt([x, np.ones((2, 4))])
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    fresh = layers.Normalization()
    with pytest.raises(OSError, match="disk"):
        fresh.adapt(failing())
    assert (fresh.built, fresh.weights) == (False, [])


# ---- SpectralNormalization


def spectral_norm(kernel):
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


@pytest.mark.parametrize(
    ("inner", "shape"),
    [
        (lambda: layers.Dense(4, kernel_initializer="he_normal"), (6,)),
        (lambda: layers.Conv2D(4, 3, activation="tanh"), (6, 6, 3)),
        (lambda: layers.Conv1D(3, 3), (7, 2)),
        (lambda: layers.DepthwiseConv2D(3), (6, 6, 3)),
    ],
)
def test_the_largest_singular_value_becomes_1_in_fit(inner, shape):
    fastconv.utils.set_random_seed(1)
    layer = layers.SpectralNormalization(inner(), power_iterations=2)
    model = Sequential([layers.Input(shape), layer, layers.Flatten(), layers.Dense(2)])
    x, y = RNG.normal(size=(24, *shape)), RNG.normal(size=(24, 2))
    model.compile(fastconv.optimizers.SGD(0.01), "mse")
    layer.layer.kernel.value = 5 * layer.layer.kernel.value
    u = layer.vector_u.numpy()
    assert spectral_norm(layer.kernel.value) > 2
    before = model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(layer.vector_u.value, u)
    model.fit(x, y, epochs=8, batch_size=4, verbose=0)
    assert not np.array_equal(layer.vector_u.value, u)
    assert spectral_norm(layer.kernel.value) == pytest.approx(1, abs=0.05)
    assert model.evaluate(x, y, verbose=0) < before
    frozen = [w.copy() for w in model.get_weights()]
    model.predict(x, verbose=0)
    for old, new in zip(frozen, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_step_of_training_is_that_of_the_divided_kernel():
    x, y = RNG.normal(size=(5, 6)).astype(np.float32), RNG.normal(size=(5, 3)).astype(np.float32)
    layer = layers.SpectralNormalization(layers.Dense(3))
    model = Sequential([layers.Input((6,)), layer])
    model.compile(fastconv.optimizers.SGD(0.1), "mse")
    twin = copy.deepcopy(layer)
    twin.forward(x, training=True)
    dense = layers.Dense(3)
    plain = Sequential([layers.Input((6,)), dense])
    dense.set_weights([twin.kernel.value, twin.layer.bias.value])
    plain.compile(fastconv.optimizers.SGD(0.1), "mse")
    model.train_on_batch(x, y)
    plain.train_on_batch(x, y)
    np.testing.assert_allclose(layer.kernel.value, dense.kernel.value, atol=1e-7)
    np.testing.assert_array_equal(layer.vector_u.value, twin.vector_u.value)


def test_a_kernel_of_zeros_stays_and_so_does_everything_where_the_layer_fails():
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    layer.build((4,))
    u = layer.vector_u.numpy()
    np.testing.assert_array_equal(layer.forward(np.ones((2, 4)), training=True), 0)
    np.testing.assert_array_equal(layer.kernel.value, 0)
    np.testing.assert_array_equal(layer.vector_u.value, u)

    class Failing(layers.Dense):
        def call(self, x, training=False):
            raise ArithmeticError("no")

    failing = layers.SpectralNormalization(Failing(3))
    failing.build((4,))
    before = failing.get_weights()
    with pytest.raises(ArithmeticError):
        failing.forward(np.ones((2, 4)), training=True)
    for old, new in zip(before, failing.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_layer_inside_is_a_part():
    inner = layers.Dense(3, kernel_regularizer="l2")
    layer = layers.SpectralNormalization(inner)
    model = Sequential([layers.Input((4,)), layer])
    assert layer.parts() == [inner]
    assert [w.name for w in model.weights] == ["kernel", "vector_u", "bias"]
    assert [w.name for w in model.trainable_weights] == ["kernel", "bias"]
    assert len(model.losses) == 1
    layer.trainable = False
    assert (inner.trainable, model.trainable_weights) == (False, [])
    assert layer.count_params() == 12 + 3 + 3
    lines = []
    model.summary(print_fn=lines.append)
    assert "18" in lines[0]


def test_a_penalty_on_the_outputs_counts_once():
    layer = layers.SpectralNormalization(layers.Dense(3, activity_regularizer="l2"))
    x = np.ones((8, 4), np.float32)
    for _ in range(2):
        y = layer.forward(x)
        assert layer.activity_losses == pytest.approx([0.01 * (y**2).sum() / 8])


def test_errors_of_spectral_normalization():
    with pytest.raises(ValueError, match="layer must be a layer with a kernel, got 'dense'"):
        layers.SpectralNormalization("dense")
    with pytest.raises(ValueError, match="power_iterations must be a whole number, at least 1; got 0"):
        layers.SpectralNormalization(layers.Dense(2), 0)
    for inner in (layers.ReLU(), layers.SeparableConv2D(2, 3)):
        with pytest.raises(ValueError, match=f"{type(inner).__name__} .* has no kernel, whose norm"):
            layers.SpectralNormalization(inner).build((6, 6, 2))
    layer = layers.SpectralNormalization(layers.Conv2D(2, 3))
    with pytest.raises(ValueError, match=r"Conv2D .* expects input"):
        layer(np.zeros((2, 3)))
    layer.build((6, 6, 2))
    with pytest.raises(ValueError, match=r"Conv2D .* expects input"):
        layer(np.zeros((1, 6, 6, 3)))


# ---- Pipeline


def test_a_pipeline_is_its_layers_one_behind_the_other(tmp_path):
    fastconv.utils.set_random_seed(0)
    parts = [layers.Rescaling(1 / 255), layers.RandomFlip(seed=1), layers.RandomTranslation(0.2, 0.2, seed=2)]
    pipeline = layers.Pipeline(parts, name="augment")
    assert pipeline.layers == parts
    x = RNG.uniform(0, 255, (4, 6, 6, 3)).astype(np.float32)
    expected = x
    for part in copy.deepcopy(parts):
        expected = part(expected, training=True)
    np.testing.assert_array_equal(pipeline(x), expected)  # at work when called by itself
    np.testing.assert_array_equal(pipeline(x, training=False), x * np.float32(1 / 255))
    twin = layers.deserialize(layers.serialize(pipeline))
    assert twin.get_config() == pipeline.get_config()
    assert [type(part).__name__ for part in twin.layers] == ["Rescaling", "RandomFlip", "RandomTranslation"]
    model = Sequential([layers.Input((6, 6, 3)), pipeline, layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((4, 2)), epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    for _ in range(2):  # the random numbers go on where they were
        np.testing.assert_array_equal(loaded.layers[0](x), pipeline(x))


def test_a_pipeline_learns_and_works_on_batches_of_a_loader():
    pipeline = layers.Pipeline(
        [layers.Dense(5, activation="tanh"), layers.LayerNormalization(), layers.Dense(2)]
    )
    x = RNG.normal(size=(8, 3))
    assert gradcheck(pipeline, x, backend="reference")
    pipeline.build((3,))
    assert [w.name for w in pipeline.weights] == ["kernel", "bias", "gamma", "beta", "kernel", "bias"]
    assert pipeline.output_shape == (2,)
    images = RNG.uniform(size=(12, 5, 5, 1)).astype(np.float32)
    flip = layers.Pipeline([layers.RandomFlip()])
    batches = [
        [x for x, _ in Loader(images, np.arange(12), batch_size=4, seed=3, map=lambda x, y: (flip(x), y))]
        for _ in range(2)
    ]
    for one, other in zip(*batches, strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_numbers_of_parts_go_on_where_they_were():
    class Twice(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.drops = [layers.Dropout(0.5), layers.Dropout(0.5)]

        def call(self, x):
            return self.drops[1](self.drops[0](x))

    x = np.ones((4, 50), np.float32)
    for layer in (
        Twice(),
        layers.SpectralNormalization(layers.Dense(4)),
        layers.Pipeline([layers.Dropout(0.5)]),
    ):
        layer.forward(x, training=True)
        state = layer.random_state()
        if isinstance(layer, layers.SpectralNormalization):
            assert state == {}
            continue
        expected = layer.forward(x, training=True)
        assert not np.array_equal(layer.forward(x, training=True), expected)
        layer.set_random_state(state)
        np.testing.assert_array_equal(layer.forward(x, training=True), expected)
        with pytest.raises(ValueError, match=r"those that draw are \['0'"):
            layer.set_random_state({})


def test_errors_of_pipelines():
    with pytest.raises(ValueError, match="Pipeline: layers must hold at least one layer"):
        layers.Pipeline([])
    with pytest.raises(TypeError, match="Pipeline is made of layers, got 'flip'"):
        layers.Pipeline(["flip"])
    with pytest.raises(ValueError, match=r"Conv2D .* expects input"):
        layers.Pipeline([layers.Conv2D(2, 3)])(np.zeros((2, 3)))


# ---- RandomErasing

IMAGES = np.full((400, 20, 30, 3), 7.0, np.float32)


def rectangles(y, x=IMAGES):
    """(top, left, height, width) of what is erased in each image; None where nothing is."""
    found = []
    for erased in (y != x).any(-1):
        rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
        if not rows.size:
            found.append(None)
            continue
        found.append((rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))
        assert erased.sum() == found[-1][2] * found[-1][3]  # a whole rectangle
    return found


def test_erased_rectangles_have_the_sizes_and_places_of_keras():
    """Sides are √a of the image's; the mean of √a, a from 0.1 to 0.4, is (0.4^1.5 − 0.1^1.5) / 0.45."""
    layer = layers.RandomErasing(factor=(1.0, 1.0), scale=(0.1, 0.4), fill_value=0, seed=1)
    found = rectangles(layer(IMAGES))
    assert None not in found
    top, left, height, width = np.array(found).T
    mean = (0.4**1.5 - 0.1**1.5) / 0.45
    spread = np.sqrt(0.25 - mean**2)
    for side, start, size in ((height, top, 20), (width, left, 30)):
        # 400 draws, and rounding to pixels, which on the average changes nothing
        assert abs(side.mean() / size - mean) < 4 * (spread + 0.5 / size) / 20
        assert side.min() >= np.floor(np.sqrt(0.1) * size)
        assert side.max() <= np.ceil(np.sqrt(0.4) * size)
        middle = start + side / 2
        assert abs(middle.mean() / size - 0.5) < 0.05
        share = start / np.maximum(size - side, 1)  # uniform from 0 to 1
        assert abs(share.mean() - 0.5) < 4 * 0.32 / 20
        assert abs(share.std() - np.sqrt(1 / 12)) < 0.06
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.2  # each side by itself


@pytest.mark.parametrize(
    ("factor", "share"), [(1.0, 0.5), ((1.0, 1.0), 1.0), ((0.2, 0.6), 0.4), (0, 0), (0.5, 0.25)]
)
def test_how_often_images_are_erased(factor, share):
    layer = layers.RandomErasing(factor, scale=0.5, fill_value=1.0, seed=2)
    many = np.full((2000, 8, 8, 1), 7.0, np.float32)
    missed = (1 - np.sqrt(np.linspace(0, 0.5, 1001)) * 8).clip(0).mean()  # rectangles may lie between pixels
    found = np.mean([one is not None for one in rectangles(layer(many), many)])
    assert abs(found - share) <= 4 * np.sqrt(share * (1 - share) / 2000) + share * 2 * missed


def test_what_it_is_filled_with():
    layer = layers.RandomErasing((1, 1), (0.3, 0.3), fill_value=[1.0, 2.0, 300.0], seed=3)
    y = layer(IMAGES)
    erased = (y != IMAGES).all(-1)
    np.testing.assert_array_equal(np.unique(y[erased], axis=0), [[1, 2, 255]])  # clipped to the range
    noise = layers.RandomErasing((1, 1), (0.3, 0.3), value_range=(-1, 2), seed=3)(IMAGES)
    drawn = noise[(noise != IMAGES).any(-1)]
    assert (drawn.min(), drawn.max()) == (-1, 2)
    inside = drawn[(drawn > -1) & (drawn < 2)]
    assert abs((drawn == 2).mean() - 0.1587) < 0.01  # above one standard deviation, which is 2
    assert abs((drawn == -1).mean() - 0.3085) < 0.01  # below half of one
    assert abs(inside.mean() - 0.42) < 0.03  # of a normal distribution between −1/2 and 1 deviations


def test_the_same_seed_erases_the_same_and_rest_changes_nothing():
    make = lambda: layers.RandomErasing(scale=(0.1, 0.3), seed=5)  # noqa: E731
    one, other = make(), make()
    first = one(IMAGES)
    np.testing.assert_array_equal(other(IMAGES), first)
    second = one(IMAGES)
    assert not np.array_equal(second, first)
    other.set_random_state({"seed": 5, "draws": 1})
    np.testing.assert_array_equal(other(IMAGES), second)
    np.testing.assert_array_equal(one(IMAGES, training=False), IMAGES)
    assert not np.array_equal(layers.RandomErasing(scale=(0.1, 0.3), seed=6)(IMAGES), first)
    twin = layers.deserialize(layers.serialize(one))
    assert twin.get_config() == one.get_config()
    np.testing.assert_array_equal(twin(IMAGES), first)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_no_gradient_where_it_is_erased(backend):
    x = np.ones((5, 9, 9, 2))
    with fastconv.set_backend(backend):
        layer = layers.RandomErasing((1, 1), (0.2, 0.4), fill_value=3.0, seed=4)
        y = layer.forward(x, training=True)
        np.testing.assert_array_equal(layer.backward(np.full_like(y, 2.0)), np.where(y == 3, 0, 2))
        layer.forward(x)
        np.testing.assert_array_equal(layer.backward(np.full_like(y, 2.0)), 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": 1.5}, "RandomErasing: factor must be a number or a pair of numbers from 0 to 1; got 1.5"),
        ({"factor": (-0.5, 0.5)}, "RandomErasing: factor must be"),
        ({"scale": (0.1, 2)}, "RandomErasing: scale must be"),
        ({"scale": "large"}, "RandomErasing: scale must be"),
        ({"value_range": 255}, "RandomErasing: value_range must be two numbers, got 255"),
        (
            {"fill_value": "grey"},
            "fill_value must be a number, or one for each channel; got 'grey'",
        ),
        ({"fill_value": [1, "b"]}, "RandomErasing: fill_value must be"),
        ({"fill_value": (1, 2)}, "fill_value=.1, 2. must be a number, or one for each of the 3 channels"),
        ({"seed": -1}, "RandomErasing: seed must be a whole number"),
        ({"data_format": "channels_first"}, "channels_first"),
    ],
)
def test_errors_of_random_erasing(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.RandomErasing(**arguments).build((8, 8, 3))
