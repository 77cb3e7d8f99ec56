"""Networks of other libraries: their files and weights.

``interop.torch``   weights from PyTorch and back, without PyTorch
Keras' files        ``models.load_model("net.keras")``, ``model.save("net.keras")`` and their like
"""

from typing import TYPE_CHECKING

from fastconv._core.names import publish

__all__ = ["torch"]

if TYPE_CHECKING:
    from fastconv.interop import torch

publish(__name__)
