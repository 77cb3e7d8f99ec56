"""Models, weights and data that Keras and fastconv can both be given: NumPy is all this file needs.

``keras`` is the argument's name throughout, and either package is what it may be.
"""

from __future__ import annotations

import numpy as np


def lecture_cnn(keras, dropout=0.5):
    return keras.models.Sequential(
        [
            keras.layers.Conv2D(64, 7, activation="relu", padding="same", input_shape=[28, 28, 1]),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(128, 3, activation="relu", padding="same"),
            keras.layers.Conv2D(128, 3, activation="relu", padding="same"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(256, 3, activation="relu", padding="same"),
            keras.layers.Conv2D(256, 3, activation="relu", padding="same"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def all_layers(keras):
    """Between them these models have every layer, and most of their arguments."""
    layers = keras.layers
    return {
        "windows": keras.Sequential(
            [
                layers.Input((12, 10, 3)),
                layers.Rescaling(1 / 127.5, offset=-1),
                layers.ZeroPadding2D(((1, 0), (2, 1))),
                layers.Conv2D(8, (3, 2), strides=(2, 1), padding="same", activation="elu"),
                layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.05),
                layers.Conv2D(6, 3, dilation_rate=(1, 2), groups=2, use_bias=False),
                layers.MaxPooling2D(3, strides=1, padding="same"),
                layers.Activation("sigmoid"),
                layers.AveragePooling2D((2, 3), strides=2, padding="same"),
                layers.Conv2D(5, 2, padding="same", activation="leaky_relu"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(4),
                layers.Softmax(),
            ]
        ),
        "vectors": keras.Sequential(
            [
                layers.Input((6, 6, 3)),
                layers.ReLU(),
                layers.Dense(4, activation="selu"),
                layers.Softmax(axis=1),
                layers.GlobalMaxPooling2D(keepdims=True),
                layers.Flatten(),
                layers.Dropout(0.9),
                layers.Dense(12, activation="tanh", use_bias=False),
                layers.Reshape((-1, 3)),
                layers.Dense(2, activation="sigmoid"),
            ]
        ),
    }


def input_of(model, name):
    """Three images for the model of that name: bytes where it begins by rescaling them."""
    x, _ = examples(3, model.input_shape[1:], 3)
    return np.floor(x * 256) if name == "windows" else x - 0.4


def small_classifier(keras):
    return keras.Sequential(
        [
            keras.layers.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def set_seeded_weights(model, seed=0):
    """Weights of variance 2 / n_in, biases that are not all 0."""
    random = np.random.default_rng(seed)
    model.set_weights(
        [
            random.normal(0, np.sqrt(2 / np.prod(array.shape[:-1])) if array.ndim > 1 else 0.1, array.shape)
            for array in model.get_weights()
        ]
    )


def examples(count, shape, classes, seed=1):
    """Images in [0, 1) whose brightness tells something of their class; labels 0..classes-1."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    images = random.random((count, *shape)) * (0.5 + 0.5 * labels[:, None, None, None] / classes)
    return images.astype(np.float32), labels


def histories(keras):
    """What ``fit`` records for the small classifier, told to weigh and to split in various ways."""
    x, y = examples(50, (6, 6, 2), 3)
    weights = np.linspace(0, 2, len(x))
    one_hot = np.eye(3, dtype=np.float32)[y]
    sparse, categorical = "sparse_categorical_crossentropy", "categorical_crossentropy"
    runs = {
        "plain": (sparse, y, {}),
        "validation_split": (sparse, y, {"validation_split": 0.25, "validation_batch_size": 5}),
        "class_weight": (sparse, y, {"class_weight": {0: 0.2, 2: 3.0}}),
        "class_weight of one-hot": (categorical, one_hot, {"class_weight": {0: 0.2, 1: 1.5}}),
        "sample_weight": (sparse, y, {"sample_weight": weights, "validation_split": 0.2}),
        "weighted validation_data": (sparse, y, {"validation_data": (x[:9], y[:9], weights[:9])}),
        "validation_freq": (sparse, y, {"validation_data": (x[:9], y[:9]), "validation_freq": [1, 3]}),
        "initial_epoch": (sparse, y, {"initial_epoch": 2}),
    }
    recorded = {}
    for name, (loss, targets, arguments) in runs.items():
        model = small_classifier(keras)
        set_seeded_weights(model)
        sgd = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(sgd, loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
        history = model.fit(x, targets, batch_size=8, epochs=3, shuffle=False, verbose=0, **arguments)
        evaluated = model.evaluate(
            x, targets, sample_weight=weights, batch_size=16, verbose=0, return_dict=True
        )
        recorded[name] = {"history": history.history, "epochs": history.epoch, "evaluated": evaluated}
    return recorded


def set_glorot_weights(model, seed=0):
    """What Keras' default initializers draw, from a generator that both packages can be given."""
    random = np.random.default_rng(seed)
    weights = []
    for array in model.get_weights():
        taps = int(np.prod(array.shape[:-2]))
        limit = np.sqrt(6 / (taps * sum(array.shape[-2:]))) if array.ndim > 1 else 0.0
        weights.append(random.uniform(-limit, limit, array.shape))
    model.set_weights(weights)


# Of two nearly equal pixels in a pooling window the last bit decides which one gets the gradient, and large
# steps make a small difference grow: with Adam's default of 0.001 Keras in float32 is 1% away from Keras in
# float64 after ten steps. With these it is not.
LEARNING_RATES = {"SGD": 0.003, "Adam": 1e-5, "Nadam": 5e-6}


def loss_curve(keras, optimizer, steps=20, batch_size=8):
    """Losses of the lecture's CNN without dropout, four batches of images over and over."""
    model = lecture_cnn(keras, dropout=0.0)
    set_glorot_weights(model)
    model.compile(
        getattr(keras.optimizers, optimizer)(LEARNING_RATES[optimizer]), "sparse_categorical_crossentropy"
    )
    x, y = examples(4 * batch_size, (28, 28, 1), 10)
    x -= x.mean()
    batches = [slice(i, i + batch_size) for i in range(0, len(x), batch_size)]
    return [float(model.train_on_batch(x[b], y[b])) for b in (batches * steps)[:steps]]
