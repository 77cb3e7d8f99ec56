"""Looking inside graphs: what layers put out, the way back through branches, and the pictures of both."""

import graph_networks as networks
import numpy as np
import pytest

import fastconv
from fastconv import Model, Sequential, layers, visualize

RNG = np.random.default_rng(5)
IMAGES = RNG.standard_normal((3, 12, 12, 3)).astype(np.float32)


def started(name):
    model = networks.NETWORKS[name](fastconv)
    networks.start(model)
    return model


def residual():
    """A small residual network with a model inside, of 12×12 images."""
    image = layers.Input((12, 12, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(image)
    inner = layers.Input((12, 12, 6), name="inner")
    y = layers.BatchNormalization(name="norm")(layers.Conv2D(6, 3, padding="same", name="conv")(inner))
    block = Model(inner, layers.ReLU(name="relu")(layers.Add(name="sum")([y, inner])), name="block")
    x = layers.MaxPooling2D(name="pool")(block(x))
    wide = [layers.Conv2D(4, k, padding="same", activation="relu", name=f"branch{k}")(x) for k in (1, 3)]
    x = layers.Concatenate(name="both")(wide)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = Model(image, layers.Dense(5, activation="softmax", name="top")(x), name="net")
    networks.start(model)
    return model


def gradient(model, x, dy, from_logits=False):
    """∂ (dy · output) / ∂ x by the model's own way back."""
    model.forward(x, training=False)
    back = model.backward_from_logits if from_logits else model.backward
    return back(dy, input_gradient=True)


def one_hot(shape, *place):
    dy = np.zeros(shape, np.float32)
    dy[place] = 1
    return dy


# ---- what layers put out


@pytest.mark.parametrize("name", ["resnet8", "inception", "three_times"])
def test_features_are_what_a_model_up_to_the_layer_predicts(name):
    model = started(name)
    x = RNG.standard_normal((5, *model.input_shape[1:])).astype(np.float32)
    features = visualize.extract_features(model, None, x, batch_size=2)
    assert list(features) == [layer.name for layer in model.layers if not layer.is_input]
    for layer in model.layers[1:]:
        expected = Model(model.input, layer.output).predict(x, verbose=0)  # of the first call
        np.testing.assert_allclose(features[layer.name], expected, rtol=1e-5, atol=5e-5)


def test_features_of_models_inside_and_of_several_inputs():
    model = residual()
    features = visualize.extract_features(model, ["block/sum", "relu"], IMAGES)
    np.testing.assert_array_equal(features["relu"], np.maximum(features["block/sum"], 0))
    twins = started("siamese")
    a, b = (RNG.standard_normal((3, 12, 12, 1)).astype(np.float32) for _ in range(2))
    both = visualize.extract_features(twins, 3, [a, b])
    twin = twins.layers[2]
    np.testing.assert_allclose(both, twin.predict(a, verbose=0) - twin.predict(b, verbose=0), atol=1e-6)
    np.testing.assert_allclose(
        visualize.extract_features(twins, twin, {twins.input_names[0]: a, twins.input_names[1]: b}),
        twin.predict(a, verbose=0),
        atol=1e-6,
    )


def test_features_of_a_subclass_and_of_a_layer_that_is_no_layer():
    model = started("subclassed")
    x = IMAGES[:2]
    features = visualize.extract_features(model, [layer.name for layer in model.layers], x)
    np.testing.assert_allclose(features[model.out.name], model.predict(x, verbose=0), atol=1e-6)
    with pytest.raises(
        ValueError, match=r"computes nothing: the layers of .* are 'stem', 'block', 'block/conv'"
    ):
        visualize.extract_features(residual(), 0, x)
    with pytest.raises(ValueError, match="unknown layer 'image'"):
        visualize.extract_features(residual(), "image", x)


# ---- the way back


@pytest.mark.parametrize("layer", ["block/sum", "pool", "both", "top"])
def test_the_gradient_of_a_unit_is_that_of_the_model_up_to_it(layer):
    model = residual()
    y = visualize.extract_features(model, layer, IMAGES)
    unit = (1, 2) if y.ndim == 4 else None
    found = visualize.deconvnet(model, layer, IMAGES, map=2, unit=unit, mode="gradient")
    name = layer.rpartition("/")[2]
    inner = model.get_layer("block")
    if "/" in layer:  # the model up to it, with the one inside opened by hand
        body = Model(inner.input, inner.get_layer(name).output)
        up_to = Model(model.input, body(model.get_layer("stem").output))
    else:
        up_to = Model(model.input, model.get_layer(name).output)
    place = (slice(None), *(unit or ()), 2)
    expected = gradient(up_to, IMAGES, one_hot(y.shape, *place))
    size = np.abs(expected).max()
    assert size > 0
    np.testing.assert_allclose(found / size, expected / size, atol=1e-4)


def test_signals_that_meet_add_up_and_each_rectifier_asks_for_itself():
    """y = relu(-x) + 2x + (x + x)/2 at one pixel: by hand, for a signal of 1 and one of the other sign."""
    image = layers.Input((2, 2, 1))
    turned = layers.Conv2D(1, 1, use_bias=False, name="turned")
    relu = layers.ReLU(name="relu")(turned(image))
    double = layers.Conv2D(1, 1, use_bias=False, name="double")(image)
    mean = layers.Average(name="mean")([image, image])
    last = layers.Conv2D(1, 1, use_bias=False, name="last")
    model = Model(image, last(layers.Add(name="sum")([relu, double, mean])))
    turned.set_weights([np.full((1, 1, 1, 1), -1.0)])
    model.get_layer("double").set_weights([np.full((1, 1, 1, 1), 2.0)])
    for weight in (1.0, -1.0):
        last.set_weights([np.full((1, 1, 1, 1), weight)])
        for pixel in (3.0, -3.0):  # relu is off, then on
            x = np.full((1, 2, 2, 1), pixel, np.float32)
            on, positive = pixel < 0, weight > 0
            ways = {
                "gradient": -weight if on else 0.0,
                "deconvnet": -1.0 if positive else 0.0,
                "guided": -1.0 if positive and on else 0.0,
            }
            for mode, through_relu in ways.items():
                found = visualize.deconvnet(model, "last", x, unit=(0, 1), map=0, mode=mode)
                np.testing.assert_allclose(found[0, 0, 1, 0], through_relu + 3 * weight, rtol=1e-6)
                assert np.count_nonzero(found) <= 1


def test_without_rectifiers_all_modes_are_the_gradient():
    image = layers.Input((8, 8, 2))
    x = layers.DepthwiseConv2D(3, padding="same", name="deep")(image)
    y = layers.Concatenate(name="both")([layers.Conv2D(2, 3, padding="same")(x), layers.Identity()(image), x])
    y = layers.AveragePooling2D()(layers.Conv2D(3, 3)(y * 0.5 - 1.0))
    model = Model(image, layers.Subtract(name="difference")([y, layers.Conv2D(3, 1)(y)]))
    networks.start(model)
    images = RNG.standard_normal((2, 8, 8, 2)).astype(np.float32)
    found = {
        mode: visualize.deconvnet(model, -1, images, map=1, unit=(1, 1), mode=mode)
        for mode in visualize.MODES
    }
    expected = gradient(model, images, one_hot((2, 3, 3, 3), slice(None), 1, 1, 1))
    for signals in found.values():
        np.testing.assert_allclose(signals, expected, atol=1e-6)


@pytest.mark.parametrize("merge", ["Multiply", "Maximum", "Minimum", "Divide"])
def test_merging_layers_that_are_not_linear_have_a_gradient_alone(merge):
    image = layers.Input((6, 6, 1))
    a, b = layers.Conv2D(2, 3, name="a")(image), layers.Conv2D(2, 3, name="b")(image)
    model = Model(image, getattr(layers, merge)(name="merged")([a, b]))
    images = RNG.standard_normal((2, 6, 6, 1)).astype(np.float32)
    for mode in ("deconvnet", "guided"):
        with pytest.raises(ValueError, match=f"mode '{mode}' cannot be used for {merge} 'merged'"):
            visualize.deconvnet(model, "merged", images, mode=mode)
    found = visualize.deconvnet(model, "merged", images, map=0, unit=(1, 2), mode="gradient")
    expected = gradient(model, images, one_hot((2, 4, 4, 2), slice(None), 1, 2, 0))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert visualize.deconvnet(model, "a", images).shape == images.shape  # below it, nothing is in the way


def test_a_layer_called_three_times_goes_back_by_its_first_call():
    model = started("three_times")
    images = RNG.standard_normal((2, 8, 8, 4)).astype(np.float32)
    conv = model.layers[1]
    found = visualize.deconvnet(model, conv, images, map=1, unit=(3, 3), mode="gradient")
    expected = gradient(Model(model.input, conv.output), images, one_hot((2, 8, 8, 4), slice(None), 3, 3, 1))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not found[:, 6:].any()  # it sees 3×3 pixels
    # The output, which depends on all three calls.
    found = visualize.saliency(model, images, label=4)
    expected = gradient(model, images, one_hot((2, 10), slice(None), 4), from_logits=True)
    np.testing.assert_allclose(found, np.abs(expected).max(axis=-1), atol=1e-6)


def test_saliency_of_a_residual_network():
    model = residual()
    labels = model.predict(IMAGES, verbose=0).argmax(axis=1)
    expected = gradient(model, IMAGES, one_hot((3, 5), np.arange(3), labels), from_logits=True)
    np.testing.assert_allclose(visualize.saliency(model, IMAGES), np.abs(expected).max(axis=-1), atol=1e-6)
    assert visualize.saliency(model, IMAGES[0], mode="guided").shape == (12, 12)


def test_the_way_back_leaves_gradients_and_weights_alone():
    model = residual()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch(IMAGES, np.array([0, 1, 2]))
    before = [array.copy() for weight in model.weights for array in (weight.value, weight.grad)]
    visualize.saliency(model, IMAGES)
    visualize.deconvnet(model, "both", IMAGES)
    visualize.top_activations(model, "branch3", IMAGES)
    visualize.extract_features(model, None, IMAGES)
    for array, earlier in zip(
        [array for weight in model.weights for array in (weight.value, weight.grad)], before, strict=True
    ):
        np.testing.assert_array_equal(array, earlier)


def test_several_inputs_and_outputs_are_errors_with_a_remedy():
    model = started("two_in_two_out")
    with pytest.raises(
        ValueError, match="several inputs, image, extra: ask a Model that begins with one of them"
    ):
        visualize.deconvnet(model, "kind", IMAGES)
    image = layers.Input((12, 12, 3))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(4, 3, name="conv")(image))
    heads = [layers.Dense(3, activation="softmax", name="kind")(x), layers.Dense(1, name="size")(x)]
    model = Model(image, heads)
    for ask in (visualize.saliency, visualize.occlusion):
        with pytest.raises(
            ValueError, match="several outputs, kind, size: ask a Model that ends in one of them"
        ):
            ask(model, IMAGES)
    assert visualize.deconvnet(model, "conv", IMAGES).shape == IMAGES.shape
    one = visualize.saliency(Model(image, heads[0]), IMAGES)
    assert one.shape == (3, 12, 12)


def test_occlusion_of_a_residual_network():
    model = residual()
    heat = visualize.occlusion(model, IMAGES[0], size=4, stride=6, fill=0.5, label=3)
    covered = IMAGES[:1].copy()
    covered[:, 1:5, 1:5] = 0.5  # the middle of the first 6×6 pixels
    np.testing.assert_allclose(heat[0, 0], model.predict(covered, verbose=0)[0, 3], rtol=1e-5)


def test_the_strongest_units_of_a_branch_and_what_they_see():
    model = residual()
    top = visualize.top_activations(model, "branch3", IMAGES, count=2)
    maps = visualize.extract_features(model, "branch3", IMAGES)
    np.testing.assert_array_equal(top.values[:, 0], maps.max(axis=(0, 1, 2)))
    field = fastconv.models.receptive_field(model, "branch3")
    height = top.boxes[..., 2] - top.boxes[..., 0]
    assert (height == field.size[0]).all()
    assert field.size == (10, 10)  # 3×3 three times, of them the last 2 pixels apart, and 2×2
    # What lies beyond the box has no part in it.
    image, (top_row, left, bottom, right) = top.images[0, 0], top.boxes[0, 0]
    changed = RNG.standard_normal((1, 12, 12, 3)).astype(np.float32)
    inside = (slice(None), slice(max(top_row, 0), bottom), slice(max(left, 0), right))
    changed[inside] = IMAGES[image : image + 1][inside]
    i, j = top.positions[0, 0]
    again = visualize.extract_features(model, "branch3", changed)[0, i, j, 0]
    np.testing.assert_allclose(again, top.values[0, 0], rtol=1e-5)


# ---- pictures


def test_the_strip_shows_every_layer_that_changes_the_picture():
    pytest.importorskip("matplotlib")
    figure = visualize.plot_activation_strip(residual(), IMAGES[0])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    for name in ("stem", "block/conv", "block/sum", "pool", "branch1", "branch3", "both", "mean"):
        assert any(text.startswith(name) for text in texts), name
    assert "probability" in texts


def test_histograms_of_weights_and_gradients_of_two_heads():
    pytest.importorskip("matplotlib")
    model = started("two_in_two_out")
    model.compile("sgd", **networks.compile_arguments("two_in_two_out"))
    x, y = next(networks.batches("two_in_two_out", *networks.shapes("two_in_two_out", model)))
    gradients = visualize.loss_gradients(model, x, y)
    assert list(gradients) == [parameter.path for parameter in model.parameters]
    rate = 0.01
    before = {parameter.path: parameter.value.copy() for parameter in model.parameters}
    model.optimizer.learning_rate = rate
    model.train_on_batch(x, y)
    for parameter in model.parameters:
        step = before[parameter.path] - parameter.value
        np.testing.assert_allclose(step, rate * gradients[parameter.path], atol=1e-6)
    assert len(visualize.plot_gradient_histograms(model, x, y).axes) >= len(gradients)
    assert len(visualize.plot_weight_histograms(model).axes) >= len(gradients)


def test_filters_of_a_graph():
    model = residual()
    np.testing.assert_array_equal(
        visualize.filter_images(model).shape, visualize.filter_images(model, "stem").shape
    )
    with pytest.raises(ValueError, match="the convolutions are stem, block/conv, branch1, branch3"):
        visualize.filter_images(model, "pool")


def test_a_chain_gives_what_the_same_graph_gives():
    image = layers.Input((12, 12, 3))
    stack = [
        layers.Conv2D(4, 3, activation="relu", name="a"),
        layers.MaxPooling2D(name="b"),
        layers.Flatten(name="f"),
    ]
    stack.append(layers.Dense(3, activation="softmax", name="d"))
    chain = Sequential([image, *stack])
    graph = Model(chain.input, chain.output)
    for mode in visualize.MODES:
        np.testing.assert_array_equal(
            visualize.deconvnet(chain, "b", IMAGES, mode=mode),
            visualize.deconvnet(graph, "b", IMAGES, mode=mode),
        )
        np.testing.assert_array_equal(
            visualize.saliency(chain, IMAGES, mode=mode), visualize.saliency(graph, IMAGES, mode=mode)
        )
