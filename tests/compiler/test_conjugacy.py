"""Conjugacy found in the expressions is checked against the log density itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.compiler.conjugacy.sites import find_conjugacy
from ppl.inference.coordinate.ascent import CoordinateAscent, Family
from ppl.inference.coordinate.expected import State
from ppl.inference.coordinate.outcome import log_joint
from ppl.numeric import NUMPY

N = 7
X = np.linspace(-1.0, 2.0, N)
Y = np.array([0.3, -1.2, 2.2, 0.1, 1.7, -0.4, 0.9])
COUNTS = np.array([0, 3, 1, 4, 2, 2, 5])
PROGRAMS = {
    "known variance": ("mu ~ normal(0, 2)\ny[n in N] ~ normal(mu, 1.5)", {"mu": "normal"}),
    "precision": ("t ~ gamma(2, 1)\ny[n in N] ~ normal(0.2, 1 / sqrt(t))", {"t": "natural"}),
    "power": ("t ~ gamma(2, 1)\ny[n in N] ~ normal(0.2, t ^ -0.5)", {"t": "natural"}),
    "exp of log": ("t ~ gamma(2, 1)\ny[n in N] ~ normal(0.2, exp(0.3 - 0.5 * log(t)))", {"t": "natural"}),
    "variance": ("v ~ inverse_gamma(2, 1)\ny[n in N] ~ normal(0.2, sqrt(2 * v))", {"v": "natural"}),
    "through a name": ("t ~ gamma(2, 1)\ns = 1 / sqrt(t)\ny[n in N] ~ normal(0.2, s)", {"t": "natural"}),
    "product of precisions": (
        "t ~ gamma(2, 1)\nl[n in N] ~ gamma(2, 2)\nplate n in N { y[n] ~ normal(0, 1 / sqrt(t * l[n])) }",
        {"t": "natural", "l": "natural"},
    ),
    "regression": (
        "a ~ normal(0, 2)\nb[k in 2] ~ normal(0, 1)\nt ~ exponential(1)\n"
        "plate n in N { y[n] ~ normal(a + b[0] * x[n] + b[1] * x[n] ^ 2, 1 / sqrt(t)) }",
        {"a": "normal", "b": "normal", "t": "natural"},
    ),
    "lognormal": ("m ~ normal(0, 1)\nt ~ gamma(1, 1)\nc1[n in N] ~ lognormal(m, 1 / sqrt(t))", {"t": "natural"}),
    "counts": (
        "r[k in 2] ~ gamma(2, 1)\nplate n in N { c[n] ~ poisson(r[n % 2] * (1 + n)) }",
        {"r": "natural"},
    ),
    "log rate": ("r ~ gamma(2, 1)\nc[n in N] ~ poisson(log_rate = 0.3 + log(r))", {"r": "natural"}),
    "chain of gammas": (
        "b ~ gamma(1, 1)\nr[n in N] ~ gamma(2, b)\nplate n in N { c[n] ~ poisson(r[n]) }",
        {"b": "natural", "r": "natural"},
    ),
    "waiting": ("b ~ inverse_gamma(2, 1)\nc1[n in N] ~ exponential(1 / b)", {"b": "natural"}),
    "inverse gamma scale": (
        "b ~ gamma(2, 1)\nv[n in N] ~ inverse_gamma(3, b)\nplate n in N { y[n] ~ normal(0, sqrt(v[n])) }",
        {"b": "natural", "v": "natural"},
    ),
    "beta": (
        "p ~ beta(2, 1)\nu ~ beta(1, 1)\nplate n in N { h[n] ~ bernoulli(p)\n c[n] ~ binomial(6, 1 - u) }",
        {"p": "natural", "u": "natural"},
    ),
    "geometric": ("p ~ beta(2, 1)\nc[n in N] ~ geometric(p)", {"p": "natural"}),
    "dirichlet": ("w ~ dirichlet(rep(0.7, 6))\nc[n in N] ~ categorical(w)", {"w": "natural"}),
    "multinomial": ("w ~ dirichlet(rep(0.7, N))\nc ~ multinomial(17, w)", {"w": "natural"}),
    "wishart": (
        "m ~ multi_normal(rep(0, 2), cov = 3 * eye(2))\nL ~ wishart(4, eye(2))\n"
        "plate n in N { z2[n] ~ multi_normal(m, prec = L) }",
        {"m": "normal", "L": "natural"},
    ),
    "inverse wishart": (
        "m ~ multi_normal(rep(0, 2), chol = 2 * eye(2))\nS ~ inverse_wishart(5, eye(2))\n"
        "plate n in N { z2[n] ~ multi_normal(m, cov = S) }",
        {"m": "normal", "S": "natural"},
    ),
    "normal Wishart": (
        "L ~ wishart(4, eye(2))\nm ~ multi_normal(rep(0, 2), prec = 0.1 * L)\n"
        "plate n in N { z2[n] ~ multi_normal(m, prec = L) }",
        {"m": "normal", "L": "natural"},
    ),
    "scaled precision": (
        "L ~ wishart(4, eye(2))\nt ~ gamma(2, 1)\nplate n in N { z2[n] ~ multi_normal(rep(0, 2), prec = L / 3 * t) }",
        {"L": "natural", "t": "natural"},
    ),
    "scaled covariance": (
        "S ~ inverse_wishart(5, eye(2))\nl[n in N] ~ gamma(2, 2)\n"
        "plate n in N { z2[n] ~ multi_normal(rep(0, 2), cov = 2 * S / l[n]) }",
        {"S": "natural", "l": "natural"},
    ),
    "factors": (
        "plate n in N { u[n] ~ multi_normal(rep(0, 2), cov = eye(2)) }\nplate k in 3 { v[k] ~ multi_normal(rep(0, 2),"
        " cov = eye(2)) }\nplate n in N { y[n] ~ normal(u[n] @ v[n % 3], 0.5) }",
        {"u": "normal", "v": "normal"},
    ),
    "mixture": (
        "w ~ dirichlet(rep(1, 3))\nmu[k in 3] ~ normal(0, 3)\nt[k in 3] ~ gamma(2, 1)\n"
        "plate n in N { z[n] ~ categorical(w)\n y[n] ~ normal(mu[z[n]], 1 / sqrt(t[z[n]])) }",
        {"w": "natural", "mu": "normal", "t": "natural", "z": "enumerated"},
    ),
    "hidden chain": (
        "A[k in 2] ~ dirichlet([2.0, 1.0])\nmu[k in 2] ~ normal(0, 3)\n"
        "scan t in N { z[t] ~ categorical([0.5, 0.5] if t == 0 else A[z[t - 1]])\n y[t] ~ normal(mu[z[t]], 1) }",
        {"A": "natural", "mu": "normal", "z": "enumerated"},
    ),
    "a factor": ("t ~ gamma(2, 1)\nfactor f = 2 * log(t) - 0.4 * t\ny[n in N] ~ normal(0, 1)", {"t": "natural"}),
    "random walk": (
        "s ~ gamma(1, 1)\n"
        "scan t in N { w[t] ~ normal(0 if t == 0 else w[t - 1], 1 / sqrt(s))\n y[t] ~ normal(w[t], 1) }",
        {"s": "natural", "w": "normal"},
    ),
    "an angle": (
        "r ~ uniform(-1, 1)\nb ~ normal(0, 1)\ny[n in N] ~ normal(b * r, 1)",
        {"r": "gradient", "b": "normal"},
    ),
    "a mix": (
        "n0 ~ half_cauchy(1)\nb ~ normal(0, n0)\nv ~ inverse_gamma(2, 2)\ny[n in N] ~ normal(b, sqrt(v))",
        {"n0": "gradient", "b": "normal", "v": "natural"},
    ),
}
DATA: dict[str, Any] = {
    "x": X, "y": Y, "c": COUNTS, "c1": COUNTS + 1.0, "h": COUNTS > 2,
    "z2": np.stack([Y, X + 0.3 * Y], axis=1),
}  # fmt: skip
TYPES = {"x": "real[N]", "y": "real[N]", "c": "int[N]", "c1": "real(lower=0)[N]", "h": "bool[N]", "z2": "real[N, 2]"}


def bound(text: str) -> Any:
    """A program bound to the data that it reads."""
    words = set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in text).split())
    names = [name for name in TYPES if name in words]
    declared = "".join(f"data {name}: {TYPES[name]}\n" for name in names)
    return ppl.parse(f"data N: int\n{declared}{text}").bind({"N": N, **{name: DATA[name] for name in names}})


def ascent_of(text: str) -> tuple[Any, CoordinateAscent]:
    model = bound(text)
    rng = np.random.default_rng(0)
    return model, CoordinateAscent(find_conjugacy(model.plan()), model.data, get_backend(), rng)


@pytest.mark.parametrize("name", PROGRAMS)
def test_roles(name: str) -> None:
    text, roles = PROGRAMS[name]
    updates = find_conjugacy(bound(text).plan()).updates
    assert {site: updates[site].role for site in roles} == roles


def values_and_state(ascent: CoordinateAscent, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], State]:
    """Random values of the continuous sites, (1, *shape), and the state that is sure of them."""
    family = ascent.begin(rng, 1.0)
    values = {name: factor.draw(rng, 1) for name, factor in family.natural.items()}
    statistics = {name: factor.statistics_of(values[name][0]) for name, factor in family.natural.items()}
    points = {}
    for block in family.blocks:
        found = block.coordinates.values(NUMPY, rng.standard_normal((1, len(block.mean))))[0]
        values |= found
        points |= {name: np.repeat(value, len(block.points), axis=0) for name, value in found.items()}
    return values, State(statistics, points, {})


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_sure_factor_has_the_log_density_of_its_values(name: str) -> None:
    model, ascent = ascent_of(PROGRAMS[name][0])
    rng = np.random.default_rng(3)
    for _ in range(3):
        values, state = values_and_state(ascent, rng)
        exact = log_joint(model.plan(), model.data, values)[0]
        tables = ascent.joint.tables(state)
        nothing = {table: np.zeros_like(array) for table, array in tables.items()}
        found = ascent.joint.value(state, nothing) + (ascent.joint.sums(tables)[0] if tables else 0.0)
        assert found == pytest.approx(exact, rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("name", [name for name, (_, roles) in PROGRAMS.items() if "natural" in roles.values()])
def test_the_log_density_is_affine_in_the_statistics_with_the_slopes_found(name: str) -> None:
    """With the discrete sites held at weights, along random pairs of values of one site at a time."""
    _, ascent = ascent_of(PROGRAMS[name][0])
    rng = np.random.default_rng(4)
    family = ascent.begin(rng, 1.0)
    weights = family.weights
    _, state = values_and_state(ascent, rng)
    for site, factor in family.natural.items():
        slopes = ascent.joint.by_statistics(state, weights)[1][site]
        before = ascent.joint.value(state, weights)
        for _ in range(3):
            other = factor.statistics_of(factor.draw(rng, 1)[0])
            moved = State({**state.statistics, site: other}, state.points, {})
            pairs = zip(slopes, other, state.statistics[site], strict=True)
            expected = before + sum(float(np.sum(slope * (new - old))) for slope, new, old in pairs)
            assert ascent.joint.value(moved, weights) == pytest.approx(expected, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("name", [name for name, (_, roles) in PROGRAMS.items() if "normal" in roles.values()])
def test_the_log_density_is_quadratic_in_a_normal_block(name: str) -> None:
    _, ascent = ascent_of(PROGRAMS[name][0])
    rng = np.random.default_rng(5)
    family = ascent.begin(rng, 1.0)
    for number in range(len(ascent.conjugacy.normal_blocks)):
        slope = ascent.slope(family, number)
        start, way = rng.standard_normal((2, len(family.blocks[number].mean)))
        gradients = slope(np.array([start, start + way, start + 2.0 * way]))[1]
        np.testing.assert_allclose(gradients[2] - gradients[1], gradients[1] - gradients[0], rtol=1e-8, atol=1e-8)


REFUSED = {
    "t ~ gamma(2, 1)\ny[n in N] ~ normal(0, t)": ("t", "to the power of -2"),
    "t ~ gamma(2, 1)\ny[n in N] ~ normal(t, 1)": ("t", "the mean or the value of a normal"),
    "t ~ gamma(2, 1)\nfactor f = 1 / t\ny[n in N] ~ normal(0, 1)": ("t", "no family has its statistics"),
    "t ~ gamma(2, 1)\nr ~ gamma(t, 1)\nc[n in N] ~ poisson(r)": ("t", "the concentration of a gamma"),
    "p ~ beta(2, 1)\nc[n in N] ~ binomial(9, p * p)": ("p", "inside `multiply`"),
    "t ~ gamma(2, 1)\nfactor f = t * t\ny[n in N] ~ normal(0, 1)": ("t", "multiplied by itself"),
    "b ~ normal(0, 1)\nh[n in N] ~ bernoulli(logits = b)": ("b", "not quadratic"),
    "b ~ normal(0, 1)\ny[n in N] ~ normal(b ^ 3, 1)": ("b", "not quadratic"),
    "b ~ normal(0, 1)\ny[n in N] ~ student_t(3, b, 1)": ("b", "not quadratic"),
    "t ~ half_cauchy(1)\ny[n in N] ~ normal(0, t)": ("t", "`half_cauchy` is not of a form"),
    "t ~ gamma(2, 1)\ny[n in N] ~ student_t(3, 0, 1 / sqrt(t))": ("t", "`student_t` is not of a form"),
    "L ~ wishart(4, eye(2))\nplate n in N { z2[n] ~ multi_normal(rep(0, 2), prec = L * (1 + eye(2))) }": (
        "L",
        "elements multiplied one by one",
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_has_no_closed_form_says_why(text: str) -> None:
    site, why = REFUSED[text]
    update = find_conjugacy(bound(text).plan()).updates[site]
    assert update.role == "gradient"
    assert why in update.reason


def test_sites_that_are_multiplied_are_in_blocks_of_their_own_and_the_others_together() -> None:
    text = "a ~ normal(0, 1)\nu ~ normal(0, 1)\nv ~ normal(0, 1)\ny[n in N] ~ normal(a + u * v, 1)"
    assert find_conjugacy(bound(text).plan()).normal_blocks == (("a", "u"), ("v",))


def test_expectations_over_a_block_are_exact() -> None:
    """Means over the block's points against the moments of its normal."""
    _, ascent = ascent_of(PROGRAMS["regression"][0])
    rng = np.random.default_rng(6)
    family: Family = ascent.begin(rng, 1.0)
    for _ in range(3):
        family, _ = ascent.sweep(family)
    (block,) = family.blocks
    value = ascent.joint.value(family.state(), {})
    rows = block.draw(rng, 200_000)
    total, _ = ascent.joint.by_rows(0, rows, family.state(), {})
    spread = np.array([ascent.joint.by_rows(0, row[None], family.state(), {})[0] for row in rows[:2000]]).std()
    assert total / len(rows) == pytest.approx(value, abs=4.0 * spread / np.sqrt(len(rows)))
