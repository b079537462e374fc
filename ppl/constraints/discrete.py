"""Supports of whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.base import SUPPORTS, Support


def _integer(value: Any) -> Any:
    return np.isfinite(value) & (np.floor(value) == value)


def _composition(value: Any, total: Any) -> Any:
    return np.all(_integer(value) & (np.asarray(value) >= 0), axis=-1) & (np.sum(value, axis=-1) == total)


def _neighbours(value: Any) -> Any:
    value = np.asarray(value)
    both_ways = np.all(value == np.swapaxes(value, -1, -2), axis=(-2, -1))
    single = np.all(((value == 0) | (value == 1)) & (value * np.eye(value.shape[-1]) == 0), axis=(-2, -1))
    return both_ways & single


SUPPORTS.register(Support("integer", contains=_integer, describe="a whole number", discrete=True, within=("real",)))

SUPPORTS.register(
    Support(
        "count",
        contains=lambda x: _integer(x) & (x >= 0),
        describe="a count (0, 1, 2, …)",
        discrete=True,
        within=("integer", "nonnegative"),
    )
)

SUPPORTS.register(
    Support(
        "boolean",
        contains=lambda x: (np.asarray(x) == 0) | (np.asarray(x) == 1),
        describe="0 or 1",
        discrete=True,
        within=("count", "unit_interval"),
    )
)

SUPPORTS.register(
    Support(
        "integer_from",
        contains=lambda x, lower: _integer(x) & (x >= lower),
        describe="a whole number from {0} on",
        arguments=("lower",),
        discrete=True,
        within=("integer",),
        example=((2,), ()),
    )
)

SUPPORTS.register(
    Support(
        "integer_interval",
        contains=lambda x, lower, upper: _integer(x) & (x >= lower) & (x <= upper),
        describe="a whole number from {0} to {1}",
        arguments=("lower", "upper"),
        discrete=True,
        within=("integer",),
        example=((-1, 3), ()),
    )
)

SUPPORTS.register(
    Support(
        "composition",
        contains=_composition,
        describe="counts that sum to {0}",
        arguments=("total",),
        event_rank=1,
        discrete=True,
        within=("count",),
        example=((5,), (3,)),
    )
)

SUPPORTS.register(
    Support(
        "adjacency",
        contains=_neighbours,
        describe="symmetric of 0 and 1 with zeros on the diagonal",
        event_rank=2,
        discrete=True,
        within=("boolean",),
        example=((), (4, 4)),
    )
)
