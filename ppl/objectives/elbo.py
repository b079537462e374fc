"""The evidence lower bound, `E_q[log p(x, z) - log q(z)]`."""

from __future__ import annotations

from ppl.objectives.base import OBJECTIVES, Objective, ObjectiveKind

OBJECTIVES.register(
    ObjectiveKind(
        "elbo",
        "The evidence lower bound, entropies and expected log priors in closed form where there is one.",
        lambda: Objective("elbo", closed=True),
    )
)
OBJECTIVES.register(
    ObjectiveKind(
        "sampled_elbo", "The evidence lower bound, every term by Monte Carlo.", lambda: Objective("sampled_elbo")
    )
)
OBJECTIVES.register(
    ObjectiveKind(
        "stl",
        "The evidence lower bound by sticking the landing: no gradient noise at an exact fit (Roeder et al. 2017).",
        lambda: Objective("stl", held=True),
    )
)
