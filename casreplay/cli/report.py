"""``report``: an incident, or all of them, as Markdown, JSON, HTML or SARIF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.analyze import incident_database
from casreplay.cli.options import command
from casreplay.cli.output_file import write_output
from casreplay.cli.session import Session
from casreplay.errors import MissingObjectError

if TYPE_CHECKING:
    from casreplay.report.model import Report

__all__ = ["report"]

MAX_SHOWN_BYTES = 1 << 20


@command(
    "report",
    examples=[
        "casreplay report INC-0001",
        "casreplay report INC-0001 --format html -o report.html",
        "casreplay report --summary --since 30d",
    ],
)
@click.argument("name", required=False, metavar="[INC]")
@click.option("--summary", is_flag=True, help="Report on all incidents instead of one.")
@click.option(
    "--since", metavar="TIME", help="With --summary: only those recorded since (a date, a time, 30d)."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "html", "sarif"]),
    default="md",
    show_default=True,
    help="What to write: Markdown, JSON, one HTML page, or SARIF (findings only).",
)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.pass_obj
def report(session: Session, /, *, name: str | None, summary: bool, **options: Any) -> None:
    """Write the report on an incident, or a summary over all.

    The same incident gives the same bytes. HTML is one file that asks nothing from anywhere.
    """
    if summary == (name is not None):
        raise click.UsageError("Name one incident, or say --summary.")
    made = _summary(session, options["since"]) if name is None else _incident(session, name)
    text = _rendered(made, options["form"])
    if options["output"] is None:
        session.out.raw([text.encode("utf-8", "backslashreplace")])
    else:
        write_output(session, options["output"], text)
        session.out.confirm(f"Wrote {options['output']}")


def _summary(session: Session, since: str | None) -> Report:
    from casreplay.incidents.patterns import group  # noqa: PLC0415 - start-up speed
    from casreplay.report.summary import summary_report  # noqa: PLC0415 - start-up speed

    since_ns = session.since(since)
    with incident_database(session) as database:
        found = database.incidents(since_ns=since_ns)
        last = max((one.detected_ns for one in found), default=0)
        patterns = group((("", one) for one in found), database.ignored(), last)
    return summary_report(found, patterns, since_ns)


def _incident(session: Session, name: str) -> Report:
    from casreplay.forensics.redaction import Redactor, redact_range  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.triggers.history import blob_secrets  # noqa: PLC0415 - start-up speed
    from casreplay.model.ids import BlobId, ObjectId  # noqa: PLC0415 - start-up speed
    from casreplay.model.paths import from_display  # noqa: PLC0415 - start-up speed
    from casreplay.report.build import incident_report  # noqa: PLC0415 - start-up speed

    repository = session.repository()
    with incident_database(session) as database:
        one = database.get(name)
    with blob_secrets(repository) as secrets:
        redactor = Redactor(secrets.scanner)

        def read(blob: str, shown: str) -> bytes | None:
            object_id, path = ObjectId(bytes.fromhex(blob)), from_display(shown)
            try:
                if repository.objects.info(object_id).raw_bytes > MAX_SHOWN_BYTES:
                    return None
                # First what the whole content shows, as the kind of file it is, then what is left.
                known = secrets.of(BlobId(object_id), path)
                safe = redact_range(repository.objects.get(object_id), 0, known)
                return redactor.bytes(safe, path)
            except MissingObjectError:
                return None  # only the folder held it, or it was purged

        return incident_report(one, read, diff_rows=repository.config.max_diff_lines)


def _rendered(made: Report, form: str) -> str:
    if form == "html":
        from casreplay.report.html import to_html  # noqa: PLC0415 - only when asked for

        return to_html(made)
    if form == "md":
        from casreplay.report.markdown import to_markdown  # noqa: PLC0415 - only when asked for

        return to_markdown(made)
    import json  # noqa: PLC0415 - only when asked for

    if form == "sarif":
        from casreplay.report.sarif import rows_to_sarif  # noqa: PLC0415 - only when asked for

        return json.dumps(rows_to_sarif(made.findings), indent=2, ensure_ascii=True) + "\n"
    return json.dumps(made.data, indent=2, ensure_ascii=True) + "\n"
