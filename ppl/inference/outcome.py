"""What a method reports back to `run_fit`, whichever it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.guides import Guide
from ppl.inference.importance.sampling import Proposal
from ppl.inference.result import Correction
from ppl.model.plan import Plan


@dataclass(frozen=True)
class Outcome:
    """Draws of the latents with log weights (None: equal ones), and the diagnostics that the verdict reads.

    `parameters` are the guide's; `ratios` log p(x, z) - log q(z) at draws of the guide, whose mean is the ELBO;
    `khat` belongs to the weights actually used, `effective` is their effective number. `faults` say in words
    what makes them wrong, `problems` what asks for care and `notes` what a user may like to know.
    """

    method: str
    parameters: np.ndarray
    values: dict[str, np.ndarray]
    log_weights: np.ndarray | None
    ratios: np.ndarray
    khat: float
    effective: float
    log_evidence: float | None
    history: np.ndarray
    steps: int
    converged: bool
    stopped: str
    plan: Plan | None = None
    """The plan that was carried out, where it is not the one that was given."""
    guide: Guide | None = None
    """The guide whose `parameters` these are, where it is not the one that was given."""
    faults: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bounds: np.ndarray | None = None
    """What the ELBO is the mean of, where it is not the ratios."""
    independent: int = 0
    """How many independent draws the weights rest on; 0 where it is their number."""
    rows: np.ndarray | None = None
    """The draws in unconstrained coordinates (draws, dim), those of `plan` where it is set."""
    rhat: float | None = None
    """How far Markov chains agree, where the draws are theirs: then `khat` is the guide's and does not judge them."""
    unchecked: str = ""
    """Why importance weights say nothing about the approximation, where they do not."""
    modes: tuple[Proposal, ...] = ()
    """Gaussians at the separate modes that were found, in the coordinates of the rows."""
    corrections: tuple[Correction, ...] = ()
    corrected: dict[str, np.ndarray] | None = None
    """Draws of the latents, as many as `values`, with the covariance of linear response; None where that is not known,
    or the draws need no correction.
    """
    stochastic: bool = False
    """Whether an optimiser stepped along stochastic gradients."""
    cut: tuple[str, ...] = ()
    """The stages that the clock cut short."""
    spent: float = 0.0
    """Estimated seconds of arithmetic, told from the size of the model."""

    @property
    def count(self) -> int:
        """How many draws of the latents there are."""
        if self.rows is not None:
            return len(self.rows)
        if self.values:
            return len(next(iter(self.values.values())))
        return len(self.ratios) if self.log_weights is None else len(self.log_weights)
