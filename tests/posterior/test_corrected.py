"""Predictions of mean-field fits have the covariance of linear response, and say what mean field's own would be.

A Monte Carlo sd from n draws has a relative standard error of 1 / sqrt(2 n) where they are near normal: 0.4 % for the
32,000 that these fits keep. Bounds of 2 % are five of them; the seeds are fixed.
"""

import contextlib
import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from posterior.made import made_fit

import ppl
from ppl.errors import UncertainFitWarning
from ppl.posterior.summary import Row, Summary

pytestmark = pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")

NOISE, PLACES = 0.5, (-10.0, 0.0, 5.0)
LINE = f"""
data N: int
data x, y: real[N]
a ~ normal(0, 10)
b ~ normal(0, 10)
at_ten = a + 10 * b
y ~ normal(a + b * x, {NOISE})
predict {{
  plate k in 3 {{ far[k] ~ normal(a + b * {list(PLACES)}[k], {NOISE}) }}
  twice = 2 * far[0]
}}
"""


def line_data() -> dict:
    """Intercept and slope have a correlation of -0.95."""
    x = 5.0 + 1.643 * np.tile([-1.0, 1.0], 10)
    return {"x": x, "y": 1.0 + x + NOISE * np.random.default_rng(0).normal(size=len(x))}


def line_sds(places=PLACES) -> tuple[np.ndarray, np.ndarray]:
    """Exact predictive sds, and those of mean field, whose precisions are the diagonal of the exact one."""
    x = line_data()["x"]
    design, new = np.stack([np.ones_like(x), x], axis=1), np.stack([np.ones(len(places)), places], axis=1)
    precision = design.T @ design / NOISE**2 + 0.01 * np.eye(2)
    covariance = np.linalg.inv(precision)
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(-0.95, abs=0.001)
    exact = np.einsum("ki,ij,kj->k", new, covariance, new)
    raw = np.sum(new**2 / np.diag(precision), axis=1)
    return np.sqrt(exact + NOISE**2), np.sqrt(raw + NOISE**2)


@ppl.model
def line(x, y=None):
    a = ppl.sample("a", ppl.Normal(0, 10))
    b = ppl.sample("b", ppl.Normal(0, 10))
    ppl.deterministic("at_ten", a + 10 * b)
    with ppl.plate("N", len(x)) as n:
        ppl.sample("y", ppl.Normal(a + b * x[n], NOISE), obs=y)
    with ppl.predict():
        with ppl.plate("k", 3):
            far = ppl.sample("far", ppl.Normal(a + b * np.array(PLACES), NOISE))
        ppl.deterministic("twice", 2 * far[0])


DOORS = {"text": ppl.parse(LINE), "function": line}


@pytest.fixture(scope="module", params=DOORS)
def fit(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainFitWarning)
        return DOORS[request.param].fit(line_data(), guide="mean_field", progress=False)


def test_what_the_predict_block_draws_is_corrected(fit):
    """At -10 mean field's sd is less than half of the exact one; within the data it is a little too large."""
    exact, raw = line_sds()
    assert raw[0] < 0.5 * exact[0]
    assert raw[2] > 1.02 * exact[2]
    np.testing.assert_allclose(fit.sd("far"), raw, rtol=0.02)
    np.testing.assert_allclose(fit.corrected.sd("far"), exact, rtol=0.02)
    found = {each.name: each for each in fit.run.corrections}
    assert set(found) == {"a", "b", "at_ten", "far[0]", "far[1]", "far[2]", "twice"}
    np.testing.assert_allclose([found[f"far[{k}]"].corrected for k in range(3)], exact, rtol=0.02)
    np.testing.assert_allclose([found[f"far[{k}]"].raw for k in range(3)], raw, rtol=0.02)
    assert found["twice"].corrected == pytest.approx(2 * exact[0], rel=0.02)
    assert found["far[0]"].neighbour in ("a", "b")
    assert abs(found["far[0]"].correlation) > 0.8
    assert "far[0]" in fit.explain()


def test_new_data_are_predicted_with_the_corrected_covariance(fit):
    places = (-10.0, 12.0)
    exact, raw = line_sds(places)
    predictions = fit.predictive({"x": list(places)})
    np.testing.assert_allclose(predictions.sd("y"), exact, rtol=0.02)
    np.testing.assert_allclose(predictions.beside.draws.sd("y"), raw, rtol=0.02)
    np.testing.assert_allclose(fit.predict({"x": list(places)})["y"].std(axis=0), exact, rtol=0.02)
    np.testing.assert_allclose(fit.predict({"x": list(places)}, raw=True)["y"].std(axis=0), raw, rtol=0.02)
    np.testing.assert_allclose(fit.predictive({"x": list(places)}, raw=True).sd("y"), raw, rtol=0.02)
    low, high = predictions.quantile("y", [0.05, 0.95])
    np.testing.assert_allclose(high - low, 2 * 1.645 * exact, rtol=0.03)
    found = {each.name: each for each in predictions.beside.corrections}
    assert found["y[1]"].corrected == pytest.approx(exact[1], rel=0.02)
    assert found["y[1]"].neighbour in ("a", "b")


def test_draws_and_derivatives_agree(fit):
    """The draws have the exact second moments, so on what is linear both say the same but for rounding."""
    found = {each.name: each for each in fit.run.corrections}
    for name in ("a", "b", "at_ten"):
        assert fit.corrected.sd(name) == pytest.approx(found[name].corrected, rel=1e-4)
        assert fit.sd(name) == pytest.approx(found[name].raw, rel=1e-4)


def test_rows_of_predictions_follow_from_rows_of_the_draws(fit):
    new = {"x": [1.0]}
    for predicted, draws in (
        (fit.predict(new, 500, seed=2), fit.corrected.draws(500, seed=2)),
        (fit.predict(new, 500, seed=2, raw=True), fit.draws(500, seed=2)),
    ):
        np.testing.assert_allclose(predicted["at_ten"], draws["a"] + 10 * draws["b"], rtol=1e-12)


def test_the_tables_have_both_sds_and_say_which_is_which(fit):
    own, corrected, predictions = fit.summary(), fit.corrected.summary(), fit.predictive({"x": [-10.0]}).summary()
    assert str(own).splitlines()[0].split()[:4] == ["mean", "sd", "corrected", "sd"]
    assert str(corrected).splitlines()[0].split()[:4] == ["mean", "sd", "raw", "sd"]
    one, other = own.to_dict()["far[0]"], corrected.to_dict()["far[0]"]
    assert (one["sd"], one["corrected_sd"]) == (other["raw_sd"], other["sd"])
    assert "sd and quantiles are mean field's own" in str(own)
    assert "raw sd is mean field's own" in str(predictions)
    assert "largest correction: " in str(predictions)
    assert "because of " in str(predictions)
    assert set(fit.predictive({"x": [1.0]}, raw=True).summary().to_dict()["y[0]"]) == {"mean", "sd", "q5", "q50", "q95"}


def test_saved_fits_keep_both(fit, tmp_path: Path):
    fit.save(tmp_path / "line.fit")
    again = ppl.load_fit(tmp_path / "line.fit", fit.program)
    new = {"x": [-10.0, 3.0]}
    assert str(again.summary()) == str(fit.summary())
    assert again.run.corrections == fit.run.corrections
    for raw in (False, True):
        assert str(again.predictive(new, raw=raw).summary()) == str(fit.predictive(new, raw=raw).summary())


def test_groups_for_arviz_belong_together(fit):
    """Rows of predictions and of the posterior are of the same draws: mean field's, or the corrected ones."""
    pytest.importorskip("arviz")
    for each in (fit, fit.corrected):
        found = each.to_arviz(draws=50)
        np.testing.assert_array_equal(found.posterior["a"].values[0], each.draws(50)["a"])
        np.testing.assert_array_equal(found.posterior_predictive["y"].values[0], each.predict(draws=50, raw=True)["y"])


def test_a_fit_by_other_means_has_no_second_sd():
    exact = ppl.parse(LINE).fit(line_data(), progress=False)
    assert exact.corrected is None
    assert exact.predictive({"x": [1.0]}).beside is None
    assert made_fit().corrected is None


def test_counts_of_a_poisson_regression_against_quadrature():
    source = (
        "data N: int\ndata x: real[N]\ndata y: int[N]\na ~ normal(0, 3)\nb ~ normal(0, 3)\n"
        "y ~ poisson(exp(a + b * x))\npredict { far ~ poisson(exp(a)) }\n"
    )
    rng = np.random.default_rng(1)
    x = rng.uniform(1.5, 2.5, 30)
    y = rng.poisson(np.exp(0.5 + 0.8 * x))
    fit = ppl.parse(source).fit({"x": x, "y": y}, guide="mean_field", progress=False)
    new = np.array([0.0, 2.0, 3.5])
    a, b = np.meshgrid(np.linspace(-2.5, 3.5, 400), np.linspace(-1, 2.6, 400), indexing="ij")
    log_density = -(a**2 + b**2) / 18 + sum(k * (a + b * t) - np.exp(a + b * t) for t, k in zip(x, y, strict=True))
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    rates = np.exp(a + b * new[:, None, None])
    means, squares = (np.sum(weights * power, axis=(1, 2)) for power in (rates, rates**2))
    exact = np.sqrt(means + squares - means**2)
    found = fit.predictive({"x": new})
    np.testing.assert_allclose(found.mean("y"), means, rtol=0.02)
    np.testing.assert_allclose(found.sd("y"), exact, rtol=0.02)
    assert found.beside.draws.sd("y")[2] < 0.7 * exact[2]
    far = next(each for each in fit.run.corrections if each.name == "far")
    assert far.corrected == pytest.approx(exact[0], rel=0.02)


def test_predictions_of_coordinate_ascent_are_corrected():
    """Of two rates the data tell the product only: the quotient is far less certain than independent factors say."""
    source = (
        "data N: int\ndata y: real[N]\nt ~ gamma(30, 30)\nl ~ gamma(30, 30)\ny ~ exponential(t * l)\n"
        "predict {\n  quotient ~ normal(t / l, 0.01)\n  both ~ normal(t * l, 0.01)\n}\n"
    )
    data = {"y": np.random.default_rng(0).exponential(1.0, 400)}
    fit = ppl.parse(source).fit(data, method="cavi", progress=False)
    exact = ppl.parse(source).fit(data, draws=32_000, progress=False)
    assert fit.sd("quotient") < 0.3 * exact.sd("quotient")
    assert fit.sd("both") > 1.2 * exact.sd("both")
    for name in ("quotient", "both"):
        assert fit.corrected.sd(name) == pytest.approx(exact.sd(name), rel=0.05)
        assert fit.predictive(data).sd(name) == pytest.approx(exact.sd(name), rel=0.05)


def test_coordinate_ascent_predicts_from_weighted_draws_where_it_has_them():
    source = (
        "data N: int\ndata x, y: real[N]\na ~ normal(0, 10)\nb ~ normal(0, 10)\ntau ~ gamma(1, 1)\n"
        "y ~ normal(a + b * x, 1 / sqrt(tau))\n"
    )
    fit = ppl.parse(source).fit(line_data(), method="cavi", progress=False)
    assert fit.posterior.weights is not None
    assert fit.corrected is None
    assert fit.run.corrections


def test_unknowns_that_were_summed_out_are_drawn_for_both():
    source = (
        "data N: int\ndata y: real[N]\nmu[k in 2] ~ normal([-3, 3][k], 1)\np ~ beta(2, 2)\n"
        "plate n in N {\n  z[n] ~ bernoulli(p)\n  y[n] ~ normal(mu[z[n]], 1)\n}\npredict { new ~ bernoulli(p) }\n"
    )
    fit = ppl.parse(source).fit({"y": [-2.0, -3.0, -2.5, 2.0]}, guide="mean_field", progress=False)
    own, corrected = fit.draws(), fit.corrected.draws()
    assert corrected["z"].shape == own["z"].shape
    assert corrected["z"].dtype == own["z"].dtype
    np.testing.assert_allclose(corrected["z"].mean(axis=0), own["z"].mean(axis=0), atol=0.02)


def test_a_table_with_a_second_sd():
    rows = (
        Row("y", "y[0]", 1.2345, 0.5, 0.4, 1.2, 2.1, beside=0.123456),
        Row("k", "k", 2.0, 1.5, 0.0, 2.0, 5.0, beside=1.25),
    )
    shown = str(Summary(rows, beside="raw sd")).splitlines()
    assert [line.split() for line in shown] == [
        ["mean", "sd", "raw", "sd", "5", "%", "50", "%", "95", "%"],
        ["y[0]", "1.234", "0.500", "0.123", "0.400", "1.200", "2.100"],
        ["k", "2.000", "1.500", "1.250", "0", "2", "5"],
    ]
    assert len({len(line) for line in shown}) == 1
    assert Summary(rows, beside="raw sd").to_dict()["k"]["raw_sd"] == 1.25


def test_the_how_to_page():
    """Its programs, and the tables that they print: words as they stand, numbers within 3 %."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "read-mean-field.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"] * 2
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertainFitWarning)
        for (_, program), (_, documented) in zip(blocks[::2], blocks[1::2], strict=True):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(program, "read-mean-field.md", "exec"), names)
            for found, expected in zip(printed.getvalue().split(), documented.split(), strict=True):
                try:
                    number = float(expected)
                except ValueError:
                    assert found == expected or ")" in expected
                else:
                    assert float(found) == pytest.approx(number, rel=0.03, abs=0.03)


def test_without_linear_response_a_note_says_whose_predictions_these_are():
    source = "data y: real\na ~ flat()\nb ~ flat()\ny ~ normal(a + b, 1)\n"
    fit = ppl.parse(source).fit({"y": 0.0}, guide="mean_field", progress=False)
    assert fit.corrected is None
    assert any(note.startswith("predictions are mean field's own") for note in fit.run.notes)
    assert fit.predictive().beside is None
