"""Pareto-smoothed importance sampling against arviz-stats, and what it answers to weights that have no tail."""

import math

import numpy as np
import pytest

from ppl.inference.importance.psis import psis, tail_size, threshold

# Draw counts at which the paper's rounding up and arviz-stats' rounding down give the same tail.
SAME_TAIL = [50, 225, 400, 2500]

WEIGHTS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "light": lambda rng, size: -(rng.normal(size=size) ** 2),
    "heavy": lambda rng, size: 3.0 * rng.standard_t(3, size=size),
    "pareto": lambda rng, size: rng.exponential(0.9, size=size),
    "one rules": lambda rng, size: np.where(np.arange(size) == 3, 50.0, rng.normal(size=size)),
    "large offset": lambda rng, size: 1e5 + rng.normal(size=size),
}


@pytest.mark.parametrize("draws", SAME_TAIL)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_agrees_with_arviz_stats(kind, draws):
    base = pytest.importorskip("arviz_stats.base", reason="compares with arviz-stats, which is not installed")
    log_weights = WEIGHTS[kind](np.random.default_rng(draws), draws)
    theirs, their_khat = base.array_stats.psislw(-log_weights)  # it takes the negative
    ours, khat = psis(log_weights)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    assert khat == pytest.approx(float(their_khat), abs=1e-9)


@pytest.mark.parametrize(("shape", "low", "high"), [(0.2, 0.1, 0.35), (0.7, 0.55, 0.85), (1.2, 1.0, 1.4)])
def test_khat_is_the_shape_of_a_pareto_tail(shape, low, high):
    """log weights that are exponential with mean k have Pareto weights of shape k.

    With 600 tail draws the standard deviation of the estimate is about (1 + k) / sqrt(600) < 0.09; fixed seed.
    """
    assert low < psis(np.random.default_rng(1).exponential(shape, 40_000))[1] < high


def test_smoothed_weights_sum_to_one_and_keep_their_order():
    log_weights = np.random.default_rng(0).normal(0.0, 2.0, 1000)
    smoothed, _ = psis(log_weights)
    assert np.exp(smoothed).sum() == pytest.approx(1.0)
    assert np.all(np.diff(smoothed[np.argsort(log_weights)]) >= 0.0)


@pytest.mark.parametrize("noise", [0.0, 1e-13])
def test_equal_weights_have_no_tail(noise):
    smoothed, khat = psis(3.0 + noise * np.random.default_rng(0).normal(size=1000))
    assert khat == -math.inf
    np.testing.assert_allclose(smoothed, -math.log(1000), atol=1e-12)


def test_weights_of_zero_are_weights():
    log_weights = np.random.default_rng(0).normal(size=1000)
    log_weights[::2] = -np.inf
    smoothed, khat = psis(log_weights)
    assert np.isfinite(khat)
    assert np.all(smoothed[::2] == -np.inf)
    assert np.exp(smoothed).sum() == pytest.approx(1.0)


def test_a_tail_with_weights_of_zero_cannot_be_told():
    log_weights = np.full(1000, -np.inf)
    log_weights[:10] = np.arange(10.0)
    smoothed, khat = psis(log_weights)
    assert khat == math.inf
    assert np.exp(smoothed).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_unusable_weights_count_as_zero_and_are_not_trusted(bad):
    log_weights = np.random.default_rng(0).normal(size=1000)
    log_weights[7] = bad
    smoothed, khat = psis(log_weights)
    assert khat == math.inf
    assert smoothed[7] == -np.inf
    assert np.exp(smoothed).sum() == pytest.approx(1.0)


def test_no_usable_weight_leaves_equal_ones():
    smoothed, khat = psis(np.full(20, np.nan))
    assert khat == math.inf
    np.testing.assert_allclose(smoothed, -math.log(20))


def test_too_few_draws_for_a_tail():
    smoothed, khat = psis(np.array([0.0, 1.0, 2.0]))
    assert khat == math.inf
    assert np.exp(smoothed).sum() == pytest.approx(1.0)


def test_the_argument_is_left_alone():
    log_weights = np.random.default_rng(0).normal(size=1000)
    before = log_weights.copy()
    psis(log_weights)
    np.testing.assert_array_equal(log_weights, before)


def test_tail_sizes_and_thresholds():
    assert [tail_size(draws) for draws in (20, 101, 225, 1000, 4000)] == [4, 21, 45, 95, 190]
    assert threshold(100) == pytest.approx(0.5)
    assert threshold(1000) == pytest.approx(2 / 3)
    assert threshold(4000) == 0.7
