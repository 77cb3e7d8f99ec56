"""Networks to start from: each function returns a new ``Sequential`` model, not yet trained or compiled."""

from __future__ import annotations

from fastconv.applications.fashion_cnn import FashionCNN
from fastconv.applications.lenet5 import LeNet5

__all__ = ["FashionCNN", "LeNet5"]
