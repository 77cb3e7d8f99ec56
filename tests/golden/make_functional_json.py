"""Makes functional.json: what Keras' ``model.to_json()`` writes of graphs, for ``models.model_from_json``.

KERAS_BACKEND=jax python tests/golden/make_functional_json.py       # Keras 3.15, JAX
"""

import json
import sys
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).parents[1]))
import graph_networks as networks

NAMES = ("resnet8", "siamese", "two_in_two_out")


def described(name):
    keras.utils.clear_session()
    model = networks.NETWORKS[name](keras)
    model.compile("sgd", **networks.compile_arguments(name))
    weights = [[weight.path, list(weight.shape)] for weight in model.weights]
    layers = [layer.name for layer in model.layers]
    return {"json": json.loads(model.to_json()), "weights": weights, "layers": layers}


if __name__ == "__main__":
    text = json.dumps({name: described(name) for name in NAMES}, separators=(",", ":"))
    Path(__file__).with_name("functional.json").write_text(text + "\n")
