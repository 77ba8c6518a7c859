"""All triggers on one pair of states: the entry point of ``check``, ``analyze`` and bisection.

The order of findings is fixed (worst first, then path, line, rule); the same pair and
configuration give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from casreplay.forensics.constraints import constraints
from casreplay.forensics.emptiness import emptied
from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.growth import growth
from casreplay.forensics.matching import LinePatterns
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Role, Roles
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.rules import default_rules
from casreplay.forensics.triggers.config import config_changes
from casreplay.forensics.triggers.custom import custom_findings
from casreplay.forensics.triggers.deletion import deletions
from casreplay.forensics.triggers.log import (
    LogChange,
    changed_logs,
    log_findings,
    pattern_findings,
    read_ahead,
    read_log,
)
from casreplay.forensics.triggers.log_cache import LogCache, log_key
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.forensics.triggers.secret import secret_changes
from casreplay.model.changes import Change
from casreplay.model.config import Config, IgnoredFinding, TriggerConfig
from casreplay.model.findings import Finding, Severity
from casreplay.model.monitor import SILENT, Monitor

__all__ = ["CheckResult", "check", "rule_names"]

BUILT_IN = (
    *(f"log.{name}" for name in ("trace", "fatal", "error", "many-errors")),
    *(f"deletion.{role.value}" for role in Role),
    *(f"config.key-{name}" for name in ("changed", "removed", "added", "moved")),
    *(f"config.{name}" for name in ("unparsable", "type-changed", "many-keys")),
    *(f"empty.{name}" for name in ("emptied", "shrunk", "output")),
    *(f"growth.{name}" for name in ("file", "files")),
)
"""The rules of ``docs/triggers.md`` besides those for secrets."""


LogReader = Callable[[Pair, Change, Examined], LogChange | None]
"""``triggers.log.read_log``, or one that remembers what it read."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the triggers found and what they looked at.

    Attributes:
        findings: in the one order of findings.
        ignored: findings that ``IGNORE_FINDINGS`` took out.
        coverage: JSON of what was and was not examined.
        failed: whether something that should have been examined could not be (a pattern ran too long).
    """

    findings: tuple[Finding, ...]
    ignored: int = 0
    coverage: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    failed: bool = False

    @property
    def worst(self) -> Severity | None:
        """The greatest severity found; ``None`` without findings."""
        return max((finding.severity for finding in self.findings), default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON: ``findings`` and ``coverage``."""
        return {"findings": [f.to_dict() for f in self.findings], "coverage": dict(self.coverage)}


def check(  # noqa: PLR0913 - what is checked, and two memories
    pair: Pair,
    config: Config,
    secrets: BlobSecrets,
    *,
    logs: LogCache | None = None,
    read: LogReader | None = None,
    monitor: Monitor = SILENT,
) -> CheckResult:
    """Run every trigger that is not switched off; ``logs`` remembers what was found in logs.

    Cost: linear in the new bytes of changed files; what was scanned for secrets before is
    remembered. Memory: two versions of one file up to 64 MiB, larger logs in pieces.
    """
    run = _Run(pair, config, secrets, logs or LogCache(), read or read_log)
    families = run.families()
    monitor.stage("checking", len(families), "triggers")
    found: list[Finding] = []
    for done, (name, family) in enumerate(families, 1):
        if name in config.disabled_triggers:
            run.examined.notes.append(f"Triggers of the family {name} are switched off")
        else:
            found.extend(family())
        monitor.advance(done)
    kept = _without_ignored(found, config.ignore_findings)
    ordered = tuple(sorted(kept, key=lambda finding: finding.sort_key))
    coverage, failed = run.coverage()
    return CheckResult(ordered, len(found) - len(kept), coverage, failed)


def rule_names(config: Config) -> frozenset[str]:
    """Every rule that a finding of ``check`` can name: built in, for secrets, or of the configuration."""
    own = (config.triggers, config.constraints, config.secrets_rules)
    return frozenset((*BUILT_IN, *default_rules().ids, *(one.name for part in own for one in part)))


class _Run:
    """One check: what every family works with."""

    def __init__(
        self, pair: Pair, config: Config, secrets: BlobSecrets, cache: LogCache, read: LogReader
    ) -> None:
        self.pair = pair
        self.config = config
        self.secrets = secrets
        self.cache = cache
        self.read = read
        self.roles = Roles(config)
        self.redactor = Redactor(secrets.scanner)
        self.examined = Examined()
        self.examined.count("changes", len(pair.changes))

    def families(self) -> list[tuple[str, Callable[[], Iterable[Finding]]]]:
        """Every family under the name that switches it off; logs decide for themselves."""
        pair, roles, examined = self.pair, self.roles, self.examined
        return [
            ("deletion", lambda: deletions(pair, roles, examined)),
            ("config", lambda: config_changes(pair, roles, self.redactor, examined)),
            ("constraint", lambda: constraints(pair, self.config.constraints, examined)),
            ("empty", lambda: emptied(pair, roles, examined)),
            ("growth", lambda: growth(pair, roles, examined)),
            ("secret", lambda: secret_changes(pair, self.secrets, self.config, examined)),
            ("logs", self._logs),
            ("own", self._own),
        ]

    def coverage(self) -> tuple[dict[str, object], bool]:
        """The coverage as JSON, and whether something went wrong."""
        problems = self.secrets.scanner.custom.problems
        if self.config.triggers or self.config.constraints:
            engine = LinePatterns(()).engine
            self.examined.notes.append(f"Patterns of the configuration were matched by {engine}")
        self.examined.notes.extend(problems)
        return self.examined.to_dict(), self.examined.failed or bool(problems)

    def _own(self) -> Iterator[Finding]:
        for trigger in self.config.triggers:
            if trigger.enabled and trigger.kind != "log":
                yield from custom_findings(self.pair, trigger, self.redactor, self.examined)

    def _logs(self) -> Iterator[Finding]:
        """Built-in and the user's log triggers together: a log is read once, or remembered."""
        own = [
            (trigger, PathMatcher(trigger.paths))
            for trigger in self.config.triggers
            if trigger.enabled and trigger.kind == "log"
        ]
        built_in = "log" not in self.config.disabled_triggers
        if not built_in:
            self.examined.notes.append("Triggers of the family log are switched off")
        if not built_in and not own:
            return
        named = PathMatcher([pattern for trigger, _ in own for pattern in trigger.paths])
        # The rules of secrets count too: they decide what the messages show.
        rules = self.secrets.scanner.digest.hex()
        described = repr((built_in, [trigger for trigger, _ in own], rules))
        changes = list(changed_logs(self.pair, self.roles, self.examined, also=named.matches))
        read_ahead(self.pair, [one for one in changes if self._cached(one, described) is None])
        for change in changes:
            yield from self._log(change, own, described, built_in=built_in)

    def _cached(self, change: Change, described: str) -> list[Finding] | None:
        """What is remembered about a changed log."""
        after = file_blob(change.after)
        assert after is not None
        key = log_key(file_blob(change.before), after, change.path, described)
        return self.cache.get(key, self.pair, change)

    def _log(
        self,
        change: Change,
        own: Sequence[tuple[TriggerConfig, PathMatcher]],
        described: str,
        *,
        built_in: bool,
    ) -> Sequence[Finding]:
        after = file_blob(change.after)
        assert after is not None
        key = log_key(file_blob(change.before), after, change.path, described)
        found = self.cache.get(key, self.pair, change)
        if found is None:
            skipped = len(self.examined.skipped)
            found = list(self._read(change, own, built_in=built_in))
            if len(self.examined.skipped) == skipped:
                self.cache.put(key, found)
        return found

    def _read(
        self, change: Change, own: Sequence[tuple[TriggerConfig, PathMatcher]], *, built_in: bool
    ) -> Iterator[Finding]:
        log = self.read(self.pair, change, self.examined)
        if log is None:
            return
        if built_in:
            yield from log_findings(self.pair, log, self.redactor)
        for trigger, matcher in own:
            if not trigger.paths or matcher.matches(change.path):
                yield from pattern_findings(self.pair, log, trigger, self.redactor, self.examined)


def _without_ignored(found: Sequence[Finding], ignored: Sequence[IgnoredFinding]) -> list[Finding]:
    rules = [(entry, PathMatcher(entry.paths)) for entry in ignored]
    return [
        finding
        for finding in found
        if not any(
            (not entry.rule or entry.rule == finding.rule)
            and (not entry.paths or matcher.matches(finding.location.path))
            for entry, matcher in rules
        )
    ]
