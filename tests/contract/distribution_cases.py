"""What the distributions' tests share: the examples as cases, batches, quadrature grids and probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from ppl.constraints import SUPPORTS
from ppl.distributions import DISTRIBUTIONS, Distribution, SupportUse
from ppl.numeric import NUMPY

DRAWS = 4000
SMALL_P = 1e-6
LARGE_Z = 5.5

# Supports that a multiplication by 1.05 does not leave (for the examples at hand).
SCALABLE = {"real", "positive", "nonnegative", "unit_interval", "positive_definite", "cov_cholesky"}
NOT_DIFFERENTIATED = {"count", "integer", "boolean", "adjacency"}


def symmetrised(xp: Any, matrix: Any) -> Any:
    return 0.5 * (matrix + xp.swapaxes(matrix, -1, -2))


def lowered(xp: Any, matrix: Any) -> Any:
    return matrix * np.tri(matrix.shape[-1])


# Onto the matrices for which a density is meant, before it is differentiated by each element.
PROJECTIONS = {
    "positive_definite": symmetrised,
    "cov_cholesky": lowered,
    "corr_cholesky": lowered,
    "corr_matrix": symmetrised,
}

CASES = [
    pytest.param(name, example, id=f"{name}-{'-'.join(example)}")
    for name in DISTRIBUTIONS
    for example in DISTRIBUTIONS[name].examples
]


def cases(condition: Any) -> Any:
    return pytest.mark.parametrize(("name", "example"), [case for case in CASES if condition(*case.values)])


def is_scalar(name: str, example: Mapping[str, Any]) -> bool:
    return DISTRIBUTIONS[name].proper and not DISTRIBUTIONS[name].event_dimensions


def is_continuous(name: str, example: Mapping[str, Any]) -> bool:
    return DISTRIBUTIONS[name].proper and not DISTRIBUTIONS[name].discrete


def is_proper(name: str, example: Mapping[str, Any]) -> bool:
    return DISTRIBUTIONS[name].proper


def arrays(example: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(value, dtype=float) for name, value in example.items()}


def projected(xp: Any, support: str, value: Any) -> Any:
    return PROJECTIONS.get(support, lambda xp, value: value)(xp, value)


def batch(distribution: Distribution, example: Mapping[str, Any]) -> dict[str, Any]:
    """The example with batch axes: (3, 1), (2,), (), (3, 1), … in turn."""
    shapes: tuple[tuple[int, ...], ...] = ((3, 1), (2,), ())
    result = {}
    for (name, value), shape in zip(arrays(example).items(), itertools.cycle(shapes), strict=False):
        declared = distribution.parameter(name)
        step = 0.05 if declared.support in SCALABLE else 0.0
        factor = 1 + step * np.arange(np.prod(shape)).reshape(shape + (1,) * value.ndim)
        result[name] = value if declared.length_of else value * factor
    return result


def sizes(distribution: Distribution, parameters: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in parameters.items():
        declared = distribution.parameter(name)
        core = declared.core_dimensions
        if declared.length_of:
            found[declared.length_of] = int(value)
        found.update(zip(core, value.shape[value.ndim - len(core) :], strict=True))
    return found


def support_of(distribution: Distribution, parameters: Mapping[str, Any]) -> SupportUse:
    return distribution.support(parameters, sizes(distribution, parameters))


def event_of(distribution: Distribution, parameters: Mapping[str, Any]) -> tuple[int, ...]:
    known = sizes(distribution, parameters)
    return tuple(known[dimension] for dimension in distribution.event_dimensions)


def draw(distribution: Distribution, parameters: Mapping[str, Any], shape: tuple[int, ...], seed: int = 11) -> Any:
    return distribution.sample(np.random.default_rng(seed), shape, **parameters)


def every_value(use: SupportUse, event: tuple[int, ...]) -> Any:
    """All values of a discrete support that carry noticeable probability."""
    if use.name == "boolean":
        return np.array([0, 1])
    if use.name == "integer_interval":
        return np.arange(int(use.arguments[0]), int(use.arguments[1]) + 1)
    if use.name == "composition":
        total = int(use.arguments[0])
        return np.array([v for v in itertools.product(range(total + 1), repeat=event[0]) if sum(v) == total])
    assert use.name == "count"
    return np.arange(2000)


def panels(edges: Any, order: int = 10) -> tuple[Any, Any]:
    """Nodes and weights of Gauss–Legendre quadrature between each two edges, in increasing order."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = 0.5 * np.diff(edges)[:, None]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (middle + half * nodes).ravel(), (half * weights).ravel()


LINE, WEIGHTS = panels(np.linspace(-45.0, 45.0, 1801))


def grid(distribution: Distribution, parameters: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Values that span a continuous scalar support, their quadrature log weights, and the map back to `LINE`.

    The coordinate is one in which densities fade exponentially; a kink at the location falls between two panels.
    """
    use = support_of(distribution, parameters)
    if use.name == "real":
        centre = parameters["loc"]
        return centre + np.sinh(LINE), np.log(np.cosh(LINE) * WEIGHTS), lambda x: np.arcsinh(x - centre)
    bijection = SUPPORTS[use.name].bijection
    assert bijection is not None
    values = bijection.forward(NUMPY, LINE, *use.arguments)
    log_weights = bijection.log_det(NUMPY, LINE, *use.arguments) + np.log(WEIGHTS)
    return values, log_weights, lambda x: bijection.inverse(NUMPY, x, *use.arguments)


@np.errstate(over="ignore")
def masses(distribution: Distribution, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
    """Log density and probability of every value (discrete) or grid cell (continuous)."""
    if distribution.discrete:
        values = every_value(support_of(distribution, parameters), event_of(distribution, parameters))
        log_density = distribution.log_density(NUMPY, values, **parameters)
        return log_density, np.exp(log_density)
    values, log_weights, _ = grid(distribution, parameters)
    log_density = distribution.log_density(NUMPY, values, **parameters)
    return log_density, np.exp(log_density + log_weights)


def enumerable(name: str, example: Mapping[str, Any]) -> bool:
    return is_scalar(name, example) or (is_proper(name, example) and DISTRIBUTIONS[name].discrete)


def smooth_parameters(distribution: Distribution, example: Mapping[str, Any]) -> list[str]:
    return [name for name in example if distribution.parameter(name).support not in NOT_DIFFERENTIATED]
