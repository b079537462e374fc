"""Collapsed sites whose data are read row by row: the density of the arrays, from one pass in bounded memory."""

from dataclasses import replace

import numpy as np
import pytest
from compiler.test_collapse import COUNTS, DATA, LATENTS, LEAST_SQUARES, SUMS, made_up, some_values, terms

import ppl
from ppl.compiler import with_marginals
from ppl.compiler.collapse import candidate, rows, statistics
from ppl.errors import DataError, ModelError
from ppl.model import kinds
from ppl.model.construct import calls
from ppl.model.verify import verify_plan

CASES = [
    ("y[n] ~ normal(mu, sigma)", "y", LEAST_SQUARES),
    ("y[n] ~ normal(mu, 2)", "y", LEAST_SQUARES),
    ("y[n] ~ normal(mu + X[n] @ v - q * x[n] / 3, sigma)", "yXx", LEAST_SQUARES),
    ("y[n] ~ normal(mu * x[n] + v[0] - v[1] * X[n, 1] * x[n] / 3, sigma)", "yxX", LEAST_SQUARES),
    ("y[n] ~ normal(sum([v[d] * (X[n, d] + mu) for d in 3]), sigma)", "yX", LEAST_SQUARES),
    ("y[n] ~ normal(mu * x[n], sigma * exp(x[n]))", "yx", LEAST_SQUARES),
    ("y[n] ~ normal(mu * x[n], p[n])", "yxp", LEAST_SQUARES),
    ("y[n] ~ normal(a[g[n]], sigma)", "yg", LEAST_SQUARES),
    ("y[n] ~ normal(a[g[n]] * (x[n] - mu) + b[h[n]] * x[n] * x[n], sigma)", "yghx", LEAST_SQUARES),
    ("y[n] ~ normal(a[g[n]] + mu * x[n], s[g[n]])", "ygx", LEAST_SQUARES),
    ("y[n] ~ normal(x[n], s[g[n]])", "ygx", LEAST_SQUARES),
    ("p[n] ~ lognormal(a[g[n]] + mu * x[n], sigma)", "pgx", LEAST_SQUARES),
    ("m[n] = a[g[n]] + X[n] @ v\n  y[n] ~ normal(m[n], sigma)", "ygX", LEAST_SQUARES),
    ("z[n] ~ bernoulli(logits = a[g[n]] + b[h[n]])", "zgh", SUMS),
    ("z[n] ~ bernoulli(expit(mu))", "z", None),
    ("k[n] ~ binomial(n_[n], logits = a[g[n]])", "kn_g", SUMS),
    ("k[n] ~ poisson(exp(mu))", "k", SUMS),
    ("k[n] ~ poisson(p[n] * exp(a[g[n]]))", "kpg", SUMS),
    ("k[n] ~ poisson(log_rate = log(p[n]) + a[g[n]] + 2 * mu)", "kpg", SUMS),
    ("p[n] ~ exponential(s[g[n]])", "pg", SUMS),
    ("u[n] ~ beta(s[g[n]], sigma)", "ug", SUMS),
    ("c[n] ~ categorical(softmax([a[g[n]], mu, 0]))", "cg", COUNTS),
    ("k[n] ~ negative_binomial(exp(a[g[n]]), sigma)", "kg", COUNTS),
    ("B[n] ~ multi_normal([2000 + mu, 2000], diag([sigma, 1]))", "B", SUMS),
    ("B[n] ~ multi_normal([2000 + a[g[n]], 2000], diag([sigma, 1]))", "Bg", SUMS),
]  # fmt: skip


def arrays(names):
    found = made_up()
    return {name: found["n" if name == "n_" else name] for name in DATA | {"n_": ""} if name in split(names)}


def split(names):
    return [*(["n_"] if "n_" in names else []), *names.replace("n_", "")]


def program(line, names):
    kinds_of = DATA | {"n_": DATA["n"]}
    heads = "".join(f"data {name}: {kinds_of[name]}\n" for name in split(names))
    return ppl.parse(f"data N: int\n{heads}{LATENTS}plate n in N {{\n  {line}\n}}\n")


def check_same(line, names):
    """Every term of the streamed plan is that of the arrays as they stand; the streamed plan."""
    data = arrays(names)
    whole, streamed = program(line, names).bind(data), program(line, names).bind(ppl.open_data(data))
    plan, own = streamed.plan(), whole.plan()
    values = some_values(whole)
    before, after = terms(whole, replace(own, collapses={}), values), terms(streamed, plan, values)
    assert before.keys() == after.keys()
    for name, term in before.items():
        np.testing.assert_allclose(after[name], term, rtol=1e-12, atol=1e-12 * len(next(iter(data.values()))))
    (found,), (known,) = plan.collapses.values(), own.collapses.values()
    assert (found.title, found.statistics) == (known.title, known.statistics)
    np.testing.assert_array_equal(found.cells.counts, known.cells.counts)  # which are numbered alike
    return plan


@pytest.mark.parametrize(("line", "names", "title"), CASES, ids=[case[0] for case in CASES])
def test_the_density_is_that_of_the_arrays(line, names, title, monkeypatch):
    """In blocks that end within pieces, with a short one last."""
    monkeypatch.setattr("ppl.streams.column.BLOCK_BYTES", 800)
    monkeypatch.setattr(statistics, "BLOCK", 97)
    monkeypatch.setattr(statistics, "FEWEST_ROWS", 7)
    monkeypatch.setattr(rows, "READ", 101)
    plan = check_same(line, names)
    (decided,) = plan.with_treatment("collapsed")
    assert title is None or title in decided.reason
    assert decided.reason.endswith("in one pass over the rows of arrays " + ", ".join(arrays(names)))
    verify_plan(plan, "all_at_hand")


def test_in_one_block():
    for line, names, _ in CASES[::5]:
        check_same(line, names)


# One pass --------------------------------------------------------------------------------------------------------


class Counting:
    """A source that knows which rows it gave."""

    def __init__(self, source):
        self._source, self.given = source, []
        self.description, self.rows, self.edges = source.description, source.rows, source.edges
        self.shape, self.dtype = source.shape, source.dtype

    def read(self, name, start, stop):
        self.given.append((name, start, stop))
        return self._source.read(name, start, stop)


def counting(data):
    """Streamed data, and the source that counts."""
    table = ppl.open_data(data)
    source = Counting(next(iter(table.values())).source)
    return {name: replace(column, source=source) for name, column in table.items()}, source


@pytest.mark.parametrize(
    "text",
    [
        "plate n in N { y[n] ~ normal(mu + X[n] @ v, sigma) }",
        "plate n in N { m[n] = v[0] * X[n, 0] + v[1] * X[n, 1]\n y[n] ~ normal(m[n] * X[n, 2], sigma) }",
        "plate d in 3 { plate n in N { X[n, d] ~ normal(v[d] * y[n], sigma) } }",
    ],
    ids=["vector", "elements", "the plate inside"],
)
def test_every_row_is_read_once(text, monkeypatch):
    monkeypatch.setattr(statistics, "BLOCK", 400)
    monkeypatch.setattr(statistics, "FEWEST_ROWS", 7)
    data, source = counting(arrays("yX"))
    model = ppl.parse(f"data N: int\ndata y: real[N]\ndata X: real[N, 3]\n{LATENTS}{text}").bind(data)
    plan = model.plan()
    (found,) = plan.collapses.values()
    source.given.clear()
    statistics.statistics(found, model.data)
    statistics.statistics(replace(found, site=found.site), model.data)
    for name in "yX":
        seen = [row for column, start, stop in source.given if column == name for row in range(start, stop)]
        assert seen == list(range(600))
    whole = ppl.parse(f"data N: int\ndata y: real[N]\ndata X: real[N, 3]\n{LATENTS}{text}").bind(arrays("yX"))
    values = some_values(whole)
    before, after = terms(whole, replace(whole.plan(), collapses={}), values), terms(model, plan, values)
    for name, term in before.items():
        np.testing.assert_allclose(after[name], term, rtol=1e-12)


def test_rows_that_change_while_they_are_read_are_noticed():
    data = arrays("yg")
    group = data["g"].copy()
    model = program("y[n] ~ normal(a[g[n]], sigma)", "yg").bind(ppl.open_data({**data, "g": group}))
    (found,) = model.plan().collapses.values()
    group[17] = 12
    with pytest.raises(DataError, match="have changed while they were read") as caught:
        statistics.statistics(found, model.data)
    assert caught.value.diagnostics[0].code == "E522"


@pytest.mark.parametrize("mean", ["(2 * X[n]) @ v", "sum(X[n] * v)", "sum([v[d] * X[n, d] for d in 3])"])
def test_no_array_of_all_rows_is_made(mean, monkeypatch):
    """What is too large for one is no mistake where rows are read as they come."""
    monkeypatch.setattr(calls, "LARGEST", 1000)
    line, data = f"y[n] ~ normal({mean}, sigma)", arrays("yX")
    plan = program(line, "yX").bind(ppl.open_data(data)).plan()
    assert plan.collapses["y"].title == LEAST_SQUARES
    with pytest.raises(ModelError, match="an array of 600 x 3 numbers; the limit is 1000"):
        program(line, "yX").bind(data)


# Which are collapsed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_rows_are_collapsed_too(count):
    data = {name: array[:count] for name, array in arrays("yx").items()}
    model = program("y[n] ~ normal(mu + v[0] * x[n], sigma)", "yx").bind(ppl.open_data(data))
    reason = model.plan().sites["y"].reason
    assert reason.startswith(f"normal, {count} row{'s' * (count > 1)} as 7 statistics")


def test_kinds_of_rows_beyond_the_limit_are_not_told_apart(monkeypatch):
    line, names = "k[n] ~ poisson(log_rate = a[g[n]] + b[h[n]])", "kgh"
    assert program(line, names).bind(ppl.open_data(arrays(names))).plan().collapses["k"].cells.axis.size == 28
    for limit in ("MOST_KINDS", "MOST_TOLD_BY"):
        with monkeypatch.context() as patched:
            patched.setattr(rows, limit, 27)
            with pytest.raises(ModelError, match="no statistics stand for the rows of `k`: note the plate"):
                program(line, names).bind(ppl.open_data(arrays(names))).plan()


def test_kinds_with_the_same_code_are_not_told_apart(monkeypatch):
    monkeypatch.setattr(kinds, "code", lambda bits: np.zeros(len(bits), np.uint64))
    with pytest.raises(ModelError, match="no statistics stand for the rows of `y`"):
        program("y[n] ~ normal(a[g[n]], sigma)", "yg").bind(ppl.open_data(arrays("yg"))).plan()


def test_zeros_are_alike_whatever_their_sign():
    so_far = kinds.KindsSoFar(9, 9)
    so_far.add([np.array([[0.0], [-0.0], [1.0], [np.nan]])], np.arange(4))
    so_far.add([np.array([[-0.0], [np.nan], [2.0]])], np.arange(4, 7))
    assert not so_far.lost
    assert sorted(zip(so_far.first, so_far.counts, strict=True)) == [(0, 3), (2, 1), (3, 2), (6, 1)]


def test_a_plate_that_is_gone_through_for_one_outcome_is_not_collapsed_for_another():
    """Without the note that is an error, at the place where the rows are read."""
    text = "  y[n] ~ normal(mu, sigma)\n  m[n] = mu * x[n]\n  z[n] ~ bernoulli(logits = m[n])\n}\n"
    head = f"data N: int\ndata x, y: real[N]\ndata z: bool[N]\n{LATENTS}"
    data = ppl.open_data(arrays("xyz"))
    plan = ppl.parse(f"{head}@minibatch(50)\nplate n in N {{\n{text}").bind(data).plan()
    assert not plan.collapses
    assert [batch.axis.name for batch in plan.batches] == ["n"]
    with pytest.raises(ModelError, match="no statistics stand for the rows of `z`") as caught:
        ppl.parse(f"{head}plate n in N {{\n{text}").bind(data).plan()
    assert {record.span.text for record in caught.value.diagnostics} == {"x[n]", "z[n]"}
    assert all(record.code == "E409" for record in caught.value.diagnostics)


def test_two_outcomes_of_a_plate():
    line = "y[n] ~ normal(mu, sigma)\n  z[n] ~ bernoulli(expit(mu))\n  x[n] ~ normal(q * y[n], r)"
    model = program(line, "yzx").bind(ppl.open_data(arrays("yzx")))
    assert model.plan().collapses.keys() == {"x", "y", "z"}
    whole = program(line, "yzx").bind(arrays("yzx"))
    values = some_values(whole)
    before, after = terms(whole, replace(whole.plan(), collapses={}), values), terms(model, model.plan(), values)
    for name, term in before.items():
        np.testing.assert_allclose(after[name], term, rtol=1e-12)


def test_arrays_beside_streams():
    """What is in memory may be read along with what is not."""
    data = arrays("ygx")
    for name in data:
        mixed = {**data, **ppl.open_data({name: data[name]})}
        model = program("y[n] ~ normal(a[g[n]] + mu * x[n], sigma)", "ygx").bind(mixed)
        plan = model.plan()
        assert plan.collapses["y"].cells.stream is not None
        whole = program("y[n] ~ normal(a[g[n]] + mu * x[n], sigma)", "ygx").bind(data)
        values = some_values(whole)
        np.testing.assert_allclose(terms(model, plan, values)["y"], terms(whole, whole.plan(), values)["y"], rtol=1e-12)


def test_a_note_that_is_not_needed_is_said_to_be_so():
    text = f"data N: int\ndata y: real[N]\n{LATENTS}@minibatch(50)\nplate n in N {{ y[n] ~ normal(mu, sigma) }}"
    for data in (arrays("y"), ppl.open_data(arrays("y"))):
        plan = ppl.parse(text).bind(data).plan()
        assert not plan.batches
        assert plan.sites["y"].reason.endswith("; no parts of a plate (`@minibatch`, `subsample`) are needed")


def test_conjugate_groups_are_integrated_out():
    head = "data N: int\ndata z: bool[N]\ndata g: index(7)[N]\nc ~ gamma(2, 1)\nd ~ gamma(2, 1)\n"
    text = f"{head}p[i in 7] ~ beta(c, d)\nplate n in N {{ z[n] ~ bernoulli(p[g[n]]) }}"
    found = []
    for data in (arrays("zg"), ppl.open_data(arrays("zg"))):
        model = ppl.parse(text).bind(data)
        plan = with_marginals(model.plan())
        assert plan.sites["p"].treatment == "marginalised"
        found.append(terms(model, plan, {"c": np.array([0.7, 2.0]), "d": np.array([1.1, 3.0])})["p, z"])
    assert plan.sites["z"].reason.endswith("p integrated out, in one pass over the rows of arrays g, z")
    np.testing.assert_allclose(*found, rtol=1e-13)


def test_small_streams_are_not_collapsed_where_little_is_saved():
    """All rows differ, and are many: as before, a fit goes through them in parts."""
    text = f"data N: int\ndata z: bool[N]\ndata x: real[N]\n{LATENTS}@minibatch(50)\n"
    line = "plate n in N { z[n] ~ bernoulli(logits = mu * x[n]) }"
    plan = ppl.parse(text + line).bind(ppl.open_data(arrays("zx"))).plan()
    assert plan.batches
    assert not plan.collapses
    assert candidate.SPARED < 5 * 600 < rows.MOST_KINDS


def test_rows_beside_a_term_that_is_seen_in_parts_are_not_collapsed():
    """Whether that term reads streamed data or not: a fit goes through the plate in parts."""
    line = "y[n] ~ normal(mu, sigma)\n  z[n] ~ bernoulli(logits = mu * x[n])"
    text = f"data N: int\ndata y, x: real[N]\ndata z: bool[N]\n{LATENTS}@minibatch(50)\nplate n in N {{\n  {line}\n}}\n"
    plan = ppl.parse(text).bind({**arrays("xz"), **ppl.open_data(arrays("y"))}).plan()
    assert plan.batches
    assert not plan.collapses
