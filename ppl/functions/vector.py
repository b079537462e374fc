"""Functions of vectors, and the making of arrays from parts."""

from __future__ import annotations

from typing import Any

from ppl.functions.base import FUNCTIONS, Function, always
from ppl.functions.broadcasting import align_batches
from ppl.functions.domains import choice_domain, keeps, odd_domain, sum_domain
from ppl.functions.reductions import log_sum_exp

VECTOR = (0.3, -1.2, 2.1)
OTHER = (0.8, 1.7, -0.4)


def log_softmax(xp: Any, x: Any) -> Any:
    return x - log_sum_exp(xp, x, (-1,))[..., None]


def _softmax(xp: Any, x: Any) -> Any:
    weight = xp.exp(x - xp.stop_gradient(xp.max(x, axis=-1, keepdims=True)))
    return weight / xp.sum(weight, axis=-1, keepdims=True)


def _sort(xp: Any, x: Any) -> Any:
    """By indices, which is differentiable for any number of batch axes."""
    rows = xp.reshape(x, (-1, xp.shape(x)[-1]))
    order = xp.argsort(rows, axis=-1)
    return xp.reshape(rows[xp.arange(xp.shape(rows)[0])[:, None], order], xp.shape(x))


def _stack(xp: Any, *parts: Any, event_rank: int) -> Any:
    aligned = align_batches(xp, parts, (event_rank,) * len(parts))
    return xp.stack(aligned, axis=-1 - event_rank)


def _concatenate(xp: Any, *parts: Any, event_rank: int) -> Any:
    aligned = align_batches(xp, parts, (event_rank,) * len(parts))
    return xp.concatenate(aligned, axis=-event_rank)


FUNCTIONS.register(
    Function(
        "dot",
        ("a", "b"),
        lambda xp, a, b: xp.sum(a * b, axis=-1),
        "(n),(n)->()",
        "Sum of the products of two vectors' elements.",
        domain=lambda a, b: sum_domain(a) if a != "real" and a == b else "unknown",
        numpy=("numpy.vecdot",),
        example=(VECTOR, OTHER),
    )
)
FUNCTIONS.register(
    Function(
        "outer",
        ("a", "b"),
        lambda xp, a, b: a[..., :, None] * b[..., None, :],
        "(m),(n)->(m,n)",
        "Every product of an element of `a` (rows) and one of `b` (columns).",
        numpy=("numpy.outer",),
        example=(VECTOR, (0.8, 1.7)),
    )
)
FUNCTIONS.register(
    Function(
        "softmax",
        ("x",),
        _softmax,
        "(n)->(n)",
        "`exp(x) / sum(exp(x))`.",
        domain=always("simplex"),
        numpy=("scipy.special.softmax",),
        example=(VECTOR,),
    )
)
FUNCTIONS.register(
    Function(
        "log_softmax",
        ("x",),
        log_softmax,
        "(n)->(n)",
        "`x - log_sum_exp(x)`.",
        numpy=("scipy.special.log_softmax",),
        example=(VECTOR,),
    )
)
FUNCTIONS.register(
    Function(
        "cumsum",
        ("x",),
        lambda xp, x: xp.cumsum(x, axis=-1),
        "(n)->(n)",
        "Running sums.",
        domain=sum_domain,
        numpy=("numpy.cumsum",),
        example=(VECTOR,),
    )
)
FUNCTIONS.register(
    Function(
        "sort",
        ("x",),
        _sort,
        "(n)->(n)",
        "The elements in increasing order.",
        domain=keeps("boolean", "positive", "count", "unit_interval", "nonnegative", "integer"),
        numpy=("numpy.sort",),
        example=(VECTOR,),
    )
)
FUNCTIONS.register(
    Function(
        "reverse",
        ("x",),
        lambda xp, x: x[..., ::-1],
        "(n)->(n)",
        "The elements from last to first.",
        domain=odd_domain,
        numpy=("numpy.flip",),
        example=(VECTOR,),
    )
)
FUNCTIONS.register(
    Function(
        "stack",
        ("x…",),
        _stack,
        "(...)->(k,...)",
        "Arrays of one shape laid side by side along a new first axis.",
        domain=choice_domain,
        numpy=("numpy.stack",),
        example=(0.3, -1.2, 2.1),
    )
)
FUNCTIONS.register(
    Function(
        "concatenate",
        ("x…",),
        _concatenate,
        "(k,...)->(k,...)",
        "Arrays joined along their first axis.",
        domain=choice_domain,
        numpy=("numpy.concatenate",),
        example=(VECTOR, (0.8, 1.7)),
    )
)
