"""The Gaussian of many unknowns, without Hessians at all draws."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.inference import choose
from ppl.inference.deterministic import gaussian

RNG = np.random.default_rng(0)
SOURCE = (
    "data N, K: int\ndata X: real[N, K]\ndata y: bool[N]\nb[k in K] ~ normal(0, 1)\ny ~ bernoulli(logits = X @ b)\n"
)


def logistic(rows: int, columns: int) -> dict[str, np.ndarray]:
    x = RNG.standard_normal((rows, columns))
    return {"X": x, "y": RNG.random(rows) < 1.0 / (1.0 + np.exp(-x @ RNG.normal(0.0, 0.5, columns)))}


def test_it_is_near_the_one_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data = logistic(200, 20)
    whole = ppl.parse(SOURCE).fit(data, progress=False)
    monkeypatch.setattr(gaussian, "LARGE", 10)
    fit = ppl.parse(SOURCE).fit(data, progress=False)
    assert fit.verdict.level == whole.verdict.level == "trusted"
    assert fit.elbo == pytest.approx(whole.elbo, abs=0.2)
    assert np.abs(fit.mean("b") - whole.mean("b")) == pytest.approx(np.zeros(20), abs=0.05 * whole.sd("b").max())
    assert fit.sd("b") == pytest.approx(whole.sd("b"), rel=0.05)


@pytest.mark.parametrize(
    ("unknowns", "seconds", "dense"),
    [(1500, 1.0, True), (1501, 1e-3, True), (3000, 1e-3, True), (3001, 1e-6, False), (1501, 1e-2, False)],
)
def test_a_dense_covariance_is_for_what_it_is_affordable_for(
    monkeypatch: pytest.MonkeyPatch, unknowns: int, seconds: float, dense: bool
) -> None:
    plan = ppl.parse("x ~ normal(0, 1)\n").bind({}).plan()
    monkeypatch.setattr(choose, "plan_size", lambda plan: unknowns)
    monkeypatch.setattr(choose, "density_seconds", lambda plan: seconds)
    assert choose.is_dense(plan) is dense
