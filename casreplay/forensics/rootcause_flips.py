# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Flips: rules that move a log signal to another category because of what changed, or did not.

No log-only classifier has them. Each flip is a function with the name the signals' data
uses; it returns the new category, a factor for the weight and the reason, or ``None`` to
let the next one look. Flips that rest on the change set do nothing when it is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from casreplay.forensics.rootcause_changes import ChangeSet, damaged
from casreplay.forensics.rootcause_mentions import Mentions
from casreplay.forensics.signals import CARRIER, Signal

__all__ = ["FLIPS", "Flip", "Scene", "flip"]


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


_Rule = Callable[[Signal, str, Scene], Flip | None]

_ENDPOINT = re.compile(
    r"host|port|ur[li]|endpoint|addr|server|proxy|dsn|domain|gateway|broker|upstream|socket|scheme|api|remote|registry|base|origin|connection|database|redis|queue",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"://|^\[?[\w.-]+\]?:\d{1,5}$|^\d{1,3}(?:\.\d{1,3}){3}|^localhost\b|^[\w-]+(?:\.[\w-]+)+\.?(?::\d+)?$"
)
_TIMEOUT = re.compile(r"time|deadline|ttl|retr|wait|interval|delay|patience", re.IGNORECASE)
_CREDENTIAL = re.compile(
    r"key|token|secret|passw|auth|cred|user|login|account|role|cert|permission|scope|model", re.IGNORECASE
)
_TLS = re.compile(r"tls|ssl|cert|\bca\b|ca_|verify|trust|scheme|https|ur[li]", re.IGNORECASE)
_ENCODING = re.compile(r"encod|charset|locale|lang|codec", re.IGNORECASE)
_NETWORK = re.compile(
    r"https?\b|urlopen|\burl\b|socket|request|response|fetch|\bapi\b|server|upstream|connect|\bhost\b|download|remote|endpoint|content-length|network|client",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"quota|billing|credit|insufficient|balance|budget|plan limit|subscription|monthly|daily limit",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"\b(?:localhost|127\.0\.0\.1|::1|0\.0\.0\.0)\b")
_MODULE = re.compile(
    r"No module named '?(?P<a>[\w.]+)|Cannot find (?:module|package) '(?P<b>[^']+)'|such file -- (?P<c>[\w./-]+)|from '(?P<d>[\w.]+)'|module '(?P<e>[\w.]+)' has no"
)
_QUOTED = re.compile(r"['\"`]([^'\"`\s]{3,300})['\"`]|(?<![\w.])((?:[\w.~-]*/)[\w./@+-]+|[\w-]+\.\w{1,5})\b")


def flip(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """The first flip of ``signal`` that applies to ``line`` in ``scene``."""
    for name in signal.flips:
        result = FLIPS[name](signal, line, scene)
        if result is not None:
            return result
    return None


def _keys_changed(scene: Scene, keys: re.Pattern[str], values: re.Pattern[str] | None = None) -> str:
    """The first changed key that fits; ``""`` when none does."""
    for change in scene.changes.config_keys():
        if keys.search(change.key):
            return change.key
        if values is not None and (values.search(change.after) or values.search(change.before)):
            return change.key
    return ""


def _config_unread(scene: Scene) -> bool:
    """Whether configuration changed whose keys nobody compared."""
    return any(effect.category == "config_error" and not effect.keys for effect in scene.changes.of("config"))


def _endpoint(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    key = _keys_changed(scene, _ENDPOINT, _ADDRESS)
    if key:
        return Flip("config_error", 1.0, f"the setting {key} changed")
    if _config_unread(scene) and scene.changes.pull("config_error") >= 2.5:
        return Flip("config_error", 1.0, "the configuration that says where to connect changed")
    return None


def _endpoint_or_external(signal: Signal, line: str, scene: Scene) -> Flip | None:
    if not scene.changes.known or _endpoint(signal, line, scene) is not None:
        return None
    return Flip("external_failure", 1.0, "no proxy or address setting changed")


def _timeout_config(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    key = _keys_changed(scene, _TIMEOUT)
    return Flip("config_error", 1.0, f"the setting {key} changed") if key else None


def _tls_config(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    key = _keys_changed(scene, _TLS)
    return Flip("config_error", 1.0, f"the setting {key} changed") if key else None


def _encoding_config(signal: Signal, line: str, scene: Scene) -> Flip | None:
    key = _keys_changed(scene, _ENCODING)
    if key:
        return Flip("config_error", 1.0, f"the setting {key} changed")
    if damaged(scene.changes.effects):
        return None
    return _generic_source(signal, line, scene)


def _key_unchanged(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    if not scene.changes.known:
        return None
    if _keys_changed(scene, _CREDENTIAL) or scene.changes.pull("config_error") >= 2:
        return None
    if scene.changes.pull("logic_error") >= 3:
        return Flip("logic_error", 0.7, "code on the failing path changed, no credential did")
    return Flip("drift", 1.0, "no credential or setting changed: it expired, was rotated or revoked")


def _url_unchanged(signal: Signal, line: str, scene: Scene) -> Flip | None:
    if not scene.changes.known or _endpoint(signal, line, scene) is not None:
        return None
    if scene.changes.pull("config_error") >= 2:
        return None
    if scene.changes.pull("logic_error") >= 2.5:
        return Flip("logic_error", 1.0, "code changed, no address setting did")
    return Flip("drift", 1.0, "no address setting changed: what it names is gone")


def _local_server(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    if scene.server_categories and (_LOCAL.search(line) or _LOCAL.search(scene.mentions.text)):
        return Flip(CARRIER, 0.0, "the local server's own log holds the failure")
    return None


def _quota(_signal: Signal, line: str, _scene: Scene) -> Flip | None:
    if _QUOTA.search(line):
        return Flip("resource_exhaustion", 1.0, "it speaks of a quota or credit, not of a rate")
    return None


def _hang(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    if scene.mentions.network or _NETWORK.search(line) or _NETWORK.search(scene.mentions.text):
        return Flip("external_failure", 2.0, "the failing code waits for a network")
    changes = scene.changes
    if not changes.known:
        return None
    if changes.pull("resource_exhaustion"):
        return Flip("resource_exhaustion", 2.0, "its input grew")
    if changes.source_changed:
        return Flip("logic_error", 1.5, "no network word near it and code changed")
    if changes.pull("config_error") >= 2:
        return Flip("config_error", 1.5, "no network word near it and configuration changed")
    return Flip("resource_exhaustion", 1.0, "no network word near it")


def _mode_changed(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    modes = [effect for effect in scene.changes.effects if effect.rule == "change.mode"]
    if modes:
        return Flip("drift", 1.0, "the mode of a file changed in this interval")
    return None


def _missing_path(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    """A missing file: deleted in this interval, named by changed configuration, or asked for by changed code."""
    changes = scene.changes
    if not changes.known:
        return None
    gone = [effect for effect in changes.effects if effect.rule == "change.deleted"]
    if any(effect.linked for effect in gone):
        return Flip("drift", 3.0, "that path was deleted or moved in this interval")
    named = [a or b for a, b in _QUOTED.findall(line)]
    for key in changes.config_keys():
        value = key.after.strip("\"' ")
        if len(value) >= 3 and (
            value in line or any(value in name or name.endswith(value) for name in named)
        ):
            return Flip("config_error", 3.0, f"the path comes from the setting {key.key}, which changed")
    if gone:
        return Flip("drift", 2.0, "a file was deleted or moved in this interval")
    if changes.pull("config_error") >= 2 and changes.pull("config_error") >= changes.pull("logic_error"):
        return Flip("config_error", 2.0, "only configuration that could name the path changed")
    if changes.pull("drift") >= 2:
        return Flip("drift", 2.0, "a dependency or contract changed")
    if changes.source_changed:
        return Flip("logic_error", 2.0, "code that asks for the path changed")
    return Flip("drift", 2.0, "nothing here changed: what it expects outside is gone")


def _own_module(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    match = _MODULE.search(line)
    if match is None or not scene.changes.known:
        return None
    name = next(group for group in match.groups() if group)
    stem = re.split(r"[./\\]", name.strip("./"))[0 if "/" not in name else -1] or name
    stem = name.rstrip("/").rpartition("/")[2].split(".")[0] if "/" in name else stem
    changes = scene.changes
    for effect in changes.effects:
        names = [effect.change.path, effect.change.old_path or b""]
        if effect.rule == "change.deleted" and any(_has_part(path, stem) for path in names):
            return Flip("drift", 1.0, "that module was deleted or moved in this interval")
    if changes.of("dependency"):
        return None
    if changes.source_changed and not any(effect.rule == "change.deleted" for effect in changes.effects):
        return Flip("logic_error", 1.0, "only code changed: it asks for what is not there")
    return None


def _has_part(path: bytes, stem: str) -> bool:
    parts = path.decode("utf-8", "replace").split("/")
    return any(part == stem or part.split(".")[0] == stem for part in parts)


def _dependency(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changed = scene.changes.of("dependency")
    if changed and any(effect.category == "drift" for effect in changed):
        linked = any(effect.linked for effect in changed)
        if linked or not scene.changes.source_changed:
            return Flip("drift", 1.5, "a dependency changed" + ("" if linked else " and no code did"))
    return None


def _strongest(scene: Scene) -> tuple[str, float]:
    pulls = {name: scene.changes.pull(name) for name in ("drift", "data_corruption", "config_error")}
    best = max(pulls, key=lambda name: pulls[name])
    return best, pulls[best]


def _generic(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """Code stopped with an exception of its own: because of it, or because of what it was given?"""
    if not scene.changes.known:
        return None
    best, pull = _strongest(scene)
    code = scene.changes.pull("logic_error")
    if code >= 0.75:
        if pull >= code + 1:
            return Flip(best, 1.0, "what changed beside the code is nearer to the failure")
        return None
    if pull >= 1:
        return Flip(best, 1.25 if signal.weight >= 2 else 1.5, "no code changed, " + _REASONS[best])
    where = "what a remote side sends did" if scene.mentions.network else "what it works with outside did"
    return Flip("drift", 1.75 if signal.weight < 2 else 1.0, f"no code, data or setting changed: {where}")


_REASONS = {
    "drift": "but a dependency, contract or shape of data did",
    "data_corruption": "but its data did",
    "config_error": "but its configuration did",
}


def _generic_weak(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """Assertions and invariants: the same, but code that did not change may still be at fault."""
    result = _generic(signal, line, scene)
    return result if result is not None and result.category != signal.category else None


def _generic_source(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A complaint about data or names where only code changed: the code asks wrongly."""
    changes = scene.changes
    if not changes.known:
        return None
    best, pull = _strongest(scene)
    code = changes.pull("logic_error")
    if code > pull:
        return Flip("logic_error", 1.0, "only code changed")
    if pull >= 2 and best != signal.category and pull > changes.pull(signal.category):
        return Flip(best, 1.0, _REASONS[best].removeprefix("but "))
    return None


def _generic_data(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changes = scene.changes
    if changes.known and changes.pull("drift") >= 2.5 and not changes.pull("config_error"):
        return Flip("drift", 1.0, "the shape of data changed, no configuration did")
    if changes.known and changes.pull("logic_error") >= 2.5 and not changes.pull("config_error"):
        return Flip("logic_error", 0.7, "only code changed")
    return None


def _config_value(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changes = scene.changes
    pull = changes.pull("config_error")
    if pull >= 2 and pull >= changes.pull("logic_error") and pull >= changes.pull("data_corruption"):
        return Flip("config_error", 1.5, "a setting changed in this interval")
    return None


def _config_key(signal: Signal, line: str, scene: Scene) -> Flip | None:
    return _config_value(signal, line, scene)


def _damaged(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A format complaint: data corruption where a file lost its form, whatever the signal said."""
    hurt = damaged(scene.changes.effects)
    if hurt:
        return Flip("data_corruption", 1.2, f"{hurt[0].message[0].lower()}{hurt[0].message[1:]}")
    changes = scene.changes
    only_code = changes.source_changed and not changes.of("data", "contract")
    if changes.known and only_code and changes.pull("config_error") < 2 <= changes.pull("logic_error"):
        return Flip("logic_error", 0.8, "only code changed, no data did")
    return None


def _damaged_only(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    hurt = [effect for effect in damaged(scene.changes.effects) if effect.weight >= 2]
    return Flip("data_corruption", 1.2, "a file was damaged in this interval") if hurt else None


def _parse(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """Something does not parse: which file, and what happened to it?"""
    changes = scene.changes
    for effect in changes.effects:
        if (
            effect.rule in {"change.config_damaged", "change.damaged", "change.truncated"}
            and effect.weight >= 2
        ):
            return Flip("data_corruption", 1.2, effect.message[0].lower() + effect.message[1:])
        if effect.rule == "change.config_unparsable" or (
            effect.rule == "change.config" and effect.weight >= 2
        ):
            return Flip("config_error", 1.2, "a configuration file was edited in this interval")
    if not changes.known:
        return None
    if changes.pull("data_corruption") >= 1.5:
        return Flip("data_corruption", 1.0, "a data file changed in this interval")
    if changes.pull("logic_error") >= 2:
        return Flip("logic_error", 1.0, "only code changed")
    return _http_body(signal, line, scene)


def _http_body(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    if damaged(scene.changes.effects):
        return Flip("data_corruption", 1.0, "a file was damaged in this interval")
    if scene.changes.pull("data_corruption") >= 1.5:
        return None
    if scene.mentions.network or _NETWORK.search(line):
        return Flip("external_failure", 1.0, "it was read from a network and no file was damaged")
    return None


def _schema(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changes = scene.changes
    best, pull = _strongest(scene)
    if pull >= 2:
        return Flip(best, 1.0, _REASONS[best].removeprefix("but "))
    if changes.source_changed:
        return Flip("logic_error", 0.8, "only code changed")
    return None


def _data_changed(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changes = scene.changes
    if not changes.known:
        return None
    best, pull = _strongest(scene)
    if changes.pull("logic_error") > pull:
        return (
            Flip("logic_error", 1.0, "code changed, data did not")
            if signal.category != "logic_error"
            else None
        )
    if pull >= 1 and best != signal.category:
        return Flip(best, 1.3, _REASONS[best].removeprefix("but "))
    return None


def _snapshot(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changed = [effect for effect in scene.changes.of("contract") if effect.category == "drift"]
    if changed and not scene.changes.source_changed:
        return Flip("drift", 1.5, "what it is compared with changed, the code did not")
    return None


def _source_names(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A missing tool, variable or argument where only code changed: the code names it wrongly."""
    changes = scene.changes
    if not changes.known or not changes.source_changed:
        return None
    if changes.pull("config_error") >= 1 or changes.pull("drift") >= 1:
        return None
    return Flip("logic_error", 1.0, "only code changed")


def _source_sql(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    changes = scene.changes
    if changes.source_changed and changes.pull("drift") < changes.pull("logic_error"):
        return Flip("logic_error", 1.0, "the query's code changed, the schema did not")
    if changes.pull("config_error") >= 2.5 and changes.pull("drift") < 1:
        return Flip("config_error", 1.0, "the setting that names the database changed")
    return None


def _unreachable_index(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    words = r"connection (?:refused|reset|error)|timed out|name resolution|newconnectionerror|max retries|could not transfer|unknownhost"
    if re.search(words, scene.mentions.text):
        return Flip("external_failure", 1.0, "the index itself could not be reached")
    return None


def _header(_signal: Signal, line: str, _scene: Scene) -> Flip | None:
    if "No such file" in line:
        return Flip("drift", 1.0, "a header is missing")
    return None


FLIPS: dict[str, _Rule] = {
    "config_key": _config_key,
    "config_value": _config_value,
    "damaged": _damaged,
    "damaged_only": _damaged_only,
    "data_changed": _data_changed,
    "dependency": _dependency,
    "encoding_config": _encoding_config,
    "endpoint": _endpoint,
    "endpoint_or_external": _endpoint_or_external,
    "generic": _generic,
    "generic_data": _generic_data,
    "generic_source": _generic_source,
    "generic_weak": _generic_weak,
    "hang": _hang,
    "header": _header,
    "http_body": _http_body,
    "key_unchanged": _key_unchanged,
    "local_server": _local_server,
    "missing_path": _missing_path,
    "mode_changed": _mode_changed,
    "own_module": _own_module,
    "parse": _parse,
    "quota": _quota,
    "schema": _schema,
    "snapshot": _snapshot,
    "source_names": _source_names,
    "source_sql": _source_sql,
    "timeout_config": _timeout_config,
    "tls_config": _tls_config,
    "unreachable_index": _unreachable_index,
    "url_unchanged": _url_unchanged,
}
"""Every flip by the name the data uses."""
