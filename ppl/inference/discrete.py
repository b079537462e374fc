"""The enumerated sites after a fit: exact posterior draws and marginals given draws of everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.compiler import enumerated_program, marginals_program
from ppl.model.plan import Plan
from ppl.numeric import NUMPY

_CHUNK = 4_000_000
"""Numbers in the largest temporary array, roughly."""

Arrays = dict[str, np.ndarray]


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
    found: list[Arrays] = []
    for start in range(0, draws, block):
        count = min(block, draws - start)
        part = {name: v if name in params else v[start : start + count] for name, v in values.items()}
        with np.errstate(all="ignore"):
            answer = run(part, count)
        found.append({name: np.broadcast_to(array, (count, *np.shape(array)[1:])) for name, array in answer.items()})
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]} if found else {}
