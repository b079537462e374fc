"""One model, two doors: every example written both ways is the same model, and its script runs."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import ppl

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.with_suffix(".ppl").exists())
pytestmark = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
DRAWS = 5


@cache
def example(path):
    """The text model, the function, and the data."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return ppl.load(path.with_suffix(".ppl")), module.model, data


def shown(graph):
    """Nodes in order with their attributes, the place in the source excepted, and edges."""
    nodes = [(name, {key: value for key, value in node.items() if key != "span"}) for name, node in graph.nodes.items()]
    return nodes, set(graph.edges)


def random_values(program, data):
    """Values of all latents, drawn from the prior: one dictionary a draw."""
    draws = program.simulate(data, draws=DRAWS, seed=3)
    latents = [site.name for site in program.bind(data).model.latents]
    return [{name: draws[name][row] for name in latents} for row in range(DRAWS)]


def test_the_graphs_are_equal(path):
    text, function, data = example(path)
    assert shown(text.graph(data)) == shown(function.graph(data))


def test_the_log_densities_are_equal(path):
    text, function, data = example(path)
    for values in random_values(text, data):
        by_text, by_function = (model.log_density(values, data, by_site=True) for model in (text, function))
        assert np.all(np.isfinite(list(by_text.values())))
        assert by_text == pytest.approx(by_function, rel=1e-10, abs=1e-10)


def test_the_log_densities_are_equal_with_discretes_summed_out(path):
    text, function, data = example(path)
    plan = text.bind(data).plan()
    for values in random_values(text, data):
        given = {name: value for name, value in values.items() if plan.sites[name].treatment != "enumerated"}
        by_text, by_function = (model.log_density(given, data, by_site=True) for model in (text, function))
        assert by_text == pytest.approx(by_function, rel=1e-10, abs=1e-10)


def test_the_plans_are_equal(path):
    text, function, data = example(path)
    assert text.explain(data) == function.explain(data)


@pytest.mark.slow
def test_the_script_prints_a_table(path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["mean", "sd", "5", "%", "50", "%", "95", "%"]
    assert rows
    for row in rows:
        numbers = [float(number) for number in row.rsplit(maxsplit=5)[1:]]
        assert np.all(np.isfinite(numbers))
        assert numbers[2] <= numbers[3] <= numbers[4]
