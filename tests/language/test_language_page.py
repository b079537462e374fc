"""Programs of the language page with combinators, submodels and missing data: densities against SciPy.

The varying intercepts stand in `tests/model/test_missing.py`, the horseshoe in `test_submodels.py`.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.special import beta as beta_function

import ppl

PROGRAMS = Path(__file__).parent / "programs"
NAN = float("nan")


def text_of(name, without=""):
    return (PROGRAMS / f"{name}.ppl").read_text(encoding="utf-8").replace(without, "")


def test_gaussian_mixture():
    y, z = np.array([1.0, -2.0, 0.3]), np.array([1, 0, 1])
    w, mu, s = np.array([0.3, 0.7]), np.array([-1.0, 0.5]), np.array([0.8, 1.3])
    found = ppl.parse(text_of("gaussian_mixture")).log_density({"w": w, "mu": mu, "s": s, "z": z}, {"y": y, "K": 2})
    expected = stats.dirichlet([1, 1]).logpdf(w) + np.log(2) + stats.norm(0, 2).logpdf(mu).sum()
    expected += stats.halfnorm(scale=2).logpdf(s).sum() + np.log(w[z]).sum() + stats.norm(mu[z], s[z]).logpdf(y).sum()
    assert found == pytest.approx(expected, abs=1e-8)


def test_irt_2pl():
    item, person, correct = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]), [1, None, 0, 1]
    L, tau, mu = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([0.5, 2.0]), np.array([0.1, -0.3])
    theta, xi = np.array([0.4, -1.0]), np.array([[0.1, 0.5], [-0.2, 0.3], [0.7, -1.0]])
    data = {"item": item, "person": person, "correct": correct, "I": 3, "J": 2}
    values = {"L": L, "tau": tau, "mu": mu, "theta": theta, "xi": xi}
    terms = ppl.parse(text_of("irt_2pl", "@fullrank\n")).log_density(values, data, by_site=True)
    covariance = np.diag(tau) @ L @ L.T @ np.diag(tau)
    lkj = (2 - 2 + 2 * (4 - 1)) * np.log(L[1, 1]) - np.log(2.0 ** (2 * 4 - 1)) - np.log(beta_function(4, 4))
    logits = np.exp(xi[item, 0]) * (theta[person] - xi[item, 1])
    known = np.array([0, 2, 3])
    expected = {
        "L": lkj,
        "tau": stats.expon(scale=10).logpdf(tau).sum(),
        "mu": stats.norm(0, [1, 5]).logpdf(mu).sum(),
        "theta": stats.norm.logpdf(theta).sum(),
        "xi": stats.multivariate_normal(mu, covariance).logpdf(xi).sum(),
        "correct": stats.bernoulli(1 / (1 + np.exp(-logits[known]))).logpmf([1, 0, 1]).sum(),
    }
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, abs=1e-8), name


def test_censored_survival():
    X, time, event = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]), np.array([1.0, 2.5, 0.4]), np.array([1, 0, 1])
    b0, beta, shape = 0.4, np.array([-0.3, 0.2]), 1.3
    found = ppl.parse(text_of("censored_survival")).log_density(
        {"b0": b0, "beta": beta, "shape": shape}, {"X": X, "time": time, "event": event}
    )
    weibull = stats.weibull_min(shape, scale=np.exp(b0 + X @ beta))
    expected = stats.norm(0, 5).logpdf(b0) + stats.norm.logpdf(beta).sum() + stats.gamma(2).logpdf(shape)
    expected += np.where(event, weibull.logpdf(time), weibull.logsf(time)).sum()
    assert found == pytest.approx(expected, abs=1e-8)


def test_a_mixture_with_missing_outcomes_fits():
    """Assignments are summed out, the missing outcome counts nothing: the same fit as without its row."""
    text = """
        data N: int
        data y: real[N] missing
        mu ~ ordered(normal(0, 5), 2)
        plate n in N {
          z[n] ~ bernoulli(0.5)
          y[n] ~ normal(mu[z[n]], 1)
        }
    """
    y = [-3.0, -2.5, -3.4, 2.0, 2.6, 3.1]
    program = ppl.parse(text)
    full, gappy = (program.fit({"y": values}, seed=3).mean("mu") for values in (y, [*y, NAN]))
    assert gappy == pytest.approx(full, abs=0.05)
    assert full == pytest.approx([np.mean(y[:3]), np.mean(y[3:])], abs=0.1)
