"""What kind of file a path names, judged by name alone: it decides what an assignment looks like."""

from __future__ import annotations

from casreplay.forensics.secrets.model import FileKind

__all__ = ["kind_of"]

_SUFFIXES = {
    FileKind.CODE: "py pyi pyx js mjs cjs ts tsx jsx go java kt kts scala rb php c h cc cpp cxx hpp "
    "cs rs swift m mm dart lua pl pm r jl ex exs erl hs ml fs clj groovy gradle vb sql tf hcl "
    "json json5 jsonc jsonl ndjson ipynb vue svelte",
    FileKind.SHELL: "sh bash zsh fish ksh ps1 bat cmd mk dockerfile",
    FileKind.SETTINGS: "env ini cfg conf cnf config properties props toml npmrc pypirc netrc tfvars envrc "
    "editorconfig service",
    FileKind.YAML: "yaml yml",
    FileKind.MARKUP: "xml html htm xhtml svg plist csproj pom",
}
_BY_SUFFIX = {suffix.encode(): kind for kind, text in _SUFFIXES.items() for suffix in text.split()}
_BY_NAME = {
    b"dockerfile": FileKind.SHELL,
    b"makefile": FileKind.SHELL,
    b"procfile": FileKind.SHELL,
    b"credentials": FileKind.SETTINGS,
    b".gitconfig": FileKind.SETTINGS,
    b".bashrc": FileKind.SHELL,
    b".profile": FileKind.SHELL,
    b".zshrc": FileKind.SHELL,
}
_NOT_CODE = frozenset((b"jsonl", b"ndjson"))


def kind_of(path: bytes) -> FileKind:
    """The kind of file at ``path``; anything unknown is read as a log, the most general kind."""
    name = path.rpartition(b"/")[2].lower()
    if name.endswith(b".gz"):
        name = name[:-3]
    if name == b".env" or name.startswith(b".env."):
        return FileKind.SETTINGS
    if name in _BY_NAME:
        return _BY_NAME[name]
    suffix = name.rpartition(b".")[2]
    return FileKind.LOG if suffix in _NOT_CODE else _BY_SUFFIX.get(suffix, FileKind.LOG)
