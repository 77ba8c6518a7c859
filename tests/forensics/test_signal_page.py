"""docs/signals.md is what the data says; docs/root-cause.md names what exists."""

from __future__ import annotations

from pathlib import Path

from support.signal_page import page

from casreplay.forensics import classify, rootcause_changes
from casreplay.forensics.rootcause_flips import FLIPS
from casreplay.model.causes import CATEGORIES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_signals_is_up_to_date():
    assert (DOCS / "signals.md").read_text("utf-8") == page()


def test_every_flip_says_what_it_does():
    for name, rule in FLIPS.items():
        assert (rule.__doc__ or "").strip(), name


def test_the_page_on_root_causes_states_caps_bounds_and_change_rules():
    text = (DOCS / "root-cause.md").read_text("utf-8")
    for name in CATEGORIES:
        assert f"`{name}`" in text
    for group, cap in classify.CAPS.items():
        assert f"| {group} | " in text
        assert f"| {cap:g} |" in text
    assert f"below {classify.MIN_SCORE:g}" in text
    assert f"less than {classify.MIN_MARGIN:g}" in text
    folder = Path(rootcause_changes.__file__).parent
    source = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    import re

    for rule in set(re.findall(r'"(change\.[a-z_]+)"', source)):
        assert f"`{rule}`" in text, rule
