"""Collapsed sites: the same log density as the untouched ones, from statistics that do not grow with the data."""

from dataclasses import replace

import numpy as np
import pytest
from compiler.random_programs import random_programs
from compiler.test_passes import corpus
from hypothesis import given, settings
from hypothesis import strategies as st

import ppl
from ppl.axes import Axis
from ppl.backends import get_backend
from ppl.compiler import density_program
from ppl.compiler.collapse import candidate, eliminations
from ppl.compiler.collapse import statistics as statistics_module
from ppl.compiler.collapse.statistics import statistics
from ppl.errors import InternalError
from ppl.inference.choose import choose_guide
from ppl.inference.sparsity import find_pattern
from ppl.inference.target import Target
from ppl.inference.work import density_seconds
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.elimination import Elimination
from ppl.model.verify import _collapsed, verify_plan
from ppl.numeric import NUMPY
from ppl.runtime import initial_points

ROWS = 600
LEAST_SQUARES, SUMS, COUNTS = "a triangular least-squares factor", "sums of sufficient statistics", "counted"
LATENTS = """
mu ~ normal(0, 1)
sigma ~ half_normal(1)
a[i in 7] ~ normal(0, 1)
b[i in 4] ~ normal(0, 1)
s[i in 7] ~ half_normal(1)
v[d in 3] ~ normal(0, 1)
param q: real = 0.3
param r: real(lower=0) = 1.2
w ~ dirichlet([1, 1, 1])
"""
DATA = {
    "x": "real[N]", "y": "real[N]", "g": "index(7)[N]", "h": "index(4)[N]", "z": "bool[N]", "k": "int(lower=0)[N]",
    "n": "int(lower=0)[N]", "p": "real(lower=0)[N]", "u": "real(lower=0, upper=1)[N]", "c": "index(3)[N]",
    "X": "real[N, 3]", "B": "real[N, 2]",
}  # fmt: skip


def made_up(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    k = rng.poisson(3, rows)
    return {
        "x": rng.normal(size=rows), "y": 2 + 3 * rng.normal(size=rows), "g": rng.integers(0, 7, rows),
        "h": rng.integers(0, 4, rows), "z": rng.integers(0, 2, rows), "k": k, "n": k + rng.integers(0, 9, rows),
        "p": rng.gamma(2.0, 1.0, rows), "u": rng.uniform(0.05, 0.95, rows), "c": rng.integers(0, 3, rows),
        "X": rng.normal(size=(rows, 3)), "B": 2000 + rng.normal(size=(rows, 2)),
    }  # fmt: skip


def bound(line, declared, rows=ROWS, **changes):
    """The model of one observed line over the made-up data that it names."""
    data = {"N": rows, **{name: made_up(rows)[name] for name in declared}, **changes}
    heads = "".join(f"data {name}: {DATA[name]}\n" for name in declared)
    return ppl.parse(f"data N: int\n{heads}{LATENTS}{line}\n").bind(data)


def some_values(model, draws=3, spread=0.5):
    """Draws of every latent, through the bijections."""
    plan = model.plan()
    guide = choose_guide(plan, "auto")
    rows = spread * np.random.default_rng(3).standard_normal((draws, guide.layout.size))
    executor = ppl.runtime.Executor(replace(plan, collapses={}), model.data, NUMPY)
    points = executor.points(initial_points(plan))
    return {**executor.constrain(guide.layout.unpack(np, rows), points)[0], **points}


def terms(model, plan, values):
    prepare, run = density_program(plan).load(NUMPY)
    with np.errstate(all="ignore"):
        return run(values, prepare(model.data))


def check_same(model, plan, values):
    """Every term, to 1e-12 of the natural scale: a number or so for each row."""
    before, after = terms(model, replace(plan, collapses={}, counted={}), values), terms(model, plan, values)
    assert before.keys() == after.keys()
    for name, term in before.items():
        found = plan.collapses.get(name) or plan.counted.get(name)
        rows = found.cells.rows if found is not None else 1
        np.testing.assert_allclose(after[name], term, rtol=1e-12, atol=1e-12 * rows)


# Which, and how -----------------------------------------------------------------------------------------------

CASES = [
    ("y ~ normal(mu, sigma)", "y", LEAST_SQUARES, 4),
    ("y ~ normal(0, sigma)", "y", LEAST_SQUARES, 2),
    ("y ~ normal(mu + 2 * x, sigma)", "yx", LEAST_SQUARES, 4),
    ("y ~ normal(mu * x + v[0] - v[1] * x * x / 3, sigma)", "yx", LEAST_SQUARES, 11),
    ("y ~ normal(mu + X @ v, sigma)", "yX", LEAST_SQUARES, 16),
    ("y ~ normal(sum([v[d] * (X[n, d] + mu) for d in 3]), sigma)" , "yX", LEAST_SQUARES, None),
    ("m = X @ v\ny ~ normal(m + mu, sigma)", "yX", LEAST_SQUARES, 16),
    ("y ~ normal(sigma * (mu + v[0] * x), 2)", "yx", LEAST_SQUARES, 7),
    ("y ~ normal(mu * x, sigma * exp(x))", "yx", LEAST_SQUARES, 4),
    ("y ~ normal(mu * x, exp(x))", "yx", LEAST_SQUARES, 4),
    ("y ~ normal(q * x, r)", "yx", LEAST_SQUARES, 4),
    ("y ~ normal(X @ v - q * x, r)", "yXx", LEAST_SQUARES, 16),
    ("y ~ normal(a[g], sigma)", "yg", LEAST_SQUARES, 16),
    ("y ~ normal(a[g] + mu * x, sigma)", "ygx", LEAST_SQUARES, 25),
    ("y ~ normal(a[g] + b[h] * x, sigma)", "yghx", LEAST_SQUARES, None),
    ("y ~ normal(a[g] * (x - mu) + b[h] * x * x, sigma)", "yghx", LEAST_SQUARES, None),
    ("y ~ normal((a[g] + mu * x) / sigma, sigma)", "ygx", LEAST_SQUARES, None),
    ("y ~ normal(a[g] + mu * x, s[g])", "ygx", LEAST_SQUARES, None),
    ("y ~ normal(x, s[g])", "ygx", LEAST_SQUARES, 14),
    ("y ~ normal(a[g] + mu * x, sigma * (1 + x * x))", "ygx", LEAST_SQUARES, 25),
    ("p ~ lognormal(a[g] + mu * x, sigma)", "pgx", LEAST_SQUARES, 25),
    ("z ~ bernoulli(logits = a[g] + b[h])", "zgh", SUMS, 56),
    ("z ~ bernoulli(expit(mu))", "z", None, 2),
    ("k ~ binomial(n, logits = a[g])", "kng", SUMS, 14),
    ("k ~ binomial(n, expit(a[g]))", "kng", SUMS, 14),
    ("k ~ poisson(log_rate = a[g])", "kg", SUMS, 14),
    ("k ~ poisson(exp(mu))", "k", SUMS, 2),
    ("k ~ poisson(p * exp(a[g]))", "kpg", SUMS, 14),
    ("k ~ poisson(log_rate = log(p) + a[g] + 2 * mu)", "kpg", SUMS, 14),
    ("p ~ exponential(s[g])", "pg", SUMS, 14),
    ("p ~ gamma(s[g], sigma)", "pg", SUMS, 21),
    ("p ~ inverse_gamma(s[g], sigma)", "pg", SUMS, 21),
    ("u ~ beta(s[g], sigma)", "ug", SUMS, 21),
    ("c ~ categorical(w)", "c", COUNTS, 3),
    ("plate n in N { c[n] ~ categorical(softmax([a[g[n]], mu, 0])) }", "cg", COUNTS, 21),
    ("k ~ negative_binomial(exp(mu), sigma)", "k", COUNTS, None),
    ("plate n in N { B[n] ~ multi_normal([2000 + mu, 2000], diag([sigma, 1])) }", "B", SUMS, 7),
]  # fmt: skip


@pytest.mark.parametrize(("line", "names", "title", "count"), CASES, ids=[case[0] for case in CASES])
def test_collapsed(line, names, title, count):
    if "X[n, d]" in line:
        line = "plate n in N { " + line.replace("y ~", "y[n] ~") + " }"
    model = bound(line, names)
    plan = model.plan()
    (found,) = plan.collapses.values()
    decided = plan.sites[found.site.name]
    assert decided.treatment == "collapsed"
    assert decided.reason.startswith(f"{found.site.distribution.name}, {ROWS} rows as {found.statistics} statistic")
    assert title is None or title in decided.reason
    assert count is None or found.statistics == count
    verify_plan(plan, "collapse")
    check_same(model, plan, some_values(model))


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("y ~ normal(sigma * exp(mu * x), 1)", "yx"),  # not affine, every row another
        ("y ~ student_t(4, mu, sigma)", "y"),
        ("k ~ poisson(log_rate = mu * x)", "kx"),
        ("z ~ bernoulli(logits = mu * x)", "zx"),
        ("y ~ normal(mu, sigma + x * x)", "yx"),
        ("plate n in N { e[n] ~ normal(0, 1)\n y[n] ~ normal(e[n] + mu, sigma) }", "y"),
        ("plate n in N { e[n] ~ bernoulli(0.3)\n y[n] ~ normal(e[n] + mu, sigma) }", "y"),  # summed out
    ],
)
def test_left_alone(line, names):
    assert not bound(line, names).plan().collapses


def test_too_few_rows_are_left_alone():
    assert not bound("y ~ normal(mu, sigma)", "y", rows=6).plan().collapses


def test_sites_of_which_a_scored_site_wants_the_parts_are_left_alone():
    text = """
    data N, M: int
    data y: real[N, M]
    mu ~ normal(0, 1)
    plate n in N {
      k[n] ~ poisson(2)
      plate m in M { y[n, m] ~ normal(k[n] + mu, 1) }
    }
    """
    data = {"N": 4, "M": 200, "y": np.random.default_rng(0).normal(2, 1, (4, 200))}
    plan = ppl.parse(text).bind(data).plan()
    assert plan.sites["k"].estimator == "score"
    assert not plan.collapses


def collapsed_with(**fields):
    return lambda plan: replace(plan, collapses={"y": replace(plan.collapses["y"], **fields)})


def with_cells(**fields):
    return lambda plan: collapsed_with(cells=replace(plan.collapses["y"].cells, **fields))(plan)


BROKEN = {
    "collapses and treatments differ": lambda p: replace(p, collapses={}),
    "a collapsed site is in an elimination": lambda p: replace(p, eliminations=(Elimination(("y",), {}, ()),)),
    "a scored site wants the parts of `y`": lambda p: replace(
        p, costs=tuple(replace(c, local={"mu": p.collapses["y"].cells.plates}) if c.name == "y" else c for c in p.costs)
    ),
    "the statistics are not those of `y`": lambda p: collapsed_with(site=replace(p.collapses["y"].site))(p),
    "the rows of `y` run over other plates": with_cells(plates=()),
    "`y` has an empty cell": with_cells(members=np.zeros(ROWS, np.int64)),
    "`y` is evaluated along its rows": collapsed_with(scale=construct.axis_index(Axis("strange", 3))),
    "`y` does not depend on all that is evaluated for it": lambda p: collapsed_with(
        scale=ex.Value(p.model.value_type("r"), None, "r")
    )(p),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_the_verifier_says(message):
    plan = bound("y ~ normal(a[g] + mu * x, sigma)", "ygx").plan()
    with pytest.raises(InternalError, match=message):
        _collapsed(BROKEN[message](plan))


# Digits ---------------------------------------------------------------------------------------------------------


def test_badly_scaled_data():
    """Years and incomes, at values where the residuals are a millionth of what is subtracted."""
    rng = np.random.default_rng(0)
    N = 20_000
    year = rng.integers(1950, 2025, N).astype(float)
    income = 50_000 + 300.0 * (year - 2000) + 0.05 * rng.normal(size=N)
    text = """
    data N: int
    data year, income: real[N]
    c ~ normal(0, 1e6)
    slope ~ normal(0, 1e3)
    sigma ~ half_normal(1)
    income ~ normal(c + slope * year, sigma)
    """
    model = ppl.parse(text).bind({"N": N, "year": year, "income": income})
    plan = model.plan()
    values = {"c": [-550_000.0, -550_000.001], "slope": [300.0, 300.0], "sigma": [0.05, 0.049]}
    found = terms(model, plan, {name: np.array(value) for name, value in values.items()})["income"]
    c, slope, sigma = (np.array(value, dtype=np.longdouble)[:, None] for value in values.values())
    standard = (income.astype(np.longdouble) - (c + slope * year)) / sigma
    exact = np.sum(-0.5 * standard**2 - np.log(sigma), axis=1) - N * 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found, exact.astype(float), rtol=0, atol=1e-11 * N)


def test_columns_that_depend_on_each_other():
    model = bound("y ~ normal(mu + a[g] + a[0] + v[0] * x + v[1] * (2 * x), sigma)", "ygx")
    check_same(model, model.plan(), some_values(model))


# One pass -------------------------------------------------------------------------------------------------------


def test_blocks_give_the_same_statistics(monkeypatch):
    for line, names in (
        ("y ~ normal(mu + X @ v, sigma)", "yX"),
        ("y ~ normal(a[g] + mu * x, s[g])", "ygx"),
        ("y ~ normal(a[g] + b[h] * x + mu * x * x, sigma)", "yghx"),
        ("p ~ gamma(s[g], sigma)", "pg"),
    ):
        model = bound(line, names)
        values = some_values(model)
        whole = terms(model, model.plan(), values)
        monkeypatch.setattr(statistics_module, "BLOCK", 64)
        monkeypatch.setattr(statistics_module, "FEWEST_ROWS", 7)
        parts = terms(model, model.plan(), values)
        monkeypatch.undo()
        for name, term in whole.items():
            np.testing.assert_allclose(parts[name], term, rtol=1e-12)


def test_statistics_are_computed_once_for_the_same_data():
    model = bound("y ~ normal(mu * x, sigma)", "yx")
    (found,) = model.plan().collapses.values()
    first = statistics(found, model.data)
    assert statistics(found, model.data) is first
    other = {**model.data, "y": 2 * np.asarray(model.data["y"])}
    np.testing.assert_allclose(statistics(found, other)[2], 4 * first[2])


def test_the_work_does_not_grow_with_the_rows():
    few, many = (bound("y ~ normal(a[g] + mu * x, sigma)", "ygx", rows).plan() for rows in (1_000, 50_000))
    assert density_seconds(few) == density_seconds(many) < 0.1 * density_seconds(replace(few, collapses={}))


# The rest of the system ---------------------------------------------------------------------------------------------


def gaps(array):
    array = array.copy()
    array[::7] = np.nan
    return array


def test_missing_and_ragged_rows():
    y = made_up()["y"]
    text = f"data N: int\ndata y: real[N] missing\ndata g: index(7)[N]\n{LATENTS}y ~ normal(a[g], sigma)\n"
    model = ppl.parse(text).bind({"N": ROWS, "y": gaps(y), "g": made_up()["g"]})
    plan = model.plan()
    assert plan.collapses["y"].cells.rows == ROWS - len(y[::7])
    check_same(model, plan, some_values(model))
    text = """
    data N, M: int
    data T: int[N]
    data y, x: real[N, M]
    sigma ~ half_normal(1)
    plate n in N {
      e[n] ~ normal(0, 1)
      plate t in T[n] { y[n, t] ~ normal(e[n] + x[n, t], sigma) }
    }
    """
    rng = np.random.default_rng(1)
    lengths = np.arange(40, 70, 3)
    shape = (len(lengths), lengths.max())
    data = {"N": shape[0], "M": shape[1], "T": lengths, "y": rng.normal(size=shape), "x": rng.normal(size=shape)}
    model = ppl.parse(text).bind(data)
    plan = model.plan()
    assert plan.collapses["y"].cells.rows == lengths.sum()
    check_same(model, plan, some_values(model))


def test_observed_values_that_the_model_looks_back_on():
    text = """
    data T: int
    data y: real[T]
    phi ~ normal(0, 1)
    sigma ~ half_normal(1)
    scan t in 1:T { y[t] ~ normal(phi * y[t - 1], sigma) }
    """
    model = ppl.parse(text).bind({"T": 300, "y": np.cumsum(np.random.default_rng(0).normal(size=300))})
    plan = model.plan()
    assert plan.collapses["y"].statistics == 4
    check_same(model, plan, some_values(model))


def test_a_fit_and_what_follows_from_it():
    """The conditional method finds the same sparsity and the same answers; rows are still there one by one."""
    rng = np.random.default_rng(2)
    g = rng.integers(0, 12, ROWS)
    effects = rng.normal(1.0, 0.7, 12)
    data = {"N": ROWS, "J": 12, "g": g, "x": rng.normal(size=ROWS)}
    data["y"] = effects[g] + 0.5 * data["x"] + 0.8 * rng.normal(size=ROWS)
    program = ppl.parse("""
    data N, J: int
    data g: index(J)[N]
    data x, y: real[N]
    mu ~ normal(0, 5)
    tau ~ half_normal(2)
    sigma ~ half_normal(2)
    beta ~ normal(0, 5)
    theta[j in J] ~ normal(mu, tau)
    y ~ normal(theta[g] + beta * x, sigma)
    """)
    model = program.bind(data)
    plan = model.plan()
    assert "600 rows as 40 statistics" in program.explain(data)
    guide = choose_guide(plan, "auto")
    targets = [Target(each, model.data, guide, get_backend()) for each in (plan, replace(plan, collapses={}))]
    patterns = [find_pattern(target.gradient, target.dim) for target in targets]
    np.testing.assert_array_equal(*(pattern.shifts for pattern in patterns))
    fit = program.fit(data)
    assert fit.log_likelihood()["y"].shape[-1] == ROWS
    assert fit.predict(data)["y"].shape[-1] == ROWS
    least_squares = np.array([data["y"][g == j].mean() - 0.5 * data["x"][g == j].mean() for j in range(12)])
    np.testing.assert_allclose(fit.mean("theta"), least_squares, atol=0.15)
    values = {name: fit.mean(name) for name in ("mu", "tau", "sigma", "beta", "theta")}
    by_site = program.log_density(values, data, by_site=True)
    one = {name: np.asarray(value)[None] for name, value in values.items()}
    np.testing.assert_allclose(terms(model, plan, one)["y"][0], by_site["y"], rtol=1e-12)


# Random models ---------------------------------------------------------------------------------------------------

COEFFICIENTS = ("", "x * ", "2.5 * ", "x * x * ", "(x - 1) * ", "exp(0.1 * x) * ")
FACTORS = ("mu", "v[1]", "a[g]", "b[h]", "sigma", "mu * a[g]", "a[g] / sigma", "exp(0.3 * b[h])", "(X @ v)", "x")
SCALES = ("sigma", "s[g]", "2", "sigma * p", "p", "exp(0.2 * mu)", "sigma / p", "(sigma + 0.1 * s[g])")


@st.composite
def regressions(draw):
    chosen = draw(st.lists(st.tuples(st.sampled_from(COEFFICIENTS), st.sampled_from(FACTORS)), min_size=1, max_size=4))
    signs = draw(st.lists(st.sampled_from((" + ", " - ")), min_size=4, max_size=4))
    loc = "".join(sign + c + f for sign, (c, f) in zip(signs, chosen, strict=False)).removeprefix(" + ")
    outer = draw(st.sampled_from(("{}", "({}) * (x + mu)", "({}) / sigma", "-({})")))
    return outer.format(loc), draw(st.sampled_from(SCALES))


@settings(max_examples=60)
@given(regressions())
def test_random_regressions(parts):
    loc, scale = parts
    line = f"y ~ normal({loc} + 0 * x * mu, {scale})"
    model = bound(line, [name for name in DATA if name in _words(line)])
    plan = plan_of_all_collapses(model)
    verify_plan(plan, "collapse")
    assert plan.collapses["y"].title == LEAST_SQUARES
    check_same(model, plan, some_values(model))


def _words(text):
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


@settings(max_examples=60)
@given(random_programs())
def test_random_models(program):
    model = ppl.parse(program.text).bind(program.data)
    plan = plan_of_all_collapses(model)
    verify_plan(plan, "count_rows")
    if not plan.factored:
        check_same(model, plan, some_values(model))


@pytest.mark.parametrize("bind", list(corpus()))
def test_examples(bind):
    model = bind()
    plan = plan_of_all_collapses(model)
    verify_plan(plan, "count_rows")
    if not plan.factored:
        check_same(model, plan, some_values(model))


def plan_of_all_collapses(model):
    """Every site that can be is collapsed, and rows of every elimination are counted, whether it pays or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate, "LEAST_SHARE", -1e9)
        patch.setattr(candidate, "LEAST_SAVING", -1e12)
        patch.setattr(eliminations, "LEAST_SHARE", -1e9)
        patch.setattr(eliminations, "LEAST_SAVING", -1e12)
        return model.plan()


def test_no_counts_at_a_rate_of_zero_add_nothing():
    """Far down on the log scale a rate is 0; the log density there is that of no counts, with its derivative."""
    model = ppl.parse("data N: int\ndata y: int[N]\nlam ~ exponential(1)\nplate n in N { y[n] ~ poisson(lam) }\n")
    bound = model.bind({"y": [0] * 40})
    plan = bound.plan()
    assert plan.sites["y"].treatment == "collapsed"
    guide = choose_guide(plan)
    target = Target(guide.plan, bound.data, guide, get_backend("autograd"))
    rows = np.array([[-800.0], [0.0]])
    assert target.log_density(rows) == pytest.approx([-800.0, -41.0])
    assert target.gradient(rows).ravel() == pytest.approx([1.0, -40.0])
