"""What a person installs: the wheel holds the grammar, and fits a model far from the checkout."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
MODEL = """\
data N: int
data y: real[N]
mu ~ normal(0, 10)
plate n in N {
  y[n] ~ normal(mu, 1)
}
"""
Y = [1.0, 2.0, 4.0]

pytestmark = pytest.mark.slow


def run(*command, cwd):
    """Runs a command with no way back to the checkout; its output when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-4000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the source distribution and of the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(CHECKOUT), cwd=folder)
    return folder


def test_the_grammar_is_in_the_wheel(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("ppl/grammar/ppl.lark") == (CHECKOUT / "grammar" / "ppl.lark").read_bytes()
        assert {name.split("/")[0] for name in archive.namelist()} == {"ppl", "ppl-0.1.0.dist-info"}


def test_the_source_distribution_is_whole(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "grammar/ppl.lark",
        "examples/eight_schools.ppl",
        "tests/test_packaging.py",
        "LICENSE",
        "README.md",
    } <= names


def test_an_installed_wheel_fits_a_model(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(binaries / "python", "-m", "pip", "install", "--quiet", str(wheel), cwd=tmp_path)
    (tmp_path / "mean.ppl").write_text(MODEL)
    (tmp_path / "mean.json").write_text(json.dumps({"y": Y}))
    table = run(
        binaries / "ppl", "fit", "mean.ppl", "--data", "mean.json", "--seed", "1", "--summary", "out.json", cwd=tmp_path
    )
    assert "mu" in table
    precision = 0.01 + len(Y)
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["mu"]["mean"] == pytest.approx(sum(Y) / precision, abs=0.1 * precision**-0.5)
    assert summary["mu"]["sd"] == pytest.approx(precision**-0.5, rel=0.1)
