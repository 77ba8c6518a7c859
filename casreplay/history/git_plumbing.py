"""Reading a git repository through git's own plumbing: commits, tree differences, blobs.

Owns the subprocesses and their byte formats; nothing is checked out and nothing of the
repository is changed. What the bytes become is ``history.gitimport``'s affair.
Source: git, ``Documentation/git-rev-list.txt``, ``git-diff-tree.txt``, ``git-cat-file.txt``.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Self

from casreplay.errors import CasreplayError, UsageError

__all__ = ["BlobReader", "GitCommit", "GitDelta", "commits", "deltas"]

EMPTY_TREES = {40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}
"""Object ids of the empty tree by length; other hash functions are asked."""
_FORMAT = "--format=%H%x00%P%x00%T%x00%ct%x00%an <%ae>%x00%s%x00"


@dataclass(frozen=True, slots=True)
class GitCommit:
    """One commit, oldest first in a list of them.

    Attributes:
        id: full hex id.
        parents: hex ids.
        tree: hex id of its tree.
        time_s: committer time, UTC seconds.
        author: ``Name <mail>``.
        subject: first line of the message.
    """

    id: str
    parents: tuple[str, ...]
    tree: str
    time_s: int
    author: str
    subject: str


@dataclass(frozen=True, slots=True)
class GitDelta:
    """One path that differs between two trees; ``mode`` 0 means deleted."""

    path: bytes
    mode: int
    blob: bytes
    """Hex id on the new side."""


def _git(repository: str, *arguments: str) -> list[str]:
    return ["git", "-C", repository, "-c", "core.quotePath=false", *arguments]


def commits(repository: str, revisions: str, *, first_parent: bool = False) -> list[GitCommit]:
    """The commits that ``revisions`` names, parents before children.

    Raises:
        UsageError: git is missing, this is no repository, or the range means nothing.
    """
    options = ["--first-parent"] if first_parent else []
    if revisions.startswith("-"):
        raise UsageError(f"{revisions!r} is no range of commits")
    command = _git(repository, "rev-list", "--reverse", "--topo-order", *options, _FORMAT, revisions, "--")
    try:
        # Fixed program, no shell; the revision cannot be an option.
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except OSError as error:
        raise UsageError("git cannot be started", hint="Install git, or add it to PATH") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = lines[-1] if lines else ""
        raise UsageError(f"git does not know {revisions!r} in {repository} ({said})")
    return list(_parse_commits(done.stdout))


def _parse_commits(output: bytes) -> Iterator[GitCommit]:
    fields = output.split(b"\0")
    for i in range(0, len(fields) - 6, 6):
        head = fields[i].rpartition(b"\n")[2].decode("ascii")
        texts = [field.decode("utf-8", "backslashreplace") for field in fields[i + 1 : i + 6]]
        yield GitCommit(head, tuple(texts[0].split()), texts[1], int(texts[2]), texts[3], texts[4])


def deltas(repository: str, trees: Sequence[str]) -> Iterator[list[GitDelta]]:
    """What each tree changes against the one before it; the first is compared with nothing.

    One process for all of them. Cost: git's own, for what differs.

    Raises:
        CasreplayError: git failed.
    """
    empty = _empty_tree(repository, trees)
    pairs = list(zip([empty, *trees], trees, strict=False))
    with tempfile.TemporaryFile() as wanted:
        wanted.write(b"".join(f"{a} {b}\n".encode() for a, b in pairs if a != b))
        wanted.seek(0)
        command = _git(repository, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--stdin")
        with subprocess.Popen(command, stdin=wanted, stdout=subprocess.PIPE) as process:  # noqa: S603 - as above
            assert process.stdout is not None
            groups = _groups(process.stdout)
            for a, b in pairs:
                yield next(groups, []) if a != b else []
        if process.returncode:
            raise CasreplayError(f"git diff-tree failed with exit code {process.returncode}")


def _empty_tree(repository: str, trees: Sequence[str]) -> str:
    known = EMPTY_TREES.get(len(trees[0])) if trees else ""
    if known is not None:
        return known
    command = _git(repository, "hash-object", "-t", "tree", "--stdin")
    done = subprocess.run(command, input=b"", capture_output=True, check=True)  # noqa: S603 - as above
    return done.stdout.decode("ascii").strip()


def _groups(stream: IO[bytes]) -> Iterator[list[GitDelta]]:
    """Split header lines (two tree ids) and records (modes, ids and status, NUL, path, NUL)."""
    current: list[GitDelta] | None = None
    record: bytes | None = None
    for field in _fields(stream):
        if record is not None:
            assert current is not None
            _, mode, _, blob, _ = record.split(b" ")
            current.append(GitDelta(field, int(mode, 8), blob))
            record = None
            continue
        header, newline, rest = field.rpartition(b"\n")
        for _ in range(header.count(b"\n") + 1 if newline else 0):
            if current is not None:
                yield current
            current = []
        record = rest or None
    if current is not None:
        yield current


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between NUL bytes, and what is left at the end."""
    held = b""
    while piece := stream.read(1 << 16):
        *whole, held = (held + piece).split(b"\0")
        yield from whole
    if held:
        yield held


class BlobReader:
    """One ``git cat-file --batch`` process; a context manager."""

    def __init__(self, repository: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - as above
            _git(repository, "cat-file", "--batch"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def read(self, blob: bytes) -> bytes:
        """The content of ``blob`` (hex id).

        Raises:
            CasreplayError: the repository does not have it (a shallow or partial clone).
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(blob + b"\n")
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) != 3:
            raise CasreplayError(
                f"git has no object {blob.decode('ascii', 'replace')}",
                hint="Shallow and partial clones lack objects: fetch them first",
            )
        size = int(head[2])
        content = self._process.stdout.read(size)
        self._process.stdout.read(1)
        return content
