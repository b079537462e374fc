"""How centred each element of a location-scale site should be: learned with a mean-field guide, then frozen.

Gorinova, Moore and Hoffman (2020), Automatic reparameterisation of probabilistic programs. The ELBO is that of
`mean_field_fit`, on fixed paired draws, with the degrees of centring among its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.backends import Backend
from ppl.backends.reuse import programs_for
from ppl.compiler.parameterise import adaptable, with_degrees
from ppl.compiler.programs.writer import degree_name
from ppl.guides import Guide
from ppl.guides.layout import VectorLayout
from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.deterministic.mean_field import paired_draws
from ppl.inference.deterministic.mode import find_mode
from ppl.inference.start import finite_starts
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT
from ppl.model.plan import Plan
from ppl.runtime import Executor

STAGE = "the learning of the parameterisation"
PAIRS, STEPS, MEMORY = 16, 600, 30
NARROWEST, WIDEST = 0.1, 1.0
"""Limits of the sds a fit starts from, in unconstrained units."""
BEGINNINGS, MANY = (0.12, 0.5, 0.95), 100
"""Degrees to begin from, since there may be several optima; with more unknowns than `MANY` only the first."""
FURTHEST = 6.0
"""Logit of the degrees nearest to 0 and 1."""
SETTLED = 0.02
"""Degrees this near to 0 or 1 are taken to be that."""


@dataclass(frozen=True)
class Learned:
    """The plan with its degrees of centring, and the mean-field guide that they were learned with."""

    plan: Plan
    guide: Guide
    mean: np.ndarray
    sd: np.ndarray
    gradients: int
    spent: float


def learn_degrees(
    plan: Plan,
    data: Mapping[str, Any],
    guide: Guide,
    backend: Backend,
    rng: np.random.Generator,
    clock: Clock = ENDLESS,
) -> Learned:
    """Maximise the ELBO of mean field over its parameters and the degrees of centring together.

    The plan must have a site that `adaptable` names.
    """
    degrees = VectorLayout.of_shapes([(site.name, site.shape) for site in adaptable(plan)])
    target = Target(plan, data, guide, backend, clock)
    objective = _Objective.of(guide, data, backend, degrees, paired_draws(rng, PAIRS, target.dim))
    runs: list[_Run] = []
    for begin in BEGINNINGS if target.dim <= MANY else BEGINNINGS[:1]:
        if not runs or not clock.over(STAGE):
            runs.append(_run(target, data, backend, objective, begin, rng))
    best = min(runs, key=lambda run: run.loss)
    after = with_degrees(plan, degrees.unpack(np, _snapped(best.degrees)))
    gradients = sum(run.gradients for run in runs)
    return Learned(
        plan=after,
        guide=replace(guide, plan=after),
        mean=best.mean,
        sd=best.sd,
        gradients=gradients,
        spent=gradients * GRADIENT * target.seconds,
    )


@dataclass(frozen=True)
class _Run:
    """Where one start led to."""

    loss: float
    mean: np.ndarray
    sd: np.ndarray
    degrees: np.ndarray
    gradients: int


def _run(
    given: Target,
    data: Mapping[str, Any],
    backend: Backend,
    objective: _Objective,
    begin: float,
    rng: np.random.Generator,
) -> _Run:
    """From a point where the density is finite, a few rounds towards the mode at this degree, then up the ELBO."""
    degrees = {entry.name: np.full(entry.shape, begin) for entry in objective.degrees.entries}
    held = with_degrees(given.guide.plan, degrees)
    target = Target(held, data, replace(given.guide, plan=held), backend, given.clock)
    centre, scale = _start(target, finite_starts(held, data, given.guide, rng, 1)[0])
    origin = np.concatenate([centre, np.log(scale), np.full(objective.degrees.size, np.log(begin / (1.0 - begin)))])
    found, loss, steps = _maximise(objective, origin, scale, given.clock)
    dim = target.dim
    logits = np.clip(found[2 * dim :], -FURTHEST, FURTHEST)
    return _Run(
        loss, found[:dim], np.exp(found[dim : 2 * dim]), 1.0 / (1.0 + np.exp(-logits)),
        target.evaluations + 2 * PAIRS * steps,
    )  # fmt: skip


def _snapped(degrees: np.ndarray) -> np.ndarray:
    return np.where(degrees < SETTLED, 0.0, np.where(degrees > 1.0 - SETTLED, 1.0, degrees))


def _start(target: Target, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point and standard deviations to begin from: a few rounds towards the mode, and the curvature there."""
    mode = find_mode(target, start, rounds=4)
    precision = np.abs(np.diag(np.linalg.inv(mode.whitening.factor @ mode.whitening.factor.T)))
    with np.errstate(divide="ignore"):
        return mode.vector, np.clip(1.0 / np.sqrt(precision), NARROWEST, WIDEST)


@dataclass(frozen=True)
class _Objective:
    """Minus the ELBO, less a constant, as a function of (mean, log sd, logits of the degrees) and its gradient."""

    value_and_grad: Any
    degrees: VectorLayout
    noise: np.ndarray

    @classmethod
    def of(
        cls, guide: Guide, data: Mapping[str, Any], backend: Backend, degrees: VectorLayout, noise: Any
    ) -> _Objective:
        xp, dim = backend.xp, noise.shape[1]
        executor = Executor(guide.plan, data, xp, [entry.name for entry in degrees.entries])
        kept = programs_for(backend.name, executor.log_joint_programs, data, guide.layout, degrees)

        def log_joint(parameters: Any, noise: Any) -> Any:
            rows = parameters[:dim] + xp.exp(parameters[dim : 2 * dim]) * noise
            shares = degrees.unpack(xp, 1.0 / (1.0 + xp.exp(-parameters[2 * dim :])))
            given = {degree_name(name): share for name, share in shares.items()}
            return xp.mean(executor.log_joint(guide, rows, given))

        return cls(backend.value_and_grad(log_joint, kept), degrees, noise)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        dim = self.noise.shape[1]
        with np.errstate(all="ignore"):
            value, gradient = self.value_and_grad(parameters, self.noise)
        value = float(value) + parameters[dim : 2 * dim].sum()
        gradient = gradient.copy()
        gradient[dim : 2 * dim] += 1.0
        return -value, -gradient


def _maximise(
    objective: _Objective, origin: np.ndarray, scale: np.ndarray, clock: Clock
) -> tuple[np.ndarray, float, int]:
    """L-BFGS from `origin`, means in units of `scale`: the parameters, minus the ELBO, how often it was computed."""
    from scipy.optimize import minimize

    dim, size = len(scale), objective.degrees.size
    stretch = np.concatenate([scale, np.ones(dim + size)])

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(origin + stretch * x)
        if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
            return np.inf, np.zeros_like(x)
        return value, gradient * stretch

    logits = origin[2 * dim :]
    ends = [(-FURTHEST - logit, FURTHEST - logit) for logit in logits]
    bounds = [(None, None)] * dim + [(-12.0, 6.0)] * dim + ends
    start = np.zeros(len(origin))
    while not np.isfinite(loss(start)[0]) and start[dim] > -8.0:
        start[dim : 2 * dim] -= 1.0
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS, "maxcor": MEMORY},
        callback=clock.stopper(STAGE),
    )  # fmt: skip
    return origin + stretch * found.x, float(found.fun), int(found.nfev)
