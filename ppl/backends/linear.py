"""The operations of `ppl.linear` made differentiable, each derivative written with the same operations."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.numpy.linalg import grad_cholesky

from ppl import linear

solve_triangular = primitive(linear.solve_triangular)
eigenvalues = primitive(linear.eigenvalues)
add_runs = primitive(linear.add_runs)
cholesky = primitive(linear.cholesky)
defvjp(cholesky, grad_cholesky)


@primitive
def take(array: Any, index: Any, axis: int) -> Any:
    """`numpy.take` by whole numbers."""
    return np.take(array, index, axis=axis)


defvjp(take, lambda answer, array, index, axis: lambda g: add_runs(g, index, axis, np.shape(array)), argnums=(0,))
defvjp(add_runs, lambda answer, cotangent, index, axis, shape: lambda g: take(g, index, axis), argnums=(0,))
defjvp(take, lambda g, answer, array, index, axis: take(g, index, axis), argnums=(0,))
defjvp(add_runs, lambda g, answer, cotangent, index, axis, shape: add_runs(g, index, axis, shape), argnums=(0,))


@primitive
def element(array: Any, key: tuple[Any, ...], *places: Any) -> Any:
    """`array[key]` with the computed `places` put back into the key; see `split_key`."""
    return array[_joined(key, places)]


@primitive
def put(values: Any, key: tuple[Any, ...], shape: tuple[int, ...], *places: Any) -> Any:
    """Zeros with the values added at a key: the adjoint of `element`."""
    total = np.zeros(shape)
    np.add.at(total, _joined(key, places), values)
    return total


def split_key(key: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A key with holes for the arrays in it, and the arrays."""
    arrays = [part is not None and not isinstance(part, slice | int | type(Ellipsis)) for part in key]
    holes = tuple(HOLE if array else part for part, array in zip(key, arrays, strict=True))
    return holes, tuple(part for part, array in zip(key, arrays, strict=True) if array)


HOLE = "place"


def _joined(key: tuple[Any, ...], places: tuple[Any, ...]) -> tuple[Any, ...]:
    rest = iter(places)
    return tuple(next(rest) if part is HOLE else part for part in key)


defvjp(element, lambda answer, array, key, *places: lambda g: put(g, key, np.shape(array), *places), argnums=(0,))
defvjp(put, lambda answer, values, key, shape, *places: lambda g: element(g, key, *places), argnums=(0,))
defjvp(element, lambda g, answer, array, key, *places: element(g, key, *places), argnums=(0,))
defjvp(put, lambda g, answer, values, key, shape, *places: put(g, key, shape, *places), argnums=(0,))


def segment_sum(values: Any, index: Any, size: int) -> Any:
    shape = np.shape(values)
    return add_runs(values, index, len(shape) - 1, (*shape[:-1], size))


def _transposed(matrix: Any) -> Any:
    return anp.swapaxes(matrix, -1, -2)


def _triangle(matrix: Any, lower: bool) -> Any:
    return anp.tril(matrix) if lower else anp.triu(matrix)


def _matrix_rule(answer: Any, matrix: Any, right: Any, lower: bool) -> Any:
    def vjp(g: Any) -> Any:
        adjoint = solve_triangular(_transposed(matrix), g, not lower)
        return -_triangle(anp.matmul(adjoint, _transposed(answer)), lower)

    return vjp


def _slope_by_matrix(g: Any, answer: Any, matrix: Any, right: Any, lower: bool) -> Any:
    return -solve_triangular(matrix, anp.matmul(_triangle(g, lower), answer), lower)


defvjp(
    solve_triangular,
    _matrix_rule,
    lambda answer, matrix, right, lower: lambda g: solve_triangular(_transposed(matrix), g, not lower),
    argnums=(0, 1),
)
defjvp(
    solve_triangular,
    _slope_by_matrix,
    lambda g, answer, matrix, right, lower: solve_triangular(matrix, g, lower),
    argnums=(0, 1),
)


def _eigenvectors(matrix: Any) -> Any:
    """Differentiable where no two eigenvalues coincide, for second derivatives."""
    return anp.linalg.eigh(matrix)[1]


def _eigenvalue_rule(answer: Any, matrix: Any) -> Any:
    """Right also where eigenvalues coincide, for symmetric functions of them."""

    def vjp(g: Any) -> Any:
        vectors = _eigenvectors(matrix)
        return anp.matmul(vectors * g[..., None, :], _transposed(vectors))

    return vjp


def _eigenvalue_slope(g: Any, answer: Any, matrix: Any) -> Any:
    vectors = _eigenvectors(matrix)
    return anp.sum(vectors * anp.matmul(g, vectors), axis=-2)


defvjp(eigenvalues, _eigenvalue_rule)
defjvp(eigenvalues, _eigenvalue_slope)
