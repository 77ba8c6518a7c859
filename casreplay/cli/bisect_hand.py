"""A search driven by hand: ``bisect start``, ``good``, ``bad``, ``skip`` and what belongs to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from casreplay.cli import bisect_view
from casreplay.cli.options import command, json_option, snapshot_argument
from casreplay.cli.session import Session
from casreplay.cli.text import count
from casreplay.errors import CasreplayError, UsageError
from casreplay.history.bisect import Bisector
from casreplay.history.bisect_command import RUN_LOG
from casreplay.history.bisect_model import Outcome, Probe, SearchOptions, Verdict
from casreplay.history.bisect_range import Range
from casreplay.history.bisect_report import BisectReport, Effort, report_of
from casreplay.history.bisect_session import BisectRequest, boundary_changes, range_of
from casreplay.history.bisect_state import (
    HAND_LOG,
    BisectState,
    VerdictRow,
    decode_state,
    encode_state,
    settings_of,
)
from casreplay.model.objects import Snapshot
from casreplay.model.paths import display, from_display

__all__ = ["COMMANDS", "Hand"]

VIEW_PREFIX = "casreplay-bisect-"
OPTIONS = SearchOptions(confirm=0)
"""By hand nothing is run again unasked; contradicting verdicts still switch to the flaky search."""


class Hand:
    """The search by hand of this store: its log, and the searcher fed from it.

    Args:
        session: this run of the program.
        state: what its log says.
    """

    def __init__(self, session: Session, state: BisectState) -> None:
        self.session = session
        self.state = state
        self._line: Range | None = None

    @classmethod
    def load(cls, session: Session) -> Hand:
        """The search of this store; a usage error when there is none."""
        data = session.repository().store.read_cache(HAND_LOG)
        if not data:
            raise UsageError("No bisect is under way", hint="casreplay bisect start GOOD BAD")
        return cls(session, decode_state(data))

    def save(self) -> None:
        """Write the log among the store's caches."""
        self.session.repository().store.write_cache(HAND_LOG, [encode_state(self.state)])

    @property
    def is_open(self) -> bool:
        """Whether an end is still to be named."""
        return not (self.state.good and self.state.bad)

    def line(self) -> Range:
        """The range between the ends."""
        if self._line is None:
            repository, settings = self.session.repository(), self.state.settings
            request = BisectRequest(
                repository.snapshot(self.state.good),
                repository.snapshot(self.state.bad),
                watch=tuple(from_display(path) for path in settings.get("watch", ())),
                first_parent=bool(settings.get("first_parent")),
            )
            self._line = range_of(repository.store, request)
        return self._line

    def searcher(self) -> Bisector:
        """The search with every verdict so far in it."""
        line = self.line()
        places = {one.id.hex(): one for one in line.snapshots}
        found = Bisector(line.size, OPTIONS)
        told = {(row.snapshot, row.verdict) for row in self.state.rows}
        # An end is what it was named, even where no row of an edited or one-shot log says so.
        if (self.state.good, Verdict.GOOD) not in told:
            found.mark(0, Verdict.GOOD)
        if (self.state.bad, Verdict.BAD) not in told and line.size > 1:
            found.mark(line.size - 1, Verdict.BAD)
        for row in self.state.rows:
            one = places.get(row.snapshot)
            position = line.position_of(one) if one is not None else None
            if position is not None:
                found.mark(position, row.verdict)
        return found

    def candidate(self) -> tuple[Snapshot, Probe] | Outcome:
        """The snapshot to judge next and what is left, or the answer."""
        step = self.searcher().next_step()
        return step if isinstance(step, Outcome) else (self.line().first(step.positions[0]), step)

    def add(self, snapshot: Snapshot, verdict: Verdict) -> None:
        """Record a verdict and keep it."""
        self.note(snapshot, verdict)
        self.save()

    def note(self, snapshot: Snapshot, verdict: Verdict) -> None:
        """Record a verdict; the first good and the first bad one name the ends."""
        shown = snapshot.id.hex()
        if self.is_open and shown in (self.state.good, self.state.bad):
            end = "good" if self.state.good else "bad"
            raise UsageError(
                f"{bisect_view.snapshot_name(self.session, snapshot)} is the {end} end",
                hint="Name another snapshot, or casreplay bisect start begins anew",
            )
        if verdict is Verdict.GOOD and not self.state.good:
            self.state = replace(self.state, good=shown)
        elif verdict is Verdict.BAD and not self.state.bad:
            self.state = replace(self.state, bad=shown)
        elif not self.is_open and self.line().position_of(snapshot) is None:
            raise UsageError(
                f"{bisect_view.snapshot_name(self.session, snapshot)} is outside the range",
                hint="casreplay bisect status shows the range",
            )
        self.state = self.state.with_row(VerdictRow(shown, verdict, "person", why="manual"))
        self._line = None

    def tell(self) -> int:
        """Say what comes next, or the answer."""
        out = self.session.out
        if self.is_open:
            missing = "good" if not self.state.good else "bad"
            if out.json:
                out.data({"status": "running", "next": None, "remaining": None})
                return 0
            out.line(f"Now name a {missing} snapshot: casreplay bisect {missing} SNAPSHOT")
            return 0
        found = self.candidate()
        if isinstance(found, Outcome):
            self.state = replace(self.state, over=True)
            self.save()
            report = self.report(found)
            bisect_view.show(self.session, report, as_json=out.json)
            return bisect_view.EXIT_CODES[report.status.value]
        snapshot, step = found
        if out.json:
            out.data({"status": "running", "next": snapshot.id.hex(), "remaining": step.remaining})
            return 0
        steps = max(step.remaining - 1, 1).bit_length()
        out.line(
            f"Next: {bisect_view.snapshot_name(self.session, snapshot)}"
            f"  ({step.remaining:,} left, about {count(steps, 'step')})"
        )
        out.note("casreplay bisect view puts it into a folder; then, back here, bisect good, bad or skip")
        return 0

    def report(self, outcome: Outcome) -> BisectReport:
        """The answer with its change set."""
        rows = self.state.rows
        effort = Effort(runs=len(rows), skipped=sum(row.verdict is Verdict.SKIP for row in rows))
        found = report_of(outcome, self.line(), predicate="by hand", effort=effort)
        return replace(found, changes=boundary_changes(self.session.repository().store, found))


@command("start", examples=["casreplay bisect start good bad", "casreplay bisect start --watch src"])
@snapshot_argument("good", required=False)
@snapshot_argument("bad", required=False)
@click.option("--watch", multiple=True, metavar="PATH", help="Only this decides (repeatable).")
@click.option("--first-parent", is_flag=True, help="Leave out what merges brought in.")
@json_option
@click.pass_obj
def start(session: Session, /, *, good: str | None, bad: str | None, **options: Any) -> int:
    """Begin a search by hand, replacing an earlier one."""
    repository = session.repository()
    settings = settings_of(
        watch=[display(session.workspace_path(path)) for path in options["watch"]],
        first_parent=options["first_parent"],
    )
    named = (good, Verdict.GOOD), (bad, Verdict.BAD)
    ends = [(repository.snapshot(name), verdict) for name, verdict in named if name]
    hand = Hand(session, BisectState(settings=settings))
    for snapshot, verdict in ends:
        hand.note(snapshot, verdict)
    hand.save()
    return hand.tell()


def _marking(name: str, verdict: Verdict, text: str) -> click.Command:
    @command(name, help=text, examples=[f"casreplay bisect {name}", f"casreplay bisect {name} @~3"])
    @snapshot_argument("snapshot", required=False)
    @json_option
    @click.pass_obj
    def mark(session: Session, /, *, snapshot: str | None, as_json: bool) -> int:
        del as_json
        hand = Hand.load(session)
        if snapshot is not None:
            named = session.repository().snapshot(snapshot)
        else:
            if hand.is_open:
                raise UsageError(f"Name the snapshot: casreplay bisect {name} SNAPSHOT")
            found = hand.candidate()
            if isinstance(found, Outcome):
                raise UsageError("This bisect is over", hint="casreplay bisect reset, or start a new one")
            named = found[0]
        hand.add(named, verdict)
        return hand.tell()

    made: click.Command = mark
    return made


good = _marking("good", Verdict.GOOD, "The snapshot (the one under test by default) is good.")
bad = _marking("bad", Verdict.BAD, "The snapshot (the one under test by default) is bad.")
skip = _marking("skip", Verdict.SKIP, "The snapshot (the one under test by default) cannot be judged.")


@command("next", examples=["casreplay bisect next"])
@json_option
@click.pass_obj
def next_(session: Session, *, as_json: bool) -> int:
    """Which snapshot to test next, or the answer."""
    del as_json
    return Hand.load(session).tell()


@command("status", examples=["casreplay bisect status"])
@json_option
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Where the search by hand stands."""
    hand = Hand.load(session)
    rows = hand.state.rows
    counts = {v.value: sum(row.verdict is v for row in rows) for v in Verdict}
    found = None if hand.is_open else hand.candidate()
    running = found is None or not isinstance(found, Outcome)
    fields: dict[str, Any] = {
        "status": "running" if running else "over",
        "good": hand.state.good or None,
        "bad": hand.state.bad or None,
        "verdicts": counts,
        "next": found[0].id.hex() if found is not None and not isinstance(found, Outcome) else None,
        "remaining": found[1].remaining if found is not None and not isinstance(found, Outcome) else None,
    }
    if as_json:
        session.out.data(fields)
        return
    for name in ("good", "bad"):
        shown = fields[name]
        end = (
            bisect_view.snapshot_name(session, session.repository().snapshot(shown)) if shown else "not named"
        )
        session.out.line(f"{name:5} end  {end}")
    session.out.line(f"Verdicts   {counts['good']} good, {counts['bad']} bad, {counts['skip']} skip")
    hand.tell()


@command("log", examples=["casreplay bisect log > search.jsonl"])
@click.pass_obj
def log(session: Session) -> None:
    """Print the log of the search: JSON lines that bisect replay reads.

    Of the search by hand, or of the last bisect GOOD BAD when there is none.
    """
    store = session.repository().store
    data = store.read_cache(HAND_LOG) or store.read_cache(RUN_LOG)
    if not data:
        raise UsageError("No bisect was run", hint="casreplay bisect start GOOD BAD")
    session.out.raw([data])


@command("replay", examples=["casreplay bisect replay search.jsonl"])
@click.argument("file", metavar="FILE")
@json_option
@click.pass_obj
def replay(session: Session, *, file: str, as_json: bool) -> int:
    """Take up the search in FILE, as bisect log printed it (edited or not)."""
    del as_json
    try:
        with open(session.path(file), "rb") as source:
            data = source.read()
    except OSError as error:
        raise CasreplayError(f"{file}: {error.strerror}") from error
    hand = Hand(session, replace(decode_state(data), over=False))
    if not hand.is_open:
        hand.line()  # both ends must exist here
    hand.save()
    return hand.tell()


@command("reset", examples=["casreplay bisect reset"])
@click.pass_obj
def reset(session: Session) -> None:
    """Forget the search by hand and remove the folder of bisect view."""
    import os  # noqa: PLC0415 - start-up speed

    from casreplay.history.bisect_folder import remove_folder  # noqa: PLC0415 - start-up speed

    session.repository().store.write_cache(HAND_LOG, [])
    remove_folder(os.fsencode(_view_folder(session)))
    session.out.confirm("The bisect is forgotten")


@command(
    "view", examples=["(cd $(casreplay bisect view) && make test)", "casreplay bisect view --dir /tmp/look"]
)
@click.option("--dir", "folder", metavar="DIR", help="An empty or new folder outside the workspace.")
@click.pass_obj
def view(session: Session, *, folder: str | None) -> None:
    """Put the snapshot under test into a folder and print the folder's path.

    The folder is made anew each time and removed by bisect reset.
    """
    import os  # noqa: PLC0415 - start-up speed

    from casreplay.history.bisect_folder import WorkFolder, remove_folder  # noqa: PLC0415 - start-up speed
    from casreplay.workspace.platform import require_folder_calls  # noqa: PLC0415 - start-up speed

    require_folder_calls()
    hand = Hand.load(session)
    found = hand.candidate() if not hand.is_open else None
    if found is None or isinstance(found, Outcome):
        raise UsageError("No snapshot is under test", hint="casreplay bisect status says why")
    target = session.path(folder) if folder else os.fsencode(_view_folder(session))
    if folder is None:
        remove_folder(target)
    elif os.path.isdir(target) and os.listdir(target):
        raise UsageError(f"{folder} is not empty", hint="Name a new folder")
    os.makedirs(target, mode=0o700, exist_ok=True)
    WorkFolder(os.path.realpath(target)).switch(session.repository().store, found[0].root)
    session.out.line(os.fsdecode(target))


def _view_folder(session: Session) -> str:
    import os  # noqa: PLC0415 - start-up speed
    import tempfile  # noqa: PLC0415 - start-up speed

    store = session.repository().store
    return os.path.join(
        tempfile.gettempdir(), f"{VIEW_PREFIX}{getattr(os, 'getuid', int)()}-{store.id.hex()[:12]}"
    )


COMMANDS = (start, good, bad, skip, next_, status, log, replay, reset, view)
