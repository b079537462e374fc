"""Truncation of scalar families that have a distribution function: density, support and draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.distributions.base import Distribution, Parameter, SupportUse
from ppl.distributions.formulas import log_diff_exp
from ppl.functions.broadcasting import align_batches
from ppl.numeric import NUMPY

_BOUNDS = ("lower", "upper")
_HALVINGS = 120


def truncated(base: Distribution) -> Distribution:
    """`base` given that it lies between `lower` and `upper`, both included; either may be left out."""
    return Distribution(
        name=f"truncated_{base.name}",
        parameters=(*base.parameters, *(Parameter(bound, optional=True) for bound in _BOUNDS)),
        support=_support(base),
        log_density=_log_density(base),
        sample=_sampler(base),
        doc=f"{base.name} between `lower` and `upper`, normalised.",
        discrete=base.discrete,
        log_cdf=_log_share(base, below=True),
        log_survival=_log_share(base, below=False),
    )


def support_ends(use: SupportUse) -> tuple[Any, Any]:
    """Least and greatest member of a scalar support; None where there is none, or on a side that values decide.

    Raises KeyError for a support that is no range of numbers.
    """
    return _ENDS[use.name](*use.arguments)


_ENDS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "real": lambda: (None, None),
    "positive": lambda: (0.0, None),
    "nonnegative": lambda: (0.0, None),
    "unit_interval": lambda: (0.0, 1.0),
    "greater_than": lambda lower: (lower, None),
    "less_than": lambda upper: (None, upper),
    "interval": lambda lower, upper: (lower, upper),
    "extreme_range": lambda loc, scale, shape: (None, None),
    "exceedance_range": lambda loc, scale, shape: (loc, None),
    "integer": lambda: (None, None),
    "count": lambda: (0, None),
    "boolean": lambda: (0, 1),
    "integer_from": lambda lower: (lower, None),
    "integer_interval": lambda lower, upper: (lower, upper),
}


def _split(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], Any, Any]:
    """Parameters of the family, `lower` and `upper`."""
    own = {name: value for name, value in parameters.items() if name not in _BOUNDS}
    return own, parameters.get("lower"), parameters.get("upper")


def _support(base: Distribution) -> Callable[..., SupportUse]:
    def support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
        own, lower, upper = _split(parameters)
        least, greatest = support_ends(base.support(own, sizes))
        low = least if lower is None else lower
        high = greatest if upper is None else upper
        if high is None:
            return SupportUse("integer_from" if base.discrete else "greater_than", (low,))
        if low is None:
            return SupportUse("less_than", (high,))
        return SupportUse("integer_interval" if base.discrete else "interval", (low, high))

    return support


def _log_density(base: Distribution) -> Callable[..., Any]:
    def log_density(xp: Any, value: Any, **parameters: Any) -> Any:
        """Minus infinity outside, since the ends may be latent and move past an observed value."""
        own, lower, upper = _split(parameters)
        density = base.log_density(xp, value, **own) - _Mass(xp, base, own, lower, upper).log_total
        inside = (True if lower is None else value >= lower) & (True if upper is None else value <= upper)
        return xp.where(inside, density, -np.inf)

    return log_density


def _log_share(base: Distribution, below: bool) -> Callable[..., Any]:
    """Log of the share of the range that lies at or below a value, or above it."""

    def log_share(xp: Any, value: Any, **parameters: Any) -> Any:
        own, lower, upper = _split(parameters)
        whole = _Mass(xp, base, own, lower, upper)
        past_start = True if lower is None else value > whole.start
        before_end = True if upper is None else value < upper
        inside = past_start & before_end
        cut = xp.where(inside, value, _between(lower, upper))
        part = replace(whole, upper=cut) if below else replace(whole, lower=cut + 1.0 * base.discrete)
        outside = xp.where(past_start if below else before_end, 0.0, -np.inf)
        return xp.where(inside, part.log_total - whole.log_total, outside)

    return log_share


def _between(lower: Any, upper: Any) -> Any:
    """Some number between the bounds."""
    if lower is not None and upper is not None:
        return 0.5 * (lower + upper)
    return upper - 1.0 if lower is None else lower + 1.0


@dataclass(frozen=True)
class _Mass:
    """How much of the family lies between two ends, from the side on which chances are small."""

    xp: Any
    base: Distribution
    parameters: Mapping[str, Any]
    lower: Any
    upper: Any

    def below(self, value: Any) -> Any:
        assert self.base.log_cdf is not None
        return self.base.log_cdf(self.xp, value, **self.parameters)

    def above(self, value: Any) -> Any:
        assert self.base.log_survival is not None
        return self.base.log_survival(self.xp, value, **self.parameters)

    @property
    def start(self) -> Any:
        """What lies at or below this is cut off: a count of `lower` itself is not."""
        return self.lower - 1.0 if self.base.discrete else 1.0 * self.lower

    @property
    def log_total(self) -> Any:
        if self.upper is None:
            return self.above(self.start)
        if self.lower is None:
            return self.below(1.0 * self.upper)
        xp, end = self.xp, 1.0 * self.upper
        chances = self.below(self.start), self.below(end), self.above(self.start), self.above(end)
        below_start, below_end, above_start, above_end = align_batches(xp, chances, (0, 0, 0, 0))
        right = below_start > above_start
        more, less = xp.where(right, above_start, below_end), xp.where(right, above_end, below_start)
        return log_diff_exp(xp, more, less)


# Draws ----------------------------------------------------------------------------------------------


def _sampler(base: Distribution) -> Callable[..., Any]:
    def sample(rng: np.random.Generator, shape: tuple[int, ...], **parameters: Any) -> Any:
        """By bisection of the distribution function, on the side of the median where it is small."""
        own, lower, upper = _split(parameters)
        mass = _Mass(NUMPY, base, own, lower, upper)
        with np.errstate(all="ignore"):
            return _inverted(mass, np.log1p(-rng.random(shape)), shape)

    return sample


def _inverted(mass: _Mass, log_share: Any, shape: tuple[int, ...]) -> Any:
    """The values that leave a share `exp(log_share)` of the total on their outer side."""
    lower_log = -np.inf if mass.lower is None else mass.below(mass.start)
    upper_log = -np.inf if mass.upper is None else mass.above(1.0 * mass.upper)
    right = np.broadcast_to(lower_log > np.log(0.5), shape)
    below_target = np.logaddexp(lower_log, mass.log_total + log_share)
    above_target = np.logaddexp(upper_log, mass.log_total + log_share)

    def too_low(x: Any) -> Any:
        return np.where(right, mass.above(x) > above_target, mass.below(x) < below_target)

    low, high = _bracket(mass, too_low, shape)
    for _ in range(_HALVINGS):
        middle = np.floor(0.5 * (low + high)) if mass.base.discrete else 0.5 * (low + high)
        rise = too_low(middle)
        low, high = np.where(rise, middle, low), np.where(rise, high, middle)
    return np.asarray(high, dtype=np.int64) if mass.base.discrete else _within(mass, 0.5 * (low + high))


def _bracket(mass: _Mass, too_low: Callable[[Any], Any], shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Ends between which the values lie, found by doubling where the family has none."""
    least, greatest = support_ends(mass.base.support(mass.parameters, {}))
    low = mass.start if mass.lower is not None else least if not mass.base.discrete or least is None else least - 1.0
    high = mass.upper if mass.upper is not None else greatest
    found_low = np.full(shape, -1.0) if low is None else np.broadcast_to(np.asarray(low, float), shape)
    found_high = np.full(shape, 1.0) if high is None else np.broadcast_to(np.asarray(high, float), shape)
    while low is None and np.any(wrong := ~too_low(found_low)):
        found_low = np.where(wrong, 2.0 * found_low, found_low)
    if high is None:
        found_high = np.maximum(found_high, found_low + 1.0)
    while high is None and np.any(wrong := too_low(found_high)):
        found_high = np.where(wrong, found_high + 2.0 * np.abs(found_high), found_high)
    return found_low, found_high


def _within(mass: _Mass, values: Any) -> Any:
    values = values if mass.lower is None else np.maximum(values, mass.lower)
    return values if mass.upper is None else np.minimum(values, mass.upper)
