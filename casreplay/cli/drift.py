"""``drift``: numbers over the whole history, where they change, and the snapshots to look at."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli.drift_tools import SECONDS, make_metrics
from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import clock_time, count, iso_time, safe_line
from casreplay.errors import StoreIOError, UsageError
from casreplay.history.collector import no_collector
from casreplay.model.ids import short
from casreplay.model.objects import Snapshot

if TYPE_CHECKING:
    from casreplay.forensics.drift import MetricDrift

__all__ = ["drift", "span_of"]

SHOWN_TURNS = 5
LONG = 10_000
"""Snapshots that are worth telling the garbage collector about."""


@command(
    "drift",
    examples=[
        "casreplay drift",
        "casreplay drift @~5000..@ --metric size:notes/MEMORY.md --metric 'count:TODO' --path '*.py'",
        "casreplay drift --metric value:config.json:model.temperature --every 1h --html drift.html",
        "casreplay drift --metric 'run:python score.py' --every 50",
    ],
)
@click.argument("span", metavar="[A..B]", required=False)
@click.option("--metric", "names", multiple=True, metavar="NAME", help="What to measure (repeatable).")
@click.option("--every", default="", metavar="1h|1d|N", help="One snapshot an hour, a day, or every N-th.")
@click.option("--path", "glob", metavar="GLOB", help="Files that count: and secrets look at.")
@click.option("--timeout", type=SECONDS, metavar="S", help="Seconds until a run:CMD is killed.")
@click.option("--html", "html_file", metavar="FILE", help="Write a page with a picture of each metric.")
@json_option
@click.pass_obj
def drift(session: Session, /, *, span: str | None, names: tuple[str, ...], **options: Any) -> None:
    """How the workspace changed over the whole history, or from A to B.

    Metrics: files, folders, bytes, churn, deletions, empty, size:PATH, lines:PATH,
    value:PATH:KEY, count:REGEX, secrets, run:CMD. Nothing is checked out but for run:CMD.
    """
    from casreplay.forensics.drift import MAX_SAMPLES, measure, sample  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.drift_metrics import DEFAULT_METRICS, is_cheap  # noqa: PLC0415 - start-up speed

    wanted = names or DEFAULT_METRICS
    with ExitStack() as stack:
        history = span_of(session, span)
        line = sample(history, options["every"], limit=None if all(map(is_cheap, wanted)) else MAX_SAMPLES)
        if len(line) < len(history) and not options["every"]:
            session.out.note(
                f"{len(history):,} snapshots, {len(line):,} of them looked at (--every 1 for all)"
            )
        if not line:
            raise UsageError("There is no snapshot to measure", hint="casreplay commit takes the first")
        metrics = make_metrics(session, wanted, options["glob"], stack, timeout_s=options["timeout"])
        progress = stack.enter_context(session.progress())
        found = measure(line, metrics, monitor=progress)
        progress.close()
    if options["html_file"]:
        _write_page(session, options["html_file"], _page(session, line, found, glob=options["glob"]))
        session.out.note(f"The page is in {options['html_file']}")
    if options["as_json"]:
        session.out.data(_fields(line, found))
        return
    session.out.lines(_lines(session, line, found, glob=options["glob"]))


def span_of(session: Session, span: str | None) -> list[Snapshot]:
    """The snapshots from A to B, both included, oldest first; all without ``span``."""
    repository = session.repository()
    if not span:
        return _all(repository.snapshots())[::-1]
    first, dots, last = span.partition("..")
    if not dots:
        raise UsageError(f"{span!r} is not A..B", hint="For instance good..@")
    oldest = repository.snapshot(first).sequence if first else 0
    newest = repository.snapshot(last or "@").sequence
    low, high = sorted((oldest, newest))
    return _all(one for one in repository.snapshots() if low <= one.sequence <= high)[::-1]


def _all(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """A list of them, made without looking for garbage among what is kept until the end."""
    with no_collector():
        found = list(snapshots)
        if len(found) > LONG:
            gc.freeze()
    return found


def _lines(
    session: Session, line: Sequence[Snapshot], found: Sequence[MetricDrift], *, glob: str | None
) -> Iterator[str]:
    out = session.out
    first, last = line[0], line[-1]
    yield (
        f"{count(len(line), 'snapshot')} from {short(first.id)} ({clock_time(first.time_ns)})"
        f" to {short(last.id)} ({clock_time(last.time_ns)})"
    )
    for one in found:
        yield ""
        yield out.style(safe_line(one.name), "bold") + _summary(one)
        if not one.values:
            continue
        yield from _picture(one)
        yield from _turn_lines(session, one, glob=glob)


def _summary(one: MetricDrift) -> str:
    from casreplay.forensics.drift_plot import number  # noqa: PLC0415 - start-up speed

    if not one.values:
        return "  no snapshot has this number"
    unit = f" {one.unit}" if one.unit else ""
    text = f"  {number(one.values[0])} -> {number(one.values[-1])}{unit}"
    text += f", lowest {number(min(one.values))}, highest {number(max(one.values))}"
    if one.missing:
        text += f"; {one.missing:,} without a number"
    if one.shape.slope is not None:
        text += f"; slope {number(one.shape.slope)} over the whole range"
    return text + {"constant": "; constant", "steps": "; exact steps", "short": "; too few to judge"}.get(
        one.shape.kind, ""
    )


def _picture(one: MetricDrift) -> Iterator[str]:
    from casreplay.forensics.drift_plot import blocks  # noqa: PLC0415 - start-up speed

    if one.shape.kind == "constant":
        return
    for row in blocks(one.values, [turn.change.at for turn in one.turns[:SHOWN_TURNS]]):
        yield "  " + row


def _turn_lines(session: Session, one: MetricDrift, *, glob: str | None) -> Iterator[str]:
    from casreplay.forensics.drift_plot import number  # noqa: PLC0415 - start-up speed

    label_of = session.repository().notes.label_of
    for turn in one.turns[:SHOWN_TURNS]:
        effect = f", effect {turn.change.effect:.1f}" if turn.change.effect is not None else ""
        label = f' "{safe_line(label_of(turn.first))[:40]}"' if label_of(turn.first) else ""
        yield (
            f"  {number(turn.change.before)} -> {number(turn.change.after)}{effect}"
            f"  at {short(turn.first.id)} #{turn.first.sequence}{label}"
        )
    if len(one.turns) > SHOWN_TURNS:
        yield f"  ... and {len(one.turns) - SHOWN_TURNS:,} smaller ones (--json has all)"
    if one.turns and one.name not in ("churn", "deletions"):
        largest = one.turns[0]
        from shlex import quote  # noqa: PLC0415 - one line of one command

        seen = f" --path {quote(safe_line(glob))}" if glob else ""
        yield (
            f"  Look closer: casreplay bisect {short(largest.last.id)} {short(largest.first.id)}"
            f" --metric {quote(safe_line(one.name))}{seen}"
        )


def _fields(line: Sequence[Snapshot], found: Sequence[MetricDrift]) -> dict[str, Any]:
    return {
        "from": line[0].id.hex(),
        "to": line[-1].id.hex(),
        "samples": len(line),
        "metrics": [_metric_fields(one) for one in found],
    }


def _metric_fields(one: MetricDrift) -> dict[str, Any]:
    values = one.values
    return {
        "name": one.name,
        "unit": one.unit,
        "kind": one.shape.kind,
        "first": values[0] if values else None,
        "last": values[-1] if values else None,
        "lowest": min(values) if values else None,
        "highest": max(values) if values else None,
        "missing": one.missing,
        "slope": one.shape.slope,
        "trend_z": round(one.shape.trend_z, 4),
        "resolution": one.shape.resolution,
        "changes": [
            {
                "last": turn.last.id.hex(),
                "first": turn.first.id.hex(),
                "sequence": turn.first.sequence,
                "time": iso_time(turn.first.time_ns),
                "before": turn.change.before,
                "after": turn.change.after,
                "effect": round(turn.change.effect, 4) if turn.change.effect is not None else None,
            }
            for turn in one.turns
        ],
        "series": [[s.sequence, v] for s, v in zip(one.snapshots, values, strict=True)],
    }


def _write_page(session: Session, name: str, page: Iterator[str]) -> None:
    try:
        with open(session.path(name), "w", encoding="utf-8") as file:
            file.writelines(page)
    except OSError as error:
        raise StoreIOError(f"Cannot write {name}: {error.strerror}", path=name) from error


def _page(
    session: Session, line: Sequence[Snapshot], found: Sequence[MetricDrift], *, glob: str | None
) -> Iterator[str]:
    """A self-contained page: no script, nothing loaded from elsewhere."""
    from html import escape  # noqa: PLC0415 - only with --html

    from casreplay.forensics.drift_plot import svg  # noqa: PLC0415 - as above

    yield (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Drift</title><style>'
        "body{font:15px/1.5 sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;"
        "background:#fff;color:#222}@media(prefers-color-scheme:dark){body{background:#181a1b;color:#ddd}}"
        "h2{font-size:1.1rem;margin:2rem 0 .3rem}code{font-size:.9em}</style>\n"
    )
    span = f"{short(line[0].id)} to {short(line[-1].id)}"
    yield f"<h1>Drift</h1><p>{count(len(line), 'snapshot')}, {span}, {iso_time(line[0].time_ns)[:19]}"
    yield f" to {iso_time(line[-1].time_ns)[:19]} UTC.</p>\n"
    for one in found:
        yield f"<h2>{escape(safe_line(one.name))}</h2><p>{escape(_summary(one).strip())}</p>\n"
        if one.values and one.shape.kind != "constant":
            yield svg(one.values, [turn.change.at for turn in one.turns], safe_line(one.name)) + "\n"
        turns = [escape(text.strip()) for text in _turn_lines(session, one, glob=glob)]
        if turns:
            yield "<ul>" + "".join(f"<li><code>{text}</code></li>" for text in turns) + "</ul>\n"
    yield "</html>\n"
