# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Stack traces as blocks: where each starts and ends, its exceptions, and which of them is the cause.

The cause follows each language's own rule: Python's first block of a chain, Java's last
``Caused by``, Node's innermost ``[cause]``, .NET's innermost ``--->``. Blocks are found by
shape alone; what an exception means is ``forensics.signals``' affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from casreplay.forensics.logs.records import LogRecord

__all__ = ["TraceBlock", "blocks", "blocks_of"]

MAX_BLOCK_LINES = 3000

_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_$][\w.$:\\]*?(?:\s\[\w+\])?)(?::\s?(?P<message>.*))?$", re.DOTALL)
_PY_HEAD = re.compile(r"^[\s|+-]*(?:Exception Group )?Traceback \(most recent call last\):")
_PY_EXCEPTION = re.compile(r"^[\s|+-]*(?P<type>[A-Za-z_][\w.]*)(?::\s?(?P<message>.*)|\s*)$")
_PY_CHAIN = re.compile(
    r"^(?:During handling of the above exception|The above exception was the direct cause)"
)
_PY_FRAME = re.compile(r'^[\s|]+File "(?P<path>[^"]+)", line (?P<line>\d+)')
_AT = re.compile(r"^\s+at\s\S|^\s+\.\.\. \d+ (?:more|common frames)|^\s+--- End of|^\s*\|?\s+at async ")
_AT_FRAME = re.compile(r"\(?(?P<path>[\w./\\:@ -]+?\.\w{1,5}):(?:line )?(?P<line>\d+)(?::\d+)?\)?\s*$")
_TYPED = re.compile(
    r"^(?:.*?\b(?:Exception in thread \"[^\"]*\"|Uncaught(?: Exception| exception)?:?|Unhandled exception\.?|Unhandled Exception:)\s+|[^\w\n]*|.*?[:\]]\s)"
    r"(?P<type>(?:[a-zA-Z_$][\w$]*[./\\])*[A-Z][\w$]*(?:Error|Exception|Failure|Throwable|Fault|Interrupt|Stop|Warning)[\w$]*(?:\s\[\w+\])?)(?::\s?(?P<message>.*)|\s*)$"
)
_NODE_ERROR = re.compile(r"^(?:Uncaught )?(?P<type>[A-Za-z_$][\w$.]*(?:\s\[\w+\])?):\s(?P<message>.*)$")
_CAUSED = re.compile(r"^\s*Caused by:\s*(?P<type>[\w.$/]+)?(?::\s?(?P<message>.*))?")
_SUPPRESSED = re.compile(r"^\s*Suppressed:")
_NODE_CAUSE = re.compile(r"^\s+\[cause\]:\s(?P<type>[\w.$]+(?:\s\[\w+\])?)(?::\s?(?P<message>.*))?")
_NET_INNER = re.compile(r"^\s*--->\s*(?P<type>[\w.`]+)(?::\s?(?P<message>.*))?")
_GO_HEAD = re.compile(r"^(?P<type>panic|fatal error): (?P<message>.*)$")
_GO_BODY = re.compile(
    r"^(?:goroutine \d+|\[signal |\[recovered\]|\s|main\.|runtime[./]|created by |exit status|[\w./*()\[\]-]+\(|$|panic: )"
)
_RUST_OLD = re.compile(
    r"^thread '(?P<t>[^']*)'(?: \(\d+\))? panicked at '(?P<message>.*)', (?P<path>[^\s:]+):(?P<line>\d+)(?::\d+)?$"
)
_RUST_NEW = re.compile(
    r"^thread '(?P<t>[^']*)'(?: \(\d+\))? panicked at (?P<path>[^\s:]+):(?P<line>\d+)(?::\d+)?:$"
)
_RUST_BODY = re.compile(r"^(?:stack backtrace:|\s+\d+: |\s+at |note: )")
_RUBY_HEAD = re.compile(
    r"^(?:\S+\s)?(?P<path>[^\s:]+\.(?:rb|rake|ru|gemspec)|\(\w+\)|\S*/(?:bin|exe)/\S+|Rakefile|Gemfile):(?P<line>\d+):in [`'](?P<f>[^']*)': (?P<message>.*?) ?\((?P<type>[A-Z][\w:]*)\)$"
)
_RUBY_BODY = re.compile(r"^\s+(?:\d+: )?from \S+:\d+|^\s+from \(")
_PHP_HEAD = re.compile(
    r"^(?:PHP )?(?P<level>Fatal error|Parse error|Warning|Catchable fatal error):\s+(?:Uncaught (?P<type>[\w\\]+)(?::\s)?)?(?P<message>.*?)(?: in (?P<path>\S+?)(?::| on line )(?P<line>\d+))?$"
)
_PHP_BODY = re.compile(r"^(?:Stack trace:|#\d+ |\s+thrown in |Next [\w\\]+|PHP {2,}\d|$)")
_SAN_HEAD = re.compile(
    r"^=*\d*=*\s?(?:ERROR|WARNING): (?P<type>(?:Address|Leak|Memory|Thread|UndefinedBehavior)Sanitizer)[: ](?P<message>.*)$"
)
_SAN_BODY = re.compile(
    r"^(?:\s|=+\d*|#\d|SUMMARY|READ|WRITE|Shadow|0x|freed by|previously|allocated|Direct leak|Indirect leak|ABORTING|$|HINT|  )"
)
_SHELL = re.compile(
    r"^(?P<path>[\w./~-]+|-?(?:ba|z|da|k)?sh): (?:(?:line )?(?P<line>\d+): )(?P<message>\S.*)$"
)


@dataclass(frozen=True, slots=True)
class TraceBlock:
    r"""One stack trace (a whole chain of them, where the language chains).

    Attributes:
        language: ``python node java go rust ruby php dotnet shell sanitizer`` (``java`` also for other JVM languages).
        lines: numbers of its lines, ascending.
        text: its lines joined by ``\\n``.
        exception: type of the exception that ended the program.
        message: that exception's message.
        line: the line it is named on.
        cause: type of the root cause; equal to ``exception`` without a chain.
        cause_message: the root cause's message.
        cause_line: the line the root cause is named on.
        frames: ``(path, line)`` of the frames as written, at most 60.
    """

    language: str
    lines: tuple[int, ...]
    text: str
    exception: str
    message: str
    line: int
    cause: str
    cause_message: str
    cause_line: int
    frames: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class _Block:
    language: str
    rows: list[tuple[int, str]]
    found: list[tuple[str, str, int]]
    """Exceptions in the order they stand: type, message, line number."""


def blocks(records: Iterable[LogRecord]) -> Iterator[TraceBlock]:
    """The stack traces among ``records``, in order. Cost: linear; a window of 16 lines and one block in memory."""
    return blocks_of(row for record in records for row in record.numbered())


def blocks_of(rows: Iterable[tuple[int, str]]) -> Iterator[TraceBlock]:
    """``blocks`` for ``(line number, text)`` rows."""
    recent: list[tuple[int, str]] = []
    current: _Block | None = None
    body: Callable[[_Block, int, str], bool] = _never
    for number, text in rows:
        if current is not None:
            if len(current.rows) < MAX_BLOCK_LINES and body(current, number, text):
                current.rows.append((number, text))
                continue
            yield from _close(current)
            current = None
            recent = []
        opened = _open(number, text, recent)
        if opened is not None:
            current, body = opened
            recent = []
        else:
            recent.append((number, text))
            del recent[:-16]
    if current is not None:
        yield from _close(current)


def _never(_block: _Block, _number: int, _text: str) -> bool:
    return False


def _open(
    number: int, text: str, recent: list[tuple[int, str]]
) -> tuple[_Block, Callable[[_Block, int, str], bool]] | None:
    """The block that ``text`` opens and the rule that says which lines go on with it."""
    row = (number, text)
    if "Traceback (most" in text and _PY_HEAD.match(text):
        return _Block("python", [row], []), _python_body
    if _AT.match(text):
        return _at_block(row, recent)
    if match := _GO_HEAD.match(text):
        return _Block("go", [row], [(match["type"], match["message"], number)]), _go_body
    if text.startswith("thread '"):
        if match := _RUST_OLD.match(text):
            return _Block("rust", [row], [("panic", match["message"], number)]), _rust_body
        if _RUST_NEW.match(text):
            return _Block("rust", [row], []), _rust_body
    if "Sanitizer" in text and (match := _SAN_HEAD.match(text)):
        return _Block("sanitizer", [row], [(match["type"], match["message"].strip(), number)]), _simple(
            _SAN_BODY
        )
    return _open_script(row)


def _open_script(row: tuple[int, str]) -> tuple[_Block, Callable[[_Block, int, str], bool]] | None:
    number, text = row
    if ":in " in text and (match := _RUBY_HEAD.match(text)):
        return _Block("ruby", [row], [(match["type"], match["message"], number)]), _simple(_RUBY_BODY)
    if ("PHP " in text or " on line " in text) and (match := _PHP_HEAD.match(text)):
        kind = match["type"] or match["level"]
        return _Block("php", [row], [(kind, match["message"], number)]), _simple(_PHP_BODY)
    if (match := _SHELL.match(text)) and (match["path"].endswith("sh") or " line " in text):
        return _Block("shell", [row], [("shell", match["message"], number)]), _never
    return None


def _simple(pattern: re.Pattern[str]) -> Callable[[_Block, int, str], bool]:
    def body(_block: _Block, _number: int, text: str) -> bool:
        return pattern.match(text) is not None

    return body


def _python_body(block: _Block, number: int, text: str) -> bool:
    rows = block.rows
    stripped = text.strip(" |+-")
    done = bool(block.found) and block.found[-1][2] > _last_head(rows)
    if not done:
        if text.startswith((" ", "\t", "|", "+")) and not _group_exception(text, rows):
            return True
        match = _PY_EXCEPTION.match(text)
        if match is None or not stripped:
            return not stripped
        block.found.append((match["type"], (match["message"] or "").strip(), number))
        return True
    if _PY_CHAIN.match(stripped) or _PY_HEAD.match(text):
        return True
    # After the exception: blank lines and notes belong only when a chain goes on, which the next lines show.
    return not stripped or text.startswith(("  | ", "  +", "    | ", "    +"))


def _last_head(rows: list[tuple[int, str]]) -> int:
    for number, text in reversed(rows):
        if "Traceback (most" in text:
            return number
    return 0


def _group_exception(text: str, rows: list[tuple[int, str]]) -> bool:
    """Whether a line inside an exception group's border names an exception (``  | ValueError: x``)."""
    return (
        len(rows) > 1
        and rows[-1][1].lstrip(" |").startswith(("File", "raise", "^", "~"))
        and bool(re.match(r"^\s*\|\s[A-Za-z_][\w.]*(?::|$)", text))
    )


def _at_block(
    row: tuple[int, str], recent: list[tuple[int, str]]
) -> tuple[_Block, Callable[[_Block, int, str], bool]] | None:
    """A block whose first frame is ``row``: Node, the JVM or .NET; the head is looked for in the lines before."""
    for back in range(len(recent) - 1, -1, -1):
        number, text = recent[back]
        if _NET_INNER.match(text):
            continue
        match = _TYPED.match(text) or (
            _NODE_ERROR.match(text) if back == len(recent) - 1 or "Error" in text else None
        )
        if match is None:
            continue
        start = back
        while start > 0 and (
            recent[start - 1][1].strip() in {"", "^"}
            or re.match(r"^\s*(?:throw |node:internal|\^|\S*:\d+$)", recent[start - 1][1])
        ):
            start -= 1
        while start < back and not recent[start][1].strip():
            start += 1
        found = [(match["type"], (match["message"] or "").strip(), number)]
        rows = [*recent[start:], row]
        for inner_number, inner in recent[back + 1 :]:
            _note_cause(found, inner_number, inner)
        return _Block(_language(row[1], match["type"]), rows, found), _at_body
    return None


def _language(frame: str, kind: str) -> str:
    if (
        re.search(r"\.(?:js|mjs|cjs|ts|tsx|jsx)\b|node:|<anonymous>|file://", frame)
        or frame.strip() == "at new Promise (<anonymous>)"
    ):
        return "node"
    if re.search(r"\.cs\b|:line \d+|\) in ", frame) or kind.startswith(("System.", "Microsoft.")):
        return "dotnet"
    return "java"


def _note_cause(found: list[tuple[str, str, int]], number: int, text: str) -> bool:
    for pattern in (_CAUSED, _NODE_CAUSE, _NET_INNER):
        match = pattern.match(text)
        if match is not None:
            found.append((match["type"] or "", (match["message"] or "").strip(), number))
            return True
    return False


def _at_body(block: _Block, number: int, text: str) -> bool:
    if _AT.match(text) or _SUPPRESSED.match(text):
        return True
    if _note_cause(block.found, number, text):
        return True
    last = block.found[-1]
    if not last[0] and text.strip():
        # "Caused by:" alone on its line (Gradle): the exception follows.
        match = _TYPED.match(text)
        if match is not None:
            block.found[-1] = (match["type"], (match["message"] or "").strip(), number)
            return True
    if block.language == "node" and (
        text.startswith(("    ", "  [", "  ", "Node.js v")) or text in {"}", "} {"}
    ):
        return True
    previous = block.rows[-1][1]
    # A blank line stays inside when frames go on after it; a trailing one is cut in _close.
    return (not text.strip() and bool(previous.strip())) or (
        last[2] == block.rows[-1][0] and text.startswith(("\t", "  "))
    )


def _go_body(block: _Block, number: int, text: str) -> bool:
    match = _GO_HEAD.match(text)
    if match is not None:
        block.found.append((match["type"], match["message"], number))
        return True
    if text.startswith("exit status"):
        return True
    return _GO_BODY.match(text) is not None


def _rust_body(block: _Block, number: int, text: str) -> bool:
    if not block.found:
        block.found.append(("panic", text.strip(), number))
        return True
    return _RUST_BODY.match(text) is not None or (
        block.rows[-1][0] == block.found[-1][2] and text.startswith((" ", "\t"))
    )


def _close(block: _Block) -> Iterator[TraceBlock]:
    rows = block.rows
    while rows and not rows[-1][1].strip():
        rows.pop()
    found = [item for item in block.found if item[0]]
    if not rows or not found:
        return
    last = found[-1] if block.language == "python" else found[0]
    cause = (
        found[0]
        if block.language in {"python", "go", "rust", "ruby", "php", "shell", "sanitizer"}
        else found[-1]
    )
    numbers: list[int] = []
    for number, _ in rows:
        if not numbers or numbers[-1] != number:
            numbers.append(number)
    yield TraceBlock(
        block.language, tuple(numbers), "\n".join(text for _, text in rows),
        last[0], last[1], last[2], cause[0], cause[1], cause[2], _frames(rows),
    )  # fmt: skip


def _frames(rows: list[tuple[int, str]]) -> tuple[tuple[str, int], ...]:
    frames: list[tuple[str, int]] = []
    for _, text in rows:
        match = (
            _PY_FRAME.match(text)
            or (_AT_FRAME.search(text) if _AT.match(text) else None)
            or _OTHER_FRAME.search(text)
        )
        if match is not None:
            frames.append((match["path"].strip(), int(match["line"])))
            if len(frames) >= 60:
                break
    return tuple(frames)


_OTHER_FRAME = re.compile(
    r"(?:^|\s|'|\()(?P<path>[\w./\\-]+\.(?:go|rs|rb|php|sh|c|cc|cpp)):(?:line )?(?P<line>\d+)"
)
