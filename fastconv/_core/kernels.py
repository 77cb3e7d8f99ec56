"""Loads the compiled kernels, with OpenMP told to wait politely.

A thread that has finished its share of the work waits for the others at a barrier. GNU's OpenMP lets it
spin there for milliseconds by default. On a machine with a core to itself for every thread that is the
fastest; where anything else is running, the spinning thread keeps the one it waits for off the CPU, and a
kernel of 0.1 ms takes 20 ms (measured: 2 cores, load 8). So unless the user has said otherwise, threads spin
for some 100 microseconds and then sleep. The library reads its environment once, when it is loaded: now.

In a checkout the kernels lie beside the Python files, and must have been compiled from its sources.
"""

import os

from fastconv._sources import CHECKOUT, fingerprint

_SETTING, _SPINS = "GOMP_SPINCOUNT", "5000"

_ours = not {_SETTING, "OMP_WAIT_POLICY"} & os.environ.keys()
if _ours:
    os.environ[_SETTING] = _SPINS
try:
    import fastconv._kernels as kernels
except ModuleNotFoundError as error:
    if error.name != "fastconv._kernels":
        raise
    raise ImportError(
        f"fastconv in {CHECKOUT} has no compiled kernels for this Python: build them there with "
        "python -m pip install ."
    ) from None
finally:
    if _ours:
        del os.environ[_SETTING]

if fingerprint() not in (None, getattr(kernels, "SOURCES", 0)):
    raise ImportError(
        f"the C or Cython sources in {CHECKOUT} have changed since fastconv's kernels were compiled: compile "
        "them again there with python -m pip install ."
    )
