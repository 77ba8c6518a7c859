"""Text made safe to show: each secret replaced by its rule, length and fingerprint.

``<gh.personal> len=40 fp=9c1f2a7b``: the fingerprint links occurrences of the same value
within one store and, being a keyed hash, tells nobody what the value was. Redact first, cut
to length afterwards: a secret cut in half is no longer recognised.
"""

from __future__ import annotations

from collections.abc import Iterable

from casreplay.forensics.secrets.kinds import kind_of
from casreplay.forensics.secrets.model import SecretMatch
from casreplay.forensics.secrets.scanner import SecretScanner, label

__all__ = ["Redactor", "redact_range"]


class Redactor:
    """Redacts any text with one scanner. Cheap to keep; give it to whatever produces text."""

    def __init__(self, scanner: SecretScanner) -> None:
        self._scanner = scanner

    def text(self, text: str, path: bytes = b"") -> str:
        """``text`` without secrets; text that holds none comes back as the same object.

        Characters that are not valid Unicode survive (surrogate escapes). Cost: one scan.
        """
        data = text.encode("utf-8", "surrogatepass")
        shown = self.bytes(data, path)
        return text if shown is data else shown.decode("utf-8", "surrogatepass")

    def hidden(self, rule: str, value: str) -> str:
        """What stands for ``value`` when it is known to be a secret, found by a rule or not."""
        return self._scanner.label(rule, value.encode("utf-8", "surrogatepass"))

    def bytes(self, data: bytes, path: bytes = b"") -> bytes:
        """``data`` without secrets; the same object when it holds none."""
        found = self._scanner.find(data, kind_of(path))
        if not found:
            return data
        spans = [
            (f.candidate.start, f.candidate.end, self._scanner.label(f.candidate.rule, f.value))
            for f in found
        ]
        return _replaced(data, spans)


def redact_range(data: bytes, offset: int, matches: Iterable[SecretMatch]) -> bytes:
    """A piece of a blob made safe with what is known of the whole blob.

    ``data`` is what stands at ``offset``; matches that reach into it from outside are
    replaced too, so a key block cut by an evidence window does not show its middle.
    """
    spans = []
    for match in matches:
        start, end = max(match.offset - offset, 0), min(match.offset + match.length - offset, len(data))
        if match.encoding != "gzip" and start < end:
            spans.append((start, end, label(match.rule, match.value_length, match.fingerprint)))
    return _replaced(data, sorted(spans))


def _replaced(data: bytes, spans: list[tuple[int, int, str]]) -> bytes:
    out, last = bytearray(), 0
    for start, end, shown in spans:
        if start < last:
            continue
        out += data[last:start] + shown.encode()
        last = end
    return bytes(out + data[last:])
