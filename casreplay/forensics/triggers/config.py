"""Modified configuration: a finding for each key that differs, and for a file that no longer parses."""

from __future__ import annotations

from collections.abc import Iterator

from casreplay.forensics.config_diff.compare import ConfigDiff, KeyChange, KeyChangeKind, compare, format_of
from casreplay.forensics.config_diff.entries import MAX_BYTES, ConfigEntry
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.secrets.keys import classify
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.changes import Change
from casreplay.model.findings import Evidence, Finding, FindingKind, Severity
from casreplay.model.paths import display

__all__ = ["config_changes"]

MAX_KEYS = 50
"""Key findings of one file; the rest is one finding that counts them."""
_SHOWN = 60
_SEVERITY = {
    KeyChangeKind.ADDED: Severity.LOW,
    KeyChangeKind.REMOVED: Severity.MEDIUM,
    KeyChangeKind.CHANGED: Severity.MEDIUM,
    KeyChangeKind.TYPE_CHANGED: Severity.HIGH,
    KeyChangeKind.MOVED: Severity.LOW,
}


def config_changes(pair: Pair, roles: Roles, redactor: Redactor, examined: Examined) -> Iterator[Finding]:
    """Findings ``config.<what>`` for changed configuration files, and ``config.unparsable``.

    A deleted file is the deletion trigger's; an added one is only checked for parsing.
    """
    for change in pair.changes:
        after = file_blob(change.after)
        if after is None or not format_of(change.path) or roles.of(change.path) is not Role.CONFIG:
            continue
        before = file_blob(change.before)
        if after == before:
            continue
        sizes = [entry.size_bytes for entry in (change.before, change.after) if entry is not None]
        if max(sizes) > MAX_BYTES:
            examined.skip(change.path, "config", f"larger than {MAX_BYTES // 1_000_000} MB")
            continue
        examined.count("configs")
        old = pair.objects.get(before) if before is not None else None
        diff = compare(old, pair.objects.get(after), change.path)
        if diff is None:
            continue
        if diff.reduced:
            examined.skip(change.path, "config", diff.reduced)
        yield from _findings(pair, change, diff, redactor)


def _findings(pair: Pair, change: Change, diff: ConfigDiff, redactor: Redactor) -> Iterator[Finding]:
    if diff.failure is not None:
        severity = Severity.MEDIUM if diff.before_failure is not None else Severity.HIGH
        reason = redactor.text(diff.failure.reason)
        text = f"{display(change.path)} cannot be read as {diff.format}: it {reason}"
        evidence = pair.at_after(change, diff.failure.line or None)
        yield Finding("config.unparsable", FindingKind.CONFIG, severity, text, (evidence,))
        return
    if change.before is None or diff.before_failure is not None:
        return
    for key_change in diff.changes[:MAX_KEYS]:
        yield _key_finding(pair, change, key_change, redactor)
    left = len(diff.changes) - MAX_KEYS
    if left > 0:
        text = f"{left:,} more keys of {display(change.path)} differ"
        yield Finding("config.many-keys", FindingKind.CONFIG, Severity.MEDIUM, text, (pair.at_after(change),))


def _key_finding(pair: Pair, change: Change, key: KeyChange, redactor: Redactor) -> Finding:
    evidence: list[Evidence] = []
    if key.after is not None:
        evidence.append(pair.at_after(change, key.after.line))
    if key.before is not None:
        evidence.append(pair.at_before(change, key.before.line))
    text = f"{display(change.path)}: {_sentence(key, redactor)}"
    return Finding(
        f"config.key-{key.kind.value}".replace("key-type-changed", "type-changed"),
        FindingKind.CONFIG, _SEVERITY[key.kind], text, tuple(evidence),
    )  # fmt: skip


def _sentence(key: KeyChange, redactor: Redactor) -> str:
    old = _shown(key.before, redactor)
    new = _shown(key.after, redactor)
    name = redactor.text(key.key)
    if key.kind is KeyChangeKind.ADDED:
        return f"{name} was added ({new})"
    if key.kind is KeyChangeKind.REMOVED:
        return f"{name} was removed (it was {old})"
    if key.kind is KeyChangeKind.MOVED and key.before is not None:
        return f"{redactor.text(key.before.key)} moved to {name}"
    if key.kind is KeyChangeKind.TYPE_CHANGED and key.before is not None and key.after is not None:
        return f"{name} changed from {key.before.type} {old} to {key.after.type} {new}"
    return f"{name} changed from {old} to {new}"


def _shown(entry: ConfigEntry | None, redactor: Redactor) -> str:
    """A value for people: short, one line, no secret, whatever the secret scanner thinks of it."""
    if entry is None:
        return ""
    leaf = entry.key.rpartition(".")[2].partition("[")[0].encode()
    if entry.type in ("string", "list", "number") and entry.value and classify(leaf) is not None:
        return redactor.hidden("assign.value", entry.value)
    whole = f"{entry.key.rpartition('.')[2]} = {entry.value}"
    if redactor.text(whole, b".env") != whole:
        return redactor.hidden("assign.value", entry.value)
    text = " ".join(redactor.text(entry.value).split())
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return f'"{text}"' if entry.type == "string" else text
