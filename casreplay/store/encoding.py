"""How an object's bytes become a record: alone, in a group, or as a delta that pays.

Pure decisions over bytes: nothing here knows files, segments or what is stored already.
"""

from __future__ import annotations

from collections.abc import Sequence

from casreplay.codec import frame
from casreplay.codec.records import MAX_DEPTH, Encoding, RecordHeader, RecordType, body_checksum
from casreplay.store.base import ObjectKind
from casreplay.store.reading import Body

__all__ = ["BULK_LEVEL", "CAREFUL_LEVEL", "HURRIED_LEVEL", "delta_record", "group_record", "list_record"]

BULK_LEVEL = 3
CAREFUL_LEVEL = 9
HURRIED_LEVEL = frame.QUICK
DELTA_LEVEL = 9
_WORTH = 0.75
"""A delta is kept when it takes at most this share of what the object would take alone."""

Record = tuple[RecordHeader, bytes]


def _packed(raw: bytes, level: int) -> tuple[Encoding, bytes]:
    packed = frame.compress(raw, level=level)
    return (Encoding.PLAIN, raw) if packed is None else (Encoding.ZSTD, packed)


def group_record(kind: ObjectKind, ids: Sequence[bytes], raws: Sequence[bytes], level: int) -> Record:
    """One frame for several objects; a single one becomes a record of its own."""
    raw = raws[0] if len(raws) == 1 else b"".join(raws)
    encoding, body = _packed(raw, level)
    header = RecordHeader(
        type=RecordType.OBJECT if len(ids) == 1 else RecordType.GROUP,
        kind=kind,
        encoding=encoding,
        depth=0,
        raw_bytes=len(raw),
        stored_bytes=len(body),
        body_crc=body_checksum(body),
        ids=b"".join(ids),
        lengths=tuple(map(len, raws)),
    )
    return header, body


def list_record(blob: bytes, chunk_list: bytes, whole_bytes: int) -> Record:
    """The chunk list of a blob, without a base."""
    encoding, body = _packed(chunk_list, BULK_LEVEL)
    header = RecordHeader(
        type=RecordType.CHUNKED,
        kind=ObjectKind.BLOB,
        encoding=encoding,
        depth=0,
        raw_bytes=len(chunk_list),
        stored_bytes=len(body),
        body_crc=body_checksum(body),
        ids=blob,
        lengths=(whole_bytes,),
    )
    return header, body


def delta_record(
    object_id: bytes, raw: bytes, base_id: bytes, base: Body, *, whole_bytes: int | None = None
) -> Record | None:
    """A delta of ``raw`` against ``base``, or ``None`` when it does not pay or the chain is full.

    With ``whole_bytes``, ``raw`` is the chunk list of a blob of that length. The object
    has the base's kind. Cost: one compression at level 9, and one at level 3 unless the
    delta is below a sixteenth.
    """
    if base.depth >= MAX_DEPTH or base.is_chunked != (whole_bytes is not None):
        return None
    packed = frame.compress(raw, level=DELTA_LEVEL, prefix=base.raw)
    if packed is None:
        return None
    cost = len(packed) + len(base_id)
    if cost > len(raw) // 16:
        alone = frame.compress(raw, level=BULK_LEVEL)
        if cost > _WORTH * len(raw if alone is None else alone):
            return None
    header = RecordHeader(
        type=RecordType.OBJECT if whole_bytes is None else RecordType.CHUNKED,
        kind=base.kind,
        encoding=Encoding.DELTA,
        depth=base.depth + 1,
        raw_bytes=len(raw),
        stored_bytes=len(packed),
        body_crc=body_checksum(packed),
        ids=object_id,
        lengths=(len(raw) if whole_bytes is None else whole_bytes,),
        base=base_id,
    )
    return header, packed
