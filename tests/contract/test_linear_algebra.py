"""Kernels against the Bessel formula, triangular systems, eigenvalues and sums by group: values and derivatives."""

import autograd
import numpy as np
import pytest
from contract.tools import AUTOGRAD, check_gradient
from scipy import special
from scipy.spatial.distance import cdist

from ppl.functions import FUNCTIONS
from ppl.numeric import NUMPY

SMOOTHNESS = {"matern12": 0.5, "matern32": 1.5, "matern52": 2.5, "squared_exponential": np.inf}
FORMS = [name + suffix for name in SMOOTHNESS for suffix in ("", "_rows")]


def function(name):
    return FUNCTIONS[name].implementation


def points(name, count, seed=0):
    shape = (count, 3) if name.endswith("_rows") else (count,)
    return np.random.default_rng(seed).normal(size=shape)


def matern(smoothness, r):
    """The general Matérn correlation (Rasmussen and Williams, equation 4.14)."""
    if np.isinf(smoothness):
        return np.exp(-(r**2) / 2)
    scaled = np.sqrt(2 * smoothness) * np.where(r > 0, r, 1.0)
    value = 2 ** (1 - smoothness) / special.gamma(smoothness) * scaled**smoothness * special.kv(smoothness, scaled)
    return np.where(r > 0, value, 1.0)


@pytest.mark.parametrize("name", FORMS)
def test_kernels_against_the_bessel_formula(name):
    x, y = points(name, 7), points(name, 5, seed=1)
    y[0] = x[0]
    r = cdist(x.reshape(7, -1), y.reshape(5, -1)) / 0.8
    expected = 1.7**2 * matern(SMOOTHNESS[name.removesuffix("_rows")], r)
    found = function(name)(NUMPY, x, y, np.asarray(1.7), np.asarray(0.8))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_kernels_are_positive_semidefinite(name):
    for length_scale in (0.01, 0.3, 4.0):
        x = points(name, 30, seed=2)
        matrix = function(name)(NUMPY, x, x, np.asarray(1.3), np.asarray(length_scale))
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_allclose(np.diag(matrix), 1.3**2)
        assert np.linalg.eigvalsh(matrix)[0] > -1e-12


@pytest.mark.parametrize("name", FORMS)
def test_slopes_of_kernels_are_finite_where_points_coincide(name):
    x = points(name, 4)
    arguments = (x, x, np.asarray(1.3), np.asarray(0.7))

    def total(*given):
        return AUTOGRAD.sum(function(name)(AUTOGRAD, *given))

    for place in range(4):
        assert np.all(np.isfinite(autograd.grad(total, place)(*arguments)))
    check_gradient(function(name), arguments, [2, 3])


@pytest.mark.parametrize("size", [1, 5, 70])
@pytest.mark.parametrize("name", ["solve_lower", "solve_upper", "solve_lower_matrix", "solve_upper_matrix"])
def test_triangular_systems(name, size):
    """In batches; the other triangle is not read, and has no slope."""
    rng = np.random.default_rng(3)
    full = rng.normal(size=(2, 1, size, size)) + 3 * np.sqrt(size) * np.eye(size)
    columns = (size, 2) if name.endswith("_matrix") else (size,)
    right = rng.normal(size=(3, *columns))
    triangle = np.tril(full) if "lower" in name else np.triu(full)
    found = function(name)(NUMPY, full, right)
    back = triangle @ (found if right.ndim == 3 else found[..., None])
    np.testing.assert_allclose(back.reshape(found.shape), np.broadcast_to(right, found.shape), rtol=1e-10, atol=1e-12)
    if size < 10:
        check_gradient(function(name), (full, right), [0, 1])


def test_a_singular_triangle_gives_nan_where_it_stands():
    matrices = np.array([[[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [2.0, 1.0]]])
    found = function("solve_lower")(NUMPY, matrices, np.ones(2))
    np.testing.assert_array_equal(np.isnan(found), [[True, True], [False, False]])


def test_eigenvalues_that_coincide_have_slopes():
    """The sum of their logs is the log determinant, whose slope is the inverse."""
    matrix = 2.0 * np.eye(3)

    def log_determinant(a):
        return AUTOGRAD.sum(AUTOGRAD.log(function("eigenvalues")(AUTOGRAD, a)))

    np.testing.assert_allclose(autograd.grad(log_determinant)(matrix), np.eye(3) / 2, atol=1e-15)


def test_second_derivatives():
    """Of quadratic forms through each operation: H v against differences of gradients."""
    matrix = np.array([[2.0, 0.0, 0.0], [0.6, 1.5, 0.0], [-0.3, 0.4, 1.1]])
    symmetric = matrix @ matrix.T
    index, x = np.array([1, 0, 1]), np.array([0.3, -1.2, 2.1])
    direction, step = np.array([1.0, 0.5, -0.3]), 1e-5
    functions = {
        "solve_lower": lambda v: function("solve_lower")(AUTOGRAD, matrix * v, v),
        "eigenvalues": lambda v: function("eigenvalues")(AUTOGRAD, symmetric * v[:, None] * v),
        "segment_sum": lambda v: function("segment_sum")(AUTOGRAD, v, index, size=2),
    }
    for compute in functions.values():
        gradient = autograd.grad(lambda v, compute=compute: AUTOGRAD.sum(compute(v) ** 2))
        expected = (gradient(x + step * direction) - gradient(x - step * direction)) / (2 * step)
        found = autograd.grad(lambda v, gradient=gradient: AUTOGRAD.sum(gradient(v) * direction))(x)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_sums_by_group_with_empty_groups_and_labels_that_vary():
    values = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(
        function("segment_sum")(NUMPY, values, np.array([3, 0, 3, 0]), size=5)[1], [12, 0, 0, 10, 0]
    )
    varying = np.array([[0, 0, 1, 1], [1, 1, 1, 0]])
    found = function("segment_sum")(NUMPY, values, varying, size=2)
    np.testing.assert_array_equal(found, [[1, 5], [7, 15]])
    assert function("segment_sum")(NUMPY, np.zeros(0), np.zeros(0, int), size=3).tolist() == [0, 0, 0]
