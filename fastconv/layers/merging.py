"""Layers that make one tensor of several: sums, products, extremes, and one tensor behind the other."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastconv import ops
from fastconv._core.checks import is_whole
from fastconv._core.geometry import image_size
from fastconv.layers._arguments import truth
from fastconv.layers.layer import Layer
from fastconv.parameter import Array

if TYPE_CHECKING:
    from fastconv.engine.lower import Builder, Tensor

Shapes = list[tuple[int | None, ...]]

_SHORTEST = 1e-7  # vectors are divided by their length, but by no less


class Merge(Layer):
    """Base of the layers that are called on a list of tensors."""

    takes_several = True
    least, most = 1, 0  # how many inputs; 0 for any number

    def check_inputs(self, shapes: Any) -> None:
        """Raise a ValueError where this is no list of shapes, or one of too few or too many."""
        name = type(self).__name__
        if not isinstance(shapes, list):
            raise ValueError(
                f"{self} is called on a list of tensors, {name}()([a, b]); got one of shape {shapes}"
            )
        wanted = f"exactly {self.least}" if self.most == self.least else f"at least {self.least}"
        if len(shapes) < self.least or (self.most and len(shapes) > self.most):
            raise ValueError(f"{self} is called on {wanted} tensors, got {len(shapes)}")

    def windows(self) -> tuple[()]:
        self.shapes()
        return ()


class ElementwiseMerge(Merge):
    """Base of y = ((x₀ ∘ x₁) ∘ x₂) ∘ ..., number by number, for inputs whose shapes NumPy broadcasts.

    A tensor of lower rank gets axes of size 1 behind the batch axis. Sizes of 1 are repeated, so that (N, 1,
    1, C) and (N, H, W, C) make (N, H, W, C), as squeeze-and-excitation has it.
    """

    operation: str

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        self.check_inputs(input_shape)
        shape = tuple(input_shape[0])
        for other in input_shape[1:]:
            shape = self._common(shape, tuple(other), input_shape)
        return shape

    def _common(self, a: tuple[int | None, ...], b: tuple[int | None, ...], all_of_them: Shapes) -> Any:
        rank = max(len(a), len(b))
        a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
        common = []
        for n, m in zip(a, b, strict=True):
            if n is not None and m is not None and n != m and 1 not in (n, m):
                shapes = ", ".join(str((None, *shape)) for shape in all_of_them)
                raise ValueError(
                    f"{self}: the shapes {shapes} do not fit: sizes must be equal, or 1 to be repeated"
                )
            common.append((n if m == 1 else m) if n is None or m is None or 1 in (n, m) else n)
        return tuple(common)

    def call(self, inputs: Sequence[Array], training: bool = False) -> Array:
        rank = max(x.ndim for x in inputs)
        whole = [x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs]
        partial = [whole[0]]
        for x in whole[1:]:
            partial.append(ops.elementwise(partial[-1], x, self.operation))
        self.remember([x.shape for x in inputs], whole, partial)
        return self.finish(partial[-1], len(inputs))

    def finish(self, y: Array, count: int) -> Array:
        """What is made of the result of all inputs."""
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        if not input_gradient:
            return None
        shapes, whole, partial = self.recall()
        rest: Any = self.finish(dy, len(shapes))
        gradients = []
        for before, x in zip(reversed(partial[:-1]), reversed(whole[1:]), strict=True):
            rest, dx = ops.elementwise_backward(rest, before, x, self.operation)
            gradients.append(dx)
        return [dx.reshape(shape) for dx, shape in zip([rest, *reversed(gradients)], shapes, strict=True)]

    def lower(self, builder: Builder, inputs: Sequence[Tensor]) -> Tensor:
        return functools.reduce(lambda a, b: builder.elementwise(a, b, self.operation), inputs)


class Add(ElementwiseMerge):
    """y = x₀ + x₁ + ..., as the shortcut of a residual network.

    He et al. 2016, *Deep residual learning for image recognition*, section 3.2.
    """

    operation = "add"


class Subtract(ElementwiseMerge):
    """y = x₀ − x₁"""

    operation = "subtract"
    least = most = 2


class Multiply(ElementwiseMerge):
    """y = x₀ · x₁ · ..., as the gates of squeeze-and-excitation.

    Hu et al. 2018, *Squeeze-and-excitation networks*, section 3.2.
    """

    operation = "multiply"


class Divide(ElementwiseMerge):
    """y = x₀ / x₁: what ``/`` makes of two symbolic tensors."""

    operation = "divide"
    least = most = 2


class Average(ElementwiseMerge):
    """y = (x₀ + x₁ + ...) / number of inputs"""

    operation = "add"

    def finish(self, y: Array, count: int) -> Array:
        return y / y.dtype.type(count)

    def lower(self, builder: Builder, inputs: Sequence[Tensor]) -> Tensor:
        return builder.scale(super().lower(builder, inputs), 1 / len(inputs))


class Maximum(ElementwiseMerge):
    """y = max(x₀, x₁, ...); where two are equal, half of the gradient goes to each."""

    operation = "maximum"


class Minimum(ElementwiseMerge):
    """y = min(x₀, x₁, ...); where two are equal, half of the gradient goes to each."""

    operation = "minimum"


class Concatenate(Merge):
    """One tensor behind the other along ``axis``, by default the channels: what Inception's branches and the
    skips of a U-Net end in. All other sizes must be equal.

    Szegedy et al. 2015, *Going deeper with convolutions*; Ronneberger et al. 2015, *U-Net*.
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        if not hasattr(axis, "__index__") or isinstance(axis, bool) or int(axis) == 0:
            raise ValueError(
                f"Concatenate: axis must be a whole number other than 0, the batch; got {axis!r}"
            )
        self.axis = int(axis)

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        self.check_inputs(input_shape)
        axis = _behind_batch(self, "axis", self.axis, input_shape[0])
        first = list(input_shape[0])
        for shape in input_shape[1:]:
            fits = len(shape) == len(first) and all(
                n is None or m is None or n == m
                for i, (n, m) in enumerate(zip(first, shape, strict=True))
                if i != axis
            )
            if not fits:
                shapes = ", ".join(str((None, *each)) for each in input_shape)
                raise ValueError(f"{self}: the shapes {shapes} differ in other axes than axis={self.axis}")
            first = [m if n is None else n for n, m in zip(first, shape, strict=True)]
        sizes = [shape[axis] for shape in input_shape]
        first[axis] = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        return tuple(first)

    def call(self, inputs: Sequence[Array], training: bool = False) -> Array:
        axis = _behind_batch(self, "axis", self.axis, inputs[0].shape[1:]) + 1
        self.remember(axis, [x.shape[axis] for x in inputs])
        return ops.concatenate(inputs, axis)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        if not input_gradient:
            return None
        axis, sizes = self.recall()
        return ops.split(dy, sizes, axis)

    def lower(self, builder: Builder, inputs: Sequence[Tensor]) -> Tensor:
        last = len(inputs[0].shape) - 1
        if _behind_batch(self, "axis", self.axis, inputs[0].shape) != last:
            builder.cut(f"axis={self.axis} is not the last one")
        return builder.concatenate(inputs)


class Dot(Merge):
    """y[n, i..., j...] = Σc x₀[n, i..., c] · x₁[n, c, j...], example by example

    The sum goes along one axis of each, wherever it stands behind the batch; y has the axes of x₀ and then
    those of x₁ that are left, and is (N, 1) where none is left: (N, C) and (N, C) make (N, 1), as the two
    halves of a siamese network are compared; (N, L, C) and (N, M, C) make (N, L, M) with ``axes=2``, as
    attention has it.

    Parameters
    ----------
    axes : the axis, a whole number, or (axis of x₀, axis of x₁), counted with the batch, which is 0
    normalize : True divides both by their lengths along these axes first: y is then the cosine of their angle

    Raises TypeError where ``axes`` is neither, ValueError where it names the batch or sizes differ.
    """

    least = most = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if not is_whole(axes) and not isinstance(axes, (tuple, list)):
            raise TypeError(f"Dot: axes must be a whole number or a pair of them; got {axes!r}")
        pair_of = [axes, axes] if is_whole(axes) else list(axes)  # type: ignore[arg-type]
        if len(pair_of) != 2 or not all(map(is_whole, pair_of)) or 0 in pair_of:
            raise ValueError(
                f"Dot: axes must be a whole number or a pair of them, other than 0, the batch; got {axes!r}"
            )
        self.axes: Any = int(axes) if is_whole(axes) else [int(axis) for axis in pair_of]  # type: ignore[arg-type]
        self.normalize = truth(normalize, "Dot: normalize")

    def _places(self, shapes: Shapes) -> tuple[int, int]:
        """The axes among those behind the batch."""
        axes = (self.axes, self.axes) if is_whole(self.axes) else self.axes
        a, b = (_behind_batch(self, "axes", axis, shape) for axis, shape in zip(axes, shapes, strict=True))
        return a, b

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        self.check_inputs(input_shape)
        a, b = map(list, input_shape)
        axis_a, axis_b = self._places(input_shape)
        n, m = a.pop(axis_a), b.pop(axis_b)
        if n is not None and m is not None and n != m:
            shapes = " and ".join(str((None, *shape)) for shape in input_shape)
            raise ValueError(
                f"{self}: the shapes {shapes} must be of one size along axes={self.axes}; got {n} and {m}"
            )
        return tuple(a + b) or (1,)

    def windows(self) -> tuple[()]:
        inputs, _ = self.shapes()
        if any(image_size(shape) for shape in inputs):
            raise ValueError(f"{self} adds up products of different places: its output is no map of them")
        return ()

    def call(self, x: Any, training: bool = False) -> Array:
        a, b = x
        places = self._places([a.shape[1:], b.shape[1:]])
        axes = (places[0] + 1, places[1] + 1)
        lengths = None
        if self.normalize:
            a, length_a = ops.unit_norm(a, axes[0], _SHORTEST)
            b, length_b = ops.unit_norm(b, axes[1], _SHORTEST)
            lengths = length_a, length_b
        self.remember(axes, x, (a, b), lengths)
        return ops.dot(a, b, axes)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        if not input_gradient:
            return None
        axes, inputs, (a, b), lengths = self.recall()
        gradients = ops.dot_backward(dy, a, b, axes)
        if lengths is None:
            return list(gradients)
        return [
            ops.unit_norm_backward(dx, x, length, axis, _SHORTEST)
            for dx, x, length, axis in zip(gradients, inputs, lengths, axes, strict=True)
        ]


def _behind_batch(layer: Merge, argument: str, axis: int, shape: Sequence[int | None]) -> int:
    """The number, among the axes of ``shape``, of an axis that is counted with the batch."""
    place = axis - 1 if axis > 0 else len(shape) + axis
    if not 0 <= place < len(shape):
        value = getattr(layer, argument)
        raise ValueError(f"{layer}: {argument}={value} is not an axis of {(None, *shape)} behind the batch")
    return place


# ---- as functions of the inputs


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """``Add(**options)(inputs)``"""
    return Add(**options)(inputs)


def subtract(inputs: Sequence[Any], **options: Any) -> Any:
    """``Subtract(**options)(inputs)``"""
    return Subtract(**options)(inputs)


def multiply(inputs: Sequence[Any], **options: Any) -> Any:
    """``Multiply(**options)(inputs)``"""
    return Multiply(**options)(inputs)


def average(inputs: Sequence[Any], **options: Any) -> Any:
    """``Average(**options)(inputs)``"""
    return Average(**options)(inputs)


def maximum(inputs: Sequence[Any], **options: Any) -> Any:
    """``Maximum(**options)(inputs)``"""
    return Maximum(**options)(inputs)


def minimum(inputs: Sequence[Any], **options: Any) -> Any:
    """``Minimum(**options)(inputs)``"""
    return Minimum(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """``Concatenate(axis, **options)(inputs)``"""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **options: Any) -> Any:
    """``Dot(axes, **options)(inputs)``"""
    return Dot(axes, **options)(inputs)
