"""The methods that update factors in closed form, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppl.inference.coordinate.fit import CaviOptions, cavi, checked_options
from ppl.inference.coordinate.svi import SviOptions, svi
from ppl.inference.methods import Method


@dataclass(frozen=True)
class CoordinateMethod:
    """A method of coordinate ascent: `run` fits, `options` checks what was asked for."""

    run: Method
    kind: type

    def options(self, given: Mapping[str, Any]) -> Any:
        """Raises InferenceError for an option that is not known, or not positive."""
        return checked_options(self.kind, self.run.__name__, given)


COORDINATE = {"cavi": CoordinateMethod(cavi, CaviOptions), "svi": CoordinateMethod(svi, SviOptions)}
