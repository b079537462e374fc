"""Progression of diabetes by a Bayesian neural network, checked on patients that it has not seen.

The model of network.ppl as a function. Run it to fit 342 patients, predict the other 100, and draw both predictions and
what happens beyond the data: `python network.py [picture.png]`.
"""

import numpy as np
from sklearn.datasets import load_diabetes

import ppl

HIDDEN, HELD_OUT, GRID = 8, 100, 60
BMI = 2
"""The column of the body mass index."""


@ppl.model
def model(N, D, H, M, x, y, xnew):
    reach = ppl.sample("reach", ppl.HalfNormal(1))
    height = ppl.sample("height", ppl.HalfNormal(1))
    sigma = ppl.sample("sigma", ppl.HalfNormal(1))
    with ppl.plate("d", D), ppl.plate("h", H):
        w1 = ppl.sample("w1", ppl.Normal(0, 1))
    with ppl.plate("h", H):
        b1 = ppl.sample("b1", ppl.Normal(0, 1))
        w2 = ppl.sample("w2", ppl.Normal(0, 1))
    b2 = ppl.sample("b2", ppl.Normal(0, 1))

    def line(row):
        return b2 + height * (np.tanh(reach * (row @ w1) + b1) @ w2)

    with ppl.plate("n", N) as n:
        ppl.sample("y", ppl.Normal(line(x[n]), sigma), obs=y)
    with ppl.predict(), ppl.plate("m", M) as m:
        mean = ppl.deterministic("line", line(xnew[m]))
        ppl.sample("ynew", ppl.Normal(mean, sigma))


def patients():
    """Standardised covariates and outcomes, those held out last."""
    found = load_diabetes()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = found.data[order], found.target[order]
    return x / x.std(axis=0), (y - y[:-HELD_OUT].mean()) / y[:-HELD_OUT].std()


def data(hidden=HIDDEN):
    """Predictions are asked for the patients held out, then for people who differ in their body mass index alone."""
    x, y = patients()
    grid = np.zeros((GRID, x.shape[1]))
    grid[:, BMI] = np.linspace(-5, 9, GRID)
    return {
        "N": len(y) - HELD_OUT, "D": x.shape[1], "H": hidden, "M": HELD_OUT + GRID,
        "x": x[:-HELD_OUT], "y": y[:-HELD_OUT], "xnew": np.concatenate([x[-HELD_OUT:], grid]),
    }  # fmt: skip
