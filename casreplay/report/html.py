"""A report as one self-contained HTML page: dark and light, phone and desktop, keyboard and screen reader.

Every text is escaped for HTML and invisible or reordering characters are shown by their
number. The page asks nothing from anywhere; a policy in it forbids that too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from casreplay.report import svg
from casreplay.report.build import timeline_block
from casreplay.report.model import (
    Bars,
    Block,
    Chain,
    Citation,
    DiffBlock,
    DiffRow,
    Items,
    Paragraph,
    Report,
    Section,
    Table,
    TimelineBlock,
)
from casreplay.report.page import POLICY, SCRIPT, STYLE
from casreplay.report.wording import plain

__all__ = ["timeline_page", "to_html"]


def to_html(report: Report) -> str:
    """The whole page; the same report gives the same bytes."""
    facts = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in report.facts)
    links = "".join(f'<li><a href="#{one.anchor}">{text(one.title)}</a></li>' for one in report.sections)
    anchors = _anchors(report)
    body = "".join(_section(one, anchors) for one in report.sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(report.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the report</a>\n<main id="content">\n'
        f"<h1>{text(report.title)}</h1>\n"
        + (f'<dl class="facts">{facts}</dl>\n' if facts else "")
        + (f'<nav aria-label="Sections"><ol>{links}</ol></nav>\n' if len(report.sections) > 1 else "")
        + body
        + "<footer>Made by casreplay. A citation names a path, a line and a snapshot; "
        "<code>casreplay show SNAPSHOT:PATH</code> prints the bytes it rests on. Secrets are shown by "
        "fingerprint only.</footer>\n"
        f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def timeline_page(document: Mapping[str, Any]) -> str:
    """A page with nothing but the timeline of an analysis document."""
    block = timeline_block(document["timeline"])
    return to_html(Report("Timeline", (), (Section("timeline", "Timeline", (block,)),), {}))


def text(value: str) -> str:
    """``value`` as HTML text that is shown as it is."""
    return escape(plain(value), quote=True)


Anchors = Mapping[tuple[str, int | None], str]
"""Where on the page a path, or a line of it, can be looked at: the id of that place."""


def _anchors(report: Report) -> dict[tuple[str, int | None], str]:
    """Side-by-side diffs by path, events of the timeline by path and line; the first of each."""
    found: dict[tuple[str, int | None], str] = {}
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, DiffBlock):
                found.setdefault((block.path, None), f"d{len(found)}")
            elif isinstance(block, TimelineBlock):
                for row in block.rows:
                    cited = row[4]
                    if cited is not None and cited.line is not None:
                        found.setdefault((cited.path, cited.line), f"e{len(found)}")
    return found


def _section(section: Section, anchors: Anchors) -> str:
    blocks = "\n".join(_block(one, anchors) for one in section.blocks)
    heading = f"h-{section.anchor}"
    return (
        f'<section id="{section.anchor}" aria-labelledby="{heading}">'
        f'<h2 id="{heading}">{text(section.title)}</h2>\n{blocks}\n</section>\n'
    )


def _block(block: Block, anchors: Anchors) -> str:
    for kind, render in _RENDERERS:
        if isinstance(block, kind):
            return render(block, anchors)
    raise TypeError(f"{type(block).__name__} is no block of a report")


def _paragraph(block: Paragraph, _: Anchors) -> str:
    return f"<p>{text(block.text)}</p>"


def _items(block: Items, anchors: Anchors) -> str:
    tag = "ol" if block.numbered else "ul"
    rows = []
    for item in block.items:
        remark = f' <span class="remark">{text(item.remark)}</span>' if item.remark else ""
        cited = "".join(" " + _cited(one, anchors) for one in item.citations)
        rows.append(f"<li>{text(item.text)}{remark}{cited}</li>")
    return f"<{tag}>{''.join(rows)}</{tag}>"


def _cited(citation: Citation, anchors: Anchors) -> str:
    """The citation; a link where the page shows what it names."""
    if not citation.path:
        return ""
    parts = [citation.command, f"blob {citation.blob}" if citation.blob else ""]
    title = "; ".join(part for part in parts if part) or "in the folder"
    place = anchors.get((citation.path, citation.line)) or anchors.get((citation.path, None))
    if place:
        return f'<a class="cite" href="#{place}" title="{text(title)}">{text(citation.text)}</a>'
    return f'<span class="cite" tabindex="0" title="{text(title)}">{text(citation.text)}</span>'


def _table(block: Table, _: Anchors) -> str:
    heads = "".join(f'<th scope="col">{text(head)}</th>' for head in block.heads)
    rows = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in block.rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _timeline(block: TimelineBlock, anchors: Anchors) -> str:
    kinds = list(dict.fromkeys(row[2] for row in block.rows))
    boxes = "".join(
        f'<label><input type="checkbox" value="{text(kind)}" checked> {text(kind)}</label>'
        for kind in sorted(kinds)
    )
    controls = (
        f"<fieldset data-filter hidden><legend>Show</legend>{boxes}<label>Containing "
        '<input type="search"></label><span id="shown" role="status"></span></fieldset>'
    )
    given: set[str] = set()
    rows = "".join(_event(row, anchors, given) for row in block.rows)
    return (
        f'{controls}<ol class="time">{rows}</ol>'
        if block.rows
        else "<p>Nothing is known to have happened.</p>"
    )


def _event(row: tuple[str, str, str, str, Citation | None, str], anchors: Anchors, given: set[str]) -> str:
    """One event; the first of a path and line carries the id that citations of it link to."""
    when, quality, kind, what, citation, level = row
    own = anchors.get((citation.path, citation.line)) if citation and citation.line is not None else None
    name = f' id="{own}"' if own and own not in given else ""
    given.add(own or "")
    classes = f"kind-{text(kind)}" + (f" level-{text(level)}" if level.isalpha() else "")
    place = ""
    if citation:
        whole = anchors.get((citation.path, None))
        place = f" {_cited(citation, {(citation.path, None): whole} if whole else {})}"
    return (
        f'<li{name} class="{classes}" data-kind="{text(kind)}"><span class="when">{text(when)} '
        f'<small>{text(quality)}</small></span><span class="kind">{text(kind)} {text(level)}</span>'
        f'<span class="what">{text(what)}{place}</span></li>'
    )


def _diff(block: DiffBlock, anchors: Anchors) -> str:
    name = anchors.get((block.path, None), "")
    note = f'<p class="remark">{text(block.note)}</p>' if block.note else ""
    if not block.rows:
        return f'<h3 id="{name}">{text(block.path)}</h3>{note}'
    rows = "".join(_diff_row(row) for row in block.rows)
    return (
        f'<details open id="{name}"><summary><strong>{text(block.path)}</strong></summary>'
        '<div class="scroll"><table class="diff"><colgroup><col class="no"><col>'
        '<col class="no"><col></colgroup>'
        f"<tbody>{rows}</tbody></table></div>{note}</details>"
    )


def _diff_row(row: DiffRow) -> str:
    if row.kind == "gap":
        return '<tr class="gap"><td colspan="4">⋯</td></tr>'
    return (
        f'<tr class="{row.kind}"><td class="no">{row.old_line or ""}</td>'
        f'<td class="old">{text(row.old_text)}</td>'
        f'<td class="no">{row.new_line or ""}</td><td class="new">{text(row.new_text)}</td></tr>'
    )


def _chain(block: Chain, anchors: Anchors) -> str:
    links = "".join(
        f"<li>{text(what)} {_cited(citation, anchors)}</li>" for what, _, _, _, citation in block.links
    )
    return f"{svg.chain(block)}<details><summary>Where each is written</summary><ol>{links}</ol></details>"


def _bars(block: Bars, _: Anchors) -> str:
    return f"<h3>{text(block.title)}</h3>{svg.bars(block)}"


_RENDERERS: tuple[tuple[type, Callable[[Any, Anchors], str]], ...] = (
    (Paragraph, _paragraph),
    (Items, _items),
    (Table, _table),
    (TimelineBlock, _timeline),
    (DiffBlock, _diff),
    (Chain, _chain),
    (Bars, _bars),
)
