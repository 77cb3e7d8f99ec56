"""Weights for other libraries and back: a network goes to a Keras file and to PyTorch's arrays, and returns.

python examples/exchange_weights.py [--keras net.keras] [--torch net.safetensors]

Neither library is needed. The .keras file takes h5py: pip install "fastconv[keras]".
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import fastconv
from fastconv import layers
from fastconv.interop import torch as interop_torch
from fastconv.models import Sequential, clone_model, load_model

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--keras", type=Path, help="where to write the file for Keras; nowhere")
parser.add_argument("--torch", type=Path, help="where to write the weights for PyTorch; nowhere")
arguments = parser.parse_args()

fastconv.utils.set_random_seed(1)
(x_train, y_train), (x_test, y_test) = fastconv.datasets.digits.load_data()
x_train, x_test = x_train[..., None] / 255, x_test[..., None] / 255

model = Sequential(
    [
        layers.Input((28, 28, 1)),
        layers.Conv2D(8, 5, strides=2, activation="relu", name="conv"),
        layers.BatchNormalization(epsilon=1e-5, name="norm"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(10, activation="softmax", name="digits"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, epochs=12, verbose=0)
print(f"trained here:          {model.evaluate(x_test, y_test, verbose=0)[1]:.2%} of the digits are right")

# Keras: one file with layers, weights, optimizer. keras.saving.load_model(path) reads it.
with tempfile.TemporaryDirectory() as folder:
    path = arguments.keras or Path(folder) / "net.keras"
    try:
        model.save(path)
        loaded = load_model(path)
        print(f"from the .keras file:  {loaded.evaluate(x_test, y_test, verbose=0)[1]:.2%}")
    except ImportError as error:
        print(error)

# PyTorch: a dictionary of arrays. The kernels are (filters, channels, rows, columns) in it, and the weights
# of the dense layer in the order in which PyTorch flattens images.
arrays = interop_torch.state_dict(model, {"conv": "0", "norm": "2", "digits": "5"})
for name, array in arrays.items():
    print(f"  {name:22} {array.shape}")
if arguments.torch:
    save_file(arrays, arguments.torch)

other = clone_model(model)
interop_torch.load_weights(other, arrays)
same = all(np.array_equal(a, b) for a, b in zip(other.get_weights(), model.get_weights(), strict=True))
print(f"from PyTorch's arrays: {'the same weights' if same else 'other weights'}")
