"""What normalizations share that end in γ · x̂ + β."""

from __future__ import annotations

from typing import Any

from fastconv import constraints, initializers, regularizers
from fastconv.constraints import ConstraintLike
from fastconv.initializers import InitializerLike
from fastconv.layers._arguments import not_negative
from fastconv.layers.layer import Layer
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import RegularizerLike


class AffineNormalization(Layer):
    """Base of layers y = γ · x̂ + β. ``create_weights`` calls ``add_gamma_and_beta``.

    Parameters
    ----------
    epsilon : ε, which keeps a variance of 0 from a division by zero
    center, scale : whether there is a β, a γ
    """

    gamma: Parameter | None
    beta: Parameter | None

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        beta_constraint: ConstraintLike | None = None,
        gamma_constraint: ConstraintLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.epsilon = not_negative(epsilon, f"{type(self).__name__}: epsilon")
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def add_gamma_and_beta(self, shape: tuple[int, ...]) -> None:
        """Make γ and β of this shape; None for one that is not wanted."""
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                name="gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                name="beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    @property
    def gamma_value(self) -> Array | None:
        return None if self.gamma is None else self.gamma.value

    @property
    def beta_value(self) -> Array | None:
        return None if self.beta is None else self.beta.value

    def keep_gradients(self, dgamma: Array | None, dbeta: Array | None) -> None:
        """Note the gradients of the weights that there are, and that learn."""
        if not self.parameters:
            return
        for weight, gradient in ((self.gamma, dgamma), (self.beta, dbeta)):
            if weight is not None and gradient is not None:
                weight.grad = gradient
