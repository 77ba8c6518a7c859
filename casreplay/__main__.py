"""``python -m casreplay`` is the ``casreplay`` command."""

from casreplay.cli.main import program

if __name__ == "__main__":
    program()
