"""Uses of distributions: the arguments bound to their parameters, with supports and shapes checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.constraints import SUPPORTS, is_within
from ppl.distributions import DISTRIBUTIONS, Distribution, Parameter
from ppl.errors import Diagnostic, ModelError
from ppl.model import construct, messages
from ppl.model import expressions as ex
from ppl.model.expressions import Dim, Expr
from ppl.model.model import DistributionUse, SupportOf
from ppl.model.resolve import evaluate
from ppl.source import Span, nearest


def distribution(
    name: str, positional: Sequence[Expr], keywords: Mapping[str, Expr], span: Span | None = None
) -> DistributionUse:
    """A use of a registered distribution, with arity, supports and static values of its arguments checked."""
    if name not in DISTRIBUTIONS:
        near = DISTRIBUTIONS.suggest(name)
        raise ModelError.of("E105", span, f"no distribution `{name}`", f"did you mean `{near}`?" if near else "")
    family = DISTRIBUTIONS[name]
    return checked_use(family, _bind_arguments(family, positional, keywords, span), span)


def checked_use(family: Distribution, arguments: dict[str, Expr], span: Span | None) -> DistributionUse:
    """A use of a family, with the supports and shapes of its arguments checked."""
    use = DistributionUse(family, arguments, span)
    problems = [p for key, value in arguments.items() if (p := _check_support(family, key, value, span))]
    if problems:
        raise ModelError(problems)
    core_sizes(use)
    return use


def signature_text(family: Distribution) -> str:
    """`normal(loc, scale)`."""
    return f"{family.name}({', '.join(p.name for p in family.positional)})"


def _bind_arguments(
    family: Distribution, positional: Sequence[Expr], keywords: Mapping[str, Expr], span: Span | None
) -> dict[str, Expr]:
    slots = family.positional
    required = [p for p in slots if p.default is None and not p.optional]
    given: dict[str, Expr] = dict(zip((p.name for p in slots), positional, strict=False))
    known = {p.name: p for p in family.parameters}
    count = len(positional) + len(keywords)
    takes = f"{signature_text(family)} takes {len(slots)} argument{'s' * (len(slots) != 1)}, {count} given"
    if len(positional) > len(slots):
        raise ModelError.of("E303", span, takes)
    for key, value in keywords.items():
        if key not in known:
            near = nearest(key, known)
            raise ModelError.of(
                "E303", span, f"{family.name} has no parameter `{key}`",
                f"did you mean `{near}`?" if near else f"it has {', '.join(known)}",
            )  # fmt: skip
        if key in given:
            raise ModelError.of("E303", span, f"`{key}` is given twice")
        given[key] = value
    replaced = {known[key].instead_of for key in given if known[key].instead_of}
    for other in replaced:
        rivals = [key for key in given if known[key].instead_of == other or key == other]
        if len(rivals) > 1:
            raise ModelError.of("E303", span, f"give one of {', '.join(f'`{r}`' for r in rivals)}, not both")
    missing = [p.name for p in required if p.name not in given and p.name not in replaced]
    if missing:
        raise ModelError.of("E303", span, f"{takes}: " + ", ".join(f"`{m}`" for m in missing)
                            + (" is missing" if len(missing) == 1 else " are missing"))  # fmt: skip
    for p in slots:
        if p.name not in given and p.default is not None and p.name not in replaced:
            given[p.name] = construct.constant(p.default)
    return {p.name: given[p.name] for p in family.parameters if p.name in given}


_WHOLE_LINE = "real"
_BETWEEN_ELEMENTS = "ordered"
"""What is computed may lie there although each of its elements may be anywhere: `c + shift` is as ordered as `c`."""


def _check_support(family: Distribution, key: str, value: Expr, span: Span | None) -> Diagnostic | None:
    parameter = family.parameter(key)
    support = SUPPORTS[parameter.support]
    where = value.span or span
    if support.name in ("real", "integer") or support.event_rank > 1:
        return None
    if value.type.static:
        found = evaluate(value)
        if found.event_rank >= support.event_rank:
            good = np.asarray(support.contains(found.array))
            if not np.all(good):
                shown = messages.bad_element(value, found, good)
                return Diagnostic("E305", where, f"`{key}` of {family.name} must be {support.describe}, {shown}")
        return None
    if support.name == _BETWEEN_ELEMENTS and not _is_site(value):
        return None
    if value.type.domain == _WHOLE_LINE and not is_within(_WHOLE_LINE, support.name):
        return Diagnostic(
            "E304",
            where,
            f"{key} must be {support.describe}, {_named_or_it(where)} is real",
            _other_form(family, parameter, where),
        )
    return None


def _is_site(value: Expr) -> bool:
    """Whether the value is that of a site, all elements of it, and nothing made of such."""
    return isinstance(value, ex.Value) or (isinstance(value, ex.Lift) and isinstance(value.base, ex.Value))


def _named_or_it(where: Span | None) -> str:
    text = where.text if where is not None else ""
    name = text.split("[")[0].strip()
    return f"`{name}`" if name.isidentifier() else "it"


def _other_form(family: Distribution, parameter: Parameter, where: Span | None) -> str:
    """`did you mean poisson(log_rate = eta[n])?` where a form over the whole line exists."""
    for other in family.parameters:
        if other.instead_of == parameter.name and other.support == "real" and where is not None:
            return f"did you mean {family.name}({other.name} = {where.text})?"
    if parameter.support == "positive" and where is not None and where.text.isidentifier():
        return f"give it a positive prior, such as `{where.text} ~ half_normal(1)`"
    return ""


def core_sizes(use: DistributionUse) -> dict[str, Dim]:
    """Lengths of the core dimensions, from the trailing dimensions of the arguments or given as a number."""
    sizes: dict[str, Dim] = {}
    for key, value in use.arguments.items():
        parameter = use.family.parameter(key)
        core, span = parameter.core_dimensions, value.span or use.span
        if parameter.length_of:
            sizes[parameter.length_of] = Dim(_static_length(value, f"`{key}` of {use.name}", span))
        elif core:
            tail = replace(value.type, dims=value.type.dims[-len(core) :])
            construct.match_core(core, tail, sizes, f"`{key}` of `{use.name}`", span)
    return sizes


def _static_length(value: Expr, what: str, span: Span | None) -> int:
    if value.type.static and not value.type.axes and not value.type.dims:
        array = evaluate(value).array
        if array.dtype.kind in "iu":
            return int(array)
    raise ModelError.of("E310", span, f"{what} must be a whole number known from data")


def support_of_use(use: DistributionUse, lengths: Mapping[str, int]) -> SupportOf:
    """The support of a draw, where the core dimensions have these lengths."""
    support = use.family.support(use.arguments, lengths)
    return SupportOf(support.name, tuple(_as_expression(a) for a in support.arguments))


def _as_expression(argument: Any) -> Expr:
    return argument if isinstance(argument, Expr) else construct.constant(argument)


_SIMPLER = {("greater_than", 0.0): "positive", ("interval", 0.0, 1.0): "unit_interval"}


def simplest(support: SupportOf) -> SupportOf:
    """The same support by its own name, where its ends are plain numbers."""
    ends = [a.value for a in support.arguments if isinstance(a, ex.Constant) and not a.type.dims]
    simpler = _SIMPLER.get((support.name, *ends)) if len(ends) == len(support.arguments) else None
    return support if simpler is None else SupportOf(simpler)
