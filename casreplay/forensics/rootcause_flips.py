# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Flips: rules that move a log signal to another category because of what changed, or did not.

No log-only classifier has them. Each flip is a function with the name the signals' data
uses; it returns the new category, a factor for the weight and the reason, or ``None`` to
let the next one look. Flips that rest on the change set do nothing when it is unknown.
"""

from __future__ import annotations

import re

from casreplay.forensics.rootcause_changes import damaged
from casreplay.forensics.rootcause_flips_remote import REMOTE_FLIPS, http_body
from casreplay.forensics.rootcause_scene import Flip, Rule, Scene, key_that_changed, strongest
from casreplay.forensics.signals import CARRIER, Signal

__all__ = ["FLIPS", "Flip", "Scene", "flip"]


_ENCODING = re.compile(r"encod|charset|locale|lang|codec", re.IGNORECASE)
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


def _encoding_config(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """An encoding setting changed: configuration; only code changed: the code."""
    key = key_that_changed(scene, _ENCODING)
    if key:
        return Flip("config_error", 1.0, f"the setting {key} changed")
    if damaged(scene.changes.effects):
        return None
    return _generic_source(signal, line, scene)


def _mode_changed(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """The mode of a file changed in this interval: drift."""
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
    """A missing module: drift where it was deleted or a dependency changed, else the code that asks."""
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
    """A dependency or lock file changed and no code did: drift."""
    changed = scene.changes.of("dependency")
    if changed and any(effect.category == "drift" for effect in changed):
        linked = any(effect.linked for effect in changed)
        if linked or not scene.changes.source_changed:
            return Flip("drift", 1.5, "a dependency changed" + ("" if linked else " and no code did"))
    return None


def _generic(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """Code stopped with an exception of its own: because of it, or because of what it was given?"""
    if not scene.changes.known:
        return None
    best, pull = strongest(scene)
    code = scene.changes.pull("logic_error")
    if scene.changes.source_changed:
        if pull >= code + 0.75:
            return Flip(best, 1.0, "what changed beside the code is nearer to the failure")
        return None
    if pull >= 1.25:
        return Flip(best, 1.25 if signal.weight >= 2 else 1.5, "no code changed, " + _REASONS[best])
    where = "what a remote side sends did" if scene.mentions.network else "what it works with outside did"
    return Flip("drift", 1.75 if signal.weight < 2 else 1.0, f"no code, data or setting changed: {where}")


_REASONS = {
    "drift": "but a dependency, contract or shape of data did",
    "data_corruption": "but its data did",
    "config_error": "but its configuration did",
}


def _unknown(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """An exception of the program's own naming: what changed decides, else the network it uses."""
    changes = scene.changes
    if not changes.known:
        return None
    if changes.source_changed or strongest(scene)[1] >= 1.25:
        return _generic(signal, line, scene)
    if scene.mentions.waiting or scene.mentions.network:
        return Flip("external_failure", 1.75, "nothing here changed and the code works with a network")
    return None


def _topic(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """What a line is about counts only where nothing in the workspace changed that could explain it."""
    changes = scene.changes
    if not changes.known:
        return None
    if max((effect.weight for effect in changes.effects if effect.category), default=0.0) >= 1:
        return Flip(CARRIER, 0.0, "what changed in the workspace says more")
    return Flip(signal.category, 1.75, "nothing in the workspace changed")


def _generic_weak(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """Assertions and invariants: the same, but code that did not change may still be at fault."""
    result = _generic(signal, line, scene)
    return result if result is not None and result.category != signal.category else None


def _generic_source(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A complaint about data or names where only code changed: the code asks wrongly."""
    changes = scene.changes
    if not changes.known:
        return None
    best, pull = strongest(scene)
    code = changes.pull("logic_error")
    if code > pull:
        return Flip("logic_error", 1.0, "only code changed")
    if pull >= 2 and best != signal.category and pull > changes.pull(signal.category):
        return Flip(best, 1.0, _REASONS[best].removeprefix("but "))
    return None


def _generic_data(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A missing upper-case key where data or only code changed."""
    changes = scene.changes
    if changes.known and changes.pull("drift") >= 2.5 and not changes.pull("config_error"):
        return Flip("drift", 1.0, "the shape of data changed, no configuration did")
    if changes.known and changes.pull("logic_error") >= 2.5 and not changes.pull("config_error"):
        return Flip("logic_error", 0.7, "only code changed")
    return None


def _config_value(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A setting changed and no code or data is nearer: configuration."""
    changes = scene.changes
    pull = changes.pull("config_error")
    if signal.category in {"external_failure", "resource_exhaustion"} and not changes.linked("config_error"):
        return None
    if pull >= 2 and pull >= changes.pull("logic_error") and pull >= changes.pull("data_corruption"):
        return Flip("config_error", 1.5, "a setting changed in this interval")
    return None


def _config_key(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """A missing key where a setting changed: configuration."""
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
    """A file was damaged in this interval: data corruption."""
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
    code = changes.pull("logic_error")
    remote = http_body(signal, line, scene) if code < 2.75 else None
    if remote is None and code >= 2:
        return Flip("logic_error", 1.0, "only code changed")
    return remote


def _schema(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A document that does not fit its schema: whatever of data, contract or settings changed."""
    changes = scene.changes
    best, pull = strongest(scene)
    if pull >= 2:
        return Flip(best, 1.0, _REASONS[best].removeprefix("but "))
    if changes.source_changed:
        return Flip("logic_error", 0.8, "only code changed")
    return None


def _strongest(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A complaint about a value: whatever changed most, code, data, contract or settings."""
    changes = scene.changes
    best, pull = strongest(scene)
    if changes.pull("logic_error") > pull:
        return Flip("logic_error", 0.8, "only code changed")
    if pull >= 1 and best != signal.category:
        return Flip(best, 1.0, _REASONS[best].removeprefix("but "))
    return None


def _data_changed(signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A complaint about values: the data, where it changed and the code did not."""
    changes = scene.changes
    if not changes.known:
        return None
    best, pull = strongest(scene)
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
    """What it is compared with changed and no code did: drift."""
    changed = [effect for effect in scene.changes.of("contract") if effect.category == "drift"]
    if changed and not scene.changes.source_changed:
        return Flip("drift", 1.5, "what it is compared with changed, the code did not")
    return None


def _source_names(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A missing tool, variable or argument where only code changed: the code names it wrongly."""
    changes = scene.changes
    if not changes.known or not changes.source_changed:
        return None
    if max(changes.pull("config_error"), changes.pull("drift")) >= changes.pull("logic_error"):
        return None
    return Flip("logic_error", 1.0, "code that names it changed")


def _source_sql(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A missing column or table where only the query's code changed: the code."""
    changes = scene.changes
    if changes.source_changed and changes.pull("drift") < changes.pull("logic_error"):
        return Flip("logic_error", 1.0, "the query's code changed, the schema did not")
    if changes.pull("config_error") >= 2.5 and changes.pull("drift") < 1:
        return Flip("config_error", 1.0, "the setting that names the database changed")
    return None


def _header(_signal: Signal, line: str, _scene: Scene) -> Flip | None:
    """A missing header file: drift."""
    if "No such file" in line:
        return Flip("drift", 1.0, "a header is missing")
    return None


FLIPS: dict[str, Rule] = {
    **REMOTE_FLIPS,
    "config_key": _config_key,
    "config_value": _config_value,
    "damaged": _damaged,
    "damaged_only": _damaged_only,
    "data_changed": _data_changed,
    "dependency": _dependency,
    "encoding_config": _encoding_config,
    "generic": _generic,
    "generic_data": _generic_data,
    "generic_source": _generic_source,
    "generic_weak": _generic_weak,
    "header": _header,
    "missing_path": _missing_path,
    "mode_changed": _mode_changed,
    "own_module": _own_module,
    "parse": _parse,
    "schema": _schema,
    "snapshot": _snapshot,
    "source_names": _source_names,
    "strongest": _strongest,
    "topic": _topic,
    "unknown": _unknown,
    "source_sql": _source_sql,
}
"""Every flip by the name the data uses."""
