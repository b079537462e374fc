"""Name scopes: a submodel as an ordinary function, the same model as the text's."""

import numpy as np
import pytest

import ppl

HORSESHOE = """
model horseshoe(D, scale) {
  tau ~ half_cauchy(scale)
  lam[d in D] ~ half_cauchy(1)
  @noncentered
  b[d in D] ~ normal(0, tau * lam[d])
  return b
}
data N, D, E: int
data X: real[N, D]
data Z: real[N, E]
data y: bool[N]
beta  ~ horseshoe(D, 0.1)
gamma ~ horseshoe(E, 0.2)
plate n in N {
  y[n] ~ bernoulli(logits = X[n] @ beta + Z[n] @ gamma)
}
"""


def horseshoe(name, D, scale):
    with ppl.scope(name):
        tau = ppl.sample("tau", ppl.HalfCauchy(scale))
        with ppl.plate("d", D):
            lam = ppl.sample("lam", ppl.HalfCauchy(1))
    return ppl.sample(name, ppl.Normal(0, tau * lam), parameterisation="noncentered")


@ppl.model
def regression(X, Z, y):
    beta = horseshoe("beta", X.shape[1], 0.1)
    gamma = horseshoe("gamma", Z.shape[1], 0.2)
    with ppl.plate("n", len(y)) as n:
        ppl.sample("y", ppl.Bernoulli(logits=X[n] @ beta + Z[n] @ gamma), obs=y[n])


def test_a_submodel_is_a_function_with_a_scope():
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(5, 2)), "Z": rng.normal(size=(5, 3)), "y": [1, 0, 1, 1, 0]}
    text = ppl.parse(HORSESHOE)
    assert str(text.bind(data)) == str(regression.bind(data))
    assert text.explain(data) == regression.explain(data)
    sites = [site.name for site in regression.bind(data).model.sites]
    assert sites == ["beta.tau", "beta.lam", "beta", "gamma.tau", "gamma.lam", "gamma", "y"]


def test_scopes_nest_and_hold_every_kind_of_name():
    @ppl.model
    def model():
        with ppl.scope("a"), ppl.scope("b"):
            w = ppl.param("w", 1.0, support="positive")
            x = ppl.sample("x", ppl.Normal(0, w))
            ppl.factor("f", -x * x)
            ppl.deterministic("d", ppl.net("g", [1, 1])(x[None] if x.ndim else np.stack([x])))
        ppl.sample("x", ppl.Normal(0, 1))

    names = [statement.name for statement in model.bind({}).model.statements]
    assert names == ["a.b.w", "a.b.x", "a.b.f", "a.b.g.weight0", "a.b.g.bias0", "a.b.d", "x"]


@pytest.mark.parametrize("call", [ppl.scope, ppl.net])
def test_outside_a_model(call):
    with pytest.raises(ppl.ModelError, match="E111"):
        call("f", *([[1, 1]] if call is ppl.net else []))
