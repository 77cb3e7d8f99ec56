"""Makes files in interop/ as Keras writes them, and what their networks compute.

KERAS_BACKEND=jax python tests/golden/make_interop_keras.py       # Keras 3.15, JAX
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import interop_networks as networks
from packing import packed

PLACE = Path(__file__).with_name("interop")


def made(name):
    keras.utils.clear_session()
    model = networks.NETWORKS[name](keras)
    networks.scramble(model)
    return model


def trained():
    """Three steps of Adam, and the weights after two more."""
    keras.utils.clear_session()
    L = keras.layers
    model = keras.Sequential([L.Input((3,)), L.Dense(2, activation="softmax", name="top")], name="trained")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    networks.scramble(model)
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(PLACE / "trained.keras")
    packed(PLACE / "trained.keras")
    for _ in range(2):
        model.train_on_batch(x, y)
    return {"trained_kernel": model.layers[0].kernel.numpy(), "trained_bias": model.layers[0].bias.numpy()}


if __name__ == "__main__":
    arrays = {}
    for name in ("convolutions", "normalizations", "nested", "operators"):
        model = made(name)
        inputs = networks.inputs_of(model)
        for number, output in enumerate(networks.outputs_of(model, inputs)):
            arrays[f"{name}_{number}"] = output
        model.save(PLACE / f"{name}.keras")
        packed(PLACE / f"{name}.keras")
    model = made("operators")
    model.save(PLACE / "operators.h5")
    model.save_weights(PLACE / "operators.weights.h5")
    arrays |= trained()
    code = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(eval("lambda x: x * 2"), name="twice")])
    (PLACE / "lambda.json").write_text(json.dumps(json.loads(code.to_json())) + "\n")
    np.savez_compressed(PLACE / "keras.npz", **arrays)
