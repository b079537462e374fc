"""Data that are read part by part: sources of columns, and files that are written whole or not at all."""

from ppl.streams.column import Column, Facts, Source
from ppl.streams.opening import open_data

__all__ = ["Column", "Facts", "Source", "open_data"]
