"""The base class of all layers: NumPy in, NumPy out, and the chain rule by hand."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import Parameter as Argument
from inspect import signature
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastconv import activations, constraints, initializers, regularizers
from fastconv._config import arguments, configuration
from fastconv._core.checks import is_whole, unsupported_argument
from fastconv._core.configuration import call_of
from fastconv._core.geometry import Window, image_size
from fastconv._core.names import automatic_name, take_name
from fastconv._core.versions import Structured, knows
from fastconv.graph import structure
from fastconv.graph.symbolic import Untraceable, shapes_of
from fastconv.graph.tracing import is_tracing, tracing
from fastconv.layers._arguments import check_dtype, truth, whole
from fastconv.layers._input_errors import input_shape_error
from fastconv.layers.graphed import Graphed, distinct
from fastconv.ops import _door
from fastconv.ops._door import array as floats
from fastconv.parameter import Array, Parameter, new_parameter
from fastconv.regularizers import Regularizer

if TYPE_CHECKING:
    from fastconv.graph import Graph, Schedule

Shape = tuple[Any, ...]  # of whole numbers; None where a size is left open

_STAND_INS = (64, 96)  # for sizes that are left open: images that may be halved five times
_CONTAINERS = (list, tuple, dict, set, frozenset)
_OWN_BOOKS = {"_weights", "_learnable", "_memory", "_given", "_layers", "_graph", "_tensors", "_compositions",
              "_schedules", "_first_call"}  # fmt: skip

_WRITTEN: dict[str, Callable[[Any], Any]] = {
    "activation": activations.serialize,
    "initializer": initializers.serialize,
    "regularizer": regularizers.serialize,
    "constraint": constraints.serialize,
}  # what a configuration holds instead of the objects, by the last word of the argument's name

_KERAS_ONLY = {"autocast", "batch_size", "batch_shape", "batch_input_shape", "quantization_config"}


class Layer(Graphed, Structured):
    """A function of arrays with weights, which knows its own derivative.

    The life of a layer::

        layer = Conv2D(8, 3)
        y = layer.forward(x, training=True)  # the first call builds the weights, to the shape of x
        dx = layer.backward(dy)  # dy = d loss / d y; fills parameter.grad, returns d loss / d x
        for parameter in layer.parameters:
            parameter.value -= 0.1 * parameter.grad

    A layer of your own overrides:

    ``compute_output_shape(input_shape)``
        shapes without the batch axis; raises where the input does not suit the layer (default: what ``call``
        makes of zeros, once the layer is built)
    ``create_weights(input_shape)``
        calls ``self.add_weight`` (default: no weights)
    ``call(x, training)``, or ``call(x)``
        the forward formula; hands what the derivative needs to ``self.remember(...)``
    ``backward(dy, input_gradient=True)``
        fills ``parameter.grad`` of its own parameters and returns dx, or None where ``input_gradient`` is
        False
    ``get_config()``
        the constructor's arguments (default: those it was called with, where they are plain numbers, strings,
        lists and dictionaries)
    ``windows()``, ``count_multiply_adds()``, ``count_connections()``
        what ``summary()`` tells of it: what a place of the output sees (default: the same place of the
        input), and how much work that is (default: none)

    A layer written for Keras may override ``build(input_shape)`` in place of ``create_weights``, and then
    gets a shape with the batch axis, (None, 28, 28, 1). Its ``compute_output_shape`` may count that axis too.
    Layers among its attributes are parts of a layer: their weights are its own, too. A layer whose ``call``
    does nothing but call its parts, and add, subtract, multiply or divide what they return, needs no
    ``backward`` and no ``compute_output_shape``: see ``composition``. It may have no weights besides theirs.

    Parameters
    ----------
    name : made from the class where None: "conv2d", "conv2d_1", ...
    trainable : False freezes the layer: ``parameters`` is then empty and optimizers leave it alone
    input_shape : shape of one example, for the first layer of a model; ``input_dim=n`` is short for ``(n,)``
    """

    _changes_while_running: ClassVar[frozenset[str]] = frozenset(
        {"_activity_losses", "_compositions", "_first_call", "_needs_numbers", "_schedules"}
    )

    input_rank: int | None = None
    """How many axes x has, with the batch; None where any number will do."""

    suitable_loss: str | None = None
    """The name of the loss for labels that the outputs are made for; None where several suit."""

    _call_takes_training = True
    _shape_in_doubt = False  # compute_output_shape is a user's, and may count the batch axis or not
    _shape_remedy = "Correct call, or define compute_output_shape(input_shape)"
    _is_building = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = vars(cls)
        if "call" in own:
            cls._call_takes_training = _takes_training(own["call"])
        if cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
            return
        if "compute_output_shape" in own:
            cls._shape_in_doubt = True
        if "build" in own:
            cls.build = _recorded(own["build"])  # type: ignore[method-assign]
        if "__init__" in own:
            cls.__init__ = _noting_arguments(own["__init__"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Sequence[int] | None = None,
        input_dim: int | None = None,
        **unknown: Any,
    ) -> None:
        _refuse_unknown_arguments(type(self).__name__, unknown)
        if input_dim is not None:
            input_shape = (input_dim,)
        self.name = automatic_name(type(self).__name__) if name is None else take_name(str(name))
        self.requested_input_shape = None if input_shape is None else example_shape(input_shape)
        self._trainable = truth(trainable, f"{type(self).__name__}: trainable")
        self._weights: list[Parameter] = []
        self._learnable: list[Parameter] = []  # those of them that ``trainable`` switches
        self._memory: tuple[int | None, tuple[Any, ...] | None] = None, None  # the thread's number, and what
        self._input_shape: Any = None
        self._output_shape: Any = None
        self._activity_losses: list[float] = []
        self._compositions: dict[tuple[bool, str], tuple[object, Graph | None]] = {}
        self._schedules: dict[tuple[bool, str], Schedule] = {}
        self._needs_no_build = (
            type(self).build is Layer.build and type(self).create_weights is Layer.create_weights
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if "_weights" in vars(self) or name.startswith("__"):
                return object.__getattribute__(self, name)  # which says that there is no such attribute
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}: its __init__ must begin with "
                "super().__init__()"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        may_hold = isinstance(value, (Layer, Parameter, *_CONTAINERS))
        if may_hold and not isinstance(getattr(type(self), name, None), property):
            self._refuse_untracked(name, value)
        super().__setattr__(name, value)

    def _refuse_untracked(self, name: str, value: Any) -> None:
        """An error for an attribute that holds weights that are neither this layer's nor those of its
        parts."""
        if self._tracks(name):
            return
        for part in layers_and_weights(value):
            if "_weights" not in vars(self):
                getattr(self, name)  # which says that __init__ must begin with super().__init__()
            if not isinstance(part, Parameter):
                continue
            if not any(part is weight for weight in (*self._weights, *self.weights)):
                raise TypeError(
                    f"{type(self).__name__}: the attribute {name!r} holds {part!r}, which is no weight of "
                    "this layer or its parts: it would be neither trained nor saved. Make it with "
                    "self.add_weight"
                )

    def _tracks(self, name: str) -> bool:
        """Whether what the attribute holds counts as part of this layer already."""
        return name in _OWN_BOOKS

    # ---- shapes and weights

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for examples of ``input_shape``, given without the batch axis; once only."""
        if self._is_building:  # called by an override
            self.create_weights(structure.map_shapes(example_shape, input_shape))
        else:
            self._build(lambda shape: self.create_weights(_without_batch(shape)), input_shape)

    def _build(self, make_weights: Callable[[Any], None], input_shape: Any) -> None:
        """Check, make the weights unless there are some, and note the shapes; after an error nothing is
        changed.
        """
        shape = structure.map_shapes(example_shape, input_shape)
        self.check_inputs(shape)
        output_shape = self._told_output_shape(shape)
        weights, learnable, was_built = self._weights[:], self._learnable[:], self._needs_no_build
        earlier = {id(weight) for part in self._parts_of_layer() for weight in part.weights}
        self._is_building = True
        try:
            if not self.built:
                make_weights(structure.map_shapes(lambda one: (None, *one), shape))
            for name, value in vars(self).items():  # lists may have grown since they were assigned
                self._refuse_untracked(name, value)
            if self.composes:
                output_shape = self._build_composition(shape)
            elif output_shape is None:
                output_shape = self._tried_output_shape(shape)
        except BaseException:
            self._weights[:], self._learnable[:], self._needs_no_build = weights, learnable, was_built
            raise
        finally:
            self._is_building = False
        self._input_shape, self._output_shape = shape, output_shape
        for weight in distinct(weight for part in self._parts_of_layer() for weight in part.weights):
            if id(weight) not in earlier:  # made in here
                weight.path = f"{self.name}/{weight.path}"

    def _parts_of_layer(self) -> list[Any]:
        """The layers inside that go by this layer's name too: of a model each goes by its own."""
        return self.parts()

    def create_weights(self, input_shape: Shape) -> None:
        """Hook of ``build``: layers with weights override it."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of one output for one input of ``input_shape``, both without the batch axis; nested as inputs
        and outputs are where there are several.

        Raises ValueError for a layer that does not say so and is not built: it is found by a call.
        """
        # A leading None is a size that is left open, as in the sequences (None, 8): no batch axis.
        shapes = structure.map_shapes(lambda one: checked_sizes(one, one), input_shape)
        if self.composes and self._input_shape is not None:
            return self.composed_output_shape(shapes)
        return self._tried_output_shape(shapes)

    def _told_output_shape(self, shape: Any) -> Any:
        """What ``compute_output_shape`` says; None where only a call can tell."""
        if self.composes and self._input_shape is None:
            return None
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return None
        if not self._shape_in_doubt:
            return self.compute_output_shape(shape)
        if not structure.is_shape(shape):
            told = _attempt(self.compute_output_shape, structure.map_shapes(lambda one: (None, *one), shape))
            return _attempt(_without_batch, told) if told is not None else self.compute_output_shape(shape)
        with_batch = _attempt(self.compute_output_shape, (None, *shape))
        try:
            without = tuple(self.compute_output_shape(shape))
        except (TypeError, IndexError):
            without = None
        counts_batch = isinstance(with_batch, (tuple, list)) and len(with_batch) > 0 and with_batch[0] is None
        return without if not counts_batch or without == tuple(with_batch[1:]) else None

    def _tried_output_shape(self, shape: Any) -> Any:
        """The shape of what ``call`` makes of zeros; of a copy, so that nothing in the layer changes."""
        if type(self).call is Layer.call:
            return shape
        if not (self.built or self._is_building):
            raise ValueError(
                f"{self} does not say its output shape before it is built: build it first, or define "
                "compute_output_shape(input_shape)"
            )
        return self._called_on_zeros(_attempt(copy.deepcopy, self) or self, shape)

    def _untraced_output_shape(self, shape: Any) -> Any:
        """The same for a layer whose parts are built by this call."""
        return self._called_on_zeros(self, shape)

    def _called_on_zeros(self, tried: Layer, shape: Any) -> Any:
        """The shapes that a call returns. Where sizes are left open it is called with two sizes in their
        place, and what differs between the results is left open too.
        """
        if all(None not in one for one in structure.shape_leaves(shape)):
            return self._shapes_on_zeros(tried, shape)
        small, large = (
            self._shapes_on_zeros(tried, structure.map_shapes(functools.partial(_closed, size=size), shape))
            for size in _STAND_INS
        )
        others = iter(structure.shape_leaves(large))

        def compared(one: Shape) -> Shape:
            other = next(others)
            if len(one) != len(other):
                raise ValueError(f"{self}: how many axes its output has depends on a size that is left open")
            return tuple(n if n == m else None for n, m in zip(one, other, strict=True))

        return structure.map_shapes(compared, small)

    def _shapes_on_zeros(self, tried: Layer, shape: Any) -> Any:
        zeros = structure.map_shapes(lambda one: np.zeros((1, *one), _door.dtype()), shape)
        try:
            with np.errstate(all="ignore"), tracing(False):
                found = tried._call(*(zeros if isinstance(zeros, tuple) else (zeros,)), training=False)
                shapes = structure.mapped(np.shape, found)
        except Exception as error:
            raise ValueError(
                f"{self}: its output shape is found by a call on zeros of shape {_with_one(shape)}, and that "
                f"failed with {type(error).__name__}: {error}. {self._shape_remedy}"
            ) from error
        for one in structure.shape_leaves(shapes):
            if one[:1] != (1,):
                raise ValueError(
                    f"{self}: call must return an array with one output for each example, and for one "
                    f"example {shape} returned shape {one}"
                )
        return _without_batch(shapes)

    def add_weight(
        self,
        shape: int | Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str | None = None,
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Parameter:
        """A new parameter of this layer, filled by the initializer.

        Parameters
        ----------
        shape : () where None, a single number
        initializer : "glorot_uniform" where None
        dtype : weights are float32; another type is an error
        regularizer, constraint : may be names, see ``fastconv.regularizers`` and ``fastconv.constraints``
        name : "variable", "variable_1", ... where None
        autocast, aggregation : for Keras' sake; there is nothing here for them to change

        Raises ValueError for another dtype, for ``overwrite_with_gradient``, and where the initializer makes
        another shape.
        """
        check_dtype(dtype, f"{self}: add_weight")
        if overwrite_with_gradient:
            raise unsupported_argument(f"{self}: add_weight", "overwrite_with_gradient")
        sizes: Any = () if shape is None else (shape,) if is_whole(shape) else tuple(shape)  # type: ignore[arg-type]
        if None in sizes:
            raise ValueError(
                f"{self}: the shape of its weights, {sizes}, depends on a size of its input that is left "
                "open (None): give Input that size, or put a global pooling in between"
            )
        sizes = tuple(whole(n, f"{self}: every size of a weight's shape", 0) for n in sizes)
        name = self._unused_name() if name is None else name

        def draw() -> Array:
            value = np.asarray(_initializer(initializer)(sizes))
            if value.shape != sizes:
                raise ValueError(f"{self}: {name} has shape {sizes}, its initializer made {value.shape}")
            return value

        parameter = new_parameter(
            draw,
            sizes,
            name,
            path=f"{self.name}/{name}",
            trainable=trainable,
            constraint=constraints.get(constraint),
            regularizer=regularizers.get(regularizer),
        )
        self._weights.append(parameter)
        if trainable:
            self._learnable.append(parameter)
        return parameter

    def _unused_name(self) -> str:
        taken = {weight.name for weight in self._weights}
        names = ("variable" if not n else f"variable_{n}" for n in range(len(taken) + 1))
        return next(name for name in names if name not in taken)

    @property
    def built(self) -> bool:
        """True once there are weights, or where none are needed. May be set, as Keras' layers do it."""
        return self._input_shape is not None or self._needs_no_build

    @built.setter
    def built(self, value: bool) -> None:
        self._needs_no_build = truth(value, f"{type(self).__name__}: built")

    def get_build_config(self) -> dict[str, Any] | None:
        """For ``build_from_config``: the input's shape, with None for the batch; None before it is built."""
        if self._input_shape is None:
            return None
        return {"input_shape": structure.map_shapes(lambda one: (None, *one), self._input_shape)}

    def build_from_config(self, config: Mapping[str, Any] | None) -> None:
        """Build the layer for the shape that ``get_build_config`` returned."""
        shapes = (config or {}).get("input_shape")
        if shapes is not None:
            self.build(structure.map_shapes(lambda shape: (None, *shape[1:]), shapes))

    @property
    def input_shape(self) -> Shape | None:
        """Shape of one input, without the batch axis; None before the layer is built."""
        return self._input_shape

    @property
    def output_shape(self) -> Shape | None:
        """Shape of one output, without the batch axis; None before the layer is built."""
        return self._output_shape

    def shapes(self) -> tuple[Shape, Shape]:
        """(shape of one input, shape of one output); ValueError before the layer is built."""
        if self._input_shape is None or self._output_shape is None:
            raise ValueError(f"{self} has no shape yet: build it first, or give an input_shape")
        return self._input_shape, self._output_shape

    def expected_input(self) -> tuple[int | str, ...] | None:
        """The input this layer accepts, as error messages show it: ("N", "H", "W", 3); None for anything."""
        if self.input_rank is None:
            return None
        return ("N", "H", "W", "C") if self.input_rank == 4 else ("N", *["..."] * (self.input_rank - 1))

    def check_input(self, shape: Sequence[int | None]) -> None:
        """Raise a ValueError that teaches where an input of ``shape`` (with the batch axis) does not fit."""
        if shape[1:] == self._input_shape:  # checked when it was built
            return
        expected = self.expected_input()
        if expected is None:
            return
        fits = len(shape) == len(expected) and all(
            isinstance(wanted, str) or wanted == came for wanted, came in zip(expected, shape, strict=True)
        )
        if not fits:
            raise input_shape_error(self, expected, shape)

    # ---- forward and backward

    def check_inputs(self, shapes: Any) -> None:
        """Raise a ValueError that teaches where inputs of these shapes, without the batch axis, do not fit.

        Layers that take several inputs override it.
        """
        if structure.is_shape(shapes):
            self.check_input((None, *shapes))
        elif not self.takes_several:
            raise ValueError(f"{self} takes one input, got {len(shapes)} of the shapes {shapes}")

    def forward(self, x: Any, training: bool = False, *more: Any) -> Any:
        """The layer's output for a batch ``x`` (N, ...); builds the layer on its first call.

        Layers with several inputs get them in a list or dictionary, or as ``more`` arguments. The output may
        be x itself, or share its memory, where a layer passes numbers on: that is how layers are chained.
        What ``layer(x)`` returns never does.
        """
        inputs = self._checked_inputs(x, *more)
        if self._activity_losses:
            self._activity_losses = []
        y, saved = self.compute(*inputs, training=training)
        object.__setattr__(self, "_memory", (get_ident(), saved))
        return y

    def _checked_inputs(self, *given: Any) -> tuple[Any, ...]:
        """The arguments of a call as floats, of shapes that suit the layer; builds it if it is not."""
        if len(given) == 1 and not (structure.holds_arrays(given[0]) and self.takes_several):
            (x,) = given
            batch = x if _door.is_ready(x) else floats(x, f"the input of {self}")  # the text takes its time
            self.check_input(batch.shape)
            if self._input_shape is None:
                self.build((None, *batch.shape[1:]))
            return (batch,)
        inputs: tuple[Any, ...] = structure.mapped(lambda leaf: floats(leaf, f"an input of {self}"), given)
        shapes = shapes_of(inputs)
        self.check_inputs(shapes)
        if self._input_shape is None:
            self.build(structure.map_shapes(lambda one: (None, *one), shapes))
        return inputs

    def _call(self, *inputs: Any, training: bool) -> Any:
        """``call``, of a layer that does not know of ``training`` too."""
        call: Any = self.call
        return call(*inputs, training=training) if self._call_takes_training else call(*inputs)

    def call(self, x: Any, training: bool = False) -> Any:
        """Hook of ``forward``: the formula, on floats (float32, or float64 on the reference backend).

        An override that has no argument ``training`` is called without.
        """
        raise NotImplementedError(f"{type(self).__name__} has no call(x, training)")

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        """Chain rule: from d loss / d y to d loss / d x, filling ``parameter.grad`` on the way.

        Belongs to the most recent ``forward``. With ``input_gradient=False`` dx is not computed and None
        returned: the first layer of a network has no use for it. As with ``forward``, dx may be dy itself.
        """
        if self.composes:
            return self.back_through(dy, input_gradient)
        raise NotImplementedError(
            f"{type(self).__name__} has no backward(dy): there is no automatic differentiation here. Give it "
            "one that fills parameter.grad and returns dx, or compose it of layers, its attributes"
        )

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        """As ``backward``, from the gradient at what goes *into* the layer's activation."""
        raise NotImplementedError(f"{self} does not end in an activation function")

    def to_logits(self, dy: Array) -> Array:
        """The gradient at what goes *into* the layer's activation, from the one at its output."""
        raise NotImplementedError(f"{self} does not end in an activation function")

    def remember(self, *what: Any) -> None:
        """Keep what ``backward`` will need from this ``forward``, in this thread."""
        object.__setattr__(self, "_memory", (get_ident(), what))  # without making a new version

    def recall(self) -> tuple[Any, ...]:
        """What the most recent ``forward`` remembered. RuntimeError if that was in another thread."""
        thread, what = self._memory
        if thread != get_ident() and thread is not None:
            raise RuntimeError(
                f"{self}: its most recent forward(x) was in another thread, and backward(dy) here would give "
                "the gradient of another batch: call both in one thread, and give each thread a copy of the "
                "layers (copy.deepcopy)"
            )
        if what is None:
            raise RuntimeError(f"{self} has no gradient yet: call forward(x) before backward(dy)")
        return what

    def forget(self) -> None:
        """Let go of the arrays kept for ``backward`` in this thread."""
        thread, _ = self._memory
        if thread == get_ident():
            object.__setattr__(self, "_memory", (thread, None))
        for part in self.parts():
            part.forget()

    @property
    def output_activation(self) -> str | None:
        """The name of the activation that the output comes from, where ``backward_from_logits`` can skip
        it.
        """
        return None

    def _skips_activation(self) -> bool:
        """Whether ``backward_from_logits`` belongs to the ``call`` there is, not to one of a base class."""
        return knows(self, "backward_from_logits", "call", "activate", "backward", "forward")

    def _leaves(self) -> list[Layer]:
        """The layer itself and its parts; of a model the layers of which it is made, also of models inside
        it."""
        return [self, *distinct(leaf for part in self.parts() for leaf in part._leaves())]

    # ---- penalties

    @property
    def activity_regularizer(self) -> Regularizer | None:
        """The penalty on the outputs. Layers that can be given one begin ``backward`` with its gradient."""
        return None

    @property
    def activity_losses(self) -> list[float]:
        """The penalties on the outputs of the most recent ``forward``, per example, and what its ``call``
        gave to ``add_loss``; those of its parts too.
        """
        return [*self._activity_losses, *(loss for part in self.parts() for loss in part.activity_losses)]

    def add_loss(self, loss: Any) -> None:
        """Add a number, or several, to the loss of the model; for use in ``call``.

        It counts until the next ``forward``. Its derivative is for the layer's ``backward`` to add to dx and
        to ``parameter.grad``: a layer whose ``call`` is to be composed of others cannot use it. Raises
        TypeError for what is no number, ValueError for an array of several.
        """
        if is_tracing():  # it would count how often ``call`` is traced, not the batches
            raise Untraceable(
                f"{self}: add_loss needs a call that runs for each batch, and a call made of layers is run "
                "once, to find its derivative; put add_loss into a layer of its own with call and backward, "
                "or use ActivityRegularization"
            )
        given = loss if isinstance(loss, (list, tuple)) else [loss]
        for one in given:
            if callable(one) or isinstance(one, str):
                raise TypeError(f"{self}: add_loss takes a number, got {one!r}; call it in call(x)")
            if np.size(one) != 1:
                raise ValueError(f"{self}: add_loss takes one number, got an array of shape {np.shape(one)}")
        self._activity_losses.extend(float(np.asarray(one).reshape(())) for one in given)

    @property
    def losses(self) -> list[float]:
        """What the loss of a model has besides its own: penalties on outputs, then on trainable weights."""
        return self.activity_losses + [
            float(parameter.regularizer(parameter.value))
            for parameter in self.parameters
            if parameter.regularizer is not None
        ]

    def activity_gradient(self, y: Array) -> Array:
        """The gradient of the penalty on the outputs y, divided by their number as the penalty is."""
        gradient = np.zeros_like(y)
        if self.activity_regularizer is not None:
            self.activity_regularizer.penalize(y, gradient, 1 / max(len(y), 1))
        return gradient

    # ---- weights as users see them

    @property
    def trainable(self) -> bool:
        """False: the layer is frozen. Its weights stay as they are and no gradient is computed for them.

        May be assigned at any time; see ``Trainer.compile`` for what that means to an optimizer.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = truth(value, f"{self}: trainable")
        for parameter in self._learnable:
            parameter.trainable = self._trainable
        for part in self.parts():
            part.trainable = value

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, trainable or not, in Keras' order; those of the parts after its own."""
        return [*self._weights, *distinct(weight for part in self.parts() for weight in part.weights)]

    @property
    def parameters(self) -> list[Parameter]:
        """The trainable parameters: what an optimizer steps. Empty where ``trainable`` is False."""
        if not self._trainable or not (self._weights or self._has_parts):
            return []
        own = [weight for weight in self._weights if weight.trainable]
        if self._has_parts:
            for part in self.parts():
                own += part.parameters
            if len(set(map(id, own))) < len(own):  # parts that share weights
                own = distinct(own)
        return own

    @property
    def trainable_weights(self) -> list[Parameter]:
        return self.parameters

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        trainable = {id(parameter) for parameter in self.parameters}
        return [weight for weight in self.weights if id(weight) not in trainable]

    @property
    def variables(self) -> list[Parameter]:
        """The same as ``weights``."""
        return self.weights

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def path(self) -> str:
        """The layer's name, with which the paths of its weights begin."""
        return self.name

    @property
    def dtype(self) -> str:
        """The type of weights and, but on the reference backend, of outputs: "float32"."""
        return "float32"

    compute_dtype = variable_dtype = dtype

    def get_weights(self) -> list[Array]:
        """Copies of all weights, in Keras' order and shapes."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy arrays into the weights; nothing changes unless all of them fit."""
        own, new = self.weights, [np.asarray(array) for array in weights]
        if not self.built and new:
            raise ValueError(f"{self} has no weights yet: build it with build(input_shape) or one forward(x)")
        if len(own) != len(new):
            raise ValueError(f"{self} has {len(own)} weight arrays, got {len(new)}")
        for weight, array in zip(own, new, strict=True):
            if weight.shape != array.shape:
                raise ValueError(f"{weight.path} has shape {weight.shape}, got {array.shape}")
        for weight, array in zip(own, new, strict=True):
            weight.value = array

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        if not self.built:
            raise ValueError(f"{self} has no weights to count yet: build it first, or give an input_shape")
        return sum(weight.size for weight in self.weights)

    # ---- what it sees, and what that costs

    def windows(self) -> tuple[Window, ...]:
        """The sliding windows, input to output, through which a place (i, j) of the output sees the input.

        () where it sees the same place, as in activations, normalization and dropout. Layers that look
        further override it; random layers are taken at rest, as in ``predict``. See
        ``models.receptive_field``. Raises ValueError where it cannot be told.
        """
        before, after = map(image_size, self.shapes())
        if before != after:
            raise ValueError(f"{self} does not tell which pixels of its input one of its outputs sees")
        return ()

    def count_multiply_adds(self) -> int:
        """How many products of a weight with an input one image takes; biases and pooling have none."""
        return self._sum_over_calls("count_multiply_adds")

    def count_connections(self) -> int:
        """The connections of all units for one image: a unit's inputs, plus one for its bias.

        The count of LeCun et al. 1998, section II.B: 26 for a unit of a 5x5 convolution of one map. Inputs in
        the padding count too. Layers that have no units of their own, such as activations, dropout and
        rescaling, have none.
        """
        return self._sum_over_calls("count_connections")

    def _sum_over_calls(self, count: str) -> int:
        """The sum of a count over the calls that a layer is composed of; 0 of one that is not."""
        self.shapes()
        graph = self.composition(training=False)
        total = 0
        for node in () if graph is None else graph.nodes:
            if not node.is_input:
                with node.layer.at(node):
                    total += getattr(node.layer, count)()
        return total

    # ---- randomness

    def random_state(self) -> dict[str, Any]:
        """All that the random numbers of the calls to come depend on, in plain numbers; {} for none.

        Of NumPy's generators among the attributes it is the state, and so of the layers among them; a layer
        that draws otherwise overrides it.
        """
        states = {name: generator.bit_generator.state for name, generator in self._generators().items()}
        parts = {name: part.random_state() for name, part in self._drawing_parts().items()}
        return {**states, **{name: state for name, state in parts.items() if state}}

    def set_random_state(self, state: Mapping[str, Any]) -> None:
        """Go on drawing where ``random_state`` was taken. Raises ValueError for another layer's state."""
        own = self.random_state()
        if state.keys() != own.keys():
            given = sorted(map(str, state))
            if self.parts():
                raise ValueError(
                    f"{self}: this is the random state of layers {given}, but those that draw are "
                    f"{sorted(own)}"
                )
            draws = f"draws from {sorted(own)}" if own else "draws no random numbers"
            raise ValueError(f"{self} {draws}; got the state {dict(state)!r}")
        for name, generator in self._generators().items():
            generator.bit_generator.state = state[name]
        for name, part in self._drawing_parts().items():
            if name in own:
                part.set_random_state(state[name])

    def _drawing_parts(self) -> dict[str, Layer]:
        """The layers inside, by what a random state calls them: not names, which are new in each copy."""
        return {str(place): part for place, part in enumerate(self.parts())}

    def _generators(self) -> dict[str, np.random.Generator]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.random.Generator)}

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain numbers and strings; ``from_config`` is the way back.

        Those of a layer of fastconv are read from the attributes of the same names, those of a layer of your
        own are what it was called with. Raises TypeError where these are something else than numbers,
        strings, lists and dictionaries: such a class overrides it.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self.requested_input_shape is not None:
            config["input_shape"] = list(self.requested_input_shape)
        if "_given" in vars(self):
            return {**self._given_arguments(), **config}
        return {**config, **configuration(self, Layer, _WRITTEN)}

    _config_says_shape: ClassVar[bool] = True
    """Whether ``get_config`` of a built layer, or the first call, tells for which shape it is built."""

    @classmethod
    def _notes_arguments(cls) -> bool:
        """Whether ``get_config`` goes by what the constructor was called with."""
        return cls.get_config is Layer.get_config and not arguments(cls, Layer)

    def _given_arguments(self, without: Collection[str] = ()) -> dict[str, Any]:
        """What the constructor was called with, by the arguments' names, but for those in ``without``."""
        arguments, options = vars(self)["_given"]
        constructor = signature(type(self).__init__)
        given = constructor.bind(self, *arguments, **options).arguments
        config: dict[str, Any] = {}
        for name, argument in list(constructor.parameters.items())[1:]:
            if argument.kind is Argument.VAR_KEYWORD:
                config |= given.get(name, {})
            elif name in given:
                config[name] = given[name]
        config = {name: value for name, value in config.items() if name not in without}
        for name, value in config.items():
            if not is_plain(value):
                raise TypeError(
                    f"{self}: its argument {name!r} is {value!r}, which no file can hold: define "
                    "get_config() with plain numbers, strings, lists and dictionaries"
                )
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """The layer of this configuration. A constructor need not take name, trainable and dtype."""
        taken = signature(cls.__init__).parameters
        missing = set[str]()
        if not any(argument.kind is Argument.VAR_KEYWORD for argument in taken.values()):
            missing = {"name", "trainable", "dtype"} - taken.keys()
        layer = cls(**{name: value for name, value in config.items() if name not in missing})
        if "name" in missing and config.get("name") is not None:
            layer.name = take_name(str(config["name"]))
        if "trainable" in missing and not config.get("trainable", True):
            layer.trainable = False
        if "dtype" in missing:
            check_dtype(config.get("dtype"), cls.__name__)
        return layer

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def __repr__(self) -> str:
        return call_of(self, always={"name": self.name})


def example_shape(shape: Sequence[int | None]) -> Shape:
    """``shape`` as a tuple of whole numbers; a leading None is the batch axis and is left out.

    None behind it is a size that is left open: (None, None, None, 3) are images of any size.
    """
    if is_whole(shape):
        raise ValueError(f"input_shape is the shape of one example, a tuple; write ({shape},), got {shape}")
    axes: list[Any] = list(shape)
    return checked_sizes(axes[1:] if axes and axes[0] is None else axes, shape)


def checked_sizes(axes: Sequence[Any], given: Any) -> Shape:
    """The sizes of one example, without the batch axis: whole numbers, or None where a size is left open."""
    if not all(n is None or (is_whole(n) and int(n) > 0) for n in axes):
        raise ValueError(
            "input_shape is the shape of one example in whole numbers, as (28, 28, 1), or None for a size "
            f"left open; got {tuple(given)!r}"
        )
    return tuple(None if n is None else int(n) for n in axes)


def _closed(shape: Shape, size: int) -> Shape:
    """``shape`` with a size where there is none."""
    return tuple(size if n is None else n for n in shape)


def _without_batch(shapes: Any) -> Any:
    """Nested shapes without their first axes."""
    return structure.map_shapes(lambda one: tuple(one[1:]), shapes)


def _with_one(shapes: Any) -> Any:
    return structure.map_shapes(lambda one: (1, *one), shapes)


def _initializer(given: Any) -> initializers.InitializerFunction:
    return initializers.get(given) or initializers.GlorotUniform()


def apart_from(y: Any, x: Any) -> Any:
    """``y``, or a copy where it shares memory with the caller's ``x``: results belong to the caller alone.

    Both may be nested; several results do not share memory with each other either.
    """
    if isinstance(y, np.ndarray) and isinstance(x, np.ndarray):
        return y.copy() if np.may_share_memory(y, x) else y
    others = [leaf for leaf in structure.leaves(x) if isinstance(leaf, np.ndarray)]

    def own(leaf: Any) -> Any:
        leaf = leaf.copy() if any(np.may_share_memory(leaf, other) for other in others) else leaf
        others.append(leaf)
        return leaf

    return structure.mapped(own, y)


def _takes_training(call: Callable[..., Any]) -> bool:
    arguments = signature(call).parameters
    return "training" in arguments or any(a.kind is Argument.VAR_KEYWORD for a in arguments.values())


def _recorded(method: Callable[..., None]) -> Callable[..., None]:
    """A ``build`` as Keras has it: the base class checks the shape, hands on one with None for the batch, and
    notes it.
    """

    @functools.wraps(method)
    def build(self: Layer, input_shape: Sequence[int | None] | None = None) -> None:
        if input_shape is None or self._is_building:
            method(self, input_shape)
        else:
            self._build(functools.partial(method, self), input_shape)

    return build


def _noting_arguments(constructor: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps what it is called with, for the ``get_config`` of the base class."""

    @functools.wraps(constructor)
    def init(self: Layer, *arguments: Any, **options: Any) -> None:
        if "_given" not in vars(self) and type(self)._notes_arguments():
            vars(self)["_given"] = arguments, options
        constructor(self, *arguments, **options)

    return init


def _attempt(function: Callable[[Any], Any], argument: Any) -> Any:
    """What the function returns; None where it fails."""
    try:
        return function(argument)
    except Exception:
        return None


def is_plain(value: Any) -> bool:
    """Whether JSON can hold it."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(part) for key, part in value.items())
    return value is None or isinstance(value, (bool, int, float, str, np.number, np.bool_))


def layers_and_weights(value: Any, outer: tuple[int, ...] = ()) -> Iterable[Layer | Parameter]:
    """The layers and parameters in a value, or in lists, tuples, sets and dictionaries inside it."""
    if isinstance(value, (Layer, Parameter)):
        yield value
    elif isinstance(value, _CONTAINERS) and id(value) not in outer:  # a list may hold itself
        for part in value.values() if isinstance(value, dict) else value:
            if isinstance(part, (Layer, Parameter, *_CONTAINERS)):
                yield from layers_and_weights(part, (*outer, id(value)))


def _refuse_unknown_arguments(layer: str, unknown: dict[str, Any]) -> None:
    for argument, value in unknown.items():
        if argument == "dtype":
            check_dtype(value, layer)
        elif argument == "activity_regularizer":
            if value is not None:
                raise unsupported_argument(layer, argument, "put an ActivityRegularization layer behind it")
        elif argument not in _KERAS_ONLY:
            raise TypeError(f"{layer} has no argument {argument!r}")
        elif not (value is None or (argument == "autocast" and value is True)):
            raise unsupported_argument(layer, argument)
