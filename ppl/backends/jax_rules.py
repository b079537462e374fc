"""Operations of `ppl.numeric.Namespace` over JAX whose derivatives are not those of `jax.numpy`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.backends.jax_host import call_on_host
from ppl.linear import summed_to

Array = Any
_TINY = float(np.finfo(float).tiny)
_MOST_PADDING = 4
"""Groups are summed as rows of a padded table while the table has at most this many times their elements."""


def traced(*values: Any) -> bool:
    """Whether one of the values, or of those in a tuple or list of them, is an array of JAX."""
    return any(traced(*value) if isinstance(value, tuple | list) else isinstance(value, jax.Array) for value in values)


def _nonzero(x: Array) -> Array:
    """`x` with zeros replaced by the smallest normal number, to divide by."""
    return jnp.where(x == 0.0, _TINY, x)


@jax.custom_jvp
def log(x: Array) -> Array:
    """`numpy.log`. At 0 a zero cotangent stays zero: an impossible state has no weight and no gradient."""
    return jnp.log(x)


@jax.custom_jvp
def log1p(x: Array) -> Array:
    """`numpy.log1p`, with derivatives at -1 as those of `log` at 0."""
    return jnp.log1p(x)


@log.defjvp
def _log_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return log(*primals), tangents[0] / _nonzero(primals[0])


@log1p.defjvp
def _log1p_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return log1p(*primals), tangents[0] / _nonzero(1.0 + primals[0])


@jax.custom_jvp
def logaddexp(a: Array, b: Array) -> Array:
    """`numpy.logaddexp`. Where both arguments are minus infinity its slopes are a half."""
    return jnp.maximum(a, b) + jnp.log1p(jnp.exp(-jnp.abs(_difference(a, b))))


@logaddexp.defjvp
def _logaddexp_slope(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    difference = _difference(*primals)
    first, second = jax.lax.logistic(difference), jax.lax.logistic(-difference)
    return logaddexp(*primals), first * tangents[0] + second * tangents[1]


def _difference(a: Array, b: Array) -> Array:
    return jnp.where(a == b, 0.0, a - b)


# Draws -------------------------------------------------------------------------------------------------


@jax.custom_vjp
def scale_gradient(value: Array, factor: Array) -> Array:
    """The value; what is carried back through it is multiplied by `factor`."""
    return value


scale_gradient.defvjp(lambda value, factor: (value, factor), lambda factor, g: (g * factor, None))


def implicit(pull_back: Callable[..., dict[str, Any]], draw: Array, parameters: Mapping[str, Array]) -> Array:
    """See `ppl.numeric.Namespace.implicit`. The host carries derivatives back."""
    names = tuple(parameters)

    def pulled(draw: np.ndarray, g: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
        found = pull_back(draw, g, **dict(zip(names, values, strict=True)))
        return [summed_to(np.asarray(found[name]), value.shape) for name, value in zip(names, values, strict=True)]

    def backward(kept: tuple[Array, ...], g: Array) -> tuple[Array | None, ...]:
        draw, *values = kept
        return (None, *call_on_host(pulled, [value.shape for value in values], draw, g, *values))

    @jax.custom_vjp
    def moved(draw: Array, *values: Array) -> Array:
        return draw

    moved.defvjp(lambda draw, *values: (draw, (draw, *values)), backward)
    return moved(jnp.asarray(draw, float), *(jnp.asarray(value, float) for value in parameters.values()))


# Gathering, and its adjoint: sums by group -------------------------------------------------------------


def take(array: Array, index: Array, axis: int) -> Array:
    """`numpy.take` by whole numbers within range."""
    if traced(index):
        return jnp.take(jnp.asarray(array), index, axis=axis, mode="wrap")
    size = array.shape[axis]
    return _Gather(np.where(index < 0, np.add(index, size), index), axis, size)(array)


def segment_sum(values: Array, index: Array, size: int) -> Array:
    """Sums of the values of each index along the last axis: (…, n), (n,) to (…, size)."""
    values = jnp.asarray(values)
    if traced(index):
        return jnp.zeros((*values.shape[:-1], size), values.dtype).at[..., index].add(values)
    return _group_sums(values, np.asarray(index), values.ndim - 1, size)


class _Gather:
    """Reads at fixed positions along an axis, whose adjoint is `_group_sums`."""

    def __init__(self, index: np.ndarray, axis: int, size: int) -> None:
        rule = jax.custom_vjp(self._read)
        rule.defvjp(lambda array: (self._read(array), None), self._adjoint)
        self._index, self._axis, self._size = index, axis, size
        self._rule = rule

    def __call__(self, array: Array) -> Array:
        return self._rule(array)

    def _read(self, array: Array) -> Array:
        return jnp.take(array, self._index, axis=self._axis, mode="clip")

    def _adjoint(self, _: None, cotangent: Array) -> tuple[Array]:
        shape = cotangent.shape
        flat = (*shape[: self._axis], self._index.size, *shape[self._axis + self._index.ndim :])
        return (_group_sums(jnp.reshape(cotangent, flat), self._index.reshape(-1), self._axis, self._size),)


def _group_sums(values: Array, index: np.ndarray, axis: int, size: int) -> Array:
    """Element j along `axis` is the sum of the values whose index is j.

    Where the groups are of similar sizes their elements are read into a padded table and summed along its rows, which
    XLA vectorises; a scatter adds one element after the other.
    """
    places = _table(index, size)
    if places.size > _MOST_PADDING * max(index.size, 1):
        shape = (*values.shape[:axis], size, *values.shape[axis + 1 :])
        return jnp.zeros(shape, values.dtype).at[(slice(None),) * axis + (index,)].add(values)
    if np.array_equal(places.reshape(-1), np.arange(index.size)):
        table = values
    else:
        zero = jnp.zeros((*values.shape[:axis], 1, *values.shape[axis + 1 :]), values.dtype)
        table = jnp.take(jnp.concatenate([values, zero], axis=axis), places.reshape(-1), axis=axis, mode="clip")
    split = (*values.shape[:axis], *places.shape, *values.shape[axis + 1 :])
    return jnp.sum(jnp.reshape(table, split), axis=axis + 1)


def _table(index: np.ndarray, size: int) -> np.ndarray:
    """The positions of each group's elements, (size, of the largest group), the number of all where there are none."""
    counts = np.bincount(index, minlength=size)
    order = np.argsort(index, kind="stable")
    ranks = np.arange(index.size) - np.repeat(np.cumsum(counts) - counts, counts)
    places = np.full((size, int(counts.max(initial=0))), index.size)
    places[index[order], ranks] = order
    return places


# Hidden Markov chains ----------------------------------------------------------------------------------


def chain(log_weights: Array) -> Array:
    """The log sum of the weights of all paths; see `ppl.chains`."""

    def step(before: Array, weights: Array) -> tuple[Array, None]:
        return _log_sum(before[..., :, None] + weights, -2), None

    last, _ = jax.lax.scan(step, log_weights[0][..., 0, :], log_weights[1:])
    return _log_sum(last, -1)


def _log_sum(x: Array, axis: int) -> Array:
    """log sum exp along an axis; minus infinity, and no gradient, where all are."""
    top = jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    return log(jnp.sum(jnp.exp(x - top), axis=axis)) + jnp.squeeze(top, axis)
