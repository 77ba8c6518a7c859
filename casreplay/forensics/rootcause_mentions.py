# Expressions that match paths read better whole than broken over lines.
# ruff: noqa: E501
"""What a failure's text names: paths, keys, values, stack frames, the network.

Owns the question whether a changed thing and a failure have to do with each other by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from casreplay.forensics.rootcause_case import Reader
from casreplay.model.causes import KeyChange

__all__ = ["Mentions", "mentions_of"]

MAX_FRAMES = 40
MAX_SOURCE = 200_000

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


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a failure's text names.

    Attributes:
        text: the cause lines in lower case.
        frames: paths of stack frames as written.
        own: workspace paths of the frames that lie in the workspace.
        code: the text of those files.
        network: whether the failure, its log or the code on its stack has to do with a network.
    """

    text: str
    frames: tuple[str, ...] = ()
    own: frozenset[bytes] = frozenset()
    code: str = ""
    network: bool = False

    def calls(self, path: bytes) -> bool:
        """Whether code on the stack names the module at ``path``; ``True`` when no frame is known."""
        stem = path.decode("utf-8", "replace").rpartition("/")[2].partition(".")[0]
        return not self.own or re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", self.code) is not None

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
        last = re.split(r"[.\[\]/:]", change.key.strip("]"))[-1]
        words = [word.lower() for word in _WORD.findall(last)]
        long = [word for word in words if len(word) >= 4 and word not in _COMMON]
        if self.word(last) or self.word(last.replace("_", " ")) or self.word(last.replace("-", "_")):
            return True
        if long and all(word in self.text for word in long) and len(long) == len(words):
            return True
        return any(self.word(value) or _parts_named(self, value) for value in (change.after, change.before))


def _parts_named(mentions: Mentions, value: str) -> bool:
    """Whether a part of a URL, address or path value is named: its host, port or file name."""
    if not re.search(r"[/:@]", value) or len(value) > 400:
        return False
    return any(len(part) >= 4 and mentions.word(part) for part in re.split(r"[/:@?=&,\s]+", value))


def mentions_of(text: str, frames: tuple[str, ...], context: str, read: Reader) -> Mentions:
    """Everything the flips may ask about a failure's text.

    Args:
        text: the cause lines and the messages of traces.
        frames: paths of stack frames as written.
        context: all new lines, harmless ones too.
        read: content of a path in the bad snapshot.

    Cost: reads at most 40 files that stand on the stack.
    """
    own: dict[bytes, str] = {}
    for frame in dict.fromkeys(frames):
        found = _resolve(frame, read)
        if found is not None:
            own.setdefault(found[0], found[1])
        if len(own) >= MAX_FRAMES:
            break
    code = "\n".join(own.values())
    network = any(_NETWORK.search(part) for part in ("\n".join(frames), context, code))
    return Mentions(text.lower(), frames, frozenset(own), code, network)


def _resolve(frame: str, read: Reader) -> tuple[bytes, str] | None:
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
        content = read(path)
        if content is not None:
            return path, content[:MAX_SOURCE].decode("utf-8", "replace")
    return None
