"""Every operator and function on symbols gives what NumPy gives on the same numbers."""

import math
import operator

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from ppl.embedding import Symbol, function
from ppl.embedding.data import as_data
from ppl.embedding.numpy_table import numpy_table
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS
from ppl.model import construct
from ppl.model.resolve import evaluate

A = np.array([0.3, 1.7, 2.2])
B = np.array([1.1, -0.4, 2.2])
M = np.array([[0.3, 1.7, -0.6], [0.9, -1.2, 0.1]])
SQUARE = np.array([[2.0, 0.6, -0.3], [0.6, 1.5, 0.4], [-0.3, 0.4, 1.1]])

BINARY = (
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
)  # fmt: skip


@pytest.mark.parametrize("operate", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("left", ["symbol", "array", "data", "scalar", "list"])
def test_binary_operators_in_every_order_equal_numpy(operate, left, known, value):
    with np.errstate(all="ignore"):
        for one, other in ((A, B), (2.5, B)) if left == "scalar" else ((A, B), (A, 2.0), (A, np.float64(2))):
            symbol = known(other, "y")
            first = {"symbol": known, "data": lambda a: as_data("d", a), "list": list}.get(left, lambda a: a)(one)
            result = operate(first, symbol)
            np.testing.assert_array_equal(value(result), operate(np.asarray(one), other))
            np.testing.assert_array_equal(value(operate(symbol, first)), operate(other, np.asarray(one)))


@pytest.mark.parametrize("operate", [operator.neg, operator.pos, operator.abs, round, math.floor, math.ceil])
def test_unary_operators_equal_numpy(operate, known, value):
    reference = {round: np.round, math.floor: np.floor, math.ceil: np.ceil}.get(operate, operate)
    np.testing.assert_array_equal(value(operate(known(B))), reference(B))


def test_logical_operators_take_truth_values(known, value):
    a, b = known(A), known(B)
    np.testing.assert_array_equal(value((a > 1) & (b > 0)), (A > 1) & (B > 0))
    mask = np.array([True, False, True])
    np.testing.assert_array_equal(value(mask | (b > 0)), mask | (B > 0))
    np.testing.assert_array_equal(value(~(b > 0)), ~(B > 0))
    with pytest.raises(ModelError, match="E311"):
        a & b


UFUNCS = sorted((f for f in numpy_table() if isinstance(f, np.ufunc)), key=lambda f: f.__name__)
BOOLEAN = {"logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "invert"}


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_every_ufunc_of_the_table_equals_numpy(ufunc, known, value):
    if ufunc.__name__ in BOOLEAN:
        arrays = [np.array([True, True, False]), np.array([True, False, False])][: ufunc.nin]
    else:
        arrays = [np.array([0.31, 0.74, 0.52]), np.array([1.1, 0.4, 2.2])][: ufunc.nin]
    symbols = [known(array, name) for array, name in zip(arrays, "xy", strict=False)]
    np.testing.assert_allclose(value(ufunc(*symbols)), ufunc(*arrays), rtol=1e-14)


SPECIAL = [
    (f, name.rpartition(".")[2]) for f in FUNCTIONS.values() for name in f.numpy
    if name.startswith("scipy.special.") and isinstance(getattr(scipy.special, name.rpartition(".")[2]), np.ufunc)
]  # fmt: skip


@pytest.mark.parametrize(("record", "name"), SPECIAL, ids=lambda v: v if isinstance(v, str) else v.name)
def test_every_special_ufunc_equals_scipy(record, name, known, value):
    ufunc = getattr(scipy.special, name)
    arrays = [np.array([0.31, 0.74, 0.52]), np.array([1.1, 0.4, 2.2])][: len(record.parameters)]
    np.testing.assert_allclose(value(ufunc(*map(known, arrays))), ufunc(*arrays), rtol=1e-13)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1), (1,)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("reduce", [np.sum, np.prod, np.mean, np.min, np.max, np.var, np.std], ids=lambda f: f.__name__)
def test_reductions_equal_numpy(reduce, axis, keepdims, known, value):
    expected = reduce(M, axis=axis, keepdims=keepdims)
    result = reduce(known(M), axis=axis, keepdims=keepdims)
    assert result.shape == np.shape(expected)
    np.testing.assert_allclose(value(result), expected, rtol=1e-13)
    method = getattr(known(M), reduce.__name__)
    np.testing.assert_allclose(value(method(axis=axis)), reduce(M, axis=axis), rtol=1e-13)


def test_a_reduction_over_some_of_three_axes(known, value):
    cube = np.arange(24.0).reshape(2, 3, 4)
    for axis in ((0, 1), (0, 2), (1, 2), 1):
        np.testing.assert_allclose(value(np.sum(known(cube), axis=axis)), cube.sum(axis=axis))


CALLS = {
    "where": lambda x, y, m, s: np.where(x > y, x, 0.0),
    "clip": lambda x, y, m, s: np.clip(x, 0.5, 2),
    "clip_method": lambda x, y, m, s: x.clip(max=1.0),
    "outer": lambda x, y, m, s: np.outer(x, y),
    "outer_method": lambda x, y, m, s: np.multiply.outer(x, y),
    "dot": lambda x, y, m, s: np.dot(x, y) + x.dot(y),
    "dot_scalar": lambda x, y, m, s: np.dot(2.0, x),
    "inner": lambda x, y, m, s: np.inner(m, m),
    "vecdot": lambda x, y, m, s: np.vecdot(x, y),
    "matvec": lambda x, y, m, s: m @ x,
    "vecmat": lambda x, y, m, s: np.array([1.0, 2.0]) @ m,
    "matmat": lambda x, y, m, s: m @ s,
    "matmul": lambda x, y, m, s: np.matmul(m, s),
    "transpose": lambda x, y, m, s: m.T @ m + np.transpose(m) @ m,
    "vector_transpose": lambda x, y, m, s: x.T,
    "stack": lambda x, y, m, s: np.stack([x, y]),
    "stack_columns": lambda x, y, m, s: np.stack([x, y], axis=1),
    "stack_numbers": lambda x, y, m, s: np.stack([x[0], y[1], 2.0]),
    "vstack": lambda x, y, m, s: np.vstack([x, y]),
    "vstack_matrices": lambda x, y, m, s: np.vstack([m, s]),
    "hstack": lambda x, y, m, s: np.hstack([x, y]),
    "column_stack": lambda x, y, m, s: np.column_stack([x, s, y]),
    "concatenate": lambda x, y, m, s: np.concatenate([x, y, A]),
    "concatenate_rows": lambda x, y, m, s: np.concatenate([m, s]),
    "concatenate_columns": lambda x, y, m, s: np.concatenate([s, s], axis=1),
    "cumsum": lambda x, y, m, s: np.cumsum(x),
    "cumsum_axis": lambda x, y, m, s: np.cumsum(m, axis=0),
    "sort": lambda x, y, m, s: np.sort(y),
    "sort_rows": lambda x, y, m, s: np.sort(m),
    "sort_columns": lambda x, y, m, s: np.sort(m, axis=0),
    "flip": lambda x, y, m, s: np.flip(x),
    "flip_axis": lambda x, y, m, s: np.flip(m, axis=1),
    "diag": lambda x, y, m, s: np.diag(x),
    "diag_of_matrix": lambda x, y, m, s: np.diag(s),
    "trace": lambda x, y, m, s: np.trace(s) + s.trace(),
    "cholesky": lambda x, y, m, s: np.linalg.cholesky(s),
    "inverse": lambda x, y, m, s: np.linalg.inv(s),
    "solve": lambda x, y, m, s: np.linalg.solve(s, x),
    "solve_matrix": lambda x, y, m, s: np.linalg.solve(s, s + 1.0),
    "diff": lambda x, y, m, s: np.diff(x),
    "take": lambda x, y, m, s: np.take(x, [2, 0, 0]),
    "take_axis": lambda x, y, m, s: np.take(m, np.array([1, 2]), axis=1),
    "round": lambda x, y, m, s: np.round(y),
    "var_ddof": lambda x, y, m, s: np.var(x, ddof=1) + np.std(x, ddof=1),
    "var_axis_ddof": lambda x, y, m, s: np.var(m, axis=1, ddof=1),
    "add_reduce": lambda x, y, m, s: np.add.reduce(m),
    "newaxis": lambda x, y, m, s: x[:, None] * y[None, :] + s,
    "newaxis_of_data": lambda x, y, m, s: A[:, None] - y[None, :],
    "newaxis_row": lambda x, y, m, s: m - x[None, :],
    "expand_dims": lambda x, y, m, s: np.expand_dims(x, 1) + np.expand_dims(y, 0),
    "three_newaxes": lambda x, y, m, s: x[:, None, None] + y[None, :, None] * x[None, None, :],
    "newaxis_all": lambda x, y, m, s: (x[:, None] + y[:, None]) * x,
    "keepdims": lambda x, y, m, s: m / m.sum(axis=1, keepdims=True),
    "builtin_sum": lambda x, y, m, s: sum(x) + sum([x, y]),
    "unpack": lambda x, y, m, s: (lambda a, b, c: a + b * c)(*x),
    "power": lambda x, y, m, s: 2**x + x**2,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls_equal_numpy(name, known, value):
    call = CALLS[name]
    result = None
    if name == "newaxis_of_data":
        result = as_data("a", A)[:, None] - known(B)[None, :]
    elif name == "newaxis_all":
        with pytest.raises(ModelError, match="insert it"):
            call(known(A), known(B), known(M), known(SQUARE))
        return
    else:
        result = call(known(A, "a"), known(B, "b"), known(M, "m"), known(SQUARE, "s"))
    np.testing.assert_allclose(value(result), call(A, B, M, SQUARE), rtol=1e-13)


def test_static_properties(known):
    m = known(M)
    assert (m.shape, m.ndim, m.size, len(m)) == ((2, 3), 2, 6, 2)
    assert (np.shape(m), np.ndim(m), np.size(m)) == ((2, 3), 2, 6)
    np.testing.assert_array_equal(np.zeros_like(m), np.zeros((2, 3)))
    np.testing.assert_array_equal(np.ones_like(m[0]), np.ones(3))
    assert [row.shape for row in m] == [(3,), (3,)]
    assert m[:, None].shape == (2, 1, 3)
    assert repr(m) == "Symbol(x, shape (2, 3))"
    with pytest.raises(TypeError, match="unhashable"):
        hash(m)


def test_what_follows_from_data_alone_has_a_number(known):
    assert float(known(A)[1] * 2) == 3.4
    assert int(np.sum(known([1, 2]))) == 3
    assert bool(known(A)[0] > 0)
    np.testing.assert_array_equal(np.asarray(known(A) + 1), A + 1)
    assert [10, 20][known([0, 1])[1]] == 20


@pytest.mark.parametrize("record", FUNCTIONS.values(), ids=lambda f: f.name)
def test_every_function_by_name_agrees_on_symbols_and_arrays(record, known, value):
    call = function(record.name)
    arrays = [np.asarray(part) for part in record.example]
    symbols = [known(array, f"x{i}") for i, array in enumerate(arrays)]
    plain = call(*arrays, **record.example_static)
    assert not isinstance(plain, Symbol)
    np.testing.assert_allclose(value(call(*symbols, **record.example_static)), plain, rtol=1e-13)
    assert call.__name__ == record.name
    assert call.__doc__ == record.doc
    if record.signature in ("(...)->()", "(n)->(n)"):
        for axis in (0, 1, -1):
            np.testing.assert_allclose(value(call(known(M), axis=axis)), call(M, axis=axis), rtol=1e-13)


def test_an_unknown_function_suggests_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'expit'"):
        function("expitt")


# Indexing -------------------------------------------------------------------------------------------

CUBE = np.arange(60.0).reshape(3, 4, 5)
_slices = st.builds(slice, st.sampled_from([None, 0, 1, -2]), st.sampled_from([None, 2, 3, -1]))
_integers = st.integers(-3, 2)
_arrays = st.lists(st.integers(0, 2), min_size=1, max_size=4).map(np.array)
_keys = st.lists(st.one_of(_slices, _integers, st.none(), _arrays), max_size=5)


@settings(max_examples=300)
@given(_keys, st.sampled_from([None, 0, 1, 2, 3]))
def test_indexing_equals_numpy_or_is_refused(parts, dots):
    """Any key of integers, slices, arrays, None and `...`; what NumPy lays out oddly is refused."""
    key = tuple(parts) if dots is None else (*parts[:dots], Ellipsis, *parts[dots:])
    symbol = Symbol.of(construct.data("x", CUBE))
    try:
        expected = CUBE[key]
    except IndexError:
        with pytest.raises(ModelError):
            symbol[key]
        return
    try:
        result = symbol[key]
    except ModelError:
        assert _is_odd(parts, dots)
        return
    assert result.shape == expected.shape
    np.testing.assert_array_equal(evaluate(result.expression).array, expected)


def _is_odd(parts, dots):
    """Arrays apart from another index or of different lengths, or a slice with nothing in it."""
    places = [i for i, part in enumerate(parts) if isinstance(part, int | np.ndarray)]
    arrays = [len(part) for part in parts if isinstance(part, np.ndarray)]
    split = dots is not None and len(places) > 1 and places[0] < dots <= places[-1]
    apart = bool(arrays) and len(places) > 1 and (split or places[-1] - places[0] >= len(places))
    slices = [part for part in parts if isinstance(part, slice)]
    crossed = any(len(range(*part.indices(size))) == 0 for part in slices for size in CUBE.shape)
    return apart or len(set(arrays)) > 1 or crossed


def test_masks_select(known, value):
    np.testing.assert_array_equal(value(known(A)[A > 1]), A[A > 1])
    np.testing.assert_array_equal(value(known(M)[:, [True, False, True]]), M[:, [True, False, True]])


_shapes = st.lists(st.sampled_from([1, 2, 3]), max_size=3).map(tuple)


@settings(max_examples=200)
@given(_shapes, _shapes)
def test_arithmetic_takes_equal_shapes_and_scalars_only(first, second):
    a, b = np.full(first, 1.5), np.full(second, 2.0)
    one, other = (Symbol.of(construct.data(name, array)) for name, array in (("a", a), ("b", b)))
    if first == second or not first or not second:
        np.testing.assert_array_equal(evaluate((one * other).expression).array, a * b)
        assert (one * other).shape == (a * b).shape
    else:
        with pytest.raises(ModelError, match="E301"):
            one * other


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.booleans(), st.booleans()), min_size=1, max_size=3),
    st.sampled_from([np.add, np.subtract, np.maximum]),
)
def test_inserted_dimensions_stretch_as_in_numpy(dimensions, ufunc):
    """Two arrays, each missing some dimensions where `None` stands; a real dimension never stretches."""
    rng = np.random.default_rng(len(dimensions))
    arrays, symbols = [], []
    for side in (1, 2):
        base = rng.normal(size=[size for size, *missing in dimensions if not missing[side - 1]])
        key = tuple(None if missing[side - 1] else slice(None) for _, *missing in dimensions)
        arrays.append(base[key])
        symbols.append(Symbol.of(construct.data("xy"[side - 1], base))[key])
    result = ufunc(*symbols)
    expected = ufunc(*arrays)
    assert result.shape == expected.shape
    np.testing.assert_array_equal(evaluate(result.expression).array, expected)
