"""A variational autoencoder of handwritten digits: unseen ones written again, and digits that nobody wrote.

The model of digits_vae.ppl as a function. Run it to train it and to draw both: `python digits_vae.py [picture.png]`.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit
from sklearn.datasets import load_digits

import ppl

SHOWN = 12
EPOCHS, BATCH = 300, 128


@ppl.model
def model(N, D, H, Z, x):
    dec = ppl.net("dec", [Z, H, D], act="relu")
    enc = ppl.net("enc", [D, H, Z], act="relu", head="gaussian")
    with ppl.plate("n", N, subsample=BATCH) as n:
        z = ppl.sample("z", ppl.MultiNormal(np.zeros(Z), cov=np.eye(Z)), guide=enc(x[n]))
        logits = dec(z[n])
        with ppl.plate("d", D) as d:
            ppl.sample("x", ppl.Bernoulli(logits=logits[d]), obs=x[n, d])
    with ppl.predict():
        znew = ppl.sample("znew", ppl.MultiNormal(np.zeros(Z), cov=np.eye(Z)))
        ppl.deterministic("image", ppl.expit(dec(znew)))


def data(images=None, hidden=200, size=8, unseen=False):
    """All digits but the last sixth, or these, of the first `images`."""
    pixels = (load_digits().data >= 8).astype(int)[:images]
    seen = len(pixels) - len(pixels) // 6
    pixels = pixels[seen:] if unseen else pixels[:seen]
    return {"N": len(pixels), "D": pixels.shape[1], "H": hidden, "Z": size, "x": pixels}


def decoded(fit, z):
    """The probability of every pixel, (…, pixels), from hidden numbers (…, Z)."""
    hidden = np.maximum(z @ fit.mean("dec.weight0") + fit.mean("dec.bias0"), 0)
    return expit(hidden @ fit.mean("dec.weight1") + fit.mean("dec.bias1"))


def elbo(fit, given):
    """Nats an image, of images that the fit has not seen: their log probability less the divergence from the prior."""
    z = fit.encode(given, draws=200).array("z")
    mean, sd = z.mean(axis=0), z.std(axis=0)
    divergence = 0.5 * np.sum(mean**2 + sd**2 - 1 - 2 * np.log(sd), axis=-1)
    return float(np.mean(log_probability(decoded(fit, z), given["x"]).mean(axis=0) - divergence))


def log_probability(p, pixels):
    """Of images (images, pixels), each pixel being on with probability p."""
    return np.sum(np.log(np.where(pixels, p, 1 - p)), axis=-1)


def main(picture="digits_vae.png", images=None, epochs=EPOCHS):
    given = data(images)
    unseen = data(images, unseen=True)
    steps = epochs * given["N"] // BATCH
    fit = model.fit(given, seed=0, draws=100, steps=steps, net_rate=0.002, schedule="cosine")
    z = fit.encode(unseen).mean("z")
    often = (given["x"].sum(axis=0) + 1) / (given["N"] + 2)
    found = {
        "elbo": fit.elbo / given["N"], "unseen": elbo(fit, unseen), "apart": log_probability(often, unseen["x"]).mean(),
        "wrong": np.mean((decoded(fit, z) > 0.5) != unseen["x"]),
    }  # fmt: skip
    print(f"ELBO {found['elbo']:.2f} nats an image after {fit.run.steps} steps, {fit.run.seconds:.0f} s")
    print(f"for {len(z)} that it has not seen {found['unseen']:.2f}; with independent pixels {found['apart']:.2f}")
    print(f"{found['wrong']:.1%} of their pixels come back wrong")
    print(f"verdict: {fit.verdict.level}")
    rows = np.linspace(0, len(z) - 1, SHOWN).astype(int)
    new = fit.predict(draws=2 * SHOWN, seed=1)["image"]
    drawn(unseen["x"][rows], decoded(fit, z[rows]), new).savefig(picture, dpi=80)
    return found


def drawn(images, again, new):
    """Images, their reconstructions, and below them new ones."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    rows = [("unseen", images), ("read and\nwritten again", again), ("new", new[:SHOWN]), ("", new[SHOWN:])]
    for line, (title, pixels) in zip(figure.subplots(len(rows), SHOWN), rows, strict=True):
        for axes, image in zip(line, pixels, strict=True):
            axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
