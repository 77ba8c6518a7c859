"""``bisect``: from two snapshots to the one, the file and the lines that broke it.

``bisect GOOD BAD`` does it all; the subcommands are for searches driven by hand. Exit
codes: 0 found, 20 an interval remains, 21 nothing changes in the range, 22 both ends
agree, 23 it could not be carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from casreplay.cli import bisect_ask, bisect_hand, bisect_view, bisect_what
from casreplay.cli.drift_tools import SECONDS
from casreplay.cli.options import Group, json_option, snapshot_argument
from casreplay.cli.session import Session
from casreplay.errors import UsageError

if TYPE_CHECKING:
    from casreplay.history.bisect_report import BisectReport
    from casreplay.history.bisect_session import BisectRequest

__all__ = ["bisect"]


class BisectGroup(Group):
    """``bisect GOOD BAD`` beside ``bisect start``: what is no subcommand is the search itself.

    Tags are often called ``good`` and ``bad``, as two of the subcommands are. It is the
    search when an option is given that only the search has, and for ``bisect good bad``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the search first where it is meant."""
        if args and args[0] not in ("-h", "--help", "run") and self._is_search(args):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _is_search(self, args: list[str]) -> bool:
        if args[0] not in self.commands or args[:2] == ["good", "bad"]:
            return True
        of_search = _option_names(self.commands["run"]) - _option_names(self.commands[args[0]])
        return any(arg.partition("=")[0] in of_search for arg in args[1:])


def _option_names(command: click.Command) -> set[str]:
    names = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return {name for name in names if name.startswith("-")}


@click.group(
    "bisect",
    cls=BisectGroup,
    subcommand_metavar="GOOD BAD [OPTIONS] | COMMAND [ARGS]...",
    options_metavar="",
    examples=[
        "casreplay bisect good bad --run 'python -m pytest -q tests/test_parse.py'",
        "casreplay bisect @~200 @ --grep 'API_KEY=' --path '*.env'",
        "casreplay bisect good @ --json-value config.json:model.temperature=0.9",
        "casreplay bisect good bad                 # asks about each snapshot",
        "casreplay bisect run --help               # every option of the search",
    ],
)
def bisect() -> None:
    """Find the snapshot that broke something, and the lines that did it.

    bisect GOOD BAD searches with a predicate: a command (--run) or a fact about the
    files. Without one it asks. The subcommands are for a search by hand.
    """


def predicate_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what makes a snapshot bad."""
    options = [
        click.option("--run", "run_line", metavar="CMD", help="Bad where CMD fails (0 good, 125 skip)."),
        click.option("--grep", metavar="REGEX", help="Bad where a file matches REGEX."),
        click.option("--path", "glob", metavar="GLOB", help="Only files that fit GLOB."),
        click.option("--exists", metavar="PATH", help="Bad where PATH exists."),
        click.option("--missing", metavar="PATH", help="Bad where PATH does not exist."),
        click.option("--empty", metavar="PATH", help="Bad where PATH is empty."),
        click.option("--changed", metavar="PATH", help="Bad where PATH is not what it is in GOOD."),
        click.option("--larger", metavar="PATH:SIZE", help="Bad where PATH is larger than SIZE (64K, 2M)."),
        click.option("--json-value", metavar="PATH:KEY=VALUE", help="Bad where KEY has VALUE."),
        click.option(
            "--metric", metavar="NAME", help="Bad where a metric of drift is nearer to BAD's value."
        ),
        click.option("--secret", is_flag=True, help="Bad where a file holds a secret."),
        click.option("--trigger", metavar="NAME", help="Bad where this trigger fires."),
        click.option("--invert", is_flag=True, help="Swap good and bad of a built-in predicate."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def search_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how to search."""
    options = [
        click.option("--all", "find_all", is_flag=True, help="Find every flip, not one boundary."),
        click.option("-j", "--jobs", type=click.IntRange(1), default=1, metavar="N", help="Runs at once."),
        click.option("--timeout", type=SECONDS, metavar="S", help="Seconds until a run is killed, a skip."),
        click.option(
            "--confirm", type=click.IntRange(0, 1000), default=3, metavar="K", show_default=True,
            help="Re-runs on each side of the boundary.",
        ),
        click.option(
            "--flake-rate", metavar="P[,Q]",
            help="Known rates: P of wrong verdicts, or P of failing when good and Q when bad.",
        ),
        click.option("--watch", multiple=True, metavar="PATH", help="The command reads only this."),
        click.option("--trace", is_flag=True, help="Watch what CMD reads: fewer runs (Linux, needs strace)."),
        click.option("--budget", type=SECONDS, metavar="S", help="Stop searching after S seconds."),
        click.option("--max-skips", type=click.IntRange(1), default=32, metavar="N", show_default=True,
                     help="Untestable snapshots before the interval is reported."),
        click.option("--no-cache", is_flag=True, help="Neither use nor keep verdicts of earlier runs."),
        click.option(
            "--any-failure/--signature", "any_failure", default=False,
            help="Count every failure as bad, or only failures like that of BAD (default).",
        ),
        click.option(
            "--minimize/--no-minimize", default=None,
            help="Shrink the change set (default: with --run, when more than one file changed).",
        ),
        click.option("--patch", "patch_file", metavar="FILE", help="Write the minimal change to FILE."),
        click.option("--first-parent", is_flag=True, help="Leave out what merges brought in."),
        click.option("--incident", metavar="TITLE", help="Open an incident with what was found."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@bisect.command(
    "run",
    hidden=True,
    examples=[
        "casreplay bisect good bad --run 'make test' --jobs 2 --timeout 60",
        "casreplay bisect good bad --run ./check.sh --flake-rate 0.2 --patch culprit.patch",
        "casreplay bisect good bad --missing notes/plan.md --json",
    ],
)
@snapshot_argument("good")
@snapshot_argument("bad")
@predicate_options
@search_options
@json_option
@click.pass_obj
def run(session: Session, /, *, good: str, bad: str, **options: Any) -> int:
    """Search between GOOD and BAD.

    GOOD may be the newer one: the search then finds what repaired it, going back.
    """
    request = _request(session, good, bad, options)
    predicate = bisect_what.predicate(session, request, options)
    if options["trigger"] or options["metric"]:
        report = _called(session, request, options)
    elif predicate is None:
        if options["as_json"] or not session.out.is_terminal:
            raise UsageError(
                "A predicate is needed: what makes a snapshot bad?",
                hint="Give --run CMD, --grep, --exists, --missing ...; on a terminal it asks",
            )
        report = bisect_ask.ask(session, request)
    else:
        report = _search(session, request, predicate, options)
    incident = bisect_what.open_incident(session, report, options["incident"])
    bisect_view.show(session, report, as_json=options["as_json"], incident=incident)
    bisect_what.write_patch(session, report, options["patch_file"])
    return bisect_view.EXIT_CODES[report.status.value]


def _search(
    session: Session, request: BisectRequest, predicate: Any, options: dict[str, Any]
) -> BisectReport:
    """Run the search for either kind of predicate, telling of every probe."""
    from casreplay.history.probes import Command  # noqa: PLC0415 - start-up speed

    store = session.repository().store
    if isinstance(predicate, Command):
        from casreplay.history.bisect_command import bisect_command  # noqa: PLC0415 - start-up speed

        return bisect_command(store, request, predicate, listener=bisect_view.ProbeLines(session, request))
    from casreplay.history.bisect_session import bisect_content  # noqa: PLC0415 - start-up speed

    return bisect_content(store, request, predicate, invert=options["invert"])


def _called(session: Session, request: BisectRequest, options: dict[str, Any]) -> BisectReport:
    """Search with a trigger or a metric: functions of a snapshot, run here."""
    from casreplay.history.bisect_session import bisect_callable, bisect_each  # noqa: PLC0415 - start-up speed

    exact = replace(request, options=replace(request.options, confirm=0))
    store = session.repository().store
    with ExitStack() as stack:
        if options["trigger"]:
            name = ("not " if options["invert"] else "") + f"trigger {options['trigger']}"
            judge = bisect_what.trigger_judge(session, exact, options["trigger"], invert=options["invert"])
            found = bisect_callable(store, exact, judge, name=name)
            # The two snapshots alone decide what fires: a flip is a fact, not a guess.
            return replace(found, posterior=1.0) if found.posterior is not None else found
        name = f"metric {options['metric']}"
        judge = bisect_what.metric_judge(session, exact, options["metric"], options["glob"], stack)
        if not options["metric"].startswith("run:"):
            return bisect_each(store, exact, judge, name=name)
        return bisect_callable(store, exact, judge, name=name)


def _request(session: Session, good: str, bad: str, options: dict[str, Any]) -> BisectRequest:
    from casreplay.history.bisect_model import SearchOptions  # noqa: PLC0415 - start-up speed
    from casreplay.history.bisect_session import BisectRequest  # noqa: PLC0415 - start-up speed

    repository = session.repository()
    # Who wants the minimal change in a file wants it looked for, whatever its size.
    minimize = True if options["patch_file"] and options["minimize"] is None else options["minimize"]
    search = SearchOptions(confirm=options["confirm"], max_skips=options["max_skips"])
    if options["flake_rate"]:
        search = replace(search, rates=_rates(options["flake_rate"]))
    return BisectRequest(
        repository.snapshot(good),
        repository.snapshot(bad),
        search,
        find_all=options["find_all"],
        jobs=options["jobs"],
        watch=tuple(session.workspace_path(text) for text in options["watch"]),
        first_parent=options["first_parent"],
        any_failure=options["any_failure"],
        minimize=minimize,
        budget_s=options["budget"],
        use_cache=not options["no_cache"],
        trace=options["trace"],
    )


def _rates(text: str) -> tuple[float, float]:
    """``P`` (wrong verdicts on both sides) or ``P,Q`` (failing when good, failing when bad)."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    rates = (numbers[0], 1 - numbers[0]) if len(numbers) == 1 else tuple(numbers)
    if len(rates) != 2 or not 0 <= rates[0] < rates[1] <= 1:
        raise UsageError(
            f"--flake-rate {text}: not two rates with more failures on the bad side",
            hint="0.2 means that one verdict in five is wrong; 0,0.5 that a bad snapshot fails half the time",
        )
    return rates[0], rates[1]


for _command in bisect_hand.COMMANDS:
    bisect.add_command(_command)
