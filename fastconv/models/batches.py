"""Where batches come from: arrays cut into pieces, or anything that yields (x, y) pairs."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.randomness import generator
from fastconv.graph import structure
from fastconv.graph.ports import Ports, Several, by_name, each, length, listed, taken
from fastconv.layers._arguments import whole
from fastconv.parameter import Array
from fastconv.utils.batch_source import BatchSource, is_repeatable, load_state_of, one_pass, state_of
from fastconv.utils.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from fastconv.utils.prefetch import Prefetch
from fastconv.utils.py_dataset import PyDataset


class Batch(NamedTuple):
    """A few examples: inputs, targets and weights, as far as there are any."""

    x: Any
    y: Array | None
    sample_weight: Array | None

    def packed(self) -> Any:
        """What ``train_step`` and its like are given, as in Keras: x, (x, y) or (x, y, sample_weight)."""
        if self.sample_weight is not None:
            return tuple(self)  # whether there are targets or not
        return pack_x_y_sample_weight(self.x, self.y)

    @classmethod
    def of(cls, data: Any) -> Batch:
        """The way back from ``packed``: missing parts are None. Raises ValueError for more than three."""
        return cls(*unpack_x_y_sample_weight((data,) if isinstance(data, Several) else data))


class ArrayBatches(BatchSource):
    """Arrays in memory, cut into batches: the last one is smaller where the numbers don't divide.

    ``shuffle``: True deals the examples out in a new order at each pass, "batch" only mixes each batch.
    """

    def __init__(
        self, x: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool | str = False
    ) -> None:
        if shuffle not in (True, False, "batch"):
            raise ValueError(f'shuffle must be True, False or "batch", got {shuffle!r}')
        self.data = Batch(x, y, sample_weight)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.shape: Any = self.data.x.shape
        self.number: int | None = math.ceil(length(x) / batch_size)

    def start(self, skip: int = 0) -> Generator[Batch]:
        return self.dealt(
            generator().permutation(length(self.data.x)) if self.shuffle is True else None, skip
        )

    def dealt(self, order: Array | None, skip: int = 0) -> Generator[Batch]:
        """The batches of one pass, the examples in this order, without the first ``skip`` batches."""
        n = length(self.data.x)
        for start in range(skip * self.batch_size, n, self.batch_size):
            stop = min(start + self.batch_size, n)
            which: slice | Array = slice(start, stop)
            if order is not None:
                which = order[start:stop]
            elif self.shuffle == "batch":
                which = start + generator().permutation(stop - start)
            yield Batch(*(taken(part, which) for part in self.data))


class IterableBatches(BatchSource):
    """Batches that somebody else makes: a generator, a list of (x, y) pairs, a data loader, ...

    ``dataset`` is the object whose ``on_epoch_begin`` and ``on_epoch_end`` are to be called, if any.
    """

    def __init__(
        self,
        source: Iterable[Any],
        class_weight: Mapping[int, float] | None = None,
        dataset: Any = None,
        ports: Ports | None = None,
    ) -> None:
        self.ports = ports
        self.source = source
        self.class_weight = class_weight
        self.dataset = dataset
        self.shape: Any = None  # not known before the first batch
        self.number = _length(source)

    @property
    def repeatable(self) -> bool:
        return is_repeatable(self.source)

    def start(self, skip: int = 0) -> Generator[Batch]:
        return self._checked(one_pass(self.source, skip))

    def _checked(self, batches: Generator[Any]) -> Generator[Batch]:
        with closing(batches):
            for given in batches:
                yield checked_batch(*in_order(self.ports, *Batch.of(given)), self.class_weight)

    def state_dict(self) -> dict[str, Any]:
        return state_of(self.source)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        load_state_of(self.source, state)


class IndexedBatches(BatchSource):
    """An object with ``len(source)`` batches ``source[i]``: a ``utils.PyDataset``, say."""

    def __init__(self, source: Any, shuffle: bool | str) -> None:
        self.source = source
        self.shuffle = shuffle

    def __len__(self) -> int:
        return len(self.source)

    def start(self, skip: int = 0) -> Generator[Any]:
        order = generator().permutation(len(self)).tolist() if self.shuffle else range(len(self))
        return self._dealt(order[skip:])

    def _dealt(self, order: Iterable[int]) -> Generator[Any]:
        for index in order:
            yield self.source[index]

    def state_dict(self) -> dict[str, Any]:
        return state_of(self.source)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        load_state_of(self.source, state)


Batches = ArrayBatches | IterableBatches


def batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
    ports: Ports | None = None,
) -> Batches:
    """Batches of whatever ``x`` is, with targets and weights from ``y`` and ``sample_weight`` or from ``x``.

    Arrays are cut by ``batch_size``: 32 where None, or so that there are ``steps``. Raises ValueError where
    there are no examples, lengths differ, or ``x`` is nothing that could hold examples.
    """
    if ports is None or len(ports.inputs) == 1:
        refuse_unusable(x, "x")
    batch_size = whole(batch_size, "batch_size") if batch_size is not None else None
    if is_array(x, y):
        data = checked_batch(x, y, sample_weight, class_weight)
        if batch_size is None:
            batch_size = math.ceil(length(data.x) / steps) if steps else 32
        return ArrayBatches(*data, batch_size=batch_size, shuffle=shuffle)
    if isinstance(x, (str, bytes)) or not (hasattr(x, "__iter__") or hasattr(x, "__getitem__")):
        raise ValueError(
            f"x must be an array, or a generator or other iterable of batches (x, y); got {type(x).__name__}"
        )
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise ValueError(
                f"x is {_article(x)}, so {name} must be in its batches: (x, y) or (x, y, sample_weight)"
            )
    if isinstance(x, PyDataset) or not hasattr(x, "__iter__"):
        indexed = IndexedBatches(x, shuffle)
        in_background = getattr(x, "workers", 1) > 1
        source = Prefetch(indexed, depth=x.max_queue_size) if in_background else indexed
        return IterableBatches(source, class_weight, dataset=x, ports=ports)
    return IterableBatches(x, class_weight, ports=ports)


def is_array(x: Any, y: Any = None) -> bool:
    """True where ``x`` holds the examples themselves rather than batches of them."""
    if isinstance(x, Several):
        return True
    if isinstance(x, (list, tuple)):
        first = x[0] if len(x) > 0 and isinstance(x[0], tuple) and len(x[0]) > 0 else None
        holds_batches = first is not None and (
            hasattr(first[0], "__array__") or structure.holds_arrays(first[0])
        )
        return y is not None or not holds_batches
    return hasattr(x, "__array__")


def checked_batch(
    x: Any, y: Any = None, sample_weight: Any = None, class_weight: Mapping[int, float] | None = None
) -> Batch:
    """The three as arrays of the same length, class weights turned into sample weights."""
    inputs = each(x, lambda part: as_numbers(part, "x"))
    targets = None if y is None else each(y, lambda part: as_numbers(part, "y"))
    weights = (
        None if sample_weight is None else each(sample_weight, lambda part: as_numbers(part, "sample_weight"))
    )
    if length(inputs) == 0:
        raise ValueError(f"x is empty: it holds no examples, its shape is {inputs.shape}")
    first = listed(inputs)[0]
    for name, arrays in (("x", inputs), ("y", targets), ("sample_weight", weights)):
        for array in listed(arrays):
            if array is not None and len(array) != len(first):
                raise ValueError(
                    f"x and {name} must have the same length, got {len(first)} and {len(array)} "
                    f"(shapes {first.shape} and {array.shape})"
                )
    if class_weight is not None:
        if isinstance(targets, Several):
            raise ValueError("class_weight is for models with one output: give sample_weight by output")
        if weights is not None:
            raise ValueError("give class_weight or sample_weight, not both: multiply them into sample_weight")
        weights = class_weights(targets, class_weight)
    return Batch(inputs, targets, weights)


def class_weights(y: Array | None, class_weight: Mapping[int, float]) -> Array:
    """One weight per sample, by its class; 1 for classes that ``class_weight`` leaves out.

    ``y`` holds whole-number labels (N,) or (N, 1), or is one-hot (N, C). Raises ValueError for keys that
    cannot be a class of ``y``, and for weights that are negative or not finite.
    """
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight must be a dictionary {{class: weight}}, got {type(class_weight).__name__}"
        )
    if y is None:
        raise ValueError("class_weight needs the targets y")
    if y.ndim > 2:
        raise ValueError(f"class_weight needs one class per example, but y has the shape {y.shape}")
    one_hot = y.ndim == 2 and y.shape[1] > 1
    _check_class_weight(class_weight, y.shape[1] if one_hot else None)
    labels = y.argmax(axis=1) if one_hot else np.rint(y.reshape(len(y)))
    if not np.isfinite(labels).all():
        raise ValueError("class_weight needs the class of each example, but y holds NaN or infinity")
    return np.array([class_weight.get(int(label), 1.0) for label in labels], np.float32)


def _check_class_weight(class_weight: Mapping[Any, Any], classes: int | None) -> None:
    """Every key a class, one of ``classes`` where that is known, and every value a weight."""
    for key, weight in class_weight.items():
        if not _is_number(key, bool) or not math.isfinite(key) or key != int(key):
            raise ValueError(
                f"class_weight: the keys are class numbers, such as {{0: 1.0, 1: 2.5}}; got the key {key!r}"
            )
        if classes is not None and not 0 <= key < classes:
            raise ValueError(f"class_weight: y has the classes 0..{classes - 1}, but a key is {key!r}")
        if not _is_number(weight) or not 0 <= weight < math.inf:
            raise ValueError(
                f"class_weight: the weight of class {key!r} must be a number, not negative; got {weight!r}"
            )


def split_off_validation(
    x: Any, y: Any, sample_weight: Any, fraction: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """(training, validation): the last ``fraction`` of the examples, as given, is for validation."""
    if not 0 < fraction < 1:
        raise ValueError(f"validation_split is a share between 0 and 1, got {fraction!r}")
    if not is_array(x, y):
        raise ValueError("validation_split needs arrays; give batches from elsewhere as validation_data")
    data = checked_batch(x, y, sample_weight)
    n = length(data.x)
    cut = math.floor(n * (1 - fraction))
    if cut in (0, n):
        raise ValueError(
            f"validation_split={fraction} of {n} examples leaves none for "
            f"{'training' if cut == 0 else 'validation'}"
        )
    first, last = ([taken(part, which) for part in data] for which in (slice(cut), slice(cut, n)))
    return tuple(first), tuple(last)


def unpacked(data: Any, ports: Ports | None = None) -> tuple[Any, Any, Any]:
    """What was given as one argument, such as ``validation_data``, as x, y and sample_weight.

    A tuple in front is one batch of several, or holds the inputs of a model that has several.
    """
    if isinstance(data, Several) or not (isinstance(data, (tuple, list)) and 1 <= len(data) <= 3):
        return data, None, None
    if isinstance(data[0], tuple) and len(data[0]) > 1:
        several = ports is not None and len(ports.inputs) > 1
        if not several or structure.holds_arrays(data[0][0]):
            return data, None, None
    return tuple(Batch.of(data))


def in_order(ports: Ports | None, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """The parts of a batch as a model takes them; those of several inputs and outputs in its order."""
    if ports is None or ports.is_plain:
        return x, y, sample_weight
    return ports.sorted(x, y, sample_weight)


def without_structure(
    x: Any, y: Any, sample_weight: Any, example_shape: tuple[int, ...] | None, name: str | None = None
) -> tuple[Any, Any, Any]:
    """X and Y of ``[X]`` and ``[Y]``, or of ``{"name": X}``: structures of a model's only input and output.

    A list of one example, an array of ``example_shape``, stays what it is. Where the shape is not known
    (None), the number of targets tells the two apart. Raises ValueError where X has another name than
    ``name``, that of the input, if it is known.
    """
    inner = _only_array(x)
    if name is not None and inner is not None and isinstance(x, Mapping):
        by_name(x, [name], "x", "inputs")
    if inner is not None:
        targets = y if _only_array(y) is None else _only_array(y)
        if isinstance(x, Mapping):
            x = inner
        elif example_shape is not None:
            x = x if np.shape(inner) == example_shape else inner
        elif targets is not None and hasattr(targets, "__len__") and len(targets) == len(inner):
            x = inner
    return x, _unwrapped(y, x), _unwrapped(sample_weight, x)


def _unwrapped(part: Any, x: Any) -> Any:
    """``part``, or the only array in it where that is as long as x."""
    inner = _only_array(part)
    if inner is None or not hasattr(x, "__len__"):
        return part
    return inner if isinstance(part, Mapping) or len(inner) == len(x) else part


def _only_array(value: Any) -> Any:
    """The array in a list, tuple or dictionary of just one; None for anything else."""
    if isinstance(value, np.ndarray) or not isinstance(value, (list, tuple, Mapping)) or len(value) != 1:
        return None
    inner = next(iter(value.values() if isinstance(value, Mapping) else value))
    return inner if hasattr(inner, "__array__") and np.ndim(inner) else None


def refuse_unusable(value: Any, name: str) -> None:
    """ValueError for sparse matrices and dictionaries, which says what to give instead."""
    if isinstance(value, np.ndarray):
        return
    if hasattr(value, "toarray"):
        raise ValueError(f"{name} is a sparse matrix, and a model takes dense arrays: give {name}.toarray()")
    if isinstance(value, Mapping):
        keys = ", ".join(map(repr, list(value)[:5]))
        raise ValueError(
            f"{name} is a dictionary ({keys}), and the model has one input and one output: give the array "
            f"itself, or put the columns together with np.column_stack(list({name}.values()))"
        )


def _length(source: Any) -> int | None:
    try:
        return len(source)
    except TypeError:
        return None


def as_numbers(value: Any, name: str) -> Array:
    """``value`` as an array of numbers with a batch axis.

    Data frames with columns of several types, and other arrays of Python objects, are taken where all of them
    are numbers. Raises ValueError for what is no array, and TypeError for one that does not hold real
    numbers; both say what to do about it.
    """
    refuse_unusable(value, name)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is not one array: its items differ in shape") from None
    if array.ndim == 0:
        raise ValueError(f"{name} must be an array of examples, got {value!r}")
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind != "O":
        raise TypeError(_remedy(name, f"has the dtype {array.dtype}", array.flat[0] if array.size else None))
    for index, item in np.ndenumerate(array):
        if not _is_number(item, bool):
            at = ", ".join(map(str, index))
            raise TypeError(_remedy(name, f"holds a {type(item).__name__} at [{at}], {item!r}", item))
    return np.array(array.tolist())


def _remedy(name: str, found: str, item: Any) -> str:
    """The error for an array that has such an ``item``: what to do about it."""
    if isinstance(item, (str, bytes)):
        remedy = (
            "number the classes: classes, y = np.unique(y, return_inverse=True)"
            if name == "y"
            else "make numbers of text, for example with pandas.get_dummies"
        )
    elif hasattr(item, "__array__") and np.ndim(item):
        remedy = "make one array of them with np.stack"
    else:
        remedy = "convert it, or fill in what is missing"
    return f"{name} must hold real numbers, but it {found}: {remedy}"


def _is_number(value: Any, *also: type) -> bool:
    return isinstance(value, (Real, np.bool_)) and (bool in also or not isinstance(value, bool))


def _article(x: Any) -> str:
    name = type(x).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
