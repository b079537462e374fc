"""The enumerated sites after a fit: exact posterior draws and marginals given draws of everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.compiler import enumerated_program, marginals_program
from ppl.model.plan import Plan
from ppl.numeric import NUMPY

_CHUNK = 4_000_000
"""Numbers in the largest temporary array, roughly."""

MOST_NUMBERS, MOST_KEPT = 20_000_000, 100_000_000
"""In all draws of the discrete unknowns: above the first, weighted draws are resampled to those that a user gets; above
the second, there are none.
"""

Arrays = dict[str, np.ndarray]


def kept_rows(plan: Plan, log_weights: np.ndarray | None, count: int, draws: int, seed: int) -> np.ndarray | None:
    """Which of `count` draws stand for all of them, equally weighted, where discrete unknowns are too many to be drawn
    for each; None where they are not.

    By systematic resampling (Kitagawa 1996), which adds less noise than independent choices.
    """
    if count <= draws or count * _elements(plan) <= MOST_NUMBERS:
        return None
    weights = np.ones(count) if log_weights is None else np.exp(log_weights - np.max(log_weights))
    edges = np.cumsum(weights)
    chosen = np.searchsorted(edges, (np.arange(draws) + 0.5) / draws * edges[-1])
    return np.random.default_rng([seed, 3]).permutation(chosen)


def is_drawn(plan: Plan, draws: int) -> bool:
    """Whether so many draws of the discrete unknowns are kept."""
    return draws * _elements(plan) <= MOST_KEPT


def _elements(plan: Plan) -> int:
    return sum(math.prod(site.shape) for site in plan.enumerated)


def draw_enumerated(
    plan: Plan, data: Mapping[str, Any], rng: np.random.Generator, values: Mapping[str, Any], draws: int
) -> Arrays:
    """One joint draw of the enumerated sites for each of `draws` draws of the others: whole numbers (draws, *shape).

    `values` has the other latents, (draws, *shape), and the learned parameters, without a draw axis.
    """
    if not plan.eliminations:
        return {}
    prepare, run = enumerated_program(plan).load(NUMPY)
    prepared = _prepared(prepare, data)
    return in_blocks(plan, values, draws, _largest(plan), lambda part, count: run(rng, count, part, prepared))


def enumerated_marginals(plan: Plan, data: Mapping[str, Any], values: Mapping[str, Any], draws: int) -> Arrays:
    """Probabilities of the states of every enumerated site given each draw of the others: (draws, *shape, states).

    Of a site whose elements differ in their number of states, positions beyond the last state have probability 0. For a
    model without other latents the probabilities are the exact marginals.
    """
    if not plan.eliminations:
        return {}
    prepare, run = marginals_program(plan).load(NUMPY)
    prepared = _prepared(prepare, data)
    return in_blocks(plan, values, draws, _largest(plan), lambda part, count: run(part, prepared))


def _largest(plan: Plan) -> int:
    return max(elimination.largest for elimination in plan.eliminations)


def _prepared(prepare: Callable[..., Any], data: Mapping[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        return prepare(data)


def in_blocks(
    plan: Plan,
    values: Mapping[str, Any],
    draws: int,
    largest: int,
    run: Callable[[Mapping[str, Any], int], Mapping[str, Any]],
) -> Arrays:
    """`run` over blocks of draws, joined; an answer that is the same for every draw is repeated.

    `largest` is how many numbers the largest array has for each draw.
    """
    block = max(1, _CHUNK // largest)
    params = {param.name for param in plan.model.params}
    found: Arrays = {}
    for start in range(0, draws, block):
        count = min(block, draws - start)
        part = {name: v if name in params else v[start : start + count] for name, v in values.items()}
        with np.errstate(all="ignore"):
            answer = run(part, count)
        for name, array in answer.items():
            whole = found.setdefault(name, np.empty((draws, *np.shape(array)[1:]), np.asarray(array).dtype))
            whole[start : start + count] = array
    return found
