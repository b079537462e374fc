"""Sums over the paths of hidden Markov chains, with the probabilities of pairs of states as their slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.core import VJPNode
from autograd.extend import defvjp, primitive, register_notrace

from ppl import chains


def chain(log_weights: Any) -> Any:
    """The log sum of the weights of all paths; see `ppl.chains`."""
    return _total(log_weights, _filtered(log_weights))


@primitive
def _filtered(log_weights: Any) -> Any:
    return chains.filtered(log_weights)


register_notrace(VJPNode, _filtered)


@primitive
def _total(log_weights: Any, before: Any) -> Any:
    return chains.log_sum(before[-1], -1)


@primitive
def _weighted_pairs(cotangent: Any, log_weights: Any, before: Any) -> Any:
    return np.asarray(cotangent)[None, ..., None, None] * chains.pairs(log_weights, before)


defvjp(_total, lambda answer, log_weights, before: lambda g: _weighted_pairs(g, log_weights, before), argnums=(0,))
