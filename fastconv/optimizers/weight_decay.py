"""Which parameters weight decay leaves alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastconv.parameter import Parameter


class DecayExclusion:
    """Parameters that weight decay is not meant for: given ones, and those in whose name a pattern is."""

    def __init__(
        self,
        parameters: Sequence[Parameter] = (),
        names: Sequence[str] = (),
        paths: Sequence[str] = (),
    ) -> None:
        self.parameters = list(parameters)
        self.names = list(names)
        self.paths = list(paths)  # of parameters given before the optimizer was saved

    def __contains__(self, parameter: Parameter) -> bool:
        return (
            any(parameter is excluded for excluded in self.parameters)
            or parameter.path in self.paths
            or any(re.search(name, parameter.name) for name in self.names)
        )

    def get_config(self) -> dict[str, Any]:
        """Plain strings, for ``DecayExclusion(**config)``."""
        return {
            "names": self.names,
            "paths": [*self.paths, *(parameter.path for parameter in self.parameters)],
        }
