"""`Fit`: draws and what follows from them, predictions, pointwise log likelihood, explanations."""

import numpy as np
import pytest
from posterior.made import DATA, TEXT, VERDICT, made_fit
from scipy import stats

import ppl
from ppl.model import Builder, construct
from ppl.posterior import quantities


@pytest.fixture(scope="module")
def fit():
    return made_fit()


@pytest.fixture(scope="module")
def weighted():
    return made_fit(weighted=True)


def test_names_are_in_the_order_of_the_model_with_the_predict_block_last(fit):
    assert list(fit.draws()) == ["b", "mu", "tau", "theta", "spread", "drift", "line", "fresh", "shifted"]


def test_deterministic_quantities_follow_from_the_same_draws(fit):
    draws = fit.draws()
    np.testing.assert_allclose(draws["spread"], draws["tau"] ** 2)
    np.testing.assert_allclose(draws["line"], draws["theta"][:, DATA["group"]] + 0.25 * np.array(DATA["x"]))


def test_the_predict_block_is_run_once_for_each_draw(fit):
    draws = fit.draws()
    np.testing.assert_allclose(draws["shifted"], draws["theta"] + draws["drift"][:, :1])
    standard = (draws["fresh"] - draws["mu"]) / draws["tau"]
    # false alarm once in 1e6 seeds; the seed is fixed
    assert stats.kstest(standard, "norm").pvalue > 1e-6


def test_learned_parameters_are_the_same_in_every_draw(fit):
    assert fit.mean("b") == 0.25
    assert fit.sd("b") == 0.0
    assert fit.draws(7)["b"].shape == (7,)


def test_equal_weights_give_the_plain_moments(fit):
    theta = fit.draws()["theta"]
    np.testing.assert_allclose(fit.mean("theta"), theta.mean(axis=0))
    np.testing.assert_allclose(fit.sd("theta"), theta.std(axis=0, ddof=1))
    np.testing.assert_allclose(fit.quantile("theta", 0.3), np.quantile(theta, 0.3, axis=0))
    assert fit.quantile("theta", [0.1, 0.9]).shape == (2, 3)


def test_weights_enter_the_moments(weighted):
    theta, weights = weighted.posterior.values["theta"], weighted.posterior.weights
    np.testing.assert_allclose(weighted.mean("theta"), np.average(theta, axis=0, weights=weights))
    centred = theta - weighted.mean("theta")
    assert np.all(np.abs(weighted.sd("theta") ** 2 / np.average(centred**2, axis=0, weights=weights) - 1) < 0.05)


def test_equal_draws_are_stored_ones_and_weighted_ones_are_resampled(fit, weighted):
    np.testing.assert_array_equal(fit.draws()["theta"], fit.posterior.values["theta"])
    many = weighted.draws(50_000, seed=1)["theta"]
    # each mean has a Monte Carlo error of at most sd / sqrt(50,000); six of them, fixed seed
    np.testing.assert_allclose(many.mean(axis=0), weighted.mean("theta"), atol=6 * weighted.sd("theta").max() / 223)


def test_resampling_keeps_draws_of_different_names_together(weighted):
    draws = weighted.draws(500)
    np.testing.assert_allclose(draws["spread"], draws["tau"] ** 2)


def test_seeds_reproduce_and_differ(weighted):
    np.testing.assert_array_equal(weighted.draws(seed=5)["mu"], weighted.draws(seed=5)["mu"])
    assert not np.array_equal(weighted.draws(seed=5)["mu"], weighted.draws(seed=6)["mu"])
    np.testing.assert_array_equal(weighted.predict(seed=5)["y"], weighted.predict(seed=5)["y"])
    assert not np.array_equal(weighted.predict(seed=5)["y"], weighted.predict(seed=6)["y"])


@pytest.mark.parametrize("count", [0, -3])
def test_fewer_than_one_draw_is_refused(fit, count):
    with pytest.raises(ppl.InferenceError, match="E612"):
        fit.draws(count)


def test_an_unknown_name_is_answered_with_the_nearest(fit):
    with pytest.raises(ppl.InferenceError, match="no `thetta` in the fit; did you mean `theta`"):
        fit.mean("thetta")
    with pytest.raises(ppl.InferenceError, match="there are b, mu, tau"):
        fit.quantile("qqq", 0.5)


def test_what_it_says_about_itself(fit):
    assert str(fit) == "<fit of groups: 7 unknowns, 200 draws, ELBO -12.50, care>"
    assert (fit.verdict, fit.elbo, fit.log_evidence) == (VERDICT, -12.5, None)
    assert "theta" in fit.explain()
    assert "def run(" in fit.explain(code=True)


def test_quantities_that_are_too_large_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(quantities, "MOST_NUMBERS", 200 * 3)
    fit = made_fit()
    assert "line" not in fit.draws()
    assert "spread" in fit.draws()
    assert "line: left out, 200 draws of 4 elements (n: 4) are 8.0e+02 numbers" in str(fit.summary())
    with pytest.raises(ppl.InferenceError, match="`line` has no draws here: left out"):
        fit.mean("line")


# Predictions -----------------------------------------------------------------------------------------


def test_predictions_for_new_data_without_the_outcome(fit):
    new = {"N": 2, "J": 3, "group": [2, 0], "x": [0.0, 10.0]}
    predicted, draws = fit.predict(new), fit.draws()
    assert list(predicted) == ["spread", "line", "y", "fresh", "shifted"]
    expected = draws["theta"][:, [2, 0]] + 0.25 * np.array([0.0, 10.0])
    np.testing.assert_allclose(predicted["line"], expected)
    assert stats.kstest((predicted["y"] - expected).ravel(), "norm").pvalue > 1e-6


def test_an_outcome_in_the_new_data_is_ignored(fit):
    without = {name: value for name, value in DATA.items() if name != "y"}
    np.testing.assert_array_equal(fit.predict(DATA)["y"], fit.predict(without)["y"])
    np.testing.assert_array_equal(fit.predict(DATA)["y"], fit.predict()["y"])


def test_predictions_follow_the_draws_of_the_same_seed(weighted):
    predicted, draws = weighted.predict(draws=50, seed=9), weighted.draws(50, seed=9)
    np.testing.assert_allclose(predicted["line"], draws["theta"][:, DATA["group"]] + 0.25 * np.array(DATA["x"]))


def test_predictions_have_a_summary(fit):
    assert (
        "y[1]"
        in fit.predictive({**DATA, "N": 2, "group": [0, 0], "x": [1.0, 2.0], "y": [0.0, 0.0]}).summary().to_dict()
    )


def test_new_data_with_other_plates_for_a_latent_are_refused_where_it_stands(fit):
    new = {"N": 2, "J": 5, "group": [2, 4], "x": [0.0, 10.0]}
    with pytest.raises(ppl.DataError) as raised:
        fit.predict(new)
    assert str(raised.value) == (
        "E614 groups:9:3\n"
        "9 |   theta[j] ~ normal(mu, tau)\n"
        "  |   ^^^^^^^^ `theta` has 3 elements (j: 3) in the fit, 5 elements (j: 5) with these data\n"
        "  = pass data with 3 elements along j"
    )


def test_bad_new_data_are_reported_as_anywhere(fit):
    with pytest.raises(ppl.DataError, match="E502"):
        fit.predict({"N": 1, "J": 3, "group": [7], "x": [0.0]})


def test_the_base_of_the_fit_holds_for_new_data():
    fit = made_fit(data={**DATA, "group": [1, 2, 3, 1]}, base=1)
    new = {"N": 1, "J": 3, "x": [0.0]}
    np.testing.assert_array_equal(
        fit.predict({**new, "group": [3]})["line"], fit.predict({**new, "group": [2]}, base=0)["line"]
    )


# Pointwise log likelihood ------------------------------------------------------------------------------


def test_pointwise_log_likelihood(fit):
    draws = fit.draws()
    expected = stats.norm(draws["line"], 1.0).logpdf(DATA["y"])
    np.testing.assert_allclose(fit.log_likelihood()["y"], expected)
    np.testing.assert_allclose(fit.log_likelihood(DATA)["y"], expected)


def test_pointwise_log_likelihood_of_other_data_needs_the_outcome(fit):
    new = {"N": 1, "J": 3, "group": [1], "x": [0.0]}
    assert fit.log_likelihood({**new, "y": [2.0]}, draws=10)["y"].shape == (10, 1)
    with pytest.raises(ppl.DataError, match="`y` is not in the data"):
        fit.log_likelihood(new)


def test_pointwise_log_likelihood_sums_to_the_joint():
    program = ppl.parse(TEXT, "groups")
    fit = made_fit(program, draws=1)
    values = {name: fit.draws()[name][0] for name in ("b", "mu", "tau", "theta", "drift")}
    terms = program.log_density(values, DATA, by_site=True)
    assert fit.log_likelihood()["y"].sum() == pytest.approx(terms["y"])


NESTED = """\
data y: real[3, 2]
mu ~ normal(0, 1)
plate i in 2 {
  plate j in 3 {
    a[i, j] ~ normal(mu, 1)
  }
}
plate j in 3 {
  plate i in 2 {
    swapped[j, i] = a[i, j]
    y[j, i] ~ normal(a[i, j], 1)
  }
}
predict {
  again[j in 3, i in 2] ~ normal(a[i, j], 0.0001)
}
"""


def test_plates_keep_the_order_in_which_a_statement_has_them():
    """Inside, axes lie in the order in which plates were first opened; outside, in that of each statement."""
    y = np.arange(6.0).reshape(3, 2)
    fit = made_fit(ppl.parse(NESTED), {"y": y}, draws=5)
    draws = fit.draws()
    transposed = draws["a"].transpose(0, 2, 1)
    np.testing.assert_allclose(draws["swapped"], transposed)
    np.testing.assert_allclose(draws["again"], transposed, atol=0.001)
    np.testing.assert_allclose(fit.log_likelihood()["y"], stats.norm(transposed, 1.0).logpdf(y))
    assert fit.predict()["y"].shape == (5, 3, 2)
    assert list(fit.summary("swapped").to_dict()) == [f"swapped[{j}, {i}]" for j in range(3) for i in range(2)]


def test_a_likelihood_that_no_latent_enters_is_the_same_in_every_draw():
    fit = made_fit(ppl.parse("data y: real[2]\nmu ~ normal(0, 1)\ny ~ normal(0, 1)\n"), {"y": [0.0, 1.0]}, draws=4)
    np.testing.assert_allclose(fit.log_likelihood()["y"], np.tile(stats.norm.logpdf([0.0, 1.0]), (4, 1)))


def test_quantities_that_no_latent_enters_are_the_same_in_every_draw():
    builder = Builder("constants")
    plates = [builder.axis("i", 2), builder.axis("j", 3)]
    builder.deterministic("number", construct.constant(1.5))
    builder.deterministic("repeated", construct.constant(1.5), plates)
    builder.deterministic("vector", construct.constant(np.array([1.0, 2.0])), plates[1:])
    found = quantities.derived(builder.model(), {}, {}, 4, 0)
    np.testing.assert_array_equal(found["number"], np.full(4, 1.5))
    np.testing.assert_array_equal(found["repeated"], np.full((4, 2, 3), 1.5))
    np.testing.assert_array_equal(found["vector"], np.broadcast_to([1.0, 2.0], (4, 3, 2)))


# ArviZ -------------------------------------------------------------------------------------------------


def test_to_arviz(weighted):
    pytest.importorskip("arviz", reason="needs ArviZ, which is not installed")
    found = weighted.to_arviz(draws=20, seed=2)
    assert set(found.groups()) == {"posterior", "posterior_predictive", "log_likelihood", "observed_data"}
    np.testing.assert_array_equal(found.posterior["theta"].values[0], weighted.draws(20, seed=2)["theta"])
    assert found.posterior["drift"].dims == ("chain", "draw", "t")
    np.testing.assert_array_equal(found.posterior["t"], [2, 3])
    np.testing.assert_array_equal(found.observed_data["y"], DATA["y"])
    np.testing.assert_array_equal(found.log_likelihood["y"].values[0], weighted.log_likelihood(draws=20, seed=2)["y"])
