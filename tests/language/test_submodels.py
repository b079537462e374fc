"""Submodels and `use`: names, plates, densities against SciPy, and every message."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import ppl

PROGRAMS = Path(__file__).parent / "programs"
HORSESHOE = """
model horseshoe(D, scale) {
  tau ~ half_cauchy(scale)
  lam[d in D] ~ half_cauchy(1)
  @noncentered
  b[d in D] ~ normal(0, tau * lam[d])
  return b
}
"""


def names(model):
    return [statement.name for statement in model.statements]


def test_the_logistic_regression_of_the_language_page():
    """The submodel lies in another file; the density is SciPy's."""
    program = ppl.load(PROGRAMS / "logistic_horseshoe.ppl")
    X, y = np.array([[0.5, -1.0], [1.0, 2.0], [0.3, 0.0]]), np.array([0, 1, 1])
    alpha, tau, lam, beta = 0.3, 0.7, np.array([0.5, 2.0]), np.array([-0.4, 0.9])
    found = program.log_density({"alpha": alpha, "beta.tau": tau, "beta.lam": lam, "beta": beta}, {"X": X, "y": y})
    expected = stats.t(3, 0, 2.5).logpdf(alpha) + stats.halfcauchy(scale=0.1).logpdf(tau)
    expected += stats.halfcauchy.logpdf(lam).sum() + stats.norm(0, tau * lam).logpdf(beta).sum()
    expected += stats.bernoulli(1 / (1 + np.exp(-alpha - X @ beta))).logpmf(y).sum()
    assert found == pytest.approx(expected, abs=1e-8)


def test_sites_take_the_name_on_the_left_and_notes_stay():
    model = ppl.parse(HORSESHOE + "beta ~ horseshoe(3, scale=0.1)\n").bind({}).model
    assert names(model) == ["beta.tau", "beta.lam", "beta"]
    assert [note.name for note in model.by_name["beta"].notes] == ["noncentered"]
    assert [axis.name for axis in model.by_name["beta"].axes] == ["beta.d"]


def test_a_note_on_the_call_is_one_on_the_returned_site():
    text = "model m() {\n  a ~ normal(0, 1)\n  return a\n}\n@centered\nx ~ m()\n"
    (site,) = ppl.parse(text).bind({}).model.sites
    assert [note.name for note in site.notes] == ["centered"]


def test_inside_a_plate_every_site_carries_its_index():
    """Two ways of calling in a plate; the index of the caller's plate is called as one of the submodel's."""
    inside = HORSESHOE + "data J: int\nplate d in J {\n  beta[d] ~ horseshoe(2, 1)\n}\n"
    one = HORSESHOE + "data J: int\nbeta[d in J] ~ horseshoe(2, 1)\n"
    values = {"beta.tau": [0.5, 1, 2], "beta.lam": np.ones((3, 2)) * [1, 3], "beta": np.arange(6.0).reshape(3, 2)}
    scale = values["beta.tau"] * values["beta.lam"].T
    expected = stats.halfcauchy.logpdf(values["beta.tau"]).sum() + stats.halfcauchy.logpdf(values["beta.lam"]).sum()
    expected += stats.norm(0, scale).logpdf(values["beta"].T).sum()
    for text in (inside, one):
        assert ppl.parse(text).log_density(values, {"J": 3}) == pytest.approx(expected, abs=1e-8)


def test_a_returned_value_is_deterministic_and_locals_stay_inside():
    text = """
        model pair(n, scale) {
          t ~ half_normal(scale)
          half = t / 2
          plate i in n {
            s = half + i
            b[i] ~ normal(0, s)
          }
          return [b[i] * t for i in n]
        }
        i ~ normal(0, 1)
        x ~ pair(2, exp(i))
        y ~ normal(x[1], 1)
    """
    program = ppl.parse(text)
    model = program.bind({}).model
    assert names(model) == ["i", "x.t", "x.half", "x.b", "x", "y"]
    assert [d.name for d in model.deterministics] == ["x.half", "x"]
    t, b = 0.8, np.array([0.3, -0.2])
    expected = stats.norm.logpdf(0.1) + stats.halfnorm(scale=np.exp(0.1)).logpdf(t)
    expected += stats.norm(0, t / 2 + np.arange(2)).logpdf(b).sum() + stats.norm(b[1] * t, 1).logpdf(2.0)
    assert program.log_density({"i": 0.1, "x.t": t, "x.b": b, "y": 2.0}, {}) == pytest.approx(expected, abs=1e-8)


def test_data_are_observed_through_a_submodel():
    text = """
        model line(x, s) {
          a ~ normal(0, 1)
          out ~ normal(a * x, s)
          return out
        }
        data N: int
        data x, y: real[N]
        y ~ line(x, 2)
    """
    found = ppl.parse(text).log_density({"y.a": 0.5}, {"x": [1.0, 2.0], "y": [0.0, 3.0]})
    expected = stats.norm.logpdf(0.5) + stats.norm([0.5, 1.0], 2).logpdf([0.0, 3.0]).sum()
    assert found == pytest.approx(expected, abs=1e-8)


def test_submodels_call_submodels_and_twice_is_two():
    text = """
        model inner(s) {
          a ~ normal(0, s)
          return a
        }
        model outer() {
          left ~ inner(1)
          right ~ inner(exp(left))
          return right
        }
        x ~ outer()
        y ~ outer()
        predict { z ~ outer() }
    """
    model = ppl.parse(text).bind({}).model
    assert names(model) == ["x.left", "x", "y.left", "y"]
    assert [statement.name for statement in model.predicted] == ["z.left", "z"]


def test_functions_and_models_of_a_used_file_come_with_it(tmp_path):
    """The file's `square` is its own, not the program's; its `use` counts from its folder."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "deep.ppl").write_text("model deep(s) {\n  d ~ normal(0, s)\n  return d\n}\n")
    (tmp_path / "parts" / "mid.ppl").write_text(
        'use deep from "deep.ppl"\ndef square(x) {\n  return twice(x) / 2 * x\n}\ndef twice(k) {\n  return 2 * k\n}\n'
        "model mid(s) {\n  d ~ deep(square(s))\n  return d\n}\n"
    )
    main = tmp_path / "main.ppl"
    own = "def square(x) {\n  return 0 * x\n}\n"
    main.write_text(f'use mid from "parts/mid.ppl"\n{own}x ~ mid(3)\ny ~ normal(square(x), 1)\n')
    found = ppl.load(main).log_density({"x": 1.0, "y": 2.0}, {})
    assert found == pytest.approx(stats.norm(0, 9).logpdf(1.0) + stats.norm.logpdf(2.0), abs=1e-8)


# Messages -------------------------------------------------------------------------------------------

MODEL = "model m(a, b) {\n  x ~ normal(a, b)\n  return x\n}\n"
WRONG = {
    "E121": ('use shoe from "nowhere.ppl"\nx ~ shoe()\n', 1, 'E121 main.ppl:1:15\n1 | use shoe from "nowhere.ppl"\n'),
    "E121 near": ('use shoe from "shoes.ppl"\nx ~ shoe()\n', 1, "did you mean `shoe.ppl`?"),
    "E121 folder": ('use shoe from "."\nx ~ shoe()\n', 1, "cannot read"),
    "E122": ('use first from "first.ppl"\nx ~ first()\n', 1, "cycle of files: first.ppl -> second.ppl -> first.ppl"),
    "E123": ('use shoo from "shoe.ppl"\nx ~ shoo()\n', 1, "`shoe.ppl` has no model `shoo`; did you mean `shoe`?"),
    "E124 few": (MODEL + "y ~ m(1)\n", 5, "m(a, b) takes 2 arguments, 1 given: `b` missing"),
    "E124 many": (MODEL + "y ~ m(1, 2, 3)\n", 5, "m(a, b) takes 2 arguments, 3 given"),
    "E124 twice": (MODEL + "y ~ m(1, a=2)\n", 5, "`a` is given twice"),
    "E124 unknown": (MODEL + "y ~ m(1, bb=2)\n", 5, "did you mean `b`?"),
    "E125": ("model m() {\n  x ~ m()\n  return x\n}\ny ~ m()\n", 2, "`m` calls itself"),
    "E126": ("data y: real\nmodel m() {\n  x ~ normal(0, 1)\n  return x + 1\n}\ny ~ m()\n", 6, "`y` is data"),
    "E126 note": ("model m() {\n  x ~ normal(0, 1)\n  return x + 1\n}\n@centered\ny ~ m()\n", 5, "the note"),
    "E101 in a used file": ('use bad from "bad.ppl"\nx ~ bad()\n', 2, "bad.ppl:2:14"),
}


@pytest.mark.parametrize("case", WRONG)
def test_messages(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("shoe.ppl").write_text("model shoe() {\n  a ~ normal(0, 1)\n  return a\n}\n")
    Path("bad.ppl").write_text("model bad() {\n  a ~ normal(unknown, 1)\n  return a\n}\n")
    Path("first.ppl").write_text('use second from "second.ppl"\nmodel first() {\n  a ~ second()\n  return a\n}\n')
    Path("second.ppl").write_text('use first from "first.ppl"\nmodel second() {\n  a ~ first()\n  return a\n}\n')
    text, line, found = WRONG[case]
    with pytest.raises(ppl.ModelError) as caught:
        ppl.parse(text, "main.ppl").bind({"y": 1.0})
    (record,) = caught.value.diagnostics
    assert (record.code, record.span.line) == (case.split()[0], line)
    assert found in str(caught.value)


def test_every_problem_with_files_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ppl.ModelError) as caught:
        ppl.parse('use a from "a.ppl"\nuse b from "b.ppl"\nx ~ a()\ny ~ b()\n')
    assert [record.code for record in caught.value.diagnostics] == ["E121", "E121"]
