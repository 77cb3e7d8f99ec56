"""Nested lists, tuples and dictionaries of tensors, as models take and return them.

A *leaf* is whatever is no list, tuple or dictionary. Leaves are counted in the order of the structure; those
of a dictionary in the order of its sorted keys, as in Keras, so that two dictionaries with the same keys
match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def leaves(structure: Any) -> list[Any]:
    """All leaves, in order: ``[a, {"y": c, "x": b}]`` has the leaves a, b, c."""
    return [structure] if is_leaf(structure) else list(_leaves(structure))


def _leaves(structure: Any) -> Iterator[Any]:
    if isinstance(structure, (list, tuple)):
        for item in structure:
            yield from _leaves(item)
    elif isinstance(structure, Mapping):
        for key in sorted(structure):
            yield from _leaves(structure[key])
    else:
        yield structure


def mapped(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same structure with ``function(leaf)`` in the place of each leaf."""
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(mapped(function, item) for item in structure))
    if isinstance(structure, (list, tuple)):
        return type(structure)(mapped(function, item) for item in structure)
    if isinstance(structure, Mapping):
        values = {key: mapped(function, structure[key]) for key in sorted(structure)}
        return {key: values[key] for key in structure}
    return function(structure)


def packed(structure: Any, new_leaves: Iterable[Any]) -> Any:
    """The same structure with other leaves, given in order."""
    replacements = iter(new_leaves)
    return mapped(lambda _: next(replacements), structure)


def alone(structure: Any) -> Any:
    """The tensor or array in a list or tuple of one; anything else as it is."""
    single = isinstance(structure, (list, tuple)) and len(structure) == 1 and hasattr(structure[0], "shape")
    return structure[0] if single else structure


def is_leaf(structure: Any) -> bool:
    """Whether ``structure`` is a single leaf."""
    return not isinstance(structure, (list, tuple, Mapping))


def shape_leaves(shapes: Any) -> list[tuple[int | None, ...]]:
    """All shapes in nested shapes, in order."""
    if is_shape(shapes):
        return [tuple(shapes)]
    items = [shapes[key] for key in sorted(shapes)] if isinstance(shapes, Mapping) else shapes
    return [shape for item in items for shape in shape_leaves(item)]


def map_shapes(function: Callable[[tuple[int | None, ...]], Any], shapes: Any) -> Any:
    """The same nesting with ``function(shape)`` in the place of each shape."""
    if is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, Mapping):
        values = {key: map_shapes(function, shapes[key]) for key in sorted(shapes)}
        return {key: values[key] for key in shapes}
    return type(shapes)(map_shapes(function, shape) for shape in shapes)


def is_shape(shapes: Any) -> bool:
    """Whether this is one shape rather than nested shapes."""
    return isinstance(shapes, (list, tuple)) and all(n is None or hasattr(n, "__index__") for n in shapes)


def holds_arrays(given: Any) -> bool:
    """Whether this is a list, tuple or dictionary of arrays, several inputs, rather than one array or
    numbers."""
    if isinstance(given, Mapping):
        return True
    return (
        isinstance(given, (list, tuple))
        and len(given) > 0
        and all(getattr(item, "ndim", 0) > 0 or holds_arrays(item) for item in given)
    )
