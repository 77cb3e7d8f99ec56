"""A layer made of a function of arrays and of its derivative."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv._core.checks import is_whole
from fastconv._core.configuration import call_of, comes_back, deserialize_function, serialize_function
from fastconv._core.geometry import Window, image_size
from fastconv.graph import structure
from fastconv.layers._arguments import refuse_unless_none
from fastconv.layers.layer import Layer, is_plain
from fastconv.ops._door import array as floats
from fastconv.parameter import Array

Function = Callable[..., Any]


class Lambda(Layer):
    """y = function(x), dx = gradient(x, dy)

    >>> square = layers.Lambda(lambda x: x**2, gradient=lambda x, dy: 2 * x * dy)
    >>> gradcheck(square, x)

    There is no automatic differentiation: ``gradient`` is the chain rule for ``function``, from d loss / d y
    to d loss / d x. A ``Lambda`` without one may stand where no gradient passes: below it nothing learns. It
    has no weights; what has some is a layer of your own, a subclass of ``Layer``.

    Parameters
    ----------
    function : of a batch x (N, ...), which it must not change, to one (N, ...); called on a list or
        dictionary of tensors, of such a list or dictionary of arrays
    output_shape : that of one example, or a function of the input's shape, which has None for the batch, to
        the output's; found by a call on zeros where None
    arguments : more arguments, by name, for ``function`` and ``gradient``. Those of the two that have an
        argument ``training`` get that, too
    gradient : of x and dy, to an array of the shape of x; of several inputs, as many, nested as they are
    mask : for Keras' sake: there are no masks, and all but None is an error

    Files hold no code. A ``Lambda`` is saved by the names of its functions, if they are registered by
    ``saving.register_keras_serializable``; other functions are an error when the model is saved
    (``save_weights`` needs no names).

    Raises TypeError where a function cannot be called, or returns something else than numbers; ValueError
    where it returns other shapes than it should; NotImplementedError where a gradient is wanted and there is
    none.
    """

    takes_several = True

    _shape_remedy = "Correct the function, or give output_shape="

    def __init__(
        self,
        function: Function,
        output_shape: Sequence[int] | Function | None = None,
        mask: None = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        gradient: Function | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        refuse_unless_none("Lambda", mask=mask)
        self.function = function
        self.derivative = gradient
        self.requested_output_shape = _checked_shape(output_shape)
        if arguments is not None and not isinstance(arguments, Mapping):
            raise TypeError(f"Lambda: arguments must be a dictionary of arguments by name; got {arguments!r}")
        self.arguments = dict(arguments or {})

    @property
    def function(self) -> Function:
        """What the layer computes. May be assigned at any time."""
        return self._function

    @function.setter
    def function(self, function: Function) -> None:
        self._function = _checked_function(function, "function")
        self._function_takes_training = _takes_training(function)

    @property
    def derivative(self) -> Function | None:
        """The argument ``gradient``. May be assigned at any time."""
        return self._derivative

    @derivative.setter
    def derivative(self, gradient: Function | None) -> None:
        self._derivative = None if gradient is None else _checked_function(gradient, "gradient")
        self._derivative_takes_training = gradient is not None and _takes_training(gradient)

    # ---- shapes

    def compute_output_shape(self, input_shape: Any) -> Any:
        told = self.requested_output_shape
        if told is None:
            return self._tried_output_shape(input_shape)
        if not callable(told):
            return told
        with_batch = told(structure.map_shapes(lambda shape: (None, *shape), input_shape))
        return structure.map_shapes(lambda shape: shape[1:], with_batch)

    def windows(self) -> tuple[Window, ...]:
        inputs, _ = self.shapes()
        if any(image_size(shape) for shape in structure.shape_leaves(inputs)):
            raise ValueError(f"{self} does not tell which pixels of its input its function combines")
        return ()

    # ---- forward and backward

    def call(self, x: Any, training: bool = False) -> Any:
        shown = structure.mapped(_read_only, x)
        given = self._given(self._function_takes_training, training)
        y = structure.mapped(
            lambda leaf: _owned(floats(leaf, f"what the function of {self} returns")),
            self.function(shown, **given),
        )
        self._check_output(x, y)
        self.remember(*(() if self.derivative is None else (shown, training)))
        return y

    def _given(self, takes_training: bool, training: bool) -> dict[str, Any]:
        return {**self.arguments, "training": training} if takes_training else self.arguments

    def _check_output(self, x: Any, y: Any) -> None:
        count = len(structure.leaves(x)[0])
        shapes = [leaf.shape for leaf in structure.leaves(y)]
        if any(shape[:1] != (count,) for shape in shapes):
            raise ValueError(
                f"{self}: its function must return one output for each example, {count} of them; got shape "
                f"{', '.join(map(str, shapes))}"
            )
        if self.requested_output_shape is not None:
            told = self.compute_output_shape(structure.mapped(lambda leaf: leaf.shape[1:], x))
            if structure.shape_leaves(told) != [shape[1:] for shape in shapes]:
                raise ValueError(
                    f"{self}: its function returned shape {', '.join(map(str, shapes))}, and output_shape "
                    f"says {told} for one example"
                )

    def backward(self, dy: Any, input_gradient: bool = True) -> Any:
        if not input_gradient:
            return None
        if self.derivative is None:
            raise NotImplementedError(
                f"{self}: something below it learns, or the gradient of its input is asked for, and there is "
                "no automatic differentiation: give the derivative, Lambda(function, gradient=lambda x, dy: "
                "...), or freeze the layers below with layer.trainable = False"
            )
        x, training = self.recall()
        given = self._given(self._derivative_takes_training, training)
        dx = structure.mapped(
            lambda leaf: _owned(floats(leaf, f"what the gradient of {self} returns")),
            self.derivative(x, structure.mapped(_read_only, dy), **given),
        )
        wanted, got = ([leaf.shape for leaf in structure.leaves(each)] for each in (x, dx))
        if wanted != got:
            raise ValueError(
                f"{self}: its gradient must return the shape of x, {', '.join(map(str, wanted))}; got "
                f"{', '.join(map(str, got))}"
            )
        return dx

    # ---- configuration

    def __repr__(self) -> str:
        return call_of(self, {"name": self.name, "function": self.function}, usual={"arguments": {}})

    def get_config(self) -> dict[str, Any]:
        """The functions by name. Raises TypeError for one that is not registered, and for other arguments
        than plain numbers and strings.
        """
        if not is_plain(self.arguments):
            raise TypeError(
                f"{self}: its arguments {self.arguments!r} are not all numbers, strings, lists and "
                "dictionaries: write them into the function"
            )
        told = self.requested_output_shape
        return {
            **super().get_config(),
            "function": self._by_name(self.function, "function"),
            "output_shape": self._by_name(told, "output_shape") if callable(told) else told,
            "arguments": self.arguments,
            "gradient": None if self.derivative is None else self._by_name(self.derivative, "gradient"),
        }

    def _by_name(self, function: Function, argument: str) -> dict[str, Any]:
        if not comes_back(function):
            raise TypeError(
                f"{self}: files hold no code, and its {argument} {function!r} has no name to find it by: "
                "write it as a function with @saving.register_keras_serializable() in front, or save the "
                "weights alone, with save_weights"
            )
        return serialize_function(function)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Lambda:
        """The way back from ``get_config``. Raises ValueError for unknown functions, and for code, which
        Keras' files may hold: it is not run.
        """
        return cls(**{name: _restored(value, name) for name, value in config.items()})


def _restored(value: Any, argument: str) -> Any:
    """The function, where an argument is the name of one."""
    if argument not in ("function", "output_shape", "gradient"):
        return value
    kind = value.get("class_name") if isinstance(value, Mapping) else None
    if kind == "function":
        return deserialize_function(value)
    if kind is not None or argument == "function":
        raise ValueError(
            f"Lambda: the configuration holds {argument}={value!r}, which is no name of a function; code "
            "in files is never run: make the layer again, Lambda(function)"
        )
    return value


def _checked_function(function: Any, argument: str) -> Any:
    if not callable(function):
        raise TypeError(f"Lambda: {argument} must be a function; got {function!r}")
    return function


def _checked_shape(given: Any) -> Any:
    """None, a function, or the shape of one example; nested where there are several outputs."""
    if given is None or callable(given):
        return given
    sizes: list[Any] = structure.leaves(given) if isinstance(given, (list, tuple, Mapping)) else [None]
    if not sizes or not all(is_whole(n) and n > 0 for n in sizes):
        raise ValueError(
            "Lambda: output_shape must be the shape of one example, a tuple such as (28, 28, 1), or a "
            f"function of the input's shape; got {given!r}"
        )
    return structure.map_shapes(lambda shape: tuple(int(n) for n in shape if n is not None), given)


def _takes_training(function: Function) -> bool:
    try:
        return "training" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # NumPy's functions do not tell
        return False


def _read_only(x: Array) -> Array:
    """The same numbers, safe from a function that would write into them."""
    view = x.view()
    view.flags.writeable = False
    return view


def _owned(y: Array) -> Array:
    """``y``, or a copy where it may not be written into, being part of what the function was given."""
    return y if y.flags.writeable else np.array(y)
