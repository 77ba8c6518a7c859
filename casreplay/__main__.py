"""``python -m casreplay`` is the ``casreplay`` command.

The console script is ``program`` here too: Ctrl-C may come while modules are still being loaded,
before anything else could catch it.
"""

from __future__ import annotations

import gc
from typing import NoReturn

__all__ = ["program"]

_VALUES_A_COLLECTION = 50_000
"""Values made between two searches for cycles: loading modules makes tens of thousands and leaves none."""


def program() -> NoReturn:
    """Load the command line and run it; an interrupt that nobody else catches ends quietly with 130."""
    gc.set_threshold(_VALUES_A_COLLECTION, *gc.get_threshold()[1:])
    try:
        from casreplay.cli.main import program as run  # noqa: PLC0415 - loading it is what may be interrupted

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    program()
