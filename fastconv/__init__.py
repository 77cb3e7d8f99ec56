"""fastconv: small CNNs on a CPU. Keras' API on NumPy arrays, C kernels you can read."""

from fastconv import _kernels  # noqa: F401  (first: a broken build should say so at once)
from fastconv import ops, reference
from fastconv._backend import get_backend, set_backend
from fastconv._machine import (
    available_isas,
    get_isa,
    get_num_threads,
    measure_peak,
    set_isa,
    set_num_threads,
    show_config,
)

__version__ = "0.1.0"
