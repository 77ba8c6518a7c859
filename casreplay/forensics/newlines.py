"""Which lines of a log are new since an earlier state of it, and which of those speak of the cause.

A line is new when its mask (times, numbers, ids and paths replaced) was nowhere in the
earlier log. A log that was only appended to has a new tail, whatever it says. Owns the
comparison; what makes a line a cause line is ``logs.relevance``.

Cost: three sieves. Deleting all digits runs at memory speed and drops nearly every line of a
log that repeats itself, deleting long hex ids most of the rest; only what is left is masked.
Memory: one hash a distinct line of the earlier log, a bit table of 64 MiB beyond two million of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain

from casreplay.forensics.logs.guards import is_suspicious
from casreplay.forensics.logs.lines import clean, encoding_of, is_progress, read_lines
from casreplay.forensics.logs.masks import mask_block, without_digits, without_ids
from casreplay.forensics.logs.relevance import Row, cause_rows

__all__ = ["NewLine", "NewLines", "Source", "new_lines"]

Source = bytes | Iterable[bytes]
"""A log: all its bytes, or its pieces in order."""

BATCH_BYTES = 1 << 22
MAX_EXACT = 2_000_000
MAX_KEPT = 200_000
"""New lines kept of one log; beyond it only lines that look like trouble are, up to twice as many."""
THIN_AFTER = 20_000
"""New lines of one log from which on repeats are left out."""
REPEATS = 3
"""How often a message (ids and digits aside) is kept after that."""
CONTEXT_BEFORE = 40
CONTEXT_AFTER = 200


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line of the later log that is new, or belongs to a block that is.

    Attributes:
        number: 1-based line number.
        offset: byte offset of its first byte.
        end_offset: byte offset after its line end.
        text: without terminal escapes, CI prefix kept.
        novel: whether its mask was nowhere in the earlier log. ``False`` for known lines inside a
            new block and for the known ones of an appended tail.
        cause: whether it is part of what went wrong.
    """

    number: int
    offset: int
    end_offset: int
    text: str
    novel: bool
    cause: bool


@dataclass(frozen=True, slots=True)
class NewLines:
    """The new lines of a log, ascending.

    Attributes:
        lines: new lines and the known lines of their blocks.
        total: lines the later log has.
        appended: whether the later log starts with the whole earlier one.
        truncated: whether repeated lines, or lines that did not look like trouble, were left out for their
            number.
        binary: whether the later log is binary and was not read.
    """

    lines: tuple[NewLine, ...]
    total: int
    appended: bool = False
    truncated: bool = False
    binary: bool = False

    @property
    def cause(self) -> tuple[NewLine, ...]:
        """The lines that are part of what went wrong; empty when nothing new is."""
        return tuple(line for line in self.lines if line.cause)


@dataclass(frozen=True, slots=True)
class _Batch:
    first: int
    raws: Sequence[bytes]
    """Lines with their ends."""
    offsets: Sequence[int]
    keys: Sequence[bytes]


class _Seen:
    """A set of hashes that turns into a two-bit table when it grows large."""

    def __init__(self) -> None:
        self._exact: set[int] = set()
        self._bits: bytearray | None = None

    def add(self, keys: Iterable[bytes]) -> None:
        if self._bits is None:
            self._exact.update(map(hash, keys))
            if len(self._exact) > MAX_EXACT:
                self._bits = bytearray(1 << 26)
                self._mark(self._exact)
                self._exact = set()
        else:
            self._mark(map(hash, keys))

    def _mark(self, hashes: Iterable[int]) -> None:
        bits = self._bits
        assert bits is not None
        for value in hashes:
            bits[value >> 3 & 0x3FFFFFF] |= 1 << (value & 7)
            bits[value >> 34 & 0x3FFFFFF] |= 1 << (value >> 31 & 7)

    def fresh(self, keys: Sequence[bytes]) -> list[int]:
        """Indexes of the keys never added."""
        if self._bits is None:
            exact = self._exact
            return [i for i, value in enumerate(map(hash, keys)) if value not in exact]
        return [i for i, value in enumerate(map(hash, keys)) if not self._has(value)]

    def _has(self, value: int) -> bool:
        bits = self._bits
        assert bits is not None
        return bool(
            bits[value >> 3 & 0x3FFFFFF] >> (value & 7) & 1
            and bits[value >> 34 & 0x3FFFFFF] >> (value >> 31 & 7) & 1
        )


def new_lines(before: Source | None, after: Source) -> NewLines:
    """The lines of ``after`` that ``before`` does not have.

    Args:
        before: the earlier state of the log, or a passing run's; ``None`` when there is none
            (then every line is new).
        after: the later state.

    Both may be binary or empty. An appended log is recognised when both are ``bytes``.
    Cost: linear; 200 MB against 200 MB of ordinary logs takes a few seconds on one core.
    """
    if isinstance(before, bytes) and isinstance(after, bytes) and before and after.startswith(before):
        return _appended(before, after)
    pieces = _peek(after)
    if pieces is None:
        return NewLines((), 0, binary=True)
    sieve = _Sieve(before)
    kept = _Kept()
    for batch in _batches(pieces):
        fresh = kept.thin(batch, sieve.fresh(batch))
        kept.add(batch, _rows(batch, fresh))
    return _finish(kept)


def _appended(before: bytes, after: bytes) -> NewLines:
    cut = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
    known = before[:cut]
    sieve = _Sieve(known)
    kept = _Kept(first=len(known.splitlines()), offset=cut)
    for batch in _batches(_peek(after[cut:]) or ()):
        novel = set(sieve.fresh(batch))
        chosen = kept.thin(batch, list(range(len(batch.raws))))
        kept.add(batch, (_row(batch, i, novel=i in novel) for i in chosen))
    return replace(_finish(kept), appended=True)


class _Kept:
    """The rows of a log that are kept, within bounds: repeats and harmless lines go first."""

    def __init__(self, *, first: int = 0, offset: int = 0) -> None:
        self.rows: list[Row] = []
        self.total = first
        self.truncated = False
        self._first = first
        self._offset = offset
        self._rough: dict[bytes, int] = {}
        self._plain: dict[bytes, int] = {}

    def thin(self, batch: _Batch, fresh: list[int]) -> list[int]:
        """``fresh`` without lines that were there ``REPEATS`` times, once there are many of them."""
        if len(self.rows) + len(fresh) <= THIN_AFTER:
            return fresh
        chosen = self._once(fresh, [batch.keys[i] for i in fresh], self._rough)
        chosen = self._once(chosen, _keyed([batch.raws[i] for i in chosen]), self._plain)
        self.truncated = self.truncated or len(chosen) < len(fresh)
        if len(self.rows) + len(chosen) > MAX_KEPT:
            self.truncated = True
            chosen = [i for i in chosen if is_suspicious(batch.raws[i][:2000].decode("latin-1"))]
        return chosen

    @staticmethod
    def _once(lines: list[int], keys: list[bytes], counts: dict[bytes, int]) -> list[int]:
        """The lines whose key was met fewer than ``REPEATS`` times so far."""
        chosen = []
        for i, key in zip(lines, keys, strict=True):
            seen = counts.get(key, 0)
            if seen < REPEATS:
                chosen.append(i)
                if seen or len(counts) < MAX_EXACT // 4:
                    counts[key] = seen + 1
        return chosen

    def add(self, batch: _Batch, rows: Iterable[Row]) -> None:
        self.total = self._first + batch.first + len(batch.raws) - 1
        if len(self.rows) < 2 * MAX_KEPT:
            moved = self._first or self._offset
            self.rows.extend(row.moved(self._first, self._offset) if moved else row for row in rows)


def _finish(kept: _Kept) -> NewLines:
    causes = cause_rows(kept.rows)
    return NewLines(
        tuple(
            NewLine(row.number, row.offset, row.end_offset, row.text, row.novel, row.number in causes)
            for row in kept.rows
        ),
        kept.total,
        truncated=kept.truncated,
    )


class _Sieve:
    """What an earlier log holds: rough keys at once, masks when the first line gets through."""

    def __init__(self, before: Source | None) -> None:
        self._keys = _Seen()
        self._plain = _Seen()
        self._masks = _Seen()
        self._empty = True
        pieces = _peek(before) if before is not None else None
        if pieces is None:
            return
        for batch in _batches(pieces):
            self._empty = False
            unknown = self._keys.fresh(batch.keys)
            self._keys.add(batch.keys)
            once = [batch.raws[i] for i in {batch.keys[i]: i for i in unknown}.values()]
            plain = _keyed(once)
            unknown = self._plain.fresh(plain)
            self._plain.add(plain)
            self._masks.add(_masked([once[i] for i in {plain[i]: i for i in unknown}.values()]))

    def fresh(self, batch: _Batch) -> list[int]:
        """Indexes of the lines of ``batch`` that are new; blank lines never are."""
        if self._empty:
            return [i for i, key in enumerate(batch.keys) if key and not key.isspace()]
        rough = [i for i in self._keys.fresh(batch.keys) if batch.keys[i] and not batch.keys[i].isspace()]
        rough = [rough[i] for i in self._plain.fresh(_keyed([batch.raws[i] for i in rough]))]
        return [rough[i] for i in self._masks.fresh(_masked([batch.raws[i] for i in rough]))]


def _keyed(raws: list[bytes]) -> list[bytes]:
    """Each line without digits and long hex ids."""
    return without_ids(_joined(raws)).split(b"\n") if raws else []


def _joined(raws: list[bytes]) -> bytes:
    """The lines with one line feed between two and none at the end, whatever they ended with."""
    block = b"".join(raws)
    if b"\r" not in block and block.count(b"\n") == len(raws) and block.endswith(b"\n"):
        return block[:-1]  # each ended with a line feed
    return b"\n".join(raw.rstrip(b"\r\n") for raw in raws)


def _masked(raws: list[bytes]) -> list[bytes]:
    """The mask of each line, in one pass of the expression."""
    if not raws:
        return []
    return [line.strip() for line in mask_block(_joined(raws)).split(b"\n")]


def _peek(source: Source) -> Iterator[bytes] | _Wide | None:
    """The pieces of ``source`` in UTF-8 or a single-byte encoding; ``None`` when it is binary."""
    pieces = iter((source,) if isinstance(source, bytes) else source)
    head = next(pieces, b"")
    kind = encoding_of(head)
    if kind == "binary":
        return None
    whole = chain((head,), pieces)
    return whole if kind == "utf-8" else _Wide(whole)


@dataclass(frozen=True, slots=True)
class _Wide:
    """Pieces of a UTF-16 log, to be cut by ``read_lines``."""

    pieces: Iterable[bytes]


def _batches(pieces: Iterable[bytes] | _Wide) -> Iterator[_Batch]:
    """Whole lines in batches of about 4 MiB."""
    if isinstance(pieces, _Wide):  # every line at once: such logs are rare and small
        lines = list(read_lines(pieces.pieces))
        raws = [line.text.encode("utf-8", "replace") + b"\n" for line in lines]
        if lines:
            offsets = [line.offset for line in lines]
            yield _Batch(lines[0].number, raws, offsets, [without_digits(raw).strip() for raw in raws])
        return
    number, offset = 1, 0
    for block in _blocks(pieces):
        raws = block.splitlines(keepends=True)
        offsets = list(accumulate(map(len, raws), initial=offset))
        keys = without_digits(block).splitlines()
        yield _Batch(number, raws, offsets, keys)
        number += len(raws)
        offset += len(block)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes again, cut after line feeds."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        for start in range(0, len(piece), BATCH_BYTES):
            part = piece[start : start + BATCH_BYTES]
            held.append(part)
            size += len(part)
            if size < BATCH_BYTES:
                continue
            cut = part.rfind(b"\n") + 1
            if cut or size > 16 * BATCH_BYTES:
                cut = cut or len(part)
                yield b"".join((*held[:-1], part[:cut]))
                held, size = [part[cut:]], len(part) - cut
    rest = b"".join(held)
    if rest:
        yield rest


def _row(batch: _Batch, i: int, *, novel: bool) -> Row:
    raw = batch.raws[i]
    offset = batch.offsets[i]
    end = batch.offsets[i + 1] if i + 1 < len(batch.offsets) else offset + len(raw)
    try:
        text = raw[: 1 << 16].decode()
    except UnicodeDecodeError:
        text = raw[: 1 << 16].decode("cp1252", "replace")
    return Row(batch.first + i, offset, end, clean(text.rstrip("\r\n")), novel)


def _rows(batch: _Batch, fresh: list[int]) -> Iterator[Row]:
    """The new lines and the known lines that hang on them: bodies of blocks, indented details."""
    raws, last = batch.raws, -1
    for at, i in enumerate(fresh):
        start = i
        while start - 1 > last and i - start < CONTEXT_BEFORE and _hangs(raws[start - 1]):
            start -= 1
        if start < i and start - 1 > last:
            start -= 1  # the head the details hang on
        for k in range(start, i):
            yield _row(batch, k, novel=False)
        if not (raws[i].endswith(b"\r") and is_progress(raws[i])):
            yield _row(batch, i, novel=True)
        last = i
        stop = fresh[at + 1] if at + 1 < len(fresh) else len(raws)
        while last + 1 < min(stop, i + CONTEXT_AFTER) and (
            _hangs(raws[last + 1]) or not raws[last + 1].strip()
        ):
            last += 1
            yield _row(batch, last, novel=False)


def _hangs(raw: bytes) -> bool:
    """Whether a line's shape makes it a detail of another: indented, a frame, a closing bracket."""
    text = raw[:80]
    if text[:1] in {b" ", b"\t"}:
        return bool(text.strip())
    if text[:1] == b"[":
        # A level alone on its line ("[ERROR]") and levels before indented details (Maven).
        text = clean(text.decode("latin-1")).encode("latin-1").partition(b"]")[2]
        return text[:3] in {b"  ", b"   "} or not text.strip()
    if text[:3] == b"202" and b"Z " in text[:34]:
        rest = text[text.index(b"Z ") + 2 :]
        return rest[:1] in {b" ", b"\t"}
    return text.startswith((b"Caused by:", b"Traceback (most", b"goroutine ", b"... ", b"}", b")"))
