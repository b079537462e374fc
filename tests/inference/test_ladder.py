"""The rungs of a fit: what is tried, kept, recorded and told."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.inference.result import Rung

RATS = """
data J: int
data n, k: int[J]
a ~ flat(lower=0)
b ~ flat(lower=0)
factor prior = -2.5 * log(a + b)
plate j in J {
  theta[j] ~ beta(a, b)
  k[j] ~ binomial(n[j], theta[j])
}
"""
COUNTS = {"n": np.full(25, 20), "k": np.random.default_rng(3).binomial(20, np.random.default_rng(4).beta(3, 12, 25))}


def test_the_first_trusted_rung_is_the_last() -> None:
    fit = ppl.parse("data y: real\nmu ~ normal(0, 1)\ny ~ normal(mu, 1)\n").fit({"y": 1.0}, progress=False)
    (rung,) = fit.run.rungs
    assert rung == Rung(fit.run.method, rung.elbo, fit.verdict.khat, rung.effective, rung.seconds, "trusted")
    assert rung.elbo == pytest.approx(fit.elbo)


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_no_rung_is_begun_once_the_time_is_spent() -> None:
    fit = ppl.parse(RATS).fit(COUNTS, progress=False, seconds=1e-6)
    assert len(fit.run.rungs) == 1


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_the_rungs_are_stored_and_told(tmp_path) -> None:  # type: ignore[no-untyped-def]
    fit = ppl.parse(RATS).fit(COUNTS, progress=False)
    fit.save(tmp_path / "rats.fit")
    again = ppl.load_fit(tmp_path / "rats.fit")
    assert again.run.rungs == fit.run.rungs
    told = again.explain().split("tried:\n")[1].splitlines()
    assert [line.strip() for line in told[: len(fit.run.rungs)]] == [
        str(rung) + (", kept" if rung.method == fit.run.method else "") for rung in fit.run.rungs
    ]


def test_seeds_repeat_the_ladder() -> None:
    one, two = (ppl.parse(RATS).fit(COUNTS, progress=False, seed=5) for _ in range(2))
    assert one.mean("theta") == pytest.approx(two.mean("theta"), rel=1e-12)
    assert [rung.method for rung in one.run.rungs] == [rung.method for rung in two.run.rungs]


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_an_improper_posterior_ends_the_ladder() -> None:
    source = "data k: int\nu ~ flat()\nk ~ binomial(10, expit(u))\n"
    fit = ppl.parse(source).fit({"k": 10}, progress=False)
    assert [rung.level for rung in fit.run.rungs] == ["not trusted"]
    assert "runs off to the end of its range" in str(fit.verdict)


@pytest.mark.parametrize("gap", [4.0, 6.0])
def test_both_modes_are_found_with_their_weights(gap: float) -> None:
    """A mixture of normals at -gap and gap with weights 0.3 and 0.7, of different widths: weights within 5 %."""
    source = f"x ~ mixture([0.3, 0.7], normal(-{gap}, 1), normal({gap}, 0.5))\nz ~ normal(x, 1)\n"
    fit = ppl.parse(source).fit({}, progress=False)
    assert fit.verdict.level == "trusted"
    assert np.mean(fit.draws(20_000)["x"] > 0) == pytest.approx(0.7, rel=0.05)
    assert any(note.startswith("2 separate modes were found, with weights 0.7") for note in fit.run.notes)
    assert fit.log_evidence == pytest.approx(0.0, abs=0.02)


def test_two_modes_in_five_dimensions() -> None:
    parts = [f"log({w}) - 0.5 * sum([((x[k] - {m}) / 0.5)^2 for k in 5])" for w, m in ((0.25, 4), (0.75, -4))]
    source = f"x[k in 5] ~ flat()\nfactor two = log(exp({parts[0]}) + exp({parts[1]}))\n"
    fit = ppl.parse(source).fit({}, progress=False)
    assert np.mean(fit.draws(20_000)["x"] > 0, axis=0) == pytest.approx(np.full(5, 0.25), rel=0.05)


# Mean field beside linear response ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_mean_field_tells_raw_and_corrected_sds() -> None:
    """Correlation 0.95: raw sds are 69 % too small, corrected ones right within 1 %, because of the other element."""
    source = "x ~ multi_normal([0, 0], cov = [[1, 0.95], [0.95, 1]])\ns ~ gamma(50, 1)\n"
    fit = ppl.parse(source).fit({}, guide="mean_field", progress=False)
    first, second, alone = fit.run.corrections
    assert first.raw == pytest.approx(1.0 - 0.69, abs=0.01)
    assert (first.corrected, second.corrected) == pytest.approx((1.0, 1.0), rel=0.01)
    assert (first.neighbour, second.neighbour, alone.neighbour) == ("x[1]", "x[0]", "")
    assert first.correlation == pytest.approx(0.95, abs=0.01)
    assert alone.corrected == pytest.approx(np.sqrt(50.0), rel=0.05)
    assert "x[1] (correlation 0.95)" in fit.explain()
    assert fit.sd("x") == pytest.approx([first.raw, second.raw], rel=0.02)


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_what_follows_from_the_latents_is_corrected_too() -> None:
    """Sums are too wide under mean field and differences too narrow: sd sqrt(2 (1 +- 0.95)), with its delta method."""
    source = (
        "x ~ multi_normal([0, 0], cov = [[1, 0.95], [0.95, 1]])\ntotal = x[0] + x[1]\n"
        "predict {\n  twice = 2 * x[0]\n  d = x[0] - x[1]\n  y ~ normal(d, 1)\n}\n"
    )
    fit = ppl.parse(source).fit({}, guide="mean_field", progress=False)
    found = {each.name: each for each in fit.run.corrections}
    assert set(found) == {"x[0]", "x[1]", "total", "twice", "d", "y"}
    assert [found[name].corrected for name in ("total", "twice", "d")] == pytest.approx(
        [np.sqrt(3.9), 2.0, np.sqrt(0.1)], rel=0.02
    )
    raw = np.sqrt(2 * (1 - 0.95**2))
    assert (found["total"].raw, found["d"].raw) == pytest.approx((raw, raw), rel=0.03)
    assert found["twice"].neighbour in ("x[0]", "x[1]")


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_the_factors_of_coordinate_ascent_are_corrected() -> None:
    """Two rates of which data tell the product only: the sds of independent factors are 64 % too small."""
    source = (
        "data N: int\ndata y: real[N]\nt ~ gamma(30, 30)\nl ~ gamma(30, 30)\nboth = t * l\ny ~ exponential(t * l)\n"
    )
    data = {"y": np.random.default_rng(0).exponential(1.0, 400)}
    fit = ppl.parse(source).fit(data, method="cavi", progress=False)
    exact = ppl.parse(source).fit(data, progress=False)
    found = {each.name: each for each in fit.run.corrections}
    assert (found["t"].neighbour, found["l"].neighbour) == ("l", "t")
    assert found["t"].raw == pytest.approx(fit.sd("t"), rel=0.01)
    assert found["t"].raw < 0.4 * exact.sd("t")
    for name in ("t", "l", "both"):
        assert found[name].corrected == pytest.approx(exact.sd(name), rel=0.03)
    assert "linear response makes of them" in fit.explain()


def test_a_conjugate_regression_has_both_sds_under_cavi() -> None:
    source = (
        "data N: int\ndata x, y: real[N]\na ~ normal(0, 10)\nb ~ normal(0, 10)\ntau ~ gamma(1, 1)\n"
        "y ~ normal(a + b * x, 1 / sqrt(tau))\n"
    )
    rng = np.random.default_rng(0)
    x = rng.uniform(4, 6, 60)
    data = {"x": x, "y": 1 + x + rng.normal(0, 0.5, 60)}
    fit, exact = ppl.parse(source).fit(data, method="cavi", progress=False), ppl.parse(source).fit(data, progress=False)
    assert {each.name: each.corrected for each in fit.run.corrections} == pytest.approx(
        {name: exact.sd(name) for name in ("a", "b", "tau")}, rel=0.04
    )


def test_draws_without_weight_are_not_kept():
    """Where the density is 0 a quantity need not be finite."""
    fit = ppl.parse("x ~ normal(0, 1)\nfactor f = 0 if x > -0.5 else -1e6\nq = log(x + 0.5)").fit({}, progress=False)
    assert fit.posterior.log_weights is not None
    assert np.all(fit.draws(2000)["x"] > -0.5)
    assert np.isfinite(fit.mean("q"))
    assert np.isfinite(fit.quantile("q", [0.01, 0.5])).all()
