"""Data binding of the text door: conversions, inferred sizes, and every error with its words."""

import json
from pathlib import Path

import numpy as np
import pytest

from ppl.errors import DataError
from ppl.language.binding import bind
from ppl.language.parser import parse
from ppl.source import Source

EXAMPLES = Path(__file__).parents[2] / "examples"


def program(text):
    return parse(Source("m.ppl", text))


def records(text, data, **options):
    with pytest.raises(DataError) as caught:
        bind(program(text), data, **options)
    return [(record.code, record.message) for record in caught.value.diagnostics]


# What is accepted


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ppl")), ids=lambda path: path.stem)
def test_the_data_of_every_example_bind(path):
    data = json.loads(path.with_suffix(".json").read_text())
    bound = bind(parse(Source(path.name, path.read_text())), data)
    assert set(bound) == set(data)
    for name, value in data.items():
        np.testing.assert_array_equal(bound[name], value)


def test_types_of_the_result():
    bound = bind(
        program("data N: int\ndata a: real[N]\ndata k: int[N]\ndata b: bool[N]\ndata g: index(N)[N]\ndata s: real\n"),
        {"N": 2, "a": [1, 2], "k": [3.0, 4.0], "b": [True, 0], "g": [1, 0], "s": np.float32(0.5)},
    )
    assert [bound[name].dtype for name in "akbg"] == [np.float64, np.int64, np.int64, np.int64]
    assert type(bound["N"]) is int
    assert type(bound["s"]) is float


def test_the_result_does_not_share_memory_with_the_data():
    given = np.array([1.0, 2.0])
    bound = bind(program("data N: int\ndata a: real[N]\n"), {"a": given})
    bound["a"][0] = 9.0
    assert given[0] == 1.0


def test_sizes_are_inferred_wherever_they_are_a_dimension():
    bound = bind(
        program("data N, D, K: int\ndata X: real[N, D]\ndata p: simplex(K)[N]\n"),
        {"X": np.zeros((3, 2)), "p": np.full((3, 4), 0.25)},
    )
    assert (bound["N"], bound["D"], bound["K"]) == (3, 2, 4)


def test_lengths_and_bounds_are_arithmetic_on_data():
    text = "data N: int\ndata low: real[N]\ndata t: real(lower=low, upper=2 * N ^ 2)[N]\ndata d: real[N - 1]\n"
    bound = bind(program(text), {"low": [0, 1, 2], "t": [0, 1, 18], "d": [5, 6]})
    np.testing.assert_array_equal(bound["t"], [0, 1, 18])


def test_indices_are_shifted_by_their_base():
    bound = bind(program("data N, J: int\ndata g: index(J)[N]\n"), {"J": 3, "g": [1, 3, 2]}, base=1)
    np.testing.assert_array_equal(bound["g"], [0, 2, 1])


@pytest.mark.parametrize("gap", [[1.0, None], [1.0, float("nan")], np.ma.array([1.0, 5.0], mask=[False, True])])
@pytest.mark.parametrize("kind", ["real", "int", "bool", "index(2)"])
def test_missing_values_stay_in_place(gap, kind):
    bound = bind(program(f"data N: int\ndata y: {kind}[N] missing\n"), {"y": gap})
    np.testing.assert_array_equal(bound["y"], [1.0, np.nan])


def test_absent_names_may_be_left_out():
    bound = bind(program("data N: int\ndata x, y: real[N]\n"), {"x": [1, 2]}, absent=frozenset({"y"}))
    assert set(bound) == {"N", "x"}


def test_undeclared_names_are_left_alone():
    assert bind(program("data a: real\n"), {"a": 1.5, "comment": "from table 2"}) == {"a": 1.5}


# What is refused: one case a row, with its exact words

Y = "data N: int\ndata y: real[N]\n"
REFUSED = {
    "NaN": (
        Y,
        {"y": [0.0, None, float("nan")]},
        [("E501", "value 1 is NaN (2 of 3 missing); declare it `missing`, or drop the rows")],
    ),
    "NaN in a matrix": (
        "data X: real[2, 2]\n",
        {"X": [[0, 1], [None, 2]]},
        [("E501", "value [1, 0] is NaN (1 of 4 missing); declare it `missing`, or drop the rows")],
    ),
    "NaN in integers": (
        "data k: int[2]\n",
        {"k": [1, None]},
        [("E501", "k[1] is NaN (1 of 2 missing); declare it `missing`, or drop the rows")],
    ),
    "infinite": (Y, {"y": [0.0, float("inf")]}, [("E501", "value 1 is infinite")]),
    "which of two names": (
        "data N: int\ndata x, y: real[N]\n",
        {"x": [0.0], "y": [None]},
        [("E501", "y: value 0 is NaN (1 of 1 missing); declare it `missing`, or drop the rows")],
    ),
    "counted from 1": (
        "data V: int\ndata w: index(V)[3]\n",
        {"V": 3, "w": [1, 3, 2]},
        [("E502", "values run 1..V; indices count from 0: bind with base=1")],
    ),
    "counted from 0": (
        "data V: int\ndata w: index(V)[3]\n",
        {"V": 3, "w": [0, 2, 1]},
        [("E502", "values run 0..2; they count from 0: bind with base=0")],
    ),
    "index out of range": (
        "data V: int\ndata w: index(V)[2]\n",
        {"V": 3, "w": [-1, 7]},
        [("E502", "values run -1..7; expected 0..2 (V = 3)")],
    ),
    "below": ("data t: real(lower=0)[2]\n", {"t": [1, -2.5]}, [("E503", "t[1] = -2.5 is below 0")]),
    "above an expression": (
        "data n: int\ndata k: int(lower=0, upper=n - 1)\n",
        {"n": 4, "k": 4},
        [("E503", "k = 4 is above 3 = n - 1")],
    ),
    "above, elementwise": (
        "data n: int[2]\ndata k: int(upper=n)[2]\n",
        {"n": [3, 5], "k": [3, 6]},
        [("E503", "k[1] = 6 is above 5 = n")],
    ),
    "not on the simplex": (
        "data p: simplex(2)[2]\n",
        {"p": [[0.5, 0.5], [0.5, 0.6]]},
        [("E503", "p[1] is not nonnegative with sum 1")],
    ),
    "missing name": (Y, {"N": 3}, [("E511", "`y` is not in the data; the data have `N`")]),
    "misspelled name": (
        "data sigma: real\n",
        {"sgima": 1.0},
        [("E511", "`sigma` is not in the data; the data have `sgima`: rename one of them")],
    ),
    "size that nothing tells": (
        "data K: int\ndata y: real\n",
        {"y": 1.0},
        [("E511", "`K` is not in the data; pass it, or an array that has it as a dimension")],
    ),
    "no data": ("data y: real\n", {}, [("E511", "`y` is not in the data; the data are empty")]),
    "column for a vector": (Y, {"N": 2, "y": [[1], [2]]}, [("E512", "y has shape (2, 1); expected [N] = (2,)")]),
    "wrong length": (Y, {"N": 3, "y": [1, 2]}, [("E512", "y has shape (2,); expected [N] = (3,)")]),
    "array for a number": ("data a: real\n", {"a": [1, 2]}, [("E512", "a has shape (2,); expected a single number")]),
    "unknown length": (Y, {"y": 1.0}, [("E512", "y has shape (); expected (N,)")]),
    "two lengths": (
        "data N: int\ndata x: real[N]\ndata y: real[N]\n",
        {"x": [1, 2], "y": [1, 2, 3]},
        [("E512", "y has length 3 along N, x has length 2")],
    ),
    "ragged": (
        "data X: real[2, 2]\n",
        {"X": [[1, 2], [3]]},
        [("E512", "X is ragged: row 0 has length 2, row 1 has length 1; rows of one length are expected")],
    ),
    "bound of another shape": (
        "data n: int[2]\ndata k: int(upper=n)[3]\n",
        {"n": [3, 5], "k": [1, 1, 1]},
        [("E512", "the bound `n` has shape (2,), k has (3,)")],
    ),
    "fraction for an integer": (
        "data k: int[2]\n",
        {"k": [1, 2.5]},
        [("E513", "k[1] = 2.5; declared `int`, so a whole number is expected")],
    ),
    "two for a bool": (
        "data b: bool[2]\n",
        {"b": [1, 2]},
        [("E513", "b[1] = 2; true or false (0 or 1) is expected")],
    ),
    "text": (Y, {"y": [1, "two"]}, [("E513", "y[1] is 'two'; a number is expected")]),
    "text of digits": ("data a: real\n", {"a": "1"}, [("E513", "a is '1'; a number is expected")]),
    "an object": ("data a: real\n", {"a": {"b": 1}}, [("E513", "a is {'b': 1}; a number is expected")]),
    "unknown type": ("data a: rael\n", {"a": 1}, [("E514", "`rael` is not a type; did you mean `real`?")]),
    "index of nothing": ("data a: index[2]\n", {"a": [0, 1]}, [("E514", "`index` needs its size; write `index(K)`")]),
    "half a length": (
        "data N: int\ndata a: real[N / 2]\n",
        {"N": 3, "a": [1]},
        [("E514", "the length `N / 2` is not a whole number")],
    ),
    "no length at all": (
        "data N: int\ndata a: real[N / 0]\n",
        {"N": 3, "a": [1]},
        [("E514", "the length `N / 0` is not a whole number")],
    ),
    "half an index": (
        "data x: real\ndata a: index(x)[1]\n",
        {"x": 1.5, "a": [0]},
        [("E514", "the length `x` is not a whole number")],
    ),
    "size that is an array": (
        "data K: int\ndata g: index(K)[2]\n",
        {"K": [3, 3], "g": [0, 7]},
        [("E512", "K has shape (2,); expected a single number")],
    ),
    "larger than any float": (
        Y,
        {"y": [1, 10**400]},
        [("E513", "y[1] is beyond the range of floating-point numbers; the largest is 1.8e308")],
    ),
    "larger than any integer": (
        "data k: int[2]\n",
        {"k": np.array([1, 2**63], dtype=np.uint64)},
        [("E513", "k[1] = 9.22337203685e+18; whole numbers go up to 2^63 - 1")],
    ),
    "masked text": (
        "data a: real[2] missing\n",
        {"a": np.ma.array(["1", "2"], mask=[True, False])},
        [("E513", "a[1] is '2'; a number is expected")],
    ),
    "unknown bound": (
        "data a: real(minimum=0)\n",
        {"a": 1},
        [("E514", "`minimum` is not a bound; bounds are `lower` and `upper`")],
    ),
    "unknown name in a length": (
        "data size: int\ndata a: real[sise]\n",
        {"size": 1, "a": [1]},
        [("E514", "`sise` is not declared as data; did you mean `size`?")],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    text, data, expected = REFUSED[case]
    found = records(text, data, base=1 if case == "counted from 0" else 0)
    assert found == expected


def test_all_errors_come_at_once_with_their_places():
    text = "data N: int\ndata y: real[N]\ndata s: real(lower=0)[N]\ndata tau: real\n"
    with pytest.raises(DataError) as caught:
        bind(program(text), {"y": [1, None], "s": [1, -1]})
    assert str(caught.value) == (
        "E501 m.ppl:2:9\n"
        "2 | data y: real[N]\n"
        "  |         ^^^^^^^ value 1 is NaN (1 of 2 missing); declare it `missing`, or drop the rows\n"
        "E503 m.ppl:3:9\n"
        "3 | data s: real(lower=0)[N]\n"
        "  |         ^^^^^^^^^^^^^^^^ s[1] = -1 is below 0\n"
        "E511 m.ppl:4:6\n"
        "4 | data tau: real\n"
        "  |      ^^^ `tau` is not in the data; the data have `s`, `y`"
    )


def test_fixes_of_wrong_shapes():
    with pytest.raises(DataError, match=r"numpy.reshape\(y, \(2,\)\)"):
        bind(program(Y), {"N": 2, "y": [[1], [2]]})
    with pytest.raises(DataError, match="pass X transposed"):
        bind(program("data X: real[2, 3]\n"), {"X": np.zeros((3, 2))})
