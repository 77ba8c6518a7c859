"""The log of a bisect: one JSON object a line, enough to go on with it or to do it again.

The first line says what is searched, every further one is a verdict; a last one may say
that it is over. A line that was cut short by a crash is left out. Pure: text in, values out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from casreplay.errors import CasreplayError
from casreplay.history.bisect_model import Verdict
from casreplay.history.observations import Signature

__all__ = [
    "HAND_LOG",
    "BisectState",
    "VerdictRow",
    "decode_cache",
    "decode_state",
    "encode_cache",
    "encode_state",
    "settings_of",
    "signature_fields",
]

VERSION = 1
HAND_LOG = "bisect-hand.jsonl"
"""Where a store's caches keep the search by hand."""


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One verdict.

    Attributes:
        snapshot: hex id.
        verdict: as it was settled.
        source: ``run``, ``cached``, ``traced`` (a traced run elsewhere stands for it) or ``person``.
        signature: of the failure, if any.
        elapsed_ns: of the run.
        why: what the search wanted to know.
        note: one clause for people.
    """

    snapshot: str
    verdict: Verdict
    source: str
    signature: Signature | None = None
    elapsed_ns: int = 0
    why: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class BisectState:
    """A bisect under way or over.

    Attributes:
        good: hex id of the good end; empty while it is not known.
        bad: hex id of the bad end.
        settings: what else decides the search (command, watched paths, options), JSON values only.
        rows: verdicts in the order they came.
        over: whether it ended with an answer.
    """

    good: str = ""
    bad: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    rows: tuple[VerdictRow, ...] = ()
    over: bool = False

    def with_row(self, row: VerdictRow) -> BisectState:
        """The state after one more verdict."""
        return replace(self, rows=(*self.rows, row))

    def named(self) -> frozenset[str]:
        """Hex ids of the snapshots that the search rests on: the ends and all that were judged."""
        return frozenset(one for one in (self.good, self.bad, *(row.snapshot for row in self.rows)) if one)

    def is_same_search(self, other: BisectState) -> bool:
        """Whether both look for the same thing in the same range."""
        mine, theirs = dict(self.settings), dict(other.settings)
        return (self.good, self.bad, mine) == (other.good, other.bad, theirs)


def encode_state(state: BisectState) -> bytes:
    """The log as JSON lines."""
    head = {
        "type": "bisect",
        "version": VERSION,
        "good": state.good,
        "bad": state.bad,
        "settings": dict(state.settings),
    }
    lines = [head, *(_row_fields(row) for row in state.rows)]
    if state.over:
        lines.append({"type": "end"})
    return b"".join(json.dumps(line).encode("ascii") + b"\n" for line in lines)


def _row_fields(row: VerdictRow) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "type": "verdict",
        "snapshot": row.snapshot,
        "verdict": row.verdict.value,
        "source": row.source,
    }
    if row.signature is not None:
        fields["signature"] = signature_fields(row.signature)
    if row.elapsed_ns:
        fields["elapsed_s"] = round(row.elapsed_ns / 1e9, 6)
    for name in ("why", "note"):
        if getattr(row, name):
            fields[name] = getattr(row, name)
    return fields


def signature_fields(signature: Signature) -> dict[str, Any]:
    """A signature as JSON."""
    return {
        "exit_code": signature.exit_code,
        "exception": signature.exception,
        "place": signature.place,
        "line": signature.line,
    }


def decode_state(data: bytes) -> BisectState:
    """The state in a log; a broken last line is left out.

    Raises:
        CasreplayError: it is no log of a bisect, or of a newer version.
    """
    lines = data.splitlines()
    try:
        head = json.loads(lines[0])
        known = head["type"] == "bisect" and head["version"] <= VERSION
        state = BisectState(head["good"], head["bad"], head["settings"])
    except (ValueError, LookupError, TypeError) as error:
        raise CasreplayError("This is no bisect log that can be read", reason=str(error)) from error
    if not known:
        raise CasreplayError("This bisect log was written by a newer version", version=head["version"])
    rows: list[VerdictRow] = []
    over = False
    for number, line in enumerate(lines[1:], start=2):
        try:
            fields = json.loads(line)
            if fields["type"] == "end":
                over = True
            else:
                rows.append(_row(fields))
        except (ValueError, LookupError, TypeError) as error:
            if number == len(lines):
                break
            raise CasreplayError(f"Line {number} of the bisect log cannot be read", line=number) from error
    return replace(state, rows=tuple(rows), over=over)


def _row(fields: Mapping[str, Any]) -> VerdictRow:
    shown = fields.get("signature")
    return VerdictRow(
        snapshot=str(fields["snapshot"]),
        verdict=Verdict(fields["verdict"]),
        source=str(fields["source"]),
        signature=Signature(**shown) if shown is not None else None,
        elapsed_ns=int(fields.get("elapsed_s", 0) * 1e9),
        why=str(fields.get("why", "")),
        note=str(fields.get("note", "")),
    )


Known = dict[bytes, tuple[int, int, Signature | None]]


def encode_cache(known: Known) -> bytes:
    """Remembered verdicts as JSON lines."""
    rows = (
        [key.hex(), good, bad, signature_fields(signature) if signature is not None else None]
        for key, (good, bad, signature) in known.items()
    )
    return b"".join(json.dumps(row).encode("ascii") + b"\n" for row in rows)


def decode_cache(data: bytes | None) -> Known:
    """The verdicts in ``data``; what cannot be read is forgotten."""
    known: Known = {}
    for line in (data or b"").splitlines():
        try:
            key, good, bad, shown = json.loads(line)
            known[bytes.fromhex(key)] = (int(good), int(bad), Signature(**shown) if shown else None)
        except (ValueError, TypeError):
            continue
    return known


def settings_of(**values: str | float | bool | Sequence[str] | Sequence[float] | None) -> dict[str, Any]:
    """Settings as they come back from JSON, so that states can be compared."""
    loaded: dict[str, Any] = json.loads(json.dumps(values))
    return loaded
