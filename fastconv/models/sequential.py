"""A stack of layers: the output of each is the input of the next."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastconv._errors import unknown_name
from fastconv._geometry import Window
from fastconv._structure import is_exactly
from fastconv.layers import serialization
from fastconv.layers._arguments import refuse_unless_none, truth
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.input_layer import InputLayer
from fastconv.layers.layer import Layer, Shape, example_shape
from fastconv.models import summary as tables
from fastconv.models.plan import Plan, Plans
from fastconv.models.screen import screen_width
from fastconv.models.training import Trainer
from fastconv.parameter import Array, Parameter


class Sequential(Trainer):
    """y = layer_n( ... layer_2(layer_1(x)))

    ``forward`` goes through the layers first to last, ``backward`` last to first: the chain rule. The model
    is a layer too, so that models can be parts of models. Models may share layers:
    ``Sequential(other.layers[:-1])`` is made of the other's, all but the top, with their weights.

    The weights are made as soon as the shape of the input is known: from ``Input(shape)`` as the first item,
    from ``input_shape=`` of the first layer, from ``build(shape)``, or from the first batch.

    >>> model = Sequential([Input((28, 28, 1)), Conv2D(8, 3, activation="relu"), Flatten(), Dense(10)])
    """

    def __init__(
        self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        self._plans, self._inference_plans = Plans(), Plans(inference=True)
        for layer in layers or ():
            self.add(layer)

    # ---- the stack

    @property
    def layers(self) -> list[Layer]:
        """The layers, first to last; ``Input`` is not one of them."""
        return list(self._layers)

    def _tracks(self, name: str) -> bool:
        return name.startswith("_") or super()._tracks(name)

    def add(self, layer: Layer) -> None:
        """Put a layer on top. A model whose input shape is known builds it at once."""
        self._check_addable(layer)
        if not self._trainable:
            layer.trainable = False
        if isinstance(layer, InputLayer):
            self.requested_input_shape = layer.requested_input_shape
            return
        input_shape = self._input_shape or self.requested_input_shape
        if not self._layers and input_shape is None:
            input_shape = layer.requested_input_shape or layer._input_shape
        if input_shape is not None:
            below = self._output_shape if self._layers and self._output_shape is not None else input_shape
            layer.build((None, *below))
            self._input_shape, self._output_shape = input_shape, layer._output_shape
        self._layers = [*self._layers, layer]  # a new list, for plans and other threads go by the old one

    def pop(self) -> Layer:
        """Take the top layer off and return it."""
        if not self._layers:
            raise IndexError(f"{self} has no layer to take off")
        *self._layers, layer = self._layers
        if not self._layers:
            self._input_shape = self._output_shape = None
        elif self.built:
            self._output_shape = self._layers[-1]._output_shape
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place."""
        if (name is None) == (index is None):
            raise ValueError("get_layer needs either a name or an index")
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(f"{self} has {len(self._layers)} layers, none at index {index}")
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise unknown_name("layer", name, [layer.name for layer in self._layers])

    def _check_addable(self, layer: Any) -> None:
        if not isinstance(layer, Layer):
            hint = f": write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise TypeError(f"{self} is made of layers, got {layer!r}{hint}")
        if layer is self or (isinstance(layer, Sequential) and layer._contains(self)):
            inside = "itself" if layer is self else f"{layer}, which it is a part of"
            raise ValueError(f"{self} cannot be put into {inside}: add a copy, models.clone_model(model)")
        if isinstance(layer, InputLayer) and (self._layers or self.requested_input_shape):
            raise ValueError(f"{self}: Input comes first, and only once")
        if any(layer is other for other in self._layers):
            raise ValueError(f"{self} has {layer} already; a layer can be used only once in a model")
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(f"{self} has a layer named {layer.name!r} already; names must differ")

    def _contains(self, model: Sequential) -> bool:
        """Whether ``model`` is among the layers, or among those of a model among them."""
        inner = [layer for layer in self._layers if isinstance(layer, Sequential)]
        return any(layer is model or layer._contains(model) for layer in inner)

    # ---- shapes

    @property
    def input_shape(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """(None, H, W, C), say: as in Keras None stands for the batch. AttributeError where not built."""
        return (None, *self._known(self._input_shape, "input_shape"))

    @property
    def output_shape(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """(None, classes), say: as in Keras None stands for the batch. AttributeError where not built."""
        return (None, *self._known(self._output_shape, "output_shape"))

    def _known(self, shape: Shape | None, name: str) -> Shape:
        if shape is None:
            raise AttributeError(f"{self} has no {name} before it is built: begin it with Input(shape)")
        return shape

    def build(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Make the weights of all layers for inputs of this shape; None in front is the batch."""
        if input_shape is None:
            if self.requested_input_shape is None:
                raise ValueError(f"{self} needs the shape of its input, such as build((None, 28, 28, 1))")
            input_shape = self.requested_input_shape
        if self.built and example_shape(input_shape) != self._input_shape:
            raise ValueError(
                f"{self} is built for inputs {self.input_shape} already, not {tuple(input_shape)}"
            )
        super().build(input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Pass a shape through all layers. Raises ValueError, naming the layer, where one does not fit."""
        shape = example_shape(input_shape)
        for layer in self._layers:
            layer.check_input((None, *shape))
            told = layer._told_output_shape(shape)
            shape = layer._tried_output_shape(shape) if told is None else told
        return shape

    def _told_output_shape(self, shape: Shape) -> Shape | None:
        told: Shape | None = shape
        for layer in self._layers:
            if told is not None:
                layer.check_input((None, *told))
                told = layer._told_output_shape(told)
        return told

    def create_weights(self, input_shape: Shape) -> None:
        shape = input_shape
        for layer in self._layers:
            layer.build((None, *shape))
            _, shape = layer.shapes()

    def check_input(self, shape: Sequence[int | None]) -> None:
        if shape[1:] == self._input_shape:  # as nearly always: the layers were built for it
            return
        if not self._layers:
            raise ValueError(f"{self} has no layers: add some, then give it data")
        self._layers[0].check_input(shape)
        expected = self._input_shape or self.requested_input_shape
        if expected is not None and tuple(shape[1:]) != expected:
            raise input_shape_error(self, ("N", *expected), shape)

    # ---- forward and backward

    def call(self, x: Array, training: bool = False) -> Array:
        for layer in self._layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy: Array, input_gradient: bool = False) -> Array | None:
        """The chain rule through all layers: fills ``parameter.grad`` everywhere.

        By default it stops at the first layer that has something to learn: below it nothing is computed.
        Frozen layers above it pass the gradient on and compute none for their weights. With
        ``input_gradient=True`` it goes on to the input and returns dx.
        """
        return self._backward(dy, input_gradient, from_logits=False)

    def backward_from_logits(self, dz: Array, input_gradient: bool = False) -> Array | None:
        """As ``backward``, from the gradient at what goes *into* the last layer's activation."""
        return self._backward(dz, input_gradient, from_logits=True)

    def _backward(self, gradient: Array, input_gradient: bool, from_logits: bool) -> Array | None:
        with self._turns.lock:
            layers, lowest = self._layers, 0
            if not input_gradient:
                learning = (i for i, layer in enumerate(layers) if self.trainable and layer.parameters)
                lowest = next(learning, len(layers))
            for i in range(len(layers) - 1, lowest - 1, -1):
                layer = layers[i]
                step = layer.backward_from_logits if from_logits and layer is layers[-1] else layer.backward
                below = step(gradient, input_gradient=input_gradient or i > lowest)
                if self._lets_go:
                    layer.forget()
                if below is None:
                    return None
                gradient = below
            return gradient if input_gradient else None

    def _plan(self) -> Plan | None:
        if not self.built or self._jit_compile is False:
            return None
        return self._plans.find(self)

    def _skips_activation(self) -> bool:
        return super()._skips_activation() and (not self._layers or self._layers[-1]._skips_activation())

    def _leaves(self) -> list[Layer]:
        return [leaf for layer in self._layers for leaf in layer._leaves()]

    def _opened(self) -> list[Layer]:
        """The layers, and in the place of models among them theirs: the same computation.

        A subclass may compute something else with its layers: then it is itself the one layer.
        """
        if not is_exactly(self, Sequential):
            return [self]
        opened: list[Layer] = []
        for layer in self._layers:
            opened += layer._opened() if isinstance(layer, Sequential) else [layer]
        return opened

    def _inference_plan(self, images: int) -> Plan | None:
        if not self.built or self._jit_compile is False:
            return None
        plan = self._inference_plans.find(self)
        return plan if plan is not None and plan.pays_for(images) else None

    def forget(self) -> None:
        with self._turns.lock:
            for layer in self._layers:
                layer.forget()

    @property
    def output_activation(self) -> str | None:  # type: ignore[override]
        return self._layers[-1].output_activation if self._layers else None

    @property
    def outputs_distances(self) -> bool:  # type: ignore[override]
        return bool(self._layers) and self._layers[-1].outputs_distances

    @property
    def activity_losses(self) -> list[float]:
        return self._activity_losses + [loss for layer in self._layers for loss in layer.activity_losses]

    # ---- weights

    @property
    def weights(self) -> list[Parameter]:
        return [weight for layer in self._layers for weight in layer.weights]

    @property
    def parameters(self) -> list[Parameter]:
        if not self.trainable:
            return []
        return [parameter for layer in self._layers for parameter in layer.parameters]

    @property
    def trainable(self) -> bool:
        """False: nothing in the model learns. Assigning to it assigns to all its layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = truth(value, f"{self}: trainable")
        for layer in self._layers:
            layer.trainable = value

    # ---- what it sees, and what that costs

    def windows(self) -> tuple[Window, ...]:
        return tuple(window for layer in self._layers for window in layer.windows())

    def count_multiply_adds(self) -> int:
        return sum(layer.count_multiply_adds() for layer in self._layers)

    def count_connections(self) -> int:
        return sum(layer.count_connections() for layer in self._layers)

    # ---- randomness

    def random_state(self) -> dict[str, Any]:
        """{layer's name: its random state}, of the layers that have one."""
        states = {layer.name: layer.random_state() for layer in self._layers}
        return {name: state for name, state in states.items() if state}

    def set_random_state(self, state: Mapping[str, Any]) -> None:
        own = self.random_state()
        if own.keys() != state.keys():
            raise ValueError(
                f"{self}: this is the random state of layers {sorted(state)}, "
                f"but those that draw are {sorted(own)}"
            )
        for layer in self._layers:
            if layer.name in state:
                layer.set_random_state(state[layer.name])

    # ---- looking at it, keeping it

    def __repr__(self) -> str:
        layers = f"{len(self._layers)} layer{'s' * (len(self._layers) != 1)}"
        if not self.built:
            return f"<{self}: {layers}, not built>"
        return (
            f"<{self}: {layers}, {self.input_shape} -> {self.output_shape}, {self.count_params():,} params>"
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: None = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: None = None,
        *,
        show_dense: bool = False,
    ) -> None:
        """Print the model as a table: of each layer its output's shape, its parameters, and, once it is
        built, its multiply-adds for one example, its receptive field, and how many pixels apart the fields of
        two neighbours lie.

        Parameters
        ----------
        line_length : characters in a line. Where None, as many as the table needs and the terminal, or a line
            of 100 characters, has room for. A table that is too wide becomes a paragraph for each layer
        print_fn : gets the table, one string, in place of the screen
        expand_nested : show the layers of models inside the model too
        show_trainable : show which layers learn
        show_dense : beyond Keras, show how many parameters each convolution would have were it fully
            connected, with the same inputs and outputs
        """
        refuse_unless_none("summary", positions=positions, layer_range=layer_range)
        table = tables.summary_table(
            self, expand_nested=expand_nested, show_trainable=show_trainable, show_dense=show_dense
        )
        (print_fn or tables.show)(table.text(line_length or 0, line_length or screen_width()))

    def _repr_html_(self) -> str:
        """The summary, as a notebook shows it."""
        return tables.summary_table(self, expand_nested=True).html()

    def get_config(self) -> dict[str, Any]:
        """The layers and their arguments as plain numbers and strings; ``from_config`` is the way back."""
        shape = self._input_shape or self.requested_input_shape
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": [serialization.serialize(layer) for layer in self._layers],
            "build_input_shape": None if shape is None else [None, *shape],
        }

    def to_json(self, **options: Any) -> str:
        """The architecture, and what ``compile`` chose, as text for ``models.model_from_json``.

        The weights are not in it. ``options`` are those of ``json.dumps``, such as ``indent=2``.
        """
        from fastconv.saving import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **options)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Sequential:
        """A like model with new weights; classes of your own come by name in ``custom_objects``."""
        layers = [serialization.deserialize(layer, custom_objects) for layer in config["layers"]]
        model = cls(layers, name=config.get("name"))
        if not config.get("trainable", True):
            model._trainable = False
        if config.get("build_input_shape") is not None and not model.built:
            model.build(config["build_input_shape"])
        return model

    def save(
        self,
        filepath: str | os.PathLike[str] | None = None,
        overwrite: bool = True,
        *,
        notes: Mapping[str, Any] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Save architecture, weights and training configuration in one file, for ``models.load_model``.

        See ``models.save_model``.
        """
        from fastconv.models.saving import save_model

        save_model(self, filepath, overwrite, notes=notes, path=path)

    def save_weights(
        self,
        filepath: str | os.PathLike[str] | None = None,
        overwrite: bool = True,
        *,
        notes: Mapping[str, Any] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Save the weights alone. ``notes`` are kept with them, for ``models.read_notes(filepath)``."""
        from fastconv.models.saving import save_weights

        save_weights(self, filepath, overwrite, notes=notes, path=path)

    def load_weights(
        self,
        filepath: str | os.PathLike[str] | None = None,
        skip_mismatch: bool = False,
        *,
        by_name: bool = False,
        allow_nan: bool = False,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Load what ``save_weights`` or ``save`` of a model with the same layers wrote.

        ``skip_mismatch=True`` leaves out layers that do not fit, and warns of them. ``by_name=True`` loads
        into layers that have the name of a saved one, whatever else the two models have.
        """
        from fastconv.models.saving import load_weights

        load_weights(self, filepath, skip_mismatch, by_name=by_name, allow_nan=allow_nan, path=path)


serialization.add_class(Sequential)
