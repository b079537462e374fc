"""Domain rules: what is known of a function's values from the supports of its arguments.

A domain is the name of a support, or `"unknown"`; `"real"` claims the whole line.
"""

from __future__ import annotations

from collections.abc import Callable

from ppl.constraints import SUPPORTS, is_within
from ppl.functions.base import UNKNOWN

CLOSED_UNDER_SUMS = ("positive", "count", "nonnegative", "integer")
CLOSED_UNDER_PRODUCTS = ("boolean", "positive", "count", "unit_interval", "nonnegative", "integer")


def within(domain: str, support: str) -> bool:
    """Whether every element of a value in `domain` is known to lie in `support`."""
    return domain in SUPPORTS and is_within(domain, support)


def narrowest(domains: tuple[str, ...], candidates: tuple[str, ...]) -> str:
    """The first candidate that holds every one of `domains`."""
    return next((c for c in candidates if all(within(domain, c) for domain in domains)), UNKNOWN)


def sum_domain(*domains: str) -> str:
    """A whole-line term makes the sum whole-line; signs and whole numbers are kept where all terms have them."""
    if "real" in domains:
        return "real"
    if "positive" in domains and all(within(domain, "nonnegative") for domain in domains):
        return "positive"
    return narrowest(domains, CLOSED_UNDER_SUMS)


def difference_domain(left: str, right: str) -> str:
    if "real" in (left, right):
        return "real"
    return narrowest((left, right), ("integer",))


def product_domain(left: str, right: str) -> str:
    """The whole line times something positive is the whole line; `x * x` is not, so two whole lines claim nothing."""
    if left == "real":
        return "real" if within(right, "positive") else UNKNOWN
    if right == "real":
        return "real" if within(left, "positive") else UNKNOWN
    return narrowest((left, right), CLOSED_UNDER_PRODUCTS)


def quotient_domain(left: str, right: str) -> str:
    if not within(right, "positive"):
        return UNKNOWN
    if left == "real":
        return "real"
    return narrowest((left,), ("positive", "nonnegative"))


def power_domain(base: str, exponent: str) -> str:
    if within(base, "positive"):
        return "positive"
    return "nonnegative" if within(base, "nonnegative") and within(exponent, "nonnegative") else UNKNOWN


def negative_domain(domain: str) -> str:
    if domain == "real":
        return "real"
    return narrowest((domain,), ("integer",))


def absolute_domain(domain: str) -> str:
    if within(domain, "positive"):
        return "positive"
    return "count" if within(domain, "integer") else "nonnegative"


def choice_domain(*domains: str) -> str:
    """Of a value that is one of its arguments: what they have in common (`x if x > 0 else 1` is not the whole line)."""
    return narrowest(domains, CLOSED_UNDER_PRODUCTS)


def maximum_domain(left: str, right: str) -> str:
    """As `choice_domain`, and at least what one of them is known to exceed."""
    common = choice_domain(left, right)
    if common == UNKNOWN or common in ("nonnegative", "unit_interval"):
        return next((sign for sign in ("positive", "nonnegative") if within(left, sign) or within(right, sign)), common)
    return common


def keeps(*supports: str) -> Callable[..., str]:
    """The rule of a function that maps each of `supports` into itself; the narrowest stands first."""
    return lambda *domains: narrowest(domains, supports)


def log_domain(domain: str) -> str:
    """Of a function that maps the positive numbers onto the whole line."""
    return "real" if domain == "positive" else UNKNOWN


def sqrt_domain(domain: str) -> str:
    return "positive" if within(domain, "positive") else "nonnegative"


def odd_domain(domain: str) -> str:
    """Of an odd increasing function onto the whole line."""
    return "real" if domain == "real" else narrowest((domain,), ("positive", "nonnegative"))


def rounded_domain(domain: str) -> str:
    return "count" if within(domain, "nonnegative") else "integer"


def sign_domain(domain: str) -> str:
    return "boolean" if within(domain, "nonnegative") else "integer"
