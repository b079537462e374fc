"""Building expressions: every constructor checks shapes, infers the type and simplifies on the way.

Both doors build with these, so a whole-array statement and its indexed form end as the same expression:
`named` pushes an index through elementwise calls down to the arrays that are read.
"""

from ppl.model.construct.calls import (
    axis_index,
    call,
    check_room,
    constant,
    data,
    domain_of,
    fits,
    fresh_axis,
    match_core,
    roomy,
    streamed,
    unify,
    unify_values,
)
from ppl.model.construct.indexing import Cut, Item, index, is_affine_index
from ppl.model.construct.naming import gather, lift, named, over, rename, slice_of
from ppl.model.construct.products import log_density, matmul, stack

__all__ = [
    "Cut",
    "Item",
    "axis_index",
    "call",
    "check_room",
    "constant",
    "data",
    "domain_of",
    "fits",
    "fresh_axis",
    "gather",
    "index",
    "is_affine_index",
    "lift",
    "log_density",
    "match_core",
    "matmul",
    "named",
    "over",
    "rename",
    "roomy",
    "slice_of",
    "stack",
    "streamed",
    "unify",
    "unify_values",
]
