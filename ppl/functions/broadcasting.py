"""Broadcasting of batch axes for functions that NumPy does not broadcast, or not differentiably."""

from __future__ import annotations

from typing import Any

import numpy as np


def align_batches(xp: Any, arrays: tuple[Any, ...], ranks: tuple[int, ...]) -> list[Any]:
    """Give `arrays` one common batch shape; the last `ranks[i]` axes of array i are its own."""
    shapes = [tuple(xp.shape(array)) for array in arrays]
    batches = [shape[: len(shape) - rank] for shape, rank in zip(shapes, ranks, strict=True)]
    common = np.broadcast_shapes(*batches)
    aligned = []
    for array, shape, batch in zip(arrays, shapes, batches, strict=True):
        core = shape[len(batch) :]
        padded = (1,) * (len(common) - len(batch)) + shape
        widened = array if padded == shape else xp.reshape(array, padded)
        aligned.append(widened if padded == common + core else xp.broadcast_to(widened, common + core))
    return aligned
