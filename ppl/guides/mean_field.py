"""The mean-field Gaussian: independent coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.guides.base import GUIDES, HALF_LOG_TWO_PI, GaussianGuide, notes_of, paired
from ppl.guides.blocks import Block, Blocks
from ppl.guides.full_rank import FULL_RANK
from ppl.guides.layout import VectorLayout
from ppl.guides.low_rank import LowRank
from ppl.model.plan import Plan


class MeanField(GaussianGuide):
    """`u = loc + exp(log_sd) * noise`. Parameters: loc (dim), then log_sd (dim)."""

    name = "mean_field"
    doc = "Independent Gaussians in unconstrained space."
    independent = True

    def for_plan(self, plan: Plan, **options: Any) -> GaussianGuide:
        """Blocks of their own for the groups and sites that are noted `@fullrank` or `@lowrank`."""
        groups: dict[str, tuple[GaussianGuide, set[str]]] = {}
        for site, note in notes_of(plan, "fullrank"):
            group = f"group {note.arguments[0]}" if note.arguments else f"site {site.name}"
            groups.setdefault(group, (FULL_RANK, set()))[1].add(site.name)
        for site, note in notes_of(plan, "lowrank"):
            groups.setdefault(f"factors of {site.name}", (LowRank(note.arguments[0]), set()))[1].add(site.name)
        return _blocks(self, plan, list(groups.values())) if groups else self

    def size(self, dim: int) -> int:
        return 2 * dim

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.concatenate([mean, np.log(sd)])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        dim = parameters.shape[0] // 2
        return parameters[:dim] + xp.exp(parameters[dim:]) * noise

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        dim = parameters.shape[0] // 2
        log_sd = parameters[dim:]
        standard = (draws - parameters[:dim]) * xp.exp(-log_sd)
        return xp.sum(-0.5 * standard * standard - log_sd, axis=-1) - dim * HALF_LOG_TWO_PI

    def fixed_noise(self, rng: np.random.Generator, pairs: int, dim: int) -> np.ndarray:
        return paired(rng.standard_normal((pairs, dim)))

    def entropy(self, xp: Any, parameters: Any) -> Any:
        dim = parameters.shape[0] // 2
        return xp.sum(parameters[dim:]) + dim * (0.5 + HALF_LOG_TWO_PI)

    def marginals(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        dim = parameters.shape[0] // 2
        return parameters[:dim], xp.exp(2.0 * parameters[dim:])

    def spread(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        return self.marginals(xp, parameters)[1], None

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dim = parameters.shape[0] // 2
        return parameters[:dim], np.diag(np.exp(2.0 * parameters[dim:]))


def _blocks(rest: GaussianGuide, plan: Plan, groups: list[tuple[GaussianGuide, set[str]]]) -> Blocks:
    """The groups' Gaussians, a later one without what an earlier one has, and `rest` for all other coordinates."""
    entries = VectorLayout.of_sites(plan.continuous).entries
    left = {entry.name for entry in entries}
    blocks = []
    for guide, names in [*groups, (rest, left)]:
        members = [np.arange(entry.start, entry.stop) for entry in entries if entry.name in names & left]
        left = left - names
        if members:
            blocks.append(Block(guide, np.concatenate(members)))
    return Blocks(rest.name, rest.doc, tuple(blocks))


GUIDES.register(MeanField())
