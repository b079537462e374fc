"""Expected log densities of families as sums of products of expectations of their parameters.

A form takes `Expectation` rules, the value and the parameters, and gives `E[log p(value | parameters)]` elementwise. It
is written so that each product joins independent things; where a parameter has no expectation of the kind that is asked
for, the rules say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ppl.compiler.conjugacy.expectation import Expectation, NotConjugate
from ppl.distributions import DISTRIBUTIONS
from ppl.distributions.formulas import HALF_LOG_TWO_PI
from ppl.model import construct
from ppl.model.expressions import Expr

Arguments = Mapping[str, Expr]
Form = Callable[[Expectation, Expr, Arguments], Expr]


def expected_log_density(q: Expectation, family: Any, value: Expr, arguments: Arguments) -> Expr | None:
    """`E[log p(value | arguments)]`, elementwise; None where the family has no form.

    Raises NotConjugate where a soft site is read in a way that has no expectation.
    """
    known = family.name in DISTRIBUTIONS and DISTRIBUTIONS[family.name] is family
    form = FORMS.get((family.name, frozenset(arguments))) if known else None
    if form is not None:
        return form(q, value, arguments)
    reads = q.reads(value, *arguments.values())
    if reads:
        raise NotConjugate(reads, f"`{family.name}` is not of a form that keeps it conjugate")
    return None


# Small algebra ------------------------------------------------------------------------------------------


def _call(name: str, *parts: Expr | float) -> Expr:
    return construct.call(name, [construct.constant(p) if isinstance(p, int | float) else p for p in parts])


def _add(first: Expr, *rest: Expr | float) -> Expr:
    total = first
    for part in rest:
        total = _call("add", total, part)
    return total


def _times(left: Expr | float, right: Expr | float) -> Expr:
    return _call("multiply", left, right)


def _minus(left: Expr | float, right: Expr | float) -> Expr:
    return _call("subtract", left, right)


def _times_log(count: Expr, log: Expr) -> Expr:
    """`count * log`, and 0 where the count is 0 and the log that of 0."""
    return _times(count, _call("where", _call("equal", count, 0.0), 0.0, log))


def _fixed(q: Expectation, what: str, *parts: Expr) -> None:
    """Raises NotConjugate where parts that must be known read a soft site."""
    reads = q.reads(*parts)
    if reads:
        raise NotConjugate(reads, f"it is read in {what}")


def _apart(q: Expectation, left: Expr, right: Expr) -> None:
    """Raises NotConjugate where two factors of a product read the same soft site."""
    shared = q.reads(left) & q.reads(right)
    if shared:
        raise NotConjugate(shared, "it is multiplied by itself")


def _product(q: Expectation, left: Expr, right: Expr) -> Expr:
    """E[left right]."""
    _apart(q, left, right)
    return _times(q.mean(left), q.mean(right))


# Forms --------------------------------------------------------------------------------------------------


def _normal_around(q: Expectation, deviation: Expr, scale: Expr) -> Expr:
    _fixed(q, "the mean or the value of a normal", deviation)
    square = _times(-0.5, _times(q.power(scale, -2.0), _call("square", deviation)))
    return _minus(_minus(square, q.log(scale)), HALF_LOG_TWO_PI)


def _normal(q: Expectation, value: Expr, a: Arguments) -> Expr:
    return _normal_around(q, _minus(value, a["loc"]), a["scale"])


def _lognormal(q: Expectation, value: Expr, a: Arguments) -> Expr:
    _fixed(q, "the value of a lognormal", value)
    log_value = _call("log", value)
    return _minus(_normal_around(q, _minus(log_value, a["loc"]), a["scale"]), log_value)


def _half_normal(q: Expectation, value: Expr, a: Arguments) -> Expr:
    return _add(_normal_around(q, value, a["scale"]), 0.6931471805599453)


def _flat(q: Expectation, value: Expr, a: Arguments) -> Expr:
    return _times(0.0, q.mean(value)) if not q.reads(value) else construct.constant(0.0)


def _gamma(q: Expectation, value: Expr, a: Arguments) -> Expr:
    shape, rate = a["concentration"], a["rate"]
    _fixed(q, "the concentration of a gamma", shape)
    powers = _add(_times(shape, q.log(rate)), _times(_minus(shape, 1.0), q.log(value)))
    return _minus(_minus(powers, _product(q, rate, value)), _call("log_gamma", shape))


def _exponential(q: Expectation, value: Expr, a: Arguments) -> Expr:
    return _minus(q.log(a["rate"]), _product(q, a["rate"], value))


def _inverse_gamma(q: Expectation, value: Expr, a: Arguments) -> Expr:
    shape, scale = a["concentration"], a["scale"]
    _fixed(q, "the concentration of an inverse gamma", shape)
    _apart(q, scale, value)
    powers = _minus(_times(shape, q.log(scale)), _times(_add(shape, 1.0), q.log(value)))
    return _minus(_minus(powers, _times(q.mean(scale), q.power(value, -1.0))), _call("log_gamma", shape))


def _poisson(q: Expectation, value: Expr, a: Arguments) -> Expr:
    _fixed(q, "a count", value)
    return _minus(_minus(_times_log(value, q.log(a["rate"])), q.mean(a["rate"])), _call("log_gamma", _add(value, 1.0)))


def _poisson_log(q: Expectation, value: Expr, a: Arguments) -> Expr:
    return _poisson(q, value, {"rate": _call("exp", a["log_rate"])})


def _bernoulli(q: Expectation, value: Expr, a: Arguments) -> Expr:
    _fixed(q, "an outcome", value)
    return _add(_times(value, q.log(a["probs"])), _times(_minus(1.0, value), q.complement(a["probs"])))


def _binomial(q: Expectation, value: Expr, a: Arguments) -> Expr:
    count, probs = a["total_count"], a["probs"]
    _fixed(q, "a count", value, count)
    failures = _minus(count, value)
    terms = _add(_times(value, q.log(probs)), _times(failures, q.complement(probs)))
    ways = _minus(_call("log_gamma", _add(count, 1.0)), _call("log_gamma", _add(value, 1.0)))
    return _add(terms, _minus(ways, _call("log_gamma", _add(failures, 1.0))))


def _geometric(q: Expectation, value: Expr, a: Arguments) -> Expr:
    _fixed(q, "a count", value)
    return _add(q.log(a["probs"]), _times(value, q.complement(a["probs"])))


def _categorical(q: Expectation, value: Expr, a: Arguments) -> Expr:
    _fixed(q, "an outcome", value)
    return construct.gather(q.log(a["probs"]), [value], None)


def _multinomial(q: Expectation, value: Expr, a: Arguments) -> Expr:
    count, probs = a["total_count"], a["probs"]
    _fixed(q, "a count", value, count)
    ways = _minus(_call("log_gamma", _add(count, 1.0)), _call("sum", _call("log_gamma", _add(value, 1.0))))
    return _add(_call("dot", value, q.log(probs)), ways)


def _dirichlet(q: Expectation, value: Expr, a: Arguments) -> Expr:
    concentration = a["concentration"]
    _fixed(q, "the concentration of a Dirichlet", concentration)
    normaliser = _minus(
        _call("sum", _call("log_gamma", concentration)), _call("log_gamma", _call("sum", concentration))
    )
    return _minus(_call("dot", _minus(concentration, 1.0), q.log(value)), normaliser)


def _beta(q: Expectation, value: Expr, a: Arguments) -> Expr:
    one, zero = a["concentration1"], a["concentration0"]
    _fixed(q, "the concentration of a beta", one, zero)
    powers = _add(_times(_minus(one, 1.0), q.log(value)), _times(_minus(zero, 1.0), q.complement(value)))
    return _minus(powers, _call("log_beta", one, zero))


def _uniform(q: Expectation, value: Expr, a: Arguments) -> Expr:
    _fixed(q, "the ends of a uniform", a["low"], a["high"])
    return _call("negative", _call("log", _minus(a["high"], a["low"])))


def _quadratic(deviation: Expr, matrix: Expr) -> Expr:
    """`d' M d`."""
    return _call("dot", deviation, construct.matmul(matrix, deviation))


def _multi_normal(q: Expectation, deviation: Expr, precision: Expr, log_det: Expr) -> Expr:
    _fixed(q, "the mean or the value of a normal", deviation)
    square = _minus(_times(0.5, log_det), _times(0.5, _quadratic(deviation, precision)))
    return _minus(square, deviation.type.event[-1] * HALF_LOG_TWO_PI)


def _normal_prec(q: Expectation, value: Expr, a: Arguments) -> Expr:
    return _multi_normal(q, _minus(value, a["loc"]), q.mean(a["prec"]), q.log_det(a["prec"]))


def _normal_cov(q: Expectation, value: Expr, a: Arguments) -> Expr:
    log_det = _call("negative", q.log_det(a["cov"]))
    return _multi_normal(q, _minus(value, a["loc"]), q.inverse(a["cov"]), log_det)


def _normal_chol(q: Expectation, value: Expr, a: Arguments) -> Expr:
    chol = a["chol"]
    _fixed(q, "the Cholesky factor of a normal", chol)
    cov = construct.matmul(chol, _call("transpose", chol))
    return _normal_cov(q, value, {"loc": a["loc"], "cov": cov})


def _matrix_gamma(value: Expr, df: Expr) -> Expr:
    """Log of the multivariate gamma function at half of `df`."""
    size = value.type.event[-1]
    parts = [_call("log_gamma", _times(0.5, _minus(df, float(i)))) for i in range(size)]
    return _call("add", _add(*parts), 0.25 * size * (size - 1) * 1.1447298858494002)


def _wishart(q: Expectation, value: Expr, a: Arguments) -> Expr:
    df, scale, size = a["df"], a["scale"], value.type.event[-1]
    _fixed(q, "the degrees of freedom of a Wishart", df)
    _apart(q, scale, value)
    powers = _minus(_times(_minus(df, size + 1.0), q.log_det(value)), _times(df, q.log_det(scale)))
    trace = _call("sum", _times(q.inverse(scale), q.mean(value)))
    constant = _add(_times(df, 0.5 * size * 0.6931471805599453), _matrix_gamma(value, df))
    return _minus(_times(0.5, _minus(powers, trace)), constant)


def _inverse_wishart(q: Expectation, value: Expr, a: Arguments) -> Expr:
    df, scale, size = a["df"], a["scale"], value.type.event[-1]
    _fixed(q, "the degrees of freedom of an inverse Wishart", df)
    _apart(q, scale, value)
    powers = _minus(_times(df, q.log_det(scale)), _times(_add(df, size + 1.0), q.log_det(value)))
    trace = _call("sum", _times(q.mean(scale), q.inverse(value)))
    constant = _add(_times(df, 0.5 * size * 0.6931471805599453), _matrix_gamma(value, df))
    return _minus(_times(0.5, _minus(powers, trace)), constant)


_ROWS: tuple[tuple[str, tuple[str, ...], Form], ...] = (
    ("normal", ("loc", "scale"), _normal),
    ("lognormal", ("loc", "scale"), _lognormal),
    ("half_normal", ("scale",), _half_normal),
    ("flat", (), _flat),
    ("gamma", ("concentration", "rate"), _gamma),
    ("exponential", ("rate",), _exponential),
    ("inverse_gamma", ("concentration", "scale"), _inverse_gamma),
    ("poisson", ("rate",), _poisson),
    ("poisson", ("log_rate",), _poisson_log),
    ("bernoulli", ("probs",), _bernoulli),
    ("binomial", ("total_count", "probs"), _binomial),
    ("geometric", ("probs",), _geometric),
    ("categorical", ("probs",), _categorical),
    ("multinomial", ("total_count", "probs"), _multinomial),
    ("dirichlet", ("concentration",), _dirichlet),
    ("beta", ("concentration1", "concentration0"), _beta),
    ("uniform", ("low", "high"), _uniform),
    ("multi_normal", ("loc", "prec"), _normal_prec),
    ("multi_normal", ("loc", "cov"), _normal_cov),
    ("multi_normal", ("loc", "chol"), _normal_chol),
    ("wishart", ("df", "scale"), _wishart),
    ("inverse_wishart", ("df", "scale"), _inverse_wishart),
)
FORMS: dict[tuple[str, frozenset[str]], Form] = {(name, frozenset(given)): form for name, given, form in _ROWS}
"""By family and the parameters that are given."""
