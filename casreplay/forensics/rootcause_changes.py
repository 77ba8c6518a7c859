"""The change set as evidence: which changed files could explain a failure, and how strongly.

A change is linked when the failure names it: its path, its name, a changed key or value, or
a stack frame inside it. Linked changes weigh more; unlinked ones beside linked ones are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.rootcause_case import Case
from casreplay.forensics.rootcause_damage import MAX_BYTES
from casreplay.forensics.rootcause_judge import ChangeEffect, Sides, assignments, judge, size_of
from casreplay.forensics.rootcause_mentions import Mentions
from casreplay.forensics.rootcause_roles import Role, is_settings_module, role_of, settle
from casreplay.model.causes import KeyChange
from casreplay.model.changes import Change

__all__ = ["ChangeSet", "damaged", "read_changes"]

MAX_READ = 400
"""Changed files whose contents are compared; the rest is judged by kind, role and size."""
MATTERS = 0.75
"""Least weight of changed code that is taken for changed."""
OUTPUT_WEIGHT = 1.5
"""Most that a damaged or vanished output weighs before linking."""


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

    def linked(self, category: str) -> bool:
        """Whether a change that the failure names speaks for ``category``."""
        return any(effect.linked and effect.category == category for effect in self.effects)

    def pull(self, category: str) -> float:
        """How strongly the change set speaks for ``category``: 0 to 3."""
        return max((effect.weight for effect in self.effects if effect.category == category), default=0.0)

    @property
    def source_changed(self) -> bool:
        """Whether code of the workspace changed beyond comments, where the failure can reach it."""
        return self.pull("logic_error") >= MATTERS

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
    chosen = [
        (change, role)
        for change in case.changes
        if change.path not in log_paths
        and _is_file(change)
        and (role := role_of(change.path, config_paths=frozenset(keys))) not in {"log", "document"}
    ]
    # What the failure names is read first: the budget must not run out before it.
    chosen.sort(key=lambda pair: not _named(pair[0], mentions))
    effects: list[ChangeEffect] = []
    grown = 0
    for number, (change, role) in enumerate(chosen):
        if role == "output" and not mentions.path(change.path):
            continue
        sides = _sides(case, change, read=number < MAX_READ)
        effect = _effect(change, role, tuple(keys.get(change.path, ())), sides, mentions)
        if effect is not None:
            effects.append(effect)
            grown += max(0, size_of(change, after=True) - size_of(change, after=False))
    return ChangeSet(known=True, effects=tuple(_balanced(effects)), grown_bytes=grown)


def _effect(
    change: Change, role: Role, keys: tuple[KeyChange, ...], sides: Sides, mentions: Mentions
) -> ChangeEffect | None:
    """What one change speaks for, linked and weighed by how far the failure reaches it."""
    role = settle(change.path, role, sides[1] if sides[1] is not None else sides[0])
    if role == "source" and is_settings_module(change.path):
        keys = keys or assignments(change.path, *sides)
        role = "config" if keys else role
    linked = _named(change, mentions) or any(mentions.key(key) for key in keys)
    is_code = role in {"source", "test"}
    if is_code and linked:
        linked = mentions.near(change.path, *sides)
    effect = judge(change, role, keys, sides, linked=linked)
    if effect is None or (role == "output" and effect.rule not in {"change.damaged", "change.deleted"}):
        return None  # what a failing run leaves behind is no cause; a damaged or vanished cache may be
    if role == "output":
        effect = replace(effect, weight=min(effect.weight, OUTPUT_WEIGHT))
    if not effect.linked and effect.symptom is not None:
        effect = replace(effect, linked=mentions.symptom(effect.symptom))
    if is_code and not mentions.frame(change.path) and not linked:
        return replace(effect, weight=effect.weight * mentions.reach(change.path))
    if role in {"config", "data"} and not effect.linked:
        return replace(effect, weight=effect.weight * mentions.reference(change.path))
    return effect


def _is_file(change: Change) -> bool:
    entry = change.after or change.before
    return entry is not None and entry.kind.has_content


def _balanced(effects: list[ChangeEffect]) -> list[ChangeEffect]:
    """Linked effects raised, unlinked ones beside them halved; strongest first."""
    any_linked = any(effect.linked and effect.weight >= 2 for effect in effects)
    alone = len({effect.category for effect in effects if effect.category}) == 1
    done = []
    for effect in effects:
        weight = effect.weight
        if effect.linked:
            weight = min(3.0, weight + 1)
        elif any_linked and not _is_damage(effect):
            weight *= 0.5
        elif alone and weight >= 1:
            weight = min(3.0, weight + 0.5)
        done.append(replace(effect, weight=weight))
    return sorted(done, key=lambda effect: (-effect.weight, effect.change.path))


def _sides(case: Case, change: Change, *, read: bool) -> Sides:
    """The file's content before and after, as far as it is looked at."""
    before = case.read_before(change.path) if read and change.before is not None else None
    after = case.read_after(change.path) if read and change.after is not None else None
    return (
        before[:MAX_BYTES] if before is not None else None,
        after[:MAX_BYTES] if after is not None else None,
    )


def _named(change: Change, mentions: Mentions) -> bool:
    """Whether the failure names the file or has a stack frame in it."""
    names = (change.path,) if change.old_path is None else (change.path, change.old_path)
    return any(mentions.path(name) or mentions.frame(name) for name in names)


def _is_damage(effect: ChangeEffect) -> bool:
    return effect.symptom is not None and effect.symptom.kind == "damaged"


def damaged(effects: Sequence[ChangeEffect]) -> list[ChangeEffect]:
    """The effects of files whose content was damaged."""
    return [effect for effect in effects if _is_damage(effect)]
