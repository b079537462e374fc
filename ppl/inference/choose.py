"""Choosing the guide and the method where the user has not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ppl.compiler import with_marginals
from ppl.compiler.hierarchy import is_hierarchical
from ppl.compiler.parameterise import adaptable, settled
from ppl.errors import InferenceError, ModelError
from ppl.guides import GUIDES, Guide, derive_guide
from ppl.inference.later import (
    CONDITIONAL_CHAINS,
    FLOW,
    HAMILTONIAN,
    LEARNED_GAUSSIAN,
    LOW_RANK,
    MIXTURE,
    SCORE_MATCHING,
    STOCHASTIC_GRADIENTS,
)
from ppl.inference.methods import Method, conditional, exact, full_gaussian
from ppl.inference.work import GRADIENT, density_seconds
from ppl.model.plan import Plan
from ppl.source import nearest

FULL_RANK_LIMIT = 1500
"""Up to so many continuous unknowns a dense covariance is tried whatever it costs."""
WIDEST, HESSIAN_SECONDS = 3000, 20.0
"""Up to so many it is where one Hessian takes so many estimated seconds at most."""
CHOSEN = ("auto", "conditional")
"""Guides that are no single family."""
DENSE_LIMIT = 100
"""Above this many unknowns a model of unknown scales is not tried as one Gaussian in learned coordinates."""
MODAL, BENDABLE = 60, 60
"""Unknowns up to which a mixture and a flow are tried."""
CHAIN_LIMIT = 3000
"""Above this many unknowns chains take too long."""
STOCHASTIC = ("stochastic", "adam")
COORDINATE = ("cavi", "svi")
"""Those of `ppl.inference.coordinate`."""
METHODS = ("auto", "deterministic", "stochastic", "adam", "score_matching", "hamiltonian", *COORDINATE)


def choose_guide(plan: Plan, name: str = "auto", options: Mapping[str, int] | None = None) -> Guide:
    """The guide of that name, with options of its own. "auto" and "conditional" are summarised by a full-rank Gaussian
    where that is affordable.

    Raises ModelError for a name that is not known, and InferenceError for a model that is too large for the guide.
    """
    if name not in CHOSEN:
        if name not in GUIDES:
            known = (*CHOSEN, *GUIDES)
            near = nearest(name, known)
            expected = f"did you mean `{near}`?" if near else f"there are {', '.join(known)}"
            raise ModelError.of("E701", None, f"no guide `{name}`", expected)
        _check_size(plan, name)
        return derive_guide(plan, name, **(options or {}))
    plan = with_marginals(plan)
    guide = derive_guide(plan, "full_rank")
    return guide if is_dense(plan) else derive_guide(plan, "mean_field")


def _check_size(plan: Plan, name: str) -> None:
    most, size = GUIDES[name].most, plan_size(plan)
    if most is not None and size > most:
        found = f"the guide `{name}` is for up to {most:,} continuous unknowns, the model has {size:,}"
        raise InferenceError.of("E704", None, found, "use the guide `low_rank`")


def plan_size(plan: Plan) -> int:
    """How many continuous unknowns there are."""
    return sum(plan.sites[site.name].size for site in plan.continuous)


def is_dense(plan: Plan) -> bool:
    """Whether a dense covariance is affordable."""
    size = plan_size(plan)
    return size <= FULL_RANK_LIMIT or (
        size <= WIDEST and not is_hierarchical(plan) and size * GRADIENT * density_seconds(plan) <= HESSIAN_SECONDS
    )


def choose_methods(plan: Plan, guide: str, method: str) -> tuple[Method, ...]:
    """The methods to try, in order.

    Raises InferenceError for a method that is unknown or that the model does not allow.
    """
    if not plan.sites:
        raise InferenceError.of("E706", None, "the model has nothing to fit", "write a statement with `~`")
    if method not in METHODS:
        raise InferenceError.of("E704", None, f"no method `{method}`", f"there are {', '.join(METHODS)}")
    if method in COORDINATE:
        return _coordinate(plan, guide, method)
    stochastic = bool(plan.factored or plan.model.params)
    if guide == "point" and not plan.factored and method in ("auto", "deterministic") and plan.model.params:
        return (_family(guide),)
    if method == "score_matching" and (stochastic or guide not in ("auto", "full_rank")):
        found = "score matching fits a full-rank Gaussian"
        reason = "use method='stochastic'" if stochastic else "use guide='full_rank'"
        raise InferenceError.of(
            "E704", None, f"{found}, and not {'this model' if stochastic else f'`{guide}`'}", reason
        )
    if method in ("deterministic", "hamiltonian") and stochastic:
        which = plan.factored[0].name if plan.factored else plan.model.params[0].name
        raise InferenceError.of("E704", None, f"`{which}` needs stochastic gradients", "use method='stochastic'")
    if guide == "conditional" and (stochastic or method in STOCHASTIC or not is_hierarchical(plan)):
        raise InferenceError.of(
            "E704",
            None,
            "the conditional guide needs a hierarchical model without scored sites, fitted deterministically",
        )
    if not plan.continuous and not stochastic:
        return (exact,)
    if method in STOCHASTIC or stochastic or (method == "auto" and plan.batches):
        return (STOCHASTIC_GRADIENTS,)
    if method == "hamiltonian":
        return (HAMILTONIAN,)
    if method == "score_matching":
        return (SCORE_MATCHING,)
    if guide == "conditional":
        return (conditional,)
    if guide != "auto":
        return (_family(guide),)
    return ladder(plan, method)


def _family(guide: str) -> Method:
    from ppl.inference.families.fit import fit_of

    return fit_of(guide)


def _coordinate(plan: Plan, guide: str, method: str) -> tuple[Method, ...]:
    from ppl.inference.coordinate.fit import check_suits
    from ppl.inference.coordinate.methods import COORDINATE

    check_suits(plan, guide, method)
    return (COORDINATE[method].run,) if len(plan.enumerated) < len(plan.model.latents) else (exact,)


def family_options(guide: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of the family among all, which are taken out."""
    own = GUIDES[guide].options if guide in GUIDES else {}
    return {name: options.pop(name) for name in list(options) if name in own}


@dataclass(frozen=True)
class Step:
    """A method of the ladder, and whether it suits a plan."""

    method: Method
    suits: Callable[[Plan], bool]


LADDER: tuple[Step, ...] = (
    Step(conditional, is_hierarchical),
    Step(CONDITIONAL_CHAINS, is_hierarchical),
    Step(LOW_RANK, lambda plan: not (is_dense(plan) or is_hierarchical(plan))),
    Step(full_gaussian, lambda plan: settled(plan) and is_dense(plan) and not is_hierarchical(plan)),
    Step(LEARNED_GAUSSIAN, lambda plan: bool(adaptable(plan)) and plan_size(plan) <= DENSE_LIMIT),
    Step(
        full_gaussian, lambda plan: not is_hierarchical(plan) and not settled(plan) and plan_size(plan) <= DENSE_LIMIT
    ),
    Step(MIXTURE, lambda plan: plan_size(plan) <= MODAL),
    Step(HAMILTONIAN, lambda plan: plan_size(plan) <= CHAIN_LIMIT),
    Step(FLOW, lambda plan: plan_size(plan) <= BENDABLE),
)
"""What "auto" tries, in order, as long as it may help by what was found before; `method="deterministic"` makes no
chains and no flow.
"""


def ladder(plan: Plan, method: str) -> tuple[Method, ...]:
    """The methods that suit a plan without scored sites, never none."""
    steps = [step.method for step in LADDER if step.suits(plan)]
    return tuple(step for step in steps if method == "auto" or step not in (HAMILTONIAN, FLOW)) or (full_gaussian,)
