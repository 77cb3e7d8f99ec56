"""Layers made of other layers: one behind the other, or one whose kernel is kept in bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import initializers, ops
from fastconv._core.geometry import Window
from fastconv.layers import serialization
from fastconv.layers._arguments import whole
from fastconv.layers.layer import Layer, Shape
from fastconv.parameter import Array, Parameter


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


_LEAST = 1e-7  # of a vector's length, so that zeros are divided by no zero


class SpectralNormalization(Layer):
    """y = layer(x), whose kernel is divided by its largest singular value σ at each call in training.

    The kernel W is seen as a matrix with as many columns as its last axis. σ is found by power iteration,
    from the vector u that the layer keeps from call to call; |a| is the length of a, at least 1e-7:

        v = u Wᵀ / |u Wᵀ|,  u = v W / |v W|  (``power_iterations`` times)        σ = v W uᵀ        W ← W / σ

    The divided kernel stays in the layer, and it is what the gradient belongs to and what an optimizer goes
    on from. A kernel of zeros stays as it is. In inference nothing changes, and y = layer(x). As in Keras, a
    layer with ``trainable=False`` is divided too.

    Shapes are those of ``layer``. Weights: the kernel, vector_u (1, columns), which does not learn, and the
    others of ``layer``.

    Parameters
    ----------
    layer : a layer with a ``kernel``, such as ``Dense`` or ``Conv2D``
    power_iterations : how often, at each call

    Raises ValueError for a ``layer`` that is none, or has no kernel.

    Miyato et al. 2018, *Spectral normalization for generative adversarial networks*, section 2.1 and
    algorithm 1.
    """

    _has_parts = True
    _moves_in_call = True

    vector_u: Parameter

    def __init__(self, layer: Layer, power_iterations: int = 1, **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(layer, Layer):
            raise ValueError(f"SpectralNormalization: layer must be a layer with a kernel, got {layer!r}")
        self.power_iterations = whole(power_iterations, "SpectralNormalization: power_iterations")
        self.layer = layer

    @property
    def kernel(self) -> Parameter:
        """The kernel of the layer inside. ValueError where it has none."""
        kernel = getattr(self.layer, "kernel", None)
        if not isinstance(kernel, Parameter):
            raise ValueError(f"{self}: {self.layer} has no kernel, whose norm could be 1")
        return kernel

    @property
    def weights(self) -> list[Parameter]:
        """kernel, vector_u, and the rest of the layer's: Keras' order."""
        if not self._weights:
            return super().weights
        kernel = self.kernel
        return [kernel, *(weight for weight in super().weights if weight is not kernel)]

    # ---- shapes and weights

    def check_inputs(self, shapes: Any) -> None:
        self.layer.check_inputs(shapes)

    def check_input(self, shape: Sequence[int | None]) -> None:
        self.layer.check_input(shape)

    def _told_output_shape(self, shape: Any) -> Any:
        return self.layer._told_output_shape(shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def create_weights(self, input_shape: Shape) -> None:
        if self.layer.input_shape is None:
            self.layer.build((None, *input_shape))
        columns = self.kernel.shape[-1]
        self.vector_u = self.add_weight(
            (1, columns), initializers.TruncatedNormal(stddev=0.02), name="vector_u", trainable=False
        )

    # ---- forward and backward

    def call(self, x: Array, training: bool = False) -> Array:
        before = (self.vector_u.numpy(), self.kernel.numpy()) if training else None
        if before is not None:
            self._divide_by_norm()
        try:
            self.layer._activity_losses = []
            y, saved = self.layer.compute(x, training=training)
            self._activity_losses.extend(self.layer._activity_losses)  # until the next call of this layer
            self.layer._activity_losses = []
        except BaseException:
            if before is not None:
                self.vector_u.value, self.kernel.value = before
            raise
        self.remember(saved)
        return y

    def _divide_by_norm(self) -> None:
        u, kernel = self.vector_u.value, self.kernel.value
        matrix = kernel.reshape(-1, kernel.shape[-1])
        for _ in range(self.power_iterations):
            v = _unit(ops.dense(u, matrix.T))
            u = _unit(ops.dense(v, matrix))
        norm = ops.dense(ops.dense(v, matrix), u.T)[0, 0]
        if norm > 0:  # not so for a kernel of zeros
            self.vector_u.value, self.kernel.value = u, kernel / norm

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        (saved,) = self.recall()
        dx: Array | None = self.layer.gradient(saved, dy, input_gradient)
        return dx

    # ---- what it sees, and what that costs

    def windows(self) -> tuple[Window, ...]:
        return self.layer.windows()

    def count_multiply_adds(self) -> int:
        return self.layer.count_multiply_adds()

    def count_connections(self) -> int:
        return self.layer.count_connections()

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": serialization.serialize(self.layer),
            "power_iterations": self.power_iterations,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpectralNormalization:
        return cls(**{**config, "layer": serialization.deserialize(config["layer"])})


def _unit(vector: Array) -> Array:
    """The vector, of length 1; shorter where it is shorter than ``_LEAST``."""
    length = np.sqrt(np.sum(vector * vector))
    return vector / max(length, vector.dtype.type(_LEAST))
