"""Conjugate groups integrated out: the same density, and draws from the exact conditional distribution."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ppl
from ppl.compiler import compile_model, density_program, with_marginals
from ppl.compiler.marginal.program import conditionals_program
from ppl.distributions import DISTRIBUTIONS
from ppl.distributions.formulas import log_rising
from ppl.errors import InternalError
from ppl.inference.choose import choose_guide
from ppl.model import verify
from ppl.model.verify import verify_plan
from ppl.numeric import NUMPY

J, ROWS = 4, 30
HEADS = {
    "k": "int(lower=0)[N]", "n": "int(lower=0)[N]", "z": "bool[N]", "c": "real(lower=0)[N]", "p": "real(lower=0)[N]",
    "g": "index(4)[N]", "o": "index(3)[N]", "m": "int(lower=0)[N, 3]", "y": "real[N]",
}  # fmt: skip
HYPER = "a ~ gamma(2, 1)\nb ~ gamma(2, 1)\n"
PRIORS = {
    "beta": "t[j in 4] ~ beta(a, b)\n",
    "gamma": "t[j in 4] ~ gamma(a, b)\n",
    "dirichlet": "plate j in 4 { t[j] ~ dirichlet([a, b, a * b]) }\n",
}


def made_up(seed=0):
    rng = np.random.default_rng(seed)
    k = rng.poisson(2, ROWS)
    return {
        "k": k, "n": k + rng.integers(0, 4, ROWS), "z": rng.integers(0, 2, ROWS), "c": rng.gamma(2.0, 1.0, ROWS),
        "p": rng.gamma(2.0, 1.0, ROWS), "g": rng.integers(0, J, ROWS), "o": rng.integers(0, 3, ROWS),
        "m": rng.multinomial(5, [0.2, 0.3, 0.5], ROWS), "y": rng.normal(size=ROWS),
    }  # fmt: skip


def bound(prior, lines, declared, seed=0):
    heads = "".join(f"data {name}: {HEADS[name]}\n" for name in declared)
    text = f"data N: int\n{heads}{HYPER}{PRIORS[prior]}{lines}\n"
    return ppl.parse(text).bind({"N": ROWS, **{name: made_up(seed)[name] for name in declared}})


CASES = [
    ("beta", "z ~ bernoulli(t[g])", "zg"),
    ("beta", "k ~ binomial(n, t[g])", "kng"),
    ("beta", "k ~ geometric(t[g])", "kg"),
    ("gamma", "k ~ poisson(t[g])", "kg"),
    ("gamma", "k ~ poisson(c * t[g] / 2)", "kcg"),
    ("gamma", "p ~ exponential(t[g] * c)", "pgc"),
    ("gamma", "p ~ gamma(1 + c, 2 * t[g])", "pgc"),
    ("gamma", "k ~ poisson(t[g])\np ~ exponential(c * t[g])", "kgpc"),
    ("dirichlet", "plate i in N { o[i] ~ categorical(t[g[i]]) }", "og"),
    ("dirichlet", "plate i in N { m[i] ~ multinomial(5, t[g[i]]) }", "mg"),
]


def terms(plan, data, values):
    prepare, run = density_program(plan).load(NUMPY)
    return run(values, prepare(data))


def prior_values(model, draws, seed):
    """Draws of the unknowns of the prior, and of the latent, inside its support."""
    rng = np.random.default_rng(seed)
    latent = model.model.by_name["t"]
    lead = (draws, J)
    family = latent.distribution.family.name
    if family == "dirichlet":
        inside = rng.dirichlet([1.0, 2.0, 3.0], lead)
    else:
        inside = rng.uniform(0.1, 0.9, lead) if family == "beta" else rng.gamma(2.0, 1.0, lead)
    return {"a": rng.gamma(2.0, 1.0, draws), "b": rng.gamma(2.0, 1.0, draws), "t": inside}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1]}")
@settings(max_examples=5)
@given(seed=st.integers(0, 100))
def test_the_marginal_is_the_joint_over_the_conditional(case, seed):
    """`p(y | h) = p(z, y | h) / p(z | y, h)` at any z (Chib 1995)."""
    model = bound(*case, seed=seed)
    plan = with_marginals(model.plan())
    verify_plan(plan, "collapse")
    (marginal,) = plan.marginals
    values = prior_values(model, 3, seed)
    joint = terms(replace(compile_model(model.model), collapses={}), model.data, values)
    prepare, run = conditionals_program(plan).load(NUMPY)
    (group,) = [run(values, prepare(model.data))]
    family = marginal.site.distribution.family
    parameters = family.exponential.parameters(NUMPY, *group.values())
    conditional = family.log_density(NUMPY, values["t"], **parameters).reshape(3, -1).sum(axis=1)
    found = terms(plan, model.data, {name: values[name] for name in "ab"})[marginal.name]
    expected = sum(joint[name] for name in marginal.members) - conditional
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)


def test_ratios_of_gamma_functions_are_products():
    for start in (1e-3, 0.7, 15.9, 16.1, 300.0, 1e9, 1e15):
        exact = np.sum(np.log(start + np.arange(40)))
        assert log_rising(NUMPY, np.array(start), np.array(40.0)) == pytest.approx(exact, rel=1e-13)
        assert log_rising(NUMPY, np.array(start), np.array(0.0)) == 0.0


@pytest.mark.parametrize("prior", ["beta", "gamma"])
def test_groups_that_are_alike_keep_their_digits(prior):
    """With huge concentrations the latents are all `mean`, and the marginal density is that of the data given it."""
    line = {"beta": "k ~ binomial(n, t[g])", "gamma": "k ~ poisson(t[g])"}[prior]
    model = bound(prior, line, "kng" if prior == "beta" else "kg")
    plan = with_marginals(model.plan())
    a, mean = np.array([1e10, 1e13]), 0.4
    b = a * (1.0 - mean) / mean if prior == "beta" else a / mean
    values = {"a": a, "b": b, "t": np.full((2, J), mean)}
    joint = terms(replace(compile_model(model.model), collapses={}), model.data, values)
    found = terms(plan, model.data, {name: values[name] for name in "ab"})["t, k"]
    np.testing.assert_allclose(found, joint["k"], atol=1e-6)


LEFT = [
    ("beta", "z ~ bernoulli(t[g])\ny ~ normal(t[g], 1)", "zgy"),  # something else reads it
    ("beta", "k ~ binomial(n, t[g] * 0.5)", "kng"),  # not conjugate
    ("gamma", "k ~ poisson(t[g] + c)", "kgc"),
    ("gamma", "k ~ poisson(a * t[g])", "kg"),  # the factor is not known
    ("gamma", "p ~ gamma(a, t[g])", "pg"),  # nor is the shape
    ("gamma", "p ~ exponential(t[0] * t[g])", "pg"),
    ("gamma", "u ~ exponential(t[0])\nk ~ poisson(t[g])", "kg"),  # a latent reads it
    ("gamma", "factor f = t[0]\nk ~ poisson(t[g])", "kg"),
]


@pytest.mark.parametrize("case", LEFT, ids=lambda case: case[1])
def test_what_is_not_conjugate_stays(case):
    assert not with_marginals(bound(*case).plan()).marginals


def test_the_verifier_wants_all_readers():
    plan = with_marginals(bound("gamma", "k ~ poisson(t[g])\np ~ exponential(c * t[g])", "kgpc").plan())
    (marginal,) = plan.marginals
    broken = replace(plan, marginals=(replace(marginal, evidence=marginal.evidence[:1]),))
    with pytest.raises(InternalError, match="costs are not those"):
        verify_plan(broken, "collapse")
    with pytest.raises(InternalError, match="`p` reads a site that is integrated out"):
        verify._marginalised(broken)


def test_only_groups_with_unknown_priors_and_without_notes():
    known = ppl.parse("data z: bool[9]\np[j in 1] ~ beta(1, 1)\nz ~ bernoulli(p[0])\n").bind({"z": [1] * 9})
    assert not with_marginals(known.plan()).marginals
    noted = ppl.parse(
        "data k: int(lower=0)[9]\na ~ gamma(2, 1)\n@pathwise\nt[j in 9] ~ gamma(a, 1)\nk ~ poisson(t)\n"
    ).bind({"k": [1] * 9})
    assert not with_marginals(noted.plan()).marginals


PUMPS = """
data J: int
data t: real(lower=0)[J]
data k: int(lower=0)[J]
alpha ~ exponential(1)
beta ~ gamma(0.1, 1)
plate j in J {
  theta[j] ~ gamma(alpha, beta)
  k[j] ~ poisson(theta[j] * t[j])
}
total = sum(theta)
"""
FAILURES = {
    "J": 10, "t": [94.3, 15.7, 62.9, 126, 5.24, 31.4, 1.05, 1.05, 2.1, 10.5], "k": [5, 1, 5, 14, 3, 19, 1, 1, 4, 22],
}  # fmt: skip
"""George, Makov and Smith (1993), Conjugate likelihood distributions."""


def grid_of_pumps():
    """Posterior means and sds of theta, by a grid over the logs of alpha and beta."""
    u, v = np.meshgrid(np.linspace(-4, 2.5, 400), np.linspace(-6, 3.5, 400), indexing="ij")
    alpha, beta = np.exp(u), np.exp(v)
    lgamma = NUMPY.special.gammaln
    log_p = -alpha + 0.1 * v - beta + u
    for count, time in zip(FAILURES["k"], FAILURES["t"], strict=True):
        log_p += lgamma(alpha + count) - lgamma(alpha) + alpha * v - (alpha + count) * np.log(beta + time)
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()
    means, sds = [], []
    for count, time in zip(FAILURES["k"], FAILURES["t"], strict=True):
        mean, variance = (alpha + count) / (beta + time), (alpha + count) / (beta + time) ** 2
        means.append((weights * mean).sum())
        sds.append(np.sqrt((weights * (variance + mean**2)).sum() - means[-1] ** 2))
    return np.array(means), np.array(sds)


def test_pumps_are_fitted_exactly(tmp_path):
    model = ppl.parse(PUMPS)
    fit = model.fit(FAILURES, progress=False)
    assert fit.verdict.level == "trusted"
    assert choose_guide(model.bind(FAILURES).plan()).layout.size == 2
    means, sds = grid_of_pumps()
    np.testing.assert_allclose(fit.mean("theta"), means, atol=0.04 * sds.max(), rtol=0.03)
    np.testing.assert_allclose(fit.sd("theta"), sds, rtol=0.06)
    assert fit.draws(100)["theta"].shape == (100, 10)
    np.testing.assert_allclose(fit.mean("total"), means.sum(), rtol=0.03)
    assert "gamma-poisson: 10 unknowns integrated out" in fit.explain()
    fit.save(tmp_path / "pumps.fit")
    again = ppl.load_fit(tmp_path / "pumps.fit")
    np.testing.assert_array_equal(again.mean("theta"), fit.mean("theta"))
    assert np.isfinite(fit.log_likelihood()["k"]).all()


def test_both_doors_agree():
    @ppl.model
    def pumps(J, t, k=None):
        alpha = ppl.sample("alpha", ppl.Exponential(1))
        beta = ppl.sample("beta", ppl.Gamma(0.1, 1))
        with ppl.plate("j", J):
            theta = ppl.sample("theta", ppl.Gamma(alpha, beta))
            ppl.sample("k", ppl.Poisson(theta * t), obs=k)

    arrays = {name: np.asarray(value) if name != "J" else value for name, value in FAILURES.items()}
    plans = [with_marginals(door.bind(arrays).plan()) for door in (ppl.parse(PUMPS), pumps)]
    values = {"alpha": np.array([0.7, 1.3]), "beta": np.array([0.9, 2.0])}
    one, other = (terms(plan, arrays, values)["theta, k"] for plan in plans)
    np.testing.assert_allclose(one, other, rtol=1e-13)


def test_named_guides_and_coordinate_ascent_keep_all_unknowns():
    bound_model = ppl.parse(PUMPS).bind(FAILURES)
    assert choose_guide(bound_model.plan(), "mean_field").layout.size == 12
    assert "theta" in ppl.parse(PUMPS).fit(FAILURES, method="cavi", progress=False).draws(10)


def test_every_rule_is_of_exponential_families():
    from ppl.compiler.marginal.statistics import RULES

    for prior, likelihood in RULES:
        assert DISTRIBUTIONS[prior].exponential is not None
        assert RULES[prior, likelihood].parameter in {p.name for p in DISTRIBUTIONS[likelihood].parameters}
