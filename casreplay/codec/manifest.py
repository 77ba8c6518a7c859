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
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from operator import lt
from types import MappingProxyType

from casreplay.codec import hashing
from casreplay.errors import CorruptError
from casreplay.model.ids import ContentId, ObjectId, SnapshotId, TreeId
from casreplay.model.objects import Coverage, EntryKind, EntryState, GitState, Snapshot, Tree, TreeNode
from casreplay.model.paths import MAX_NAME_BYTES, is_unsafe_name

__all__ = [
    "content_id_of",
    "decode_snapshot",
    "decode_tree",
    "encode_node",
    "encode_snapshot",
    "encode_tree",
    "is_boundary",
]

LEAF_MAGIC = b"crT1"
NODE_MAGIC = b"crN1"
MAX_ENTRIES = 1 << 22
SPLIT_ENTRIES = 2048
"""Folders of more entries are split into leaves."""
BOUNDARY_MASK = 0x3FF
"""One name in 1,024 ends a leaf."""

_KINDS = bytes(sorted(EntryKind))
_STATES = bytes(sorted(EntryState))


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
    magic, n = canonical[:4], struct.unpack_from("<I", canonical, 4)[0]
    if magic not in (LEAF_MAGIC, NODE_MAGIC):
        raise CorruptError("A tree object has an unknown layout", magic=magic.hex())
    at = 8 + n * (44 if magic == LEAF_MAGIC else 40)
    if n > MAX_ENTRIES or len(canonical) < at + 4:
        raise CorruptError("A tree object is cut short", entries=n)
    return int(at + 4 + struct.unpack_from("<I", canonical, at)[0])


def decode_tree(canonical: bytes) -> Tree | TreeNode:
    """The tree object in ``canonical``, every rule of the format checked.

    Raises:
        CorruptError: any deviation from what ``encode_tree`` and ``encode_node`` write.
    """
    end = _content_length(canonical)
    n = struct.unpack_from("<I", canonical, 4)[0]
    if canonical[:4] == NODE_MAGIC:
        return _decode_node(canonical, n, end)
    kinds = canonical[8 : 8 + n]
    if kinds.translate(None, _KINDS) or canonical[8 + n : 8 + 2 * n].translate(None, _STATES):
        raise CorruptError("A tree object has an entry of unknown kind or state")
    folders = kinds.count(EntryKind.FOLDER)
    if len(canonical) != end + 8 * n + 32 * folders:
        raise CorruptError("A tree object has the wrong length", entries=n)
    at = 8 + 2 * n
    return Tree(
        names=_names(canonical[at + 42 * n + 4 : end], n),
        kinds=kinds,
        states=canonical[8 + n : 8 + 2 * n],
        modes=struct.unpack_from(f"<{n}H", canonical, at),
        sizes=struct.unpack_from(f"<{n}Q", canonical, at + 2 * n),
        ids=canonical[at + 10 * n : at + 42 * n],
        mtimes_ns=struct.unpack_from(f"<{n}q", canonical, end),
        tree_ids=canonical[end + 8 * n :],
    )


def _decode_node(canonical: bytes, n: int, end: int) -> TreeNode:
    if n == 0 or len(canonical) != end + 32 * n:
        raise CorruptError("A tree node has the wrong length", entries=n)
    counts = struct.unpack_from(f"<{n}Q", canonical, 8)
    if 0 in counts:
        raise CorruptError("A tree node has an empty child")
    return TreeNode(
        first_names=_names(canonical[8 + 40 * n + 4 : end], n),
        counts=counts,
        content_ids=canonical[8 + 8 * n : 8 + 40 * n],
        tree_ids=canonical[end:],
    )


def _names(joined: bytes, n: int) -> list[bytes]:
    names = joined.split(b"\0") if n else []
    if len(names) != n or (n == 0 and joined):
        raise CorruptError("A tree object has the wrong number of names", entries=n)
    if _may_be_unsafe(joined, names) and any(map(is_unsafe_name, names)):
        bad = next(filter(is_unsafe_name, names))
        raise CorruptError(f"A tree object has an unsafe name {bad!r}", name=bad.hex())
    if not all(map(lt, names, islice(names, 1, None))):
        raise CorruptError("A tree object has unsorted or duplicate names")
    return names


def _may_be_unsafe(joined: bytes, names: list[bytes]) -> bool:
    """Whether ``is_unsafe_name`` may hold for any of the names: a few searches instead of a call each.

    Never ``False`` where one is unsafe; ``True`` also for long names that are not.
    """
    framed = b"\0%b\0" % joined
    return (
        b"/" in joined
        or b"\0\0" in framed
        or b"\0.\0" in framed
        or b"\0..\0" in framed
        or (len(joined) > MAX_NAME_BYTES and max(map(len, names)) > MAX_NAME_BYTES)
    )


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Canonical bytes of a snapshot: JSON, keys sorted, no spaces, ASCII; ``id`` left out."""
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
    for key in ("label", "session", "agent", "author", "host"):
        if getattr(snapshot, key):
            fields[key] = getattr(snapshot, key)
    if snapshot.tags:
        fields["tags"] = list(snapshot.tags)
    if snapshot.git:
        fields["git"] = asdict(snapshot.git)
    if snapshot.extra:
        fields["extra"] = dict(snapshot.extra)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def decode_snapshot(canonical: bytes) -> Snapshot:
    """The snapshot in ``canonical``; its id is computed, not believed.

    Raises:
        CorruptError: not canonical JSON, a missing key or a value of the wrong type.
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
