"""Combinators over every registered family that they take.

The statistical tests compare a p-value with 1e-6 at a fixed seed: a correct sampler fails one comparison with
probability below 1e-6, and the whole file below 1e-3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from contract.distribution_cases import (
    CASES,
    DRAWS,
    SMALL_P,
    arrays,
    cases,
    draw,
    grid,
    is_scalar,
    smooth_parameters,
    support_of,
)
from contract.tools import check_gradient
from scipy import stats

from ppl.distributions import DISTRIBUTIONS, Distribution, combinators
from ppl.numeric import NUMPY

BOUNDS = {"below": ("upper",), "above": ("lower",), "between": ("lower", "upper")}
SHARES = {"lower": 0.3, "upper": 0.8}
COUNTS = np.arange(3000)


def has_tails(name: str, example: Mapping[str, Any]) -> bool:
    return DISTRIBUTIONS[name].log_cdf is not None


def counts_with_tails(name: str, example: Mapping[str, Any]) -> bool:
    distribution = DISTRIBUTIONS[name]
    use = support_of(distribution, arrays(example))
    counts = use.name == "count" or (use.name == "integer_interval" and use.arguments[0] == 0)
    return has_tails(name, example) and distribution.discrete and counts


def is_count(name: str, example: Mapping[str, Any]) -> bool:
    distribution = DISTRIBUTIONS[name]
    if not is_scalar(name, example):
        return False
    return distribution.discrete and support_of(distribution, arrays(example)).name in ("count", "boolean")


def bounds_of(name: str, example: Mapping[str, Any], which: str) -> dict[str, Any]:
    """Bounds near quantiles of draws, between two values where draws are whole numbers."""
    values = draw(DISTRIBUTIONS[name], arrays(example), (999,), seed=3)
    found = {bound: np.quantile(values, SHARES[bound]) for bound in BOUNDS[which]}
    whole = DISTRIBUTIONS[name].discrete
    return {bound: np.asarray(np.floor(value) if whole else value) for bound, value in found.items()}


def support_values(distribution: Distribution, parameters: Mapping[str, Any]) -> Any:
    """The whole numbers that carry noticeable probability."""
    low, high = combinators.support_ends(support_of(distribution, parameters))
    return np.arange(int(low), 3000 if high is None else int(high) + 1)


def probabilities_add_up(family: Distribution, values: Any, parameters: Mapping[str, Any]) -> None:
    """To 1, to the distribution function, and to the frequencies of draws (Pearson's chi-square)."""
    with np.errstate(all="ignore"):
        mass = np.exp(family.log_density(NUMPY, values, **parameters))
    assert np.sum(mass) == pytest.approx(1.0, abs=1e-9)
    if family.log_cdf is not None:
        below = np.exp(family.log_cdf(NUMPY, values, **parameters))
        above = np.exp(family.log_survival(NUMPY, values, **parameters))
        np.testing.assert_allclose(below, np.cumsum(mass), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(above + below, 1.0, rtol=1e-10)
    drawn = draw(family, parameters, (DRAWS,))
    counts = np.bincount(drawn - values[0], minlength=len(values))
    common = DRAWS * mass >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(DRAWS * mass[common], DRAWS * mass[~common].sum())
    kept = expected > 1e-6
    assert observed[~kept].sum() == 0
    statistic = np.sum((observed[kept] - expected[kept]) ** 2 / expected[kept])
    assert kept.sum() == 1 or stats.chi2.sf(statistic, kept.sum() - 1) > SMALL_P


def follows_its_density(family: Distribution, parameters: Mapping[str, Any], ends: tuple[float, float]) -> None:
    """The distribution function rises as the density says, from 0 to 1, and draws follow it."""
    points = draw(family, parameters, (30,), seed=5)
    step = 1e-5 * (np.quantile(points, 0.9) - np.quantile(points, 0.1))
    inside = (points - step > ends[0]) & (points + step < ends[1])
    density = np.exp(family.log_density(NUMPY, points, **parameters))
    for tail, sign in ((family.log_cdf, 1.0), (family.log_survival, -1.0)):
        rise = (np.exp(tail(NUMPY, points + step, **parameters)) - np.exp(tail(NUMPY, points - step, **parameters))) / (
            2.0 * step
        )
        np.testing.assert_allclose(sign * rise[inside], density[inside], rtol=1e-4, atol=1e-6 * np.max(density))
    values = draw(family, parameters, (DRAWS // 4,))
    assert np.all((values >= ends[0]) & (values <= ends[1]))
    below = np.exp(family.log_cdf(NUMPY, values, **parameters))
    np.testing.assert_allclose(below + np.exp(family.log_survival(NUMPY, values, **parameters)), 1.0, rtol=1e-9)
    assert stats.kstest(below, "uniform").pvalue > SMALL_P


@cases(has_tails)
@pytest.mark.parametrize("which", BOUNDS)
def test_truncated(name, example, which):
    base = DISTRIBUTIONS[name]
    bounds = bounds_of(name, example, which)
    parameters = {**arrays(example), **bounds}
    family = combinators.truncated(base)
    if base.discrete:
        values = support_values(base, arrays(example))
        probabilities_add_up(family, values, parameters)
        return
    ends = float(bounds.get("lower", -np.inf)), float(bounds.get("upper", np.inf))
    follows_its_density(family, parameters, ends)
    outside = np.array([end + sign for end, sign in zip(ends, (-1e-3, 1e-3), strict=True) if np.isfinite(end)])
    assert np.all(family.log_density(NUMPY, outside, **parameters) == -np.inf)


@cases(has_tails)
@pytest.mark.parametrize("which", BOUNDS)
def test_gradients_of_truncated(name, example, which):
    """By the value, the parameters and the bounds."""
    base = DISTRIBUTIONS[name]
    parameters = {**arrays(example), **bounds_of(name, example, which)}
    family = combinators.truncated(base)
    values = draw(family, parameters, (5,), seed=4)
    if not base.discrete:
        values = np.mean(values) + 0.9 * (values - np.mean(values))  # off the bounds

    def log_density(xp: Any, value: Any, *given: Any) -> Any:
        return family.log_density(xp, value, **dict(zip(parameters, given, strict=True)))

    smooth = smooth_parameters(base, example) + ([] if base.discrete else list(BOUNDS[which]))
    places = [1 + list(parameters).index(parameter) for parameter in smooth]
    check_gradient(log_density, (values, *parameters.values()), places if base.discrete else [0, *places])


@cases(has_tails)
def test_censored(name, example):
    """Each element counts by its flag, in the value and in the derivatives."""
    base, parameters = DISTRIBUTIONS[name], arrays(example)
    family = combinators.censored(base)
    values = np.quantile(draw(base, parameters, (999,), seed=6), np.linspace(0.1, 0.9, 9), method="lower")
    if base.discrete:
        values = np.full(9, values[4])  # both sides of it have a chance
    flags = {"left": np.arange(9) % 3 == 1, "right": np.arange(9) % 3 == 2}
    found = family.log_density(NUMPY, values, **flags, **parameters)
    parts = [base.log_density, base.log_cdf, base.log_survival]
    expected = [parts[place % 3](NUMPY, value, **parameters) for place, value in enumerate(values)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)

    def log_density(xp: Any, value: Any, *given: Any) -> Any:
        return family.log_density(xp, value, **flags, **dict(zip(parameters, given, strict=True)))

    places = [1 + list(parameters).index(parameter) for parameter in smooth_parameters(base, example)]
    check_gradient(log_density, (values, *parameters.values()), places if base.discrete else [0, *places])


def scalar_pairs() -> list[Any]:
    """Each scalar family with the next one of the same support."""
    groups: dict[Any, list[Any]] = {}
    for case in CASES:
        name, example = case.values
        if is_scalar(name, example):
            use = support_of(DISTRIBUTIONS[name], arrays(example))
            key = (use.name, *(float(argument) for argument in use.arguments))
            groups.setdefault(key, []).append((name, example))
    return [
        pytest.param(one, other, id=f"{one[0]}-{other[0]}")
        for group in groups.values()
        for one, other in zip(group, group[1:] + group[:1], strict=True)
    ]


@pytest.mark.parametrize(("one", "other"), scalar_pairs())
def test_mixtures_mix_families(one, other):
    """Density, distribution function and draws; the density is the weighted sum of the two."""
    bases = [DISTRIBUTIONS[name] for name, _ in (one, other)]
    own = [arrays(example) for _, example in (one, other)]
    family = combinators.mixture(bases)
    numbered = {f"{key}_{place}": value for place, given in enumerate(own) for key, value in given.items()}
    parameters = {"weights": np.array([0.3, 0.7]), **numbered}
    values = draw(family, parameters, (60,), seed=9)
    pairs = list(zip(bases, own, strict=True))
    apart = [np.exp(base.log_density(NUMPY, values, **given)) for base, given in pairs]
    expected = np.log(0.3 * apart[0] + 0.7 * apart[1])
    np.testing.assert_allclose(family.log_density(NUMPY, values, **parameters), expected, rtol=1e-9, atol=1e-12)
    assert (family.log_cdf is not None) == all(base.log_cdf is not None for base in bases)
    if family.discrete:
        use = support_of(bases[0], own[0])
        if use.name != "boolean":
            probabilities_add_up(family, support_values(bases[0], own[0]), parameters)
    elif family.log_cdf is not None:
        follows_its_density(family, parameters, (-np.inf, np.inf))
        follows_its_density(
            combinators.truncated(family),
            {**parameters, "upper": np.median(values)},
            (-np.inf, float(np.median(values))),
        )


@cases(is_count)
def test_zero_inflated(name, example):
    base, parameters = DISTRIBUTIONS[name], arrays(example)
    family = combinators.zero_inflated(base)
    values = support_values(base, parameters)
    probabilities_add_up(family, values, {**parameters, "inflation": np.asarray(0.35)})
    alone = family.log_density(NUMPY, values[:9], **parameters, inflation=1e-300)
    np.testing.assert_allclose(alone, base.log_density(NUMPY, values[:9], **parameters), rtol=1e-12)


@cases(counts_with_tails)
def test_hurdle(name, example):
    """The chance of 0 is `zero`; above it the odds are those of the family."""
    base, parameters = DISTRIBUTIONS[name], arrays(example)
    family = combinators.hurdle(base)
    given = {**parameters, "zero": np.asarray(0.35)}
    values = support_values(base, parameters)
    probabilities_add_up(family, values, given)
    found = family.log_density(NUMPY, values[:5], **given)
    own = base.log_density(NUMPY, values[:5], **parameters)
    assert found[0] == pytest.approx(np.log(0.35))
    np.testing.assert_allclose(np.diff(found[1:]), np.diff(own[1:]), rtol=1e-9, atol=1e-12)


def test_hurdle_of_a_family_that_is_nearly_always_zero():
    family = combinators.hurdle(DISTRIBUTIONS["poisson"])
    found = family.log_density(NUMPY, np.array([0, 1, 2]), rate=1e-20, zero=0.5)
    np.testing.assert_allclose(found, [np.log(0.5), np.log(0.5), np.log(0.5) - np.log(2e20)], rtol=1e-12)


def can_be_ordered(name: str, example: Mapping[str, Any]) -> bool:
    if not is_scalar(name, example) or DISTRIBUTIONS[name].discrete:
        return False
    return support_of(DISTRIBUTIONS[name], arrays(example)).name in combinators.ORDERED_SUPPORTS


@cases(can_be_ordered)
def test_ordered(name, example):
    """The density of an increasing triple is 3! times the product; the least of three draws follows `1 - (1 - F)^3`."""
    base, parameters = DISTRIBUTIONS[name], arrays(example)
    family = combinators.ordered(base, combinators.ORDERED_SUPPORTS[support_of(base, parameters).name])
    values = draw(family, {**parameters, "size": 3}, (DRAWS,))
    assert values.shape == (DRAWS, 3)
    assert np.all(np.diff(values, axis=-1) > 0)
    expected = np.log(6.0) + np.sum(base.log_density(NUMPY, values, **parameters), axis=-1)
    np.testing.assert_allclose(family.log_density(NUMPY, values, **parameters, size=3), expected, rtol=1e-12)
    nodes, log_weights, to_line = grid(base, parameters)
    with np.errstate(over="ignore"):
        mass = np.exp(base.log_density(NUMPY, nodes, **parameters) + log_weights)
    ranks = np.interp(to_line(values[:, 0]), to_line(nodes), np.cumsum(mass) - 0.5 * mass)
    assert stats.kstest(1.0 - (1.0 - ranks) ** 3, "uniform").pvalue > SMALL_P
