"""``incident``: the incidents of this store and their life; ``patterns``: what keeps coming back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.analyze import incident_database
from casreplay.cli.options import group, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import ago, clock_time, columns, count, duration, safe, safe_line
from casreplay.errors import ConfigError, NoRepositoryError, StoreIOError

if TYPE_CHECKING:
    from casreplay.model.incidents import Incident

__all__ = ["incident", "patterns"]

STATES = click.Choice(["triage", "started", "mitigated", "resolved", "closed", "cancelled"])
SEVERITIES = click.Choice(["info", "low", "medium", "high", "critical"])
MAX_IMPORT_BYTES = 256 << 20


@group(
    "incident",
    examples=[
        "casreplay incident list",
        "casreplay incident show INC-0001",
        "casreplay incident status INC-0001 resolved",
    ],
)
def incident() -> None:
    """List, show and change incidents. `casreplay analyze` records them."""


@incident.command(
    "list", examples=["casreplay incident list --open", "casreplay incident list --tag billing --json"]
)
@click.option(
    "--open", "only_open", is_flag=True, help="Only those that are not resolved, closed or cancelled."
)
@click.option("--status", "states", type=STATES, multiple=True, help="Only these states; may be repeated.")
@click.option("--tag", metavar="T", default="", help="Only those that carry the tag.")
@click.option("--since", metavar="TIME", help="Only those recorded since: a date, a time or 2w, 3d, 5h.")
@json_option
@click.pass_obj
def list_(session: Session, /, **options: Any) -> None:
    """Incidents, newest first."""
    from casreplay.model.incidents import Status  # noqa: PLC0415 - start-up speed

    opened = {one for one in Status if one.is_open} if options["only_open"] else set()
    wanted = {Status(one) for one in options["states"]} or opened
    since_ns = session.since(options["since"])
    with incident_database(session) as database:
        found = database.incidents(statuses=wanted, since_ns=since_ns, tag=options["tag"])
    if options["as_json"]:
        session.out.data({"incidents": [one.to_dict(whole=False) for one in found]})
        return
    now = session.clock()
    rows = [
        (
            one.id,
            one.status.value,
            one.severity.label,
            one.root_cause,
            ago(one.detected_ns, now),
            safe_line(one.title),
        )
        for one in found
    ]
    session.out.lines(columns(rows))
    if not rows:
        session.out.line("No incidents")


@incident.command("show", examples=["casreplay incident show INC-0001", "casreplay incident show 1 --json"])
@click.argument("name", metavar="INC")
@json_option
@click.pass_obj
def show(session: Session, /, *, name: str, as_json: bool) -> None:
    """One incident: state, times, cause, notes, action items, history."""
    with incident_database(session) as database:
        one = database.get(name)
    _shown(session, one, as_json=as_json)


def _shown(session: Session, one: Incident, *, as_json: bool) -> None:
    if as_json:
        session.out.data(one.to_dict())
        return
    out = session.out
    out.line(f"{out.style(one.id, 'yellow')} {safe_line(one.title)}")
    rows = [
        ("status", one.status.value),
        ("severity", one.severity.label),
        ("root cause", f"{one.root_cause.replace('_', ' ')} (set by {one.cause_by})"),
        ("owner", safe_line(one.owner) or "nobody"),
        ("tags", safe_line(", ".join(one.tags)) or "none"),
        ("last good", one.good[:12] or "unknown"),
        ("first bad", one.bad[:12] or "the folder"),
        ("recorded", clock_time(one.detected_ns)),
        ("seen", f"{count(len(one.occurrences), 'time')}"),
    ]
    for name, value in (
        ("to detect", one.time_to_detect_ns),
        ("to mitigate", one.time_to_mitigate_ns),
        ("to resolve", one.time_to_resolve_ns),
    ):
        if value is not None:
            rows.append((name, duration(value)))
    out.lines(f"  {line}" for line in columns(rows))
    for action in one.actions:
        mark = "x" if action.done_ns is not None else " "
        out.line(
            f"  [{mark}] {action.number}. {action.kind}: {safe_line(action.text)}"
            + (f" ({safe_line(action.owner)})" if action.owner else "")
        )
    for note in one.notes:
        who = f" {safe_line(note.author)}" if note.author else ""
        out.line(f"  {clock_time(note.time_ns)}{who}: {safe(note.text)}")


def _changed(session: Session, one: Incident, said: str, *, as_json: bool) -> None:
    if as_json:
        session.out.data(one.to_dict(whole=False))
    else:
        session.out.confirm(f"{one.id} {said}")


@incident.command("edit", examples=['casreplay incident edit INC-0001 --title "Tax rate" --severity high'])
@click.argument("name", metavar="INC")
@click.option("--title", metavar="TEXT", help="A new title.")
@click.option("--severity", type=SEVERITIES, help="A new severity.")
@click.option(
    "--root-cause", metavar="CATEGORY", help="The cause as a person sees it; wins over the machine's."
)
@json_option
@click.pass_obj
def edit(session: Session, /, *, name: str, **options: Any) -> None:
    """Change title, severity or root cause."""
    keys = ("title", "severity", "root_cause")
    changes = {key: options[key] for key in keys if options[key] is not None}
    with incident_database(session) as database:
        one = database.edit(name, **changes)
    _changed(session, one, "changed", as_json=options["as_json"])


@incident.command("note", examples=['casreplay incident note INC-0001 "Rolled back by hand" --author ana'])
@click.argument("name", metavar="INC")
@click.argument("text")
@click.option("--author", metavar="WHO", default="", help="Who says so.")
@json_option
@click.pass_obj
def note(session: Session, /, *, name: str, text: str, author: str, as_json: bool) -> None:
    """Add a remark."""
    with incident_database(session) as database:
        one = database.add_note(name, text, author=author)
    _changed(session, one, "has a new note", as_json=as_json)


@incident.command("assign", examples=["casreplay incident assign INC-0001 ana"])
@click.argument("name", metavar="INC")
@click.argument("owner")
@json_option
@click.pass_obj
def assign(session: Session, /, *, name: str, owner: str, as_json: bool) -> None:
    """Say who works on it; an empty name for nobody."""
    with incident_database(session) as database:
        one = database.edit(name, owner=owner)
    _changed(session, one, f"is {safe_line(one.owner) or 'nobody'}'s", as_json=as_json)


@incident.command(
    "tag",
    examples=["casreplay incident tag INC-0001 billing", "casreplay incident tag INC-0001 --remove billing"],
)
@click.argument("name", metavar="INC")
@click.argument("tags", nargs=-1)
@click.option("--remove", metavar="T", multiple=True, help="Take a tag away; may be repeated.")
@json_option
@click.pass_obj
def tag(
    session: Session, /, *, name: str, tags: tuple[str, ...], remove: tuple[str, ...], as_json: bool
) -> None:
    """Add and remove tags."""
    with incident_database(session) as database:
        one = database.tag(name, add=tags, remove=remove)
    _changed(session, one, f"is tagged {safe_line(', '.join(one.tags)) or 'with nothing'}", as_json=as_json)


@incident.command(
    "action",
    examples=[
        'casreplay incident action INC-0001 "Check the config in CI" --kind prevent --owner ana',
        "casreplay incident action INC-0001 --done 1",
    ],
)
@click.argument("name", metavar="INC")
@click.argument("text", required=False)
@click.option(
    "--kind",
    type=click.Choice(["prevent", "mitigate", "process"]),
    default="prevent",
    show_default=True,
    help="What it is for.",
)
@click.option("--owner", metavar="WHO", default="", help="Who does it.")
@click.option("--done", type=click.IntRange(min=1), metavar="N", help="Mark item N as done.")
@json_option
@click.pass_obj
def action(session: Session, /, *, name: str, text: str | None, **options: Any) -> None:
    """Add an action item, or mark one as done."""
    from casreplay.model.incidents import ActionKind  # noqa: PLC0415 - start-up speed

    if (text is None) == (options["done"] is None):
        raise click.UsageError("Give the text of a new action item, or --done with the number of one.")
    with incident_database(session) as database:
        if text is None:
            one = database.finish_action(name, options["done"])
        else:
            one = database.add_action(name, ActionKind(options["kind"]), text, owner=options["owner"])
    said = f"item {options['done']} is done" if text is None else f"has action item {one.actions[-1].number}"
    _changed(session, one, said, as_json=options["as_json"])


@incident.command(
    "status", examples=["casreplay incident status INC-0001 mitigated --reason 'old settings restored'"]
)
@click.argument("name", metavar="INC")
@click.argument("state", type=STATES)
@click.option("--reason", metavar="TEXT", default="", help="Why; kept in the history.")
@json_option
@click.pass_obj
def status(session: Session, /, *, name: str, state: str, reason: str, as_json: bool) -> None:
    """Move it on: triage, started, mitigated, resolved, closed; or cancelled."""
    from casreplay.model.incidents import Status  # noqa: PLC0415 - start-up speed

    with incident_database(session) as database:
        one = database.set_status(name, Status(state), reason=reason)
    _changed(session, one, f"is {one.status}", as_json=as_json)


@incident.command("reopen", examples=["casreplay incident reopen INC-0001 --reason 'it came back'"])
@click.argument("name", metavar="INC")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept in the history.")
@json_option
@click.pass_obj
def reopen(session: Session, /, *, name: str, reason: str, as_json: bool) -> None:
    """Start again what was resolved or closed."""
    from casreplay.model.incidents import Status  # noqa: PLC0415 - start-up speed

    with incident_database(session) as database:
        target = Status.TRIAGE if database.get(name).status is Status.CANCELLED else Status.STARTED
        one = database.set_status(name, target, reason=reason)
    _changed(session, one, f"is {one.status} again", as_json=as_json)


@incident.command("merge", examples=["casreplay incident merge INC-0002 --into INC-0001"])
@click.argument("name", metavar="INC")
@click.option("--into", required=True, metavar="INC", help="The incident that stays.")
@json_option
@click.pass_obj
def merge(session: Session, /, *, name: str, into: str, as_json: bool) -> None:
    """Make one incident part of another: occurrences, tags and notes move, and it is cancelled."""
    with incident_database(session) as database:
        one = database.merge(name, into)
    _changed(session, one, "holds both now", as_json=as_json)


@incident.command("delete", examples=["casreplay incident delete INC-0003 --yes"])
@click.argument("name", metavar="INC")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def delete(session: Session, /, *, name: str, yes: bool, as_json: bool) -> None:
    """Remove an incident for good; its number is never given again."""
    with incident_database(session) as database:
        one = database.get(name)
        if not yes and not session.out.is_terminal:
            raise click.UsageError("Say --yes to delete without being asked.")
        if not yes:
            click.confirm(f"Delete {one.id} {safe_line(one.title)!r} for good?", abort=True)
        database.delete(name)
    if as_json:
        session.out.data({"deleted": one.id})
    else:
        session.out.confirm(f"{one.id} is deleted")


@incident.command("export", examples=["casreplay incident export -o incidents.json"])
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.pass_obj
def export(session: Session, /, *, output: str | None) -> None:
    """Everything about all incidents, as JSON."""
    import json  # noqa: PLC0415 - only here

    with incident_database(session) as database:
        document = database.export()
    if output is None:
        session.out.data(document)
        return
    try:
        with open(session.path(output), "w", encoding="ascii") as file:
            file.write(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise StoreIOError(f"Cannot write {output}: {error.strerror}", path=output) from error


@incident.command("import", examples=["casreplay incident import incidents.json"])
@click.argument("file")
@json_option
@click.pass_obj
def import_(session: Session, /, *, file: str, as_json: bool) -> None:
    """Add the incidents of an export, under new ids: all of them, or none."""
    import json  # noqa: PLC0415 - only here

    try:
        with open(session.path(file), "rb") as source:
            raw = source.read(MAX_IMPORT_BYTES + 1)
        document = json.loads(raw) if len(raw) <= MAX_IMPORT_BYTES else None
    except OSError as error:
        raise StoreIOError(f"Cannot read {file}: {error.strerror}", path=file) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is no JSON ({error})", path=file) from error
    if not isinstance(document, dict):
        raise ConfigError(
            f"{file} is no export of incidents", hint="Make one with `casreplay incident export`"
        )
    with incident_database(session) as database:
        ids = database.import_(document)
    if as_json:
        session.out.data({"imported": ids})
    else:
        session.out.confirm(
            f"Imported {count(len(ids), 'incident')}" + (f": {', '.join(ids)}" if ids else "")
        )


@group(
    "patterns",
    invoke_without_command=True,
    examples=[
        "casreplay patterns",
        "casreplay patterns --json",
        "casreplay patterns ignore 9c1f2a7b3e4d --reason 'a test run'",
    ],
)
@click.option("--store", "stores", metavar="PATH", multiple=True, help="Read this store; may be repeated.")
@json_option
@click.pass_context
def patterns(context: click.Context, /, *, stores: tuple[str, ...], as_json: bool) -> None:
    """What keeps coming back, the dearest first: by time spent, then by how often."""
    if context.invoked_subcommand is not None:
        if stores:
            context.obj.store_option = stores[0]
        return
    session: Session = context.obj
    from casreplay.incidents.patterns import group as grouped  # noqa: PLC0415 - start-up speed

    found, ignored = _read_all(session, stores)
    rows = grouped(found, ignored, session.clock())
    if as_json:
        session.out.data({"patterns": [one.to_dict() for one in rows]})
        return
    for one in rows:
        state = f"ignored: {safe_line(one.ignored)}" if one.ignored is not None else f"{one.open} open"
        session.out.line(f"{session.out.style(one.fingerprint, 'yellow')} {safe_line(one.title)}")
        session.out.line(
            f"  {one.root_cause.replace('_', ' ')}; seen {count(one.occurrences, 'time')},"
            f" {clock_time(one.first_ns)} to {clock_time(one.last_ns)};"
            f" {duration(int(one.cost_s * 1e9))} in all; {state}"
        )
        session.out.line(f"  {', '.join(one.incidents)}")
    if not rows:
        session.out.line("No patterns: no incident with evidence is recorded")


def _read_all(session: Session, stores: tuple[str, ...]) -> tuple[list[tuple[str, Incident]], dict[str, str]]:
    """Incidents of one store, or of several with the store's folder name before their ids."""
    if not stores:
        with incident_database(session) as database:
            return [("", one) for one in database.incidents()], database.ignored()
    from casreplay.incidents.database import NAME, IncidentDatabase  # noqa: PLC0415 - several stores only

    found: list[tuple[str, Incident]] = []
    ignored: dict[str, str] = {}
    folders = list(dict.fromkeys(os.path.realpath(os.fsdecode(session.path(text))) for text in stores))
    names = [os.path.basename(folder) for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        if not os.path.isfile(os.path.join(folder, "format")):
            raise NoRepositoryError(
                f"There is no store at {folder}", hint="Name the store's own folder", store=folder
            )
        shown = name if names.count(name) == 1 else folder
        prefix = f"{shown}:" if len(folders) > 1 else ""
        if not os.path.exists(os.path.join(folder, NAME)):
            continue
        with IncidentDatabase(os.path.join(folder, NAME), clock=session.clock) as database:
            found += [(prefix, one) for one in database.incidents()]
            ignored.update(database.ignored())
    return found, ignored


@patterns.command(
    "ignore",
    examples=[
        "casreplay patterns ignore 9c1f2a7b3e4d --reason 'a test run'",
        "casreplay patterns ignore 9c1f2a7b3e4d --undo",
    ],
)
@click.argument("fingerprint")
@click.option("--reason", metavar="TEXT", default="", help="Why it was wrongly flagged.")
@click.option("--undo", is_flag=True, help="Take it back.")
@json_option
@click.pass_obj
def ignore(session: Session, /, *, fingerprint: str, reason: str, undo: bool, as_json: bool) -> None:
    """Remember that a pattern was wrongly flagged: it opens no incident any more."""
    with incident_database(session) as database:
        if undo:
            database.unignore(fingerprint)
        else:
            database.ignore(fingerprint, reason)
    if as_json:
        session.out.data({"fingerprint": fingerprint, "ignored": not undo, "reason": reason})
    else:
        session.out.confirm(f"{fingerprint} is {'watched again' if undo else 'ignored from now on'}")
