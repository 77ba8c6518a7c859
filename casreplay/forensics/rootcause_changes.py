"""The change set as evidence: which changed files could explain a failure, and how strongly.

A change is linked when the failure names it: its path, its name, a changed key or value, or
a stack frame inside it. Linked changes weigh more; unlinked ones beside linked ones are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.rootcause_case import Case
from casreplay.forensics.rootcause_damage import MAX_BYTES
from casreplay.forensics.rootcause_judge import ChangeEffect, Sides, judge, size_of
from casreplay.forensics.rootcause_mentions import Mentions
from casreplay.forensics.rootcause_roles import Role, role_of
from casreplay.model.causes import KeyChange
from casreplay.model.changes import Change

__all__ = ["ChangeSet", "damaged", "read_changes"]

MAX_READ = 400
"""Changed files whose contents are compared; the rest is judged by kind, role and size."""
UNREACHED = 0.3
"""Factor for changed code that is neither on the stack nor named by code that is."""


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
        effect = judge(change, role, of_file, _sides(case, change, read=budget >= 0), linked=linked)
        if effect is not None:
            if role in {"source", "test"} and not linked and not mentions.calls(change.path):
                effect = replace(effect, weight=effect.weight * UNREACHED)
            effects.append(effect)
            grown += max(0, size_of(change, after=True) - size_of(change, after=False))
    return ChangeSet(known=True, effects=tuple(_balanced(effects)), grown_bytes=grown)


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
        elif any_linked:
            weight *= 0.5
        elif alone:
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


def _linked(change: Change, keys: tuple[KeyChange, ...], mentions: Mentions) -> bool:
    names = (change.path,) if change.old_path is None else (change.path, change.old_path)
    if any(mentions.path(name) or mentions.frame(name) for name in names):
        return True
    return any(mentions.key(key) for key in keys)


def damaged(effects: Sequence[ChangeEffect]) -> list[ChangeEffect]:
    """The effects of files whose content was damaged."""
    return [effect for effect in effects if effect.symptom is not None and effect.symptom.kind == "damaged"]
