"""Hidden pixels of handwritten digits, filled in by a matrix factorisation.

The model of factors.ppl as a function. Run it to hide a third of all pixels, fit the rest, and draw what it makes of
the hidden ones: `python factors.py [picture.png]`.
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import ppl

HIDDEN, SHOWN = 1 / 3, 12
QUICK = {"gradient_draws": 2, "steps": 4000, "schedule": "cosine"}


@ppl.model
def model(N, I, D, K, image, place, pixel, average):  # noqa: E741
    noise = ppl.sample("noise", ppl.HalfNormal(4))
    with ppl.plate("k", K):
        size = ppl.sample("size", ppl.HalfNormal(4))
    with ppl.plate("i", I), ppl.plate("k", K):
        part = ppl.sample("part", ppl.Normal(0, 1))
    with ppl.plate("d", D), ppl.plate("k", K):
        pattern = ppl.sample("pattern", ppl.Normal(0, 1))
    with ppl.plate("n", N, subsample=8192) as n:
        mean = average[place[n]] + (part[image[n]] * size) @ pattern[place[n]]
        ppl.sample("pixel", ppl.Normal(mean, noise), obs=pixel[n])


def pixels(images=None):
    """All pixels, 0 to 16, and which of them are hidden."""
    every = load_digits().data[:images]
    return every, np.random.default_rng(0).random(every.shape) < HIDDEN


def data(images=None, patterns=16):
    every, hidden = pixels(images)
    image, place = np.nonzero(~hidden)
    seen = every[image, place]
    average = np.bincount(place, seen) / np.bincount(place)
    return {
        "N": len(seen), "I": len(every), "D": every.shape[1], "K": patterns,
        "image": image, "place": place, "pixel": seen, "average": average,
    }  # fmt: skip


def main(picture="factors.png", images=None, **options):
    given, (every, hidden) = data(images), pixels(images)
    fit = model.fit(given, method="adam", seed=0, draws=50, **{**QUICK, **options})
    mean = {name: fit.mean(name) for name in ("part", "size", "pattern")}
    filled = given["average"] + (mean["part"] * mean["size"]) @ mean["pattern"].T
    spread = np.std(every[hidden] - np.broadcast_to(given["average"], every.shape)[hidden])
    missed = np.sqrt(np.mean((every - filled)[hidden] ** 2))
    found = {"missed": missed, "spread": spread, "noise": fit.mean("noise")}
    print(f"hidden pixels are {missed:.2f} off; {spread:.2f} by their average alone; noise {found['noise']:.2f}")
    print(f"{fit.run.steps} steps, {fit.run.seconds:.0f} s; verdict: {fit.verdict.level}")
    rows = np.linspace(0, len(every) - 1, SHOWN).astype(int)
    drawn(every[rows], hidden[rows], filled[rows]).savefig(picture, dpi=80)
    return found


def drawn(images, hidden, filled):
    """Images, what the fit sees of them, and these with the hidden pixels filled in."""
    figure = Figure(figsize=(9, 2.7), layout="constrained")
    seen = np.where(hidden, np.nan, images)
    rows = [("written", images), ("seen", seen), ("filled in", np.where(hidden, filled, images))]
    for line, (title, shown) in zip(figure.subplots(len(rows), SHOWN), rows, strict=True):
        for axes, image in zip(line, shown, strict=True):
            axes.set_facecolor("#e8a33d")
            axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
