"""Fits made by hand: exact draws instead of an optimisation, so that the tests know every number."""

import numpy as np

import ppl
from ppl.guides import derive_guide
from ppl.inference.result import InferenceResult, Verdict
from ppl.posterior import Fit

TEXT = """\
data N, J: int
data group: index(J)[N]
data x: real[N]
data y: real[N]
param b: real = 0.5
mu ~ normal(0, 5)
tau ~ half_normal(2)
plate j in J {
  theta[j] ~ normal(mu, tau)
}
spread = tau ^ 2
plate t in 2:4 {
  drift[t] ~ normal(0, t)
}
plate n in N {
  line[n] = theta[group[n]] + b * x[n]
  y[n] ~ normal(line[n], 1)
}
predict {
  fresh ~ normal(mu, tau)
  plate j in J {
    shifted[j] = theta[j] + drift[2]
  }
}
"""

DATA = {"N": 4, "J": 3, "group": [0, 1, 2, 0], "x": [1.0, 2.0, 3.0, 4.0], "y": [1.5, 2.5, 3.5, 4.5]}

VERDICT = Verdict("care", ("k-hat 0.68 is close to its limit",), ("look again",), 0.68)


def result_of(plan, values, points=None, log_weights=None, **changes):
    """A result with these draws."""
    fields = {
        "plan": plan, "guide": derive_guide(plan, "mean_field"), "parameters": np.zeros(1), "method": "adam",
        "values": values, "log_weights": log_weights, "points": points or {}, "elbo": -12.5, "elbo_mcse": 0.02,
        "log_evidence": None, "history": np.array([-20.0, -12.5]), "steps": 2, "seconds": 0.1, "converged": True,
        "stopped": "converged", "verdict": VERDICT, "seed": 3, "notes": ("a note",),
    }  # fmt: skip
    return InferenceResult(**{**fields, **changes})


def made_fit(program=None, data=DATA, draws=200, weighted=False, base=0, **changes):
    """A fit of `program` (the model above): latents are standard normal draws, positive ones their absolute values."""
    program = ppl.parse(TEXT, "groups") if program is None else program
    bound = program.bind(data, base)
    rng = np.random.default_rng(0)
    values = {}
    for site in bound.model.latents:
        drawn = rng.normal(size=(draws, *site.shape))
        values[site.name] = np.abs(drawn) if site.support.name == "positive" else drawn
    points = {param.name: np.full(param.shape, 0.25) for param in bound.model.params}
    log_weights = None
    if weighted:
        log_weights = rng.normal(size=draws)
        log_weights -= np.log(np.exp(log_weights).sum())
    result = result_of(bound.plan(), values, points, log_weights, **changes)
    return Fit.of(program, bound.model, bound.data, result, base)
