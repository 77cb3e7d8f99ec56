"""Which implementation runs the operations: compiled kernels, or the pure-Python reference."""

from __future__ import annotations

from fastconv._errors import unknown_name
from fastconv._restoring import Restoring

BACKENDS = ("native", "reference")
_active = "native"


def get_backend() -> str:
    """The name of the backend that operations run on now."""
    return _active


def set_backend(name: str) -> Restoring:
    """Run every operation on ``"native"`` (C, float32) or ``"reference"`` (Python loops, float64).

    For good, or for a block: ``with fastconv.set_backend("reference"): ...``.
    """
    global _active
    if name not in BACKENDS:
        raise unknown_name("backend", name, BACKENDS)
    before, _active = _active, name
    return Restoring(lambda: set_backend(before))
