"""The derived guide: a Gaussian block for the continuous sites, a factor for each scored site, points for `param`s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ppl.compiler.predictor.moments import Covariance
from ppl.compiler.predictor.sites import Predicted, predicted_sites
from ppl.constraints import SUPPORTS
from ppl.errors import ModelError
from ppl.guides.base import GUIDES, GaussianGuide, VectorGuide
from ppl.guides.closed import ClosedPrior, closed_priors
from ppl.guides.factors import SiteFactor, site_factor
from ppl.guides.layout import VectorLayout
from ppl.model.model import Param
from ppl.model.plan import Plan
from ppl.source import nearest

GAUSSIAN = "gaussian block"
MOST_COLUMNS = 100
"""Of a covariance, for sums over them in every row to be worth it."""


@dataclass(frozen=True)
class Noise:
    """What is random in one evaluation: standard normals (draws, dim) of the Gaussian block, and the noise of each
    factor, which where there is no noise form is its draws. `batch` has the positions drawn of plates that are seen in
    parts.
    """

    normal: np.ndarray
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    batch: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        return self.normal.shape[0]


@dataclass(frozen=True)
class Guide:
    """The approximating family of one plan. Its parameters are one flat vector, laid out by `parameters`."""

    plan: Plan
    vector: VectorGuide

    @cached_property
    def layout(self) -> VectorLayout:
        """The continuous sites in the Gaussian's unconstrained vector."""
        return VectorLayout.of_sites(self.plan.continuous)

    @cached_property
    def factors(self) -> dict[str, SiteFactor]:
        return {site.name: site_factor(self.plan, site) for site in self.plan.factored}

    @cached_property
    def parameters(self) -> VectorLayout:
        """The Gaussian's parameters, then each factor's (`z:logits`), then the learned points, all unconstrained."""
        shapes: list[tuple[str, tuple[int, ...]]] = [(GAUSSIAN, (self.vector.size(self.layout.size),))]
        for name, factor in self.factors.items():
            shapes += [(entry(name, learned), shape) for learned, shape in factor.parameter_shapes.items()]
        shapes += [(param.name, _point_shape(param)) for param in self.plan.model.params]
        return VectorLayout.of_shapes(shapes)

    def factor_parameters(
        self,
        xp: Any,
        parts: Mapping[str, Any],
        batch: Mapping[str, np.ndarray],
        encoded: Mapping[str, Any],
    ) -> dict[str, dict[str, Any]]:
        """Parameters of each factor's distribution from the unpacked flat vector.

        `batch` has the positions of plates that a step sees in part, `encoded` the outputs of the networks.
        """
        found = {}
        for name, factor in self.factors.items():
            if factor.encoded:
                free = factor.decoded(xp, encoded[name])
            else:
                free = {learned: parts[entry(name, learned)] for learned in factor.parameter_shapes}
                free = dict(factor.at_rows(xp, free, batch))
            found[name] = factor.parameters(xp, free)
        return found

    @cached_property
    def closed(self) -> dict[str, ClosedPrior]:
        """The sites whose expected log prior has a closed form under this guide."""
        if not isinstance(self.vector, GaussianGuide):
            return {}
        return closed_priors(self.plan, self.vector.independent)

    @cached_property
    def covariance(self) -> Covariance | None:
        """How the Gaussian gives its covariance; None where it has no form that sums over."""
        size = self.layout.size
        if not isinstance(self.vector, GaussianGuide) or not size:
            return None
        variance, columns = self.vector.spread(np, self.vector.initial(np.zeros(size), np.ones(size)))
        count = 0 if columns is None else len(columns)
        if (variance is None and columns is None) or count > MOST_COLUMNS:
            return None
        return Covariance(variance is not None, count, self.vector.independent)

    @cached_property
    def predicted(self) -> dict[str, Predicted]:
        """The observed sites whose expected log density needs no draws under this guide."""
        return {} if self.covariance is None else predicted_sites(self.plan, self.covariance)

    @cached_property
    def drawn(self) -> frozenset[str]:
        """The latents that the ELBO needs draws of, what is taken in closed form being so."""
        over = {name: frozenset([name]) for name in self.closed}
        over |= {name: each.over for name, each in self.predicted.items()}
        latents = {site.name for site in self.plan.model.latents}
        left = (cost.depends - over.get(cost.name, frozenset()) for cost in self.plan.costs)
        return frozenset().union(*left) & latents

    def noise(
        self,
        rng: np.random.Generator,
        draws: int,
        own: Mapping[str, Mapping[str, np.ndarray]],
        batch: Mapping[str, np.ndarray] | None = None,
    ) -> Noise:
        """Fresh noise; of factors without a noise form, draws at the parameters `own` (see `factor_parameters`)."""
        drawn = {name: factor.noise(rng, own.get(name, {}), draws) for name, factor in self.factors.items()}
        normal = rng.standard_normal((draws, self.vector.noise_size(self.layout.size)))
        return Noise(normal, drawn, batch or {})

    @property
    def free(self) -> bool:
        """Whether no noise depends on the parameters."""
        return all(factor.free for factor in self.factors.values())

    def __str__(self) -> str:
        size, lines = self.layout.size, list[str]()
        if size:
            lines = [f"{self.vector} over {size} unconstrained number{'s' * (size != 1)}", *self._layout_table()]
        lines += [f"{factor} ({factor.estimator})" for factor in self.factors.values()]
        if self.closed:
            lines.append(f"under adam, expected log priors in closed form: {', '.join(self.closed)}")
        if self.predicted:
            lines.append("under adam, expected log likelihoods without draws:")
            lines += [f"  {each}" for each in self.predicted.values()]
        if self.plan.enumerated:
            lines.append(f"summed out: {', '.join(site.name for site in self.plan.enumerated)}")
        if self.plan.marginals:
            lines.append(f"integrated out: {', '.join(each.site.name for each in self.plan.marginals)}")
        if self.plan.model.params:
            lines.append(f"learned points: {', '.join(param.name for param in self.plan.model.params)}")
        return "\n".join(lines) or "nothing to approximate"

    def _layout_table(self) -> list[str]:
        """Where each site stands in the unconstrained vector, and how its value follows from that."""
        rows = [("site", "range", "shape", "value x of the unconstrained u")]
        for entry in self.layout.entries:
            through = self.plan.sites[entry.name].bijection
            shape, formula = " x ".join(map(str, entry.shape)), "x = u" if through == "real" else _formula(through)
            rows.append((entry.name, f"{entry.start}:{entry.stop}", shape, formula))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return [
            "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
            for row in rows
        ]


def entry(site: str, learned: str) -> str:
    """The name in the flat vector of a learned parameter of a site's factor."""
    return f"{site}:{learned}"


def _formula(support: str) -> str:
    bijection = SUPPORTS[support].bijection
    assert bijection is not None
    return bijection.formula


def _point_shape(param: Param) -> tuple[int, ...]:
    support = SUPPORTS[param.support.name]
    if support.bijection is None:
        raise ModelError.of("E406", param.span, f"`{param.name}` is discrete; a learned parameter must be continuous")
    return support.unconstrained_shape(param.shape)


def derive_guide(plan: Plan, name: str, **options: int) -> Guide:
    """The guide of that name for a plan, with options of its own.

    Raises ModelError for a name that is not registered, or a plan that the guide does not serve.
    """
    if name not in GUIDES:
        near = nearest(name, GUIDES)
        known = ", ".join(GUIDES)
        raise ModelError.of(
            "E701", None, f"no guide `{name}`", f"did you mean `{near}`?" if near else f"there are {known}"
        )
    plan = GUIDES[name].plan_for(plan)
    return Guide(plan, GUIDES[name].for_plan(plan, **options))
