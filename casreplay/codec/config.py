"""Reading ``casreplay.json`` strictly: every problem found, all reported at once, nothing executed.

Owns the way from JSON to ``model.config.Config`` and the template that ``init`` writes.
Reads one file and nothing else. Single values are read by ``codec.config_values`` and ``codec.config_rules``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from casreplay.codec import config_rules as rules
from casreplay.codec import config_values as values
from casreplay.codec.config_values import Problems
from casreplay.errors import ConfigError
from casreplay.model import config as model
from casreplay.model.config import KEYS, Config

__all__ = ["MAX_CONFIG_BYTES", "load", "parse", "template"]

MAX_CONFIG_BYTES = 1_000_000

_READERS: dict[str, Callable[[Problems, str, Any], Any]] = {
    "text": values.text,
    "flag": values.flag,
    "count": values.count,
    "number": values.number,
    "percent": values.percent,
    "globs": values.texts,
    "regexes": values.regexes,
    "switches": values.switches,
    "durability": lambda found, at, value: values.choice(found, at, value, model.DURABILITIES),
    "engine": lambda found, at, value: values.choice(found, at, value, model.ENGINES),
    "builtins": lambda found, at, value: values.choices(found, at, value, model.BUILT_IN_TRIGGERS),
    "triggers": rules.triggers,
    "constraints": rules.constraints,
    "categories": rules.categories,
    "secret_rules": rules.secret_rules,
    "ignored": rules.ignored,
}


def load(path: str) -> Config:
    """The configuration in the file at ``path``.

    Raises:
        ConfigError: the path does not end in ``.json``, is no file, is over 1 MB, is no JSON
            or has problems; ``fields['problems']`` lists every one of them. A ``ValueError`` too.
    """
    if not path.endswith(".json"):
        raise ConfigError(f"Configuration {path} is not a .json file", path=path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Run casreplay init to write a template" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"Configuration {path} cannot be read: {reason}", hint=hint, path=path) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"Configuration {path} is larger than {MAX_CONFIG_BYTES} bytes", path=path)
    return parse(data, name=path)


def parse(data: bytes | str, *, name: str = "casreplay.json") -> Config:
    """The configuration in JSON text; ``name`` stands in messages.

    Raises:
        ConfigError: as ``load``.
    """
    found = Problems()
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        document = json.loads(text, object_pairs_hook=found.table, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"Configuration {name} is not valid JSON: {error}", path=name) from error
    if not isinstance(document, dict):
        raise ConfigError(f"Configuration {name} is not a JSON object", path=name)
    config = _config(found, document)
    if found.lines:
        count = f"{len(found.lines)} problem{'s' * (len(found.lines) > 1)}"
        lines = "".join(f"\n- {line}" for line in found.lines)
        raise ConfigError(f"Configuration {name} has {count}:{lines}", path=name, problems=tuple(found.lines))
    return config


def _config(found: Problems, document: Mapping[str, Any]) -> Config:
    specs = {spec.name: spec for spec in KEYS}
    found.unknown("", document, (*specs, "$schema"))
    fields: dict[str, Any] = {}
    for key, value in document.items():
        spec = specs.get(key)
        if spec is None:
            continue
        result = _READERS[spec.kind](found, key, value)
        if result is not None and spec.attribute:
            fields[spec.attribute] = result
    config = Config(**fields)
    _check_names(found, "TRIGGERS", [trigger.name for trigger in config.triggers])
    _check_names(found, "CONSTRAINTS", [constraint.name for constraint in config.constraints])
    _check_names(found, "SECRETS_RULES", [rule.name for rule in config.secrets_rules])
    return config


def _check_names(found: Problems, key: str, names: Sequence[str]) -> None:
    found.lines.extend(
        f"{key}: the name {name!r} is used twice" for name in sorted({n for n in names if names.count(n) > 1})
    )


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


def template() -> str:
    """The ``casreplay.json`` that ``init`` writes: the predecessor's keys with useful values."""
    document = {
        "WORKSPACE_ROOT": ".",
        "INCLUDE_PATTERNS": ["**/*"],
        "EXCLUDE_PATTERNS": [],
        "LOG_FILES": list(Config().log_files),
        "DECISION_MARKERS": [r"(?i)\bdecision:\s", r"(?i)\bi (?:will|chose|decided to)\b"],
        "TRIGGERS": [
            {
                "name": "fatal-in-logs",
                "type": "log_match",
                "severity": "high",
                "config": {"patterns": [r"(?i)\b(?:fatal|panic)\b"], "log_files": ["*.log"]},
            },
            {
                "name": "protected-file-deleted",
                "type": "file_change",
                "severity": "critical",
                "config": {"change_type": "deleted", "protected_patterns": ["*.db", "data/**"]},
            },
            {
                "name": "empty-result",
                "type": "pattern",
                "severity": "medium",
                "config": {"check": "empty_file", "watch_patterns": ["out/**", "results/**"]},
            },
        ],
        "ROOT_CAUSE_CATEGORIES": {
            "external_failure": {
                "description": "Something outside the workspace failed: a service, the network, a quota",
                "remediation": ["Check the service's status page", "Retry with backoff"],
            }
        },
    }
    return json.dumps(document, indent=2) + "\n"
