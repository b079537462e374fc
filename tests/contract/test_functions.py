"""Laws that hold for every registered function."""

from __future__ import annotations

import importlib
import itertools
from functools import partial, reduce
from typing import Any

import numpy as np
import pytest
from contract.tools import check_gradient, members
from scipy import special

from ppl.constraints import SUPPORTS
from ppl.functions import FUNCTIONS, UNKNOWN, Function
from ppl.numeric import NUMPY

# Defined on symmetric matrices only: a change of one element is a change of its mirror image too.
SYMMETRIC = {"cholesky", "eigenvalues"}
SCALAR_DOMAINS = ("real", "positive", "nonnegative", "unit_interval", "count", "integer", "boolean", UNKNOWN)
MATRIX_DOMAINS = ("positive_definite", "cov_cholesky", "corr_cholesky", UNKNOWN)


def example(function: Function) -> list[Any]:
    return [np.asarray(argument) for argument in function.example]


def core_ranks(function: Function) -> list[int]:
    return [argument.ndim for argument in example(function)]


def implementation(function: Function) -> Any:
    """The implementation with its static arguments, and what tells signatures with `...` their event rank."""
    if "..." not in function.signature:
        return (
            partial(function.implementation, **function.example_static) if function.static else function.implementation
        )
    rank = max(core_ranks(function))
    return lambda xp, *arguments: function.implementation(xp, *arguments, event_rank=rank)


def batch(function: Function) -> list[Any]:
    """The example with batch axes: the first argument has (3, 1), the second (2,), the third none, …"""
    shapes: tuple[tuple[int, ...], ...] = ((3, 1), (2,), ())
    arguments = []
    for argument, shape in zip(example(function), itertools.cycle(shapes), strict=False):
        factor = 1 + 0.05 * np.arange(np.prod(shape)).reshape(shape + (1,) * argument.ndim)
        smooth = argument.dtype.kind == "f"
        arguments.append(argument * factor if smooth else np.broadcast_to(argument, shape + argument.shape))
    return arguments


def float_places(arguments: list[Any]) -> list[int]:
    return [place for place, argument in enumerate(arguments) if argument.dtype.kind == "f"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_example_fits_the_signature(name):
    function = FUNCTIONS[name]
    arguments = example(function)
    assert function.variadic or len(arguments) == len(function.parameters)
    sizes: dict[str, int] = dict(function.example_static)
    inputs = itertools.cycle(function.core_inputs) if function.variadic else function.core_inputs
    for argument, core in zip(arguments, inputs, strict=not function.variadic):
        if "..." not in core:
            assert argument.ndim == len(core)
            for dimension, size in zip(core, argument.shape, strict=True):
                assert sizes.setdefault(dimension, size) == size
    result = np.asarray(implementation(function)(NUMPY, *arguments))
    if "..." not in function.core_output:
        assert result.shape == tuple(sizes[dimension] for dimension in function.core_output)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batches_equal_elementwise_application(name):
    function = FUNCTIONS[name]
    arguments = batch(function)
    compute = implementation(function)
    found = np.asarray(compute(NUMPY, *arguments))
    ranks = core_ranks(function)
    batches = [argument.shape[: argument.ndim - rank] for argument, rank in zip(arguments, ranks, strict=True)]
    common = np.broadcast_shapes(*batches)
    spread = [
        np.broadcast_to(argument, common + argument.shape[argument.ndim - rank :])
        for argument, rank in zip(arguments, ranks, strict=True)
    ]
    for place in np.ndindex(common):
        one = compute(NUMPY, *(argument[place] for argument in spread))
        np.testing.assert_allclose(found[place], one, rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name].differentiable])
@pytest.mark.parametrize("arrange", [example, batch])
def test_gradient(name, arrange):
    function = FUNCTIONS[name]
    arguments = arrange(function)
    compute = implementation(function)

    def symmetric(xp: Any, a: Any) -> Any:
        return compute(xp, 0.5 * (a + xp.swapaxes(a, -1, -2)))

    check_gradient(symmetric if name in SYMMETRIC else compute, arguments, float_places(arguments))


def domains_for(argument: Any) -> tuple[str, ...]:
    """Whole numbers are places, of which nothing else is drawn."""
    if argument.dtype.kind == "i":
        return (UNKNOWN,)
    return MATRIX_DOMAINS if argument.ndim == 2 and argument.shape[0] == argument.shape[1] else SCALAR_DOMAINS


def draw(domain: str, rng: np.random.Generator, argument: Any, size: int) -> Any:
    if domain == UNKNOWN:
        return np.broadcast_to(argument, (size, *argument.shape))
    return members(domain, rng, (size, *argument.shape))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_domain_claims_hold_where_the_function_is_defined(name):
    function = FUNCTIONS[name]
    arguments = example(function)
    rng = np.random.default_rng(8)
    for domains in itertools.product(*(domains_for(argument) for argument in arguments)):
        claim = function.domain(*domains)
        if claim == UNKNOWN:
            continue
        drawn = [draw(domain, rng, argument, 20) for domain, argument in zip(domains, arguments, strict=True)]
        result = implementation(function)(NUMPY, *drawn)
        support = SUPPORTS[claim]
        undefined = np.any(np.isnan(result), axis=tuple(range(-support.event_rank, 0)))
        assert np.all(support.contains(result) | undefined), (domains, claim)
        assert not np.all(undefined)


def resolve(dotted: str) -> Any:
    module, *path = dotted.split(".")
    for depth in range(len(path) - 1):
        module = ".".join([module, path[depth]])
    return reduce(getattr, [path[-1]], importlib.import_module(module))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name].numpy])
def test_numpy_names_compute_the_same(name):
    function = FUNCTIONS[name]
    arguments = example(function)
    expected = implementation(function)(NUMPY, *arguments)
    for dotted in function.numpy:
        theirs = resolve(dotted)
        found = theirs(arguments) if function.variadic else theirs(*arguments)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_numpy_name_stands_for_one_function():
    names = [dotted for function in FUNCTIONS.values() for dotted in function.numpy]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_has_an_example_and_a_sentence(name):
    assert FUNCTIONS[name].example
    assert FUNCTIONS[name].doc.endswith(".")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name].signature == "(...)->()"])
def test_axis_reduces_one_event_axis(name):
    function = FUNCTIONS[name]
    x = example(function)[0]
    rows = function.implementation(NUMPY, x, axis=1, event_rank=2)
    np.testing.assert_allclose(rows, [function.implementation(NUMPY, row, event_rank=1) for row in x])
    columns = function.implementation(NUMPY, x, axis=0, event_rank=2)
    np.testing.assert_allclose(columns, function.implementation(NUMPY, x.T, axis=-1, event_rank=2))
    assert np.shape(function.implementation(NUMPY, x[0, 0], event_rank=0)) == ()


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("softplus", 800.0, 800.0),
        ("softplus", -40.0, np.exp(-40.0)),
        ("log_sigmoid", -800.0, -800.0),
        ("log_sum_exp", np.array([1000.0, 1000.0]), 1000.0 + np.log(2.0)),
        ("log_sum_exp", np.array([-np.inf, 0.0]), 0.0),
        ("softmax", np.array([1000.0, 0.0]), [1.0, 0.0]),
        ("normal_cdf", -30.0, 4.906713927148187e-198),
    ],
)
def test_extreme_arguments(name, argument, expected):
    keywords = {"event_rank": np.ndim(argument)} if "..." in FUNCTIONS[name].signature else {}
    np.testing.assert_allclose(FUNCTIONS[name].implementation(NUMPY, argument, **keywords), expected, rtol=1e-12)


def test_log_normal_cdf_is_accurate_in_the_whole_tail():
    x = np.concatenate([np.linspace(-60.0, 8.0, 2001), [-14.999, -15.0, -15.001]])
    found = FUNCTIONS["log_normal_cdf"].implementation(NUMPY, x)
    np.testing.assert_allclose(found, special.log_ndtr(x), rtol=1e-12, atol=2e-16)
