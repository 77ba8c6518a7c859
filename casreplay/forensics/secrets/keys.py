"""Which names of settings hold a secret: ``DB_PASSWORD`` does, ``password_policy`` does not."""

from __future__ import annotations

import re
import tomllib
from enum import StrEnum
from functools import lru_cache
from importlib import resources

__all__ = ["KEYWORDS", "KeyClass", "classify"]


class KeyClass(StrEnum):
    """What a name promises; the word is the last part of the rule id."""

    PASSWORD = "password"  # noqa: S105 - the name of a class, not a password
    SECRET = "secret"  # noqa: S105 - the name of a class, not a password
    TOKEN = "token"  # noqa: S105 - the name of a class, not a password
    API_KEY = "api-key"
    KEY = "key"


def _words() -> dict[str, frozenset[str]]:
    text = resources.files("casreplay.data").joinpath("secret-names.toml").read_text(encoding="utf-8")
    return {
        name: frozenset(value.split() if isinstance(value, str) else value)
        for name, value in tomllib.loads(text).items()
    }


_LISTS = _words()
KEYWORDS = tuple(sorted(word.encode() for word in _LISTS["keywords"] | _LISTS["phrases"]))
"""Literal pieces of names that hold secrets, in the spellings in use."""
_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@lru_cache(maxsize=4096)
def classify(name: bytes) -> KeyClass | None:
    """What ``name`` promises, or ``None`` when it does not name a secret."""
    words = [w.lower() for w in _SPLIT.findall(name.decode("latin-1"))]
    words = [w for w in words if not w.isdigit()]
    if not words or words[0] in _LISTS["never_first"]:
        return None
    if words[-1] in _LISTS["never_last"] and not (words[-1] == "id" and words[-2:-1] == ["secret"]):
        return None
    return _named(words)


def _named(words: list[str]) -> KeyClass | None:
    if any(w in _LISTS["password"] or w.endswith(("password", "passwd", "pwd", "passphrase")) for w in words):
        return KeyClass.PASSWORD
    if words[-1] == "key" or words[-1].endswith("apikey") or "apikey" in words:
        return _key_class(words)
    if any(w.endswith("secret") or w in ("secretid", "credential", "credentials") for w in words):
        return KeyClass.SECRET
    if any(w.endswith("token") for w in words):
        return KeyClass.TOKEN
    return None


def _key_class(words: list[str]) -> KeyClass | None:
    owner = words[-2] if len(words) > 1 else ""
    if words[-1].endswith("apikey") or "apikey" in words or owner in _LISTS["key_owners"]:
        return None if "public" in words or "publishable" in words else KeyClass.API_KEY
    return None if not owner or owner in _LISTS["key_never"] or "public" in words else KeyClass.KEY
