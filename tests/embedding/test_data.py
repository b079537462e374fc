"""Data stay concrete NumPy arrays until they meet a symbol."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppl.embedding import DataArray, Symbol, array
from ppl.embedding.data import as_data
from ppl.errors import DataError, ModelError
from ppl.model.expressions import Constant, Data
from ppl.model.resolve import evaluate


@pytest.mark.parametrize(
    ("given_", "dtype"),
    [
        ([1, 2], np.int64),
        ([1.0, 2], np.float64),
        ((True, False), np.bool_),
        ([1.5, None], np.float64),
        (np.float32([1, 2]), np.float64),
        (np.uint8([1, 2]), np.int64),
        (range(3), np.int64),
        (np.ma.masked_array([1, 2], [True, False]), np.float64),
        (np.ma.masked_array([1, 2]), np.int64),
        ([[1, 2], [3, 4]], np.int64),
    ],
)
def test_arrays_and_lists_become_data(given_, dtype):
    data = as_data("x", given_)
    assert isinstance(data, DataArray)
    assert data.dtype == dtype
    assert data.name == "x"
    expected = [math.nan if v is None or v is np.ma.masked else v for v in given_]
    np.testing.assert_array_equal(data, np.array(expected))


@pytest.mark.parametrize("value", [3, 2.5, True, "text", None, {"a": 1}, len, ["a", "b"], [[1], [2, 3]]])
def test_other_things_stay(value):
    assert as_data("x", value) is value or as_data("x", value) == value
    assert type(as_data("x", value)) is type(value)


def test_numpy_scalars_become_pythons():
    for value, kind in ((np.float64(1.5), float), (np.int32(3), int), (np.bool_(True), bool), (np.array(2), int)):
        assert type(as_data("x", value)) is kind


def test_complex_numbers_are_refused():
    with pytest.raises(DataError, match="E513 `x` holds complex numbers"):
        as_data("x", [1j])


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-9, 9)))
def test_preprocessing_is_numpys(numbers):
    data = as_data("x", numbers)
    for compute in (
        lambda x: x - x.mean(), lambda x: np.where(x > 0, x, 0), lambda x: np.log1p(np.abs(x)).sum(axis=0),
        lambda x: x.T @ x if x.ndim == 2 else x * 2, lambda x: np.concatenate([x, x]), lambda x: x[x > 0],
        lambda x: np.sort(x, axis=None), lambda x: x.reshape(-1)[::-1], lambda x: np.divmod(x, 2.0)[0],
    ):  # fmt: skip
        result = compute(data)
        np.testing.assert_array_equal(result, compute(numbers))
        if np.ndim(result):
            assert isinstance(result, DataArray)
            assert result.name is None
    assert float(data.max()) == numbers.max()
    assert bool(data.min() <= data.max())
    assert data.name == "x"


def test_data_keep_their_name_only_while_they_are_whole(known):
    data = as_data("x", np.arange(6.0).reshape(2, 3))
    symbol = known(np.ones((2, 3)))
    assert isinstance((data + symbol).expression.arguments[0], Data)
    assert isinstance((symbol + data).expression.arguments[1], Data)
    for part in (data[:, :], data[...]):
        assert isinstance((part + symbol).expression.arguments[0], Data)
    for changed in (data + 0, data.copy(), data[::-1], np.exp(data), data.astype(float)):
        assert isinstance((changed + symbol).expression.arguments[0], Constant)


def test_indexing_by_a_symbol(known, value):
    data = as_data("county", [3, 1, 2])
    index = known([2, 0])
    for part in (data, data * 2, np.where(data > 1, data, 0)):
        assert isinstance(part[index], Symbol)
        np.testing.assert_array_equal(value(part[index]), np.asarray(part)[[2, 0]])
    matrix = as_data("X", np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(value(matrix[:, index]), np.asarray(matrix)[:, [2, 0]])
    np.testing.assert_array_equal(value(matrix[1, index]), np.asarray(matrix)[1, [2, 0]])
    np.testing.assert_array_equal(value(array([5, 6, 7])[index]), [7, 5])
    np.testing.assert_array_equal(value(np.take(data, index)), [2, 3])


@pytest.mark.parametrize("key", [np.s_[:, None], np.s_[None, :], np.s_[..., None], np.s_[None, ..., None]])
def test_inserted_dimensions_of_data_stretch(key, known):
    numbers = np.arange(3.0)
    data = as_data("x", numbers)[key]
    np.testing.assert_array_equal(np.asarray(data), numbers[key])
    other = np.arange(36.0).reshape(3, 3, 4) if data.ndim == 3 else np.arange(9.0).reshape(3, 3)
    result = data * known(other)
    np.testing.assert_array_equal(evaluate(result.expression).array, numbers[key] * other)


def test_data_are_read_only():
    original = np.arange(3.0)
    data = as_data("x", original)
    for change in (lambda: data.__setitem__(0, 1.0), lambda: data.__iadd__(1), lambda: np.add(data, 1, out=data)):
        with pytest.raises(ModelError, match="data `x` cannot be changed in place"):
            change()
    copy = data.copy()
    copy += 1
    copy[0] = 7
    np.testing.assert_array_equal(copy, [7, 2, 3])
    np.testing.assert_array_equal(original, [0, 1, 2])
