"""Small drawings for the HTML page: a decision chain and bars, as inline SVG without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from casreplay.report.model import Bars, Chain
from casreplay.report.wording import plain

__all__ = ["bars", "chain"]

WIDTH = 400
"""Of a phone: there a drawing is shown as large as it is."""
EDGE = 4
LINE = 18
MAX_LINES = 3
CHARS = 44
SMALL_CHARS = 54
NAME_CHARS = 27
BARS_AT = 180
BAR = 170


def chain(block: Chain) -> str:
    """Decisions as boxes from top to bottom, each with its reason, what followed and when."""
    parts: list[str] = []
    y = 8
    for number, (text, why, followed, when, _) in enumerate(block.links, start=1):
        lines = _wrapped(f"{number}. {text}", CHARS)
        remarks = [f"because {why}"] if why else []
        remarks += [f"then {one}" for one in followed[:2]]
        small = [line for remark in remarks for line in _wrapped(remark, SMALL_CHARS)[:2]]
        height = 14 + LINE * len(lines) + 16 * len(small) + 18
        if number > 1:
            parts.append(f'<path class="link" d="M{WIDTH // 2} {y - 14} V{y}"/>')
        parts.append(
            f'<rect class="box" x="{EDGE}" y="{y}" width="{WIDTH - 2 * EDGE}" height="{height}" rx="6"/>'
        )
        at = y + 20
        parts += [_text(16, at + LINE * i, line, "strong") for i, line in enumerate(lines)]
        at += LINE * len(lines)
        parts += [_text(16, at + 16 * i, line, "small") for i, line in enumerate(small)]
        parts.append(_text(16, at + 16 * len(small) + 2, when, "dim"))
        y += height + 14
    title = f"Decision chain: {len(block.links)} decisions from first to last"
    return _drawing(WIDTH, y, title, parts)


def bars(block: Bars) -> str:
    """Horizontal bars with their numbers."""
    top = max((value for _, value in block.values), default=0) or 1
    parts: list[str] = []
    for i, (name, value) in enumerate(block.values):
        y = 8 + 26 * i
        width = round(BAR * value / top)
        parts.append(_text(8, y + 15, _cut(name, NAME_CHARS), "small"))
        parts.append(f'<rect class="bar" x="{BARS_AT}" y="{y + 2}" width="{width}" height="18" rx="2"/>')
        parts.append(_text(BARS_AT + 8 + width, y + 15, f"{value:g}", "small"))
    return _drawing(WIDTH, 16 + 26 * len(block.values), block.title, parts)


def _drawing(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_safe(title)}">'
        f"<title>{_safe(title)}</title>{''.join(parts)}</svg>"
    )


def _text(x: int, y: int, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{_safe(text)}</text>'


def _safe(text: str) -> str:
    return escape(plain(text).replace("\n", " "), quote=True)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _wrapped(text: str, chars: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= chars:
            lines[-1] += " " + word
        else:
            lines.append(_cut(word, chars))
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], _cut(lines[MAX_LINES - 1] + " …", chars)]
    return lines or [""]
