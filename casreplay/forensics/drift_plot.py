"""Pictures of a series: rows of block characters for a terminal, an SVG for a page. Values in, text out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from xml.sax.saxutils import escape

__all__ = ["blocks", "number", "svg"]

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def number(value: float) -> str:
    """A number in at most seven characters or so: ``12``, ``0.25``, ``1.2M``."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:.4g}"


def blocks(values: Sequence[float], marks: Sequence[int], *, width: int = 72, height: int = 6) -> list[str]:
    """The series as ``height`` rows of blocks, scale at the left, and a row that marks change points.

    Args:
        values: at least one.
        marks: indexes to mark with a triangle.
        width: most columns; a column is the mean of the values it stands for.
        height: rows.
    """
    width = min(width, len(values))
    edges = [i * len(values) // width for i in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    scale = (high - low) or 1.0
    steps = [max(round((mean - low) / scale * height * 8), 1) for mean in means]
    label = max(len(number(low)), len(number(high)))
    rows = []
    for row in range(height - 1, -1, -1):
        name = number(high) if row == height - 1 else number(low) if row == 0 else ""
        cells = "".join(_EIGHTHS[min(max(step - 8 * row, 0), 8)] for step in steps)
        rows.append(f"{name:>{label}} |{cells}")
    columns = {min(mark * width // len(values), width - 1) for mark in marks}
    if columns:
        rows.append(" " * label + "  " + "".join("▲" if i in columns else " " for i in range(width)).rstrip())
    return rows


def svg(
    values: Sequence[float], marks: Sequence[int], title: str, *, size: tuple[int, int] = (720, 160)
) -> str:
    """The series as a self-contained SVG: a line, a dashed upright at each change point, the scale.

    Long series are drawn as the lowest and highest value of each column of pixels.
    """
    width, height = size
    low, high = min(values), max(values)
    scale = (high - low) or 1.0
    left, top, bottom = 60, 24, height - 12

    def x(i: float) -> float:
        return left + i * (width - left - 10) / max(len(values) - 1, 1)

    def y(value: float) -> float:
        return bottom - (value - low) / scale * (bottom - top)

    points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in _thinned(values, width))
    uprights = "".join(
        f'<line x1="{x(i):.1f}" y1="{top}" x2="{x(i):.1f}" y2="{bottom}" class="turn"/>'
        for i in sorted(marks)
    )
    name = escape(title, {'"': "&quot;"})
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{name}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{name}</title>'
        "<style>polyline{fill:none;stroke:#2458a6;stroke-width:1.5}.turn{stroke:#c0392b;stroke-dasharray:4 3}"
        "text{font:11px sans-serif;fill:currentColor}</style>"
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end">{escape(number(high))}</text>'
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">{escape(number(low))}</text>'
        f'<text x="{left}" y="14">{name}</text>{uprights}<polyline points="{points}"/></svg>'
    )


def _thinned(values: Sequence[float], width: int) -> list[tuple[int, float]]:
    if len(values) <= 2 * width:
        return list(enumerate(values))
    found: list[tuple[int, float]] = []
    for column in range(width):
        start, end = column * len(values) // width, (column + 1) * len(values) // width
        part = range(start, end)
        ends = {min(part, key=values.__getitem__), max(part, key=values.__getitem__)}
        found += [(i, values[i]) for i in sorted(ends)]
    return found
