"""Speed, measured: ``python -m pytest benchmarks --benchmark-only`` and ``python -m benchmarks.versus``.

These run in a checkout, where fastconv/ has no compiled module unless it was installed with
``pip install -e .``. Without one the installed package is meant, and found first.
"""

import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1].resolve()

if not any(CHECKOUT.glob("fastconv/_kernels*.so")) and not any(CHECKOUT.glob("fastconv/_kernels*.pyd")):
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if Path(entry or ".").resolve() != CHECKOUT]
    import fastconv  # noqa: F401

    sys.path[:] = path
