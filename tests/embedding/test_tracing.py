"""From functions to models: both styles of the Python door give one model, and it is the one built by hand."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppl.distributions import DISTRIBUTIONS
from ppl.embedding import (
    constructor,
    constructor_names,
    definition_span,
    deterministic,
    factor,
    param,
    plate,
    predict,
    sample,
    trace,
)
from ppl.errors import DataError, ModelError
from ppl.model import Builder, Note, construct, distribution, model_text

Normal, HalfNormal, Bernoulli = constructor("Normal"), constructor("HalfNormal"), constructor("Bernoulli")
Poisson, Dirichlet, Categorical = constructor("Poisson"), constructor("Dirichlet"), constructor("Categorical")
MultiNormal = constructor("MultiNormal")

RNG = np.random.default_rng(20240501)
DATA = {
    "N": 6,
    "J": 3,
    "M": 4,
    "county": [0, 1, 2, 2, 1, 0],
    "floor": RNG.normal(size=6),
    "y": RNG.normal(size=6),
    "u": RNG.normal(size=3),
    "grid": RNG.normal(size=(6, 4)),
    "X": RNG.normal(size=(6, 3)),
}


def text(function, data=DATA):
    return model_text(trace(function, data)[0])


def positional_radon(N, J, county, floor, u, y):
    tau = sample("tau", HalfNormal(1))
    with plate("j", J):
        alpha = sample("alpha", Normal(tau + u, tau))
    with plate("n", N):
        eta = deterministic("eta", alpha[county] + tau * floor)
        sample("y", Normal(eta, tau), obs=y)


def indexed_radon(N, J, county, floor, u, y):
    tau = sample("tau", HalfNormal(1))
    with plate("j", J) as j:
        alpha = sample("alpha", Normal(tau + u[j], tau))
    with plate("n", N) as n:
        eta = deterministic("eta", alpha[county[n]] + tau * floor[n])
        sample("y", Normal(eta[n], tau), obs=y[n])


def test_both_styles_and_the_builder_give_one_model():
    expected = text(indexed_radon)
    assert text(positional_radon) == expected

    builder = Builder("radon")
    named = {name: construct.data(name, np.asarray(DATA[name])) for name in ("county", "floor", "u", "y")}
    half = distribution("half_normal", [construct.constant(1)], {})
    tau = builder.sample("tau", half)
    j = construct.axis_index(axis_j := builder.axis("j", 3))
    loc = construct.call("add", [tau, construct.index(named["u"], [j])])
    alpha = builder.sample("alpha", distribution("normal", [loc, tau], {}), [axis_j])
    n = construct.axis_index(axis_n := builder.axis("n", 6))
    gathered = construct.index(alpha, [construct.index(named["county"], [n])])
    slope = construct.call("multiply", [tau, construct.index(named["floor"], [n])])
    eta = builder.deterministic("eta", construct.call("add", [gathered, slope]), [axis_n])
    observed = construct.index(named["y"], [n])
    builder.sample("y", distribution("normal", [construct.index(eta, [n]), tau], {}), [axis_n], observed)
    assert model_text(builder.model()) == expected


STYLES = {
    "matrix": (
        lambda N, J, X, y: _regression(N, J, lambda beta, n: X @ beta, y),
        lambda N, J, X, y: _regression(N, J, lambda beta, n: X[n] @ beta, y),
    ),
    "two_plates": (
        lambda N, M, grid: _rows_and_columns(N, M, lambda a, b, n, m: a[:, None] + b[None, :], grid),
        lambda N, M, grid: _rows_and_columns(N, M, lambda a, b, n, m: a[n] + b[m], grid),
    ),
    "half_positional": (
        lambda N, M, grid: _rows_and_columns(N, M, lambda a, b, n, m: a * b[m], grid),
        lambda N, M, grid: _rows_and_columns(N, M, lambda a, b, n, m: a[n] * b[m], grid),
    ),
    "where": (
        lambda N, county: _offset(N, lambda a, n: np.where(a > 0, np.exp(a), county), county),
        lambda N, county: _offset(N, lambda a, n: np.where(a[n] > 0, np.exp(a[n]), county[n]), county),
    ),
}


def _regression(N, J, linear, y):
    with plate("j", J):
        beta = sample("beta", Normal(0, 1))
    with plate("n", N) as n:
        sample("y", Normal(linear(beta, n), 1), obs=y)


def _rows_and_columns(N, M, mean, grid):
    with plate("n", N):
        a = sample("a", Normal(0, 1))
    with plate("m", M):
        b = sample("b", Normal(0, 1))
    with plate("n", N) as n, plate("m", M) as m:
        sample("grid", Normal(mean(a, b, n, m), 1), obs=grid)


def _offset(N, offset, county):
    with plate("n", N) as n:
        a = sample("a", Normal(0, 1))
        sample("b", Normal(offset(a, n), 1), obs=county)


@pytest.mark.parametrize("case", STYLES)
def test_positional_and_indexed_style_agree(case):
    positional, indexed = STYLES[case]
    assert text(positional) == text(indexed)


def test_parts_of_different_rank_find_their_plates():
    def model(N, M, grid):
        with plate("n", N):
            loc = sample("loc", Normal(0, 1))
        with plate("m", M):
            scale = sample("scale", HalfNormal(1))
        with plate("n", N), plate("m", M):
            sample("grid", Normal(loc, scale), obs=grid)

    assert text(model).splitlines()[-1] == ("grid {n, m}: real ~ normal(loc = loc[n], scale = scale[m]) = grid[n][m]")


def test_a_part_that_fits_in_two_ways_follows_one_that_fits_in_one():
    def model(y):
        with plate("a", 3):
            loc = sample("loc", Normal(0, 1))
        with plate("a", 3), plate("b", 3):
            sample("y", Normal(loc, 1), obs=y)

    last = text(model, {"y": [1.0, 2.0, 3.0]}).splitlines()[-1]
    assert last == "y {a, b}: real ~ normal(loc = loc[a], scale = 1) = y[a]"


def test_whole_arrays_outside_plates_make_plates():
    def model(X, y):
        beta = sample("beta", Normal(np.zeros(3), 1))
        sample("y", Bernoulli(logits=X @ beta), obs=y > 0)

    lines = text(model).splitlines()
    assert lines[:2] == ["plate beta_0: 3", "plate y_0: 6"]
    assert lines[3].startswith("y {y_0}: boolean ~ bernoulli(logits = dot(X[y_0], beta)) = ")


def test_events_stay_on_the_right_of_plates():
    def model(N):
        with plate("n", N):
            theta = sample("theta", Dirichlet(np.ones(4)))
            z = sample("z", Categorical(theta))
            deterministic("twice", 2 * theta)
        assert theta.shape == (6, 4)
        assert z.shape == (6,)

    model_, _ = trace(model, DATA)
    assert model_text(model_).splitlines()[1:] == [
        "theta {n}: simplex[4] ~ dirichlet(concentration = [1.0, 1.0, 1.0, 1.0])",
        f"z {{n}}: {model_.by_name['z'].support.name} ~ categorical(probs = theta[n])",
        "twice {n} = 2 * theta[n]",
    ]
    assert model_.by_name["twice"].shape == (6, 4)


def test_a_list_of_symbols_is_an_array():
    def model():
        a = sample("a", Normal(0, 1))
        sample("b", MultiNormal([a, 2.0], np.eye(2)))

    assert text(model, {}).splitlines()[1].startswith("b: real[2] ~ multi_normal(loc = stack(a, 2)")


def test_factors_and_deterministics_in_plates():
    def positional(N, floor):
        a = sample("a", Normal(0, 1))
        with plate("n", N):
            factor("f", a * floor)
            deterministic("d", a * floor)
        deterministic("whole", a * floor)

    def indexed(N, floor):
        a = sample("a", Normal(0, 1))
        with plate("n", N) as n:
            factor("f", a * floor[n])
            deterministic("d", a * floor[n])
        deterministic("whole", a * floor)

    assert text(positional) == text(indexed)
    lines = ["factor f {n} = a * floor[n]", "d {n} = a * floor[n]", "whole = a * floor"]
    assert text(indexed).splitlines()[2:] == lines


def test_plates_may_start_elsewhere():
    def model(y):
        with plate("t", 5, start=1) as t:
            e = sample("e", Normal(y[t - 1], 1), obs=y[t])
        assert e.shape == (5,)
        deterministic("ends", e[1] + e[-1])

    assert text(model).splitlines() == [
        "plate t: 1:6",
        "e {t}: real ~ normal(loc = y[0:5][t], scale = 1) = y[1:6][t]",
        "ends = e[1 - 1] + e[5 - 1]",
    ]


def test_params_notes_and_predictions():
    def model(N, y):
        a = param("a", 0.5, "positive")
        w = param("w", np.zeros(2))
        p = param("p", 0.3, "interval", (0, 1))
        b = sample("b", Normal(np.sum(w), a), notes=["noncentered"])
        c = sample("c", Poisson(a * p), estimator="score")
        with plate("n", N):
            sample("y", Normal(b + c, 1), obs=y)
        with predict():
            d = sample("d", Normal(b, 1))
            deterministic("e", d + 1)

    model_, arrays = trace(model, DATA)
    assert model_text(model_).splitlines()[1:] == [
        "param a: positive = 0.5",
        "param w: real[2] = [0. 0.]",
        "param p: interval = 0.3",
        "b: real ~ normal(loc = sum(w), scale = a)",
        "c: count ~ poisson(rate = a * p)",
        "y {n}: real ~ normal(loc = b + c, scale = 1) = y[n]",
        "predict",
        "  d: real ~ normal(loc = b, scale = 1)",
        "  e = d + 1",
    ]
    assert [note.name for name in "bc" for note in model_.by_name[name].notes] == ["noncentered", "score"]
    assert list(arrays) == ["y"]
    assert type(arrays["y"]) is np.ndarray
    assert isinstance(model_.by_name["b"].notes[0], Note)


def test_the_name_and_spans_of_a_model():
    model, _ = trace(indexed_radon, DATA)
    assert model.name == "indexed_radon"
    assert model.by_name["tau"].span.text == 'sample("tau", HalfNormal(1))'
    assert model.by_name["alpha"].distribution.span.text == "Normal(tau + u[j], tau)"
    assert model.by_name["eta"].value.span.text == "alpha[county[n]] + tau * floor[n]"
    assert definition_span(indexed_radon).text == "def indexed_radon"


def test_a_source_that_cannot_be_read_still_gives_the_line():
    names = {"sample": sample, "Normal": Normal, "__name__": "unsaved"}
    exec(compile('\n\ndef model():\n    if sample("a", Normal(0, 1)) > 0:\n        pass\n', "<unsaved>", "exec"), names)
    with pytest.raises(ModelError, match=r"E310 <unsaved>:4:1"):
        trace(names["model"], {})


def test_equal_code_in_two_files_keeps_its_places(tmp_path):
    places = []
    for name in ("one.py", "two.py"):
        path = tmp_path / name
        path.write_text("def model():\n    return float(sample('a', Normal(0, 1)))\n")
        names = {"sample": sample, "Normal": Normal, "__name__": "user"}
        exec(compile(path.read_text(), str(path), "exec"), names)
        with pytest.raises(ModelError) as caught:
            trace(names["model"], {})
        places.append(caught.value.diagnostics[0].span.location)
    assert places == [f"{tmp_path / name}:2:12" for name in ("one.py", "two.py")]


# Arguments ------------------------------------------------------------------------------------------


def test_absent_outcomes_are_latent():
    def model(N, y=None):
        with plate("n", N):
            sample("y", Normal(0, 1), obs=y)

    def required(N, y):
        with plate("n", N) as n:
            sample("y", Normal(0, 1), obs=y[n])

    for function, absent in ((model, False), (required, True)):
        bound, arrays = trace(function, {"N": 4}, absent=absent)
        assert [site.name for site in bound.latents] == ["y"]
        assert arrays == {}
    with pytest.raises(DataError, match=r"E511 .*\n.*\n.*\^ `y` is not in the data"):
        trace(required, {"N": 4})


@pytest.mark.parametrize("use", [lambda y: y + 1, lambda y: np.exp(y), len, float, lambda y: Normal(y, 1), iter])
def test_an_absent_input_is_an_error_where_it_is_used(use):
    def model(y):
        use(y)

    with pytest.raises(DataError, match="`y` is not in the data, and more than an outcome"):
        trace(model, {}, absent=True)


def test_surplus_data_are_ignored_and_caught_by_double_stars():
    seen = {}

    def model(N, **others):
        seen.update(others)

    trace(model, {"N": 1, "a": [1, 2], "b": "text"})
    assert sorted(seen) == ["a", "b"]
    assert seen["a"].name == "a"
    trace(lambda N: None, {"N": 1, "a": [1, 2]})


def test_functions_index_from_zero():
    with pytest.raises(DataError, match=r"E515(.|\n)*def positional_radon(.|\n)*index - 1"):
        trace(positional_radon, DATA, base=1)


def test_primitives_outside_a_model():
    for call in (
        lambda: sample("a", Normal(0, 1)), lambda: plate("n", 3), lambda: deterministic("a", 1),
        lambda: factor("a", 1), lambda: param("a", 1), lambda: predict(),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=r"E111 tests/embedding/test_tracing\.py(.|\n)*outside a model"):
            call()


def test_models_do_not_nest_and_errors_leave_nothing_behind():
    def inner():
        sample("a", Normal(0, 1))

    def outer():
        trace(inner, {})

    with pytest.raises(ModelError, match=r"E112(.|\n)*model `inner` is used inside another model"):
        trace(outer, {})
    assert text(inner, {}) == "a: real ~ normal(loc = 0, scale = 1)\n"


def test_predict_stands_alone():
    def model(N):
        with plate("n", N), predict():
            pass

    with pytest.raises(ModelError, match="E117"):
        trace(model, DATA)


# Constructors ---------------------------------------------------------------------------------------


def test_every_distribution_has_a_constructor():
    assert len(constructor_names()) == len(DISTRIBUTIONS)
    for name in constructor_names():
        make = constructor(name)
        assert make.__name__ == name
        signature = inspect.signature(make)
        family = next(f for f in DISTRIBUTIONS.values() if f.name.replace("_", "") == name.lower())
        assert set(signature.parameters) == {p.name for p in family.parameters}
        assert make.__doc__.startswith(family.doc)
        for example in family.examples:
            assert set(make(**example).arguments) >= set(example)


def test_names_of_constructors():
    assert constructor("LogNormal")(0, 1).name == "lognormal"
    assert constructor("HalfCauchy") is constructor("HalfCauchy")
    assert str(inspect.signature(Normal)).startswith("(loc, scale) ->")
    with pytest.raises(AttributeError, match="did you mean 'HalfCauchy'"):
        constructor("HalfCauch")
    with pytest.raises(AttributeError, match="no distribution 'normal'"):
        constructor("normal")


# Fuzz -----------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.permutations(["n", "m", "k"]),
    st.lists(st.sampled_from(["n", "m", "k"]), unique=True, max_size=3),
    st.lists(st.sampled_from(["n", "m", "k"]), unique=True, max_size=3),
)
def test_named_and_positional_parts_agree_whatever_the_plates(order, first, second):
    """Arrays over any subsets of three plates, in plate order, as arguments of one site."""
    sizes = {"n": 2, "m": 3, "k": 4}
    first, second = (sorted(part, key=order.index) for part in (first, second))
    data = {"x": np.ones([sizes[p] for p in first] or [1]), "s": np.ones([sizes[p] for p in second] or [1])}

    def model(indexed, x, s):
        opened = [plate(name, sizes[name]) for name in order]
        with opened[0] as a, opened[1] as b, opened[2] as c:
            index = dict(zip(order, (a, b, c), strict=True))
            parts = []
            for array, part in ((x, first), (s, second)):
                whole = array if part else 1.0
                parts.append(array[tuple(index[p] for p in part)] if indexed and part else whole)
            value = sample("y", Normal(*parts))
        assert value.shape == tuple(sizes[p] for p in order)

    assert text(lambda x, s: model(True, x, s), data) == text(lambda x, s: model(False, x, s), data)
