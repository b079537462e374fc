"""Distribution combinators as Python functions: `truncated(Normal(0, 1), lower=0)`."""

from __future__ import annotations

from typing import Any

from ppl.embedding.operand import as_operand
from ppl.embedding.spans import caller_span
from ppl.errors import ModelError
from ppl.model import DistributionUse
from ppl.model.combine import combine
from ppl.source import Span


def truncated(distribution: DistributionUse, lower: Any = None, upper: Any = None) -> DistributionUse:
    """`distribution` given that it lies between `lower` and `upper`, either of which may be left out."""
    return _combined("truncated", [distribution], {"lower": lower, "upper": upper})


def censored(distribution: DistributionUse, left: Any = None, right: Any = None) -> DistributionUse:
    """Observations of which some are only known to be larger than recorded (`right` true) or not larger (`left`)."""
    return _combined("censored", [distribution], {"left": left, "right": right})


def ordered(distribution: DistributionUse, size: int) -> DistributionUse:
    """`size` independent draws put into increasing order."""
    return _combined("ordered", [distribution], {"size": size})


def zero_sum(distribution: DistributionUse, size: int) -> DistributionUse:
    """`size` independent draws of a normal given that their sum is 0."""
    return _combined("zero_sum", [distribution], {"size": size})


def mixture(weights: Any, *distributions: DistributionUse) -> DistributionUse:
    """One of the distributions, chosen with probabilities `weights`."""
    return _combined("mixture", distributions, {"weights": weights})


def zero_inflated(distribution: DistributionUse, inflation: Any) -> DistributionUse:
    """0 with probability `inflation`, otherwise a draw of `distribution`, one of counts."""
    return _combined("zero_inflated", [distribution], {"inflation": inflation})


def hurdle(distribution: DistributionUse, zero: Any) -> DistributionUse:
    """0 with probability `zero`, otherwise a draw of `distribution`, one of counts, given that it is not 0."""
    return _combined("hurdle", [distribution], {"zero": zero})


def _combined(name: str, distributions: Any, values: dict[str, Any]) -> DistributionUse:
    span = caller_span()
    for each in distributions:
        _check(name, each, span)
    given = {key: as_operand(value, span).whole() for key, value in values.items() if value is not None}
    return combine(name, list(distributions), (), given, span)


def _check(name: str, value: Any, span: Span | None) -> None:
    if not isinstance(value, DistributionUse):
        found = f"ppl.{name} needs a distribution, this is of type {type(value).__name__}"
        raise ModelError.of("E303", span, found, "write e.g. ppl.Normal(0, 1)")
