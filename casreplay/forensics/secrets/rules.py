"""The rule set: every probe of the scanner, in one order, under one digest.

Vendor tokens come from ``casreplay/data/secrets.toml``; assignments and structured credentials
from their modules. The digest names the rules a cached result was made with.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from casreplay.codec.hashing import blob_id
from casreplay.forensics.secrets import assignments, structured
from casreplay.forensics.secrets.checks import CHECKS
from casreplay.forensics.secrets.forms import Form, parse
from casreplay.forensics.secrets.model import Candidate, FileKind, Probe, SecretClass
from casreplay.forensics.secrets.values import is_token_value

__all__ = ["RuleSet", "TokenRule", "default_rules", "load_tokens"]

CODE_VERSION = b"2"
"""Raised whenever the code of a rule changes, so that cached results are made again."""


@dataclass(frozen=True, slots=True)
class TokenRule:
    """One vendor token: its forms and the checksum that proves it, if the vendor has one."""

    id: str
    forms: tuple[Form, ...]
    check: Callable[[bytes], bool] | None = None
    check_name: str = ""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Probes in order of importance, and a digest that changes with any of them."""

    probes: tuple[Probe, ...]
    tokens: tuple[TokenRule, ...]
    digest: bytes

    @property
    def ids(self) -> list[str]:
        """Every rule id, sorted; assignments appear as the five ids they use."""
        fixed = [p.name for p in self.probes if not p.name.startswith(("assign", "token:"))]
        named = [f"assign.{word}" for word in ("password", "secret", "token", "api-key", "key")]
        return sorted({*(rule.id for rule in self.tokens), *fixed, *named, "file.pgpass"})


def load_tokens(text: str) -> tuple[TokenRule, ...]:
    """The vendor tokens of a rule file, in file order.

    Raises:
        ValueError: a form cannot be compiled or names an unknown checksum.
    """
    rules: list[TokenRule] = []
    for group in tomllib.loads(text).values():
        for rule_id, value in group.items():
            fields = value if isinstance(value, dict) else {"form": value}
            forms = fields["form"]
            sources = [forms] if isinstance(forms, str) else forms
            check = fields.get("check", "")
            if check and check not in CHECKS:
                raise ValueError(f"Rule {rule_id} names the unknown checksum {check!r}")
            rules.append(TokenRule(rule_id, tuple(parse(s) for s in sources), CHECKS.get(check), check))
    return tuple(rules)


def token_probe(rule: TokenRule, form: Form) -> Probe:
    """A probe that finds ``form`` around its keyword."""
    nearest, farthest = form.before
    match = form.pattern.match

    def find(data: bytes, at: int, _kind: FileKind) -> Candidate | None:
        for back in range(nearest, farthest + 1):
            found = match(data, at - back) if at >= back else None
            if found is not None:
                return _token(rule, found.group(), found.groups(), found.span())
        return None

    return Probe(f"token:{rule.id}", (form.keyword,), form.gate, form.gate_tail, find)


def _token(rule: TokenRule, text: bytes, parts: Iterable[bytes], span: tuple[int, int]) -> Candidate | None:
    if not is_token_value(list(parts)):
        return None
    doubtful = b"EXAMPLE" in text or (rule.check is not None and not rule.check(text))
    secret_class = SecretClass.PASSWORD_LIKE if doubtful else SecretClass.TOKEN
    return Candidate(rule.id, secret_class, *span, rank=2)


@cache
def default_rules() -> RuleSet:
    """The rules that ship with casreplay. Cost: a few milliseconds, once a process."""
    text = resources.files("casreplay.data").joinpath("secrets.toml").read_text(encoding="utf-8")
    tokens = load_tokens(text)
    probes = [token_probe(rule, form) for rule in tokens for form in rule.forms]
    digest = blob_id(CODE_VERSION + text.encode())
    return RuleSet((*probes, *structured.PROBES, *assignments.PROBES), tokens, digest)
