"""The code map of docs/architecture.md: one line a module, taken from its docstring.

Run `python tests/support/code_map.py` to write it anew; a test compares the two.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- code map -->", "<!-- end of code map -->"


def module_lines() -> list[str]:
    """Markdown rows: a table for each folder, a row for each module."""
    package = ROOT / "casreplay"
    folders = sorted({path.parent for path in package.rglob("*.py")})
    lines: list[str] = []
    for folder in folders:
        name = folder.relative_to(ROOT).as_posix()
        lines += [
            "",
            f"### {name}",
            "",
            _first(folder / "__init__.py"),
            "",
            "| module | its responsibility |",
            "| --- | --- |",
        ]
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                lines.append(f"| `{path.stem}` | {_first(path)} |")
    return lines


def _first(path: Path) -> str:
    if not path.exists():
        return ""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def with_map(page: str) -> str:
    """``page`` with the map between its markers made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n" + "\n".join(module_lines()) + f"\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_map(PAGE.read_text("utf-8")), "utf-8")
