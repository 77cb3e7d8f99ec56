"""Models of any shape: graphs of layers, Keras' functional API."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Callable, Mapping
from threading import get_ident
from typing import Any

import numpy as np

from fastconv._core.checks import unknown_name
from fastconv._core.configuration import custom_object_scope
from fastconv._core.geometry import Window
from fastconv.graph import Graph, Node, SymbolicTensor, structure
from fastconv.graph.ports import Ports, Several, by_name, keyed
from fastconv.graph.serialization import graph_config, graph_from_config
from fastconv.layers import serialization
from fastconv.layers._arguments import refuse_unless_none
from fastconv.layers.graphed import distinct
from fastconv.layers.input_layer import Input
from fastconv.layers.layer import Layer
from fastconv.models import summary as tables
from fastconv.models.screen import screen_width
from fastconv.models.tapping import Tapped, tap
from fastconv.models.training import Trainer


class Model(Trainer):
    """outputs = graph(inputs): layers called on each other's results, in any arrangement without cycles.

    >>> x = Input((32, 32, 3))
    >>> y = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    >>> z = layers.Add()([y, layers.Conv2D(16, 3, padding="same")(y)])
    >>> model = Model(x, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(z)))

    A layer may be called several times: its weights are shared, and its gradients add up. A model called on a
    tensor is a part of another model.

    A subclass that makes layers in ``__init__`` and composes them in ``call(self, x, training=None)`` needs
    no ``inputs`` and ``outputs``: ``call`` is run once on symbolic tensors, for training and for inference.

    Parameters
    ----------
    inputs, outputs : one symbolic tensor, or nested lists, tuples and dictionaries of them; a list of
        one tensor is that tensor
    trainable : False freezes all layers
    name : "model", "model_1", ... where None

    Raises TypeError where inputs or outputs hold something else, ValueError where an output depends on an
    input that is not in ``inputs``, an input leads to no output, or two layers have one name.
    """

    _has_parts = True

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, trainable=True, **options)
        self._graph: Graph | None = None
        if (inputs is None) != (outputs is None):
            missing = "inputs" if inputs is None else "outputs"
            raise ValueError(f"{self}: {missing} is missing; a model has both, Model(inputs, outputs)")
        if inputs is not None:
            inputs, outputs = structure.alone(inputs), structure.alone(outputs)
            graph = Graph(inputs, outputs, owner=str(self))
            if not all(
                tensor.node.is_input for tensor in graph.input_list
            ):  # it begins in the middle of a model
                inputs = structure.mapped(_as_input, inputs)
                graph = Graph(inputs, graph.apply(inputs, None), owner=str(self))
            self._set_graph(graph)
        elif type(self) is Model:
            raise TypeError(
                "Model needs inputs and outputs, Model(inputs, outputs); or write a subclass that makes its "
                "layers in __init__ and composes them in call(self, x, training=None)"
            )
        if not trainable:
            self.trainable = False

    @property
    def built(self) -> bool:
        """Whether the shapes, and so the weights, are known."""
        return self._input_shape is not None

    @built.setter
    def built(
        self, value: bool
    ) -> None:  # Keras' subclasses say so in ``build``; there is nothing to be told here
        pass

    def _contains(self, model: Layer) -> bool:
        """Whether ``model`` is among the layers, or among those of a model among them."""
        return any(
            layer is model or (isinstance(layer, Model) and layer._contains(model)) for layer in self.parts()
        )

    def _set_graph(self, graph: Graph) -> None:
        self._graph = graph
        self._input_shape = _shapes(graph.inputs)
        self._output_shape = _shapes(graph.outputs)

    # ---- the graph

    @property
    def composes(self) -> bool:
        """Whether the model computes what its layers compute: nothing of it is overridden but ``call``."""
        cls, own = type(self), vars(self)
        return cls.backward is Model.backward and not {"call", "backward", "forward"} & own.keys()

    @property
    def _calls_layers_in_order(self) -> bool:
        return type(self).call is Model.call

    @property
    def _traces_call(self) -> bool:
        return not self._calls_layers_in_order

    def composition(self, training: bool, shapes: Any = None) -> Graph | None:
        if self._calls_layers_in_order:
            return self._graph if self.composes else None
        return super().composition(training, shapes)

    def _tracks(self, name: str) -> bool:
        return name in ("_executor", "_compiled", "_own_metrics") or super()._tracks(name)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Call the layers in order; on arrays, or on symbolic tensors."""
        if self._graph is None:
            raise NotImplementedError(
                f"{self} has neither inputs and outputs nor a call(self, x, training=None)"
            )
        return self._graph.apply(inputs, training)

    @property
    def graph(self) -> Graph:
        """What the model computes when it predicts. ValueError for a subclass that is not built yet."""
        self.shapes()
        graph = self.composition(training=False)
        if graph is None:
            raise ValueError(f"{self} has no graph: its call computes by itself")
        return graph

    @property
    def layers(self) -> list[Layer]:
        """The layers, each once, in Keras' order; of a model made from tensors, ``Input`` among them."""
        return self.parts() if self._graph is None else list(self._graph.layers)

    @property
    def input(self) -> Any:
        """The symbolic input, or inputs, as given."""
        return self.graph.inputs

    @property
    def output(self) -> Any:
        """The symbolic output, or outputs, as given."""
        return self.graph.outputs

    @property
    def inputs(self) -> list[Any]:
        """The symbolic inputs, in order."""
        return list(self.graph.input_list)

    @property
    def outputs(self) -> list[Any]:
        """The symbolic outputs, in order."""
        return list(self.graph.output_list)

    @property
    def input_names(self) -> list[str]:
        return list(self.graph.input_names)

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that make the outputs: those of logs and of dictionaries of targets."""
        return list(self.graph.output_names)

    @property
    def _ports(self) -> Ports:
        graph = self._graph
        if graph is None and self.built:
            graph = self.composition(training=False)
        if graph is None:
            return super()._ports
        return keyed(graph.ports, graph.inputs, graph.outputs)

    @property
    def _only_input(self) -> str | None:
        known = self.built and self._calls_layers_in_order
        return self._ports.inputs[0] if known and self._ports.is_plain else None

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place of ``layers``."""
        if (name is None) == (index is None):
            raise ValueError("get_layer needs either a name or an index")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"{self} has {len(layers)} layers, none at index {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise unknown_name("layer", name, [layer.name for layer in layers])

    # ---- shapes

    @property
    def input_shape(self) -> Any:
        """(None, H, W, C), say: as in Keras None stands for the batch. Nested as the inputs. AttributeError
        where the model is not built.
        """
        return self._known(self._input_shape, "input_shape")

    @property
    def output_shape(self) -> Any:
        """(None, classes), say: as in Keras None stands for the batch. Nested as the outputs. AttributeError
        where the model is not built.
        """
        return self._known(self._output_shape, "output_shape")

    def _known(self, shapes: Any, name: str) -> Any:
        if shapes is None:
            raise AttributeError(f"{self} has no {name} before it is built: begin it with Input(shape)")
        return structure.map_shapes(lambda shape: (None, *shape), shapes)

    @property
    def takes_several(self) -> bool:  # type: ignore[override]
        return not (self.built and structure.is_shape(self._input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Pass shapes through all layers. Raises ValueError, naming the layer, where one does not fit."""
        return self.composed_output_shape(input_shape)

    def __call__(self, x: Any, *more: Any, training: bool | None = None) -> Any:
        return super().__call__(self._nested_as_inputs(x), *more, training=training)

    def _nested_as_inputs(self, x: Any) -> Any:
        """A dictionary of arrays or symbolic tensors by the names of the inputs, nested as these are.

        Raises ValueError where it has other keys, or where a list is given for a dictionary of inputs.
        """
        if not isinstance(x, (list, tuple, Mapping)) or isinstance(x, Several) or not self.built:
            return x
        graph = self._graph or self.composition(training=False)
        if graph is None:
            return x
        by_key = isinstance(graph.inputs, Mapping)
        if not isinstance(x, Mapping):
            if by_key and len(graph.input_list) > 1:
                raise ValueError(
                    f"{self} takes a dictionary with the keys {sorted(graph.inputs)}, "
                    f"got a {type(x).__name__}"
                )
            return x
        if by_key and x.keys() == graph.inputs.keys():
            return x
        return structure.packed(graph.inputs, by_name(x, self._ports.inputs, "the input", "inputs"))

    def forward(self, x: Any, training: bool = False, *more: Any) -> Any:
        if not more:
            x = self._nested_as_inputs(x)
        if isinstance(x, (list, tuple)) and not self.takes_several:
            batch = structure.alone(x)
            if getattr(batch, "ndim", 0) == len(self._input_shape) + 1:  # else it is a list of examples
                x = batch
        return super().forward(x, training, *more)

    def check_input(self, shape: Any) -> None:
        self.check_inputs(tuple(shape[1:]))

    def check_inputs(self, shapes: Any) -> None:
        """Raise a ValueError where inputs of these shapes, without the batch axis, do not fit.

        A model made from tensors takes the shapes it was made for, with any size where they are open; a
        subclass with a ``call`` of its own takes whatever its layers take.
        """
        graph = self.composition(training=False) if self.built else None
        if graph is None or shapes == self._input_shape:
            return
        if not self._calls_layers_in_order and self._takes(shapes):
            return
        expected, given = structure.shape_leaves(self._input_shape), structure.shape_leaves(shapes)
        if len(expected) != len(given):
            raise ValueError(f"{self} takes {len(expected)} inputs {graph.input_names}, got {len(given)}")
        for name, wanted, came in zip(graph.input_names, expected, given, strict=True):
            fits = len(wanted) == len(came) and all(
                w is None or w == c for w, c in zip(wanted, came, strict=True)
            )
            if not fits:
                raise ValueError(
                    f"{self}: the input {name!r} has the shape {(None, *wanted)}, got {(None, *came)}; "
                    "None is the batch, or a size left open"
                )

    def _takes(self, shapes: Any) -> bool:
        """Whether the layers take inputs of other shapes than those that the model was built for."""
        graph = self.composition(training=False)
        if graph is None:
            return False
        try:
            graph.output_shapes(shapes)
        except ValueError:
            return False
        return True

    # ---- forward and backward

    def backward(self, dy: Any, input_gradient: bool = False) -> Any:
        """The chain rule through all layers: fills ``parameter.grad`` everywhere.

        ``dy`` is nested as the outputs, with None where the loss does not depend on one. By default nothing
        is computed below the first layers that have something to learn; with ``input_gradient=True`` it goes
        on to the inputs and returns their gradients. Frozen layers on the way pass the gradient on.
        """
        with self._turns.lock:
            return self.back_through(dy, input_gradient)

    def backward_from_logits(self, dz: Any, input_gradient: bool = False) -> Any:
        """As ``backward``, from the gradients with respect to the pre-activations of the last layers."""
        with self._turns.lock:
            return self.back_through(dz, input_gradient, [True] * len(self._last_layers()))

    def tap(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        values: Any = (),
        gradients: Any = (),
        output_gradient: Any = None,
        from_logits: bool = False,
        training: bool = False,
    ) -> Tapped:
        """The numbers of any tensors of the network for a batch, and the gradients with respect to them.

        >>> seen = model.tap(x, y, values=["conv2d"], gradients=["conv2d", model.input])
        >>> seen.values["conv2d"]  # (N, H, W, C): what the layer returns
        >>> seen.gradients["conv2d"]  # ∂ loss / ∂ values["conv2d"], of the same shape

        Returns ``outputs`` as ``model(x)`` does, the ``loss`` (None without ``y``), and two dictionaries,
        ``values`` and ``gradients``, whose keys are what was asked for.

        A tensor is asked for by the symbolic tensor itself (``layer.output``, ``model.input``, what a call
        returned), or by the layer that makes it: the layer, its name, or its path, such as "block/conv1" in a
        model "block". What is made several times, by a layer that is called more than once, is asked for by
        its tensor, or as (layer, number of the call, from 0).

        The model stays as it was: weights, ``.grad`` of parameters, moving statistics, random states, metrics
        and what ``forward`` keeps for ``backward``. With ``training=True`` dropout draws what the next
        training step will draw.

        Parameters
        ----------
        x, y, sample_weight : a batch, as for ``train_on_batch``. With ``y`` gradients are those of the loss
            of ``compile``, penalties on outputs included: an array for each tensor, zero where the loss does
            not depend on it
        values, gradients : tensors, one or several in a list
        output_gradient : in place of ``y``, the gradient at the outputs, nested as they are, None for zero:
            the gradients are those of Σ output_gradient ⊙ outputs, without penalties on outputs. Or a
            function of the outputs that returns it
        from_logits : ``output_gradient`` is the gradient at what the last activations are applied to, such as
            the scores before softmax; then nothing depends on the outputs themselves
        training : dropout is on, and batch normalization takes the statistics of the batch

        Raises ValueError for a model that is not built or whose call computes by itself, for an empty batch,
        for what is not in this model or is made several times, and where gradients are asked for without
        ``y`` and ``output_gradient``; TypeError for what is no layer, name or symbolic tensor.
        """
        return tap(
            self, x, y, sample_weight, values, gradients, output_gradient, from_logits, training
        )  # fmt: skip

    def forget(self) -> None:
        if self._remembers():  # a step of training in another thread is not waited for in vain
            with self._turns.lock:
                super().forget()

    def _remembers(self) -> bool:
        """Whether something was kept for ``backward`` in this thread."""
        mine = get_ident()
        kept = (layer._memory for layer in self._leaves())
        return any(thread == mine and what is not None for thread, what in kept)

    def _last_layers(self) -> list[Layer]:
        """The layers that make the outputs; none before the model is built."""
        graph = self.composition(training=False) if self.built else None
        return [] if graph is None else [tensor.node.layer for tensor in graph.output_list]

    @property
    def output_activation(self) -> str | None:
        """The activation that the only output comes from; None where there are several."""
        last = self._last_layers()
        return last[0].output_activation if len(last) == 1 else None

    def _skips_activation(self) -> bool:
        return self.composes and all(layer._skips_activation() for layer in self._last_layers())

    @property
    def suitable_loss(self) -> str | None:  # type: ignore[override]
        """The loss that the only output is made for; None where there are several."""
        last = self._last_layers()
        return last[0].suitable_loss if len(last) == 1 else None

    def parts(self) -> list[Layer]:
        if self._graph is None:
            return super().parts()
        return distinct([*self._graph.parts, *super().parts()]) if self._is_of_the_user else self._graph.parts

    def _parts_of_layer(self) -> list[Any]:
        return []

    # ---- what it sees, and what that costs

    def windows(self) -> tuple[Window, ...]:
        chain = self.graph.chain
        if chain is None:
            raise ValueError(
                f"{self} has several ways from input to output: ask for the receptive field of a layer"
            )
        windows: list[Window] = []
        for node in chain:
            with node.layer.at(node):
                windows += node.layer.windows()
        return tuple(windows)

    # ---- randomness

    def _drawing_parts(self) -> dict[str, Layer]:
        return (
            super()._drawing_parts() if self._graph is None else {layer.name: layer for layer in self.parts()}
        )

    # ---- looking at it, keeping it

    def __repr__(self) -> str:
        count = len(self.layers)
        layers = f"{count} layer{'s' * (count != 1)}"
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

    def explain(
        self,
        images: int = 1,
        training: bool = False,
        input_shape: Any = None,
        print_fn: Callable[[str], object] | None = None,
        measure: bool = False,
    ) -> None:
        """Print what the model is compiled to, an operation a row: of which layers it is, in which way it
        runs and why, and what it costs. Layers that run in Python stand there with the reason.

        Output    its size, and below it the bytes of all images where they do not stay in a cache
        Way       "lanes", an image in each lane of a vector; "pixels", channels in the lanes, for some images
                  at a time; "whole", the same for all images at once. Behind it the algorithms of a
                  convolution: forward, gradient of its input, gradient of its kernel; below it the reason
        Stage     a part of the run between two barriers; forward, and below it back
        At best   microseconds at this machine's rates of multiply-adds in registers and of bytes of as much
                  memory as the program has, both measured now; forward, and below it back
        Measured  likewise, the fastest of some runs of a copy of the model, on random images

        Parameters
        ----------
        images : how many make a batch
        training : show what runs in ``fit`` in place of ``predict``
        input_shape : shapes of one example, nested as the inputs, for a model with sizes that are left open
        print_fn : gets the table, one string, in place of the screen
        measure : run the model too, and show how long each operation takes

        Raises ValueError for a model that is not built, and where a size is left open.
        """
        self.shapes()
        shapes: list[Any] = structure.shape_leaves(self._input_shape if input_shape is None else input_shape)
        if any(None in shape for shape in shapes):
            raise ValueError(f"{self}: the sizes of its inputs {shapes} are left open: give input_shape=")
        if measure:
            rng = np.random.default_rng(1)
            inputs = [rng.standard_normal((images, *shape), np.float32) for shape in shapes]
        else:
            inputs = [np.broadcast_to(np.float32(0), (images, *shape)) for shape in shapes]
        with self._turns.lock:
            model = copy.deepcopy(self) if measure else self
            objective = None if model._compiled is None else model._compiled.objective
            explanation = model._executor.explain(model, objective, inputs, training, measure)
        table = tables.explanation_table(self, explanation)
        (print_fn or tables.show)(table.text(0, screen_width()))

    def _repr_html_(self) -> str:
        """The summary, as a notebook shows it."""
        return tables.summary_table(self, expand_nested=True).html()

    @property
    def _config_says_shape(self) -> bool:  # type: ignore[override]
        return self._graph is not None and self._takes_graph()

    @classmethod
    def _takes_graph(cls) -> bool:
        """Whether the constructor takes inputs and outputs, so that a description has the graph."""
        taken = inspect.signature(cls.__init__).parameters
        kinds = {argument.kind for argument in taken.values()}
        return {"inputs", "outputs"} <= taken.keys() or {
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        } <= kinds

    @classmethod
    def _notes_arguments(cls) -> bool:
        return cls.get_config is Model.get_config

    def get_config(self) -> dict[str, Any]:
        """The layers, their arguments and their calls, as Keras has them; ``from_config`` is the way back.

        Of a subclass with a constructor of its own they are its arguments. Raises TypeError where these are
        no plain numbers, strings, lists and dictionaries: such a class defines ``get_config`` itself.
        """
        if self._graph is None or not self._takes_graph():
            return super().get_config()
        own = self._given_arguments(without=_OF_GRAPHS) if "_given" in vars(self) else {}
        with serialization.described_together():
            config = graph_config(self._graph, serialization.serialize)
        return {**own, "name": self.name, "trainable": self.trainable, **config}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Model:
        """A like model with new weights; classes of your own come by name in ``custom_objects``.

        Raises ValueError where the description is none of layers and their calls.
        """
        if "input_layers" not in config:
            with custom_object_scope(custom_objects):
                made = super().from_config(config)
            assert isinstance(made, Model)
            return made
        name = config.get("name")
        with serialization.made_together():
            graph = graph_from_config(
                config, lambda entry: serialization.deserialize(entry, custom_objects), f"Model {name!r}"
            )
        others = {argument: value for argument, value in config.items() if argument not in _OF_CONFIG}
        model = cls(graph.inputs, graph.outputs, name=name, **others)
        if not config.get("trainable", True):
            model._trainable = False
        return model

    def to_json(self, **options: Any) -> str:
        """The architecture, and what ``compile`` chose, as text for ``models.model_from_json``.

        The weights are not in it. ``options`` are those of ``json.dumps``, such as ``indent=2``.
        """
        from fastconv.saving import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **options)

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

    def export(
        self, filepath: str | os.PathLike[str], *, training: bool = False, input_shape: Any = None
    ) -> None:
        """Write what the model computes, with its weights, for programs that are not Python.

        ``filepath`` says the format by its end: ``.fcp`` is a program file (docs/program-file.md), which C
        programs load, predict with and, with ``training``, train. See ``models.export_model``.
        """
        from fastconv.models.exporting import export_model

        export_model(self, filepath, training=training, input_shape=input_shape)

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

    # ---- as a chain

    def _opened(self, training: bool = True) -> list[Node] | None:
        """The calls of a chain, and in the place of models among them theirs; None where it is no chain."""
        graph = self.composition(training)
        if graph is None or graph.chain is None:
            return None
        opened: list[Node] = []
        for node in graph.chain:
            inner = node.layer._opened(training) if isinstance(node.layer, Model) else [node]
            if inner is None:
                return None
            opened += inner
        return opened


_OF_GRAPHS = {"inputs", "outputs", "name", "trainable"}
_OF_CONFIG = {"name", "trainable", "layers", "input_layers", "output_layers"}


def _as_input(tensor: SymbolicTensor) -> SymbolicTensor:
    return tensor if tensor.node.is_input else Input(tensor.shape[1:])


def _shapes(tensors: Any) -> Any:
    return structure.mapped(lambda tensor: tensor.shape[1:], tensors)


serialization.add_class(Model, "Functional")
