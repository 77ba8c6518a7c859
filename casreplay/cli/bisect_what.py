"""What ``bisect`` looks for: options turned into a predicate, and what is done with the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from casreplay.cli.drift_tools import compile_pattern, make_metrics, secret_scanner
from casreplay.cli.session import Session
from casreplay.errors import StoreIOError, UsageError
from casreplay.history import predicates
from casreplay.history.bisect_model import Verdict
from casreplay.history.path_globs import covering
from casreplay.history.predicates import AnyFile, AtPath
from casreplay.history.probes import Command
from casreplay.model.objects import Snapshot

if TYPE_CHECKING:
    from casreplay.history.bisect_report import BisectReport
    from casreplay.history.bisect_session import BisectRequest

__all__ = [
    "metric_judge",
    "open_incident",
    "predicate",
    "secret_predicate",
    "trigger_judge",
    "write_patch",
]

KINDS = (
    "run_line",
    "grep",
    "exists",
    "missing",
    "empty",
    "changed",
    "larger",
    "json_value",
    "metric",
    "secret",
    "trigger",
)


def predicate(
    session: Session, request: BisectRequest, options: Mapping[str, Any]
) -> Command | AnyFile | AtPath | None:
    """The one predicate that was asked for; ``None`` when none was, or a trigger or metric.

    Raises:
        UsageError: several, or one that cannot be understood.
    """
    given = [kind for kind in KINDS if options[kind] not in (None, False)]
    names = " and ".join("--" + kind.removesuffix("_line").replace("_", "-") for kind in given)
    if len(given) > 1:
        raise UsageError(f"{names}: one predicate at a time")
    if given and options[given[0]] == "":
        raise UsageError(f"{names} is empty")
    if options["glob"] and given not in (["grep"], ["secret"], ["metric"]):
        raise UsageError("--path needs --grep, --secret or --metric")
    if options["patch_file"] and (not given or given[0] in ("metric", "trigger")):
        raise UsageError("--patch needs a command or a fact about the files")
    if options["patch_file"] and options["minimize"] is False:
        raise UsageError("--patch and --no-minimize exclude each other")
    if options["invert"] and given == ["metric"]:
        raise UsageError("--invert has no meaning with --metric: BAD is bad by its value there")
    if options["trace"] and given != ["run_line"]:
        raise UsageError("--trace needs --run", hint="Built-in predicates are exact without it")
    if not given or given in (["trigger"], ["metric"]):
        return None
    if given == ["run_line"]:
        if options["invert"]:
            raise UsageError("--invert is for built-in predicates", hint="Write ! CMD, or swap GOOD and BAD")
        return Command(options["run_line"], options["timeout"], session.environ)
    return _content(session, request, given[0], options)


def _content(
    session: Session, request: BisectRequest, kind: str, options: Mapping[str, Any]
) -> AnyFile | AtPath:
    value = options[kind]
    if kind == "grep":
        return predicates.grep(compile_pattern(value), value, options["glob"])
    if kind == "larger":
        path, size = _split(value, "PATH:SIZE")
        return predicates.larger(session.workspace_path(path), predicates.parse_size(size))
    if kind == "json_value":
        path, rest = _split(value, "PATH:KEY=VALUE")
        key, equals, wanted = rest.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{value!r} is not PATH:KEY=VALUE", hint="For instance config.json:model.name=small"
            )
        return predicates.json_value(session.workspace_path(path), key, wanted)
    if kind == "changed":
        path_bytes = session.workspace_path(value)
        return predicates.changed(path_bytes, session.repository().entry(request.good, path_bytes))
    if kind in ("exists", "missing", "empty"):
        make: Callable[[bytes], AtPath] = getattr(predicates, kind)
        return make(session.workspace_path(value))
    return secret_predicate(session, options["glob"])


def secret_predicate(session: Session, glob: str | None) -> AnyFile:
    """Bad where a file (whose path fits ``glob``) holds a secret, by the configured rules."""
    scan = secret_scanner(session)
    return AnyFile(
        "secret" + (f" in {glob}" if glob else ""),
        lambda path, content: bool(scan(content, path)),
        covering(glob),
        by_path=True,
    )


def metric_judge(
    session: Session, request: BisectRequest, name: str, glob: str | None, stack: ExitStack
) -> Callable[[Snapshot], Verdict]:
    """Bad where the metric ``name`` is nearer to its value at BAD than to its value at GOOD.

    Raises:
        UsageError: there is no such metric, or it is the same (or missing) at both ends.
    """
    metric = make_metrics(session, [name], glob, stack)[0]
    good, bad = metric.value(request.good, None), metric.value(request.bad, None)
    if good is None or bad is None or good == bad:
        shown = "missing at an end" if good is None or bad is None else f"{good:g} at both ends"
        raise UsageError(f"The metric {name} is {shown}", hint="casreplay drift shows where it changes")

    def judge(snapshot: Snapshot) -> Verdict:
        value = metric.value(snapshot, None)
        if value is None:
            return Verdict.SKIP
        return Verdict.BAD if abs(value - bad) < abs(value - good) else Verdict.GOOD

    return judge


def trigger_judge(
    session: Session, request: BisectRequest, name: str, *, invert: bool
) -> Callable[[Snapshot], Verdict]:
    """Bad where a rule called ``name`` (or ``name.`` and more) fires between GOOD and the snapshot.

    Raises:
        UsageError: there is no such rule.
    """
    from casreplay.forensics.triggers.check import rule_names  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.triggers.history import check_snapshots  # noqa: PLC0415 - as above

    repository = session.repository()
    wanted = {one for one in rule_names(repository.config) if one == name or one.startswith(name + ".")}
    if not wanted:
        raise UsageError(
            f"There is no trigger {name!r}",
            hint="docs/triggers.md lists them; casreplay check GOOD BAD --json names those that fire",
        )

    def judge(snapshot: Snapshot) -> Verdict:
        fires = snapshot.id != request.good.id and any(
            finding.rule in wanted for finding in check_snapshots(repository, request.good, snapshot).findings
        )
        return Verdict.BAD if fires is not invert else Verdict.GOOD

    return judge


def _split(text: str, shape: str) -> tuple[str, str]:
    path, colon, rest = text.partition(":")
    if not colon or not path or not rest:
        raise UsageError(f"{text!r} is not {shape}")
    return path, rest


def write_patch(session: Session, report: BisectReport, file: str | None) -> None:
    """Write the minimal change to ``file``; without one say so.

    Raises:
        StoreIOError: the file cannot be written.
    """
    if file is None:
        return
    if report.shrunk is None:
        session.out.warning(f"There is no minimal change to write; {file} was left alone")
        return
    try:
        with open(session.path(file), "wb") as out:
            out.write(report.shrunk.patch)
    except OSError as error:
        raise StoreIOError(f"Cannot write {file}: {error.strerror}", path=file) from error
    session.out.note(f"The minimal change is in {file}")
    if any(line.startswith(b"Binary files ") for line in report.shrunk.patch.splitlines()):
        session.out.warning("The patch names binary files without their content: restore brings that")


def open_incident(session: Session, report: BisectReport, title: str | None) -> str:
    """Analyse the step from last good to first bad and record an incident called ``title``; its id.

    Empty without a title, without both snapshots, or when the pattern was called wrongly flagged.
    """
    if title is None:
        return ""
    if report.last_good is None or report.first_bad is None:
        session.out.warning("No incident was opened: there is no step to analyse")
        return ""
    from casreplay.cli.analyze import incident_database  # noqa: PLC0415 - start-up speed
    from casreplay.forensics import analysis  # noqa: PLC0415 - as above
    from casreplay.incidents.recording import record  # noqa: PLC0415 - as above

    exit_code = report.signature.exit_code if report.signature is not None else None
    wanted = analysis.AnalyzeOptions([], exit_code)
    document = analysis.analyze(session.repository(), report.last_good, report.first_bad, wanted)
    with incident_database(session) as database:
        recorded = record(database, document, title=title)
    return recorded.incident.id if recorded.incident is not None else ""
