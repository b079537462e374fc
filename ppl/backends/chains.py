"""Sums over the paths of hidden Markov chains, with the probabilities of pairs of states as their slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp, primitive

from ppl import chains


@primitive
def chain(log_weights: Any) -> Any:
    """The log sum of the weights of all paths; see `ppl.chains`."""
    return chains.total(log_weights)


@primitive
def _weighted_pairs(cotangent: Any, log_weights: Any) -> Any:
    return np.asarray(cotangent)[None, ..., None, None] * chains.pairs(log_weights)


defvjp(chain, lambda answer, log_weights: lambda g: _weighted_pairs(g, log_weights))
