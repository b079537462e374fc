"""Distribution combinators: densities against SciPy or quadrature, draws against densities, and the messages.

Statistical tests compare a p-value with 1e-6 at a fixed seed: a correct sampler fails one of them with probability
below 1e-6.
"""

import autograd
import numpy as np
import pytest
from contract.tools import AUTOGRAD, check_gradient
from scipy import integrate, stats

import ppl
from ppl.distributions import DISTRIBUTIONS, combinators
from ppl.numeric import NUMPY

RNG = np.random.default_rng(5)
SMALL_P = 1e-6


def family(name):
    return DISTRIBUTIONS[name]


def reference(name, parameters):
    return family(name).reference(**parameters)


# truncated ------------------------------------------------------------------------------------------

TRUNCATED = [
    ("normal", {"loc": 1.0, "scale": 0.5}, {"lower": 0.0}),
    ("normal", {"loc": 1.0, "scale": 0.5}, {"upper": 0.3}),
    ("normal", {"loc": 1.0, "scale": 0.5}, {"lower": -0.2, "upper": 1.1}),
    ("normal", {"loc": 0.0, "scale": 1.0}, {"lower": 20.0, "upper": 21.0}),
    ("normal", {"loc": 0.0, "scale": 1.0}, {"lower": -31.0, "upper": -30.0}),
    ("student_t", {"df": 3.5, "loc": 0.2, "scale": 1.4}, {"lower": 0.5}),
    ("lognormal", {"loc": 0.3, "scale": 0.8}, {"upper": 2.0}),
    ("gamma", {"concentration": 2.4, "rate": 1.6}, {"lower": 1.0, "upper": 3.0}),
    ("exponential", {"rate": 0.7}, {"lower": 2.0}),
    ("weibull", {"scale": 1.7, "concentration": 1.4}, {"upper": 2.5}),
    ("beta", {"concentration1": 2.3, "concentration0": 1.6}, {"lower": 0.5}),
    ("poisson", {"rate": 2.7}, {"lower": 1}),
    ("poisson", {"rate": 2.7}, {"lower": 1, "upper": 4}),
    ("binomial", {"total_count": 9, "probs": 0.3}, {"upper": 5}),
]


def _case(case):
    return f"{case[0]}-{'-'.join(f'{k}{v}' for k, v in case[2].items())}"


def _mass(name, parameters, bounds):
    """The chance of the range, by quadrature or summation of SciPy's density, and that density."""
    base = reference(name, parameters)
    if family(name).discrete:
        values = np.arange(bounds.get("lower", 0), bounds.get("upper", 200) + 1)
        return base.pmf(values).sum(), base.logpmf
    lower = bounds.get("lower", base.support()[0])
    upper = bounds.get("upper", base.support()[1])
    points = [p for p in (lower, upper) if np.isfinite(p)]
    total = integrate.quad(base.pdf, lower, upper, epsabs=0, epsrel=1e-12, limit=500)[0] if points else 1.0
    return total, base.logpdf


@pytest.mark.parametrize("case", TRUNCATED, ids=_case)
def test_truncated_density(case):
    name, parameters, bounds = case
    truncated = combinators.truncated(family(name))
    values = truncated.sample(np.random.default_rng(3), (25,), **parameters, **bounds)
    total, log_density = _mass(*case)
    found = truncated.log_density(NUMPY, values, **parameters, **bounds)
    np.testing.assert_allclose(found, log_density(values) - np.log(total), rtol=1e-8, atol=1e-8)
    for bound, step in (("lower", -0.1), ("upper", 0.1)):
        if bound in bounds:
            outside = np.asarray(bounds[bound] + step)
            assert truncated.log_density(NUMPY, outside, **parameters, **bounds) == -np.inf


@pytest.mark.parametrize("case", TRUNCATED, ids=_case)
def test_truncated_draws(case):
    name, parameters, bounds = case
    truncated = combinators.truncated(family(name))
    draws = truncated.sample(np.random.default_rng(4), (3000,), **parameters, **bounds)
    assert np.all(draws >= bounds.get("lower", -np.inf))
    assert np.all(draws <= bounds.get("upper", np.inf))
    if truncated.discrete:
        values = np.arange(draws.min(), draws.max() + 1)
        chance = np.exp(truncated.log_density(NUMPY, values, **parameters, **bounds))
        expected = np.append(chance, max(0.0, 1.0 - chance.sum())) * len(draws)
        counts = np.append((draws[:, None] == values).sum(0), 0)
        statistic = np.sum((counts - expected) ** 2 / np.maximum(expected, 1.0))
        assert stats.chi2.sf(statistic, len(values) - 1) > SMALL_P
        return
    low, high = bounds.get("lower", draws.min() - 30.0), bounds.get("upper", draws.max() + 1e4)
    base = reference(name, parameters)
    right = "lower" in bounds and base.cdf(low) > 0.5
    tail = (lambda x: base.sf(low) - base.sf(x)) if right else (lambda x: base.cdf(x) - base.cdf(low))
    assert stats.kstest(tail(draws) / tail(high), "uniform").pvalue > SMALL_P


@pytest.mark.parametrize("case", [case for case in TRUNCATED if not family(case[0]).discrete], ids=_case)
def test_truncated_gradients(case):
    """By value, parameters and bounds."""
    name, parameters, bounds = case
    truncated = combinators.truncated(family(name))
    given = {key: np.asarray(value, float) for key, value in {**parameters, **bounds}.items()}
    values = truncated.sample(np.random.default_rng(3), (4,), **parameters, **bounds)
    low, high = bounds.get("lower", values.min() - 0.1), bounds.get("upper", values.max() + 0.1)
    values = low + (high - low) * np.array([0.2, 0.5, 0.7, 0.8]) if len(bounds) == 2 else values

    def log_density(xp, value, *arguments):
        return truncated.log_density(xp, value, **dict(zip(given, arguments, strict=True)))

    check_gradient(log_density, (values, *given.values()), range(1 + len(given)))


def test_a_bound_beyond_the_support_changes_nothing():
    program = ppl.parse("data a: real\nx ~ truncated(exponential(2), lower=a)\n")
    assert program.log_density({"x": 0.5}, {"a": -1.0}) == pytest.approx(stats.expon(scale=0.5).logpdf(0.5), abs=1e-12)
    assert program.log_density({"x": 1.5}, {"a": 1.0}) == pytest.approx(stats.expon(scale=0.5).logpdf(0.5), abs=1e-12)


def test_supports_of_truncated_latents():
    text = """
        data n: int
        a ~ truncated(normal(0, 1), lower=0)
        b ~ truncated(normal(0, 1), upper=a)
        c ~ truncated(normal(0, 1), lower=b, upper=a)
        d ~ truncated(gamma(2, 1), upper=a)
        e ~ truncated(poisson(3), lower=1, upper=n)
    """
    model = ppl.parse(text).bind({"n": 4}).model
    found = {site.name: site.support.name for site in model.sites}
    assert found == {"a": "positive", "b": "less_than", "c": "interval", "d": "interval", "e": "integer_interval"}


# censored -------------------------------------------------------------------------------------------


def test_censored_density():
    text = """
        data N: int
        data y: real(lower=0)[N]
        data late, early: bool[N]
        k ~ gamma(2, 1)
        y ~ censored(weibull(scale=2, concentration=k), left=early, right=late)
    """
    y, late, early = np.array([0.5, 1.0, 2.0, 3.0]), [0, 1, 0, 1], [1, 0, 0, 0]
    base = stats.weibull_min(1.3, scale=2)
    expected = stats.gamma(2).logpdf(1.3) + base.logcdf(0.5) + base.logsf([1.0, 3.0]).sum() + base.logpdf(2.0)
    found = ppl.parse(text).log_density({"k": 1.3}, {"y": y, "late": late, "early": early})
    assert found == pytest.approx(expected, abs=1e-8)


def test_a_censored_sample_is_not_censored():
    censored = combinators.censored(family("normal"))
    draws = censored.sample(np.random.default_rng(2), (2000,), loc=1.0, scale=2.0, right=np.ones(2000))
    assert stats.kstest(draws, stats.norm(1, 2).cdf).pvalue > SMALL_P


def test_gradients_of_censored():
    flags = np.array([0.0, 1.0, 1.0])

    def log_density(xp, value, loc, scale):
        return combinators.censored(family("normal")).log_density(xp, value, loc=loc, scale=scale, right=flags)

    check_gradient(log_density, (np.array([0.1, 2.0, 30.0]), np.asarray(0.3), np.asarray(1.2)), range(3))


# ordered and zero_sum --------------------------------------------------------------------------------


def test_ordered_density():
    base = stats.norm(1, 2)
    program = ppl.parse("mu ~ ordered(normal(1, 2), 3)\nt ~ ordered(gamma(2, 1), 2)\n")
    found = program.log_density({"mu": [-1.0, 0.5, 4.0], "t": [0.4, 2.0]}, {}, by_site=True)
    assert found["mu"] == pytest.approx(np.log(6) + base.logpdf([-1, 0.5, 4]).sum(), abs=1e-8)
    assert found["t"] == pytest.approx(np.log(2) + stats.gamma(2).logpdf([0.4, 2]).sum(), abs=1e-8)
    supports = {site.name: site.support.name for site in program.bind({}).model.sites}
    assert supports == {"mu": "ordered", "t": "positive_ordered"}


def test_ordered_draws_and_plates():
    text = "data G: int\nm[g in G] ~ normal(0, 1)\nplate g in G {\n  mu[g] ~ ordered(normal(m[g], 2), 3)\n}\n"
    program = ppl.parse(text)
    drawn = program.simulate({"G": 2}, 4000, seed=1)
    assert drawn["mu"].shape == (4000, 2, 3)
    assert np.all(np.diff(drawn["mu"], axis=-1) > 0)
    middle = (drawn["mu"] - drawn["m"][..., None])[:, :, 1].ravel() / 2
    assert stats.kstest(stats.norm.cdf(middle), stats.beta(2, 2).cdf).pvalue > SMALL_P
    mu, m = np.array([[-1.0, 0.0, 1.0], [0.0, 2.0, 5.0]]), np.array([0.5, 1.0])
    expected = 2 * np.log(6) + stats.norm(m[:, None], 2).logpdf(mu).sum() + stats.norm.logpdf(m).sum()
    assert program.log_density({"mu": mu, "m": m}, {"G": 2}) == pytest.approx(expected, abs=1e-8)


def test_zero_sum_density_is_that_of_independent_normals_given_the_sum():
    x = np.array([0.5, -2.0, 1.5])
    program = ppl.parse("x ~ zero_sum(normal(0, 1.7), 3)\n")
    sum_over_root = stats.norm(0, 1.7).logpdf(0.0)  # (x0 + x1 + x2) / sqrt(3) is one coordinate of a rotated frame
    expected = stats.norm(0, 1.7).logpdf(x).sum() - sum_over_root
    assert program.log_density({"x": x}, {}) == pytest.approx(expected, abs=1e-8)
    draws = program.simulate({}, 4000)["x"]
    np.testing.assert_allclose(draws.sum(-1), 0, atol=1e-12)
    assert stats.kstest(draws[:, 0], stats.norm(0, 1.7 * np.sqrt(2 / 3)).cdf).pvalue > SMALL_P


# mixture and zero_inflated -----------------------------------------------------------------------------


def test_mixture_density():
    text = """
        data N: int
        data y: real[N]
        w ~ dirichlet([1, 2])
        m ~ normal(0, 3)
        plate n in N { y[n] ~ mixture(w, normal(m, 1), student_t(4, -1, 2)) }
        k ~ mixture([0.3, 0.7], gamma(2, 1), lognormal(0, 1))
    """
    y, w, m, k = np.array([0.5, -3.0, 9.0]), np.array([0.2, 0.8]), 1.5, 0.9
    density = 0.2 * stats.norm(m, 1).pdf(y) + 0.8 * stats.t(4, -1, 2).pdf(y)
    expected = np.log(density).sum() + stats.dirichlet([1, 2]).logpdf(w) + stats.norm(0, 3).logpdf(m)
    expected += np.log(0.3 * stats.gamma(2).pdf(k) + 0.7 * stats.lognorm(1).pdf(k))
    program = ppl.parse(text)
    assert program.log_density({"w": w, "m": m, "k": k}, {"y": y}) == pytest.approx(expected, abs=1e-8)
    drawn = program.simulate({"y": y}, 3000)["k"]
    both = lambda x: 0.3 * stats.gamma(2).cdf(x) + 0.7 * stats.lognorm(1).cdf(x)  # noqa: E731
    assert stats.kstest(drawn, both).pvalue > SMALL_P


def test_mixture_of_vectors_and_of_counts():
    text = """
        data y: real[2]
        data n: int
        data k: int
        y ~ mixture([0.4, 0.6], multi_normal([0, 0], cov=eye(2)), multi_normal([1, 1], cov=[[2, 1], [1, 2]]))
        k ~ mixture([0.5, 0.5], binomial(n, 0.2), binomial(n, 0.9))
    """
    y = np.array([0.3, -0.2])
    one, other = stats.multivariate_normal([0, 0], np.eye(2)), stats.multivariate_normal([1, 1], [[2, 1], [1, 2]])
    expected = np.log(0.4 * one.pdf(y) + 0.6 * other.pdf(y))
    expected += np.log(0.5 * stats.binom(7, 0.2).pmf(3) + 0.5 * stats.binom(7, 0.9).pmf(3))
    assert ppl.parse(text).log_density({}, {"y": y, "n": 7, "k": 3}) == pytest.approx(expected, abs=1e-8)


def test_gradients_of_a_mixture():
    mixed = combinators.mixture([family("normal"), family("laplace")])

    def log_density(xp, value, first, spread):
        weights = xp.stack([first, 1.0 - first], axis=-1)
        return mixed.log_density(xp, value, weights=weights, loc_0=0.3, scale_0=spread, loc_1=-1.0, scale_1=2.0)

    check_gradient(log_density, (np.array([0.1, 40.0, -90.0]), np.asarray(0.3), np.asarray(1.2)), range(3))


def test_zero_inflated_density_and_draws():
    program = ppl.parse("data N: int\ndata y: int[N]\nlam ~ gamma(2, 1)\ny ~ zero_inflated(poisson(lam), 0.3)\n")
    y = np.array([0, 0, 3, 1])
    chance = 0.7 * stats.poisson(1.4).pmf(y) + 0.3 * (y == 0)
    expected = np.log(chance).sum() + stats.gamma(2).logpdf(1.4)
    assert program.log_density({"lam": 1.4}, {"y": y}) == pytest.approx(expected, abs=1e-8)
    inflated = combinators.zero_inflated(family("poisson"))
    draws = inflated.sample(np.random.default_rng(0), (5000,), rate=1.4, inflation=0.3)
    zeros = np.sum(draws == 0)
    assert stats.binomtest(int(zeros), 5000, 0.3 + 0.7 * np.exp(-1.4)).pvalue > SMALL_P


# both doors, fits, names -------------------------------------------------------------------------------


def test_the_python_door_says_the_same():
    @ppl.model
    def survival(N, time, late):
        a = ppl.sample("a", ppl.truncated(ppl.Normal(1, 0.5), lower=0))
        mu = ppl.sample("mu", ppl.ordered(ppl.Normal(0, 5), 2))
        ppl.sample("e", ppl.zero_sum(ppl.Normal(0, 1), 3))
        ppl.sample("c", ppl.zero_inflated(ppl.Poisson(a), 0.2), obs=3)
        with ppl.plate("N", N):
            ppl.sample("time", ppl.censored(ppl.Weibull(a, 2), right=late), obs=time)
            ppl.sample("z", ppl.mixture([0.5, 0.5], ppl.Normal(mu[0], 1), ppl.Normal(mu[1], 1)))

    text = """
        data N, c: int
        data time: real[N]
        data late: bool[N]
        a ~ truncated(normal(1, 0.5), lower=0)
        mu ~ ordered(normal(0, 5), 2)
        e ~ zero_sum(normal(0, 1), 3)
        c ~ zero_inflated(poisson(a), 0.2)
        plate n in N {
          time[n] ~ censored(weibull(a, 2), right=late[n])
          z[n] ~ mixture([0.5, 0.5], normal(mu[0], 1), normal(mu[1], 1))
        }
    """
    data = {"N": 3, "time": np.array([1.0, 2.0, 0.5]), "late": np.array([False, True, False])}
    values = {"a": 0.7, "mu": [-1.0, 2.0], "e": [1.0, -3.0, 2.0], "z": [0.1, 0.2, 0.3]}
    one = survival.log_density(values, data, by_site=True)
    other = ppl.parse(text).log_density(values, {**data, "c": 3}, by_site=True)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name] == pytest.approx(other[name], abs=1e-10)


def test_families_of_one_name_have_the_same_parameters():
    """Generated code calls a density by the family's name."""
    pair = [family("gamma"), family("beta")]
    two = combinators.mixture([family("normal"), combinators.mixture(pair)])
    other = combinators.mixture([family("normal"), combinators.mixture([*pair, family("beta")])])
    assert two.name == "mixture2_normal_mixture2_gamma_beta"
    assert other.name != two.name


def test_a_fit_of_a_truncated_conjugate_model():
    """A normal mean known to be positive: the posterior is the conjugate one, truncated."""
    y = np.array([-0.4, 0.3, 0.1, -0.2])
    program = ppl.parse("data N: int\ndata y: real[N]\nmu ~ truncated(normal(0, 1), lower=0)\ny ~ normal(mu, 1)\n")
    fit = program.fit({"y": y}, seed=1)
    exact = stats.truncnorm(-y.sum() / 5 / np.sqrt(0.2), np.inf, loc=y.sum() / 5, scale=np.sqrt(0.2))
    assert fit.mean("mu") == pytest.approx(exact.mean(), abs=0.03)
    assert fit.sd("mu") == pytest.approx(exact.std(), abs=0.03)


def test_a_fit_of_censored_exponentials():
    """Gamma prior, exponential times, some censored: the posterior is gamma(a + events, b + total time)."""
    text = """
        data N: int
        data t: real[N]
        data late: bool[N]
        rate ~ gamma(2, 1)
        t ~ censored(exponential(rate), right=late)
    """
    t = np.array([0.5, 2.0, 1.2, 3.0, 0.1, 2.5])
    late = np.array([0, 1, 0, 1, 0, 1])
    fit = ppl.parse(text).fit({"t": t, "late": late}, seed=1)
    exact = stats.gamma(2 + 3, scale=1 / (1 + t.sum()))
    assert fit.mean("rate") == pytest.approx(exact.mean(), abs=0.02)
    assert fit.sd("rate") == pytest.approx(exact.std(), abs=0.02)


@pytest.mark.parametrize(
    ("line", "code", "found"),
    [
        ("x ~ truncated(normal(0, 1))", "E303", "`lower` or `upper` is missing"),
        ("x ~ truncated(normal(0, 1), lowr=0)", "E303", "did you mean `lower`?"),
        ("x ~ truncated(normal(0, 1), lower=2, upper=1)", "E305", "nothing between 2 and 1"),
        ("x ~ truncated(skew_normal(0, 1, 2), lower=0)", "E314", "no closed form"),
        ("x ~ truncated(poisson(3), lower=0.5)", "E305", "whole number"),
        ("x ~ ordered(normal(0, 1))", "E303", "`size` is missing"),
        ("x ~ ordered(uniform(0, 1), 3)", "E314", "real line"),
        ("x ~ zero_sum(laplace(0, 1), 3)", "E314", "`normal` alone"),
        ("x ~ mixture([0.5, 0.5], normal(0, 1), gamma(1, 1))", "E314", "its support is not that of normal"),
        ("x ~ mixture([0.5, 0.3, 0.2], normal(0, 1), normal(1, 1))", "E303", "3 weights"),
        ("x ~ mixture([0.5, 0.6], normal(0, 1), normal(1, 1))", "E305", "weights"),
        ("x ~ zero_inflated(normal(0, 1), 0.2)", "E314", "not counts"),
        ("x ~ zero_inflated(poisson(3), 1.2)", "E305", "inflation"),
        ("x ~ hurdle(normal(0, 1), 0.2)", "E314", "not counts"),
        ("x ~ hurdle(beta_binomial(9, 1, 1), 0.2)", "E314", "closed form"),
        ("x ~ hurdle(poisson(3), 1.2)", "E305", "zero"),
    ],
)  # fmt: skip
def test_messages(line, code, found):
    with pytest.raises(ppl.ModelError) as caught:
        ppl.parse(f"{line}\n").bind({})
    assert [record.code for record in caught.value.diagnostics] == [code]
    assert found in str(caught.value)
    assert caught.value.diagnostics[0].span.line == 1


def test_gradients_flow_through_a_mixture_that_underflows():
    mixed = combinators.mixture([family("normal"), family("normal")])

    def at(x):
        halves = np.array([0.5, 0.5])
        return mixed.log_density(AUTOGRAD, x, weights=halves, loc_0=0.0, scale_0=1.0, loc_1=1.0, scale_1=1.0)

    assert autograd.grad(at)(60.0) == pytest.approx(-59.0, rel=1e-12)


# One distribution or another ------------------------------------------------------------------------


def test_the_first_element_of_a_series_has_a_distribution_of_its_own():
    data, values = {"T": 4, "y": [0.3, -0.2, 1.0, 0.4]}, {"phi": 0.6, "h": [0.1, 0.5, -0.3, 0.2]}
    head = "data T: int\ndata y: real[T]\nphi ~ uniform(-1, 1)\n"
    text = head + "scan t in T {{\n  h[t] ~ {}\n  y[t] ~ normal(h[t], 1)\n}}\n"
    whole = "normal(0, 1 / sqrt(1 - phi^2)) if t == 0 else normal(phi * h[t - 1], 1)"
    by_part = "normal(0 if t == 0 else phi * h[t - 1], 1 / sqrt(1 - phi^2) if t == 0 else 1)"
    found = [ppl.parse(text.format(line)).log_density(values, data) for line in (whole, by_part)]
    h = np.array(values["h"])
    expected = stats.norm.logpdf(h, np.append(0, 0.6 * h[:-1]), np.append(1.25, [1, 1, 1])).sum()
    expected += stats.norm.logpdf(data["y"], h, 1).sum() + np.log(0.5)
    assert found == pytest.approx([expected, expected], rel=1e-12)


def test_a_discrete_unknown_decides_which_distribution():
    text = "data y: real\nz ~ bernoulli(0.3)\ny ~ normal(2, 1) if z else normal(loc = 0, scale = 0.5)\n"
    fit = ppl.parse(text).fit({"y": 1.2})
    one, other = 0.3 * stats.norm.pdf(1.2, 2, 1), 0.7 * stats.norm.pdf(1.2, 0, 0.5)
    assert fit.mean("z") == pytest.approx(one / (one + other), abs=0.03)  # 4,000 draws: 4 standard errors
    assert fit.log_evidence == pytest.approx(np.log(one + other), rel=1e-9)


@pytest.mark.parametrize("other", ["student_t(3, 0, 1)", "poisson(2)", "truncated(normal(0, 1), lower=0)"])
def test_distributions_that_take_turns_are_of_one_family(other):
    text = f"data flag: bool[3]\ndata y: real[3]\nplate n in 3 {{ y[n] ~ normal(0, 1) if flag[n] else {other} }}\n"
    with pytest.raises(ppl.ModelError, match="one family") as caught:
        ppl.parse(text).bind({"flag": [True, False, True], "y": [0.1, 0.2, 0.3]})
    assert caught.value.diagnostics[0].code == "E314"
    assert caught.value.diagnostics[0].span.line == 3
    ppl.parse(text).bind({"flag": [True] * 3, "y": [0.1, 0.2, 0.3]})  # the other one is not read
