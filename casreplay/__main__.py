"""``python -m casreplay`` is the ``casreplay`` command.

The console script is ``program`` here too: Ctrl-C may come while modules are still being loaded,
before anything else could catch it.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = ["program"]


def program() -> NoReturn:
    """Load the command line and run it; an interrupt that nobody else catches ends quietly with 130."""
    try:
        from casreplay.cli.main import program as run  # noqa: PLC0415 - loading it is what may be interrupted

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    program()
