"""What surrounds the measurements of the programs here: options, a scratch folder, the machine's facts."""

import argparse
import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def parser(doc, *, work=False):
    """A parser whose help is a program's docstring as written; with `work` it takes a scratch folder."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if work:
        made.add_argument("--work", type=Path, help="scratch folder (default: a temporary one)")
    return made


@contextlib.contextmanager
def scratch(prefix, parent, *, keep=False):
    """A new folder in `parent` (made if need be), or where temporary files go; removed at the end."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)  # what stays must not cost the figures


def load():
    """The load averages, as the results tell them."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def machine(folder):
    """Processors, and the file system that a folder lies on."""
    return f"{os.cpu_count()} processors, {file_system(folder)}"


def file_system(folder):
    """Kind of file system and whether it keeps a journal, as far as the system tells."""
    done = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return "unknown"
    kind, source = done.stdout.split()[:2]
    if kind != "ext4":
        return kind
    journals = os.listdir("/proc/fs/jbd2") if os.path.isdir("/proc/fs/jbd2") else []
    kept = any(name.startswith(os.path.basename(source)) for name in journals)
    return f"ext4 {'with' if kept else 'without'} a journal"
