"""AdamW: Adam, and weights that decay by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv.optimizers.adam import Adam
from fastconv.optimizers.learning_rate import RateSource

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from fastconv.optimizers.options import OptionsButDecay


class AdamW(Adam):
    """``Adam`` with weight decay λ, which it has by default::

        θ ← θ - η λ θ - η √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε)

    An ℓ2 penalty would add to the gradient, which Adam divides by its size: weights with large gradients
    would hardly decay. Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """

    def __init__(
        self,
        learning_rate: float | RateSource = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[OptionsButDecay],
    ) -> None:
        if weight_decay is None:
            raise ValueError("AdamW needs a number as weight_decay, got None; without decay it is Adam")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options
        )
