"""Is the derivative right? Compare it with the slope measured by taking two small steps.

    d/dt f(θ + t·d) at t = 0   ≈   (f(θ + h·d) − f(θ − h·d)) / 2h,      f = Σ y · r

y is what the layer puts out, r a fixed random array of the same shape: one number f then depends on every
output, and ``layer.backward(r)`` has to return its gradient. The penalties of regularizers, ``layer.losses``,
are part of f, as they are of a model's loss. The measured slope always comes from the
reference backend in float64, where it is right to about ten digits; the derivative under test may come from
either backend.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv._core import randomness
from fastconv._core.checks import unknown_name
from fastconv._core.machine import set_backend
from fastconv.graph import structure
from fastconv.parameter import Array, Parameter
from fastconv.regularizers import penalize


@dataclass(frozen=True)
class Precision:
    """How closely a backend's gradient has to agree with the measured slope.

    A relative error is the difference divided by the larger of the two numbers. But a number far smaller than
    its neighbours has fewer correct digits than they have, so the divisor is at least ``within_array`` times
    the largest slope of its array and ``overall`` times the largest of all.
    """

    dtype: type[np.floating]
    tolerance: float
    within_array: float
    overall: float


PRECISION = {
    "reference": Precision(np.float64, 1e-6, 1e-3, 1e-4),
    "native": Precision(np.float32, 2e-4, 1.0, 1e-2),  # float32 rounds to 6e-8, and sums of thousands drift
}


@dataclass(frozen=True)
class Comparison:
    """One derivative, by the layer (``analytic``) and as measured (``numeric``).

    ``array`` is "x" or the path of a parameter; ``index`` the element, or None for a step in a random
    direction, which moves all elements at once.
    """

    array: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    relative_error: float

    def __str__(self) -> str:
        place = f"{list(self.index)}" if self.index is not None else " in a random direction"
        return (
            f"{self.array}{place}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}, "
            f"relative error {self.relative_error:.2g}"
        )


@dataclass(frozen=True)
class GradientCheck:
    """The verdict of ``gradcheck``; true in an ``if`` or ``assert`` where the gradients are right."""

    passed: bool
    worst: Comparison
    worst_of: dict[str, Comparison] = field(repr=False)  # of each array
    tolerance: float
    backend: str
    checked: int
    kinks: int

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        kinks = f", {self.kinks} of them at kinks" if self.kinks else ""
        return (
            f"<gradcheck {verdict} on {self.backend}: {self.checked} derivatives{kinks}, "
            f"tolerance {self.tolerance:.0e}; worst {self.worst}>"
        )


def gradcheck(
    layer_or_model: Any,
    x: Any,
    *,
    backend: str = "reference",
    training: bool = False,
    epsilon: float = 1e-5,
    tolerance: float | None = None,
    samples: int | None = 50,
    seed: int = 0,
) -> GradientCheck:
    """Check the gradients of a layer or a model at ``x`` (N, ...): by x and by every trainable parameter.

    Of several inputs ``x`` is a list or dictionary of arrays, whose gradients are called "x[0]", "x[1]", ...

    >>> assert fastconv.gradcheck(Conv2D(4, 3, strides=2, activation="tanh"), x)

    ``layer_or_model`` is not changed, nor is the stream of random numbers; one that is not built yet is built
    in private. Layers draw the same random numbers at every step, so a dropout mask stays the same.

    Parameters
    ----------
    backend : whose ``backward`` is checked: "reference" (float64, to a relative error of 1e-6) or "native"
        (the compiled float32 kernels, to 2e-4 of the largest derivative of the array)
    training : passed on to ``forward``
    epsilon : length of a step, relative to elements larger than 1
    tolerance : the relative error allowed instead
    samples : an array of more elements than this is checked at so many of them, drawn at random, and in one
        random direction, which a single wrong element shifts as well; None checks every element. Each takes
        two passes forward on the slow reference: give x one small image or two
    seed : of r, of the sample, and of the layers' random numbers

    Returns a GradientCheck: true if all is right; it names the worst element and both its derivatives.
    Raises ValueError where there is nothing to compare: an output that is not finite, a dx of another shape.

    Notes
    -----
    Where a ReLU sees exactly 0, or two pixels of a max-pool window are equal, there is no derivative: the
    slopes to the left and to the right differ. Any number between them is accepted and counted as a kink, so
    a check at such a point proves little: prefer an x of random floats. A kink *near* x is avoided by smaller
    steps.
    """
    if backend not in PRECISION:
        raise unknown_name("backend", backend, PRECISION)
    precision = PRECISION[backend]
    limit = precision.tolerance if tolerance is None else tolerance
    random = np.random.default_rng(seed)
    with _same_random_numbers(seed) as restart:
        tested = copy.deepcopy(layer_or_model)
        if structure.holds_arrays(x):
            points = [np.array(one, precision.dtype) for one in structure.leaves(x)]
            nested = x
        else:
            points, nested = [np.array(x, precision.dtype)], None
        # These are the very numbers that the backend computes with.
        inputs = ["x"] if nested is None else [f"x[{number}]" for number in range(len(points))]

        def given(leaves: list[Array]) -> Any:
            return leaves[0] if nested is None else structure.packed(nested, leaves)

        if not tested.built:
            tested.build(structure.mapped(lambda one: (None, *np.shape(one)[1:]), given(points)))
        exact = _in_float64(tested)
        arrays = {name: point.astype(np.float64) for name, point in zip(inputs, points, strict=True)}
        arrays |= {name: parameter.value for name, parameter in _named(exact.parameters)}

        def output() -> tuple[list[Array], float]:
            """y and penalties at ``arrays``, by a fresh copy: layers may remember things between calls."""
            restart()
            with set_backend("reference"):
                fresh = copy.deepcopy(exact)
                y = fresh.forward(
                    given([arrays[name].copy() for name in inputs]), training
                )  # may be a view of x
                return structure.leaves(y), sum(fresh.losses)

        y, penalties = output()
        if not all(np.isfinite(one).all() for one in y):
            raise ValueError("gradcheck: the output has NaN or infinite elements, which have no slope")
        r = [random.standard_normal(one.shape, dtype=np.float32) for one in y]  # exact in both backends

        restart()
        with set_backend(backend):
            subject = exact if backend == "reference" else tested
            gradients = _gradients(
                subject, given(points), dict(zip(inputs, points, strict=True)), r, training
            )

        def change() -> float:
            """How far f has moved from where it began; outputs that did not move add no rounding error."""
            moved, penalties_there = output()
            outputs = zip(moved, y, r, strict=True)
            return (
                sum(float(np.sum((there - here) * by)) for there, here, by in outputs)
                + penalties_there
                - penalties
            )

        lines = [line for name, array in arrays.items() for line in _lines(name, array, samples, random)]
        if not lines:
            raise ValueError("gradcheck: x is empty and there are no parameters: nothing to check")
        return _compare(lines, gradients, change, epsilon, limit, precision, backend)


class _Line:
    """A straight line through one array: along the axis of one element, or in a random direction."""

    def __init__(
        self, name: str, array: Array, index: tuple[int, ...] | None, direction: Array | float = 1.0
    ):
        self.name = name
        self.index = index
        self._array = array
        self._place: Any = ... if index is None else index
        self._direction = direction

    def analytic(self, gradients: dict[str, Array]) -> float:
        """The slope along the line that the gradient promises."""
        return float(np.sum(gradients[self.name][self._place].astype(np.float64) * self._direction))

    def measure(self, change: Callable[[], float], epsilon: float) -> tuple[float, float]:
        """The slopes to the left and to the right of where the array is."""
        start = self._array[self._place].copy()
        h = epsilon * max(1.0, float(np.max(np.abs(start * self._direction))))
        self._array[self._place] = start - h * self._direction
        left = -change() / h
        self._array[self._place] = start + h * self._direction
        right = change() / h
        self._array[self._place] = start
        return left, right


def _lines(name: str, array: Array, samples: int | None, random: np.random.Generator) -> Iterator[_Line]:
    elements = np.arange(array.size)
    if samples is not None and array.size > samples:
        elements = np.sort(random.choice(array.size, samples, replace=False))
        yield _Line(name, array, None, random.standard_normal(array.shape) / np.sqrt(array.size))
    for element in elements:
        yield _Line(name, array, tuple(int(i) for i in np.unravel_index(element, array.shape)))


def _compare(
    lines: list[_Line],
    gradients: dict[str, Array],
    change: Callable[[], float],
    epsilon: float,
    limit: float,
    precision: Precision,
    backend: str,
) -> GradientCheck:
    slopes = [line.measure(change, epsilon) for line in lines]
    largest: dict[str, float] = {}
    for line, (left, right) in zip(lines, slopes, strict=True):
        largest[line.name] = max(largest.get(line.name, 0.0), abs(left + right) / 2)
    floor = {
        name: max(precision.within_array * slope, precision.overall * max(largest.values()))
        for name, slope in largest.items()
    }

    comparisons, kinks = [], 0
    for line, (left, right) in zip(lines, slopes, strict=True):
        analytic, least = line.analytic(gradients), floor[line.name]
        numeric = (left + right) / 2
        error = _relative_error(analytic, numeric, least)
        # A kink within reach of a step bends the slope. Look closer: what is wrong stays wrong.
        for shorter in (epsilon / 10, epsilon / 100):
            if error > limit:
                left, right = line.measure(change, shorter)
                numeric = (left + right) / 2
                error = _relative_error(analytic, numeric, least)
        if error > limit:
            # A kink right here: any slope between the two sides will do.
            numeric = float(np.clip(analytic, min(left, right), max(left, right)))
            error = _relative_error(analytic, numeric, least)
            kinks += error <= limit
        comparisons.append(Comparison(line.name, line.index, analytic, numeric, error))

    worst_of: dict[str, Comparison] = {}
    for comparison in comparisons:
        known = worst_of.setdefault(comparison.array, comparison)
        if comparison.relative_error > known.relative_error:
            worst_of[comparison.array] = comparison
    worst = max(worst_of.values(), key=lambda comparison: comparison.relative_error)
    return GradientCheck(
        worst.relative_error <= limit, worst, worst_of, limit, backend, len(comparisons), kinks
    )


def _relative_error(analytic: float, numeric: float, least: float) -> float:
    if not (np.isfinite(analytic) and np.isfinite(numeric)):
        return np.inf
    divisor = max(abs(analytic), abs(numeric), least)
    return abs(analytic - numeric) / divisor if divisor else 0.0


def _gradients(
    subject: Any, x: Any, points: dict[str, Array], r: list[Array], training: bool
) -> dict[str, Array]:
    """What ``backward`` says: the gradient of f by x and by each parameter."""
    for parameter in subject.parameters:
        parameter.grad[...] = np.nan  # a gradient that backward forgets to write is then no gradient
    y = subject.forward(x, training)
    dx = structure.leaves(subject.backward(structure.packed(y, r), input_gradient=True))
    gradients = dict(zip(points, dx, strict=True))
    for name, point in points.items():
        if gradients[name] is None or gradients[name].shape != point.shape:
            got = "None" if gradients[name] is None else f"shape {gradients[name].shape}"
            raise ValueError(
                f"gradcheck: backward must return d{name} of the shape of {name}, {point.shape}; it returned "
                f"{got}"
            )
    penalize(subject.parameters)
    return gradients | {name: parameter.grad for name, parameter in _named(subject.parameters)}


def _named(parameters: Sequence[Parameter]) -> list[tuple[str, Parameter]]:
    """Parameters with their paths, numbered where models inside repeat one."""
    count = Counter(parameter.path for parameter in parameters)
    seen: Counter[str] = Counter()
    named = []
    for parameter in parameters:
        path = parameter.path
        named.append((path if count[path] == 1 else f"{path} #{seen[path]}", parameter))
        seen[path] += 1
    return named


def _in_float64(subject: Any) -> Any:
    """A copy whose parameters hold float64: only here, a layer's own are float32."""
    exact = copy.deepcopy(subject)
    for parameter in exact.weights:
        parameter._value = parameter._value.astype(np.float64)
        parameter._grad = parameter._grad.astype(np.float64)
    return exact


@contextmanager
def _same_random_numbers(seed: int) -> Iterator[Callable[[], None]]:
    """A function that restarts the global generator; afterwards the generator is where it was."""
    before = randomness._generator
    try:
        yield lambda: randomness.seed_generator(seed)
    finally:
        randomness._generator = before
