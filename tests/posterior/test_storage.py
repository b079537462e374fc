"""Saved fits: whole round trips, no training data, broken files, files that are replaced whole or not at all."""

import io
import json
import os
import pathlib
import zipfile

import numpy as np
import pytest
from posterior.made import DATA, TEXT, made_fit

import ppl
from ppl.posterior import files, read_json_data, replacing, write_json

NEW = {"N": 2, "J": 3, "group": [2, 0], "x": [0.0, 10.0]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "groups.fit"


@pytest.mark.parametrize("weighted", [False, True])
def test_everything_comes_back(path, weighted):
    fit = made_fit(weighted=weighted)
    fit.save(path)
    loaded = ppl.load_fit(path)
    assert loaded.summary().to_dict() == fit.summary().to_dict()
    for name, array in fit.draws(50, seed=2).items():
        np.testing.assert_array_equal(loaded.draws(50, seed=2)[name], array)
    for name, array in fit.predict(NEW, seed=2).items():
        np.testing.assert_array_equal(loaded.predict(NEW, seed=2)[name], array)
    np.testing.assert_array_equal(loaded.log_likelihood(DATA)["y"], fit.log_likelihood(DATA)["y"])
    assert (str(loaded), loaded.verdict, loaded.explain(), loaded.explain(True)) == (
        str(fit), fit.verdict, fit.explain(), fit.explain(True),
    )  # fmt: skip
    np.testing.assert_array_equal(loaded.run.history, fit.run.history)
    assert (loaded.run.notes, loaded.run.seed, loaded.outcomes) == (fit.run.notes, fit.run.seed, fit.outcomes)


def test_a_loaded_fit_can_be_saved_again(path, tmp_path):
    made_fit(weighted=True).save(path)
    ppl.load_fit(path).save(tmp_path / "again")
    assert ppl.load_fit(tmp_path / "again").summary().to_dict() == ppl.load_fit(path).summary().to_dict()


def test_the_training_data_are_not_in_the_file(path):
    data = {**DATA, "x": [1234.5, 2.0, 3.0, 4.0], "y": [7890.25, 2.5, 3.5, 4.5]}
    text = TEXT.replace("  line[n] = theta[group[n]] + b * x[n]\n", "").replace("line[n]", "theta[group[n]] + b * x[n]")
    made_fit(ppl.parse(text), data).save(path)
    with zipfile.ZipFile(path) as archive:
        contents = b"".join(archive.read(name) for name in archive.namelist())
    for number in (1234.5, 7890.25):
        assert str(number).encode() not in contents
        assert np.float64(number).tobytes() not in contents


def test_a_fit_without_its_data_says_what_to_pass(path):
    made_fit().save(path)
    loaded = ppl.load_fit(path)
    with pytest.raises(
        ppl.InferenceError, match=r"does not contain the data it was fitted to; pass them: `fit.predict\(data\)`"
    ):
        loaded.predict()
    with pytest.raises(ppl.InferenceError, match=r"`fit.log_likelihood\(data\)`"):
        loaded.log_likelihood()


def test_a_fit_of_a_function_needs_the_function_to_predict(path):
    @ppl.model
    def coin(n, heads=None):
        p = ppl.sample("p", ppl.Normal(0.0, 1.0))
        ppl.sample("heads", ppl.Binomial(n, logits=p), obs=heads)

    fit = made_fit(coin, {"n": 10, "heads": 4})
    fit.save(path)
    loaded = ppl.load_fit(path)
    assert loaded.mean("p") == fit.mean("p")
    with pytest.raises(ppl.InferenceError, match=r"needs the model `coin`.*ppl.load_fit\(path, model=…\)"):
        loaded.predict({"n": 20})
    np.testing.assert_array_equal(
        ppl.load_fit(path, model=coin).predict({"n": 20})["heads"], fit.predict({"n": 20})["heads"]
    )


def test_the_base_is_kept(path):
    fit = made_fit(data={**DATA, "group": [1, 2, 3, 1]}, base=1)
    fit.save(path)
    new = {"N": 1, "J": 3, "x": [0.0], "group": [3]}
    np.testing.assert_array_equal(ppl.load_fit(path).predict(new)["y"], fit.predict(new)["y"])


def test_numbers_that_are_not_finite_survive(path):
    made_fit(elbo=float("-inf"), elbo_mcse=float("nan")).save(path)
    assert ppl.load_fit(path).elbo == float("-inf")
    assert np.isnan(ppl.load_fit(path).run.elbo_mcse)


# Broken and foreign files ------------------------------------------------------------------------------


def zip_of(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"this is not a fit",
    "another zip": zip_of(readme__txt="hello"),
    "json that is not an object": zip_of(fit__json="[1, 2]"),
    "json of something else": zip_of(fit__json='{"format": "other", "version": 1}'),
    "broken json": zip_of(fit__json='{"format": '),
    "record without its parts": zip_of(fit__json='{"format": "ppl fit", "version": 1}'),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_named_in_plain_words(path, kind):
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(ppl.InferenceError, match=r"groups.fit is not a saved fit, or a damaged one"):
        ppl.load_fit(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_damaged(path, share):
    made_fit().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ppl.InferenceError, match="damaged"):
        ppl.load_fit(path)


def rewritten(path, change):
    """The saved fit with its record changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    record = json.loads(members["fit.json"])
    change(record)
    members["fit.json"] = json.dumps(record)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_file_of_a_later_format(path):
    made_fit().save(path)
    rewritten(path, lambda record: record.update(version=2))
    with pytest.raises(ppl.InferenceError, match=r"E622 .* is a saved fit of format 2, this ppl reads format 1"):
        ppl.load_fit(path)


def test_draws_of_another_shape_than_recorded(path):
    made_fit().save(path)
    rewritten(path, lambda record: record.update(draws=7))
    with pytest.raises(ppl.InferenceError, match="damaged"):
        ppl.load_fit(path)


def test_pickles_are_not_read(path):
    made_fit().save(path)
    array = io.BytesIO()
    np.save(array, np.array([{}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["history.npy"] = array.getvalue()
    path.write_bytes(zip_of(**{name.replace(".", "__"): content for name, content in members.items()}))
    with pytest.raises(ppl.InferenceError, match="damaged"):
        ppl.load_fit(path)


def test_a_missing_file_is_an_os_error(path):
    with pytest.raises(FileNotFoundError):
        ppl.load_fit(path)


# Writing -----------------------------------------------------------------------------------------------


def test_a_failed_save_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch):
    made_fit().save(path)
    before = path.read_bytes()

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space"):
        made_fit(draws=10).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.skipif(not pathlib.Path("/dev/null").exists(), reason="needs /dev/null")
def test_a_device_is_written_directly():
    with replacing(pathlib.Path("/dev/null")) as file:
        file.write(b"new")
    assert not pathlib.Path("/dev/null").is_file()


def test_json_is_strict(tmp_path):
    path = tmp_path / "out.json"
    write_json(path, {"a": {"mean": 1.5, "sd": float("nan")}, "b": {"mean": float("inf")}})
    assert json.loads(path.read_text()) == {"a": {"mean": 1.5, "sd": None}, "b": {"mean": None}}


# Reading data ------------------------------------------------------------------------------------------


def test_null_and_nan_are_missing_values(tmp_path):
    path = tmp_path / "data.json"
    path.write_text('{"y": [1, null, NaN], "z": [[null], [2]], "s": null, "t": "text"}')
    data = read_json_data(path)
    np.testing.assert_array_equal(data["y"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(data["z"], [[np.nan], [2]])
    assert np.isnan(data["s"])
    assert data["t"] == "text"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"y": [1, 2', r"data.json:1:12 is not JSON: expecting ',' delimiter"),
        (b"[1, 2]", "data.json holds a list; expected an object with the data's names"),
        (b"3", "data.json holds the value 3"),
        (b"\xff\xfe", r"data.json is not text in UTF-8 \(byte 0\)"),
        (b" \n", "data.json is empty; expected a JSON object"),
        (b'{"y": 1,\n "y": 2}', "data.json has the name `y` twice"),
        (b'{"y": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "data.json is nested too deeply"),
        (b'{"y": ' + b"1" * 10_000 + b"}", "data.json has a number that cannot be read"),
    ],
)
def test_data_that_are_not_a_json_object(tmp_path, content, message):
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(ppl.DataError, match=message):
        read_json_data(path)


def test_the_part_file_lies_beside_its_target(tmp_path):
    """A rename is atomic only within one file system."""
    with files.replacing(tmp_path / "a") as file:
        assert os.path.dirname(file.name) == str(tmp_path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "data.json"
    path.write_bytes(b'\xef\xbb\xbf{"y": 1}\r\n')
    assert read_json_data(path) == {"y": 1}
