"""Patterns, scanners and metrics for the commands that look at contents: ``bisect`` and ``drift``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import click

from casreplay.cli.session import Session
from casreplay.errors import UsageError
from casreplay.model.objects import Snapshot

if TYPE_CHECKING:
    from casreplay.forensics.drift_metrics import Metric, MetricTools

__all__ = ["SECONDS", "Regex", "compile_pattern", "compile_regex", "make_metrics", "secret_scanner"]


class Seconds(click.types.FloatParamType):
    """A time limit: a finite number above zero."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, or a usage error."""
        found = float(super().convert(value, param, ctx))
        if not 0 < found < math.inf:
            self.fail(f"{value} is no number of seconds above zero", param, ctx)
        return found


SECONDS = Seconds()
_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class Regex(Protocol):
    """What both regular expression engines offer."""

    def search(self, content: bytes, /) -> object | None:
        """The first match."""

    def finditer(self, content: bytes, /) -> Iterator[object]:
        """Every match."""


def compile_regex(pattern: str) -> Regex:
    """A regular expression over contents; lines are anchored by ``^`` and ``$``.

    RE2 where it is installed and understands the pattern: its time is linear. Otherwise
    Python's own, which a hostile pattern can keep busy for long.

    Raises:
        UsageError: it is no regular expression.
    """
    raw = pattern.encode("utf-8", "surrogateescape")
    try:
        import re2  # noqa: PLC0415 - an optional extra

        options = re2.Options()
        options.log_errors = False
        linear: Regex = re2.compile(b"(?m)" + raw, options)
    except ImportError:
        pass
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("re2", "_re2"):
            raise
    else:
        return linear
    try:
        return re.compile(raw, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"{pattern!r} is no regular expression ({error})") from error


def compile_pattern(pattern: str) -> Callable[[bytes], bool]:
    """A regular expression as a test on contents; see ``compile_regex``."""
    found = compile_regex(pattern)
    return lambda content: found.search(content) is not None


def secret_scanner(session: Session) -> Callable[[bytes, bytes], Sequence[object]]:
    """``(content, path) -> secrets`` by the configured rules, made when first needed."""
    held: list[Callable[[bytes, bytes], Sequence[object]]] = []

    def scan(content: bytes, path: bytes) -> Sequence[object]:
        if not held:
            held.append(_make_scanner(session))
        return held[0](content, path)

    return scan


def _make_scanner(session: Session) -> Callable[[bytes, bytes], Sequence[object]]:
    from casreplay.forensics.secrets.custom import CustomRules  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter  # noqa: PLC0415 - as above

    repository = session.repository()
    config = repository.config
    custom = CustomRules(config.secrets_rules, config.secrets_allow)
    key = repository.store.key()
    return SecretScanner(fingerprinter(key), engine=config.secrets_engine, custom=custom).scan_bytes


def make_metrics(
    session: Session,
    names: Sequence[str],
    glob: str | None,
    stack: ExitStack,
    *,
    timeout_s: float | None = None,
) -> list[Metric]:
    """The metrics called ``names``; ``stack`` closes what they open.

    Raises:
        UsageError: there is none of a name.
    """
    from casreplay.forensics.drift_metrics import make_metric  # noqa: PLC0415 - start-up speed

    tools = _tools(session, glob, stack, timeout_s)
    return [make_metric(name, session.repository().objects, tools) for name in names]


def _tools(session: Session, glob: str | None, stack: ExitStack, timeout_s: float | None) -> MetricTools:
    from casreplay.forensics.drift_metrics import MetricTools  # noqa: PLC0415 - start-up speed
    from casreplay.forensics.drift_steps import KnownSteps  # noqa: PLC0415 - as above
    from casreplay.history.path_globs import covering  # noqa: PLC0415 - as above
    from casreplay.history.probes import Command, CommandProbe, ProbeArea, Target  # noqa: PLC0415 - as above

    repository = session.repository()

    def secrets(path: bytes, content: bytes) -> int:
        return len(scan(content, path))

    def run(line: str) -> Callable[[Snapshot], float | None]:
        area = stack.enter_context(ProbeArea(repository.objects))
        probe = CommandProbe(area, Command(line, timeout_s, session.environ))

        def call(snapshot: Snapshot) -> float | None:
            label = repository.notes.label_of(snapshot)
            exit_code, printed = probe.output(Target(snapshot.root, snapshot.id.hex(), label))
            numbers = _NUMBER.findall(printed) if exit_code == 0 else []
            number = float(numbers[-1]) if numbers else math.nan
            return number if math.isfinite(number) else None

        return call

    scan = secret_scanner(session)
    return MetricTools(_counter, covering(glob), secrets, run, KnownSteps(repository.store))


def _counter(pattern: str) -> Callable[[bytes], int]:
    """How often ``pattern`` matches, as a function of the content."""
    found = compile_regex(pattern)
    return lambda content: sum(1 for _ in found.finditer(content))
