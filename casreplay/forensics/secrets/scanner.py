"""The secret scanner: bytes in pieces go in, matches without values come out.

Memory is bounded by one window (2 MiB and an overlap), whatever the blob's size. Windows
overlap by 64 KiB; a match belongs to the window in which it starts, so the windows' cuts
cannot be seen in the result. Secrets longer than the overlap are reported cut.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain

from casreplay.codec.hashing import keyed_hash
from casreplay.forensics.secrets.custom import CustomRules
from casreplay.forensics.secrets.decoding import MARKERS, Piece, gunzip, is_gzip, pieces
from casreplay.forensics.secrets.engines import Engine, KeywordEngine, make_engine
from casreplay.forensics.secrets.kinds import kind_of
from casreplay.forensics.secrets.model import Candidate, FileKind, SecretMatch
from casreplay.forensics.secrets.rules import RuleSet, default_rules
from casreplay.forensics.secrets.structured import pgpass

__all__ = ["Found", "SecretScanner", "fingerprinter", "label"]

WINDOW = 2 << 20
OVERLAP = 64 << 10
_SMALL = 64 << 10
_PGPASS_NAMES = (b".pgpass", b"pgpass.conf", b"pgpass")
_DECODED_RANK = 10
_BETWEEN = b"\n\0\n"
"""Between pieces of unwrapped text: no rule matches across a NUL."""


def fingerprinter(key: bytes) -> Callable[[bytes], str]:
    """A function from a value to 8 hex digits that only the holder of the 32-byte ``key`` can compute."""

    def fingerprint(value: bytes) -> str:
        return keyed_hash(key, value)[:4].hex()

    return fingerprint


def label(rule: str, length: int, fingerprint: str) -> str:
    """What is shown in the place of a secret of ``length`` bytes."""
    return f"<{rule}> len={length} fp={fingerprint}"


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate in a window with the value it stands for: lives only while a window is scanned."""

    candidate: Candidate
    value: bytes
    encoding: str = ""


class SecretScanner:
    """Finds secrets with one rule set, one engine and one store's fingerprint key."""

    def __init__(
        self,
        fingerprint: Callable[[bytes], str],
        *,
        engine: str = "auto",
        rules: RuleSet | None = None,
        custom: CustomRules | None = None,
    ) -> None:
        """Prepare a scanner; the engine is built when first needed when ``engine`` is ``auto``.

        Raises:
            UsageError: unknown engine.
            MissingExtraError: the engine's library is not installed.
        """
        self.rules = rules if rules is not None else default_rules()
        self.custom = custom if custom is not None else CustomRules()
        self._probes = (*self.rules.probes, *MARKERS)
        self._fingerprint = fingerprint
        self._small: Engine = KeywordEngine(self._probes)
        self._fast: Engine | None = None if engine == "auto" else make_engine(engine, self._probes)
        self._named = engine != "auto"

    @property
    def digest(self) -> bytes:
        """Changes with any rule; results of different digests cannot be compared."""
        return self.rules.digest + self.custom.digest

    @property
    def engine(self) -> str:
        """The engine that large blobs are scanned with, built when nobody asked before."""
        return self._engine(_SMALL).name

    def scan(self, stream: Iterable[bytes], path: bytes) -> list[SecretMatch]:
        """Every secret of one blob in the order of offsets. ``path`` decides how its text is read."""
        source = iter(stream)
        head = next(source, b"")
        if is_gzip(head):
            packed = _Counted(chain((head,), source))
            inside = list(self._scan(gunzip(packed), path))
            for _ in packed:
                pass
            return [_in_gzip(match, packed.total) for match in inside]
        return list(self._scan(chain((head,), source), path))

    def scan_bytes(self, data: bytes, path: bytes = b"") -> list[SecretMatch]:
        """``scan`` of bytes at hand."""
        return self.scan((data,), path)

    def find(self, data: bytes, kind: FileKind) -> list[Found]:
        """Secrets of one window, not overlapping, in order; the caller must not keep the values."""
        hits = self._engine(len(data)).hits(data)
        found = [Found(c, data[c.start : c.end]) for c in self._candidates(data, hits, kind)]
        rules = len(self.rules.probes)
        marks = [(at, number - rules) for at, number in hits if number >= rules]
        found += self._unwrapped(list(pieces(data, marks)), kind)
        found += [Found(c, data[c.start : c.end]) for c in self.custom.find(data)]
        found = _without_overlaps(found)
        allowed = self.custom.allowed([f.value for f in found])
        return [f for i, f in enumerate(found) if i not in allowed]

    def _unwrapped(self, wrapped: list[Piece], kind: FileKind) -> Iterator[Found]:
        """Secrets inside wrapped text. All pieces are searched as one: thousands of short ones are cheap."""
        joined = _BETWEEN.join(piece.text for piece in wrapped)
        starts = list(accumulate((len(piece.text) + len(_BETWEEN) for piece in wrapped), initial=0))
        hits = self._engine(len(joined)).hits(joined) if joined else set()
        for c in self._candidates(joined, hits, kind):
            number = bisect_right(starts, c.start) - 1
            piece, offset = wrapped[number], starts[number]
            if c.end - offset <= len(piece.text):
                start, end = piece.span(c.start - offset, c.end - offset)
                moved = Candidate(c.rule, c.secret_class, start, end, c.rank + _DECODED_RANK)
                yield Found(moved, joined[c.start : c.end], piece.encoding)

    def label(self, rule: str, value: bytes) -> str:
        """What stands for ``value`` wherever text is shown."""
        return label(rule, len(value), self._fingerprint(value))

    def _candidates(self, data: bytes, hits: set[tuple[int, int]], kind: FileKind) -> Iterator[Candidate]:
        seen: set[tuple[int, int, str]] = set()
        for at, number in hits:
            candidate = self._probes[number].find(data, at, kind)
            if (
                candidate is not None
                and (key := (candidate.start, candidate.end, candidate.rule)) not in seen
            ):
                seen.add(key)
                yield candidate

    def _engine(self, size: int) -> Engine:
        if size < _SMALL and not self._named:
            return self._small
        if self._fast is None:
            self._fast = make_engine("auto", self._probes)
        return self._fast

    def _scan(self, stream: Iterator[bytes], path: bytes) -> Iterator[SecretMatch]:
        kind, lines = kind_of(path), _Lines()
        is_pgpass = path.rpartition(b"/")[2].lower() in _PGPASS_NAMES
        for window, base, first, stop in _windows(stream):
            found = self.find(window, kind)
            if is_pgpass:
                found = _without_overlaps(
                    [*found, *(Found(c, window[c.start : c.end]) for c in pgpass(window))]
                )
            for item in found:
                if first <= item.candidate.start < stop:
                    yield self._match(item, window, base, lines)
            lines.advance(window, base, stop)

    def _match(self, item: Found, window: bytes, base: int, lines: _Lines) -> SecretMatch:
        at = item.candidate
        line, column = lines.locate(window, base, at.start)
        return SecretMatch(
            rule=at.rule,
            secret_class=at.secret_class,
            offset=base + at.start,
            length=at.end - at.start,
            line=line,
            column=column,
            fingerprint=self._fingerprint(item.value),
            encoding=item.encoding,
            value_length=len(item.value),
        )


def _windows(stream: Iterator[bytes]) -> Iterator[tuple[bytes, int, int, int]]:
    """(window, its offset, first and past-last position at which a match belongs to it)."""
    buffer, base, first = bytearray(), 0, 0
    for piece in stream:
        view = memoryview(piece)
        for start in range(0, len(piece), WINDOW):
            buffer += view[start : start + WINDOW]
            if len(buffer) < WINDOW + OVERLAP:
                continue
            stop = len(buffer) - OVERLAP
            yield bytes(buffer), base, first, stop
            drop = stop - OVERLAP
            del buffer[:drop]
            base, first = base + drop, OVERLAP
    if len(buffer) > first:
        yield bytes(buffer), base, first, len(buffer)


class _Lines:
    """Counts lines across windows: how many were complete before ``_offset``, where the current one began."""

    def __init__(self) -> None:
        self._offset = 0
        self._count = 0
        self._line_start = 0

    def locate(self, window: bytes, base: int, at: int) -> tuple[int, int]:
        """Line and column, from 1, of position ``at`` of a window that begins at ``base``.

        Positions are asked for in ascending order: each line end is counted once.
        """
        self.advance(window, base, at)
        start = self._line_start - base
        if start < 0:
            return self._count + 1, at - start + 1
        return self._count + 1, len(window[start:at].decode("utf-8", "replace")) + 1

    def advance(self, window: bytes, base: int, stop: int) -> None:
        """Count the lines of the window up to ``stop``; later positions are counted from there."""
        known = max(0, self._offset - base)
        self._count += window.count(b"\n", known, stop)
        newline = window.rfind(b"\n", known, stop)
        if newline >= 0:
            self._line_start = base + newline + 1
        self._offset = base + stop


class _Counted:
    """Pieces that count their bytes as they pass."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = iter(source)
        self.total = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._source:
            self.total += len(piece)
            yield piece


def _in_gzip(match: SecretMatch, length: int) -> SecretMatch:
    """A match in unpacked text, located by the whole packed blob; its line and column stay."""
    return SecretMatch(
        match.rule, match.secret_class, 0, length, match.line, match.column, match.fingerprint, "gzip",
        match.value_length,
    )  # fmt: skip


def _without_overlaps(found: list[Found]) -> list[Found]:
    """The most important of overlapping candidates, in the order of their starts."""
    chosen: dict[int, Found] = {}
    starts: list[int] = []
    for item in sorted(found, key=_importance):
        at = item.candidate
        i = bisect_left(starts, at.start)
        follows = i > 0 and chosen[starts[i - 1]].candidate.end > at.start
        precedes = i < len(starts) and starts[i] < at.end
        if not follows and not precedes:
            starts.insert(i, at.start)
            chosen[at.start] = item
    return [chosen[start] for start in starts]


def _importance(item: Found) -> tuple[int, int, int, str, int, bytes]:
    """Total: two values in base64 may share a span, and engines report in different orders."""
    at = item.candidate
    return (at.rank, at.start, -at.end, at.rule, -len(item.value), item.value)
