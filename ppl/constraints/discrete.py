"""Supports of whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.base import SUPPORTS, Support


def _integer(value: Any) -> Any:
    return np.isfinite(value) & (np.floor(value) == value)


def _composition(value: Any, total: Any) -> Any:
    return np.all(_integer(value) & (np.asarray(value) >= 0), axis=-1) & (np.sum(value, axis=-1) == total)


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
