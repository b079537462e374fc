"""The summary table: what it says, how it is aligned, what it leaves out."""

import numpy as np
import pytest
from posterior.made import made_fit

import ppl
from ppl.posterior import Row, Summary, statistics
from ppl.posterior.summary import format_row


def row(mean, sd, q5, q50, q95):
    return format_row(Row("a", "a", mean, sd, q5, q50, q95))


def test_dictionary_of_all_elements():
    fit = made_fit()
    found = fit.summary().to_dict()
    assert [name for name in found if name.startswith(("tau", "theta", "drift"))] == [
        "tau", "theta[0]", "theta[1]", "theta[2]", "drift[2]", "drift[3]",
    ]  # fmt: skip
    low, middle, high = fit.quantile("theta", [0.05, 0.5, 0.95])[:, 1]
    expected = {"mean": fit.mean("theta")[1], "sd": fit.sd("theta")[1], "q5": low, "q50": middle, "q95": high}
    assert found["theta[1]"] == pytest.approx(expected)
    assert all(type(number) is float for number in found["theta[1]"].values())


def test_some_variables_only():
    assert list(made_fit().summary(["mu", "tau"]).to_dict()) == ["mu", "tau"]
    assert len(made_fit().summary("theta")) == 3
    with pytest.raises(ppl.InferenceError, match="did you mean `theta`"):
        made_fit().summary("teta")


def test_table_is_aligned():
    mu = Row("mu", "mu", 4.4083, 3.3011, -1.02, 4.411, 9.8)
    theta = Row("theta", "theta[10]", 102.4, 31.7, 50.0, 101.0, 155.5)
    assert str(Summary((mu, theta), ("big: left out",))).splitlines() == [
        "            mean    sd    5 %   50 %   95 %",
        "mu          4.41  3.30  -1.02   4.41   9.80",
        "theta[10]  102.4  31.7   50.0  101.0  155.5",
        "big: left out",
    ]


def test_digits_follow_the_spread():
    assert row(4.40831, 3.30112, -1.02, 4.411, 9.8) == ["4.41", "3.30", "-1.02", "4.41", "9.80"]
    assert row(1998.3012, 0.01234, 1998.28, 1998.3, 1998.32)[0] == "1998.3012"
    assert row(44123.4, 120.0, 43900.5, 44120.0, 44300.0)[0] == "44123"
    assert row(-0.000312345, 5.0, -8.0, 0.1, 8.0)[0] == "0.00"


def test_one_variable_has_one_number_of_decimals():
    """0.98 and 1.02 have three significant digits with two and with three decimals; 0.0012 is another matter."""
    rows = tuple(Row("a", f"a[{i}]", sd, sd, -sd, 0.1, sd) for i, sd in enumerate((0.98, 1.02, 0.97, 0.0012)))
    assert [line.split()[1] for line in str(Summary(rows)).splitlines()[1:]] == ["0.980", "1.020", "0.970", "0.001200"]


def test_quantiles_of_a_discrete_variable_are_whole():
    assert row(2.0661, 1.4523, 0.0, 2.0, 5.0) == ["2.066", "1.452", "0", "2", "5"]
    assert row(1e-7, 3e-4, 0.0, 0.0, 0.0) == ["0.000", "0.000", "0", "0", "0"]


def test_very_large_and_very_small_numbers_have_exponents():
    assert row(3.21e9, 1.0e8, 3.0e9, 3.2e9 + 0.5, 3.4e9)[0] == "3.21e+09"
    assert row(3.21e-9, 1.0e-10, 3.0e-9, 3.2e-9, 3.4e-9)[0] == "3.21e-09"


def test_a_heavy_tail_does_not_cost_the_median_its_digits():
    assert row(2.5e5, 4.0e6, 0.51234, 2.3456, 9.8765)[3] == "2.35"


def test_constants_and_numbers_that_are_not():
    assert row(0.25, 0.0, 0.25, 0.25, 0.25) == ["0.25", "0", "0.25", "0.25", "0.25"]
    assert row(12345678.9, 0.0, 1, 1, 1)[0] == "1.23e+07"
    assert row(*[float("nan")] * 5) == ["nan"] * 5
    assert row(float("inf"), float("nan"), 0.5, 1.5, 2.5)[:2] == ["inf", "nan"]


def long_summary(sizes):
    rows = [
        Row(name, f"{name}[{i}]" if size > 1 else name, 1.0, 1.0, 1.0, 1.0, 1.0)
        for name, size in sizes.items()
        for i in range(size)
    ]
    return Summary(tuple(rows))


def test_long_arrays_lose_their_middle_in_print_only():
    summary = long_summary({"mu": 1, "theta": 100, "tau": 1})
    lines = str(summary).splitlines()
    assert len(lines) <= 63
    assert lines[1].startswith("mu ")
    assert lines[2].startswith("theta[0]")
    assert any(line == "… 42 more" for line in lines)
    assert lines[-2].startswith("tau")
    assert lines[-1] == "42 of 102 rows hidden; `summary.table(None)` and `to_dict()` have all"
    assert len(summary.table(None).splitlines()) == 103
    assert len(summary.to_dict()) == 102


def test_short_variables_are_whole_beside_a_long_one():
    lines = str(long_summary({"a": 20, "b": 1000, "c": 20})).splitlines()
    assert sum(line.startswith("a[") for line in lines) == 20
    assert sum(line.startswith("c[") for line in lines) == 20


def test_many_variables_all_keep_three_rows():
    lines = str(long_summary({f"v{i}": 10 for i in range(40)})).splitlines()
    assert sum(line.startswith("v0[") for line in lines) == 3


def test_a_table_of_sixty_rows_hides_nothing():
    assert "hidden" not in str(long_summary({"a": 60}))
    assert "hidden" in str(long_summary({"a": 61}))


# Statistics --------------------------------------------------------------------------------------------


def test_weights_as_counts_are_repeated_draws():
    """Weights k / n are k copies of a draw, for the mean and the (biased) variance."""
    rng = np.random.default_rng(0)
    draws, counts = rng.normal(size=(50, 2)), rng.integers(1, 9, 50)
    weights = counts / counts.sum()
    repeated = np.repeat(draws, counts, axis=0)
    np.testing.assert_allclose(statistics.mean(draws, weights), repeated.mean(axis=0))
    scale = 1.0 - weights @ weights
    np.testing.assert_allclose(statistics.sd(draws, weights) ** 2 * scale, repeated.var(axis=0))


def test_weighted_quantiles_of_a_known_distribution():
    """Normal draws weighted to an exponential tilt are N(1, 1): quantiles to four Monte Carlo errors, fixed seed."""
    draws = np.random.default_rng(0).normal(size=(200_000, 1))
    weights = np.exp(draws[:, 0])
    found = statistics.quantile(draws, weights / weights.sum(), [0.05, 0.5, 0.95])
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found[:, 0], [1 - 1.645, 1.0, 1 + 1.645], atol=0.06)


def test_quantiles_of_a_single_weighted_draw_and_of_nan():
    assert statistics.quantile(np.array([2.0]), np.array([1.0]), 0.5) == 2.0
    assert np.isnan(statistics.quantile(np.array([2.0, np.nan]), np.array([0.5, 0.5]), 0.5))
    assert statistics.sd(np.array([2.0]), None) == 0.0
