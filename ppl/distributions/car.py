"""The conditional autoregressive distribution (Besag, 1974)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, column, scipy_stats
from ppl.distributions.multi_normal import multiply

LOC = (0.4, -1.0, 0.7, 0.2)
ADJACENCY = ((0.0, 1.0, 0.0, 1.0), (1.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 1.0), (1.0, 0.0, 1.0, 0.0))


def _degrees(xp: Any, adjacency: Any) -> Any:
    """How many neighbours each place has; NaN if `adjacency` is not symmetric, for which there is no density."""
    one_way = xp.any(adjacency != xp.swapaxes(adjacency, -1, -2), axis=(-2, -1))
    return xp.sum(adjacency, axis=-1) + xp.where(one_way, np.nan, 0.0)[..., None]


def _precision(xp: Any, correlation: Any, conditional_precision: Any, adjacency: Any) -> Any:
    degrees = _degrees(xp, adjacency)[..., None] * np.eye(xp.shape(adjacency)[-1])
    scaled = column(xp, correlation, 2) * adjacency
    return column(xp, conditional_precision, 2) * (degrees - scaled)


def _half_log_determinant(xp: Any, correlation: Any, conditional_precision: Any, adjacency: Any) -> Any:
    """Of the precision: through the eigenvalues of the adjacency alone, which data fix."""
    degrees = _degrees(xp, adjacency)
    root = 1.0 / xp.sqrt(degrees)
    eigenvalues = xp.eigenvalues(root[..., :, None] * adjacency * root[..., None, :])
    spectrum = xp.sum(xp.log1p(-column(xp, correlation) * eigenvalues), axis=-1)
    size = xp.shape(adjacency)[-1]
    return 0.5 * (size * xp.log(conditional_precision) + xp.sum(xp.log(degrees), axis=-1) + spectrum)


def _log_density(xp: Any, value: Any, loc: Any, **graph: Any) -> Any:
    away = value - loc
    adjacency, correlation = graph["adjacency"], column(xp, graph["correlation"])
    stretched = _degrees(xp, adjacency) * away - correlation * multiply(xp, adjacency, away)
    distance = graph["conditional_precision"] * xp.sum(away * stretched, axis=-1)
    return _half_log_determinant(xp, **graph) - 0.5 * distance - xp.shape(value)[-1] * HALF_LOG_TWO_PI


def _transform(xp: Any, noise: Any, loc: Any, **graph: Any) -> Any:
    factor = xp.linalg.inv(xp.linalg.cholesky(_precision(xp, **graph)))
    return loc + multiply(xp, xp.swapaxes(factor, -1, -2), noise)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, **graph: Any) -> Any:
    return _transform(np, rng.standard_normal((*shape, np.shape(loc)[-1])), loc, **graph)


def _entropy(xp: Any, loc: Any, **graph: Any) -> Any:
    size = xp.shape(loc)[-1]
    return size * (0.5 + HALF_LOG_TWO_PI) - _half_log_determinant(xp, **graph) + 0.0 * xp.sum(loc, axis=-1)


def _reference(loc: Any, adjacency: Any, **strength: Any) -> Any:
    precision = _precision(np, adjacency=np.asarray(adjacency), **strength)
    return scipy_stats().multivariate_normal(loc, np.linalg.inv(precision))


DISTRIBUTIONS.register(
    Distribution(
        name="car",
        doc="Conditional autoregressive normal: given its neighbours, a place has mean `loc` plus `correlation` times "
        "their average deviation and precision `conditional_precision` times their number. `adjacency` is symmetric, "
        "and each place has a neighbour.",
        parameters=(
            Parameter("loc", "real", "(n)"),
            Parameter("correlation", "unit_interval"),
            Parameter("conditional_precision", "positive"),
            Parameter("adjacency", "adjacency", "(n,n)"),
        ),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(n)",
        noise=NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform),
        entropy=_entropy,
        examples=({"loc": LOC, "correlation": 0.6, "conditional_precision": 1.3, "adjacency": ADJACENCY},),
        reference=_reference,
    )
)
