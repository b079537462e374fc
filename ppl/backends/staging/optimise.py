"""From a tape to the smallest graph found: translated, then rebuilt while that makes it smaller."""

from __future__ import annotations

from collections.abc import Sequence

from ppl.backends.staging.build import Builder
from ppl.backends.staging.graph import Constant, Input, Node, Ref, in_order, use_counts
from ppl.backends.staging.recording import Tape
from ppl.backends.staging.translate import translate

ROUNDS = 6


def optimised(tape: Tape) -> list[Node]:
    """The nodes of the values that the tape returns."""
    builder = Builder()
    outputs = [builder.node(ref) for ref in translate(builder, tape)]
    cost = len(in_order(outputs))
    for number in range(ROUNDS):
        again = rebuilt(outputs)
        smaller = len(in_order(again))
        if smaller >= cost and number:
            break
        outputs, cost = again, smaller
    return outputs


def rebuilt(outputs: Sequence[Node]) -> list[Node]:
    """The same values made again, by a builder that knows which are read more than once."""
    builder = Builder()
    uses = use_counts(outputs)
    made: dict[Node, Ref] = {}
    for node in uses:
        if isinstance(node.operation, Constant):
            made[node] = builder.constant(node.operation.value)
        elif isinstance(node.operation, Input):
            made[node] = Ref(builder.make(node.operation, (), node.shape, node.dtype))
        else:
            made[node] = builder.rebuild(node, [made[operand] for operand in node.operands])
        if uses[node] > 1:
            builder.shared.add(builder.thin(made[node].node))
    return [builder.node(made[node]) for node in outputs]
