"""Learning-rate schedules: the rate as a function of the number of steps taken.

>>> rate = schedules.ExponentialDecay(0.01, decay_steps=1000, decay_rate=0.1)
>>> model.compile(optimizer=optimizers.SGD(learning_rate=rate), loss="mse")
>>> plt.plot(rate(np.arange(5000)))
"""

from __future__ import annotations

from fastconv._core.configuration import Registry
from fastconv._core.names import publish
from fastconv.optimizers.schedules.cosine_decay import CosineDecay
from fastconv.optimizers.schedules.cosine_decay_restarts import CosineDecayRestarts
from fastconv.optimizers.schedules.exponential_decay import ExponentialDecay
from fastconv.optimizers.schedules.inverse_time_decay import InverseTimeDecay
from fastconv.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from fastconv.optimizers.schedules.one_cycle import OneCycle
from fastconv.optimizers.schedules.piecewise_constant_decay import PiecewiseConstantDecay
from fastconv.optimizers.schedules.polynomial_decay import PolynomialDecay
from fastconv.optimizers.schedules.power_decay import PowerDecay

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "PowerDecay",
    "deserialize",
    "serialize",
]

_registry: Registry[LearningRateSchedule] = Registry(
    "learning rate schedule",
    LearningRateSchedule,
    {
        schedule.__name__: schedule
        for schedule in (
            CosineDecay,
            CosineDecayRestarts,
            ExponentialDecay,
            InverseTimeDecay,
            OneCycle,
            PiecewiseConstantDecay,
            PolynomialDecay,
            PowerDecay,
        )
    },
)
serialize = _registry.serialize
deserialize = _registry.deserialize

publish(__name__)
