"""Makes graphs.json: the losses of Keras' first training steps on the networks of
``tests/graph_networks.py``.

KERAS_BACKEND=jax python tests/golden/make_graphs.py       # Keras 3.15, JAX
"""

import json
import sys
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).parents[1]))
import graph_networks as networks


def losses(name, optimizer):
    keras.utils.clear_session()
    model = networks.NETWORKS[name](keras)
    networks.start(model)
    made = keras.optimizers.get({"class_name": optimizer, "config": networks.OPTIMIZERS[optimizer]})
    model.compile(made, **networks.compile_arguments(name))
    found = []
    for x, y in networks.batches(name, *networks.shapes(name, model)):
        model.reset_metrics()
        found.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    sums = {weight.path.rpartition("/")[2]: 0.0 for weight in model.weights}
    for weight in model.weights:
        sums[weight.path.rpartition("/")[2]] += float(abs(weight.numpy()).sum())
    return {"losses": found, "sums": sums, "params": int(model.count_params())}


if __name__ == "__main__":
    results = {
        name: {optimizer: losses(name, optimizer) for optimizer in networks.OPTIMIZERS}
        for name in networks.NETWORKS
    }
    Path(__file__).with_name("graphs.json").write_text(json.dumps(results, indent=1) + "\n")
