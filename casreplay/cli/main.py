"""The entry point: finds the command, runs it, turns errors into messages and exit codes.

Commands are imported when they run (``cli.registry`` holds their names and short helps), so
``casreplay --help`` costs the interpreter and click, nothing else. No error reaches the user as
a traceback; ``CASREPLAY_DEBUG=1`` asks for it.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from casreplay import __version__
from casreplay.cli.options import PlainHelp, global_options
from casreplay.cli.registry import COMMANDS, FAMILIES
from casreplay.cli.session import Session
from casreplay.clock import Clock, system_clock
from casreplay.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    CasreplayError,
    CorruptError,
    StoreIOError,
    UsageError,
)

__all__ = ["cli", "main", "program", "run"]

EXIT_PIPE = 141
EXIT_HUNG_UP = 129
EXIT_TERMINATED = 143

INTRODUCTION = """A flight recorder for folders that agents change.

Takes snapshots of a folder, shows what changed between any two of them, finds
the change that broke something, and brings files back.
"""

CLOSING = """Snapshots are named by the start of their id, a label, a tag, @ (the newest),
@~3 (three before it), @{2h ago} or @{2026-11-20 10:00} (the newest at that time).
"""


class _Terminated(BaseException):
    """A signal asked for the end: unwind like Ctrl-C, so that locks and temporary folders go away."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class LazyGroup(PlainHelp, click.Group):
    """The root command: subcommands come from the table and are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All command names, family by family."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return one command; ``None`` for an unknown name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        from importlib import import_module  # noqa: PLC0415 - one module a run

        loaded: click.Command = getattr(import_module(entry.module), entry.attribute)
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is a usage error that names the nearest."""
        is_wrong = bool(args) and args[0] not in COMMANDS and not args[0].startswith("-")
        if is_wrong and not ctx.resilient_parsing:  # a line that is still being typed gets no error
            from difflib import get_close_matches  # noqa: PLC0415 - only for a typing error

            near = get_close_matches(args[0], COMMANDS, n=2, cutoff=0.6)
            hint = f"Did you mean {' or '.join(near)}?" if near else "casreplay --help lists the commands"
            raise UsageError(f"There is no command {args[0]!r}", hint=hint, command=args[0])
        return super().resolve_command(ctx, args)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Command names from the table, so that completing imports no command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only shells that complete

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=entry.short_help.replace(",", ";"))  # fish ends the text at a comma
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Commands under their families' headings, from the table alone."""
        for family, title in FAMILIES.items():
            rows = [(name, entry.short_help) for name, entry in COMMANDS.items() if entry.family == family]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=12, col_spacing=2)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """How snapshots are named, and where to start."""
        formatter.write_paragraph()
        formatter.write_text(CLOSING)
        formatter.write_paragraph()
        formatter.write_text("Start with: casreplay demo, or casreplay commit in a folder of yours.")


def _root(context: click.Context, **_options: Any) -> None:
    """Runs before every command; the options were applied by their callbacks."""


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        sys.stdout.write(f"casreplay {__version__}\n")
        context.exit(EXIT_OK)


cli = LazyGroup(
    name="casreplay",
    help=INTRODUCTION,
    callback=click.pass_context(_root),
    params=[
        *global_options(hidden=False),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Show the version and exit.",
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="[OPTIONS]",
    subcommand_metavar="COMMAND [ARGS]...",
)


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock = system_clock,
    cwd: bytes | None = None,
) -> int:
    """Run one command line and return its exit code; output goes to the standard streams.

    Args:
        arguments: what follows the program's name.
        environ: the environment to obey; the process's own when left out.
        clock: the wall clock for the command; ``demo`` passes its own.
        cwd: the folder to run in; the process's own when left out.
    """
    environ = os.environ if environ is None else environ
    session = Session(environ, clock=clock, cwd=cwd)
    session.out.json = "--json" in _before_separator(arguments)
    words = list(arguments)
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    try:
        return _invoke(session, words)
    except CasreplayError as error:
        if isinstance(error, CorruptError) and not error.hint and not error.fields.get("purged"):
            error.hint = _hint_for_damage(session)
        session.out.error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        session.out.warning("Interrupted; nothing was left half-done")
        return EXIT_INTERRUPTED
    except _Terminated as end:
        return end.exit_code
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_PIPE
    except Exception as error:  # noqa: BLE001 - the last net: a user never sees a traceback unasked
        return _internal_error(session, error)
    finally:
        _close(session)


def _invoke(session: Session, arguments: list[str]) -> int:
    """Run click without its own error handling; click's usage errors become ours."""
    if "_CASREPLAY_COMPLETE" in session.environ:
        cli.main(arguments, prog_name="casreplay", standalone_mode=False, obj=session)
    try:
        # Not cli.main(): it answers a closed pipe with exit code 1, which means "failed" here.
        with cli.make_context("casreplay", arguments, obj=session) as context:
            result = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(error.format_message() + "\n")
        return EXIT_OK if error.ctx is not None and error.ctx.parent is None else EXIT_USAGE
    except click.UsageError as error:
        usage = error.ctx.command_path if error.ctx is not None else "casreplay"
        raise UsageError(_sentence(error.format_message()), hint=f"See {usage} --help") from error
    except click.ClickException as error:
        raise CasreplayError(_sentence(error.format_message())) from error
    except click.exceptions.Exit as error:
        return error.exit_code
    return result if isinstance(result, int) else EXIT_OK


def _sentence(text: str) -> str:
    """Click's message in the house style: one line, capital first, no full stop."""
    text = " ".join(text.split()).rstrip(".")
    return text[:1].upper() + text[1:]


def _before_separator(arguments: Sequence[str]) -> list[str]:
    listed = list(arguments)
    return listed[: listed.index("--")] if "--" in listed else listed


def _hint_for_damage(session: Session) -> str:
    """What to do where a piece of the store is damaged and nobody who met it knew more."""
    if session.command == "casreplay fsck":
        return "Copy the store's folder before doing anything else; use an older copy if there is one"
    return "casreplay fsck --data says what is damaged and which files of which snapshots lose by it"


def _internal_error(session: Session, error: Exception) -> int:
    """Report an error that nobody expected; an operating system's refusal is named as one."""
    if session.environ.get("CASREPLAY_DEBUG"):
        import traceback  # noqa: PLC0415 - only when asked for

        traceback.print_exception(error, file=sys.stderr)
    hint = "Run it again with CASREPLAY_DEBUG=1 to see where; please report it with that text"
    if isinstance(error, OSError):
        if error.errno in (
            errno.ENOSPC,
            errno.EDQUOT,
        ):  # nobody's mistake: what is printed goes to a full disk
            hint = "Free some space on the disk that the output goes to"
        named = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        session.out.error(StoreIOError(f"{error.strerror or error}{named}", hint=hint))
    elif isinstance(error, MemoryError):
        session.out.error(CasreplayError("Out of memory", hint=hint))
    else:
        message = f"Internal error: {type(error).__name__}: {error}"
        session.out.error(CasreplayError(message, hint=hint))
    return EXIT_FAILED


def _close(session: Session) -> None:
    try:
        session.close()
    except CasreplayError as error:
        session.out.warning(error.message)


def _silence_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        return


def _fill_streams() -> None:
    """Stand-ins for standard streams that are closed, as some services start their programs.

    Otherwise the next file that is opened, one of the store perhaps, becomes standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115 - lives on


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated(number)


def main() -> NoReturn:
    """Run the process's arguments and raise ``SystemExit`` with the code."""
    _fill_streams()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A process started with nohup outlives its terminal, as was asked for.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        code = EXIT_PIPE
    sys.exit(code)


def program() -> NoReturn:
    """The console script: ``main``, and then the process ends at once.

    Taking the interpreter apart costs some 20 ms: a tenth of a commit. Exit handlers run and
    streams are flushed as ever; where somebody watches the process (a debugger, a profiler, a
    measurement of coverage) or threads are left, it ends the long way.
    """
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int) or _is_watched():
            raise
        code = end.code
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name for what the interpreter does here
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _is_watched() -> bool:
    """Whether the process must end the long way."""
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    return (
        threading.active_count() > 1
        or bool(sys.flags.interactive or sys.flags.inspect or sys.gettrace() or sys.getprofile())
        or (monitoring is not None and any(monitoring.get_tool(i) for i in range(6)))
    )
