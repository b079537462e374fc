"""The evidence lower bound as a sum of cost terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ppl.runtime.trace import CostValue, Trace

Array = Any


def elbo_draws(xp: Any, trace: Trace, costs: Sequence[CostValue]) -> Array:
    """One unbiased ELBO estimate a draw, in nats: (draw,). The Gaussian block's entropy is in closed form."""
    total: Array = trace.entropy
    for cost in costs:
        positions = tuple(range(1, 1 + len(cost.axes)))
        total = total + (xp.sum(cost.value, axis=positions) if positions else cost.value)
    return total
