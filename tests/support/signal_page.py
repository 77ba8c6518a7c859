"""Writes docs/signals.md from the data: ``python tests/support/signal_page.py > docs/signals.md``."""

from __future__ import annotations

import sys
import tomllib
from importlib import resources

from casreplay.forensics.rootcause_flips import FLIPS
from casreplay.forensics.signals import load_rules
from casreplay.model.causes import CATEGORIES

INTRO = """\
# Signals

Written from `casreplay/data/signals/*.toml` by `tests/support/signal_page.py`; a test fails when they differ.

A signal is a pattern that is searched in single new lines of logs. Fields of a `[[signal]]`:

| field | meaning |
|---|---|
| `id` | the rule id in evidence; stable |
| `class` | the category it speaks for; `carrier`: never decides, `cancelled`: the run was stopped |
| `sub_cause` | what exactly |
| `weight` | 1 weak, 2, 3 strong |
| `pattern` | a regular expression of linear time (every one compiles with RE2) |
| `flips` | rules that may move it to another category, in the order they are asked |
| `note` | what to know about it |
| `remedy` | what to do |
| `matches`, `differs` | at least two lines it must and must not find; tests run them |

Users add their own with `ROOT_CAUSE_CATEGORIES` in the configuration (docs/config.md); their ids are
`user.CATEGORY.NUMBER`. How signals, flips and changes become a verdict: docs/root-cause.md.
"""


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def page() -> str:
    rules = load_rules()
    titles = {}
    for item in sorted(resources.files("casreplay.data.signals").iterdir(), key=lambda entry: entry.name):
        if item.name.endswith(".toml") and item.name != "categories.toml":
            data = tomllib.loads(item.read_text("utf-8"))
            titles[data["group"]] = data["title"]
    parts = [INTRO, "## Categories\n", "| category | meaning |", "|---|---|"]
    parts += [f"| `{name}` | {rules.category(name).description} |" for name in CATEGORIES]
    parts += ["", "## Flips\n", "| flip | what it does |", "|---|---|"]
    parts += [
        f"| `{name}` | {cell((rule.__doc__ or '').split(chr(10))[0])} |"
        for name, rule in sorted(FLIPS.items())
    ]
    for group, title in titles.items():
        parts += [
            "",
            f"## {title}\n",
            "| id | class | sub-cause | weight | flips | finds, for instance | note |",
        ]
        parts += ["|---|---|---|---|---|---|---|"]
        for signal in rules.signals:
            if signal.group == group:
                flips = " ".join(f"`{name}`" for name in signal.flips)
                parts.append(
                    f"| `{signal.id}` | {signal.category} | {signal.sub_cause} | {signal.weight:.0f} "
                    f"| {flips} "
                    f"| `{cell(signal.matches[0])}` | {cell(signal.note)} |"
                )
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
