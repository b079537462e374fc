"""Sources of rows: every kind gives the same rows as the arrays it was made of, and says what it cannot read."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import ppl
from ppl.errors import DataError
from ppl.streams.arrays import ArraySource

ROWS = 1000
X = np.arange(3.0 * ROWS).reshape(ROWS, 3)
Y = (np.arange(ROWS) % 2).astype(np.int64)


def memory(folder):
    return ppl.open_data({"X": X, "y": Y})


def memmap(folder):
    np.save(folder / "X.npy", X)
    return ppl.open_data({"X": np.load(folder / "X.npy", mmap_mode="r"), "y": Y})


def part_of_a_memmap(folder):
    np.save(folder / "X.npy", np.concatenate([X[:7], X]))
    return ppl.open_data({"X": np.load(folder / "X.npy", mmap_mode="r")[7:], "y": Y})


def npy(folder):
    for name, array in (("X", X), ("y", Y)):
        np.save(folder / f"{name}.npy", array)
    return ppl.open_data({"X": folder / "X.npy", "y": str(folder / "y.npy")})


def batches(folder):
    return ppl.open_data({"X": X[i : i + 130], "y": Y[i : i + 130]} for i in range(0, ROWS, 130))


def factory(folder):
    return ppl.open_data(lambda: iter([{"X": X, "y": Y}]))


def parquet(folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "label": Y, "text": ["-"] * ROWS})
    pq.write_table(table, folder / "d.parquet", row_group_size=130)
    return ppl.open_data(folder / "d.parquet", columns={"X": ["a", "b", "c"], "y": "label"})


def parquet_lists(folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"X": list(X), "y": Y}), folder / "d.parquet", row_group_size=130)
    return ppl.open_data(folder / "d.parquet")


def csv(folder):
    pytest.importorskip("pyarrow")
    lines = [f"{a},{b},{c},{y},-" for (a, b, c), y in zip(X, Y, strict=True)]
    (folder / "d.csv").write_text("\n".join(["a,b,c,label,text", *lines]))
    return ppl.open_data(str(folder / "d.csv"), columns={"X": ["a", "b", "c"], "y": "label"})


KINDS = [memory, memmap, part_of_a_memmap, npy, batches, factory, parquet, parquet_lists, csv]


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_are_those_of_the_arrays(kind, tmp_path):
    table = kind(tmp_path)
    assert set(table) == {"X", "y"}
    assert table["X"].shape == X.shape
    assert table["y"].shape == Y.shape
    for start, stop in [(0, 1), (0, ROWS), (120, 140), (999, 1000), (129, 391)]:
        np.testing.assert_array_equal(table["X"].read(start, stop), X[start:stop])
        np.testing.assert_array_equal(table["y"].read(start, stop), Y[start:stop])
    facts = table["X"].facts
    assert (facts.lowest, facts.highest, facts.whole, facts.missing) == (0.0, 2999.0, True, None)


def test_temporary_files_go_with_the_data(tmp_path):
    table = batches(tmp_path)
    path = table["X"].source._arrays["X"].path
    assert path.exists()
    del table
    assert not path.exists()


def test_a_column_is_no_array(tmp_path):
    with pytest.raises(DataError, match="read row by row"):
        np.mean(memory(tmp_path)["X"])


def test_facts_of_all_pieces():
    array = np.array([1.5, 0.25, np.nan, np.inf, -4.0])
    facts = ppl.open_data({"x": array})["x"].facts
    assert (facts.lowest, facts.highest, facts.whole, facts.missing, facts.infinite) == (-4.0, 1.5, False, 2, 3)


def bad_csv(folder):
    (folder / "d.csv").write_text("a,b\n1,2\n3\n")
    return folder / "d.csv"


def bad_parquet(folder):
    (folder / "d.parquet").write_text("nothing")
    return folder / "d.parquet"


def by_columns(folder):
    np.save(folder / "X.npy", np.asfortranarray(X))
    return {"X": folder / "X.npy"}


REFUSED = [
    (lambda folder: 3, "data of type int"),
    (lambda folder: {"X": X, "y": Y[:5]}, "differ in their numbers of rows: X 1000, y 5"),
    (lambda folder: {"t": np.array(["a"])}, "`t` is no array of numbers"),
    (lambda folder: [], "no rows in batches"),
    (lambda folder: [{"X": X}, {"Z": X}], "batch 1 is Z"),
    (lambda folder: [{"X": X, "y": Y[:3]}], "equally many rows"),
    (lambda folder: [X], "batch 0 is of type ndarray"),
    (lambda folder: [{"y": Y}, {"y": Y + 0.5}], "batch 1 is y float64"),
    (lambda folder: folder, "of no kind that can be read"),
    (by_columns, "stored by columns"),
]


@pytest.mark.parametrize(("made", "said"), REFUSED)
def test_what_cannot_be_read_is_refused(made, said, tmp_path):
    with pytest.raises(DataError, match=said) as caught:
        ppl.open_data(made(tmp_path))
    assert caught.value.diagnostics[0].code == "E522"


@pytest.mark.parametrize("made", [bad_csv, bad_parquet])
def test_damaged_files_are_refused(made, tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError) as caught:
        ppl.open_data(made(tmp_path))
    assert caught.value.diagnostics[0].code == "E522"


def test_an_unknown_column_is_refused():
    with pytest.raises(DataError, match="did you mean `label`"):
        ppl.open_data({"label": Y}, columns=["lable"])


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "d.csv").write_text("a\n1\n")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "ppl.streams.arrow", raising=False)
    monkeypatch.delattr("ppl.streams.arrow", raising=False)
    with pytest.raises(DataError, match=r"pip install 'ppl\[arrow\]'"):
        ppl.open_data(tmp_path / "d.csv")


def test_a_file_that_shrinks_is_noticed(tmp_path):
    table = npy(tmp_path)
    np.save(tmp_path / "X.npy", X[:10])
    with pytest.raises(DataError, match="has become shorter"):
        table["X"].read(500, 600)


def test_pieces_are_of_bounded_size():
    source = ArraySource({"X": np.broadcast_to(0.0, (10**6, 100))})
    assert np.diff(source.edges).max() * 800 <= 1 << 18
    assert source.edges[0] == 0
    assert source.edges[-1] == 10**6
