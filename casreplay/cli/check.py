"""``check``: what triggers find between two states; ``secrets``: what a snapshot holds that it should not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import count, safe_line
from casreplay.errors import EXIT_FAILED, EXIT_OK, EXIT_PROBLEMS, StoreIOError
from casreplay.model.findings import Finding, Severity
from casreplay.model.paths import display

if TYPE_CHECKING:
    from casreplay.forensics.triggers.check import CheckResult
    from casreplay.forensics.triggers.history import SecretPlace

__all__ = ["check", "secrets"]

_COLOURS = {
    Severity.CRITICAL: ("red", "bold"),
    Severity.HIGH: ("red",),
    Severity.MEDIUM: ("yellow",),
    Severity.LOW: ("cyan",),
    Severity.INFO: ("dim",),
}
_SEVERITIES = click.Choice([severity.label for severity in Severity], case_sensitive=False)
_ENGINES = click.Choice(["auto", "hyperscan", "ahocorasick", "re"])
_engine = click.option("--engine", type=_ENGINES, help="How secrets are searched; all engines find the same.")


@command(
    "check",
    examples=[
        "casreplay check                              # the last snapshot against the folder now",
        "casreplay check good bad --fail-on high      # for CI: exit 1 on a finding this bad",
        "casreplay check @~1 @ --sarif findings.sarif",
    ],
)
@click.argument("before", metavar="[A]", default="@")
@click.argument("after", metavar="[B]", required=False)
@click.option("--fail-on", type=_SEVERITIES, help="Exit 1 when a finding is this severe or worse.")
@click.option("--sarif", metavar="FILE", help="Also write the findings as SARIF 2.1.0.")
@_engine
@json_option
@click.pass_obj
def check(session: Session, /, *, before: str, after: str | None, **options: Any) -> int:
    """Run the triggers between snapshots A and B; A..B means the same.

    Without B: between A and the folder as it is now. Finds new errors in logs, unexpected
    deletions, changed configuration keys, secrets, broken constraints, empty outputs and
    unusual growth (docs/triggers.md).
    """
    from casreplay.forensics.triggers.history import check_snapshots  # noqa: PLC0415 - start-up speed
    from casreplay.history.names import split_range  # noqa: PLC0415 - start-up speed

    if after is None and (span := split_range(before)) is not None:
        before, after = span
    repository = session.repository()
    a = repository.snapshot(before)
    b = repository.snapshot(after) if after is not None else None
    with session.progress() as progress:
        result = check_snapshots(repository, a, b, engine=options["engine"], monitor=progress)
    if options["sarif"]:
        _write_sarif(session, options["sarif"], result)
    if options["as_json"]:
        session.out.data(result.to_dict())
    else:
        _print_findings(session, result)
    if options["fail_on"] and result.worst is not None and result.worst >= Severity.parse(options["fail_on"]):
        return EXIT_FAILED
    return EXIT_PROBLEMS if result.failed else EXIT_OK


def _print_findings(session: Session, result: CheckResult) -> None:
    out = session.out
    for finding in result.findings:
        word = out.style(f"{finding.severity.label:<8}", *_COLOURS[finding.severity])
        out.line(f"{word} {finding.rule}  {_place(finding)}")
        out.line(f"         {safe_line(finding.message)}")
    ignored = f" ({count(result.ignored, 'accepted one')} left out)" if result.ignored else ""
    if not result.findings:
        out.line(f"No findings{ignored}")
    else:
        out.note(f"{count(len(result.findings), 'finding')}{ignored}")
    skipped = result.coverage.get("not_examined")
    if isinstance(skipped, list) and skipped:
        out.note(f"{count(len(skipped), 'file was', 'files were')} not, or not fully, examined (see --json)")


def _place(finding: Finding) -> str:
    at = finding.location
    text = display(at.path)
    if at.line is None:
        return text
    return f"{text}:{at.line}" if at.end_line in (None, at.line) else f"{text}:{at.line}-{at.end_line}"


def _write_sarif(session: Session, name: str, result: CheckResult) -> None:
    import json  # noqa: PLC0415 - only when asked for

    from casreplay import __version__  # noqa: PLC0415 - only when asked for
    from casreplay.report.sarif import rows_to_sarif  # noqa: PLC0415 - only when asked for

    rows = [
        {**finding.to_dict(), "related": [evidence.to_dict() for evidence in finding.evidence[1:]]}
        for finding in result.findings
    ]
    text = json.dumps(rows_to_sarif(rows, __version__), indent=2, ensure_ascii=False) + "\n"
    try:
        with open(session.path(name), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StoreIOError(f"Cannot write {name}: {error.strerror}", path=name) from error


@command(
    "secrets",
    examples=[
        "casreplay secrets              # every file of the newest snapshot",
        "casreplay secrets good..bad    # what came in between the two",
        "casreplay secrets @ --exit-code --json",
    ],
)
@click.argument("snapshot", metavar="[SNAP|A..B]", default="@")
@click.option("--exit-code", is_flag=True, help="Exit 1 when something was found.")
@_engine
@json_option
@click.pass_obj
def secrets(session: Session, /, *, snapshot: str, **options: Any) -> int:
    """Find secrets in a snapshot, or those that came in from A to B. No value is ever shown.

    Classes: token (a vendor's format or a private key: act now) and password-like (review).
    Equal fingerprints mean equal values; they cannot be turned back (docs/secrets.md).
    """
    from casreplay.forensics.triggers.history import secrets_between, secrets_in  # noqa: PLC0415 - start-up speed
    from casreplay.history.names import split_range  # noqa: PLC0415 - start-up speed

    repository = session.repository()
    engine = options["engine"]
    if (span := split_range(snapshot)) is not None:
        before, after = map(repository.snapshot, span)
        found = secrets_between(repository, before, after, engine=engine)
    else:
        with session.progress() as progress:
            found = secrets_in(repository, repository.snapshot(snapshot), engine=engine, monitor=progress)
    if options["as_json"]:
        session.out.data({"findings": [place.to_dict() for place in found]})
    else:
        _print_secrets(session, found)
    return EXIT_FAILED if found and options["exit_code"] else EXIT_OK


def _print_secrets(session: Session, found: list[SecretPlace]) -> None:
    from casreplay.cli.text import columns  # noqa: PLC0415 - JSON needs none of it

    out = session.out
    if not found:
        out.line("No secrets found")
        return
    rows = [
        (
            place.match.secret_class.value,
            f"{display(place.path)}:{place.match.line}:{place.match.column}",
            f"<{place.match.rule}> len={place.match.value_length} fp={place.match.fingerprint}",
        )
        for place in found
    ]
    out.lines(columns(rows))
    values = len({place.match.fingerprint for place in found})
    out.note(
        f"{count(len(found), 'place')}, {count(values, 'different value')}; the store itself still holds them"
    )
