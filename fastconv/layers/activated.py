"""Layers that end in an activation function."""

from __future__ import annotations

from typing import Any

from fastconv import activations, regularizers
from fastconv.layers.layer import Layer
from fastconv.parameter import Array
from fastconv.regularizers import Regularizer, RegularizerLike


class ActivatedLayer(Layer):
    """Base of layers y = φ(z): ``z`` is the layer's own arithmetic, ``φ`` its ``activation``.

    Backward goes in two steps, dz = dy ⊙ φ′(z) and then from dz on. ``backward_from_logits`` starts at the
    second, for losses whose gradient with respect to z is simpler than the one with respect to y (softmax
    with cross-entropy: p − t).

    ``call`` must remember the output y as the last of its arrays. ``backward_from_logits`` must begin with
    ``with_activity_gradient``, for ``activity_regularizer`` penalizes y.
    """

    activity_regularizer: Regularizer | None = None

    def __init__(
        self,
        activation: str | activations.ActivationFunction | None,
        activity_regularizer: RegularizerLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)
        self.activity_regularizer = regularizers.get(activity_regularizer)

    @property
    def output_activation(self) -> str | None:  # type: ignore[override]
        return self.activation.name

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        *_, y = self.recall()
        return self.backward_from_logits(self.activation.backward(dy, y), input_gradient)

    def with_activity_gradient(self, dz: Array) -> Array:
        """dz, and what the penalty on the outputs adds to it."""
        if self.activity_regularizer is None:
            return dz
        *_, y = self.recall()
        return dz + self.activation.backward(self.activity_gradient(y), y)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": activations.serialize(self.activation),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }
