"""The natural forms of the exponential families: identities that hold for every declared one."""

from __future__ import annotations

from typing import Any

import autograd
import numpy as np
import pytest
from contract.distribution_cases import LARGE_Z, PROJECTIONS, arrays, batch, cases, draw, projected, sizes
from contract.tools import AUTOGRAD

from ppl.distributions import DISTRIBUTIONS, Distribution
from ppl.numeric import NUMPY

DRAWS = 20_000

EXPECTED = {
    *("normal", "lognormal", "half_normal", "laplace", "von_mises", "gaussian_random_walk", "multi_normal"),
    *("gamma", "inverse_gamma", "chi2", "exponential", "weibull", "pareto", "beta", "dirichlet"),
    *("bernoulli", "categorical", "binomial", "multinomial", "poisson", "geometric"),
    *("negative_binomial", "negative_binomial_probs", "wishart", "inverse_wishart"),
}


def is_exponential(name: str, example: Any) -> bool:
    return DISTRIBUTIONS[name].exponential is not None


def fixed_of(distribution: Distribution, parameters: Any) -> dict[str, Any]:
    known = {**parameters, **sizes(distribution, parameters)}
    assert distribution.exponential is not None
    return {name: known[name] for name in distribution.exponential.fixed}


def inner(xp: Any, family: Any, natural: Any, statistics: Any) -> Any:
    pairs = zip(natural, statistics, family.ranks, strict=True)
    return sum(xp.sum(eta * each, axis=tuple(range(-rank, 0))) if rank else eta * each for eta, each, rank in pairs)


def natural_density(distribution: Distribution, values: Any, parameters: Any) -> Any:
    family, fixed = distribution.exponential, fixed_of(distribution, parameters)
    assert family is not None
    natural = family.natural(NUMPY, **{**parameters, **fixed})
    product = inner(NUMPY, family, natural, family.statistics(NUMPY, values, **fixed))
    return product - family.log_normaliser(NUMPY, *natural, **fixed) + family.log_base(NUMPY, values, **fixed)


def test_families_that_are_exponential_say_so():
    assert {name for name in DISTRIBUTIONS if DISTRIBUTIONS[name].exponential} >= EXPECTED


@cases(is_exponential)
@pytest.mark.parametrize("arrange", [lambda distribution, example: arrays(example), batch], ids=["one", "batch"])
def test_natural_form_is_the_density(name, example, arrange):
    distribution = DISTRIBUTIONS[name]
    parameters = arrange(distribution, example)
    values = draw(distribution, parameters, (20, 3, 2))
    expected = distribution.log_density(NUMPY, values, **parameters)
    np.testing.assert_allclose(natural_density(distribution, values, parameters), expected, rtol=1e-10, atol=1e-10)


@cases(is_exponential)
@pytest.mark.parametrize("arrange", [lambda distribution, example: arrays(example), batch], ids=["one", "batch"])
def test_parameters_come_back(name, example, arrange):
    distribution = DISTRIBUTIONS[name]
    parameters, family = arrange(distribution, example), distribution.exponential
    fixed = fixed_of(distribution, parameters)
    found = family.parameters(NUMPY, *family.natural(NUMPY, **{**parameters, **fixed}), **fixed)
    assert set(found) == {parameter.name for parameter in distribution.positional}
    for parameter in set(found) & set(parameters):
        expected = np.broadcast_to(parameters[parameter], np.shape(found[parameter]))
        np.testing.assert_allclose(found[parameter], expected, rtol=1e-11)
    values = draw(distribution, parameters, (5, 3, 2))
    np.testing.assert_allclose(
        distribution.log_density(NUMPY, values, **found),
        distribution.log_density(NUMPY, values, **parameters),
        rtol=1e-9,
        atol=1e-9,
    )


@cases(is_exponential)
@pytest.mark.parametrize("arrange", [lambda distribution, example: arrays(example), batch], ids=["one", "batch"])
def test_mean_statistics_are_the_slope_of_the_normaliser(name, example, arrange):
    distribution = DISTRIBUTIONS[name]
    parameters, family = arrange(distribution, example), distribution.exponential
    fixed = fixed_of(distribution, parameters)
    natural = family.natural(NUMPY, **{**parameters, **fixed})
    batches = (np.shape(eta)[: np.ndim(eta) - rank] for eta, rank in zip(natural, family.ranks, strict=True))
    shape = np.broadcast_shapes(*batches, *map(np.shape, fixed.values()))
    natural = [
        np.array(np.broadcast_to(eta, shape + eta.shape[eta.ndim - rank :]))
        for eta, rank in zip(natural, family.ranks, strict=True)
    ]
    for place, rank in enumerate(family.ranks):

        def total(moved: Any, place: int = place, rank: int = rank) -> Any:
            moved = projected(AUTOGRAD, "positive_definite", moved) if rank == 2 else moved
            return AUTOGRAD.sum(
                family.log_normaliser(AUTOGRAD, *natural[:place], moved, *natural[place + 1 :], **fixed)
            )

        slope = autograd.grad(total)(natural[place])
        mean = np.broadcast_to(family.mean_statistics(NUMPY, *natural, **fixed)[place], natural[place].shape)
        np.testing.assert_allclose(slope, mean, rtol=1e-9, atol=1e-12)


@cases(is_exponential)
def test_mean_statistics_agree_with_draws(name, example):
    """Each mean within 5.5 standard errors: a false alarm less than once in 10^5 runs of the file."""
    distribution = DISTRIBUTIONS[name]
    parameters, family = arrays(example), distribution.exponential
    fixed = fixed_of(distribution, parameters)
    values = draw(distribution, parameters, (DRAWS,))
    natural = family.natural(NUMPY, **{**parameters, **fixed})
    means = family.mean_statistics(NUMPY, *natural, **fixed)
    for found, mean in zip(family.statistics(NUMPY, values, **fixed), means, strict=True):
        error = np.std(found, axis=0) / np.sqrt(DRAWS)
        assert np.all(np.abs(np.mean(found, axis=0) - mean) <= LARGE_Z * error + 1e-12)


@cases(is_exponential)
def test_natural_parameters_are_differentiable(name, example):
    """Autograd passes through every function of the form and gives finite slopes."""
    distribution = DISTRIBUTIONS[name]
    parameters, family = arrays(example), distribution.exponential
    fixed = fixed_of(distribution, parameters)
    values = draw(distribution, parameters, (3,))
    for parameter in parameters:
        declared = distribution.parameter(parameter)
        if parameter in fixed or declared.length_of:
            continue

        def total(moved: Any, parameter: str = parameter) -> Any:
            natural = family.natural(AUTOGRAD, **{**parameters, **fixed, parameter: moved})
            product = inner(AUTOGRAD, family, natural, family.statistics(AUTOGRAD, values, **fixed))
            return AUTOGRAD.sum(product - family.log_normaliser(AUTOGRAD, *natural, **fixed))

        def density(moved: Any, parameter: str = parameter) -> Any:
            return AUTOGRAD.sum(distribution.log_density(AUTOGRAD, values, **{**parameters, parameter: moved}))

        found, expected = (autograd.grad(function)(parameters[parameter]) for function in (total, density))
        if declared.support == "simplex":  # its elements move only against each other
            found, expected = found - np.mean(found), expected - np.mean(expected)
        if declared.support in PROJECTIONS:
            found, expected = (projected(NUMPY, declared.support, slope) for slope in (found, expected))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters", "value"),
    [
        ("bernoulli", {"probs": np.array([0.0, 1.0])}, np.array([0, 1])),
        ("binomial", {"total_count": np.array(4.0), "probs": np.array([0.0, 1.0])}, np.array([0, 4])),
        ("categorical", {"probs": np.array([0.0, 1.0, 0.0])}, np.array(1)),
        ("multinomial", {"total_count": np.array(4.0), "probs": np.array([0.0, 1.0, 0.0])}, np.array([0, 4, 0])),
    ],
)
def test_certain_outcomes_keep_their_log_probability_of_0(name, parameters, value):
    np.testing.assert_allclose(natural_density(DISTRIBUTIONS[name], value, parameters), 0.0, atol=1e-12)
