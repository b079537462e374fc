"""The shape of the project: import rules, public names, and what `import ppl` costs."""

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ppl

PACKAGE = Path(ppl.__file__).parent
CHECKOUT = Path(__file__).parents[1]
PACKAGES = ["ppl", *(f"ppl.{module.name}" for module in pkgutil.iter_modules(ppl.__path__) if module.ispkg)]
HEAVY = {"scipy", "autograd", "jax", "networkx", "lark", "tqdm", "matplotlib", "arviz"}


def test_the_import_rules_hold():
    """The contracts of pyproject.toml, on this checkout."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_every_folder_with_code_is_a_package():
    """A folder without `__init__.py` would be invisible to the import rules."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert sorted(str(folder) for folder in folders if not (folder / "__init__.py").exists()) == []


@pytest.mark.parametrize("name", PACKAGES)
def test_all_lists_the_public_names(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(set(listed)) == len(listed)
    assert [each for each in listed if getattr(module, each, None) is None] == []
    assert public_names(Path(module.__file__)) - set(listed) == set()


def public_names(path):
    """The names without an underscore that a file defines, or imports from this package and does not use itself."""
    tree = ast.parse(path.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    names = set()
    for statement in tree.body:
        match statement:
            case ast.ImportFrom(module=source, names=aliases) if (source or "").split(".")[0] == "ppl":
                names |= {alias.asname or alias.name for alias in aliases} - used
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


def test_importing_ppl_imports_nothing_heavy():
    code = "import sys, json, ppl; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(result.stdout)) & HEAVY == set()


def test_the_oracle_fits_on_a_page():
    assert len((PACKAGE / "mini.py").read_text().splitlines()) <= 300


def test_every_example_has_its_three_files():
    stems = {path.stem for path in (CHECKOUT / "examples").glob("*.ppl")}
    assert len(stems) >= 5
    for suffix in (".py", ".json"):
        assert {path.stem for path in (CHECKOUT / "examples").glob(f"*{suffix}")} == stems


def test_ci_runs_the_two_commands_of_the_readme():
    readme, ci = (CHECKOUT / "README.md").read_text(), (CHECKOUT / ".ci" / "run").read_text()
    commands = [line for line in readme.splitlines() if line.startswith("pip install")]
    assert len(commands) == 2
    assert [command for command in commands if f"    {command}\n" not in ci] == []


def test_the_model_in_the_readme_is_the_example():
    statements = [
        line for line in (CHECKOUT / "examples" / "eight_schools.ppl").read_text().splitlines() if line[:1] != "#"
    ]
    assert "```\n" + "\n".join(statements) + "\n```" in (CHECKOUT / "README.md").read_text()
