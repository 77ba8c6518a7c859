"""What a path is for, judged by its name: how bad its loss is follows from that."""

from __future__ import annotations

import re
from enum import StrEnum

from casreplay.forensics.globs import PathMatcher
from casreplay.model.config import Config

__all__ = ["Role", "Roles"]


class Role(StrEnum):
    """The use of a file."""

    SOURCE = "source"
    CONFIG = "config"
    DATA = "data"
    OUTPUT = "output"
    LOG = "log"
    MEMORY = "memory"
    DOCUMENT = "document"
    LOCK = "lock"
    CACHE = "cache"
    OTHER = "other"


_CACHE = re.compile(
    rb"(?:^|/)(?:__pycache__|node_modules|\.cache|\.[a-z]+_cache|\.tox|\.nox|\.venv|venv|target/debug|tmp|temp|\.tmp)/"
    rb"|\.(?:pyc|pyo|tmp|temp|swp|swo|bak|orig|o|obj|class|pid|sock)$|~$|(?:^|/)\.DS_Store$|(?:^|/)\.coverage"
)
_LOCK = re.compile(
    rb"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|poetry\.lock|uv\.lock"
    rb"|pipfile\.lock|pdm\.lock|cargo\.lock|gemfile\.lock|composer\.lock|go\.sum|mix\.lock|flake\.lock"
    rb"|\.terraform\.lock\.hcl)$|\.(?:lock|lck)$",
    re.IGNORECASE,
)
_OUTPUT = re.compile(rb"(?:^|/)(?:dist|build|coverage|artifacts?|htmlcov|site|_build|generated)/")
_CONFIG = re.compile(
    rb"\.(?:json|jsonc|json5|yaml|yml|toml|ini|cfg|conf|cnf|config|env|properties|props|tfvars|plist)$"
    rb"|(?:^|/)\.env(?:\.[\w.\-]+)?$|(?:^|/)\.[a-z]+rc$|(?:^|/)(?:Dockerfile|Makefile|Procfile|\.editorconfig|\.npmrc"
    rb"|\.gitattributes|\.gitmodules|\.dockerignore|crontab)$",
    re.IGNORECASE,
)
_DATA = re.compile(
    rb"\.(?:csv|tsv|parquet|feather|arrow|avro|orc|jsonl|ndjson|db|sqlite3?|npy|npz|pkl|pickle|h5|hdf5|pt|pth|onnx"
    rb"|safetensors|bin|dat|xlsx?|ods|xml|zip|tar|gz|zst|bz2|xz|png|jpe?g|gif|webp|svg|pdf|wav|mp3|mp4)$"
    rb"|(?:^|/)(?:data|datasets?|fixtures?|inputs?|corpus)/",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    rb"\.(?:py|pyi|pyx|js|mjs|cjs|ts|tsx|jsx|go|rs|java|kt|kts|scala|c|h|cc|cpp|cxx|hpp|cs|rb|php|swift|m|mm|lua|pl|pm|r"
    rb"|jl|ex|exs|erl|hs|ml|fs|clj|dart|sh|bash|zsh|ps1|bat|sql|vue|svelte|html?|css|scss|less|proto|graphql|tf|hcl"
    rb"|ipynb|cmake|gradle|nix|asm|s|v|vhd|sol|zig)$",
    re.IGNORECASE,
)
_DOCUMENT = re.compile(
    rb"\.(?:md|rst|txt|adoc|tex|org|docx?|odt|pptx?)$|(?:^|/)(?:LICEN[CS]E|README|CHANGELOG)$"
)


class Roles:
    """Roles of paths under one configuration, which may name logs, notes, outputs and settings."""

    def __init__(self, config: Config) -> None:
        self._logs = PathMatcher(config.log_files)
        self._memory = PathMatcher(config.memory_files)
        self._outputs = PathMatcher(config.output_files)
        self._configs = PathMatcher(config.config_files)

    def of(self, path: bytes) -> Role:
        """The role of ``path``. What the configuration names wins over what the name suggests."""
        for role, named in (
            (Role.CONFIG, self._configs),
            (Role.LOG, self._logs),
            (Role.MEMORY, self._memory),
            (Role.OUTPUT, self._outputs),
        ):
            if named.matches(path):
                return role
        for role, shape in (
            (Role.CACHE, _CACHE),
            (Role.LOCK, _LOCK),
            (Role.OUTPUT, _OUTPUT),
            (Role.SOURCE, _SOURCE),
            (Role.DATA, _DATA),
            (Role.CONFIG, _CONFIG),
            (Role.DOCUMENT, _DOCUMENT),
        ):
            if shape.search(path):
                return role
        return Role.OTHER
