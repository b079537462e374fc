"""The verdict: what the diagnostics of a fit mean, in plain words."""

from __future__ import annotations

import numpy as np

from ppl.inference.psis import psis, threshold
from ppl.inference.result import Verdict
from ppl.model.plan import Plan


def judge(plan: Plan, converged: bool, stopped: str, log_ratios: np.ndarray) -> tuple[Verdict, float | None]:
    """The verdict on a fit and its evidence estimate, from log p(x, z) - log q(z) at draws of the guide.

    The evidence is None where a prior is improper, or where the importance weights are not to be relied on.
    """
    if not np.all(np.isfinite(log_ratios)):
        lost = int(np.sum(~np.isfinite(log_ratios)))
        reason = f"the log density is not finite at {lost} of {len(log_ratios)} draws of the guide"
        return Verdict("not trusted", (reason,), ("look at the priors' ranges, or give the model another form",)), None
    _, khat = psis(log_ratios)
    limit = threshold(len(log_ratios))
    reasons, advice = [], []
    level = "trusted"
    if khat > limit:
        level = "not trusted" if khat > 1.0 else "care"
        reasons.append(f"the guide misses part of the posterior (k-hat {khat:.2f} is above {limit:.2f})")
        advice.append("means are better than standard deviations; try guide='full_rank' or a reparameterised model")
    else:
        reasons.append(f"importance weights are well behaved (k-hat {khat:.2f})")
    if not converged:
        level = "not trusted"
        reasons.append(f"the optimisation has not converged: {stopped}")
        advice.append("allow more steps")
    proper = all(site.distribution.family.proper for site in plan.model.latents)
    evidence = _log_mean(log_ratios) if proper and khat <= limit and not plan.model.params else None
    return Verdict(level, tuple(reasons), tuple(advice), khat), evidence


def _log_mean(log_values: np.ndarray) -> float:
    top = log_values.max()
    return float(top + np.log(np.mean(np.exp(log_values - top))))
