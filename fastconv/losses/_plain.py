"""What the losses without arguments of their own share."""

from __future__ import annotations

from typing import Any

from fastconv.losses.loss import Loss


class PlainLoss(Loss):
    """A loss of (y_true, y_pred) alone; ``default_name`` is what it is called in the logs."""

    default_name: str

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name or self.default_name, reduction, dtype)
