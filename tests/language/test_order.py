"""The list of steps: order, surroundings, local names."""

import random

import pytest
from language.corpus import PROGRAMS, parsed

from ppl.errors import ModelError
from ppl.language import syntax
from ppl.language.order import check_order, ordered
from ppl.language.walk import expressions, reads


def keys(steps):
    return [step.key or step.statement.target.name.name for step in steps]


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_step_comes_after_what_it_reads(name):
    defined = set()
    for step in ordered(parsed(PROGRAMS[name])):
        if isinstance(step.statement, syntax.Def | syntax.Submodel):
            defined.add(step.statement.name.name)
        else:
            assert read_keys(step) - bound_names(step) <= defined
        defined.update(step.defines)


def read_keys(step):
    parts = [part for part in expressions(step.statement) if not isinstance(part, syntax.Note)]
    return {step.locals.get(name.name, name.name) for part in parts for name, _ in reads(part)}


def bound_names(step):
    own = getattr(getattr(step.statement, "target", None), "indices", ())
    binders = [*step.binders, *(index for index in own if isinstance(index, syntax.Binder))]
    return {binder.name.name for binder in binders}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_statement_is_one_step(name):
    program = parsed(PROGRAMS[name])
    steps = ordered(program)
    assert len({id(step.statement) for step in steps}) == len(steps)
    assert sum(map(leaves, program.statements)) == len(steps)


def leaves(statement):
    if isinstance(statement, syntax.Plate | syntax.Predict):
        return sum(map(leaves, statement.body))
    return 1


def test_a_sorted_program_stays_as_written():
    program = parsed(PROGRAMS["radon"])
    starts = [step.statement.span.start for step in ordered(program)]
    assert starts == sorted(starts)


def test_the_order_of_lines_does_not_matter():
    lines = ["data N: int", "data y: real[N]", "mu ~ normal(0, 1)", "a = 2 * mu", "b = a + mu", "y ~ normal(b, 1)"]
    expected = ["N", "y", "mu", "a", "b", "y"]
    shuffle = random.Random(0)
    for _ in range(20):
        shuffle.shuffle(lines)
        assert keys(ordered(parsed("\n".join(lines)))) == expected


def test_steps_carry_plates_and_notes_from_the_outside():
    text = "@minibatch(3)\nplate i in 2 {\n  plate j in i {\n    @score\n    x[i, j] ~ normal(0, 1)\n  }\n}"
    (step,) = ordered(parsed(text))
    assert [binder.name.name for binder in step.binders] == ["i", "j"]
    assert [note.name for note in step.notes] == ["score"]
    assert [(binder.name.name, note.name) for binder, note in step.batches] == [("i", "minibatch")]


def test_locals_have_keys_of_their_own():
    text = "plate i in 2 {\n  x[i] ~ normal(s, 1)\n  s = 1\n}\nplate i in 2 {\n  s = 2\n  y[i] = s\n}"
    steps = ordered(parsed(text))
    assert keys(steps) == ["s@3", "x", "s@6", "y"]
    assert [dict(step.locals) for step in steps] == [{"s": "s@3"}, {"s": "s@3"}, {"s": "s@6"}, {"s": "s@6"}]


def test_an_observation_defines_nothing():
    steps = ordered(parsed("data y: real\ny ~ normal(0, 1)"))
    assert [step.defines for step in steps] == [("y",), ()]


def test_predict_comes_last_in_its_own_scope():
    steps = ordered(parsed("predict {\n  b = a\n}\na ~ normal(0, 1)"))
    assert [(step.key, step.scope) for step in steps] == [("a", "model"), ("b", "predict")]


def test_a_scan_is_one_step_with_the_order_of_an_iteration():
    text = "scan t in 3 {\n  y[t] ~ normal(s[t], 1)\n  s[t] = c if t == 0 else y[t - 1]\n  c = 2\n}\nz = s[0]"
    scan, after = ordered(parsed(text))
    assert scan.defines == ("y", "s", "c@4")
    assert keys(scan.body) == ["c@4", "s", "y"]
    assert after.key == "z"


def test_a_plate_inside_a_scan_and_around_it():
    inner = "plate d in 4 {\n      x[s, t, d] ~ normal(x[s, t - 1, d], 1)\n    }"
    text = f"plate s in 2 {{\n  scan t in 3 {{\n    {inner}\n  }}\n}}"
    (scan,) = ordered(parsed(text))
    assert [binder.name.name for binder in scan.binders] == ["s"]
    assert [[binder.name.name for binder in step.binders] for step in scan.body] == [["d"]]


ALLOWED = {
    "data in their own prior": "data y: real[3]\nmu ~ normal(mean(y), 1)\ny ~ normal(mu, 1)",
    "a neighbour's latent": "plate i in 3 {\n  z[i] ~ normal(0, 1)\n  y[i] ~ normal(z[2 - i], 1)\n}",
    "an encoder that reads the data": "data x: real[3]\nplate n in 3 {\n  @amortized(x[n])\n  z[n] ~ normal(0, 1)\n"
    "  x[n] ~ normal(z[n], 1)\n}",
    "a lag in a scan": "scan t in 3 {\n  x[t] ~ normal(x[t - 1], 1)\n}",
    "lags through two names": "scan t in 3 {\n  a[t] ~ normal(b[t - 1], 1)\n  b[t] ~ normal(a[t], 1)\n}",
}


@pytest.mark.parametrize("case", ALLOWED)
def test_no_cycle(case):
    assert check_order(parsed(ALLOWED[case])) == []


REFUSED = {
    "a lag of data": ("data y: real[3]\nplate t in 1:3 {\n  y[t] ~ normal(y[t - 1], 1)\n}", ["E201"]),
    "a gather of itself": ("plate i in 3 {\n  x[i] ~ normal(x[2 - i], 1)\n}", ["E201"]),
    "a lag over the plate, not the scan": (
        "scan t in 3 {\n  plate i in 3 {\n    x[t, i] ~ normal(x[t, i - 1], 1)\n  }\n}",
        ["E201"],
    ),
    "a lag over the plate around a scan": (
        "plate i in 3 {\n  scan t in 3 {\n    x[i, t] ~ normal(x[i - 1, t], 1)\n  }\n}",
        ["E201"],
    ),
    "itself": ("x ~ normal(x, 1)", ["E202"]),
    "data of their own": ("data y: real\ny ~ normal(y, 1)", ["E202"]),
    "no lag in a scan": ("scan t in 3 {\n  x[t] ~ normal(x[t], 1)\n}", ["E202"]),
    "two cycles": ("a = b\nb = a\nc = d\nd = e\ne = c", ["E202", "E202"]),
    "sizes": ("data N: int(upper=M)\ndata M: int(upper=N)", ["E202"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_cycles(case):
    text, expected = REFUSED[case]
    assert [record.code for record in check_order(parsed(text))] == expected
    with pytest.raises(ModelError):
        ordered(parsed(text))
