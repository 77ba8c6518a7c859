"""The floors hold, the sizes hold, and nothing below the command line prints, exits or reads the clock."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "casreplay"

FLOORS = [
    {"model", "errors", "clock", "data"},
    {"codec"},
    {"store", "workspace"},
    {"history"},
    {"trace"},
    {"forensics"},
    {"incidents"},
    {"report", "web", "bridge"},
    {"cli"},
]
FACADES = {
    "casreplay/__init__.py",
    "casreplay/__main__.py",
    "casreplay/bench.py",
    "casreplay/predecessor.py",
}
"""Modules outside the floors: what users import. They may use every floor and nothing imports them."""

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}

BANNED_CALLS = {"print", "exit", "quit", "input", "breakpoint"}
BANNED_ATTRIBUTES = {
    ("sys", "exit"),
    ("os", "environ"),
    ("os", "getenv"),
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
}
OWNERS = {
    "click": {"cli"},
    "blake3": {"codec"},
    "zstandard": {"codec"},
    "random": set(),
    "sqlite3": {"incidents", "store"},
}
"""Which floors may import a module at all."""


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _floor_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def _floor(name: str) -> int | None:
    return next((i for i, floor in enumerate(FLOORS) if name in floor), None)


def _imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def _is_facade(path: Path) -> bool:
    return path.relative_to(ROOT).as_posix() in FACADES


@pytest.mark.parametrize("path", _modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_down_only(path):
    if _is_facade(path):
        return
    own_name = _floor_name(path)
    own = _floor(own_name)
    assert own is not None, f"{own_name} is on no floor: add it to FLOORS with its reason"
    wrong = []
    for module, line in _imports(ast.parse(path.read_text("utf-8"))):
        parts = module.split(".")
        if parts[0] != "casreplay":
            continue
        if len(parts) == 1:
            if own_name != "cli":  # the command line shows the version
                wrong.append((line, module))
            continue
        target = _floor(parts[1])
        if target is None or target > own or (target == own and parts[1] != own_name and own > 0):
            wrong.append((line, module))
    assert not wrong, f"climbing or sideways imports: {wrong}"


def test_no_import_cycles_inside_a_folder():
    graph: dict[str, set[str]] = {}
    for path in _modules():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {
            module
            for module, _ in _imports(ast.parse(path.read_text("utf-8")))
            if module.startswith("casreplay.")
        }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done or name not in graph:
            return
        for target in graph[name]:
            if target != name:
                visit(target, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", _modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_below_the_command_line_nothing_prints_exits_or_reads_the_clock(path):
    name = _floor_name(path)
    if name == "cli" or _is_facade(path):
        return
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS:
            found.append((node.lineno, node.func.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            pair = (node.value.id, node.attr)
            if pair in BANNED_ATTRIBUTES and name != "clock":
                found.append((node.lineno, ".".join(pair)))
    assert not found, f"banned here: {found}"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_third_parties_stay_on_their_floor(path):
    if _is_facade(path):
        return
    name = _floor_name(path)
    wrong = [
        (line, module)
        for module, line in _imports(ast.parse(path.read_text("utf-8")))
        if (owners := OWNERS.get(module.split(".")[0])) is not None and name not in owners
    ]
    assert not wrong, f"imported on the wrong floor: {wrong}"


def test_only_files_uses_the_operating_system_for_the_store():
    allowed = {"files.py", "platform.py"}
    wrong = [
        (path.name, line)
        for path in (PACKAGE / "store").glob("*.py")
        for module, line in _imports(ast.parse(path.read_text("utf-8")))
        if module in {"os", "shutil", "pathlib", "tempfile"} and path.name not in allowed
    ]
    assert not wrong


def test_files_keep_their_size():
    long = {
        path.relative_to(ROOT).as_posix(): n
        for path in _modules()
        if (n := len(path.read_text("utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert set(long) <= set(LONG_FILES), f"split these, or state the reason in LONG_FILES: {long}"


def test_functions_keep_their_size():
    long = {}
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                doc = ast.get_docstring(node, clean=False)
                code = length - (doc.count("\n") + 1 if doc else 0)
                if code > MAX_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT).as_posix()}:{node.name}"] = code
    assert set(long) <= set(LONG_FUNCTIONS), f"split these, or state the reason: {long}"


def test_there_is_no_module_without_a_responsibility():
    forbidden = {"utils.py", "helpers.py", "misc.py", "common.py"}
    assert not [path for path in _modules() if path.name in forbidden]


def test_every_module_says_what_it_owns():
    missing = [
        path.relative_to(ROOT).as_posix()
        for path in _modules()
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not missing


def test_the_code_map_names_exactly_the_modules_that_exist():
    from support.code_map import PAGE, with_map

    page = PAGE.read_text("utf-8")
    assert with_map(page) == page, "run `python tests/support/code_map.py`"
