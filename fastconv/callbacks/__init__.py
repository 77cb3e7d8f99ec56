"""Callbacks: things to do while a model trains.

>>> model.fit(x, y, callbacks=[EarlyStopping(patience=3, restore_best_weights=True)], validation_split=0.1)
"""

from __future__ import annotations

from fastconv._core.names import publish
from fastconv.callbacks.backup_and_restore import BackupAndRestore
from fastconv.callbacks.callback import Callback
from fastconv.callbacks.callback_list import CallbackList
from fastconv.callbacks.csv_logger import CSVLogger
from fastconv.callbacks.early_stopping import EarlyStopping
from fastconv.callbacks.history import History
from fastconv.callbacks.lambda_callback import LambdaCallback
from fastconv.callbacks.learning_rate_scheduler import LearningRateScheduler
from fastconv.callbacks.lr_finder import LRFinder
from fastconv.callbacks.model_checkpoint import ModelCheckpoint
from fastconv.callbacks.one_cycle import OneCycle
from fastconv.callbacks.progbar_logger import ProgbarLogger
from fastconv.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from fastconv.callbacks.tensorboard import TensorBoard
from fastconv.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LRFinder",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "OneCycle",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]

publish(__name__)
