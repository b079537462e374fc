"""Sums over the rows of large plates over JAX: at once while that fits, else block by block in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.backends.jax_rules import traced
from ppl.blocks import ROWS, Blocks

Array = Any
AT_ONCE = 1 << 25
"""Elements, draws times rows, of the arrays that may be made at once."""


def total(xp: Any, blocks: Blocks, rows: Sequence[Array], given: Sequence[Array]) -> Array:
    """The sum for each draw: (draws,). The terms of a block are computed again for its derivatives, not kept."""
    draws = blocks.draws(given)
    if draws * blocks.size <= AT_ONCE:
        return blocks.at_once(xp, rows, given)
    leading = blocks.leading(given)
    run = jax.checkpoint(blocks.program(blocks.one, xp))
    count = blocks.size // ROWS

    def add(sums: Array, part: list[Array]) -> tuple[Array, None]:
        moving = iter(part)
        whole = [array if at is None else next(moving) for array, at in zip(rows, blocks.row_at, strict=True)]
        return sums + run(whole, leading), None

    stacked = [_cut(array, at, count) for array, at in zip(rows, blocks.row_at, strict=True) if at is not None]
    sums, _ = jax.lax.scan(add, jnp.zeros(draws), stacked)
    rest = [part for terms, part in blocks.parts(rows) if terms is blocks.last]
    return sums + blocks.program(blocks.last, xp)(rest[0], leading) if rest else sums


def _cut(array: Array, axis: int, count: int) -> Array:
    """The first `count` blocks along an axis, one after the other along a new first axis."""
    xp = jnp if traced(array) else np
    whole = array[(slice(None),) * axis + (slice(count * ROWS),)]
    cut = xp.reshape(whole, (*whole.shape[:axis], count, ROWS, *whole.shape[axis + 1 :]))
    return xp.moveaxis(cut, axis, 0)
