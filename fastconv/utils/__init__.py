"""Small helpers around training."""

from fastconv.utils.seeds import clear_session, set_random_seed
from fastconv.utils.targets import to_categorical

__all__ = ["clear_session", "set_random_seed", "to_categorical"]
