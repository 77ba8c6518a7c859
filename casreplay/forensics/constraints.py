"""The user's rules: what must not change, what alone may change, what content must or must not hold.

They speak of what changed: a file that broke a content rule before and did not change since
is not a finding of this pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.matching import LinePatterns, PatternTimeoutError
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.config import ConstraintConfig
from casreplay.model.findings import Finding, FindingKind
from casreplay.model.ids import BlobId
from casreplay.model.paths import display

__all__ = ["LARGEST_CONTENT", "constraints", "text_lines"]

LARGEST_CONTENT = 64 << 20
"""Larger files are not searched for users' patterns; coverage says so."""


def constraints(pair: Pair, rules: Sequence[ConstraintConfig], examined: Examined) -> Iterator[Finding]:
    """A finding, named like the rule, for each changed path that breaks one."""
    for rule in rules:
        examined.count("constraints")
        if rule.kind in ("must_not_change", "only_may_change"):
            yield from _path_rule(pair, rule)
        else:
            yield from _content_rule(pair, rule, examined)


def _path_rule(pair: Pair, rule: ConstraintConfig) -> Iterator[Finding]:
    matcher = PathMatcher(rule.paths)
    for change in pair.changes:
        touched = [change.path, *([change.old_path] if change.old_path is not None else [])]
        named = [matcher.matches(path) for path in touched]
        broken = any(named) if rule.kind == "must_not_change" else not all(named)
        if broken:
            yield _finding(pair, rule, change, f"{_what(change)} {_law(rule)}")


def _what(change: Change) -> str:
    if change.kind is ChangeKind.RENAMED and change.old_path is not None:
        return f"{display(change.old_path)} was renamed to {display(change.path)}"
    word = {"type": "changed its type", "mode": "changed its permissions"}.get(
        change.kind.value, f"was {change.kind.value}"
    )
    return f"{display(change.path)} {word}"


def _law(rule: ConstraintConfig) -> str:
    if rule.description:
        return f"({rule.name}: {rule.description})"
    text = "must not change" if rule.kind == "must_not_change" else "is not among what may change"
    return f"({rule.name}: {text})"


def _content_rule(pair: Pair, rule: ConstraintConfig, examined: Examined) -> Iterator[Finding]:
    matcher = PathMatcher(rule.paths)
    patterns = LinePatterns([rule.pattern])
    for change in pair.changes:
        blob = file_blob(change.after)
        if blob is None or (rule.paths and not matcher.matches(change.path)):
            continue
        lines = text_lines(pair, change, blob, examined, "constraint")
        if lines is None:
            continue
        try:
            hits = patterns.search(lines)
        except PatternTimeoutError as error:
            examined.fail(change.path, "constraint", str(error))
            continue
        yield from _broken(pair, rule, change, [hit.line + 1 for hit in hits])


def _broken(pair: Pair, rule: ConstraintConfig, change: Change, found: list[int]) -> Iterator[Finding]:
    reason = f": {rule.description}" if rule.description else ""
    if rule.kind == "must_contain" and not found:
        text = f"{display(change.path)} does not contain what it must ({rule.name}{reason})"
        yield _finding(pair, rule, change, text)
    if rule.kind == "must_not_contain":
        for line in found:
            text = f"{display(change.path)} contains what it must not ({rule.name}{reason})"
            yield _finding(pair, rule, change, text, line)


def _finding(
    pair: Pair, rule: ConstraintConfig, change: Change, message: str, line: int | None = None
) -> Finding:
    gone = change.after is None
    evidence = pair.at_before(change) if gone else pair.at_after(change, line)
    return Finding(rule.name, FindingKind.CONSTRAINT, rule.severity, message, (evidence,))


def text_lines(pair: Pair, change: Change, blob: BlobId, examined: Examined, family: str) -> list[str] | None:
    """The lines of the later side of a file; ``None`` (and a note) when it is too large or binary."""
    size = change.after.size_bytes if change.after else 0
    if size > LARGEST_CONTENT:
        examined.skip(change.path, family, f"larger than {LARGEST_CONTENT >> 20} MiB")
        return None
    data = pair.objects.get(blob)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").splitlines()
    if b"\0" in data[:8192]:
        examined.skip(change.path, family, "binary")
        return None
    return data.decode("utf-8", "replace").split("\n")
