"""From a tape to the smallest graph found: translated, then rebuilt while that makes it smaller."""

from __future__ import annotations

from collections.abc import Sequence

from ppl.backends.staging.build import Builder
from ppl.backends.staging.graph import FLOAT, Constant, Input, Node, Ref, Shape, in_order, use_counts
from ppl.backends.staging.recording import Tape
from ppl.backends.staging.tangents import tangents_of
from ppl.backends.staging.translate import translate

ROUNDS = 6


def optimised(tape: Tape) -> list[Node]:
    """The nodes of the values that the tape returns."""
    builder = Builder()
    return simplified([builder.node(ref) for ref in translate(builder, tape)])


def moved(tape: Tape, places: Sequence[int], directions: Shape) -> list[Node]:
    """The values that the tape returns, and the tangents of those at `places` as its first argument moves.

    The directions, of that shape, are one argument more: (directions, *shape of the first argument) when broadcast.
    Raises NotRecordable where a function has no derivative.
    """
    builder = Builder(holding=True)
    outputs = translate(builder, tape)
    first = tape.inputs[0]
    moving = builder.make(Input(0), (), first.shape, first.dtype)
    given = Ref(builder.make(Input(len(tape.inputs)), (), directions, FLOAT))
    seed = builder.broadcast(given, (directions[0], *first.shape))
    tangents = tangents_of(builder, [outputs[place] for place in places], moving, seed)
    return simplified([builder.node(ref) for ref in (*outputs, *tangents)])


def simplified(outputs: list[Node]) -> list[Node]:
    """Made again while that makes the graph smaller."""
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
