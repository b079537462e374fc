"""The oracle against closed forms: what every statistical test leans on must be right by itself."""

import math

import numpy as np
import pytest

from ppl.mini import (
    Guide,
    beta,
    binomial,
    categorical,
    elbo,
    exact,
    exact_elbo,
    fit,
    gamma,
    half_cauchy,
    half_normal,
    latent,
    latent_sites,
    normal,
    observed,
    pathwise_gradient,
    poisson,
    score_gradient,
)

Y = (1.2, -0.3, 2.5)
PRIOR_SD, NOISE_SD = 2.0, 1.5
LINE = np.linspace(-12.0, 12.0, 801)
COUNTS = np.arange(60)


def location():
    mu = yield latent("mu", normal(0.5, PRIOR_SD))
    for value in Y:
        yield observed(value, normal(mu, NOISE_SD))


def hidden_count():
    """Two latents of both kinds: a count seen through noise of unknown scale."""
    k = yield latent("k", poisson(4.0))
    s = yield latent("s", gamma(5.0, 4.0))
    for value in (5.1, 6.4, 4.2):
        yield observed(value, normal(k, s))


def normal_posterior():
    precision = PRIOR_SD**-2 + len(Y) * NOISE_SD**-2
    mean = (0.5 * PRIOR_SD**-2 + sum(Y) * NOISE_SD**-2) / precision
    covariance = NOISE_SD**2 * np.eye(len(Y)) + PRIOR_SD**2
    residual = np.array(Y) - 0.5
    log_evidence = -0.5 * (
        residual @ np.linalg.solve(covariance, residual) + np.linalg.slogdet(2 * math.pi * covariance)[1]
    )
    return mean, precision**-0.5, log_evidence


@pytest.mark.parametrize(
    ("distribution", "reference"),
    [
        (normal(0.3, 1.7), lambda s: s.norm(0.3, 1.7)),
        (half_normal(1.7), lambda s: s.halfnorm(scale=1.7)),
        (half_cauchy(1.7), lambda s: s.halfcauchy(scale=1.7)),
        (gamma(2.5, 3.0), lambda s: s.gamma(2.5, scale=1 / 3)),
        (beta(2.5, 3.0), lambda s: s.beta(2.5, 3.0)),
        (poisson(3.3), lambda s: s.poisson(3.3)),
        (binomial(4, 0.3), lambda s: s.binom(4, 0.3)),
        (categorical(np.array([0.2, 0.5, 0.3])), lambda s: s.rv_discrete(values=([0, 1, 2], [0.2, 0.5, 0.3]))),
    ],
    ids=["normal", "half_normal", "half_cauchy", "gamma", "beta", "poisson", "binomial", "categorical"],
)
def test_densities_are_scipys(distribution, reference):
    from scipy import stats

    expected = reference(stats)
    if distribution.support == "discrete":
        np.testing.assert_allclose(distribution.log_density(np.arange(3)), expected.logpmf(np.arange(3)))
    else:
        x = np.array([0.05, 0.4, 0.9])
        np.testing.assert_allclose(distribution.log_density(x), expected.logpdf(x))


def test_binomial_refuses_more_successes_than_trials():
    assert binomial(4, 0.3).log_density(5) == -np.inf


def test_exact_normal_normal():
    mean, sd, log_evidence = normal_posterior()
    posterior = exact(location, {"mu": LINE})
    assert posterior.mean("mu") == pytest.approx(mean, abs=1e-10)
    assert posterior.sd("mu") == pytest.approx(sd, abs=1e-10)
    assert posterior.log_evidence == pytest.approx(log_evidence, abs=1e-10)


def test_exact_beta_binomial():
    def model():
        p = yield latent("p", beta(2.0, 3.0))
        yield observed(7, binomial(10, p))

    posterior = exact(model, {"p": LINE})
    assert posterior.mean("p") == pytest.approx(9 / 15, abs=1e-10)
    assert posterior.sd("p") == pytest.approx(math.sqrt(9 * 6 / (15**2 * 16)), abs=1e-10)
    log_beta = lambda a, b: math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)  # noqa: E731
    expected = math.log(math.comb(10, 7)) + log_beta(9, 6) - log_beta(2, 3)
    assert posterior.log_evidence == pytest.approx(expected, abs=1e-10)


def test_exact_gamma_poisson():
    counts = (3, 5, 2, 4)

    def model():
        rate = yield latent("rate", gamma(2.0, 0.5))
        for count in counts:
            yield observed(count, poisson(rate))

    posterior = exact(model, {"rate": np.linspace(-8, 6, 801)})
    a, b = 2.0 + sum(counts), 0.5 + len(counts)
    assert posterior.mean("rate") == pytest.approx(a / b, abs=1e-10)
    assert posterior.sd("rate") == pytest.approx(math.sqrt(a) / b, abs=1e-10)


def test_exact_enumerates_discrete_sites():
    """A mixture with two components: the state's posterior is Bayes' rule."""
    weights = np.array([0.3, 0.7])

    def model():
        z = yield latent("z", categorical(weights))
        yield observed(1.0, normal(np.where(z == 0, -1.0, 2.0), 1.0))

    posterior = exact(model, {"z": np.arange(2)})
    joint = weights * np.exp(-0.5 * np.array([2.0, -1.0]) ** 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(posterior.marginal("z"), joint / joint.sum())
    assert posterior.log_evidence == pytest.approx(math.log(joint.sum()))


def test_thinned_poisson():
    """k ~ Poisson(6), y ~ Binomial(k, 0.3): what was missed is Poisson(6 * 0.7), independent of what was seen."""

    def model():
        k = yield latent("k", poisson(6.0))
        yield observed(2, binomial(k, 0.3))

    posterior = exact(model, {"k": np.arange(80)})
    assert posterior.mean("k") == pytest.approx(2 + 6 * 0.7)
    assert posterior.sd("k") == pytest.approx(math.sqrt(6 * 0.7))


def test_exact_of_the_impala_example():
    """A discrete and a continuous latent, against SciPy's densities summed over a plain grid."""
    from scipy import stats

    counts, most = (15, 20, 21, 23, 26), 26

    def model():
        unseen = yield latent("unseen", poisson(10.0))
        share = yield latent("share", beta(1.0, 1.0))
        herd = most + unseen
        for count in counts:
            yield observed(count, binomial(herd, most * share / herd))

    posterior = exact(model, {"unseen": COUNTS, "share": LINE})
    unseen, typical = COUNTS[:, None], (np.arange(4000) + 0.5) * most / 4000
    mass = stats.poisson.pmf(unseen, 10) / 4000
    for count in counts:
        mass = mass * stats.binom.pmf(count, most + unseen, typical / (most + unseen))
    assert posterior.log_evidence == pytest.approx(math.log(mass.sum()), abs=1e-5)
    assert posterior.mean("unseen") == pytest.approx((mass * unseen).sum() / mass.sum(), abs=1e-4)
    assert most * posterior.mean("share") == pytest.approx((mass * typical).sum() / mass.sum(), abs=1e-4)


def test_evidence_is_elbo_plus_divergence():
    """log p(x) = ELBO + KL(q || p), with the closed KL of two normals, for a guide that is not the posterior."""
    mean, sd, log_evidence = normal_posterior()
    loc, scale = 0.2, 0.6
    divergence = math.log(sd / scale) + (scale**2 + (loc - mean) ** 2) / (2 * sd**2) - 0.5
    guide = Guide(latent_sites(location), {})
    bound = exact_elbo(location, guide, np.array([loc, math.log(scale)]))
    assert bound + divergence == pytest.approx(log_evidence, abs=1e-10)


def test_fit_recovers_a_normal_posterior():
    mean, sd, log_evidence = normal_posterior()
    guide = Guide(latent_sites(location), {})
    best = fit(location, guide, np.zeros(2))
    np.testing.assert_allclose(best, [mean, math.log(sd)], atol=1e-4)
    assert exact_elbo(location, guide, best) == pytest.approx(log_evidence, abs=1e-6)


def test_fit_of_both_kinds_of_sites_is_a_bound_close_to_the_evidence():
    posterior = exact(hidden_count, {"k": COUNTS, "s": LINE})
    guide = Guide(latent_sites(hidden_count), {"k": np.arange(15)})
    best = fit(hidden_count, guide, np.zeros(17))
    bound = exact_elbo(hidden_count, guide, best)
    assert bound < posterior.log_evidence
    assert bound == pytest.approx(posterior.log_evidence, abs=0.2)


def test_monte_carlo_elbo_agrees_with_the_exact_one():
    """Within 4 standard errors: a false alarm in 2,500 seeds (Student t, 29 degrees)."""
    guide = Guide(latent_sites(hidden_count), {"k": np.arange(15)})
    parameters = np.linspace(-1.0, 0.3, 17)
    rng = np.random.default_rng(1)
    estimates = [elbo(hidden_count, guide, parameters, guide.noise(rng, 500)) for _ in range(30)]
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact_elbo(hidden_count, guide, parameters)) < 4 * error


@pytest.mark.parametrize(
    ("estimator", "model", "states"),
    [
        (pathwise_gradient, location, {}),
        (score_gradient, location, {}),
        (score_gradient, hidden_count, {"k": np.arange(15)}),
    ],
    ids=["pathwise", "score", "score with a discrete site"],
)
def test_gradient_estimators_are_unbiased(estimator, model, states):
    """Every element within 4.5 standard errors of the exact one: a false alarm in 1,000 seeds at 17 elements."""
    from ppl.mini import differences

    guide = Guide(latent_sites(model), states)
    size = max(part.stop for part in guide.layout().values())
    parameters = np.linspace(-0.5, 0.3, size)
    rng = np.random.default_rng(2)
    estimates = np.array([estimator(model, guide, parameters, guide.noise(rng, 300)) for _ in range(40)])
    error = estimates.std(axis=0, ddof=1) / math.sqrt(len(estimates))
    expected = differences(lambda p: exact_elbo(model, guide, p, 40), parameters)
    assert np.all(abs(estimates.mean(axis=0) - expected) < 4.5 * error + 1e-6)


def test_a_discrete_site_has_no_bijection():
    with pytest.raises(ValueError, match="discrete"):
        exact_elbo(hidden_count, Guide(latent_sites(hidden_count), {}), np.zeros(4))
