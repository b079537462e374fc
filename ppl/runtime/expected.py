"""The terms of the ELBO that need no draws of all they read: expected log priors and log likelihoods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ppl.compiler import density_program, expected_program, predicted_program
from ppl.compiler.predictor.moments import COLUMN, MEAN, VARIANCE
from ppl.compiler.programs.arrays import ArrayProgram
from ppl.guides import Guide
from ppl.guides.base import GaussianGuide
from ppl.guides.closed import against
from ppl.model.plan import Plan
from ppl.runtime.trace import Record

Array = Any
Loaded = tuple[Any, Any]
"""A program's `run`, and what it has made of the data."""


class Expectations:
    """Expected terms under a guide, over `xp`. `program` makes a program of a plan when its key is first asked for."""

    def __init__(self, plan: Plan, xp: Any, program: Callable[[str, Callable[[], ArrayProgram]], Loaded]) -> None:
        self._plan = plan
        self._xp = xp
        self._program = program

    def prepare(self, guide: Guide) -> None:
        """Make the programs now: what they make of the data must not be part of a compiled step."""
        if guide.closed:
            self._prior_program(guide)
        if guide.predicted:
            self._likelihood_program(guide)
            self._rest_program(guide)

    def rest(self, guide: Guide, values: Mapping[str, Array]) -> dict[str, Array]:
        """Log densities of all statements but the observed sites with an expected log likelihood."""
        run, constants = self._rest_program(guide)
        return run(values, constants)

    def priors(
        self,
        guide: Guide,
        block: Array,
        own: Mapping[str, Mapping[str, Array]],
        values: Mapping[str, Array],
        records: Mapping[str, Record],
    ) -> dict[str, Record]:
        """The records of sites whose expected log prior is closed, with that in place of the log prior of each draw."""
        xp = self._xp
        assert isinstance(guide.vector, GaussianGuide)
        mean, variance = (guide.layout.unpack(xp, part) for part in guide.vector.marginals(xp, block))
        moments: dict[str, tuple[Array, ...]] = {}
        entropies: dict[str, Array] = {}
        for name, closed in guide.closed.items():
            if closed.family is not None:
                natural = closed.family.natural(xp, **own[name])
                moments[name] = closed.family.mean_statistics(xp, *natural)
                entropies[name] = -guide.factors[name].total(xp, against(xp, closed.family, natural, moments[name]))
            elif name in guide.factors:
                moments[name] = (own[name]["loc"], own[name]["scale"] ** 2)
                entropies[name] = records[name].entropy
            else:
                moments[name] = (mean[name], variance[name])
        run, constants = self._prior_program(guide)
        expected = run(values, moments, constants)
        return {
            name: replace(
                records[name],
                log_p=expected[name],
                log_det=None,
                entropy=entropies.get(name),
                over=frozenset([name]),
            )
            for name in guide.closed
        }

    def likelihoods(self, guide: Guide, block: Array, values: Mapping[str, Array]) -> dict[str, Record]:
        """The records of observed sites with their expectation over the coordinates that their predictor reads."""
        xp = self._xp
        assert isinstance(guide.vector, GaussianGuide)
        variance, columns = guide.vector.spread(xp, block)
        parts = {MEAN: guide.vector.marginals(xp, block)[0], VARIANCE: variance, COLUMN: columns}
        moments = {kind: guide.layout.unpack(xp, part) for kind, part in parts.items() if part is not None}
        run, constants = self._likelihood_program(guide)
        terms = run(values, moments, constants)
        return {name: Record(log_p=terms[name], over=each.over) for name, each in guide.predicted.items()}

    def _prior_program(self, guide: Guide) -> Loaded:
        formulas = {name: (part.formula, part.ranks, part.parameters) for name, part in guide.closed.items()}
        return self._program(", ".join(guide.closed), lambda: expected_program(self._plan, formulas))

    def _likelihood_program(self, guide: Guide) -> Loaded:
        covariance = guide.covariance
        assert covariance is not None
        key = f"expected {', '.join(guide.predicted)} with {covariance}"
        return self._program(key, lambda: predicted_program(self._plan, guide.predicted, covariance))

    def _rest_program(self, guide: Guide) -> Loaded:
        names = guide.predicted
        return self._program(f"without {', '.join(names)}", lambda: density_program(self._plan, names))
