"""Users' patterns matched so that none can hang the program.

RE2 matches in linear time and is used where it is installed. Without it the patterns run in
a child process of their own, which is killed when the time is up: ``re`` backtracks and cannot
be interrupted from inside. Lines are matched one by one; a pattern never sees two of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from casreplay.codec.regexes import has_re2

__all__ = ["Hit", "LinePatterns", "PatternTimeoutError"]

DEFAULT_LIMIT_S = 10.0
MAX_LINE_CHARS = 20_000
"""Only this much of a line is matched: the cost of a pattern grows with the line."""
_WORKER = """
import json, re, sys
job = json.load(sys.stdin)
flags = re.IGNORECASE if job["ignore_case"] else 0
patterns = [re.compile(p, flags) for p in job["patterns"]]
hits = []
for number, line in enumerate(job["lines"]):
    for which, pattern in enumerate(patterns):
        found = pattern.search(line)
        if found:
            group = 1 if pattern.groups and found.group(1) is not None else 0
            hits.append([number, which, *found.span(), *found.span(group)])
json.dump(hits, sys.stdout)
"""


class PatternTimeoutError(Exception):
    """The patterns did not finish in time; what they would have found is not known."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern found in a line.

    Attributes:
        line: index of the line in what was given.
        pattern: index of the pattern.
        start: first character of the match; ``end`` the one after its last.
        end: see ``start``.
        value_start: first character of the first group, or of the match when there is none.
        value_end: see ``value_start``.
    """

    line: int
    pattern: int
    start: int
    end: int
    value_start: int
    value_end: int


class LinePatterns:
    """Several patterns, prepared once, matched against many lines."""

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        ignore_case: bool = False,
        limit_s: float = DEFAULT_LIMIT_S,
        use_re2: bool | None = None,
    ) -> None:
        """Prepare ``patterns`` (already checked by ``codec.regexes.refusal``).

        Args:
            patterns: regular expressions of linear time.
            ignore_case: for all of them.
            limit_s: seconds that one call of ``search`` may take without RE2.
            use_re2: force or forbid RE2; ``None`` takes it where it is installed.
        """
        self.patterns = tuple(patterns)
        self._ignore_case = ignore_case
        self._limit_s = limit_s
        self._compiled: list[Any] | None = None
        if has_re2() if use_re2 is None else use_re2:
            self._compiled = _compiled(self.patterns, ignore_case=ignore_case)

    @property
    def engine(self) -> str:
        """``re2`` or ``process``, for coverage."""
        return "process" if self._compiled is None else "re2"

    def search(self, lines: Sequence[str]) -> list[Hit]:
        """The first match of each pattern in each line, by line, then pattern.

        Raises:
            PatternTimeoutError: without RE2, when the time limit was reached.
        """
        if not self.patterns or not lines:
            return []
        cut = [line[:MAX_LINE_CHARS] for line in lines]
        if self._compiled is None:
            return self._in_process(cut)
        hits: list[Hit] = []
        for number, line in enumerate(cut):
            for which, pattern in enumerate(self._compiled):
                found = pattern.search(line)
                if found is not None:
                    group = 1 if pattern.groups and found.group(1) is not None else 0
                    hits.append(Hit(number, which, *found.span(), *found.span(group)))
        return hits

    def _in_process(self, lines: Sequence[str]) -> list[Hit]:
        job = {"patterns": self.patterns, "ignore_case": self._ignore_case, "lines": list(lines)}
        command = [sys.executable, "-I", "-S", "-c", _WORKER]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and program, the job as data
                command,
                input=json.dumps(job).encode(),
                capture_output=True,
                timeout=self._limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PatternTimeoutError(f"Patterns took longer than {self._limit_s:g} s") from error
        if done.returncode != 0:
            raise PatternTimeoutError("The process that matches patterns failed")
        return [Hit(*row) for row in json.loads(done.stdout)]


def _compiled(patterns: Sequence[str], *, ignore_case: bool) -> list[Any]:
    import re2  # noqa: PLC0415 - an extra: see codec.regexes.has_re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    return [re2.compile(pattern, options) for pattern in patterns]
