"""What Keras lets one choose for a whole program. Here most of it is fixed, and other choices are errors.

>>> config.floatx(), config.image_data_format(), config.backend()
('float32', 'channels_last', 'native')
"""

from __future__ import annotations

from fastconv._core.machine import get_backend as backend
from fastconv._core.machine import set_backend
from fastconv._core.names import publish
from fastconv.losses.loss import EPSILON

__all__ = [
    "backend",
    "epsilon",
    "floatx",
    "image_data_format",
    "set_backend",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


def floatx() -> str:
    """The type of weights and activations: "float32"."""
    return "float32"


def set_floatx(value: str) -> None:
    """Accepts "float32". Raises ValueError for others."""
    _refuse_others(
        "set_floatx", value, floatx(), 'fastconv.set_backend("reference") computes in double precision'
    )


def image_data_format() -> str:
    """Where the channels are: "channels_last", (N, H, W, C)."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Accepts "channels_last". Raises ValueError for others."""
    _refuse_others(
        "set_image_data_format",
        data_format,
        image_data_format(),
        "np.moveaxis(x, 1, -1) moves the channels of a batch last",
    )


def epsilon() -> float:
    """The small number that losses and metrics add to denominators or clip probabilities at: 1e-7."""
    return EPSILON


def set_epsilon(value: float) -> None:
    """Accepts 1e-7. Raises ValueError for others: it is part of the formulas of losses and metrics."""
    _refuse_others(
        "set_epsilon", value, epsilon(), "layers and optimizers have an argument epsilon of their own"
    )


def _refuse_others(function: str, value: object, fixed: object, instead: str) -> None:
    if value != fixed:
        raise ValueError(f"{function}: fastconv knows {fixed!r} alone, got {value!r}; {instead}")


publish(__name__)
