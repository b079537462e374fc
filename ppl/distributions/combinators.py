"""Distributions made of distributions: each function takes families and gives a new one.

The parameters of the new family are those of its components; only those of a mixture get their component's number,
as in `loc_0`. Two families of one name have the same density.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.distributions.base import Distribution, Parameter, SupportUse, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, choose_index, column, log1m_exp, on_counts
from ppl.distributions.truncation import support_ends, truncated
from ppl.functions.broadcasting import align_batches
from ppl.functions.reductions import log_sum_exp

__all__ = [
    "censored",
    "hurdle",
    "masked",
    "mixture",
    "ordered",
    "rewritten",
    "support_ends",
    "truncated",
    "zero_inflated",
    "zero_sum",
]

ORDERED_SUPPORTS = {"real": "ordered", "positive": "positive_ordered", "nonnegative": "positive_ordered"}
"""Where draws lie in increasing order, by where they lie."""

Convert = Callable[..., dict[str, Any]]
Slopes = Callable[..., dict[str, Any]]


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
        columns = {name: column(xp, parameter) for name, parameter in parameters.items()}
        arrangements = xp.special.gammaln(xp.shape(value)[-1] + 1.0)
        return xp.sum(base.log_density(xp, value, **columns), axis=-1) + arrangements

    def sample(rng: np.random.Generator, shape: tuple[int, ...], size: Any, **parameters: Any) -> Any:
        columns = {name: column(np, parameter) for name, parameter in parameters.items()}
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
        return column(np, scale) * (standard - np.mean(standard, axis=-1, keepdims=True))

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

    def averaged(formulas: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
        def log_average(xp: Any, value: Any, weights: Any, **parameters: Any) -> Any:
            shares = xp.log(weights)
            chances = [formula(xp, value, **own) for formula, own in zip(formulas, apart(parameters), strict=True)]
            parts = tuple(shares[..., place] + chance for place, chance in enumerate(chances))
            terms = align_batches(xp, parts, (0,) * len(parts))
            return log_sum_exp(xp, xp.stack(terms, axis=-1), (-1,))

        return log_average

    def apart(parameters: Mapping[str, Any]) -> list[_Named]:
        return _apart(components, parameters)

    def sample(rng: np.random.Generator, shape: tuple[int, ...], weights: Any, **parameters: Any) -> Any:
        which = choose_index(rng, shape, weights)
        draws = [base.sample(rng, shape, **own) for base, own in zip(components, apart(parameters), strict=True)]
        chosen = which.reshape(shape + (1,) * (draws[0].ndim - len(shape)))
        return np.choose(chosen, draws)

    def support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
        return first.support(apart(parameters)[0], sizes)

    below = [base.log_cdf for base in components if base.log_cdf]
    above = [base.log_survival for base in components if base.log_survival]

    return Distribution(
        name="_".join([f"mixture{len(components)}", *(base.name for base in components)]),
        parameters=(Parameter("weights", "simplex", "(components)"), *renamed),
        support=support,
        log_density=averaged([base.log_density for base in components]),
        sample=sample,
        doc=f"Mixture of {', '.join(base.name for base in components)}.",
        event=first.event,
        discrete=first.discrete,
        log_cdf=averaged(below) if len(below) == len(components) else None,
        log_survival=averaged(above) if len(above) == len(components) else None,
    )


def rewritten(base: Distribution, convert: Convert, slopes: Slopes, **declared: Any) -> Distribution:
    """`base` under other parameters, from which `convert(**parameters)` computes its own.

    `slopes(found, **parameters)` carries derivatives by the parameters of `base` on to those by the new ones.
    `declared` are the fields that say what is new: `name`, `doc`, `parameters`, `examples` and `reference`.
    """

    def through(formula: Callable[..., Any] | None) -> Any:
        if formula is None:
            return None
        return lambda *arguments, **parameters: formula(*arguments, **convert(**parameters))

    def implicit(value: Any, cotangent: Any, **parameters: Any) -> dict[str, Any]:
        assert base.implicit is not None
        return slopes(base.implicit(value, cotangent, **convert(**parameters)), **parameters)

    return Distribution(
        support=lambda parameters, sizes: base.support(convert(**parameters), sizes),
        log_density=through(base.log_density),
        sample=through(base.sample),
        event=base.event,
        discrete=base.discrete,
        implicit=implicit if base.implicit else None,
        entropy=through(base.entropy),
        log_cdf=through(base.log_cdf),
        log_survival=through(base.log_survival),
        **declared,
    )


def hurdle(base: Distribution) -> Distribution:
    """0 with probability `zero`, otherwise a draw of `base`, a distribution of counts, given that it is not 0."""
    positive = truncated(base)

    def log_density(xp: Any, value: Any, zero: Any, **parameters: Any) -> Any:
        crossed = positive.log_density(xp, xp.maximum(value, 1), lower=1, **parameters)
        return xp.where(value == 0, xp.log(zero), xp.log1p(-zero) + crossed)

    def sample(rng: np.random.Generator, shape: tuple[int, ...], zero: Any, **parameters: Any) -> Any:
        drawn = positive.sample(rng, shape, lower=1, **parameters)
        return np.where(rng.random(shape) < zero, 0, drawn)

    def log_survival(xp: Any, value: Any, zero: Any, **parameters: Any) -> Any:
        assert positive.log_survival is not None
        return xp.log1p(-zero) + positive.log_survival(xp, value, lower=1, **parameters)

    return Distribution(
        name=f"hurdle_{base.name}",
        parameters=(*base.parameters, Parameter("zero", "unit_interval")),
        support=lambda parameters, sizes: base.support(_without(parameters, "zero"), sizes),
        log_density=log_density,
        sample=sample,
        doc=f"0 with probability `zero`, otherwise {base.name} given that it is not 0.",
        discrete=True,
        log_cdf=on_counts(
            lambda xp, value, **parameters: log1m_exp(xp, log_survival(xp, value, **parameters)), -np.inf
        ),
        log_survival=on_counts(log_survival, 0.0),
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


def _apart(components: Sequence[Distribution], parameters: Mapping[str, Any]) -> list[_Named]:
    """The parameters of each component under its own names."""
    found = []
    for place, base in enumerate(components):
        numbered = {p.name: f"{p.name}_{place}" for p in base.parameters}
        found.append({own: parameters[key] for own, key in numbered.items() if key in parameters})
    return found
