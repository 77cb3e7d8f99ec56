"""Train LeNet-5 on the digits that come with the package, and draw all that can be seen of it.

The pictures go to the folder given, or to ``look_inside/`` here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import fastconv as keras
from fastconv import visualize

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=Path, nargs="?", default=Path("look_inside"))
folder = parser.parse_args().folder
folder.mkdir(parents=True, exist_ok=True)

# ---- a network

keras.utils.set_random_seed(0)
digits = keras.datasets.digits
(x_train, y_train), (x_test, y_test) = digits.load_data()
x_train, x_test = (x[..., None] / np.float32(255) for x in (x_train, x_test))

model = keras.applications.LeNet5()
model.compile(optimizer="nadam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=10, validation_data=(x_test, y_test), verbose=0)
print(f"right on {history.history['val_accuracy'][-1]:.1%} of the test images")

# ---- numbers: what layer F6 makes of each test image, for a classifier of another kind, say

features = visualize.extract_features(model, "F6", x_test)
print(f"features of F6: {features.shape}")

# ---- pictures: each function returns a matplotlib Figure, which a notebook shows by itself

image = x_test[13]
pictures = {
    "learning_curves": visualize.plot_learning_curves(history),
    "filters": visualize.plot_filters(model),
    "filters_of_C3": visualize.plot_filters(model, "C3"),
    "feature_maps": visualize.plot_feature_maps(model, image),
    "activation_strip": visualize.plot_activation_strip(model, image, digits.CLASSES),
    "receptive_fields": visualize.plot_receptive_field(model, ["C1", "S2", "C3", "S4"], image),
    "weights": visualize.plot_weight_histograms(model),
    "gradients": visualize.plot_gradient_histograms(model, x_train[:100], y_train[:100]),
    "confusion_matrix": visualize.plot_confusion_matrix(y_test, model.predict(x_test, verbose=0)),
    "misclassified": visualize.plot_misclassified(model, x_test, y_test, digits.CLASSES),
}
for name, figure in pictures.items():
    figure.savefig(folder / f"{name}.png")
print(f"{len(pictures)} pictures are in {folder}")
