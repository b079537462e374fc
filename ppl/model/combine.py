"""Distribution combinators for both doors: `combine("truncated", [normal], (), {"lower": …}, span)`.

| code | what |
| --- | --- |
| E303 | arguments missing, too many or unknown |
| E305 | bounds with nothing between them |
| E314 | a distribution that the combinator cannot take, or two that cannot take turns |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppl.distributions import DISTRIBUTIONS, combinators
from ppl.errors import ModelError
from ppl.model import construct
from ppl.model.expressions import Expr
from ppl.model.model import DistributionUse, SupportOf
from ppl.model.resolve import evaluate
from ppl.model.text import expression_text
from ppl.model.uses import checked_use, core_sizes, simplest, support_of_use
from ppl.source import Span, nearest

Uses = Sequence[DistributionUse]
Values = dict[str, Expr]


@dataclass(frozen=True)
class Combinator:
    """`values` are the arguments that are no distributions, in order; the first `required` of them must be given."""

    name: str
    values: tuple[str, ...]
    required: int
    several: bool
    signature: str
    build: Callable[[Uses, Values, Span | None], DistributionUse]

    @property
    def takes(self) -> str:
        return "two or more distributions" if self.several else "one distribution"


def combine(
    name: str, uses: Uses, positional: Sequence[Expr], keywords: Mapping[str, Expr], span: Span | None
) -> DistributionUse:
    """A distribution made of distributions. Raises ModelError."""
    combinator = COMBINATORS[name]
    return combinator.build(uses, _bound(combinator, uses, positional, keywords, span), span)


def either(condition: Expr, then: DistributionUse, otherwise: DistributionUse, span: Span | None) -> DistributionUse:
    """One distribution or another of the same family, as a condition decides for each element. Raises ModelError."""
    if then.family is not otherwise.family or then.arguments.keys() != otherwise.arguments.keys():
        one, other = (f"{use.name}({', '.join(use.arguments)})" for use in (then, otherwise))
        found = f"{one} for some elements and {other} for others"
        raise ModelError.of("E314", span, found, "both must be of one family, with the same parameters")
    pairs = {key: [condition, value, otherwise.arguments[key]] for key, value in then.arguments.items()}
    return checked_use(then.family, {key: construct.call("where", values, span) for key, values in pairs.items()}, span)


def _bound(
    combinator: Combinator, uses: Uses, positional: Sequence[Expr], keywords: Mapping[str, Expr], span: Span | None
) -> Values:
    """The arguments by name."""
    if (len(uses) < 2) if combinator.several else (len(uses) != 1):
        raise ModelError.of("E303", span, f"{combinator.signature} takes {combinator.takes}, {len(uses)} given")
    if len(positional) > len(combinator.values):
        raise ModelError.of("E303", span, f"{combinator.signature} has too many arguments")
    values = dict(zip(combinator.values, positional, strict=False))
    for key, value in keywords.items():
        if key not in combinator.values:
            near = nearest(key, combinator.values)
            found = f"{combinator.name} has no argument `{key}`"
            raise ModelError.of("E303", span, found, f"did you mean `{near}`?" if near else combinator.signature)
        if key in values:
            raise ModelError.of("E303", span, f"`{key}` is given twice")
        values[key] = value
    missing = [key for key in combinator.values[: combinator.required] if key not in values]
    if missing:
        raise ModelError.of("E303", span, f"{combinator.signature}: `{missing[0]}` is missing")
    if not values:
        ends = " or ".join(f"`{value}`" for value in combinator.values)
        raise ModelError.of("E303", span, f"{combinator.signature}: {ends} is missing")
    return values


def _support(use: DistributionUse) -> SupportOf:
    return support_of_use(use, {name: dim.size for name, dim in core_sizes(use).items()})


def _refuse(name: str, use: DistributionUse, why: str, fix: str = "") -> ModelError:
    return ModelError.of("E314", use.span, f"{name} cannot take {use.name}: {why}", fix=fix)


# One function a combinator --------------------------------------------------------------------------


def _truncated(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    (use,) = uses
    _need_tails("truncated", use)
    least, greatest = combinators.support_ends(use.family.support(use.arguments, {}))
    if "lower" in values:
        values["lower"] = _within(values["lower"], least, "greater_equal", "maximum")
    if "upper" in values:
        values["upper"] = _within(values["upper"], greatest, "less_equal", "minimum")
    low, high = values.get("lower", least), values.get("upper", greatest)
    if low is not None and high is not None:
        _check_between(_expression(low), _expression(high), use, span)
    if use.family.discrete:
        _check_whole(values)
    return checked_use(combinators.truncated(use.family), {**use.arguments, **values}, span)


def _within(bound: Expr, end: Expr | float | None, fits: str, clip: str) -> Expr:
    """The bound, kept inside the support of the distribution; one that surely is stays as it is."""
    if end is None:
        return bound
    limit = _expression(end)
    known = construct.call(fits, [bound, limit], bound.span)
    if known.type.static and np.all(evaluate(known).array):
        return bound
    return construct.call(clip, [bound, limit], bound.span)


def _expression(value: Expr | float) -> Expr:
    return value if isinstance(value, Expr) else construct.constant(value)


def _check_between(low: Expr, high: Expr, use: DistributionUse, span: Span | None) -> None:
    nothing = construct.call("greater" if use.family.discrete else "greater_equal", [low, high], span)
    if nothing.type.static and np.any(evaluate(nothing).array):
        texts = [expression_text(end) for end in (low, high)]
        raise ModelError.of("E305", span, f"{use.name} has nothing between {texts[0]} and {texts[1]}")


def _check_whole(values: Values) -> None:
    for name, bound in values.items():
        if bound.type.static and np.any(np.mod(evaluate(bound).array, 1) != 0):
            raise ModelError.of("E305", bound.span, f"`{name}` must be a whole number, as counts are")


def _censored(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    (use,) = uses
    _need_tails("censored", use)
    return checked_use(combinators.censored(use.family), {**use.arguments, **values}, span)


def _need_tails(name: str, use: DistributionUse) -> None:
    if use.family.log_cdf is None or use.family.log_survival is None:
        able = ", ".join(known for known, family in DISTRIBUTIONS.items() if family.log_cdf is not None)
        raise _refuse(name, use, "its distribution function has no closed form here", f"possible are {able}")


def _ordered(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    (use,) = uses
    if use.family.event_dimensions or use.family.discrete:
        raise _refuse("ordered", use, "draws of it are not real numbers")
    support = combinators.ORDERED_SUPPORTS.get(simplest(_support(use)).name)
    if support is None:
        raise _refuse("ordered", use, "its draws must fill the real line or the positive half of it")
    return checked_use(combinators.ordered(use.family, support), {**use.arguments, **values}, span)


def _zero_sum(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    (use,) = uses
    if use.name != "normal":
        raise _refuse("zero_sum", use, "the density given the sum is closed for `normal` alone")
    return checked_use(combinators.zero_sum(use.family), {**use.arguments, **values}, span)


def _mixture(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    supports = [_support(use) for use in uses]
    for use, support in zip(uses[1:], supports[1:], strict=True):
        if not _same(support, supports[0]) or use.family.event_dimensions != uses[0].family.event_dimensions:
            raise _refuse("mixture", use, f"its support is not that of {uses[0].name}")
    length, kinds = values["weights"].type.event[-1:], len(uses)
    if length and length[0] != kinds:
        found = f"mixture of {kinds} distributions with {length[0]} weights"
        raise ModelError.of("E303", values["weights"].span or span, found, "one weight for each is expected")
    arguments = dict(values)
    for place, use in enumerate(uses):
        arguments.update({f"{name}_{place}": value for name, value in use.arguments.items()})
    return checked_use(combinators.mixture([use.family for use in uses]), arguments, span)


def _same(one: SupportOf, other: SupportOf) -> bool:
    return one.name == other.name and all(
        _same_value(a, b) for a, b in zip(one.arguments, other.arguments, strict=True)
    )


def _same_value(one: Expr, other: Expr) -> bool:
    if one.type.static and other.type.static:
        difference = construct.call("equal", [one, other])
        return bool(np.all(evaluate(difference).array))
    return expression_text(one) == expression_text(other)


def _zero_inflated(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    (use,) = uses
    if _support(use).name not in ("count", "integer_interval", "boolean") or use.name == "categorical":
        raise _refuse("zero_inflated", use, "draws of it are not counts")
    return checked_use(combinators.zero_inflated(use.family), {**use.arguments, **values}, span)


def _hurdle(uses: Uses, values: Values, span: Span | None) -> DistributionUse:
    (use,) = uses
    _need_tails("hurdle", use)
    if _support(use).name not in ("count", "integer_interval"):
        raise _refuse("hurdle", use, "draws of it are not counts")
    return checked_use(combinators.hurdle(use.family), {**use.arguments, **values}, span)


COMBINATORS = {
    combinator.name: combinator
    for combinator in (
        Combinator("truncated", ("lower", "upper"), 0, False, "truncated(distribution, lower=, upper=)", _truncated),
        Combinator("censored", ("left", "right"), 0, False, "censored(distribution, left=, right=)", _censored),
        Combinator("ordered", ("size",), 1, False, "ordered(distribution, size)", _ordered),
        Combinator("zero_sum", ("size",), 1, False, "zero_sum(distribution, size)", _zero_sum),
        Combinator("mixture", ("weights",), 1, True, "mixture(weights, distribution, distribution, …)", _mixture),
        Combinator("zero_inflated", ("inflation",), 1, False, "zero_inflated(distribution, inflation)", _zero_inflated),
        Combinator("hurdle", ("zero",), 1, False, "hurdle(distribution, zero)", _hurdle),
    )
}
"""The combinators by name."""
