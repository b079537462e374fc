"""Equal seeds give equal numbers, bit for bit, on a busy machine too; others differ by Monte Carlo error."""

import subprocess
import sys

import numpy as np
import pytest
from statistical.known import EXAMPLES, data_of

import ppl

MODELS = ("eight_schools", "warp_breaks", "asia")
OPTIONS = {"auto": {}, "mean field": {"guide": "mean_field"}, "adam": {"method": "adam", "steps": 300}}
CASES = [(model, name) for model in MODELS for name in OPTIONS if model != "asia" or name == "auto"]


def fitted(model, name, seed=3):
    return ppl.load(EXAMPLES / f"{model}.ppl").fit(data_of(model), seed=seed, **OPTIONS[name])


def numbers(fit):
    """Everything that a user can ask for, as bytes."""
    arrays = [*fit.draws(200, seed=1).values(), *fit.predict(draws=50, seed=1).values()]
    arrays += [fit.run.history, np.array([fit.elbo, fit.run.elbo_mcse, fit.log_evidence or 0.0])]
    arrays += [np.asarray(fit.mean(name)) for name in fit.posterior.values]
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


@pytest.mark.parametrize(("model", "name"), CASES)
def test_equal_seeds_give_equal_numbers(model, name):
    assert numbers(fitted(model, name)) == numbers(fitted(model, name))


def test_a_busy_machine_changes_nothing():
    """How much is computed must not be told by a clock: processes that hog the processors run beside the second fit."""
    quiet = numbers(fitted("eight_schools", "auto"))
    busy = "import time\nend = time.time() + 60\nwhile time.time() < end: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(6)]
    try:
        assert numbers(fitted("eight_schools", "auto")) == quiet
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@pytest.mark.parametrize(("model", "name"), CASES)
def test_other_seeds_differ_by_monte_carlo_error(model, name):
    """Within 0.15 sd: with 1,000 effective draws on either side 3.4 standard errors of the difference, for 17 means of
    trusted fits once in 90 runs; the seeds are fixed. (The stochastic fits, cut short, are not held to it.)
    """
    one, other = fitted(model, name), fitted(model, name, seed=4)
    assert numbers(one) != numbers(other)
    if one.run.method == "adam":
        return
    for variable in one.posterior.values:
        assert np.all(abs(one.mean(variable) - other.mean(variable)) <= 0.15 * one.sd(variable) + 1e-12)
