"""Writing a result to a file the user named."""

from __future__ import annotations

import os

from casreplay.cli.session import Session
from casreplay.errors import StoreIOError

__all__ = ["write_output"]


def write_output(session: Session, name: str, text: str) -> None:
    """Write a file in one step: the old one stays until the new one is whole."""
    path = session.path(name)
    temporary = path + b".%d.tmp" % os.getpid()
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise StoreIOError(f"Cannot write {name}: {error.strerror}", path=name) from error
