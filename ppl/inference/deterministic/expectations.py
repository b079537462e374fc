"""The mean-field ELBO with as few draws as the model allows: none where closed forms and linear predictors cover it.

See `ppl/compiler/predictor/`. What is left to draws has fixed ones, in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ppl.backends import Backend, Rows
from ppl.guides import Guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.deterministic.fixed_draws import LARGEST_LOG_SD, Whitening
from ppl.inference.deterministic.mean_field import STAGE, Curvature, LinearResponse, maximised, paired_draws
from ppl.inference.outcome import Outcome
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.target import Target
from ppl.model.model import Site
from ppl.model.plan import Plan
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

PAIRS, UNCERTAIN = (16, 64), 0.05
"""Of draws, the second where the first leave the mean uncertain by more than this many sds."""
DIFFERENT, ROUNDING = 5.0, 1e-8
"""Standard errors by which the ELBOs of nodes and of draws may differ, and relative rounding."""
CACHED = 1 << 20
"""Numbers of one array of tangents."""


@dataclass(frozen=True)
class Expectations:
    """What the ELBO of a guide with independent coordinates takes, told from the sizes of the model.

    `drawn` are the latents that need draws where closed forms and nodes do what they can; then an evaluation takes
    about so many `numbers` (log densities), `by_draws` with draws of everything. `covered` says that they do something:
    a likelihood has a linear predictor, or there is nothing to draw.
    """

    drawn: frozenset[str]
    numbers: float
    by_draws: float
    covered: bool

    @classmethod
    def of(cls, guide: Guide) -> Expectations:
        plan, draws = guide.plan, 2 * PAIRS[0]
        over = {name: frozenset([name]) for name in guide.closed}
        over |= {name: each.over for name, each in guide.predicted.items()}
        latents = {site.name for site in plan.model.latents}
        ours = theirs = 0.0
        for cost in plan.costs:
            size = _numbers(plan, cost.name)
            nodes = guide.predicted[cost.name].nodes if cost.name in guide.predicted else 1
            ours += size * nodes * (draws if (cost.depends - over.get(cost.name, frozenset())) & latents else 1)
            theirs += size * draws
        return cls(guide.drawn, ours, theirs, bool(guide.predicted) or not guide.drawn)

    @property
    def share(self) -> float:
        """What an evaluation takes of what it would with draws."""
        return self.numbers / self.by_draws

    @property
    def pays(self) -> bool:
        """Whether closed forms and nodes take the place of draws."""
        return self.covered and self.numbers <= self.by_draws

    def __str__(self) -> str:
        names = ", ".join(sorted(self.drawn))
        if not self.covered:
            return "the ELBO over fixed draws: no likelihood has a linear predictor whose nodes would pay"
        if not self.pays:
            longer = f"nodes for each draw of {names} would take {self.share:.0f} times as long"
            return f"the ELBO over fixed draws: {longer}"
        how = f"fixed draws of {names} only" if self.drawn else "no draws needed"
        return f"the ELBO with {how}: an evaluation takes {self.share:.2g} of what draws of everything would"


def _numbers(plan: Plan, cost: str) -> float:
    """Log densities of a number in a term of the ELBO, for one draw."""
    if cost in plan.collapses:
        return plan.collapses[cost].work
    members = plan.joined.get(cost, (cost,))
    tables = sum(elimination.largest for elimination in plan.evaluated_eliminations if elimination.name == cost)
    sites = (plan.over_cells.get(site.name, site) for site in plan.model.sites if site.name in members)
    return tables + sum(math.prod(site.shape) for site in sites if isinstance(site, Site))


@dataclass(frozen=True)
class Elbo:
    """Minus the ELBO at eta = (means, log sds) in the units of a whitening along the axes: (2 dim,).

    `noise` (2 pairs, dim) are the draws that are kept where any are needed, products with the Hessian are had of so
    many vectors `at_once`, and `history` has the ELBO of every evaluation.
    """

    loss: Rows
    guide: Guide
    whitening: Whitening
    noise: np.ndarray
    noiseless: bool
    at_once: int
    history: list[float] = field(default_factory=list)
    constant: float = 0.0

    @property
    def dim(self) -> int:
        return self.noise.shape[1]

    @cached_property
    def _units(self) -> np.ndarray:
        return np.concatenate([self.whitening.factor, np.ones(self.dim)])

    def _row(self, eta: np.ndarray) -> np.ndarray:
        """The guide's parameters (1, 2 dim)."""
        scale = self.whitening.factor * np.exp(np.minimum(eta[self.dim :], LARGEST_LOG_SD))
        block = self.guide.vector.initial(self.whitening.centre + self.whitening.factor * eta[: self.dim], scale)
        return self.guide.parameters.pack({GAUSSIAN: block})[None]

    def __call__(self, eta: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; infinite where either is not finite."""
        value, gradient = self._at(eta, self.noise)
        if np.isfinite(value):
            self.history.append(-value)
        return value, gradient

    def _at(self, eta: np.ndarray, noise: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            (value,), (gradient,) = self.loss.values_and_gradients(self._row(eta), noise)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return np.inf, np.zeros_like(eta)
        return float(value), gradient * self._units

    def begin(self) -> np.ndarray:
        """Unit sds, or narrower ones where an expectation is beyond all numbers."""
        start = np.zeros(2 * self.dim)
        while not np.isfinite(self(start)[0]) and start[-1] > -8.0:
            start[self.dim :] -= 1.0
        return start

    def curvature(self, eta: np.ndarray) -> Curvature:
        """By exact products with the axes, or where a part has no second derivatives by differences."""
        hessian = self._hessian(eta)
        hessian = self._differences(eta) if hessian is None else hessian
        return Curvature(0.5 * (hessian + hessian.T), self._scores(eta))

    def _hessian(self, eta: np.ndarray) -> np.ndarray | None:
        """(2 dim, 2 dim), some columns at a time; None where a part has no second derivatives."""
        row, axes, parts = self._row(eta), np.diag(self._units)[:, None], []
        axes = np.concatenate([axes, np.zeros((-len(axes) % self.at_once, *axes.shape[1:]))])
        for start in range(0, len(axes), self.at_once):
            with np.errstate(all="ignore"):
                found = self.loss.products(row, axes[start : start + self.at_once], self.noise)
            if found is None:
                return None
            parts.append(found[:, 0])
        hessian: np.ndarray = np.concatenate(parts)[: 2 * self.dim] * self._units
        return hessian

    def _differences(self, eta: np.ndarray) -> np.ndarray:
        step = 1e-4
        moves = step * np.eye(2 * self.dim)
        return np.array([(self(eta + move)[1] - self(eta - move)[1]) / (2.0 * step) for move in moves])

    def _scores(self, eta: np.ndarray) -> np.ndarray:
        """Minus the slope, by each pair of draws where there are any."""
        if self.noiseless:
            return -self(eta)[1][None]
        half = len(self.noise) // 2
        return np.array([-self._at(eta, self.noise[[k, half + k]])[1] for k in range(half)])


@dataclass(frozen=True)
class ByExpectations:
    """Mean field of one target by such an ELBO, whose `rows` are the loss of `objective` for rows of parameters."""

    target: Target
    objective: StochasticObjective
    rows: Rows
    choice: Expectations

    @property
    def noiseless(self) -> bool:
        return self.objective.noiseless

    def respond(self, whitening: Whitening, rng: np.random.Generator) -> LinearResponse:
        """Mean field with its linear response, from a whitening along the axes; more draws where the first few leave
        the mean uncertain.
        """
        dim, noiseless, clock = self.target.dim, self.noiseless, self.target.clock
        whitening = Whitening(whitening.centre, np.diag(whitening.factor))
        for pairs in PAIRS:
            noise = np.zeros((2, dim)) if noiseless else paired_draws(rng, pairs, dim)
            elbo = Elbo(self.rows, self.target.guide, whitening, noise, noiseless, self._at_once(pairs))
            response = maximised(elbo, elbo.curvature, clock)
            self.target.evaluations += math.ceil(2 * pairs * len(elbo.history) * self.choice.share)
            settled = response.sound and response.mean_error < UNCERTAIN
            if noiseless or settled or not elbo.history or clock.over(STAGE):
                break
        return response

    def computed(self, outcome: Outcome, response: LinearResponse) -> Outcome:
        """The outcome with the ELBO that took no draws, where there is such a one and that of its draws agrees.

        A problem is named where they do not: nodes may lie where a density is not smooth, or draws miss its tails.
        """
        finite = outcome.ratios[np.isfinite(outcome.ratios)]
        if not (self.noiseless and response.sound and len(finite)):
            return outcome
        drawn, error = float(finite.mean()), float(finite.std() / np.sqrt(len(finite)))
        if abs(drawn - response.elbo) <= DIFFERENT * error + ROUNDING * (1.0 + abs(drawn)):
            return replace(outcome, bounds=np.array([response.elbo]))
        found = f"the ELBO of draws, {drawn:.2f} ± {error:.2f}, is not that of nodes, {response.elbo:.2f}"
        return replace(outcome, problems=(*outcome.problems, found))

    def _at_once(self, pairs: int) -> int:
        """Directions whose tangents fit into the cache together, or thereabouts."""
        return max(1, min(2 * self.target.dim, int(CACHED * PAIRS[0] / pairs / self.choice.numbers)))


def by_expectations(target: Target, data: Mapping[str, Any], backend: Backend) -> ByExpectations | None:
    """None where draws of everything are as good."""
    guide = target.guide
    choice = Expectations.of(guide)
    if not choice.pays:
        return None
    executor = Executor(guide.plan, data, backend.xp)
    objective = StochasticObjective(executor, guide, backend, OBJECTIVES["elbo"].make())
    return ByExpectations(target, objective, objective.rows(), choice)
