"""Path patterns in gitignore syntax, as one question: does this path match?"""

from __future__ import annotations

from collections.abc import Sequence

from casreplay.workspace.ignore import DEFAULT_GROUPS, IgnoreFiles, IgnoreRules

__all__ = ["PathMatcher"]

_NO_DEFAULTS = {group.name: False for group in DEFAULT_GROUPS}


class PathMatcher:
    """A list of gitignore patterns; the last one that matches decides, ``!`` takes back.

    As in git, what lies in a matched folder cannot be taken back.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = IgnoreRules.build(
            exclude=patterns, defaults=_NO_DEFAULTS, files=IgnoreFiles(own=False, git=False)
        )
        self._empty = not patterns

    def matches(self, path: bytes) -> bool:
        """Whether ``path``, or a folder above it, matches. No patterns: nothing does."""
        return not self._empty and self._rules.ignores(path, is_folder=False)
