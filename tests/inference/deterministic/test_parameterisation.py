"""Coordinates between centred and non-centred: they leave the model alone, and the fit finds the good ones."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.compiler.parameterise import adaptable, described, with_degrees
from ppl.inference.choose import choose_guide
from ppl.inference.deterministic.parameterisation import learn_degrees
from ppl.inference.target import Target

GROUPS = """
data J: int
data y, s: real[J]
mu ~ normal(0, 5)
tau ~ half_normal(5)
plate j in J {
  theta[j] ~ normal(mu, tau)
  y[j] ~ normal(theta[j], s[j])
}
"""
FUNNEL = "v ~ normal(0, 3)\nx[k in 9] ~ normal(0, exp(v / 2))\n"
WALK = """
data y: real[4]
s ~ half_normal(1)
scan t in 4 {
  h[t] ~ normal(0 if t == 0 else h[t - 1], s)
  y[t] ~ normal(h[t], 1)
}
"""
SKEWED = "data y: real\nm ~ normal(0, 1)\ns ~ half_normal(1)\nz ~ lognormal(m, s)\ny ~ normal(z, 1)\n"


def bound(source: str, **data: object):  # type: ignore[no-untyped-def]
    found = ppl.parse(source).bind(data)
    return found.plan(), found.data


def check_same_posterior(plan, data, degrees) -> None:  # type: ignore[no-untyped-def]
    """The density in other coordinates is the density at their values times the Jacobian, by finite differences."""
    guide, backend = choose_guide(plan), get_backend()
    before = Target(plan, data, guide, backend)
    changed = with_degrees(plan, degrees)
    after = Target(changed, data, type(guide)(changed, guide.vector), backend)
    rng = np.random.default_rng(0)
    row = rng.uniform(-1.0, 1.0, (1, after.dim))

    def centred(rows):  # type: ignore[no-untyped-def]
        values = after.values(rows)
        logs = {name: np.log(v) if plan.sites[name].bijection == "positive" else v for name, v in values.items()}
        return np.concatenate([logs[e.name].reshape(len(rows), -1) for e in guide.layout.entries], axis=1)

    step = 1e-6 * np.eye(after.dim)
    jacobian = (centred(row + step) - centred(row - step)) / 2e-6
    expected = before.log_density(centred(row)) + np.linalg.slogdet(jacobian)[1]
    assert after.log_density(row) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("degree", [0.0, 0.3, 1.0])
def test_one_degree_leaves_the_model_alone(degree: float) -> None:
    plan, data = bound(GROUPS, y=[1.0, 2.0, 4.0], s=[1.0, 1.0, 2.0])
    check_same_posterior(plan, data, {"theta": np.full(3, degree)})


def test_a_degree_for_each_element_leaves_the_model_alone() -> None:
    plan, data = bound(GROUPS, y=[1.0, 2.0, 4.0], s=[1.0, 1.0, 2.0])
    check_same_posterior(plan, data, {"theta": np.array([0.0, 0.4, 1.0])})


def test_a_positive_site_is_standardised_on_the_log_scale() -> None:
    plan, data = bound(SKEWED, y=1.5)
    check_same_posterior(plan, data, {"z": np.array(0.6)})


def learned(source: str, **data: object):  # type: ignore[no-untyped-def]
    plan, arrays = bound(source, **data)
    return learn_degrees(plan, arrays, choose_guide(plan), get_backend(), np.random.default_rng(0)).plan


def test_a_funnel_is_not_centred() -> None:
    plan = learned(FUNNEL)
    assert plan.sites["x"].centred == (0.0,) * 9
    assert "0.00 centred (learned)" in plan.sites["x"].reason


def test_strong_data_are_centred() -> None:
    plan = learned(GROUPS, y=np.arange(8.0), s=np.full(8, 0.01))
    assert np.min(plan.sites["theta"].centred) > 0.9


def test_what_depends_on_its_own_past_is_its_own_coordinate() -> None:
    plan, _ = bound(WALK, y=np.zeros(4))
    assert adaptable(plan) == ()


def test_the_range_over_elements_is_told() -> None:
    plan, _ = bound(GROUPS, y=[1.0, 2.0], s=[1.0, 1.0])
    (site,) = adaptable(plan)
    assert described(site, np.array([0.1, 0.5])) == "0.30 centred (learned; 0.10 to 0.50 over 2 elements)"
    assert described(site, np.array([0.3, 0.3])) == "0.30 centred (learned)"


def test_a_funnel_of_ten_dimensions() -> None:
    """Its marginal is known: v ~ normal(0, 3). By the learned coordinates alone, without the conditional guide."""
    from ppl.inference.learned import learned_gaussian
    from ppl.inference.methods import Task
    from ppl.inference.progress import Progress

    plan, data = bound(FUNNEL)
    outcome = learned_gaussian(Task(plan, data, choose_guide(plan), get_backend(), 0, 4000, Progress(False), {}))
    weights = np.exp(outcome.log_weights)
    assert weights @ outcome.values["v"] == pytest.approx(0.0, abs=0.1)
    assert weights @ outcome.values["v"] ** 2 == pytest.approx(9.0, rel=0.05)
    assert outcome.khat < 0.5
    assert outcome.log_evidence == pytest.approx(0.0, abs=0.01)
