"""The flagship examples: both doors make one model, and every script runs with a small budget and draws its picture."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import ppl

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "flagship"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.ppl"))
PACKAGES = {
    "belief": "sklearn", "clusters": "sklearn", "digits_vae": "sklearn", "factors": "sklearn", "network": "sklearn",
    "photo": "sklearn", "regimes": "statsmodels", "topics": "lda",
}  # fmt: skip
"""Where the data of each are."""
SMALL = {
    "belief": {"images": 30, "first": 4, "second": 3}, "clusters": {}, "digits_vae": {"images": 30, "hidden": 5},
    "factors": {"images": 40, "patterns": 3}, "network": {"hidden": 3}, "photo": {"rows": 20}, "regimes": {},
    "topics": {"stories": 10, "topics": 3},
}  # fmt: skip
"""Data small enough to be quick."""
BUDGET = {
    "belief": {"images": 1000, "epochs": 50}, "clusters": {"most": 3, "steps": 600},
    "digits_vae": {"images": 900, "epochs": 40}, "factors": {"images": 150, "steps": 150}, "network": {"steps": 1000},
    "photo": {"rows": 8, "steps": 500, "gradient_draws": 10, "rate": 0.02, "schedule": "cosine"},
    "regimes": {"guide": "laplace"}, "topics": {"stories": 60, "topics": 8, "starts": 2, "first_sweeps": 3},
}  # fmt: skip
"""Of the whole script."""
RIGHT = {
    "belief": lambda found: found["elbo"] > found["apart"] + 2 and found["busy"] > 4,
    "clusters": lambda found: found["scores"][0] < found["scores"][1] < found["scores"][2] and found["pure"] > 0.9,
    "digits_vae": lambda found: found["unseen"] > found["apart"] + 2 and found["wrong"] < 0.12,
    "factors": lambda found: found["missed"] < 0.8 * found["spread"] and 1 < found["noise"] < 4,
    "network": lambda found: found["inside"] > 0.8 and found["missed"] < 0.85,
    "photo": lambda found: found["b"] < 0.5 and found["bits"] < found["common"],
    "regimes": lambda found: found["agree"] > 0.93 and 4 < found["lasts"] < 8,
    "topics": lambda found: found["unseen"] < 0.93 * found["alone"],
}
"""What the numbers of the script must be like, with a small budget too."""
every = pytest.mark.parametrize("name", EXAMPLES)


@cache
def example(name):
    """The module of the script, which a package that is not there lets skip."""
    for package in ("matplotlib", PACKAGES[name]):
        pytest.importorskip(package, reason=f"the example needs {package}: pip install 'ppl[examples]'")
    spec = importlib.util.spec_from_file_location(f"flagship_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(graph):
    """Nodes in order with their attributes, the place in the source excepted, and edges."""
    nodes = [(name, {key: value for key, value in node.items() if key != "span"}) for name, node in graph.nodes.items()]
    return nodes, set(graph.edges)


def two_doors(name):
    module = example(name)
    return ppl.load(FOLDER / f"{name}.ppl"), module.model, module.data(**SMALL[name])


def test_every_example_is_known():
    assert sorted(PACKAGES) == sorted(SMALL) == sorted(BUDGET) == sorted(RIGHT) == EXAMPLES
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == EXAMPLES


@every
def test_the_graphs_are_equal(name):
    text, function, data = two_doors(name)
    assert shown(text.graph(data)) == shown(function.graph(data))


@every
def test_the_log_densities_are_equal(name):
    text, function, data = two_doors(name)
    latents = [site.name for site in text.bind(data).model.latents]
    draws = text.simulate(data, draws=2, seed=3)
    for row in range(2):
        values = {name: draws[name][row] for name in latents}
        by_text, by_function = (model.log_density(values, data, by_site=True) for model in (text, function))
        assert np.all(np.isfinite(list(by_text.values())))
        assert by_text == pytest.approx(by_function, rel=1e-10, abs=1e-10)


@every
def test_the_plans_are_equal(name):
    text, function, data = two_doors(name)
    assert text.explain(data) == function.explain(data)


@every
def test_the_fits_are_equal(name):
    text, function, data = two_doors(name)
    by_text, by_function = (model.fit(data, method="adam", seed=1, steps=8, draws=20) for model in (text, function))
    assert by_text.elbo == pytest.approx(by_function.elbo, rel=1e-10)


@pytest.mark.slow
@every
def test_the_script_is_right_and_draws(name, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    found = example(name).main(str(picture), **BUDGET[name])
    assert re.search(r"\b(trusted|care)\b", capsys.readouterr().out)
    assert RIGHT[name](found), found
    assert picture.read_bytes().startswith(b"\x89PNG")


@every
def test_the_page_shows_the_program_and_the_picture(name):
    """The program as it is in its file, but for the comment at its head."""
    page = (ROOT / "docs" / "tutorials" / f"{name.replace('_', '-')}.md").read_text(encoding="utf-8")
    program = re.sub(r"\A(#[^\n]*\n)+", "", (FOLDER / f"{name}.ppl").read_text(encoding="utf-8"))
    assert re.findall(r"^```ppl\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) == [program]
    picture = ROOT / "docs" / "tutorials" / f"{name}.png"
    assert f"({picture.name})" in page
    assert f"python examples/flagship/{name}.py" in page
    assert 1_000 < picture.stat().st_size < 60_000
