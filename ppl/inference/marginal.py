"""Latents that were integrated out, after a fit: exact draws given draws of everything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.compiler import conditionals_program
from ppl.inference.discrete import in_blocks
from ppl.model.model import Site
from ppl.model.plan import Plan
from ppl.numeric import NUMPY


def draw_marginalised(
    plan: Plan, data: Mapping[str, Any], rng: np.random.Generator, values: Mapping[str, Any], draws: int
) -> dict[str, np.ndarray]:
    """One draw of each latent that is integrated out for each of `draws` draws of the others: (draws, *shape).

    `values` has the other latents, (draws, *shape), and the learned parameters, without a draw axis.
    """
    if not plan.marginals:
        return {}
    prepare, run = conditionals_program(plan).load(NUMPY)
    with np.errstate(all="ignore"):
        prepared = prepare(data)

    def drawn(part: Mapping[str, Any], count: int) -> dict[str, np.ndarray]:
        groups = run(part, prepared)
        groups = groups if isinstance(groups, tuple) else (groups,)
        return {
            marginal.site.name: _draw(marginal.site, group, rng, count)
            for marginal, group in zip(plan.marginals, groups, strict=True)
        }

    return in_blocks(plan, values, draws, max(math.prod(each.site.shape) for each in plan.marginals), drawn)


def _draw(site: Site, group: Mapping[str, np.ndarray], rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws (count, *shape) of a site from natural parameters (count or 1, plates…, core)."""
    form = site.distribution.family.exponential
    assert form is not None
    natural = [np.broadcast_to(array, (count, *np.shape(array)[1:])) for array in group.values()]
    parameters = form.parameters(NUMPY, *natural)
    return np.asarray(site.distribution.family.sample(rng, (count, *(axis.size for axis in site.axes)), **parameters))
