"""The networks' sizes are those of the papers and books they come from."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest

import fastconv
from fastconv.applications import (
    DSCNN,
    Cifar10CNN,
    ConvAutoencoder,
    ConvNetJSCifar10,
    CS231nNet,
    FashionCNN,
    LeNet5,
    MobileNetV1,
    ResNet,
    ResNet8,
    ResNet20,
    ResNet32,
    UNet,
)


def test_lenet5_parameters_layer_by_layer():
    # C1: 6·(5·5·1 + 1), C3: 16·(5·5·6 + 1), C5: 120·(5·5·16 + 1), F6: 84·(120 + 1), output: 10·(84 + 1)
    counts = {layer.name: layer.count_params() for layer in LeNet5().layers if layer.count_params()}
    assert counts == {"C1": 156, "C3": 2_416, "C5": 48_120, "F6": 10_164, "output": 850}
    assert LeNet5().count_params() == 61_706


def test_lenet5_shapes_are_the_papers_for_28_and_for_32_pixels():
    for size in (28, 32):
        model = LeNet5((size, size, 1))
        shapes = [model.get_layer(name).output_shape for name in ("C1", "S2", "C3", "S4", "C5", "F6")]
        assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (120,), (84,)]


def test_lenet5_for_other_images_and_classes():
    model = LeNet5((32, 32, 3), classes=7)
    assert model.predict(np.zeros((2, 32, 32, 3), np.float32), verbose=0).shape == (2, 7)


def test_fashion_cnn_parameters():
    # The count that the book's own model.summary() prints.
    assert FashionCNN().count_params() == 1_413_834
    assert FashionCNN().name == "fashion_cnn"


def test_cifar10_cnn_parameters_and_shapes():
    model = Cifar10CNN()
    # A block has 9 * in * out weights and no bias; its batch normalisation 4 numbers a map.
    maps = (3, 32, 64, 128, 128, 256, 256, 256)
    assert model.count_params() == 2 * 3 + sum(9 * c * k + 4 * k for c, k in pairwise(maps)) + 10 * (256 + 1)
    assert model.count_params() == 1_722_096
    sizes = [model.get_layer(f"block{block}_relu").output_shape for block in range(1, 8)]
    assert sizes == [
        (32, 32, 32), (16, 16, 64), (16, 16, 128), (8, 8, 128), (8, 8, 256), (4, 4, 256), (4, 4, 256)
    ]  # fmt: skip
    assert model.get_layer("features").output_shape == (256,)


def test_cifar10_cnn_standardizes_its_input_and_learns_nothing_there():
    images = np.random.default_rng(1).random((64, 32, 32, 3), np.float32) * [0.5, 1, 2] + [0, 3, -1]
    first = Cifar10CNN().layers[0]
    standard = first.forward(images, training=True)
    assert first.parameters == []
    np.testing.assert_allclose(standard.mean((0, 1, 2)), 0, atol=1e-5)  # 65,536 numbers about 1
    variance = images.var((0, 1, 2))
    np.testing.assert_allclose(standard.var((0, 1, 2)), variance / (variance + 1e-3), rtol=1e-4)


def test_cs231n_has_the_courses_17_layers():
    model = CS231nNet()
    block = ["Conv2D", "ReLU", "Conv2D", "ReLU", "MaxPooling2D"]
    assert [type(layer).__name__ for layer in model.layers] == [*block * 3, "Sequential", "Softmax"]
    assert len(model.layers) == 17
    sides = [32] * 4 + [16] * 5 + [8] * 5 + [4]
    shapes = [(side, side, 10) for side in sides] + [(None, 10), (10,)]  # a model's has the batch in front
    assert [layer.output_shape for layer in model.layers] == shapes


def test_cs231n_parameters_layer_by_layer():
    # 10·(3·3·3 + 1), five times 10·(3·3·10 + 1), 10·(4·4·10 + 1)
    counts = {layer.name: layer.count_params() for layer in CS231nNet().layers if layer.count_params()}
    assert counts == {"conv1": 280, **{f"conv{i}": 910 for i in range(2, 7)}, "fc": 1_610}
    assert CS231nNet().count_params() == 6_440


def test_cs231n_starts_with_hes_weights():
    fastconv.utils.set_random_seed(0)
    kernels = [CS231nNet().get_layer(f"conv{i}").kernel.value for _ in range(10) for i in range(2, 7)]
    # 45,000 numbers of mean 0 and variance 2/90: five standard errors of mean and of variance.
    weights = np.concatenate(kernels, axis=None)
    assert abs(weights.mean()) < 5 * np.sqrt(2 / 90 / weights.size)
    assert weights.var() == pytest.approx(2 / 90, rel=5 * np.sqrt(2 / weights.size))


def test_convnetjs_has_the_demonstrations_12_layers():
    model = ConvNetJSCifar10()
    block = ["Conv2D", "ReLU", "MaxPooling2D"]
    names = [type(layer).__name__ for layer in model.layers]
    assert names == ["Rescaling", *block * 3, "Sequential", "Softmax"]
    assert len(model.layers) == 12
    shapes = [(32, 32, 3), (32, 32, 16), (32, 32, 16), (16, 16, 16), (16, 16, 20), (16, 16, 20), (8, 8, 20)]
    shapes += [(8, 8, 20), (8, 8, 20), (4, 4, 20), (None, 10), (10,)]
    assert [layer.output_shape for layer in model.layers] == shapes
    x = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    np.testing.assert_allclose(model.layers[0](x), x - 0.5, atol=1e-7)


def test_convnetjs_parameters_layer_by_layer():
    # 16·(5·5·3 + 1), 20·(5·5·16 + 1), 20·(5·5·20 + 1), 10·(4·4·20 + 1)
    model = ConvNetJSCifar10()
    counts = {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}
    assert counts == {"conv1": 1_216, "conv2": 8_020, "conv3": 10_020, "fc": 3_210}
    assert model.count_params() == 22_466


def test_convnetjs_starts_as_convnetjs_does():
    fastconv.utils.set_random_seed(0)
    models = [ConvNetJSCifar10() for _ in range(10)]
    for name, fan_in, bias in (("conv1", 75, 0.1), ("conv2", 400, 0.1), ("conv3", 500, 0.1), ("fc", 320, 0)):
        pairs = [model.get_layer(name).get_weights() for model in models]
        weights = np.stack([kernel for kernel, _ in pairs])
        assert abs(weights.mean()) < 5 * np.sqrt(1 / fan_in / weights.size)
        assert weights.var() == pytest.approx(1 / fan_in, rel=5 * np.sqrt(2 / weights.size))
        # A normal distribution, not cut off at two standard deviations: 4.6 % lie beyond.
        assert np.mean(np.abs(weights) > 2 / np.sqrt(fan_in)) == pytest.approx(0.0455, abs=0.015)
        assert all((values == np.float32(bias)).all() for _, values in pairs)


def test_convnetjs_weight_decay():
    """ConvNetJS' gradient of it, l2_decay·w / batch size, is that of the penalty its docstring names."""
    l2_decay, batch_size = 1e-4, 4
    model = ConvNetJSCifar10(kernel_regularizer=fastconv.regularizers.L2(l2_decay / (2 * batch_size)))
    penalized = [parameter for parameter in model.parameters if parameter.regularizer is not None]
    assert [parameter.name for parameter in penalized] == ["kernel"] * 4  # biases are left alone
    for parameter in penalized:
        parameter.grad = np.zeros(parameter.shape)
    loss = fastconv.regularizers.penalize(penalized)
    for parameter in penalized:
        np.testing.assert_allclose(parameter.grad, l2_decay * parameter.value / batch_size, rtol=1e-6)
    halves = [0.5 * l2_decay * np.sum(np.square(parameter.value, dtype=float)) for parameter in penalized]
    assert loss == pytest.approx(sum(halves) / batch_size, rel=1e-6)


# ---- networks that are no chains


def learning(model):
    """The number of parameters that learn."""
    return sum(parameter.value.size for parameter in model.parameters)


# He et al. 2016, table 6, which counts millions; with projections each change of size adds filters · filters.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_resnets_have_the_papers_parameters(depth, millions):
    network = ResNet(depth)
    assert network.name == f"resnet{depth}"
    assert learning(network) / 1e6 == pytest.approx(millions, abs=0.005 if millions < 1 else 0.05)
    convolutions = [layer for layer in network.layers if isinstance(layer, fastconv.layers.Conv2D)]
    assert len(convolutions) == depth - 1  # the dense layer is the last that has weights
    assert learning(ResNet(depth, shortcut="projection")) - learning(network) == 16 * 32 + 32 * 64


def test_resnets_parameters_layer_by_layer():
    # A convolution has 9·in·out weights, its normalisation 2·out that learn; the dense layer 10·(64 + 1).
    for network, blocks in ((ResNet20(), 3), (ResNet32(), 5)):
        widths = [(3, 16), *[(16, 16)] * 2 * blocks, (16, 32), *[(32, 32)] * (2 * blocks - 1)]
        widths += [(32, 64), *[(64, 64)] * (2 * blocks - 1)]
        assert learning(network) == sum(9 * c * k + 2 * k for c, k in widths) + 650
    assert (learning(ResNet20()), learning(ResNet32())) == (269_722, 464_154)


def test_resnet8_is_that_of_mlperf_tiny():
    # MLPerf Tiny, image classification, resnet_v1_eembc with 16 filters: Keras counts 78,666.
    network = ResNet8()
    assert network.count_params() == 78_666
    shapes = [network.get_layer(f"stack{stack}_block1_add").output_shape for stack in (1, 2, 3)]
    assert shapes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]
    penalized = [parameter for parameter in network.parameters if parameter.regularizer is not None]
    assert len(penalized) == 9  # seven convolutions 3×3 and two projections, not the dense layer
    assert all(parameter.regularizer.l2 == pytest.approx(1e-4) for parameter in penalized)


def test_the_papers_shortcut_subsamples_and_pads_with_zeros():
    """Option A: exactly every second pixel, then maps of exact zeros; also for odd sizes."""
    network = ResNet(8, (11, 14, 3))
    below, pad = network.get_layer("stack1_block1_relu2"), network.get_layer("stack2_block1_pad")
    both = fastconv.Model(network.input, [below.output, pad.output])
    x = np.random.default_rng(0).random((2, 11, 14, 3), np.float32)
    before, after = both.predict(x, verbose=0)
    assert after.shape == (2, 6, 7, 32)
    np.testing.assert_array_equal(after[..., :16], before[:, ::2, ::2])
    assert not after[..., 16:].any()
    assert pad.count_params() == 0


def test_resnet_refuses_other_depths_and_shortcuts():
    for depth in (2, 18, 21):
        with pytest.raises(ValueError, match=rf"depth must be 6n \+ 2.*got {depth}"):
            ResNet(depth)
    with pytest.raises(ValueError, match="did you mean 'projection'"):
        ResNet(20, shortcut="projections")


def test_mobilenet_is_that_of_mlperf_tiny():
    # MLPerf Tiny, visual wake words, mobilenet_v1 with two classes: Keras counts 221,794.
    network = MobileNetV1()
    assert network.count_params() == 221_794
    assert network.get_layer("pointwise13_relu").output_shape == (3, 3, 256)
    # Howard et al. 2017, table 8: 4.2 million at alpha=1, 0.5 at 0.25, with 1,000 classes.
    assert learning(MobileNetV1((224, 224, 3), 1000, alpha=1)) / 1e6 == pytest.approx(4.2, abs=0.05)
    assert learning(MobileNetV1((224, 224, 3), 1000)) / 1e6 == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="alpha must be above 0"):
        MobileNetV1(alpha=0)


def test_ds_cnn_is_that_of_mlperf_tiny():
    # MLPerf Tiny, keyword spotting, ds_cnn with twelve classes: Keras counts 24,908.
    network = DSCNN()
    assert network.count_params() == 24_908
    assert network.get_layer("conv1").output_shape == (25, 5, 64)
    assert network.get_layer("pool").output_shape == (1, 1, 64)


def test_unet_is_that_of_the_paper():
    # Ronneberger et al. 2015, section 2: "In total the network has 23 convolutional layers."
    deep = UNet((32, 48, 1), classes=2, filters=2, depth=4)
    convolutions = [layer for layer in deep.layers if "Conv2D" in type(layer).__name__]
    assert len(convolutions) == 23
    assert deep.get_layer("bottom_conv2").output_shape == (2, 3, 32)
    assert deep.output_shape == (None, 32, 48, 2)
    # Figure 1, with f for 64: 3×3 from in to out, 2×2 upwards from 2k to k, at the end 1×1.
    f = 2
    widths = [(1, f), (f, f)]
    for k in (2 * f, 4 * f, 8 * f, 16 * f):
        widths += [(k // 2, k), (k, k)]
    for k in (8 * f, 4 * f, 2 * f, f):
        widths += [(2 * k, k), (k, k)]
    upwards = sum(4 * 2 * k * k + k for k in (8 * f, 4 * f, 2 * f, f))
    assert deep.count_params() == sum(9 * c * k + k for c, k in widths) + upwards + 2 * (f + 1)
    assert UNet().count_params() == 120_681


def test_unet_and_autoencoder_refuse_sizes_that_do_not_halve():
    with pytest.raises(ValueError, match=r"multiples of 8.*got input_shape=\(64, 60, 1\)"):
        UNet((64, 60, 1))
    assert UNet((64, 60, 1), depth=2).output_shape == (None, 64, 60, 1)
    with pytest.raises(ValueError, match="multiples of 4"):
        ConvAutoencoder((30, 30, 1))


def test_autoencoder_has_the_examples_parameters():
    # keras.io/examples/vision/autoencoder prints 28,353.
    network = ConvAutoencoder()
    assert network.count_params() == 28_353
    encoder = fastconv.Model(network.input, network.get_layer("code").output)
    assert encoder.output_shape == (None, 7, 7, 32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResNet8((16, 16, 3)),
        lambda: ResNet20((16, 16, 3)),
        lambda: ResNet20((16, 16, 3), shortcut="projection"),
        lambda: MobileNetV1((32, 32, 3)),
        lambda: DSCNN((25, 10, 1)),
        lambda: UNet((16, 16, 1)),
        lambda: UNet((16, 16, 3), classes=4, depth=2),
        lambda: ConvAutoencoder((16, 16, 1)),
    ],
)
def test_networks_with_branches_train_and_predict(make):
    fastconv.utils.set_random_seed(0)
    network = make()
    rng = np.random.default_rng(0)
    x = rng.random((4, *network.input_shape[1:]), np.float32)
    *places, classes = network.output_shape[1:]
    if network.name == "conv_autoencoder":
        loss, y = "binary_crossentropy", x
    elif classes == 1:
        loss, y = "binary_crossentropy", rng.integers(0, 2, (4, *places, 1)).astype(np.float32)
    else:
        loss, y = "sparse_categorical_crossentropy", rng.integers(0, classes, (4, *places))
    network.compile("sgd", loss)
    before = network.get_weights()
    history = network.fit(x, y, batch_size=2, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    learned = [not np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True)]
    # Not all: the bias below a batch normalisation has a gradient of 0.
    assert np.mean(learned) > 0.6
    outputs = network.predict(x, verbose=0)
    assert outputs.shape == (4, *network.output_shape[1:])
    assert ((outputs >= 0) & (outputs <= 1)).all()
    if classes > 1:
        np.testing.assert_allclose(outputs.sum(-1), 1, atol=1e-6)


# ---- all of them


@pytest.mark.parametrize("application", [CS231nNet, ConvNetJSCifar10])
def test_networks_of_separate_layers_run_as_plans(application):
    model = application()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)  # or an error
    x = np.random.default_rng(0).random((20, 32, 32, 3), np.float32)
    expected = model.forward(x)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)
    loss = model.train_on_batch(x, np.zeros(20, int))
    assert loss == pytest.approx(-np.log(expected[:, 0]).mean(), rel=1e-5)


@pytest.mark.parametrize("application", [CS231nNet, ConvNetJSCifar10, Cifar10CNN])
def test_networks_of_separate_layers_are_saved_and_copied(application, tmp_path):
    model = application((24, 28, 1), classes=4, name="mine")
    model.save(tmp_path / "model.safetensors")
    loaded = fastconv.models.load_model(tmp_path / "model.safetensors")
    x = np.random.default_rng(0).random((3, 24, 28, 1), np.float32)
    for other in (loaded, copy.deepcopy(model)):
        assert other.get_config() == model.get_config()
        np.testing.assert_array_equal(other.forward(x), model.forward(x))


@pytest.mark.parametrize(
    ("application", "classes"),
    [(a, 10) for a in (LeNet5, FashionCNN, CS231nNet, ConvNetJSCifar10, Cifar10CNN, ResNet8, ResNet20)]
    + [(MobileNetV1, 2), (DSCNN, 12)],
)
def test_outputs_are_probabilities(application, classes):
    model = application()
    images = np.random.default_rng(0).random((3, *model.input_shape[1:]), np.float32)
    probabilities = model.predict(images, verbose=0)
    assert probabilities.shape == (3, classes)
    assert (probabilities >= 0).all()  # the logits of deep networks without training may lie far apart
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)  # ten float32 roundings of at most 6e-8
