"""Three flagship examples beside the package that a person would otherwise use, in one run and on the same data.

    OMP_NUM_THREADS=1 python tests/benchmarks/flagship.py [vae] [topics] [clusters]

- `vae`: the autoencoder of the digits beside NumPyro's SVI with networks of the same sizes, initial weights of the same
  distribution, the same batches of 128 and Adam with a rate of 0.002. Seconds an epoch are, for ppl, the difference of
  a long and a short run, so that what comes after the last step does not count; for NumPyro the median epoch, so that
  compiling does not. The ELBO is of all images, with 50 draws of the guide each. A whole fit is both runs of ppl, one
  run of NumPyro, imports included.
- `topics`: latent Dirichlet allocation of the Reuters stories beside scikit-learn's batch method with the same priors.
  Perplexity of the words held out is computed by one function from either's mean mixtures and topics.
- `clusters`: mixtures of normals beside scikit-learn's BayesianGaussianMixture with the same priors, the best of five
  starts. Its bound leaves constants out, which `their_elbo` adds; it takes assignments as independent of all else,
  where here they are summed out.

Times are processor time, which other work on the machine does not add to. Needs the extras `examples` and `bench`.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

import ppl

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples" / "flagship"))
SHORT, LONG = 20, 150
"""Epochs of the two runs."""


def vae() -> None:
    example = importlib.import_module("digits_vae")
    given = example.data()
    print("| | ELBO an image after 20 epochs | after 150 | seconds an epoch | against ppl | whole fit |")
    print("| --- | --- | --- | --- | --- | --- |")
    first = 0.0
    for name, fitted in (
        ("ppl", ours),
        ("ppl, JAX", partial(ours, backend="jax")),
        ("NumPyro, float32", numpyro_vae),
        ("NumPyro, float64", partial(numpyro_vae, double=True)),
    ):
        whole, (elbos, epoch) = timed(partial(fitted, example, given))
        first = first or epoch
        numbers = f"{elbos[SHORT]:.2f} | {elbos[LONG]:.2f} | {epoch:.4f} | {epoch / first:.2f} | {whole:.0f} s"
        print(f"| {name} | {numbers} |", flush=True)


def timed(call):
    """Seconds of processor time, and what the call returns."""
    begun = time.process_time()
    result = call()
    return time.process_time() - begun, result


def ours(example, given, **options):
    """ELBOs an image by the number of epochs, and seconds an epoch."""
    elbos, seconds = {}, {}
    for epochs in (SHORT, LONG):
        steps = max(1, epochs * given["N"] // example.BATCH)
        call = partial(example.model.fit, given, seed=0, draws=50, steps=steps, net_rate=0.002, **options)
        seconds[epochs], fit = timed(call)
        elbos[epochs] = fit.elbo / given["N"]
    return elbos, (seconds[LONG] - seconds[SHORT]) / (LONG - SHORT)


def layers(rng, name, *lengths):
    """Of a network the name, the first weights and the first offsets of each layer, drawn as ppl draws them."""
    found = []
    for place, (a, b) in enumerate(pairwise(lengths)):
        last = place == len(lengths) - 2
        limit = np.sqrt(6 / (a + b))
        start = rng.uniform(-limit, limit, (a, b)) if last else rng.normal(0, np.sqrt(2 / a), (a, b))
        found.append((f"{name}{place}", start, np.zeros(b)))
    return found


def network(parts, x):
    """The outputs of a network whose weights NumPyro learns."""
    import jax
    import numpyro

    for place, (name, weight, bias) in enumerate(parts):
        weight, bias = (numpyro.param(f"{name}.{key}", jax.numpy.asarray(v)) for key, v in (("w", weight), ("b", bias)))
        x = x @ weight + bias
        x = jax.nn.relu(x) if place < len(parts) - 1 else x
    return x


def numpyro_vae(example, given, double=False):
    """As `ours`; an epoch is one compiled call, and the first is not counted."""
    import jax
    import numpyro
    import numpyro.distributions as dist
    from jax import lax, random
    from jax import numpy as jnp
    from numpyro.infer import SVI, Trace_ELBO

    numpyro.enable_x64(double)
    pixels, (count, inputs, hidden, size) = jnp.asarray(given["x"], float), (given[key] for key in "NDHZ")
    rng = np.random.default_rng(0)
    dec, enc = layers(rng, "dec", size, hidden, inputs), layers(rng, "enc", inputs, hidden, 2 * size)

    def model(x):
        with numpyro.plate("n", count, subsample_size=len(x)):
            z = numpyro.sample("z", dist.Normal(0, 1).expand([size]).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=network(dec, z)).to_event(1), obs=x)

    def guide(x):
        mean, log_sd = jnp.split(network(enc, x), 2, axis=-1)
        with numpyro.plate("n", count, subsample_size=len(x)):
            numpyro.sample("z", dist.Normal(mean, jnp.exp(log_sd)).to_event(1))

    svi = SVI(model, guide, numpyro.optim.Adam(0.002), Trace_ELBO())
    batches = count // example.BATCH

    @jax.jit
    def epoch(state, number):
        key = random.PRNGKey(number)
        order = random.permutation(key, count)[: batches * example.BATCH].reshape(batches, example.BATCH)
        return lax.scan(lambda s, rows: svi.update(s, pixels[rows]), state, order)[0]

    def finished(state, number):
        return jax.block_until_ready(epoch(state, number))

    state, elbos, seconds = svi.init(random.PRNGKey(0), pixels[: example.BATCH]), {}, []
    for number in range(LONG):
        taken, state = timed(partial(finished, state, number))
        seconds.append(taken)
        if number + 1 in (SHORT, LONG):
            loss = Trace_ELBO(num_particles=50).loss(random.PRNGKey(1), svi.get_params(state), model, guide, pixels)
            elbos[number + 1] = -float(loss) / count
    return elbos, float(np.median(seconds[1:]))


def topics() -> None:
    from sklearn.decomposition import LatentDirichletAllocation

    example = importlib.import_module("topics")
    doc, word, held = example.words()
    given = example.data()
    print("| | perplexity of words held out | time |\n| --- | --- | --- |")
    seconds, fit = timed(partial(example.model.fit, given, method="cavi", seed=0, draws=50, **example.QUICK))
    found = example.perplexity(fit.mean("theta"), fit.mean("phi"), doc[held], word[held])
    print(f"| ppl | {found:.0f} | {seconds:.0f} s |", flush=True)
    counts = np.zeros((given["M"], given["V"]))
    np.add.at(counts, (given["doc"], given["word"]), 1)
    for rounds in (10, 100):
        theirs = LatentDirichletAllocation(
            given["K"], doc_topic_prior=0.1, topic_word_prior=0.05, max_iter=rounds, random_state=0
        )
        seconds, theta = timed(partial(theirs.fit_transform, counts))
        phi = theirs.components_ / theirs.components_.sum(axis=1, keepdims=True)
        found = example.perplexity(theta, phi, doc[held], word[held])
        print(f"| scikit-learn, {rounds} rounds | {found:.0f} | {seconds:.0f} s |", flush=True)


def clusters() -> None:
    example = importlib.import_module("clusters")
    y, _ = example.wines()
    print("| kinds | ppl: ELBO | time | scikit-learn: ELBO | time |\n| --- | --- | --- | --- | --- |")
    for kinds in range(1, example.MOST):
        seconds, fit = timed(partial(example.fitted, kinds))
        theirs, elbo = timed(partial(their_elbo, y, kinds))
        print(f"| {kinds} | {fit.elbo:.1f} | {seconds:.1f} s | {elbo:.1f} | {theirs:.1f} s |", flush=True)


def their_elbo(y, kinds):
    """Of scikit-learn's mixture with the priors of clusters.ppl, in nats, all constants included."""
    from scipy.special import gammaln
    from sklearn.mixture import BayesianGaussianMixture

    rows, size = y.shape
    freedom, shrink, scale = size + 2.0, 0.1, np.eye(size) / 2
    fitted = BayesianGaussianMixture(
        n_components=kinds, weight_concentration_prior_type="dirichlet_distribution", weight_concentration_prior=1.0,
        mean_precision_prior=shrink, mean_prior=np.zeros(size), degrees_of_freedom_prior=freedom,
        covariance_prior=np.linalg.inv(scale), reg_covar=0, n_init=5, max_iter=2000, tol=1e-7, random_state=0,
    ).fit(y)  # fmt: skip
    wishart = 0.5 * freedom * (size * np.log(2) + np.linalg.slogdet(scale)[1])
    wishart += gammaln(0.5 * (freedom - np.arange(size))).sum()
    constants = 0.5 * size * kinds * np.log(shrink) - kinds * wishart + gammaln(kinds)
    return fitted.lower_bound_ + constants - 0.5 * rows * size * np.log(2 * np.pi)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ppl.UncertainFitWarning)
    known = {"vae": vae, "topics": topics, "clusters": clusters}
    for part in sys.argv[1:] or known:
        print(f"\n{part}\n")
        known[part]()
