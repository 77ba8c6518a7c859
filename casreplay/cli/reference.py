"""Writes ``docs/cli.md`` from the commands themselves: ``python -m casreplay.cli.reference > docs/cli.md``.

A test compares the file with what this prints, so the reference cannot drift.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from casreplay import errors
from casreplay.cli.bisect_view import EXIT_CODES as BISECT_CODES
from casreplay.cli.main import EXIT_HUNG_UP, EXIT_PIPE, EXIT_TERMINATED, cli
from casreplay.cli.options import GLOBAL_HELP, BaseCommand
from casreplay.cli.registry import COMMANDS, FAMILIES

__all__ = ["EXIT_CODES", "render"]

HEAD = """# Command line

<!-- Generated: python -m casreplay.cli.reference > docs/cli.md -->

How snapshots are named, what the words mean: [glossary.md](glossary.md). Fields of `--json`:
[json.md](json.md). Shell completion: [completion.md](completion.md).
"""

EXIT_CODES = {
    errors.EXIT_OK: "done",
    errors.EXIT_FAILED: "failed, or found what it was told to fail for (`check --fail-on`, "
    "`secrets --exit-code`, `diff --exit-code`), nothing that fits (`find`), what cannot work (`doctor`)",
    errors.EXIT_USAGE: "the call or the configuration is wrong; nothing was done",
    errors.EXIT_PROBLEMS: "finished, but some items could not be done; each was named",
    errors.EXIT_NO_REPOSITORY: "no store belongs to this folder",
    errors.EXIT_LOCKED: "another process holds the lock; nothing was done",
    errors.EXIT_UNKNOWN_FORMAT: "the store is of a newer format; nothing was changed",
    errors.EXIT_CORRUPT: "stored data is damaged or missing, or a stored name is unsafe",
    BISECT_CODES["interval"]: "bisect: an interval remains, because snapshots in it could not be judged",
    BISECT_CODES["no_change"]: "bisect: that nothing changed is likelier than any change",
    BISECT_CODES["endpoints_agree"]: "bisect: both ends are good, or both are bad",
    BISECT_CODES["aborted"]: "bisect: given up; the command cannot judge, or the budget is spent",
    EXIT_HUNG_UP: "the terminal was closed (SIGHUP); nothing was left half-done",
    errors.EXIT_INTERRUPTED: "interrupted (Ctrl-C); nothing was left half-done",
    EXIT_PIPE: "whoever read the output went away (`casreplay log | head`)",
    EXIT_TERMINATED: "terminated (SIGTERM); nothing was left half-done",
}

ENVIRONMENT = {
    "CASREPLAY_STORE": "the store to use; `--store` wins over it",
    "CASREPLAY_DEBUG": "set to anything: an internal error shows where it happened",
    "NO_COLOR": "set to anything: no colours",
    "CASREPLAY_SNAPSHOT": "set by bisect for the commands it runs: the id of the snapshot they judge",
    "CASREPLAY_LABEL": "set by bisect for the commands it runs: the label of that snapshot",
    "XDG_DATA_HOME": "where stores go by default (`$XDG_DATA_HOME/casreplay`)",
}


def render() -> str:
    """The whole page."""
    return "\n".join(_page()).rstrip() + "\n"


def _page() -> Iterator[str]:
    yield HEAD
    root = click.Context(cli, info_name="casreplay")
    yield "## Global options\n"
    yield GLOBAL_HELP + "\n"
    yield from _options(cli, root)
    for family, title in FAMILIES.items():
        names = [name for name, entry in COMMANDS.items() if entry.family == family]
        if not names:
            continue
        yield f"## {title}\n"
        for name in names:
            command = cli.get_command(root, name)
            if command is not None:
                yield from _command(command, click.Context(command, info_name=name, parent=root), level=3)
    yield from _tables()


def _command(command: click.Command, context: click.Context, *, level: int) -> Iterator[str]:
    path = context.command_path
    yield f"{'#' * level} {path}\n"
    yield "```"
    yield " ".join([path, *command.collect_usage_pieces(context)])
    yield "```\n"
    yield inspect.cleandoc(command.help or "").replace("\f", "") + "\n"
    yield from _options(command, context)
    if isinstance(command, BaseCommand) and command.examples:
        yield "```console"
        yield from (f"$ {example}" for example in command.examples)
        yield "```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _command(
                    child, click.Context(child, info_name=name, parent=context), level=level + 1
                )


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    rows = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)) is not None
    ]
    if not rows:
        return
    yield "| option | meaning |\n|---|---|"
    for names, meaning in rows:
        cell = meaning.replace("|", "\\|")
        yield f"| `{names.replace('|', chr(92) + '|')}` | {' '.join(cell.split())} |"
    yield ""


def _tables() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "Codes are only ever added.\n"
    yield "| code | meaning |\n|---|---|"
    for code, meaning in EXIT_CODES.items():
        yield f"| {code} | {meaning} |"
    yield "\n## Errors\n"
    yield "An error is a line `error: ...` and often a line `hint: ...` on standard error. With `--json` it"
    yield 'is one object there: `{"error": {"type", "message", "hint", "exit_code", "fields"}}`.\n'
    yield "| type | exit code | meaning |\n|---|---|---|"
    for name in errors.__all__:
        found = getattr(errors, name)
        meaning = " ".join((found.__doc__ or "").split("\n\n")[0].split())
        yield f"| `{name}` | {found.exit_code} | {meaning} |"
    yield "\n## Environment\n"
    yield "| variable | meaning |\n|---|---|"
    for name, meaning in ENVIRONMENT.items():
        yield f"| `{name}` | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(render())
