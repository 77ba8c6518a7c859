# Expressions that match log lines read better whole than broken over lines.
"""What a flip looks at and what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from casreplay.forensics.rootcause_changes import ChangeSet
from casreplay.forensics.rootcause_mentions import Mentions
from casreplay.forensics.signals import Signal

__all__ = ["NETWORK", "Flip", "Rule", "Scene", "key_that_changed", "strongest"]

NETWORK = re.compile(
    r"https?\b|urlopen|\burl\b|socket|request|response|fetch|\bapi\b|server|upstream|connect|\bhost\b|download|remote|endpoint|content-length|network|client",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a flip looks at.

    Attributes:
        changes: the change set with its effects.
        mentions: what the failure names.
        server_categories: for a failure that reaches a local server: categories of the traces in
            that server's own log.
    """

    changes: ChangeSet
    mentions: Mentions
    server_categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flip:
    """A signal moved to ``category``, its weight times ``factor``, because of ``reason``."""

    category: str
    factor: float
    reason: str


Rule = Callable[[Signal, str, Scene], Flip | None]
"""A flip: from a signal, its line and the scene to where it moves, or ``None``."""


def key_that_changed(scene: Scene, keys: re.Pattern[str], values: re.Pattern[str] | None = None) -> str:
    """The first changed key that fits; ``""`` when none does."""
    for change in scene.changes.config_keys():
        if keys.search(change.key):
            return change.key
        if values is not None and (values.search(change.after) or values.search(change.before)):
            return change.key
    return ""


def strongest(scene: Scene) -> tuple[str, float]:
    """What the change set speaks for most beside code and resources, and how strongly."""
    pulls = {name: scene.changes.pull(name) for name in ("drift", "data_corruption", "config_error")}
    best = max(pulls, key=lambda name: pulls[name])
    return best, pulls[best]
