"""Small helpers around training."""

from fastconv.utils.confusion_matrix import confusion_matrix
from fastconv.utils.monte_carlo import MonteCarlo, monte_carlo_predict
from fastconv.utils.prefetch import Prefetch
from fastconv.utils.py_dataset import PyDataset
from fastconv.utils.seeds import clear_session, set_random_seed
from fastconv.utils.targets import to_categorical

__all__ = [
    "MonteCarlo",
    "Prefetch",
    "PyDataset",
    "clear_session",
    "confusion_matrix",
    "monte_carlo_predict",
    "set_random_seed",
    "to_categorical",
]
