"""Include and exclude rules: a decision per folder, so that a decision per name costs next to nothing.

Owns the order of precedence, the built-in defaults and the way rules travel down a
tree. Does not read the disk: the walker hands over the text of ignore files it meets,
or gives a reader for them. One line's syntax is ``workspace.patterns``.

Precedence, lowest first; within one source the last matching line decides, and a
file in a nearer folder comes after one in a farther:

1. built-in defaults, each of which can be switched off by name;
2. ``.gitignore`` files, only when ``respect_gitignore`` is set;
3. ``EXCLUDE_PATTERNS`` of the configuration, as if written in the workspace's root;
4. ``.casreplayignore`` files;
5. ``.git`` (unless that default is switched off) and protected paths (the store itself):
   no line brings them back, so that a broad ``!*`` cannot drag them in.

As in git, what lies in an ignored folder cannot be brought back. ``INCLUDE_PATTERNS``
then limit what remains: a file is kept when it or a folder above it matches; folders
are walked as long as something below can still match.

A pattern of several names is followed segment by segment: entering a folder advances
it, so that in each folder only last segments are left to compare. Folders in which
the same rules are left share one ``FolderRules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from casreplay.codec.hashing import blob_id
from casreplay.workspace.ignore_defaults import (
    DEFAULT_GROUPS,
    RANK_EXCLUDE,
    RANK_GITIGNORE,
    RANK_OWN,
    RANK_PROTECTED,
    RuleGroup,
)
from casreplay.workspace.ignore_live import Live, advance, closure, is_tied, name_tests, turning_names
from casreplay.workspace.patterns import Pattern, literal_pattern, parse_line, parse_lines

__all__ = ["DEFAULT_GROUPS", "FolderRules", "IgnoreFiles", "IgnoreRules", "RuleGroup"]

GIT_IGNORE = b".gitignore"
OWN_IGNORE = b".casreplayignore"

EVERYTHING = ("*", "**", "**/*")
CACHED_FOLDERS = 10_000


@dataclass(frozen=True, slots=True)
class IgnoreFiles:
    """Which files inside the workspace hold rules, and how to get at them without a walk.

    Attributes:
        own: whether ``.casreplayignore`` files count.
        git: whether ``.gitignore`` files count.
        read: returns the text of the ignore file at a path, or ``None``; lets ``for_folder``
            answer for folders whose parents were not walked.
    """

    own: bool = True
    git: bool = False
    read: Callable[[bytes], bytes | None] | None = None

    @property
    def names(self) -> frozenset[bytes]:
        """The names of the files that count."""
        return frozenset([GIT_IGNORE] * self.git + [OWN_IGNORE] * self.own)


class IgnoreRules:
    """All rules of one workspace. Immutable but for caches; safe to use in forked workers."""

    def __init__(
        self,
        groups: Sequence[RuleGroup],
        excluded: Iterable[Pattern],
        included: Iterable[Pattern] | None,
        *,
        files: IgnoreFiles,
    ) -> None:
        self._groups = tuple(groups)
        self._read = files.read
        self.ignore_names = files.names
        """Names of ignore files; a walker that meets one hands its text to ``enter`` or ``for_folder``."""
        self._shared: dict[tuple[object, ...], FolderRules] = {}
        live = tuple((p, closure(p, (0,))) for p in excluded)
        include = None if included is None else tuple((p, closure(p, (0,))) for p in included)
        self._base = self.shared(live, include, covered=False)
        self._by_path: dict[bytes, FolderRules] = {}

    @classmethod
    def build(
        cls,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        defaults: Mapping[str, bool] | None = None,
        files: IgnoreFiles | None = None,
        protected: Sequence[bytes] = (),
    ) -> IgnoreRules:
        """Rules from the configuration.

        Args:
            include: gitignore patterns that limit which files are kept; empty or ``**/*`` means all.
            exclude: gitignore patterns of what is left out, ``!`` bringing back.
            defaults: built-in groups by name; a missing name is on.
            files: which ignore files count; the default counts ``.casreplayignore`` only.
            protected: paths that are never captured, whatever the rules say.
        """
        files = files or IgnoreFiles()
        switches = defaults or {}
        groups = [group for group in DEFAULT_GROUPS if switches.get(group.name, True)]
        excluded = [p for group in groups for p in _parsed(group.patterns, group.rank)]
        excluded += _parsed(exclude, RANK_EXCLUDE)
        excluded += [literal_pattern(path, RANK_PROTECTED) for path in protected]
        excluded.sort(key=lambda pattern: pattern.rank)
        limited = bool(include) and not any(line in EVERYTHING for line in include)
        if exclude:
            groups.append(RuleGroup("EXCLUDE_PATTERNS", tuple(exclude), "excluded by the configuration"))
        if limited:
            groups.append(RuleGroup("INCLUDE_PATTERNS", tuple(include), "the only files kept"))
        return cls(groups, excluded, _parsed(include, 0) if limited else None, files=files)

    def describe(self) -> tuple[RuleGroup, ...]:
        """The groups in force, lowest precedence first: what the first commit names as left out."""
        return self._groups

    def fingerprint(self) -> bytes:
        """32 bytes that change when any rule known before the walk changes.

        Ignore files found on the way count in ``FolderRules.fingerprint``.
        """
        return blob_id(b"\0".join([*sorted(self.ignore_names), self._base.fingerprint()]))

    def root(self, texts: Mapping[bytes, bytes] | None = None) -> FolderRules:
        """Rules for the workspace's root; ``texts`` as in ``FolderRules.enter``."""
        return self._base.with_files(texts or {})

    def for_folder(self, path: bytes, texts: Mapping[bytes, bytes] | None = None) -> FolderRules:
        """Rules for the names directly in the folder at ``path`` (``b""``: the root).

        Args:
            path: a folder that is not itself ignored.
            texts: ignore files of this very folder, text by name; ``None`` asks the reader.

        Cost: one dictionary look-up when the folder or its parent was asked for before.
        """
        if texts is None:
            found = self._by_path.get(path)
            if found is not None:
                return found
            texts = self._texts(path)
        unknown = [(path, texts)]
        rules = None
        while rules is None and unknown[-1][0]:  # no recursion: folders nest deeper than Python's stack
            above = unknown[-1][0].rpartition(b"/")[0]
            rules = self._by_path.get(above)
            if rules is None:
                unknown.append((above, self._texts(above)))
        for one, its_texts in reversed(unknown):
            name = one.rpartition(b"/")[2]
            rules = self._base.with_files(its_texts) if rules is None else rules.enter(name, its_texts)
            self._keep(one, rules)
        assert rules is not None
        return rules

    def _keep(self, path: bytes, rules: FolderRules) -> None:
        if len(self._by_path) >= CACHED_FOLDERS:
            self._by_path.clear()
        self._by_path[path] = rules

    def ignores(self, path: bytes, *, is_folder: bool) -> bool:
        """Whether ``path`` or a folder above it is left out. For single questions, not for walks."""
        *folders, last = path.split(b"/")
        rules, above = self.for_folder(b""), b""
        for name in folders:
            if rules.ignores(name, True):
                return True
            above = above + b"/" + name if above else name
            rules = rules.enter(name) if self._read is None else self.for_folder(above)
        return rules.ignores(last, is_folder)

    def _texts(self, path: bytes) -> dict[bytes, bytes]:
        if self._read is None:
            return {}
        prefix = path + b"/" if path else b""
        found = {name: self._read(prefix + name) for name in self.ignore_names}
        return {name: text for name, text in found.items() if text is not None}

    def shared(self, live: Live, include: Live | None, *, covered: bool) -> FolderRules:
        """The one ``FolderRules`` for this state; identity of the patterns is enough for a key."""
        key = (
            tuple((id(p), at) for p, at in live),
            None if include is None else tuple((id(p), at) for p, at in include),
            covered,
        )
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = FolderRules(self, live, include, covered=covered)
        return found


class FolderRules:
    """The rules as they stand in one folder; shared by all folders where they stand alike."""

    __slots__ = (
        "_covered",
        "_include",
        "_include_tests",
        "_live",
        "_other",
        "_owner",
        "_seen",
        "_tests",
        "_turns",
        "is_trivial",
    )

    def __init__(self, owner: IgnoreRules, live: Live, include: Live | None, *, covered: bool) -> None:
        self._owner = owner
        self._live = live
        self._include = include
        self._covered = covered
        self._tests = name_tests(live, lowest_keeps=False)
        self._include_tests = name_tests(include or (), lowest_keeps=True)
        self._turns = turning_names((*live, *(include or ())))
        self._other: FolderRules | None = None
        if not self._turns and include is None and not is_tied(live):
            self._other = self
        self._seen: dict[tuple[Pattern, ...], FolderRules] = {}
        self.is_trivial = not self._tests and include is None
        """Whether no name in this folder can be ignored, so that ``ignores`` need not be asked."""

    def ignores(self, name: bytes, is_folder: bool) -> bool:
        """Whether the entry ``name`` of this folder is left out, with all that is below it."""
        for keeps, test in self._tests:
            if test.matches(name, is_folder):
                if keeps:
                    break
                return True
        if self._include is None:
            return False
        if not is_folder:
            return not self._is_included(name, is_folder=False)
        return not (self._is_included(name, is_folder=True) or advance(self._include, name))

    def enter(self, name: bytes, texts: Mapping[bytes, bytes] | None = None) -> FolderRules:
        """Rules for the folder ``name`` in this folder.

        Args:
            name: the folder's name; it must not be ignored.
            texts: the ignore files in it, text by name (see ``IgnoreRules.ignore_names``).
        """
        rules = self._other if self._turns is not None and name not in self._turns else None
        if rules is None:
            rules = self._entered(name)
        return rules.with_files(texts) if texts else rules

    def _entered(self, name: bytes) -> FolderRules:
        include, covered = self._include, self._covered
        if include is not None:
            covered = self._is_included(name, is_folder=True)
            include = advance(include, name)
        rules = self._owner.shared(advance(self._live, name), include, covered=covered)
        if include is None and self._turns is not None and name not in self._turns:
            self._other = rules
        return rules

    def fingerprint(self) -> bytes:
        """32 bytes that change when any rule in force in this folder changes, ignore files included."""
        words = [
            b"%d%d%d" % (p.rank, p.negated, p.folders_only) + repr((p.text, at)).encode()
            for p, at in self._live
        ]
        if self._include is not None:
            words += [b"+" + repr((p.text, at)).encode() for p, at in self._include]
        return blob_id(b"\0".join(words) + bytes((self._covered,)))

    def with_files(self, texts: Mapping[bytes, bytes]) -> FolderRules:
        """These rules with those of ignore files found in the folder itself."""
        added: list[Pattern] = []
        for name, rank in ((GIT_IGNORE, RANK_GITIGNORE), (OWN_IGNORE, RANK_OWN)):
            if name in texts and name in self._owner.ignore_names:
                added += parse_lines(texts[name], rank)
        if not added:
            return self
        key = tuple(added)
        found = self._seen.get(key)
        if found is None:
            live = [*self._live, *((p, closure(p, (0,))) for p in added)]
            live.sort(key=lambda item: item[0].rank)
            found = FolderRules(self._owner, tuple(live), self._include, covered=self._covered)
            self._seen[key] = found
        return found

    def _is_included(self, name: bytes, *, is_folder: bool) -> bool:
        for keeps, test in self._include_tests:
            if test.matches(name, is_folder):
                return not keeps
        return self._covered


def _parsed(lines: Iterable[str], rank: int) -> list[Pattern]:
    found = (parse_line(line.encode("utf-8", "surrogateescape"), rank) for line in lines)
    return [pattern for pattern in found if pattern is not None]
