"""Where a fit begins: a point at which the log density is finite, or a located error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.compiler import simulate_program
from ppl.errors import Diagnostic, ModelError
from ppl.guides import Guide
from ppl.guides.derived import GAUSSIAN
from ppl.model.model import Model
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.runtime import Executor, initial_points

_SPREADS = (0.0, 0.5, 1.0, 2.0)
_TRIES = 25


def finite_starts(
    plan: Plan, data: Mapping[str, Any], guide: Guide, rng: np.random.Generator, count: int
) -> np.ndarray:
    """Up to `count` unconstrained vectors with finite log density, the best first: (count, dim).

    Discrete sites are held at draws of their starting factors. Raises ModelError that names the first site whose
    density is not finite where every try fails.
    """
    executor = Executor(plan, data, NUMPY)
    spread = np.repeat(_SPREADS, _TRIES)[:, None]
    rows = spread * rng.uniform(-1.0, 1.0, (len(spread), guide.layout.size))
    terms, log_dets = _terms(executor, guide, rows, rng)
    with np.errstate(all="ignore"):
        total = _total([*terms.values(), *log_dets.values()], len(rows))
    finite = np.isfinite(total)
    if not finite.any():
        raise _nowhere_finite(plan, terms)
    order = np.argsort(-np.where(finite, total, -np.inf), kind="stable")
    return rows[order[: min(count, int(finite.sum()))]]


def _terms(
    executor: Executor, guide: Guide, rows: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = guide.parameters.unpack(np, initial_parameters(guide, executor, rng))
    points = executor.points(parts)
    discrete = {name: factor.sample(rng, parts[name], len(rows)) for name, factor in guide.factors.items()}
    with np.errstate(all="ignore"):
        values, log_dets = executor.constrain(guide.layout.unpack(np, rows), points)
        return executor.density({**values, **points, **discrete}), log_dets


def _total(terms: list[Any], draws: int) -> np.ndarray:
    total = np.zeros(draws)
    for term in terms:
        array = np.asarray(term, float)
        total = total + (array.reshape(len(array), -1).sum(axis=1) if array.ndim else array)
    return total


def initial_parameters(guide: Guide, executor: Executor, rng: np.random.Generator) -> np.ndarray:
    """Starting guide parameters: a tenth of a unit around zero, factors at their priors' frequencies."""
    dim = guide.layout.size
    starts: dict[str, Any] = {GAUSSIAN: guide.gaussian.initial(np.zeros(dim), np.full(dim, 0.1))}
    starts |= initial_points(guide.plan)
    if guide.factors:
        draws = _prior_draws(executor, guide, executor.points(starts), rng)
        starts |= {name: factor.initial(draws[name]) for name, factor in guide.factors.items()}
    return guide.parameters.pack(starts)


def _prior_draws(
    executor: Executor, guide: Guide, points: Mapping[str, Any], rng: np.random.Generator, draws: int = 200
) -> dict[str, np.ndarray]:
    """Draws of the discrete sites given continuous ones near the middle of their ranges."""
    model = guide.plan.model
    rows = 0.5 * rng.standard_normal((draws, guide.layout.size))
    values = {**executor.constrain(guide.layout.unpack(np, rows), points)[0], **points}
    latent = Model(model.name, tuple(s for s in model.statements if s not in model.observed))
    prepare, run = simulate_program(latent, values).load(NUMPY)
    return run(rng, draws, values, prepare(executor.data))


def _nowhere_finite(plan: Plan, terms: Mapping[str, Any]) -> ModelError:
    first = {elimination.name: elimination.members[0] for elimination in plan.eliminations}
    for name, term in terms.items():
        if not np.isfinite(np.asarray(term)).any():
            span = plan.model.by_name[first.get(name, name)].span
            found = f"the log density of `{name}` is not finite at any of {len(_SPREADS) * _TRIES} starting points"
            return ModelError([Diagnostic("E702", span, found, "check its parameters' ranges and the data")])
    return ModelError([Diagnostic("E702", None, "the joint log density is not finite at any starting point")])
