"""The clock of a fit: every method ends with it, with the best it has and a verdict that says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.inference import clock
from ppl.inference.choose import choose_guide
from ppl.inference.clock import ENDLESS, Clock, TimeSpent
from ppl.inference.ladder import climb
from ppl.inference.learned import hamiltonian
from ppl.inference.methods import Task, full_gaussian
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
PLAIN = "data N, K: int\ndata X: real[N, K]\ndata y: bool[N]\nb[k in K] ~ normal(0, 2)\ny ~ bernoulli(logits = X @ b)\n"
ROWS = {"X": X, "y": RNG.random(60) < 1.0 / (1.0 + np.exp(-X @ np.array([1.0, -1.0, 0.5, 0.0])))}
SCHOOLS = (
    "data J: int\ndata y, sigma: real[J]\nmu ~ normal(0, 5)\ntau ~ half_cauchy(5)\n"
    "plate j in J {\n  theta[j] ~ normal(mu, tau)\n  y[j] ~ normal(theta[j], sigma[j])\n}\n"
)
EIGHT = {"y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}
CUT = "the time allowed was spent, which cut short"


class Ticking:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1.0
        return self.time


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    found = Ticking()
    monkeypatch.setattr(clock, "now", found)
    return found


def test_stages_are_noted_once(ticking: Ticking) -> None:
    one = Clock(2.0)
    assert [one.over("a"), one.over("a"), one.over("a"), one.over("b"), one.over()] == [False, False, True, True, True]
    assert one.cut == ["a", "b"]
    with pytest.raises(TimeSpent):
        one.check()
    with pytest.raises(StopIteration):
        one.stopper("c")(np.zeros(1))
    assert one.cut == ["a", "b", "c"]


def test_an_endless_clock_is_not_looked_at(ticking: Ticking) -> None:
    assert not ENDLESS.over("a")
    assert ENDLESS.share(0.5) is ENDLESS
    assert ticking.time == 0.0


def test_a_share_notes_in_the_same_place(ticking: Ticking) -> None:
    whole = Clock(11.0)
    half = whole.share(0.5)
    assert half.until == pytest.approx(6.0)
    ticking.time = 7.0
    assert half.over("a")
    assert not whole.over("b")
    assert whole.cut == ["a"]


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
@pytest.mark.parametrize(
    ("source", "data", "options", "stage"),
    [
        (PLAIN, ROWS, {}, "the search for modes"),
        (SCHOOLS, EIGHT, {}, "the search for the hyperparameters"),
        (PLAIN, ROWS, {"guide": "low_rank"}, "mean field"),
        (PLAIN, ROWS, {"guide": "structured"}, "mean field"),
        (PLAIN, ROWS, {"guide": "mean_field"}, "the search for modes"),
        (PLAIN, ROWS, {"guide": "full_rank", "method": "score_matching"}, "mean field"),
    ],
)
def test_every_method_ends_with_the_clock(ticking: Ticking, source: str, data: dict, options: dict, stage: str) -> None:
    fit = ppl.parse(source).fit(data, progress=False, seconds=3, **options)
    assert fit.verdict.level != "trusted"
    assert CUT in str(fit.verdict)
    assert stage in str(fit.verdict)
    assert "Allow more time: `seconds=15`" in str(fit.verdict)
    assert len(fit.run.rungs) == 1
    assert all(np.isfinite(value).all() for value in fit.draws(100).values())
    assert ticking.time < 100.0, "it was looked at again and again after it was over"


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_chains_end_with_the_clock(ticking: Ticking) -> None:
    fit = ppl.parse(PLAIN).fit(ROWS, progress=False, method="hamiltonian", seconds=3)
    assert "the chains do not agree" in str(fit.verdict)
    assert "Allow more time: `seconds=15`" in str(fit.verdict)
    assert ticking.time < 30.0


def test_a_clock_that_does_not_end_changes_nothing() -> None:
    one = ppl.parse(SCHOOLS).fit(EIGHT, progress=False, seconds=1e6)
    other = ppl.parse(SCHOOLS).fit(EIGHT, progress=False, guide="conditional")
    assert np.array_equal(one.draws(100)["theta"], other.draws(100)["theta"])
    assert one.verdict.level == "trusted"


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_only_seconds_that_are_asked_for_end_a_method_that_is_too(ticking: Ticking) -> None:
    """Ticks without end: any clock would be over by then."""
    fit = ppl.parse(PLAIN).fit(ROWS, progress=False, guide="full_rank")
    assert fit.verdict.level == "trusted"
    assert CUT in str(ppl.parse(PLAIN).fit(ROWS, progress=False, guide="full_rank", seconds=3).verdict)


def test_a_method_left_out_for_its_length_is_named() -> None:
    """Chains of a density that takes a second would not get anywhere within ten."""
    bound = ppl.parse("x[k in 2] ~ student_t(3, 0, 1)\n").bind({})
    guide = choose_guide(bound.plan())
    task = Task(guide.plan, bound.data, guide, get_backend("autograd"), 0, 1000, Progress(False), {}, seconds=10.0)

    def poor(given: Task) -> Outcome:
        return replace(full_gaussian(given), problems=("none too good",))

    def chains(given: Task) -> Outcome | None:
        assert given.previous
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ppl.inference.target.density_seconds", lambda plan: 1.0)
            return hamiltonian(given)

    with np.errstate(all="ignore"):
        climbed = climb(task, (poor, chains))
    assert len(climbed.rungs) == 1
    said = "not every method was tried: chains would take longer than what was left of 10 s; `seconds=` allows more"
    assert said in climbed.best.notes


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_a_search_that_was_cut_short_does_not_call_the_posterior_improper(ticking: Ticking) -> None:
    """The search begins far from the data, whence the density is higher still a long way off."""
    source = "data N: int\ndata y: real[N]\nm ~ normal(0, 1e4)\ns ~ lognormal(0, 10)\ny ~ normal(m, s)\n"
    data = {"y": 5000.0 + 300.0 * np.random.default_rng(1).standard_normal(40)}
    verdict = str(ppl.parse(source).fit(data, progress=False, seconds=2, guide="full_rank").verdict)
    assert "the search for modes" in verdict
    assert "improper" not in verdict
    assert "not positive definite" not in verdict
