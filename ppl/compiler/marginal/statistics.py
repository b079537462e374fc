"""What each row adds to the natural parameters of a conjugate prior, and the sums of that for each element."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ppl.axes import union
from ppl.compiler.collapse.rows import RowReader, row_blocks
from ppl.compiler.collapse.statistics import BLOCK, Report
from ppl.model.marginal import Evidence, Marginal
from ppl.numeric import NUMPY

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Rule:
    """How a likelihood reads a conjugate latent z: by its `parameter`, which where `scales` may be c z for a known c.

    `add(y, c, **fixed)` gives what a row adds to each natural parameter of z, (rows, core), and last the rest of its
    log density, (rows,); `fixed` are the other parameters. Where y is `one_of` several it is handed in as 0s and a 1.
    """

    parameter: str
    add: Callable[..., Arrays]
    scales: bool = False
    one_of: bool = False


def _log_factorial(x: np.ndarray) -> np.ndarray:
    return np.asarray(NUMPY.special.gammaln(x + 1.0))


def _bernoulli(y: np.ndarray, c: np.ndarray) -> Arrays:
    return [y, 1.0 - y, 0.0 * y]


def _binomial(y: np.ndarray, c: np.ndarray, total_count: np.ndarray) -> Arrays:
    ways = _log_factorial(total_count) - _log_factorial(y) - _log_factorial(total_count - y)
    return [y, total_count - y, ways]


def _geometric(y: np.ndarray, c: np.ndarray) -> Arrays:
    return [np.ones_like(y), y, 0.0 * y]


def _poisson(y: np.ndarray, c: np.ndarray) -> Arrays:
    return [y, -c, np.where(y > 0, y * np.log(np.where(y > 0, c, 1.0)), 0.0) - _log_factorial(y)]


def _exponential(y: np.ndarray, c: np.ndarray) -> Arrays:
    return [np.ones_like(y), -c * y, np.log(c)]


def _gamma(y: np.ndarray, c: np.ndarray, concentration: np.ndarray) -> Arrays:
    rest = concentration * np.log(c) + (concentration - 1.0) * np.log(y) - NUMPY.special.gammaln(concentration)
    return [concentration, -c * y, rest]


def _categorical(y: np.ndarray, c: np.ndarray) -> Arrays:
    return [y, 0.0 * c]


def _multinomial(y: np.ndarray, c: np.ndarray, total_count: np.ndarray) -> Arrays:
    return [y, _log_factorial(total_count) - _log_factorial(y).sum(axis=-1)]


RULES: Mapping[tuple[str, str], Rule] = {
    ("beta", "bernoulli"): Rule("probs", _bernoulli),
    ("beta", "binomial"): Rule("probs", _binomial),
    ("beta", "geometric"): Rule("probs", _geometric),
    ("gamma", "poisson"): Rule("rate", _poisson, scales=True),
    ("gamma", "exponential"): Rule("rate", _exponential, scales=True),
    ("gamma", "gamma"): Rule("rate", _gamma, scales=True),
    ("dirichlet", "categorical"): Rule("probs", _categorical, one_of=True),
    ("dirichlet", "multinomial"): Rule("probs", _multinomial),
}
"""By the families of the latent and of what reads it."""

_LAST: WeakKeyDictionary[Marginal, tuple[Mapping[str, Any], tuple[np.ndarray, ...]]] = WeakKeyDictionary()


def sums_of_evidence(
    marginal: Marginal, data: Mapping[str, Any], report: Report = lambda rows: None
) -> tuple[np.ndarray, ...]:
    """For each natural parameter what the rows of each element add to it, (plates in canonical order, *core); last what
    is left of their log density, (plates). Computed once for the same data.
    """
    known = _LAST.get(marginal)
    if known is None or known[0] is not data:
        parts = [_sums(marginal, each, data, report) for each in marginal.evidence]
        known = (data, tuple(sum(columns[1:], columns[0]) for columns in zip(*parts, strict=True)))
        _LAST[marginal] = known
    return known[1]


def _sums(marginal: Marginal, each: Evidence, data: Mapping[str, Any], report: Report) -> Arrays:
    plates = union([each.site.axes])
    shape = tuple(axis.size for axis in marginal.plates)
    count = math.prod(shape)
    reader, event = RowReader(plates, data), tuple(dim.size for dim in each.site.dims)
    rule = RULES[marginal.site.distribution.family.name, each.site.distribution.family.name]
    assert each.site.observed is not None
    wanted = [each.positions, each.site.observed, *each.fixed.values(), *([each.factor] if each.factor else [])]
    totals: Arrays = []
    for places in row_blocks(plates, max(1, BLOCK // max(1, math.prod(event))), each.stream):
        positions, values, *rest = reader(wanted, places)
        fixed = {name: part[:, 0].astype(float) for name, part in zip(each.fixed, rest, strict=False)}
        factor = rest[-1][:, 0].astype(float) if each.factor else np.ones(len(places))
        y = values.astype(float).reshape(len(places), *event)
        if rule.one_of:
            y = np.eye(marginal.site.dims[0].size)[values[:, 0].astype(int)]
        sums = [_added(positions[:, 0], part, count) for part in rule.add(y, factor, **fixed)]
        totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
        report(len(places))
    return [total.reshape(*shape, *total.shape[1:]) for total in totals]


def _added(positions: np.ndarray, part: np.ndarray, count: int) -> np.ndarray:
    """Sums of `part`, (rows, *core), by position: (count, *core)."""
    flat = np.asarray(part, float).reshape(len(positions), -1)
    sums = [np.bincount(positions, weights=column, minlength=count) for column in flat.T]
    return np.stack(sums, axis=-1).reshape(count, *np.shape(part)[1:])
