"""Models from textbooks, written as a newcomer would, on their well-known data.

Each must fit with the defaults. Where the posterior is known in closed form or by a grid, means must be within 0.1 sd
of it and sds within 6 %: about four Monte Carlo errors of a fit with 2000 effective draws, so that a fixed seed passes
unless something is wrong.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

import ppl

FOLDER = Path(__file__).parents[1] / "examples" / "textbook"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
USED = {"horseshoe_prior"}
HARD = {"horseshoe": "not trusted", "rat_tumours": "care"}
"""The worst verdict allowed where one Gaussian, or one for each value of the hyperparameters, is not the posterior."""
LEVELS = ("trusted", "care", "not trusted")
FITS: dict[str, ppl.Fit] = {}


def data(name):
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return {key: np.array(value) for key, value in found.items()}


def fitted(name):
    if name not in FITS:
        FITS[name] = ppl.load(FOLDER / f"{name}.ppl").fit(data(name), progress=False)
    return FITS[name]


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow) if name == "change_point" else name


def test_every_model_has_its_data():
    assert {path.stem for path in FOLDER.glob("*.ppl")} == set(NAMES) | USED


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
@pytest.mark.parametrize("name", [slow(name) for name in NAMES])
def test_it_fits_with_the_defaults(name):
    fit = fitted(name)
    assert LEVELS.index(fit.verdict.level) <= LEVELS.index(HARD.get(name, "trusted")), fit.verdict
    assert all(np.all(np.isfinite(fit.mean(each))) for each in fit.draws(10))


def agrees(fit, name, mean, sd):
    assert fit.mean(name) == pytest.approx(mean, abs=0.1 * np.max(sd)), name
    assert fit.sd(name) == pytest.approx(sd, rel=0.06), name


def grid_moments(log_density, *values):
    """Mean and sd of each function of the grid in `values` under the density on it."""
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    means = [np.sum(weights * value) for value in values]
    return [(m, np.sqrt(np.sum(weights * (value - m) ** 2))) for m, value in zip(means, values, strict=True)]


# Regressions: Gaussian given sigma, which is integrated out on a grid ----------------------------------------------


def regression(X, y, prior_mean, prior_sd, sigmas, log_prior):
    """Mean and sd of every coefficient, and of sigma: independent normal priors on the coefficients."""
    precision = np.diag(1.0 / prior_sd**2)
    log_weights, means, variances = [], [], []
    for sigma in sigmas:
        covariance = np.linalg.inv(precision + X.T @ X / sigma**2)
        mean = covariance @ (precision @ prior_mean + X.T @ y / sigma**2)
        marginal = sigma**2 * np.eye(len(y)) + (X * prior_sd**2) @ X.T
        log_weights.append(stats.multivariate_normal(X @ prior_mean, marginal).logpdf(y))
        means.append(mean)
        variances.append(np.diag(covariance))
    log_weights = np.array(log_weights) + log_prior(sigmas)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    mean = weights @ np.array(means)
    spread = weights @ (np.array(variances) + (np.array(means) - mean) ** 2)
    return mean, np.sqrt(spread), grid_moments(log_weights, sigmas)[0]


def test_linear_regression():
    d, fit = data("linear_regression"), fitted("linear_regression")
    X = np.column_stack([np.ones(len(d["x"])), d["x"]])
    prior = stats.halfnorm(0, 5).logpdf
    mean, sd, sigma = regression(X, d["y"], np.zeros(2), np.full(2, 10.0), np.linspace(0.3, 12, 500), prior)
    agrees(fit, "alpha", mean[0], sd[0])
    agrees(fit, "beta", mean[1], sd[1])
    agrees(fit, "sigma", *sigma)


def test_anova():
    d, fit = data("anova"), fitted("anova")
    prior = stats.halfnorm(0, 2).logpdf
    mean, sd, sigma = regression(
        np.eye(3)[d["group"]], d["weight"], np.full(3, 5.0), np.full(3, 2.0), np.linspace(0.2, 3, 400), prior
    )
    agrees(fit, "mu", mean, sd)
    agrees(fit, "sigma", *sigma)
    assert fit.mean("effect").sum() == pytest.approx(0.0, abs=1e-12)


def test_autoregression():
    """The prior of phi is uniform on (-1, 1): wide and flat around its posterior, 0.48 with sd 0.1."""
    y, fit = data("autoregression")["y"], fitted("autoregression")
    X = np.column_stack([np.ones(len(y) - 1), y[:-1]])
    prior = stats.halfnorm(0, 2).logpdf
    mean, sd, sigma = regression(X, y[1:], np.zeros(2), np.array([5.0, 1e3]), np.linspace(0.4, 1.3, 150), prior)
    agrees(fit, "alpha", mean[0], sd[0])
    agrees(fit, "phi", mean[1], sd[1])
    agrees(fit, "sigma", *sigma)


# Closed forms and grids ------------------------------------------------------------------------------------------


def test_normal_mean_and_variance():
    """With flat priors mu is a t with n - 2 degrees of freedom around the sample mean."""
    time, fit = data("normal_mean_variance")["time"], fitted("normal_mean_variance")
    n = len(time)
    scale = np.sqrt(np.sum((time - time.mean()) ** 2) / (n - 2) / n)
    agrees(fit, "mu", *stats.t(n - 2, time.mean(), scale).stats("mv") ** np.array([1, 0.5]))
    assert fit.log_evidence is None


@pytest.mark.slow
def test_change_point():
    """Gamma priors integrate out: each year's probability has a closed form."""
    y, fit = data("change_point")["disasters"], fitted("change_point")
    T = len(y)
    before = np.concatenate([[0], np.cumsum(y)[:-1]])
    years = np.arange(T)

    def log_marginal(total, count):
        return special.gammaln(1 + total) - (1 + total) * np.log(1 + count)

    log_weights = log_marginal(before, years) + log_marginal(y.sum() - before, T - years)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    agrees(fit, "change", *grid_moments(log_weights, years)[0])
    assert fit.mean("early") == pytest.approx(np.sum(weights * (1 + before) / (1 + years)), abs=0.03)
    assert fit.mean("late") == pytest.approx(np.sum(weights * (1 + y.sum() - before) / (1 + T - years)), abs=0.012)
    assert fit.log_evidence == pytest.approx(
        special.logsumexp(log_weights) - np.log(T) - np.sum(special.gammaln(y + 1)), abs=0.02
    )


def test_logistic():
    d, fit = data("logistic"), fitted("logistic")
    a, b = np.meshgrid(np.linspace(0, 2, 300), np.linspace(18, 52, 300), indexing="ij")
    log_density = stats.norm(0, 5).logpdf(a) + stats.norm(0, 50).logpdf(b)
    for dose, n, k in zip(d["dose"], d["beetles"], d["killed"], strict=True):
        log_density += stats.binom(n, special.expit(a + b * (dose - 1.8))).logpmf(k)
    alpha, beta, dose = grid_moments(log_density, a, b, 1.8 - a / b)
    agrees(fit, "alpha", *alpha)
    agrees(fit, "beta", *beta)
    agrees(fit, "lethal_dose_50", *dose)


def test_poisson_offset():
    """Given the effect of smoking the ages are independent: one integral each."""
    d, fit = data("poisson_offset"), fitted("poisson_offset")
    effects, levels = np.linspace(-0.3, 1.0, 150), np.linspace(-10, -3, 1500)
    log_density = stats.norm(0, 1).logpdf(effects)
    for age in range(5):
        rows = d["age"] == age
        terms = stats.norm(-5, 5).logpdf(levels) + np.zeros((len(effects), 1))
        for smoker, years, deaths in zip(d["smoker"][rows], d["person_years"][rows], d["deaths"][rows], strict=True):
            terms = terms + stats.poisson(years * np.exp(levels + smoker * effects[:, None])).logpmf(deaths)
        log_density = log_density + special.logsumexp(terms, axis=1)
    smoking, ratio = grid_moments(log_density, effects, np.exp(effects))
    agrees(fit, "smoking", *smoking)
    agrees(fit, "rate_ratio", *ratio)


def test_survival():
    d, fit = data("survival"), fitted("survival")
    log_scale, effect, shape = np.meshgrid(
        np.linspace(1.4, 3.2, 90), np.linspace(-0.2, 3.2, 90), np.linspace(0.6, 2.4, 90), indexing="ij"
    )
    log_density = stats.norm(2, 2).logpdf(log_scale) + stats.norm(0, 2).logpdf(effect) + np.log(shape) - 2 * shape
    for treated, weeks, relapsed in zip(d["treated"], d["weeks"], d["relapsed"], strict=True):
        log_time = np.log(weeks) - log_scale - effect * treated
        log_density += relapsed * (np.log(shape) + shape * log_time - np.log(weeks)) - np.exp(shape * log_time)
    found = grid_moments(log_density, log_scale, effect, shape)
    for name, moments in zip(("log_scale", "effect", "shape"), found, strict=True):
        agrees(fit, name, *moments)


def test_hierarchical_binomial():
    """Given mu and tau the players are independent: Gauss-Hermite quadrature over each one's effect."""
    d, fit = data("hierarchical_binomial"), fitted("hierarchical_binomial")
    mu, tau = np.meshgrid(np.linspace(-1.6, -0.5, 120), np.linspace(1e-3, 1.0, 120), indexing="ij")
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    chance = special.expit(mu[..., None] + tau[..., None] * nodes)
    log_density = stats.norm(-1, 1).logpdf(mu) + stats.halfnorm(0, 1).logpdf(tau)
    for n, k in zip(d["at_bats"], d["hits"], strict=True):
        log_density += np.log(stats.binom(n, chance).pmf(k) @ weights)
    for name, moments in zip(("mu", "tau"), grid_moments(log_density, mu, tau), strict=True):
        agrees(fit, name, *moments)


def test_rat_tumours():
    """The probabilities integrate out. The fit says that it is rough: 0.25 sd, and the mean number is compared."""
    d, fit = data("rat_tumours"), fitted("rat_tumours")
    mean, size = np.meshgrid(np.linspace(0.08, 0.24, 250), np.exp(np.linspace(0, 7, 250)), indexing="ij")
    a, b = mean * size, (1 - mean) * size
    # d(a, b) = size d(mean) d(size), and d(size) = size d(log size)
    log_density = -2.5 * np.log(size) + 2 * np.log(size)
    for n, k in zip(d["rats"], d["tumours"], strict=True):
        log_density += stats.betabinom(n, a, b).logpmf(k)
    for name, value in (("a", a), ("b", b)):
        (middle, sd) = grid_moments(log_density, np.log(value))[0]
        draws = np.log(fit.draws()[name])
        assert draws.mean() == pytest.approx(middle, abs=0.25 * sd)
        assert draws.std() == pytest.approx(sd, rel=0.25)
