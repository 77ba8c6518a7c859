# Expressions that match paths read better whole than broken over lines.
# ruff: noqa: E501
"""What a failure's text names: paths, keys, values, stack frames, the network.

Owns the question whether a changed thing and a failure have to do with each other by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from casreplay.forensics.rootcause_case import Case
from casreplay.forensics.rootcause_damage import Symptom
from casreplay.forensics.rootcause_roles import role_of
from casreplay.model.causes import KeyChange

__all__ = ["Mentions", "mentions_of"]

MAX_FRAMES = 40
MAX_SOURCE = 200_000
NEAR_LINES = 15
UNKNOWN_STACK = 0.6
UNREACHED = 0.3
UNREFERENCED = 0.6
MAX_SOURCES = 300

_NETWORK = re.compile(
    r"https?://|urlopen|urllib|http\.client|http/client|requests/|httpx|aiohttp|socket\.py|ssl\.py|node:net|node:_http|undici|axios|node-fetch|\bfetch\(|java\.net|net/http|httpclient|grpc|websocket|import requests|import socket|\bcurl\b|\bwget\b|require\('https?'\)|tcpsocket|smtplib|ftplib|paramiko|psycopg|pymysql|redis|boto3|open-uri|net::http|faraday|okhttp|reqwest",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]+(?![a-z])|\d+")
_COMMON = frozenset(
    (
        "the",
        "and",
        "for",
        "with",
        "file",
        "files",
        "data",
        "value",
        "values",
        "true",
        "false",
        "none",
        "null",
        "name",
        "type",
        "path",
        "line",
        "error",
        "errors",
        "log",
        "logs",
        "level",
        "config",
        "configuration",
        "settings",
        "default",
        "main",
        "app",
        "test",
        "run",
        "info",
        "warn",
        "debug",
        "mode",
        "yes",
        "not",
        "off",
    )
)


_SYMPTOM_WORDS = frozenset(
    (
        "keys",
        "key",
        "columns",
        "column",
        "gone",
        "new",
        "moved",
        "added",
        "or",
        "was",
        "is",
        "has",
        "no",
        "longer",
        "numeric",
        "cells",
        "that",
        "are",
        "numbers",
        "document",
        "str",
        "dict",
        "list",
        "float",
        "bool",
        "mixed",
        "became",
        "table",
        "definition",
        "create",
    )
)


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a failure's text names.

    Attributes:
        text: the cause lines in lower case.
        frames: paths of stack frames as written.
        own: workspace paths of the frames that lie in the workspace.
        code: the text of those files.
        network: whether the failure, its log or the code on its stack has to do with a network.
        waiting: whether a stack frame lies in network code.
        lines: line numbers of the frames in each workspace file.
        failing: the source lines the frames stand on, lower case.
        sources: text of the workspace's code, as far as it was given.
    """

    text: str
    frames: tuple[str, ...] = ()
    own: frozenset[bytes] = frozenset()
    code: str = ""
    network: bool = False
    waiting: bool = False
    lines: Mapping[bytes, frozenset[int]] = field(default_factory=dict)
    failing: str = ""
    sources: str = ""

    def reach(self, path: bytes) -> float:
        """How far the code at ``path``, not on the stack itself, can be reached from it: a factor.

        1 without a stack or when code on the stack names the module, 0.6 when the stack's code
        is unknown, 0.3 when it is known and does not name it.
        """
        if not self.frames:
            return 1.0
        if not self.own:
            return UNKNOWN_STACK
        stem = path.decode("utf-8", "replace").rpartition("/")[2].partition(".")[0]
        named = re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", self.code) is not None
        return 1.0 if named else UNREACHED

    def near(self, path: bytes, before: bytes | None, after: bytes | None) -> bool:
        """Whether a frame in ``path`` stands within ``NEAR_LINES`` of what changed there.

        ``True`` when no line is known: nothing speaks against it.
        """
        lines = self.lines.get(path)
        if not lines or before is None or after is None:
            return True
        first, last = changed_range(before, after)
        return any(first - NEAR_LINES <= line <= last + NEAR_LINES for line in lines)

    def path(self, path: bytes) -> bool:
        """Whether the path, its last two parts or its file name stands in the text."""
        name = path.decode("utf-8", "replace").lower()
        base = name.rpartition("/")[2]
        stem = base.rpartition(".")[0]
        if len(base) >= 4 and base in self.text:
            return True
        return len(stem) >= 5 and re.search(rf"(?<![\w.]){re.escape(stem)}(?![\w])", self.text) is not None

    def frame(self, path: bytes) -> bool:
        """Whether a stack frame lies in the file at ``path``."""
        if path in self.own:
            return True
        name = path.decode("utf-8", "replace")
        base = name.rpartition("/")[2]
        return not self.own and any(
            frame == name or frame.endswith("/" + name) or frame.replace("\\", "/").rpartition("/")[2] == base
            for frame in self.frames
        )

    def word(self, text: str) -> bool:
        """Whether ``text`` stands in the failure as a word; too common or too short ones never do."""
        low = text.strip().strip("\"'").lower()
        if len(low) < 3 or low in _COMMON:
            return False
        return re.search(rf"(?<![\w.]){re.escape(low)}(?![\w])", self.text) is not None

    def key(self, change: KeyChange) -> bool:
        """Whether the failure names a changed key or one of its values."""
        parts = [part for part in re.split(r"[.\[\]/:]", change.key) if part]
        last = parts[-1] if parts else change.key
        words = [word.lower() for word in _WORD.findall(last)]
        long = [word for word in words if len(word) >= 4 and word not in _COMMON]
        if (
            any(self.word(part) for part in parts)
            or self.word(last.replace("_", " "))
            or self.word(last.replace("-", "_"))
        ):
            return True
        if long and all(word in self.text for word in long) and len(long) == len(words):
            return True
        if len(last) >= 3 and re.search(rf"(?<!\w){re.escape(last.lower())}(?!\w)", self.failing):
            return True
        return any(self.word(value) or _parts_named(self, value) for value in (change.after, change.before))

    def symptom(self, symptom: Symptom) -> bool:
        """Whether the failure names a column, key or type that the symptom speaks of."""
        if symptom.kind == "values" or (":" not in symptom.detail and "column" not in symptom.detail):
            return False
        names = [
            word
            for word in re.split(r"[\s,;:.\[\]()]+", symptom.detail)
            if word.lower() not in _SYMPTOM_WORDS
        ]
        return any(self.word(name) for name in names)

    def reference(self, path: bytes) -> float:
        """A factor for a file that neither failure nor code names; 1 when the code is unknown."""
        if not self.sources:
            return 1.0
        base = path.decode("utf-8", "replace").rpartition("/")[2]
        stem = base.partition(".")[0]
        named = base in self.sources or (len(stem) >= 4 and stem in self.sources)
        return 1.0 if named or base.startswith(".") else UNREFERENCED


def _parts_named(mentions: Mentions, value: str) -> bool:
    """Whether a part of a URL, address or path value is named: its host, port or file name."""
    if not re.search(r"[/:@]", value) or len(value) > 400:
        return False
    return any(len(part) >= 4 and mentions.word(part) for part in re.split(r"[/:@?=&,\s]+", value))


def changed_range(before: bytes, after: bytes) -> tuple[int, int]:
    """First and last line of ``after`` between the common start and the common end of both sides."""
    old, new = before.split(b"\n"), after.split(b"\n")
    shorter = min(len(old), len(new))
    start = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    end = next((i for i in range(shorter - start) if old[-1 - i] != new[-1 - i]), shorter - start)
    return start + 1, max(start + 1, len(new) - end)


def mentions_of(text: str, frames: tuple[tuple[str, int], ...], context: str, case: Case) -> Mentions:
    """Everything the flips may ask about a failure's text.

    Args:
        text: the cause lines and the messages of traces.
        frames: paths and lines of stack frames as written.
        context: all new lines, harmless ones too.
        case: its ``read_after`` and ``paths``.

    Cost: reads at most 40 files that stand on the stack and 300 source files.
    """
    own: dict[bytes, str] = {}
    lines: dict[bytes, set[int]] = {}
    known: dict[str, tuple[bytes, str] | None] = {}
    for frame, line in frames:
        if frame not in known and len(known) < MAX_FRAMES:
            known[frame] = _resolve(frame, case)
        found = known.get(frame)
        if found is not None:
            own.setdefault(found[0], found[1])
            lines.setdefault(found[0], set()).add(line)
    paths = tuple(dict.fromkeys(frame for frame, _ in frames))
    code = "\n".join(own.values())
    waiting = _NETWORK.search("\n".join(paths)) is not None
    network = waiting or any(_NETWORK.search(part) for part in (context, code))
    stood = {path: frozenset(numbers) for path, numbers in lines.items()}
    failing = "\n".join(
        row
        for path, numbers in lines.items()
        for number, row in enumerate(own[path].split("\n"), 1)
        if number in numbers
    ).lower()
    return Mentions(
        text.lower(), paths, frozenset(own), code, network, waiting, stood, failing, _sources(case)
    )


def _sources(case: Case) -> str:
    """The text of the workspace's source files, at most 300 of them."""
    texts: list[str] = []
    for path in case.paths:
        if role_of(path) in {"source", "test"}:
            content = case.read_after(path)
            texts.append((content or b"")[:MAX_SOURCE].decode("utf-8", "replace"))
            if len(texts) >= MAX_SOURCES:
                break
    return "\n".join(texts)


def _resolve(frame: str, case: Case) -> tuple[bytes, str] | None:
    """The workspace path a frame's path ends with and the file's text; the longest match wins."""
    parts = [
        part for part in frame.replace("\\", "/").removeprefix("file://").split("/") if part not in {"", "."}
    ]
    if any(
        part in {"site-packages", "dist-packages", "lib-dynload"} or part.startswith("python3")
        for part in parts[:-1]
    ):
        parts = parts[-6:]
    for start in range(max(0, len(parts) - 8), len(parts)):
        path = "/".join(parts[start:]).encode("utf-8", "surrogateescape")
        content = case.read_after(path)
        if content is not None:
            return path, content[:MAX_SOURCE].decode("utf-8", "replace")
    return None
