"""Functions with lengths and forms for several ranks, as programs write them; and what a misuse is answered."""

import numpy as np
import pytest
from language.corpus import PROGRAMS
from scipy import stats

import ppl
from ppl.errors import PPLError

HEAD = "data N, J: int\ndata g: index(J)[N]\ndata y: real[N]\na[j in J] ~ normal(0, 1)\n"
HEAD += "factor used = 0 * (sum(y) + sum(g))\n"
DATA = {"g": [0, 2, 2, 0], "y": [1.0, 2.0, 3.0, 5.0], "J": 4}
G, Y, A = np.array(DATA["g"]), np.array(DATA["y"]), np.array([0.5, -1.0, 0.3, 2.0])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("segment_sum(y, g, J)", [6, 0, 5, 0]),
        ("segment_sum(a[g], g, size = J)", [1.0, 0, 0.6, 0]),
        ("one_hot(g, J) @ a", A[G]),
        ("[one_hot(g[n], J) @ a for n in N]", A[G]),
        ("solve_lower(eye(J) + outer(a, a), a)", np.linalg.solve(np.tril(np.eye(4) + np.outer(A, A)), A)),
        ("diagonal(solve_upper(eye(J) + outer(a, a), eye(J)))", 1 / (1 + A**2)),
        ("eigenvalues(outer(a, a))[3]", A @ A),
        ("squared_exponential(a, a, 2, 1)[0]", 4 * np.exp(-((A[0] - A) ** 2) / 2)),
        ("matern12([[a[0], 0], [0, a[1]]], [[0, 0]], 1, 2)[:, 0]", np.exp(-np.abs(A[:2]) / 2)),
        ("cumsum(a) + sort(a)", np.cumsum(A) + np.sort(A)),
    ],
)
def test_values(expression, expected):
    program = ppl.parse(f"{HEAD}value = {expression}\nfactor f = sum(value * value)")
    terms = program.log_density({"a": A}, DATA, by_site=True)
    assert terms["f"] == pytest.approx(np.sum(np.square(expected)), abs=1e-8)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("segment_sum(y, g)", "E303 m.ppl:6:9 segment_sum(values, index, size) takes 3 arguments, 2 given"),
        ("segment_sum(y, g, J, 2)", "E303 m.ppl:6:9 segment_sum(values, index, size) takes 3 arguments, 4 given"),
        ("one_hot(g, J, size = J)", "E303 m.ppl:6:23 one_hot has no argument `size` here"),
        ("sum(y, 0)", "E303 m.ppl:6:9 sum(x) takes 1 argument, 2 given"),
        (
            "segment_sum(y, g, 2)",
            "E306 m.ppl:6:24 index 2 is outside 0..1; indices count from 0 and do not wrap around",
        ),
        ("one_hot(g, -1)", "E310 m.ppl:6:20 `size` of one_hot is at least 0, not -1"),
        ("one_hot(y, J)", "E308 m.ppl:6:17 an index must be a whole number, `y` is real"),
        ("one_hot(g, a[0])", "E310 m.ppl:6:20 `size` of one_hot must be known from data, `a[0]` is not"),
        ("solve_lower(y, y)", "E301 m.ppl:6:21 `a` of `solve_lower` must be a matrix, it has length 4 (N)"),
    ],
)
def test_answers(expression, answer):
    program = ppl.parse(f"{HEAD}value = {expression}\nfactor f = sum(value)", "m.ppl")
    with pytest.raises(PPLError) as caught:
        program.bind(DATA)
    (record,) = caught.value.diagnostics
    assert f"{record.code} {record.span.location} {record.message}" == answer


def test_the_python_door():
    @ppl.model
    def grouped(g, y, J):
        with ppl.plate("j", J):
            a = ppl.sample("a", ppl.Normal(0, 1))
        ppl.factor("f", np.sum(ppl.segment_sum(a[g], g, J) ** 2) + np.sum(ppl.one_hot(g, size=J) @ a))
        ppl.factor("k", np.sum(ppl.matern32(a, a, 1.0, 2.0)) + np.linalg.eigvalsh(np.outer(a, a))[3])

    terms = grouped.log_density({"a": A}, {**DATA, "y": Y}, by_site=True)
    assert terms["f"] == pytest.approx(1.0 + 0.36 + A[G].sum())
    r = np.sqrt(3) * np.abs(A[:, None] - A) / 2
    assert terms["k"] == pytest.approx(np.sum((1 + r) * np.exp(-r)) + A @ A)


GAUSSIAN_PROCESS = """
data N, M: int
data x, y: real[N]
data xnew: real[M]
ell   ~ gamma(25, 4)
amp   ~ half_normal(2)
sigma ~ half_normal(1)
C = {kernel}(x, x, amp, ell) + diag(rep(sigma^2, N))
y ~ multi_normal(rep(0, N), cov = C)
predict {{
  Ks = {kernel}(xnew, x, amp, ell)
  L = cholesky(C)
  A = solve_lower(L, transpose(Ks))
  f ~ multi_normal(
    transpose(A) @ solve_lower(L, y), cov = {kernel}(xnew, xnew, amp, ell) - transpose(A) @ A + diag(rep(1e-8, M))
  )
}}
"""


PROCESSES = {name: GAUSSIAN_PROCESS.format(kernel=name) for name in ("squared_exponential", "matern52")}
PROCESSES["of the language's description"] = PROGRAMS["gaussian_process"]


@pytest.mark.parametrize("name", PROCESSES)
def test_gaussian_process_regression_fits_and_predicts(name):
    """20 points of a sine with noise 0.1: the curve between them is found, and the noise."""
    x = np.linspace(0, 20, 20)
    y = np.sin(x / 3) + 0.1 * np.random.default_rng(5).normal(size=20)
    xnew = np.array([3.3, 9.0, 14.2])
    fit = ppl.parse(PROCESSES[name]).fit({"x": x, "y": y, "xnew": xnew}, seed=0)
    assert 0.04 < fit.mean("sigma") < 0.3
    f = fit.predict()["f"]
    np.testing.assert_allclose(f.mean(axis=0), np.sin(xnew / 3), atol=0.25)
    assert np.all((f.std(axis=0) > 0.01) & (f.std(axis=0) < 0.3))


def test_kernels_give_the_density_of_the_comprehension():
    x, y, values = np.linspace(0, 3, 6), np.arange(6.0), {"ell": 1.5, "amp": 0.7, "sigma": 0.3}
    found = ppl.parse(GAUSSIAN_PROCESS.format(kernel="squared_exponential")).log_density(
        values, {"x": x, "y": y, "xnew": x[:2]}, by_site=True
    )["y"]
    covariance = 0.49 * np.exp(-0.5 * ((x[:, None] - x) / 1.5) ** 2) + 0.09 * np.eye(6)
    assert found == pytest.approx(stats.multivariate_normal(np.zeros(6), covariance).logpdf(y), abs=1e-8)
