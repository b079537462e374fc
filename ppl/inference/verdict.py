"""The verdict: what the diagnostics of a fit mean, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ppl.inference.chains.hamiltonian import AGREE
from ppl.inference.clock import SECONDS
from ppl.inference.importance.psis import threshold
from ppl.inference.outcome import Outcome
from ppl.inference.result import LEVELS, Verdict
from ppl.inference.spread import uncertain_sd
from ppl.inference.stochastic.options import StochasticOptions
from ppl.model.plan import Plan

FEW_EFFECTIVE, TOO_FEW_EFFECTIVE = 1000.0, 100.0
"""Below the first the means carry more than about 0.03 sd of Monte Carlo error; below the second the weights tell
little.
"""
EVEN = 0.1
"""Relative standard deviation of all importance weights up to which no mean is off by more than as many sds (Cauchy and
Schwarz), whatever the shape of what little tail they have: k-hat knows no scale.
"""
MORE = 5.0
"""Times the seconds allowed are what is advised where they were too few."""
UNTOLD = 1.0
"""Relative uncertainty of an sd that says nothing about it; there may be none."""
KEEP = "leave guide and method to `auto`, which keep correlations"
FAR_APART = 1.05
"""Chains with a larger R-hat have not found the same distribution."""


def judge(plan: Plan, outcome: Outcome, seconds: float = SECONDS) -> tuple[Verdict, float | None]:
    """The verdict on an outcome that so many seconds were allowed for, and its evidence estimate where a proper prior
    gives that a meaning.
    """
    count = len(outcome.ratios)
    limit = threshold(outcome.independent or count)
    lost = int(np.sum(~np.isfinite(outcome.ratios))) if outcome.rhat is None else 0
    reasons, advice = [*outcome.faults, *outcome.problems], list[str]()
    level = "not trusted" if outcome.faults else "care" if reasons else "trusted"
    if outcome.faults:
        advice.append(KEEP if outcome.corrections else "give what is not determined by the data a proper prior")
    if lost > 0.01 * count:
        reasons.append(f"the log density is not finite at {lost} of {count} draws of the guide")
        advice.append("look at the priors' ranges, or give the model another form")
        level = "not trusted"
    if outcome.rhat is not None:
        level = _chains(outcome, level, reasons, advice, seconds)
    elif outcome.unchecked:
        level = _worse(level, "care")
        reasons.append(outcome.unchecked)
    elif outcome.khat > limit and not _even(outcome.ratios):
        level = "not trusted" if outcome.khat > 1.0 else _worse(level, "care")
        reasons.append(f"the guide misses part of the posterior (k-hat {outcome.khat:.2f} is above {limit:.2f})")
        advice.append(_advice(outcome))
    if outcome.log_weights is not None and outcome.effective < FEW_EFFECTIVE:
        level = _worse(level, "care" if outcome.effective >= TOO_FEW_EFFECTIVE else "not trusted")
        reasons.append(_uncertain(outcome))
    if outcome.cut and (outcome.rhat is None or outcome.rhat > AGREE):  # chains that agree need nothing that was cut
        level = _worse(level, "care")
        reasons.append(f"the time allowed was spent, which cut short {_listed(outcome.cut)}")
        advice.insert(0, _more_time(seconds))
    if not outcome.converged:
        level = "not trusted"
        reasons.append(f"the optimisation has not converged: {outcome.stopped}")
        if outcome.stochastic:  # what else is wrong may come from that
            advice = [f"allow more steps: `steps={2 * max(outcome.steps, StochasticOptions.steps)}`"]
    if level == "trusted":
        reasons.append(_praise(outcome))
    if level != "not trusted" and (found := uncertain_sd(outcome.values, outcome.log_weights, outcome.effective)):
        reasons.append(_heavy(*found))
    proper = all(site.distribution.family.proper for site in plan.model.latents) and not plan.model.params
    evidence = outcome.log_evidence if proper else None
    khat = outcome.khat if outcome.rhat is None and not outcome.unchecked else None
    return Verdict(level, tuple(reasons), tuple(dict.fromkeys(advice)), khat), evidence


def _chains(outcome: Outcome, level: str, reasons: list[str], advice: list[str], seconds: float) -> str:
    """The level of draws of Markov chains; what is wrong with them is added to the reasons."""
    assert outcome.rhat is not None
    if outcome.rhat > AGREE:
        level = "not trusted" if outcome.rhat > FAR_APART else _worse(level, "care")
        reasons.append(f"the chains do not agree (R-hat {outcome.rhat:.3f} is above {AGREE})")
        advice += [_more_time(seconds), _advice(outcome)]
    if outcome.effective < FEW_EFFECTIVE:
        level = _worse(level, "care" if outcome.effective >= TOO_FEW_EFFECTIVE else "not trusted")
        reasons.append(_uncertain(outcome))
    return level


def _heavy(name: str, error: float) -> str:
    if error > UNTOLD:
        return f"the sd of {name} cannot be told from draws, since its tails are so heavy: quantiles can"
    return f"the sd of {name} is uncertain by {error:.0%}, since its tails are heavy"


def _more_time(seconds: float) -> str:
    return f"allow more time: `seconds={MORE * seconds:g}`"


def _listed(stages: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(stages[:-1]), stages[-1])))


def _even(ratios: np.ndarray) -> bool:
    """Whether the weights of draws of the guide hardly differ."""
    weights = np.exp(ratios - np.max(ratios, initial=-np.inf))
    return len(ratios) >= FEW_EFFECTIVE and bool(np.std(weights) < EVEN * np.mean(weights))


def _uncertain(outcome: Outcome) -> str:
    error = 1.0 / np.sqrt(max(outcome.effective, 1.0))
    return f"only {outcome.effective:.0f} effective draws: means are uncertain by {error:.2f} sd"


def _worse(one: str, other: str) -> str:
    return max(one, other, key=LEVELS.index)


def _praise(outcome: Outcome) -> str:
    if outcome.method == "exact":
        return "every unknown is summed out, so the evidence is exact"
    if outcome.rhat is not None:
        agree = f"R-hat {outcome.rhat:.3f}, {outcome.effective:.0f} effective draws"
        return f"chains of Hamiltonian Monte Carlo, started from the approximation, agree ({agree})"
    if outcome.khat < 0.0 or _even(outcome.ratios):
        shape = "below 0" if outcome.khat < 0.0 else f"{outcome.khat:.2f}"
        return f"the approximation fits closely: its importance weights are nearly equal (k-hat {shape})"
    if outcome.log_weights is None:
        return f"the approximation is close, by its importance weights (k-hat {outcome.khat:.2f})"
    return f"the importance weights that correct the approximation are well behaved (k-hat {outcome.khat:.2f})"


def _advice(outcome: Outcome) -> str:
    if outcome.corrections:
        return KEEP
    if outcome.stochastic:
        return "its means are better than its standard deviations; write the model in another parameterisation"
    if outcome.method == "conditional":
        return "give the scales more informative priors, or write the model in another parameterisation"
    return "tighten the priors of weakly identified parameters, or write the model in another parameterisation"
