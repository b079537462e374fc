"""Laws that hold for every registered distribution.

The statistical tests compare a p-value with 1e-6 or a z-score with 5.5 at a fixed seed: a correct sampler fails
one comparison with probability below 1e-6, and the whole file below 1e-3.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import autograd
import numpy as np
import pytest
from contract.distribution_cases import (
    DRAWS,
    LARGE_Z,
    LINE,
    SCALABLE,
    SMALL_P,
    arrays,
    batch,
    cases,
    draw,
    enumerable,
    event_of,
    every_value,
    grid,
    is_continuous,
    is_proper,
    is_scalar,
    masses,
    projected,
    smooth_parameters,
    support_of,
)
from contract.tools import AUTOGRAD, check_gradient
from scipy import stats

from ppl.constraints import SUPPORTS
from ppl.distributions import DISTRIBUTIONS
from ppl.numeric import NUMPY


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_declaration(name):
    distribution = DISTRIBUTIONS[name]
    names = [parameter.name for parameter in distribution.parameters]
    assert len(names) == len(set(names))
    assert all(parameter.support in SUPPORTS for parameter in distribution.parameters)
    assert {parameter.instead_of for parameter in distribution.parameters} <= {*names, ""}
    assert distribution.location_scale is None or set(distribution.location_scale) <= set(names)
    assert distribution.doc.endswith(".")
    shown = set(itertools.chain.from_iterable(distribution.examples))
    assert shown == set(names), "every parameter stands in an example"


@cases(lambda name, example: True)
def test_example_lies_in_the_parameters_supports(name, example):
    for parameter, value in arrays(example).items():
        assert np.all(SUPPORTS[DISTRIBUTIONS[name].parameter(parameter).support].contains(value))


@cases(lambda name, example: DISTRIBUTIONS[name].reference is not None)
def test_density_agrees_with_scipy(name, example):
    distribution = DISTRIBUTIONS[name]
    parameters = arrays(example)
    values = draw(distribution, parameters, (20,))
    reference = distribution.reference(**example)
    log_density = reference.logpmf if distribution.discrete else reference.logpdf
    expected = [float(np.squeeze(log_density(value))) for value in values]
    found = distribution.log_density(NUMPY, values, **parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@cases(enumerable)
def test_density_integrates_to_one(name, example):
    _, mass = masses(DISTRIBUTIONS[name], arrays(example))
    assert np.sum(mass) == pytest.approx(1.0, abs=1e-9)


@cases(
    lambda name, example: (
        is_proper(name, example) and not enumerable(name, example) and not DISTRIBUTIONS[name].reference
    )
)
def test_density_of_matrices_integrates_to_one(name, example):
    """By the trapezoidal rule over the unconstrained space, of at most three dimensions.

    Correlations of more than `tanh(9)` are left out: their chance is below 1e-7, and their matrix rounds to a singular.
    """
    distribution = DISTRIBUTIONS[name]
    parameters = arrays(example)
    use = support_of(distribution, parameters)
    bijection = SUPPORTS[use.name].bijection
    (free,) = bijection.unconstrained(event_of(distribution, parameters))
    assert free <= 3
    line = np.linspace(-9.0, 9.0, 73)
    u = np.stack(np.meshgrid(*[line] * free), axis=-1).reshape(-1, free)
    log_density = distribution.log_density(NUMPY, bijection.forward(NUMPY, u), **parameters)
    mass = np.exp(log_density + bijection.log_det(NUMPY, u)) * (line[1] - line[0]) ** free
    assert np.sum(mass) == pytest.approx(1.0, abs=1e-7)


@cases(lambda name, example: enumerable(name, example) and DISTRIBUTIONS[name].entropy is not None)
def test_entropy_agrees_with_quadrature(name, example):
    parameters = arrays(example)
    log_density, mass = masses(DISTRIBUTIONS[name], parameters)
    expected = -np.sum(mass * np.where(mass > 0, log_density, 0.0))
    np.testing.assert_allclose(DISTRIBUTIONS[name].entropy(NUMPY, **parameters), expected, rtol=1e-8)


@cases(lambda name, example: not enumerable(name, example) and DISTRIBUTIONS[name].entropy is not None)
def test_entropy_of_vectors_agrees_with_draws(name, example):
    parameters = arrays(example)
    distribution = DISTRIBUTIONS[name]
    surprise = -distribution.log_density(NUMPY, draw(distribution, parameters, (DRAWS,)), **parameters)
    error = np.std(surprise) / np.sqrt(DRAWS)
    assert abs(np.mean(surprise) - distribution.entropy(NUMPY, **parameters)) <= LARGE_Z * error + 1e-12


@cases(is_proper)
def test_draws_lie_in_the_support(name, example):
    parameters = arrays(example)
    use = support_of(DISTRIBUTIONS[name], parameters)
    values = draw(DISTRIBUTIONS[name], parameters, (DRAWS,))
    assert np.all(SUPPORTS[use.name].contains(values, *use.arguments))
    assert np.all(np.isfinite(DISTRIBUTIONS[name].log_density(NUMPY, values, **parameters)))


@cases(lambda name, example: is_scalar(name, example) and is_continuous(name, example))
def test_draws_follow_the_density(name, example):
    """Kolmogorov–Smirnov on the probability integral transform."""
    parameters = arrays(example)
    distribution = DISTRIBUTIONS[name]
    _, _, to_line = grid(distribution, parameters)
    _, mass = masses(distribution, parameters)
    ranks = np.interp(to_line(draw(distribution, parameters, (DRAWS,))), LINE, np.cumsum(mass) - 0.5 * mass)
    assert stats.kstest(ranks, "uniform").pvalue > SMALL_P


@cases(lambda name, example: is_proper(name, example) and DISTRIBUTIONS[name].discrete)
def test_draws_follow_the_probabilities(name, example):
    """Pearson's chi-square; values expected fewer than 5 times are counted together."""
    parameters = arrays(example)
    distribution = DISTRIBUTIONS[name]
    values = every_value(support_of(distribution, parameters), event_of(distribution, parameters))
    _, mass = masses(distribution, parameters)
    drawn = draw(distribution, parameters, (DRAWS,))
    places = {tuple(np.atleast_1d(value)): place for place, value in enumerate(values)}
    counts = np.bincount([places[tuple(np.atleast_1d(value))] for value in drawn], minlength=len(values))
    rare = DRAWS * mass < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(DRAWS * mass[~rare], DRAWS * mass[rare].sum())
    kept = expected > 1e-6
    assert observed[~kept].sum() == 0
    statistic = np.sum((observed[kept] - expected[kept]) ** 2 / expected[kept])
    assert stats.chi2.sf(statistic, kept.sum() - 1) > SMALL_P


def has_fixed_support(name: str, example: Mapping[str, Any]) -> bool:
    """Whether the support stays when the continuous parameters move."""
    moved = {parameter: 1.01 * value for parameter, value in arrays(example).items()}
    distribution = DISTRIBUTIONS[name]
    return is_proper(name, example) and support_of(distribution, arrays(example)) == support_of(distribution, moved)


@cases(has_fixed_support)
def test_score_has_mean_zero(name, example):
    """`E[d log p(x) / d parameter] = 0`, in a batch of two parameter sets, ties the sampler to the density."""
    distribution = DISTRIBUTIONS[name]
    parameters = {}
    for parameter, value in arrays(example).items():
        declared = distribution.parameter(parameter)
        step = 0.3 if declared.support in SCALABLE else 0.0
        parameters[parameter] = value if declared.length_of else np.stack([value, (1 + step) * value])
    values = draw(distribution, parameters, (DRAWS, 2))
    for parameter in smooth_parameters(distribution, example):
        support = distribution.parameter(parameter).support
        if support == "simplex":
            continue  # its elements do not move freely

        def total(moved: Any, parameter: str = parameter, support: str = support) -> Any:
            given = {**parameters, parameter: projected(AUTOGRAD, support, moved)}
            return AUTOGRAD.sum(distribution.log_density(AUTOGRAD, values, **given))

        score = autograd.grad(total)(
            np.array(np.broadcast_to(parameters[parameter], (DRAWS, *parameters[parameter].shape)))
        )
        error = np.std(score, axis=0) / np.sqrt(DRAWS)
        assert np.all(np.abs(np.mean(score, axis=0)) <= LARGE_Z * error + 1e-12)


@cases(is_proper)
@pytest.mark.filterwarnings("ignore:Output seems independent of input")
@pytest.mark.parametrize("arrange", [lambda distribution, example: arrays(example), batch], ids=["one", "batch"])
def test_gradients(name, example, arrange):
    distribution = DISTRIBUTIONS[name]
    parameters = arrange(distribution, example)
    values = draw(distribution, parameters, (3, 2))
    use = support_of(distribution, arrays(example))

    def log_density(xp: Any, value: Any, *given: Any) -> Any:
        named = {p: projected(xp, distribution.parameter(p).support, v) for p, v in zip(parameters, given, strict=True)}
        return distribution.log_density(xp, projected(xp, use.name, value), **named)

    places = [1 + list(parameters).index(parameter) for parameter in smooth_parameters(distribution, example)]
    if not distribution.discrete:
        places = [0, *places]
    check_gradient(log_density, (values, *parameters.values()), places)


@cases(is_proper)
def test_batches_equal_one_at_a_time(name, example):
    distribution = DISTRIBUTIONS[name]
    parameters = batch(distribution, example)
    event = event_of(distribution, parameters)
    values = draw(distribution, parameters, (3, 2))
    assert values.shape == (3, 2, *event)
    found = distribution.log_density(NUMPY, values, **parameters)
    assert found.shape == (3, 2)
    spread = {}
    for parameter, value in parameters.items():
        declared = distribution.parameter(parameter)
        rank = len(declared.core_dimensions)
        spread[parameter] = np.broadcast_to(value, (3, 2, *value.shape[value.ndim - rank :]))
    for place in np.ndindex(3, 2):
        alone = {parameter: value[place] for parameter, value in spread.items()}
        one = distribution.log_density(NUMPY, values[place], **alone)
        assert found[place] == pytest.approx(one, rel=1e-11, abs=1e-11)
        if distribution.entropy:
            together = np.broadcast_to(distribution.entropy(NUMPY, **parameters), (3, 2))
            assert together[place] == pytest.approx(distribution.entropy(NUMPY, **alone), rel=1e-11)


@cases(is_proper)
def test_draws_repeat_with_the_seed(name, example):
    first, second, other = (draw(DISTRIBUTIONS[name], arrays(example), (50,), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != other)


@pytest.mark.parametrize("example", DISTRIBUTIONS["flat"].examples, ids=lambda example: "-".join(example) or "free")
def test_flat_has_log_density_zero_on_its_support(example):
    use = support_of(DISTRIBUTIONS["flat"], arrays(example))
    assert use.arguments == tuple(example.values())
    assert DISTRIBUTIONS["flat"].log_density(NUMPY, 1.2, **example) == 0.0
    with pytest.raises(ValueError, match="improper"):
        draw(DISTRIBUTIONS["flat"], example, (2,))


@pytest.mark.parametrize(
    ("name", "value", "parameters", "expected"),
    [
        ("bernoulli", 0.0, {"probs": 0.0}, 0.0),
        ("bernoulli", 1.0, {"probs": 0.0}, -np.inf),
        ("bernoulli", 1.0, {"logits": 800.0}, 0.0),
        ("binomial", 0.0, {"total_count": 3.0, "probs": 0.0}, 0.0),
        ("binomial", 3.0, {"total_count": 3.0, "probs": 1.0}, 0.0),
        ("binomial", 3.0, {"total_count": 3.0, "logits": 800.0}, 0.0),
        ("categorical", 0, {"probs": np.array([1.0, 0.0])}, 0.0),
        ("uniform", 1.5, {"low": 0.0, "high": 1.0}, -np.inf),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_edges(name, value, parameters, expected):
    assert DISTRIBUTIONS[name].log_density(NUMPY, value, **parameters) == expected


def test_a_certain_outcome_has_a_finite_gradient():
    slope = autograd.grad(lambda probs: DISTRIBUTIONS["binomial"].log_density(AUTOGRAD, 0.0, 3.0, probs=probs))
    assert slope(0.0) == -3.0
