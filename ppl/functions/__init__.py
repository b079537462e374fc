"""The functions of the language, one file a group; each file registers its own."""

from ppl.functions.base import FUNCTIONS, UNKNOWN, Function, core_dimensions, for_ranks

__all__ = ["FUNCTIONS", "UNKNOWN", "Function", "core_dimensions", "for_ranks"]
