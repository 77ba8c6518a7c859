# Expressions that match log lines read better whole than broken over lines.
# ruff: noqa: E501
"""Lines that speak of errors and report none: "0 errors", a file named ``errors.py``, a passed test.

A guard says only that a line is no evidence; it never makes one.
"""

from __future__ import annotations

import re

__all__ = ["is_negated", "is_retry", "is_success", "is_suspicious", "without_file_names", "without_negations"]

_NEGATED = re.compile(
    r"""
      \b(?:0|no|zero|without|free\ of)\s+(?:\w+\s+){0,2}(?:errors?|failures?|failed|problems?|issues?|exceptions?|warnings?|vulnerabilities|conflicts?|violations?|corruption|mismatche?s?|invalid|bad|rejected|dropped)\b
    | \b(?:errors?|failures?|failed|exceptions?|errored|problems?|mismatche?s|timeouts?|violations?)\s*[:=]\s*(?:0+\b(?!\.)|none\b|null\b|false\b|\[\]|\{\}|""|''|nil\b)
    | "(?:error|errors|err|exception|failure|stderr)"\s*:\s*(?:null|false|0|""|\[\]|\{\})
    | \b(?:not\ an?|isn't\ an?|never)\s+(?:error|failure)\b
    | \b(?:error|failure|exception|fail|retry|timeout)[-_](?:free|less|handl\w+|tolerant|tolerance|polic\w+|strateg\w+|budget|threshold)\b
    | \b(?:error|failure|exception)\ (?:handling|handlers?\ (?:registered|installed|ready|enabled)|tolerance|budget|reporting|rate:?\s*0(?:\.0+)?%)
    | (?<![\w-])--?(?:no-)?(?:fail|error|ignore|continue|exit|abort|allow|skip|on|max)[-_]?(?:fast|on|errors?|failures?|fail|exitcode|limit)[\w-]*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_EXPECTED = re.compile(
    r"\b(?:XFAIL|xfailed|XPASS|expected\ failure|expected\ (?:error|exception)s?|known\ failure|assertRaises|pytest\.raises|should\ (?:fail|throw|raise|reject)|throws?\ (?:an?\ )?(?:error|exception)\ (?:when|if|on|for))\b",
    re.VERBOSE | re.IGNORECASE,
)
_OVER = re.compile(
    r"\b(?:recovered|resolved|cleared|restored|succeeded (?:on|after)|succeeds? after|retry succeeded|retried successfully|(?:error|exception|failure|warning)s? (?:was |were |is |are )?(?:handled|ignored|suppressed|fixed)|(?:ignoring|ignored|suppressed|handled) (?:the )?(?:error|exception|failure|warning))\b",
    re.IGNORECASE,
)
_NOT = re.compile(r"\b(?:not|cannot|can't|couldn't|unable|failed|failing|never|fatal)\b", re.IGNORECASE)
_LEVEL = re.compile(r"^[\W\d_TZ]*(?:ERROR|FATAL|CRITICAL|SEVERE|WARN(?:ING)?|error|fatal)\b\W*")
_SUSPICIOUS = re.compile(
    r"""\b(?:fatal|errors?|exceptions?|fail(?:ed|ures?|s|ing)?|cannot|can't|could\ not|couldn't|unable|denied|refused|not\ found|no\ such|missing|invalid|illegal
      |unexpected|undefined|unresolved|incompatible|panic\w*|abort(?:ed|ing)?|crash\w*|kill(?:ed|ing)|time[ds]?[- ]?out|unsafe|corrupt\w*|mismatch\w*|does(?:\ not|n't)|did(?:\ not|n't)
      |is\ not|isn't|wrong|unauthorized|forbidden|exceed\w*|exhaust\w*|out\ of|unreachable|unavailable|unknown|unrecognized|unsupported|expired|rejected|violat\w+|insufficient|too\ (?:many|large|long)|broken|bad|malformed|traceback|segfault|sigsegv|oom)\b
      |[a-z]Exception\b|[a-z]Error\b|\bE[A-Z]{4,}\b|<<<\ (?:FAILURE|ERROR)|✗|✘|✕""",
    re.VERBOSE | re.IGNORECASE,
)
_SUCCESS = re.compile(
    r"""
      ^\s*(?:\[[\w .:-]{0,40}\]\s*)?(?:PASS(?:ED)?|OK|ok\ \d+|✓|✔|√|\[PASS\]|---\ PASS:|\[\s+OK\s+\]|\[\ RUN)\b
    | ^\s*(?:✓|✔|√|\.\s)\s
    | (?:\s|\.{3,}\s?)(?:PASSED|ok|OK|passed|SUCCESS(?:FUL)?)\s*(?:\[\s*\d+%\]|\(?[\d.,]+\s?m?s\)?)?\s*$
    """,
    re.VERBOSE,
)
_FILE_NAME = re.compile(
    r"(?:[\w./\\-]*[/\\])?[\w-]*(?:errors?|exceptions?|fail(?:ure|ed|s)?|fatal|panic|crash|traceback|corrupt\w*|timeout)[\w-]*"
    r"\.(?:py|pyc|js|mjs|cjs|ts|tsx|jsx|go|rs|rb|java|class|php|c|cc|cpp|h|hpp|cs|kt|md|txt|html|json|log|css|o|lo|so|yml|yaml|tmpl)\b",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"^\s*(?:(?:from|import)\s+[\w.]+|def\s+\w+|class\s+\w+|except\b|catch\s*\(|raise\s+\w+\(|throw\s+new\s|//|#\s|\*\s|\"\"\")"
)
_RETRY = re.compile(
    r"\b(?:retry(?:ing)?|will\ retry|attempt\s+#?\d+(?:\s*(?:/|of)\s*\d+)?|backing\ off|backoff|trying\ again|reconnect(?:ing)?)\b",
    re.IGNORECASE,
)


def is_suspicious(text: str) -> bool:
    """Whether ``text`` has any word of failure; cheap, generous, no judgement."""
    return _SUSPICIOUS.search(text) is not None


def without_negations(line: str) -> str:
    """``line`` without the phrases that say there is no error: ``Failures: 1, Errors: 0`` keeps its first half."""
    return _NEGATED.sub(" ", line)


def is_negated(line: str) -> bool:
    """Whether ``line`` names errors only to say there are none, or only as expected, over or in code."""
    if _EXPECTED.search(line) or _CODE.match(line) or is_success(line):
        return True
    if _OVER.search(line) and not _NOT.search(line):
        return True
    rest = without_negations(line)
    return rest != line and not is_suspicious(_LEVEL.sub("", rest))


def is_success(line: str) -> bool:
    """Whether ``line`` reports a passed test or step, whatever its name says."""
    return _SUCCESS.search(line) is not None


def is_retry(line: str) -> bool:
    """Whether ``line`` announces another attempt: evidence only when nothing later succeeds."""
    return _RETRY.search(line) is not None


def without_file_names(line: str) -> str:
    """``line`` with file names such as ``errors.py`` or ``fail.log`` taken out."""
    return _FILE_NAME.sub("", line)
