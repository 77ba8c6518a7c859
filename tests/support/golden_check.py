"""What a store holds, told by the oracle reader: snapshots, and kind and digest of every path."""

from __future__ import annotations

import hashlib
from pathlib import Path

from oracle.reader import Reader


def survey(folder: Path) -> dict:
    """Snapshot id to its label, its number of paths and one digest over all of them."""
    reader = Reader(folder)
    found = {}
    for name, fields in reader.snapshots.items():
        digest = hashlib.sha256()
        count = 0
        for path, kind, content in reader.files(bytes.fromhex(fields["root"])):
            told = None if content is None else hashlib.sha256(content).hexdigest()
            digest.update(repr((path, kind, told)).encode())
            count += 1
        found[name] = {"label": fields.get("label", ""), "paths": count, "digest": digest.hexdigest()}
    return found
