"""Labels, tags and notes set after the commit: beside the chain, so that the chain never changes.

Owns the file ``annotations`` of a store: JSON lines, only ever appended to, the last word
on a label or a tag wins. Taking a word back is another line; nothing is erased, so it
can be seen what was called what, when. Not chained: whoever can write to the store can
add lines, and the snapshot's own label and tags still stand in the log.

A line that cannot be read is passed over and reported; it is never a reason not to read the
others. What stands behind the last line end and is none was torn by a crash before anybody was
told that it is kept: no damage, and the next writer cuts it off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from casreplay.clock import Clock
from casreplay.errors import StoreIOError, UsageError
from casreplay.model.ids import SnapshotId
from casreplay.model.objects import Snapshot
from casreplay.model.problems import Problem
from casreplay.store.files import Files, is_missing, join, replace
from casreplay.store.locks import Leases
from casreplay.store.log import LOST

__all__ = ["Annotations", "Note", "check_label", "check_tag"]

NAME = "annotations"
MAX_LABEL_CHARACTERS = 1000
MAX_TAG_CHARACTERS = 200
WIDE_SPACES = "\u00a0\u3000"
"""Spaces that Python counts as not printable though people type them; a terminal takes them as they are."""
MAX_NOTE_CHARACTERS = 100_000
MAX_LINE_BYTES = 1 << 20


class FileStore(Protocol):
    """What is needed of a store: its folder, and how to write there."""

    @property
    def files(self) -> Files:
        """The disk."""

    @property
    def folder(self) -> str:
        """Where the store lies."""

    @property
    def leases(self) -> Leases:
        """Its locks."""


class Note(NamedTuple):
    """A remark on a snapshot: when it was made, by whom (may be empty), and what it says."""

    time_ns: int
    author: str
    text: str


def check_label(label: str) -> str:
    """``label`` if it may be one: at most 1,000 characters, all of which show.

    Raises:
        UsageError: it may not.
    """
    return _checked("label", label, MAX_LABEL_CHARACTERS)


def check_tag(tag: str) -> str:
    """``tag`` if it may be one: as a label, not empty, at most 200 characters, not starting with ``@``.

    Raises:
        UsageError: it may not.
    """
    if not tag.strip() or tag.startswith("@"):
        raise UsageError(f"{tag!r} is no tag", hint="A tag is not empty and does not start with @")
    return _checked("tag", tag, MAX_TAG_CHARACTERS)


def _checked(what: str, text: str, limit: int) -> str:
    if len(text) > limit:
        raise UsageError(f"A {what} of {len(text)} characters is over the limit of {limit}")
    hidden = next((char for char in text if not char.isprintable() and char not in WIDE_SPACES), None)
    if hidden is not None:
        raise UsageError(f"A {what} must not hold {_described(hidden)}", hint="Use a note for longer texts")
    return text


def _several(tags: Iterable[str]) -> list[str]:
    if isinstance(tags, str):  # it would be taken letter by letter
        raise UsageError(f"{tags!r} is one text", hint="Tags are a list or a tuple of texts")
    return list(tags)


def _described(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries an argument's bytes that it cannot decode
        return f"bytes that are not UTF-8 (\\x{code - 0xDC00:02x})"
    kind = "control characters" if code < 32 or 127 <= code < 160 else "characters that do not show"
    return f"{kind} (U+{code:04X})"


class Annotations:
    """The annotations of one store, read when first asked for and kept.

    Args:
        store: where the file is.
        clock: the time of new lines.
    """

    def __init__(self, store: FileStore, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._labels: dict[bytes, str] = {}
        self._tags: dict[bytes, dict[str, bool]] = {}
        self._notes: dict[bytes, list[Note]] = {}
        self._problems: list[Problem] = []
        self._loaded = False
        self._read_at: tuple[int, int, int] | None = None

    # Reading

    def label_of(self, snapshot: Snapshot) -> str:
        """The label set last, or the one given at commit time."""
        self._load()
        return self._labels.get(snapshot.id, snapshot.label)

    def tags_of(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Tags given at commit time and later, without those removed; in the order they were given."""
        self._load()
        later = self._tags.get(snapshot.id)
        if not later:
            return snapshot.tags
        kept = [tag for tag in snapshot.tags if later.get(tag, True)]
        kept += [tag for tag, is_set in later.items() if is_set and tag not in kept]
        return tuple(kept)

    def notes_of(self, snapshot: Snapshot) -> tuple[Note, ...]:
        """Notes in the order they were made."""
        self._load()
        return tuple(self._notes.get(snapshot.id, ()))

    def called(self, name: str) -> list[SnapshotId]:
        """Snapshots that were given ``name`` as a label or a tag after their commit and still have it.

        Lines that other processes wrote meanwhile are read first.
        """
        if self._stamp() != self._read_at:
            self.refresh()
        self._load()
        found = {one: None for one, label in self._labels.items() if label == name}
        found |= {one: None for one, tags in self._tags.items() if tags.get(name)}
        return [SnapshotId(one) for one in found]

    def problems(self) -> tuple[Problem, ...]:
        """Lines that could not be read."""
        self._load()
        return tuple(self._problems)

    def refresh(self) -> None:
        """Forget what was read, so that lines of other processes are seen."""
        self._loaded = False

    def _load(self) -> None:
        if self._loaded:
            return
        self._labels, self._tags, self._notes, self._problems = {}, {}, {}, []
        self._read_at = self._stamp()  # taken before: what comes in between is read again, not missed
        *lines, rest = self._bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            if line and not self._take(line):
                text = f"Line {number} of the annotations cannot be read"
                self._problems.append(Problem("annotation", text, path=NAME))
        self._take(rest)
        self._loaded = True

    def _stamp(self) -> tuple[int, int, int] | None:
        return self._store.files.stamp(join(self._store.folder, NAME))

    def _bytes(self) -> bytes:
        try:
            return self._store.files.read(join(self._store.folder, NAME))
        except StoreIOError as error:
            if is_missing(error):
                return b""
            raise

    def _take(self, line: bytes) -> bool:
        """Apply one line; ``False`` when it is none."""
        try:
            fields = json.loads(line)
            snapshot = bytes.fromhex(fields["snapshot"])
            time_ns = fields["time_ns"]
            texts = [fields[key] for key in ("label", "note", "author") if key in fields]
            texts += [*fields.get("tag", ()), *fields.get("untag", ())]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        if len(snapshot) != 32 or type(time_ns) is not int or not all(isinstance(t, str) for t in texts):
            return False
        if "label" in fields:
            self._labels[snapshot] = fields["label"]
        tags = self._tags.setdefault(snapshot, {})
        for key, is_set in (("tag", True), ("untag", False)):
            for tag in fields.get(key, ()):
                tags.pop(tag, None)
                tags[tag] = is_set
        if "note" in fields:
            note = Note(time_ns, fields.get("author", ""), fields["note"])
            self._notes.setdefault(snapshot, []).append(note)
        return True

    # Writing

    def set_label(self, snapshot: SnapshotId, label: str) -> None:
        """Call a snapshot ``label`` from now on; an empty text takes its label away. Durable."""
        self._append(snapshot, {"label": check_label(label)})

    def add_tags(self, snapshot: SnapshotId, tags: Iterable[str]) -> None:
        """Give a snapshot tags. Durable.

        Raises:
            UsageError: one may be no tag, or ``tags`` is one text.
        """
        self._append(snapshot, {"tag": [check_tag(tag) for tag in _several(tags)]})

    def remove_tags(self, snapshot: SnapshotId, tags: Iterable[str]) -> None:
        """Take tags away, those given at commit time too. Durable.

        Raises:
            UsageError: ``tags`` is one text.
        """
        self._append(snapshot, {"untag": _several(tags)})

    def add_note(self, snapshot: SnapshotId, text: str, *, author: str = "") -> None:
        """Add a remark. Durable.

        Raises:
            UsageError: empty, or over 100,000 characters.
        """
        if not text.strip() or len(text) > MAX_NOTE_CHARACTERS:
            raise UsageError(f"A note has 1 to {MAX_NOTE_CHARACTERS} characters")
        self._append(snapshot, {"note": text, "author": author})

    def _append(self, snapshot: SnapshotId, fields: dict[str, object]) -> None:
        """Append one line under the lock; what a crash tore before it is cut off first.

        Raises:
            StoreIOError: the disk refused; at most a torn line is left, which readers pass over.
            LockedError: another process kept the lock for ten seconds.
        """
        self._load()
        fields |= {"snapshot": snapshot.hex(), "time_ns": self._clock()}
        # Half of a surrogate pair (a byte that is not UTF-8 in an argument) stays an escape.
        line = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
        if len(line) > MAX_LINE_BYTES:
            raise UsageError("Too many tags at once")
        files, path = self._store.files, join(self._store.folder, NAME)
        with self._store.leases.annotating():
            is_new = files.stamp(path) is None
            is_open = not is_new and self._end_torn_line(path)
            handle = files.append(path, create=is_new)
            try:
                handle.write((b"\n" if is_open else b"") + line + b"\n")
                handle.sync()
            finally:
                handle.close()
            if is_new:
                files.sync_folder(self._store.folder)
        self.refresh()

    def _end_torn_line(self, path: str) -> bool:
        """Cut off what was torn, with a copy in ``lost``; ``True``: the last line lacks only its end."""
        kept = self._bytes()
        end = kept.rfind(b"\n") + 1
        torn = kept[end:]
        if not torn or self._take(torn):
            return bool(torn)
        lost = join(self._store.folder, LOST)
        self._store.files.make_folder(lost)
        replace(self._store.files, join(lost, f"{NAME}-{end}-{len(torn)}"), torn)
        self._store.files.truncate(path, end)
        return False
