"""Networks that are no chains, each as one function of the library that builds it: ``keras`` or ``fastconv``.

``tests/golden/make_graphs.py`` trains them in Keras and keeps the losses; ``tests/test_graph_training.py``
trains them in fastconv on the same weights and batches.
"""

import numpy as np

STEPS, BATCH = 20, 8


def residual_block(k, x, filters, strides=1, projection=True):
    """Two 3×3 convolutions beside a shortcut (He et al. 2016)."""
    L = k.layers
    y = L.Conv2D(filters, 3, strides, padding="same")(x)
    y = L.BatchNormalization()(y)
    y = L.Activation("relu")(y)
    y = L.Conv2D(filters, 3, padding="same")(y)
    y = L.BatchNormalization()(y)
    if strides != 1 and projection:
        x = L.Conv2D(filters, 1, strides, padding="same")(x)
    return L.Activation("relu")(L.Add()([x, y]))


def resnet(k, blocks, size=16):
    L = k.layers
    inputs = L.Input((size, size, 3))
    x = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(8, 3, padding="same")(inputs)))
    for stage, filters in enumerate((8, 16, 32)):
        for block in range(blocks):
            x = residual_block(k, x, filters, 2 if stage and not block else 1)
    return k.Model(inputs, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def resnet8(k):
    return resnet(k, 1)


def resnet20(k):
    return resnet(k, 3)


def ds_cnn(k):
    L = k.layers
    inputs = L.Input((25, 10, 1))
    x = L.Conv2D(16, (10, 4), strides=2, padding="same")(inputs)
    x = L.Activation("relu")(L.BatchNormalization()(x))
    for _ in range(2):
        x = L.DepthwiseConv2D(3, padding="same")(x)
        x = L.Activation("relu")(L.BatchNormalization()(x))
        x = L.Conv2D(16, 1)(x)
        x = L.Activation("relu")(L.BatchNormalization()(x))
    x = L.Flatten()(L.AveragePooling2D((13, 5))(x))
    return k.Model(inputs, L.Dense(12, activation="softmax")(x))


def mobilenet(k):
    L = k.layers
    inputs = L.Input((32, 32, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = L.ReLU(6.0)(L.BatchNormalization()(x))
    for filters, strides in ((16, 1), (32, 2), (32, 1), (64, 2)):
        x = L.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
        x = L.Conv2D(filters, 1, use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
    x = L.GlobalAveragePooling2D(keepdims=True)(x)
    return k.Model(inputs, L.Softmax()(L.Reshape((2,))(L.Conv2D(2, 1)(x))))


def unet(k):
    L = k.layers

    def twice(x, filters):
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    inputs = L.Input((16, 16, 1))
    high = twice(inputs, 8)
    low = twice(L.MaxPooling2D(2)(high), 16)
    bottom = twice(L.MaxPooling2D(2)(low), 16)
    low = twice(L.Concatenate()([low, L.UpSampling2D(2)(bottom)]), 16)
    high = twice(L.Concatenate()([high, L.Conv2DTranspose(8, 2, strides=2)(low)]), 8)
    return k.Model(inputs, L.Conv2D(1, 1, activation="sigmoid")(high))


def inception(k):
    L = k.layers
    inputs = L.Input((12, 12, 3))
    x = L.Conv2D(8, 3, activation="relu")(inputs)
    branches = [
        L.Conv2D(4, 1, activation="relu")(x),
        L.Conv2D(8, 3, padding="same", activation="relu")(L.Conv2D(4, 1, activation="relu")(x)),
        L.Conv2D(4, 5, padding="same", activation="relu")(L.Conv2D(2, 1, activation="relu")(x)),
        L.Conv2D(4, 1, activation="relu")(L.MaxPooling2D(3, strides=1, padding="same")(x)),
    ]
    x = L.GlobalAveragePooling2D()(L.Concatenate()(branches))
    return k.Model(inputs, L.Dense(10, activation="softmax")(x))


def siamese(k):
    L = k.layers
    twin = k.Sequential(
        [L.Input((12, 12, 1)), L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(16)]
    )
    a, b = L.Input((12, 12, 1)), L.Input((12, 12, 1))
    difference = L.Subtract()([twin(a), twin(b)])
    distance = L.Multiply()([difference, difference])
    return k.Model([a, b], L.Dense(1, activation="sigmoid")(distance))


def two_in_two_out(k):
    L = k.layers
    image, extra = L.Input((12, 12, 3), name="image"), L.Input((5,), name="extra")
    x = L.Conv2D(8, 3)(image)
    x = L.BatchNormalization(trainable=False)(x)
    x = L.GlobalMaxPooling2D()(L.Activation("relu")(x))
    x = L.Concatenate()([x, L.Dense(4, activation="tanh")(extra)])
    kind = L.Dense(3, activation="softmax", name="kind")(x)
    size = L.Dense(1, name="size")(x)
    return k.Model([image, extra], [kind, size])


def three_times(k):
    L = k.layers
    inputs = L.Input((8, 8, 4))
    conv = L.Conv2D(4, 3, padding="same", activation="tanh")
    x = conv(inputs)
    x = L.Add()([x, conv(x)])
    x = conv(L.MaxPooling2D(2)(x))
    return k.Model(inputs, L.Dense(10, activation="softmax")(L.Flatten()(x)))


def subclassed(k):
    L = k.layers

    class Net(k.Model):
        def __init__(self):
            super().__init__()
            self.first = L.Conv2D(8, 3, padding="same", activation="relu")
            self.second = L.Conv2D(8, 3, padding="same")
            self.norm = L.BatchNormalization()
            self.pool = L.GlobalAveragePooling2D()
            self.out = L.Dense(10, activation="softmax")

        def call(self, x, training=None):
            x = self.first(x)
            y = self.norm(self.second(x), training=training)
            return self.out(self.pool(x + y * 0.5))

    model = Net()
    model(np.zeros((1, 12, 12, 3), np.float32))
    return model


NETWORKS = {
    "resnet8": resnet8,
    "resnet20": resnet20,
    "ds_cnn": ds_cnn,
    "mobilenet": mobilenet,
    "unet": unet,
    "inception": inception,
    "siamese": siamese,
    "two_in_two_out": two_in_two_out,
    "three_times": three_times,
    "subclassed": subclassed,
}

LOSSES = {
    "unet": {"loss": "binary_crossentropy"},
    "siamese": {"loss": "binary_crossentropy"},
    "two_in_two_out": {
        "loss": {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        "loss_weights": {"kind": 1.0, "size": 0.25},
    },
}
# Small steps: large ones make a network of twenty layers chaotic, and rounding grows tenfold at each.
OPTIMIZERS = {"sgd": {"learning_rate": 0.001, "momentum": 0.9}, "adam": {"learning_rate": 0.0005}}


def compile_arguments(name):
    return LOSSES.get(name, {"loss": "sparse_categorical_crossentropy"})


def start(model, seed=0):
    """Weights that follow from a seed, the shapes and the weights' names alone."""
    rng = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        noise = rng.standard_normal(shape)
        if weight.name.endswith("kernel"):
            noise *= np.sqrt(2 / np.prod(shape[:-1]))
        elif weight.name.startswith("gamma"):
            noise = 1 + 0.1 * noise
        elif weight.name.startswith("moving_variance"):
            noise = 1 + 0.1 * np.abs(noise)
        else:
            noise *= 0.1
        values.append(noise.astype(np.float32))
    model.set_weights(values)


def shapes(name, model):
    """The shapes of the inputs, and of the output, without the batch."""
    if name == "subclassed":
        return [(12, 12, 3)], (10,)
    return [tuple(tensor.shape[1:]) for tensor in model.inputs], tuple(model.outputs[0].shape[1:])


def batches(name, input_shapes, output_shape):
    """(x, y) for each step, as ``train_on_batch`` takes them."""
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        x = [rng.standard_normal((BATCH, *shape)).astype(np.float32) for shape in input_shapes]
        if name == "unet":
            y = (rng.random((BATCH, *output_shape)) < 0.5).astype(np.float32)
        elif name == "siamese":
            y = rng.integers(0, 2, (BATCH, 1)).astype(np.float32)
        elif name == "two_in_two_out":
            y = [rng.integers(0, 3, BATCH), rng.standard_normal((BATCH, 1)).astype(np.float32)]
        else:
            y = rng.integers(0, output_shape[-1], BATCH)
        yield (x if len(x) > 1 else x[0]), y
