"""The derived guide: a Gaussian block for the continuous sites, a factor for each scored site, points for `param`s."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.errors import ModelError
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
        lines = [f"{self.gaussian.name} over {self.layout.size} unconstrained numbers"] if self.layout.size else []
        for entry in self.layout.entries:
            through = self.plan.sites[entry.name].bijection
            lines.append(
                f"  {entry.name:<18} {entry.start}:{entry.stop}"
                + (f"  {' x '.join(map(str, entry.shape))}" if entry.shape else "")
                + ("" if through == "real" else f"  {_formula(through)}")
            )
        for name, factor in self.factors.items():
            kind = self.plan.sites[name].block
            lines.append(f"{name} ~ {kind}, {math.prod(factor.shape)} independent")
        lines += [f"{site.name}: summed out exactly" for site in self.plan.enumerated]
        lines += [f"{param.name}: point" for param in self.plan.model.params]
        return "\n".join(lines)


def _formula(support: str) -> str:
    bijection = SUPPORTS[support].bijection
    assert bijection is not None
    return bijection.formula


def _point_shape(param: Param) -> tuple[int, ...]:
    bijection = SUPPORTS[param.support.name].bijection
    if bijection is None:
        raise ModelError.of("E406", param.span, f"`{param.name}` is discrete; a learned parameter must be continuous")
    return bijection.unconstrained(param.shape)


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
    return Guide(plan, GUIDES[name])
