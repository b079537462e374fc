"""Laws that hold for every registered support."""

from __future__ import annotations

import autograd
import numpy as np
import pytest
from contract.tools import AUTOGRAD, DISCRETE_MEMBERS, members

from ppl.constraints import SUPPORTS, Support, is_within
from ppl.numeric import NUMPY

CONTINUOUS = [name for name in SUPPORTS if SUPPORTS[name].bijection]
DISCRETE = [name for name in SUPPORTS if SUPPORTS[name].discrete]
BATCH = (5,)

# Coordinates of a value in which its density is meant, where they are fewer than its elements; elsewhere the
# density is with respect to the surface measure.
COORDINATES = {
    "simplex": lambda x: x[..., :-1],
    "corr_cholesky": lambda x: x[..., *np.tril_indices(x.shape[-1], -1)],
    "cov_cholesky": lambda x: x[..., *np.tril_indices(x.shape[-1])],
    "positive_definite": lambda x: x[..., *np.tril_indices(x.shape[-1])],
    "corr_matrix": lambda x: x[..., *np.tril_indices(x.shape[-1], -1)],
}

OUTSIDE = {
    "real": [np.inf],
    "nonnegative": [-0.1, np.inf],
    "positive": [0.0, -1.0, np.inf],
    "greater_than": [-1.4, np.inf],
    "less_than": [2.5, -np.inf],
    "interval": [-1.6, 4.1],
    "unit_interval": [-0.1, 1.1],
    "extreme_range": [7.0, -np.inf],
    "exceedance_range": [0.3, np.inf],
    "integer": [0.5, np.inf],
    "count": [-1, 0.5, np.inf],
    "boolean": [2, -1, 0.5],
    "integer_from": [1, 2.5, np.inf],
    "integer_interval": [-2, 4, 0.5],
    "simplex": [[0.5, 0.5, 0.5], [1.5, -0.5, 0.0]],
    "ordered": [[0.0, 0.0, 1.0], [2.0, 1.0, 3.0]],
    "positive_ordered": [[-1.0, 0.0, 1.0], [2.0, 1.0, 3.0]],
    "zero_sum": [[1.0, 2.0, 3.0]],
    "unit_vector": [[1.0, 1.0, 0.0]],
    "composition": [[2, 2, 2], [6, -1, 0], [2.5, 2.5, 0.0]],
    "cov_cholesky": [[[1.0, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.3, -1.0]]],
    "corr_cholesky": [[[1.0, 0.0], [0.3, 1.0]]],
    "positive_definite": [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.2, 1.0]]],
    "adjacency": [[[0, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 2], [2, 0]]],
    "corr_matrix": [[[1.0, 2.0], [2.0, 1.0]], [[1.1, 0.5], [0.5, 1.0]], [[1.0, 0.5], [0.2, 1.0]]],
}


def arguments_and_event(name: str) -> tuple[Support, tuple[float, ...], tuple[int, ...]]:
    support = SUPPORTS[name]
    arguments, event = support.example
    return support, arguments, event


def random_free(name: str, scale: float = 1.5) -> np.ndarray:
    support, _, event = arguments_and_event(name)
    assert support.bijection is not None
    return scale * np.random.default_rng(3).standard_normal(BATCH + support.bijection.unconstrained(event))


@pytest.mark.parametrize("name", SUPPORTS)
def test_example_fits_the_declaration(name):
    support, arguments, event = arguments_and_event(name)
    assert len(arguments) == len(support.arguments)
    assert len(event) == support.event_rank
    assert "{" not in support.describe.format(*arguments)
    assert support.discrete == (support.bijection is None)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_inverse_undoes_forward(name):
    support, arguments, event = arguments_and_event(name)
    u = random_free(name)
    x = support.bijection.forward(NUMPY, u, *arguments)
    assert x.shape == BATCH + event
    back = support.bijection.inverse(NUMPY, x, *arguments)
    np.testing.assert_allclose(back, u, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(support.bijection.forward(NUMPY, back, *arguments), x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SUPPORTS)
def test_contains_members_and_nothing_else(name):
    support, arguments, event = arguments_and_event(name)
    x = members(name, np.random.default_rng(4), BATCH + event, arguments)
    inside = support.contains(x, *arguments)
    assert inside.shape == BATCH
    assert np.all(inside)
    for outside in OUTSIDE[name]:
        assert not support.contains(np.asarray(outside), *arguments)
    assert not support.contains(np.full(event, np.nan), *arguments)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_log_det_is_the_log_volume_of_the_jacobian(name):
    support, arguments, _ = arguments_and_event(name)
    coordinates = COORDINATES.get(name, lambda x: x)
    u = random_free(name)

    def free_coordinates(v):
        return AUTOGRAD.reshape(coordinates(support.bijection.forward(AUTOGRAD, v, *arguments)), (-1,))

    log_det = support.bijection.log_det(NUMPY, u, *arguments)
    assert np.shape(log_det) == BATCH
    for row, found in zip(u, log_det, strict=True):
        jacobian = np.reshape(autograd.jacobian(free_coordinates)(row), (-1, row.size))
        volume = 0.5 * np.linalg.slogdet(jacobian.T @ jacobian)[1]
        np.testing.assert_allclose(found, volume, rtol=1e-9, atol=1e-9)


# Signs of far points, repeated as needed; products of matrices have lost their smallest entries earlier.
FAR_SIGNS = ([1.0], [-1.0], [1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, -1.0, 1.0])
FAR = {"positive_definite": 5.0, "corr_matrix": 5.0}


def far_free(name: str, distance: float) -> np.ndarray:
    support, _, event = arguments_and_event(name)
    assert support.bijection is not None
    shape = support.bijection.unconstrained(event)
    count = int(np.prod(shape))
    return distance * np.array([np.resize(signs, count).reshape(shape) for signs in FAR_SIGNS])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_round_trip_far_out(name):
    """At |u| = 30 in every coordinate; `u` itself comes back only where floats near the value still tell it."""
    support, arguments, _ = arguments_and_event(name)
    x = support.bijection.forward(NUMPY, far_free(name, FAR.get(name, 30.0)), *arguments)
    with np.errstate(divide="ignore"):  # steps of an ordered vector that its large elements have absorbed
        back = support.bijection.inverse(NUMPY, x, *arguments)
    again = support.bijection.forward(NUMPY, back, *arguments)
    np.testing.assert_allclose(again, x, rtol=1e-10, atol=1e-10)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="this machine has no extended precision")
@pytest.mark.parametrize("name", CONTINUOUS)
def test_log_det_far_out(name):
    """At |u| = 30 in every coordinate, against autodiff in extended precision."""
    support, arguments, _ = arguments_and_event(name)
    coordinates = COORDINATES.get(name, lambda x: x)
    u = far_free(name, 30.0)
    found = support.bijection.log_det(NUMPY, u, *arguments)

    def free_coordinates(v):
        return AUTOGRAD.reshape(coordinates(support.bijection.forward(AUTOGRAD, v, *arguments)), (-1,))

    for row, log_det in zip(u.astype(np.longdouble), found, strict=True):
        jacobian = np.reshape(autograd.jacobian(free_coordinates)(row), (-1, row.size))
        np.testing.assert_allclose(log_det, log_volume(jacobian), rtol=1e-5, atol=1e-12)


def log_volume(jacobian):
    """By the diagonal where the matrix is triangular: elimination would lose entries of 1e-13 beside ones of 1e13."""
    if jacobian.shape[0] == jacobian.shape[1] and np.all(np.triu(jacobian, 1) == 0):
        return np.sum(np.log(np.abs(np.diagonal(jacobian))))
    return 0.5 * np.linalg.slogdet(np.asarray(jacobian.T @ jacobian, dtype=float))[1]


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("scale", [20.0, 300.0])
def test_far_out_values_stay_finite(name, scale):
    support, arguments, _ = arguments_and_event(name)
    u = np.clip(random_free(name, scale), -700.0, 300.0)
    assert np.all(np.isfinite(support.bijection.forward(NUMPY, u, *arguments)))
    assert np.all(np.isfinite(support.bijection.log_det(NUMPY, u, *arguments)))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_gradients_of_log_det_are_finite_far_out(name):
    support, arguments, _ = arguments_and_event(name)
    u = random_free(name, 30.0)

    def total(v):
        return AUTOGRAD.sum(support.bijection.log_det(AUTOGRAD, v, *arguments))

    assert np.all(np.isfinite(autograd.grad(total)(u)))


@pytest.mark.parametrize("name", SUPPORTS)
def test_members_lie_in_every_wider_support(name):
    _, arguments, event = arguments_and_event(name)
    x = members(name, np.random.default_rng(5), BATCH + event, arguments)
    for wider in SUPPORTS:
        if is_within(name, wider):
            assert np.all(SUPPORTS[wider].contains(x, *(arguments if wider == name else ())))


@pytest.mark.parametrize("name", [name for name in CONTINUOUS if SUPPORTS[name].arguments])
def test_arguments_broadcast_against_batch_axes(name):
    support, arguments, _ = arguments_and_event(name)
    columns = tuple(np.array([[argument], [argument + 0.3]]) for argument in arguments)
    u = random_free(name)
    x = support.bijection.forward(NUMPY, u, *columns)
    assert x.shape == (2, *BATCH)
    np.testing.assert_allclose(x[0], support.bijection.forward(NUMPY, u, *arguments))
    np.testing.assert_allclose(support.bijection.inverse(NUMPY, x, *columns), np.broadcast_to(u, x.shape))


def test_every_support_is_covered():
    assert set(OUTSIDE) == set(SUPPORTS)
    assert set(DISCRETE_MEMBERS) == set(DISCRETE)


@pytest.mark.parametrize("name", ["interval", "unit_interval"])
def test_a_saturated_interval_keeps_off_its_ends(name):
    support, arguments, _ = arguments_and_event(name)
    lower, upper = arguments or (0.0, 1.0)
    x = support.bijection.forward(NUMPY, np.array([-36.0, 40.0, 800.0]), *arguments)
    assert np.all((x > lower) & (x < upper))
