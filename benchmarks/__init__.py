"""Speed, measured: ``python -m pytest benchmarks --benchmark-only`` and ``python -m benchmarks.versus``."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[1].resolve()
