"""What `pip install casreplay` brings along is what the package imports: no more, no less."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = {"pyyaml": "yaml", "google-re2": "re2"}
"""Packages whose module has another name."""


def modules_of(requirements):
    names = {re.match(r"[\w-]+", text)[0].lower() for text in requirements}
    return {MODULES.get(name, name) for name in names if name != "casreplay"}


def imported():
    found = set()
    for path in (ROOT / "casreplay").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"casreplay"}


def test_each_import_is_a_dependency_and_each_dependency_is_imported():
    core = modules_of(PROJECT["dependencies"])
    extras = PROJECT["optional-dependencies"]
    optional = modules_of([*extras["yaml"], *extras["regex"], *extras["scan"]])
    assert core == imported() - optional
    assert imported() - core <= optional


def test_the_readme_names_what_the_core_needs():
    names = ", ".join(sorted(modules_of(PROJECT["dependencies"]), key=["blake3", "zstandard", "click"].index))
    assert f"The core needs three packages: {names}." in (ROOT / "README.md").read_text("utf-8")


def test_doctor_looks_for_each_of_them(capsys):
    from casreplay.cli.main import run

    run(["doctor"])
    said = next(line for line in capsys.readouterr().out.splitlines() if " versions " in line)
    for name in modules_of(PROJECT["dependencies"]):
        assert f"{name} " in said
    assert "pathspec" not in said
