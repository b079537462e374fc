"""A renewal process of infections, deaths counted with a delay: 3 countries, 60 days, 2 interventions."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def curve(weights_mean, cv, T):
    from scipy.stats import gamma

    edges = gamma(1 / cv**2, scale=weights_mean * cv**2).cdf(np.arange(T + 1) - 0.5)
    return np.concatenate([[0.0], np.diff(edges)[: T - 1]])


def data(rng):
    M, T, P = 3, 60, 2
    gen, lag = curve(6.5, 0.62, T), curve(20.0, 0.4, T)
    x = np.zeros((M, T, P))
    for m in range(M):
        for p, start in enumerate((25 + 3 * m, 38 - 2 * m)):
            x[m, start:, p] = 1
    rate = np.array([3.2, 3.6, 2.9])[:, None] * np.exp(-x @ [0.4, 0.9])
    inf = np.zeros((M, T))
    for t in range(T):
        inf[:, t] = [60, 30, 90] if t < 6 else rate[:, t] * (inf[:, :t] * gen[t:0:-1]).sum(1)
    mean = np.array([0.01 * (inf[:, :t] * lag[t:0:-1]).sum(1) for t in range(T)]).T
    deaths = rng.poisson(rng.gamma(6, mean / 6 + 1e-12))
    return {"M": M, "T": T, "P": P, "gen": gen, "lag": lag, "x": x, "deaths": deaths}


def peer(d):
    M, T = d["M"], d["T"]
    kappa = sample("kappa", dist.HalfNormal(0.5))
    tau = sample("tau", dist.Exponential(0.03))
    phi = sample("phi", dist.HalfNormal(5))
    alpha = sample("alpha", dist.Gamma(0.5, 1).expand([d["P"]]))
    ifr = sample("ifr", dist.LogNormal(-4.6, 0.1).expand([M]))
    r0 = sample("r0", dist.TruncatedNormal(2.4, kappa, low=0).expand([M]))
    seed = sample("seed", dist.Exponential(1 / tau).expand([M]))
    rate = r0[:, None] * jnp.exp(-d["x"] @ alpha)
    before = np.arange(T)[:, None] - np.arange(T)
    gen, lag = (jnp.where(before > 0, d[k][np.maximum(before, 0)], 0.0) for k in ("gen", "lag"))

    def step(inf, t):
        now = jnp.where(t < 6, seed, rate[:, t] * (inf @ gen[t]))
        return inf.at[:, t].set(now), None

    inf, _ = jax.lax.scan(step, jnp.zeros((M, T)), jnp.arange(T))
    mean = 1e-9 + ifr[:, None] * (inf @ lag.T)
    sample("deaths", dist.NegativeBinomial2(mean[:, 1:], phi), obs=d["deaths"][:, 1:])
