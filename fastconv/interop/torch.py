"""Weights from PyTorch and back, without PyTorch.

>>> from fastconv.interop import torch as interop_torch
>>> interop_torch.load_weights(model, "net.pt")             # torch.save(net.state_dict(), "net.pt")
>>> arrays = interop_torch.state_dict(model)
>>> net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})

The network is written down in both libraries; only numbers are exchanged. Files are read without running
anything in them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv._core.names import publish
from fastconv.interop.torch_file import read_tensors
from fastconv.interop.torch_layout import Slot, slots
from fastconv.models.model import Model
from fastconv.parameter import Array

__all__ = ["load_weights", "state_dict"]

Source = str | os.PathLike[str] | Mapping[str, Any]
Modules = Mapping[str, str | Sequence[str]]

_COUNT = "num_batches_tracked"
_TENSORS = ["weight", "bias", "running_mean", "running_var"]
_SHOWN = 10  # mismatches in a message


def load_weights(
    model: Model, source: Source, mapping: Modules | None = None, *, allow_nan: bool = False
) -> None:
    """Copy the weights of a PyTorch network into a model that is written like it.

    Kernels (F, C, KH, KW) become (KH, KW, C, F), and likewise those of depthwise and transposed convolutions
    and of ``Linear``; ``running_mean`` and ``running_var`` become the moving averages. The numbers of an
    image that ``Flatten`` lays in a row, or that ``Reshape`` makes of one, come in another order in PyTorch:
    the layers behind and in front are changed accordingly. ``num_batches_tracked`` is left out.

    Parameters
    ----------
    source : a ``.safetensors`` file, a file by ``torch.save(net.state_dict(), path)``, or the dictionary
        itself, of arrays or tensors
    mapping : {layer's name: module's name in PyTorch}, for every layer with weights; for a separable
        convolution a pair of modules. None: tensors belong together by their order, that of ``model.layers``.
        Of networks with branches that order may differ from PyTorch's where shapes do not tell. Files that
        end in ``.safetensors`` keep no order: modules belong to layers by their shapes, and among equal ones
        by the numbers in their names
    allow_nan : accept weights that are NaN or infinite

    Raises ValueError, and the model is unchanged then, for a model that is not built, a file that is damaged
    or holds anything but tensors, and for tensors that do not fit: it lists them with the layer, the shape
    expected in PyTorch's order and what came.
    """
    if not isinstance(model, Model):
        raise TypeError(f"load_weights copies into a model, got {model!r}; the source comes second")
    wanted = _slots(model)
    if isinstance(source, Mapping):
        what, tensors = "the dictionary", {name: _array(name, tensor) for name, tensor in source.items()}
    else:
        what, tensors = os.fspath(source), read_tensors(source)
    tensors = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] != _COUNT}
    if mapping is not None:
        names = _mapped(wanted, mapping, model)
    elif what.endswith(".safetensors"):
        names = _put_in_order(wanted, tensors, what)
    else:
        names = list(tensors)
    problems = _problems(wanted, names, tensors, allow_nan)
    if problems:
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        listed = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise ValueError(f"{what} does not fit {model}:{listed}{more}")
    values = [
        (slot.parameter, slot.back(np.asarray(tensors[name], np.float32)))
        for slot, name in zip(wanted, names, strict=True)
        if slot.parameter is not None
    ]
    for parameter, value in values:
        parameter.value = value


def state_dict(model: Model, names: Modules | Sequence[str] | None = None) -> dict[str, Array]:
    """The weights of a model as PyTorch has them: name -> array, for ``net.load_state_dict``.

    Parameters
    ----------
    names : {layer's name: module's name in PyTorch}, as ``mapping`` of ``load_weights``; or the names of all
        tensors in order, ``list(net.state_dict())``. None: "layer.weight", "layer.bias" and so on

    Raises ValueError for a model that is not built, layers that PyTorch has not, and other names than
    there are tensors.
    """
    wanted = _slots(model)
    counts: list[str] = []
    if names is None:
        given = [f"{slot.layer.name}.{slot.name}" for slot in wanted]
        repeated = [name for name, count in Counter(given).items() if count > 1]
        if repeated:
            raise ValueError(f"{model} has several layers of one name, {repeated[0]}: give names=")
    elif isinstance(names, Mapping):
        given = _mapped(wanted, names, model)
    else:
        given = [name for name in names if name.rpartition(".")[2] != _COUNT]
        counts = list(names)
        if len(given) != len(wanted):
            own = ", ".join(f"{slot.layer.name}.{slot.name} {slot.shape}" for slot in wanted)
            raise ValueError(f"{model} has {len(wanted)} tensors, got {len(given)} names. They are {own}")
    arrays: dict[str, Array] = {}
    for slot, name in zip(wanted, given, strict=True):
        arrays[name] = _value(slot)
        if slot.tensor == "running_var" and not counts:
            arrays[name.removesuffix("running_var") + _COUNT] = np.zeros((), np.int64)
    return {name: arrays.get(name, np.zeros((), np.int64)) for name in counts or arrays}


def _slots(model: Model) -> list[Slot]:
    if not model.built:
        raise ValueError(f"{model} has no weights yet: call build(input_shape) first")
    return slots(model)


def _value(slot: Slot) -> Array:
    if slot.parameter is None:
        return np.full(slot.shape, slot.constant, np.float32)
    return np.array(slot.to(slot.parameter.value), np.float32, order="C")


def _array(name: str, tensor: Any) -> Array:
    """An array of a dictionary's tensor, which may be PyTorch's."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        return np.asarray(tensor.numpy())
    if not isinstance(tensor, (np.ndarray, np.generic)):
        raise TypeError(f"{name}: a state_dict holds tensors or arrays, got {type(tensor).__name__}")
    return np.asarray(tensor)


def _mapped(wanted: list[Slot], mapping: Modules, model: Model) -> list[str]:
    """The name in PyTorch of each tensor."""
    own = dict.fromkeys(slot.layer.name for slot in wanted)
    unknown = [name for name in mapping if name not in own]
    missing = [name for name in own if name not in mapping]
    if unknown or missing:
        raise ValueError(
            f"mapping has an entry for each layer of {model} with weights: "
            + "; ".join(
                [f"{name!r} is missing" for name in missing] + [f"{name!r} is none" for name in unknown]
            )
        )
    names = []
    for slot in wanted:
        module = mapping[slot.layer.name]
        if isinstance(module, str):
            names.append(f"{module}.{slot.name}" if module else slot.name)
        elif slot.module and len(module) == 2:
            names.append(f"{module[slot.module == 'pointwise']}.{slot.tensor}")
        else:
            raise ValueError(f"mapping[{slot.layer.name!r}] must be the name of one module, got {module!r}")
    return names


def _put_in_order(wanted: list[Slot], tensors: Mapping[str, Array], what: str) -> list[str]:
    """The names of tensors that came in no order, in that of the layers.

    Raises ValueError where modules of the same shapes differ in more than the numbers in their names.
    """
    modules: dict[str, dict[str, tuple[int, ...]]] = {}
    for name in sorted(tensors, key=_natural):
        module, _, tensor = name.rpartition(".")
        modules.setdefault(module, {})[tensor] = tensors[name].shape
    order = list(modules)
    layers: dict[tuple[int, str], list[Slot]] = {}
    for slot in wanted:
        layers.setdefault((id(slot.layer), slot.module), []).append(slot)
    if not all(part.isdigit() for module in modules for part in module.split(".") if module):
        same: dict[Any, list[str]] = {}
        for module, found in modules.items():
            same.setdefault(frozenset(found.items()), []).append(module)
        wanted_kinds = [frozenset((s.tensor, s.shape) for s in group) for group in layers.values()]
        if Counter(wanted_kinds) == Counter({kind: len(found) for kind, found in same.items()}):
            for alike in same.values():
                if len({re.sub(r"\d+", "#", module) for module in alike}) > 1:
                    raise ValueError(
                        f"{what} keeps no order, and the modules {', '.join(alike)} have the same shapes: "
                        "say which belongs to which layer, mapping={layer's name: module's name}"
                    )
            order = [same[kind].pop(0) for kind in wanted_kinds]
    return [
        f"{module}.{tensor}" if module else tensor
        for module in order
        for tensor in sorted(modules[module], key=_place)
    ]


def _place(tensor: str) -> int:
    return _TENSORS.index(tensor) if tensor in _TENSORS else len(_TENSORS)


def _natural(name: str) -> list[Any]:
    """For sorting: numbers in names by their size."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _problems(
    wanted: list[Slot], names: list[str], tensors: Mapping[str, Array], allow_nan: bool
) -> list[str]:
    """What does not fit, in words."""
    found = []
    for slot, name in zip(wanted, names, strict=False):
        expected = f"{slot.layer}: expected {slot.tensor} {slot.shape}"
        tensor = tensors.get(name)
        last = name.rpartition(".")[2]
        shapes = [slot.shape, (1,)] if _may_be_single(slot) else [slot.shape]
        if tensor is None:
            found.append(f"{expected}, there is no {name}")
        elif tensor.shape not in shapes or (last in _TENSORS and last != slot.tensor):
            found.append(f"{expected}, got {name} {tensor.shape}")
        elif tensor.dtype.kind != "f":
            found.append(f"{expected} of floats, got {name} of {tensor.dtype}")
        elif not allow_nan and not np.isfinite(tensor).all():
            found.append(f"{slot.layer}: {name} holds NaN or infinity; allow_nan=True loads it all the same")
        elif slot.parameter is None and (tensor != slot.constant).any():
            found.append(f"{slot.layer} has no {slot.tensor}, so {name} must be {slot.constant:g} throughout")
    for slot in wanted[len(names) :]:
        found.append(f"{slot.layer}: expected {slot.tensor} {slot.shape}, there are no more tensors")
    used = set(names[: len(wanted)])
    found += [f"no layer for {name} {tensor.shape}" for name, tensor in tensors.items() if name not in used]
    return found


def _may_be_single(slot: Slot) -> bool:
    """Whether one number may stand for all: PReLU's slope."""
    return type(slot.layer).__name__ == "PReLU"


publish(__name__)
