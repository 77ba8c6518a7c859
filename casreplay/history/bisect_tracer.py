"""Running a command under ``strace`` and taking in what it writes.

Owns the process side of tracing: whether it can be done here, the command line, the pipe. What the
lines say is ``history.bisect_strace``'s affair. Linux only.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from casreplay.errors import CasreplayError, MissingExtraError, UsageError
from casreplay.history.bisect_layout import Layout
from casreplay.history.bisect_reads import Reads
from casreplay.history.bisect_strace import parse
from casreplay.history.bisect_trace import TRACED_CALLS, reads_of

__all__ = ["Tracer", "Tracing"]

MAX_TRACE_BYTES = 512 << 20
"""Above this a trace is not kept and proves nothing."""
PATIENCE_S = 5.0
"""How long the tracer may take to finish once the command and its group are gone."""
TICK_MS = 50


class Tracer:
    """``strace`` on this machine.

    Args:
        environ: where ``PATH`` is taken from.
        platform: as ``sys.platform`` names it.

    Raises:
        UsageError: not Linux.
        MissingExtraError: there is no ``strace``.
    """

    def __init__(self, environ: Mapping[str, str], *, platform: str = sys.platform) -> None:
        if platform != "linux":
            raise UsageError(f"--trace works on Linux only, not on {platform}", hint="--watch names paths")
        found = shutil.which("strace", path=environ.get("PATH", os.defpath))
        if found is None:
            raise MissingExtraError(
                "--trace needs the program strace, which is not installed",
                hint="Install the package strace (apt install strace, dnf install strace), or use --watch",
            )
        self._program = found

    def arguments(self, pipe: str, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` and writes the trace to ``pipe``.

        The tracer is a process of its own beside the command (``-DD``): the exit code, signals and
        process group of the command stay as they are, and killing the group spares the tracer, which
        has lines to write still.
        """
        calls = ",".join(f"?{name}" if not name.startswith("%") else name for name in TRACED_CALLS)
        options = ["-DD", "-f", "-y", "-xx", "-qq", "-s", "64", "--seccomp-bpf", "-e", "signal=none"]
        return [self._program, *options, "-e", f"trace={calls}", "-o", pipe, "--", *command]

    def check(self, folder: str) -> None:
        """Trace something harmless, with a pipe in ``folder``.

        Raises:
            CasreplayError: this process may not trace (containers and some kernels forbid it).
        """
        tracing = Tracing(folder)
        done = subprocess.run(  # noqa: S603 - strace as found in PATH, on the system's own shell
            self.arguments(tracing.pipe, ["/bin/sh", "-c", ":"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        lines = tracing.finish(patience_s=0 if done.returncode else PATIENCE_S)
        if done.returncode or lines is None or not any(b"execve(" in line for line in lines):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise CasreplayError(
                f"strace cannot trace here: {said[-1] if said else 'it wrote nothing'}",
                hint="Containers need the capability SYS_PTRACE; without --trace the search works as ever",
            )


class Tracing:
    """One traced run: a pipe that is read until the tracer is done.

    Args:
        folder: where the pipe is made; it is removed by ``finish``.
    """

    def __init__(self, folder: str) -> None:
        self.pipe = os.path.join(folder, "trace")
        if os.path.lexists(self.pipe):
            os.unlink(self.pipe)
        os.mkfifo(self.pipe, 0o600)
        self._fd = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._parts: list[bytes] = []
        self._is_over = threading.Event()
        self._is_complete = False
        self._patience_s = PATIENCE_S
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Take in everything until the tracer closes the pipe, or has had time enough."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        size, waited = 0, 0
        while waited <= self._patience_s * 1000:
            events = poll.poll(TICK_MS)
            if not events:
                waited += TICK_MS if self._is_over.is_set() else 0
                continue
            data = os.read(self._fd, 1 << 20) if events[0][1] & select.POLLIN else b""
            if not data:
                self._is_complete = size <= MAX_TRACE_BYTES
                return
            size += len(data)
            if size <= MAX_TRACE_BYTES:
                self._parts.append(data)
            else:
                self._parts.clear()

    def finish(self, *, patience_s: float = PATIENCE_S) -> list[bytes] | None:
        """The lines, once the command is gone; ``None`` when the trace is not complete.

        Args:
            patience_s: how long the tracer may take to write what it still has.
        """
        self._patience_s = patience_s
        self._is_over.set()
        self._reader.join()
        os.close(self._fd)
        os.unlink(self.pipe)
        data = b"".join(self._parts)
        if not self._is_complete or not data.endswith(b"\n"):
            return None
        return data.splitlines()

    def reads(self, layout: Layout) -> Reads:
        """What the run read; ``finish`` is called."""
        lines = self.finish()
        return Reads(unclear="its trace is not complete") if lines is None else reads_of(parse(lines), layout)
