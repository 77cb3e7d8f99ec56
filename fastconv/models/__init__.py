"""Models: layers stacked, trained, looked at, saved."""

from fastconv.models.sequential import Sequential

__all__ = ["Sequential"]
