"""Simulation-based calibration: the test of uniformity, what is simulated, what is found, and what is refused.

Everything is seeded. Where a calibration of an exact posterior must pass, its false-alarm rate is the one that it
states: 1 % for all its tests together.
"""

import contextlib
import io
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from posterior.ranked import UNIFORM, ranked

import ppl
from ppl.posterior.calibration import FALSE_ALARM
from ppl.posterior.calibration.simulated import Design
from ppl.posterior.calibration.uniformity import band, grid, p_value
from ppl.posterior.quantities import observed_values

EXAMPLES = Path(__file__).parents[2] / "examples"
LINE = """\
data N: int
data x: real[N]
data y: real[N]
a ~ normal(0, 1)
b ~ normal(0, 1)
line = a + b * x
y ~ normal(line, 0.5)
"""
FAR = {"x": [3.0, 3.2, 3.5, 3.8, 4.0]}
"""Covariates far from 0: intercept and slope are strongly correlated."""


@ppl.model
def shift(x, outcome=None):
    a = ppl.sample("a", ppl.Normal(0, 1))
    with ppl.plate("n", len(x)):
        ppl.sample("y", ppl.Normal(a + x, 1), obs=outcome)


# The test of uniformity --------------------------------------------------------------------------------


def test_the_p_value_of_two_numbers_by_hand():
    """One point, 1/2, below which lie Binomial(2, 1/2) numbers: 0 or 2 of them with probability 1/2."""
    assert p_value(np.array([0.1, 0.2])) == pytest.approx(0.5)
    assert p_value(np.array([0.1, 0.7])) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [20, 60])
def test_p_values_of_uniform_numbers_are_right(count):
    """Of 2000: within five standard errors, and below only where the statistic's steps are coarse."""
    rng = np.random.default_rng(1)
    found = np.array([p_value(rng.random(count)) for _ in range(2000)])
    for level in (0.05, 0.2):
        assert np.mean(found <= level) == pytest.approx(level, abs=5.0 * np.sqrt(level / 2000))


@pytest.mark.parametrize(
    "wrong",
    [lambda u: 0.8 * u, lambda u: 0.5 + 0.5 * u, lambda u: np.where(u < 0.5, u / 3, 1 - (1 - u) / 3)],
)
def test_numbers_that_are_not_uniform_have_small_p_values(wrong):
    assert p_value(wrong(np.random.default_rng(0).random(200))) < 1e-4


def test_the_band_holds_what_the_p_value_passes():
    rng = np.random.default_rng(2)
    low, high = band(50, 0.1)
    for _ in range(500):
        values = rng.random(50)
        share = np.mean(values[:, None] <= grid(50), axis=0)
        inside = bool(np.all((share >= low - 1e-9) & (share <= high + 1e-9)))
        assert inside == (p_value(values) > 0.1)


# What is found -----------------------------------------------------------------------------------------


def test_uniform_ranks_pass():
    found = ranked(UNIFORM)
    assert found.passed
    assert found.verdict.startswith("Calibrated: the true values of all 1 quantities rank uniformly")
    assert "With 100 fits a posterior quantile that is off by up to 17 percentage points can go unseen" in found.verdict
    assert found.coverage(0.9) == pytest.approx([0.9], abs=0.07)
    assert found.contraction == pytest.approx([0.75], abs=0.15)  # spreads 1 in a prior of sd 2


@pytest.mark.parametrize(
    ("places", "kind", "words"),
    [
        (np.where(UNIFORM < 0.5, UNIFORM**3, 1.0 - (1.0 - UNIFORM) ** 3), "overconfident", "90 % intervals hold "),
        (0.5 + 0.4 * (UNIFORM - 0.5), "underconfident", "90 % intervals hold 100 %"),
        (UNIFORM**2, "too high", "`theta[0]` is too high, by 0."),
        (UNIFORM**0.5, "too low", "`theta[0]` is too low, by 0."),
    ],
)
def test_ranks_that_are_not_uniform_are_named(places, kind, words):
    found = ranked(places)
    assert [finding.kind for finding in found.findings] == [kind]
    assert not found.passed
    assert found.verdict.startswith("Miscalibrated: `theta[0]` is ")
    assert words in found.verdict
    assert str(found).splitlines()[1].endswith(kind)


def test_elements_of_one_variable_are_one_finding():
    places = np.concatenate([UNIFORM**3, UNIFORM, UNIFORM**3], axis=1)
    (finding,) = ranked(places).findings
    assert finding.elements == ("theta[0]", "theta[2]")
    assert str(finding).startswith("`theta` (2 of 3 elements) is too high")


def test_failures_are_counted_and_shown():
    found = ranked(UNIFORM, failures=3)
    assert not found.passed
    assert found.findings == ()
    assert found.verdict.startswith("Incomplete: 3 of 103 fits failed and are not in the ranks, fit 99: E999 too bad. ")
    assert "103 fits (100 trusted, 3 failed)" in str(found)
    assert found.to_dict()["failures"] == ["fit 99: E999 too bad"] * 3


def test_numbers_for_json():
    found = ranked(UNIFORM)
    read = json.loads(json.dumps(found.to_dict()))
    assert read["passed"] is True
    assert read["verdicts"] == {"trusted": 100}
    assert read["quantities"]["theta[0]"]["p"] == found.p_values[0] > found.level == FALSE_ALARM


def test_a_level_of_verdict_alone():
    found = ranked(UNIFORM, level="care")
    assert len(found.where("care", "trusted").ranks) == 100
    with pytest.raises(ppl.InferenceError, match='E634 no fit has the verdict trusted; there are "care"'):
        found.where("trusted")


# Fits --------------------------------------------------------------------------------------------------


def test_an_exact_posterior_passes_and_contracts():
    found = ppl.parse(LINE, "line").calibrate(FAR, n=30, names=["b", "line"])
    assert found.passed
    assert [q.name for q in found.quantities] == [
        "b",
        *(f"line[{i}]" for i in range(5)),
        "log likelihood",
        "log density",
    ]
    assert set(found.levels) == {"trusted"}
    # exact: the posterior variance of b over its prior variance of 1
    x = np.array(FAR["x"])
    precision = np.eye(2) + 4.0 * np.array([[5, x.sum()], [x.sum(), x @ x]])
    assert 1.0 - found.contraction[0] == pytest.approx(np.linalg.inv(precision)[1, 1], rel=0.6)


def test_a_guide_that_is_too_narrow_is_found():
    """By the program of the how-to page, which shows what it prints."""
    page = (EXAMPLES.parent / "docs" / "how-to" / "check-calibration.md").read_text(encoding="utf-8")
    program, printed = re.search(
        r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    ).groups()
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(program, "check-calibration.md", "exec"), names)
    found = names["calibration"]
    assert {(each.variable, each.kind) for each in found.findings} >= {("a", "overconfident"), ("b", "overconfident")}
    assert np.all(found.coverage(0.9)[:2] < 0.6)
    assert "Intervals and sds of what is overconfident are too narrow" in found.verdict.replace("\n", " ")
    assert "No fit was trusted by its own verdict." in found.verdict

    def words(text):
        return re.findall("[a-z]{3,}", text)

    assert words(printed) == words(output.getvalue())


def test_eight_schools_pass():
    data = json.loads((EXAMPLES / "eight_schools.json").read_text(encoding="utf-8"))
    found = ppl.load(EXAMPLES / "eight_schools.ppl").calibrate(data, n=16)
    assert found.passed
    assert len(found.quantities) == 12
    assert len(found.ranks) == 16


def test_discrete_unknowns_get_random_ranks():
    model = ppl.parse("data y: real\nz ~ bernoulli(0.5)\nk ~ binomial(3, 0.4)\ny ~ normal(z + k, 1)")
    found = model.calibrate({}, n=60)
    assert found.passed
    assert np.all(found.ranks.max(axis=0) > 100)
    assert np.all(found.ranks.min(axis=0) < 100)


def test_seeds_decide_and_processes_do_not():
    model = ppl.parse(LINE, "line")
    one, two, other = (model.calibrate(FAR, n=4, seed=s, cores=c) for s, c in ((3, 1), (3, 2), (4, 1)))
    assert str(one) == str(two)
    assert np.array_equal(one.means, two.means)
    assert not np.array_equal(one.truth, other.truth)
    longer = model.calibrate(FAR, n=5, seed=3)
    assert np.array_equal(longer.ranks[:4], one.ranks)


def test_a_model_can_be_sent_to_another_process():
    for program in (ppl.parse(LINE, "line"), shift):
        door = pickle.loads(pickle.dumps(program._door))
        assert door.name == program.name
        assert Design.of(door, {"x": [1.0, 2.0], **({"outcome": [0.0, 0.0]} if program is shift else {})}, 0).outcomes


def test_fits_that_fail_are_counted():
    model = ppl.parse("data N: int\ndata y: int[N]\na ~ normal(0, 8)\ny ~ poisson(rep(exp(exp(a)), N))")
    found = model.calibrate({"N": 3}, n=10)
    assert len(found.failures) + len(found.ranks) == 10
    assert len(found.failures) > 1
    assert not found.passed
    assert f"{len(found.failures)} failed" in str(found)


def test_elements_that_cannot_vary_are_left_out():
    model = ppl.parse("data N: int\ndata y: real[N]\nL ~ lkj_cholesky(2, 1)\ny ~ normal(L[1, 0], rep(1, N))")
    found = model.calibrate({"N": 4}, n=4)
    assert [q.name for q in found.quantities] == ["L[1, 0]", "L[1, 1]", "log likelihood", "log density"]


# What is simulated -------------------------------------------------------------------------------------

SERIES = (
    "data T: int\ndata y: real[T]\na ~ normal(0, 1)\nscan t in T { y[t] ~ normal(0 if t == 0 else a * y[t - 1], 1) }"
)
GAPS = """\
data N: int
data x: real[N] missing
data y: real[N]
a ~ normal(0, 1)
plate n in N {
  x[n] ~ normal(a, 1)
  y[n] ~ normal(x[n], 1)
}
"""
RAGGED = """\
data S, T: int
data length: int[S]
data y: real[S, T]
a ~ normal(0, 1)
plate s in S { plate t in length[s] { y[s, t] ~ normal(a, 1) } }
"""
TURNED = (
    "data N, I: int\ndata y: real[N, I]\na ~ normal(0, 1)\nplate i in I { plate n in N { y[n, i] ~ normal(a + i, 1) } }"
)
LABELS = "data N, K: int\ndata z: index(K)[N]\np ~ dirichlet(rep(1, K))\nplate n in N { z[n] ~ categorical(p) }"


@pytest.mark.parametrize(
    ("program", "data", "base"),
    [
        (ppl.parse(SERIES), {"T": 5, "y": [1.0, 2, 3, 4, 5]}, 0),
        (ppl.parse(SERIES), {"T": 5}, 0),
        (ppl.parse(GAPS), {"x": [1.0, None, 3], "y": [1.0, 2, 3]}, 0),
        (ppl.parse(GAPS), {"N": 3}, 0),
        (ppl.parse(RAGGED), {"length": [2, 3], "y": [[1.0, 2, 9], [4, 5, 6]]}, 0),
        (ppl.parse(RAGGED), {"length": [2, 3], "T": 3}, 0),
        (ppl.parse(TURNED), {"N": 2, "I": 3}, 0),
        (ppl.parse(TURNED), {"y": [[1.0, 2, 3], [4, 5, 6]]}, 0),
        (ppl.parse(LABELS), {"z": [1, 2, 3, 3], "K": 3}, 1),
        (shift, {"x": np.arange(3.0), "outcome": np.zeros(3)}, 0),
    ],
)
def test_what_is_drawn_is_what_the_fit_observes(program, data, base):
    design = Design.of(program._door, data, base)
    drawn = design.drawn(7)
    model, _ = program._door.bind(design.data(drawn), 0, absent=True)
    seen = observed_values(model)
    assert seen.keys() == {outcome.site.name for outcome in design.outcomes} != set()
    for outcome in design.outcomes:
        name = outcome.site.name
        there = outcome.places >= 0
        expected = np.where(outcome.gaps, np.nan, drawn[name].ravel())
        np.testing.assert_array_equal(np.ravel(seen[name])[there], expected[there])


def test_missing_values_that_are_read_are_unknowns_with_a_truth():
    program = ppl.parse(GAPS)
    design = Design.of(program._door, {"x": [1.0, None, 3, None], "y": [1.0, 2, 3, 4]}, 0)
    drawn = design.drawn(7)
    model, _ = program._door.bind(design.data(drawn), 0)
    truth = design.truth(model, drawn)
    np.testing.assert_array_equal(truth["x_missing"], drawn["x"][[1, 3]])
    assert design.unknowns() == ["a", "x_missing"]


# What is refused ---------------------------------------------------------------------------------------


def answer(text, data=None, **options):
    program = ppl.parse(text, "m.ppl") if isinstance(text, str) else text
    with pytest.raises(ppl.PPLError) as caught:
        program.calibrate(data or {}, n=2, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "b ~ flat()",
            "E631 m.ppl:3:1\n3 | b ~ flat()\n  | ^ `b` has an improper prior, which cannot be drawn from\n"
            "  = give it a proper one, as wide as makes sense: b ~ normal(0, 10)",
        ),
        ("b ~ flat(lower=0)", "  = give it a proper one, as wide as makes sense: b ~ half_normal(10)"),
        ("param b: real = 1", "`b` is a point estimate, which has no prior to draw it from\n  = make it an unknown"),
        ("b ~ normal(0, 1)\nfactor f = -b^2", "factor `f` changes the density, but cannot be drawn from"),
    ],
)
def test_what_has_no_prior_is_refused(line, expected):
    found = answer(f"data y: real\na ~ normal(0, 1)\n{line}\ny ~ normal(a + b, 1)")
    assert found.startswith("E631 m.ppl:")
    assert expected in found


def test_flags_of_censoring_belong_to_other_outcomes():
    text = "data t: real\ndata c: bool\na ~ exponential(1)\nt ~ censored(exponential(a), right = c)"
    assert "E631 m.ppl:4:1" in answer(text, {"c": True})
    assert ppl.parse(text).calibrate({"c": False}, n=2).levels


def test_something_must_be_observed_as_it_stands():
    @ppl.model
    def logarithm(y):
        a = ppl.sample("a", ppl.Normal(0, 1))
        ppl.sample("log_y", ppl.Normal(a, 1), obs=np.log(y))

    @ppl.model
    def twice(y):
        a = ppl.sample("a", ppl.Normal(0, 1))
        ppl.sample("one", ppl.Normal(a, 1), obs=y)
        ppl.sample("two", ppl.Normal(a, 2), obs=y)

    assert "what `one` observes is read elsewhere" in answer(twice, {"y": np.ones(2)})
    text = "data N: int\ndata y: real[N]\na ~ normal(mean(y), 1)\ny ~ normal(a, 1)"
    assert answer(text, {"y": [1.0, 2.0]}).startswith("E632 m.ppl:4:1\n")
    assert "E632 nothing in `model` is observed" in answer(ppl.parse("a ~ normal(0, 1)"))
    assert "E632 nothing in `shift` is observed" in answer(shift, {"x": np.zeros(2)})
    found = answer(logarithm, {"y": np.ones(2)})
    assert found.startswith("E632 ")
    assert "`log_y` observes something computed from the data" in found


def test_options_that_cannot_be():
    assert answer(LINE, FAR, names="bb").startswith(
        "E611 no unknown `bb` in `m`; did you mean `b`?".replace("line", "m")
    )
    assert answer(LINE, FAR, draws=0).startswith("E705 draws is 0")
    assert answer(LINE, FAR, cores=0).startswith("E705 cores is 0")
    assert answer(LINE, {"x": "no"}).startswith("E5")


def test_a_prior_of_which_nothing_can_be_fitted():
    found = answer("data y: real\na ~ normal(0, 1)\ny ~ normal(exp(1000 + a), 1)")
    assert found.startswith("E634 none of 2 fits came through; fit 0: E633 m.ppl:3:1\n")
    assert "the prior draws values of `y` that are not finite" in found


def test_the_backend_is_handed_on():
    with pytest.raises(ppl.InferenceError, match="no backend `torch`"):
        ppl.parse(LINE).calibrate(FAR, n=1, backend="torch", progress=False)
