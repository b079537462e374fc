"""What coordinate ascent reports: draws of its factors with their weights, and the plan as it was carried out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.compiler.conjugacy.sites import Conjugacy
from ppl.constraints import SUPPORTS
from ppl.guides import Guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.coordinate.ascent import Family
from ppl.inference.importance.psis import log_mean_weight, log_ratios, psis, threshold
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.work import density_seconds, widest_array
from ppl.model.model import Site
from ppl.model.plan import Estimator, Plan
from ppl.model.resolve import fixed_arguments
from ppl.numeric import NUMPY
from ppl.runtime import Executor

CHECK_SECONDS = 4.0
"""Of estimated work for the log densities of draws."""
MOST_NUMBERS, FEWEST_DRAWS = 40_000_000, 50
"""Numbers in all the draws together, discrete sites included; and draws, at least."""
NARROW = 1.1
"""From this ratio of sds on it is said by how much factors are too narrow."""
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Ascent:
    """Where coordinate ascent ended, and how it came there: ELBOs by sweep, and how many of the starts came as far."""

    family: Family
    history: np.ndarray
    converged: bool
    stopped: str
    notes: tuple[str, ...] = ()


def outcome(task: Task, conjugacy: Conjugacy, found: Ascent, rng: np.random.Generator, method: str) -> Outcome:
    """Draws of the factors with their weights, and what the verdict needs."""
    plan = described(task.plan, conjugacy, found.family)
    count = _affordable(plan, task.draws)
    values, log_q = drawn(found.family, rng, count)
    ratios = log_ratios(log_joint(plan, task.data, values), log_q)
    alone = is_exact(conjugacy, found.family) and np.ptp(ratios) <= 1e-6 * (1.0 + abs(ratios[0]))
    smoothed, khat = (np.full(count, -math.log(count)), -math.inf) if alone else psis(ratios)
    good = khat < threshold(count)
    improper = tuple(f"the factor of `{name}` is improper" for name in found.family.improper)
    guide = replace(task.guide, plan=plan)
    weighted = good and not alone
    notes = ["the posterior is in the family of the factors: the fit is exact"] if alone else []
    notes += [_widening(values, smoothed)] if weighted else []
    return Outcome(
        method=method,
        parameters=_parameters(guide, values),
        values=values,
        log_weights=smoothed if weighted else None,
        ratios=ratios,
        khat=khat,
        effective=float(1.0 / np.sum(np.exp(2.0 * smoothed))) if weighted else float(count),
        log_evidence=_evidence(ratios, conjugacy) if good else None,
        history=found.history,
        steps=len(found.history),
        converged=found.converged,
        stopped=found.stopped,
        plan=plan,
        faults=improper,
        problems=() if good or improper else (_narrow(conjugacy, found.family),),
        notes=(*found.notes, *notes),
        spent=count * density_seconds(plan),
    )


def _evidence(ratios: np.ndarray, conjugacy: Conjugacy) -> float | None:
    """Not with discrete sites: their relabelled optima are not in the sample."""
    return None if conjugacy.plan.eliminations else log_mean_weight(ratios)


def _narrow(conjugacy: Conjugacy, family: Family) -> str:
    parts = [f"({', '.join(block.coordinates.names)})" for block in family.blocks]
    parts += list(family.natural)
    parts += [f"({', '.join(site.name for site in conjugacy.with_role('enumerated'))})"] * bool(conjugacy.members)
    return f"{', '.join(parts)} are taken as independent of each other: their standard deviations may be too small"


def _affordable(plan: Plan, draws: int) -> int:
    """How many draws may be weighed."""
    numbers = sum(math.prod(site.shape) for site in plan.model.latents) + 1
    most = min(CHECK_SECONDS / density_seconds(plan), MOST_NUMBERS / numbers)
    return int(min(draws, max(FEWEST_DRAWS, most)))


def drawn(family: Family, rng: np.random.Generator, count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Values of the continuous sites (draws, *shape), and their log density under the factors: (draws,)."""
    values, log_q = {}, np.zeros(count)
    for name, factor in family.natural.items():
        values[name] = factor.draw(rng, count)
        log_q += factor.log_density(values[name])
    for number, block in enumerate(family.blocks):
        rows = block.draw(rng, count)
        log_q += block.log_density(rows)
        for pair in family.scaled:
            if pair.block == number:
                spread = pair.spread(family.natural[pair.site], values[pair.site])
                rows = block.mean + (rows - block.mean) / np.sqrt(spread)
                log_q += 0.5 * np.sum(np.log(spread), axis=1)
        found, log_det = block.coordinates.values(NUMPY, rows)
        values |= found
        log_q -= log_det
    return values, log_q


def log_joint(plan: Plan, data: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The exact log joint density at draws, discrete sites summed out: (draws,)."""
    executor = Executor(plan, data, NUMPY)
    count = len(next(iter(values.values())))
    block = max(1, _CHUNK // max(widest_array(plan, False), 1))
    found = []
    for start in range(0, count, block):
        part = {name: value[start : start + block] for name, value in values.items()}
        size = len(next(iter(part.values())))
        total = np.zeros(size)
        with np.errstate(all="ignore"):
            for term in executor.density(part).values():
                array = np.asarray(term, float)
                total = total + (array.reshape(len(array), -1).sum(axis=1) if array.ndim else array)
        found.append(total)
    return np.concatenate(found)


def is_exact(conjugacy: Conjugacy, family: Family) -> bool:
    """Whether the factors are independent of each other in the posterior too: no statement reads two of them."""
    if conjugacy.members or conjugacy.gradient_block:
        return False
    unit = {name: name for name in conjugacy.natural}
    for number, block in enumerate(family.blocks):
        unit |= dict.fromkeys(block.coordinates.names, f"block {number}")
    for pair in family.scaled:
        unit[pair.site] = f"block {pair.block}"
    model = conjugacy.model
    reads = [model.random_ancestors(s) | {s.name} for s in model.statements if s.name in conjugacy.expected]
    return all(len({unit[name] for name in read if name in unit}) <= 1 for read in reads)


# The plan as it was carried out ---------------------------------------------------------------------------


def described(plan: Plan, conjugacy: Conjugacy, family: Family | None = None) -> Plan:
    """The plan with the update of every latent site as its reason, all of them in the values' own coordinates."""
    sites = dict(plan.sites)
    pairs = {pair.site: pair.block for pair in family.scaled} if family is not None else {}
    for name, update in conjugacy.updates.items():
        old = sites[name]
        if update.role == "enumerated":
            sites[name] = replace(old, reason=update.reason, alternatives="")
            continue
        reason = update.reason
        block = next((b for b in conjugacy.normal_blocks if name in b), ())
        if len(block) > 1:
            reason += f", jointly with {', '.join(other for other in block if other != name)}"
        scaled = [k for site, k in pairs.items() if site == name or block == conjugacy.normal_blocks[k]]
        reason += "; its scale is integrated with it" * bool(scaled)
        if update.role == "gradient":
            reason = f"gradient steps, there is no closed form: {reason}"
        estimator: Estimator = "pathwise" if update.role == "gradient" else "exact"
        sites[name] = replace(old, reason=reason, estimator=estimator, **_PLAIN, bijection=_support(plan, name))
    return replace(plan, sites=sites)


_PLAIN: dict[str, Any] = {"treatment": "guided", "alternatives": "", "centred": 1.0, "block": "", "factor": ""}


def _support(plan: Plan, name: str) -> str:
    site = plan.model.by_name[name]
    assert isinstance(site, Site)
    return site.support.name


def _parameters(guide: Guide, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Of the guide that has the means and sds of the draws in unconstrained coordinates."""
    coordinates = {}
    for site in guide.plan.continuous:
        bijection = SUPPORTS[site.support.name].bijection
        assert bijection is not None
        arguments = fixed_arguments(site.axes, len(site.dims), site.support.arguments)
        with np.errstate(all="ignore"):
            coordinates[site.name] = bijection.inverse(NUMPY, values[site.name], *arguments)
    rows = guide.layout.pack(coordinates)
    rows = rows[np.all(np.isfinite(rows), axis=1)] if rows.size else rows
    mean, sd = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-12)
    return guide.parameters.pack({GAUSSIAN: guide.vector.initial(mean, sd)})


def _widening(values: Mapping[str, np.ndarray], log_weights: np.ndarray) -> str:
    """How the sds of the factors compare with those that the importance weights give."""
    weights, worst = np.exp(log_weights), (1.0, "")
    for name, value in values.items():
        flat = value.reshape(len(value), -1)
        mean = weights @ flat
        with np.errstate(all="ignore"):
            ratio = np.sqrt(weights @ (flat - mean) ** 2) / flat.std(axis=0)
        place = int(np.argmax(np.nan_to_num(ratio)))
        if ratio[place] > worst[0]:
            index = np.unravel_index(place, value.shape[1:])
            worst = float(ratio[place]), f"{name}[{', '.join(map(str, index))}]" if index else name
    if worst[0] < NARROW:
        return "the factors' standard deviations agree with those that the importance weights give"
    return (
        f"the factors are too narrow, as independent ones are: the importance weights widen `{worst[1]}` by"
        f" {100 * (worst[0] - 1):.0f} %"
    )
