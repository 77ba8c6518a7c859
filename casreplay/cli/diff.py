"""``diff``: what differs between two snapshots, or a snapshot and the folder as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import click

from casreplay.cli.options import Command, json_option
from casreplay.cli.output import Output
from casreplay.cli.session import Session
from casreplay.cli.shapes import change_fields, summary_fields
from casreplay.errors import UsageError
from casreplay.model.changes import Change, ChangeKind
from casreplay.model.ids import TreeId
from casreplay.model.objects import Snapshot
from casreplay.store.base import ObjectReader

__all__ = ["diff"]


class DiffCommand(Command):
    """Keeps what stands after ``--`` apart: click would mix it with the snapshots' names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split at the first ``--``; what follows are paths."""
        if "--" in args:
            at = args.index("--")
            ctx.meta["casreplay.paths"] = args[at + 1 :]
            args = args[:at]
        ctx.allow_extra_args = True  # to say more of them than click does
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            named = " ".join(rest)
            raise UsageError(
                f"Got more than two snapshots: {named}",
                hint=f"Paths come after --: casreplay diff A B -- {named}",
            )
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The arguments as the usage line shows them, paths included."""
        return [*super().collect_usage_pieces(ctx), "[-- PATH]..."]


@click.command(
    "diff",
    cls=DiffCommand,
    examples=[
        "casreplay diff                        # the last snapshot against the folder now",
        "casreplay diff @~3 @ --stat",
        "casreplay diff good bad --patch -- config src",
        "casreplay diff good..bad --json",
    ],
)
@click.argument("before", metavar="[A]", default="@")
@click.argument("after", metavar="[B]", required=False)
@click.option(
    "--name-status", "style", flag_value="names", default=True, help="A letter and a path (default)."
)
@click.option("--stat", "style", flag_value="stat", help="How much each file changed.")
@click.option("-p", "--patch", "style", flag_value="patch", help="The changed lines, as a unified diff.")
@click.option("--summary", "style", flag_value="summary", help="Counts only.")
@click.option(
    "-U", "--unified", "context", type=click.IntRange(0, 1000), default=3, help="Lines around a change."
)
@click.option("--no-renames", is_flag=True, help="Show a rename as a deletion and an addition.")
@click.option("--exit-code", is_flag=True, help="Exit 1 when something differs.")
@json_option
@click.pass_context
def diff(context: click.Context, /, *, before: str, after: str | None, **options: Any) -> int:
    """What differs between snapshots A and B; A..B means the same.

    Without B: between A and the folder as it is now. Without A: since the last snapshot.
    Paths after -- limit it. Letters: A added, M modified, D deleted, R renamed, T another
    type, m only permissions.
    """
    from casreplay.history.names import split_range  # noqa: PLC0415 - start-up speed

    session: Session = context.obj
    if after is None and (span := split_range(before)) is not None:
        before, after = span
    session.needs_config = after is None
    repository = session.repository()
    paths = [session.workspace_path(text) for text in context.meta.get("casreplay.paths", [])]
    a = session.snapshot(before, with_path="casreplay diff --")
    b = session.snapshot(after, with_path=f"casreplay diff {before} --") if after is not None else None
    out = session.out
    with ExitStack() as stack:
        objects: ObjectReader = repository.objects
        root = b.root if b is not None else None
        if root is None:
            session.check_workspace()
            progress = stack.enter_context(session.progress())
            objects, root, _ = stack.enter_context(repository.now(progress))
            progress.close()
        changes = _changes(session, objects, (a.root, root), paths, renames=not options["no_renames"])
        if options["as_json"]:
            out.data(_diff_fields(a, b, changes))
        else:
            _print(out, changes, objects, options)
    return 1 if options["exit_code"] and changes else 0


def _changes(
    session: Session,
    objects: ObjectReader,
    roots: tuple[TreeId, TreeId],
    paths: Sequence[bytes],
    *,
    renames: bool,
) -> Sequence[Change]:
    """The changes from one root to the other; says so when not every possible rename was compared."""
    from casreplay.history.diff_divided import changes_between  # noqa: PLC0415 - start-up speed

    changes = changes_between(objects, *roots, paths=paths)
    if not (renames and {ChangeKind.ADDED, ChangeKind.DELETED} <= {change.kind for change in changes}):
        return changes
    from casreplay.history.renames import detect_renames  # noqa: PLC0415 - start-up speed

    found = detect_renames(changes, objects.get)
    if not found.is_complete:
        session.out.note(
            "Too many files were added and deleted to compare all: some renames may be shown as both"
        )
    return found.changes


def _diff_fields(a: Snapshot, b: Snapshot | None, changes: Sequence[Change]) -> dict[str, Any]:
    return {
        "from": a.id.hex(),
        "to": b.id.hex() if b is not None else None,
        "changes": [change_fields(change) for change in changes],
        "summary": summary_fields(changes),
    }


def _print(out: Output, changes: Sequence[Change], objects: ObjectReader, options: Mapping[str, Any]) -> None:
    from casreplay.cli import diff_view  # noqa: PLC0415 - JSON needs none of it

    style = options["style"]
    if style == "patch":
        diff_view.print_patch(out, changes, objects.get, context=options["context"])
    elif style == "stat":
        out.lines(diff_view.stat_lines(out, changes, objects.get))
    elif style == "summary":
        out.line(diff_view.summary_line(changes))
    else:
        out.lines(diff_view.name_status_lines(out, changes))
