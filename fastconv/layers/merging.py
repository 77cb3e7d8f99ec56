"""Layers that make one tensor of several: sums, products, extremes, and one tensor behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv import ops
from fastconv.layers.layer import Layer
from fastconv.parameter import Array

Shapes = list[tuple[int | None, ...]]


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

    def _axis(self, shapes: Shapes) -> int:
        """The axis among those behind the batch."""
        rank = len(shapes[0])
        axis = self.axis - 1 if self.axis > 0 else rank + self.axis
        if not 0 <= axis < rank:
            raise ValueError(
                f"{self}: axis={self.axis} is not an axis of {(None, *shapes[0])} behind the batch"
            )
        return axis

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        self.check_inputs(input_shape)
        axis = self._axis(input_shape)
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
        axis = self._axis([x.shape[1:] for x in inputs]) + 1
        self.remember(axis, [x.shape[axis] for x in inputs])
        return ops.concatenate(inputs, axis)

    def backward(self, dy: Array, input_gradient: bool = True) -> Any:
        if not input_gradient:
            return None
        axis, sizes = self.recall()
        return ops.split(dy, sizes, axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
