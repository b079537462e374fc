"""Names, calls and scopes: what is right passes. What is wrong stands in `golden/`."""

import pytest
from language.corpus import PROGRAMS, parsed

from ppl.distributions.base import DISTRIBUTIONS
from ppl.language.names import check_names
from ppl.language.vocabulary import COMBINATORS, FOREIGN_DISTRIBUTIONS, own_distribution


def codes(text):
    return [record.code for record in check_names(parsed(text))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_have_no_wrong_names(name):
    assert [record.render() for record in check_names(parsed(PROGRAMS[name]))] == []


RIGHT = {
    "statements in any order": "y ~ normal(mu, 1)\nmu = 2 * a\na ~ normal(0, 1)",
    "the same local in two blocks": "plate i in 2 {\n  s = 1\n}\nplate i in 3 {\n  s = 2\n}",
    "a local read in an inner block": "plate i in 2 {\n  s = i\n  plate j in 3 {\n    x[i, j] ~ normal(s, 1)\n  }\n}",
    "indices of the left side in any order": "plate i in 2 {\n  plate j in 3 {\n    x[j, i] ~ normal(0, 1)\n  }\n}",
    "a one-statement plate inside a plate": "plate i in 2 {\n  x[i, k in 3] ~ normal(k, 1)\n}",
    "a parameter of a def like a global": "a ~ normal(0, 1)\ndef f(a) {\n  b = a\n  return b\n}\nb = f(a)",
    "predict reads the model": "a ~ normal(0, 1)\npredict {\n  b = a\n  c ~ normal(b, 1)\n}",
    "data used only in a type": "data N: int\ndata y: real[N]\ny ~ normal(0, 1)",
    "a function passed to ode": "def f(t, z) {\n  return z\n}\nz = ode(f, 1, 0, [1, 2])",
    "logpdf takes a distribution": "factor a = logpdf(normal(0, 1), 2)",
    "a mixture of distributions": "x ~ mixture([0.5, 0.5], normal(0, 1), truncated(normal(1, 1), lower=0))",
    "a comprehension's later range reads its earlier index": "x = sum([i * j for i in 3, j in i])",
    "an unused datum with a far name": "data weight: real\ny ~ normal(0, 1)",
    "a new latent that is read": "data y: real[2]\nyy ~ normal(0, 1)\nz = yy",
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_names(case):
    assert codes(RIGHT[case]) == []


WRONG = {
    "an index of a comprehension outside": ("x = sum([i for i in 3]) + i", ["E101"]),
    "a local hides a global written later": ("plate i in 2 {\n  s = 1\n}\ns = 2", ["E104"]),
    "a local hides a local of the block around": (
        "plate i in 2 {\n  plate j in 2 {\n    s = 1\n  }\n  s = 2\n}",
        ["E104"],
    ),
    "data defined": ("data y: real\ny = 3", ["E104"]),
    "a param drawn": ("param a: real\na ~ normal(0, 1)", ["E104"]),
    "a def reads a global": ("a = 1\ndef f(x) {\n  return a\n}", ["E103"]),
    "an encoder that is not there": ("@amortized(enc(1))\nz ~ normal(0, 1)", ["E106"]),
    "a condition inside a distribution": ("x ~ normal(0, 1) if q else f(1)", ["E101", "E105"]),
    "an unknown size": ("data y: real(lower=a)[N]\ny ~ normal(0, 1)", ["E101", "E101"]),
    "several at once": ("x ~ foo(q)\ny = bar(x, r)", ["E105", "E101", "E106", "E101"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_names(case):
    text, expected = WRONG[case]
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("foreign", "own"),
    [("dgamma", "gamma"), ("normal_lpdf", "normal"), ("rnorm", "normal"), ("Bernoulli", "bernoulli"), ("zip", None)],
)
def test_foreign_distributions(foreign, own):
    assert own_distribution(foreign, frozenset(DISTRIBUTIONS)) == own


def test_foreign_distributions_lead_to_known_ones():
    assert set(FOREIGN_DISTRIBUTIONS.values()) - set(DISTRIBUTIONS) - set(COMBINATORS) == set()
