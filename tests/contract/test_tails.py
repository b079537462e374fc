"""Logs of distribution functions: in the body against scipy.stats, in the far tails by their slopes."""

from __future__ import annotations

from typing import Any

import autograd
import numpy as np
import pytest
from contract.distribution_cases import arrays, batch, cases, draw, is_continuous, smooth_parameters
from contract.tools import AUTOGRAD, check_gradient
from scipy import integrate, special

import ppl
from ppl.backends import get_backend
from ppl.constraints import stable
from ppl.distributions import DISTRIBUTIONS
from ppl.inference.choose import choose_guide
from ppl.inference.target import Target
from ppl.numeric import NUMPY

CLOSED = {
    "normal", "half_normal", "cauchy", "half_cauchy", "student_t", "half_student_t", "lognormal", "exponential",
    "gamma", "inverse_gamma", "chi2", "uniform", "logistic", "laplace", "gumbel", "weibull", "pareto", "beta",
    "poisson", "binomial", "geometric", "negative_binomial", "negative_binomial_probs",
    "asymmetric_laplace", "ex_gaussian", "moyal", "soft_laplace", "skew_student_t", "generalized_extreme_value",
    "generalized_pareto", "inverse_gaussian", "log_logistic", "levy", "kumaraswamy", "logit_normal", "rayleigh",
    "gompertz", "frechet", "log_uniform", "triangular", "beta_proportion", "inverse_chi2", "scaled_inverse_chi2",
    "discrete_uniform", "discrete_weibull",
}  # fmt: skip
TAILS = ("log_cdf", "log_survival")


def has_tails(name: str, example: Any) -> bool:
    return DISTRIBUTIONS[name].log_cdf is not None


def continuous_tails(name: str, example: Any) -> bool:
    return has_tails(name, example) and is_continuous(name, example)


def test_the_families_with_a_distribution_function():
    assert {name for name in DISTRIBUTIONS if DISTRIBUTIONS[name].log_cdf} == CLOSED
    assert {name for name in DISTRIBUTIONS if DISTRIBUTIONS[name].log_survival} == CLOSED


@cases(lambda name, example: has_tails(name, example) and DISTRIBUTIONS[name].reference is not None)
def test_tails_agree_with_scipy(name, example):
    """At draws, and at numbers outside the support."""
    family = DISTRIBUTIONS[name]
    values = np.concatenate([draw(family, arrays(example), (40,)), [-3.0, -1.0, 0.0, 1.0, 50.0]])
    reference = family.reference(**example)
    with np.errstate(all="ignore"):
        found = [getattr(family, tail)(NUMPY, values, **arrays(example)) for tail in TAILS]
        expected = [reference.logcdf(values), reference.logsf(values)]
    for one, other in zip(found, expected, strict=True):
        close = np.isfinite(other) & (other > -500)
        np.testing.assert_allclose(one[close], other[close], rtol=1e-9, atol=1e-13)
        assert np.all(one[~np.isfinite(other)] < -50)


@cases(has_tails)
def test_chances_of_both_sides_sum_to_one(name, example):
    family = DISTRIBUTIONS[name]
    values = draw(family, arrays(example), (40,))
    below, above = (getattr(family, tail)(NUMPY, values, **arrays(example)) for tail in TAILS)
    np.testing.assert_allclose(np.exp(below) + np.exp(above), 1.0, rtol=1e-12)


@cases(continuous_tails)
def test_slopes_are_the_density_even_far_out(name, example):
    """`d log cdf(x) / dx = exp(log density - log cdf)`, down to chances of exp(-10000)."""
    family, parameters = DISTRIBUTIONS[name], arrays(example)
    values = draw(family, parameters, (20,))
    spread = {"real": [-300.0, -40.0, 40.0, 300.0], "positive": [1e-30, 1e-3, 300.0, 4000.0]}
    support = family.support(parameters, {}).name
    values = np.concatenate([values, spread.get(support, [])])
    log_density = family.log_density(NUMPY, values, **parameters)
    for tail, sign in zip(TAILS, (1.0, -1.0), strict=True):
        chance = getattr(family, tail)
        slope = autograd.grad(lambda x, chance=chance: AUTOGRAD.sum(chance(AUTOGRAD, x, **parameters)))(values)
        value = chance(NUMPY, values, **parameters)
        known = (value > -1e5) & (value < 0.0)
        np.testing.assert_allclose(slope[known], sign * np.exp(log_density - value)[known], rtol=1e-8, atol=1e-300)
        assert np.all(np.isfinite(slope))


@cases(has_tails)
def test_gradients_of_tails(name, example):
    """By value and parameters, in batches; where the chance is not 0 or 1."""
    family = DISTRIBUTIONS[name]
    parameters = batch(family, example)
    values = draw(family, parameters, (3, 2))
    for tail in TAILS:
        chance = getattr(family, tail)
        if not np.all(np.isfinite(chance(NUMPY, values, **parameters))):
            values = np.floor(np.median(values)) + 0.0 * values  # a count of 0 of 4, or 4 of 4

        def log_chance(xp: Any, value: Any, *given: Any, chance: Any = chance) -> Any:
            return chance(xp, value, **dict(zip(parameters, given, strict=True)))

        places = [1 + list(parameters).index(parameter) for parameter in smooth_parameters(family, example)]
        check_gradient(log_chance, (values, *parameters.values()), places if family.discrete else [0, *places])


@pytest.mark.parametrize(("a", "x"), [(3.0, 900.0), (0.4, 1200.0), (1000.0, 150.0), (5.0, 1e-80), (40.0, 2.0)])
def test_incomplete_gamma_beyond_underflow(a, x):
    """Against quadrature of the density relative to its value at the end."""
    lower = a > x
    edge = (a - 1.0) * np.log(x) - x - special.gammaln(a)
    scale = x / a if lower else 1.0

    def relative(step: float) -> float:
        point = x - scale * step if lower else x + scale * step
        return np.exp((a - 1.0) * (np.log(point) - np.log(x)) - (point - x)) if point > 0 else 0.0

    share = integrate.quad(relative, 0.0, x / scale if lower else 60.0, epsabs=0, epsrel=1e-12, limit=500)[0]
    chance = NUMPY.special.log_gammainc if lower else NUMPY.special.log_gammaincc
    assert chance(a, x) == pytest.approx(edge + np.log(scale * share), rel=1e-10)


def test_incomplete_beta_beyond_underflow():
    """Closed for b = 1: `x^a`; and by the polynomial for b = 2."""
    assert NUMPY.special.log_betainc(400.0, 1.0, 1e-3, 1 - 1e-3) == pytest.approx(400 * np.log(1e-3), rel=1e-12)
    expected = 400 * np.log(1e-3) + np.log(401 - 400 * 1e-3)
    assert NUMPY.special.log_betainc(400.0, 2.0, 1e-3, 1 - 1e-3) == pytest.approx(expected, rel=1e-12)


def test_student_t_far_out():
    """The tail of a t with 3 degrees of freedom falls as `2 sqrt(3) 3 / (3 pi t^3)`-like power: log-log slope -3."""
    near, far = (NUMPY.special.log_student_t_cdf(-t, 3.0) for t in (1e120, 1e130))
    assert near - far == pytest.approx(30 * np.log(10.0), rel=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 1e-12, -1e-7, 3e-3, -9.99e-3, 0.01, 0.0101, -0.3, 0.8])
def test_powers_are_exact_about_exponent_zero(exponent):
    """Value and derivative against extended precision, on both sides of where the series ends."""
    u = np.array([-0.9, -0.2, 0.4, 1.0])
    t = np.longdouble(exponent) * u.astype(np.longdouble)
    expected = u if exponent == 0 else np.expm1(t) / np.longdouble(exponent)
    found = stable.power(NUMPY, u, exponent)
    np.testing.assert_allclose(found, np.asarray(expected, float), rtol=1e-14)
    np.testing.assert_allclose(stable.power_inverse(NUMPY, found, exponent), u, rtol=1e-13)
    slope = autograd.grad(lambda e: AUTOGRAD.sum(stable.power(AUTOGRAD, u, e)))(exponent)
    by_series = np.sum(u**2 * (0.5 + t / 3 + t**2 / 8 + t**3 / 30 + t**4 / 144)) if abs(exponent) < 0.02 else None
    if by_series is not None:
        assert slope == pytest.approx(float(by_series), rel=1e-10)


@pytest.mark.parametrize("x", [-1e5, -300.0, -20.001, -19.999, -15.0, -3.0, 0.0, 4.0])
def test_scaled_normal_cdf(x):
    """The scaled complementary error function of SciPy, under another name."""
    expected = np.log(0.5 * special.erfcx(-x / np.sqrt(2.0)))
    assert stable.log_scaled_normal_cdf(NUMPY, x) == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("rate", [1e-4, 0.3, 50.0, 1e5])
def test_ex_gaussian_from_hardly_to_wholly_normal(rate):
    """Against the textbook formula with the scaled error function, right where neither tail underflows."""
    family = DISTRIBUTIONS["ex_gaussian"]
    x = np.linspace(-4.0, 4.0, 17)
    expected = np.log(0.5 * rate * special.erfcx((rate - x) / np.sqrt(2.0))) - 0.5 * x * x
    found = family.log_density(NUMPY, x, loc=0.0, scale=1.0, rate=rate)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    below = family.log_cdf(NUMPY, np.append(x, -30.0), loc=0.0, scale=1.0, rate=rate)
    mills = [special.erfcx(-each / np.sqrt(2.0)) for each in (-30.0, -30.0 - rate)]
    assert below[-1] == pytest.approx(np.log(0.5 * (mills[0] - mills[1])) - 450.0, rel=1e-11)
    assert np.all(np.diff(below[:-1]) > 0)


@pytest.mark.parametrize("model", ["lkj(3, 2)", "wishart(5, M)", "inverse_wishart(7, M)", "lkj_cholesky(3, 2)"])
def test_matrices_at_the_ends_of_their_range_are_no_numbers_and_no_exceptions(model: str) -> None:
    """Where rounding makes a matrix singular a search steps back; an exception would end it."""
    bound = ppl.parse(f"data M: real[3, 3]\ns ~ {model}\n" if "M" in model else f"s ~ {model}\n").bind(
        {"M": np.eye(3) + 0.2} if "M" in model else {}
    )
    guide = choose_guide(bound.plan())
    target = Target(guide.plan, bound.data, guide, get_backend("autograd"))
    for size in (3.0, 15.0, 40.0, 400.0):
        rows = np.random.default_rng(0).uniform(-size, size, (50, target.dim))
        values, gradients = target.log_density(rows), target.gradient(rows)
        assert values.shape == (50,)
        assert gradients.shape == rows.shape
        assert size > 3.0 or (np.isfinite(values).all() and np.isfinite(gradients).all())
