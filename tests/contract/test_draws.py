"""Draws as functions of the parameters: noise forms and implicit derivatives, for every family that declares one.

The statistical tests compare a p-value with 1e-6 or a z-score with 5.5 at a fixed seed: a correct family fails one
comparison with probability below 1e-6, and the whole file below 1e-3.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import autograd
import numpy as np
import pytest
from contract.distribution_cases import (
    DRAWS,
    LARGE_Z,
    LINE,
    NOT_DIFFERENTIATED,
    SMALL_P,
    arrays,
    batch,
    cases,
    draw,
    event_of,
    grid,
    is_scalar,
    masses,
    projected,
    support_of,
)
from contract.tools import AUTOGRAD, finite_difference
from scipy import stats

from ppl.constraints import SUPPORTS
from ppl.distributions import DISTRIBUTIONS, Distribution
from ppl.numeric import NUMPY


def has_noise(name: str, example: Mapping[str, Any]) -> bool:
    return DISTRIBUTIONS[name].noise is not None


def has_implicit(name: str, example: Mapping[str, Any]) -> bool:
    return DISTRIBUTIONS[name].implicit is not None


def scalar_noise(name: str, example: Mapping[str, Any]) -> bool:
    return has_noise(name, example) and is_scalar(name, example)


def scalar_implicit(name: str, example: Mapping[str, Any]) -> bool:
    """The draws of a circle may turn past its end: they keep the quantile up to that alone."""
    if not (has_implicit(name, example) and is_scalar(name, example)):
        return False
    use = support_of(DISTRIBUTIONS[name], arrays(example))
    return not (use.name == "interval" and use.arguments == (-np.pi, np.pi))


def from_noise(distribution: Distribution, parameters: Mapping[str, Any], shape: tuple[int, ...], seed: int = 7) -> Any:
    form = distribution.noise
    assert form is not None
    noise = form.draw(np.random.default_rng(seed), (*shape, *event_of(distribution, parameters)))
    return noise, form.transform(NUMPY, noise, **parameters)


def movable(distribution: Distribution, parameters: Mapping[str, Any]) -> list[str]:
    return [name for name in parameters if distribution.parameter(name).support not in NOT_DIFFERENTIATED]


def ranks(distribution: Distribution, parameters: Mapping[str, Any], values: Any) -> Any:
    """The probability integral transform of values of a continuous scalar family, by quadrature."""
    _, _, to_line = grid(distribution, parameters)
    _, mass = masses(distribution, parameters)
    return np.interp(to_line(values), LINE, np.cumsum(mass) - 0.5 * mass)


def test_smooth_draws_are_of_continuous_families():
    for distribution in DISTRIBUTIONS.values():
        assert not (distribution.discrete and (distribution.noise or distribution.implicit))
        assert not (distribution.noise and distribution.implicit)


@cases(has_noise)
@pytest.mark.parametrize("arrange", [lambda distribution, example: arrays(example), batch], ids=["one", "batch"])
def test_transformed_noise_lies_in_the_support(name, example, arrange):
    distribution = DISTRIBUTIONS[name]
    parameters = arrange(distribution, example)
    _, values = from_noise(distribution, parameters, (40, 3, 2))
    assert values.shape == (40, 3, 2, *event_of(distribution, parameters))
    if arrange is not batch:
        use = support_of(distribution, parameters)
        assert np.all(SUPPORTS[use.name].contains(values, *use.arguments))


@cases(scalar_noise)
def test_transformed_noise_follows_the_density(name, example):
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    _, values = from_noise(distribution, parameters, (DRAWS,))
    assert stats.kstest(ranks(distribution, parameters, values), "uniform").pvalue > SMALL_P


@cases(lambda name, example: has_noise(name, example) and not is_scalar(name, example))
def test_transformed_noise_of_vectors_is_distributed_as_the_draws(name, example):
    """Each coordinate, each product of two neighbours and the log density, by Kolmogorov and Smirnov's test."""
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    _, values = from_noise(distribution, parameters, (DRAWS,))
    others = draw(distribution, parameters, (DRAWS,), seed=8)

    def summaries(found: Any) -> Any:
        flat = np.reshape(found, (DRAWS, -1))
        density = distribution.log_density(NUMPY, found, **parameters)
        return np.concatenate([flat, flat * np.roll(flat, 1, axis=-1), density[:, None]], axis=-1).T

    for one, other in zip(summaries(values), summaries(others), strict=True):
        assert stats.ks_2samp(one, other).pvalue > SMALL_P


@cases(has_noise)
@pytest.mark.filterwarnings("ignore:Output seems independent of input")
@pytest.mark.parametrize("arrange", [lambda distribution, example: arrays(example), batch], ids=["one", "batch"])
def test_derivatives_at_fixed_noise(name, example, arrange):
    """Against finite differences, by every parameter; these lose what the values round to over a step."""
    distribution = DISTRIBUTIONS[name]
    parameters = arrange(distribution, example)
    noise, values = from_noise(distribution, parameters, (3, 2))
    weight = np.cos(1.0 + np.arange(values.size)).reshape(values.shape)
    for parameter in movable(distribution, parameters):

        def total(xp: Any, moved: Any, parameter: str = parameter) -> Any:
            support = distribution.parameter(parameter).support
            given = {**parameters, parameter: projected(xp, support, moved)}
            return xp.sum(weight * distribution.noise.transform(xp, noise, **given))

        exact = autograd.grad(partial(total, AUTOGRAD))(parameters[parameter])
        approximate = finite_difference(partial(total, NUMPY), parameters[parameter])
        np.testing.assert_allclose(exact, approximate, rtol=1e-6, atol=1e-8 + 1e-11 * np.max(np.abs(values)))


@cases(lambda name, example: scalar_noise(name, example) and DISTRIBUTIONS[name].location_scale is None)
def test_one_dimensional_noise_keeps_the_quantile(name, example):
    """A monotone transform of one noise variable is the quantile function: its derivative follows from the density.

    `dx / dp = -(dF(x) / dp) / f(x)`, with F by quadrature.
    """
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    noise, values = from_noise(distribution, parameters, (12,))
    if noise.shape != values.shape:
        pytest.skip("made of several noise variables")
    check_quantiles(distribution, parameters, values, partial(slopes_of_noise, distribution, noise))


def slopes_of_noise(distribution: Distribution, noise: Any, parameters: Mapping[str, Any], parameter: str) -> Any:
    form = distribution.noise
    assert form is not None

    def total(moved: Any) -> Any:
        return AUTOGRAD.sum(form.transform(AUTOGRAD, noise, **{**parameters, parameter: moved}))

    return autograd.grad(total)(np.full(noise.shape, parameters[parameter]))


def check_quantiles(distribution: Distribution, parameters: Mapping[str, Any], values: Any, slopes: Any) -> None:
    density = np.exp(distribution.log_density(NUMPY, values, **parameters))
    for parameter in movable(distribution, parameters):

        def chance(at: float, parameter: str = parameter) -> Any:
            return cumulative(distribution, {**parameters, parameter: np.asarray(at)}, values)

        at, step = float(parameters[parameter]), 1e-3
        moved = [chance(at + multiple * step) for multiple in (-2, -1, 1, 2)]
        by_parameter = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * step)
        np.testing.assert_allclose(slopes(parameters, parameter), -by_parameter / density, rtol=1e-5, atol=1e-6)


def cumulative(distribution: Distribution, parameters: Mapping[str, Any], values: Any) -> Any:
    """The distribution function: closed, or by Gauss–Legendre quadrature in the unconstrained coordinate."""
    if distribution.log_cdf is not None:
        return np.exp(distribution.log_cdf(NUMPY, values, **parameters))
    use = support_of(distribution, parameters)
    bijection = SUPPORTS[use.name].bijection
    assert bijection is not None
    nodes, weights = np.polynomial.legendre.leggauss(400)
    ends = bijection.inverse(NUMPY, np.asarray(values), *use.arguments)
    half = 0.5 * (ends + 40.0)
    points = half[:, None] * (nodes + 1.0) - 40.0
    x = bijection.forward(NUMPY, points, *use.arguments)
    log_mass = distribution.log_density(NUMPY, x, **parameters) + bijection.log_det(NUMPY, points, *use.arguments)
    return half * np.sum(weights * np.exp(log_mass), axis=-1)


@cases(scalar_implicit)
def test_implicit_derivatives_keep_the_quantile(name, example):
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    values = np.sort(draw(distribution, parameters, (12,), seed=5))

    def slopes(given: Mapping[str, Any], parameter: str) -> Any:
        spread = {key: np.full(values.shape, value) for key, value in given.items()}
        return distribution.implicit(values, np.ones(values.shape), **spread)[parameter]

    check_quantiles(distribution, parameters, values, slopes)


@cases(has_implicit)
def test_implicit_derivatives_are_those_of_an_expectation(name, example):
    """`d E[t(x)] / dp` by the implicit derivative and by the score function; t sums sines of the coordinates."""
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    count = 5 * DRAWS
    values = draw(distribution, parameters, (count,), seed=21)
    axes = tuple(range(1, values.ndim))
    weight = np.cos(np.arange(values[0].size)).reshape(values.shape[1:])
    answer = np.sum(weight * np.sin(values), axis=axes)
    spread = {key: np.array(np.broadcast_to(value, (count, *value.shape))) for key, value in parameters.items()}
    fixed = {key: parameters[key] for key in parameters if distribution.parameter(key).length_of}
    found = distribution.implicit(values, weight * np.cos(values), **{**spread, **fixed})
    for parameter in movable(distribution, parameters):
        support = distribution.parameter(parameter).support

        def total(moved: Any, parameter: str = parameter, support: str = support) -> Any:
            given = {**parameters, parameter: projected(AUTOGRAD, support, moved)}
            return AUTOGRAD.sum(distribution.log_density(AUTOGRAD, values, **given))

        score = autograd.grad(total)(spread[parameter])
        baseline = np.reshape(answer - np.mean(answer), (count, *(1,) * (score.ndim - 1)))
        implicit = projected(NUMPY, support, np.asarray(found[parameter])) if score.ndim > 1 else found[parameter]
        difference = implicit - score * baseline
        error = np.std(difference, axis=0) / np.sqrt(count)
        assert np.all(np.abs(np.mean(difference, axis=0)) <= LARGE_Z * error + 1e-12), parameter
