"""Weighted draws of named variables, and what can be said of them without the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ppl.errors import InferenceError
from ppl.inference.result import Correction
from ppl.posterior import statistics
from ppl.posterior.summary import Row, Summary
from ppl.posterior.variables import Variable
from ppl.source import nearest


@dataclass(frozen=True)
class WeightedDraws:
    """Joint draws: `values[name]` is (draws, *shape), row i of every name belongs together.

    `log_weights` (draws,) are self-normalised, None for equal ones. `left_out` names variables that have no draws here,
    each with the reason. The summary has the sds of draws `beside` these too.
    """

    variables: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]
    log_weights: np.ndarray | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    beside: Beside | None = None

    @cached_property
    def count(self) -> int:
        """Number of draws."""
        return max((len(array) for array in self.values.values()), default=0)

    @cached_property
    def weights(self) -> np.ndarray | None:
        """Normalised weights, None for equal ones."""
        if self.log_weights is None:
            return None
        weights = np.exp(self.log_weights - self.log_weights.max())
        return weights / weights.sum()

    def array(self, name: str) -> np.ndarray:
        """The draws of one variable, (draws, *shape), not resampled. Raises InferenceError for an unknown name."""
        if name in self.left_out:
            raise InferenceError.of("E611", None, f"`{name}` has no draws here: {self.left_out[name]}")
        if name not in self.values:
            near = nearest(name, self.values)
            known = f"did you mean `{near}`?" if near else f"there are {', '.join(self.values)}"
            raise InferenceError.of("E611", None, f"no `{name}` in the fit", known)
        return self.values[name]

    def mean(self, name: str) -> Any:
        if self._learned(name):
            return np.array(self.array(name)[0])
        draws = self.array(name)
        return self.variables[name].blank(statistics.mean(draws, self.weights))

    def sd(self, name: str) -> Any:
        if self._learned(name):
            return np.zeros(self.variables[name].shape)
        draws = self.array(name)
        return self.variables[name].blank(statistics.sd(draws, self.weights))

    def quantile(self, name: str, q: Any) -> Any:
        """Quantiles `q`, a number or an array of them: (*q's shape, *shape). Raises InferenceError outside [0, 1]."""
        draws = self.array(name)
        if np.any((np.asarray(q) < 0) | (np.asarray(q) > 1)):
            raise InferenceError.of("E618", None, f"quantile {q}", "it lies between 0 and 1")
        if self._learned(name):
            return np.broadcast_to(draws[0], (*np.shape(q), *draws.shape[1:]))
        return self.variables[name].blank(statistics.quantile(draws, self.weights, q))

    def shown(self) -> dict[str, np.ndarray]:
        """The draws as users see them: real numbers beyond the ends of ragged plates are NaN."""
        reals = {name for name, array in self.values.items() if array.dtype.kind == "f" and self.variables[name].absent}
        return {name: self.variables[name].blank(a) if name in reals else a for name, a in self.values.items()}

    def resampled(self, count: int | None = None, seed: int = 0) -> WeightedDraws:
        """`count` equally weighted draws (default: as many as there are).

        Drawn with replacement by weight. Where weights are equal already, the first `count` as they stand, and with
        replacement only where more are asked for than there are.
        """
        count = self.count if count is None else count
        if count < 1:
            raise InferenceError.of("E612", None, f"{count} draws asked for", "at least 1 is needed")
        if self.weights is None and count <= self.count:
            values = {name: array[:count] for name, array in self.values.items()}
        else:
            chosen = np.random.default_rng(seed).choice(self.count, count, p=self.weights)
            values = {name: _at(array, chosen) for name, array in self.values.items()}
        return WeightedDraws(self.variables, values, None, self.left_out)

    def summary(self, names: Iterable[str] | None = None) -> Summary:
        """Mean, standard deviation and quantiles of every element of every variable, or of those named."""
        chosen = list(self.values) if names is None else list(names)
        rows = tuple(row for name in chosen for row in self._rows(name))
        learned = frozenset(name for name in chosen if self._learned(name))
        notes = tuple(f"{name}: {why}" for name, why in self.left_out.items())
        if self.beside is None:
            return Summary(rows, notes, learned)
        return Summary(rows, (*notes, *self.beside.notes), learned, self.beside.heading)

    def _learned(self, name: str) -> bool:
        """Whether a variable is a point that was learned: all its draws are the same one."""
        self.array(name)
        return self.variables[name].kind == "param"

    def _rows(self, name: str) -> list[Row]:
        low, middle, high = (q.ravel() for q in self.quantile(name, [0.05, 0.5, 0.95]))
        columns = [np.ravel(self.mean(name)), np.ravel(self.sd(name)), low, middle, high]
        elements = self.variables[name].element_names
        absent = set(self.variables[name].absent)
        if self.beside is not None:
            columns.append(np.ravel(self.beside.draws.sd(name)))
        rows = enumerate(zip(elements, *columns, strict=True))
        return [Row(name, element, *map(float, row)) for place, (element, *row) in rows if place not in absent]


@dataclass(frozen=True)
class Beside:
    """Other draws of the same variables, by another approximation, whose sds a summary shows under a heading.

    `notes` say what they are; `corrections` compare the sds of the two, element by element.
    """

    heading: str
    draws: WeightedDraws
    notes: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()


def _at(array: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Some of the draws; a single one that stands for all stays one."""
    if array.strides[0] == 0:
        return np.broadcast_to(array[0], (len(chosen), *array.shape[1:]))
    return array[chosen]
