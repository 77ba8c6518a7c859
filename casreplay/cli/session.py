"""One run of the program: where it runs, what it may read, what it prints with.

The session is what every command receives. It opens the repository on first use, so that a
command which needs none pays for none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from casreplay.cli.output import Output
from casreplay.cli.text import safe_line
from casreplay.clock import Clock, system_clock
from casreplay.errors import ConfigError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from casreplay.cli.progress import Progress
    from casreplay.cli.store_location import StoreLocation
    from casreplay.history.repository import Repository
    from casreplay.model.config import Config
    from casreplay.model.objects import Snapshot
    from casreplay.store.locks import Waiting

__all__ = ["Session"]

_READING = frozenset(f"casreplay {name}" for name in ("log", "show", "cat", "ls", "find", "fsck", "stats"))
_NAMING = frozenset(f"casreplay {name}" for name in ("tag", "label", "note", "repair"))


def _current_folder(environ: Mapping[str, str]) -> bytes:
    """Where the process is; where that folder was deleted, the path it had for the shell.

    Somebody who sits in a workspace that an agent deleted can so still list and restore it.
    """
    try:
        return os.getcwdb()
    except OSError:
        shown = os.fsencode(environ.get("PWD", ""))
        return shown if os.path.isabs(shown) else b"/"


class Session:
    """Settings of one run and what is opened during it.

    Attributes:
        cwd: the folder the command runs in (``-C`` applied), absolute bytes.
        store_option: what ``--store`` said, or ``None``.
        environ: the process environment.
        clock: wall clock for commits and for "2 hours ago".
        out: the printer.
        command: the command that runs, for others who wait for it: ``casreplay gc``.
        needs_config: whether a wrong configuration stops the command; ``None``: as the command's name says.
    """

    def __init__(
        self, environ: Mapping[str, str], *, cwd: bytes | None = None, clock: Clock = system_clock
    ) -> None:
        self.environ = environ
        self.cwd = _current_folder(environ) if cwd is None else cwd
        self.store_option: str | None = None
        self.clock = clock
        self.out = Output(environ)
        self.command = "casreplay"
        self.needs_config: bool | None = None
        self._location: StoreLocation | None = None
        self._repository: Repository | None = None
        self._progress: Progress | None = None

    def change_folder(self, folder: str) -> None:
        """Apply ``-C``: later paths are relative to ``folder``.

        Raises:
            UsageError: it is not a folder.
        """
        target = os.path.normpath(os.path.join(self.cwd, os.fsencode(folder)))
        if not os.path.isdir(target):
            raise UsageError(f"-C {folder}: not a folder", folder=folder)
        self.cwd = target

    def path(self, text: str) -> bytes:
        """A file-system path from the command line as absolute bytes.

        Raises:
            UsageError: it is empty, as a variable of the shell that was never set: meant is another place.
        """
        if not text:
            raise UsageError("An empty path names nothing", hint="The current folder is .")
        return os.path.normpath(os.path.join(self.cwd, os.path.expanduser(os.fsencode(text))))

    def location(self) -> StoreLocation:
        """The workspace and its existing store; raises ``NoRepositoryError`` when there is none."""
        if self._location is None:
            from casreplay.cli.store_location import locate  # noqa: PLC0415 - start-up speed

            self._location = locate(self.cwd, option=self.store_option, environ=self.environ)
        return self._location

    def check_workspace(self, *, force: bool = False) -> None:
        """Refuse to scan the root or a home folder that is only taken for a workspace because we are in it.

        Raises:
            UsageError: it is one of these, without ``force``.
        """
        where = self.location()
        if not where.is_known:
            from casreplay.workspace.guards import check_workspace  # noqa: PLC0415 - start-up speed

            check_workspace(where.workspace, force=force)

    def location_for_writing(self) -> StoreLocation:
        """The workspace and the store it has or would get."""
        from casreplay.cli.store_location import locate_for_writing  # noqa: PLC0415 - start-up speed

        return locate_for_writing(self.cwd, option=self.store_option, environ=self.environ)

    def repository(self, *, respect_gitignore: bool = False) -> Repository:
        """The repository, opened once.

        Args:
            respect_gitignore: leave out what ``.gitignore`` files leave out, whatever the configuration says.
        """
        if self._repository is None:
            where = self.location()
            try:
                config = self._config_elsewhere(where, respect_gitignore=respect_gitignore)
                self._repository = self._open(where, config, respect_gitignore=respect_gitignore)
            except ConfigError as error:
                self._repository = self._open(where, self._without_config(error), respect_gitignore=False)
            leases = self._repository.store.leases
            leases.command, leases.waiting = self.command, self.say_waiting
        return self._repository

    def _open(self, where: StoreLocation, config: Config | None, *, respect_gitignore: bool) -> Repository:
        from casreplay.history.repository import Repository  # noqa: PLC0415 - start-up speed

        return Repository.open(
            where.store,
            where.workspace,
            clock=self.clock,
            respect_gitignore=True if respect_gitignore else None,
            config=config,
        )

    def _without_config(self, error: ConfigError) -> Config:
        """The defaults, for commands that a wrong configuration must not stop: an agent may have broken it.

        Raises:
            ConfigError: the command goes by the rules in it.
        """
        needs = self.needs_config
        if needs is None:
            needs = self.command not in _READING | _NAMING
        if needs:
            back = "casreplay restore @ casreplay.json brings back the last"
            hint = f"casreplay config check lists what is wrong; {back}"
            raise ConfigError(error.message, hint=error.hint or hint, **error.fields) from error
        from casreplay.model.config import Config  # noqa: PLC0415 - only when the file is wrong

        self.out.warning(f"{error.message.splitlines()[0].rstrip(':')}; it is left aside here")
        return Config()

    def say_waiting(self, waiting: Waiting) -> None:
        """On a terminal: who keeps us waiting, before the wait is over; silent where progress is."""
        if self.out.quiet or self.out.json or not self.out.is_attended:
            return
        if self._progress is not None:
            self._progress.close()
        holders = ", ".join(waiting.holders) or "another process"
        self.out.note(safe_line(f"{waiting.why}: {holders}. Waiting up to {waiting.wait_s:.0f} s for it"))

    def _config_elsewhere(self, where: StoreLocation, *, respect_gitignore: bool) -> Config | None:
        """The configuration of a workspace that is configured from another folder (``WORKSPACE_ROOT``)."""
        if where.config is None or os.path.dirname(where.config) == where.workspace:
            return None
        from dataclasses import replace  # noqa: PLC0415 - start-up speed

        from casreplay.codec.config import load  # noqa: PLC0415 - start-up speed

        config = load(os.fsdecode(where.config))
        return replace(config, respect_gitignore=True) if respect_gitignore else config

    def close(self) -> None:
        """Release what the session opened; harmless when nothing was."""
        repository, self._repository = self._repository, None
        if repository is not None:
            repository.close()

    def since(self, text: str | None) -> int | None:
        """The moment a ``--since`` names: all the time parser knows, a bare duration as that long ago.

        ``None`` when the option was not given.
        """
        if text is None:
            return None
        from casreplay.history.times import parse_duration, parse_time  # noqa: PLC0415 - only when asked for

        now = self.clock()
        try:
            return now - parse_duration(text)
        except UsageError:
            return parse_time(text, now_ns=now, zone=None)

    def progress(self) -> Progress:
        """A progress line for this run; shows nothing with ``--quiet``, ``--json`` or without a terminal."""
        from casreplay.cli.progress import Progress  # noqa: PLC0415 - start-up speed

        self._progress = Progress(enabled=None if not (self.out.quiet or self.out.json) else False)
        return self._progress

    def snapshot(self, name: str, *, with_path: str) -> Snapshot:
        """The snapshot called ``name``; where a file is called so instead, the hint says how to name that.

        Args:
            name: as typed.
            with_path: the command line for a path, without the path.

        Raises:
            UnknownNameError, AmbiguousNameError, UsageError: as ``Repository.snapshot``.
        """
        try:
            return self.repository().snapshot(name)
        except UnknownNameError as error:
            if name and os.path.lexists(self.path(name)):
                from shlex import quote  # noqa: PLC0415 - only for the hint

                error.hint = f"It is a path; those are given so: {with_path} {quote(name)}"
            raise

    def workspace_path(self, text: str) -> bytes:
        """A path argument as a path below the workspace root.

        Relative paths are relative to the current folder when that lies in the workspace, to
        the workspace root otherwise; absolute ones must lie in the workspace. A trailing
        slash and ``./`` are fine; ``.`` at the root is ``b""``.

        Raises:
            UsageError: the path leads out of the workspace.
        """
        root = self.location().workspace
        here = os.path.realpath(self.cwd)
        base = here if here == root or here.startswith(root.rstrip(b"/") + b"/") else root
        full = os.path.normpath(os.path.join(base, os.fsencode(text)))
        if full == root:
            return b""
        prefix = root.rstrip(b"/") + b"/"
        if not full.startswith(
            prefix
        ):  # perhaps only by another name of the workspace or of a folder above it
            above, name = os.path.split(full)
            if os.path.realpath(full) == root:
                return b""
            full = os.path.join(os.path.realpath(above), name)
        if not full.startswith(prefix):
            raise UsageError(f"{text} is outside the workspace {os.fsdecode(root)}", path=text)
        return full[len(prefix) :]
