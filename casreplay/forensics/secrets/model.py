"""What the parts of the secret scanner hand to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Candidate", "FileKind", "Probe", "SecretClass", "SecretMatch"]


class SecretClass(StrEnum):
    """What to do about a match: ``token`` act now, ``password-like`` review."""

    TOKEN = "token"  # noqa: S105 - the name of a class, not a password
    PASSWORD_LIKE = "password-like"  # noqa: S105 - the name of a class, not a password


class FileKind(StrEnum):
    """How values are written in a file, which decides what an assignment may look like."""

    CODE = "code"
    SHELL = "shell"
    SETTINGS = "settings"
    YAML = "yaml"
    MARKUP = "markup"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A secret in a window of bytes: ``data[start:end]``; a smaller ``rank`` wins an overlap."""

    rule: str
    secret_class: SecretClass
    start: int
    end: int
    rank: int = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """Something that may begin or stand around one of ``keywords``.

    Attributes:
        name: rule or family, for people.
        keywords: literals; wherever one occurs, ``find`` is asked.
        gate: regular expression of one match per place, implied by whatever ``find`` accepts.
        tail: fixed length of the gate from the keyword on; 0: not fixed, look back for keywords.
        find: window, keyword position, kind of file -> the secret there, or ``None``.
    """

    name: str
    keywords: tuple[bytes, ...]
    gate: str
    tail: int
    find: Callable[[bytes, int, FileKind], Candidate | None]


@dataclass(frozen=True, slots=True)
class SecretMatch:
    """One secret in one blob. The value itself is kept nowhere.

    Attributes:
        rule: id of the rule.
        secret_class: what to do about it.
        offset: first byte in the blob.
        length: bytes from ``offset``; for encoded text all of the encoded run.
        line: line of the first byte, from 1; inside a gzip blob, of the unpacked text.
        column: column of the first byte in that line, from 1, in characters.
        fingerprint: 8 hex digits of a keyed hash of the value; equal values, equal fingerprints.
        encoding: ``""``, ``base64``, ``percent``, ``json``, ``utf-16`` or ``gzip``: how it was wrapped.
        value_length: bytes of the value itself, unwrapped.
    """

    rule: str
    secret_class: SecretClass
    offset: int
    length: int
    line: int
    column: int
    fingerprint: str
    encoding: str = ""
    value_length: int = 0
