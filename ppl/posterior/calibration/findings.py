"""What ranks that are not uniform say about a posterior, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppl.posterior.calibration.refit import LOG_DENSITY, LOG_LIKELIHOOD

CLEAR = 3.0
"""Standard errors from which on a direction is named."""

OVER, UNDER, HIGH, LOW, OTHER = "overconfident", "underconfident", "too high", "too low", "not uniform"


@dataclass(frozen=True)
class Finding:
    """Elements of one variable that are miscalibrated in one way.

    `kind` is "overconfident", "underconfident", "too high", "too low" or "not uniform"; `size` how many elements the
    variable has; `covered` the smallest and largest share of true values in their 90 % intervals; `z` their mean of
    (posterior mean - truth) / sd.
    """

    variable: str
    kind: str
    elements: tuple[str, ...]
    size: int
    covered: tuple[float, float]
    z: float

    def __str__(self) -> str:
        if self.variable in _JOINT:
            return _JOINT[self.variable].get(self.kind, f"the {self.variable} of the draws is {self.kind}")
        if len(self.elements) == 1:
            who = f"`{self.elements[0]}`"
        else:
            who = f"`{self.variable}` ({len(self.elements)} of {self.size} elements)"
        low, high = (f"{100.0 * share:.0f}" for share in self.covered)
        shares = f"{low} %" if low == high else f"{low} to {high} %"
        if self.kind in (HIGH, LOW):
            return f"{who} is {self.kind}, by {abs(self.z):.2g} posterior sd on average"
        words = self.kind if self.kind != OTHER else "not calibrated"
        return f"{who} is {words}: its 90 % intervals hold {shares} of the true values"


_JOINT = {
    LOG_LIKELIHOOD: {
        HIGH: "the draws fit the data better than the truth does (log likelihood)",
        LOW: "the draws fit the data worse than the truth does (log likelihood)",
    },
    LOG_DENSITY: {
        HIGH: "the posterior as a whole is too narrow: its draws are denser than the truth (log density)",
        LOW: "the posterior as a whole is too wide: its draws are less dense than the truth (log density)",
    },
}


def kind_of(places: np.ndarray) -> str:
    """How ranks in [0, 1], uniform where all is well, stray: by their mean or by their distance from the middle.

    Both are compared with their standard errors for uniform numbers, variances 1/12 and 1/48; the larger one counts.
    """
    count = len(places)
    shift = (places.mean() - 0.5) * np.sqrt(12.0 * count)
    stretch = (np.abs(places - 0.5).mean() - 0.25) * np.sqrt(48.0 * count)
    if max(abs(shift), abs(stretch)) < CLEAR:
        return OTHER
    if abs(shift) > abs(stretch):
        return LOW if shift > 0.0 else HIGH
    return OVER if stretch > 0.0 else UNDER


def describe(findings: Sequence[Finding]) -> str:
    """One sentence for all findings, and what to do."""
    kinds = {finding.kind for finding in findings}
    advice = 'Look at `ppl explain`, and fit with `guide="auto"` if another was chosen.'
    if OVER in kinds:
        advice = f"Intervals and sds of what is overconfident are too narrow. {advice}"
    return f"Miscalibrated: {'; '.join(map(str, findings))}. {advice}"
