"""Supports, and bijections between them and the reals. One file a group; each file registers its own."""

from ppl.constraints.base import SUPPORTS, Bijection, Support, is_within

__all__ = ["SUPPORTS", "Bijection", "Support", "is_within"]
