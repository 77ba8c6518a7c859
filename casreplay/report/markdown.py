"""A report as Markdown: readable as text, rendered well by forges, hostile text made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casreplay.forensics.decisions import mermaid_links
from casreplay.report.model import (
    Bars,
    Block,
    Chain,
    Citation,
    DiffBlock,
    Items,
    Paragraph,
    Report,
    Section,
    Table,
    TimelineBlock,
)
from casreplay.report.wording import plain

__all__ = ["to_markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&@]|:(?=//)|(?<=[Ww]{3})\.|^[#+-]|^(?=\d+[.)]))")
_BAR = 30


def to_markdown(report: Report) -> str:
    """The whole report; the same report gives the same bytes."""
    lines = [f"# {escape(report.title)}", ""]
    lines += _table(("", ""), report.facts)
    for section in report.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    """``text`` as literal Markdown on one line: markup, HTML and links lose their meaning."""
    return _SPECIAL.sub(r"\\\1", plain(text).replace("\n", " ").replace("\t", " "))


def code(text: str) -> str:
    """``text`` as inline code, whatever backticks are in it."""
    text = plain(text).replace("\n", " ").replace("\t", " ")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    for block in section.blocks:
        yield ""
        yield from _block(block)


def _block(block: Block) -> list[str]:
    if isinstance(block, Paragraph):
        return [escape(block.text)]
    if isinstance(block, Items):
        return [_item(block, i) for i in range(len(block.items))]
    if isinstance(block, Table):
        return _table(block.heads, block.rows)
    if isinstance(block, TimelineBlock):
        return _timeline(block)
    if isinstance(block, DiffBlock):
        return _diff(block)
    if isinstance(block, Chain):
        return _chain(block)
    return _bars(block)


def _item(block: Items, i: int) -> str:
    item = block.items[i]
    lead = f"{i + 1}. " if block.numbered else "- "
    remark = f" ({escape(item.remark)})" if item.remark else ""
    return lead + escape(item.text) + remark + "".join(f" {_cited(one)}" for one in item.citations)


def _cited(citation: Citation) -> str:
    return code(citation.text) if citation.path else ""


def _table(heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    lines = ["| " + " | ".join(escape(head) for head in heads) + " |", "|" + " --- |" * len(heads)]
    return lines + ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in rows]


def _timeline(block: TimelineBlock) -> list[str]:
    rows = []
    for when, quality, kind, text, citation, level in block.rows:
        what = f"{escape(text)}" + (f" {_cited(citation)}" if citation else "")
        rows.append(f"| {escape(when)} | {quality} | {kind} | {escape(level)} | {what} |")
    return ["| Time | Quality | Kind | Level | What |", "| --- | --- | --- | --- | --- |", *rows]


def _diff(block: DiffBlock) -> list[str]:
    lines = [f"### {escape(block.path)}", ""]
    if block.rows:
        body: list[str] = []
        for row in block.rows:
            if row.kind == "gap":
                body.append("@@")
            elif row.kind == "same":
                body.append(f" {plain(row.new_text)}")
            else:
                body += [f"-{plain(row.old_text)}"] if row.old_line else []
                body += [f"+{plain(row.new_text)}"] if row.new_line else []
        longest = max((len(run) for line in body for run in re.findall(r"`+", line)), default=0)
        fence = "`" * max(3, longest + 1)
        lines += [f"{fence}diff", *body, fence]
    if block.note:
        lines.append(escape(block.note))
    return lines


def _chain(block: Chain) -> list[str]:
    lines = [
        "```mermaid",
        mermaid_links([(text, why, followed) for text, why, followed, _, _ in block.links]),
        "```",
        "",
    ]
    for text, why, followed, when, citation in block.links:
        because = f", because {escape(why)}" if why else ""
        lines.append(f"- **{escape(text)}**{because} ({escape(when)}) {_cited(citation)}")
        lines += [f"  - then: {escape(one)}" for one in followed]
    return lines


def _bars(block: Bars) -> list[str]:
    top = max((value for _, value in block.values), default=0) or 1
    lines = [f"### {escape(block.title)}", "", "```"]
    width = max((len(name) for name, _ in block.values), default=0)
    for name, value in block.values:
        lines.append(
            f"{plain(name):<{width}}  {'█' * max(1 if value else 0, round(_BAR * value / top))} {value:g}"
        )
    return [*lines, "```"]
