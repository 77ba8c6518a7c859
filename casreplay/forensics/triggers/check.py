"""All triggers on one pair of states: the entry point of ``check``, ``analyze`` and bisection.

The order of findings is fixed (worst first, then path, line, rule); the same pair and
configuration give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from casreplay.forensics.constraints import constraints
from casreplay.forensics.emptiness import emptied
from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.growth import growth
from casreplay.forensics.matching import LinePatterns
from casreplay.forensics.redaction import Redactor
from casreplay.forensics.roles import Roles
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.triggers.config import config_changes
from casreplay.forensics.triggers.custom import custom_findings
from casreplay.forensics.triggers.deletion import deletions
from casreplay.forensics.triggers.log import changed_logs, log_findings, pattern_findings, read_log
from casreplay.forensics.triggers.log_cache import LogCache, log_key
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.forensics.triggers.secret import secret_changes
from casreplay.model.changes import Change
from casreplay.model.config import Config, IgnoredFinding, TriggerConfig
from casreplay.model.findings import Finding, Severity
from casreplay.model.monitor import SILENT, Monitor

__all__ = ["CheckResult", "check"]


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

    def to_dict(self) -> dict[str, object]:
        """JSON: ``findings`` and ``coverage``."""
        return {"findings": [f.to_dict() for f in self.findings], "coverage": dict(self.coverage)}


def check(
    pair: Pair,
    config: Config,
    secrets: BlobSecrets,
    *,
    logs: LogCache | None = None,
    monitor: Monitor = SILENT,
) -> CheckResult:
    """Run every trigger that is not switched off; ``logs`` remembers what was found in logs.

    Cost: linear in the new bytes of changed files; what was scanned for secrets before is
    remembered. Memory: two versions of one file up to 64 MiB, larger logs in pieces.
    """
    examined = Examined()
    examined.count("changes", len(pair.changes))
    redactor = Redactor(secrets.scanner)
    families = _families(pair, config, secrets, redactor, examined, logs or LogCache())
    monitor.stage("checking", len(families), "triggers")
    found: list[Finding] = []
    for done, (name, run) in enumerate(families, 1):
        if name in config.disabled_triggers:
            examined.notes.append(f"Triggers of the family {name} are switched off")
        else:
            found.extend(run())
        monitor.advance(done)
    kept = _without_ignored(found, config.ignore_findings)
    if config.triggers or config.constraints:
        examined.notes.append(f"Patterns of the configuration were matched by {LinePatterns(()).engine}")
    examined.notes.extend(secrets.scanner.custom.problems)
    ordered = tuple(sorted(kept, key=lambda finding: finding.sort_key))
    failed = examined.failed or bool(secrets.scanner.custom.problems)
    return CheckResult(ordered, len(found) - len(kept), examined.to_dict(), failed)


def _families(  # noqa: PLR0913, PLR0917 - everything the families work with
    pair: Pair,
    config: Config,
    secrets: BlobSecrets,
    redactor: Redactor,
    examined: Examined,
    cache: LogCache,
) -> list[tuple[str, Callable[[], Iterable[Finding]]]]:
    roles = Roles(config)
    own = [trigger for trigger in config.triggers if trigger.enabled]
    return [
        ("deletion", lambda: deletions(pair, roles, examined)),
        ("config", lambda: config_changes(pair, roles, redactor, examined)),
        ("constraint", lambda: constraints(pair, config.constraints, examined)),
        ("empty", lambda: emptied(pair, roles, examined)),
        ("growth", lambda: growth(pair, roles, examined)),
        ("secret", lambda: secret_changes(pair, secrets, config, examined)),
        ("log+", lambda: _logs(pair, roles, config, redactor, examined, cache)),
        ("own", lambda: _own(pair, own, redactor, examined)),
    ]


def _own(
    pair: Pair, triggers: Sequence[TriggerConfig], redactor: Redactor, examined: Examined
) -> Iterator[Finding]:
    for trigger in triggers:
        if trigger.kind != "log":
            yield from custom_findings(pair, trigger, redactor, examined)


def _logs(  # noqa: PLR0913, PLR0917 - one family, everything it works with
    pair: Pair, roles: Roles, config: Config, redactor: Redactor, examined: Examined, cache: LogCache
) -> Iterator[Finding]:
    """Built-in and the user's log triggers together: a log is read once."""
    own = [
        (trigger, PathMatcher(trigger.paths))
        for trigger in config.triggers
        if trigger.enabled and trigger.kind == "log"
    ]
    built_in = "log" not in config.disabled_triggers
    if not built_in:
        examined.notes.append("Triggers of the family log are switched off")
    if not built_in and not own:
        return
    named = PathMatcher([pattern for trigger, _ in own for pattern in trigger.paths])
    described = repr((built_in, [trigger for trigger, _ in own]))
    for change in changed_logs(pair, roles, examined, also=named.matches):
        after = file_blob(change.after)
        assert after is not None
        key = log_key(file_blob(change.before), after, change.path, described)
        found = cache.get(key, pair, change)
        if found is None:
            skipped = len(examined.skipped)
            found = list(_one_log(pair, change, own, redactor, examined, built_in=built_in))
            if len(examined.skipped) == skipped:
                cache.put(key, found)
        yield from found


def _one_log(  # noqa: PLR0913 - one log under all triggers
    pair: Pair,
    change: Change,
    own: Sequence[tuple[TriggerConfig, PathMatcher]],
    redactor: Redactor,
    examined: Examined,
    *,
    built_in: bool,
) -> Iterator[Finding]:
    log = read_log(pair, change, examined)
    if log is None:
        return
    if built_in:
        yield from log_findings(pair, log, redactor)
    for trigger, matcher in own:
        if not trigger.paths or matcher.matches(change.path):
            yield from pattern_findings(pair, log, trigger, redactor, examined)


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
