# Expressions that match paths read better whole than broken over lines.
"""What one changed file speaks for, by its role and what happened to its content.

Weights run from 0 to 3 before linking; ``rootcause_changes`` weighs the changes against
each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from casreplay.forensics.rootcause_damage import Symptom, config_problem, symptom_of
from casreplay.forensics.rootcause_roles import Role
from casreplay.model.causes import KeyChange
from casreplay.model.changes import Change, ChangeKind

__all__ = ["ChangeEffect", "Sides", "assignments", "judge", "size_of"]

Sides = tuple[bytes | None, bytes | None]
"""A file's content before and after, as far as it is looked at."""

_COMMENT = re.compile(rb"^\s*(?:#(?!!)|//|/\*|\*|--\s|;|rem\s|\"\"\").*$", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    rb"^\s*(?:export\s+|const\s+|let\s+|var\s+)?[\"']?([\w.-]+)[\"']?\s*[:=]\s*(.*?)[,;]?\s*$"
)
_DEFINITION = re.compile(
    rb"(?:async\s+)?(?:def|class|function|func|fn|pub\s+fn|sub)\s+(\w+)|(?:export\s+)?(?:const|let|var|function|class|async\s+function)\s+(?=(\w+))\w+|exports\.(\w+)\s*=|(\w+)\s*\(\)\s*\{"
)
_VALUES = {"few_bytes": 1.5, "shrank": 1.5, "rows": 1.0, "appended": 0.25}
_DEPENDENCY_KEY = re.compile(
    r"depend|require|engine|version|package|resolution|override|python|toolchain", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """What one change speaks for.

    Attributes:
        change: the change.
        role: what the file is for.
        category: the category it speaks for; empty when for none.
        weight: 0 to 3.
        rule: ``change.`` and what it is.
        message: for people, capital first, no full stop.
        sub_cause: the sub-cause of its category.
        linked: whether the failure names it.
        symptom: what happened to the content, for data, contracts and configuration.
        keys: its changed keys.
        line: line of the first changed key; ``None`` otherwise.
    """

    change: Change
    role: Role
    category: str
    weight: float
    rule: str
    message: str
    sub_cause: str = ""
    linked: bool = False
    symptom: Symptom | None = None
    keys: tuple[KeyChange, ...] = ()
    line: int | None = None


def judge(
    change: Change, role: Role, keys: tuple[KeyChange, ...], sides: Sides, *, linked: bool
) -> ChangeEffect | None:
    """What ``change`` speaks for; ``None`` when for nothing at all.

    Args:
        change: of a file.
        role: what the file is for.
        keys: its changed keys, when it is configuration.
        sides: its content before and after.
        linked: whether the failure names it.
    """
    if change.kind in {ChangeKind.DELETED, ChangeKind.RENAMED}:
        return _gone(change, role, linked=linked)
    if change.kind is ChangeKind.MODE:
        message = _say("Mode changed", change)
        return ChangeEffect(change, role, "drift", 2, "change.mode", message, "mode_changed", linked)
    before, after = sides
    if role in {"source", "test"}:
        return _source(change, role, sides, linked=linked)
    comparable = after is not None and (before is not None or change.before is None)
    symptom = symptom_of(before, after) if comparable and after is not None else None
    if role == "dependency" and keys and not any(_DEPENDENCY_KEY.search(key.key) for key in keys):
        role = "config"
    if role == "config":
        return _config(change, keys, sides, symptom, linked=linked)
    if role == "dependency" and before is not None and after is not None and _adds_unused(before, after):
        return None
    if role in {"dependency", "contract"}:
        return _pinned(change, role, symptom, linked=linked, keys=keys)
    return _data(change, symptom, linked=linked)


def _say(what: str, change: Change, detail: str = "") -> str:
    path = change.path.decode("utf-8", "replace")
    return f"{what}: {path}" + (f" ({detail})" if detail else "")


def _gone(change: Change, role: Role, *, linked: bool) -> ChangeEffect:
    what = "Deleted" if change.kind is ChangeKind.DELETED else "Moved away"
    shown = replace(change, path=change.old_path) if change.old_path is not None else change
    weight = {"source": 1.5, "dependency": 2.0, "contract": 1.5, "config": 1.5}.get(role, 1.0)
    return ChangeEffect(
        change,
        role,
        "drift",
        weight + (0.5 if linked else 0),
        "change.deleted",
        _say(what, shown),
        "missing_file",
        linked,
    )


def _source(change: Change, role: Role, sides: Sides, *, linked: bool) -> ChangeEffect:
    before, after = sides
    if after is not None and before is not None:
        if before and (b"\0" in after or not after.strip()):
            return ChangeEffect(
                change,
                role,
                "data_corruption",
                2,
                "change.damaged",
                _say("Source damaged", change),
                "truncated",
                linked,
            )
        if _without_comments(before) == _without_comments(after):
            return ChangeEffect(change, role, "", 0, "change.comment", _say("Only comments changed", change))
        if len(after) < len(before) and before.startswith(after) and not after.endswith(b"\n"):
            return ChangeEffect(
                change,
                role,
                "data_corruption",
                2,
                "change.truncated",
                _say("Source lost its end", change),
                "truncated",
                linked,
            )
        if _adds_unused(before, after):
            return ChangeEffect(
                change,
                role,
                "logic_error",
                0.25,
                "change.unused_code",
                _say("Code added that nothing uses", change),
                "code_change",
            )
    weight = 2.0 if role == "source" else 0.75
    if change.kind is ChangeKind.ADDED:
        weight -= 1 if role == "source" else 0.25
    return ChangeEffect(
        change,
        role,
        "logic_error",
        weight,
        "change.source",
        _say("Code changed", change),
        "code_change",
        linked,
    )


def _adds_unused(before: bytes, after: bytes) -> bool:
    """Whether ``after`` is ``before`` with definitions added whose names stand nowhere else in it."""
    old, new = _without_comments(before), _without_comments(after)
    if len(new) <= len(old):
        return False
    start = next((i for i in range(len(old)) if old[i] != new[i]), len(old))
    end = len(new) - (len(old) - start)
    if old[start:] != new[end:]:
        return False
    added = new[start:end]
    names = [
        next(group for group in match.groups() if group)
        for line in added
        if (match := _DEFINITION.match(line))
    ]
    top = [line for line in added if not line.startswith((b" ", b"\t", b"}", b")", b"]"))]
    if not names or any(not _DEFINITION.match(line) for line in top):
        return False
    rest = b"\n".join((*new[:start], *new[end:]))
    return not any(re.search(rb"(?<!\w)" + re.escape(name) + rb"(?!\w)", rest) for name in names)


def _without_comments(data: bytes) -> list[bytes]:
    return [line.rstrip() for line in data.splitlines() if line.strip() and not _COMMENT.match(line)]


def _config(
    change: Change,
    keys: tuple[KeyChange, ...],
    sides: Sides,
    symptom: Symptom | None,
    *,
    linked: bool,
) -> ChangeEffect:
    before, after = sides
    problem = config_problem(change.path, before, after) if after is not None else ""
    if problem in {"damaged", "truncated"}:
        return ChangeEffect(
            change,
            "config",
            "data_corruption",
            2.5,
            "change.config_damaged",
            _say("Configuration damaged", change, problem),
            problem,
            linked,
            symptom,
            keys,
        )
    if problem:
        return ChangeEffect(
            change,
            "config",
            "config_error",
            2.5,
            "change.config_unparsable",
            _say("Configuration no longer parses", change),
            "unparsable_config",
            linked,
            symptom,
            keys,
        )
    if after is not None and before is not None and _without_comments(before) == _without_comments(after):
        return ChangeEffect(change, "config", "", 0, "change.comment", _say("Only comments changed", change))
    names = ", ".join(f"{key.key} {key.kind}" for key in keys[:3])
    weight = 1.0 if change.kind is ChangeKind.ADDED else 2.0
    line = keys[0].line if keys else None
    return ChangeEffect(
        change,
        "config",
        "config_error",
        weight,
        "change.config",
        _say("Configuration changed", change, names),
        "setting_changed",
        linked,
        symptom,
        keys,
        line,
    )


def assignments(path: bytes, before: bytes | None, after: bytes | None) -> tuple[KeyChange, ...]:
    """The changed assignments of a settings module; empty when other code changed too."""
    if before is None or after is None:
        return ()
    old, new = _without_comments(before), _without_comments(after)
    gone = [line for line in old if line not in new]
    come = [line for line in new if line not in old]
    pairs = [_ASSIGNMENT.match(line) for line in (*gone, *come)]
    if not all(pairs) or len(pairs) > 40:
        return ()
    values: dict[bytes, list[str]] = {}
    for match, side in zip(pairs, [0] * len(gone) + [1] * len(come), strict=True):
        if match is not None:
            values.setdefault(match[1], ["", ""])[side] = match[2].decode("utf-8", "replace")
    return tuple(
        KeyChange(
            path,
            key.decode("utf-8", "replace"),
            "changed" if was and now else "added" if now else "removed",
            was,
            now,
        )
        for key, (was, now) in values.items()
    )


def _pinned(
    change: Change, role: Role, symptom: Symptom | None, *, linked: bool, keys: tuple[KeyChange, ...]
) -> ChangeEffect:
    if symptom is not None and symptom.kind == "damaged" and symptom.code not in {"bad_values", "unparsable"}:
        return ChangeEffect(
            change,
            role,
            "data_corruption",
            2.5,
            "change.damaged",
            _say("Damaged", change, symptom.detail),
            symptom.code,
            linked,
            symptom,
        )
    if role == "dependency":
        return ChangeEffect(
            change,
            role,
            "drift",
            2.5,
            "change.dependency",
            _say("Dependency changed", change),
            "dependency_change",
            linked,
            symptom,
            keys,
        )
    return ChangeEffect(
        change,
        role,
        "drift",
        2.0,
        "change.contract",
        _say("Contract or expectation changed", change),
        "schema_change",
        linked,
        symptom,
    )


def _data(change: Change, symptom: Symptom | None, *, linked: bool) -> ChangeEffect | None:
    old, new = size_of(change, after=False), size_of(change, after=True)
    if symptom is not None and symptom.kind == "damaged":
        return ChangeEffect(
            change,
            "data",
            "data_corruption",
            2.5,
            "change.damaged",
            _say("Data damaged", change, symptom.detail),
            symptom.code,
            linked,
            symptom,
        )
    if symptom is not None and symptom.kind == "shape":
        return ChangeEffect(
            change,
            "data",
            "drift",
            2.5,
            "change.shape",
            _say("Data has another shape", change, symptom.detail),
            "schema_change",
            linked,
            symptom,
        )
    if old and new > 10 * old and new > 256 * 1024:
        return ChangeEffect(
            change,
            "data",
            "resource_exhaustion",
            1.5,
            "change.growth",
            _say("Data grew", change, f"{old} to {new} bytes"),
            "input_growth",
            linked,
            symptom,
        )
    if change.kind is ChangeKind.ADDED:
        weight = 1.0 if linked else 0.25
        return ChangeEffect(
            change,
            "data",
            "data_corruption",
            weight,
            "change.data_added",
            _say("Data added", change),
            "bad_data",
            linked,
            symptom,
        )
    # Programs write their own state: other values in a sound file say little unless the failure names it.
    weight = _VALUES.get(symptom.code, 0.5) if symptom is not None else 0.5
    detail = symptom.detail if symptom is not None else ""
    return ChangeEffect(
        change,
        "data",
        "data_corruption",
        weight,
        "change.data",
        _say("Data changed", change, detail),
        "bad_data",
        linked,
        symptom,
    )


def size_of(change: Change, *, after: bool) -> int:
    """Content length on one side; 0 where there is none."""
    entry = change.after if after else change.before
    return entry.size_bytes if entry is not None else 0
