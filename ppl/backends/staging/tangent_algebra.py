"""Tangents of linear algebra, in all directions at once; see `tangents`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ppl import linear
from ppl.backends.staging.graph import Ref, Shape
from ppl.backends.staging.kernels import solve_wide
from ppl.backends.staging.shapes import padded
from ppl.backends.staging.tangent_calls import CallRule, Given, rule


def _product(given: Given) -> Ref | None:
    """Matrix products, with vectors as matrices of one row or column."""
    builder, refs = given.builder, [given.ref(0), given.ref(1)]
    a, b = (ref.shape for ref in refs)
    wide = [a if len(a) > 1 else (1, *a), b if len(b) > 1 else (*b, 1)]
    rank = max(map(len, wide))
    lead = np.broadcast_shapes(*(shape[:-2] for shape in wide))
    out = (given.count, *padded(lead, rank - 2), wide[0][-2], wide[1][-1])
    terms = []
    for place in (0, 1):
        move = given.moves[place]
        if move is not None:
            pair = [builder.reshape(ref, shape) for ref, shape in zip(refs, wide, strict=True)]
            pair[place] = builder.reshape(move, (given.count, *padded(wide[place], rank)))
            terms.append(builder.broadcast(_matmul(given, pair[0], pair[1], out), out))
    return builder.reshape(builder.linear(terms), given.shape)


def _matmul(given: Given, a: Ref, b: Ref, out: Shape) -> Ref:
    """`a @ b`; by a matrix that is the same for all rows in one product, and once for rows that are the same."""
    builder, thin = given.builder, given.builder.thin(a.node)
    if thin is not a.node and len(thin.shape or ()) >= 2 and (thin.shape or ())[-1] == a.shape[-1]:
        a = Ref(thin, a.factor)
        out = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if len(b.shape) == 2 and len(a.shape) > 2:
        flat = builder.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
        found = given.called(np.matmul, flat, b, shape=(flat.shape[0], b.shape[-1]))
        return builder.reshape(found, out)
    return given.called(np.matmul, a, b, shape=out)


def _einsum(given: Given) -> Ref | None:
    """Where all operands and the answer begin with an ellipsis, which the directions join."""
    subscripts, *operands = given.values
    parts = str(subscripts).replace("->", ",").split(",")
    if given.keywords or not all(part.strip().startswith("...") for part in parts):
        return None
    refs = [given.ref(1 + place) for place in range(len(operands))]
    extra = max(len(ref.shape) - (len(part.strip()) - 3) for ref, part in zip(refs, parts, strict=False))
    terms = []
    for place, part in enumerate(parts[:-1]):
        move = given.move(1 + place, extra + len(part.strip()) - 3)
        if move is not None:
            terms.append(given.called(np.einsum, subscripts, *refs[:place], move, *refs[place + 1 :]))
    return given.builder.linear(terms)


def _inverse(given: Given) -> Ref | None:
    """Of matrices: minus the inverse times the change times the inverse."""
    value, move = Ref(given.node), given.only()
    if move is None:
        return None
    left = given.called(np.matmul, value, move)
    return given.called(np.matmul, left, value).times(-1.0)


def _solved(given: Given, solve: Callable[[Ref, Ref], Ref], change: Callable[[Ref], Ref]) -> Ref | None:
    """Of `x` with `a @ x = b`: `a⁻¹ (db - da @ x)`."""
    matrix, right, value = given.ref(0), given.ref(1), Ref(given.node)
    rank = max(len(matrix.shape), len(right.shape))
    if len(right.shape) < 2:
        return None
    terms = []
    if (move := given.move(1, rank)) is not None:
        terms.append(given.builder.broadcast(move, given.shape))
    if (move := given.move(0, rank)) is not None:
        terms.append(given.called(np.matmul, change(move), value).times(-1.0))
    return solve(matrix, given.builder.linear(terms))


def _solve(given: Given) -> Ref | None:
    return _solved(given, lambda matrix, right: given.called(np.linalg.solve, matrix, right), lambda move: move)


def _solve_triangular(given: Given) -> Ref | None:
    lower = given.values[2]
    return _solved(
        given,
        lambda matrix, right: given.called(solve_wide, matrix, right, lower),
        lambda move: given.called(np.tril if lower else np.triu, move, shape=move.shape),
    )


def _cholesky(given: Given) -> Ref | None:
    """`L Φ(L⁻¹ dA L⁻ᵀ)`, where Φ takes the lower triangle and half the diagonal (Murray 2016)."""
    builder, factor, move = given.builder, Ref(given.node), given.only()
    if move is None:
        return None
    size = factor.shape[-1]
    half = given.called(solve_wide, factor, move, True)
    whole = given.called(solve_wide, factor, _turned(given, half), True)
    weights = builder.constant(np.tril(np.ones((size, size))) - 0.5 * np.eye(size))
    return given.called(np.matmul, factor, builder.multiply(_turned(given, whole), weights))


def _turned(given: Given, ref: Ref) -> Ref:
    order = list(range(len(ref.shape)))
    order[-2:] = order[-1], order[-2]
    return given.builder.transpose(ref, tuple(order))


def _dot(given: Given) -> Ref | None:
    """`numpy.dot` where that is a matrix product."""
    return _product(given) if max(len(given.ref(place).shape) for place in (0, 1)) <= 2 else None


ALGEBRA: dict[Any, CallRule] = {
    np.matmul: rule(_product),
    np.dot: rule(_dot),
    np.einsum: rule(_einsum),
    np.linalg.inv: rule(_inverse),
    np.linalg.solve: rule(_solve),
    linear.solve_triangular: rule(_solve_triangular),
    linear.cholesky: rule(_cholesky),
}
"""By function."""
