"""Densities at points where some matrix is singular: no number there, which a search steps back from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Arrays = tuple[np.ndarray, ...]


def where_possible(function: Callable[[np.ndarray], Arrays], rows: np.ndarray, *shapes: tuple[int, ...]) -> Arrays:
    """The arrays (draws, *shape) that a function has of rows (draws, dim), one for each of `shapes`.

    NaN at rows at which linear algebra fails; those are found by halving.
    """
    try:
        return function(rows)
    except np.linalg.LinAlgError:
        if len(rows) == 1:
            return tuple(np.full((1, *shape), np.nan) for shape in shapes)
    half = len(rows) // 2
    parts = [where_possible(function, part, *shapes) for part in (rows[:half], rows[half:])]
    return tuple(np.concatenate(pair) for pair in zip(*parts, strict=True))
