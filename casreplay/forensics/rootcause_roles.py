# Expressions that match paths read better whole than broken over lines.
"""What a file is for, judged by its path: source, test, config, dependency, contract, data, log, output.

A heuristic for weighing changes, not a promise: nothing is deleted or refused by it.
"""

from __future__ import annotations

import json
import re

__all__ = ["Role", "is_settings_module", "role_of", "settle"]

Role = str
"""``source test config dependency contract data log output document``."""

_DEPENDENCY_NAMES = re.compile(
    r"""^(?:requirements[\w.-]*\.(?:txt|in)|constraints[\w.-]*\.txt|poetry\.lock|pipfile(?:\.lock)?|uv\.lock|pdm\.lock|pixi\.(?:toml|lock)
    |package-lock\.json|yarn\.lock|pnpm-lock\.yaml|npm-shrinkwrap\.json|bun\.lockb?|package\.json
    |go\.(?:mod|sum)|cargo\.(?:toml|lock)|gemfile(?:\.lock)?|[\w.-]+\.gemspec|composer\.(?:json|lock)|pom\.xml|build\.gradle(?:\.kts)?|gradle\.lockfile|libs\.versions\.toml
    |[\w.-]+\.csproj|packages\.(?:lock\.json|config)|paket\.lock|mix\.lock|environment\.ya?ml|conda[\w.-]*\.(?:ya?ml|lock)|setup\.(?:py|cfg)|pyproject\.toml
    |\.(?:python|node|ruby|java)-version|\.nvmrc|\.tool-versions|runtime\.txt|rust-toolchain(?:\.toml)?|dockerfile[\w.-]*|[\w.-]*\.dockerfile|version(?:\.txt)?|[\w.-]*[.-]lock(?:\.\w+)?|[\w.-]*versions?\.(?:txt|json|toml|lock|ini|cfg|ya?ml|env|properties)
    |[\w.-]*dep(?:s|endencies)\.(?:txt|json|toml|lock|ya?ml)|[\w.-]*\.lock(?:file)?)$""",
    re.VERBOSE,
)
_DEPENDENCY_FOLDERS = re.compile(
    r"(?:^|/)(?:node_modules|site-packages|dist-packages|vendor(?:ed)?|_vendor|third[_-]?party|3rdparty|external|extern|venv|\.venv|env/lib|virtualenv|deps|dependencies|packages/installed|toolchain|tools/bin|\.cargo|gems|pypackages|__pypackages__|[\w.-]+\.(?:dist-info|egg-info|egg))(?:/|$)"
)
_CONTRACT = re.compile(
    r"(?:^|/)(?:migrations?|schemas?|contracts?|golden(?:s|files?)?|__snapshots__|snapshots|baselines?|expected|protos?|openapi|swagger|fixtures/expected)/|\.(?:proto|avsc|graphql|gql|xsd|snap|golden|thrift|openapi\.\w+)$|(?:^|/)(?:[\w-]*schema[\w-]*|openapi|swagger|[\w-]*contract[\w-]*|api[_-]?spec|[\w.-]*expected[\w.-]*|[\w.-]*golden[\w.-]*|[\w.-]*baseline[\w.-]*|[\w-]*manifest[\w-]*)\.(?:json|ya?ml|sql|txt|csv|xml|toml)$|(?:^|/)\d{3,}_[\w-]+\.sql$"
)
_SOURCE = re.compile(
    r"\.(?:py|pyw|pyx|js|mjs|cjs|jsx|ts|mts|tsx|go|rs|rb|rake|java|kt|kts|scala|groovy|php|pl|pm|c|cc|cpp|cxx|h|hh|hpp|cs|fs|vb|swift|m|mm|lua|r|jl|ex|exs|erl|hs|clj|dart|sh|bash|zsh|fish|ksh|awk|sed|ps1|bat|cmd|sql|jq|vue|svelte|f90|nim|zig|tcl|mk|cmake)$|(?:^|/)(?:makefile|rakefile|justfile|cmakelists\.txt|jenkinsfile|procfile|taskfile\.ya?ml)$"
)
_CONFIG_EXTENSION = re.compile(
    r"\.(?:ini|cfg|conf|cnf|config|toml|ya?ml|env|properties|json5|jsonc|hcl|tfvars|plist|rc|desktop|service|reg|editorconfig)$|(?:^|/)\.env(?:\.[\w.-]+)?$|(?:^|/)\.[\w-]+rc(?:\.\w+)?$|\.env\.[\w.-]+$"
)
_CONFIG_NAME = re.compile(
    r"(?:^|[/._-])(?:configs?|configuration|conf|settings?|options?|prefs|preferences|params|parameters|features?|flags|secrets?|credentials?|app|tsconfig|appsettings|launch|profile|env|environment|limits|policy|policies|rules|routes?|endpoints?|services?|deploy(?:ment)?|compose)(?:[._-][\w.-]*)?\.(?:json|xml|txt|ya?ml|toml)$|(?:^|/)(?:config|conf|settings|etc|\.config|configs)/"
)
_DATA_FOLDER = re.compile(
    r"(?:^|/)(?:data|datasets?|inputs?|input_data|raw|corpus|seeds?|fixtures|samples|records|db|database|state|storage|store|archive|backups?|assets|models|inbox|queue|spool|ledger|import|feeds?)/"
)
_LOG = re.compile(
    r"\.(?:log|out|err|trace)(?:\.\d+)?$|(?:^|/)logs?/|(?:^|/)(?:stdout|stderr|nohup|console|transcript)(?:[._-][\w.]*)?$|\.log\."
)
_OUTPUT = re.compile(
    r"(?:^|/)(?:out|outputs?|results?|reports?|build|dist|target|tmp|temp|cache|\.cache|__pycache__|\.pytest_cache|coverage|artifacts)/|\.(?:pyc|pyo|o|class|tmp|pid|swp|bak|lock~|done)$|(?:^|/)(?:core|results?|outputs?|report|summary|status)(?:\.\w+)?$"
)
_BUILT = re.compile(r"(?:^|/)(?:build|dist|target|__pycache__|\.cache|coverage|\.next|\.nuxt)/|\.min\.js$")
_TEST = re.compile(
    r"(?:^|/)(?:tests?|specs?|__tests__)/|(?:^|/)(?:test_[\w-]+|[\w-]+_test|[\w-]+[._-](?:test|spec))\.\w+$"
)
_DOCUMENT = re.compile(
    r"\.(?:md|rst|adoc|tex|docx?)$|(?:^|/)(?:readme|license|changelog|authors|contributing|notes?|todo)(?:\.\w+)?$|(?:^|/)docs?/"
)
_DOCUMENTS = (".json", ".xml")
_STATE = re.compile(
    r"state|seen|cursor|cache|index|history|progress|checkpoint|session|offset|counter|lock|queue|inventory|users|items|records|orders|events|messages|catalog|metrics|stats"
)
_SETTINGS_MODULE = re.compile(
    r"(?:^|/)(?:[\w-]*settings|[\w-]*config|conf|constants|defaults|env|environment|vars|variables|options|parameters|params)\.(?:py|js|mjs|cjs|ts|rb|php|sh|bash|lua)$|(?:^|/)(?:settings|config|conf|environments)/[\w-]+\.(?:py|js|mjs|cjs|ts|rb|php|sh|bash|lua)$"
)


def is_settings_module(path: bytes) -> bool:
    """Whether a source file's name says that it holds settings, as ``settings.py`` or ``env.sh`` do."""
    return _SETTINGS_MODULE.search(path.decode("utf-8", "replace").lower()) is not None


def role_of(path: bytes, *, config_paths: frozenset[bytes] = frozenset()) -> Role:
    """What the file at ``path`` is for.

    Args:
        path: below the workspace root.
        config_paths: files known to be configuration, for instance because their keys were compared.
    """
    text = path.decode("utf-8", "replace").lower()
    name = text.rpartition("/")[2]
    code = _SOURCE.search(text) is not None and not _BUILT.search(text)
    if _LOG.search(text) and not code:
        return "log"
    if _DEPENDENCY_FOLDERS.search(text) or _DEPENDENCY_NAMES.match(name):
        return "dependency"
    if _CONTRACT.search(text):
        return "contract"
    if _OUTPUT.search(text) and not code:
        return "output"
    if _DOCUMENT.search(text) and not code:
        return "document"
    if code:
        return "test" if _TEST.search(text) else "source"
    in_data = _DATA_FOLDER.search(text) is not None
    if _CONFIG_NAME.search(text) or (_CONFIG_EXTENSION.search(text) and not in_data):
        return "config"
    if path in config_paths and not in_data and not name.endswith(_DOCUMENTS):
        return "config"
    return "data"


def settle(path: bytes, role: Role, content: bytes | None) -> Role:
    """``role`` again, now that the content is known: a JSON document of settings or of records.

    Its path says nothing about ``app.json`` or ``users.json``; a list, or an object that is mostly
    a list, holds records; a small object of values holds settings unless its name speaks of state.
    """
    name = path.rpartition(b"/")[2].lower()
    if role not in {"data", "config"} or not name.endswith(b".json") or content is None:
        return role
    text = path.decode("utf-8", "replace").lower()
    if _CONFIG_NAME.search(text) or _DATA_FOLDER.search(text):
        return role
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return role
    if not isinstance(value, dict) or _STATE.search(text):
        return "data"
    longest = max((len(item) for item in value.values() if isinstance(item, list)), default=0)
    return "config" if longest < 8 and len(content) < 16_384 else "data"
