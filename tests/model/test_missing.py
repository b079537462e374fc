"""Missing observations at both doors: leaves drop out, inner values become latents, the rest is refused."""

import numpy as np
import pytest
from scipy import stats

import ppl

NAN = float("nan")
RADON = """
data N, J: int
data county: index(J)[N]
data floor: real[N]
data log_uppm: real[J]
data log_radon: real[N] missing
gamma[k in 2] ~ normal(0, 10)
beta  ~ normal(0, 10)
tau   ~ half_normal(1)
sigma ~ half_normal(1)
plate j in J {
  alpha[j] ~ normal(gamma[0] + gamma[1] * log_uppm[j], tau)
}
plate n in N {
  log_radon[n] ~ normal(alpha[county[n]] + beta * floor[n], sigma)
}
predict {
  new_county ~ normal(gamma[0], tau)
}
"""


def test_the_varying_intercepts_of_the_language_page():
    county, floor = np.array([0, 1, 1, 2, 0]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    uppm, y = np.array([0.5, -0.3, 1.2]), [1.0, None, 0.5, NAN, 2.0]
    data = {"county": county, "floor": floor, "log_uppm": uppm, "log_radon": y, "J": 3}
    gamma, beta, tau, sigma, alpha = np.array([0.2, -0.4]), 0.7, 0.6, 0.9, np.array([0.1, 0.3, -0.2])
    values = {"gamma": gamma, "beta": beta, "tau": tau, "sigma": sigma, "alpha": alpha}
    program = ppl.parse(RADON)
    kept = [0, 2, 4]
    expected = stats.norm(0, 10).logpdf([*gamma, beta]).sum() + stats.halfnorm.logpdf([tau, sigma]).sum()
    expected += stats.norm(gamma[0] + gamma[1] * uppm, tau).logpdf(alpha).sum()
    expected += stats.norm(alpha[county[kept]] + beta * floor[kept], sigma).logpdf([1.0, 0.5, 2.0]).sum()
    assert program.log_density(values, data) == pytest.approx(expected, abs=1e-8)
    assert program.bind(data).model.by_name["log_radon"].shape == (3,)
    assert program.simulate(data, 7)["log_radon"].shape == (7, 5)


def test_complete_data_declared_missing_are_ordinary():
    text = """
        data N: int
        data g: index(2)[N] missing
        data y: real[N] missing
        a[k in 2] ~ normal(0, 1)
        y ~ normal(a[g], 1)
    """
    program = ppl.parse(text)
    model = program.bind({"g": [0, 1, 1], "y": [1.0, 2.0, 3.0]}).model
    assert model.by_name["y"].shape == (3,)


@pytest.mark.parametrize(
    "statement",
    [
        "plate i in N {\n  plate j in M {\n    y[i, j] ~ normal(a[i] * x[j], s)\n  }\n}",
        "plate j in M {\n  y[i in N, j] ~ normal(a[i] * x[j], s)\n}",
    ],
    ids=["nested", "mixed"],
)
def test_two_dimensions(statement):
    text = f"""
        data N, M: int
        data x: real[M]
        data y: real[N, M] missing
        s ~ half_normal(1)
        a[i in N] ~ normal(0, 1)
        {statement}
    """
    y = np.array([[1.0, NAN, 2.0], [NAN, NAN, 0.5]])
    x, a, s = np.array([1.0, 2.0, -1.0]), np.array([0.3, -0.2]), 0.8
    loc = np.outer(a, x)
    known = ~np.isnan(y)
    expected = stats.norm.logpdf(a).sum() + stats.halfnorm.logpdf(s) + stats.norm(loc[known], s).logpdf(y[known]).sum()
    found = ppl.parse(text).log_density({"a": a, "s": s}, {"x": x, "y": y})
    assert found == pytest.approx(expected, abs=1e-8)


def test_whole_vectors_drop_out_and_parts_are_refused():
    text = """
        data N: int
        data y: real[N, 2] missing
        m[k in 2] ~ normal(0, 1)
        plate n in N {
          y[n] ~ multi_normal(m, cov=eye(2))
        }
    """
    y = np.array([[1.0, 2.0], [NAN, NAN], [0.5, 0.1]])
    m = np.array([0.1, 0.2])
    expected = stats.norm.logpdf(m).sum() + stats.multivariate_normal(m, np.eye(2)).logpdf(y[[0, 2]]).sum()
    assert ppl.parse(text).log_density({"m": m}, {"y": y}) == pytest.approx(expected, abs=1e-8)
    y[0, 1] = NAN
    with pytest.raises(ppl.ModelError, match="E801"):
        ppl.parse(text).bind({"y": y})


def test_counts_and_a_moving_support_drop_out():
    text = """
        data N: int
        data n: int[N]
        data k: int[N] missing
        p ~ beta(1, 1)
        plate i in N {
          k[i] ~ binomial(n[i], p)
        }
    """
    found = ppl.parse(text).log_density({"p": 0.3}, {"n": [3, 5, 1], "k": [2, None, 0]})
    assert found == pytest.approx(stats.binom([3, 1], 0.3).logpmf([2, 0]).sum(), abs=1e-8)


INNER = """
data N: int
data x: real[N] missing
data y: real[N]
mu ~ normal(0, 2)
plate n in N {
  x[n] ~ normal(mu, 1)
}
plate m in N {
  y[m] ~ normal(2 * x[m], 1.5)
}
"""


def test_inner_values_become_latents():
    data = {"x": [1.0, NAN, 3.0, NAN], "y": [1.0, 2.0, 3.0, 4.0]}
    x = np.array([1.0, 0.5, 3.0, 0.7])
    terms = ppl.parse(INNER).log_density({"mu": 0.3, "x_missing": [0.5, 0.7]}, data, by_site=True)
    assert terms["x_missing"] == pytest.approx(stats.norm(0.3, 1).logpdf([0.5, 0.7]).sum(), abs=1e-8)
    assert terms["x"] == pytest.approx(stats.norm(0.3, 1).logpdf([1.0, 3.0]).sum(), abs=1e-8)
    assert terms["y"] == pytest.approx(stats.norm(2 * x, 1.5).logpdf(data["y"]).sum(), abs=1e-8)


def test_the_order_of_statements_does_not_matter():
    """A reader that stands before the observing statement sees the completed values too."""
    head, first, second = INNER.partition("plate n")[0], *INNER.partition("plate n")[2].split("plate m")
    swapped = f"{head}plate m{second}plate n{first}"
    data = {"x": [1.0, NAN], "y": [1.0, 2.0]}
    values = {"mu": 0.3, "x_missing": [0.5]}
    assert ppl.parse(swapped).log_density(values, data) == pytest.approx(ppl.parse(INNER).log_density(values, data))


def test_a_scalar_and_a_prediction_that_reads():
    text = "data x: real missing\nm ~ normal(0, 1)\nx ~ normal(m, 1)\npredict { z = 2 * x }\n"
    program = ppl.parse(text)
    terms = program.log_density({"m": 0.2, "x_missing": 1.1}, {"x": NAN}, by_site=True)
    assert terms.keys() == {"m", "x_missing"}
    assert program.log_density({"m": 0.2}, {"x": 1.1}) == pytest.approx(sum(terms.values()), abs=1e-12)


def test_nothing_observed_is_nothing_counted():
    program = ppl.parse("data N: int\ndata y: real[N] missing\nm ~ normal(0, 1)\ny ~ normal(m, 1)\n")
    assert program.log_density({"m": 0.2}, {"y": [NAN, NAN]}) == pytest.approx(stats.norm.logpdf(0.2))


def test_a_mixture_with_missing_outcomes_keeps_its_plate():
    """Elements of discrete latents are summed out plate by plate: there the missing ones count nothing."""
    text = """
        data N: int
        data y: real[N] missing
        plate n in N {
          z[n] ~ categorical([0.3, 0.7])
          y[n] ~ normal(5.0 * z[n], 1)
        }
    """
    model = ppl.parse(text).bind({"y": [1.0, NAN, 4.0]}).model
    site = model.by_name["y"]
    assert site.distribution.name == "masked_normal"
    assert site.axes == model.by_name["z"].axes


def test_a_fit_recovers_the_posterior_of_missing_values():
    """All is normal: the exact posterior of mu and of the missing x is known."""
    data = {"x": [1.0, NAN, 3.0], "y": [1.0, 5.0, 3.0]}
    fit = ppl.parse(INNER).fit(data, seed=2)
    precision = np.array([[1 / 4 + 3, -1.0], [-1.0, 1 + 4 / 1.5**2]])
    mean = np.linalg.solve(precision, [4.0, 2 * 5.0 / 1.5**2])
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    assert [fit.mean("mu"), *fit.mean("x_missing")] == pytest.approx(mean, abs=0.02)
    assert [fit.sd("mu"), *fit.sd("x_missing")] == pytest.approx(sd, rel=0.05)


def test_the_python_door():
    @ppl.model
    def model(x, y):
        mu = ppl.sample("mu", ppl.Normal(0, 2))
        with ppl.plate("n", len(y)):
            inner = ppl.sample("x", ppl.Normal(mu, 1), obs=x)
            ppl.sample("y", ppl.Normal(2 * inner, 1.5), obs=y)

    masked = np.ma.masked_array([1.0, 9.0, 3.0], mask=[False, True, False])
    data = {"x": masked, "y": np.array([1.0, 2.0, NAN])}
    found = model.log_density({"mu": 0.3, "x_missing": [0.5]}, data)
    expected = stats.norm(0, 2).logpdf(0.3) + stats.norm(0.3, 1).logpdf([1, 0.5, 3]).sum()
    expected += stats.norm([2, 1], 1.5).logpdf([1, 2]).sum()
    assert found == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("text", "data", "code", "found"),
    [
        (
            "data N: int\ndata x: real[N] missing\ndata y: real[N]\ny ~ normal(x, 1)\n",
            {"x": [1.0, NAN], "y": [1.0, 2.0]}, "E501", "1 of 2 missing, and `x` has no distribution",
        ),
        (
            "data N: int\ndata y: real[N] missing\na ~ normal(0, 1)\n"
            "scan t in 1:N {\n  y[t] ~ normal(a * y[t - 1], 1)\n}\n",
            {"y": [NAN, 1.0, 2.0]}, "E501", "missing before element 1, from where on it has a distribution",
        ),
        ("data x, y: real\na ~ normal(x, 1)\n", {"x": 1.0, "y": 2.0}, "E505", "declared and bound, never used"),
    ],
    ids=["no distribution", "lag", "unused"],
)  # fmt: skip
def test_messages(text, data, code, found):
    with pytest.raises(ppl.PPLError) as caught:
        ppl.parse(text).bind(data)
    assert [record.code for record in caught.value.diagnostics] == [code]
    assert found in str(caught.value)


LABELS = """
data N, K: int
data z: index(K)[N] missing
data y: real[N]
w ~ dirichlet(rep(1, K))
mu[k in K] ~ normal(0, 5)
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ normal(mu[z[n]], 1)
}
"""


def test_missing_labels_that_index_are_summed_out():
    """A mixture with some labels known: the known ones count as they are, the others by their mixture."""
    labels, y = [1, None, 0, None, 1, 0], np.array([1.2, 0.3, -0.4, 2.0, 0.5, -1.0])
    w, mu = np.array([0.3, 0.7]), np.array([-1.0, 1.0])
    expected = stats.norm(0, 5).logpdf(mu).sum() + stats.dirichlet([1, 1]).logpdf(w)
    for label, value in zip(labels, y, strict=True):
        if label is None:
            expected += np.log(w @ stats.norm.pdf(value, mu))
        else:
            expected += np.log(w[label]) + stats.norm.logpdf(value, mu[label])
    data = {"K": 2, "z": labels, "y": y}
    assert ppl.parse(LABELS).log_density({"w": w, "mu": mu}, data) == pytest.approx(expected, abs=1e-10)


def test_missing_covariates_that_are_binary_are_summed_out():
    source = """
    data N: int
    data x: int(lower=0, upper=1)[N] missing
    data y: real[N]
    p ~ beta(2, 2)
    plate n in N {
      x[n] ~ bernoulli(p)
      y[n] ~ normal(0.8 * x[n], 1)
    }
    """
    known, y = [1, None, 0, None], np.array([1.2, 0.3, -0.4, 2.0])
    expected = stats.beta(2, 2).logpdf(0.3)
    for x, value in zip(known, y, strict=True):
        each = np.array([0.7 * stats.norm.pdf(value), 0.3 * stats.norm.pdf(value, 0.8)])
        expected += np.log(each.sum() if x is None else each[x])
    found = ppl.parse(source).log_density({"p": 0.3}, {"x": known, "y": y})
    assert found == pytest.approx(expected, abs=1e-10)


def test_missing_counts_that_are_read_are_sampled_and_scored():
    source = "data N: int\ndata k: int[N] missing\ndata y: real[N]\nk ~ poisson(2)\ny ~ normal(k, 1)\n"
    plan = ppl.parse(source).bind({"k": [1, None], "y": [1.0, 2.0]}).plan()
    assert plan.sites["k_missing"].estimator == "score"


def test_a_mixture_with_missing_outcomes_fits():
    """Assignments are summed out, the missing outcome counts nothing: the same fit as without its row."""
    text = """
        data N: int
        data y: real[N] missing
        mu ~ ordered(normal(0, 5), 2)
        plate n in N {
          z[n] ~ bernoulli(0.5)
          y[n] ~ normal(mu[z[n]], 1)
        }
    """
    y = [-3.0, -2.5, -3.4, 2.0, 2.6, 3.1]
    program = ppl.parse(text)
    full, gappy = (program.fit({"y": values}, seed=3).mean("mu") for values in (y, [*y, NAN]))
    assert gappy == pytest.approx(full, abs=0.05)
    assert full == pytest.approx([np.mean(y[:3]), np.mean(y[3:])], abs=0.1)
