"""Distributions, one file a family; each file registers its own."""

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse

__all__ = ["DISTRIBUTIONS", "Distribution", "Parameter", "SupportUse"]
