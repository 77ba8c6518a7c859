# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Flips of failures that reach for something outside: endpoints, timeouts, credentials, local servers."""

from __future__ import annotations

import re

from casreplay.forensics.rootcause_changes import damaged
from casreplay.forensics.rootcause_scene import NETWORK, Flip, Rule, Scene, key_that_changed
from casreplay.forensics.signals import CARRIER, Signal

__all__ = ["REMOTE_FLIPS", "http_body"]

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
_QUOTA = re.compile(
    r"quota|billing|credit|insufficient|balance|budget|plan limit|subscription|monthly|daily limit",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"\b(?:localhost|127\.0\.0\.1|::1|0\.0\.0\.0)\b")


def _config_unread(scene: Scene) -> bool:
    """Whether configuration changed whose keys nobody compared."""
    return any(effect.category == "config_error" and not effect.keys for effect in scene.changes.of("config"))


def _endpoint(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A host, port, URL or proxy setting changed: configuration."""
    key = key_that_changed(scene, _ENDPOINT, _ADDRESS)
    if key:
        return Flip("config_error", 1.0, f"the setting {key} changed")
    if _config_unread(scene) and scene.changes.pull("config_error") >= 2.5:
        return Flip("config_error", 1.0, "the configuration that says where to connect changed")
    return None


def _endpoint_or_external(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """Words of a proxy though no proxy or address setting changed: external."""
    if not scene.changes.known or _endpoint(signal, line, scene) is not None:
        return None
    return Flip("external_failure", 1.0, "no proxy or address setting changed")


def _timeout_config(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A timeout, retry or interval setting changed: configuration."""
    key = key_that_changed(scene, _TIMEOUT)
    return Flip("config_error", 1.0, f"the setting {key} changed") if key else None


def _tls_config(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A certificate, verification or scheme setting changed: configuration."""
    key = key_that_changed(scene, _TLS)
    return Flip("config_error", 1.0, f"the setting {key} changed") if key else None


def _key_unchanged(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """A refused credential though no setting changed: it expired or was revoked, drift."""
    if not scene.changes.known:
        return None
    if key_that_changed(scene, _CREDENTIAL) or scene.changes.linked("config_error") or _config_unread(scene):
        return None
    if scene.changes.pull("logic_error") >= 3:
        return Flip("logic_error", 0.7, "code on the failing path changed, no credential did")
    return Flip("drift", 1.0, "no credential or setting changed: it expired, was rotated or revoked")


def _url_unchanged(signal: Signal, line: str, scene: Scene) -> Flip | None:
    """An unknown address though no setting changed: what it names is gone, drift."""
    if not scene.changes.known or _endpoint(signal, line, scene) is not None:
        return None
    if scene.changes.linked("config_error") or _config_unread(scene):
        return None
    if scene.changes.pull("logic_error") >= 2.5:
        return Flip("logic_error", 1.0, "code changed, no address setting did")
    return Flip("drift", 1.0, "no address setting changed: what it names is gone")


def _local_server(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    """A local server has its own trace in another log: that one decides."""
    if scene.server_categories and (_LOCAL.search(line) or _LOCAL.search(scene.mentions.text)):
        return Flip(CARRIER, 0.0, "the local server's own log holds the failure")
    return None


def _quota(_signal: Signal, line: str, _scene: Scene) -> Flip | None:
    """Words of a quota, credit or budget instead of a rate: a resource."""
    if _QUOTA.search(line):
        return Flip("resource_exhaustion", 1.0, "it speaks of a quota or credit, not of a rate")
    return None


def _hang(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    """A timeout: external near a network, else the code, its input or its settings."""
    changes = scene.changes
    named = scene.mentions.waiting or NETWORK.search(line) or NETWORK.search(scene.mentions.text)
    if named or (scene.mentions.network and changes.pull("logic_error") < 2):
        return Flip("external_failure", 2.0, "the failing code waits for a network")
    if not changes.known:
        return None
    if changes.pull("resource_exhaustion"):
        return Flip("resource_exhaustion", 2.0, "its input grew")
    if changes.source_changed:
        return Flip("logic_error", 1.5, "no network word near it and code changed")
    if changes.pull("config_error") >= 2:
        return Flip("config_error", 1.5, "no network word near it and configuration changed")
    return Flip("resource_exhaustion", 1.0, "no network word near it")


def http_body(_signal: Signal, line: str, scene: Scene) -> Flip | None:
    """What does not parse came from a network and no file was damaged: external."""
    if damaged(scene.changes.effects):
        return Flip("data_corruption", 1.0, "a file was damaged in this interval")
    if scene.changes.pull("data_corruption") >= 1.5:
        return None
    if scene.mentions.network or NETWORK.search(line):
        return Flip("external_failure", 1.0, "it was read from a network and no file was damaged")
    return None


def _unreachable_index(_signal: Signal, _line: str, scene: Scene) -> Flip | None:
    """The package index itself could not be reached: external."""
    words = r"connection (?:refused|reset|error)|timed out|name resolution|newconnectionerror|max retries|could not transfer|unknownhost"
    if re.search(words, scene.mentions.text):
        return Flip("external_failure", 1.0, "the index itself could not be reached")
    return None


REMOTE_FLIPS: dict[str, Rule] = {
    "endpoint": _endpoint,
    "endpoint_or_external": _endpoint_or_external,
    "hang": _hang,
    "http_body": http_body,
    "key_unchanged": _key_unchanged,
    "local_server": _local_server,
    "quota": _quota,
    "timeout_config": _timeout_config,
    "tls_config": _tls_config,
    "unreachable_index": _unreachable_index,
    "url_unchanged": _url_unchanged,
}
"""The flips of this module by name."""
