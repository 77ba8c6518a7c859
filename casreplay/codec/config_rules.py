"""Readers for the structured values in ``casreplay.json``: triggers, constraints, categories and the like.

The predecessor's shapes are read beside the flat ones. The rules of problem reporting are
those of ``codec.config_values``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from casreplay.codec.config_values import (
    Problems,
    choice,
    choices,
    count,
    flag,
    items,
    name_of,
    number,
    regex,
    regexes,
    severity,
    table_of,
    text,
    texts,
)
from casreplay.model import config as model

__all__ = ["categories", "constraints", "ignored", "secret_rules", "triggers"]

_TRIGGER_KEYS = ("name", "type", "severity", "description", "enabled", "config")
_TRIGGER_OPTIONS = ("paths", "patterns", "changes", "factor", "ignore_case")
_PREDECESSOR_OPTIONS = (
    "change_type",
    "protected_patterns",
    "watch_patterns",
    "log_files",
    "scan_files",
    "check",
    "description",
)
_TRIGGER_TYPES = {
    **{kind: kind for kind in model.TRIGGER_KINDS},
    "file_change": "change",
    "log_match": "log",
    "pattern": "content",
}


def triggers(found: Problems, at: str, value: Any) -> tuple[model.TriggerConfig, ...]:
    """Triggers, in the predecessor's shape (options under ``config``) or flat."""
    known = (*_TRIGGER_KEYS, *_TRIGGER_OPTIONS)
    read = [_trigger(found, here, table) for here, table in _tables(found, at, value, known) if table]
    return tuple(trigger for trigger in read if trigger is not None)


def _tables(
    found: Problems, at: str, value: Any, known: tuple[str, ...], *, short: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tables of a list, each with its place; where there is a ``short`` key, plain text stands for it."""
    for i, item in enumerate(items(found, at, value)):
        here = f"{at}[{i}]"
        table = {short: item} if short and isinstance(item, str) else table_of(found, here, item)
        found.unknown(here, table, known)
        yield here, table


def _trigger(found: Problems, at: str, table: Mapping[str, Any]) -> model.TriggerConfig | None:
    nested = table_of(found, f"{at}.config", table.get("config", {}))
    found.unknown(f"{at}.config", nested, (*_TRIGGER_OPTIONS, *_PREDECESSOR_OPTIONS))
    options = {**nested, **{key: table[key] for key in _TRIGGER_OPTIONS if key in table}}
    name = name_of(found, at, table)
    word = choice(found, f"{at}.type", table.get("type"), tuple(_TRIGGER_TYPES))
    if name is None or word is None:
        return None
    kind = _TRIGGER_TYPES[word]
    if options.get("check") is not None:
        choice(found, f"{at}.config.check", options["check"], ("empty_file",))
        kind = "empty"
    patterns = regexes(found, f"{at}.patterns", options.get("patterns", []))
    if kind in ("log", "content") and not options.get("patterns"):
        found.note(at, f"a trigger of type {word} needs patterns")
    description = table.get("description", nested.get("description", ""))
    return model.TriggerConfig(
        name=name,
        kind=kind,
        severity=severity(found, f"{at}.severity", table.get("severity", "medium")),
        paths=_trigger_paths(found, at, options),
        patterns=patterns,
        changes=_trigger_changes(found, at, kind, options),
        factor=number(found, f"{at}.factor", options.get("factor", 10.0)) or 10.0,
        ignore_case=bool(flag(found, f"{at}.ignore_case", options.get("ignore_case", word == "pattern"))),
        description=text(found, f"{at}.description", description) or "",
        enabled=flag(found, f"{at}.enabled", table.get("enabled", True)) is not False,
    )


def _trigger_paths(found: Problems, at: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    for key in ("paths", "protected_patterns", "watch_patterns", "log_files", "scan_files"):
        if key in options:
            return texts(found, f"{at}.{key}", options[key])
    return ()


def _trigger_changes(found: Problems, at: str, kind: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    if "change_type" in options:
        word = choice(found, f"{at}.config.change_type", options["change_type"], model.CHANGE_TYPES)
        return (word,) if word else ()
    if "changes" in options:
        return choices(found, f"{at}.changes", options["changes"], model.CHANGE_TYPES)
    return model.CHANGE_TYPES if kind == "change" else ()


def constraints(found: Problems, at: str, value: Any) -> tuple[model.ConstraintConfig, ...]:
    """Rules on paths and contents."""
    results = []
    known = ("name", "type", "paths", "pattern", "severity", "description")
    for here, table in _tables(found, at, value, known):
        name = name_of(found, here, table)
        kind = choice(found, f"{here}.type", table.get("type"), model.CONSTRAINT_KINDS)
        paths = texts(found, f"{here}.paths", table.get("paths", []))
        on_content = kind in ("must_contain", "must_not_contain")
        if kind and not on_content and not paths:
            found.note(here, f"a constraint of type {kind} needs paths")
        pattern = regex(found, f"{here}.pattern", table.get("pattern", "")) if on_content else ""
        if name is not None and kind is not None:
            level = severity(found, f"{here}.severity", table.get("severity", "high"))
            note = text(found, f"{here}.description", table.get("description", "")) or ""
            results.append(model.ConstraintConfig(name, kind, paths, pattern, level, note))
    return tuple(results)


def categories(found: Problems, at: str, value: Any) -> tuple[model.CategoryConfig, ...]:
    """Root-cause categories by name."""
    results = []
    for name, item in table_of(found, at, value).items():
        here = f"{at}.{name}"
        table = table_of(found, here, item)
        found.unknown(here, table, ("description", "remediation", "signals"))
        results.append(
            model.CategoryConfig(
                name=name,
                description=text(found, f"{here}.description", table.get("description", "")) or "",
                remediation=texts(found, f"{here}.remediation", table.get("remediation", [])),
                signals=_signals(found, f"{here}.signals", table.get("signals", [])),
            )
        )
    return tuple(results)


def _signals(found: Problems, at: str, value: Any) -> tuple[model.SignalConfig, ...]:
    results = []
    for here, table in _tables(found, at, value, ("pattern", "weight"), short="pattern"):
        pattern = regex(found, f"{here}.pattern", table.get("pattern", ""))
        weight = count(found, f"{here}.weight", table.get("weight", 2))
        if weight not in (1, 2, 3, None):
            found.note(f"{here}.weight", f"must be 1, 2 or 3, not {weight}")
        if pattern and weight is not None:
            results.append(model.SignalConfig(pattern, weight))
    return tuple(results)


def secret_rules(found: Problems, at: str, value: Any) -> tuple[model.SecretRuleConfig, ...]:
    """Formats of secrets."""
    results = []
    for here, table in _tables(found, at, value, ("name", "pattern", "keywords", "severity")):
        name = name_of(found, here, table)
        pattern = regex(found, f"{here}.pattern", table.get("pattern", ""))
        keywords = texts(found, f"{here}.keywords", table.get("keywords", []))
        level = severity(found, f"{here}.severity", table.get("severity", "high"))
        if name is not None and pattern:
            results.append(model.SecretRuleConfig(name, pattern, keywords, level))
    return tuple(results)


def ignored(found: Problems, at: str, value: Any) -> tuple[model.IgnoredFinding, ...]:
    """Accepted findings: a rule id, or a table of rule, paths and reason."""
    results = []
    for here, table in _tables(found, at, value, ("rule", "paths", "reason"), short="rule"):
        rule = text(found, f"{here}.rule", table.get("rule", "")) or ""
        paths = texts(found, f"{here}.paths", table.get("paths", []))
        if not rule and not paths:
            found.note(here, "needs a rule or paths; an empty one would ignore every finding")
            continue
        reason = text(found, f"{here}.reason", table.get("reason", "")) or ""
        results.append(model.IgnoredFinding(rule, paths, reason))
    return tuple(results)
