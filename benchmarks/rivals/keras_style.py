"""A network as a model of Keras' API, which is fastconv's too."""

from __future__ import annotations

from typing import Any

from benchmarks.description import (
    Activation,
    BatchNorm,
    Branches,
    Chain,
    Concat,
    Conv,
    Dense,
    Depthwise,
    Dropout,
    GlobalPool,
    Layer,
    Network,
    Pool,
    Shape,
    Transposed,
    Upsample,
    Weights,
)


class KerasModel:
    """The model, of the framework's own initial weights: Sequential where the network is a chain.

    ``api`` is the package: ``keras`` or ``fastconv``.
    """

    def __init__(self, api: Any, network: Network):
        self.api = api
        self.layers: list[Any] = []  # in the order of the description, which is that of the weights
        inputs = api.layers.Input(network.input_shape)
        if network.is_chain:
            for layer, below in network.leaves():
                self.layers += self._new(layer, below)
            self.model = api.models.Sequential([inputs, *self.layers], name=network.name)
        else:
            outputs = self._call(network.layers, network.input_shape, inputs)
            self.model = api.models.Model(inputs, outputs, name=network.name)

    def _call(self, chain: Chain, below: Shape, x: Any) -> Any:
        layers = self.api.layers
        for layer in chain:
            if isinstance(layer, Branches):
                join = layers.Concatenate() if isinstance(layer, Concat) else layers.Add()
                x = join([self._call(branch, below, x) for branch in layer.chains])
            else:
                for new in self._new(layer, below):
                    self.layers.append(new)
                    x = new(x)
            below = layer.output_shape(below)
        return x

    def _new(self, layer: Layer, below: Shape) -> list[Any]:
        """The layer, after a Flatten where it needs one."""
        layers = self.api.layers
        if isinstance(layer, Conv):
            how = {"activation": layer.activation, "use_bias": layer.bias}
            return [layers.Conv2D(layer.filters, layer.size, layer.stride, layer.padding, **how)]
        if isinstance(layer, Depthwise):
            how = {"activation": layer.activation, "use_bias": layer.bias}
            return [layers.DepthwiseConv2D(layer.size, layer.stride, layer.padding, **how)]
        if isinstance(layer, Transposed):
            how = {"activation": layer.activation, "use_bias": layer.bias}
            return [layers.Conv2DTranspose(layer.filters, layer.size, layer.size, **how)]
        if isinstance(layer, Dense):
            dense = layers.Dense(layer.units, activation=layer.activation, use_bias=layer.bias)
            return [layers.Flatten(), dense] if len(below) == 3 else [dense]
        if isinstance(layer, BatchNorm):
            return [layers.BatchNormalization(momentum=layer.momentum, epsilon=layer.epsilon)]
        if isinstance(layer, Pool):
            kind = layers.MaxPooling2D if layer.kind == "max" else layers.AveragePooling2D
            return [kind(layer.size, layer.step)]
        if isinstance(layer, GlobalPool):
            pools = {"max": layers.GlobalMaxPooling2D, "average": layers.GlobalAveragePooling2D}
            return [pools[layer.kind]()]
        if isinstance(layer, Activation):
            return [layers.Activation(layer.function)]
        if isinstance(layer, Upsample):
            return [layers.UpSampling2D(layer.size)]
        assert isinstance(layer, Dropout)
        return [layers.Dropout(layer.rate)]

    def compile(self, network: Network, learning_rate: float, momentum: float, **how: Any) -> None:
        optimizer = self.api.optimizers.SGD(learning_rate, momentum=momentum, nesterov=True)
        if network.head == "sigmoid":
            loss = self.api.losses.BinaryCrossentropy()
        else:
            loss = self.api.losses.SparseCategoricalCrossentropy(from_logits=network.head == "linear")
        self.model.compile(optimizer, loss, **how)

    def set_weights(self, weights: Weights) -> None:
        rest = list(weights)
        for layer in self.layers:
            count = len(layer.get_weights())
            layer.set_weights(rest[:count])
            del rest[:count]
        assert not rest

    def get_weights(self) -> Weights:
        return [weight for layer in self.layers for weight in layer.get_weights()]
