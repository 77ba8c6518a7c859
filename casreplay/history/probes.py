"""Running a command in a snapshot: own folder, own home, own process group, nothing left behind.

A ``ProbeArea`` owns one folder for each worker below a temporary folder. A run gets a
clean ``HOME``, ``TMPDIR`` and bytecode folder, its own process group, and the snapshot's files and no
others; afterwards the group is killed and the folder put back. Closing the area kills
what still runs and removes everything, also after Ctrl-C and SIGTERM.

What a probe is not: a sandbox. A command may still reach the network and absolute paths.
"""

from __future__ import annotations

import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO, Self

from casreplay.clock import Clock, monotonic_ns
from casreplay.history.bisect_folder import WorkFolder, remove_folder
from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_reads import Reads
from casreplay.history.bisect_tracer import Tracer, Tracing
from casreplay.history.observations import Observation, last_line, signature_of, verdict_of
from casreplay.history.probe_processes import kill_group, kill_marked, remove_abandoned, require_groups
from casreplay.model.ids import TreeId
from casreplay.store.base import ObjectReader

__all__ = ["Command", "CommandProbe", "ProbeArea", "Target"]

PREFIX = "casreplay-probe-"
OUTPUT_BYTES = 64 << 10
"""How much of the end of a run's output is kept for its signature."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a run is made on.

    Attributes:
        root: the tree to put into the folder.
        snapshot: hex id for ``CASREPLAY_SNAPSHOT``; empty for a tree that is no snapshot.
        label: for ``CASREPLAY_LABEL``.
    """

    root: TreeId
    snapshot: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a predicate.

    Attributes:
        line: run by ``/bin/sh -c`` in the folder of the snapshot.
        timeout_s: seconds after which a run is killed and skipped; ``None`` for no limit.
        environ: the environment to start from; ``HOME``, temporary folders and bytecode
            settings in it are replaced.
    """

    line: str
    timeout_s: float | None = None
    environ: Mapping[str, str] = field(default_factory=dict)


class ProbeArea:
    """The folders of a bisect's workers and the processes running in them.

    Args:
        objects: where trees and files are read; used by one worker at a time.
        base: the folder to make the area in; the system's temporary folder when left out.
    """

    def __init__(self, objects: ObjectReader, *, base: str | None = None) -> None:
        require_groups()
        self._objects = objects
        remove_abandoned(base or tempfile.gettempdir(), PREFIX)
        self.path = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base)
        self._idle: queue.LifoQueue[tuple[WorkFolder, str]] = queue.LifoQueue()
        self._reading = threading.Lock()
        self._groups: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self._count = self._used = 0
        self._cleaner = ThreadPoolExecutor(1)
        self._closed = False
        self.leftovers = 0
        """Paths that commands changed or left in their folders, all put back."""
        self.purged: set[bytes] = set()
        """Contents that were purged: their files are absent in the folders."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def take(self) -> tuple[WorkFolder, str]:
        """A clean folder that nobody uses and the worker's private folder.

        One folder more is made than there are users, so that a used one can be put in
        order while the next run goes on in another.
        """
        with self._lock:
            # One spare: with as many users as folders but one, the last is being put in order.
            is_enough = not self._idle.empty() or self._count > self._used + 1
            self._count += not is_enough
            self._used += 1
            number = self._count
        if is_enough:
            return self._idle.get()
        private = os.path.join(self.path, f"worker-{number}")
        tree = os.path.join(private, "tree")
        os.makedirs(tree)
        return WorkFolder(os.fsencode(tree)), private

    def give_back(self, folder: WorkFolder, private: str) -> None:
        """Let others use the folder, as soon as what a command left in it is gone."""
        with self._lock:
            self._used -= 1
        self._cleaner.submit(self._clean, folder, private)

    def _clean(self, folder: WorkFolder, private: str) -> None:
        try:
            self.leftovers += len(folder.survey())
            for name in ("home", "tmp", "pycache"):
                _empty(os.path.join(private, name))
        except OSError:
            folder.clear()
        finally:
            self._idle.put((folder, private))

    def settle(self) -> None:
        """Wait until every folder that was given back is in order; ``leftovers`` counts all then."""
        self._cleaner.submit(int).result()

    def show(self, root: TreeId) -> str:
        """Put ``root`` into a folder for a person to look at; it stays until the area is closed."""
        folder, _private = self.take()
        self.switch(folder, root)
        return os.fsdecode(folder.path)

    def switch(self, folder: WorkFolder, root: TreeId) -> None:
        """Make ``folder`` hold ``root``, one worker at a time."""
        with self._reading:
            try:
                folder.switch(self._objects, root)
            except BaseException:
                folder.clear()
                raise
            self.purged |= folder.purged

    def started(self, group: int, stop: threading.Event) -> None:
        """Remember a process group; killed at once when its result is not wanted any more."""
        with self._lock:
            self._groups[group] = stop
            unwanted = self._closed or stop.is_set()
        if unwanted:
            stop.set()
            kill_group(group)

    def ended(self, group: int) -> None:
        """Kill what is left of a group whose leader ended, and forget it."""
        with self._lock:
            self._groups.pop(group, None)
        kill_group(group)

    def cancel(self, stop: threading.Event) -> None:
        """Stop the run that was given ``stop``, now or as soon as it starts."""
        stop.set()
        with self._lock:
            groups = [group for group, event in self._groups.items() if event is stop]
        for group in groups:
            kill_group(group)

    def stop_all(self) -> None:
        """Kill every run under way."""
        with self._lock:
            self._closed = True
            groups = dict(self._groups)
        for group, stop in groups.items():
            stop.set()
            kill_group(group)

    def close(self) -> None:
        """Kill what runs and remove every folder; harmless when done twice."""
        self.stop_all()
        self._cleaner.shutdown(wait=True)
        kill_marked(self.path)
        remove_folder(os.fsencode(self.path))


class CommandProbe:
    """Runs one command on one tree and judges it. May be called from several threads."""

    def __init__(
        self,
        area: ProbeArea,
        command: Command,
        *,
        clock: Clock = monotonic_ns,
        tracer: Tracer | None = None,
    ) -> None:
        self._area = area
        self._command = command
        self._clock = clock
        self._tracer = tracer

    def cancel(self, stop: threading.Event) -> None:
        """Stop the run that was given ``stop``."""
        self._area.cancel(stop)

    def cancel_all(self) -> None:
        """Stop every run; no further one will start."""
        self._area.stop_all()

    def __call__(self, target: Target, stop: threading.Event) -> Observation:
        """One run on ``target``; ``stop`` is what ``cancel`` recognises it by.

        Raises:
            CorruptError: the snapshot cannot be read.
        """
        folder, private = self._area.take()
        try:
            if stop.is_set():
                return Observation(None, cancelled=True)
            self._area.switch(folder, target.root)
            return self._run(folder, private, target, stop)
        finally:
            self._area.give_back(folder, private)

    def output(self, target: Target) -> tuple[int | None, bytes]:
        """Exit code (``None``: timed out or stopped) and the end of what one run printed."""
        folder, private = self._area.take()
        try:
            self._area.switch(folder, target.root)
            exit_code, printed, _ = self._execute(folder, private, target, threading.Event())
        finally:
            self._area.give_back(folder, private)
        return exit_code, printed

    def _run(self, folder: WorkFolder, private: str, target: Target, stop: threading.Event) -> Observation:
        started = self._clock()
        exit_code, printed, reads = self._execute(folder, private, target, stop)
        elapsed = self._clock() - started
        if stop.is_set():
            return Observation(None, elapsed_ns=elapsed, cancelled=True)
        if exit_code is None:
            detail = f"timeout after {self._command.timeout_s:g} s"
            return Observation(Verdict.SKIP, elapsed_ns=elapsed, detail=detail)
        return replace(_judge(exit_code, printed, elapsed), reads=reads)

    def _execute(
        self, folder: WorkFolder, private: str, target: Target, stop: threading.Event
    ) -> tuple[int | None, bytes, Reads | None]:
        """Run the command to its end, or kill it.

        Its exit code (``None``: timed out), its output, and what it read if it is traced.
        """
        argv = ["/bin/sh", "-c", self._command.line]
        if self._tracer is None:
            return (*self._start(argv, folder, private, target, stop), None)
        tracing = Tracing(private)
        try:
            traced = self._tracer.arguments(tracing.pipe, argv)
            exit_code, printed = self._start(traced, folder, private, target, stop)
        except BaseException:
            tracing.finish()
            raise
        reads = tracing.reads(folder.layout(os.fsencode(private)))
        if "CASREPLAY_" in self._command.line:
            reads = replace(reads, unclear="the command asks which snapshot it is on")
        return exit_code, printed, reads

    def _start(
        self, argv: list[str], folder: WorkFolder, private: str, target: Target, stop: threading.Event
    ) -> tuple[int | None, bytes]:
        environ = clean_environment(self._command.environ, private, target)
        with tempfile.TemporaryFile(dir=private) as output:
            process = subprocess.Popen(  # noqa: S603 - the user's own command line: what --run promises
                argv,
                cwd=folder.path,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._area.started(process.pid, stop)
            timed_out = False
            try:
                process.wait(self._command.timeout_s)
            except subprocess.TimeoutExpired:
                timed_out = True
            finally:
                kill_group(process.pid)
                process.wait()
                self._area.ended(process.pid)
            return None if timed_out else process.returncode, _tail(output)


def _judge(exit_code: int, output: bytes, elapsed_ns: int) -> Observation:
    verdict = verdict_of(exit_code)
    signature = signature_of(exit_code, output)
    if verdict is Verdict.GOOD:
        return Observation(verdict, None, elapsed_ns)
    if verdict is Verdict.SKIP:
        return Observation(verdict, signature, elapsed_ns, "exit 125")
    if verdict is None:
        what = f"killed by signal {-exit_code}" if exit_code < 0 else f"exit {exit_code}"
        said = last_line(output, masked=False)
        detail = f"the command cannot judge ({what})" + (f": {said}" if said else "")
        return Observation(None, signature, elapsed_ns, detail)
    return Observation(verdict, signature, elapsed_ns, signature.line)


def _tail(output: IO[bytes]) -> bytes:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - OUTPUT_BYTES))
    return output.read()


def clean_environment(environ: Mapping[str, str], private: str, target: Target) -> dict[str, str]:
    """The environment of a run: the caller's, with everything that could remember an earlier run replaced."""
    kept = {
        k: v for k, v in environ.items() if not k.startswith(("CASREPLAY_", "XDG_")) and k not in _DROPPED
    }
    folders = {name: os.path.join(private, name) for name in ("home", "tmp")}
    for path in folders.values():
        os.makedirs(path, exist_ok=True)
    return kept | {
        "HOME": folders["home"],
        "TMPDIR": folders["tmp"],
        "TMP": folders["tmp"],
        "TEMP": folders["tmp"],
        # Not PYTHONPYCACHEPREFIX: an empty one hides the bytecode of Python itself, 0.2 s a run.
        "PYTHONDONTWRITEBYTECODE": "1",
        "CASREPLAY_SNAPSHOT": target.snapshot,
        "CASREPLAY_LABEL": target.label,
    }


_DROPPED = frozenset(("PYTHONPYCACHEPREFIX", "PWD", "OLDPWD", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"))


def _empty(path: str) -> None:
    try:
        with os.scandir(path) as listed:
            is_used = next(listed, None) is not None
    except FileNotFoundError:
        return
    if is_used:
        remove_folder(os.fsencode(path))
