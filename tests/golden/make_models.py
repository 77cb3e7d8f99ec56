"""Outputs, loss curves and histories of Keras: writes models.json and models.npz.

    KERAS_BACKEND=jax python tests/golden/make_models.py        (keras 3.15.1, jax)

Models, weights and data are those of tests/golden_models.py, which the tests give to fastconv.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import golden_models

outputs = {}  # of every layer
for name, model in golden_models.all_layers(keras).items():
    golden_models.set_seeded_weights(model)
    all_outputs = keras.Model(model.inputs, [layer.output for layer in model.layers])
    arrays = all_outputs.predict(golden_models.input_of(model, name), verbose=0)
    outputs |= {f"{name}/{index}": array for index, array in enumerate(arrays)}
np.savez_compressed(Path(__file__).with_name("models.npz"), **outputs)

results = {
    "lecture_cnn parameters": golden_models.lecture_cnn(keras).count_params(),
    "loss curves": {name: golden_models.loss_curve(keras, name) for name in ("SGD", "Adam", "Nadam")},
    "histories": golden_models.histories(keras),
}
Path(__file__).with_name("models.json").write_text(json.dumps(results, indent=1) + "\n")
