"""The verdict on a failure: weighted, explained, or ``undetermined``.

Score of a category = capped sums over independent groups of evidence: (a) the last exception
or the failing tail, (b) the exit code, (c) other new lines of trouble, (d) the change set,
(e) nearness in time. Before they count, signals pass the flips of ``rootcause_flips``, which
look at what changed. Pure: values and read callables in, one value out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from casreplay.forensics.rootcause_case import Case, CaseLog
from casreplay.forensics.rootcause_changes import ChangeSet, read_changes
from casreplay.forensics.rootcause_flips import Scene, flip
from casreplay.forensics.rootcause_hits import Hit, LogView, read_log
from casreplay.forensics.rootcause_judge import ChangeEffect
from casreplay.forensics.rootcause_mentions import Mentions, mentions_of
from casreplay.forensics.signals import CARRIER, STOPPED, RuleSet, Signal
from casreplay.model.causes import CATEGORIES, UNDETERMINED, Candidate, CauseEvidence, Remedy, RootCause

__all__ = ["Case", "CaseLog", "RuleSet", "classify"]

CAPS = {"a": 4.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 0.5}
"""The most one group adds to one category."""
MIN_SCORE = 1.5
"""Below it nothing is said."""
MIN_MARGIN = 0.2
"""Smaller leads over the second candidate are no lead."""
FULL_SCORE = 6.0
"""A score from which more evidence adds no confidence."""
MAX_EVIDENCE = 40
CONTEXT_LINES = 2000
"""Last new lines of a log in which network words are looked for."""

_LOCAL = re.compile(r"\b(?:localhost|127\.0\.0\.1|::1|0\.0\.0\.0)\b")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Evidence before caps."""

    group: str
    category: str
    weight: float
    sub_cause: str
    evidence: CauseEvidence
    remedy: str


def classify(case: Case, rules: RuleSet) -> RootCause:
    """The root cause of ``case``.

    The result always names a second candidate and says for every piece of evidence which rule
    saw it, where, and what a flip did to it. Cost: linear in the new lines and changed bytes
    that are read; lines with the same mask are judged once.
    """
    views = [read_log(log, rules) for log in sorted(case.logs, key=lambda log: log.path)]
    mentions = _mentions(views, case)
    log_paths = frozenset(log.path for log in case.logs)
    changes = read_changes(case, mentions, log_paths=log_paths)
    scene = Scene(changes, mentions, _server_categories(views))
    seen = [*_from_logs(views, scene), *_from_exit(case, rules, scene)]
    pieces = _after_stop([*seen, *_only_called(_from_changes(case, changes), seen)])
    names = [*CATEGORIES, *(name for name in rules.categories if name not in CATEGORIES)]
    weighted = _capped(pieces)
    scores = dict.fromkeys(names, 0.0)
    for piece, weight in weighted:
        if piece.category in scores:
            scores[piece.category] += weight
    return _verdict(scores, weighted, rules)


def _mentions(views: Sequence[LogView], case: Case) -> Mentions:
    text = "\n".join(view.text for view in views)
    traces = "\n".join(block.text for view in views for block in view.blocks[-3:])
    frames = tuple(frame for view in views for block in view.blocks[-3:] for frame in block.frames)
    context = "\n".join(line.text for view in views for line in view.log.lines[-CONTEXT_LINES:]) + traces
    named = (text + "\n" + _without_frames(traces))[-400_000:]
    return mentions_of(named, frames, context, case)


def _without_frames(text: str) -> str:
    """Traces without their frame lines: a file on the stack is linked as a frame, not as a word."""
    return "\n".join(line for line in text.split("\n") if not line.startswith((" ", "\t")))


def _server_categories(views: Sequence[LogView]) -> tuple[str, ...]:
    """Categories of the last traces of logs beside one that speaks of a local server; strongest first."""
    speaking = [view for view in views if _LOCAL.search(view.text)]
    if not speaking:
        return ()
    found: list[tuple[float, str]] = []
    for view in views:
        if view is speaking[0] and len(views) > 1:
            continue
        lines = {number for block in view.blocks for number in (block.line, block.cause_line)}
        found += [
            (hit.signal.weight, hit.signal.category)
            for hit in view.hits
            if hit.line in lines
            and hit.signal.category in CATEGORIES
            and hit.signal.category != "external_failure"
        ]
    return tuple(name for _, name in sorted(found, reverse=True))


def _from_logs(views: Sequence[LogView], scene: Scene) -> list[_Piece]:
    pieces: list[_Piece] = []
    for view in views:
        pieces.extend(_piece(hit, scene) for hit in view.hits)
        pieces.extend(_suppressed(view, *line) for line in view.suppressed[:5])
    return pieces


def _suppressed(view: LogView, number: int, text: str, why: str) -> _Piece:
    log, effect = view.log, f"suppressed: {why}"
    evidence = CauseEvidence("guard", text[:300], "", 0.0, effect, log.path, number, log.snapshot, log.blob)
    return _Piece("", "", 0.0, "", evidence, "")


def _piece(hit: Hit, scene: Scene) -> _Piece:
    signal = hit.signal
    category, weight, effect = _flipped(signal, hit.text, scene)
    evidence = CauseEvidence(
        signal.id,
        hit.text[:500].strip(),
        category,
        weight,
        effect,
        hit.log.path,
        hit.line,
        hit.log.snapshot,
        hit.log.blob,
    )
    return _Piece(hit.group, category, weight, signal.sub_cause, evidence, signal.remedy)


def _flipped(signal: Signal, text: str, scene: Scene) -> tuple[str, float, str]:
    """Category (``""`` for carriers), weight and effect of a signal in this scene."""
    result = flip(signal, text, scene)
    if result is not None and result.category == CARRIER:
        return "", 0.0, f"suppressed: {result.reason}"
    if result is not None and result.category != signal.category:
        return (
            result.category,
            signal.weight * result.factor,
            f"{signal.category} to {result.category}: {result.reason}",
        )
    if signal.category == CARRIER:
        return "", 0.0, "severity or secondary: never decides"
    factor = result.factor if result is not None else 1.0
    effect = f"for {signal.category}" + (f", {result.reason}" if result is not None else "")
    return signal.category, signal.weight * factor, effect


def _from_exit(case: Case, rules: RuleSet, scene: Scene) -> list[_Piece]:
    code = case.exit_code
    if code is None or code in {0, 1, 2}:
        return []
    shown = 128 - code if code < 0 else code
    pieces = []
    for signal in rules.match(f"exit code {shown}"):
        if signal.group != "exits":
            continue
        category, weight, effect = _flipped(signal, "", scene)
        evidence = CauseEvidence(
            signal.id, f"The command ended with exit code {shown}", category, weight, effect, b""
        )
        pieces.append(_Piece("b", category, weight, signal.sub_cause, evidence, signal.remedy))
    return pieces


def _from_changes(case: Case, changes: ChangeSet) -> list[_Piece]:
    pieces = [_change_piece(case, effect) for effect in changes.effects[:MAX_EVIDENCE] if effect.category]
    newest = _newest(changes.effects)
    if newest is not None:
        evidence = _change_evidence(
            case, newest, "change.last", "The last file that changed before the failure", 0.5
        )
        pieces.append(_Piece("e", newest.category, 0.5, "", evidence, ""))
    if changes.grown_bytes > 256 << 20:
        effect = "for resource_exhaustion"
        text = f"The workspace grew by {changes.grown_bytes} bytes"
        grown = CauseEvidence(
            "change.growth_total", text, "resource_exhaustion", 1.0, effect, b"", None, case.snapshot_after
        )
        pieces.append(_Piece("d", "resource_exhaustion", 1.0, "disk_full", grown, ""))
    return pieces


def _only_called(changed: list[_Piece], seen: Sequence[_Piece]) -> list[_Piece]:
    """Code, and what the failure does not name, counts half where the tail names a network or a resource.

    Code on the stack of such a failure only called what failed.
    """
    outside = {"external_failure", "resource_exhaustion"}
    if not any(
        piece.group in {"a", "b"} and piece.category in outside and piece.weight >= 2 for piece in seen
    ):
        return changed
    return [
        replace(piece, weight=piece.weight * 0.5)
        if piece.category == "logic_error" or "named by the failure" not in piece.evidence.effect
        else piece
        for piece in changed
    ]


def _newest(effects: Sequence[ChangeEffect]) -> ChangeEffect | None:
    """The change that is alone at the end: more than a second after the next one."""
    timed = [
        (effect.change.after.mtime_ns, i)
        for i, effect in enumerate(effects)
        if effect.change.after is not None
    ]
    if len(timed) < 2:
        return None
    (second, _), (first, at) = sorted(timed)[-2:]
    effect = effects[at]
    return effect if first - second > 10**9 and effect.category and effect.weight >= 1 else None


def _change_piece(case: Case, effect: ChangeEffect) -> _Piece:
    evidence = _change_evidence(case, effect, effect.rule, effect.message, effect.weight)
    return _Piece("d", effect.category, effect.weight, effect.sub_cause, evidence, "")


def _change_evidence(
    case: Case, effect: ChangeEffect, rule: str, message: str, weight: float
) -> CauseEvidence:
    change = effect.change
    after = change.after is not None
    entry = change.after if after else change.before
    path = change.path if after or change.old_path is None else change.old_path
    words = f"for {effect.category}" + (", named by the failure" if effect.linked else "")
    return CauseEvidence(
        rule, message, effect.category, weight, words, path, effect.line,
        case.snapshot_after if after else case.snapshot_before,
        entry.blob_id if entry is not None else None,
    )  # fmt: skip


def _after_stop(pieces: list[_Piece]) -> list[_Piece]:
    """A run that was stopped from outside: weak evidence counts no more."""
    if not any(piece.category == STOPPED for piece in pieces):
        return pieces
    return [piece for piece in pieces if piece.category == STOPPED or piece.weight >= 2 or piece.group == "d"]


def _capped(pieces: Sequence[_Piece]) -> list[tuple[_Piece, float]]:
    """What each piece adds: within a group and category 1, 1/2, 1/4 ... of its weight, up to the cap.

    Pieces with the same rule are one observation.
    """
    order = sorted(range(len(pieces)), key=lambda i: -pieces[i].weight)
    spent: dict[tuple[str, str], float] = {}
    count: dict[tuple[str, str], int] = {}
    rules: set[tuple[str, str, str]] = set()
    added = [0.0] * len(pieces)
    for i in order:
        piece = pieces[i]
        if not piece.category or not piece.group:
            continue
        key = (piece.group, piece.category)
        rule = (piece.group, piece.category, piece.evidence.rule if piece.group != "d" else str(i))
        if rule in rules:
            continue
        rules.add(rule)
        weight = piece.weight * 0.5 ** count.get(key, 0)
        weight = min(weight, CAPS[piece.group] - spent.get(key, 0.0))
        spent[key] = spent.get(key, 0.0) + weight
        count[key] = count.get(key, 0) + 1
        added[i] = weight
    return list(zip(pieces, added, strict=True))


def _verdict(
    scores: Mapping[str, float], weighted: Sequence[tuple[_Piece, float]], rules: RuleSet
) -> RootCause:
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    (best, top), (_, second) = ranked[0], ranked[1]
    stopped = any(piece.category == STOPPED for piece, _ in weighted)
    sure = top >= MIN_SCORE and top - second >= MIN_MARGIN
    category = best if sure else UNDETERMINED
    share = top / (top + second) if top else 0.0
    confidence = min(0.99, share * min(1.0, 0.25 + 0.75 * top / FULL_SCORE)) if sure else 0.0
    candidates = [Candidate(name, score) for name, score in ranked if score > 0]
    candidates += [Candidate(name, 0.0) for name, score in ranked if score <= 0][
        : max(0, 2 - len(candidates))
    ]
    mine = [(piece, weight) for piece, weight in weighted if piece.category == category and weight > 0]
    mine.sort(key=lambda pair: -pair[1])
    sub = next((piece.sub_cause for piece, _ in _log_first(mine) if piece.sub_cause), "")
    if not sure and stopped:
        sub = STOPPED
    return RootCause(
        category, confidence, sub, tuple(candidates), _evidence(weighted), _remedies(mine, category, rules)
    )


def _log_first(pieces: Iterable[tuple[_Piece, float]]) -> list[tuple[_Piece, float]]:
    """Strong pieces from logs before those of the change set: their sub-causes say more."""
    return sorted(pieces, key=lambda pair: (pair[1] < 1.5, pair[0].group == "d", -pair[1]))


def _evidence(weighted: Sequence[tuple[_Piece, float]]) -> tuple[CauseEvidence, ...]:
    shown: dict[tuple[str, bytes, int | None], CauseEvidence] = {}
    for piece, weight in sorted(weighted, key=lambda pair: -pair[1]):
        old = piece.evidence
        key = (old.rule, old.path, old.line)
        if key not in shown:
            shown[key] = CauseEvidence(
                old.rule,
                old.message,
                piece.category,
                weight,
                old.effect,
                old.path,
                old.line,
                old.snapshot,
                old.blob,
            )
    return tuple(list(shown.values())[:MAX_EVIDENCE])


def _remedies(mine: Sequence[tuple[_Piece, float]], category: str, rules: RuleSet) -> tuple[Remedy, ...]:
    remedies: dict[str, Remedy] = {}
    for piece, _ in mine:
        rule = piece.evidence.rule
        # A flipped signal's own remedy answers the category it came from.
        if piece.remedy and not piece.evidence.effect.partition(":")[0].endswith(f" to {category}"):
            remedies.setdefault(piece.remedy, Remedy(piece.remedy, rule))
        if len(remedies) >= 4:
            break
    for text in rules.category(category).remediation:
        remedies.setdefault(text, Remedy(text, category))
    return tuple(remedies.values())
