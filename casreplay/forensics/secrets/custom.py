"""The user's own secret formats, and values the user declared harmless.

Patterns come from a configuration file and run in linear time or in a killable process
(``forensics.matching``), line by line.
"""

from __future__ import annotations

from collections.abc import Sequence

from casreplay.codec.hashing import blob_id
from casreplay.forensics.matching import LinePatterns, PatternTimeoutError
from casreplay.forensics.secrets.model import Candidate, SecretClass
from casreplay.model.config import SecretRuleConfig

__all__ = ["CustomRules"]


class CustomRules:
    """``SECRETS_RULES`` and ``SECRETS_ALLOW`` of one configuration.

    Attributes:
        digest: changes with any of them; part of the key of cached results.
        problems: messages about patterns that did not finish.
    """

    def __init__(self, rules: Sequence[SecretRuleConfig] = (), allow: Sequence[str] = ()) -> None:
        self._rules = [(rule, LinePatterns([rule.pattern])) for rule in rules]
        self._allow = LinePatterns([f"^(?:{pattern})$" for pattern in allow])
        parts = [f"{r.name}\0{r.pattern}\0{r.keywords}" for r in rules] + list(allow)
        self.digest = blob_id("\n".join(parts).encode()) if parts else b""
        self.problems: list[str] = []

    def find(self, data: bytes) -> list[Candidate]:
        """Secrets of the user's formats in a window. Rules without keywords look at every line."""
        found: list[Candidate] = []
        for rule, patterns in self._rules:
            keywords = [word.encode() for word in rule.keywords]
            if keywords and not any(word in data for word in keywords):
                continue
            spans = _lines_with(data, keywords)
            texts = [data[start:end].decode("latin-1") for start, end in spans]
            try:
                hits = patterns.search(texts)
            except PatternTimeoutError as error:
                self.problems.append(f"{rule.name}: {error}")
                continue
            for hit in hits:
                start = spans[hit.line][0]
                if hit.value_end > hit.value_start:
                    at, end = start + hit.value_start, start + hit.value_end
                    found.append(Candidate(rule.name, SecretClass.TOKEN, at, end, rank=0))
        return found

    def allowed(self, values: Sequence[bytes]) -> set[int]:
        """Which of ``values`` the user declared harmless, by index."""
        if not self._allow.patterns or not values:
            return set()
        try:
            hits = self._allow.search([value.decode("latin-1") for value in values])
        except PatternTimeoutError as error:
            self.problems.append(f"SECRETS_ALLOW: {error}")
            return set()
        return {hit.line for hit in hits}


def _lines_with(data: bytes, keywords: Sequence[bytes]) -> list[tuple[int, int]]:
    """Spans of the lines that hold one of ``keywords``; of all lines when there are none."""
    spans: list[tuple[int, int]] = []
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if not keywords or any(data.find(word, start, end) >= 0 for word in keywords):
            spans.append((start, end))
        start = end + 1
    return spans
