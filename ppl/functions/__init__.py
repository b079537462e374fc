"""The functions of the language, one file a group; each file registers its own."""

from ppl.functions.base import FUNCTIONS, UNKNOWN, Function, core_dimensions

__all__ = ["FUNCTIONS", "UNKNOWN", "Function", "core_dimensions"]
