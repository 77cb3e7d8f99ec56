"""fastconv: small CNNs on a CPU. Keras' API on NumPy arrays, C kernels you can read.

    import fastconv as keras

    model = keras.models.Sequential([...])
"""

try:
    from fastconv import _kernels  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "fastconv._kernels":
        raise
    raise ImportError(
        "fastconv's compiled kernels are not beside its Python files. If this folder is a checkout, leave it (Python "
        "found the source instead of the installed package) or build in place with: python -m pip install -e ."
    ) from None

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
