"""Reading elements of an array at indices that vary over batch axes."""

from __future__ import annotations

from typing import Any

import numpy as np


def take_last(xp: Any, table: Any, index: Any) -> Any:
    """`table[..., index]`: the batch axes of `table` and all axes of the integer array `index` broadcast."""
    batch = tuple(xp.shape(table))[:-1]
    places = [np.arange(size).reshape(size, *(1,) * (len(batch) - 1 - axis)) for axis, size in enumerate(batch)]
    return xp.element(table, (*places, index))
