"""How well do the neighbours of a pixel predict it, and where? A hierarchical regression on 1.6 million rows.

The model of photo.ppl as a function. Run it to fit it a few thousand rows at a time, hold it against regressions from
all rows, and draw how hard each tile is to predict: `python photo.py [picture.png]`.
"""

import math
import sys

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy.sparse import csr_array
from scipy.stats import t as student_t
from sklearn.datasets import load_sample_images

import ppl

TILE, FREEDOM = 32, 3
ROUNDS = 20
QUICK = {"gradient_draws": 2}
NEAR = ("left", "above", "above right", "colour before")


@ppl.model
def model(N, G, D, tile, near, value):
    with ppl.plate("d", D):
        mean_b = ppl.sample("mean_b", ppl.Normal(0.3, 0.5))
        sd_b = ppl.sample("sd_b", ppl.HalfNormal(0.5))
    mean_s = ppl.sample("mean_s", ppl.Normal(0, 2))
    sd_s = ppl.sample("sd_s", ppl.HalfNormal(1))
    with ppl.plate("g", G):
        with ppl.plate("d", D):
            b = ppl.sample("b", ppl.Normal(mean_b, sd_b))
        s = ppl.sample("s", ppl.Normal(mean_s, sd_s))
    with ppl.plate("n", N, subsample=8192) as n:
        mean = near[n] @ b[tile[n]]
        ppl.sample("value", ppl.StudentT(FREEDOM, mean, np.exp(s[tile[n]])), obs=value[n])


def photographs(rows=None):
    """(photographs, rows, columns, colours), 0 to 255."""
    return np.array(load_sample_images().images, dtype=float)[:, :rows]


def data(rows=None):
    """Of each value, in tens: how far it, its neighbours and the colour before it lie from its neighbours' mean.

    Values are whole numbers, of which a density makes sense once each is spread over the unit that it stands for.
    """
    images = photographs(rows)
    spread = np.random.default_rng(0).uniform(-0.5, 0.5, images[:, 1:, 1:-1].shape)
    images = images / 10
    near = np.stack([images[:, 1:, :-2], images[:, :-1, 1:-1], images[:, :-1, 2:], images[:, :-1, :-2]], axis=-1)
    around = near.mean(axis=-1)
    value = images[:, 1:, 1:-1] - around
    before = np.concatenate([np.zeros_like(value[..., :1]), value[..., :-1]], axis=-1)
    value = value + spread / 10
    near = np.concatenate([(near - around[..., None])[..., :3], before[..., None]], axis=-1)
    count, down, across, colours = value.shape
    tiles = -(-down // TILE), -(-across // TILE)
    which = np.ravel_multi_index(
        np.broadcast_arrays(
            np.arange(count)[:, None, None], np.arange(down)[:, None] // TILE, np.arange(across) // TILE
        ),
        (count, *tiles),
    )
    tile = np.repeat(which[..., None], colours, axis=-1).ravel()
    near = near.reshape(-1, near.shape[-1])
    return {
        "N": len(tile), "G": count * math.prod(tiles), "D": near.shape[1],
        "tile": tile, "near": near, "value": value.ravel(),
    }  # fmt: skip


def main(picture="photo.png", rows=None, **options):
    given = data(rows)
    fit = model.fit(given, method="adam", seed=0, draws=200, **{**QUICK, **options})
    print(f"{given['N']:,} rows in {given['G']} tiles; {fit.run.steps} steps, {fit.run.seconds:.0f} s")
    print(f"verdict: {fit.verdict.level}")
    for name, mean, sd in zip(NEAR, fit.mean("mean_b"), fit.mean("sd_b"), strict=True):
        print(f"{name:>13}: coefficient {mean:5.2f} on average, and {sd:.2f} apart from tile to tile")
    mean, found = {name: fit.mean(name) for name in ("b", "s")}, {}
    one = {**given, "tile": np.zeros_like(given["tile"])}
    found["bits"], found["common"] = bits_a_value(given, **mean), bits_a_value(one, **regressions(one))
    print(f"a value takes {found['bits']:.2f} bits with coefficients of its tile, {found['common']:.2f} with common")
    for name, exact in regressions(given, *(fit.mean(name) for name in ("mean_b", "sd_b", "mean_s", "sd_s"))).items():
        found[name] = np.quantile(np.abs(mean[name] - exact) / fit.sd(name), 0.9)
        print(f"nine tenths of all {name} are within {found[name]:.2f} sd of what all rows give")
    drawn(photographs(rows), mean["s"]).savefig(picture, dpi=80)
    return found


def bits_a_value(given, b, s):
    """The mean negative logarithm of a value's density, coded to the nearest of 256."""
    error = given["value"] - np.sum(given["near"] * b[given["tile"]], axis=-1)
    return float(np.mean(-student_t.logpdf(error, FREEDOM, scale=np.exp(s[given["tile"]])) / np.log(2) + np.log2(10)))


def regressions(given, mean_b=0.0, sd_b=np.inf, mean_s=0.0, sd_s=np.inf, rounds=ROUNDS):
    """The most probable coefficients `b` and log scale `s` of each tile, from all its rows, if tiles differ so.

    By EM: Student's t is a normal distribution with a precision of its own for each row, the weight.
    """
    x, y, tile = given["near"], given["value"], given["tile"]
    sums = csr_array((np.ones(len(y)), (tile, np.arange(len(y)))))
    count, size = sums.sum(axis=1), x.shape[1]
    prior = np.broadcast_to(sd_b, size) ** -2.0
    b, s = np.zeros((len(count), size)), np.zeros(len(count))
    for _ in range(rounds):
        error = y - np.sum(x * b[tile], axis=-1)
        weight = (FREEDOM + 1) / (FREEDOM + error**2 * np.exp(-2 * s)[tile])
        precision = np.exp(-2 * s)[:, None]
        wx = weight[:, None] * x
        square = np.stack([precision * (sums @ (wx * x[:, [d]])) for d in range(size)], axis=-1) + np.diag(prior)
        b = np.linalg.solve(square, (precision * (sums @ (wx * y[:, None])) + prior * mean_b)[..., None])[..., 0]
        squares = sums @ (weight * (y - np.sum(x * b[tile], axis=-1)) ** 2) * np.exp(-2 * s)
        s = s + (squares - count - (s - mean_s) / sd_s**2) / (2 * np.maximum(squares, count) + sd_s**-2.0)
    return {"b": b, "s": s}


def drawn(images, s):
    """The photographs, and below them the scale of each tile's errors."""
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    _, down, across, _ = images.shape
    tiles = s.reshape(len(images), -(-(down - 1) // TILE), -(-(across - 2) // TILE))
    grid = figure.subplots(2, len(images), squeeze=False)
    scales = np.exp(tiles) * 10
    norm = LogNorm(scales.min(), scales.max())
    for image, scale, above, below in zip(images, scales, *grid, strict=True):
        above.imshow(image.astype(np.uint8)[::2, ::2], extent=(0, across, down, 0))
        found = below.imshow(scale, cmap="magma", extent=(0, across, down, 0), norm=norm)
        for axes in (above, below):
            axes.set(xticks=[], yticks=[])
    figure.colorbar(found, ax=grid[1], location="bottom", shrink=0.5, label="scale of the errors, of 256 levels")
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
