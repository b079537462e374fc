"""Implicit derivatives against finite differences of inverse distribution functions.

The grids span shapes from 1e-2 to 1e4 and quantiles from 1e-6 to 1 - 1e-6; a relative error above 1e-6 fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from contract.distribution_cases import NOT_DIFFERENTIATED, draw, projected
from scipy import special

from ppl.distributions import DISTRIBUTIONS
from ppl.numeric import NUMPY

TOLERANCE = 1e-6
SHAPES = (1e-2, 0.1, 0.5, 1.0, 1.7, 3.0, 10.0, 100.0, 1e3, 1e4)
TAILS = (1e-6, 1e-4, 1e-2, 0.1, 0.3, 0.5)


def slope(function: Callable[[Any], Any], at: float, relative: float = 2e-3) -> Any:
    """Derivative by a positive shape, by the central stencil of eighth order in its log."""
    weights = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
    steps = [weight * (function(at * math.exp(k * relative)) - function(at * math.exp(-k * relative)))
             for k, weight in enumerate(weights, start=1)]  # fmt: skip
    return sum(steps) / (relative * at)


def gamma_quantile(shape: Any, tail: float, upper: bool) -> Any:
    return special.gammainccinv(shape, tail) if upper else special.gammaincinv(shape, tail)


def beta_quantile(a: Any, b: Any, tail: float, upper: bool) -> tuple[Any, Any]:
    """A quantile and 1 less it, each with all its digits."""
    x = special.betainccinv(a, b, tail) if upper else special.betaincinv(a, b, tail)
    y = special.betaincinv(b, a, tail) if upper else special.betainccinv(b, a, tail)
    return x, y


def error(found: Any, expected: Any) -> float:
    return float(np.max(np.abs(np.asarray(found) / np.asarray(expected) - 1.0)))


sides = pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])


# Quantiles of one variable -----------------------------------------------------------------------------


def gamma_error(implicit: Callable[..., Any], shape: float, upper: bool) -> float:
    worst = 0.0
    for tail in TAILS:
        value = gamma_quantile(shape, tail, upper) / 1.7
        if value > 1e-290:
            expected = value * slope(lambda moved, tail=tail: np.log(gamma_quantile(moved, tail, upper)), shape)
            found = implicit(value, 1.0, concentration=shape, rate=1.7)
            assert found["rate"] == pytest.approx(-value / 1.7, rel=1e-14)
            worst = max(worst, error(found["concentration"], expected))
    return worst


def without_normaliser(value: Any, cotangent: Any, concentration: Any, rate: Any) -> Any:
    """Wrong: draws scaled by their mean, as if the shape of the density did not change."""
    return {"concentration": cotangent * value / concentration, "rate": -cotangent * value / rate}


def slightly_off(value: Any, cotangent: Any, concentration: Any, rate: Any) -> Any:
    found = DISTRIBUTIONS["gamma"].implicit(value, cotangent, concentration, rate)
    return {**found, "concentration": found["concentration"] * (1.0 + 2.0 * TOLERANCE)}


@sides
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("implicit", "right"),
    [(DISTRIBUTIONS["gamma"].implicit, True), (without_normaliser, False), (slightly_off, False)],
    ids=["right", "scaled", "off"],
)
def test_gamma_by_concentration(implicit, right, shape, upper):
    assert (gamma_error(implicit, shape, upper) < TOLERANCE) == right


@sides
@pytest.mark.parametrize("shape", SHAPES)
def test_families_made_of_a_gamma(shape, upper):
    for tail in TAILS:
        standard = gamma_quantile(shape, tail, upper)
        if standard < 1e-290:
            continue
        growth = slope(lambda moved, tail=tail: np.log(gamma_quantile(moved, tail, upper)), shape)
        inverse = DISTRIBUTIONS["inverse_gamma"].implicit(1.3 / standard, 1.0, concentration=shape, scale=1.3)
        assert error(inverse["concentration"], -growth * 1.3 / standard) < TOLERANCE
        assert inverse["scale"] == pytest.approx(1.0 / standard, rel=1e-14)
        chi2 = DISTRIBUTIONS["chi2"].implicit(2.0 * standard, 1.0, df=2.0 * shape)
        assert error(chi2["df"], growth * standard) < TOLERANCE


@sides
@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_beta_by_both_concentrations(a, b, upper):
    """In log odds, with both ends' digits; and through the family, which is given the draw alone."""
    quantile_slope, implicit = NUMPY.special.beta_quantile_slope, DISTRIBUTIONS["beta"].implicit
    for tail in TAILS:
        x, y = beta_quantile(a, b, tail, upper)
        if min(x, y) < 1e-290:
            continue

        def log_odds(a: float, b: float, tail: float = tail) -> Any:
            x, y = beta_quantile(a, b, tail, upper)
            return np.log(x) - np.log(y)

        by_a = slope(lambda moved: log_odds(moved, b), a)
        by_b = slope(lambda moved: log_odds(a, moved), b)
        assert error(quantile_slope(a, b, x, y), by_a) < TOLERANCE
        assert error(-quantile_slope(b, a, y, x), by_b) < TOLERANCE
        if x < 0.99:
            found = implicit(x, 1.0, concentration1=a, concentration0=b)
            assert error(found["concentration1"], x * y * by_a) < TOLERANCE
            assert error(found["concentration0"], x * y * by_b) < TOLERANCE


def t_radius(df: Any, tail: float, upper: bool, size: int = 1) -> Any:
    """The distance of a standard t from 0 by one of its tails: its square over df is the odds of a beta draw."""
    x, y = beta_quantile(0.5 * df, 0.5 * size, tail, not upper)
    return np.sqrt(df * (y / x))


@sides
@pytest.mark.parametrize("df", SHAPES)
def test_t_by_df(df, upper):
    for tail in TAILS:
        with np.errstate(all="ignore"):
            radius = t_radius(df, tail, upper)
            expected = radius * slope(lambda moved, tail=tail: np.log(t_radius(moved, tail, upper)), df)
        if not (0.0 < radius < 1e140):
            continue
        found = DISTRIBUTIONS["half_student_t"].implicit(1.7 * radius, 1.0, df=df, scale=1.7)
        assert error(found["df"], 1.7 * expected) < TOLERANCE
        for sign in (-1.0, 1.0):
            found = DISTRIBUTIONS["student_t"].implicit(0.3 + sign * 1.7 * radius, 1.0, df=df, loc=0.3, scale=1.7)
            assert error(found["df"], sign * 1.7 * expected) < TOLERANCE
            assert found["loc"] == 1.0
            assert found["scale"] == pytest.approx(sign * radius, rel=1e-12)


@pytest.mark.parametrize("df", [20.0, 290.0, 310.0, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("t", [1e-3, 0.5, 1.0, 3.0, 6.0])
def test_t_by_large_df_against_the_expansion_of_its_quantile(df, t):
    """Abramowitz and Stegun 26.7.5, differentiated: the next term is below `(t^2 / df)^3`."""
    expected = -(t**3 + t) / (4.0 * df**2)
    found = DISTRIBUTIONS["student_t"].implicit(t, 1.0, df=df, loc=0.0, scale=1.0)["df"]
    next_term = (2.0 * t**4 + 2.0 * t**2 + 1.0) / df / 4.0
    assert error(found, expected) < 2.0 * next_term + 1e-9


def von_mises_chance(start: Any, end: Any, concentration: float) -> Any:
    """Between two angles from the mean, by Gauss-Legendre quadrature of 16 panels."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    places = ((np.arange(16)[:, None] + 0.5 * (nodes + 1.0)) / 16.0).ravel()
    angles = start + (end - start) * places[:, None]
    density = np.exp(-2.0 * concentration * np.sin(0.5 * angles) ** 2) / (
        2.0 * math.pi * special.ive(0.0, concentration)
    )
    return np.tile(weights, 16) @ density / 32.0 * (end - start)


@pytest.mark.parametrize("concentration", SHAPES)
def test_von_mises_by_concentration(concentration):
    """`d angle = -dF / p`, F by quadrature from 0, or from the other end where that is nearer."""
    chances = np.array([1e-6, 1e-3, 0.1, 0.25, 0.4, 0.49, 0.4999, 0.5 - 1e-6])
    far = min(math.pi, 12.0 / math.sqrt(concentration))
    angles = np.linspace(0.0, far, 2001)
    angles = np.interp(chances, von_mises_chance(0.0 * angles, angles, concentration), angles)
    near = angles < 0.5 * far
    start, end = np.where(near, 0.0, angles), np.where(near, angles, far)
    by_shape = slope(lambda moved: von_mises_chance(start, end, moved), concentration) * np.where(near, -1.0, 1.0)
    density = np.exp(DISTRIBUTIONS["von_mises"].log_density(NUMPY, angles, loc=0.0, concentration=concentration))
    for sign in (-1.0, 1.0):
        value = np.remainder(2.5 + sign * angles + math.pi, 2.0 * math.pi) - math.pi
        moved = DISTRIBUTIONS["von_mises"].implicit(value, 1.0, loc=2.5, concentration=concentration)
        np.testing.assert_allclose(moved["concentration"], sign * by_shape / density, rtol=TOLERANCE)
        np.testing.assert_array_equal(moved["loc"], np.ones(len(angles)))


# Draws of several parts, at fixed quantiles of the parts --------------------------------------------------


def normals(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(3).standard_normal(shape)


CHANCES = np.array([0.03, 0.4, 0.9])
SCALE = np.array([[2.0, 0.6, -0.3], [0.6, 1.5, 0.4], [-0.3, 0.4, 1.1]])


def multi_t(df: Any, loc: Any, cov: Any = None, prec: Any = None, chol: Any = None) -> Any:
    direction = normals((3, 3))
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    odds = special.betaincinv(1.5, 0.5 * df, CHANCES)
    radius = np.sqrt(df * odds / (1.0 - odds))
    if prec is not None:
        factor = np.linalg.inv(np.linalg.cholesky(prec)).T
    else:
        factor = np.tril(chol) if cov is None else np.linalg.cholesky(cov)
    return loc + radius[:, None] * (direction @ factor.T)


def bartlett(df: Any, scale: Any) -> Any:
    lengths = np.sqrt(2.0 * special.gammaincinv(0.5 * (df - np.arange(3)), CHANCES))
    factor = np.linalg.cholesky(scale) @ (np.tril(normals((3, 3)), -1) + np.diag(lengths))
    return factor @ factor.T


def correlations(dimension: int, concentration: Any) -> Any:
    factor = np.eye(dimension)
    chances = np.linspace(0.02, 0.9, dimension * dimension).reshape(dimension, dimension)
    for row in range(dimension):
        left = 1.0
        for column in range(row):
            shape = concentration + 0.5 * (dimension - 2 - column)
            partial = 2.0 * special.betaincinv(shape, shape, chances[row, column]) - 1.0
            factor[row, column] = partial * left
            left = left * math.sqrt(1.0 - partial * partial)
        factor[row, row] = left
    return factor


PARTS: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    *(("multi_student_t", multi_t, {"df": np.array(df), "loc": np.array([0.4, -1.0, 0.7]), name: value})
      for df in (0.6, 5.5, 2e3)
      for name, value in (("cov", SCALE), ("prec", SCALE), ("chol", np.linalg.cholesky(SCALE)))),
    *(("wishart", bartlett, {"df": np.array(df), "scale": SCALE}) for df in (2.1, 5.5, 300.0)),
    *(("inverse_wishart", lambda df, scale: np.linalg.inv(bartlett(df, np.linalg.inv(scale))),
       {"df": np.array(df), "scale": SCALE}) for df in (2.1, 7.5, 300.0)),
    *(("lkj_cholesky", correlations, {"dimension": size, "concentration": np.array(shape)})
      for size in (2, 5) for shape in (0.3, 1.8, 200.0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "transform", "parameters"), PARTS)
def test_parts_keep_their_quantiles(name, transform, parameters):
    distribution = DISTRIBUTIONS[name]
    value = transform(**parameters)
    cotangent = np.cos(1.0 + np.arange(value.size)).reshape(value.shape)
    found = distribution.implicit(value, cotangent, **parameters)
    for parameter, at in parameters.items():
        declared = distribution.parameter(parameter)
        if declared.support in NOT_DIFFERENTIATED:
            assert parameter not in found
            continue
        total = np.sum(found[parameter], axis=tuple(range(np.ndim(found[parameter]) - np.ndim(at))))
        for place in np.ndindex(at.shape):
            unit = np.zeros(at.shape)
            unit[place] = 1.0
            unit = projected(NUMPY, declared.support, unit)

            size = float(at) if declared.support == "positive" else max(1.0, float(np.max(np.abs(at))))

            def moved(step: float, parameter: str = parameter, at: Any = at, unit: Any = unit * size) -> float:
                given = {**parameters, parameter: at + (step - 1.0) * unit}
                return float(np.sum(cotangent * transform(**given)))

            expected = slope(moved, 1.0, 1e-3) / size
            assert np.sum(total * unit) == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE * np.max(np.abs(value)))


def test_a_dirichlet_of_two_is_a_beta():
    a, b = 0.3, 2.2
    x, y = beta_quantile(a, b, np.array([1e-6, 0.1, 0.4]), upper=True)
    found = DISTRIBUTIONS["dirichlet"].implicit(
        np.stack([x, y], axis=-1), np.array([1.0, 0.0]), concentration=np.array([a, b])
    )["concentration"]
    expected = DISTRIBUTIONS["beta"].implicit(x, 1.0, concentration1=a, concentration0=b)
    np.testing.assert_allclose(found[..., 0], expected["concentration1"], rtol=1e-8)
    np.testing.assert_allclose(found[..., 1], expected["concentration0"], rtol=1e-8)


# Far out ---------------------------------------------------------------------------------------------


def test_where_a_tail_underflows_the_log_slope_keeps_its_limit():
    """As z -> 0, P is `z^a / gamma(a + 1)`: `d log z = (digamma(a + 1) - log z) / a`."""
    for shape in (1e-3, 1e-2, 2.0, 1e3):
        expected = (special.digamma(shape + 1.0) - math.log(1e-300)) / shape
        assert NUMPY.special.gamma_quantile_slope(shape, 1e-300) == pytest.approx(expected, rel=1e-12)
    upper = NUMPY.special.gamma_quantile_slope(2.0, 1e6)
    assert upper == pytest.approx((math.log(1e6) - special.digamma(2.0)) / 1e6, rel=1e-5)


def test_clipped_and_huge_draws_give_finite_derivatives():
    tiny = np.finfo(float).tiny
    one = 1.0 - np.finfo(float).epsneg
    assert np.isfinite(DISTRIBUTIONS["gamma"].implicit(tiny, 1.0, 1e-2, 1.0)["concentration"])
    for value in (tiny, one):
        found = DISTRIBUTIONS["beta"].implicit(value, 1.0, 1e-2, 1e-2)
        assert all(np.isfinite(each) for each in found.values())
    corner = np.array([0.0, 1.0, 0.0])
    assert np.all(
        np.isfinite(DISTRIBUTIONS["dirichlet"].implicit(corner, np.ones(3), np.full(3, 1e-2))["concentration"])
    )
    far = DISTRIBUTIONS["student_t"].implicit(1e250, 1.0, df=0.05, loc=0.0, scale=1.0)["df"]
    near = DISTRIBUTIONS["student_t"].implicit(1e50, 1.0, df=0.05, loc=0.0, scale=1.0)["df"]
    gain = (math.log(1e250) - math.log(1e50)) / 0.05
    assert far / 1e250 - near / 1e50 == pytest.approx(-gain, rel=1e-9)


def test_batches_broadcast():
    for name, given in (
        ("gamma", (2.0, 1.5)),
        ("beta", (0.5, 1.5)),
        ("student_t", (4.0, 0.5, 1.5)),
        ("von_mises", (0.4, 2.0)),
    ):
        distribution = DISTRIBUTIONS[name]
        names = [parameter.name for parameter in distribution.parameters]
        rows = {key: np.array([[at], [1.3 * at]]) for key, at in zip(names, given, strict=True)}
        values = draw(distribution, rows, (2, 7))
        found = distribution.implicit(values, np.ones((2, 7)), **rows)
        for row in (0, 1):
            single = {key: float(at[row, 0]) for key, at in rows.items()}
            one = [distribution.implicit(value, 1.0, **single) for value in values[row]]
            for key in names:
                np.testing.assert_allclose(found[key][row], [each[key] for each in one], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "rest"),
    [("gamma", (0.7,)), ("beta", (1.2, 0.7, 0.3)), ("radius", (2.0, 0.7))],
    ids=lambda given: str(given),
)
def test_slopes_broadcast_over_shapes_alone(name, rest):
    slope_of = getattr(NUMPY.special, f"{name}_quantile_slope")
    found = slope_of(np.array([[0.5], [3.0]]), *rest)
    np.testing.assert_allclose(found, [[slope_of(0.5, *rest)], [slope_of(3.0, *rest)]], rtol=1e-14)


def test_one_angle_broadcasts_over_concentrations():
    slope_of = NUMPY.special.von_mises_quantile_slope
    found = slope_of(0.7, np.array([[0.5], [3.0]]))
    np.testing.assert_allclose(found, [[slope_of(0.7, 0.5)], [slope_of(0.7, 3.0)]], rtol=1e-14)
