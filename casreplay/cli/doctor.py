"""``doctor``: looks at the machine, the store and the configuration for what could go wrong here.

Each check is a function of the session that returns ``Check`` values; adding one is adding it to
``CHECKS``. Reads only; opens no object.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from casreplay.cli.options import command, json_option
from casreplay.cli.session import Session
from casreplay.cli.text import ago, count, safe, safe_line, size
from casreplay.errors import CasreplayError, ConfigError, NoRepositoryError, StoreIOError

__all__ = ["Check", "doctor"]

OK, WARN, FAIL = "ok", "warn", "fail"
DAY_NS = 86_400 * 1_000_000_000
_NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs")
_EXTRAS = {
    "yaml": ("yaml", "YAML files are compared key by key"),
    "re2": ("regex", "patterns run in linear time"),
    "ahocorasick_rs": ("scan", "secrets are found faster"),
    "hyperscan": ("scan", "secrets are found much faster"),
}
_SOURCES = {"recorded": "made for this folder", "default": "the default place"}
"""Where a store's name comes from, in words; other sources are what they are called."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: a stable word.
        status: ``ok``, ``warn`` or ``fail``.
        message: what was seen.
        hint: what to do about it; empty when all is well.
    """

    name: str
    status: str
    message: str
    hint: str = ""


@command("doctor", examples=["casreplay doctor", "casreplay doctor --json"])
@json_option
@click.pass_obj
def doctor(session: Session, *, as_json: bool) -> int:
    """Look for what could go wrong here: versions, store, disk, configuration, clock.

    Exits 1 when something will not work, 0 otherwise; warnings are named and change nothing.
    """
    checks = [check for look in CHECKS for check in look(session)]
    failed = any(check.status == FAIL for check in checks)
    if as_json:
        rows = [{"name": c.name, "status": c.status, "message": c.message, "hint": c.hint} for c in checks]
        session.out.data({"ok": not failed, "checks": rows})
        return int(failed)
    colors = {OK: "green", WARN: "yellow", FAIL: "red"}
    for check in checks:
        if session.out.quiet and check.status == OK:
            continue
        word = session.out.style(f"{check.status:<4}", colors[check.status])
        session.out.line(f"{word}  {check.name:<10} {safe_line(check.message)}")
        for line in check.hint.splitlines():
            session.out.line(f"      {'':<10} {safe(line.strip())}")
    return int(failed)


def _versions(_session: Session) -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - this command only
    from platform import platform  # noqa: PLC0415 - this command only

    from casreplay import __version__  # noqa: PLC0415 - this command only

    parts = []
    for name in ("blake3", "zstandard", "click"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Check(
                "versions", FAIL, f"{name} is not installed", "pip install --force-reinstall casreplay"
            )
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("versions", OK, f"casreplay {__version__}, Python {python}, {', '.join(parts)}")
    yield Check("system", OK, platform(terse=True))


def _extras(_session: Session) -> Iterator[Check]:
    from importlib.util import find_spec  # noqa: PLC0415 - this command only

    missing = {extra: use for module, (extra, use) in _EXTRAS.items() if find_spec(module) is None}
    if not missing:
        yield Check("extras", OK, "all optional parts are installed")
        return
    uses = "; ".join(f"with [{extra}] {use}" for extra, use in missing.items())
    yield Check("extras", OK, f"not installed, not needed: {uses}")


def _locations(session: Session) -> Iterator[Check]:
    try:
        where = session.location()
    except NoRepositoryError as error:
        from casreplay.cli.store_location import was_made  # noqa: PLC0415 - start-up speed

        is_gone = was_made(session.location_for_writing(), session.environ)
        yield Check("store", FAIL if is_gone else WARN, error.message, error.hint)
        return
    except (ConfigError, StoreIOError) as error:
        yield Check("store", FAIL, error.message, error.hint)
        return
    yield Check("workspace", OK, os.fsdecode(where.workspace))
    yield Check(
        "store", OK, f"{os.fsdecode(where.store)} ({_SOURCES.get(where.source, f'from {where.source}')})"
    )
    if not os.access(where.store, os.W_OK):
        yield Check(
            "store", FAIL, "the store cannot be written", "Check who owns it: ls -ld on the path above"
        )
    mode = os.stat(where.store).st_mode & 0o077
    if mode and os.name == "posix":
        path = os.fsdecode(where.store)
        yield Check("store", WARN, "other users can look into the store", f"chmod -R go= {path}")
    if where.store.startswith(where.workspace.rstrip(b"/") + b"/"):
        yield Check(
            "store",
            WARN,
            "the store lies inside the workspace: whoever deletes the workspace deletes its history",
            "casreplay init puts stores into your data folder by default",
        )


def _disk(session: Session) -> Iterator[Check]:
    from shutil import disk_usage  # noqa: PLC0415 - this command only

    where = session.location_for_writing()
    folder = where.store
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    usage = disk_usage(folder)
    share = 100 * usage.free / usage.total if usage.total else 0.0
    text = f"{size(usage.free)} free where the store is ({share:.0f} %)"
    low = share < 5
    yield Check("disk", WARN if low else OK, text, "Commits stop at MIN_FREE_PERCENT" if low else "")
    for name, path in (("workspace", where.workspace), ("store", folder)):
        kind = _file_system(path)
        if kind.startswith(_NETWORK):
            yield Check(
                "disk",
                WARN,
                f"the {name} is on a network file system ({kind})",
                "Times and locks of such systems are coarse; commit --full reads every file again",
            )


def _file_system(path: bytes) -> str:
    """The type of the file system that holds ``path`` where the system says so (Linux); else empty."""
    try:
        with open("/proc/self/mounts", "rb") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return ""
    best, kind = b"", b""
    for _, where, type_, *_ in mounts:
        at = where.replace(b"\\040", b" ")
        inside = at in (b"/", path) or path.startswith(at + b"/")
        if inside and len(at) >= len(best):
            best, kind = at, type_
    return kind.decode("ascii", "replace")


def _configuration(session: Session) -> Iterator[Check]:
    from casreplay.cli.config import config_path  # noqa: PLC0415 - start-up speed
    from casreplay.codec.config import load  # noqa: PLC0415 - start-up speed

    path = os.fsdecode(config_path(session))
    if not os.path.lexists(path):
        yield Check("config", OK, "no casreplay.json; the defaults hold")
        return
    try:
        load(path)
    except ConfigError as error:
        yield Check(
            "config", FAIL, error.message.split("\n")[0], "casreplay config check lists every problem"
        )
        return
    yield Check("config", OK, f"{path} is right")


def _history(session: Session) -> Iterator[Check]:
    try:
        session.location()
    except CasreplayError:
        return  # the check of the store has said it
    try:
        head = session.repository().head()
    except ConfigError:
        return
    except CasreplayError as error:
        yield Check("history", FAIL, error.message, error.hint or "casreplay fsck says what is damaged")
        return
    now = session.clock()
    if head is None:
        yield Check("history", WARN, "there is no snapshot yet", "casreplay commit -m baseline")
        return
    age = ago(head.time_ns, now)
    yield Check("history", OK, f"{count(head.sequence, 'snapshot')} taken so far, the newest {age}")
    if head.time_ns > now + DAY_NS:
        yield Check("clock", WARN, "the newest snapshot is from the future", "Check this machine's clock")
    if not head.coverage.is_complete:
        from casreplay.cli.shapes import not_examined  # noqa: PLC0415 - start-up speed

        yield Check("coverage", WARN, f"not examined in the newest snapshot: {not_examined(head.coverage)}")


def _lost_workspaces(session: Session) -> Iterator[Check]:
    from casreplay.cli.store_location import recorded_workspaces  # noqa: PLC0415 - start-up speed

    for one in recorded_workspaces(session.environ):
        if not os.path.isdir(one.workspace) and one.exists:
            path, store = os.fsdecode(one.workspace), os.fsdecode(one.store)
            yield Check(
                "elsewhere",
                OK,
                f"{path} is gone, its history is not",
                f"casreplay --store {store} log   (bring it back with restore --to DIR)",
            )


CHECKS: tuple[Callable[[Session], Iterator[Check]], ...] = (
    _versions,
    _extras,
    _locations,
    _disk,
    _configuration,
    _history,
    _lost_workspaces,
)
