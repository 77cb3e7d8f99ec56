"""Keras' bare operations, as ``x + y`` or ``keras.ops.relu(x)`` in a functional model, as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fastconv._core.missing import remedy_for
from fastconv._core.names import snake_case

TENSOR = "__keras_tensor__"


class Call(NamedTuple):
    """What a layer does in an operation's place: its class, its arguments, and those of its call."""

    class_name: str
    config: dict[str, Any]
    args: list[Any]


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Whether this entry of a functional model is an operation, which has no weights, and no layer.

    Keras' layers say whether they are trainable, its operations do not. In old HDF5 files nothing else tells
    ``Add``, the operation, from ``Add``, the layer.
    """
    if entry.get("class_name") == "TFOpLambda":
        return True
    module = entry.get("module")
    if isinstance(module, str):
        return module.startswith("keras") and ".ops" in module
    return "module" not in entry and not _OF_LAYERS & entry["config"].keys()


_OF_LAYERS = {"trainable", "dtype", "batch_shape", "batch_input_shape", "layers"}


def as_layer(name: str, entry: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """The layer that computes what the operation ``name`` does in one of its calls.

    Raises ValueError that names the operation where there is none, and for what the layer cannot do.
    """
    config = {key: value for key, value in entry["config"].items() if key != "name"}
    operation = entry["class_name"]
    if operation == "TFOpLambda":
        function = str(config.get("function"))
        operation = _OF_TENSORFLOW.get(function, function)
        args = [*args, *(kwargs[key] for key in ("y",) if key in kwargs)]
        kwargs = {key: value for key, value in kwargs.items() if key not in ("y", "name")}
        config = {}
    rule = _RULES.get(operation)
    called = None if rule is None or kwargs else rule(config, list(args))
    if called is None:
        raise ValueError(
            f"the operation {name!r}, keras.ops.{snake_case(operation)}{_shown(config, args, kwargs)}, has "
            f"no equal among layers: {_remedy(operation)}"
        )
    return called


def _shown(config: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    given = ["a tensor" if is_tensor(arg) else str(arg)[:40] for arg in args]
    given += [f"{name}={str(value)[:40]}" for name, value in {**config, **kwargs}.items()]
    return f"({', '.join(given)})"


def _remedy(operation: str) -> str:
    known = remedy_for("ops", snake_case(operation))
    hint = f" (for arrays: {known})" if known else ""
    return f"put a layer in its place in Keras, save again{hint}, or load the weights into a model made here"


def is_tensor(value: Any) -> bool:
    """Whether this is a tensor in the arguments of a call."""
    return isinstance(value, Mapping) and value.get("class_name") == TENSOR


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shape(tensor: Any) -> list[int | None] | None:
    shape = tensor["config"].get("shape") if is_tensor(tensor) else None
    return list(shape) if isinstance(shape, (list, tuple)) else None


Rule = Callable[[dict[str, Any], list[Any]], "Call | None"]


# ---- arithmetic ---------------------------------------------------------------------------------


def _arithmetic(layer: str, operation: str | None) -> Rule:
    def rule(config: dict[str, Any], args: list[Any]) -> Call | None:
        if config or len(args) != 2:
            return None
        tensors = [is_tensor(arg) for arg in args]
        if all(tensors):
            return Call(layer, {}, [args])
        if operation is None or not any(tensors):
            return None
        number = args[tensors[0]]
        if not _is_number(number):
            return None
        settings = {"operation": operation, "number": number, "number_first": not tensors[0]}
        return Call("WithNumber", settings, [args[not tensors[0]]])

    return rule


def _maximum(config: dict[str, Any], args: list[Any]) -> Call | None:
    numbers = [arg for arg in args if _is_number(arg)]
    if numbers == [0] and len(args) == 2 and not config:
        return Call("ReLU", {}, [next(arg for arg in args if is_tensor(arg))])
    return _arithmetic("Maximum", None)(config, args)


def _unary(layer: str, settings: Mapping[str, Any]) -> Rule:
    def rule(config: dict[str, Any], args: list[Any]) -> Call | None:
        plain = len(args) == 1 and is_tensor(args[0]) and not config
        return Call(layer, dict(settings), args) if plain else None

    return rule


def _square(config: dict[str, Any], args: list[Any]) -> Call | None:
    return Call("Multiply", {}, [[args[0], args[0]]]) if len(args) == 1 and not config else None


# ---- activations --------------------------------------------------------------------------------


def _activation(name: str, *parameters: str) -> Rule:
    """``parameters``: the arguments that operation and activation share."""

    def rule(config: dict[str, Any], args: list[Any]) -> Call | None:
        if len(args) != 1 or not is_tensor(args[0]) or config.keys() - set(parameters):
            return None
        activation = {"class_name": name, "config": config} if config else name
        return Call("Activation", {"activation": activation}, args)

    return rule


def _gelu(config: dict[str, Any], args: list[Any]) -> Call | None:
    name = "gelu_tanh" if config.pop("approximate", True) else "gelu"
    return _activation(name)(config, args)


# ---- shapes -------------------------------------------------------------------------------------


def _reshape(config: dict[str, Any], args: list[Any]) -> Call | None:
    shape = config.pop("newshape", None) or (args.pop() if len(args) == 2 else None)
    if len(args) != 1 or config or not isinstance(shape, list) or shape[:1] not in ([-1], [None]):
        return None
    return Call("Reshape", {"target_shape": shape[1:]}, args)


def _transpose(config: dict[str, Any], args: list[Any]) -> Call | None:
    axes = config.pop("axes", None)
    if len(args) != 1 or config or not isinstance(axes, list) or axes[:1] != [0]:
        return None
    return Call("Permute", {"dims": axes[1:]}, args)


def _concatenate(config: dict[str, Any], args: list[Any]) -> Call | None:
    if len(args) != 1 or not isinstance(args[0], list) or config.keys() != {"axis"}:
        return None
    return Call("Concatenate", config, args) if all(map(is_tensor, args[0])) else None


def _pooled(kind: str) -> Rule:
    """A mean or maximum over the pixels of images or the steps of sequences."""

    def rule(config: dict[str, Any], args: list[Any]) -> Call | None:
        shape = _shape(args[0]) if len(args) == 1 else None
        axis, keepdims = config.pop("axis", None), config.pop("keepdims", False)
        if any(value is not None for value in config.values()) or shape is None:
            return None
        axes = sorted(n % len(shape) for n in ([axis] if isinstance(axis, int) else axis or []))
        rank = {4: 2, 3: 1}.get(len(shape))
        if rank is None or axes != list(range(1, rank + 1)):
            return None
        return Call(f"Global{kind}Pooling{rank}D", {"keepdims": bool(keepdims)}, args)

    return rule


_RULES: dict[str, Rule] = {
    "Add": _arithmetic("Add", "add"),
    "Subtract": _arithmetic("Subtract", "subtract"),
    "Multiply": _arithmetic("Multiply", "multiply"),
    "Divide": _arithmetic("Divide", "divide"),
    "TrueDivide": _arithmetic("Divide", "divide"),
    "Minimum": _arithmetic("Minimum", None),
    "Maximum": _maximum,
    "Negative": _unary("WithNumber", {"operation": "multiply", "number": -1.0}),
    "Square": _square,
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Exp": _activation("exponential"),
    "Softmax": _activation("softmax", "axis"),
    "LogSoftmax": _activation("log_softmax", "axis"),
    "Elu": _activation("elu", "alpha"),
    "Celu": _activation("celu", "alpha"),
    "Selu": _activation("selu"),
    "Gelu": _gelu,
    "Glu": _activation("glu", "axis"),
    "Silu": _activation("silu"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "HardSigmoid": _activation("hard_sigmoid"),
    "HardSilu": _activation("hard_silu"),
    "HardTanh": _activation("hard_tanh"),
    "HardShrink": _activation("hard_shrink", "threshold"),
    "SoftShrink": _activation("soft_shrink", "threshold"),
    "TanhShrink": _activation("tanh_shrink"),
    "Threshold": _activation("threshold", "threshold", "default_value"),
    "LeakyRelu": _activation("leaky_relu", "negative_slope"),
    "LogSigmoid": _activation("log_sigmoid"),
    "Squareplus": _activation("squareplus", "b"),
    "SparseSigmoid": _activation("sparse_sigmoid"),
    "SparsePlus": _activation("sparse_plus"),
    "Mish": _activation("mish"),
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concatenate": _concatenate,
    "Mean": _pooled("Average"),
    "Max": _pooled("Max"),
    "Amax": _pooled("Max"),
}

_OF_TENSORFLOW = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "Divide",
    "math.divide": "Divide",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "math.negative": "Negative",
    "math.square": "Square",
    "math.exp": "Exp",
    "math.tanh": "Tanh",
    "math.sigmoid": "Sigmoid",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.sigmoid": "Sigmoid",
    "nn.tanh": "Tanh",
    "nn.elu": "Elu",
    "nn.selu": "Selu",
    "nn.softplus": "Softplus",
    "nn.softmax": "Softmax",
    "nn.silu": "Silu",
    "nn.swish": "Silu",
}
"""TensorFlow's functions, which Keras 2 notes, as Keras' operations."""
