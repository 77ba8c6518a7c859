"""What a commit leaves out unless told otherwise, in groups that can be switched off by name."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_GROUPS", "RuleGroup"]

RANK_DEFAULT, RANK_GITIGNORE, RANK_EXCLUDE, RANK_OWN, RANK_PROTECTED = range(5)
"""Precedence between sources of rules; a higher one wins over a nearer one."""


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are switched together and named together.

    Attributes:
        name: stable word; for a built-in group the key of ``DEFAULT_EXCLUDES`` in the configuration.
        patterns: lines of gitignore syntax.
        reason: why these are left out, a phrase for people.
        rank: precedence of the patterns.
    """

    name: str
    patterns: tuple[str, ...]
    reason: str
    rank: int = RANK_DEFAULT


DEFAULT_GROUPS: tuple[RuleGroup, ...] = (
    RuleGroup("git", (".git",), "the inside of git repositories, nested ones too", RANK_PROTECTED),
    RuleGroup("bytecode", ("__pycache__/", "*.pyc", "*.pyo"), "bytecode, regenerated from its source"),
    RuleGroup(
        "tool_caches",
        (
            ".mypy_cache/",
            ".pytest_cache/",
            ".ruff_cache/",
            ".hypothesis/",
            ".pytype/",
            ".eslintcache",
            ".stylelintcache",
            ".parcel-cache/",
            ".turbo/",
            ".nyc_output/",
            ".sass-cache/",
            "**/node_modules/.cache/",
        ),
        "caches of linters, type checkers and bundlers",
    ),
    RuleGroup("desktop", (".DS_Store", "Thumbs.db"), "thumbnails and view settings of file managers"),
)
"""What is left out unless switched off: only what is regenerated and worthless.

Dependency folders (``node_modules``, virtual environments, ``vendor``) are captured: drift lives there.
"""
