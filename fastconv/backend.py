"""Names of Keras' ``backend`` module, often imported as ``K``. Arrays and arithmetic are NumPy's.

>>> backend.clear_session()
>>> backend.get_value(model.layers[0].kernel)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv._core.machine import get_backend as backend
from fastconv._core.names import publish
from fastconv.config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from fastconv.parameter import Parameter
from fastconv.utils.seeds import clear_session

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_value",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_value",
]


def get_value(x: Any) -> Any:
    """A copy of a parameter's value; what is a number or an array already, as it is."""
    return x.numpy() if isinstance(x, Parameter) else x


def set_value(x: Parameter, value: ArrayLike) -> None:
    """Copy numbers into a parameter. Raises TypeError where ``x`` is none, ValueError for another shape."""
    if not isinstance(x, Parameter):
        instead = "assign to the attribute it comes from, as in optimizer.learning_rate = 0.01"
        raise TypeError(f"set_value changes weights, and {x!r} is a {type(x).__name__}; {instead}")
    x.assign(np.asarray(value))


publish(__name__)
