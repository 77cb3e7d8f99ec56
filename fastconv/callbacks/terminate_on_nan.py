"""Stop when the loss is no number any more."""

from __future__ import annotations

import math

from fastconv.callbacks.callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Ends training after a step that makes the loss NaN or infinite.

    ``raise_error=True`` raises RuntimeError instead: no callback's ``on_train_end`` is called then.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"the loss is {loss} after batch {batch}: training diverged")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
