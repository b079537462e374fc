"""`import ppl`: the public names, that they come when asked for, and what they cost."""

import importlib
import json
import subprocess
import sys

import pytest

import ppl
from ppl.distributions import DISTRIBUTIONS
from ppl.embedding import constructor_names
from ppl.functions import FUNCTIONS

WRITTEN = {
    "DataError", "Fit", "InferenceError", "InternalError", "ModelError", "PPLError", "Program",
    "UncertainFitWarning", "__version__", "amortized", "censored", "deterministic", "factor", "hurdle", "load",
    "load_fit", "mixture", "model", "net", "note", "open_data", "ordered", "param", "parse", "plate", "predict",
    "sample", "scan", "scope", "truncated", "zero_inflated", "zero_sum",
}  # fmt: skip


def test_public_names_are_those_written_and_those_registered():
    registered = set(ppl.__all__) - WRITTEN
    assert set(ppl.__all__) > WRITTEN
    assert {name for name in registered if name[0].isupper()} == set(constructor_names())
    assert len(constructor_names()) == len(DISTRIBUTIONS)
    functions = {name for name in registered if name[0].islower()}
    assert functions < set(FUNCTIONS)
    assert {"expit", "softplus", "log_sum_exp"} <= functions
    assert functions & {"exp", "sum", "where", "matmul", "sd", "inverse"} == set()


def test_dir_is_the_public_names():
    assert dir(ppl) == ppl.__all__ == sorted(set(ppl.__all__))


@pytest.mark.parametrize("name", ppl.__all__)
def test_every_public_name_is_there(name):
    assert getattr(ppl, name) is not None
    assert getattr(ppl, name) is getattr(ppl, name)


def test_star_import():
    names = {}
    exec("from ppl import *", names)
    assert set(ppl.__all__) <= set(names)


def test_constructors_and_functions_are_named_after_their_place():
    assert repr(ppl.HalfCauchy).startswith("<function HalfCauchy")
    assert ppl.expit(0.0) == 0.5


def test_the_decorator_is_not_hidden_by_the_folder_of_its_name():
    module = importlib.import_module("ppl.model")
    assert module.Builder is not None
    assert callable(ppl.model)
    assert ppl.model(lambda: None).name == "<lambda>"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Normel", "did you mean 'Normal'"),
        ("sampel", "did you mean 'sample'"),
        ("qqqq", "has no attribute 'qqqq'"),
        ("_private", "has no attribute '_private'"),
    ],
)
def test_an_unknown_name(name, message):
    with pytest.raises(AttributeError, match=message):
        getattr(ppl, name)


def imported(code):
    command = f"{code}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout))


def test_importing_ppl_imports_no_other_part_of_it_and_no_numpy():
    modules = imported("import ppl")
    assert {name for name in modules if name.startswith("ppl.")} == set()
    assert "numpy" not in modules


def test_an_error_class_costs_no_numpy():
    assert "numpy" not in imported("import ppl; ppl.ModelError")


def test_a_submodule_can_be_imported_from_the_package_without_the_rest():
    assert "ppl.embedding" not in imported("from ppl import errors")
