"""Every command in one table: its module, the attribute that holds it, one line of help.

The table is all that ``casreplay --help`` reads. A module is imported when its command runs, or
when its own help is asked for. Adding a command is adding a line.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "FAMILIES", "Entry"]


class Entry(NamedTuple):
    """Where a command lives, its short help, and the family under which help lists it."""

    module: str
    attribute: str
    short_help: str
    family: str


FAMILIES = {
    "record": "Record",
    "look": "Look",
    "act": "Bring back",
    "find out": "Find out",
    "keep": "Keep the store",
    "set up": "Set up",
}

_CLI = "casreplay.cli."

COMMANDS: dict[str, Entry] = {
    "init": Entry(_CLI + "init", "init", "Make a store for this folder", "record"),
    "commit": Entry(_CLI + "commit", "commit", "Take a snapshot of the folder", "record"),
    "status": Entry(_CLI + "commit", "status", "What changed since the last snapshot", "record"),
    "tag": Entry(_CLI + "naming", "tag", "Name a snapshot with a tag", "record"),
    "label": Entry(_CLI + "naming", "label", "Change a snapshot's label", "record"),
    "note": Entry(_CLI + "naming", "note", "Attach a note to a snapshot", "record"),
    "log": Entry(_CLI + "log", "log", "List snapshots, newest first", "look"),
    "show": Entry(_CLI + "log", "show", "Show a snapshot, or a file in it", "look"),
    "cat": Entry(_CLI + "contents", "cat", "Print a file as it was in a snapshot", "look"),
    "ls": Entry(_CLI + "contents", "ls", "List a folder as it was in a snapshot", "look"),
    "find": Entry(_CLI + "find", "find", "Which snapshots hold files of this name", "look"),
    "diff": Entry(_CLI + "diff", "diff", "What differs between two snapshots", "look"),
    "restore": Entry(_CLI + "restore", "restore", "Bring files back from a snapshot", "act"),
    "bisect": Entry(_CLI + "bisect", "bisect", "Find the snapshot that broke something", "find out"),
    "check": Entry(_CLI + "check", "check", "Errors, deletions, secrets: what is suspicious", "find out"),
    "secrets": Entry(_CLI + "check", "secrets", "Find secrets; no value is ever shown", "find out"),
    "analyze": Entry(_CLI + "analyze", "analyze", "Why did it break? Records an incident", "find out"),
    "timeline": Entry(_CLI + "analyze", "timeline", "What happened, in one order", "find out"),
    "decisions": Entry(_CLI + "analyze", "decisions", "What was decided, and why", "find out"),
    "loss": Entry(_CLI + "analyze", "loss", "What was destroyed, and how it comes back", "find out"),
    "incident": Entry(_CLI + "incident", "incident", "Incidents and their life", "find out"),
    "patterns": Entry(_CLI + "incident", "patterns", "What keeps coming back", "find out"),
    "report": Entry(_CLI + "report", "report", "The report on an incident, or on all", "find out"),
    "drift": Entry(_CLI + "drift", "drift", "How numbers change over the whole history", "find out"),
    "import-git": Entry(_CLI + "gitbridge", "import_git", "Turn a git history into snapshots", "record"),
    "export-git": Entry(
        _CLI + "gitbridge", "export_git", "Write snapshots as a git fast-import stream", "keep"
    ),
    "prune": Entry(_CLI + "retention", "prune", "Drop snapshots that no rule keeps", "keep"),
    "gc": Entry(_CLI + "retention", "gc", "Free the space of what no snapshot needs", "keep"),
    "purge": Entry(_CLI + "purge", "purge", "Erase a file's content from all history", "keep"),
    "stats": Entry(_CLI + "stats", "stats", "Sizes and counts of the store", "keep"),
    "fsck": Entry(_CLI + "health", "fsck", "Check the store for damage", "keep"),
    "repair": Entry(_CLI + "health", "repair", "Rebuild what can be rebuilt", "keep"),
    "config": Entry(_CLI + "config", "config", "Check or show the configuration", "set up"),
    "doctor": Entry(_CLI + "doctor", "doctor", "Look for what could go wrong here", "set up"),
    "demo": Entry(_CLI + "demo.command", "demo", "Watch it work on a made-up workspace", "set up"),
}
