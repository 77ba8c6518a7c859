"""casreplay: a flight recorder and forensics bench for workspaces that agents change."""

__version__ = "0.1.0"
