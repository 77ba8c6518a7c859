"""Three ways to find where a rule may apply; what they lead to is the same.

An engine turns a window of bytes into (probe number, position) pairs. Pure Python reports
every keyword; ``ahocorasick_rs`` reports the same in one pass; ``hyperscan`` tests each probe's
gate natively and reports only places that pass. Since every gate is implied by what its
probe accepts, the findings are equal, which a property test holds all three to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from casreplay.errors import MissingExtraError, UsageError
from casreplay.forensics.secrets.model import Probe

__all__ = ["ENGINES", "Engine", "make_engine"]

ENGINES = ("auto", "hyperscan", "ahocorasick", "re")
_LOOK_BACK = 400


class Engine(Protocol):
    """Finds places worth a look."""

    name: str

    def hits(self, data: bytes) -> set[tuple[int, int]]:
        """(keyword position, probe number) of every place where a probe may succeed."""


class KeywordEngine:
    """Pure Python: one ``bytes.find`` loop a keyword. No requirements, no start-up cost."""

    name = "re"

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._keywords = _by_keyword(probes)

    def hits(self, data: bytes) -> set[tuple[int, int]]:
        """See ``Engine``. Cost: one pass over ``data`` a keyword, at memory speed."""
        found: set[tuple[int, int]] = set()
        for keyword, numbers in self._keywords.items():
            at = data.find(keyword)
            while at >= 0:
                found.update((at, number) for number in numbers)
                at = data.find(keyword, at + 1)
        return found


class AhoCorasickEngine:
    """All keywords in one pass (``pip install casreplay[scan]``)."""

    name = "ahocorasick"

    def __init__(self, probes: Sequence[Probe]) -> None:
        library = _imported("ahocorasick_rs")
        keywords = _by_keyword(probes)
        self._numbers = list(keywords.values())
        self._automaton = library.BytesAhoCorasick(list(keywords), implementation=library.Implementation.DFA)

    def hits(self, data: bytes) -> set[tuple[int, int]]:
        """See ``Engine``. Cost: one pass over ``data``."""
        found: set[tuple[int, int]] = set()
        numbers = self._numbers
        for keyword, at, _ in self._automaton.find_matches_as_indexes(data, overlapping=True):
            for number in numbers[keyword]:
                found.add((at, number))
        return found


class HyperscanEngine:
    """All gates in one pass (``pip install casreplay[scan]``, Linux)."""

    name = "hyperscan"

    def __init__(self, probes: Sequence[Probe]) -> None:
        library = _imported("hyperscan")
        self._tails = [probe.tail for probe in probes]
        self._words = [
            None if probe.tail else re.compile(b"(?=" + b"|".join(map(re.escape, probe.keywords)) + b")")
            for probe in probes
        ]
        self._database: Any = library.Database(mode=library.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[probe.gate.encode() for probe in probes],
            ids=list(range(len(probes))),
            elements=len(probes),
            flags=0,
        )

    def hits(self, data: bytes) -> set[tuple[int, int]]:
        """See ``Engine``. Cost: one pass over ``data`` and a call back for each gate that passed."""
        ends: list[tuple[int, int]] = []

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            ends.append((number, end))

        self._database.scan(data, match_event_handler=on_match)
        found: set[tuple[int, int]] = set()
        for number, end in ends:
            words = self._words[number]
            if words is None:
                found.add((end - self._tails[number], number))
            else:
                found.update((m.start(), number) for m in words.finditer(data, max(0, end - _LOOK_BACK), end))
        return found


def make_engine(name: str, probes: Sequence[Probe]) -> Engine:
    """The engine called ``name``; ``auto`` takes the fastest one installed.

    Raises:
        UsageError: no engine has that name.
        MissingExtraError: its library is not installed.
    """
    makers: dict[str, Callable[[Sequence[Probe]], Engine]] = {
        "hyperscan": HyperscanEngine,
        "ahocorasick": AhoCorasickEngine,
        "re": KeywordEngine,
    }
    if name == "auto":
        for maker in makers.values():
            try:
                return maker(probes)
            except MissingExtraError:
                continue
    if name not in makers:
        raise UsageError(f"Unknown scan engine {name!r}", hint="Engines: " + ", ".join(ENGINES))
    return makers[name](probes)


def _by_keyword(probes: Sequence[Probe]) -> dict[bytes, list[int]]:
    keywords: dict[bytes, list[int]] = {}
    for number, probe in enumerate(probes):
        for keyword in probe.keywords:
            keywords.setdefault(keyword, []).append(number)
    return keywords


def _imported(name: str) -> Any:
    import importlib  # noqa: PLC0415 - optional libraries are loaded by the engine that needs them

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"The scan engine needs the package {name}", hint="pip install 'casreplay[scan]'", package=name
        ) from error
