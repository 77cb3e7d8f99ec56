"""Layers that end in an activation function."""

from __future__ import annotations

from typing import Any

from fastconv import activations
from fastconv.layers.layer import Layer
from fastconv.parameter import Array


class ActivatedLayer(Layer):
    """Base of layers y = φ(z): ``z`` is the layer's own arithmetic, ``φ`` its ``activation``.

    Backward goes in two steps, dz = dy ⊙ φ′(z) and then from dz on. ``backward_from_logits`` starts at the
    second, for losses whose gradient with respect to z is simpler than the one with respect to y (softmax
    with cross-entropy: p − t).

    ``call`` must remember the output y as the last of its arrays.
    """

    def __init__(self, activation: str | activations.ActivationFunction | None, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    @property
    def output_activation(self) -> str | None:  # type: ignore[override]
        return self.activation.name

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        *_, y = self.recall()
        return self.backward_from_logits(self.activation.backward(dy, y), input_gradient)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}
