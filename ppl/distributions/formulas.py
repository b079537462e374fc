"""Formulas and constants that several families share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ppl.constraints.stable import HALF_LOG_TWO_PI as HALF_LOG_TWO_PI
from ppl.constraints.stable import LOG_TWO as LOG_TWO
from ppl.constraints.stable import softplus
from ppl.distributions.base import NoiseForm
from ppl.functions.vector import log_softmax
from ppl.numeric import NUMPY

LOG_PI = math.log(math.pi)
EULER = 0.5772156649015329
SMALLEST = float(np.finfo(float).tiny)


def scipy_stats() -> Any:
    """`scipy.stats`, imported when a reference is asked for."""
    from scipy import stats

    return stats


def x_log_y(xp: Any, x: Any, y: Any) -> Any:
    """`x * log(y)`, and 0 where `x` is 0 whatever `y` is. `x` is not differentiated."""
    return x * xp.log(y + (x == 0))


def x_log1p_y(xp: Any, x: Any, y: Any) -> Any:
    """`x * log(1 + y)`, and 0 where `x` is 0 whatever `y` is. `x` is not differentiated."""
    return x * xp.log1p(y + (x == 0))


_LARGE = 16.0
"""From where on three terms of Stirling's series give all digits."""


def log_rising(xp: Any, start: Any, steps: Any) -> Any:
    """`log Gamma(start + steps) - log Gamma(start)` for positive numbers, with its digits where `start` is huge."""
    gammaln = xp.special.gammaln
    small = xp.where(start < _LARGE, start, 1.0)
    large = xp.where(start < _LARGE, _LARGE, start)
    end = large + steps
    stirling = steps * xp.log(large) + (end - 0.5) * xp.log1p(steps / large) - steps
    stirling = stirling + _beyond_stirling(end) - _beyond_stirling(large)
    return xp.where(start < _LARGE, gammaln(small + steps) - gammaln(small), stirling)


def _beyond_stirling(x: Any) -> Any:
    inverse = 1.0 / x
    square = inverse * inverse
    return inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0))


def log_choose(xp: Any, n: Any, k: Any) -> Any:
    """Log of the binomial coefficient."""
    gammaln = xp.special.gammaln
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def bernoulli_entropy(xp: Any, probs: Any = None, logits: Any = None) -> Any:
    if logits is not None:
        return softplus(xp, logits) - logits * xp.special.expit(logits)
    return -(probs * xp.log(probs + (probs == 0)) + (1.0 - probs) * xp.log1p(-probs + (probs == 1)))


def probability(probs: Any, logits: Any) -> Any:
    """The probability, whichever way it was given (NumPy)."""
    return probs if logits is None else 1.0 / (1.0 + np.exp(-np.asarray(logits, dtype=float)))


def probabilities(probs: Any, logits: Any) -> Any:
    """The vector of probabilities, whichever way it was given (NumPy)."""
    if logits is None:
        weights = np.asarray(probs, dtype=float)
    else:
        logits = np.asarray(logits, dtype=float)
        weights = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True)


def log_odds(xp: Any, probs: Any, logits: Any) -> Any:
    """Log of the odds, whichever way the probability was given; finite for probabilities of 0 and 1."""
    return log_positive(xp, probs) - log_positive(xp, 1.0 - probs) if logits is None else logits


def log_probabilities(xp: Any, probs: Any, logits: Any) -> Any:
    """Logs of a vector of probabilities, whichever way it was given; finite for a probability of 0."""
    return log_positive(xp, probs) if logits is None else log_softmax(xp, logits)


def log_positive(xp: Any, x: Any) -> Any:
    """`log(x)` with 0 taken for the smallest positive number, so that 0 times it stays 0."""
    return xp.log(xp.maximum(x, SMALLEST))


def log_gamma_draw(rng: np.random.Generator, shape: tuple[int, ...], concentration: Any) -> Any:
    """Log of a standard gamma draw; finite where the draw itself would underflow to 0."""
    boost = np.log1p(-rng.random(shape)) / concentration
    return np.log(rng.standard_gamma(np.asarray(concentration) + 1.0, shape)) + boost


def choose_index(rng: np.random.Generator, shape: tuple[int, ...], probs: Any) -> Any:
    """Draws from 0..K-1 by inverting the running sum of `probs` (…, K), which sum to 1."""
    edges = np.cumsum(probs, axis=-1)[..., :-1]
    return np.sum(rng.random(shape)[..., None] >= edges, axis=-1)


def integers(value: Any) -> Any:
    """A count as NumPy's samplers want it."""
    return np.asarray(value).astype(np.int64)


def log1m_exp(xp: Any, x: Any) -> Any:
    """`log(1 - exp(x))` for `x <= 0`."""
    near = xp.log(-xp.expm1(xp.maximum(x, -LOG_TWO)))
    far = xp.log1p(-xp.exp(xp.minimum(x, -LOG_TWO)))
    return xp.where(x > -LOG_TWO, near, far)


def log_diff_exp(xp: Any, a: Any, b: Any) -> Any:
    """`log(exp(a) - exp(b))` for `b <= a`."""
    return a + log1m_exp(xp, b - a)


def sampler(form: NoiseForm) -> Callable[..., Any]:
    """The sampler of a family of scalars that has a noise form."""
    return lambda rng, shape, **parameters: form.transform(NUMPY, form.draw(rng, shape), **parameters)


def column(xp: Any, parameter: Any, axes: int = 1) -> Any:
    """A scalar parameter with so many dimensions of length 1 behind its batch axes; a plain number as it is."""
    shape = xp.shape(parameter)
    return xp.reshape(parameter, (*shape, *(1,) * axes)) if shape else parameter


def on_positive(formula: Callable[..., Any], outside: float) -> Callable[..., Any]:
    """The log chance of a positive quantity: its formula above 0, and `outside` elsewhere."""
    return lambda xp, value, **parameters: _on(xp, value > 0, formula, value, outside, parameters)


def on_counts(formula: Callable[..., Any], outside: float) -> Callable[..., Any]:
    """The log chance of a count: its formula from 0 on, and `outside` elsewhere."""
    return lambda xp, value, **parameters: _on(xp, value >= 0, formula, value, outside, parameters)


def _on(xp: Any, inside: Any, formula: Callable[..., Any], value: Any, outside: float, parameters: Any) -> Any:
    return xp.where(inside, formula(xp, xp.where(inside, value, 1.0), **parameters), outside)
