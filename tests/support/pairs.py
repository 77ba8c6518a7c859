"""Two states of a workspace as dictionaries of path to content, turned into what triggers take."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from casreplay.codec.hashing import blob_id
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.cache import NoCache
from casreplay.forensics.secrets.custom import CustomRules
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter
from casreplay.forensics.triggers.check import CheckResult, check
from casreplay.forensics.triggers.pair import Pair
from casreplay.history.renames import detect_renames
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.config import Config
from casreplay.model.objects import EntryKind, EntryState, TreeEntry
from support.tree_builder import DictObjects

BEFORE, AFTER = "aa" * 32, "bb" * 32
Files = Mapping[str, bytes]


def entry(path: str, content: bytes) -> TreeEntry:
    name = path.rpartition("/")[2].encode()
    return TreeEntry(name, EntryKind.FILE, EntryState.COMPLETE, 0o644, len(content), 0, blob_id(content))


def make_pair(
    before: Files, after: Files, *, is_ignored: Callable[[bytes], bool] = lambda _path: False
) -> Pair:
    objects = DictObjects()
    for content in (*before.values(), *after.values()):
        objects.put(content)
    changes = []
    for path in sorted({*before, *after}, key=str.encode):
        old = entry(path, before[path]) if path in before else None
        new = entry(path, after[path]) if path in after else None
        if old == new:
            continue
        kind = ChangeKind.ADDED if old is None else ChangeKind.DELETED if new is None else ChangeKind.MODIFIED
        changes.append(Change(path.encode(), kind, old, new))
    found = detect_renames(changes, objects.get)
    return Pair(tuple(found.changes), objects, BEFORE, AFTER, is_ignored)


def blob_secrets(pair: Pair, config: Config | None = None) -> BlobSecrets:
    config = config or Config()
    custom = CustomRules(config.secrets_rules, config.secrets_allow)
    scanner = SecretScanner(fingerprinter(b"k" * 32), engine="re", custom=custom)
    return BlobSecrets(scanner, NoCache(), pair.objects.stream)


def run(before: Files, after: Files, config: Config | None = None) -> CheckResult:
    pair = make_pair(before, after)
    config = config or Config()
    return check(pair, config, blob_secrets(pair, config))
