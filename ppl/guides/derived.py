"""The derived guide: a Gaussian block for the continuous sites, a factor for each scored site, points for `param`s."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.errors import Diagnostic, ModelError
from ppl.guides.base import GUIDES, GaussianGuide
from ppl.guides.discrete import DiscreteFactor, discrete_factor
from ppl.guides.layout import VectorLayout
from ppl.model.model import Param
from ppl.model.plan import Plan
from ppl.source import nearest

GAUSSIAN = "gaussian block"


@dataclass(frozen=True)
class Noise:
    """What is random in one evaluation: standard normals (draws, dim) and draws of the discrete factors."""

    normal: np.ndarray
    discrete: Mapping[str, np.ndarray]

    @property
    def draws(self) -> int:
        return self.normal.shape[0]


@dataclass(frozen=True)
class Guide:
    """The approximating family of one plan. Its parameters are one flat vector, laid out by `parameters`."""

    plan: Plan
    gaussian: GaussianGuide

    @cached_property
    def layout(self) -> VectorLayout:
        """The continuous sites in the Gaussian's unconstrained vector."""
        return VectorLayout.of_sites(self.plan.continuous)

    @cached_property
    def factors(self) -> dict[str, DiscreteFactor]:
        return {site.name: discrete_factor(site, self.plan.sites[site.name].block) for site in self.plan.scored}

    @cached_property
    def parameters(self) -> VectorLayout:
        """The Gaussian's parameters, then each factor's, then the learned points (unconstrained)."""
        shapes: list[tuple[str, tuple[int, ...]]] = [(GAUSSIAN, (self.gaussian.size(self.layout.size),))]
        shapes += [(name, factor.parameter_shape) for name, factor in self.factors.items()]
        shapes += [(param.name, _point_shape(param)) for param in self.plan.model.params]
        return VectorLayout.of_shapes(shapes)

    def noise(self, rng: np.random.Generator, parameters: np.ndarray, draws: int) -> Noise:
        """Fresh noise; discrete values are drawn from the factors at the given parameters."""
        parts = self.parameters.unpack(np, parameters)
        discrete = {name: factor.sample(rng, parts[name], draws) for name, factor in self.factors.items()}
        return Noise(rng.standard_normal((draws, self.layout.size)), discrete)

    def __str__(self) -> str:
        size, lines = self.layout.size, list[str]()
        if size:
            lines = [f"{self.gaussian.name} over {size} unconstrained number{'s' * (size != 1)}", *self._layout_table()]
        for name, factor in self.factors.items():
            kind, count = self.plan.sites[name].block, math.prod(factor.shape)
            lines.append(f"scored: {name} ~ {kind}" + (f", {count} independent elements" if count > 1 else ""))
        if self.plan.enumerated:
            lines.append(f"summed out: {', '.join(site.name for site in self.plan.enumerated)}")
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


def _formula(support: str) -> str:
    bijection = SUPPORTS[support].bijection
    assert bijection is not None
    return bijection.formula


def _point_shape(param: Param) -> tuple[int, ...]:
    support = SUPPORTS[param.support.name]
    if support.bijection is None:
        raise ModelError.of("E406", param.span, f"`{param.name}` is discrete; a learned parameter must be continuous")
    return support.unconstrained_shape(param.shape)


def derive_guide(plan: Plan, name: str) -> Guide:
    """The guide of that name for a plan.

    Raises ModelError for a name that is not registered.
    """
    if name not in GUIDES:
        near = nearest(name, GUIDES)
        known = ", ".join(GUIDES)
        raise ModelError.of(
            "E701", None, f"no guide `{name}`", f"did you mean `{near}`?" if near else f"there are {known}"
        )
    if name == "mean_field":
        _refuse_groups(plan)
    return Guide(plan, GUIDES[name])


def _refuse_groups(plan: Plan) -> None:
    """Raises ModelError for notes `@fullrank`: only the full-rank guide has what they ask for."""
    noted = [(site, note) for site in plan.model.latents for note in site.notes if note.name == "fullrank"]
    found = "`@fullrank` asks for covariances within a group, which the guide `mean_field` does not have yet"
    spans = dict.fromkeys(note.span or site.span for site, note in noted)
    if spans:
        raise ModelError([Diagnostic("E801", span, found, "use the guide `full_rank`") for span in spans])
