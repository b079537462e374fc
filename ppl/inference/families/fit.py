"""How each family of guides is fitted.

A family without a way of its own is begun at the deterministic Gaussian and optimised by Adam, sticking the landing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler.parameterise import adaptable
from ppl.guides import Guide, Noise
from ppl.guides.base import GaussianGuide
from ppl.guides.derived import GAUSSIAN
from ppl.guides.low_rank import LowRank
from ppl.inference.clock import Clock
from ppl.inference.deterministic.expectations import Expectations
from ppl.inference.deterministic.gaussian import affordable_draws, fit_gaussian
from ppl.inference.deterministic.large import LARGE
from ppl.inference.deterministic.mode import Mode
from ppl.inference.deterministic.multistart import find_modes
from ppl.inference.families.independent import Independent, fit_independent
from ppl.inference.families.mixture import fit_mixture, missed_modes, modal, worthwhile
from ppl.inference.families.natural_gradient import fit_structured
from ppl.inference.families.point import point
from ppl.inference.families.sample import Fitted, family_sample, judged, with_tails
from ppl.inference.families.score_matching import fit_score_matching
from ppl.inference.families.wide import wide_mean_field
from ppl.inference.importance.psis import threshold
from ppl.inference.importance.sampling import Proposal
from ppl.inference.improper import boundless
from ppl.inference.methods import MANY, STARTS, Method, Task, full_gaussian, mean_field
from ppl.inference.outcome import Outcome
from ppl.inference.start import finite_starts, varied_starts
from ppl.inference.stochastic.descent import Descent, NoCheckpoints, minimise
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.options import StochasticOptions
from ppl.inference.stochastic.stages import Run
from ppl.inference.target import Target
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

ADAM = StochasticOptions(steps=10_000, gradient_draws=32, rate=0.01, window=250, objective="stl")
STAGE = "the search for the best guide"
FLAT = 1e-2
"""A slope in nats, for a step of one sd, that has vanished where rounding ends a search."""
DENSE_LIMIT = 1500
"""Unknowns up to which mean field looks at the whole Hessian of an ELBO with few draws or none."""
TAIL_DRAWS = 8000
"""Draws that tails are fitted to, at most."""
PAIRS = (64, 256)
"""Of fixed draws: the first that the family can work with, and then once more with the last."""


def _prepared(task: Task) -> tuple[Target, np.random.Generator]:
    return Target(task.plan, task.data, task.guide, task.backend, task.clock), np.random.default_rng(task.seed)


def _starts(task: Task, target: Target, rng: np.random.Generator) -> np.ndarray:
    if target.dim <= MANY:
        return varied_starts(task.plan, task.data, task.guide, rng, STARTS)
    return finite_starts(task.plan, task.data, task.guide, rng, 2)


def _independent(task: Task, target: Target, rng: np.random.Generator) -> Independent:
    task.bar.say("mean field")
    start = finite_starts(task.plan, task.data, task.guide, rng, 1)[0]
    return fit_independent(target, start, rng)


def _modes(task: Task, target: Target, rng: np.random.Generator) -> list[Mode]:
    task.bar.say("finding modes")
    return find_modes(target, _starts(task, target, rng), rng)


def _weighed(
    task: Task, target: Target, fitted: Fitted, rng: np.random.Generator, modes: list[Mode] | None = None
) -> Outcome:
    """The outcome by importance weights, which do not see a mode that no draw comes near: that is looked for."""
    task.bar.say("importance weights")
    draws = max(task.draws + task.draws % 2, affordable_draws(target))
    sample, bounds = family_sample(target, fitted.parameters, rng, draws)
    if modes is None:
        modes = _modes(task, target, rng) if target.dim <= MANY else []
    problems = (*fitted.problems, *missed_modes(target, modes, sample, rng))
    return judged(task, target, replace(fitted, problems=problems), sample, bounds)


def laplace(task: Task) -> Outcome:
    """The best mode found and the curvature there."""
    target, rng = _prepared(task)
    modes = _modes(task, target, rng)
    best, gaussian = modes[0], modal(modes[0])
    fitted = Fitted(
        task.guide.vector.near(gaussian.mean, gaussian.factor),
        "laplace",
        np.array([best.value]),
        best.found,
        "the gradient vanished" if best.found else "no mode was found",
        faults=boundless(target, best),
    )
    return _weighed(task, target, fitted, rng, modes)


def fixed_draws(task: Task) -> Outcome:
    """The ELBO over fixed paired draws, or without any where it needs none, by L-BFGS, begun at mean field; Adam where
    the family has no such draws.
    """
    target, rng = _prepared(task)
    family, objective = task.guide.vector, _objective(task, "elbo")
    if objective.noiseless:
        sets = [np.zeros((2, family.noise_size(target.dim)))]
    else:
        sets = [noise for pairs in PAIRS if (noise := family.fixed_noise(rng, pairs, target.dim)) is not None]
    if not sets:
        return by_adam(task)
    begin = _independent(task, target, rng)
    task.bar.say(family.name.replace("_", " "))
    parameters = _begun(task.guide, target, begin, rng)
    scale = np.abs(family.initial(begin.mean + begin.sd, begin.sd) - family.initial(begin.mean, begin.sd))
    scale = np.where(scale > 0.0, scale, 1.0)
    history: list[float] = []
    for noise in sets:
        if history and task.clock.over(STAGE):
            break
        before = len(history)
        parameters, done = _descend(task, objective, parameters, scale, noise, history)
        target.evaluations += len(noise) * (len(history) - before)
    stopped = "the gradient vanished" if done else "the search for a maximum was cut short"
    method = "lbfgs" if objective.noiseless else "fixed draws"
    fitted = Fitted(parameters, method, np.array(history), done, stopped)
    return _weighed(task, target, fitted, rng)


def _objective(task: Task, name: str) -> StochasticObjective:
    executor = Executor(task.plan, task.data, task.backend.xp)
    return StochasticObjective(executor, task.guide, task.backend, OBJECTIVES[name].make())


def _begun(guide: Guide, target: Target, begin: Independent, rng: np.random.Generator) -> np.ndarray:
    """Where the family begins: for a low-rank one with the directions in which mean field is most too narrow."""
    family = guide.vector
    if not isinstance(family, LowRank):
        return family.initial(begin.mean, begin.sd)
    values, vectors = begin.widest(target, min(family.rank, target.dim - 1), rng)
    loadings = np.zeros((target.dim, family.rank))
    # the precision of the standardised vector is about I less what these directions lack
    loadings[:, : len(values)] = vectors * np.sqrt(np.maximum(1.0 / np.maximum(values, 1e-3) - 1.0, 0.0))
    if not loadings.any():
        return family.initial(begin.mean, begin.sd)
    return family.pack(begin.mean, begin.sd, loadings)


def _descend(
    task: Task,
    objective: StochasticObjective,
    start: np.ndarray,
    scale: np.ndarray,
    normal: np.ndarray,
    history: list[float],
) -> tuple[np.ndarray, bool]:
    """Parameters after L-BFGS in steps of `scale`, and whether it ended by itself; the ELBO goes to the history."""
    from scipy.optimize import minimize

    noise = Noise(normal)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            value, gradient = objective.value_and_grad(task.guide.parameters.pack({GAUSSIAN: start + scale * x}), noise)
        if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
            return np.inf, np.zeros_like(x)
        history.append(-float(value))
        return float(value), gradient * scale

    found = minimize(
        loss,
        np.zeros_like(start),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxfun": 2000, "ftol": 1e-9, "gtol": 1e-4},
        callback=task.clock.stopper(STAGE),
    )
    return start + scale * found.x, bool(found.success or np.abs(found.jac).max() < FLAT)


@dataclass(frozen=True)
class _Until(NoCheckpoints):
    """Ends a run with the clock."""

    clock: Clock

    def keep(self, run: Run, descent: Descent, force: bool = False) -> None:
        if self.clock.over() and not run.stopped:
            run.stopped = f"the time allowed was spent after {run.step} steps"


def by_adam(task: Task) -> Outcome:
    """From the deterministic Gaussian on by Adam, sticking the landing."""
    target, rng = _prepared(task)
    gaussian = fit_gaussian(target, _starts(task, target, rng), rng, task.bar)
    family, first = task.guide.vector, gaussian.gaussian
    begin = _independent(task, target, rng)
    if not float(np.mean(gaussian.plain.log_ratios)) > begin.elbo:  # a joint mode may be no place to begin
        first = Proposal(begin.mean, np.diag(begin.sd))
    start = family.near(first.mean, first.factor)
    task.bar.say(family.name.replace("_", " "))
    objective = _objective(task, "stl")
    packed = task.guide.parameters.pack({GAUSSIAN: start})
    found = minimise(objective, task.guide, packed, rng, ADAM, task.bar, _Until(task.clock))
    target.evaluations += ADAM.gradient_draws * len(found.history)
    parameters = task.guide.parameters.unpack(np, found.parameters)[GAUSSIAN]
    parameters = with_tails(target, task.backend, parameters, rng, min(affordable_draws(target), TAIL_DRAWS))
    fitted = Fitted(
        parameters, "stochastic gradients", found.history, found.converged, found.stopped, faults=gaussian.faults
    )  # fmt: skip
    return _weighed(task, target, fitted, rng, list(gaussian.modes))


def full_rank(task: Task) -> Outcome:
    """The deterministic Gaussian; where its linear response refuses, score matching too, and the better one.

    Where unknown scales may have taken the joint mode into a spike, that it runs off says nothing yet; weights that can
    be relied on overrule it.
    """
    first = full_gaussian(task)
    if first.converged or (first.faults and not adaptable(task.plan)):
        return first
    second = score_matching(replace(task, previous=(*task.previous, first)))
    reliable = second.khat < threshold(len(second.ratios)) or not first.faults
    return second if second.converged and reliable and not second.khat > first.khat else first


def score_matching(task: Task) -> Outcome:
    """A full-rank Gaussian whose score matches the posterior's."""
    target, rng = _prepared(task)
    begin = _independent(task, target, rng)
    task.bar.say("score matching")
    found = fit_score_matching(target, Proposal(begin.mean, np.diag(begin.sd)), rng, task.clock)
    parameters = task.guide.vector.near(found.gaussian.mean, found.gaussian.factor)
    stopped = "mean and covariance have settled" if found.converged else f"after {found.steps} steps they still move"
    history = np.array([begin.elbo])
    return _weighed(task, target, Fitted(parameters, "score matching", history, found.converged, stopped), rng)


def structured(task: Task) -> Outcome:
    """Natural gradients for the precision on the edges of the graph."""
    target, rng = _prepared(task)
    begin = _independent(task, target, rng)
    task.bar.say("natural gradients")
    found = fit_structured(target, begin, rng)
    fitted = Fitted(found.parameters, "natural gradients", found.history, found.converged, found.stopped)
    return _weighed(task, target, fitted, rng)


def mixture(task: Task) -> Outcome:
    """Components at separate modes, moved to where the posterior's weight is."""
    target, rng = _prepared(task)
    modes = _modes(task, target, rng)
    faults = boundless(target, modes[0])
    begin = _independent(task, target, rng)
    task.bar.say("components")
    candidates = worthwhile(target, [modal(mode) for mode in modes], Proposal(begin.mean, np.diag(begin.sd)), rng)
    found = fit_mixture(target, candidates, rng, affordable_draws(target))
    shares = ", ".join(f"{share:.2f}" for share in found.mixture.weights)
    count = max(1, len(candidates) - 1)
    left = count - len(found.mixture.weights)
    problems = (f"{left} of the {count} separate modes found have no component: raise `components`",)
    fitted = Fitted(
        found.parameters,
        "population Monte Carlo",
        found.history,
        found.sample.effective > 1.0 and bool(np.isfinite(found.history[-1])),
        "the components have settled",
        faults=faults,
        problems=problems if left > 0 else (),
        notes=(f"{count} separate mode{'s' * (count != 1)} found; weights of the components {shares}",),
    )
    return judged(task, target, fitted, found.sample, found.bounds)


def independent(task: Task) -> Outcome:
    """Mean field; with blocks of their own for groups, over fixed draws."""
    family = task.guide.vector
    if isinstance(family, GaussianGuide) and family.independent:
        size = task.guide.layout.size
        dense = size <= DENSE_LIMIT and (size <= LARGE or Expectations.of(task.guide).pays)
        return mean_field(task) if dense else wide_mean_field(task)
    return fixed_draws(task)


FITS: Mapping[str, Method] = {
    "full_rank": full_rank,
    "laplace": laplace,
    "low_rank": fixed_draws,
    "mean_field": independent,
    "mixture": mixture,
    "point": point,
    "structured": structured,
}
"""How a family is fitted where it has a way of its own."""


def fit_of(guide: str) -> Method:
    """The way of that family."""
    return FITS.get(guide, by_adam)
