"""The bordered Cholesky factor against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppl.inference.sparsity import factorise, find_pattern, pattern_of


def arrow(rng: np.random.Generator, groups: int, size: int, border: int) -> np.ndarray:
    """A random positive definite matrix: blocks of `size` and a full border, variables in random order."""
    dim = groups * size + border
    mask = np.zeros((dim, dim), dtype=bool)
    for group in range(groups):
        block = slice(group * size, (group + 1) * size)
        mask[block, block] = True
    mask[groups * size :, :] = mask[:, groups * size :] = True
    matrix = np.where(mask, rng.normal(size=(dim, dim)), 0.0)
    matrix = matrix + matrix.T + 3.0 * dim * np.eye(dim)
    order = rng.permutation(dim)
    return matrix[np.ix_(order, order)]


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 3), st.integers(0, 10_000))
def test_factor_solves_like_the_dense_matrix(groups: int, size: int, border: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    precision = arrow(rng, groups, size, border)
    dim = len(precision)
    pattern = find_pattern(lambda u: -u @ precision, dim)
    step = rng.uniform(0.5, 2.0, (3, dim))
    moved = -(pattern.shifts[None] * step[:, None, :]) @ precision
    factor = factorise(pattern, moved, step)
    vectors = rng.normal(size=(3, dim))
    assert factor.sound.all()
    np.testing.assert_allclose(factor.solve(vectors), np.linalg.solve(precision, vectors.T).T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(factor.log_det, np.linalg.slogdet(precision)[1], rtol=1e-10)
    # draws have precision P: the map L'^-1 applied to the identity gives a root of the covariance
    root = factor.take(np.zeros(dim, dtype=int)).backward(np.eye(dim))
    np.testing.assert_allclose(root.T @ root, np.linalg.inv(precision), rtol=1e-8, atol=1e-12)


def test_groups_need_few_gradients() -> None:
    """Eighty-five independent effects and two fixed ones take three gradients, not eighty-seven."""
    precision = arrow(np.random.default_rng(0), 85, 1, 2)
    assert len(find_pattern(lambda u: -u @ precision, 87).shifts) == 3


def chain(rng: np.random.Generator, size: int, width: int, border: int) -> np.ndarray:
    """A random positive definite matrix: a band and a full border."""
    dim = size + border
    mask = np.abs(np.subtract.outer(np.arange(dim), np.arange(dim))) <= width
    mask[size:, :] = mask[:, size:] = True
    matrix = np.where(mask, rng.normal(size=(dim, dim)), 0.0)
    return matrix + matrix.T + 3.0 * dim * np.eye(dim)


@pytest.mark.parametrize(("size", "width", "border"), [(30, 1, 0), (200, 1, 2), (60, 3, 1)])
def test_a_chain_is_factored_as_a_band(size: int, width: int, border: int) -> None:
    rng = np.random.default_rng(0)
    precision = chain(rng, size, width, border)
    pattern = find_pattern(lambda u: -u @ precision, len(precision))
    assert [members.shape for members in pattern.components] == [(1, size)]
    assert pattern.widths == (width,)
    assert len(pattern.shifts) == 2 * width + 1 + border
    step = np.ones((2, len(precision)))
    factor = factorise(pattern, -(pattern.shifts[None] * step[:, None]) @ precision, step)
    vectors = rng.normal(size=(2, len(precision)))
    assert factor.sound.all()
    np.testing.assert_allclose(factor.solve(vectors), np.linalg.solve(precision, vectors.T).T, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(factor.log_det, np.linalg.slogdet(precision)[1], rtol=1e-10)


def test_a_matrix_that_is_not_positive_definite_is_flagged() -> None:
    matrix = np.diag([1.0, -2.0, 3.0])
    pattern = pattern_of(matrix != 0)
    step = np.ones((1, 3))
    factor = factorise(pattern, -(pattern.shifts[None] * step[:, None]) @ matrix, step)
    assert not factor.sound[0]
    assert np.isfinite(factor.log_det).all()


@pytest.mark.parametrize("rows", [1, 5])
def test_put_and_take_exchange_rows(rows: int) -> None:
    rng = np.random.default_rng(3)
    precision = arrow(rng, 4, 2, 1)
    pattern = find_pattern(lambda u: -u @ precision, len(precision))
    step = np.ones((rows, len(precision)))
    moved = -(pattern.shifts[None] * step[:, None]) @ precision
    one, double = factorise(pattern, moved, step), factorise(pattern, 2.0 * moved, step)
    one.put(np.array([rows - 1]), double.take(np.array([0])))
    expected = np.full(rows, np.linalg.slogdet(precision)[1])
    expected[-1] += len(precision) * np.log(2.0)
    np.testing.assert_allclose(one.log_det, expected, rtol=1e-10)


@pytest.mark.parametrize(("size", "width", "border"), [(4, 1, 0), (9, 1, 2), (20, 2, 1), (24, 1, 0)])
def test_short_chains_are_factored_densely(size: int, width: int, border: int) -> None:
    """Their zeros are entries that the factor reads too."""
    rng = np.random.default_rng(1)
    precision = chain(rng, size, width, border)
    pattern = find_pattern(lambda u: -u @ precision, len(precision))
    factor = factorise(pattern, -pattern.shifts[None] @ precision, np.ones((1, len(precision))))
    vectors = rng.normal(size=(1, len(precision)))
    np.testing.assert_allclose(factor.solve(vectors), np.linalg.solve(precision, vectors.T).T, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(factor.log_det, np.linalg.slogdet(precision)[1], rtol=1e-10)


def test_couplings_of_badly_scaled_variables_are_found() -> None:
    """Units that differ by 10^6 between neighbours."""
    scale = np.array([1e6, 1.0, 1e-6, 1e3])
    precision = np.array([[2.0, 0.5, 0.0, 0.3], [0.5, 2.0, 0.4, 0.0], [0.0, 0.4, 2.0, 0.1], [0.3, 0.0, 0.1, 2.0]])
    precision = precision * scale[:, None] * scale[None, :]
    pattern = find_pattern(lambda u: -u @ precision, 4)
    factor = factorise(pattern, -pattern.shifts[None] @ precision, np.ones((1, 4)))
    np.testing.assert_allclose(factor.log_det, np.linalg.slogdet(precision)[1], rtol=1e-9)
