"""The rectifier with an exponential below zero."""

from __future__ import annotations

from typing import Any

from fastconv.activations import ActivationFunction, elu
from fastconv.layers._arguments import not_negative
from fastconv.layers.activation import Activation


class ELU(Activation):
    """y = x where x ≥ 0, ``alpha`` · (e^x − 1) elsewhere.

    Clevert, Unterthiner & Hochreiter 2016, *Fast and accurate deep network learning by exponential linear
    units*.
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(self._function(alpha), **options)

    @staticmethod
    def _function(alpha: float) -> ActivationFunction:
        return elu.with_parameters(alpha=not_negative(alpha, "ELU: alpha"))

    @property
    def alpha(self) -> float:
        """May be assigned at any time."""
        return float(self.activation.alpha)  # type: ignore[arg-type]

    @alpha.setter
    def alpha(self, alpha: float) -> None:
        self.activation = self._function(alpha)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activation"]
        return {**config, "alpha": self.alpha}
