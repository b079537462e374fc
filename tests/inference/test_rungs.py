"""Rungs with families of their own: when they are tried, and that their answers are right."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.inference import clock, rungs
from ppl.inference.choose import choose_guide
from ppl.inference.clock import Clock
from ppl.inference.ladder import climb
from ppl.inference.methods import Task, full_gaussian
from ppl.inference.progress import Progress

PINCHED = "a ~ normal(0, 3)\nb ~ flat()\nfactor f = -0.5 * b^2 * exp(-a) - 0.5 * a\n"
"""Given a, b ~ normal(0, exp(a / 2)): a funnel that the graph does not show. Its integral is sqrt(2 pi)."""
FIVE = "x[k in 5] ~ normal(0, 1)\n"


def task(source: str, **more: object) -> Task:
    bound = ppl.parse(source).bind({})
    guide = choose_guide(bound.plan())
    return Task(guide.plan, bound.data, guide, get_backend("autograd"), 0, 1000, Progress(False), {}, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pinched() -> ppl.Fit:
    return ppl.parse(PINCHED).fit({}, progress=False)


def test_a_mixture_gets_right_what_one_gaussian_does_not(pinched: ppl.Fit) -> None:
    fit = pinched
    assert [rung.method for rung in fit.run.rungs] == ["deterministic", "mixture"]
    assert fit.verdict.level == "trusted"
    assert (fit.mean("a"), fit.sd("a")) == pytest.approx((0.0, 3.0), abs=0.1)
    rows = fit.draws(20_000)
    assert np.std(rows["b"] * np.exp(-0.5 * rows["a"])) == pytest.approx(1.0, abs=0.04)
    assert fit.run.guide == "mixture"


def test_the_record_of_a_climb_is_kept_with_its_guide(pinched: ppl.Fit, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fit = pinched
    fit.save(tmp_path / "a.fit")
    again = ppl.load_fit(tmp_path / "a.fit")
    assert again.run.rungs == fit.run.rungs
    assert "mixture: ELBO" in again.explain()
    assert again.mean("a") == pytest.approx(fit.mean("a"))


def test_no_mixture_without_a_fit_before_or_for_many_unknowns() -> None:
    assert rungs.mixture(task(FIVE)) is None
    many = task("x[k in 20] ~ normal(0, 1)\n")
    with np.errstate(all="ignore"):
        before = full_gaussian(many)
    assert rungs.mixture(task("x[k in 20] ~ normal(0, 1)\n", previous=(before,))) is None


def test_no_flow_where_the_time_left_is_too_short_or_one_unknown_too_few() -> None:
    with np.errstate(all="ignore"):
        before = full_gaussian(task(FIVE))
    assert rungs.flow(task(FIVE, previous=(before,), seconds=0.5)) is None
    assert rungs.flow(task("x ~ normal(0, 1)\n", previous=(before,))) is None


def test_a_flow_ends_by_the_clock() -> None:
    """It has not converged then, and its weights say how good it is all the same."""
    source = "x[k in 2] ~ student_t(3, 0, 1)\n"
    with np.errstate(all="ignore"):
        before = full_gaussian(task(source))
        found = rungs.flow(task(source, previous=(before,), clock=Clock(0.0)))
    assert found is not None
    assert "the time allowed was spent" in found.stopped
    assert found.guide is not None
    assert found.guide.vector.name == "flow"


def test_a_low_rank_gaussian_where_a_dense_one_is_out_of_reach() -> None:
    source = "m ~ normal(0, 1)\nx[k in 200] ~ flat()\nfactor f = -0.5 * sum((x - m)^2)\n"
    bound = ppl.parse(source).bind({})
    guide = choose_guide(bound.plan())
    with np.errstate(all="ignore"):
        found = rungs.low_rank(
            Task(guide.plan, bound.data, guide, get_backend("autograd"), 0, 500, Progress(False), {})
        )
    assert found.converged
    assert found.values["x"].std(axis=0).mean() == pytest.approx(np.sqrt(2.0), rel=0.15)


def test_once_the_clock_has_run_out_nothing_is_begun_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(given: Task):  # type: ignore[no-untyped-def]
        outcome = full_gaussian(given)
        monkeypatch.setattr(clock, "now", lambda: 2.0)
        return outcome

    def never(given: Task):  # type: ignore[no-untyped-def]
        raise AssertionError

    monkeypatch.setattr(clock, "now", lambda: 0.0)
    given = task(PINCHED, seconds=1.0, clock=Clock(1.0))
    with np.errstate(all="ignore"):
        climbed = climb(given, (slow, never))
        outcome, record = climbed.best, climbed.rungs
    assert len(record) == 1
    assert record[0].level != "trusted"
    assert any("not every method was tried: the 1 s allowed were spent by the clock" in note for note in outcome.notes)
