"""Plates that a fit sees in random parts: the gradient is right on average, and fits land where all data lead.

The mean of `REPEATS` gradients over random parts must agree with that over all rows within 5 standard errors.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.errors import ModelError, UncertainFitWarning
from ppl.guides import derive_guide
from ppl.inference.stochastic.anchors import anchoring, may_anchor
from ppl.inference.stochastic.batches import Batches, step_plan
from ppl.inference.stochastic.descent import Descent
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.optimisers import OPTIMISERS
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

REPEATS = 1500
RNG = np.random.default_rng(4)
N = 12
CASES = {
    "global": """
        data N: int
        data x, y: real[N]
        b ~ normal(0, 2)
        s ~ half_normal(1)
        {note}plate n in N {{
          y[n] ~ student_t(4, b * x[n] + 0.1 * n, s)
        }}
    """,
    "whole arrays": """
        data N: int
        data x, y: real[N]
        b ~ normal(0, 2)
        centred = x - mean(x)
        {note}plate n in N {{
          y[n] ~ student_t(4, b * centred[n], 1)
        }}
    """,
    "local": """
        data N: int
        data x, y: real[N]
        b ~ normal(0, 2)
        {note}plate n in N {{
          z[n] ~ normal(b, 1)
          y[n] ~ normal(z[n] * x[n], 0.5)
        }}
    """,
    "enumerated": """
        data N: int
        data x, y: real[N]
        b ~ normal(0, 2)
        {note}plate n in N {{
          k[n] ~ bernoulli(0.3)
          y[n] ~ normal(b * k[n] + x[n], 0.5)
        }}
    """,
    "scored": """
        data N: int
        data x, y: real[N]
        b ~ normal(0, 2)
        {note}plate n in N {{
          @score
          k[n] ~ bernoulli(0.3)
          y[n] ~ normal(b * k[n] + x[n], 0.5)
        }}
    """,
    "amortised": """
        data N: int
        data x, y: real[N]
        b ~ normal(0, 2)
        net enc = mlp([1, 3, gaussian(1)], act="tanh")
        {note}plate n in N {{
          @amortized(enc([x[n]]))
          z[n] ~ normal(b, 1)
          y[n] ~ normal(z[n], 0.5)
        }}
    """,
}
DATA = {"x": RNG.normal(size=N), "y": RNG.normal(size=N)}


def bound(name, size):
    return ppl.parse(CASES[name].format(note=f"@minibatch({size})\n" if size else "")).bind(DATA)


def gradients(plan, data, parameters, repeats, draws=8):
    guide = derive_guide(plan, "mean_field")
    backend = get_backend()
    objective = StochasticObjective(Executor(plan, data, backend.xp), guide, backend, OBJECTIVES["elbo"].make())
    rng = np.random.default_rng(5)
    parts = Batches(plan.model.batches, rng)
    found = []
    for _ in range(repeats):
        noise = objective.noise(rng, parameters, draws, next(parts))
        found.append(-objective.value_and_grad(parameters, noise)[1])
    return np.array(found)


@pytest.mark.parametrize("name", CASES)
def test_the_mean_gradient_is_that_of_all_rows(name):
    part = bound(name, 4)
    plan = part.plan()
    whole = derive_guide(plan, "mean_field")
    step = step_plan(plan)
    assert step.scale([batch.axis for batch in step.model.batches]) == 3.0
    assert derive_guide(step, "mean_field").parameters.entries == whole.parameters.entries
    parameters = np.random.default_rng(1).normal(0.0, 0.4, whole.parameters.size)
    in_parts = gradients(step, part.data, parameters, REPEATS)
    at_once = gradients(plan, part.data, parameters, 600)
    error = np.sqrt(in_parts.var(axis=0) / len(in_parts) + at_once.var(axis=0) / len(at_once))
    assert np.max(np.abs(in_parts.mean(axis=0) - at_once.mean(axis=0)) / np.maximum(error, 1e-9)) < 5


@pytest.mark.parametrize("name", ["global", "whole arrays", "enumerated"])
def test_lines_through_an_anchor_cancel_over_a_round(name):
    """So they leave the mean gradient alone, and at the anchor all parts have the value and gradient of all rows."""
    part = bound(name, 4)
    plan, backend, elbo = part.plan(), get_backend(), OBJECTIVES["elbo"].make()
    guide, step = derive_guide(plan, "mean_field"), step_plan(plan)
    parameters = np.random.default_rng(1).normal(0.0, 0.4, guide.parameters.size)
    anchor = anchoring(guide, part.data, backend, elbo).at(parameters)
    objective = StochasticObjective(Executor(step, part.data, backend.xp), replace(guide, plan=step), backend, elbo)
    parts = Batches(step.model.batches, np.random.default_rng(0))
    lines = [anchor.line(objective, next(parts)) for _ in range(3)]
    size = np.max(np.abs([line.slope for line in lines]))
    assert size > 0.01
    np.testing.assert_allclose(np.mean([line.slope for line in lines], axis=0), 0.0, atol=1e-12 * size)
    added = [line.constant + line.slope @ parameters for line in lines]
    assert np.mean(added) == pytest.approx(0.0, abs=1e-10 * np.max(np.abs(added)))
    for _ in range(2):
        batch = next(parts)
        noise = objective.central(batch)
        value, gradient = objective.value_and_grad(parameters, noise)
        line = anchor.line(objective, batch)
        assert value + line.constant + line.slope @ parameters == pytest.approx(anchor.value)
        np.testing.assert_allclose(gradient + line.slope, anchor.gradient)


def test_an_anchor_takes_the_noise_of_the_rows_off():
    """Of a few of many rows: what is left are the differences in curvature, over a posterior sd."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=5000)
    data = {"x": x, "y": 0.7 * x + rng.normal(size=5000)}
    part = ppl.parse(CASES["global"].format(note="@minibatch(50)\n")).bind(data)
    plan, backend, elbo = part.plan(), get_backend(), OBJECTIVES["elbo"].make()
    guide, step = derive_guide(plan, "mean_field"), step_plan(plan)
    parameters = guide.vector.initial(np.array([0.7, 0.0]), np.full(2, 0.01))
    anchor = anchoring(guide, part.data, backend, elbo).at(parameters + 0.01)
    objective = StochasticObjective(Executor(step, part.data, backend.xp), replace(guide, plan=step), backend, elbo)
    parts, plain, corrected = Batches(step.model.batches, rng), [], []
    for _ in range(200):
        batch = next(parts)
        plain.append(objective.value_and_grad(parameters, objective.noise(rng, parameters, 10, batch))[1])
        corrected.append(plain[-1] + anchor.line(objective, batch).slope)
    assert np.all(np.std(corrected, axis=0)[:2] < 0.1 * np.std(plain, axis=0)[:2])


@pytest.mark.parametrize(("place", "use"), [(0.71, True), (30.0, False)])
def test_an_anchor_far_away_is_not_used(place, use):
    """There the slopes of a Student's t have little to do with those at the parameters."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=2000)
    part = ppl.parse(CASES["global"].format(note="@minibatch(50)\n")).bind(
        {"x": x, "y": 0.7 * x + rng.normal(size=2000)}
    )
    plan, backend, elbo = part.plan(), get_backend(), OBJECTIVES["elbo"].make()
    guide, step = derive_guide(plan, "mean_field"), step_plan(plan)
    objective = StochasticObjective(Executor(step, part.data, backend.xp), replace(guide, plan=step), backend, elbo)
    anchors = anchoring(guide, part.data, backend, elbo)
    descent = Descent(objective, replace(guide, plan=step), rng, 10, OPTIMISERS["adam"].step(1e9), anchoring=anchors)
    assert not descent.relieved(guide.vector.initial(np.zeros(2), np.ones(2)))
    descent.anchor(guide.vector.initial(np.array([place, 0.0]), np.full(2, 0.01)))
    assert descent.relieved(guide.vector.initial(np.array([0.7, 0.0]), np.full(2, 0.01))) is use


def test_anchors_are_for_draws_with_no_other_noise():
    found = {}
    for name in CASES:
        plan = bound(name, 4).plan()
        found[name] = may_anchor(derive_guide(plan, "mean_field"), OBJECTIVES["elbo"].make())
    plain = {"global", "whole arrays", "enumerated"}
    assert found == {name: name in plain for name in CASES}
    whole = derive_guide(bound("global", 0).plan(), "mean_field")
    assert not may_anchor(whole, OBJECTIVES["elbo"].make())
    part = derive_guide(bound("global", 4).plan(), "mean_field")
    assert not may_anchor(part, OBJECTIVES["iwae"].make())


def test_a_forgotten_scale_is_caught(monkeypatch):
    part = bound("global", 4)
    plan = part.plan()
    parameters = np.full(4, 0.3)
    at_once = gradients(plan, part.data, parameters, 300)
    monkeypatch.setattr(type(plan), "scale", lambda self, axes: 1.0)
    in_parts = gradients(step_plan(plan), part.data, parameters, 300)
    error = np.sqrt(in_parts.var(axis=0) / len(in_parts) + at_once.var(axis=0) / len(at_once))
    assert np.max(np.abs(in_parts.mean(axis=0) - at_once.mean(axis=0)) / error) > 8


def test_every_row_is_seen_once_an_epoch():
    plan = step_plan(bound("global", 5).plan())
    stream = Batches(plan.model.batches, np.random.default_rng(0))
    seen = np.concatenate([next(stream)["batch of n"] for _ in range(12)])
    for epoch in range(5):
        assert sorted(seen[epoch * N : (epoch + 1) * N]) == list(range(N))


def test_the_posterior_is_that_of_all_data():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(3000, 3))
    y = (rng.random(3000) < 1 / (1 + np.exp(-(X @ [1.0, -0.5, 0.2] + 0.4)))).astype(int)
    text = """
        data N, D: int
        data X: real[N, D]
        data y: bool[N]
        a ~ normal(0, 5)
        b[d in D] ~ normal(0, 5)
        @minibatch(200)
        plate n in N {
          y[n] ~ bernoulli(logits = a + X[n] @ b)
        }
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainFitWarning)
        parts = ppl.parse(text).fit({"X": X, "y": y}, seed=1)
    whole = ppl.parse(text.replace("@minibatch(200)\n", "")).fit({"X": X, "y": y})
    assert parts.run.method == "adam"
    assert np.max(np.abs(parts.mean("b") - whole.mean("b")) / whole.sd("b")) < 0.1
    assert np.max(np.abs(parts.sd("b") / whole.sd("b") - 1)) < 0.1
    assert parts.log_likelihood()["y"].shape[1:] == (3000,)


def test_both_doors_make_the_same_model():
    @ppl.model
    def model(N, x, y):
        b = ppl.sample("b", ppl.Normal(0, 2))
        with ppl.plate("n", N, subsample=4) as n:
            z = ppl.sample("z", ppl.Normal(b, 1))
            ppl.sample("y", ppl.Normal(z[n] * x[n], 0.5), obs=y[n])

    plan = model.bind({"N": N, **DATA}).plan()
    text = bound("local", 4).plan()
    assert [(b.size, b.total) for b in plan.batches] == [(b.size, b.total) for b in text.batches] == [(4, N)]
    assert plan.sites["z"].factor == text.sites["z"].factor == "normal"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("plate n in N {\n z[n] ~ normal(i[n], 1)\n}\n t ~ normal(sum(z), 1)", "reads all elements of `z`"),
        ("plate n in N {\n z[n] ~ normal(t, 1)\n w[n] ~ normal(z[i[n]], 1)\n}", "reads all elements of `z`"),
    ],
)
def test_a_plate_read_as_a_whole_is_refused(body, said):
    program = ppl.parse(f"data N: int\ndata i: index(N)[N]\ndata t: real\n@minibatch(2)\n{body}")
    with pytest.raises(ModelError) as caught:
        program.fit({"N": 4, "i": [1, 2, 3, 0], "t": 0.3})
    assert caught.value.diagnostics[0].code == "E408"
    assert said in str(caught.value)
