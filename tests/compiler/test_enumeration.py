"""Enumerated sites against brute force in plain Python: densities, gradients, marginals and draws."""

import numpy as np
import pytest
from compiler.enumeration_cases import (
    ASIA,
    CAPTURE,
    CASES,
    CHANGE,
    LDA,
    LOOKED_UP,
    MIXTURE,
    OCCUPANCY,
    Case,
    bernoulli,
    poisson,
)
from scipy.special import logsumexp

from ppl.backends import get_backend
from ppl.inference.discrete import draw_enumerated, enumerated_marginals
from ppl.numeric import NUMPY
from ppl.program import parse
from ppl.runtime import Executor

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero")  # log 0 is how an impossible state is told
DIFFERENTIABLE = [case for case in CASES if case.values]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def bound(case):
    return parse(case.program, "case.ppl").bind({name: np.asarray(v) for name, v in case.data.items()})


def test_the_discretes_are_enumerated(case):
    plan = bound(case).plan()
    assert {site.name for site in plan.enumerated} == set(case.states)
    assert plan.scored == ()
    assert plan.warnings == ()
    assert {name for cost in plan.costs for name in cost.depends} & set(case.states) == set()


def test_log_density_sums_over_all_states(case):
    exact = logsumexp(case.log_weights())
    assert parse(case.program).log_density(case.values, case.data) == pytest.approx(exact, abs=1e-10)


def test_log_density_at_given_states_is_the_plain_joint(case):
    program = parse(case.program)
    configurations = list(case.configurations())
    for at in range(0, len(configurations), max(1, len(configurations) // 5)):
        values = {**case.values, **configurations[at]}
        with np.errstate(divide="ignore"):
            expected = case.log_weights()[at]
        assert program.log_density(values, case.data) == pytest.approx(expected, abs=1e-10)


def test_log_density_sums_over_the_sites_left_out_only(case):
    first, *others = case.states
    given = next(case.configurations())[first]
    kept = [bool(np.array_equal(c[first], given)) for c in case.configurations()]
    exact = logsumexp(case.log_weights()[kept])
    values = {**case.values, first: given}
    terms = parse(case.program).log_density(values, case.data, by_site=True)
    assert sum(terms.values()) == pytest.approx(exact, abs=1e-10)
    assert any(", " in name for name in terms) == bool(others)


def test_marginals_are_exact(case):
    b = bound(case)
    values = {name: np.asarray(v, float) for name, v in case.values.items()}
    found = enumerated_marginals(b.plan(), b.data, values, 1)
    log_weights = case.log_weights()
    weights = np.exp(log_weights - logsumexp(log_weights))
    configurations = list(case.configurations())
    for name in case.states:
        drawn = np.array([c[name] for c in configurations])
        states = found[name].shape[-1]
        exact = np.einsum("c,c...s->...s", weights, drawn[..., None] == np.arange(states))
        np.testing.assert_allclose(found[name][0], exact, atol=1e-10)


def test_draws_have_the_exact_joint_distribution(case):
    """Frequencies of all configurations; each is binomial, and 5 standard deviations leave a false alarm of under 1e-4.

    (At most 8 configurations with an expected count of 200 or more are looked at, where the normal bound holds.)
    """
    b, draws = bound(case), 20_000
    values = {name: np.asarray(v, float) for name, v in case.values.items()}
    drawn = draw_enumerated(b.plan(), b.data, np.random.default_rng(5), values, draws)
    log_weights = case.log_weights()
    weights = np.exp(log_weights - logsumexp(log_weights))
    configurations = list(case.configurations())
    rows = np.concatenate([drawn[name].reshape(draws, -1) for name in case.states], axis=1)
    seen = 0.0
    for at in np.argsort(-weights)[:8]:
        if weights[at] * draws < 200:
            break
        row = np.concatenate([configurations[at][name].ravel() for name in case.states])
        frequency = (rows == row).all(axis=1).mean()
        seen += frequency
        assert abs(frequency - weights[at]) < 5 * np.sqrt(weights[at] * (1 - weights[at]) / draws)
    assert seen > 0
    possible = {
        tuple(np.concatenate([c[name].ravel() for name in case.states]))
        for c, weight in zip(configurations, weights, strict=True)
        if weight
    }
    assert {tuple(row) for row in np.unique(rows, axis=0)} <= possible


def log_joint(case, xp):
    executor = Executor(bound(case).plan(), bound(case).data, xp)
    return lambda values: sum(xp.sum(term) for term in executor.density(values).values())


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda case: case.name)
def test_gradients_against_finite_differences(case):
    backend = get_backend()
    start = {name: np.asarray(v, float) for name, v in case.values.items()}
    _, gradient = backend.value_and_grad(log_joint(case, backend.xp))(start)
    plain = log_joint(case, NUMPY)
    assert set(gradient) == set(start)
    for name, value in start.items():
        for index in np.ndindex(value.shape):
            step = np.zeros(value.shape)
            step[index] = 1e-5
            both = [plain({**start, name: value + sign * step}) for sign in (1, -1)]
            numeric = (both[0] - both[1]) / 2e-5
            assert gradient[name][index] == pytest.approx(numeric, rel=1e-6, abs=1e-7)


def test_asia_has_the_published_marginals():
    """The posterior after a visit to Asia with shortness of breath; the exact numbers by brute force, see above."""
    b = bound(ASIA)
    found = {name: p[0, 1] for name, p in enumerated_marginals(b.plan(), b.data, {}, 1).items()}
    rounded = {"smoking": 0.6259, "tuberculosis": 0.0878, "cancer": 0.0995, "bronchitis": 0.8114, "xray": 0.2195}
    assert found == pytest.approx(rounded, abs=5e-5)


def test_an_impossible_state_has_no_gradient_and_no_nan():
    """Zero-inflated counts: a rate of 0 for one state, data that exclude it for some elements and not for others."""

    def joint(d, v):
        pairs = zip(d["y"], v["z"], strict=True)
        return sum(bernoulli(z, 0.4) + poisson(y, z * v["rate"]) for y, z in pairs)

    program = """
    data N: int
    data y: int(lower=0)[N]
    param rate: real(lower=0)
    plate n in N {
      z[n] ~ bernoulli(0.4)
      y[n] ~ poisson(z[n] * rate)
    }
    """
    case = Case("inflated", program, {"N": 4, "y": [0, 3, 0, 1]}, {"rate": 1.3}, {"z": [2] * 4}, joint)
    test_log_density_sums_over_all_states(case)
    test_gradients_against_finite_differences(case)


def test_probabilities_that_are_exactly_zero():
    """A state that the prior excludes, under logs far apart."""
    program = parse(
        "data y: real\nz ~ categorical([0, 0.25, 0.75])\ny ~ normal(1000 * z, 1)\n",
    )
    exact = np.log(0.25) - 0.5e6 - 0.5 * np.log(2 * np.pi)
    assert program.log_density({}, {"y": 0.0}) == pytest.approx(exact, rel=1e-12)


def test_looked_up_elements_that_nobody_reads_keep_their_prior():
    b = bound(LOOKED_UP)
    b.data["group"] = np.asarray(b.data["group"])
    values = {name: np.asarray(v, float) for name, v in LOOKED_UP.values.items()}
    plan = b.plan()
    assert all(elimination.lookups for elimination in plan.eliminations)
    assert set(enumerated_marginals(plan, b.data, values, 2)) == {"z", "c"}
    assert enumerated_marginals(plan, b.data, values, 2)["z"].shape == (2, 3, 3)


@pytest.mark.parametrize("case", [MIXTURE, OCCUPANCY, CAPTURE], ids=lambda case: case.name)
def test_many_draws_at_once_are_each_drawn_alone(case):
    """Continuous latents with a draw axis: the density of each draw, in blocks."""
    text = case.program.replace("param w: simplex(K)", "w ~ dirichlet(rep(1, K))")
    text = text.replace("param mu: real[K]", "mu[k in K] ~ normal(0, 2)")
    text = text.replace("param s: real(lower=0)[K]", "s[k in K] ~ lognormal(0, 1)")
    for name in ("psi", "p", "share"):
        text = text.replace(f"param {name}: real(lower=0, upper=1)[J]", f"{name}[j in J] ~ beta(1, 1)")
        text = text.replace(f"param {name}: real(lower=0, upper=1)", f"{name} ~ beta(1, 1)")
    program = parse(text)
    b = program.bind({name: np.asarray(v) for name, v in case.data.items()})
    prior = program.simulate(case.data, draws=6, seed=3)
    latents = {name: prior[name] for name in case.values}
    terms = Executor(b.plan(), b.data, NUMPY).density(latents)
    totals = sum(np.reshape(t, (6, -1)).sum(axis=1) for t in terms.values())
    alone = [program.log_density({name: v[i] for name, v in latents.items()}, case.data) for i in range(6)]
    np.testing.assert_allclose(totals, alone, atol=1e-10)
    drawn = draw_enumerated(b.plan(), b.data, np.random.default_rng(0), latents, 6)
    assert {name: v.shape for name, v in drawn.items()} == {n: (6, *np.shape(c)) for n, c in case.states.items()}


def test_the_plan_says_what_is_summed_out_with_what():
    text = parse(LDA.program).explain(LDA.data)
    row = next(line for line in text.splitlines() if line.startswith("z "))
    assert row.split()[:5] == ["z", "n:", "6", "enumerated", "exact"]
    assert "2 states, summed out exactly together with word" in row


def test_score_note_keeps_a_site_sampled():
    program = parse(CHANGE.program.replace("tau ~", "@score\n    tau ~"))
    plan = program.bind(CHANGE.data).plan()
    assert plan.enumerated == ()
    assert [site.name for site in plan.scored] == ["tau"]


def test_a_scored_site_keeps_its_own_costs_beside_an_enumerated_one():
    program = parse(CAPTURE.program.replace("inside[i] ~", "@score\n      inside[i] ~"))
    plan = program.bind(CAPTURE.data).plan()
    joined = next(cost for cost in plan.costs if cost.name == "shy, caught")
    assert joined.depends == {"p", "inside"}
    assert [axis.name for axis in joined.local["inside"]] == ["i"]
