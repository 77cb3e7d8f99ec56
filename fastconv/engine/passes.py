"""Changes of a table of operations that leave alone what it computes.

Each takes the operations, the tensors' sizes and the numbers of the tensors that are asked for, and returns
other operations; sizes may get longer. The order stays one in which tensors are made before they are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from fastconv.engine.lower import Op, Size, derived_from_output

_ENDS_IN_ACTIVATION = {"conv", "depthwise", "conv_transposed", "dense", "batch_norm", "elementwise"}


def optimized(ops: list[Op], sizes: list[Size], kept: Collection[int]) -> list[Op]:
    """All passes, in order."""
    for change in (
        convolutions_of_whole_images_as_dense,
        merge_reshapes,
        fuse_residuals,
        fuse_activations,
        drop_unread,
    ):
        ops = change(ops, sizes, kept)
    return ops


def _readers(ops: list[Op]) -> Counter[int]:
    return Counter(number for op in ops for number in op["inputs"])


def convolutions_of_whole_images_as_dense(
    ops: list[Op], sizes: list[Size], kept: Collection[int]
) -> list[Op]:
    """A convolution whose kernel covers the image, pixel for pixel, is a dense layer of all its numbers."""
    changed: list[Op] = []
    for op in ops:
        if not _covers_image(op, sizes):
            changed.append(op)
            continue
        (x,) = op["inputs"]
        H, W, C = sizes[x]
        if (H, W) != (1, 1):
            flat = len(sizes)
            sizes.append((1, 1, H * W * C))
            changed.append({"kind": "reshape", "inputs": [x], "output": flat, "layer": op["layer"]})
            x = flat
        dense: Op = {name: op[name] for name in ("output", "layer", "activation", "alpha") if name in op}
        K = sizes[op["output"]][2]
        for what in ("weights", "gradients"):
            kernel, bias = op[what]
            dense[what] = [None if kernel is None else kernel.reshape(-1, K), bias]
        changed.append({**dense, "kind": "dense", "inputs": [x]})
    return changed


def _covers_image(op: Op, sizes: list[Size]) -> bool:
    if op["kind"] != "conv" or op["groups"] != 1 or op["algorithm"] != -1:
        return False
    (x,) = op["inputs"]
    one_tap_apart = all(d == 1 or k == 1 for d, k in zip(op["dilation"], op["size"], strict=True))
    whole = op["size"] == sizes[x][:2] and sizes[op["output"]][:2] == (1, 1)
    return whole and one_tap_apart and op["padding"] == (0, 0)


def merge_reshapes(ops: list[Op], sizes: list[Size], kept: Collection[int]) -> list[Op]:
    """A reshape of a reshape that nobody asks for is one of the first tensor."""
    origin: dict[int, int] = {}
    changed = []
    for op in ops:
        if op["kind"] == "reshape":
            (x,) = op["inputs"]
            first = origin.get(x, x)
            if op["output"] not in kept:
                origin[op["output"]] = first
            op = {**op, "inputs": [first]}
        changed.append(op)
    return changed


def fuse_residuals(ops: list[Op], sizes: list[Size], kept: Collection[int]) -> list[Op]:
    """A sum of two, one of which is normalised for it alone, is part of that batch normalisation."""
    readers = _readers(ops)
    normed: dict[int, Op] = {}
    changed: list[Op] = []
    for op in ops:
        if op["kind"] == "elementwise" and op["elementwise"] == "add":
            y = sizes[op["output"]]
            for here, other in (op["inputs"][::-1], op["inputs"]):
                norm = normed.get(here)
                alone = readers[here] == 1 and here not in kept
                if norm is None or not alone or sizes[here] != y or sizes[other] != y:
                    continue
                del changed[next(i for i, made in enumerate(changed) if made is norm)]
                also = [*norm.get("also", ()), op["layer"]]
                op = {**norm, "inputs": [*norm["inputs"], other], "output": op["output"], "also": also}
                break
        elif (
            op["kind"] == "batch_norm" and _calls(ops, op) == 1
        ):  # of several, the last moves its statistics last
            normed[op["output"]] = op
        changed.append(op)
    return changed


def _calls(ops: list[Op], norm: Op) -> int:
    """How often the statistics of a batch normalisation are moved in a run."""
    mean = norm["weights"][2]
    return sum(op["kind"] == "batch_norm" and op["weights"][2] is mean for op in ops)


def fuse_activations(ops: list[Op], sizes: list[Size], kept: Collection[int]) -> list[Op]:
    """An activation behind an operation that can end in one, whose result nobody else reads, ends it."""
    readers = _readers(ops)
    made_by: dict[int, int] = {}
    changed: list[Op] = []
    for op in ops:
        before = made_by.get(op["inputs"][0]) if op["kind"] == "activation" else None
        if before is not None and derived_from_output(op["activation"]):
            below = changed[before]
            alone = readers[below["output"]] == 1 and below["output"] not in kept
            if (
                below["kind"] in _ENDS_IN_ACTIVATION
                and below.get("activation", "linear") == "linear"
                and alone
            ):
                fused: dict[str, Any] = {name: op[name] for name in ("activation", "alpha", "output")}
                fused["also"] = [*below.get("also", ()), op["layer"]]
                changed[before] = {**below, **fused}
                made_by[op["output"]] = before
                continue
        made_by[op["output"]] = len(changed)
        changed.append(op)
    return changed


def drop_unread(ops: list[Op], sizes: list[Size], kept: Collection[int]) -> list[Op]:
    """Without the operations whose result nobody reads. Batch norm that moves its statistics stays."""
    read = set(kept)
    changed: list[Op] = []
    for op in reversed(ops):
        if op["output"] in read or (op["kind"] == "batch_norm" and op["training"]):
            read.update(op["inputs"])
            changed.append(op)
    return changed[::-1]
