"""The method `cavi`: coordinate ascent from several beginnings, then draws weighed against the exact density."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ppl.compiler.conjugacy.sites import Conjugacy, find_conjugacy
from ppl.errors import InferenceError
from ppl.inference.coordinate.ascent import CoordinateAscent, Family, TooCoupled
from ppl.inference.coordinate.outcome import Ascent, outcome
from ppl.inference.coordinate.response import with_response
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress
from ppl.model.plan import Plan
from ppl.model.streamed import streamed_axis

STARTS, CARRIED_ON, SPREAD = 10, 3, 0.5
"""Beginnings where there may be several optima, how many of them are carried on, and the sd of the means they have."""
_FACTOR_NOTES = ("guide", "score", "amortized")


@dataclass(frozen=True)
class CaviOptions:
    """Options of coordinate ascent.

    It ends when a sweep adds less than `tolerance` to the ELBO, relative to 1 plus its size, or after `sweeps`. Of
    `starts` random beginnings (0: ten where discrete sites or products leave several optima, else one) the best few
    after `first_sweeps` are carried on.
    """

    sweeps: int = 2000
    tolerance: float = 1e-8
    starts: int = 0
    first_sweeps: int = 15


def checked_options(kind: Callable[..., Any], method: str, options: Mapping[str, Any]) -> Any:
    """Options of a method. Raises InferenceError for one that is not known or not positive."""
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(options) - set(known))
    if unknown:
        found = f"unknown option {', '.join(unknown)}"
        raise InferenceError.of("E703", None, found, f"{method} takes {', '.join(known)}")
    for name, value in options.items():
        if not isinstance(value, int | float) or not value > 0:
            raise InferenceError.of("E703", None, f"{name} is {value!r}", "it must be a positive number")
    return kind(**options)


def check_suits(plan: Plan, guide: str, method: str) -> None:
    """Raises InferenceError where coordinate ascent does not apply to a plan."""
    found = reason = ""
    if guide not in ("auto", "mean_field"):
        found, reason = f"`{method}` has factors of its own, and not those of the guide `{guide}`", "leave out `guide`"
    elif streamed_axis(plan.model) is not None:
        found, reason = f"`{method}` needs data that are in memory", "use method='auto'"
    elif plan.model.params:
        found, reason = f"`{plan.model.params[0].name}` is learned as a point, which `{method}` does not", ""
    elif discrete := [site.name for site in plan.factored if site.distribution.family.discrete]:
        found = f"`{discrete[0]}` is discrete and not summed out: `{method}` does not sample it"
    elif noted := [site.name for site in plan.factored if any(note.name in _FACTOR_NOTES for note in site.notes)]:
        found, reason = f"`{noted[0]}` has a guide factor that was asked for", "leave out the note"
    if found:
        raise InferenceError.of("E704", None, found, reason or "use method='adam'")


def cavi(task: Task) -> Outcome:
    """Coordinate ascent."""
    options: CaviOptions = checked_options(CaviOptions, "cavi", task.options)
    rng = np.random.default_rng(task.seed)
    conjugacy = find_conjugacy(task.plan)
    ascent = coordinate_ascent(conjugacy, task, rng)
    found = ascend(ascent, rng, options, task.bar)
    return with_response(task, outcome(task, conjugacy, found, rng, "cavi"), rng)


def coordinate_ascent(
    conjugacy: Conjugacy,
    task: Task,
    rng: np.random.Generator,
    batch: Mapping[str, np.ndarray] | None = None,
    whole: CoordinateAscent | None = None,
) -> CoordinateAscent:
    """Raises InferenceError where a block is too large."""
    try:
        return CoordinateAscent(conjugacy, task.data, task.backend, rng, batch, whole)
    except TooCoupled as problem:
        names = ", ".join(f"`{name}`" for name in problem.args[0])
        raise InferenceError.of(
            "E704", None, f"the block of {names} is too large for closed-form updates", "use method='auto'"
        ) from None


def ascend(ascent: CoordinateAscent, rng: np.random.Generator, options: CaviOptions, bar: Progress) -> Ascent:
    """The best of a few runs: of many short ones the best few are carried on until they no longer rise."""
    count = int(options.starts) or (STARTS if _several_optima(ascent) else 1)
    begins = (ascent.begin(rng, SPREAD, seeded=bool(number % 2)) for number in range(count))
    runs = [_run(ascent, begin, options, int(options.first_sweeps), bar) for begin in begins]
    runs = sorted(runs, key=_height, reverse=True)[:CARRIED_ON]
    ends = sorted((_carried_on(ascent, run, options, bar) for run in runs), key=_height, reverse=True)
    if count == 1:
        return ends[0]
    reached = ", ".join(f"{end.history[-1]:.2f}" for end in ends)
    return replace(ends[0], notes=(f"of {count} starts the best {len(ends)} were carried on, to ELBOs of {reached}",))


def _height(run: Ascent) -> float:
    return float(np.nan_to_num(run.history[-1], nan=-np.inf))


def _carried_on(ascent: CoordinateAscent, run: Ascent, options: CaviOptions, bar: Progress) -> Ascent:
    if run.converged:
        return run
    rest = _run(ascent, run.family, options, int(options.sweeps), bar)
    return replace(rest, history=np.concatenate([run.history, rest.history]))


def _several_optima(ascent: CoordinateAscent) -> bool:
    return bool(ascent.joint.axes) or len(ascent.layouts) > 1


def _run(ascent: CoordinateAscent, family: Family, options: CaviOptions, sweeps: int, bar: Progress) -> Ascent:
    history: list[float] = []
    for number in range(sweeps):
        family, elbo = ascent.sweep(family)
        history.append(elbo)
        bar.update(number, elbo)
        if not np.isfinite(elbo) or family.improper:
            return Ascent(family, np.array(history), False, "the ELBO is not finite")
        if number and abs(history[-1] - history[-2]) <= options.tolerance * (1.0 + abs(elbo)):
            return Ascent(family, np.array(history), True, "the ELBO no longer rises")
    return Ascent(family, np.array(history), False, f"{sweeps} sweeps were not enough")
