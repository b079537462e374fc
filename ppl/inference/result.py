"""What inference hands over: weighted draws of the latents, how they came about, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ppl.guides import Guide
from ppl.model.plan import Plan

LEVELS = ("trusted", "care", "not trusted")


@dataclass(frozen=True)
class Verdict:
    """How far a fit can be trusted.

    `level` is "trusted", "care" or "not trusted"; `reasons` say why, in plain words, one finding each; `advice` says
    what to try. `khat` is the Pareto shape of the importance weights (None where it cannot be had).
    """

    level: str
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    khat: float | None = None

    def __str__(self) -> str:
        words = {"trusted": "Trusted", "care": "Usable with care", "not trusted": "Not trusted"}[self.level]
        parts = [f"{words}: {'; '.join(self.reasons)}." if self.reasons else f"{words}."]
        parts += [f"{advice[0].upper()}{advice[1:]}." for advice in self.advice]
        return " ".join(parts)


@dataclass(frozen=True)
class Rung:
    """One method that a fit tried, in order: what came of it, in nats and seconds; `level` is the verdict's.

    `effective` is the effective number of draws; `rhat` is set where they are those of Markov chains.
    """

    method: str
    elbo: float
    khat: float
    effective: float
    seconds: float
    level: str
    rhat: float | None = None

    def __str__(self) -> str:
        quality = f"k-hat {self.khat:.2f}" if self.rhat is None else f"R-hat {self.rhat:.3f}"
        elbo = f"{self.elbo:.2f}" if abs(self.elbo) < 1e9 else f"{self.elbo:.3g}"
        figures = f"ELBO {elbo}, {quality}, {self.effective:.0f} effective draws, {self.seconds:.1f} s"
        return f"{self.method}: {figures}: {self.level}"


FELT = 0.05
"""Correlations weaker than this change an sd by a thousandth, and are not named."""
SAME = 1.0 - 1e-9
"""Correlations of an element with itself, and with its mirror image in a symmetric matrix."""


@dataclass(frozen=True)
class Correction:
    """The sd that mean field gives an element, the one that linear response makes of it, and whose correlation with it
    is the reason ("" where there is none to speak of). Of what is random given the latents, all three are by draws.
    """

    name: str
    raw: float
    corrected: float
    neighbour: str
    correlation: float


@dataclass(frozen=True)
class InferenceResult:
    """The outcome of one fit.

    `values` holds constrained draws (draws, *shape) of every latent site, `log_weights` (draws,) their
    self-normalised log importance weights, or None for equal ones. `points` are the learned parameters. `elbo` and
    `elbo_mcse` are in nats; `log_evidence` is the importance-sampling estimate of log p(data), None
    where there is none. `draws` is how many equally weighted ones a user gets unless asking otherwise. `history` is
    the ELBO along the optimisation; `steps` its length in gradient evaluations. `rungs` are the methods tried, the last
    not always the one that was kept; `corrections` compare the sds of mean field, where it was asked for. `corrected`
    are as many draws as `values`, with the covariance of linear response, where those are mean field's own.
    """

    plan: Plan
    guide: Guide
    parameters: np.ndarray
    method: str
    values: dict[str, np.ndarray]
    log_weights: np.ndarray | None
    points: dict[str, np.ndarray]
    elbo: float
    elbo_mcse: float
    log_evidence: float | None
    history: np.ndarray
    steps: int
    seconds: float
    converged: bool
    stopped: str
    verdict: Verdict
    seed: int
    draws: int = 4000
    notes: tuple[str, ...] = field(default=())
    rungs: tuple[Rung, ...] = field(default=())
    corrections: tuple[Correction, ...] = field(default=())
    corrected: dict[str, np.ndarray] | None = None
