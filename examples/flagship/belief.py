"""A sigmoid belief network of handwritten digits, of two layers of units that are on or off.

The model of belief.ppl as a function. Run it to train it, and to draw what each unit stands for and new images:
`python belief.py [picture.png]`.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import ppl

EPOCHS, BATCH = 300, 100


@ppl.model
def model(N, D, H1, H2, x):
    top = ppl.param("top", np.zeros(H2))
    middle, bottom = ppl.net("middle", [H2, H1]), ppl.net("bottom", [H1, D])
    see, think = ppl.net("see", [D, 100, H1], act="tanh"), ppl.net("think", [D, 100, H2], act="tanh")
    with ppl.plate("n", N, subsample=BATCH) as n:
        with ppl.plate("i", H2) as i:
            guide = ppl.amortized(np.stack([think(x[n])[i]]), "bernoulli")
            h2 = ppl.sample("h2", ppl.Bernoulli(logits=top[i]), guide=guide)
        above = middle(h2[n])
        with ppl.plate("j", H1) as j:
            guide = ppl.amortized(np.stack([see(x[n])[j]]), "bernoulli")
            h1 = ppl.sample("h1", ppl.Bernoulli(logits=above[j]), guide=guide)
        logits = bottom(h1[n])
        with ppl.plate("d", D) as d:
            ppl.sample("x", ppl.Bernoulli(logits=logits[d]), obs=x[n, d])
    with ppl.predict():
        with ppl.plate("i", H2):
            u = ppl.sample("u", ppl.Bernoulli(logits=top))
        v = ppl.deterministic("v", middle(u))
        with ppl.plate("j", H1):
            w = ppl.sample("w", ppl.Bernoulli(logits=v))
        ppl.deterministic("image", ppl.expit(bottom(w)))


def data(images=None, first=32, second=16):
    """Pixels of images, and how many units the first and the second layer have."""
    pixels = (load_digits().data >= 8).astype(int)[:images]
    return {"N": len(pixels), "D": pixels.shape[1], "H1": first, "H2": second, "x": pixels}


def main(picture="belief.png", images=None, epochs=EPOCHS):
    given = data(images)
    steps = max(1, epochs * given["N"] // BATCH)
    fit = model.fit(given, seed=0, draws=50, steps=steps, net_rate=0.01, schedule="cosine")
    units = fit.mean("bottom.weight0")
    found = {"elbo": fit.elbo / given["N"], "apart": apart(given["x"]), "busy": int(np.sum(np.abs(units).max(1) > 1))}
    print(f"ELBO {found['elbo']:.2f} nats an image after {fit.run.steps} steps, {fit.run.seconds:.0f} s")
    print(f"log probability with independent pixels {found['apart']:.2f}")
    print(f"{found['busy']} of {len(units)} units of the first layer change the odds of a pixel by a factor above e")
    print(f"verdict: {fit.verdict.level}")
    new = fit.predict(draws=40, seed=1)["image"]
    drawn(units[np.argsort(-np.abs(units).sum(axis=1))], new).savefig(picture, dpi=80)
    return found


def apart(pixels):
    """Nats an image if each pixel is on with its own frequency, whatever the others are."""
    often = pixels.mean(axis=0).clip(1e-9, 1 - 1e-9)
    return float(np.sum(often * np.log(often) + (1 - often) * np.log(1 - often)))


def drawn(units, images):
    """What each unit of the first layer turns on (red) and off (blue), the strongest first; and images drawn anew."""
    figure = Figure(figsize=(9, 3.1), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[4, 5])
    limit = np.quantile(np.abs(units), 0.98)
    for part, title, pictures, shape, look in (
        (
            left,
            "what the hidden units turn on (red) and off (blue)",
            units,
            (4, 8),
            {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit},
        ),
        (right, "new images", images, (4, 10), {"cmap": "gray_r", "vmin": 0, "vmax": 1}),
    ):
        part.suptitle(title, fontsize=10)
        for axes, image in zip(part.subplots(*shape).flat, pictures, strict=True):
            axes.imshow(image.reshape(8, 8), **look)
            axes.set(xticks=[], yticks=[])
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
