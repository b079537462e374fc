"""Functions of whole-number labels: indicators, and sums by group."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.functions.base import FUNCTIONS, UNKNOWN, Function, always
from ppl.functions.broadcasting import align_batches
from ppl.functions.domains import keeps


def one_hot(xp: Any, index: Any, *, size: int) -> Any:
    return xp.equal(xp.reshape(index, (*xp.shape(index), 1)), np.arange(size)) * 1


def segment_sum(xp: Any, values: Any, index: Any, *, size: int) -> Any:
    """Labels without batch axes are summed over all batches at once; others become labels of one long vector."""
    if np.ndim(index) == 1:
        return xp.segment_sum(values, index, size)
    values, index = align_batches(xp, (values, index), (1, 1))
    shape = tuple(xp.shape(values))
    offset = size * np.arange(int(np.prod(shape[:-1]))).reshape((*shape[:-1], 1))
    flat = xp.segment_sum(xp.reshape(values, (-1,)), np.reshape(index + offset, -1), offset.size * size)
    return xp.reshape(flat, (*shape[:-1], size))


def _sums_domain(values: str, index: str) -> str:
    """Empty groups sum to 0."""
    return keeps("count", "nonnegative", "integer")(values) if values != "real" else UNKNOWN


for _name, _signature, _said, _example in (
    ("one_hot", "()->(size)", "a vector of `size` elements that is 1 at `index` and 0 elsewhere.", 1),
    ("one_hot_rows", "(n)->(n,size)", "a matrix whose row n is 1 at `index[n]` and 0 elsewhere.", (2, 0, 2, 1)),
):
    FUNCTIONS.register(
        Function(
            _name,
            ("index",),
            one_hot,
            _signature,
            f"Indicators: {_said}",
            static=("size",),
            domain=always("boolean"),
            differentiable=False,
            example=(_example,),
            example_static={"size": 3},
            positions=("index",),
            alternatives=("one_hot_rows",) if _name == "one_hot" else (),
        )
    )
FUNCTIONS.register(
    Function(
        "segment_sum",
        ("values", "index"),
        segment_sum,
        "(n),(n)->(size)",
        "Sums by group: element j is the sum of the `values` whose `index` is j, of `size` groups.",
        static=("size",),
        domain=_sums_domain,
        example=((0.3, -1.2, 2.1, 0.4), (2, 0, 2, 1)),
        example_static={"size": 4},
        positions=("index",),
    )
)
