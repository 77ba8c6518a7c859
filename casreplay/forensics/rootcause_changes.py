# Expressions that match paths read better whole than broken over lines.
"""The change set as evidence: which changed files could explain a failure, and how strongly.

A change is linked when the failure names it: its path, its name, a changed key or value, or
a stack frame inside it. Linked changes weigh more; unlinked ones beside linked ones are noise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.rootcause_case import Case
from casreplay.forensics.rootcause_damage import MAX_BYTES, Symptom, config_problem, symptom_of
from casreplay.forensics.rootcause_roles import Role, role_of
from casreplay.model.causes import KeyChange
from casreplay.model.changes import Change, ChangeKind

__all__ = ["ChangeEffect", "ChangeSet", "Mentions", "read_changes"]

MAX_READ = 400
"""Changed files whose contents are compared; the rest is judged by kind, role and size."""

_COMMENT = re.compile(rb"^\s*(?:#(?!!)|//|/\*|\*|--\s|;|rem\s|\"\"\").*$", re.IGNORECASE)
_DEPENDENCY_KEY = re.compile(
    r"depend|require|engine|version|package|resolution|override|python|toolchain", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]+(?![a-z])|\d+")
_COMMON = frozenset(
    (
        "the",
        "and",
        "for",
        "with",
        "file",
        "files",
        "data",
        "value",
        "values",
        "true",
        "false",
        "none",
        "null",
        "name",
        "type",
        "path",
        "line",
        "error",
        "errors",
        "log",
        "logs",
        "level",
        "config",
        "configuration",
        "settings",
        "default",
        "main",
        "app",
        "test",
        "run",
        "info",
        "warn",
        "debug",
        "mode",
        "yes",
        "not",
        "off",
    )
)


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a failure's text names.

    Attributes:
        text: the cause lines in lower case.
        frames: paths of stack frames as written, innermost cause first.
    """

    text: str
    frames: tuple[str, ...] = ()

    def path(self, path: bytes) -> bool:
        """Whether the path, its last two parts or its file name stands in the text."""
        name = path.decode("utf-8", "replace").lower()
        base = name.rpartition("/")[2]
        stem = base.rpartition(".")[0]
        if len(base) >= 4 and base in self.text:
            return True
        return len(stem) >= 5 and re.search(rf"(?<![\w.]){re.escape(stem)}(?![\w])", self.text) is not None

    def frame(self, path: bytes) -> bool:
        """Whether a stack frame lies in the file at ``path``."""
        name = path.decode("utf-8", "replace")
        base = name.rpartition("/")[2]
        return any(
            frame == name or frame.endswith("/" + name) or frame.replace("\\", "/").rpartition("/")[2] == base
            for frame in self.frames
        )

    def word(self, text: str) -> bool:
        """Whether ``text`` stands in the failure as a word; too common or too short ones never do."""
        low = text.strip().strip("\"'").lower()
        if len(low) < 3 or low in _COMMON:
            return False
        return re.search(rf"(?<![\w.]){re.escape(low)}(?![\w])", self.text) is not None

    def key(self, change: KeyChange) -> bool:
        """Whether the failure names a changed key or one of its values."""
        last = re.split(r"[.\[\]/:]", change.key.strip("]"))[-1]
        words = [word.lower() for word in _WORD.findall(last)]
        long = [word for word in words if len(word) >= 4 and word not in _COMMON]
        if self.word(last) or self.word(last.replace("_", " ")) or self.word(last.replace("-", "_")):
            return True
        if long and all(word in self.text for word in long) and len(long) == len(words):
            return True
        return any(self.word(value) or _parts_named(self, value) for value in (change.after, change.before))


def _parts_named(mentions: Mentions, value: str) -> bool:
    """Whether a part of a URL, address or path value is named: its host, port or file name."""
    if not re.search(r"[/:@]", value) or len(value) > 400:
        return False
    return any(len(part) >= 4 and mentions.word(part) for part in re.split(r"[/:@?=&,\s]+", value))


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


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """All effects of a change set.

    Attributes:
        known: whether the change set was given at all.
        effects: one for each change of a file that can matter, strongest first.
        grown_bytes: by how much files that are no logs grew together.
    """

    known: bool
    effects: tuple[ChangeEffect, ...]
    grown_bytes: int = 0

    def of(self, *roles: Role) -> list[ChangeEffect]:
        """Effects of files with one of the roles."""
        return [effect for effect in self.effects if effect.role in roles]

    def pull(self, category: str) -> float:
        """How strongly the change set speaks for ``category``: 0 to 3."""
        return max((effect.weight for effect in self.effects if effect.category == category), default=0.0)

    @property
    def source_changed(self) -> bool:
        """Whether code of the workspace changed beyond comments."""
        return any(effect.category == "logic_error" for effect in self.effects)

    def config_keys(self) -> list[KeyChange]:
        """Every changed key of configuration."""
        return [key for effect in self.of("config", "dependency") for key in effect.keys]


def read_changes(case: Case, mentions: Mentions, *, log_paths: frozenset[bytes] = frozenset()) -> ChangeSet:
    """Judge every change of ``case``. Cost: reads at most 400 files on each side, 2 MiB of each."""
    if case.changes is None:
        return ChangeSet(known=False, effects=())
    keys: dict[bytes, list[KeyChange]] = {}
    for key in case.key_changes:
        keys.setdefault(key.path, []).append(key)
    configs = frozenset(keys)
    effects: list[ChangeEffect] = []
    grown, budget = 0, MAX_READ
    for change in case.changes:
        if change.path in log_paths:
            continue
        role = role_of(change.path, config_paths=configs)
        if role in {"log", "output", "document"} or not _is_file(change):
            continue
        budget -= 1
        of_file = tuple(keys.get(change.path, ()))
        linked = _linked(change, of_file, mentions)
        effect = _judge(change, role, of_file, _sides(case, change, read=budget >= 0), linked=linked)
        if effect is not None:
            effects.append(effect)
            grown += max(0, _size(change, after=True) - _size(change, after=False))
    return ChangeSet(known=True, effects=tuple(_balanced(effects)), grown_bytes=grown)


def _is_file(change: Change) -> bool:
    entry = change.after or change.before
    return entry is not None and entry.kind.has_content


def _size(change: Change, *, after: bool) -> int:
    entry = change.after if after else change.before
    return entry.size_bytes if entry is not None else 0


def _balanced(effects: list[ChangeEffect]) -> list[ChangeEffect]:
    """Linked effects raised, unlinked ones beside them halved; strongest first."""
    any_linked = any(effect.linked and effect.weight >= 2 for effect in effects)
    alone = len({effect.category for effect in effects if effect.category}) == 1
    done = []
    for effect in effects:
        weight = effect.weight
        if effect.linked:
            weight = min(3.0, weight + 1)
        elif any_linked:
            weight *= 0.5
        elif alone:
            weight = min(3.0, weight + 0.5)
        done.append(replace(effect, weight=weight))
    return sorted(done, key=lambda effect: (-effect.weight, effect.change.path))


_Sides = tuple[bytes | None, bytes | None]


def _sides(case: Case, change: Change, *, read: bool) -> _Sides:
    """The file's content before and after, as far as it is looked at."""
    before = case.read_before(change.path) if read and change.before is not None else None
    after = case.read_after(change.path) if read and change.after is not None else None
    return (
        before[:MAX_BYTES] if before is not None else None,
        after[:MAX_BYTES] if after is not None else None,
    )


def _linked(change: Change, keys: tuple[KeyChange, ...], mentions: Mentions) -> bool:
    names = (change.path,) if change.old_path is None else (change.path, change.old_path)
    if any(mentions.path(name) or mentions.frame(name) for name in names):
        return True
    return any(mentions.key(key) for key in keys)


def _judge(
    change: Change, role: Role, keys: tuple[KeyChange, ...], sides: _Sides, *, linked: bool
) -> ChangeEffect | None:
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


def _source(change: Change, role: Role, sides: _Sides, *, linked: bool) -> ChangeEffect:
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


def _without_comments(data: bytes) -> list[bytes]:
    return [line.rstrip() for line in data.splitlines() if line.strip() and not _COMMENT.match(line)]


def _config(
    change: Change,
    keys: tuple[KeyChange, ...],
    sides: _Sides,
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
    old, new = _size(change, after=False), _size(change, after=True)
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
    weight = 1.5 if symptom is not None and symptom.code in {"few_bytes", "shrank"} else 1.0
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


def damaged(effects: Sequence[ChangeEffect]) -> list[ChangeEffect]:
    """The effects of files whose content was damaged."""
    return [effect for effect in effects if effect.symptom is not None and effect.symptom.kind == "damaged"]
