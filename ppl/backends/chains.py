"""Sums over the paths of hidden Markov chains, with the probabilities of pairs of states as their slopes."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
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
def weighted_pairs(cotangent: Any, log_weights: Any, before: Any) -> Any:
    """The slopes of the log sum times a cotangent. `before` follows from the weights: nothing is carried back to it."""
    return _beside(cotangent) * chains.pairs(log_weights, before)


@primitive
def _changes(direction: Any, log_weights: Any, before: Any) -> Any:
    return chains.pair_changes(log_weights, before, direction[None])[0]


def _beside(number: Any) -> Any:
    """A number for each chain beside the weights of its steps."""
    return anp.reshape(number, (1, *anp.shape(number), 1, 1))


defvjp(_total, lambda answer, log_weights, before: lambda g: weighted_pairs(g, log_weights, before), argnums=(0,))
defvjp(
    weighted_pairs,
    lambda answer, cotangent, log_weights, before: (
        lambda g: anp.sum(g * chains.pairs(log_weights, before), axis=(0, -2, -1))
    ),
    lambda answer, cotangent, log_weights, before: lambda g: _changes(g * _beside(cotangent), log_weights, before),
    argnums=(0, 1),
)
