"""Losses of 10 cohorts over up to 10 years, Weibull growth (55 rows)."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    cohort, age = np.array([(c, a) for c in range(10) for a in range(10 - c)]).T
    t, premium = np.arange(1.0, 11), rng.uniform(0.5, 2, 10)
    lr = np.exp(-0.4 + 0.15 * rng.normal(size=10))
    mean = lr[cohort] * premium[cohort] * (1 - np.exp(-((t[age] / 2.2) ** 1.3)))
    loss = mean + 0.02 * premium[cohort] * rng.normal(size=len(age))
    return {"C": 10, "T": 10, "N": len(age), "cohort": cohort, "age": age, "t": t, "premium": premium, "loss": loss}


def peer(d):
    omega = sample("omega", dist.LogNormal(0, 0.5))
    theta = sample("theta", dist.LogNormal(0, 0.5))
    mu = sample("mu_lr", dist.Normal(0, 0.5))
    sd = sample("sd_lr", dist.LogNormal(0, 0.5))
    loss_sd = sample("loss_sd", dist.LogNormal(0, 0.7))
    lr = sample("lr", dist.LogNormal(mu, sd).expand([d["C"]]))
    growth = 1 - jnp.exp(-((d["t"][d["age"]] / theta) ** omega))
    premium = d["premium"][d["cohort"]]
    sample("loss", dist.Normal(lr[d["cohort"]] * premium * growth, loss_sd * premium), obs=d["loss"])
