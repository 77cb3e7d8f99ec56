"""Ahead of everything else on the machine, for as long as something is timed.

Linux' SCHED_FIFO: other processes wait (but for the twentieth of every second that the system keeps for
them), so that a race can be run on a machine that others are using. It takes root or CAP_SYS_NICE.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def permitted() -> bool:
    try:
        with running():
            return True
    except (AttributeError, OSError):  # not Linux; not allowed
        return False


@contextmanager
def running(really: bool = True) -> Iterator[None]:
    """Every thread of this process, and those it makes meanwhile, in real time; afterwards as usual."""
    if not really:
        yield
        return
    _schedule_all(os.SCHED_FIFO, priority=1)
    try:
        yield
    finally:
        _schedule_all(os.SCHED_OTHER, priority=0)


def _schedule_all(policy: int, priority: int) -> None:
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setscheduler(int(thread), policy, os.sched_param(priority))
