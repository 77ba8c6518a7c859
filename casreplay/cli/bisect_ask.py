"""``bisect GOOD BAD`` without a predicate: one snapshot after the other in a folder, and questions."""

from __future__ import annotations

from dataclasses import replace

import click

from casreplay.cli import bisect_view
from casreplay.cli.bisect_hand import Hand
from casreplay.cli.session import Session
from casreplay.cli.text import count
from casreplay.errors import UsageError
from casreplay.history.bisect_model import Outcome, Verdict
from casreplay.history.bisect_report import BisectReport
from casreplay.history.bisect_session import BisectRequest
from casreplay.history.bisect_state import HAND_LOG, BisectState, decode_state, settings_of
from casreplay.history.probes import ProbeArea
from casreplay.model.paths import display

__all__ = ["ask"]


def ask(session: Session, request: BisectRequest) -> BisectReport:
    """Show one snapshot after the other in a folder and ask for verdicts, until it is found.

    Every verdict is kept as in a search by hand: stopped before the end, it goes on when the same is
    asked again, or with ``bisect next``.

    Raises:
        click.Abort: the person stopped; the folder is gone.
        UsageError: verdicts of another search by hand would be lost.
    """
    hand = _taken_up(session, request)
    with ProbeArea(session.repository().store) as area:
        folder, _private = area.take()
        while True:
            found = hand.candidate()
            if isinstance(found, Outcome):
                hand.state = replace(hand.state, over=True)
                hand.save()
                return hand.report(found)
            snapshot, step = found
            folder.survey()  # what the person's own runs left must not decide about the next one
            area.switch(folder, snapshot.root)
            session.out.line(
                f"{bisect_view.snapshot_name(session, snapshot)} is in {folder.path.decode(errors='replace')}"
                f"  ({step.remaining:,} left)"
            )
            choice = click.prompt(
                "Is it good, bad, or skip? (quit ends)",
                type=click.Choice(["good", "bad", "skip", "quit", "g", "b", "s", "q"]),
                show_choices=False,
            )
            if choice[0] == "q":
                session.out.note("The verdicts are kept: casreplay bisect next goes on")
                return hand.report(hand.searcher().conclude("stopped by hand"))
            hand.add(snapshot, {"g": Verdict.GOOD, "b": Verdict.BAD, "s": Verdict.SKIP}[choice[0]])


def _taken_up(session: Session, request: BisectRequest) -> Hand:
    """The search by hand that ``request`` asks for: a new one, or the same one where it was left."""
    settings = settings_of(watch=[display(p) for p in request.watch], first_parent=request.first_parent)
    state = BisectState(request.good.id.hex(), request.bad.id.hex(), settings)
    data = session.repository().store.read_cache(HAND_LOG)
    earlier = decode_state(data) if data else state
    told = [row for row in earlier.rows if row.snapshot not in (earlier.good, earlier.bad)]
    if earlier.over or not told:
        earlier = state
    elif not earlier.is_same_search(state):
        raise UsageError(
            "Another search by hand is under way, with " + count(len(told), "verdict"),
            hint="casreplay bisect next goes on with it, casreplay bisect reset forgets it",
        )
    else:
        session.out.note(f"Going on after {count(len(told), 'verdict')}")
    hand = Hand(session, earlier)
    hand.save()
    return hand
