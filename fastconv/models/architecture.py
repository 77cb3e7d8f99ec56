"""The architecture of a model as text, without its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastconv.layers import serialization
from fastconv.models.model import Model
from fastconv.models.saving import WRONG_DESCRIPTION, reason


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """The model that ``model.to_json()`` described, with new weights; compiled where that one was.

    The text may be Keras' too, 2 or 3, of a Sequential or functional model whose layers exist here.

    Classes of your own come by name in ``custom_objects``, or are registered. Raises ValueError for text that
    describes no model, or unknown layers; TypeError for what is no text.
    """
    from fastconv.interop.keras_reading import is_of_keras
    from fastconv.saving import deserialize_keras_object

    if not isinstance(json_string, (str, bytes)):
        raise TypeError(f"model_from_json needs the text from model.to_json(), got {json_string!r}")
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not the text of model.to_json(), it is no JSON: {reason(error)}") from None
    try:
        make = _of_keras if is_of_keras(config) else deserialize_keras_object
        model = make(config, custom_objects)
    except WRONG_DESCRIPTION as error:
        raise ValueError(
            f"cannot make the model: {reason(error)} (classes of your own are given as "
            "model_from_json(text, custom_objects={'MyLayer': MyLayer}))"
        ) from error
    if not isinstance(model, Model):
        raise ValueError(f"this describes no model, but {model!r}")
    return model


def _of_keras(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    from fastconv.interop.keras_reading import from_keras
    from fastconv.interop.keras_training import compile_from_keras

    made = serialization.deserialize(from_keras(config), custom_objects)
    chosen = config.get("compile_config")
    arguments = compile_from_keras(chosen) if chosen else None
    if arguments is not None and isinstance(made, Model):
        made.compile_from_config(arguments, custom_objects)
    return made
