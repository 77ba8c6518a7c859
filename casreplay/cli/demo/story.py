"""What happens to the demo's workspace: forty steps of an agent's work over one night.

Pure: a step takes the files as a dictionary and changes it. In step ``BAD_STEP`` the agent tidies
up the settings and breaks the totals; nobody notices for seventeen snapshots. Later it deletes
the archive to save space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from casreplay.cli.demo.files import REGIONS, first_files, orders_csv

__all__ = ["BAD_STEP", "MORNING_NS", "STEPS", "Moment", "moments"]

STEPS = 40
BAD_STEP = 23
CLEAN_STEP = 31
START_S = 1_790_805_600
"""2026-09-30 22:00:00 UTC."""
MORNING_NS = (START_S + 10 * 3600) * 1_000_000_000
"""When the reader sits down: a quarter of an hour after the last step."""

Files = dict[str, str]


@dataclass(frozen=True, slots=True)
class Moment:
    """The workspace at one step.

    Attributes:
        number: 1 to ``STEPS``.
        time_ns: when, UTC nanoseconds.
        label: the snapshot's label; empty for most, as in life.
        tag: a tag; empty for most.
        files: path and text of every file.
    """

    number: int
    time_ns: int
    label: str
    tag: str
    files: Files


def moments() -> Iterator[Moment]:
    """Every step in order; ``files`` is a fresh dictionary each time."""
    files = first_files()
    for number in range(1, STEPS + 1):
        at_s = START_S + (number - 1) * 900 + number * 37 % 240
        _work(number, at_s, files)
        label, tag = LABELS.get(number, ("", ""))
        yield Moment(number, at_s * 1_000_000_000, label, tag, dict(files))


LABELS = {
    1: ("start of the night shift", "baseline"),
    8: ("discount explained", ""),
    14: ("report aligned", ""),
    BAD_STEP - 1: ("before tidying up", "checked"),
    CLEAN_STEP: ("clean up", ""),
    STEPS: ("end of the night shift", ""),
}


def _work(number: int, at_s: int, files: Files) -> None:
    """Step ``number``: the routine of every quarter of an hour, then what is special about it."""
    region = REGIONS[number % len(REGIONS)]
    files[f"data/orders/{region}.csv"] = orders_csv(region, 20 + 3 * number)
    broken = number >= BAD_STEP
    _log(files, at_s, "INFO", f"run {number}: {20 + 3 * number} orders in {region}")
    if broken:
        _log(files, at_s + 4, "WARNING", f"run {number}: totals of {region} are higher than yesterday's")
    if number % 4 == 0:
        total = (20 + 3 * number) * 8111 * (17 if broken else 1)
        files[f"out/report-{number // 4:02d}.md"] = _report(number // 4, total)
        _log(files, at_s + 9, "INFO", f"report {number // 4:02d} written")
    if broken and (number == BAD_STEP or number % 5 == 0):
        text = "order 1000: total 270.00, expected 16.06, with tax_rate 19"
        _log(files, at_s + 11, "ERROR", f"tools/check.py failed: {text}")
    special = _SPECIAL.get(number)
    if special is not None:
        special(files, at_s)


def _report(number: int, total_cents: int) -> str:
    rows = [f"{region:<8} {total_cents * (3 + i) / 1400:>14,.2f} EUR" for i, region in enumerate(REGIONS)]
    return f"# Report {number:02d}\n\n" + "\n".join(rows) + "\n"


def _log(files: Files, at_s: int, level: str, text: str) -> None:
    second = at_s - START_S + 22 * 3600
    date = "2026-09-30" if second < 86400 else "2026-10-01"
    clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    files["logs/agent.log"] += f"{date}T{clock}Z {level} {text}\n"


def _decide(files: Files, at_s: int, what: str, why: str) -> None:
    _log(files, at_s + 20, "INFO", f"Decision: {what}")
    files["memory/decisions.md"] += f"\n## {what}\n\nBecause {why}.\n"


def _explain_discount(files: Files, at_s: int) -> None:
    files["src/billing/pricing.py"] = files["src/billing/pricing.py"].replace(
        "the volume discount taken off.", "the volume discount taken off (from 500 in the currency up)."
    )
    files["memory/NOTES.md"] += "- The discount applies to the price before tax.\n"
    _decide(files, at_s, "Explain the discount where it is computed", "I had to look it up twice")


def _align_report(files: Files, at_s: int) -> None:
    files["src/billing/report.py"] = files["src/billing/report.py"].replace(">12,.2f", ">14,.2f")
    _decide(files, at_s, "Widen the amount column", "totals above a million do not fit")


def _rename_mail(files: Files, at_s: int) -> None:
    files["src/billing/sending.py"] = files.pop("src/billing/mail.py")
    files["tools/check.py"] = (
        files["tools/check.py"]
        .replace("loader, mail,", "loader,")
        .replace("pricing  #", "pricing, sending  #")
    ).replace("mail.send", "sending.send")
    _decide(files, at_s, "Call the module sending", "invoices may go out by other ways than mail")


def _tidy_up(files: Files, at_s: int) -> None:
    """The bad change: five files, and one line in one of them breaks the totals."""
    settings = files["config/settings.json"].replace('"retries": 3', '"retries": 5')
    files["config/settings.json"] = settings.replace('"tax_rate": 0.19', '"tax_rate": 19')
    files["src/billing/sending.py"] = files["src/billing/sending.py"].replace(
        "Hand one invoice to the mail server;", "Hand one invoice over;"
    )
    files["src/billing/report.py"] += (
        '\n\ndef heading(number):\n    """A report\'s first line."""\n    return f"# Report {number:02d}"\n'
    )
    files["README.md"] += "\nSettings: times are in seconds, rates in percent.\n"
    _decide(
        files, at_s, "State rates in percent", "the report shows percent, and people confuse 0.19 with 19"
    )


def _clean_up(files: Files, at_s: int) -> None:
    """The agent frees space: it deletes the archive and empties a report it could not explain."""
    for path in [path for path in files if path.startswith("data/archive/")]:
        del files[path]
    files["out/report-07.md"] = ""
    _decide(files, at_s, "Delete the archive", "the folder is large and nothing reads it")


def _blame_rounding(files: Files, at_s: int) -> None:
    files["memory/NOTES.md"] += "- Totals look high since tonight. Probably rounding; look again tomorrow.\n"
    _decide(files, at_s, "Leave the totals alone", "the difference is probably rounding")


def _refuse_invoice(files: Files, at_s: int) -> None:
    """Somebody else notices first: the gateway that sends the invoices."""
    _log(
        files,
        at_s + 13,
        "ERROR",
        "invoice 1000 refused by the gateway: tax_rate must be between 0 and 1, not 19",
    )


_SPECIAL: dict[int, Callable[[Files, int], None]] = {
    8: _explain_discount,
    14: _align_report,
    19: _rename_mail,
    BAD_STEP: _tidy_up,
    CLEAN_STEP: _clean_up,
    36: _blame_rounding,
    39: _refuse_invoice,
}
