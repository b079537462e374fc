"""A variational autoencoder of handwritten digits: reconstructions, and digits that nobody wrote.

The model of digits_vae.ppl as a function. Run it to train it and to draw both: `python digits_vae.py [picture.png]`.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit
from sklearn.datasets import load_digits

import ppl

SHOWN = 12
EPOCHS, BATCH = 150, 128


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


def data(images=None, hidden=200, size=8):
    pixels = (load_digits().data >= 8).astype(int)[:images]
    return {"N": len(pixels), "D": pixels.shape[1], "H": hidden, "Z": size, "x": pixels}


def decoded(fit, z):
    """The probability of every pixel, (…, pixels), from hidden numbers (…, Z)."""
    hidden = np.maximum(z @ fit.mean("dec.weight0") + fit.mean("dec.bias0"), 0)
    return expit(hidden @ fit.mean("dec.weight1") + fit.mean("dec.bias1"))


def main(picture="digits_vae.png", images=None, epochs=EPOCHS):
    given = data(images)
    steps = epochs * given["N"] // BATCH
    fit = model.fit(given, seed=0, draws=100, steps=steps, net_rate=0.002)
    print(f"ELBO {fit.elbo / given['N']:.2f} nats an image after {fit.run.steps} steps, {fit.run.seconds:.0f} s")
    rows = np.linspace(0, given["N"] - 1, SHOWN).astype(int)
    wrong = np.mean((decoded(fit, fit.mean("z")) > 0.5) != given["x"])
    print(f"a reconstruction has {wrong:.1%} of its pixels wrong")
    new = fit.predict(draws=2 * SHOWN, seed=1)["image"]
    drawn(given["x"][rows], decoded(fit, fit.mean("z")[rows]), new).savefig(picture, dpi=80)
    return fit


def drawn(images, again, new):
    """Images, their reconstructions, and below them new ones."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    rows = [("written", images), ("read and\nwritten again", again), ("new", new[:SHOWN]), ("", new[SHOWN:])]
    for line, (title, pixels) in zip(figure.subplots(len(rows), SHOWN), rows, strict=True):
        for axes, image in zip(line, pixels, strict=True):
            axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
