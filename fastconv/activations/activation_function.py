"""What an activation function is: ``fastconv.activations`` has one of each name.

A class for what C knows, and one for each kind that is made of more: a rectifier with a ceiling, a
threshold, a function of rows along another axis, a gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import ops
from fastconv._core.checks import is_real, is_whole, unsupported_argument
from fastconv._core.versions import Structured
from fastconv.graph.symbolic import SymbolicTensor
from fastconv.ops._door import array as floats
from fastconv.parameter import Array

# Keras' name for what the operations call alpha.
PARAMETER = {
    "leaky_relu": "negative_slope",
    "elu": "alpha",
    "celu": "alpha",
    "hard_shrink": "threshold",
    "soft_shrink": "threshold",
    "squareplus": "b",
}

# What a call may give after x, in Keras' order.
_ARGUMENTS = {
    **{name: (parameter,) for name, parameter in PARAMETER.items()},
    "relu": ("negative_slope", "max_value", "threshold"),
    "gelu": ("approximate",),
    "threshold": ("threshold", "default_value"),
    **dict.fromkeys(("softmax", "log_softmax", "sparsemax", "glu"), ("axis",)),
}


class ActivationFunction(Structured):
    """y = φ(x) element by element; softmax, log_softmax and sparsemax along the last axis.

    Leaky ReLU has slope 0.2, ELU and CELU depth 1, the shrinks threshold 0.5, squareplus b = 4 (Keras),
    unless ``alpha`` says otherwise: ``leaky_relu.with_parameters(negative_slope=0.1)``.
    """

    name: str
    alpha: float | None

    keeps_shape = True
    """Whether y has the shape of x."""

    def __init__(self, name: str, alpha: float | None = None) -> None:
        vars(self).update(name=name, alpha=alpha)  # makes no new version: no layer has this function yet

    @property
    def needs_input(self) -> bool:
        """True where the derivative is made of the input x; of all others it is made of the output y."""
        return self.name in ops.NEEDS_INPUT

    def __call__(self, x: Any, *values: Any, **parameters: Any) -> Any:
        """φ(x); parameters as those of Keras' function, by place or by name. Of a symbolic tensor a symbolic
        tensor."""
        if values or parameters:
            return self.with_parameters(**self._by_name(values, parameters))(x)
        if isinstance(x, SymbolicTensor):
            from fastconv.layers.activations import Activation

            return Activation(self)(x)
        return self.activate(x)

    def activate(self, x: ArrayLike) -> Array:
        """φ(x), with the parameters that it has."""
        return ops.activation(x, self.name, self.alpha)

    def _by_name(self, values: tuple[Any, ...], parameters: dict[str, Any]) -> dict[str, Any]:
        names = _ARGUMENTS.get(self.name, ())
        if len(values) > len(names):
            raise TypeError(
                f"activations.{self.name} takes x and {len(names)} more arguments, got {len(values)} more"
            )
        given = dict(zip(names, values, strict=False))
        for name in given.keys() & parameters.keys():
            raise TypeError(f"activations.{self.name} got the argument {name!r} twice")
        return {**given, **parameters}

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of y for an x of this shape, batch and all."""
        return shape

    def backward(self, dy: Array, kept: Array) -> Array:
        """d loss / d x from d loss / d y and the output y; or the input x, where ``needs_input``."""
        return dy if self.name == "linear" else ops.activation_backward(dy, kept, self.name, self.alpha, kept)

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        """The function with another shape: ``negative_slope`` of leaky_relu, ``alpha`` of elu and celu,
        ``approximate`` of gelu, ``negative_slope``, ``max_value`` and ``threshold`` of relu, ``threshold`` of
        hard_shrink and soft_shrink, ``b`` of squareplus, ``threshold`` and ``default_value`` of threshold,
        ``axis`` of softmax, log_softmax, sparsemax and glu. Raises ValueError for a parameter that it does
        not have.
        """
        if self.name == "relu":
            return _shaped_relu(**parameters)
        function = self
        for argument, value in parameters.items():
            if (self.name, argument) == ("gelu", "approximate"):
                function = ActivationFunction("gelu_tanh" if value else "gelu")
            elif argument == "axis" and argument in _ARGUMENTS.get(self.name, ()):
                function = AlongAxis(self.name, value)
            elif PARAMETER.get(self.name) == argument:
                if not is_real(value):
                    raise ValueError(f"activations.{self.name}: {argument} must be a number, got {value!r}")
                function = ActivationFunction(self.name, float(value))
            else:
                known = ", ".join(_ARGUMENTS.get(self.name, ())) or "no parameters"
                raise unsupported_argument(f"activations.{self.name}", argument, f"it has {known}")
        return function

    def __repr__(self) -> str:
        shape = "" if self.alpha is None else f"({PARAMETER[self.name]}={self.alpha:g})"
        return f"{self.name}{shape}"


class ShapedRelu(ActivationFunction):
    """The rectifier with a threshold or a ceiling, made by ``relu.with_parameters``.

        y = x                                  for x > threshold, but at most max_value
        y = negative_slope · (x - threshold)   for x ≤ threshold

    Its derivative is 1, 0 where the ceiling acts, and negative_slope from the threshold down.
    """

    @property
    def needs_input(self) -> bool:
        return True

    def __init__(
        self, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
    ) -> None:
        super().__init__("shaped_relu")
        self.negative_slope, self.max_value, self.threshold = negative_slope, max_value, threshold

    def activate(self, x: ArrayLike) -> Array:
        x = floats(x, "x")
        above = x.copy() if self.max_value is None else np.minimum(x, x.dtype.type(self.max_value))
        return np.where(x <= self.threshold, self._below(x), above)

    def _below(self, x: Array) -> Array:
        if self.negative_slope == 0:  # 0 · (−∞) is no number
            return np.zeros_like(x)
        return x.dtype.type(self.negative_slope) * (x - x.dtype.type(self.threshold))

    def backward(self, dy: Array, kept: Array) -> Array:
        slope = np.where(kept <= self.threshold, self.negative_slope, 1.0)
        if self.max_value is not None:
            slope = np.where((kept > self.threshold) & (kept >= self.max_value), 0.0, slope)
        return dy * slope.astype(dy.dtype)

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        return _shaped_relu(**{**self.parameters, **parameters})

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "negative_slope": self.negative_slope,
            "max_value": self.max_value,
            "threshold": self.threshold,
        }

    def __repr__(self) -> str:
        shape = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items() if value)
        return f"relu({shape})"


def _shaped_relu(
    negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0, **unknown: Any
) -> ActivationFunction:
    """The rectifier of this shape: one that C knows, where there is one."""
    for argument in unknown:
        raise TypeError(f"activations.relu has no argument {argument!r}")
    given = {"negative_slope": negative_slope, "threshold": threshold}
    for name, value in (given if max_value is None else {**given, "max_value": max_value}).items():
        if not is_real(value) or not value >= 0:
            raise ValueError(f"ReLU: {name} must not be negative, got {value!r}")
    if max_value is None and threshold == 0:
        if negative_slope:
            return ActivationFunction("leaky_relu", float(negative_slope))
        return ActivationFunction("relu")
    return ShapedRelu(
        float(negative_slope), None if max_value is None else float(max_value), float(threshold)
    )


class Threshold(ActivationFunction):
    """y = x where x > threshold, ``default_value`` elsewhere; its derivative is 1 and 0.

    ``activations.threshold(x, threshold, default_value)``. Both must be given before it is a layer's:
    ``threshold.with_parameters(threshold=0.5, default_value=0)``.
    """

    threshold: float | None
    default_value: float | None

    def __init__(self, threshold: float | None = None, default_value: float | None = None) -> None:
        super().__init__("threshold")
        vars(self).update(threshold=threshold, default_value=default_value)
        for name, value in self.parameters.items():
            if value is not None and not is_real(value):
                raise ValueError(f"activations.threshold: {name} must be a number, got {value!r}")

    @property
    def needs_input(self) -> bool:
        return True

    @property
    def parameters(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "default_value": self.default_value}

    def check(self) -> None:
        """TypeError where a parameter is missing."""
        missing = [name for name, value in self.parameters.items() if value is None]
        if missing:
            raise TypeError(
                f"activations.threshold needs {' and '.join(missing)}: "
                "activations.threshold(x, threshold, default_value), or in a layer "
                "activations.threshold.with_parameters(threshold=..., default_value=...)"
            )

    def activate(self, x: ArrayLike) -> Array:
        self.check()
        x = floats(x, "x")
        threshold, default = (x.dtype.type(value) for value in self.parameters.values())
        return np.where(x <= threshold, default, x)  # NaN stays NaN

    def backward(self, dy: Array, kept: Array) -> Array:
        threshold = kept.dtype.type(self.threshold)
        return np.where(kept <= threshold, dy.dtype.type(0), dy)

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        for argument in parameters.keys() - self.parameters.keys():
            raise TypeError(f"activations.threshold has no argument {argument!r}")
        return Threshold(**{**self.parameters, **parameters})

    def __repr__(self) -> str:
        shape = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items() if value is not None)
        return f"threshold({shape})"


class AlongAxis(ActivationFunction):
    """A function of rows along another axis than the last: ``softmax.with_parameters(axis=1)``."""

    base: str
    axis: int

    def __init__(self, base: str, axis: Any) -> None:
        if not is_whole(axis):
            raise ValueError(f"activations.{base}: axis must be a whole number, got {axis!r}")
        super().__init__(f"{base} along axis {axis}")
        vars(self).update(base=base, axis=int(axis))

    @property
    def needs_input(self) -> bool:
        return False

    @property
    def parameters(self) -> dict[str, Any]:
        return {"axis": self.axis}

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        return ActivationFunction(self.base).with_parameters(**{**self.parameters, **parameters})

    def _by_name(self, values: tuple[Any, ...], parameters: dict[str, Any]) -> dict[str, Any]:
        return ActivationFunction(self.base)._by_name(values, parameters)

    def _moved(self, x: Array) -> Array:
        """x with the axis last."""
        axis = self.axis
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"activations.{self.base}: axis={axis} is no axis of x, of shape {x.shape}")
        return np.moveaxis(x, axis, -1)

    def activate(self, x: ArrayLike) -> Array:
        y = ops.activation(self._moved(floats(x, "x")), self.base)
        return np.ascontiguousarray(np.moveaxis(y, -1, self.axis))

    def backward(self, dy: Array, kept: Array) -> Array:
        dx = ops.activation_backward(self._moved(dy), self._moved(kept), self.base)
        return np.ascontiguousarray(np.moveaxis(dx, -1, self.axis))

    def __repr__(self) -> str:
        return f"{vars(self)['base']}(axis={self.parameters['axis']})"


class GatedLinear(ActivationFunction):
    """y = a · σ(b), where a and b are the two halves of x along ``axis``: y has half the size there.

    Dauphin et al. 2017, *Language modeling with gated convolutional networks*, section 2.
    """

    keeps_shape = False
    axis: int

    def __init__(self, axis: Any = -1) -> None:
        if not is_whole(axis):
            raise ValueError(f"activations.glu: axis must be a whole number, got {axis!r}")
        super().__init__("glu")
        vars(self).update(axis=int(axis))

    @property
    def needs_input(self) -> bool:
        return True

    @property
    def parameters(self) -> dict[str, Any]:
        return {"axis": self.axis}

    def with_parameters(self, **parameters: Any) -> ActivationFunction:
        for argument in parameters.keys() - {"axis"}:
            raise unsupported_argument("activations.glu", argument, "it has axis")
        return GatedLinear(**{**self.parameters, **parameters})

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        axis = self.axis
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"activations.glu: axis={axis} is no axis of x, of shape {tuple(shape)}")
        size = shape[axis]
        if size is not None and size % 2:
            raise ValueError(
                f"activations.glu halves x along axis={axis}, where x of shape {tuple(shape)} has odd "
                f"size {size}"
            )
        halved = list(shape)
        halved[axis] = None if size is None else size // 2
        return tuple(halved)

    def _halves(self, x: Array) -> tuple[Array, Array, int]:
        axis = self.axis % x.ndim
        half = x.shape[axis] // 2
        a, b = ops.split(x, [half, half], axis)
        return a, ops.activation(b, "sigmoid"), axis

    def activate(self, x: ArrayLike) -> Array:
        x = floats(x, "x")
        self.output_shape(x.shape)
        a, gate, _ = self._halves(x)
        return ops.elementwise(a, gate, "multiply")

    def backward(self, dy: Array, kept: Array) -> Array:
        a, gate, axis = self._halves(kept)
        da, dgate = ops.elementwise_backward(dy, a, gate, "multiply")
        assert da is not None
        assert dgate is not None
        return ops.concatenate([da, ops.activation_backward(dgate, gate, "sigmoid")], axis)

    def __repr__(self) -> str:
        axis = self.axis
        return "glu" if axis == -1 else f"glu(axis={axis})"
