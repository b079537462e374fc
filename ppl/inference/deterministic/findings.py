"""What a deterministic fit finds out about itself: faults, which make it wrong, and problems, which ask for care."""

from __future__ import annotations

import numpy as np

from ppl.guides import Guide
from ppl.inference.deterministic.gaussian import GaussianFit
from ppl.inference.deterministic.mean_field import LinearResponse
from ppl.inference.deterministic.mode import Mode
from ppl.inference.deterministic.multistart import switched
from ppl.inference.target import Target

NARROW, FAR_TOO_NARROW = 1.1, 5.0
"""Linear-response sds against those of mean field: from where on it is a problem, and a fault."""
FELT = 0.005
"""A mode that carries less of the posterior than this is not worth a word."""


def ending(mode: Mode, response: LinearResponse) -> tuple[bool, str]:
    """Whether a maximum was found, and how the search for it ended."""
    if not mode.found:
        return False, "no mode was found"
    if not response.sound:
        return False, "no maximum was found"
    return True, "the gradient vanished"


def merged(*findings: tuple[str, ...]) -> tuple[str, ...]:
    """All of them, each once."""
    return tuple(dict.fromkeys(finding for part in findings for finding in part))


def search_problems(mode: Mode, response: LinearResponse) -> tuple[str, ...]:
    problems = []
    if not mode.found:
        problems.append("the log density has no mode where its gradient vanishes: it may be unbounded")
    if not response.sound:
        problems.append("the curvature at the optimum is not positive definite")
    return tuple(problems)


def gaussian_problems(fit: GaussianFit) -> tuple[str, ...]:
    problems = search_problems(fit.modes[0], fit.response)
    if fit.response.sound and fit.response.mean_error > 0.1 and not fit.weighted.good:
        problems += (f"the Monte Carlo error of the optimum is {fit.response.mean_error:.2f} sd",)
    return problems


def conditional_modes(count: int) -> tuple[str, ...]:
    """The problem of a conditional guide whose rest has several modes at the mode of the hyperparameters."""
    found = f"given the hyperparameters the others have {count} separate modes, and this guide follows one of them"
    return (found,) if count > 1 else ()


def mode_findings(fit: GaussianFit, target: Target) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Problems and notes about separate modes: how many were seen and what they weigh, and whether they are one but for
    the order of elements, which is a problem where some orders are missing.
    """
    felt = [(mode, share) for mode, share in zip(fit.modes, fit.shares, strict=True) if share >= FELT]
    if len(felt) < 2:
        return (), ()
    modes, shares = [mode for mode, _ in felt], [f"{share:.2f}" for _, share in felt]
    seen = f"{len(shares)} separate modes were found, with weights {', '.join(shares)}; there may be more"
    switching = switched(modes, target.values(np.array([mode.vector for mode in modes])))
    if switching is None:
        return (), (seen,)
    complete = switching.found == switching.orders
    return (() if complete else (str(switching),)), ((seen, str(switching)) if complete else (seen,))


def too_narrow(guide: Guide, response: LinearResponse) -> tuple[float, str]:
    """By how much mean field's sds are too small where it is worst, as a factor and in words."""
    if not response.sound:
        return 1.0, ""
    ratio = np.sqrt(np.diag(response.covariance)) / response.raw_sd
    worst = int(np.argmax(ratio))
    name = guide.layout.element_names()[worst]
    return float(ratio[worst]), narrowed(name, ratio[worst])


def narrowed(name: str, ratio: float) -> str:
    """What is said of the element whose mean-field sd is the furthest too small."""
    return f"linear response puts the sd of {name} at {ratio:.2f} times mean field's"
