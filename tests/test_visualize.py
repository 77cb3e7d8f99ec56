"""Pictures of models: that what is drawn is what the model computes, and that errors say what is wrong.

Nothing here compares pixels of files: arrays, titles and the geometry of axes are looked at.
"""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

import fastconv as fc
from fastconv import layers, visualize
from fastconv.models import Sequential
from fastconv.visualize._figure import COLORS, as_picture, fitted, largest, mosaic, scaled, tile_corner
from fastconv.visualize.plot_learning_curves import curves
from fastconv.visualize.plot_receptive_field import boxes

pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 12, 12, 3), np.float32)
LABELS = RNG.integers(0, 4, 12)


def network(**compile_options):
    """RGB 12×12: conv (10×10×5), pool (5×5×5), a model inside with conv (3×3×6) and dropout, dense 4."""
    fc.utils.set_random_seed(3)
    inner = Sequential(
        [
            layers.Conv2D(6, 3, name="deep"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5, name="drop"),
        ],
        name="block",
    )
    model = Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(5, 3, activation="relu", name="first"),
            layers.MaxPooling2D(2, name="pool"),
            inner,
            layers.Flatten(name="flat"),
            layers.Dense(4, activation="softmax", name="top"),
        ],
        name="net",
    )
    model.compile("sgd", "sparse_categorical_crossentropy", **compile_options)
    return model


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def lenet():
    fc.utils.set_random_seed(0)
    model = fc.applications.LeNet5()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    return model


def image_of(axes):
    (drawn,) = axes.images
    return np.ma.filled(drawn.get_array(), np.nan)


def titled(figure, start):
    """The axes whose title, or text above, begins so."""
    for axes in figure.axes:
        texts = [axes.get_title(loc) for loc in ("left", "center")] + [t.get_text() for t in axes.texts]
        if any(text.startswith(start) for text in texts):
            return axes
    raise AssertionError(f"nothing is titled {start!r}")


# ---- without matplotlib


def run(script):
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_is_lazy():
    assert run(
        "import sys, fastconv\n"
        "print('visualize' in dir(fastconv), 'fastconv.visualize' in sys.modules)\n"
        "fastconv.visualize.extract_features\n"
        "print('matplotlib' in sys.modules)\n"
    ).split() == ["True", "False", "False"]


def test_pyplot_is_not_needed():
    draw = "import sys, fastconv\nfastconv.visualize.plot_images([[[1.0]]])\n"
    assert run(draw + "print('matplotlib.pyplot' in sys.modules)").strip() == "False"


def test_unknown_attributes_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'visualise'"):
        fc.visualise  # noqa: B018


def test_without_matplotlib(monkeypatch, net):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "fastconv.visualize._picture", raising=False)
    for draw in (
        lambda: visualize.plot_filters(net),
        lambda: visualize.plot_receptive_field(net, "first", IMAGES[0]),
        lambda: visualize.plot_learning_curves({"loss": [1.0]}),
    ):
        with pytest.raises(ImportError, match=r"python -m pip install 'fastconv\[plot\]'"):
            draw()
    assert visualize.extract_features(net, "first", IMAGES).shape == (12, 10, 10, 5)


def test_notebooks_show_figures():
    figure = visualize.plot_images(IMAGES[:2])
    assert figure._repr_png_().startswith(b"\x89PNG")


# ---- features


def test_features_are_what_the_layers_put_out(net):
    first = net.get_layer("first").forward(IMAGES)
    pool = net.get_layer("pool").forward(first)
    deep = net.get_layer("block").get_layer("deep").forward(pool)
    features = visualize.extract_features(net, ["first", "deep", "top"], IMAGES, batch_size=5)
    assert list(features) == ["first", "deep", "top"]
    np.testing.assert_array_equal(features["first"], first)
    np.testing.assert_array_equal(features["deep"], deep)
    np.testing.assert_allclose(features["top"], net.predict(IMAGES, verbose=0), rtol=1e-5, atol=1e-7)


def test_one_layer_by_any_name(net):
    deep = net.get_layer("block").get_layer("deep")
    expected = visualize.extract_features(net, "block/deep", IMAGES)
    assert expected.shape == (12, 3, 3, 6)
    for which in ("deep", deep):
        np.testing.assert_array_equal(visualize.extract_features(net, which, IMAGES), expected)
    for which in (0, -5, np.int64(0), net.layers[0]):
        assert visualize.extract_features(net, which, IMAGES).shape == (12, 10, 10, 5)
    assert list(visualize.extract_features(net, (0, deep), IMAGES)) == ["first", "block/deep"]


def test_all_layers_at_rest(net):
    features = visualize.extract_features(net, None, IMAGES)
    names = ["first", "pool", "block", "block/deep", "block/norm", "block/drop", "flat", "top"]
    assert list(features) == names
    np.testing.assert_array_equal(features["block/drop"], features["block/norm"])  # dropout is off
    np.testing.assert_array_equal(features["block"], features["block/drop"])


def test_features_of_a_compiled_model(lenet):
    x = RNG.random((3, 28, 28, 1), np.float32)
    features = visualize.extract_features(lenet, [-1, "C1"], x)
    # a program sums in another order: some ulps of float32
    np.testing.assert_allclose(features["output"], lenet.predict(x, verbose=0), rtol=1e-5, atol=1e-7)
    assert features["C1"].shape == (3, 28, 28, 6)


def test_features_are_copies_and_take_any_array(net):
    x = np.asarray(IMAGES, np.float64)[::2]
    x.setflags(write=False)
    flat = visualize.extract_features(net, "flat", x)
    before = flat.copy()
    visualize.extract_features(net, "flat", x + 1)
    np.testing.assert_array_equal(flat, before)
    assert visualize.extract_features(net, ["first"], IMAGES[:0])["first"].shape == (0, 10, 10, 5)


@pytest.mark.parametrize(
    ("layers_asked", "error", "message"),
    [
        ("frist", ValueError, "unknown layer 'frist'; did you mean 'first'"),
        (9, ValueError, "has 5 layers, none at index 9"),
        (layers.Flatten(name="stranger"), ValueError, "'stranger' is not a layer of"),
        (1.5, TypeError, "layers must be a layer, several in a list, or None"),
        ([1.5], TypeError, "as a name, an index or a Layer, got 1.5"),
    ],
)
def test_unknown_layers(net, layers_asked, error, message):
    with pytest.raises(error, match=message):
        visualize.extract_features(net, layers_asked, IMAGES)


def test_names_at_several_places():
    blocks = [Sequential([layers.Dense(2, name="same")], name=name) for name in ("a", "b")]
    model = Sequential([layers.Input((3,)), *blocks])
    with pytest.raises(ValueError, match=r"the name of several layers of .*: a/same, b/same"):
        visualize.extract_features(model, "same", np.ones((1, 3)))
    assert visualize.extract_features(model, "b/same", np.ones((1, 3))).shape == (1, 2)


def test_bad_models_and_inputs(net):
    with pytest.raises(ValueError, match="has no weights yet: call build"):
        visualize.extract_features(Sequential([layers.Dense(2)]), 0, np.ones((1, 3)))
    with pytest.raises(ValueError, match="has no layers"):
        visualize.plot_filters(Sequential())
    with pytest.raises(TypeError, match="must be a Sequential or another Model"):
        visualize.extract_features("model", 0, IMAGES)
    with pytest.raises(
        ValueError, match=r"expects input \(N, H, W, 3\), got \(12, 12, 3\): add the batch axis"
    ):
        visualize.extract_features(net, 0, IMAGES[0])
    for draw in (visualize.plot_feature_maps, visualize.plot_activation_strip):
        with pytest.raises(ValueError, match=r"expected one image, got an array \(12, 12, 12, 3\) of 12"):
            draw(net, IMAGES)
        with pytest.raises(ValueError, match=r"expects input \(N, H, W, 3\)"):
            draw(net, IMAGES[0, ..., :2])
    with pytest.raises(ValueError, match="are not images"):
        visualize.plot_feature_maps(Sequential([layers.Input((3,)), layers.Dense(2)]), np.ones(3))


# ---- mechanisms


def test_mosaic():
    tiles = RNG.random((5, 2, 3))
    whole = mosaic(tiles, 3, gap=2)
    assert whole.shape == (6, 13)
    for number, tile in enumerate(tiles):
        top, left = tile_corner(number, 3, (2, 3), gap=2)
        np.testing.assert_array_equal(whole[top : top + 2, left : left + 3], tile.astype(np.float32))
    assert np.isnan(whole).sum() == whole.size - tiles.size
    assert np.isnan(mosaic(RNG.random((2, 2, 2, 3)), 2)[:, 2]).all()


def test_as_picture():
    np.testing.assert_allclose(as_picture(np.array([[0, 255]], np.uint8)), [[0, 1]])
    np.testing.assert_allclose(as_picture([[0.25, 0.5]]), [[0.25, 0.5]])
    np.testing.assert_allclose(as_picture([[-1.0, 0.0], [1.0, 3.0]]), [[0, 0.25], [0.5, 1]])
    np.testing.assert_allclose(as_picture([[-2.0, -2.0]]), [[0, 0]])
    assert as_picture(np.zeros((4, 5, 1))).shape == (4, 5)
    for shape in [(4,), (4, 5, 2), (1, 4, 5, 3)]:
        with pytest.raises(ValueError, match=r"a picture is \(H, W\)"):
            as_picture(np.zeros(shape))


def test_scaled():
    maps = np.array([[1.0, -2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(scaled(maps, "each"), [[0.5, -1], [0, 0]])
    np.testing.assert_array_equal(scaled(maps, "all"), maps)
    assert largest(np.array([np.nan, -3])) == 3
    with pytest.raises(ValueError, match="unknown scale 'eahc'; did you mean 'each'"):
        scaled(maps, "eahc")


# ---- filters


def test_filters_in_colours(net):
    kernel = net.get_layer("first").kernel.value
    images = visualize.filter_images(net)
    assert images.shape == (5, 3, 3, 3)
    np.testing.assert_array_equal(images[2, 1], kernel[:, :, 1, 2])
    (axes,) = visualize.plot_filters(net).axes
    drawn = image_of(axes)
    expected = 0.5 + images[0].transpose(1, 2, 0) / (2 * np.abs(images[0]).max())
    np.testing.assert_allclose(drawn[: 3 * 6 : 6, : 3 * 6 : 6], expected, rtol=1e-6)
    assert (drawn[:, 18:23] == 1).all()  # white between
    assert axes.get_aspect() == 1


def test_filters_over_other_channels(net):
    deep = net.get_layer("block").get_layer("deep")
    for figure in (
        visualize.plot_filters(net, "deep", scale="all"),
        visualize.plot_filters(deep, scale="all"),
    ):
        assert figure.get_suptitle() == "deep: 6 filters of 3×3 (across) over 5 channels (down)"
        axes, colorbar = figure.axes
        drawn = image_of(axes)
        step = 3 * 6 + 5  # a filter's pixels and the gap
        np.testing.assert_array_equal(  # filter 4, channel 2
            drawn[2 * step : 2 * step + 18 : 6, 4 * step : 4 * step + 18 : 6], deep.kernel.value[:, :, 2, 4]
        )
        limit = np.abs(deep.kernel.value).max()
        assert axes.images[0].get_clim() == pytest.approx((-limit, limit))
        assert [tick.get_text() for tick in axes.get_xticklabels()] == list("012345")
        assert colorbar.get_ylim() == pytest.approx((-limit, limit))


def test_filters_are_limited(net):
    figure = visualize.plot_filters(net, "deep", max_filters=2, max_channels=3)
    assert figure.get_suptitle().replace("\n", " ") == (
        "deep: the first 2 of 6 filters of 3×3 (across) over the first 3 of 5 channels (down)"
    )
    assert image_of(figure.axes[0]).shape == (3 * 23 - 5, 2 * 23 - 5)


def test_grey_filters(lenet):
    (axes,) = visualize.plot_filters(lenet).axes
    kernel = lenet.get_layer("C1").kernel.value[:, :, 0, 0]
    np.testing.assert_allclose(image_of(axes)[:30:6, :30:6], kernel / np.abs(kernel).max(), rtol=1e-6)


def test_filters_of_what_has_none(net):
    with pytest.raises(
        ValueError, match=r"MaxPooling2D 'pool' is not a convolution .* convolutions are first, block/deep"
    ):
        visualize.plot_filters(net, "pool")
    with pytest.raises(ValueError, match="has no convolution"):
        visualize.plot_filters(Sequential([layers.Input((3,)), layers.Dense(2)]))
    with pytest.raises(ValueError, match="has no weights yet"):
        visualize.plot_filters(layers.Conv2D(2, 3))
    with pytest.raises(TypeError, match="a model or a Conv2D layer, got"):
        visualize.plot_filters(layers.Dense(2))
    with pytest.raises(TypeError, match="needs a model, Conv2D"):
        visualize.plot_filters(layers.Conv2D(2, 3), "first")


# ---- maps


def test_feature_maps(net):
    figure = visualize.plot_feature_maps(net, IMAGES[0])
    titles = [axes.get_title("left") for axes in figure.axes]
    assert [title.split(" · ")[0] for title in titles] == [
        "input",
        "first",
        "pool",
        "block/deep",
        "block/norm",
        "top",
    ]
    assert titles[1].startswith("first · Conv2D, relu · 5 feature maps of 10×10 · values up to ")
    assert titles[-1].startswith("top · Dense, softmax · 4 units")
    np.testing.assert_array_equal(image_of(figure.axes[0]), IMAGES[0])
    maps = visualize.extract_features(net, ["first", "deep", "top"], IMAGES[:1])
    first = image_of(figure.axes[1])
    for number in range(5):
        np.testing.assert_array_equal(
            first[:, number * 11 : number * 11 + 10], maps["first"][0, :, :, number]
        )
    assert figure.axes[1].images[0].get_clim() == pytest.approx((0, maps["first"].max()))
    limit = np.abs(maps["deep"]).max()
    assert figure.axes[3].images[0].get_clim() == pytest.approx((-limit, limit))
    np.testing.assert_array_equal(image_of(figure.axes[-1])[0, ::8], maps["top"][0])
    assert all(axes.get_aspect() == 1 for axes in figure.axes)


def test_feature_maps_chosen_and_limited(net):
    figure = visualize.plot_feature_maps(net, IMAGES[:1], "deep", max_maps=4, scale="each")
    assert len(figure.axes) == 2
    assert "the first 4 of 6 feature maps of 3×3" in figure.axes[1].get_title("left")
    assert np.nanmax(np.abs(image_of(figure.axes[1])[:3, :3])) == pytest.approx(1)
    assert len(visualize.plot_feature_maps(net, IMAGES[0], ["first", 1]).axes) == 3


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (28, 28, 1), (1, 28, 28, 1)])
def test_grey_images_in_any_shape(lenet, shape):
    image = RNG.random((28, 28), np.float32)
    figure = visualize.plot_feature_maps(lenet, image.reshape(shape), "C1")
    np.testing.assert_array_equal(image_of(figure.axes[0]), image)


def test_maps_of_one_unit_are_units():
    model = Sequential(
        [layers.Input((4, 4, 1)), layers.Conv2D(50, 4, name="c"), layers.Reshape((5, 10), name="r")]
    )
    figure = visualize.plot_feature_maps(model, np.ones((4, 4)), ["c", "r"])
    units = visualize.extract_features(model, "c", np.ones((1, 4, 4, 1))).ravel()
    for axes in figure.axes[1:]:
        assert " · 50 units · " in axes.get_title("left")
        np.testing.assert_array_equal(image_of(axes)[0, ::8], units)


def test_images_of_two_channels():
    model = Sequential([layers.Input((4, 6, 2)), layers.Conv2D(3, 3, name="c")])
    figure = visualize.plot_feature_maps(model, np.ones((4, 6, 2)))
    assert image_of(figure.axes[0]).shape == (4, 13)


def test_activation_strip(net):
    names = ["cat", "dog", "emu", "fox"]
    figure = visualize.plot_activation_strip(net, IMAGES[0], names, scale="all")
    inputs, first, *_, bars = figure.axes
    np.testing.assert_array_equal(image_of(inputs), IMAGES[0])
    assert titled(figure, "first · Conv2D, relu") is first
    assert titled(figure, "probability") is bars
    # five maps of 10×10, each pixel 4×4 and 2 between, one below the other in as many columns as suit
    maps = visualize.extract_features(net, "first", IMAGES[:1])[0]
    drawn = image_of(first)
    across = (drawn.shape[1] + 2) // 42
    rows = -(-5 // across)
    assert drawn.shape == (rows * 42 - 2, across * 42 - 2)
    for number in range(5):
        top, left = number % rows * 42, number // rows * 42
        np.testing.assert_array_equal(drawn[top : top + 40 : 4, left : left + 40 : 4], maps[..., number])
    chances = net.predict(IMAGES[:1], verbose=0)[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == names
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], chances, rtol=1e-5)
    [best] = [i for i, bar in enumerate(bars.patches) if bar.get_facecolor() == to_rgba(COLORS[0])]
    assert best == chances.argmax()


def test_of_many_classes_the_strip_shows_the_largest_in_their_order():
    model = Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(12, activation="softmax")])
    image = RNG.random((4, 4, 1), np.float32)
    bars = titled(visualize.plot_activation_strip(model, image), "probability")
    least = np.argsort(model.predict(image[None], verbose=0)[0])[:2]
    assert [label.get_text() for label in bars.get_yticklabels()] == [
        str(label) for label in range(12) if label not in least
    ]


def test_strip_says_what_it_leaves_out(net):
    figure = visualize.plot_activation_strip(net, IMAGES[0], max_maps=2)
    assert titled(figure, "first · Conv2D, relu (2 of 5)")
    with pytest.raises(ValueError, match="there are 4 classes and 2 class_names"):
        visualize.plot_activation_strip(net, IMAGES[0], ["cat", "dog"])


def test_strip_without_classes():
    model = Sequential([layers.Input((6, 6, 1)), layers.Conv2D(3, 3, name="c"), layers.ReLU(name="r")])
    figure = visualize.plot_activation_strip(model, np.ones((6, 6)), layers="c")
    assert len(figure.axes) == 2


# ---- training


def test_learning_curves():
    logs = {
        "loss": [3.0, 2.0, 1.5],
        "val_loss": [3.0, 1.0, 2.0],
        "accuracy": [0.1, 0.5, 0.6],
        "learning_rate": [1e-3] * 3,
    }
    figure = visualize.plot_learning_curves(logs)
    loss, accuracy, rate = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "learning rate"]
    training, validation, best = loss.lines
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert validation.get_ydata().tolist() == [3, 1, 2]
    assert (best.get_xdata(), best.get_ydata()) == ([2], [1.0])
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert len(accuracy.lines) == len(rate.lines) == 1


@pytest.mark.parametrize("epochs", [1, 2, 3, 30])
def test_epochs_are_whole_numbers(epochs):
    figure = visualize.plot_learning_curves({"loss": list(range(epochs)), "val_loss": list(range(epochs))})
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if left <= tick <= right]
    assert ticks
    assert all(tick == round(tick) for tick in ticks)


def test_learning_curves_of_a_fit():
    model = network(metrics=["accuracy"])
    history = model.fit(
        IMAGES, LABELS, epochs=4, verbose=0, validation_data=(IMAGES, LABELS), validation_freq=2
    )
    assert curves(history)["val_loss"][0].tolist() == [2, 4]
    figure = visualize.plot_learning_curves(history, ["accuracy"])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), history.history["accuracy"])


def test_learning_curves_of_several_runs():
    runs = {"sgd": {"loss": [2.0, 1.0]}, "adam": {"loss": [2.0, 0.5], "val_loss": [2.0, 1.0]}}
    (axes,) = visualize.plot_learning_curves(runs).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sgd", "adam"]
    (axes,) = visualize.plot_learning_curves(list(runs.values())).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["run 1", "run 2"]


def test_learning_curves_that_cannot_be():
    with pytest.raises(ValueError, match="the history is empty"):
        visualize.plot_learning_curves({})
    with pytest.raises(ValueError, match="'acuracy' was not recorded; there are loss"):
        visualize.plot_learning_curves({"loss": [1.0]}, ["acuracy"])
    with pytest.raises(TypeError, match="history must be a History"):
        visualize.plot_learning_curves([1.0, 2.0])
    with pytest.warns(UserWarning, match="val_loss has 2 values for 3 epochs"):
        found = curves({"loss": [1.0, 2.0, 3.0], "val_loss": [1.0, 2.0], "matrix": [np.eye(2)] * 3})
    assert list(found) == ["loss"]
    (axes,) = visualize.plot_learning_curves({"loss": [1.0, 1.0], "val_loss": [np.nan, np.nan]}).axes
    assert len(axes.lines) == 2  # no best among NaN


def test_weight_histograms(net):
    figure = visualize.plot_weight_histograms(net)
    drawn = [axes for axes in figure.axes if axes.patches]
    assert [axes.get_title().split("\n")[0] for axes in drawn] == [weight.path for weight in net.weights]
    assert sum(bar.get_height() for bar in drawn[0].patches) == net.weights[0].size
    kernels = [axes for axes in visualize.plot_weight_histograms(net, "kernel").axes if axes.patches]
    assert len(kernels) == 3
    with pytest.raises(ValueError, match="has no weights 'kernal'; those here: beta, bias, gamma, kernel"):
        visualize.plot_weight_histograms(net, "kernal")
    with pytest.raises(ValueError, match="unknown scale 'lin'"):
        visualize.plot_weight_histograms(net, scale="lin")


def test_histograms_of_broken_weights():
    model = Sequential([layers.Input((2,)), layers.Dense(2, name="d")])
    model.weights[0].value = [[np.nan, np.inf], [0, 3]]
    for scale in ("linear", "log"):
        figure = visualize.plot_weight_histograms(model, scale=scale)
        assert figure.axes[0].get_title() == "d/kernel\n4 values, rms 2.1\n2 NaN or infinite, 25% zero"


@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_gradients_are_those_of_a_step(jit_compile):
    fc.utils.set_random_seed(0)
    model = fc.applications.LeNet5()
    model.compile(fc.optimizers.SGD(1.0), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    x, y = RNG.random((8, 28, 28, 1), np.float32), np.arange(8)
    before = model.get_weights()
    gradients = visualize.loss_gradients(model, x, y)
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.value, old)
    model.train_on_batch(x, y)
    for weight, old, (path, gradient) in zip(model.weights, before, gradients.items(), strict=True):
        assert path == weight.path
        # w - (w - 1 g), each step rounded to float32: to within an ulp of w
        np.testing.assert_allclose(old - weight.value, gradient, rtol=1e-6, atol=1e-7)


def test_gradients_leave_the_model_as_it_was():
    model, twin = network(), network()
    fc.utils.set_random_seed(5)
    visualize.plot_gradient_histograms(model, IMAGES, LABELS)  # draws dropout's seed, and batch statistics
    one = [model.train_on_batch(IMAGES, LABELS), model.train_on_batch(IMAGES, LABELS)]
    fc.utils.set_random_seed(5)
    other = [twin.train_on_batch(IMAGES, LABELS), twin.train_on_batch(IMAGES, LABELS)]
    assert one == other
    for mine, its in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_gradient_histograms(net):
    figure = visualize.plot_gradient_histograms(net, IMAGES, LABELS)
    paths = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.patches]
    assert paths == [parameter.path for parameter in net.parameters]
    uncompiled = Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="is not compiled"):
        visualize.plot_gradient_histograms(uncompiled, np.ones((1, 3)), [0])
    frozen = network()
    frozen.trainable = False
    with pytest.raises(ValueError, match="has no trainable weights"):
        visualize.plot_gradient_histograms(frozen, IMAGES, LABELS)


# ---- mistakes


def test_confusion_matrix():
    figure = visualize.plot_confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2], ["ant", "bee", "cow"])
    (axes,) = figure.axes
    np.testing.assert_allclose(image_of(axes) ** 2, [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]], rtol=1e-6)
    written = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    assert written == {(0, 0): "1", (0, 1): "1", (1, 1): "1", (2, 2): "1"}
    assert axes.get_title() == "75.00% of 4 examples are right"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cow"]
    (axes,) = visualize.plot_confusion_matrix([0, 0, 1], [0, 1, 1], normalize="true").axes
    assert sorted(t.get_text() for t in axes.texts) == ["0.50", "0.50", "1.00"]
    assert not visualize.plot_confusion_matrix(range(30), range(30)).axes[0].texts
    with pytest.raises(ValueError, match=r"label 2 is outside 0\.\.1"):
        visualize.plot_confusion_matrix([0, 2], [0, 1], ["ant", "bee"])


def test_mistakes(net):
    scores = net.predict(IMAGES, verbose=0)
    labels = np.array([0, 1, 2, 3] * 3)
    found = visualize.find_mistakes(net, IMAGES, labels)
    assert sorted(found.examples) == np.flatnonzero(scores.argmax(1) != labels).tolist()
    assert (np.diff(found.confidence) <= 0).all()
    np.testing.assert_array_equal(found.true, labels[found.examples])
    np.testing.assert_array_equal(found.predicted, scores[found.examples].argmax(1))
    np.testing.assert_array_equal(found.confidence, scores[found.examples].max(1))
    for y in (labels[:, None], np.eye(4)[labels]):
        np.testing.assert_array_equal(visualize.find_mistakes(net, IMAGES, y).examples, found.examples)


def test_misclassified(net):
    names = ["cat", "dog", "emu", "fox"]
    labels = np.array([0, 1, 2, 3] * 3)
    found = visualize.find_mistakes(net, IMAGES, labels)
    figure = visualize.plot_misclassified(net, IMAGES, labels, names, number=3)
    said = "are misclassified: predicted class (probability) and true class"
    assert figure.get_suptitle().replace("\n", " ") == f"{len(found.examples)} of 12 {said}"
    assert len(figure.axes) == 3
    for axes, example, true, predicted, confidence in zip(figure.axes, *found, strict=False):
        np.testing.assert_array_equal(image_of(axes), IMAGES[example])
        assert axes.get_title() == f"{names[predicted]} ({confidence:.0%})\ntrue: {names[true]}"


def test_no_mistakes(net):
    right = net.predict(IMAGES, verbose=0).argmax(1)
    figure = visualize.plot_misclassified(net, IMAGES, right)
    assert figure.get_suptitle() == "0 of 12 are misclassified"
    assert not figure.axes


def test_mistakes_of_no_classifier(net):
    regression = Sequential([layers.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="are not class scores"):
        visualize.find_mistakes(regression, np.ones((2, 3)), [0, 1])
    with pytest.raises(ValueError, match=r"label 7 at index 0 of the batch is outside 0\.\.3"):
        visualize.find_mistakes(net, IMAGES, np.full(12, 7))


# ---- receptive fields


def test_receptive_field(net):
    # first: 3×3. pool: 4×4, step 2. deep: 3 pools, 2 pixels apart: 4 + 2·2 = 8
    found = boxes(net, ["first", "pool", "deep"], (1, 2))
    assert found == {
        ("first", (1, 2)): (1, 2, 4, 5),
        ("pool", (1, 2)): (2, 4, 6, 8),
        ("block/deep", (1, 2)): (2, 4, 10, 12),
    }
    figure = visualize.plot_receptive_field(net, ["first", "pool", "deep"], IMAGES[0], (1, 2))
    whole, *cuts = figure.axes
    assert [(box.get_y(), box.get_x(), box.get_height(), box.get_width()) for box in whole.patches] == [
        (top - 0.5, left - 0.5, bottom - top, right - left) for top, left, bottom, right in found.values()
    ]
    for axes, (top, left, bottom, right) in zip(cuts, found.values(), strict=True):
        np.testing.assert_array_equal(image_of(axes), IMAGES[0, top:bottom, left:right])
    assert cuts[2].get_title().replace("\n", " ") == "block/deep, unit (1, 2): 8×8"


def test_receptive_fields_of_several_units(net):
    assert len(boxes(net, "deep", [(0, 0), (2, 2)])) == 2
    assert list(boxes(net, "deep")) == [("block/deep", (1, 1))]
    assert len(visualize.plot_receptive_field(net, "deep", IMAGES[0], [(0, 0), (2, 2)]).axes) == 3
    with pytest.raises(IndexError, match="has 3 rows of units, from 0; got 3"):
        boxes(net, "deep", (3, 0))
    with pytest.raises(ValueError, match="a unit is"):
        boxes(net, "deep", (0.5, 1))
    with pytest.raises(ValueError, match="unknown layer 'depe'"):
        visualize.plot_receptive_field(net, "depe", IMAGES[0])


# ---- images, and figures of one's own


def test_images():
    figure = visualize.plot_images(IMAGES[:5], list("abcde"), columns=2, title="five")
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    assert figure.get_suptitle() == "five"
    for axes, image in zip(figure.axes, IMAGES, strict=False):
        np.testing.assert_array_equal(image_of(axes), image)
    with pytest.raises(ValueError, match="there are 2 images and 1 titles"):
        visualize.plot_images(IMAGES[:2], ["a"])
    with pytest.raises(ValueError, match="images must be"):
        visualize.plot_images(IMAGES[0, 0])


def test_figures_of_ones_own(net, lenet):
    """Every picture can be part of another; drawing it raises no warning (they are errors here)."""
    from matplotlib.figure import Figure

    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}
    pictures = [
        lambda figure: visualize.plot_activation_strip(net, IMAGES[0], figure=figure),
        lambda figure: visualize.plot_confusion_matrix([0, 1], [0, 1], figure=figure),
        lambda figure: visualize.plot_feature_maps(net, IMAGES[0], figure=figure),
        lambda figure: visualize.plot_filters(net, figure=figure),
        lambda figure: visualize.plot_gradient_histograms(net, IMAGES, LABELS, figure=figure),
        lambda figure: visualize.plot_images(IMAGES, figure=figure),
        lambda figure: visualize.plot_learning_curves(history, figure=figure),
        lambda figure: visualize.plot_misclassified(net, IMAGES, LABELS, figure=figure),
        lambda figure: visualize.plot_receptive_field(net, "pool", IMAGES[0], figure=figure),
        lambda figure: visualize.plot_weight_histograms(net, figure=figure),
    ]
    own = Figure(figsize=(8, 40), dpi=50)
    parts = own.subfigures(len(pictures), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw, part in zip(pictures, parts, strict=True):
            assert draw(part) is part
            assert part.axes
            draw(None).canvas.draw()
        own.canvas.draw()


# ---- text in pictures


def texts_of(figure):
    """(text, its box in dots) of all that is written, and the size of the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden = {text for axes in figure.axes if not axes.axison for text in axes.findobj(Text)}
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        hidden |= {text for tick in beyond for text in tick.findobj(Text)}
    found = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_text().strip()
        and text.get_visible()
        and text not in hidden
        and not text.get_rotation() % 90
    ]
    return found, canvas.get_width_height()


def deep_names():
    model = Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(4, 3, activation="relu", name="convolution_in_the_first_block"),
            layers.BatchNormalization(name="batch_normalization_in_the_first_block"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="classes"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


DIGITS = RNG.random((24, 28, 28, 1), np.float32)
DIGIT_LABELS = np.arange(24) % 10
CLOTHES = [
    "T-shirt or top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]
PICTURES = {
    "gradients": lambda model, f: visualize.plot_gradient_histograms(model, DIGITS, DIGIT_LABELS, figure=f),
    "weights": lambda model, f: visualize.plot_weight_histograms(model, figure=f),
    "misclassified": lambda model, f: visualize.plot_misclassified(
        model, DIGITS, DIGIT_LABELS, CLOTHES, figure=f
    ),
    "confusion": lambda model, f: visualize.plot_confusion_matrix(
        DIGIT_LABELS, model.predict(DIGITS, verbose=0), CLOTHES, figure=f
    ),
    "curves": lambda model, f: visualize.plot_learning_curves(
        {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], "accuracy": [0.1, 0.9], "learning_rate": [1e-3] * 2},
        figure=f,
    ),
    "saliency": lambda model, f: visualize.plot_saliency(model, DIGITS[:8], classes=CLOTHES, figure=f),
    "top": lambda model, f: visualize.plot_top_activations(model, 0, DIGITS, figure=f),
    "fields": lambda model, f: visualize.plot_receptive_field(model, [0, 1], DIGITS[0], figure=f),
}


@pytest.mark.parametrize("size", [None, (7, 6), (14, 9)])
@pytest.mark.parametrize("name", PICTURES)
def test_texts_do_not_overlap(name, size, lenet):
    """Also with long names of layers and classes; each inside the picture."""
    for model in (lenet, deep_names()):
        figure = PICTURES[name](model, None if size is None else Figure(size, layout="constrained"))
        found, (wide, tall) = texts_of(figure)
        assert len(found) > 1
        for number, (text, box) in enumerate(found):
            assert box.x0 > -2, text
            assert box.y0 > -2, text
            assert box.x1 < wide + 2, text
            assert box.y1 < tall + 2, text
            for other, its_box in found[number + 1 :]:
                across = min(box.x1, its_box.x1) - max(box.x0, its_box.x0)
                down = min(box.y1, its_box.y1) - max(box.y0, its_box.y0)
                assert across < 1 or down < 2, f"{text!r} runs into {other!r}"


def test_text_is_fitted():
    assert fitted("12345678 12345678", 1.2, 10) == "12345678\n12345678"
    assert fitted("12345678 12345678", 1.5, 10) == "12345678 12345678"
    assert fitted("one\n\ntwo", 9) == "one\n\ntwo"
