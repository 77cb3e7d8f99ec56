"""Small helpers around training."""

from fastconv.utils.augmented import predict_augmented
from fastconv.utils.confusion_matrix import confusion_matrix
from fastconv.utils.monte_carlo import monte_carlo_predict
from fastconv.utils.prefetch import Prefetch
from fastconv.utils.py_dataset import PyDataset
from fastconv.utils.sampling import MonteCarlo
from fastconv.utils.seeds import clear_session, set_random_seed
from fastconv.utils.targets import to_categorical

__all__ = [
    "MonteCarlo",
    "Prefetch",
    "PyDataset",
    "clear_session",
    "confusion_matrix",
    "monte_carlo_predict",
    "predict_augmented",
    "set_random_seed",
    "to_categorical",
]
