"""Supports of vectors: simplices, ordered vectors, spheres and vectors that sum to zero.

Where `within` names a support of scalars, each element of the vector lies in it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ppl.constraints.base import SUPPORTS, Bijection, Support
from ppl.constraints.stable import log_expit

TOLERANCE = 1e-6
"""How far a sum or a norm read from data may be from its exact value."""


def _one_fewer(event: tuple[int, ...]) -> tuple[int, ...]:
    return (event[0] - 1,)


def _all_finite(value: Any) -> Any:
    return np.all(np.isfinite(value), axis=-1)


def _zero_like_last(xp: Any, u: Any) -> Any:
    """Zeros (..., 1), also of vectors without elements: a simplex of length 1 has no free coordinate."""
    return 0.0 * u[..., :1] if u.shape[-1] else xp.sum(u, axis=-1, keepdims=True)


# Simplex: stick breaking. Fraction k of what is left is expit(u_k - log(K - 1 - k)), so u = 0 is the centre.


def _sticks(xp: Any, u: Any) -> tuple[Any, Any]:
    """Log of the fraction broken off at each step, and log of what is left after it."""
    size = u.shape[-1]
    centred = u - np.log(np.arange(size, 0, -1))
    return log_expit(xp, centred), xp.cumsum(log_expit(xp, -centred), axis=-1)


def _simplex(xp: Any, u: Any) -> Any:
    log_fraction, log_left = _sticks(xp, u)
    zero = _zero_like_last(xp, u)
    before = xp.concatenate([zero, log_left], axis=-1)
    return xp.exp(before + xp.concatenate([log_fraction, zero], axis=-1))


def _simplex_inverse(xp: Any, x: Any) -> Any:
    size = x.shape[-1] - 1
    left = xp.cumsum(x[..., ::-1], axis=-1)[..., ::-1]
    return xp.log(x[..., :-1]) - xp.log(left[..., 1:]) + np.log(np.arange(size, 0, -1))


def _simplex_log_det(xp: Any, u: Any) -> Any:
    log_fraction, log_left = _sticks(xp, u)
    return xp.sum(log_fraction + log_left, axis=-1)


def _simplex_contains(x: Any) -> Any:
    x = np.asarray(x)
    return _all_finite(x) & np.all(x >= 0, axis=-1) & (np.abs(np.sum(x, axis=-1) - 1) <= TOLERANCE)


SUPPORTS.register(
    Support(
        "simplex",
        contains=_simplex_contains,
        describe="nonnegative with sum 1",
        event_rank=1,
        within=("unit_interval",),
        bijection=Bijection(
            forward=_simplex,
            inverse=_simplex_inverse,
            log_det=_simplex_log_det,
            formula="x[k] = (1 - x[0] - … - x[k-1]) * expit(u[k] - log(K - 1 - k))",
            unconstrained=_one_fewer,
        ),
        example=((), (4,)),
    )
)


# Ordered vectors: the first element and the logs of the steps.


def _ordered(xp: Any, u: Any) -> Any:
    return xp.cumsum(xp.concatenate([u[..., :1], xp.exp(u[..., 1:])], axis=-1), axis=-1)


def _ordered_inverse(xp: Any, x: Any) -> Any:
    return xp.concatenate([x[..., :1], xp.log(x[..., 1:] - x[..., :-1])], axis=-1)


def _positive_ordered_inverse(xp: Any, x: Any) -> Any:
    return xp.log(xp.concatenate([x[..., :1], x[..., 1:] - x[..., :-1]], axis=-1))


def _increasing(x: Any) -> Any:
    return _all_finite(x) & np.all(np.diff(x, axis=-1) > 0, axis=-1)


SUPPORTS.register(
    Support(
        "ordered",
        contains=_increasing,
        describe="increasing",
        event_rank=1,
        within=("real",),
        bijection=Bijection(
            forward=_ordered,
            inverse=_ordered_inverse,
            log_det=lambda xp, u: xp.sum(u[..., 1:], axis=-1),
            formula="x[0] = u[0]; x[k] = x[k-1] + exp(u[k])",
        ),
        example=((), (4,)),
    )
)

SUPPORTS.register(
    Support(
        "positive_ordered",
        contains=lambda x: _increasing(x) & (np.asarray(x)[..., 0] > 0),
        describe="positive and increasing",
        event_rank=1,
        within=("ordered", "positive"),
        bijection=Bijection(
            forward=lambda xp, u: xp.cumsum(xp.exp(u), axis=-1),
            inverse=_positive_ordered_inverse,
            log_det=lambda xp, u: xp.sum(u, axis=-1),
            formula="x[0] = exp(u[0]); x[k] = x[k-1] + exp(u[k])",
        ),
        example=((), (4,)),
    )
)


# Vectors that sum to zero: an orthonormal basis, so lengths are kept.


@cache
def _contrasts(size: int) -> np.ndarray:
    """Helmert contrasts, (size, size - 1): orthonormal columns, each orthogonal to the ones."""
    step = np.arange(1, size)
    upper = np.triu(np.ones((size - 1, size - 1)))
    basis = np.vstack([upper, np.zeros(size - 1)])
    basis[step, step - 1] = -step
    return basis / np.sqrt(step * (step + 1.0))


def _sums_to_zero(x: Any) -> Any:
    return _all_finite(x) & (np.abs(np.sum(x, axis=-1)) <= TOLERANCE * (1 + np.max(np.abs(x), axis=-1)))


SUPPORTS.register(
    Support(
        "zero_sum",
        contains=_sums_to_zero,
        describe="with sum 0",
        event_rank=1,
        within=("real",),
        bijection=Bijection(
            forward=lambda xp, u: xp.matmul(u, _contrasts(u.shape[-1] + 1).T),
            inverse=lambda xp, x: xp.matmul(x, _contrasts(x.shape[-1])),
            log_det=lambda xp, u: 0.0 * xp.sum(u, axis=-1),
            formula="x = H u, H the orthonormal Helmert contrasts",
            unconstrained=_one_fewer,
        ),
        example=((), (4,)),
    )
)


# The unit sphere: stereographic projection from the pole (0, …, 0, 1), which alone is left out.


def _sphere(xp: Any, u: Any) -> Any:
    square = xp.sum(u * u, axis=-1, keepdims=True)
    return xp.concatenate([2.0 * u, square - 1.0], axis=-1) / (square + 1.0)


def _sphere_log_det(xp: Any, u: Any) -> Any:
    return u.shape[-1] * (math.log(2.0) - xp.log1p(xp.sum(u * u, axis=-1)))


SUPPORTS.register(
    Support(
        "unit_vector",
        contains=lambda x: _all_finite(x) & (np.abs(np.sum(np.square(x), axis=-1) - 1) <= TOLERANCE),
        describe="of length 1",
        event_rank=1,
        within=("real",),
        bijection=Bijection(
            forward=_sphere,
            inverse=lambda xp, x: x[..., :-1] / (1.0 - x[..., -1:]),
            log_det=_sphere_log_det,
            formula="x = (2 u, |u|^2 - 1) / (|u|^2 + 1)",
            unconstrained=_one_fewer,
        ),
        example=((), (4,)),
    )
)
