"""Makes files in interop/ as Keras 2 writes them, and what their networks compute.

python tests/golden/make_interop_keras2.py       # TensorFlow 2.13.1, whose Keras is 2.13.1
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from packing import packed
from tensorflow import keras

PLACE = Path(__file__).with_name("interop")
L = keras.layers


def functional():
    image = keras.Input((6, 6, 3), name="image")
    chain = keras.Sequential(
        [L.Input((6, 6, 4)), L.Conv2D(4, 1), L.BatchNormalization(), L.LeakyReLU(0.1)], name="chain"
    )
    inner_in = keras.Input((6, 6, 4))
    inner = keras.Model(inner_in, L.Conv2D(4, 1)(inner_in), name="inner")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="c")(image)
    y = L.Add()([x, L.DepthwiseConv2D(3, padding="same")(x)])
    y = tf.nn.relu(inner(inner(chain((y + x) * 2.0))))
    y = L.GlobalAveragePooling2D()(L.ReLU(6.0)(L.Dropout(0.3)(y)))
    outputs = [L.Dense(3, activation="softmax", name="o")(y), L.Flatten(name="fl")(inner(x))]
    model = keras.Model(image, outputs, name="net")
    model.compile(
        keras.optimizers.Adam(0.01), ["sparse_categorical_crossentropy", "mse"],
        metrics=[["accuracy"], ["mae"]],
    )  # fmt: skip
    return model


def sequential():
    return keras.Sequential([
        L.Conv2D(2, 3, strides=2, padding="same", input_shape=(8, 8, 1), kernel_initializer="he_normal"),
        L.BatchNormalization(), L.ELU(), L.MaxPooling2D(), L.Flatten(), L.Dense(2, activation="sigmoid"),
    ], name="chain")  # fmt: skip


def saved(model, name, arrays):
    rng = np.random.default_rng(1)
    model.set_weights([rng.random(weight.shape) for weight in model.get_weights()])
    x = rng.random((2, *model.input_shape[1:]), np.float32)
    y = model.predict(x, verbose=0)
    arrays[f"{name}_x"] = x
    for number, one in enumerate(y if isinstance(y, list) else [y]):
        arrays[f"{name}_{number}"] = one
    model.save(PLACE / f"{name}.h5", save_format="h5")


if __name__ == "__main__":
    arrays = {}
    net, chain = functional(), sequential()
    saved(net, "keras2_functional", arrays)
    saved(chain, "keras2_sequential", arrays)
    net.save(PLACE / "keras2_functional.keras")
    packed(PLACE / "keras2_functional.keras")
    chain.save_weights(PLACE / "keras2_sequential_weights.h5")
    (PLACE / "keras2_functional.json").write_text(net.to_json() + "\n")
    keras.Sequential([L.Input((3,)), L.Lambda(eval("lambda x: x * 2"), name="twice")]).save(
        PLACE / "keras2_lambda.h5", save_format="h5"
    )
    np.savez_compressed(PLACE / "keras2.npz", **arrays)
