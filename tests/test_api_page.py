"""The page on the Python interface: every example runs, every public name and method stands on it."""

from __future__ import annotations

import re
from pathlib import Path

import casreplay
from casreplay import Repository

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_session_on_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    names: dict[str, object] = {"__name__": "session"}
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start(1))
        exec(compile("\n" * line + found[1], str(PAGE), "exec"), names)


def test_every_public_method_has_an_example():
    text = PAGE.read_text("utf-8")
    sections = {part.partition("\n")[0]: part for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]}
    members = {name: member for kind in Repository.__mro__[:-1] for name, member in vars(kind).items()}
    assert {"commit", "analyze"} <= set(members)
    for name, member in members.items():
        if name.startswith("_"):
            continue
        if name in sections:
            assert BLOCK.search(sections[name]), name
        else:
            assert not callable(getattr(Repository, name)) or isinstance(member, property), name
            assert f"| `{name}` |" in text, name


def test_every_exported_name_is_listed_and_loads():
    table = PAGE.read_text("utf-8").partition("## Names")[2].partition("\n## ")[0]
    for name in casreplay.__all__:
        assert getattr(casreplay, name) is not None
        if name != "__version__":
            assert f"`{name}`" in table, name
