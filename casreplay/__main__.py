"""``python -m casreplay`` is the ``casreplay`` command."""

from casreplay.cli.main import main

if __name__ == "__main__":
    main()
