"""Data as users give it, in the order and of the shapes that a model takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv.graph import structure
from fastconv.graph.ports import Ports, each
from fastconv.layers.layer import Layer
from fastconv.models.batches import Batch, checked_batch, without_structure
from fastconv.models.epochs import Epochs, epochs_of
from fastconv.ops._door import array as floats
from fastconv.parameter import Array


class Intake(Layer):
    """A layer that takes data as ``fit`` does: arrays, lists and dictionaries of them, or batches."""

    def _arranged(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Data as given to ``fit``, in the order of the model's inputs and outputs; batches from elsewhere
        stay."""
        self._build_for_several(x, y)
        ports = self._ports
        if ports.is_plain:
            return without_structure(x, y, sample_weight, self._example_shape, self._only_input)
        batches = isinstance(x, (list, tuple)) and any(isinstance(item, tuple) for item in x)
        in_arrays = isinstance(x, Mapping) or y is not None or hasattr(x, "__array__")
        in_arrays = in_arrays or (_may_hold_arrays(x) and not batches)
        return ports.sorted(x, y, sample_weight) if in_arrays else (x, y, sample_weight)

    def _build_for_several(self, x: Any, y: Any) -> None:
        """Build a model with a ``call`` of its own where x or y may be several arrays: a dictionary of
        inputs, one input and several targets, or inputs (x0, x1, ...) as long as the targets, if any.

        Vectors in a list are examples.
        """
        if self._outputs_are_known:
            return
        if isinstance(x, Mapping) and len(x) > 1 and all(map(_is_batch, x.values())):
            shapes: Any = {name: (None, *part.shape[1:]) for name, part in x.items()}
            self.build(shapes)
            return
        if _is_batch(x) and isinstance(y, (list, tuple, Mapping)) and structure.holds_arrays(y):
            self.build((None, *x.shape[1:]))
            return
        if not isinstance(x, (list, tuple)) or len(x) < 2:
            return
        if not all(map(_is_batch, x)):
            return
        targets = structure.leaves(y)[0] if structure.holds_arrays(y) else y
        count = len(targets) if hasattr(targets, "__len__") else len(x[0])
        if all(len(part) == count for part in x):
            shapes = [(None, *part.shape[1:]) for part in x]
            self.build(shapes)

    def _epochs(self, *arguments: Any) -> Epochs:
        """The epochs of some data. Arrays the model cannot take are an error here, before anything begins."""
        data = epochs_of(*arguments, ports=self._ports)
        if data.source.shape is not None:
            self._check_shape(data.source.shape)
        return data

    def _batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> Batch:
        parts = self._arranged(x, y, sample_weight)
        return checked_batch(*parts, class_weight)

    def _inputs(self, x: Any) -> Any:
        """What ``predict`` is given as one array, or ``Several`` in the order of the inputs. Raises
        ValueError where the model does not take it.
        """
        arranged, _, _ = self._arranged(x, None, None)
        arrays = each(arranged, np.asarray)
        self._check_shape(arrays.shape)
        return arrays

    def _checked(self, x: ArrayLike) -> Array:
        """x as floats, of a shape the model takes; of several inputs a list."""
        if isinstance(x, (list, tuple, dict)) and self.takes_several and structure.holds_arrays(x):
            return x  # type: ignore[return-value]  # ``forward`` looks at each of them
        batch = floats(x, f"the input of {self}")
        self.check_input(batch.shape)
        return batch

    def _check_shape(self, shape: Any) -> None:
        """Raise ValueError where an array of this shape, or several arrays, are no input of the model."""
        if isinstance(shape, list):
            self.check_inputs([tuple(one[1:]) for one in shape])
        else:
            self.check_input(shape)

    @property
    def _ports(self) -> Ports:
        """The names of inputs and outputs."""
        return Ports(("x",), ("y",))

    @property
    def _only_input(self) -> str | None:
        """The name of the only input, where the inputs have names that the user knows."""
        return None

    @property
    def _outputs_are_known(self) -> bool:
        """Whether it is known how many outputs there are."""
        return self.built

    @property
    def _example_shape(self) -> tuple[int, ...] | None:
        return self._input_shape or self.requested_input_shape


def _is_batch(part: Any) -> bool:
    """Whether this is an array of examples that are no single numbers."""
    return isinstance(part, np.ndarray) and part.ndim > 1


def _may_hold_arrays(x: Any) -> bool:
    """Whether this is a list, tuple or dictionary of arrays, some of which may be missing."""
    if isinstance(x, (list, tuple)):
        x = [part for part in x if part is not None]
    return structure.holds_arrays(x)
