"""Where a fit begins: a point at which the log density is finite, or a located error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.compiler import simulate_program
from ppl.errors import Diagnostic, ModelError
from ppl.guides import Guide
from ppl.guides.derived import GAUSSIAN, entry
from ppl.model.model import Model
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.runtime import Executor, initial_points

_SPREADS = (0.0, 0.5, 1.0, 2.0)
_FAR_SPREADS = (4.0, 8.0)
_TRIES = 25


def finite_starts(
    plan: Plan,
    data: Mapping[str, Any],
    guide: Guide,
    rng: np.random.Generator,
    count: int,
    batch: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Up to `count` unconstrained vectors with finite log density, the best first: (count, dim).

    Discrete sites are held at draws of their starting factors. Raises ModelError that names the first site whose
    density is not finite where every try fails.
    """
    executor = Executor(plan, data, NUMPY)
    spread = np.repeat(_SPREADS, _TRIES)[:, None]
    rows = spread * rng.uniform(-1.0, 1.0, (len(spread), guide.layout.size))
    terms, log_dets = _terms(executor, guide, rows, rng, batch)
    with np.errstate(all="ignore"):
        total = _total([*terms.values(), *log_dets.values()], len(rows))
    finite = np.isfinite(total)
    if not finite.any():
        raise _nowhere_finite(plan, terms)
    order = np.argsort(-np.where(finite, total, -np.inf), kind="stable")
    return rows[order[: min(count, int(finite.sum()))]]


def varied_starts(
    plan: Plan, data: Mapping[str, Any], guide: Guide, rng: np.random.Generator, count: int
) -> np.ndarray:
    """As `finite_starts`, but only the first half are the best: the others are far from those and from each other.

    Best starts tend to lead to one mode; the others look for more.
    """
    best = finite_starts(plan, data, guide, rng, (count + 1) // 2)
    spread = np.repeat(_FAR_SPREADS, _TRIES)[:, None]
    others = spread * rng.uniform(-1.0, 1.0, (len(spread), guide.layout.size))
    with np.errstate(all="ignore"):
        terms, log_dets = _terms(Executor(plan, data, NUMPY), guide, others, rng)
        others = others[np.isfinite(_total([*terms.values(), *log_dets.values()], len(others)))]
    chosen = list(best)
    while len(others) and len(chosen) < count:
        distance = np.min([np.linalg.norm(others - row, axis=1) for row in chosen], axis=0)
        chosen.append(others[int(np.argmax(distance))])
    return np.array(chosen)


def _terms(
    executor: Executor,
    guide: Guide,
    rows: np.ndarray,
    rng: np.random.Generator,
    batch: Mapping[str, np.ndarray] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    parameters = initial_parameters(guide, executor, rng, batch)
    parts = guide.parameters.unpack(np, parameters)
    points = {**executor.points(parts), **(batch or {})}
    own = executor.factor_parameters(guide, parts, batch or {})
    noise = guide.noise(rng, len(rows), own).factors
    drawn = {name: factor.value(NUMPY, own[name], noise[name]) for name, factor in guide.factors.items()}
    with np.errstate(all="ignore"):
        given = {**points, **{name: drawn[name] for name, factor in guide.factors.items() if not factor.coordinate}}
        values, log_dets = executor.constrain({**drawn, **guide.layout.unpack(np, rows)}, given)
        return executor.density({**given, **values}), log_dets


def _total(terms: list[Any], draws: int) -> np.ndarray:
    total = np.zeros(draws)
    for term in terms:
        array = np.asarray(term, float)
        total = total + (array.reshape(len(array), -1).sum(axis=1) if array.ndim else array)
    return total


def initial_parameters(
    guide: Guide, executor: Executor, rng: np.random.Generator, batch: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """Starting guide parameters: a tenth of a unit around zero, factors at their priors' moments."""
    dim = guide.layout.size
    starts: dict[str, Any] = {GAUSSIAN: guide.vector.initial(np.zeros(dim), np.full(dim, 0.1))}
    starts |= initial_points(guide.plan)
    needed = [name for name, factor in guide.factors.items() if not (factor.coordinate or factor.encoded)]
    if guide.factors:
        given = {**executor.points(starts), **(batch or {})}
        draws = _prior_draws(executor, guide, given, rng) if needed else {}
        for name, factor in guide.factors.items():
            start = factor.initial(draws.get(name) if name in needed else None)
            starts |= {entry(name, learned): value for learned, value in start.items()}
    return guide.parameters.pack(starts)


def _prior_draws(
    executor: Executor, guide: Guide, points: Mapping[str, Any], rng: np.random.Generator, draws: int = 200
) -> dict[str, np.ndarray]:
    """Draws of the prior of sites that have a factor over their values, given the others near the middle of their
    ranges.
    """
    model, drawn = guide.plan.model, {name for name, factor in guide.factors.items() if not factor.coordinate}
    given = dict(points)
    if not any(guide.plan.carried.get(site.name, frozenset()) & drawn for site in guide.plan.transformed):
        shapes = {name: f.shape for name, f in guide.factors.items() if f.coordinate}
        coordinates = guide.layout.unpack(np, 0.5 * rng.standard_normal((draws, guide.layout.size)))
        coordinates |= {name: 0.5 * rng.standard_normal((draws, *shape)) for name, shape in shapes.items()}
        given |= executor.constrain(coordinates, points)[0]
    latent = Model(model.name, tuple(s for s in model.statements if s not in model.observed))
    prepare, run = simulate_program(latent, given).load(NUMPY)
    return run(rng, draws, given, prepare(executor.data))


def _nowhere_finite(plan: Plan, terms: Mapping[str, Any]) -> ModelError:
    first = {elimination.name: elimination.members[0] for elimination in plan.eliminations}
    for name, term in terms.items():
        if not np.isfinite(np.asarray(term)).any():
            span = plan.model.by_name[first.get(name, name)].span
            found = f"the log density of `{name}` is not finite at any of {len(_SPREADS) * _TRIES} starting points"
            return ModelError([Diagnostic("E702", span, found, "check its parameters' ranges and the data")])
    return ModelError([Diagnostic("E702", None, "the joint log density is not finite at any starting point")])
