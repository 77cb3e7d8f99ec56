"""Settings of all tests: random examples are the same in every run, and fresh memory is full of nonsense."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fastconv",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    print_blob=True,
)
settings.load_profile("fastconv")


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, and so would our processes."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def nonsense_in_fresh_memory() -> Iterator[None]:
    """``np.empty`` gives NaN, or the largest whole number.

    Results are allocated so. Without this, an element that a kernel forgets to write holds what was there
    before: not seldom the right number, from the last time the same thing was computed.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("empty", "empty_like"):
            patch.setattr(np, name, _full_of_nonsense(getattr(np, name)))
        yield


def _full_of_nonsense(allocate: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def allocate_and_fill(*args: object, **kwargs: object) -> np.ndarray:
        array = allocate(*args, **kwargs)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        elif array.dtype.kind in "iu":
            array.fill(np.iinfo(array.dtype).max)
        return array

    return allocate_and_fill
