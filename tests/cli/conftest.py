"""A workspace, a clock that ticks, and ``cli``: one command line in, exit code and output back."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from casreplay.cli.main import run

START_NS = 1_790_000_000 * 10**9
"""2026-09-21 14:13:20 UTC."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """Runs command lines in ``folder``; every reading of the clock is a second later."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self._ticks = itertools.count(START_NS, 10**9)

    def __call__(self, line: str, *, code: int | None = 0, cwd: Path | None = None) -> Result:
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        stderr = io.StringIO()
        with redirect_stdout(stdout), redirect_stderr(stderr):
            got = run(
                shlex.split(line),
                environ=self.environ,
                clock=lambda: next(self._ticks),
                cwd=os.fsencode(cwd or self.folder),
            )
        raw = stdout.buffer.getvalue()
        result = Result(got, raw.decode("utf-8", "replace"), stderr.getvalue(), raw)
        if code is not None:
            assert got == code, f"casreplay {line}: exit {got}\n{result.out}{result.err}"
        return result

    def write(self, path: str | bytes, content: str | bytes = "") -> None:
        full = os.path.join(os.fsencode(self.folder), os.fsencode(path))
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def remove(self, path: str) -> None:
        os.unlink(self.folder / path)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = Path(os.path.realpath(tmp_path)) / "project"
    folder.mkdir()
    environ = {
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PATH": os.environ["PATH"],
        "CASREPLAY_DEBUG": "1",
    }
    return Cli(folder, environ)


@pytest.fixture
def history(cli: Cli) -> Cli:
    """Three snapshots: ``one`` (tag good), ``two``, and an unlabelled one; then an uncommitted change."""
    cli.write("a.txt", "one\n")
    cli.write("src/main.py", "print(1)\n" * 20)
    cli.write("data/big.bin", b"\0\1\2" * 100)
    cli("commit -m one --tag good")
    cli.write("a.txt", "one\ntwo\n")
    cli.write("src/new.py", "new\n")
    cli("commit -m two --session run-7")
    cli.remove("data/big.bin")
    os.rename(cli.folder / "src/main.py", cli.folder / "src/app.py")
    cli("commit")
    cli.write("a.txt", "one\ntwo\nthree\n")
    return cli


_ID = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")
_ELAPSED = re.compile(r"\b\d+(\.\d+)? (ms|s)\b")
_STORED = re.compile(r"\b[\d.]+ [KM]?B stored")


@pytest.fixture
def normal(cli: Cli):
    """Makes text comparable: ids by order of appearance, lengths of time and stored sizes as dots."""

    def normalise(text: str) -> str:
        seen: dict[str, str] = {}
        text = _ID.sub(lambda m: seen.setdefault(m[0][:12], f"<{len(seen) + 1}>"), text)
        text = _STORED.sub("... stored", _ELAPSED.sub("...", text))
        return text.replace(str(cli.folder), "<workspace>").replace(str(cli.folder.parent), "<tmp>")

    return normalise
