"""Signals: patterns in log lines that speak for a category of cause, as data.

Owns the loading of ``data/signals/*.toml`` and the matching of lines. What a match is
worth after the change set was looked at is ``forensics.classify``'s affair.

A signal's pattern has linear time (a test compiles each with RE2). Lines are matched with
``re2.Set`` where google-re2 is installed, else one by one; both give the same signals.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from casreplay.errors import ConfigError, MissingExtraError
from casreplay.model.causes import CATEGORIES
from casreplay.model.config import CategoryConfig

__all__ = ["CARRIER", "STOPPED", "Category", "RuleSet", "Signal", "load_rules"]

CARRIER = "carrier"
"""Class of signals that never decide: severity words, trace heads, secondary errors."""
STOPPED = "cancelled"
"""Class of signals that say the run was stopped from outside; they suppress weak evidence."""

MAX_TEXT = 4096
"""Characters of a line that are matched."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One pattern and what it speaks for.

    Attributes:
        id: stable rule id.
        group: the file it comes from, for instance ``python``.
        category: one of the six, a user's category, ``carrier`` or ``cancelled``.
        sub_cause: what exactly.
        weight: 1 (weak) to 3 (strong).
        pattern: the expression, searched in one line.
        flips: names of the rules of ``rootcause_flips`` that may move it to another category.
        note: what to know about it.
        remedy: what to do.
        matches: at least two lines it finds; tests run them.
        differs: at least two lines near them that it must not find.
    """

    id: str
    group: str
    category: str
    sub_cause: str
    weight: float
    pattern: str
    flips: tuple[str, ...] = ()
    note: str = ""
    remedy: str = ""
    matches: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    @property
    def is_generic(self) -> bool:
        """Whether it only says that code stopped; any specific signal on the same line wins."""
        return "generic" in self.flips or "unknown" in self.flips or self.category == CARRIER


@dataclass(frozen=True, slots=True)
class Category:
    """A category's text for people."""

    name: str
    description: str
    remediation: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All signals and categories in force, ready to match.

    Attributes:
        signals: built-in ones first, then the user's, in the order of their files.
        categories: by name.
        digest: changes when any signal does; part of the key under which results are cached.
    """

    signals: tuple[Signal, ...]
    categories: Mapping[str, Category]
    digest: str
    _match: Callable[[str], list[int]] = field(repr=False, compare=False, default=lambda _line: [])

    def match(self, line: str) -> list[Signal]:
        """The signals found in ``line``, in rule order."""
        return [self.signals[i] for i in self._match(line[:MAX_TEXT])]

    def category(self, name: str) -> Category:
        """The category's text; empty text for an unknown name."""
        return self.categories.get(name) or Category(name, "", ())


def load_rules(extra: Sequence[CategoryConfig] = ()) -> RuleSet:
    """The built-in rules with the user's categories and signals added.

    Args:
        extra: ``Config.root_cause_categories``: replaced texts of built-in categories, own categories,
            and signals for either.

    Raises:
        ConfigError: a user's pattern does not compile in linear time.
        MissingExtraError: user patterns are given and no linear-time engine is installed.

    Cost: reads 14 small files and compiles 250 patterns once per process (about 50 ms).
    """
    signals, categories = _builtin()
    if not extra:
        return _prepared(signals, categories)
    merged = dict(categories)
    added: list[Signal] = []
    for category in extra:
        known = merged.get(category.name, Category(category.name, "", ()))
        merged[category.name] = Category(
            category.name,
            category.description or known.description,
            tuple(category.remediation) or known.remediation,
        )
        for number, signal in enumerate(category.signals, 1):
            rule = f"user.{category.name}.{number}"
            _check_linear(signal.pattern, rule)
            added.append(
                Signal(rule, "user", category.name, "", float(signal.weight), signal.pattern, remedy="")
            )
    return _prepared((*signals, *added), merged)


@lru_cache(maxsize=1)
def _builtin() -> tuple[tuple[Signal, ...], dict[str, Category]]:
    folder = resources.files("casreplay.data.signals")
    signals: list[Signal] = []
    for item in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".toml") and item.name != "categories.toml":
            signals.extend(read_signals(item.read_text("utf-8")))
    raw = tomllib.loads((folder / "categories.toml").read_text("utf-8"))
    categories = {
        name: Category(name, raw[name]["description"], tuple(raw[name]["remediation"])) for name in CATEGORIES
    }
    return tuple(signals), categories


def read_signals(text: str) -> list[Signal]:
    """The signals of one TOML file."""
    data = tomllib.loads(text)
    return [_signal(data["group"], fields) for fields in data["signal"]]


def _signal(group: str, fields: Mapping[str, Any]) -> Signal:
    return Signal(
        fields["id"],
        group,
        fields["class"],
        fields["sub_cause"],
        float(fields["weight"]),
        fields["pattern"],
        tuple(fields.get("flips", ())),
        fields.get("note", ""),
        fields["remedy"],
        tuple(fields["matches"]),
        tuple(fields["differs"]),
    )


@lru_cache(maxsize=4)
def _cached(signals: tuple[Signal, ...]) -> tuple[str, Callable[[str], list[int]]]:
    import hashlib  # noqa: PLC0415 - only analyses need a digest of rules

    digest = hashlib.sha256(
        repr([(s.id, s.category, s.weight, s.pattern, s.flips) for s in signals]).encode()
    )
    return digest.hexdigest()[:16], _matcher([signal.pattern for signal in signals])


def _prepared(signals: tuple[Signal, ...], categories: Mapping[str, Category]) -> RuleSet:
    digest, match = _cached(signals)
    return RuleSet(signals, categories, digest, match)


def _matcher(patterns: Sequence[str]) -> Callable[[str], list[int]]:
    """A function from a line to the ascending indexes of the patterns found in it."""
    try:
        import re2  # noqa: PLC0415 - an optional extra
    except ImportError:
        return plain_matcher(patterns)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 256 << 20
    union = re2.Set.SearchSet(options)
    for pattern in patterns:
        union.Add(pattern)
    union.Compile()

    def match(line: str) -> list[int]:
        return sorted(union.Match(line) or ())

    return match


def plain_matcher(patterns: Sequence[str]) -> Callable[[str], list[int]]:
    """The same with the standard library: each expression in turn; 1 ms for a long line."""
    compiled = [re.compile(pattern, re.ASCII) for pattern in patterns]

    def match(line: str) -> list[int]:
        return [i for i, expression in enumerate(compiled) if expression.search(line)]

    return match


def _check_linear(pattern: str, rule: str) -> None:
    try:
        import re2  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise MissingExtraError(
            f"Rule {rule} needs a linear-time expression engine",
            hint="Install casreplay[regex]",
            rule=rule,
        ) from None
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
        re.compile(pattern)
    except (re2.error, re.error) as error:
        raise ConfigError(
            f"Rule {rule} has a pattern that is refused: {error}",
            hint="Write it without look-around and back references",
            rule=rule,
            pattern=pattern,
        ) from None
