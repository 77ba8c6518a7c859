"""Runs small real programs, healthy and with one injected fault, and keeps what a forensic tool would see.

A fault's label is true by construction: exactly one thing is broken on purpose, in a known
place. The failing run is real: real processes, real errors, captured output. Around the
fault, harmless edits are made (notes, comments, an unrelated new function), as in life.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from casreplay.codec.hashing import blob_id
from casreplay.forensics.newlines import new_lines
from casreplay.forensics.rootcause_case import Case, CaseLog
from casreplay.model.causes import KeyChange
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.objects import EntryKind, EntryState, TreeEntry

TIME_LIMIT = 20


@dataclass
class World:
    """What a fault may break: the workspace, the environment, limits, the remote service."""

    root: Path
    env: dict[str, str]
    service: Service
    limits: dict[int, int] = field(default_factory=dict)

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def write(self, name: str, text: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def swap(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert old in text, (name, old)
        self.write(name, text.replace(old, new))

    def bytes(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def cut(self, name: str, keep: float) -> None:
        data = self.bytes(name)
        self.write(name, data[: int(len(data) * keep)])

    def limit(self, what: int, value: int) -> None:
        self.limits[what] = value


@dataclass(frozen=True)
class Fault:
    label: str
    name: str
    inject: Callable[[World], object]


@dataclass(frozen=True)
class Program:
    """Files, a command, faults. ``setup`` runs once in the fresh workspace."""

    name: str
    files: dict[str, str]
    command: tuple[str, ...]
    faults: tuple[Fault, ...]
    setup: Callable[[World], object] = lambda _world: None
    routes: dict[str, Callable[[], tuple[int, str, bytes]]] = field(default_factory=dict)
    log: str = "run.log"
    append: bool = False


class Service:
    """A loopback HTTP server with moods: ok, down, slow, reset, garbage, or a status code."""

    def __init__(self, routes: dict[str, Callable[[], tuple[int, str, bytes]]]) -> None:
        self.mood: str | tuple[int, str] = "ok"
        self.routes = routes
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.answer(self)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                service.answer(self)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_args: None  # clients that hang up are part of the play
        self.port = self.server.server_address[1]
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def answer(self, handler) -> None:
        if self.mood == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            handler.connection.close()
            handler.close_connection = True
            return
        if self.mood == "slow":
            time.sleep(4)
        if isinstance(self.mood, tuple):
            status, body = self.mood
            self.send(
                handler, status, "application/json" if body.startswith("{") else "text/html", body.encode()
            )
            return
        if self.mood == "garbage":
            self.send(
                handler, 200, "text/html", b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"
            )
            return
        if self.mood == "short":
            status, _, body = self.routes[handler.path.partition("?")[0]]()
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body) + 500))
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
            return
        route = self.routes.get(handler.path.partition("?")[0])
        if route is None:
            self.send(handler, 404, "application/json", b'{"error": "no such resource"}')
        else:
            self.send(handler, *route())

    @staticmethod
    def send(handler, status: int, kind: str, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def down(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.down()


def routes_json(**routes) -> dict[str, Callable[[], tuple[int, str, bytes]]]:
    """Routes that answer with fixed JSON documents; a fault may replace the document."""

    def route(value):
        return lambda: (200, "application/json", json.dumps(value).encode())

    return {"/" + name.replace("__", "/"): route(value) for name, value in routes.items()}


def _run(program: Program, world: World) -> int:
    def limit() -> None:
        for what, value in world.limits.items():
            resource.setrlimit(what, (value, value))

    process = subprocess.Popen(
        program.command,
        cwd=world.root,
        env=world.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Only setrlimit runs between fork and exec; the service's threads hold no lock it needs.
        preexec_fn=limit,  # noqa: PLW1509
    )
    try:
        output, _ = process.communicate(timeout=TIME_LIMIT)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        code = 124
    with (world.root / program.log).open("ab" if program.append else "wb") as log:
        log.write(output)
        if code < 0:
            log.write(f"run: process ended by signal {-code}\n".encode())
    return code


@dataclass(frozen=True)
class State:
    content: dict[bytes, bytes]
    entries: dict[bytes, TreeEntry]


def _state(root: Path) -> State:
    content, entries = {}, {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            key = str(path.relative_to(root)).encode()
            info = path.lstat()
            data = os.readlink(path).encode() if stat.S_ISLNK(info.st_mode) else path.read_bytes()
            kind = (
                EntryKind.SYMLINK
                if stat.S_ISLNK(info.st_mode)
                else EntryKind.EXECUTABLE
                if info.st_mode & 0o111
                else EntryKind.FILE
            )
            content[key] = data
            entries[key] = TreeEntry(
                name.encode(),
                kind,
                EntryState.COMPLETE,
                info.st_mode & 0o7777,
                len(data),
                info.st_mtime_ns,
                blob_id(data),
            )
    return State(content, entries)


def _changes(before: State, after: State) -> list[Change]:
    changes = []
    gone = {path: entry for path, entry in before.entries.items() if path not in after.entries}
    for path in sorted({*before.entries, *after.entries}):
        old, new = before.entries.get(path), after.entries.get(path)
        if old is None:
            source = next((p for p, e in gone.items() if e.id == new.id and new.size_bytes), None)
            if source is not None:
                changes.append(Change(path, ChangeKind.RENAMED, gone.pop(source), new, source))
            else:
                changes.append(Change(path, ChangeKind.ADDED, None, new))
        elif new is None:
            continue
        elif old.id != new.id:
            changes.append(Change(path, ChangeKind.MODIFIED, old, new))
        elif old.mode != new.mode:
            changes.append(Change(path, ChangeKind.MODE, old, new))
    changes += [Change(path, ChangeKind.DELETED, entry, None) for path, entry in gone.items()]
    return sorted(changes, key=lambda change: change.path)


def _flat(data: bytes, name: str) -> dict[str, tuple[str, int]] | None:
    """Key paths of a configuration file; a plain reader, enough for these programs."""
    text = data.decode("utf-8", "replace")
    if name.endswith(".json"):
        try:
            value = json.loads(text)
        except ValueError:
            return None
        found: dict[str, tuple[str, int]] = {}

        def walk(value, prefix):
            if isinstance(value, dict):
                for key, item in value.items():
                    walk(item, f"{prefix}.{key}" if prefix else key)
            elif isinstance(value, list):
                for i, item in enumerate(value):
                    walk(item, f"{prefix}[{i}]")
            else:
                found[prefix] = (json.dumps(value), 1)

        walk(value, "")
        return found
    section, found = "", {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[([^\]]+)\]", line):
            section = match[1] + "."
        elif match := re.match(r"\s*(?:export\s+)?([\w.-]+)\s*[=:]\s*(.*)$", line):
            found[section + match[1]] = (match[2].strip(), number)
    return found


CONFIG = re.compile(r"\.(?:json|ini|cfg|conf|toml|ya?ml|env|properties)$|(?:^|/)\.env$")


def _key_changes(changes: list[Change], before: State, after: State) -> list[KeyChange]:
    keys = []
    for change in changes:
        name = change.path.decode()
        if (
            not CONFIG.search(name)
            or change.kind is not ChangeKind.MODIFIED
            or name.startswith(("data/", "out/"))
        ):
            continue
        old, new = _flat(before.content[change.path], name), _flat(after.content[change.path], name)
        if old is None or new is None:
            continue
        for key in sorted({*old, *new}):
            if old.get(key, ("",))[0] != new.get(key, ("",))[0]:
                kind = "added" if key not in old else "removed" if key not in new else "changed"
                line = (new.get(key) or old.get(key) or ("", None))[1]
                keys.append(
                    KeyChange(change.path, key, kind, old.get(key, ("",))[0], new.get(key, ("",))[0], line)
                )
    return keys


def _noise(world: World, name: str) -> None:
    """Harmless edits, chosen by the fault's name."""
    seed = zlib.crc32(name.encode())
    world.write("NOTES.md", f"# Notes\n\n- run {seed % 97}\n- looked at the output, seems fine\n")
    sources = sorted(
        path
        for path in world.root.rglob("*")
        if path.suffix in {".py", ".js", ".sh"} and "node_modules" not in path.parts
    )
    if seed % 2 and sources:
        path = sources[seed % len(sources)]
        mark = "//" if path.suffix == ".js" else "#"
        path.write_text(path.read_text() + f"{mark} reviewed {seed % 31}\n")
    if seed % 3 == 0:
        world.write("scratch/helper.py", "def unused(value):\n    return value * 2\n")


def _more_noise(world: World, name: str) -> None:
    """Edits that could be the fault and are not: working code, a setting nobody reads, own state."""
    seed = zlib.crc32(name.encode()) // 7
    sources = sorted(
        path
        for path in world.root.rglob("*")
        if path.suffix in {".py", ".js", ".mjs", ".sh"} and "node_modules" not in path.parts
    )
    path = sources[seed % len(sources)]
    extra = {
        ".py": "\n\ndef describe_%d(value):\n    return str(value)\n",
        ".js": "\nexports.describe%d = (value) => String(value);\n",
        ".mjs": "\nexport const describe%d = (value) => String(value);\n",
        ".sh": '\ndescribe_%d() { echo "$1"; }\n',
    }[path.suffix]
    path.write_text(path.read_text() + extra % (seed % 9))
    world.write("state.json", json.dumps({"runs": seed % 50, "cursor": seed % 999}))
    world.write("editor.ini", f"[view]\nzoom = {seed % 200}\n")


def run_fault(program: Program, fault: Fault, *, more_noise: bool = False) -> tuple[Case, str]:
    """A healthy run, the fault, a failing run: the case and the captured output.

    Raises:
        AssertionError: the healthy run fails or the broken one does not.
    """
    root = Path(tempfile.mkdtemp(prefix=f"fault-{program.name}-"))
    service = Service(dict(program.routes))
    try:
        env = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(root.parent),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
        }
        world = World(root, env, service)
        for name, text in program.files.items():
            world.write(name, text.replace("@PORT@", str(service.port)))
        program.setup(world)
        world.write("state.json", '{"runs": 0, "cursor": 0}')
        world.write("editor.ini", "[view]\nzoom = 100\n")
        for _ in range(2):
            code = _run(program, world)
            assert code == 0, (program.name, code, (root / program.log).read_text()[-2000:])
        before = _state(root)
        time.sleep(0.01)
        _noise(world, program.name + fault.name)
        if more_noise:
            _more_noise(world, program.name + fault.name)
        fault.inject(world)
        code = _run(program, world)
        assert code != 0, (program.name, fault.name, "did not fail")
        return _case(before, _state(root), code), (root / program.log).read_text(errors="replace")
    finally:
        service.close()
        shutil.rmtree(root, ignore_errors=True)


def _case(before: State, after: State, code: int) -> Case:
    changes = _changes(before, after)
    logs = []
    for change in changes:
        if change.path.endswith(b".log") and change.after is not None:
            old = before.content.get(change.path)
            lines = new_lines(old, after.content[change.path]).lines
            logs.append(CaseLog(change.path, lines, "b" * 64, change.after.blob_id))
    return Case(
        logs=logs,
        changes=changes,
        key_changes=_key_changes(changes, before, after),
        exit_code=code,
        read_before=before.content.get,
        read_after=after.content.get,
        paths=sorted(after.entries),
        snapshot_before="a" * 64,
        snapshot_after="b" * 64,
    )
