"""New secrets in changed files: the ones their earlier content did not hold."""

from __future__ import annotations

from collections.abc import Iterator

from casreplay.forensics.globs import PathMatcher
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.model import SecretClass, SecretMatch
from casreplay.forensics.triggers.pair import Examined, Pair, file_blob
from casreplay.model.config import Config
from casreplay.model.findings import Evidence, Finding, FindingKind, Severity
from casreplay.model.paths import display

__all__ = ["secret_changes"]


def secret_changes(pair: Pair, secrets: BlobSecrets, config: Config, examined: Examined) -> Iterator[Finding]:
    """A finding for each new secret, named by the secret's rule: tokens critical, the rest for review."""
    excluded = PathMatcher(config.secrets_exclude)
    severities = {rule.name: rule.severity for rule in config.secrets_rules}
    for change in pair.changes:
        after = file_blob(change.after)
        before = file_blob(change.before)
        if after is None or after == before or excluded.matches(change.path):
            continue
        assert change.after is not None
        examined.count("secret_files")
        examined.count("secret_bytes", change.after.size_bytes)
        for match in secrets.new_since(before, after, change.path):
            plain = Severity.CRITICAL if match.secret_class is SecretClass.TOKEN else Severity.MEDIUM
            evidence = Evidence(
                change.path, pair.after, after, match.line, match.line, match.offset, match.length
            )
            severity = severities.get(match.rule, plain)
            yield Finding(match.rule, FindingKind.SECRET, severity, _message(match, change.path), (evidence,))


def _message(match: SecretMatch, path: bytes) -> str:
    what = "A secret" if match.secret_class is SecretClass.TOKEN else "What may be a secret"
    wrapped = f", inside {match.encoding}" if match.encoding else ""
    shown = f"<{match.rule}> len={match.value_length} fp={match.fingerprint}"
    return f"{what} is new in {display(path)}{wrapped}: {shown}"
