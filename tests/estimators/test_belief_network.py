"""A sigmoid belief network of two layers, trained end to end with score functions alone.

Each row has 2 hidden units that feed 3 that feed 4 outcomes; weights and biases are learned points. The ELBO is a
finite sum for each row, so that what the fit ends with can be judged without noise.
"""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit

import ppl
from ppl.inference.fit import run_fit

ROWS, TOP, MIDDLE, OUTPUTS = 24, 2, 3, 4
PATTERNS = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]])
STATES = np.array(list(itertools.product((0, 1), repeat=TOP + MIDDLE)), float)
POINTS = {"prior": (TOP,), "W": (TOP, MIDDLE), "b": (MIDDLE,), "V": (MIDDLE, OUTPUTS), "c": (OUTPUTS,)}
HIDDEN = {"top:logits": (ROWS, TOP), "middle:logits": (ROWS, MIDDLE)}


def outcomes():
    """Three patterns of four bits, each bit flipped with a probability of 0.05."""
    rng = np.random.default_rng(3)
    return PATTERNS[np.arange(ROWS) % 3] ^ (rng.random((ROWS, OUTPUTS)) < 0.05)


@ppl.model
def network(y):
    rng = np.random.default_rng(4)
    prior, W, b, V, c = (ppl.param(name, rng.normal(0, 0.5, shape)) for name, shape in POINTS.items())
    with ppl.plate("n", ROWS):
        with ppl.plate("k", TOP):
            top = ppl.sample("top", ppl.Bernoulli(logits=prior), estimator="score")
        with ppl.plate("m", MIDDLE):
            middle = ppl.sample("middle", ppl.Bernoulli(logits=top @ W + b[None, :]), estimator="score")
        with ppl.plate("d", OUTPUTS):
            ppl.sample("y", ppl.Bernoulli(logits=middle @ V + c[None, :]), obs=y)


def log_mass(states, logits):
    return np.sum(states * log_expit(logits) + (1 - states) * log_expit(-logits), axis=-1)


def log_joint(parts, y):
    """(rows, states)."""
    top, middle = STATES[:, :TOP], STATES[:, TOP:]
    hidden = log_mass(top, parts["prior"]) + log_mass(middle, top @ parts["W"] + parts["b"])
    return hidden + log_mass(y[:, None], middle @ parts["V"] + parts["c"])


def elbo(parts, y):
    logits = np.concatenate([parts["top:logits"], parts["middle:logits"]], axis=1)
    log_q = log_mass(STATES, logits[:, None])
    return float(np.sum(np.exp(log_q) * (log_joint(parts, y) - log_q)))


def evidence(parts, y):
    return float(np.logaddexp.reduce(log_joint(parts, y), axis=1).sum())


def improved(parts, y):
    """The ELBO at the nearest optimum of everything, by exact sums."""
    shapes = {**POINTS, **HIDDEN}
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])

    def unpacked(vector):
        pieces = np.split(vector, ends[:-1])
        return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}

    start = np.concatenate([np.ravel(parts[name]) for name in shapes])
    found = minimize(lambda v: -elbo(unpacked(v), y), start, method="L-BFGS-B", options={"maxiter": 15})
    return -found.fun


@pytest.mark.slow
def test_training_by_scores_alone():
    y = outcomes()
    bound = network.bind({"y": y})
    plan = bound.plan()
    assert {name for name, site in plan.sites.items() if site.estimator == "score"} == {"top", "middle"}
    options = {"steps": 3000, "window": 200}
    result = run_fit(plan, bound.data, seed=2, progress=False, options=options)
    parts = result.guide.parameters.unpack(np, result.parameters)
    reached, share = elbo(parts, y), y.mean(axis=0)
    independent = ROWS * float(np.sum(share * np.log(share) + (1 - share) * np.log(1 - share)))
    assert reached <= evidence(parts, y)
    assert result.elbo == pytest.approx(reached, abs=5 * result.elbo_mcse)
    assert reached > independent + 10  # it has found that the bits go together
    assert improved(parts, y) - reached < 2.0
