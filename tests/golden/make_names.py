"""The public names of Keras' modules, as its users see them with ``dir``: writes names.json,
and those of the backend before Keras 3.

KERAS_BACKEND=jax python tests/golden/make_names.py        (keras 3.15.1, jax)
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import keras
from keras.src.legacy import backend as legacy


def names_of(module: ModuleType, path: str, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """{"": names of keras, "layers": names of keras.layers, ...}, of all modules that are reached so."""
    found[path] = names = [name for name in sorted(dir(module)) if not name.startswith("_")]
    for name in names:
        inner = getattr(module, name)
        if isinstance(inner, ModuleType) and inner.__name__.startswith("keras."):
            below = f"{path}.{name}".removeprefix(".")
            if below not in found and not inner.__name__.startswith("keras.src"):
                names_of(inner, below, found)
    return found


recorded = {
    "keras": keras.__version__,
    "modules": names_of(keras, "", {}),
    # What keras.backend was before Keras 3, and still is in tf.keras.
    "legacy backend": sorted(
        name
        for name, function in vars(legacy).items()
        if getattr(function, "__module__", "") == legacy.__name__ and not name.startswith("_")
    ),
}
Path(__file__).with_name("names.json").write_text(json.dumps(recorded, indent=1) + "\n")
