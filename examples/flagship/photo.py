"""How well do the neighbours of a pixel predict it, and where? A hierarchical regression on 1.6 million rows.

The model of photo.ppl as a function. Run it to fit it a few thousand rows at a time, compare it with one regression for
all tiles, and draw how hard each tile is to predict: `python photo.py [picture.png]`.
"""

import numpy as np
from sklearn.datasets import load_sample_images

import ppl

TILE = 32


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
        ppl.sample("value", ppl.StudentT(3, mean, np.exp(s[tile[n]])), obs=value[n])


def photographs(rows=None):
    """(photographs, rows, columns, colours), 0 to 255."""
    return np.array(load_sample_images().images, dtype=float)[:, :rows]


def data(rows=None):
    """Each value less its neighbours' mean, its neighbours less that mean, and its tile."""
    images = photographs(rows)
    left, above, corner = images[:, 1:, :-1], images[:, :-1, 1:], images[:, :-1, :-1]
    near = np.stack([left, above, corner], axis=-1)
    around = near.mean(axis=-1)
    count, down, across, colours = left.shape
    places = np.stack(np.meshgrid(np.arange(count), np.arange(down) // TILE, np.arange(across) // TILE, indexing="ij"))
    wide, high = places[2].max() + 1, places[1].max() + 1
    tile = (places[0] * high + places[1]) * wide + places[2]
    tile = np.repeat(tile[..., None], colours, axis=-1)
    near = (near - around[..., None])[..., :2] / 10
    return {
        "N": tile.size, "G": int(tile.max()) + 1, "D": 2, "tile": tile.ravel(),
        "near": near.reshape(-1, 2), "value": (images[:, 1:, 1:] - around).ravel() / 10,
    }  # fmt: skip
