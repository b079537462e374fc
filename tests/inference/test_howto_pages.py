"""The programs on the pages about big data and amortisation, run."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import ppl

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(page):
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        for block in FENCE.findall((PAGES / page).read_text(encoding="utf-8")):
            exec(compile(block, page, "exec"), names)
    return names


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_fit_big_data():
    fit = run("fit-big-data.md")["fit"]
    assert fit.run.converged
    assert fit.mean("a") == pytest.approx(np.log(0.3 / 0.7), abs=0.1)
    assert Path("run.npz").exists()


def test_amortise():
    names = run("amortise.md")
    mean = (names["fit"].mean("b") + 4 * np.array([-1.0, 0.5, 3.0])) / 5
    np.testing.assert_allclose(names["once"].mean("z"), mean, atol=0.2)
    np.testing.assert_allclose(names["better"].mean("z"), mean, atol=0.08)
