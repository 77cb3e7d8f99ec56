"""How Keras 2 and 3 describe models, in the notation of ``layers.deserialize``.

That notation is Keras 3's, but for details: calls are noted as in Keras 3, layers have the arguments of Keras
3, and bare operations are layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fastconv.interop.keras_operations import TENSOR, as_layer, is_operation

_MODELS = {"Functional": "Functional", "Model": "Functional", "Sequential": "Sequential"}


def is_of_keras(description: Any) -> bool:
    """Whether Keras wrote this description of a model, and not fastconv."""
    if not isinstance(description, Mapping):
        return False
    module = description.get("module")
    return "keras_version" in description or (isinstance(module, str) and module.split(".")[0] == "keras")


def from_keras(description: Mapping[str, Any]) -> dict[str, Any]:
    """The same model as ``layers.deserialize`` takes it, without what ``compile`` chose.

    Raises ValueError that names the layer for code in it, which is never run, for operations that no layer
    does, and for what is no description.
    """
    if not isinstance(description, Mapping) or "class_name" not in description:
        raise ValueError(f"this is no model by Keras: {str(description)[:100]}")
    return _object(description)


def _plain(value: Any) -> Any:
    """A value in a configuration, in which objects may be nested."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("class_name")
    if kind is None:
        return {name: _plain(item) for name, item in value.items()}
    if kind in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    if kind == "function":
        return dict(value)
    return _object(value)


def _object(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A layer, or an object in its configuration: an initializer, say."""
    kind, config = entry["class_name"], entry.get("config")
    if isinstance(config, list) and kind == "Sequential":  # as the first Keras had it
        config = {"layers": config}
    if not isinstance(kind, str) or not isinstance(config, (Mapping, type(None))):
        raise ValueError(f"a description is a class and its arguments, got {str(entry)[:100]}")
    config = dict(config or {})
    registered = entry.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        kind = registered
    made = {key: entry[key] for key in ("module", "shared_object_id", "build_config") if key in entry}
    if isinstance(config.get("layers"), list):
        owner = str(config.get("name") or kind)
        _check_layers(config["layers"], owner)
        if "input_layers" in config:
            config |= _graph(config, owner)
        else:
            config["layers"] = [_object(layer) for layer in config["layers"]]
        kind = _MODELS.get(kind, kind)
    _refuse_code(kind, config)
    config = {name: _plain(value) if name != "layers" else value for name, value in config.items()}
    return {**made, "class_name": kind, "config": _as_now(kind, config)}


def _refuse_code(kind: str, config: Mapping[str, Any]) -> None:
    function = config.get("function") if kind == "Lambda" else None
    named = isinstance(function, Mapping) and function.get("class_name") == "function"
    if kind == "__lambda__" or (kind == "Lambda" and not (named or isinstance(function, str))):
        raise ValueError(
            f"{config.get('name') or kind!r} is Python code in the file, which is never run: replace the "
            "Lambda by layers in Keras and save again, or make the model here, with "
            "Lambda(function, gradient=...), and use load_weights"
        )


_RENAMED = {("LeakyReLU", "alpha"): "negative_slope"}
_OBSOLETE = {"ragged", "sparse", "optional"}


def _as_now(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a layer, as Keras 3 has them."""
    given = {_RENAMED.get((kind, name), name): value for name, value in config.items()}
    if given.get("batch_input_shape") is not None:
        shape = given.pop("batch_input_shape")
        if kind == "InputLayer":
            given["batch_shape"] = shape
        else:
            given["input_shape"] = shape[1:]
    given.pop("batch_input_shape", None)
    if given.get("groups") == 1:  # which layers without groups had in Keras 2
        del given["groups"]
    if kind == "InputLayer":
        given = {name: value for name, value in given.items() if name not in _OBSOLETE or value}
    axis = given.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        given["axis"] = axis[0]
    for name, value in given.items():  # functions by their names
        if name.endswith("activation") and isinstance(value, Mapping) and value["class_name"] == "function":
            given[name] = value["config"]
    if kind == "Lambda" and isinstance(given.get("function"), str):
        name = given["function"]
        given["function"] = {"module": "builtins", "class_name": "function", "config": name}
        for leftover in ("module", "function_type", "output_shape_type", "output_shape_module"):
            given.pop(leftover, None)
    return given


# ---- graphs -------------------------------------------------------------------------------------


def _check_layers(layers: list[Any], owner: str) -> None:
    if not all(isinstance(entry, Mapping) and "class_name" in entry for entry in layers):
        raise ValueError(f"{owner}: a layer in it is no dictionary with a class_name")


def _graph(config: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Layers with their calls, inputs and outputs."""
    inside, outside = _shifts(config)
    layers = [_entry(entry, inside, owner) for entry in config["layers"]]
    ends = {side: _places(config.get(side), outside) for side in ("input_layers", "output_layers")}
    if outside is inside:  # Keras 2 notes one tensor as a list of one
        for side, places in ends.items():
            ends[side] = places[0] if isinstance(places, list) and len(places) == 1 else places
    return {"layers": layers, **ends}


def _places(places: Any, shifts: Mapping[str, int]) -> Any:
    if _is_place(places):
        layer, call, output = places[:3]
        return [layer, call - shifts.get(layer, 0), output]
    if isinstance(places, Mapping):
        return {name: _places(place, shifts) for name, place in places.items()}
    return [_places(place, shifts) for place in places] if isinstance(places, list) else places


def _entry(entry: Mapping[str, Any], shifts: Mapping[str, int], owner: str) -> dict[str, Any]:
    name, nodes = entry.get("name"), entry.get("inbound_nodes", [])
    if not isinstance(name, str) or not isinstance(nodes, list):
        raise ValueError(f"{owner}: a layer in it has no name, or no list of inbound_nodes")
    calls = [_call(node, shifts, name) for node in nodes]
    if calls and is_operation(entry):
        rules = [as_layer(name, entry, args, kwargs) for args, kwargs in calls]
        if any(rule[:2] != rules[0][:2] for rule in rules):
            raise ValueError(f"{owner}: the operation {name!r} is called in several ways")
        made = {"class_name": rules[0].class_name, "config": {"name": name, **rules[0].config}}
        inbound = [{"args": rule.args, "kwargs": {}} for rule in rules]
    else:
        made = _object(entry)
        kind = str(made["class_name"])
        given = (_kwargs(kind, kwargs, name) for _, kwargs in calls)
        inbound = [{"args": args, "kwargs": kwargs} for (args, _), kwargs in zip(calls, given, strict=True)]
    return {**made, "name": name, "inbound_nodes": inbound}


def _call(node: Any, shifts: Mapping[str, int], name: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call; tensors in them are as Keras 3 has them."""
    if isinstance(node, Mapping):
        args, kwargs = node.get("args"), node.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, Mapping):
            raise ValueError(f"a call of {name!r} has no lists of arguments: {str(node)[:100]}")
        return args, dict(kwargs)
    tensors = [node] if _is_place(node) else node
    if not isinstance(tensors, list) or not tensors or not all(map(_is_place, tensors)):
        raise ValueError(f"a call of {name!r} is no list of [layer, call, output]: {str(node)[:100]}")
    noted: dict[str, Any] = {}
    for place in tensors:
        noted |= place[3] if len(place) > 3 and isinstance(place[3], Mapping) else {}
    args = [_tensor(place, shifts) for place in tensors]
    kwargs = {key: _tensor(value, shifts) if _is_place(value) else value for key, value in noted.items()}
    return args if len(args) == 1 else [args], kwargs


def _is_place(given: Any) -> bool:
    return (
        isinstance(given, list)
        and len(given) in (3, 4)
        and isinstance(given[0], str)
        and all(type(number) is int for number in given[1:3])
    )


def _tensor(place: list[Any], shifts: Mapping[str, int]) -> dict[str, Any]:
    layer, call, output = place[:3]
    history = [layer, call - shifts.get(layer, 0), output]
    return {"class_name": TENSOR, "config": {"keras_history": history}}


def _shifts(config: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """By how much the calls of each layer are counted too high: in the arguments of calls, and in outputs.

    Models inside have a call by which they were made. Keras 2 counts it, Keras 3 in ``output_layers`` only.
    """
    calls = {entry.get("name"): entry.get("inbound_nodes") or [] for entry in config["layers"]}
    models = {
        entry.get("name")
        for entry in config["layers"]
        if isinstance(entry.get("config"), Mapping) and "input_layers" in entry["config"]
    }
    if any(isinstance(node, Mapping) for nodes in calls.values() for node in nodes):
        return {}, dict.fromkeys(models, 1)
    highest: defaultdict[str, int] = defaultdict(int)

    def note(nested: Any) -> None:
        if _is_place(nested):
            highest[nested[0]] = max(highest[nested[0]], nested[1])
        if isinstance(nested, list):
            for item in nested:
                note(item)
        elif isinstance(nested, Mapping):
            for item in nested.values():
                note(item)

    note([*calls.values(), config.get("output_layers")])
    shifts = {name: 1 for name, call in highest.items() if call and call == len(calls.get(name, ()))}
    return shifts, shifts


_OFF = {
    "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout", "SpatialDropout2D",
    "SpectralNormalization",
}  # fmt: skip
"""Layers whose calls Keras notes with ``training=False`` where nobody gave it; with True those at work."""


def _kwargs(kind: str, kwargs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arguments of a call that mean something: not those that are None, or at Keras' defaults."""
    given = {key: value for key, value in kwargs.items() if value is not None}
    at_work = kind.startswith("Random") or kind in ("CenterCrop", "Resizing", "Pipeline")
    default = True if at_work else False if kind in _OFF else None
    if "training" in given and given["training"] is default:
        del given["training"]
    for argument in given.keys() - {"training"}:
        raise ValueError(
            f"the layer {name!r} ({kind}) is called with {argument}=, which layers do not take here: give it "
            "to the layer's constructor, or leave it out, in Keras, and save again"
        )
    return given
