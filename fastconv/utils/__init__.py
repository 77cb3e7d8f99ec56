"""Small helpers around training."""

from fastconv._core.configuration import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from fastconv._core.names import publish
from fastconv.utils.augmented import predict_augmented
from fastconv.utils.confusion_matrix import confusion_matrix
from fastconv.utils.get_file import get_file
from fastconv.utils.monte_carlo import monte_carlo_predict
from fastconv.utils.normalize import normalize
from fastconv.utils.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from fastconv.utils.plot_model import model_to_dot, plot_model
from fastconv.utils.prefetch import Prefetch
from fastconv.utils.progbar import Progbar
from fastconv.utils.py_dataset import PyDataset
from fastconv.utils.sampling import MonteCarlo
from fastconv.utils.seeds import clear_session, set_random_seed
from fastconv.utils.split_dataset import split_dataset
from fastconv.utils.targets import to_categorical

# Keras' other names.
CustomObjectScope = custom_object_scope
Sequence = PyDataset

__all__ = [
    "CustomObjectScope",
    "MonteCarlo",
    "Prefetch",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "confusion_matrix",
    "custom_object_scope",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "model_to_dot",
    "monte_carlo_predict",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "predict_augmented",
    "register_keras_serializable",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

publish(__name__)
