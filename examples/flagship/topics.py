"""Which topics are the news about? Latent Dirichlet allocation of 395 Reuters stories of 1996 and 1997.

The model of topics.ppl as a function. Run it to fit it to nine tenths of the words of every story, print the topics,
predict the other words, and draw the topics of some stories: `python topics.py [picture.png]`.
"""

import sys

import numpy as np
from lda.datasets import load_reuters, load_reuters_titles, load_reuters_vocab
from matplotlib.figure import Figure

import ppl

TOPICS, HELD_OUT, SHOWN = 20, 0.1, 14
QUICK = {"starts": 6, "first_sweeps": 10, "tolerance": 1e-6}
"""Fewer beginnings, and an earlier end, than the method's own."""


@ppl.model
def model(M, N, V, K, doc, word):
    with ppl.plate("m", M):
        theta = ppl.sample("theta", ppl.Dirichlet(np.full(K, 0.1)))
    with ppl.plate("k", K):
        phi = ppl.sample("phi", ppl.Dirichlet(np.full(V, 0.05)))
    with ppl.plate("n", N) as n:
        z = ppl.sample("z", ppl.Categorical(theta[doc[n]]))
        ppl.sample("word", ppl.Categorical(phi[z[n]]), obs=word)


def words(stories=None):
    """Of every word of the stories in turn the story and the word; and which of them are held out."""
    counts = load_reuters()[:stories]
    doc, word = np.nonzero(counts)
    doc, word = (np.repeat(each, counts[doc, word]) for each in (doc, word))
    return doc, word, np.random.default_rng(0).random(len(doc)) < HELD_OUT


def data(stories=None, topics=TOPICS):
    doc, word, held_out = words(stories)
    return {
        "M": int(doc.max()) + 1, "N": int(np.sum(~held_out)), "V": len(load_reuters_vocab()), "K": topics,
        "doc": doc[~held_out], "word": word[~held_out],
    }  # fmt: skip


def perplexity(theta, phi, doc, word):
    """exp of the mean negative log probability of words, under the mean mixture and the mean topics."""
    return float(np.exp(-np.log(np.sum(theta[doc] * phi.T[word], axis=-1)).mean()))


def main(picture="topics.png", stories=None, topics=TOPICS, **options):
    doc, word, held_out = words(stories)
    fit = model.fit(data(stories, topics), method="cavi", seed=0, draws=50, **{**QUICK, **options})
    theta, phi, vocabulary = fit.mean("theta"), fit.mean("phi"), np.array(load_reuters_vocab())
    common = np.bincount(word, minlength=len(vocabulary)) + 1
    for topic in np.argsort(-theta.sum(axis=0)):
        print(f"{theta[:, topic].mean():4.0%}  {' '.join(vocabulary[np.argsort(-phi[topic])[:9]])}")
    alone = np.log(common[word[held_out]] / common.sum())
    found = {"unseen": perplexity(theta, phi, doc[held_out], word[held_out]), "alone": np.exp(-alone.mean())}
    print(f"perplexity of {held_out.sum():,} words held out: {found['unseen']:.0f}")
    print(f"by the frequency of words alone: {found['alone']:.0f}")
    print(f"{fit.run.steps} sweeps, {fit.run.seconds:.0f} s; verdict: {fit.verdict.level}")
    named = [" ".join(vocabulary[np.argsort(-topic)[:4]]) for topic in phi]
    rows = np.linspace(0, len(theta) - 1, SHOWN).astype(int)
    drawn(theta[rows], named, [load_reuters_titles()[row] for row in rows]).savefig(picture, dpi=80)
    return found


def drawn(theta, topics, titles):
    """How much of each story is about each topic, for the topics that any of them is about."""
    topic = np.flatnonzero(theta.max(axis=0) > 0.25)
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(theta[:, topic], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    titles = [title.split(" ", 1)[1][:52].lower() for title in titles]
    axes.set_yticks(range(len(titles)), titles, fontsize=8)
    axes.set_xticks(range(len(topic)), [topics[k] for k in topic], rotation=35, ha="right", fontsize=8)
    for story, row in enumerate(theta[:, topic]):
        for place in np.flatnonzero(row > 0.1):
            axes.text(place, story, f"{row[place]:.0%}", ha="center", va="center", fontsize=7,
                      color="white" if row[place] > 0.5 else "black")  # fmt: skip
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
