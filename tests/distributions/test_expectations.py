"""Implicit derivatives against closed derivatives of expectations, by Monte Carlo.

A z-score is compared with 5.5 at a fixed seed: a right formula fails one comparison with probability below 1e-7, the
file below 1e-4.
"""

from __future__ import annotations

import math
from typing import Any

import autograd
import numpy as np
import pytest
from contract.distribution_cases import LARGE_Z, NOT_DIFFERENTIATED, arrays, cases, draw, projected, support_of
from contract.tools import AUTOGRAD
from scipy import special

from ppl.distributions import DISTRIBUTIONS
from ppl.numeric import NUMPY

DRAWS = 20_000


def smooth(name: str, example: Any) -> bool:
    return DISTRIBUTIONS[name].implicit is not None


def z_scores(sample: Any, expected: Any) -> Any:
    spread = np.std(sample, axis=0) / math.sqrt(len(sample))
    return np.abs(np.mean(sample, axis=0) - expected) / (spread + 1e-12)


def spread_out(parameters: Any, distribution: Any) -> Any:
    fixed = {name for name in parameters if distribution.parameter(name).support in NOT_DIFFERENTIATED}
    return {
        name: value if name in fixed else np.array(np.broadcast_to(value, (DRAWS, *value.shape)))
        for name, value in parameters.items()
    }


@cases(lambda name, example: smooth(name, example) and DISTRIBUTIONS[name].exponential is not None)
def test_slopes_of_mean_statistics(name, example):
    """`d E[T(z)] / d parameter`: of E z, E log z, E log |z| … where the family has them."""
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    family = distribution.exponential
    values = draw(distribution, parameters, (DRAWS,), seed=4)
    for place in range(len(family.ranks)):
        statistic = family.statistics(NUMPY, values)[place]
        weight = np.cos(1.0 + np.arange(statistic[0].size)).reshape(statistic.shape[1:])
        cotangent = autograd.grad(
            lambda value: AUTOGRAD.sum(weight * family.statistics(AUTOGRAD, value)[place])  # noqa: B023
        )(values)
        found = distribution.implicit(values, cotangent, **spread_out(parameters, distribution))
        for parameter in parameters:
            support = distribution.parameter(parameter).support

            def mean(moved: Any, parameter: str = parameter, support: str = support) -> Any:
                given = {**parameters, parameter: projected(AUTOGRAD, support, moved)}
                statistics = family.mean_statistics(AUTOGRAD, *family.natural(AUTOGRAD, **given))
                return AUTOGRAD.sum(weight * statistics[place])  # noqa: B023

            exact = autograd.grad(mean)(parameters[parameter])
            assert np.all(z_scores(found[parameter], exact) < LARGE_Z), (parameter, place)


@cases(lambda name, example: smooth(name, example) and DISTRIBUTIONS[name].entropy is not None)
def test_slopes_of_the_entropy(name, example):
    """The entropy changes only through the draws, since the score has mean 0."""
    distribution, parameters = DISTRIBUTIONS[name], arrays(example)
    support = support_of(distribution, parameters).name
    values = draw(distribution, parameters, (DRAWS,), seed=4)
    given = spread_out(parameters, distribution)
    cotangent = -autograd.grad(
        lambda value: AUTOGRAD.sum(distribution.log_density(AUTOGRAD, projected(AUTOGRAD, support, value), **given))
    )(values)
    found = distribution.implicit(values, cotangent, **given)
    for parameter in parameters:
        if distribution.parameter(parameter).support in NOT_DIFFERENTIATED:
            continue
        own = distribution.parameter(parameter).support

        def entropy(moved: Any, parameter: str = parameter, own: str = own) -> Any:
            return AUTOGRAD.sum(
                distribution.entropy(AUTOGRAD, **{**parameters, parameter: projected(AUTOGRAD, own, moved)})
            )

        exact = autograd.grad(entropy)(parameters[parameter])
        assert np.all(z_scores(found[parameter], exact) < LARGE_Z), parameter


def without_normaliser(value: Any, cotangent: Any, concentration: Any, rate: Any) -> Any:
    """Wrong: draws scaled by their mean, as if the shape of the density did not change."""
    return {"concentration": cotangent * value / concentration}


@pytest.mark.parametrize(
    ("implicit", "right"),
    [(DISTRIBUTIONS["gamma"].implicit, True), (without_normaliser, False)],
    ids=["right", "scaled"],
)
@pytest.mark.parametrize("shape", [0.05, 0.4, 3.0, 50.0])
def test_slope_of_the_mean_log_of_a_gamma(implicit, right, shape):
    """`d E[log z] / d concentration` is the trigamma function; a scaled draw would give 1 / concentration."""
    values = draw(DISTRIBUTIONS["gamma"], {"concentration": shape, "rate": 0.7}, (DRAWS,))
    found = implicit(values, 1.0 / values, concentration=shape, rate=0.7)
    assert bool(z_scores(found["concentration"], special.polygamma(1, shape)) < LARGE_Z) == right
    of_mean = implicit(values, np.ones(DRAWS), concentration=shape, rate=0.7)["concentration"]
    assert z_scores(of_mean, 1.0 / 0.7) < LARGE_Z


@pytest.mark.parametrize("size", [2, 3, 50])
@pytest.mark.parametrize("shape", [0.08, 1.0, 40.0])
def test_slope_of_the_second_moment_of_a_dirichlet(size, shape):
    """By every concentration at once, of `E[sum w x^2]`, with each `E x_i^2 = a_i (a_i + 1) / (A (A + 1))`."""
    concentration = shape * np.linspace(0.5, 1.5, size)
    values = draw(DISTRIBUTIONS["dirichlet"], {"concentration": concentration}, (4000,))
    weight = np.cos(np.arange(size))
    found = DISTRIBUTIONS["dirichlet"].implicit(values, 2.0 * weight * values, concentration=concentration)

    def moment(a: Any) -> Any:
        total = AUTOGRAD.sum(a)
        return AUTOGRAD.sum(weight * a * (a + 1.0)) / (total * (total + 1.0))

    assert np.all(z_scores(found["concentration"], autograd.grad(moment)(concentration)) < LARGE_Z)
