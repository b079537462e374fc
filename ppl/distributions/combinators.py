"""Distributions made of distributions: each function takes families and gives a new one.

The parameters of the new family are those of its components; only those of a mixture get their component's number,
as in `loc_0`. Two families of one name have the same density.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.distributions.base import Distribution, Parameter, SupportUse, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, choose_index
from ppl.distributions.truncation import support_ends, truncated
from ppl.functions.broadcasting import align_batches
from ppl.functions.reductions import log_sum_exp

__all__ = ["censored", "masked", "mixture", "ordered", "support_ends", "truncated", "zero_inflated", "zero_sum"]

ORDERED_SUPPORTS = {"real": "ordered", "positive": "positive_ordered", "nonnegative": "positive_ordered"}
"""Where draws lie in increasing order, by where they lie."""


def censored(base: Distribution) -> Distribution:
    """`base` of which some values are only known to be beyond the one recorded.

    Where `right` is true an element counts with `P(X > value)`, where `left` is true with `P(X <= value)`, else with
    its density. Draws are of `base`: they are not censored.
    """

    def log_density(xp: Any, value: Any, left: Any = None, right: Any = None, **parameters: Any) -> Any:
        assert base.log_cdf is not None
        assert base.log_survival is not None
        found = base.log_density(xp, value, **parameters)
        for flag, tail in ((left, base.log_cdf), (right, base.log_survival)):
            if flag is not None:
                found = xp.where(*align_batches(xp, (flag != 0, tail(xp, value, **parameters), found), (0, 0, 0)))
        return found

    def sample(rng: np.random.Generator, shape: tuple[int, ...], **parameters: Any) -> Any:
        return base.sample(rng, shape, **_without(parameters, "left", "right"))

    return Distribution(
        name=f"censored_{base.name}",
        parameters=(*base.parameters, *(Parameter(flag, "boolean", optional=True) for flag in ("left", "right"))),
        support=base.support,
        log_density=log_density,
        sample=sample,
        doc=f"{base.name} with values that are only known to be larger (`right`) or smaller (`left`).",
        discrete=base.discrete,
    )


def masked(base: Distribution) -> Distribution:
    """`base` where `present` is true; elsewhere the log density is 0, whatever stands there."""

    def log_density(xp: Any, value: Any, present: Any, **parameters: Any) -> Any:
        density = base.log_density(xp, value, **parameters)
        return xp.where(*align_batches(xp, (present != 0, density, 0.0), (0, 0, 0)))

    return Distribution(
        name=f"masked_{base.name}",
        parameters=(*base.parameters, Parameter("present", "boolean")),
        support=lambda parameters, sizes: base.support(_without(parameters, "present"), sizes),
        log_density=log_density,
        sample=lambda rng, shape, present, **parameters: base.sample(rng, shape, **parameters),
        doc=f"{base.name} with elements that do not count.",
        event=base.event,
        discrete=base.discrete,
    )


def ordered(base: Distribution, support: str) -> Distribution:
    """`size` independent draws of `base`, on the real line or its positive half, put into increasing order.

    The density is `size!` times the product of the densities. `support` is that of the ordered draws.
    """

    def log_density(xp: Any, value: Any, size: Any, **parameters: Any) -> Any:
        columns = {name: _column(xp, parameter) for name, parameter in parameters.items()}
        arrangements = xp.special.gammaln(xp.shape(value)[-1] + 1.0)
        return xp.sum(base.log_density(xp, value, **columns), axis=-1) + arrangements

    def sample(rng: np.random.Generator, shape: tuple[int, ...], size: Any, **parameters: Any) -> Any:
        columns = {name: _column(np, parameter) for name, parameter in parameters.items()}
        return np.sort(base.sample(rng, (*shape, int(size)), **columns), axis=-1)

    return Distribution(
        name=f"ordered_{base.name}",
        parameters=(*base.parameters, Parameter("size", "count", length_of="k")),
        support=lambda parameters, sizes: SupportUse(support),
        log_density=log_density,
        sample=sample,
        doc=f"Independent draws of {base.name} in increasing order.",
        event="(k)",
        proper=base.proper,
    )


def zero_sum(base: Distribution) -> Distribution:
    """`size` independent draws of `base`, a normal, given that their sum is 0.

    The density is that on the plane of vectors with sum 0, by its area: a normal of `size - 1` dimensions with variance
    `scale^2` in each. `loc` drops out.
    """

    def log_density(xp: Any, value: Any, loc: Any, scale: Any, size: Any) -> Any:
        free = xp.shape(value)[-1] - 1
        squares = xp.sum(value * value, axis=-1)
        return -0.5 * squares / (scale * scale) - free * (xp.log(scale) + HALF_LOG_TWO_PI) + 0.0 * loc

    def sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, scale: Any, size: Any) -> Any:
        standard = rng.standard_normal((*shape, int(size)))
        return _column(np, scale) * (standard - np.mean(standard, axis=-1, keepdims=True))

    return Distribution(
        name=f"zero_sum_{base.name}",
        parameters=(*base.parameters, Parameter("size", "count", length_of="k")),
        support=fixed_support("zero_sum"),
        log_density=log_density,
        sample=sample,
        doc="Independent normal draws given that their sum is 0.",
        event="(k)",
    )


def mixture(components: Sequence[Distribution]) -> Distribution:
    """One of the components, all of the same support, chosen with probabilities `weights`."""
    first = components[0]
    renamed = [_numbered(p, place) for place, base in enumerate(components) for p in base.parameters]

    def log_density(xp: Any, value: Any, weights: Any, **parameters: Any) -> Any:
        shares = xp.log(weights)
        densities = [base.log_density(xp, value, **own) for base, own in _apart(components, parameters)]
        parts = tuple(shares[..., place] + density for place, density in enumerate(densities))
        terms = align_batches(xp, parts, (0,) * len(parts))
        return log_sum_exp(xp, xp.stack(terms, axis=-1), (-1,))

    def sample(rng: np.random.Generator, shape: tuple[int, ...], weights: Any, **parameters: Any) -> Any:
        which = choose_index(rng, shape, weights)
        draws = [base.sample(rng, shape, **own) for base, own in _apart(components, parameters)]
        chosen = which.reshape(shape + (1,) * (draws[0].ndim - len(shape)))
        return np.choose(chosen, draws)

    def support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
        own = next(own for _, own in _apart(components, parameters))
        return first.support(own, sizes)

    return Distribution(
        name="_".join([f"mixture{len(components)}", *(base.name for base in components)]),
        parameters=(Parameter("weights", "simplex", "(components)"), *renamed),
        support=support,
        log_density=log_density,
        sample=sample,
        doc=f"Mixture of {', '.join(base.name for base in components)}.",
        event=first.event,
        discrete=first.discrete,
    )


def zero_inflated(base: Distribution) -> Distribution:
    """0 with probability `inflation`, otherwise a draw of `base`, a distribution of counts."""

    def log_density(xp: Any, value: Any, inflation: Any, **parameters: Any) -> Any:
        drawn = xp.log1p(-inflation) + base.log_density(xp, value, **parameters)
        return xp.where(value == 0, xp.logaddexp(xp.log(inflation), drawn), drawn)

    def sample(rng: np.random.Generator, shape: tuple[int, ...], inflation: Any, **parameters: Any) -> Any:
        drawn = base.sample(rng, shape, **parameters)
        return np.where(rng.random(shape) < inflation, 0, drawn)

    return Distribution(
        name=f"zero_inflated_{base.name}",
        parameters=(*base.parameters, Parameter("inflation", "unit_interval")),
        support=lambda parameters, sizes: base.support(_without(parameters, "inflation"), sizes),
        log_density=log_density,
        sample=sample,
        doc=f"0 with probability `inflation`, otherwise {base.name}.",
        discrete=True,
    )


# Parameters -----------------------------------------------------------------------------------------


_Named = dict[str, Any]


def _without(parameters: Mapping[str, Any], *names: str) -> _Named:
    return {key: value for key, value in parameters.items() if key not in names}


def _numbered(parameter: Parameter, place: int) -> Parameter:
    instead = parameter.instead_of and f"{parameter.instead_of}_{place}"
    return replace(parameter, name=f"{parameter.name}_{place}", instead_of=instead, default=None)


def _apart(components: Sequence[Distribution], parameters: Mapping[str, Any]) -> list[tuple[Distribution, _Named]]:
    """Each component with its own parameters under their own names."""
    found = []
    for place, base in enumerate(components):
        numbered = {p.name: f"{p.name}_{place}" for p in base.parameters}
        found.append((base, {own: parameters[key] for own, key in numbered.items() if key in parameters}))
    return found


def _column(xp: Any, parameter: Any) -> Any:
    """A parameter of scalar draws with a last dimension of length 1, along which the draws are laid."""
    return xp.reshape(parameter, (*xp.shape(parameter), 1)) if xp.shape(parameter) else parameter
