"""Guide notes: latents as points, and what is not carried out yet."""

import numpy as np
import pytest
from scipy import optimize, stats

import ppl

DATA = {"y": np.random.default_rng(2).normal(1.0, 2.0, 30)}
TEXT = """
data N: int
data y: real[N]
mu ~ normal(0, 1)
@point
tau ~ gamma(2, 1)
@point
plate k in 2 {
  b[k] ~ normal(0, tau)
}
y ~ normal(mu + b[0], tau)
"""


def minus_marginal(vector):
    """With mu integrated out, by hand."""
    tau, b = np.exp(vector[0]), vector[1:]
    covariance = tau**2 * np.eye(30) + 1.0
    density = stats.multivariate_normal.logpdf(DATA["y"], np.full(30, b[0]), covariance)
    return -(density + stats.gamma.logpdf(tau, 2) + stats.norm.logpdf(b, 0, tau).sum())


def test_points_maximise_the_density_with_the_rest_integrated_out():
    best = optimize.minimize(minus_marginal, np.zeros(3))
    fit = ppl.parse(TEXT).fit(DATA, seed=1, steps=6000, window=300)
    assert fit.mean("tau") == pytest.approx(np.exp(best.x[0]), abs=0.02)
    assert fit.mean("b") == pytest.approx(best.x[1:], abs=0.02)
    assert fit.sd("b") == pytest.approx(np.zeros(2))
    assert fit.elbo == pytest.approx(-best.fun, abs=0.01)  # the guide of mu is exact
    assert {row.name for row in fit.summary(["tau", "b"]).rows} == {"tau", "b[0]", "b[1]"}
    assert fit.predict(DATA, draws=3)["y"].shape == fit.predict(draws=3)["y"].shape == (3, 30)


def test_the_density_itself_knows_no_points():
    values = {"mu": 0.1, "tau": 1.2, "b": [0.3, -0.2]}
    plain = ppl.parse(TEXT.replace("@point\n", ""))
    assert ppl.parse(TEXT).log_density(values, DATA) == plain.log_density(values, DATA)
    plan = ppl.parse(TEXT).bind(DATA).plan()
    assert {name: site.treatment for name, site in plan.sites.items()} == {
        "mu": "guided", "tau": "point", "b": "point", "y": "collapsed",
    }  # fmt: skip


def test_a_point_between_bounds_of_its_own():
    text = "data lo, hi: real[3]\ndata y: real\n@point\nx[i in 3] ~ uniform(lo[i], hi[i])\ny ~ normal(sum(x), 1)\n"
    text += "z ~ normal(0, 1)"
    fit = ppl.parse(text).fit({"lo": [0, 1, 2], "hi": [1, 2, 3], "y": 100.0}, steps=1500, rate=0.2, gradient_draws=2)
    assert fit.mean("x") == pytest.approx([1, 2, 3], abs=0.1)


def test_the_notes_of_both_doors_agree():
    @ppl.model
    def function(y):
        mu = ppl.sample("mu", ppl.Normal(0, 1))
        tau = ppl.sample("tau", ppl.Gamma(2, 1), notes=["point"])
        with ppl.plate("k", 2):
            b = ppl.sample("b", ppl.Normal(0, tau), notes=[ppl.note("point")])
        with ppl.plate("N", len(y)):
            ppl.sample("y", ppl.Normal(mu + b[0], tau), obs=y)

    assert function.explain(DATA) == ppl.parse(TEXT).explain(DATA)


def test_a_note_on_batches_leaves_the_density_alone():
    model = ppl.parse(
        "data N: int\ndata y: real[N]\nm ~ normal(0, 1)\n@minibatch(2)\nplate n in N { y[n] ~ normal(m, 1) }"
    )
    expected = stats.norm.logpdf(0.5) + stats.norm.logpdf(DATA["y"], 0.5).sum()
    assert model.log_density({"m": 0.5}, DATA) == pytest.approx(expected)
