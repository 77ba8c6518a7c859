"""The configuration as a value, and the list of keys that documents, schema and template are held to.

Owns what a configuration can say. How ``casreplay.json`` is read and what is refused is
``codec.config``'s affair; what the values do belongs to the modules that take them.
The upper-case names are the predecessor's where it had the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from casreplay.model.findings import Severity

__all__ = [
    "KEYS",
    "CategoryConfig",
    "Config",
    "ConstraintConfig",
    "IgnoredFinding",
    "KeySpec",
    "SecretRuleConfig",
    "SignalConfig",
    "TriggerConfig",
]

DEFAULT_GROUP_NAMES = ("git", "bytecode", "tool_caches", "desktop")
TRIGGER_KINDS = ("log", "change", "content", "empty", "growth")
BUILT_IN_TRIGGERS = ("log", "deletion", "config", "secret", "constraint", "empty", "growth")
CHANGE_TYPES = ("added", "modified", "deleted", "renamed", "type", "mode")
CONSTRAINT_KINDS = ("must_not_change", "only_may_change", "must_contain", "must_not_contain")
DURABILITIES = ("full", "batch", "off")
ENGINES = ("auto", "hyperscan", "ahocorasick", "re")


@dataclass(frozen=True, slots=True)
class TriggerConfig:
    """One trigger of the user's: what makes a pair of snapshots suspicious.

    Attributes:
        name: unique; the rule id of its findings.
        kind: ``log`` (patterns on new lines of log files), ``change`` (a path changed in one of
            ``changes``), ``content`` (patterns in the content of changed files), ``empty``
            (an output came out empty) or ``growth`` (a file grew by ``factor``).
        severity: of its findings.
        paths: gitignore patterns of the files it looks at; empty means what the kind looks at by default.
        patterns: regular expressions of linear time, for ``log`` and ``content``.
        changes: change kinds, for ``change``.
        factor: new size by old size, for ``growth``.
        ignore_case: whether ``patterns`` ignore case.
        description: the finding's message; empty for one made from the name.
        enabled: a disabled trigger is kept and does nothing.
    """

    name: str
    kind: str
    severity: Severity = Severity.MEDIUM
    paths: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    factor: float = 10.0
    ignore_case: bool = False
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ConstraintConfig:
    """A rule that changed paths or their content must obey.

    Attributes:
        name: unique; the rule id of its findings.
        kind: ``must_not_change`` (these paths), ``only_may_change`` (these paths and no others),
            ``must_contain`` or ``must_not_contain`` (``pattern`` in these paths).
        paths: gitignore patterns; never empty for the path rules, empty means all for the content rules.
        pattern: a regular expression of linear time, for the content rules.
        severity: of its findings.
        description: why the rule exists; shown with the finding.
    """

    name: str
    kind: str
    paths: tuple[str, ...] = ()
    pattern: str = ""
    severity: Severity = Severity.HIGH
    description: str = ""


@dataclass(frozen=True, slots=True)
class SignalConfig:
    """Text that speaks for a category: a regular expression and its weight, 1 (weak) to 3 (strong)."""

    pattern: str
    weight: int = 2


@dataclass(frozen=True, slots=True)
class CategoryConfig:
    """A root-cause category: a built-in one whose text is replaced, or the user's own.

    Attributes:
        name: the id in JSON and reports.
        description: what it means, for people.
        remediation: what to do, in order.
        signals: evidence that speaks for it, beside the built-in signals.
    """

    name: str
    description: str = ""
    remediation: tuple[str, ...] = ()
    signals: tuple[SignalConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class SecretRuleConfig:
    """A format of secrets only the user knows.

    Attributes:
        name: the rule id.
        pattern: a regular expression of linear time; its first group, or all of it, is the secret.
        keywords: literals of which one stands near every hit; they make the scan fast.
        severity: of its findings.
    """

    name: str
    pattern: str
    keywords: tuple[str, ...] = ()
    severity: Severity = Severity.HIGH


@dataclass(frozen=True, slots=True)
class IgnoredFinding:
    """Findings that were looked at and accepted: of ``rule`` (empty: any) in ``paths`` (empty: all)."""

    rule: str = ""
    paths: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything ``casreplay.json`` can say; the defaults are what holds without one.

    Each field's key, unit and meaning stand in ``KEYS``.
    """

    workspace_root: str = "."
    store: str = ""
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    default_excludes: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    use_ignore_files: bool = True
    respect_gitignore: bool = False
    durability: str = "full"
    max_file_bytes: int = 0
    max_snapshot_bytes: int = 0
    max_snapshot_entries: int = 10_000_000
    max_commit_seconds: float = 0.0
    min_free_percent: float = 3.0
    max_snapshots: int = 0
    log_files: tuple[str, ...] = ("*.log", "*.log.[0-9]*", "logs/**", "*.out", "*.err")
    memory_files: tuple[str, ...] = (
        "MEMORY.md",
        "NOTES.md",
        "PLAN.md",
        "TODO.md",
        "memory/**/*.md",
        "notes/**/*.md",
    )
    config_files: tuple[str, ...] = ()
    output_files: tuple[str, ...] = ("out/**", "output/**", "outputs/**", "results/**", "reports/**")
    decision_markers: tuple[str, ...] = ()
    triggers: tuple[TriggerConfig, ...] = ()
    disabled_triggers: tuple[str, ...] = ()
    constraints: tuple[ConstraintConfig, ...] = ()
    root_cause_categories: tuple[CategoryConfig, ...] = ()
    secrets_engine: str = "auto"
    secrets_exclude: tuple[str, ...] = ()
    secrets_allow: tuple[str, ...] = ()
    secrets_rules: tuple[SecretRuleConfig, ...] = ()
    ignore_findings: tuple[IgnoredFinding, ...] = ()
    max_diff_lines: int = 2000
    max_log_lines: int = 0


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key of the configuration file.

    Attributes:
        name: the upper-case key.
        attribute: the field of ``Config``; empty for a predecessor's key that has no effect any more.
        kind: how ``codec.config`` reads it.
        unit: the last word on what a number counts; empty where there is none.
        meaning: one sentence for people.
    """

    name: str
    attribute: str
    kind: str
    unit: str
    meaning: str


KEYS: tuple[KeySpec, ...] = (
    KeySpec(
        "WORKSPACE_ROOT",
        "workspace_root",
        "text",
        "path",
        "The folder that is recorded, relative to this file",
    ),
    KeySpec("STORE", "store", "text", "path", "Where snapshots are kept; empty: the user's data folder"),
    KeySpec(
        "INCLUDE_PATTERNS", "include_patterns", "globs", "", "Only files that match are recorded; empty: all"
    ),
    KeySpec("EXCLUDE_PATTERNS", "exclude_patterns", "globs", "", "What is left out; ! brings back"),
    KeySpec(
        "DEFAULT_EXCLUDES",
        "default_excludes",
        "switches",
        "",
        "Switches for the built-in groups of what is left out",
    ),
    KeySpec("USE_IGNORE_FILES", "use_ignore_files", "flag", "", "Whether .casreplayignore files count"),
    KeySpec("RESPECT_GITIGNORE", "respect_gitignore", "flag", "", "Whether .gitignore files count"),
    KeySpec(
        "DURABILITY", "durability", "durability", "", "What a power cut may cost: full: nothing acknowledged"
    ),
    KeySpec(
        "MAX_FILE_SIZE",
        "max_file_bytes",
        "count",
        "bytes",
        "Larger files get an entry without content; 0: no limit",
    ),
    KeySpec(
        "MAX_SNAPSHOT_SIZE",
        "max_snapshot_bytes",
        "count",
        "bytes",
        "A larger workspace is refused; 0: no limit",
    ),
    KeySpec(
        "MAX_SNAPSHOT_ENTRIES",
        "max_snapshot_entries",
        "count",
        "entries",
        "More entries are refused; 0: no limit",
    ),
    KeySpec(
        "MAX_COMMIT_SECONDS",
        "max_commit_seconds",
        "number",
        "seconds",
        "A commit that takes longer stops; 0: no limit",
    ),
    KeySpec(
        "MIN_FREE_PERCENT",
        "min_free_percent",
        "percent",
        "percent of the disk",
        "Kept free; a commit stops there",
    ),
    KeySpec(
        "MAX_SNAPSHOTS",
        "max_snapshots",
        "count",
        "snapshots",
        "What prune keeps when nothing else is asked; 0: all",
    ),
    KeySpec("LOG_FILES", "log_files", "globs", "", "Files read as logs: triggers, timeline, decisions"),
    KeySpec(
        "MEMORY_FILES", "memory_files", "globs", "", "Notes an agent keeps; decisions are read from them"
    ),
    KeySpec(
        "CONFIG_FILES",
        "config_files",
        "globs",
        "",
        "Files that count as configuration beside the known formats",
    ),
    KeySpec("OUTPUT_FILES", "output_files", "globs", "", "Files that are results; empty ones are findings"),
    KeySpec(
        "DECISION_MARKERS",
        "decision_markers",
        "regexes",
        "",
        "Lines that state a decision, beside the built-in ones",
    ),
    KeySpec(
        "TRIGGERS",
        "triggers",
        "triggers",
        "",
        "Conditions that make a change suspicious, beside the built-in ones",
    ),
    KeySpec(
        "DISABLED_TRIGGERS",
        "disabled_triggers",
        "builtins",
        "",
        "Built-in families of triggers that do not run",
    ),
    KeySpec("CONSTRAINTS", "constraints", "constraints", "", "What may change and what content may hold"),
    KeySpec(
        "ROOT_CAUSE_CATEGORIES",
        "root_cause_categories",
        "categories",
        "",
        "Categories: meaning, remediation, signals",
    ),
    KeySpec(
        "SECRETS_ENGINE",
        "secrets_engine",
        "engine",
        "",
        "How secrets are searched; every engine finds the same",
    ),
    KeySpec("SECRETS_EXCLUDE", "secrets_exclude", "globs", "", "Files in which no secrets are searched"),
    KeySpec("SECRETS_ALLOW", "secrets_allow", "regexes", "", "Values that are no secrets, whole value"),
    KeySpec(
        "SECRETS_RULES", "secrets_rules", "secret_rules", "", "Formats of secrets beside the built-in ones"
    ),
    KeySpec("IGNORE_FINDINGS", "ignore_findings", "ignored", "", "Findings that were looked at and accepted"),
    KeySpec(
        "MAX_DIFF_LINES",
        "max_diff_lines",
        "count",
        "lines",
        "Lines of a difference shown in a report; 0: all",
    ),
    KeySpec(
        "MAX_LOG_LINES", "max_log_lines", "count", "lines", "Lines read of each log for decisions; 0: all"
    ),
    KeySpec("DATA_DIR", "", "text", "", "The predecessor's; no effect: the store holds everything"),
    KeySpec("SNAPSHOTS_DIR", "", "text", "", "The predecessor's; no effect: the store holds everything"),
    KeySpec("INCIDENTS_DIR", "", "text", "", "The predecessor's; no effect: the store holds everything"),
    KeySpec("TIMELINE_DEPTH", "", "count", "", "The predecessor's; no effect: a timeline is whole"),
    KeySpec(
        "SIGNIFICANT_CHANGE_THRESHOLD", "", "count", "", "The predecessor's; no effect: evidence is weighed"
    ),
)
"""Every key, in the order of documents and template."""
