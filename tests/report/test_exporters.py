"""Every format of a report against hostile text, and what a reader relies on."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casreplay.forensics.decisions import mermaid_links
from casreplay.report.html import timeline_page, to_html
from casreplay.report.markdown import code, escape, to_markdown
from casreplay.report.model import (
    Bars,
    Chain,
    Citation,
    DiffBlock,
    DiffRow,
    Item,
    Items,
    Paragraph,
    Report,
    Section,
    Table,
    TimelineBlock,
)
from casreplay.report.page import SCRIPT, STYLE
from casreplay.report.sarif import rows_to_sarif

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "</style></script><!-- --><![CDATA[",
    "&lt;b&gt; &#x3c;",
    "javascript:alert(1)",
    "[click](javascript:alert(1)) ![x](https://evil.example/x.png)",
    "https://evil.example/ www.evil.example <https://evil.example>",
    "| a | b |\n| --- | --- |\n# heading\n> quote\n- item\n1. one\n+ plus\n=== \n***",
    "```\nfence\n```mermaid\ngraph TD\n```` ~~~",
    'x"]; click d0 "javascript:alert(1)"; %%{init: {"securityLevel": "loose"}}%%',
    'd0 --> d1; end; subgraph x; "quoted" #quot; `tick`',
    "\x1b[31mred\x1b[0m\x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x9b31m",
    "\u202egnp.exe\u202c \u2066isolate\u2069 zero\u200bwidth \ufeff \u2028 \u2029",
    "\x00\x01\x08\x7f\x85 \ud800",
    "@everyone @user #1 $x^2$ $$ ~~s~~ :tada: \\",
)


def report_of(text: str) -> Report:
    """A report that says ``text`` wherever one can say anything."""
    at = Citation(text, 3, 9, "ab" * 32, "cd" * 32)
    blocks = (
        Paragraph(text),
        Items((Item(text, text, (at, Citation(text))),)),
        Items((Item(text),), numbered=True),
        Table((text, "b"), ((text, text),)),
        TimelineBlock((("2026", "exact", "log", text, at, text), ("-", "none", "snapshot", text, None, ""))),
        DiffBlock(text, (DiffRow(1, text, 1, text, "changed"), DiffRow(None, "", None, "", "gap")), text),
        DiffBlock(text + "2", (), text),
        Chain(((text, text, (text, text), text, at), (text, "", (), text, at))),
        Bars(text, ((text, 2.0), ("b", 0.0))),
    )
    finding = {
        "rule": "log.error", "kind": "log", "severity": "high", "message": text, "path": "a", "line": 1,
        "end_line": 1, "snapshot": None, "blob": None,
    }  # fmt: skip
    return Report(text, ((text, text),), (Section("all", text, blocks),), {"text": text}, (finding,))


class Page(HTMLParser):
    """Tags and attributes as a browser would see them."""

    ALLOWED = frozenset(
        [
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "a",
            "main",
            "h1",
            "h2",
            "h3",
            "dl",
            "div",
            "dt",
            "dd",
            "nav",
            "ol",
            "ul",
            "li",
            "section",
            "p",
            "span",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "colgroup",
            "col",
            "fieldset",
            "legend",
            "label",
            "input",
            "small",
            "strong",
            "details",
            "summary",
            "svg",
            "path",
            "rect",
            "text",
            "footer",
            "code",
            "script",
        ]
    )
    VOID = frozenset(["meta", "col", "input"])

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.code: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag in self.ALLOWED, tag
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.ALLOWED, tag
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        where = self.open[-1] if self.open else ""
        (self.code if where in ("script", "style") else self.words).append(data)


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


@pytest.mark.parametrize("text", HOSTILE)
def test_html_shows_hostile_text_as_text(text):
    page = parsed(to_html(report_of(text)))
    for tag, attributes in page.seen:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not {"src", "srcset", "action", "formaction", "xlink:href"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert page.code == [STYLE, SCRIPT]


@given(st.text())
def test_html_of_any_text_is_well_formed_and_runs_nothing_of_it(text):
    page = parsed(to_html(report_of(text)))
    assert page.code == [STYLE, SCRIPT]
    shown = "".join(page.words)
    assert all(c in "\n\t" or c.isprintable() for c in shown)


def test_html_asks_nothing_from_anywhere():
    html = to_html(report_of("x"))
    assert "default-src 'none'" in html
    assert not re.search(r"(?:https?:)?//\w", html)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|<link|<iframe|<img", html)


def test_html_can_be_used_by_keyboard_and_screen_reader():
    page = parsed(to_html(report_of("x")))
    by_tag = dict(page.seen)
    assert by_tag["html"]["lang"] == "en"
    assert any(tag == "a" and one.get("class") == "skip" for tag, one in page.seen)
    labelled = [one for tag, one in page.seen if tag == "section"]
    assert all(one["aria-labelledby"] for one in labelled)
    drawings = [one for tag, one in page.seen if tag == "svg"]
    assert drawings
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    assert any(one.get("role") == "status" for _, one in page.seen)
    assert {one.get("type") for tag, one in page.seen if tag == "input"} == {"checkbox", "search"}
    assert ":focus-visible" in STYLE
    assert "prefers-color-scheme:dark" in STYLE


def test_every_link_of_a_page_has_its_target_and_ids_are_used_once():
    page = parsed(to_html(report_of("a.txt")))
    ids = [one["id"] for _, one in page.seen if one.get("id")]
    assert len(ids) == len(set(ids))
    for tag, one in page.seen:
        if tag == "a":
            assert one["href"][1:] in ids


def test_the_filter_is_hidden_until_the_script_runs():
    assert "<fieldset data-filter hidden>" in to_html(report_of("x"))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_keeps_hostile_text_on_its_line_and_without_meaning(text):
    made = to_markdown(report_of(text))
    assert all(c in "\n\t" or c.isprintable() for c in made)
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", made)
    bare = re.sub(r"(`+) ?.*? ?\1(?!`)", "", outside)
    assert not re.search(r"(?<!\\)<\w", bare)
    assert not re.search(r"(?<!\\)\]\(", bare)
    assert not re.search(r"(?<!\\)://|www\.", bare)
    headings = re.findall(r"(?m)^#+ .*$", outside)
    assert len(headings) == 5  # the title, the section, two diffs and the bars


@given(st.text(max_size=200))
def test_escaped_markdown_is_one_line_that_reads_back(text):
    made = escape(text)
    assert "\n" not in made
    assert not re.search(r"(?<!\\)[`*_\[\]<>|~$]", made.replace("\\\\", ""))


@given(st.text(max_size=80))
def test_code_is_never_closed_by_its_own_text(text):
    made = code(text)
    fence = re.match(r"`+", made)[0]
    inside = made[len(fence) : -len(fence)]
    assert made.endswith(fence)
    assert fence not in re.findall(r"`+", inside)


@given(
    st.lists(
        st.tuples(st.text(max_size=60), st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3))
    )
)
def test_a_mermaid_chart_has_only_its_own_statements(links):
    for line in mermaid_links(links).split("\n")[1:]:
        assert re.fullmatch(
            r'  (?:d\d+\["[^"\[\]<>`]*"\]|w\d+\(\["[^"\[\]<>`]*"\]\) -\. why \.-> d\d+'
            r'|d\d+ --> f\d+_\d+\["[^"\[\]<>`]*"\]|d\d+ ==> (?:d\d+|more\["\d+ more"\]))',
            line,
        ), line


@pytest.mark.parametrize("text", HOSTILE)
def test_sarif_is_json_with_the_text_as_it_is(text):
    made = rows_to_sarif(report_of(text).findings)
    assert json.loads(json.dumps(made)) == made
    assert made["runs"][0]["results"][0]["message"]["text"] == text


@pytest.mark.parametrize("export", [to_html, to_markdown], ids=["html", "markdown"])
def test_the_same_report_gives_the_same_bytes(export):
    assert export(report_of("x y")) == export(report_of("x y"))


def test_a_page_of_a_timeline_alone():
    row = {
        "kind": "log", "time_ns": 1, "quality": "exact", "text": "<b>", "level": "", "path": "a", "line": 1,
        "end_line": 1, "snapshot": None, "blob": None,
    }  # fmt: skip
    assert "&lt;b&gt;" in timeline_page({"timeline": [row]})
    assert "Nothing is known to have happened" in timeline_page({"timeline": []})
