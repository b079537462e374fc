"""Draws of a fitted guide, weighed against the density of all the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.guides import Guide, Noise
from ppl.inference.stochastic.batches import blocks
from ppl.inference.stochastic.objective import log_weights
from ppl.inference.work import density_seconds
from ppl.model.model import Batch, Site
from ppl.model.streamed import streamed_axis
from ppl.numeric import NUMPY
from ppl.runtime import Executor

MOST_NUMBERS, FEWEST_DRAWS = 20_000_000, 50
"""In the draws that are kept of all latents, and how many there are at least."""
WEIGHING_SECONDS = 10.0
"""For comparing the guide with the density of all the data, by the estimate of `density_seconds`."""
BLOCK_NUMBERS = 1_000_000
"""In an array of all draws at the rows of a block."""


@dataclass(frozen=True)
class Drawn:
    """Values of the latents (draws, *shape), and log p(x, z) - log q(z) for the first of the draws."""

    values: dict[str, np.ndarray]
    ratios: np.ndarray


def drawn(guide: Guide, data: Mapping[str, Any], parameters: np.ndarray, rng: np.random.Generator, draws: int) -> Drawn:
    """Draws of the guide of the whole model; fewer than `draws` where the data are many.

    Where data are read row by row, latents of these rows are left out: they are too many to keep.
    """
    axis = streamed_axis(guide.plan.model) if guide.plan.batches else None
    latents = [site for site in guide.plan.model.latents if axis not in site.axes]
    elements = sum(math.prod(site.shape) for site in latents)
    kept = min(draws, max(FEWEST_DRAWS, MOST_NUMBERS // max(1, elements)))
    weighed = min(kept, max(FEWEST_DRAWS, int(WEIGHING_SECONDS / density_seconds(guide.plan))))
    if axis is None:
        return _at_once(guide, Executor(guide.plan, data, NUMPY), parameters, rng, kept, weighed)
    plate = next(batch for batch in guide.plan.model.batches if batch.axis == axis)
    return _in_blocks(guide, data, plate, parameters, rng, kept, weighed)


def _at_once(
    guide: Guide, plain: Executor, parameters: np.ndarray, rng: np.random.Generator, kept: int, weighed: int
) -> Drawn:
    block = max(1, MOST_NUMBERS // max(1, max(math.prod(site.shape) for site in guide.plan.model.sites)))
    values: dict[str, list[np.ndarray]] = {}
    ratios: list[np.ndarray] = []
    while (done := sum(map(len, ratios))) < weighed or not values:
        noise = plain.noise(guide, rng, parameters, min(block, weighed - done))
        with np.errstate(all="ignore"):
            trace = plain.trace(guide, parameters, noise)
        ratios.append(log_weights(guide.plan, trace))
        for name, record in trace.records.items():
            if record.value is not None:
                values.setdefault(name, []).append(np.asarray(record.value))
    if kept > weighed:
        noise = plain.noise(guide, rng, parameters, kept - weighed)
        with np.errstate(all="ignore"):
            for name, value in plain.values(guide, parameters, noise).items():
                values[name].append(np.asarray(value))
    return Drawn({name: np.concatenate(parts) for name, parts in values.items()}, np.concatenate(ratios))


def _in_blocks(
    guide: Guide, data: Mapping[str, Any], plate: Batch, parameters: np.ndarray, rng: np.random.Generator,
    kept: int, weighed: int,
) -> Drawn:  # fmt: skip
    """The log weights as the mean of what blocks of the rows make of them, each by its share of all rows."""
    width = max(math.prod(site.shape) for site in guide.plan.model.sites if plate.axis in site.axes) // plate.total
    size = min(plate.total - 1, max(1, BLOCK_NUMBERS // (weighed * max(1, width))))
    executors: dict[int, tuple[Executor, Guide]] = {}
    ratios, shared = np.zeros(weighed), None
    values: dict[str, np.ndarray] = {}
    for block in blocks(guide.plan, plate, size):
        if id(block.plan) not in executors:
            executors[id(block.plan)] = Executor(block.plan, data, NUMPY), replace(guide, plan=block.plan)
        plain, own = executors[id(block.plan)]
        noise = plain.noise(own, rng, parameters, weighed if shared is not None else kept, block.batch)
        if shared is None:
            values = {n: v for n, v in plain.values(own, parameters, noise).items() if not _is_part(own, n)}
            shared = noise = _first(noise, weighed)
        noise = _with_shared(noise, shared, own)
        with np.errstate(all="ignore"):
            ratios = ratios + block.share * log_weights(block.plan, plain.trace(own, parameters, noise))
    return Drawn({name: np.asarray(value) for name, value in values.items()}, ratios)


def _first(noise: Noise, count: int) -> Noise:
    return replace(noise, normal=noise.normal[:count], factors={n: a[:count] for n, a in noise.factors.items()})


def _with_shared(noise: Noise, shared: Noise, guide: Guide) -> Noise:
    """The noise of a block with that of the unknowns that all blocks have in common."""
    factors = {name: a if _is_part(guide, name) else shared.factors[name] for name, a in noise.factors.items()}
    return replace(noise, normal=shared.normal, factors=factors)


def _is_part(guide: Guide, name: str) -> bool:
    """Whether a latent has an element for each row of the block."""
    site = guide.plan.model.by_name[name]
    return isinstance(site, Site) and guide.plan.is_local(site)
