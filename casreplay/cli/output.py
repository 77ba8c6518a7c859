"""The only printer: text and JSON to standard output, notes and errors to standard error.

Colours appear on a terminal only, and never with ``--no-color``, ``NO_COLOR`` or
``TERM=dumb``. Callers pass text through ``cli.text.safe`` where it came from outside; JSON is
written in ASCII, which makes it safe to show as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from casreplay.cli.text import safe
from casreplay.errors import CasreplayError

__all__ = ["Output"]

_STYLES = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}


class Output:
    """What one run of the program says.

    Attributes:
        quiet: leave out what only confirms success; facts that were asked for still appear.
        json: the command was given ``--json``: errors are JSON too, notes are left out.
    """

    def __init__(self, environ: Mapping[str, str], *, quiet: bool = False, no_color: bool = False) -> None:
        self.quiet = quiet
        self.json = False
        self._no_color = no_color or bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"

    def forbid_color(self) -> None:
        """From now on no colours, whatever the stream is."""
        self._no_color = True

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return _is_terminal(sys.stdout)

    @property
    def is_attended(self) -> bool:
        """Whether standard error is a terminal: somebody is watching."""
        return _is_terminal(sys.stderr)

    def style(self, text: str, *styles: str, stream: TextIO | None = None) -> str:
        """``text`` in the named colours where they are wanted, as it is elsewhere."""
        if self._no_color or not styles or not _is_terminal(stream or sys.stdout):
            return text
        codes = ";".join(_STYLES[name] for name in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def line(self, text: str = "") -> None:
        """One line of the answer."""
        sys.stdout.write(text + "\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Several lines of the answer."""
        for text in texts:
            self.line(text)

    def confirm(self, text: str) -> None:
        """A line that only says that all went well: left out by ``--quiet`` and ``--json``."""
        if not self.quiet and not self.json:
            self.line(text)

    def note(self, text: str) -> None:
        """A remark on standard error, left out by ``--quiet`` and ``--json``."""
        if not self.quiet and not self.json:
            sys.stdout.flush()
            sys.stderr.write(text + "\n")

    def warning(self, text: str) -> None:
        """Something the reader must know, on standard error; stays with ``--quiet``."""
        sys.stdout.flush()
        label = self.style("warning:", "yellow", "bold", stream=sys.stderr)
        sys.stderr.write(f"{label} {safe(text)}\n")

    def data(self, value: Any) -> None:
        """A value as JSON, indented, ASCII only, keys in the order they were given."""
        import json  # noqa: PLC0415 - only commands that were asked for JSON pay for it

        sys.stdout.write(json.dumps(value, indent=2) + "\n")

    def data_rows(self, rows: Iterable[Any]) -> None:
        """A JSON array with one row a line, written as the rows come: no list of them is held."""
        import json  # noqa: PLC0415 - only commands that were asked for JSON pay for it

        sys.stdout.write("[")
        separator = "\n"
        for row in rows:
            sys.stdout.write(separator + json.dumps(row))
            separator = ",\n"
        sys.stdout.write("\n]\n" if separator != "\n" else "]\n")

    def raw(self, pieces: Iterable[bytes]) -> None:
        """Bytes of a file: as they are into a pipe or file, escaped on a terminal."""
        if self.is_terminal:
            for piece in pieces:
                sys.stdout.write(safe(piece.decode("utf-8", "surrogateescape")))
            return
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    def error(self, error: CasreplayError) -> None:
        """An error and its hint on standard error; one JSON object when the command was given ``--json``."""
        if self.json:
            self._json_error(type(error).__name__, error.message, error)
            return
        sys.stdout.flush()
        label = self.style("error:", "red", "bold", stream=sys.stderr)
        sys.stderr.write(f"{label} {safe(error.message)}\n")
        if error.hint:
            label = self.style("hint:", "yellow", stream=sys.stderr)
            first, *rest = safe(error.hint).split("\n")
            sys.stderr.write("\n".join([f"{label} {first}", *(f"      {line}" for line in rest)]) + "\n")

    def _json_error(self, name: str, message: str, error: CasreplayError) -> None:
        import json  # noqa: PLC0415 - only commands that were asked for JSON pay for it

        fields = {
            "type": name,
            "message": message,
            "hint": error.hint,
            "exit_code": error.exit_code,
            "fields": {key: _plain(value) for key, value in error.fields.items()},
        }
        sys.stderr.write(json.dumps({"error": fields}, indent=2) + "\n")


def _plain(value: object) -> Any:
    """``value`` as JSON can hold it: ids and other bytes in hex or as shown, the rest as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex() if len(value) == 32 else value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False
