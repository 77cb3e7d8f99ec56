"""What random brightness and contrast share: values that end in a known range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.layers._factors import value_range_of
from fastconv.layers.augmentation import Augmentation
from fastconv.parameter import Array


class RandomColor(Augmentation):
    """Base of RandomBrightness and RandomContrast. A subclass overrides ``roll``, ``change`` and its adjoint.

    value_range : (least, most) that a pixel may be; what is beyond after the change is clipped
    """

    def __init__(self, value_range: Sequence[float], seed: int | None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.value_range = value_range_of(value_range, f"{type(self).__name__}: value_range")

    def change(self, x: Array, amount: Array) -> Array:
        """The new values, before they are clipped; ``amount`` is (N, 1, 1, 1)."""
        raise NotImplementedError(f"{type(self).__name__} has no change(x, amount)")

    def change_backward(self, dy: Array, amount: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no change_backward(dy, amount)")

    def apply(self, x: Array, amount: Array) -> Array:
        return np.clip(self.change(x, amount.astype(x.dtype)), *self.value_range)

    def apply_backward(self, dy: Array, x: Array, amount: Array) -> Array:
        """Clipped pixels have no say."""
        low, high = self.value_range
        y, amount = self.change(x, amount.astype(x.dtype)), amount.astype(dy.dtype)
        return self.change_backward(np.where((low <= y) & (y <= high), dy, dy.dtype.type(0)), amount)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value_range": self.value_range}
