"""Making nodes: every constructor gives the simplest form it knows of what is asked for.

Equal nodes are made once. Identities that hold but for rounding are used freely (`x / c` is `x * (1 / c)`, sums are
reordered, `log(exp(x))` is `x`); `0 * x` stays, since `x` may be infinite. Some pay only where a value has no other
reader: `shared` holds those that have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.arithmetic import Arithmetic
from ppl.backends.staging.graph import (
    Broadcast,
    Call,
    Elementwise,
    Linear,
    Node,
    Place,
    Ref,
    Reshape,
    Shape,
    Slice,
    Sum,
    Transpose,
)
from ppl.backends.staging.kernels import Runs, gather
from ppl.backends.staging.sums import Sums


class Builder(Arithmetic, Sums):
    """Makes the nodes of one graph."""

    def call(self, call: Call, refs: Sequence[Ref], shape: Shape | None, dtype: Any) -> Ref:
        """A function that is not looked into. Factors pass through those that are linear in every operand."""
        if call.function in (np.matmul, gather) or isinstance(call.function, Runs):
            factor = math.prod(ref.factor for ref in refs)
            return Ref(self.make(call, tuple(ref.node for ref in refs), shape, dtype, call.key), factor)
        return Ref(self.make(call, tuple(map(self.node, refs)), shape, dtype, call.key))

    def rebuild(self, node: Node, refs: Sequence[Ref]) -> Ref:
        """The operation of a node applied to other operands."""
        return _REBUILD[type(node.operation)](self, node, refs)


_REBUILD: dict[type, Callable[[Builder, Node, Sequence[Ref]], Ref]] = {
    Elementwise: lambda builder, node, refs: builder.elementwise(node.operation, refs, node.dtype),
    Linear: lambda builder, node, refs: builder.linear(
        ref.times(factor) for ref, factor in zip(refs, node.operation.factors, strict=True)
    ),
    Sum: lambda builder, node, refs: builder.sum(refs[0], node.operation.axes),
    Broadcast: lambda builder, node, refs: builder.broadcast(refs[0], node.operation.shape),
    Reshape: lambda builder, node, refs: builder.reshape(refs[0], node.operation.shape),
    Slice: lambda builder, node, refs: builder.slice(refs[0], node.operation.spans),
    Place: lambda builder, node, refs: builder.place(refs[0], node.operation.spans, node.operation.shape),
    Transpose: lambda builder, node, refs: builder.transpose(refs[0], node.operation.order),
    Call: lambda builder, node, refs: builder.call(node.operation, refs, node.shape, node.dtype),
}
