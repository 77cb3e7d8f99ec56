"""Layers one behind the other, as one layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastconv.layers import serialization
from fastconv.layers.layer import Layer


class Pipeline(Layer):
    """y = layer_n( ... layer_2(layer_1(x))): a ``Sequential`` that is no model, to augment images with.

    Shapes follow from those of the layers, whose weights are its own. Called by itself, as
    ``pipeline(images)``, it is in training, as random layers are: they are at work.

    >>> augment = Pipeline([RandomFlip("horizontal"), RandomTranslation(0.1, 0.1)])
    >>> model.fit(Loader(x, y, map=lambda x, y: (augment(x), y)), epochs=10)

    Raises ValueError for no layers, TypeError for what is no layer.
    """

    _has_parts = True
    training_by_itself = True

    def __init__(self, layers: Sequence[Layer], name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        given = list(layers)
        if not given:
            raise ValueError("Pipeline: layers must hold at least one layer")
        for layer in given:
            if not isinstance(layer, Layer):
                raise TypeError(f"Pipeline is made of layers, got {layer!r}")
        self._pipeline_layers = given
        if not self._trainable:
            self.trainable = False

    @property
    def layers(self) -> list[Layer]:
        """The layers, first to last."""
        return list(self._pipeline_layers)

    def call(self, x: Any, training: bool = True) -> Any:
        for layer in self._pipeline_layers:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layers": [serialization.serialize(layer) for layer in self._pipeline_layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Pipeline:
        return cls(**{**config, "layers": [serialization.deserialize(layer) for layer in config["layers"]]})
