"""Which parameters weight decay leaves alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from fastconv._core.names import by_occurrence
from fastconv.parameter import Parameter

_path = attrgetter("path")


class DecayExclusion:
    """Parameters that weight decay is not meant for: given ones, and those in whose name a pattern is.

    Of those given before the optimizer was saved, ``paths`` are known. Where several weights of the model
    have one path, because models inside it have layers of one name, ``numbered`` says which: [path, how many
    of that path come before it]. ``find`` then turns them into parameters.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter] = (),
        names: Sequence[str] = (),
        paths: Sequence[str] = (),
        numbered: Sequence[tuple[str, int]] = (),
    ) -> None:
        self.parameters = list(parameters)
        self.names = list(names)
        self.paths = list(paths)
        self.numbered = [(path, number) for path, number in numbered]

    def __contains__(self, parameter: Parameter) -> bool:
        return (
            any(parameter is excluded for excluded in self.parameters)
            or parameter.path in self.paths
            or any(parameter.path == path for path, _ in self.numbered)
            or any(re.search(name, parameter.name) for name in self.names)
        )

    def find(self, weights: Sequence[Parameter]) -> None:
        """Look the numbered ones up among all weights of a model."""
        known = by_occurrence(weights, _path)
        self.parameters += [known[place] for place in self.numbered if place in known]
        self.numbered = [place for place in self.numbered if place not in known]

    def get_config(self, weights: Sequence[Parameter] = ()) -> dict[str, Any]:
        """Plain strings and numbers, for ``DecayExclusion(**config)``; ``weights`` are all of the model."""
        known = by_occurrence(weights, _path)
        several = {path for path, number in known if number}
        numbered = [
            place
            for place, weight in known.items()
            if weight.path in several and any(weight is excluded for excluded in self.parameters)
        ]
        by_path = [excluded.path for excluded in self.parameters if excluded.path not in several]
        config: dict[str, Any] = {"names": self.names, "paths": [*self.paths, *by_path]}
        if numbered or self.numbered:
            config["numbered"] = [list(place) for place in (*self.numbered, *numbered)]
        return config
