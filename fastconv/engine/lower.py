"""From the calls of a network to a table of operations on numbered tensors (csrc/engine/engine.h).

A layer says how in ``lower(builder, *inputs)``, beside its ``call``: it appends operations to the builder and
returns the handle of what it makes, nested as ``call`` returns it. Where it cannot, it says so with
``builder.cut(why)``. A layer that says no, or has no ``lower``, runs in Python between two programs.

``lower`` is a second description of what ``call`` and ``backward`` compute. So it counts only where no class
that extends the one that defines it, and no attribute of the layer, overrides another method: see
``overridden``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from fastconv import _kernels
from fastconv._core.geometry import Axis, Pair, Window, window
from fastconv.activations import ActivationFunction
from fastconv.activations.activation_function import ShapedRelu
from fastconv.graph import structure
from fastconv.graph.symbolic import SymbolicTensor
from fastconv.ops.activations import DEFAULT_ALPHA, NEEDS_INPUT
from fastconv.parameter import Array, Parameter, is_roomy

if TYPE_CHECKING:
    from fastconv.graph.schedule import Call
    from fastconv.layers.layer import Layer

Op = dict[str, Any]
Shape = tuple[int, ...]
Size = tuple[int, int, int]

MOST_INPUTS = 8
"""Of one operation."""


class Cut(Exception):
    """Why a layer is no operations: it runs in Python."""


class NoProgram(Exception):
    """A network that runs layer by layer: nothing of it lowers, or a layer does not fit its neighbours."""


@dataclass(frozen=True)
class Tensor:
    """A tensor while a network is lowered: its number, and the shape of one example.

    A vector (C,) is an image of one pixel, a sequence (L, C) one of one row. Tensors of one number and
    several shapes are the same numbers in memory.
    """

    number: int
    shape: Shape

    @property
    def size(self) -> Size:
        """(H, W, C)"""
        H, W, C = (1,) * (3 - len(self.shape)) + self.shape
        return H, W, C

    @property
    def image(self) -> Pair:
        """(H, W)"""
        return self.size[:2]

    @property
    def channels(self) -> int:
        return self.shape[-1]


class Builder:
    """Takes the operations of one program, call by call.

    ops         the operations, in order; "layer" in each is the layer it comes from
    sizes       (H, W, C) of each tensor
    draws       for each random operation, its layer and its stream, in order
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.sizes: list[Size] = []
        self.draws: list[tuple[Any, _kernels.Stream]] = []
        self.training = False
        self._layer: Layer | None = None
        self._learned: set[int] = set()

    # ---- calls of layers

    def lower(self, call: Call, training: bool, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Append the operations of a call; returns what it makes. Where it raises Cut nothing is appended.

        Raises NoProgram for a layer that has other arguments now than when it was built.
        """
        layer = call.layer
        before = self.mark()
        self.training = training if call.training is None else call.training
        self._layer, self._learned = layer, {id(parameter) for parameter in call.parameters}
        try:
            reason = why_not(layer)
            if reason is not None:
                raise Cut(reason)
            made = structure.leaves(layer.lower(self, *_arguments(call, inputs)))  # type: ignore[attr-defined]
            for tensor, symbol in zip(made, call.node.outputs, strict=True):
                wanted = symbol.shape[1:]
                if len(tensor.shape) != len(wanted) or any(
                    n not in (None, m) for n, m in zip(wanted, tensor.shape, strict=True)
                ):
                    raise NoProgram(f"{layer} makes {tensor.shape} now, and was built for {wanted}")
        except Cut:
            self.undo(before)
            raise
        except ValueError as error:  # the layer says what is wrong with it when it runs
            raise NoProgram(str(error)) from error
        return made

    def mark(self) -> tuple[int, ...]:
        """How far the tables are, for ``undo``."""
        return len(self.ops), len(self.sizes), len(self.draws)

    def undo(self, mark: tuple[int, ...]) -> None:
        """Take back what was appended since."""
        tables: tuple[list[Any], ...] = self.ops, self.sizes, self.draws
        for table, count in zip(tables, mark, strict=True):
            del table[count:]

    def cut(self, why: str) -> NoReturn:
        """Say that the layer has no operations, and why: "its padding is ..."."""
        raise Cut(why)

    def tensor(self, shape: Sequence[int]) -> Tensor:
        """A new tensor, of no operation yet. Cut where it has more axes than an image."""
        shape = tuple(shape)
        if not 1 <= len(shape) <= 3:
            raise Cut(f"a tensor of shape (N, {', '.join(map(str, shape))}) is no batch of images or vectors")
        made = Tensor(len(self.sizes), shape)
        self.sizes.append(made.size)
        return made

    def _append(self, kind: str, inputs: Sequence[Tensor], shape: Sequence[int], **fields: Any) -> Tensor:
        y = self.tensor(shape)
        numbers = [x.number for x in inputs]
        self.ops.append({"kind": kind, "inputs": numbers, "output": y.number, "layer": self._layer, **fields})
        return y

    # ---- weights

    def _weights(self, *wanted: tuple[Any, Shape | int]) -> dict[str, list[Array | None]]:
        """The fields "weights" and "gradients", for parameters of these shapes, or of so many numbers."""
        values: list[Array | None] = []
        gradients: list[Array | None] = []
        for parameter, shape in wanted:
            if parameter is None:
                values.append(None)
                gradients.append(None)
                continue
            if not isinstance(parameter, Parameter) or not _holds(self._layer, parameter):
                raise Cut("a weight of it is no parameter that add_weight made")
            found = parameter.size if isinstance(shape, int) else parameter.shape
            if found != shape:
                raise NoProgram(f"{parameter.path} has shape {parameter.shape}, and {shape} fits")
            if not (is_roomy(parameter.value) and is_roomy(parameter.grad)):
                raise Cut(f"{parameter.path} is in an array that is not its own")
            values.append(parameter.value)
            gradients.append(parameter.grad if id(parameter) in self._learned else None)
        return {"weights": values, "gradients": gradients}

    # ---- operations

    def conv(
        self,
        x: Tensor,
        kernel: Parameter,
        bias: Parameter | None,
        view: Window | None,
        filters: int,
        groups: int = 1,
        algorithm: str = "auto",
    ) -> Tensor:
        """``ops.conv2d``; the kernel has KH · KW · C / groups · filters numbers.

        Without ``view`` each pixel by itself.
        """
        view = view or window(x.image, 1)
        if algorithm == "winograd" and (
            view.size != (3, 3) or not view.strides == view.dilation == (1, 1) or groups != 1
        ):
            raise Cut('algorithm="winograd" does not fit')
        index = -1 if algorithm == "auto" else _kernels.ALGORITHMS.index(algorithm)
        weights = self._weights((kernel, prod(view.size) * x.channels // groups * filters), (bias, filters))
        return self._sliding("conv", x, view, filters, groups=groups, algorithm=index, **weights)

    def depthwise(
        self,
        x: Tensor,
        kernel: Parameter,
        bias: Parameter | None,
        view: Window | None = None,
        multiplier: int = 1,
    ) -> Tensor:
        """``ops.depthwise_conv2d``; the kernel has KH · KW · C · multiplier numbers.

        Without ``view`` each pixel by itself.
        """
        view = view or window(x.image, 1)
        channels = x.channels * multiplier
        weights = self._weights((kernel, prod(view.size) * channels), (bias, channels))
        return self._sliding("depthwise", x, view, channels, **weights)

    def conv_transposed(
        self,
        x: Tensor,
        kernel: Parameter,
        bias: Parameter | None,
        axes: tuple[Axis, Axis],
        size: Pair,
        strides: Pair,
        dilation: Pair,
        filters: int,
        algorithm: str = "auto",
    ) -> Tensor:
        """``ops.conv2d_transpose``; the kernel has KH · KW · filters · C numbers."""
        if algorithm != "auto":
            raise Cut(f"algorithm={algorithm!r}")
        view = Window(*axes, size, strides, dilation)
        weights = self._weights((kernel, prod(size) * x.channels * filters), (bias, filters))
        return self._sliding("conv_transposed", x, view, filters, **weights)

    def dense(self, x: Tensor, kernel: Parameter, bias: Parameter | None, units: int) -> Tensor:
        """``ops.dense``"""
        weights = self._weights((kernel, (x.channels, units)), (bias, units))
        return self._append("dense", [x], (*x.shape[:-1], units), **weights)

    def max_pool(self, x: Tensor, view: Window) -> Tensor:
        return self._sliding("max_pool", x, view, x.channels)

    def avg_pool(self, x: Tensor, view: Window) -> Tensor:
        """The mean of each window, padding not counted."""
        return self._sliding("avg_pool", x, view, x.channels)

    def _sliding(self, kind: str, x: Tensor, view: Window, channels: int, **fields: Any) -> Tensor:
        places = view.output_size[3 - len(x.shape) :]
        return self._append(
            kind,
            [x],
            (*places, channels),
            size=view.size,
            strides=view.strides,
            dilation=view.dilation,
            padding=(view.rows.before, view.columns.before),
            **fields,
        )

    def global_pool(self, x: Tensor, of: str, shape: Shape) -> Tensor:
        """``of`` "max" or "avg" of all pixels, in a shape (C,), (1, C) or (1, 1, C)."""
        return self._append(f"global_{of}_pool", [x], shape)

    def batch_norm(
        self,
        x: Tensor,
        gamma: Parameter | None,
        beta: Parameter | None,
        mean: Parameter,
        variance: Parameter,
        epsilon: float,
        momentum: float = 1.0,
        training: bool = False,
    ) -> Tensor:
        """γ · (x − mean) / √(variance + ε) + β for each channel; of the batch's own where ``training``."""
        C = (x.channels,)
        weights = self._weights((gamma, C), (beta, C), (mean, C), (variance, C))
        return self._append(
            "batch_norm", [x], x.shape, epsilon=epsilon, momentum=momentum, training=training, **weights
        )

    def activate(self, x: Tensor, function: ActivationFunction) -> Tensor:
        """φ(x). Cut for a function that C does not know."""
        name, alpha = known_activation(function)
        if name == "linear":
            return x
        if name == "softmax":
            return self._append("softmax", [x], x.shape)
        return self._append("activation", [x], x.shape, activation=name, alpha=alpha)

    def prelu(self, x: Tensor, alpha: Parameter) -> Tensor:
        """A slope of its own for each number of an example."""
        return self._append("prelu", [x], x.shape, **self._weights((alpha, x.shape)))

    def dropout(
        self,
        x: Tensor,
        rate: float,
        scale: float,
        shift: float = 0.0,
        fill: float = 0.0,
        spatial: bool = False,
    ) -> Tensor:
        """scale · x + shift, or ``fill`` with probability ``rate``, number by number or map by map.

        As ``ops.dropout``; the layer draws.
        """
        threshold = round(rate * 2**32)
        if threshold == 2**32:
            raise Cut("it drops everything")
        stream = _kernels.Stream(0)
        line = {"scale": scale, "shift": shift, "fill": fill}
        how = {"threshold": threshold, "spatial": spatial, "random": stream, "training": True}
        y = self._append("dropout", [x], x.shape, **line, **how)
        self.draws.append((self._layer, stream))
        return y

    def elementwise(self, a: Tensor, b: Tensor, operation: str) -> Tensor:
        """a ∘ b, sizes of 1 repeated: ``ops.elementwise``."""
        rank = max(len(a.shape), len(b.shape))
        pairs = zip(*((1,) * (rank - len(x.shape)) + x.shape for x in (a, b)), strict=True)
        shape = [max(n, m) if 1 in (n, m) else n for n, m in pairs]
        return self._append("elementwise", [a, b], shape, elementwise=operation)

    def scale(self, x: Tensor, scale: float, shift: float = 0.0) -> Tensor:
        """scale · x + shift"""
        if scale == 1 and shift == 0:
            return x
        return self._append("scale", [x], x.shape, scale=scale, shift=shift)

    def concatenate(self, inputs: Sequence[Tensor]) -> Tensor:
        """One behind the other along the channels."""
        if len(inputs) == 1:
            return inputs[0]
        if len(inputs) > MOST_INPUTS:
            first = self.concatenate(inputs[:MOST_INPUTS])
            return self.concatenate([first, *inputs[MOST_INPUTS:]])
        channels = sum(x.channels for x in inputs)
        return self._append("concatenate", inputs, (*inputs[0].shape[:-1], channels))

    def pad(self, x: Tensor, rows: Pair, columns: Pair) -> Tensor:
        """So many rows of zeros above and below, columns to the left and right; fewer where negative."""
        H, W, C = x.size
        size = (H + sum(rows), W + sum(columns), C)
        if min(size) < 1:
            raise Cut("nothing is left of the image")
        if not any((*rows, *columns)):
            return x
        return self._append("pad", [x], size[3 - len(x.shape) :], padding=(rows[0], columns[0]))

    def upsample(self, x: Tensor, factors: Pair) -> Tensor:
        """Every pixel factors[0] by factors[1] times. Of a vector a sequence is made."""
        H, W, C = x.size
        if factors == (1, 1) and len(x.shape) > 1:
            return x
        size = (H * factors[0], W * factors[1], C)
        return self._append("upsample", [x], size[3 - max(len(x.shape), 2) :], size=factors)

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """The same numbers in another shape: no operation where that makes no other image of them."""
        y = Tensor(x.number, tuple(shape))
        if 1 <= len(y.shape) <= 3 and y.size == x.size:
            return y
        return self._append("reshape", [x], shape)

    def apart(self, x: Tensor) -> Tensor:
        """The same numbers as a tensor of its own, with a gradient of its own."""
        return self._append("reshape", [x], x.shape)


def _arguments(call: Call, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
    """The arguments of a call, with handles in the place of symbolic tensors."""
    handles = iter(inputs)

    def handle(leaf: Any) -> Any:
        return next(handles) if isinstance(leaf, SymbolicTensor) else leaf

    return tuple(structure.mapped(handle, argument) for argument in call.node.args)


def _holds(layer: Any, parameter: Parameter) -> bool:
    return any(parameter is weight for weight in layer._weights)


# ---- activations


class KnownActivation(NamedTuple):
    """An activation function of C: its name in ``_kernels.ACTIVATIONS``, or "softmax"."""

    name: str
    alpha: float


def known_activation(function: ActivationFunction) -> KnownActivation:
    """Raises Cut for a function that C does not know."""
    reason = why_not_activation(function)
    if reason is not None:
        raise Cut(reason)
    if type(function) is ShapedRelu:
        return KnownActivation("relu6", 0.0)
    alpha = DEFAULT_ALPHA.get(function.name, 0.0) if function.alpha is None else float(function.alpha)
    return KnownActivation(function.name, alpha)


def why_not_activation(function: ActivationFunction) -> str | None:
    own = [name for name in vars(function) if callable(getattr(type(function), name, None))]
    if own:
        return f"its activation {function} has a {own[0]} of its own"
    if type(function) is ShapedRelu:
        shape = function.negative_slope, function.max_value, function.threshold
        return None if shape == (0.0, 6.0, 0.0) else f"the activation {function}"
    if type(function) is not ActivationFunction:
        return f"its activation is a {type(function).__name__}"
    if function.name != "softmax" and function.name not in _kernels.ACTIVATIONS:
        return f"the activation {function.name}"
    alpha = function.alpha  # ops say what is wrong with it
    if alpha is not None and not (alpha > 0 or (alpha == 0 and function.name != "celu")):
        return f"the activation {function}"
    return None


def derived_from_output(name: str) -> bool:
    """Whether an activation's derivative is made of its output, so that it can end another operation."""
    return name not in NEEDS_INPUT


# ---- which lower counts

# What does not compute outputs or gradients.
_HARMLESS = frozenset(
    [
        *("__init__", "__init_subclass__", "__class_getitem__", "__getstate__", "__setstate__", "__reduce__"),
        *("__repr__", "__str__", "__eq__", "__hash__", "__annotate__", "__annotate_func__"),
        *("build", "create_weights", "add_weight", "add_kernel_and_bias", "get_weights", "set_weights"),
        *("get_config", "from_config", "get_build_config", "build_from_config"),
        *("check_input", "check_inputs", "expected_input", "windows", "summary"),
        *("count_params", "count_multiply_adds", "count_connections", "random_state", "set_random_state"),
    ]
)


def why_not(layer: Layer) -> str | None:
    """Why ``lower`` does not count, or is not there; None where it says what the layer computes."""
    cls: Any = type(layer)
    if getattr(cls, "lower", None) is None:
        return f"{cls.__name__} has no lower"
    changed = overridden(cls)
    if changed is None:
        own = (
            name
            for name in vars(layer)
            if name not in _HARMLESS and callable(getattr(cls, name, None)) and callable(vars(layer)[name])
        )
        name = next(own, None)
        changed = None if name is None else f"the layer has a {name} of its own"
    if changed is None and layer.activity_regularizer is not None:
        return "it penalizes its outputs (activity_regularizer)"
    return changed


@lru_cache(maxsize=512)
def overridden(cls: type) -> str | None:
    """Which method a class overrides that ``lower`` of an older class does not know of; None for none.

    A class names in ``_lower_takes`` the hooks that its ``lower`` works with, whoever overrides them.
    """
    mro = cls.__mro__
    place = next(i for i, base in enumerate(mro) if "lower" in vars(base))
    taken = _HARMLESS | vars(mro[place]).get("_lower_takes", frozenset())
    older = {name for base in mro[place:] for name in vars(base)}
    for base in mro[:place]:
        for name, value in vars(base).items():
            computes = callable(value) or isinstance(value, (property, staticmethod, classmethod))
            if computes and name in older and name not in taken:
                return f"{base.__name__} overrides {name}"
    return None
