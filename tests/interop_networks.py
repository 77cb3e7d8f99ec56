"""Networks for files of other libraries: each a function of the library that builds it, ``keras`` or
``fastconv``. All layers of fastconv that Keras has are in them, with their options.
"""

import numpy as np


def convolutions(k):
    L = k.layers
    return k.Sequential([
        L.Input((9, 8, 3)),
        L.Conv2D(4, (3, 2), 2, padding="same", dilation_rate=1, activation="elu", kernel_regularizer="l2"),
        L.Conv2D(4, 3, padding="same", dilation_rate=2, groups=2, use_bias=False, bias_constraint="max_norm"),
        L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu6"),
        L.SeparableConv2D(3, 2, depth_multiplier=2, depthwise_constraint="unit_norm"),
        L.Conv2DTranspose(2, 3, 2, padding="same", output_padding=1, activation="tanh"),
        L.UpSampling2D((2, 1), interpolation="bilinear"),
        L.ZeroPadding2D(((1, 2), (0, 1))),
        L.Cropping2D(((0, 1), (1, 0))),
        L.MaxPooling2D(2, 1, "same"),
        L.AveragePooling2D((2, 1)),
        L.Flatten(),
        L.Dense(3, activation="softmax", bias_initializer="ones", kernel_initializer="he_normal"),
    ], name="convolutions")  # fmt: skip


def one_dimension(k):
    L = k.layers
    return k.Sequential([
        L.Input((12, 3)),
        L.ZeroPadding1D((1, 2)),
        L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="swish"),
        L.DepthwiseConv1D(3, strides=1, padding="same"),
        L.SeparableConv1D(4, 3, activation="gelu"),
        L.Conv1DTranspose(3, 3, strides=2, padding="same"),
        L.UpSampling1D(2),
        L.Cropping1D((1, 2)),
        L.MaxPooling1D(2),
        L.AveragePooling1D(2, padding="same"),
        L.AdaptiveAveragePooling1D(4),
        L.Permute((2, 1)),
        L.GlobalMaxPooling1D(),
        L.RepeatVector(3),
        L.Reshape((-1,)),
        L.Dense(2, activation="log_softmax"),
    ], name="one_dimension")  # fmt: skip


def normalizations(k):
    L = k.layers
    return k.Sequential([
        L.Input((6, 6, 4)),
        L.Rescaling(0.5, offset=0.1),
        L.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 0.5, 1.5]),
        L.Normalization(axis=-1),
        L.BatchNormalization(momentum=0.9, epsilon=0.01, scale=False),
        L.BatchNormalization(axis=1),
        L.LayerNormalization(axis=[1, 2], epsilon=0.01),
        L.GroupNormalization(groups=2),
        L.RMSNormalization(),
        L.UnitNormalization(),
        L.SpectralNormalization(L.Conv2D(3, 2), power_iterations=2),
        L.SpatialDropout2D(0.2),
        L.AdaptiveMaxPooling2D(3),
        L.AdaptiveAveragePooling2D((2, 3)),
        L.GlobalAveragePooling2D(keepdims=True),
        L.Flatten(),
    ], name="normalizations")  # fmt: skip


def activations(k):
    L = k.layers
    return k.Sequential([
        L.Input((5, 4, 3)),
        L.PReLU(shared_axes=[1, 2]),
        L.LeakyReLU(negative_slope=0.2),
        L.ELU(alpha=0.7),
        L.ReLU(max_value=6.0, negative_slope=0.1, threshold=0.05),
        L.Activation("hard_sigmoid"),
        L.Activation("mish"),
        L.Conv2D(3, 1, activation=L.LeakyReLU(negative_slope=0.3)),
        L.Dense(4, activation=L.ReLU(max_value=2.0, negative_slope=0.1)),
        L.Softmax(axis=-1),
        L.Dropout(0.3, noise_shape=(None, 1, 1, 4)),
        L.GaussianNoise(0.1),
        L.GaussianDropout(0.1),
        L.AlphaDropout(0.1),
        L.ActivityRegularization(l1=0.1, l2=0.2),
        L.Identity(),
        L.GlobalMaxPooling2D(),
    ], name="activations")  # fmt: skip


def augmentation(k):
    L = k.layers
    return k.Sequential([
        L.Input((12, 12, 3)),
        L.RandomFlip("horizontal"),
        L.RandomRotation(0.1, fill_mode="constant"),
        L.RandomTranslation(0.1, (-0.2, 0.1)),
        L.RandomZoom(0.1),
        L.RandomContrast(0.2),
        L.RandomBrightness(0.1, value_range=(0, 1)),
        L.RandomErasing(),
        L.Pipeline([L.RandomFlip(), L.RandomFlip("vertical")]),
        L.RandomCrop(10, 10),
        L.CenterCrop(8, 8),
        L.Resizing(6, 5, interpolation="nearest"),
        L.Conv2D(2, 3),
        L.GlobalAveragePooling2D(),
    ], name="augmentation")  # fmt: skip


def merging(k):
    L = k.layers
    a, b = L.Input((4, 4, 3), name="a"), L.Input((4, 4, 3), name="b")
    x, y = L.Conv2D(3, 1, name="first")(a), L.Conv2D(3, 3, padding="same", name="second")(b)
    sums = [L.Add()([x, y, a]), L.Subtract()([x, y]), L.Multiply()([x, b]), L.Average()([x, y])]
    parts = [*sums, L.Maximum()([a, y]), L.Minimum()([x, b])]
    z = L.Concatenate(axis=-1)(parts)
    pooled = [L.GlobalAveragePooling2D()(part) for part in (x, y)]
    return k.Model([a, b], [L.Dense(3, name="one")(L.Flatten()(z)), L.Dot(axes=1, normalize=True)(pooled)])


def residual(k):
    """Blocks with batch norm, and a squeeze by multiplication; the second of two branches is met first."""
    L = k.layers
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same")(inputs)
    for stride in (1, 2):
        y = L.Conv2D(4, 3, stride, padding="same", use_bias=False)(x)
        y = L.BatchNormalization()(y)
        y = L.ReLU()(y)
        y = L.Dropout(0.1)(y)
        gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(y))
        y = L.Multiply()([y, gate])
        x = L.Add()([L.Conv2D(4, 1, stride, padding="same")(x), y])
    return k.Model(inputs, L.Dense(5, activation="softmax")(L.Flatten()(x)), name="residual")


def nested(k):
    """A Sequential and a functional model inside, both called several times, and a shared layer."""
    L = k.layers
    chain = k.Sequential(
        [L.Input((6, 6, 3)), L.Conv2D(3, 1), L.BatchNormalization(), L.Activation("relu")], name="chain"
    )
    inner_in = L.Input((6, 6, 3))
    deep = L.Conv2D(3, 3, padding="same", name="deep")
    inner = k.Model(inner_in, L.Add()([deep(deep(inner_in)), inner_in]), name="inner")
    shared = L.Conv2D(3, 1, name="shared")
    left, right = L.Input((6, 6, 3), name="left"), L.Input((6, 6, 3), name="right")
    x = inner(chain(left))
    y = inner(inner(shared(shared(right))))
    head = L.Dense(2, name="head")(L.Flatten()(L.Concatenate()([chain(x), y])))
    return k.Model(inputs=[left, right], outputs={"head": head, "image": inner(y)}, name="nested")


def operators(k):
    """Sums and products of tensors and numbers, written as such."""
    L = k.layers
    inputs = L.Input((4, 4, 2))
    x = L.Conv2D(3, 3, padding="same", name="x")(inputs)
    y = L.Conv2D(3, 1, name="y")(inputs)
    z = (x + y) * 2.0 - x / (y * y + 1.5)
    z = 1.0 - (-z) * x
    return k.Model(inputs, L.Dense(2)(L.Flatten()(z / 4.0)), name="operators")


NETWORKS = {
    function.__name__: function
    for function in (
        convolutions, one_dimension, normalizations, activations, augmentation, merging, residual, nested,
        operators,
    )
}  # fmt: skip


def inputs_of(model, seed=0):
    """A batch for each input of a model of either library."""
    rng = np.random.default_rng(seed)
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    return [rng.random((2, *shape[1:]), np.float32) for shape in shapes]


def scramble(model, seed=1):
    """Weights that differ from layer to layer, and are no initial ones."""
    rng = np.random.default_rng(seed)

    def drawn(weight):
        if weight.shape == ():  # a count
            return weight
        numbers = rng.random(weight.shape).astype(weight.dtype)
        if weight.ndim < 2:  # a variance may be among them
            return 0.5 + 0.5 * numbers
        return (numbers - np.float32(0.4)) * np.float32(3 / np.sqrt(np.prod(weight.shape[:-1])))

    model.set_weights([drawn(np.asarray(weight)) for weight in model.get_weights()])
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # Keras' Normalization computes from copies of its weights
            layer.finalize_state()


def outputs_of(model, inputs):
    """What it predicts, as a list."""
    y = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    if isinstance(y, dict):
        y = [y[name] for name in sorted(y)]
    return [np.asarray(one) for one in (y if isinstance(y, (list, tuple)) else [y])]
