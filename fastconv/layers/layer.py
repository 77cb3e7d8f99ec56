"""The base class of all layers: NumPy in, NumPy out, and the chain rule by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import get_ident
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastconv import constraints, initializers, regularizers
from fastconv._errors import unsupported_argument
from fastconv._geometry import Window, image_size
from fastconv._names import automatic_name, take_name
from fastconv._repr import call_of
from fastconv._structure import Structured, knows
from fastconv.layers._input_errors import input_shape_error
from fastconv.ops._door import array as floats
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import Regularizer

Shape = tuple[int, ...]

_KERAS_ONLY = {"dtype", "autocast", "batch_size", "batch_shape", "batch_input_shape"}


class Layer(Structured):
    """A function of arrays with weights, which knows its own derivative.

    The life of a layer::

        layer = Conv2D(8, 3)
        y = layer.forward(x, training=True)  # the first call builds the weights, to the shape of x
        dx = layer.backward(dy)  # dy = d loss / d y; fills parameter.grad, returns d loss / d x
        for parameter in layer.parameters:
            parameter.value -= 0.1 * parameter.grad

    A layer of your own overrides:

    ``compute_output_shape(input_shape)``
        shapes without the batch axis; raises where the input does not suit the layer (default: the input's
        shape)
    ``create_weights(input_shape)``
        calls ``self.add_weight`` (default: no weights)
    ``call(x, training)``
        the forward formula; hands what the derivative needs to ``self.remember(...)``
    ``backward(dy, input_gradient=True)``
        fills ``parameter.grad`` of its own parameters and returns dx, or None where ``input_gradient`` is
        False
    ``get_config()``
        the constructor's arguments
    ``windows()``, ``count_multiply_adds()``, ``count_connections()``
        what ``summary()`` tells of it: what a place of the output sees (default: the same place of the
        input), and how much work that is (default: none)

    Parameters
    ----------
    name : made from the class where None: "conv2d", "conv2d_1", ...
    trainable : False freezes the layer: ``parameters`` is then empty and optimizers leave it alone
    input_shape : shape of one example, for the first layer of a model; ``input_dim=n`` is short for ``(n,)``
    """

    _changes_while_running: ClassVar[frozenset[str]] = frozenset({"_activity_losses"})

    input_rank: int | None = None
    """How many axes x has, with the batch; None where any number will do."""

    output_activation: str | None = None
    """The name of the activation that the output comes from, where ``backward_from_logits`` can skip it."""

    outputs_distances: bool = False
    """True where outputs are distances from the classes: of those the smallest is the answer."""

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
        self._trainable = bool(trainable)
        self._weights: list[Parameter] = []
        self._learnable: list[Parameter] = []  # those of them that ``trainable`` switches
        self._memory: tuple[int | None, tuple[Any, ...] | None] = None, None  # the thread's number, and what
        self._input_shape: Shape | None = None
        self._output_shape: Shape | None = None
        self._activity_losses: list[float] = []

    # ---- shapes and weights

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the weights for examples of ``input_shape``, given without the batch axis; once only."""
        shape = example_shape(input_shape)
        self.check_input((None, *shape))
        output_shape = self.compute_output_shape(shape)
        if not self.built:
            try:
                self.create_weights(shape)
            except BaseException:
                self._weights.clear()
                self._learnable.clear()
                raise
        self._input_shape, self._output_shape = shape, output_shape

    def create_weights(self, input_shape: Shape) -> None:
        """Hook of ``build``: layers with weights override it."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one output for one input of ``input_shape``, both without the batch axis."""
        return input_shape

    def add_weight(
        self,
        shape: Shape,
        initializer: Any = "glorot_uniform",
        *,
        name: str,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Parameter:
        """A new parameter of this layer, filled by the initializer.

        ``regularizer`` and ``constraint`` may be names: see ``fastconv.regularizers`` and ``.constraints``.
        """
        value = np.asarray(initializers.get(initializer)(shape))
        if value.shape != tuple(shape):
            raise ValueError(f"{self}: {name} has shape {shape}, its initializer made {value.shape}")
        parameter = Parameter(
            value,
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

    @property
    def built(self) -> bool:
        return self._input_shape is not None

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
        expected = self.expected_input()
        if expected is None:
            return
        fits = len(shape) == len(expected) and all(
            isinstance(wanted, str) or wanted == came for wanted, came in zip(expected, shape, strict=True)
        )
        if not fits:
            raise input_shape_error(self, expected, shape)

    # ---- forward and backward

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """The layer's output for a batch ``x`` (N, ...); builds the layer on its first call."""
        batch = floats(x, f"the input of {self}")
        self.check_input(batch.shape)
        if not self.built:
            self.build(batch.shape[1:])
        y = self.call(batch, training)
        if self.activity_regularizer is not None:
            self._activity_losses = [float(self.activity_regularizer(y)) / max(len(y), 1)]
        return y

    def __call__(self, x: ArrayLike, training: bool = False) -> Array:
        return self.forward(x, training)

    def call(self, x: Array, training: bool) -> Array:
        """Hook of ``forward``: the formula, on floats (float32, or float64 on the reference backend)."""
        raise NotImplementedError(f"{type(self).__name__} has no call(x, training)")

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        """Chain rule: from d loss / d y to d loss / d x, filling ``parameter.grad`` on the way.

        Belongs to the most recent ``forward``. With ``input_gradient=False`` dx is not computed and None
        returned: the first layer of a network has no use for it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward(dy)")

    def backward_from_logits(self, dz: Array, input_gradient: bool = True) -> Array | None:
        """As ``backward``, from the gradient at what goes *into* the layer's activation."""
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

    def _skips_activation(self) -> bool:
        """Whether ``backward_from_logits`` belongs to the ``call`` there is, not to one of a base class."""
        return knows(self, "backward_from_logits", "call", "activate", "backward", "forward")

    def _leaves(self) -> list[Layer]:
        """The layers of which a model is made, also of models inside it; of any other layer itself."""
        return [self]

    # ---- penalties

    @property
    def activity_regularizer(self) -> Regularizer | None:
        """The penalty on the outputs. Layers that can be given one begin ``backward`` with its gradient."""
        return None

    @property
    def activity_losses(self) -> list[float]:
        """The penalties on the outputs of the most recent ``forward``, per example."""
        return list(self._activity_losses)

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
        self._trainable = bool(value)
        for parameter in self._learnable:
            parameter.trainable = self._trainable

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, trainable or not, in Keras' order."""
        return list(self._weights)

    @property
    def parameters(self) -> list[Parameter]:
        """The trainable parameters: what an optimizer steps. Empty where ``trainable`` is False."""
        if not self._weights or not self._trainable:
            return []
        return [weight for weight in self._weights if weight.trainable]

    @property
    def trainable_weights(self) -> list[Parameter]:
        return self.parameters

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        trainable = {id(parameter) for parameter in self.parameters}
        return [weight for weight in self.weights if id(weight) not in trainable]

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

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
        self.shapes()
        return 0

    def count_connections(self) -> int:
        """The connections of all units for one image: a unit's inputs, plus one for its bias.

        The count of LeCun et al. 1998, section II.B: 26 for a unit of a 5x5 convolution of one map. Inputs in
        the padding count too. Layers that have no units of their own, such as activations, dropout and
        rescaling, have none.
        """
        self.shapes()
        return 0

    # ---- randomness

    def random_state(self) -> dict[str, Any]:
        """All that the random numbers of the calls to come depend on, in plain numbers; {} for none.

        Of NumPy's generators among the attributes it is the state; a layer that draws otherwise overrides it.
        """
        return {name: generator.bit_generator.state for name, generator in self._generators().items()}

    def set_random_state(self, state: Mapping[str, Any]) -> None:
        """Go on drawing where ``random_state`` was taken. Raises ValueError for another layer's state."""
        generators = self._generators()
        if state.keys() != generators.keys():
            own = "draws no random numbers" if not generators else f"draws from {sorted(generators)}"
            raise ValueError(f"{self} {own}; got the state {dict(state)!r}")
        for name, generator in generators.items():
            generator.bit_generator.state = state[name]

    def _generators(self) -> dict[str, np.random.Generator]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.random.Generator)}

    # ---- configuration

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain numbers and strings; ``from_config`` is the way back."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self.requested_input_shape is not None:
            config["input_shape"] = list(self.requested_input_shape)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        return cls(**config)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    def __repr__(self) -> str:
        return call_of(self, always={"name": self.name})


def example_shape(shape: Sequence[int | None]) -> Shape:
    """``shape`` as a tuple of whole numbers; a leading None is the batch axis and is left out."""
    axes: list[Any] = list(shape)
    if axes and axes[0] is None:
        axes = axes[1:]
    if not all(hasattr(n, "__index__") and not isinstance(n, bool) and int(n) > 0 for n in axes):
        raise ValueError(
            f"input_shape is the shape of one example in whole numbers, as (28, 28, 1); got {tuple(shape)!r}"
            + (". Sizes left open with None are not supported" if None in axes else "")
        )
    return tuple(int(n) for n in axes)


def _refuse_unknown_arguments(layer: str, unknown: dict[str, Any]) -> None:
    for argument, value in unknown.items():
        if argument == "dtype" and value in (None, "float32", np.float32):
            continue
        if argument == "activity_regularizer":
            if value is None:
                continue
            raise unsupported_argument(layer, argument, "put an ActivityRegularization layer behind it")
        if argument in _KERAS_ONLY:
            raise unsupported_argument(layer, argument)
        raise TypeError(f"{layer} has no argument {argument!r}")
