"""Learning-rate schedules."""

from fastconv.optimizers.schedules.one_cycle import OneCycle

__all__ = ["OneCycle"]
