"""Bounded zstd frames, optionally against a prefix (the delta encoding).

Owns: compressing, verifying what was compressed, and never letting a frame
decide how much memory is taken. Does not know ids, records or files.

``python-zstandard`` ignores ``max_output_size`` when a frame's header states a
size, and allocates what the header claims; so the header is read and compared
with the length the record promises before anything is decompressed. What was
compressed is decompressed and compared at once: zstd has twice corrupted data
at high levels (restic#4523, restic#4677).
"""

from __future__ import annotations

import threading

import zstandard

from casreplay.errors import CorruptError

__all__ = ["MAX_RAW_BYTES", "QUICK", "compress", "decompress", "decompress_start"]

MAX_RAW_BYTES = 64 << 20
"""No frame decompresses to more than this, whatever its record says."""

QUICK = 0
"""No level of zstd's own: its fastest strategy over a larger table, with matches of five bytes and more.

On groups of 256 KiB of source text it takes 25 % less time than level 3 and 5 % more space;
level 1 takes as long and 8 % more (``docs/adr/0011-quick-first-commits.md``).
"""

Bytes = bytes | bytearray | memoryview

_RAW_BLOCK_BYTES = 64 << 10
"""Prefixes up to this length are handed over as a frame: making a decoder of their own costs more."""
_FRAME_HEAD = b"\x28\xb5\x2f\xfd\xa0"
"""Magic and descriptor of a frame in one segment, its length in four bytes. Source: RFC 8878, 3.1.1."""

_local = threading.local()


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """This thread's compressor for ``level``; python-zstandard objects must not cross threads."""
    cache: dict[int, zstandard.ZstdCompressor] = _local.__dict__.setdefault("compressors", {})
    found = cache.get(level)
    if found is None:
        if level == QUICK:
            quick = zstandard.ZstdCompressionParameters.from_level(2, min_match=5)
            found = zstandard.ZstdCompressor(compression_params=quick)
        else:
            found = zstandard.ZstdCompressor(level=level, write_checksum=False)
        cache[level] = found
    return found


def _decompressor() -> zstandard.ZstdDecompressor:
    found: zstandard.ZstdDecompressor | None = _local.__dict__.get("decompressor")
    if found is None:
        found = _local.decompressor = zstandard.ZstdDecompressor()
    return found


def _prefix(data: Bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(bytes(data), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def compress(raw: Bytes, *, level: int = 3, prefix: Bytes | None = None) -> bytes | None:
    """One zstd frame of ``raw``; with ``prefix``, one that needs the same prefix to decode.

    Args:
        raw: at most ``MAX_RAW_BYTES`` bytes.
        level: zstd level; ``QUICK`` only without a prefix.
        prefix: bytes that the frame may refer back to, usually an earlier version.

    Returns:
        The frame, already decoded once and found equal, or ``None`` when the
        result is not smaller than ``raw`` (the caller stores it plain).

    Raises:
        CorruptError: the compressor produced a frame that does not decode to ``raw``.
    """
    if len(raw) > MAX_RAW_BYTES:
        msg = f"A frame of {len(raw)} bytes is over the limit of {MAX_RAW_BYTES}"
        raise ValueError(msg)
    if prefix is None:
        frame = _compressor(level).compress(raw)
    else:
        frame = zstandard.ZstdCompressor(
            level=level, dict_data=_prefix(prefix), write_checksum=False
        ).compress(raw)
    if len(frame) >= len(raw):
        return None
    if decompress(frame, len(raw), prefix=prefix) != raw:
        raise CorruptError("A compressed frame did not decode to what was compressed", raw_bytes=len(raw))
    return frame


def decompress(frame: Bytes, raw_bytes: int, *, prefix: Bytes | None = None) -> bytes:
    """The ``raw_bytes`` bytes that ``frame`` encodes.

    Never allocates more than ``raw_bytes``, and that is bounded by ``MAX_RAW_BYTES``.

    Raises:
        CorruptError: not a frame, a frame of another length, or a damaged one.
    """
    if raw_bytes > MAX_RAW_BYTES:
        raise CorruptError(f"A frame claims {raw_bytes} bytes, over the limit of {MAX_RAW_BYTES}")
    try:
        claimed = zstandard.get_frame_parameters(frame).content_size
        if claimed != raw_bytes:
            raise CorruptError(f"A frame holds {claimed} bytes where {raw_bytes} were recorded")
        if prefix is None:
            raw = _decompressor().decompress(frame, max_output_size=raw_bytes)
        elif 0 < len(prefix) <= _RAW_BLOCK_BYTES:
            raw = _after(bytes(prefix), bytes(frame))
        else:
            raw = zstandard.ZstdDecompressor(dict_data=_prefix(prefix)).decompress(
                frame, max_output_size=raw_bytes
            )
    except zstandard.ZstdError as error:
        raise CorruptError(f"A compressed frame cannot be decoded ({error})") from error
    if len(raw) != raw_bytes:
        raise CorruptError(f"A frame decoded to {len(raw)} bytes where {raw_bytes} were recorded")
    return raw


def _after(prefix: bytes, frame: bytes) -> bytes:
    """``frame`` decoded behind ``prefix``, without a decoder made for that prefix.

    A new decoder clears 96 KB (9 us), many times what a small delta takes to decode. The kept
    one takes prefixes in the shape of a frame only: here one of a single raw block.
    """
    length = len(prefix)
    block = (length << 3 | 1).to_bytes(3, "little")
    first = b"".join((_FRAME_HEAD, length.to_bytes(4, "little"), block, prefix))
    try:
        return _decompressor().decompress_content_dict_chain([first, frame])
    except (zstandard.ZstdError, ValueError) as error:
        del _local.decompressor  # it may still hold the prefix
        raise zstandard.ZstdError(str(error)) from error


def decompress_start(frame: Bytes, raw_bytes: int, count: int) -> bytes:
    """The first ``count`` of the ``raw_bytes`` bytes that ``frame`` encodes; the rest is not decoded.

    Raises:
        CorruptError: as for ``decompress``, as far as it was decoded.
    """
    if not 0 <= count <= raw_bytes <= MAX_RAW_BYTES:
        raise CorruptError(f"A frame of {raw_bytes} bytes is asked for {count}")
    try:
        claimed = zstandard.get_frame_parameters(frame).content_size
        if claimed != raw_bytes:
            raise CorruptError(f"A frame holds {claimed} bytes where {raw_bytes} were recorded")
        start = _decompressor().stream_reader(frame).read(count)
    except zstandard.ZstdError as error:
        raise CorruptError(f"A compressed frame cannot be decoded ({error})") from error
    if len(start) != count:
        raise CorruptError(f"A frame decoded to {len(start)} bytes where {count} were asked for")
    return start
