"""The shape all commands share: help with examples, ``--json``, and global options in either place.

``casreplay --quiet commit`` and ``casreplay commit --quiet`` mean the same. Global options given
after the command are hidden in its help, which names them in one line instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from casreplay.cli.session import Session
from casreplay.errors import UsageError

__all__ = [
    "BaseCommand",
    "Command",
    "Group",
    "PlainHelp",
    "command",
    "group",
    "json_option",
    "paths_argument",
    "snapshot_argument",
]

F = TypeVar("F", bound=Callable[..., Any])

GLOBAL_HELP = "Global options (-C, --store, --quiet, --no-color) may stand before or after the command."


def apply_global(session: Session, name: str, value: Any) -> None:
    """Put one global option into the session; values of options that were not given change nothing."""
    if name == "global_directory" and value is not None:
        session.change_folder(value)
    elif name == "global_store" and value is not None:
        if not value:  # as a shell gives a variable that was never set: the default store is not meant
            raise UsageError("An empty --store names no store", hint="Name one, or leave --store out")
        session.store_option = value
    elif name == "global_quiet" and value:
        session.out.quiet = True
    elif name == "global_no_color" and value:
        session.out.forbid_color()


def _set_global(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    session = context.find_object(Session)
    if session is None:
        return
    try:
        apply_global(session, parameter.name or "", value)
    except UsageError:
        if not context.resilient_parsing:  # while the line is still being typed nothing is wrong yet
            raise


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """The options every command takes: ``-C``, ``--store``, ``--quiet``, ``--no-color``.

    Their parameters are named ``global_...`` so that no command's own can be mistaken for them.
    """
    shared: dict[str, Any] = {"callback": _set_global, "expose_value": False, "hidden": hidden}
    return [
        click.Option(
            ["-C", "global_directory"],
            metavar="DIR",
            type=Word("dir"),
            help="Run as if started in DIR.",
            **shared,
        ),
        click.Option(
            ["--store", "global_store"],
            metavar="PATH",
            type=Word("dir"),
            help="Use the store at PATH (or set CASREPLAY_STORE).",
            **shared,
        ),
        click.Option(
            ["-q", "--quiet", "global_quiet"], is_flag=True, help="Say only what was asked for.", **shared
        ),
        click.Option(
            ["--no-color", "global_no_color"],
            is_flag=True,
            help="No colours (so do NO_COLOR and TERM=dumb).",
            **shared,
        ),
    ]


class Word(click.types.UnprocessedParamType):
    """Text as it was given, of which the shell can be told what fits: see ``cli.completion``."""

    name = "text"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """What fits, from the shell or the store."""
        del param
        from casreplay.cli.completion import offers  # noqa: PLC0415 - only shells that complete

        return offers(self.kind, ctx, incomplete)


_KINDS = {
    "FILE": "file",
    "[FILE]": "file",
    "PATH": "file",
    "[PATH]": "file",
    "[PATH]...": "file",
    "DIR": "dir",
    "INC": "incident",
    "[INC]": "incident",
    "[A]": "snapshot",
    "[B]": "snapshot",
    "[BAD]": "snapshot",
    "[A..B]": "snapshot",
    "[SNAP|A..B]": "snapshot",
}
"""What an argument or the value of an option is, by its metavar ..."""
_ARGUMENTS = {
    **dict.fromkeys(("a", "b", "good", "bad", "before", "after", "snapshot", "span"), "snapshot"),
    **dict.fromkeys(("path", "paths", "file"), "file"),
}
"""... and of arguments without one, by their name."""


def _know_words(parameters: Sequence[click.Parameter]) -> None:
    """Give each parameter of plain text that means something the shell can complete the type that says so."""
    for one in parameters:
        if type(one.type) not in (click.types.StringParamType, click.types.UnprocessedParamType):
            continue
        kind = _KINDS.get(one.metavar or "")
        if kind is None and isinstance(one, click.Argument):
            kind = _ARGUMENTS.get(one.name or "")
        if kind is not None:
            one.type = Word(kind)


class PlainHelp(click.Command):
    """Has click's ``--help``, whose text is not looked up in translations: that costs a millisecond a run."""

    _plain_help: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The option, made once; ``None`` where a command has none."""
        names = self.get_help_option_names(ctx)
        if not names or not self.add_help_option:
            return None
        if self._plain_help is None:
            self._plain_help = click.Option(
                [*names, "global_help"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_show_help,
                help="Show this message and exit.",
            )
        return self._plain_help


def _show_help(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(context.get_help(), color=context.color)
        context.exit()


class BaseCommand(PlainHelp):
    """Adds the examples and the line about global options to a command's help."""

    examples: Sequence[str] = ()

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        taken = {name for parameter in self.params for name in parameter.opts}
        self.params.extend(
            option for option in global_options(hidden=True) if not taken.intersection(option.opts)
        )
        _know_words(self.params)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; the session knows its name, for whoever waits for what it does."""
        session = ctx.find_object(Session)
        if session is not None:
            session.command = ctx.command_path
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, then the line about global options."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        formatter.write_paragraph()
        formatter.write_text(GLOBAL_HELP)
        super().format_epilog(ctx, formatter)


class Command(BaseCommand):
    """A command of casreplay."""


class Group(BaseCommand, click.Group):
    """A command with subcommands, such as ``config``."""

    command_class = Command


def command(name: str, *, examples: Sequence[str], **kwargs: Any) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command. The docstring is its help; ``examples`` are shell lines shown below it."""
    return click.command(name, cls=Command, examples=tuple(examples), **kwargs)


def group(name: str, *, examples: Sequence[str], **kwargs: Any) -> Callable[[Callable[..., Any]], Group]:
    """Declare a command with subcommands."""
    return click.group(name, cls=Group, examples=tuple(examples), **kwargs)


def _set_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    session = context.find_object(Session)
    if session is not None and value:
        session.out.json = True
    return value


def json_option(function: F) -> F:
    """``--json``: the function gets ``as_json``; errors and notes follow suit."""
    option = click.option(
        "--json",
        "as_json",
        is_flag=True,
        callback=_set_json,
        is_eager=True,
        help="Print JSON (fields: docs/json.md).",
    )
    return option(function)


def snapshot_argument(name: str, *, required: bool = True, default: str | None = None) -> Callable[[F], F]:
    """A snapshot by any of its names; completed from the store's names in shells that complete."""
    given: dict[str, Any] = {} if default is None else {"default": default}
    metavar = name.upper() if required else f"[{name.upper()}]"
    return click.argument(name, required=required, type=Word("snapshot"), metavar=metavar, **given)


def paths_argument(function: F) -> F:
    """Any number of paths in the workspace; the function gets ``paths``."""
    return click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.UNPROCESSED)(function)
