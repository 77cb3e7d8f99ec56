"""All that training has changed in a model: to go back to it, or to go on from it in another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv._core.randomness import generator_state, set_generator_state


def snapshot(model: Any) -> dict[str, Any]:
    """Copies of weights, of what the optimizer remembers, and of where all random numbers come from.

    Plain numbers, strings and arrays in dictionaries and lists. An optimizer that has not yet seen the
    parameters is shown them, which changes nothing. Raises ValueError for a model without weights yet.
    """
    if not model.built:
        raise ValueError(
            f"{model} has no weights yet: give it an Input, or call build(input_shape) before fit"
        )
    if model.optimizer is not None:
        model.optimizer.build(model.parameters)
    with model._turns.lock:
        return {
            "weights": model.get_weights(),
            "optimizer": None if model.optimizer is None else model.optimizer.state_dict(),
            "generator": generator_state(),
            "layers": model.random_state(),
        }


def restore(model: Any, state: Mapping[str, Any]) -> None:
    """Put a model back to where its ``snapshot`` was taken.

    ValueError where it is another model's; nothing has changed then.
    """
    with model._turns.lock:
        before = snapshot(model)
        try:
            _put(model, state)
        except BaseException:
            _put(model, before)
            raise


def _put(model: Any, state: Mapping[str, Any]) -> None:
    model.set_weights(state["weights"])
    if model.optimizer is not None and state["optimizer"] is not None:
        model.optimizer.build(model.parameters)
        model.optimizer.load_state_dict(state["optimizer"])
    model.set_random_state(state["layers"])
    set_generator_state(state["generator"])
