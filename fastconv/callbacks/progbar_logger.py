"""The progress that ``fit`` shows, as a callback."""

from __future__ import annotations

from typing import Any

from fastconv.callbacks.callback import Callback, Logs


class ProgbarLogger(Callback):
    """Shows progress as ``verbose`` has it, which ``fit``, ``evaluate`` and ``predict`` do by themselves.

    For loops of your own, and to say when the bar comes among the callbacks: given to ``fit``, it takes the
    place of the usual one.
    """

    def __init__(self) -> None:
        self._report: Any = None
        self._what = ""  # is at work

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._begin("train")

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if self._what != "train":
            self._begin("test")
        self._pass_on("on_test_begin", logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin("predict")
        self._pass_on("on_predict_begin", logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._pass_on("on_test_end", logs)
        if self._what == "test":
            self.close()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._pass_on("on_predict_end", logs)
        self.close()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._pass_on("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._pass_on("on_epoch_end", epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._pass_on("on_train_batch_end", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._pass_on("on_test_batch_end", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._pass_on("on_predict_batch_end", batch, logs)

    def close(self) -> None:
        """Leave the screen tidy, also where training ends in an error."""
        if self._report is not None:
            self._report.close()
        self._report, self._what = None, ""

    def _begin(self, what: str) -> None:
        from fastconv.models.progress import progress

        params = {"verbose": "auto", "epochs": 1, "steps": None, **(self.params or {})}
        self._what = what
        self._report = progress(params["verbose"], what, params["epochs"], params["steps"])

    def _pass_on(self, hook: str, *arguments: Any) -> None:
        if self._report is not None:
            getattr(self._report, hook)(*arguments)
