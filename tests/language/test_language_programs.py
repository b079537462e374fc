"""Every program of the language's description: its log density against NumPy and SciPy, to 1e-8.

A program in `LATER` waits for a part of the language; its case is written out all the same, so that the test asks to be
taken off the list on the day it passes. Plans are made without `@minibatch`, which is not carried out yet.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from language.corpus import FOLDER, PROGRAMS
from language.densities import CASES
from scipy import stats

import ppl

LATER: dict[str, str] = {}


def program(name, text):
    """The program, with the files it uses beside it; an `ode` asked for all the digits that are compared."""
    exact = re.sub(r"rtol=\S+, atol=[^)]+", "rtol=1e-12, atol=1e-12", text)
    return ppl.parse(exact, str(Path(FOLDER) / f"{name}.ppl"))


def marked(names):
    later = {name: pytest.mark.xfail(raises=ppl.PPLError, reason=reason) for name, reason in LATER.items()}
    return [pytest.param(name, marks=later[name]) if name in later else name for name in names]


@pytest.mark.parametrize("name", marked(CASES))
def test_log_density(name):
    data, values, expected = CASES[name]()
    assert program(name, PROGRAMS[name]).log_density(values, data) == pytest.approx(expected, abs=1e-8)


def without_batches(text):
    return re.sub(r"^ *@minibatch.*\n", "", text, flags=re.MULTILINE)


def test_the_autoencoder():
    """Its decoder by hand: a relu layer and a linear one, with the weights that the model starts from."""
    x, z = np.random.default_rng(4).integers(0, 2, (6, 5)), np.random.default_rng(5).normal(size=(6, 2))
    bound = program("vae", PROGRAMS["vae"]).bind({"x": x, "Z": 2})
    weights = {param.name: np.asarray(param.initial) for param in bound.model.params}
    hidden = np.maximum(z @ weights["dec.weight0"] + weights["dec.bias0"], 0.0)
    logits = hidden @ weights["dec.weight1"] + weights["dec.bias1"]
    expected = stats.norm.logpdf(z).sum() + np.sum(x * logits - np.logaddexp(0.0, logits))
    found = program("vae", PROGRAMS["vae"]).log_density({"z": z}, {"x": x, "Z": 2})
    assert found == pytest.approx(expected, abs=1e-8)


def test_every_program_has_a_case():
    assert {*CASES, "vae", "horseshoe"} == set(PROGRAMS)


@pytest.mark.parametrize("name", [name for name in CASES if name not in LATER])
def test_plans(name):
    data, _, _ = CASES[name]()
    assert program(name, without_batches(PROGRAMS[name])).bind(data).plan().sites
