"""What every family of guides promises, asked of each that is registered. Statistical tests allow five standard errors:
a false alarm in a few million runs.
"""

from __future__ import annotations

import numpy as np
import pytest
from guides.families import FAMILIES, MODELS, guide_of, normals, packed, plan_of, somewhere

import ppl
from ppl.backends import get_backend
from ppl.guides import GUIDES
from ppl.guides.base import GaussianGuide
from ppl.inference.fit import run_fit
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.numeric import NUMPY
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

GAUSSIANS = [name for name in FAMILIES if isinstance(GUIDES[name], GaussianGuide)]
every_family = pytest.mark.parametrize("family", FAMILIES)
every_gaussian = pytest.mark.parametrize("family", GAUSSIANS)
every_model = pytest.mark.parametrize("model", MODELS)


@every_family
@every_model
def test_the_density_of_draws_is_that_at_their_noise(model, family):
    guide = guide_of(model, family)
    parameters, noise = somewhere(guide), normals(guide, 50)
    draws = guide.vector.transform(NUMPY, parameters, noise)
    there = guide.vector.log_density(NUMPY, parameters, draws)
    assert draws.shape == (50, guide.layout.size)
    assert there.shape == (50,)
    np.testing.assert_allclose(guide.vector.log_density_at_noise(NUMPY, parameters, noise), there, rtol=1e-9, atol=1e-9)


@every_family
@every_model
def test_the_number_of_parameters_and_where_they_begin(model, family):
    guide = guide_of(model, family)
    dim = guide.layout.size
    mean, sd = np.linspace(-1.0, 1.0, dim), np.linspace(0.5, 2.0, dim)
    initial = guide.vector.initial(mean, sd)
    assert initial.shape == (guide.vector.size(dim),) == somewhere(guide).shape
    draws = guide.vector.transform(NUMPY, initial, normals(guide, 20_000))
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 0.3 * sd)
    assert np.all(np.abs(np.log(draws.std(axis=0) / sd)) < 0.7)


@every_family
@pytest.mark.parametrize("model", ["one", "pair"])
def test_the_density_integrates_to_one(model, family):
    guide = guide_of(model, family)
    parameters = somewhere(guide, spread=0.15)
    axis, step = np.linspace(-30.0, 30.0, 1201, retstep=True)
    grid = axis[:, None] if model == "one" else np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(guide.vector.log_density(NUMPY, parameters, grid))
    assert density.sum() * step ** grid.shape[1] == pytest.approx(1.0, abs=1e-4)


@every_family
@pytest.mark.parametrize("model", ["one", "pair"])
def test_draws_have_the_density(model, family):
    """Means, squares and a wave of the coordinates, against sums over a grid."""
    guide = guide_of(model, family)
    parameters = somewhere(guide, spread=0.15)
    axis = np.linspace(-14.0, 14.0, 701)
    grid = axis[:, None] if model == "one" else np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    weights = np.exp(guide.vector.log_density(NUMPY, parameters, grid))
    draws = guide.vector.transform(NUMPY, parameters, normals(guide, 40_000))
    for statistic in (np.array, np.square, np.sin):
        exact = weights @ statistic(grid) / weights.sum()
        found = statistic(draws)
        assert np.all(np.abs(found.mean(axis=0) - exact) < 5.0 * found.std(axis=0) / 200.0 + 1e-4)


@every_family
@every_model
def test_entropies_are_minus_the_mean_log_density(model, family):
    guide = guide_of(model, family)
    parameters, noise = somewhere(guide), normals(guide, 40_000)
    entropy = guide.vector.entropy(NUMPY, parameters)
    sampled = -guide.vector.log_density_at_noise(NUMPY, parameters, noise)
    if entropy is None:
        assert not isinstance(guide.vector, GaussianGuide)
        assert np.isfinite(sampled.mean())
        return
    assert abs(sampled.mean() - entropy) < 5.0 * sampled.std() / 200.0


@every_gaussian
@every_model
def test_moments_are_those_of_the_draws(model, family):
    guide = guide_of(model, family)
    parameters = somewhere(guide)
    mean, covariance = guide.vector.moments(parameters)
    draws = guide.vector.transform(NUMPY, parameters, normals(guide, 100_000))
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / scale, 0.0, atol=5.0 / np.sqrt(1e5))
    found = np.atleast_2d(np.cov(draws.T)) / np.outer(scale, scale)
    np.testing.assert_allclose(found, covariance / np.outer(scale, scale), atol=5.0 * np.sqrt(2.0 / 1e5))
    means, variances = guide.vector.marginals(NUMPY, parameters)
    np.testing.assert_allclose(means, mean)
    np.testing.assert_allclose(variances, np.diag(covariance), rtol=1e-9)


@every_gaussian
@every_model
def test_the_nearest_gaussian_to_one_of_the_family_is_that(model, family):
    guide = guide_of(model, family)
    mean, covariance = guide.vector.moments(somewhere(guide))
    found = guide.vector.moments(guide.vector.near(mean, np.linalg.cholesky(covariance)))
    np.testing.assert_allclose(found[0], mean, atol=1e-9)
    np.testing.assert_allclose(np.diag(found[1]), np.diag(covariance), rtol=0.02)
    if family != "low_rank":  # factor analysis comes near only
        np.testing.assert_allclose(found[1], covariance, atol=1e-9)


@every_family
@pytest.mark.parametrize("what", ["transform", "log_density", "log_density_at_noise", "entropy", "marginals"])
def test_gradients_are_finite_differences(family, what):
    guide = guide_of("chain", family)
    if what == "entropy" and not isinstance(guide.vector, GaussianGuide):
        assert guide.vector.entropy(NUMPY, somewhere(guide)) is None
        return
    if what == "marginals" and not isinstance(guide.vector, GaussianGuide):
        assert guide.closed == {}
        return
    parameters, noise = somewhere(guide), normals(guide, 6)
    draws = guide.vector.transform(NUMPY, parameters, noise)
    weights = np.random.default_rng(2).standard_normal((6, guide.layout.size))
    if guide.vector.scored and what != "log_density":
        pytest.skip("draws jump from one component to another; their gradients are tested by what they estimate")

    def function(xp, flat):
        if what == "transform":
            return xp.sum(weights * guide.vector.transform(xp, flat, noise))
        if what == "log_density":
            return xp.sum(weights[:, 0] * guide.vector.log_density(xp, flat, draws))
        if what == "log_density_at_noise":
            return xp.sum(weights[:, 0] * guide.vector.log_density_at_noise(xp, flat, noise))
        if what == "entropy":
            return guide.vector.entropy(xp, flat)
        mean, variance = guide.vector.marginals(xp, flat)
        return xp.sum(weights[0] * mean) + xp.sum(weights[1] * variance)

    backend = get_backend()
    value, gradient = backend.value_and_grad(lambda flat: function(backend.xp, flat))(parameters)
    assert value == pytest.approx(float(function(NUMPY, parameters)))
    steps = 1e-5 * np.eye(len(parameters))
    differences = [(function(NUMPY, parameters + h) - function(NUMPY, parameters - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(gradient, np.array(differences, float), rtol=1e-5, atol=1e-6)


SKEWED = "x ~ gumbel(0.5, 1.5)"
AXIS, STEP = np.linspace(-25.0, 30.0, 551, retstep=True)


def _bound(guide, objective, parameters, log_joint):
    """The objective of one draw, or of two for bounds of several draws, by sums over a grid."""
    log_q = guide.vector.log_density(NUMPY, parameters, AXIS[:, None])
    q, log_w = np.exp(log_q) * STEP, log_joint - log_q
    if objective in ("elbo", "sampled_elbo", "stl"):
        return float(q @ np.where(q > 0, log_w, 0.0))
    power = {"iwae": 1.0, "renyi": 0.5}[objective]
    pair = (np.logaddexp(power * log_w[:, None], power * log_w[None, :]) - np.log(2.0)) / power
    return float(q @ np.where(np.outer(q, q) > 0, pair, 0.0) @ q)


@every_family
@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "forward_kl"])
def test_gradients_of_every_objective_are_unbiased(family, objective):
    """Their mean over many steps of two draws, against finite differences of sums over a grid."""
    bound = ppl.parse(SKEWED).bind({})
    plan, backend = bound.plan(), get_backend()
    guide = ppl.parse(SKEWED).guide({}, family)
    parameters = somewhere(guide, spread=0.2)
    log_joint = Executor(plan, bound.data, NUMPY).log_joint(guide, AXIS[:, None])
    steps = 1e-4 * np.eye(len(parameters))
    exact = [
        (_bound(guide, objective, parameters + h, log_joint) - _bound(guide, objective, parameters - h, log_joint))
        / 2e-4
        for h in steps
    ]
    executor = Executor(plan, bound.data, backend.xp)
    stochastic = StochasticObjective(executor, guide, backend, OBJECTIVES[objective].make())
    rng = np.random.default_rng(3)
    found = -np.array(
        [stochastic.value_and_grad(parameters, stochastic.noise(rng, parameters, 2))[1] for _ in range(6000)]
    )
    error = found.std(axis=0) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - exact), 5.0 * error + 1e-4)


@every_family
def test_forward_kl_moves_towards_the_posterior(family):
    """With many draws its gradient is that of the posterior's mean log density under the guide."""
    bound = ppl.parse("x ~ normal(0.3, 1)").bind({})
    plan, backend = bound.plan(), get_backend()
    guide = ppl.parse("x ~ normal(0.3, 1)").guide({}, family)
    parameters = guide.vector.initial(np.zeros(1), np.full(1, 1.5))
    posterior = np.exp(-0.5 * (AXIS - 0.3) ** 2) / np.sqrt(2.0 * np.pi) * STEP
    steps = 1e-4 * np.eye(len(parameters))
    densities = [[guide.vector.log_density(NUMPY, parameters + s * h, AXIS[:, None]) for s in (1, -1)] for h in steps]
    exact = [posterior @ (up - down) / 2e-4 for up, down in densities]
    executor = Executor(plan, bound.data, backend.xp)
    stochastic = StochasticObjective(executor, guide, backend, OBJECTIVES["forward_kl"].make())
    rng = np.random.default_rng(4)
    found = -np.array(
        [stochastic.value_and_grad(parameters, stochastic.noise(rng, parameters, 2000))[1] for _ in range(50)]
    )
    error = found.std(axis=0) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - exact), 5.0 * error + 2e-3)


@every_family
@every_model
def test_a_fit_recovers_a_gaussian_of_the_family(model, family):
    """All three posteriors are Gaussian; what mean field cannot hold is asked of all others only."""
    plan = plan_of(model)
    result = run_fit(plan, ppl.parse(MODELS[model][0]).bind(MODELS[model][1]).data, family, progress=False)
    assert result.converged
    if family == "mean_field" and model != "one":
        assert result.corrections
        return
    exact = run_fit(plan, ppl.parse(MODELS[model][0]).bind(MODELS[model][1]).data, "full_rank", progress=False)
    assert result.verdict.level == "trusted"
    assert result.elbo == pytest.approx(exact.elbo, abs=0.02)
    assert exact.elbo == pytest.approx(exact.log_evidence, abs=1e-6)


@every_family
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_every_family_goes_with_every_objective(family, objective):
    source, data = MODELS["pair"]
    bound = ppl.parse(source).bind(data)
    options = {"objective": objective, "steps": 30, "gradient_draws": 4}
    result = run_fit(bound.plan(), bound.data, family, "adam", progress=False, options=options)
    assert np.isfinite(result.parameters).all()
    assert len(result.history) == 30
    assert packed(result.guide, somewhere(result.guide)).shape == result.parameters.shape
