"""The layers: each a formula, its derivative, and the weights in between."""

from fastconv.layers.layer import Layer

__all__ = ["Layer"]
