"""The tools beside each other: one adapter each, driven through the same operations.

Owns: the exact commands. Does not own: measuring (`measure.py`), the order of things (`scenario.py`).

Every command started with `self.run` is measured and recorded; `self.quiet` is preparation. An operation a
tool does not have is None. To add one, write a subclass and name it in `PEERS`.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from measure import Cost, Setting, disk_bytes, run

CHECKOUT = Path(__file__).resolve().parent.parent
DROPPED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "COLUMNS", "PYTHONHASHSEED")


MANY_FILES = MappingProxyType(
    {
        "feature.manyFiles": "true",
        "core.untrackedCache": "true",
        "index.version": "4",
        "index.threads": "true",
        "core.preloadIndex": "true",
        "checkout.workers": "0",
    }
)


class Peer:
    """One tool with a store of its own beside a workspace that all of them read."""

    name = ""
    program = ""
    version_command = ()
    good = (0,)
    init = snapshot = status = diff = history = restore = cat = verify = pack = None

    def __init__(self, workspace, home):
        self.workspace = Path(workspace)
        self.home = Path(home)
        self.home.mkdir(parents=True)
        self.cost = Cost()
        self.commands = {}
        self.operation = "init"
        self.recording = True
        self.ids = {}
        self.env = {key: value for key, value in os.environ.items() if key not in DROPPED}
        self.env |= {"LC_ALL": "C.UTF-8", "HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache")}
        self.env |= {"XDG_DATA_HOME": str(self.home / "data"), "XDG_CONFIG_HOME": str(self.home / "config")}

    def setting(self, cwd=None, out=None, **env):
        base = Setting(
            self.workspace, {**self.env, **env}, self.home.parent / f"{self.name}.out", good=self.good
        )
        return replace(base, cwd=cwd or base.cwd, out=out or base.out)

    def run(self, *argv, cwd=None, out=None, **env):
        """Run one measured command; the file with its output."""
        if self.recording:
            self.commands.setdefault(self.operation, []).append(self.public(" ".join(map(str, argv))))
        return run(argv, self.setting(cwd, out, **env), self.cost)

    def public(self, text):
        """Text without the paths of this machine."""
        names = [(self.home, "$HOME"), (self.workspace, "$WORKSPACE"), (self.home.parent.parent, "$WORK")]
        for path, name in [*names, (sys.executable, "python"), (CHECKOUT, "$CHECKOUT")]:
            text = text.replace(str(path), name)
        return text

    def quiet(self, *argv, **env):
        """Run one unmeasured command and return its output."""
        done = subprocess.run(
            [str(part) for part in argv],
            cwd=self.workspace,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    def stored_bytes(self):
        """Everything the tool keeps: data, indexes, caches."""
        return disk_bytes(self.home)

    @classmethod
    def missing(cls):
        """Why this tool cannot take part, or None."""
        return None if shutil.which(cls.program) else f"{cls.program} is not installed"

    @classmethod
    def version(cls):
        done = subprocess.run(cls.version_command, capture_output=True, text=True, check=True)
        return done.stdout.strip().splitlines()[0]

    def close(self):
        """Stop whatever the adapter keeps running."""


class Git(Peer):
    """`git add -A` and `git commit`; all defaults, but no garbage collection in the middle of a run."""

    name = "git"
    program = "git"
    version_command = ("git", "--version")
    config = MappingProxyType({})

    def init(self):
        self.folder = self.home / "repository"
        self.env |= {"GIT_DIR": str(self.folder), "GIT_WORK_TREE": str(self.workspace)}
        self.env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            self.env |= {f"GIT_{who}_NAME": "bench", f"GIT_{who}_EMAIL": "bench@example.org"}
        self.run("git", "init", "-q")
        for key, value in {"gc.auto": "0", "maintenance.auto": "false", **self.config}.items():
            self.configure(key, value)

    def configure(self, key, value):
        self.quiet("git", "config", key, value)
        self.commands.setdefault("configuration", []).append(f"git config {key} {self.public(str(value))}")

    def snapshot(self, label):
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", label)
        self.ids[label] = self.quiet("git", "rev-parse", "HEAD").strip()

    def status(self):
        self.run("git", "status", "--porcelain")

    def diff(self, before, after):
        self.run("git", "diff", "--name-status", self.ids[before], self.ids[after])

    def history(self):
        self.run("git", "log", "--format=%h %ct %s")

    def restore(self, label, target):
        index = {"GIT_INDEX_FILE": str(self.home / "restore-index")}
        self.run("git", "read-tree", self.ids[label], **index)
        self.run("git", "checkout-index", "-a", f"--prefix={target}/", **index)

    def cat(self, label, path, out):
        self.run("git", "cat-file", "blob", f"{self.ids[label]}:{path}", out=out)

    def verify(self):
        self.run("git", "fsck", "--full")

    def pack(self):
        self.run("git", "gc", "-q", "--prune=now")


class GitTuned(Git):
    """git as well configured as it gets without a monitor: new files go straight into one pack per commit."""

    name = "git-tuned"
    config = MANY_FILES | {"core.bigFileThreshold": "1", "pack.compression": "1"}


class GitMonitored(Git):
    """git with many-files settings and a file system monitor: its own where it has one, else watchman.

    The monitor's own processor time and memory are not counted.
    """

    name = "git-monitored"
    config = MANY_FILES

    @classmethod
    def built_in(cls):
        done = subprocess.run(
            ["git", "version", "--build-options"], capture_output=True, text=True, check=True
        )
        return "feature: fsmonitor--daemon" in done.stdout

    @classmethod
    def missing(cls):
        if not shutil.which("git") or cls.built_in() or shutil.which("watchman"):
            return super().missing()
        return "this git has no built-in file system monitor and watchman is not installed"

    def init(self):
        super().init()
        if self.built_in():
            self.configure("core.fsmonitor", "true")
            return
        hook = self.folder / "hooks" / "fsmonitor-watchman"
        shutil.copy(f"{hook}.sample", hook)
        hook.chmod(0o755)
        self.configure("core.fsmonitor", hook)
        self.configure("core.fsmonitorHookVersion", "2")
        self.quiet("watchman", "watch", self.workspace)

    def close(self):
        if self.built_in():
            self.quiet("git", "fsmonitor--daemon", "stop")
        else:
            self.quiet("watchman", "shutdown-server")


class Restic(Peer):
    """restic, repository format 2, its default compression; it always encrypts."""

    name = "restic"
    program = "restic"
    version_command = ("restic", "version")

    def init(self):
        self.env |= {"RESTIC_REPOSITORY": str(self.home / "repository"), "RESTIC_PASSWORD": "bench"}
        self.run("restic", "init", "-q", "--repository-version", "2")

    def snapshot(self, label):
        out = self.run("restic", "backup", "--json", "--host", "bench", "--tag", label, ".")
        self.ids[label] = json.loads(out.read_text().splitlines()[-1])["snapshot_id"]

    def diff(self, before, after):
        self.run("restic", "diff", self.ids[before], self.ids[after])

    def history(self):
        self.run("restic", "snapshots")

    def restore(self, label, target):
        self.run("restic", "restore", "-q", self.ids[label], "--target", target)

    def cat(self, label, path, out):
        self.run("restic", "dump", self.ids[label], f"/{path}", out=out)

    def verify(self):
        self.run("restic", "check", "-q", "--read-data")

    def pack(self):
        self.run("restic", "prune", "-q")


class Borg(Peer):
    """borg without encryption, zstd level 3."""

    name = "borg"
    program = "borg"
    version_command = ("borg", "--version")
    good = (0, 1)

    def init(self):
        self.env |= {"BORG_REPO": str(self.home / "repository"), "BORG_BASE_DIR": str(self.home / "base")}
        self.env |= {"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        self.run("borg", "init", "-e", "none")

    def snapshot(self, label):
        self.run("borg", "create", "-C", "zstd,3", f"::{label}", ".")

    def diff(self, before, after):
        self.run("borg", "diff", f"::{before}", after)

    def history(self):
        self.run("borg", "list")

    def restore(self, label, target):
        self.run("borg", "extract", f"::{label}", cwd=target)

    def cat(self, label, path, out):
        self.run("borg", "extract", "--stdout", f"::{label}", path, out=out)

    def verify(self):
        self.run("borg", "check", "--verify-data")

    def pack(self):
        self.run("borg", "compact")


class Casreplay(Peer):
    """This project's command as installed; its working folder is the workspace, its store the adapter's."""

    name = "casreplay"
    entry = (sys.executable, "-m", "casreplay")

    @classmethod
    def missing(cls):
        if cls.entry[0] != sys.executable:
            return None if shutil.which(cls.entry[0]) else f"{cls.entry[0]} is not there"
        done = subprocess.run(
            [*cls.entry, "--version"], capture_output=True, text=True, env=cls.path(), check=False
        )
        return None if done.returncode == 0 else "python -m casreplay does not run in this interpreter"

    @classmethod
    def path(cls):
        """The environment; the checkout is named in it only where the package is not installed."""
        env = {key: value for key, value in os.environ.items() if key not in DROPPED}
        spec = importlib.util.find_spec("casreplay")
        return env if spec else {**env, "PYTHONPATH": str(CHECKOUT)}

    @classmethod
    def version(cls):
        done = subprocess.run(
            [*cls.entry, "--version"], capture_output=True, text=True, env=cls.path(), check=True
        )
        return done.stdout.strip()

    def init(self):
        self.env |= {"CASREPLAY_STORE": str(self.home / "store")}
        if "PYTHONPATH" in self.path():
            self.env["PYTHONPATH"] = str(CHECKOUT)
        # No template of settings: the workspace is not this tool's alone.
        self.run(*self.entry, "init", "--no-config")

    def snapshot(self, label):
        self.run(*self.entry, "commit", "-m", label)
        self.ids[label] = label

    def status(self):
        self.run(*self.entry, "status")

    def diff(self, before, after):
        self.run(*self.entry, "diff", before, after)

    def history(self):
        self.run(*self.entry, "log", "--oneline")

    def restore(self, label, target):
        self.run(*self.entry, "restore", label, "--to", target)

    def cat(self, label, path, out):
        self.run(*self.entry, "cat", f"{label}:{path}", out=out)

    def verify(self):
        self.run(*self.entry, "fsck", "--data")

    def pack(self):
        self.run(*self.entry, "gc")


PEERS = {peer.name: peer for peer in (Casreplay, Git, GitTuned, GitMonitored, Restic, Borg)}
