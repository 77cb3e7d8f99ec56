"""Layers that end in an activation function."""

from __future__ import annotations

from typing import Any

from fastconv import activations, regularizers
from fastconv.activations import ActivationFunction
from fastconv.layers.layer import Layer
from fastconv.ops.activations import activate_result
from fastconv.parameter import Array
from fastconv.regularizers import Regularizer, RegularizerLike


class ActivatedLayer(Layer):
    """Base of layers y = φ(z): ``z`` is the layer's own arithmetic, ``φ`` its ``activation``.

    Backward goes in two steps, dz = dy ⊙ φ′(z) and then from dz on. ``backward_from_logits`` starts at the
    second, for losses whose gradient with respect to z is simpler than the one with respect to y (softmax
    with cross-entropy: p − t).

    ``call`` ends in ``return self.activate(z, ...)``. ``backward_from_logits`` must begin with
    ``with_activity_gradient``, for ``activity_regularizer`` penalizes y.
    """

    activity_regularizer: Regularizer | None = None

    _may_change_shape = False  # whether y may have another shape than z

    def __init__(
        self,
        activation: activations.ActivationLike,
        activity_regularizer: RegularizerLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.activation = activation
        self.activity_regularizer = regularizers.get(activity_regularizer)

    @property
    def activation(self) -> ActivationFunction:
        """φ. May be assigned at any time, as the argument: a name such as "relu", or None for y = z."""
        return self._activation

    @activation.setter
    def activation(self, activation: activations.ActivationLike) -> None:
        function = activations.get(activation)
        if not (function.keeps_shape or self._may_change_shape):
            raise ValueError(
                f"{type(self).__name__}: the activation {function} changes the shape of its input: "
                f'put Activation("{function.name}") behind it'
            )
        self._activation = function

    @property
    def output_activation(self) -> str | None:  # type: ignore[override]
        return self.activation.name

    def activate(self, z: Array, *inputs: Any) -> Array:
        """y = φ(z), of a fresh z that nobody else holds: its memory becomes that of y, unless φ′ is made of
        z.

        Remembers ``inputs``, and last what φ′ is made of.
        """
        function = self.activation
        if function.needs_input or type(function) is not activations.ActivationFunction:
            y = function(z)
            self.remember(*inputs, z if function.needs_input else y)
        else:
            y = activate_result(z, function.name, function.alpha)
            self.remember(*inputs, y)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return self.backward_from_logits(self.to_logits(dy), input_gradient)

    def to_logits(self, dy: Array) -> Array:
        *_, kept = self.recall()
        return self.activation.backward(dy, kept)

    def with_activity_gradient(self, dz: Array) -> Array:
        """dz, and what the penalty on the outputs adds to it."""
        if self.activity_regularizer is None:
            return dz
        *_, kept = self.recall()
        y = self.activation(kept) if self.activation.needs_input else kept
        return dz + self.activation.backward(self.activity_gradient(y), kept)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": activations.serialize(self.activation),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }
