"""Bad input, at the command line and in Python: a located answer, exit code 1, no traceback, nothing half done."""

import json
import os
from pathlib import Path

import pytest

import ppl
from ppl.cli import main

MODEL = """\
data N, J: int
data g: index(J)[N]
data y: real[N]
data k: int(lower=0)[N]
data s: real(lower=0)[N]
a[j in J] ~ normal(0, 1)
plate n in N {
  y[n] ~ normal(a[g[n]], s[n])
  k[n] ~ poisson(log_rate = a[g[n]])
}
"""
GOOD = {"J": 2, "g": [0, 1], "y": [1, 2], "k": [1, 2], "s": [1, 1]}


def changed(**changes):
    return {key: value for key, value in {**GOOD, **changes}.items() if value != "left out"}


WRONG_DATA = {
    "missing name": (changed(s="left out"), "E511 m.ppl:5:6", "`s` is not in the data"),
    "wrong shape": (changed(y=[1, 2, 3]), "E512 m.ppl:3:9", "y has length 3 along N"),
    "a column": (changed(y=[[1], [2]]), "E512 m.ppl:3:9", "numpy.reshape(y, (2,))"),
    "ragged": (changed(y=[[1, 2], [3]]), "E512 m.ppl:3:9", "y is ragged"),
    "wrong type": (changed(y=[1, "a"]), "E513 m.ppl:3:9", "y[1] is 'a'; a number is expected"),
    "an object": (changed(y={"a": 1}), "E513 m.ppl:3:9", "y is {'a': 1}; a number is expected"),
    "not whole": (changed(k=[1.5, 2]), "E513 m.ppl:4:9", "k[0] = 1.5; declared `int`"),
    "huge integer": (changed(k=[1, 10**23]), "E513 m.ppl:4:9", "whole numbers beyond 2^53"),
    "below a bound": (changed(k=[-1, 2]), "E503 m.ppl:4:9", "k[0] = -1 is below 0"),
    "NaN": (changed(y=[1, float("nan")]), "E501 m.ppl:3:9", "declare it `missing`, or drop the rows"),
    "null": (changed(y=[None, 1]), "E501 m.ppl:3:9", "value 0 is NaN (1 of 2 missing)"),
    "infinite": (changed(y=[1, float("inf")]), "E501 m.ppl:3:9", "value 1 is infinite"),
    "counted from 1": (changed(g=[1, 2]), "E502 m.ppl:2:9", "bind with base=1"),
    "index out of range": (changed(g=[0, 7]), "E502 m.ppl:2:9", "values run 0..7; expected 0..1 (J = 2)"),
    "negative length": (changed(J=-2, g=[], y=[], k=[], s=[]), "E310 m.ppl:6:8", "range 0:-2 runs backwards"),
    "scale of zero": (changed(s=[1, 0]), "E305 m.ppl:8:26", "`scale` of normal must be positive, s[n] is 0 at n = 1"),
}
WRONG_MODELS = {
    "unknown name": ("mu ~ normal(0, 1)\nx ~ normal(muu, 1)\n", "E101 m.ppl:2:12", "did you mean `mu`"),
    "no prior": ("x ~ normal(mu, 1)\n", "E101 m.ppl:1:12", "or give it a prior: `mu ~ …`"),
    "undeclared length": ("data y: real[N]\ny ~ normal(0, 1)\n", "E101 m.ppl:1:14", "declare it: `data N: int`"),
    "a type of Stan": ("data y: vector[3]\ny ~ normal(0, 1)\n", "E108 m.ppl:1:9", "an array is `real[N]`"),
    "scale without a prior": (
        "sigma ~ normal(0, 1)\nx ~ normal(0, sigma)\n", "E304 m.ppl:2:15", "such as `sigma ~ half_normal(1)`",
    ),
    "outside the support": (
        "data k: int\np ~ beta(1, 1)\nk ~ binomial(2, p)\n", "E504 m.ppl:3:1", "-inf for every parameter value",
    ),
    "nowhere finite": (
        "data k: int\ns ~ half_normal(1)\nx ~ normal(log(-s), 1)\nk ~ poisson(s)\n", "E702 m.ppl:3:1",
        "the log density of `x` is not finite at any of",
    ),
    "nothing at all": ("# nothing\n", "E706", "the model has nothing to fit"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys, folder):
    def call(*arguments):
        code = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return call


@pytest.mark.parametrize(("data", "where", "said"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_wrong_data_at_both_doors(run, data, where, said):
    Path("m.ppl").write_text(MODEL)
    Path("d.json").write_text(json.dumps(data))
    code, out, err = run("fit", "m.ppl", "--data", "d.json", "--out", "f.fit")
    assert (code, out) == (1, "")
    assert where in err
    assert said in err
    assert not Path("f.fit").exists()
    with pytest.raises(ppl.PPLError) as caught:
        ppl.load("m.ppl").fit(data)
    assert f"{caught.value}\n" == err


@pytest.mark.parametrize(("text", "where", "said"), WRONG_MODELS.values(), ids=WRONG_MODELS)
def test_wrong_models_at_both_doors(run, text, where, said):
    Path("m.ppl").write_text(text)
    Path("d.json").write_text('{"k": 7, "y": [1, 2, 3]}')
    code, out, err = run("fit", "m.ppl", "--data", "d.json")
    assert (code, out) == (1, "")
    assert where in err
    assert said in err
    with pytest.raises(ppl.PPLError) as caught:
        ppl.load("m.ppl").fit(json.loads(Path("d.json").read_text()))
    assert str(caught.value) in err


def test_a_name_in_the_data_that_the_model_does_not_declare_is_warned_about(run):
    Path("m.ppl").write_text("mu ~ normal(0, 1)\ny ~ normal(mu, 1)\n")
    Path("d.json").write_text('{"y": 3}')
    code, _, err = run("check", "m.ppl", "--data", "d.json")
    assert code == 0
    assert err.startswith("W507 m.ppl:2:1\n")
    assert "`y` is unknown here, though the data have a value for it" in err


def test_files_as_editors_leave_them(run):
    Path("m.ppl").write_bytes(b"\xef\xbb\xbf" + MODEL.replace("\n", "\r\n").encode())
    Path("d.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD, indent=1).replace("\n", "\r\n").encode())
    assert run("check", "m.ppl", "--data", "d.json") == (0, "m.ppl: no errors\n", "")


def test_a_long_line_is_shown_around_the_mistake():
    text = f"a ~ normal({' + '.join(['1'] * 140)} + nothing, 1)\n"
    with pytest.raises(ppl.ModelError) as caught:
        ppl.parse(text)
    _, line, caret = str(caught.value).splitlines()
    assert len(line) < 210
    assert line[caret.index("^") :].startswith("nothing")
    assert caret.count("^") == len("nothing")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(run, folder):
    Path("m.ppl").write_text(MODEL)
    Path("d.json").write_text(json.dumps(GOOD))
    (folder / "closed").mkdir(mode=0o500)
    code, out, err = run("fit", "m.ppl", "--data", "d.json", "--out", "closed/f")
    assert (code, out) == (1, "")
    assert "no permission to write" in err


# Python alone --------------------------------------------------------------------------------------------------

NORMAL = "data N: int\ndata y: real[N]\nmu ~ normal(0, 1)\ny ~ normal(mu, 1)\n"
DATA = {"y": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"guide": "fullrank"}, "E701"),
        ({"method": "advi"}, "E704"),
        ({"stepz": 3}, "E703"),
        ({"steps": 3}, "E703"),
        ({"method": "adam", "stepz": 3}, "E703"),
        ({"method": "adam", "steps": -3}, "E703"),
        ({"draws": 0}, "E705"),
        ({"seed": -1}, "E705"),
        ({"base": 2}, "E502"),
    ],
)
def test_arguments_of_fit(arguments, code):
    with pytest.raises(ppl.PPLError, match=f"^{code} "):
        ppl.parse(NORMAL).fit(DATA, **arguments)


@pytest.mark.parametrize("data", [None, [1, 2], "y", 3])
def test_data_that_are_no_mapping(data):
    model = ppl.parse(NORMAL)
    for call in (model.bind, model.fit, model.simulate, model.explain):
        with pytest.raises(ppl.DataError, match="expected a mapping"):
            call(data)


def test_questions_that_a_fit_cannot_answer(folder):
    fit = ppl.parse(NORMAL).fit(DATA, progress=False)
    for ask in (fit.mean, fit.sd, lambda name: fit.quantile(name, 0.5), fit.summary):
        with pytest.raises(ppl.InferenceError, match="E611 no `nu` in the fit"):
            ask("nu")
    with pytest.raises(ppl.InferenceError, match="E618 quantile 5; it lies between 0 and 1"):
        fit.quantile("mu", 5)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere.*nowhere/f"):
        fit.save("nowhere/f")
    with pytest.raises(ppl.DataError, match=r"E602 (.|\n)*value of `mu` is not a number"):
        ppl.parse(NORMAL).log_density({"mu": "a"}, DATA)


def test_a_fit_that_is_not_trusted_warns():
    with pytest.warns(
        ppl.UncertainFitWarning, match=r"^Not trusted: .*reached 20 steps\. Allow more steps: `steps=40000`"
    ):
        ppl.parse(NORMAL).fit(DATA, method="adam", steps=20, progress=False)
