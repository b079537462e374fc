"""How many kinds of wine? A mixture of normal distributions for each number of kinds, compared by their ELBOs.

The model of clusters.ppl as a function. Run it to fit one to six kinds, print how well each explains the data, and draw
the best: `python clusters.py [picture.png]`.
"""

import math
import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from sklearn.datasets import load_wine

import ppl

MOST = 6


@ppl.model
def model(N, K, D, y):
    w = ppl.sample("w", ppl.Dirichlet(np.ones(K)))
    with ppl.plate("k", K):
        precision = ppl.sample("precision", ppl.Wishart(D + 2, np.eye(D) / 2))
        centre = ppl.sample("centre", ppl.MultiNormal(np.zeros(D), prec=0.1 * precision))
    with ppl.plate("n", N) as n:
        kind = ppl.sample("kind", ppl.Categorical(w))
        ppl.sample("y", ppl.MultiNormal(centre[kind[n]], prec=precision[kind[n]]), obs=y)


def wines():
    """Two coordinates of each wine, those along which the 13 measurements differ most, and its cultivar."""
    found = load_wine()
    standard = (found.data - found.data.mean(axis=0)) / found.data.std(axis=0)
    _, _, directions = np.linalg.svd(standard, full_matrices=False)
    return standard @ directions[:2].T, found.target


def data(kinds=3):
    y, _ = wines()
    return {"N": len(y), "K": kinds, "D": y.shape[1], "y": y}


def main(picture="clusters.png", most=MOST, **options):
    fits = {}
    print("kinds  ELBO     for all  verdict\n                orders")
    for kinds in range(1, most + 1):
        fits[kinds] = fitted(kinds, **options)
        elbo, level = fits[kinds].elbo, fits[kinds].verdict.level
        print(f"{kinds:5}  {elbo:8.1f} {bound(elbo, kinds):8.1f}  {level}")
    scores = [bound(fit.elbo, kinds) for kinds, fit in fits.items()]
    best = 1 + int(np.argmax(scores))
    y, cultivar = wines()
    kind = belongs(fits[best])
    table = np.array([[np.sum((kind == k) & (cultivar == c)) for c in range(3)] for k in range(best)])
    print(f"{best} kinds (rows) and the three cultivars (columns) that the fit did not see\n{table}")
    drawn(y, cultivar, fits[best], scores).savefig(picture, dpi=80)
    return {"scores": scores, "pure": table.max(axis=1).sum() / len(y)}


def fitted(kinds, **options):
    """One normal distribution, with all correlations, over the weights, centres and precisions of so many kinds."""
    return model.fit(data(kinds), guide="full_rank", method="adam", seed=0, **options)


def bound(elbo, kinds):
    """The kinds have no order, the guide has one: each of the K! - 1 others adds as much, if they do not overlap."""
    return elbo + math.lgamma(kinds + 1)


def belongs(fit):
    """The most probable kind of each wine."""
    kind = fit.draws(1000)["kind"]
    return np.argmax([(kind == k).mean(axis=0) for k in range(fit.mean("w").size)], axis=0)


def drawn(y, cultivar, fit, scores):
    """Wines with their cultivar as colour, the kinds as ellipses that hold 90 % of each, and the bound of every K."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    left.scatter(*y.T, c=np.array(["tab:red", "tab:green", "tab:blue"])[cultivar], s=14)
    for weight, centre, precision in zip(fit.mean("w"), fit.mean("centre"), fit.mean("precision"), strict=True):
        lengths, directions = np.linalg.eigh(precision)
        wide, high = 2 * np.sqrt(2 * np.log(10) / lengths)
        angle = np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
        left.add_patch(Ellipse(centre, wide, high, angle=angle, fill=False, lw=0.5 + 4 * weight))
    left.set(title="wines by cultivar, and the kinds found", xlabel="first component", ylabel="second component")
    right.plot(range(1, len(scores) + 1), scores, "o-", color="black")
    right.set(title="ELBO for all orders, nats", xlabel="kinds", xticks=range(1, len(scores) + 1))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
