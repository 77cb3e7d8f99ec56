"""A stack of layers: the output of each is the input of the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastconv._core.versions import unnoticed
from fastconv.graph import Graph, SymbolicTensor
from fastconv.layers import serialization
from fastconv.layers._arguments import truth
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.graphed import distinct
from fastconv.layers.input_layer import Input, InputLayer
from fastconv.layers.layer import Layer, Shape, example_shape
from fastconv.models.model import Model


class Sequential(Model):
    """y = layer_n( ... layer_2(layer_1(x)))

    A ``Model`` whose graph is a chain. Models may share layers: ``Sequential(other.layers[:-1])`` is made of
    the other's, all but the top, with their weights.

    The weights are made as soon as the shape of the input is known: from ``Input(shape)`` as the first item,
    from ``input_shape=`` of the first layer, from ``build(shape)``, or from the first batch.

    >>> model = Sequential([Input((28, 28, 1)), Conv2D(8, 3, activation="relu"), Flatten(), Dense(10)])
    """

    def __init__(
        self,
        layers: Iterable[Layer | SymbolicTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        self._layers: list[Layer] = []
        self._tensors: list[SymbolicTensor] = []  # the input, once known, and what each layer makes of it
        super().__init__(name=name)
        self._trainable = truth(trainable, f"{type(self).__name__}: trainable")
        for layer in layers or ():
            self.add(layer)

    # ---- the stack

    @property
    def layers(self) -> list[Layer]:
        """The layers, first to last; ``Input`` is not one of them."""
        return list(self._layers)

    def parts(self) -> list[Layer]:
        return distinct([*self._layers, *Layer.parts(self)]) if self._is_of_the_user else self._layers

    def _drawing_parts(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self._layers}

    def add(self, layer: Layer | SymbolicTensor, rebuild: bool = True) -> None:
        """Put a layer on top. A model whose input shape is known builds it at once."""
        self._add(layer.node.layer if isinstance(layer, SymbolicTensor) and layer.node.is_input else layer)

    def _add(self, layer: Any) -> None:
        self._check_addable(layer)
        if not self._trainable:
            layer.trainable = False
        if isinstance(layer, InputLayer):
            self.requested_input_shape = layer.requested_input_shape
            self._stack([], [layer.output])
            return
        tensors = self._tensors
        if not self._layers and not tensors:
            shape = layer.requested_input_shape or layer._input_shape
            tensors = [] if shape is None else [Input(shape)]
        self._stack([*self._layers, layer], [*tensors, layer(tensors[-1])] if tensors else [])

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off and return it."""
        if not self._layers:
            raise IndexError(f"{self} has no layer to take off")
        *layers, layer = self._layers
        self._stack(layers, self._tensors[:-1] if self._tensors else [])
        return layer

    def _stack(self, layers: list[Layer], tensors: list[SymbolicTensor]) -> None:
        """Be made of these layers, and what they make of each other: new lists, for other threads go by the
        old."""
        built = bool(layers) and bool(tensors)
        self._layers, self._tensors, self._graph = layers, tensors, None
        self._input_shape = tensors[0].shape[1:] if built else None
        self._output_shape = tensors[-1].shape[1:] if built else None

    def composition(self, training: bool, shapes: Any = None) -> Graph | None:
        if self._graph is None and self.built:
            with unnoticed():  # it is what the layers are already
                self._graph = Graph(self._tensors[0], self._tensors[-1], owner=str(self))
        return super().composition(training, shapes)

    def _check_addable(self, layer: Any) -> None:
        if not isinstance(layer, Layer):
            hint = f": write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"{self} is made of layers, got {layer!r}{hint}")
        if layer is self or (isinstance(layer, Model) and layer._contains(self)):
            inside = "itself" if layer is self else f"{layer}, which it is a part of"
            raise ValueError(f"{self} cannot be put into {inside}: add a copy, models.clone_model(model)")
        if isinstance(layer, InputLayer) and (self._layers or self._tensors):
            raise ValueError(f"{self}: Input comes first, and only once")
        if any(layer is other for other in self._layers):
            raise ValueError(
                f"{self} has {layer} already; a layer can be used only once in it; "
                "Model(inputs, outputs) calls a layer any number of times"
            )
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(f"{self} has a layer named {layer.name!r} already; names must differ")

    @property
    def _outputs_are_known(self) -> bool:
        return type(self).call is Model.call

    @property
    def _only_input(self) -> None:
        return None  # its name is mostly one that nobody gave it

    def _last_layers(self) -> list[Layer]:
        return self._layers[-1:]

    # ---- shapes

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Make the weights of all layers for inputs of this shape; None in front is the batch."""
        if input_shape is None:
            input_shape = self.requested_input_shape
            if input_shape is None:
                raise ValueError(f"{self} needs the shape of its input, such as build((None, 28, 28, 1))")
        if not self._layers:
            raise ValueError(f"{self} has no layers: add some, then give it data")
        shape = example_shape(input_shape)
        if not self.built:
            self._check_shapes(shape)
            tensors = [Input(shape)]
            for layer in self._layers:
                tensors.append(layer(tensors[-1]))
            self._stack(self._layers, tensors)
        elif shape != self._input_shape:
            raise ValueError(
                f"{self} is built for inputs {self.input_shape} already, not {tuple(input_shape)}"
            )

    def _check_shapes(self, shape: Shape) -> None:
        """Raise where a layer does not take what the one before it makes: before any of them has weights."""
        for layer in self._layers:
            layer.check_inputs(shape)
            told = None if layer.composes else layer._told_output_shape(shape)
            if told is None:  # known when the layer is built
                return
            shape = told

    def check_input(self, shape: Sequence[int | None]) -> None:
        """Raise a ValueError where the layers do not take an input of this shape, with the batch axis.

        Images of another size than the model was built for are taken if all layers take them, as in Keras.
        """
        if shape[1:] == self._input_shape:  # as nearly always: the layers were built for it
            return
        if not self._layers:
            raise ValueError(f"{self} has no layers: add some, then give it data")
        self._layers[0].check_input(shape)
        expected = self._input_shape or self.requested_input_shape
        if expected is None or tuple(shape[1:]) == expected:
            return
        fits = self.built and len(shape) == len(expected) + 1
        if not (fits and self._takes(tuple(shape[1:]))):
            raise input_shape_error(self, ("N", *expected), shape)

    def check_inputs(self, shapes: Any) -> None:
        self.check_input((None, *shapes))

    # ---- keeping it

    _config_says_shape = True

    @classmethod
    def _notes_arguments(cls) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        graph = self.composition(training=False) if type(self).call is Model.call else None
        return {**super().__getstate__(), "_graph": graph, "_tensors": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._graph is not None:
            self._tensors = [node.outputs[0] for node in self._graph.nodes]

    def get_config(self) -> dict[str, Any]:
        """The layers and their arguments as plain numbers and strings; ``from_config`` is the way back."""
        shape = self._input_shape or self.requested_input_shape
        with serialization.described_together():
            layers = [serialization.serialize(layer) for layer in self._layers]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "build_input_shape": None if shape is None else [None, *shape],
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Sequential:
        """A like model with new weights; classes of your own come by name in ``custom_objects``."""
        with serialization.made_together():
            layers = [serialization.deserialize(layer, custom_objects) for layer in config["layers"]]
        model = cls(layers, name=config.get("name"))
        if not config.get("trainable", True):
            model._trainable = False
        if config.get("build_input_shape") is not None and not model.built:
            model.build(config["build_input_shape"])
        return model


serialization.add_class(Sequential)
