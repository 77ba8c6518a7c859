"""The repository with the forensics bench on top: what ``casreplay.Repository`` is.

A facade outside the floors, so that one object answers everything. It holds no rule of its
own; each method names the module that does the work and imports it when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from casreplay.history.repository import Repository as History
from casreplay.model.monitor import SILENT, Monitor
from casreplay.model.objects import Snapshot

if TYPE_CHECKING:
    from casreplay.forensics.loss import LossLedger
    from casreplay.forensics.triggers.check import CheckResult

__all__ = ["Repository"]


class Repository(History):
    """A workspace with its store: history's facade, and what the forensics bench can say about it."""

    def check(
        self, before: Snapshot | None, after: Snapshot | None = None, *, monitor: Monitor = SILENT
    ) -> CheckResult:
        """Findings of all triggers from ``before`` (``None``: nothing) to ``after`` (``None``: the folder).

        See ``forensics.triggers.history``; ``.findings``, ``.worst``, ``.to_dict()``.
        """
        from casreplay.forensics.triggers.history import check_snapshots  # noqa: PLC0415 - start-up speed

        return check_snapshots(self, before, after, monitor=monitor)

    def analyze(
        self,
        good: Snapshot,
        bad: Snapshot | None = None,
        *,
        exit_code: int | None = None,
        monitor: Monitor = SILENT,
    ) -> dict[str, Any]:
        """Why it broke from ``good`` to ``bad`` (``None``: the folder now): the JSON values of ``analyze``.

        See ``forensics.analysis``. Records no incident.
        """
        from casreplay.forensics.analysis import AnalyzeOptions, analyze  # noqa: PLC0415 - start-up speed

        return analyze(self, good, bad, AnalyzeOptions(exit_code=exit_code), monitor=monitor)

    def timeline(
        self, first: Snapshot, last: Snapshot | None = None, *, monitor: Monitor = SILENT
    ) -> list[dict[str, Any]]:
        """What happened from ``first`` to ``last`` (``None``: the folder now), in order, as JSON values."""
        events: list[dict[str, Any]] = self.analyze(first, last, monitor=monitor)["timeline"]
        return events

    def losses(
        self, before: Snapshot, after: Snapshot | None = None, *, monitor: Monitor = SILENT
    ) -> LossLedger:
        """What was destroyed from ``before`` to ``after`` (``None``: the folder now), and how it comes back.

        See ``forensics.losses``; ``.losses``, ``.unrecoverable``, ``.to_dict()``.
        """
        from casreplay.forensics.losses import losses_between  # noqa: PLC0415 - start-up speed

        return losses_between(self, before, after, monitor)
