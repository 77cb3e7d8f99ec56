"""Speed, measured: ``python -m pytest benchmarks --benchmark-only``."""
