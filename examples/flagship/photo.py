"""How well do the neighbours of a pixel predict it, and where? A hierarchical regression on 1.6 million rows.

The model of photo.ppl as a function. Run it to fit it a few thousand rows at a time, compare it with one regression for
all tiles, and draw how hard each tile is to predict: `python photo.py [picture.png]`.
"""

import math
import sys

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy.stats import t as student_t
from sklearn.datasets import load_sample_images

import ppl

TILE, FREEDOM = 32, 3
QUICK = {"gradient_draws": 2, "steps": 1600}
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
    """Of each value, in tens: how far it, its neighbours and the colour before it lie from its neighbours' mean."""
    images = photographs(rows) / 10
    near = np.stack([images[:, 1:, :-2], images[:, :-1, 1:-1], images[:, :-1, 2:], images[:, :-1, :-2]], axis=-1)
    around = near.mean(axis=-1)
    value = images[:, 1:, 1:-1] - around
    before = np.concatenate([np.zeros_like(value[..., :1]), value[..., :-1]], axis=-1)
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
    fit = model.fit(given, seed=0, draws=50, **{**QUICK, **options})
    print(f"{given['N']:,} rows in {given['G']} tiles; {fit.run.steps} steps of 8192 rows, {fit.run.seconds:.0f} s")
    for name, mean, sd in zip(NEAR, fit.mean("mean_b"), fit.mean("sd_b"), strict=True):
        print(f"{name:>13}: coefficient {mean:5.2f} on average, and {sd:.2f} apart from tile to tile")
    alone = bits(given, fit.mean("b"), fit.mean("s"))
    common = bits(given, *(np.array([part]) for part in one_regression(given)))
    print(f"a value takes {alone.mean():.2f} bits with coefficients of its tile, {common.mean():.2f} with common ones")
    drawn(photographs(rows), fit.mean("s")).savefig(picture, dpi=80)
    return fit


def bits(given, b, s):
    """Bits that each value costs, coded to the nearest of 256: the negative logarithm of its density."""
    tile = given["tile"] if len(b) > 1 else np.zeros(given["N"], int)
    error = given["value"] - np.sum(given["near"] * b[tile], axis=-1)
    return -student_t.logpdf(error, FREEDOM, scale=np.exp(s[tile])) / np.log(2) + np.log2(10)


def one_regression(given, rounds=20):
    """Coefficients and log scale for all tiles, of the greatest likelihood, by weighted least squares (EM)."""
    x, y, s2 = given["near"], given["value"], 1.0
    b = np.linalg.lstsq(x, y, rcond=None)[0]
    for _ in range(rounds):
        weight = (FREEDOM + 1) / (FREEDOM + (y - x @ b) ** 2 / s2)
        b = np.linalg.solve((x * weight[:, None]).T @ x, (x * weight[:, None]).T @ y)
        s2 = np.mean(weight * (y - x @ b) ** 2)
    return b, 0.5 * np.log(s2)


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
