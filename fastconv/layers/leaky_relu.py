"""The rectifier that lets a little through below zero."""

from __future__ import annotations

import warnings
from typing import Any

from fastconv.activations import ActivationFunction, leaky_relu
from fastconv.layers._arguments import not_negative
from fastconv.layers.activation import Activation


class LeakyReLU(Activation):
    """y = x where x ≥ 0, ``negative_slope`` · x elsewhere.

    As a layer its slope is 0.3, as a function, ``activation="leaky_relu"``, 0.2 (Keras); ``alpha=`` is its
    old name. Maas et al. 2013, *Rectifier nonlinearities improve neural network acoustic models*.
    """

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        if "alpha" in options:
            warnings.warn("LeakyReLU: alpha is called negative_slope now", stacklevel=2)
            negative_slope = options.pop("alpha")
        super().__init__(self._function(negative_slope), **options)

    @staticmethod
    def _function(negative_slope: float) -> ActivationFunction:
        return leaky_relu.with_parameters(
            negative_slope=not_negative(negative_slope, "LeakyReLU: negative_slope")
        )

    @property
    def negative_slope(self) -> float:
        """May be assigned at any time."""
        return float(self.activation.alpha)  # type: ignore[arg-type]

    @negative_slope.setter
    def negative_slope(self, negative_slope: float) -> None:
        self.activation = self._function(negative_slope)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activation"]
        return {**config, "negative_slope": self.negative_slope}
