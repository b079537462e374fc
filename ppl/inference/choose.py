"""Choosing the guide and the method where the user has not."""

from __future__ import annotations

from ppl.compiler.hierarchy import HYPER_BLOCK
from ppl.compiler.parameterise import non_centred
from ppl.errors import InferenceError, ModelError
from ppl.guides import GUIDES, Guide, derive_guide
from ppl.inference.methods import Method, adam, conditional, exact, full_gaussian, mean_field, non_centred_gaussian
from ppl.model.plan import Plan
from ppl.source import nearest

FULL_RANK_LIMIT = 1500
"""Above this many continuous unknowns a dense covariance costs more than it tells."""
CHOSEN = ("auto", "conditional")
"""Guides that are no single family."""
SECOND_CHANCE_LIMIT = 100
"""Above this many unknowns a hierarchical model that the conditional guide does not fit is not tried in another way."""
METHODS = ("auto", "deterministic", "adam")


def choose_guide(plan: Plan, name: str = "auto") -> Guide:
    """The guide of that name. "auto" and "conditional" are summarised by a full-rank Gaussian where that is
    affordable.
    """
    if name not in CHOSEN:
        if name not in GUIDES:
            known = (*CHOSEN, *GUIDES)
            near = nearest(name, known)
            expected = f"did you mean `{near}`?" if near else f"there are {', '.join(known)}"
            raise ModelError.of("E701", None, f"no guide `{name}`", expected)
        return derive_guide(plan, name)
    guide = derive_guide(plan, "full_rank")
    return guide if guide.layout.size <= FULL_RANK_LIMIT else derive_guide(plan, "mean_field")


def is_hierarchical(plan: Plan) -> bool:
    """Whether the compiler split the latents into hyperparameters and the rest."""
    return any(site.block == HYPER_BLOCK for site in plan.sites.values())


def plan_size(plan: Plan) -> int:
    """How many continuous unknowns there are."""
    return sum(plan.sites[site.name].size for site in plan.continuous)


def choose_methods(plan: Plan, guide: str, method: str) -> tuple[Method, ...]:
    """The methods to try, in order.

    Raises InferenceError for a method that is unknown or that the model does not allow.
    """
    if not plan.sites:
        raise InferenceError.of("E706", None, "the model has nothing to fit", "write a statement with `~`")
    if method not in METHODS:
        raise InferenceError.of("E704", None, f"no method `{method}`", f"there are {', '.join(METHODS)}")
    stochastic = bool(plan.scored or plan.model.params)
    if method == "deterministic" and stochastic:
        which = plan.scored[0].name if plan.scored else plan.model.params[0].name
        raise InferenceError.of("E704", None, f"`{which}` needs stochastic gradients", "use method='adam'")
    if guide == "conditional" and (stochastic or method == "adam" or not is_hierarchical(plan)):
        raise InferenceError.of(
            "E704",
            None,
            "the conditional guide needs a hierarchical model without scored sites, fitted deterministically",
        )
    if not plan.continuous and not stochastic:
        return (exact,)
    if method == "adam" or stochastic:
        return (adam,)
    if guide == "mean_field":
        return (mean_field,)
    if guide == "conditional":
        return (conditional,)
    if guide != "auto":
        return (full_gaussian,)
    standardised: tuple[Method, ...] = (non_centred_gaussian,) if non_centred(plan) != plan else ()
    if is_hierarchical(plan):
        return (conditional, *(standardised if plan_size(plan) <= SECOND_CHANCE_LIMIT else ()))
    return (*standardised, full_gaussian)
