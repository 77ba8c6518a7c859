"""Canonical bytes of trees and snapshots, and the strict way back.

Owns the layouts of ``docs/format.md``, sections "Trees" and "Snapshots". A decoder
accepts exactly what the encoder produces: unsorted, duplicate or unsafe names, unknown
kinds, wrong lengths and trailing bytes are refused, so that ``fsck`` and ``restore``
cannot disagree about a hostile tree.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from operator import lt
from types import MappingProxyType

from casreplay.codec import hashing
from casreplay.errors import CorruptError, UsageError
from casreplay.model.ids import ContentId, ObjectId, SnapshotId, TreeId
from casreplay.model.objects import Coverage, EntryKind, EntryState, GitState, Snapshot, Tree, TreeNode
from casreplay.model.paths import MAX_NAME_BYTES, is_unsafe_name

__all__ = [
    "check_leaf",
    "content_id_of",
    "decode_snapshot",
    "decode_tree",
    "encode_node",
    "encode_snapshot",
    "encode_tree",
    "is_boundary",
    "names_of",
]

LEAF_MAGIC = b"crT1"
NODE_MAGIC = b"crN1"
MAX_ENTRIES = 1 << 22
SPLIT_ENTRIES = 2048
"""Folders of more entries are split into leaves."""
BOUNDARY_MASK = 0x3FF
"""One name in 1,024 ends a leaf."""

_Unpack = Callable[[bytes, int], tuple[int, ...]]
_COUNT = struct.Struct("<I").unpack_from
_FOLDER = bytes([EntryKind.FOLDER])
_DOT = ord(".")
_KINDS = bytes(sorted(EntryKind))
_STATES = bytes(sorted(EntryState))
_TEXTS = ("label", "session", "agent", "author", "host")


def is_boundary(name: bytes) -> bool:
    """Whether a leaf of a split folder ends after ``name``.

    Depends on the name alone, so a change in a folder of a million entries
    rewrites one leaf and the nodes above it.
    """
    return zlib.crc32(name) & BOUNDARY_MASK == 0


def encode_tree(tree: Tree) -> tuple[bytes, int]:
    """Canonical bytes of a leaf and the length of its content part.

    The content id covers the first part, the tree id all of it. Cost: nine
    concatenations, no loop in Python. The caller guarantees order and safe names.
    """
    n = len(tree)
    names = b"\0".join(tree.names)
    content = b"".join(
        (
            LEAF_MAGIC,
            struct.pack("<I", n),
            tree.kinds,
            tree.states,
            struct.pack(f"<{n}H", *tree.modes),
            struct.pack(f"<{n}Q", *tree.sizes),
            tree.ids,
            struct.pack("<I", len(names)),
            names,
        )
    )
    return content + struct.pack(f"<{n}q", *tree.mtimes_ns) + tree.tree_ids, len(content)


def encode_node(node: TreeNode) -> tuple[bytes, int]:
    """Canonical bytes of an inner node and the length of its content part."""
    n = len(node.counts)
    names = b"\0".join(node.first_names)
    content = b"".join(
        (
            NODE_MAGIC,
            struct.pack("<I", n),
            struct.pack(f"<{n}Q", *node.counts),
            node.content_ids,
            struct.pack("<I", len(names)),
            names,
        )
    )
    return content + node.tree_ids, len(content)


def content_id_of(canonical: bytes) -> ContentId:
    """The content id that the canonical bytes of a tree object have.

    Raises:
        CorruptError: the bytes are not a tree object.
    """
    return hashing.content_id(memoryview(canonical)[: _content_length(canonical)])


def _content_length(canonical: bytes) -> int:
    if len(canonical) < 8:
        raise CorruptError("A tree object is cut short")
    magic, (n,) = canonical[:4], _COUNT(canonical, 4)
    if magic == LEAF_MAGIC:
        at = 8 + n * 44
    elif magic == NODE_MAGIC:
        at = 8 + n * 40
    else:
        raise CorruptError("A tree object has an unknown layout", magic=magic.hex())
    if n > MAX_ENTRIES or len(canonical) < at + 4:
        raise CorruptError("A tree object is cut short", entries=n)
    (names,) = _COUNT(canonical, at)
    return int(at + 4 + names)


def decode_tree(canonical: bytes, content: bytes | None = None) -> Tree | TreeNode:
    """The tree object in ``canonical``, every rule of the format checked.

    Args:
        canonical: its bytes.
        content: the content id that whoever refers to it states; checked when given.

    Raises:
        CorruptError: any deviation from what ``encode_tree`` and ``encode_node`` write, or
            another content id.
    """
    end = _content_length(canonical)
    if content is not None and hashing.content_id(memoryview(canonical)[:end]) != content:
        raise CorruptError("A tree does not have the content id that refers to it", content=content.hex())
    (n,) = _COUNT(canonical, 4)
    if canonical[:4] == NODE_MAGIC:
        return _decode_node(canonical, n, end)
    kinds, states = check_leaf(canonical, n, end)
    at = 8 + 2 * n
    modes, sizes, times = _columns(n)
    return Tree(
        names_of(canonical[at + 42 * n + 4 : end], n),
        kinds,
        states,
        modes(canonical, at),
        sizes(canonical, at + 2 * n),
        canonical[at + 10 * n : at + 42 * n],
        times(canonical, end),
        canonical[end + 8 * n :],
    )


def check_leaf(canonical: bytes, n: int, end: int) -> tuple[bytes, bytes]:
    """Kinds and states of a leaf of ``n`` entries whose content part is ``end`` bytes long.

    Raises:
        CorruptError: an unknown one, or the whole has not the length that they ask for.
    """
    kinds, states = canonical[8 : 8 + n], canonical[8 + n : 8 + 2 * n]
    if kinds.translate(None, _KINDS) or states.translate(None, _STATES):
        raise CorruptError("A tree object has an entry of unknown kind or state")
    if len(canonical) != end + 8 * n + 32 * kinds.count(_FOLDER):
        raise CorruptError("A tree object has the wrong length", entries=n)
    return kinds, states


@lru_cache(maxsize=512)
def _columns(n: int) -> tuple[_Unpack, _Unpack, _Unpack]:
    """Unpackers of ``n`` modes, sizes and times; making them costs more than using them."""
    return (
        struct.Struct(f"<{n}H").unpack_from,
        struct.Struct(f"<{n}Q").unpack_from,
        struct.Struct(f"<{n}q").unpack_from,
    )


def _decode_node(canonical: bytes, n: int, end: int) -> TreeNode:
    if n == 0 or len(canonical) != end + 32 * n:
        raise CorruptError("A tree node has the wrong length", entries=n)
    counts = struct.unpack_from(f"<{n}Q", canonical, 8)
    if 0 in counts:
        raise CorruptError("A tree node has an empty child")
    return TreeNode(
        first_names=names_of(canonical[8 + 40 * n + 4 : end], n),
        counts=counts,
        content_ids=canonical[8 + 8 * n : 8 + 40 * n],
        tree_ids=canonical[end:],
    )


def names_of(joined: bytes, n: int) -> list[bytes]:
    """The ``n`` names of a tree object, from the part of its bytes that holds them.

    Raises:
        CorruptError: another number of them, not in order, or an unsafe one.
    """
    names = joined.split(b"\0") if n else []
    if len(names) != n or (n == 0 and joined):
        raise CorruptError("A tree object has the wrong number of names", entries=n)
    if not all(map(lt, names, islice(names, 1, None))):
        raise CorruptError("A tree object has unsorted or duplicate names")
    if n and _may_be_unsafe(joined, names) and any(map(is_unsafe_name, names)):
        bad = next(filter(is_unsafe_name, names))
        raise CorruptError(f"A tree object has an unsafe name {bad!r}", name=bad.hex())
    return names


def _may_be_unsafe(joined: bytes, names: list[bytes]) -> bool:
    """Whether ``is_unsafe_name`` may hold for any of the names: a few searches instead of a call each.

    The names are in order, so an empty one would be the first. Never ``False`` where one is
    unsafe; ``True`` also for some that are not: long ones, and such as begin with a dot.
    """
    return (
        not names[0]
        or b"/" in joined
        or joined[0] == _DOT
        or b"\0." in joined
        or (len(joined) > MAX_NAME_BYTES and max(map(len, names)) > MAX_NAME_BYTES)
    )


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Canonical bytes of a snapshot: JSON, keys sorted, no spaces, ASCII; ``id`` left out.

    Raises:
        UsageError: a value is of a type or size that could not be read back.
    """
    _check_readable(snapshot)
    fields: dict[str, object] = {
        "version": 1,
        "sequence": snapshot.sequence,
        "time_ns": snapshot.time_ns,
        "parent": snapshot.parent.hex() if snapshot.parent else None,
        "root": snapshot.root.hex(),
        "tree": snapshot.tree.hex(),
        "mode": snapshot.mode,
        "coverage": {key: value for key, value in asdict(snapshot.coverage).items() if value},
    }
    for key in _TEXTS:
        if getattr(snapshot, key):
            fields[key] = getattr(snapshot, key)
    if snapshot.tags:
        fields["tags"] = list(snapshot.tags)
    if snapshot.git:
        fields["git"] = asdict(snapshot.git)
    if snapshot.extra:
        fields["extra"] = dict(snapshot.extra)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _check_readable(snapshot: Snapshot) -> None:
    """Refuse what a caller may have set and ``decode_snapshot`` would not take.

    Recorded all the same, it would be the newest record, and no commit could follow it.
    """
    if type(snapshot.time_ns) is not int or not -(1 << 63) <= snapshot.time_ns < 1 << 63:
        raise UsageError(f"{snapshot.time_ns!r} is no time: whole nanoseconds since 1970, in 64 bits")
    tags: object = snapshot.tags
    if isinstance(tags, str):
        raise UsageError(f"{tags!r} is one text", hint="Tags are a tuple of texts")
    words = [(key, getattr(snapshot, key)) for key in _TEXTS]
    words += [("tag", tag) for tag in snapshot.tags]
    words += [("extra fact", word) for pair in dict(snapshot.extra).items() for word in pair]
    for what, word in words:
        if not isinstance(word, str):
            raise UsageError(f"A snapshot's {what} is text, and {word!r} is none")


def decode_snapshot(canonical: bytes) -> Snapshot:
    """The snapshot in ``canonical``; its id is computed, not believed.

    Raises:
        CorruptError: not JSON, a missing key or a value of the wrong type.
    """
    try:
        fields = json.loads(canonical)
        return Snapshot(
            id=hashing.snapshot_id(canonical),
            sequence=_integer(fields["sequence"]),
            time_ns=_integer(fields["time_ns"]),
            parent=SnapshotId(_hex_id(fields["parent"])) if fields["parent"] else None,
            root=TreeId(ObjectId(_hex_id(fields["root"]))),
            tree=ContentId(_hex_id(fields["tree"])),
            label=_text(fields.get("label", "")),
            tags=tuple(_text(tag) for tag in fields.get("tags", ())),
            session=_text(fields.get("session", "")),
            agent=_text(fields.get("agent", "")),
            author=_text(fields.get("author", "")),
            host=_text(fields.get("host", "")),
            mode=_text(fields["mode"]),
            coverage=Coverage(**{key: _integer(value) for key, value in fields["coverage"].items()}),
            git=GitState(**{k: _text(v) for k, v in fields["git"].items()}) if "git" in fields else None,
            extra=_texts(fields.get("extra", {})),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptError(f"A snapshot record cannot be read ({error})") from error


def _integer(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no table")
    return MappingProxyType({_text(k): _text(v) for k, v in value.items()})


def _hex_id(value: object) -> bytes:
    raw = bytes.fromhex(_text(value))
    if len(raw) != 32:
        raise ValueError(f"{value!r} is no id")
    return raw
