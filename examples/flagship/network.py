"""Progression of diabetes by a Bayesian neural network, checked on patients that it has not seen.

The model of network.ppl as a function. Run it to fit 342 patients, predict the other 100, and draw both predictions and
what happens beyond the data: `python network.py [picture.png]`.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
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


def main(picture="network.png", **options):
    given, (x, y) = data(), patients()
    fit = model.fit(given, method="adam", guide="full_rank", seed=0, **options)
    predicted = fit.predict()
    new, truth = predicted["ynew"][:, :HELD_OUT], y[-HELD_OUT:]
    low, high = np.quantile(new, [0.05, 0.95], axis=0)
    design = np.c_[np.ones(len(x)), x]
    straight = design[-HELD_OUT:] @ np.linalg.lstsq(design[:-HELD_OUT], y[:-HELD_OUT], rcond=None)[0]
    missed, plain = (np.sqrt(np.mean((guess - truth) ** 2)) for guess in (new.mean(axis=0), straight))
    found = {"inside": np.mean((truth > low) & (truth < high)), "missed": missed, "plain": plain, "elbo": fit.elbo}
    print(f"of {HELD_OUT} patients held out {found['inside']:.0%} lie in their 90 % intervals")
    print(f"their progression is missed by {missed:.3f} sd; by least squares on a line by {plain:.3f}")
    print(f"ELBO {fit.elbo:.1f} after {fit.run.steps} steps, {fit.run.seconds:.0f} s; verdict: {fit.verdict.level}")
    drawn(new, truth, given["xnew"][HELD_OUT:, BMI], predicted["line"][:, HELD_OUT:], x, y).savefig(picture, dpi=80)
    return found


def drawn(new, truth, grid, line, x, y):
    """Held-out patients in their predictive intervals, and the expected progression along the body mass index."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    order = np.argsort(new.mean(axis=0))
    low, high = np.quantile(new[:, order], [0.05, 0.95], axis=0)
    inside = (truth[order] > low) & (truth[order] < high)
    left.vlines(np.arange(len(order)), low, high, color="0.8")
    left.scatter(np.arange(len(order)), truth[order], c=np.where(inside, "tab:blue", "tab:red"), s=10)
    left.set(title="patients held out, with 90 % intervals", xlabel="by expected progression", ylabel="progression")
    right.scatter(x[:-HELD_OUT, BMI], y[:-HELD_OUT], s=6, color="0.7")
    for part in (0.5, 0.8, 0.95):
        ends = np.quantile(line, [0.5 - part / 2, 0.5 + part / 2], axis=0)
        right.fill_between(grid, *ends, color="tab:blue", alpha=0.25, lw=0)
    right.plot(grid, line.mean(axis=0), color="tab:blue")
    right.set(title="along the body mass index, all else average", xlabel="body mass index, sd")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
