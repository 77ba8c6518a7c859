"""A workspace lived in by chance, its history held against plain copies of the folder.

Whatever happens in between (restores in place, prunes, gc, a purge of nothing, a reopened
store, an index thrown away), every snapshot still in history must restore to exactly the
copy made when it was taken, and fsck must find the store sound.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.plain_folders import picture

from casreplay.clock import system_clock
from casreplay.history.commit import CommitOptions
from casreplay.history.gc import GcRules, collect
from casreplay.history.repository import Repository
from casreplay.history.restore import RestoreOptions
from casreplay.history.retention import KeepRules, plan
from casreplay.history.verify import fsck, repair_index

NAMES = st.sampled_from([b"a", b"b", b"c", b"A", b"d.txt", b"\xff\n", "\u00e9".encode()])
CONTENTS = st.one_of(
    st.sampled_from([b"", b"same", b"SAME", b"line\n" * 300, b"\0" * 5000]),
    st.binary(max_size=40),
    st.integers(0, 3).map(lambda seed: bytes((i * (seed + 7) ^ i >> 5) & 0xFF for i in range(300_000))),
)
MODES = st.sampled_from([0o644, 0o600, 0o755, 0o700, 0o444])


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


class Workspace(RuleBasedStateMachine):
    """The machine: ``copies`` maps the sequence of each live snapshot to a plain copy."""

    folders = Bundle("folders")

    def __init__(self):
        super().__init__()
        self.top = Path(tempfile.mkdtemp(prefix="casreplay-machine-"))
        self.root = os.fsencode(self.top / "work")
        os.mkdir(self.root)
        self.repository = Repository.init(self.root, self.top / "store")
        self.copies = {}
        self.number = 0

    def teardown(self):
        try:
            for snapshot in self.repository.snapshots():
                self.restores_exactly(snapshot)
            report = fsck(self.repository.store, data=True)
            assert report.is_clean, report.problems
        finally:
            self.repository.close()
            shutil.rmtree(self.top)

    def restores_exactly(self, snapshot):
        target = os.fsencode(self.top / "target")
        restored = self.repository.restore(snapshot, to=target)
        assert restored.failures == ()
        assert picture(target) == picture(self.copies[snapshot.sequence])
        shutil.rmtree(target)

    def remember(self, snapshot):
        copy = os.fsencode(self.top / f"copy-{self.number}")
        self.number += 1
        shutil.copytree(self.root, copy, symlinks=True)
        self.copies[snapshot.sequence] = copy

    # The workspace

    @initialize(target=folders)
    def start(self):
        return b""

    @rule(target=folders, folder=folders, name=NAMES)
    def make_folder(self, folder, name):
        path = os.path.join(self.root, folder, name)
        if os.path.isdir(os.path.dirname(path)) and not os.path.lexists(path):
            os.mkdir(path)
        return os.path.join(folder, name)

    @rule(folder=folders, name=NAMES, content=CONTENTS)
    def write(self, folder, name, content):
        path = os.path.join(self.root, folder, name)
        if os.path.isdir(os.path.dirname(path)):
            remove(path)
            Path(os.fsdecode(path)).write_bytes(content)

    @rule(folder=folders, name=NAMES, content=CONTENTS)
    def overwrite_in_place(self, folder, name, content):
        path = os.path.join(self.root, folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "r+b") as file:
                file.write(content[: os.path.getsize(path)])

    @rule(folder=folders, name=NAMES, content=CONTENTS)
    def append(self, folder, name, content):
        path = os.path.join(self.root, folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "ab") as file:
                file.write(content)

    @rule(folder=folders, name=NAMES, content=CONTENTS)
    def rewrite_and_keep_the_time(self, folder, name, content):
        path = os.path.join(self.root, folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            before = os.stat(path)
            Path(os.fsdecode(path)).write_bytes(content)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(folder=folders, name=NAMES, to=NAMES)
    def link(self, folder, name, to):
        path = os.path.join(self.root, folder, name)
        if os.path.isdir(os.path.dirname(path)) and not os.path.lexists(path):
            os.symlink(to, path)

    @rule(folder=folders, name=NAMES)
    def delete(self, folder, name):
        remove(os.path.join(self.root, folder, name))

    @rule(folder=folders, name=NAMES, to_folder=folders, to=NAMES)
    def rename(self, folder, name, to_folder, to):
        old = os.path.join(self.root, folder, name)
        new = os.path.join(self.root, to_folder, to)
        apart = not (new + b"/").startswith(old + b"/") and not (old + b"/").startswith(new + b"/")
        if apart and os.path.lexists(old) and os.path.isdir(os.path.dirname(new)):
            remove(new)
            os.rename(old, new)

    @rule(folder=folders, name=NAMES, mode=MODES)
    def chmod(self, folder, name, mode):
        path = os.path.join(self.root, folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            os.chmod(path, mode)

    # The history

    @rule(full=st.booleans())
    def commit(self, full):
        before = self.repository.head()
        result = self.repository.commit(CommitOptions(full=full))
        if result.recorded:
            self.remember(result.snapshot)
        else:
            assert before is not None
            expected = {path: facts[:-1] for path, facts in picture(self.copies[before.sequence]).items()}
            assert {path: facts[:-1] for path, facts in picture(self.root).items()} == expected

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def restore_in_place(self, data):
        sequence = data.draw(st.sampled_from(sorted(self.copies)))
        snapshot = next(one for one in self.repository.snapshots() if one.sequence == sequence)
        head = self.repository.head()
        saved = os.fsencode(self.top / "saved")
        shutil.copytree(self.root, saved, symlinks=True)
        restored = self.repository.restore(snapshot, RestoreOptions())
        assert restored.failures == ()
        assert picture(self.root) == picture(self.copies[sequence])
        if restored.backup is not None and restored.backup.sequence > head.sequence:
            copy = os.fsencode(self.top / f"copy-{self.number}")
            self.number += 1
            os.rename(saved, copy)
            self.copies[restored.backup.sequence] = copy
        else:
            shutil.rmtree(saved)

    @precondition(lambda self: self.copies)
    @rule(last=st.integers(1, 3), data=st.data())
    def prune(self, last, data):
        pinned = data.draw(st.sampled_from(sorted(self.copies)))
        pins = {one.id for one in self.repository.snapshots() if one.sequence == pinned}
        decided = plan(self.repository.snapshots(), KeepRules(last=last), zone=UTC, pinned=pins)
        self.repository.store.log.remove([one.id for one in decided.removed], "prune")
        for one in decided.removed:
            shutil.rmtree(self.copies.pop(one.sequence))

    @rule(eager=st.booleans())
    def gc(self, eager):
        rules = GcRules(max_dead_share=0.0, grace_ns=0) if eager else GcRules()
        roots = [one.root for one in self.repository.snapshots()]
        collect(self.repository.store, roots, clock=system_clock, rules=rules)

    @rule()
    def reopen(self):
        self.repository.close()
        self.repository = Repository.open(self.top / "store", self.root)

    @rule()
    def lose_index_and_caches(self):
        store = self.top / "store"
        self.repository.close()
        for folder in ("index", "cache"):
            for path in (store / folder).iterdir():
                path.unlink()
        self.repository = Repository.open(store, self.root)

    @rule()
    def repair(self):
        repair_index(self.repository.store)

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def look_back(self, data):
        sequence = data.draw(st.sampled_from(sorted(self.copies)))
        self.restores_exactly(next(one for one in self.repository.snapshots() if one.sequence == sequence))

    @precondition(lambda self: self.copies)
    @rule(name=NAMES)
    def ask_when_it_changed(self, name):
        previous, expected = None, []
        for sequence in sorted(self.copies):
            found = picture(self.copies[sequence])
            # Times are no change; what is below a folder is a change of the folder.
            below = {p: facts[:-1] for p, facts in found.items() if (p + b"/").startswith(name + b"/")}
            if below != previous and not (previous is None and not below):
                expected.append(sequence)
            previous = below
        events = self.repository.paths_index.history_of(name)
        assert [event.sequence for event in events] == expected[::-1]

    @invariant()
    def history_is_what_was_recorded(self):
        assert [one.sequence for one in self.repository.snapshots()] == sorted(self.copies, reverse=True)


class TestWorkspace(Workspace.TestCase):
    settings = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


@pytest.mark.slow
class TestWorkspaceForLong(Workspace.TestCase):
    settings = settings(
        max_examples=200,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
