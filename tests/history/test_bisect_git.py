from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from casreplay.errors import LockedError, UsageError
from casreplay.history.commit import CommitOptions
from casreplay.history.gc import GcRules, collect
from casreplay.history.gitexport import GitExport, quoted
from casreplay.history.gitimport import import_git
from casreplay.history.repository import Repository
from casreplay.history.verify import fsck
from casreplay.history.walk import walk
from casreplay.model.objects import EntryKind
from casreplay.store.disk import DiskStore

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "A U Thor",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Git:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self("init", "-q", "-b", "main")
        self.count = 0

    def __call__(self, *arguments):
        when = f"{1_700_000_000 + 60 * getattr(self, 'count', 0)} +0000"
        env = {**ENV, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        done = subprocess.run(["git", *arguments], cwd=self.folder, env=env, check=True, capture_output=True)
        return done.stdout.decode()

    def commit(self, subject, **files):
        self.count += 1
        for name, content in files.items():
            path = self.folder / name.replace("__", "/").replace("_dot_", ".")
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", subject)
        return self("rev-parse", "HEAD").strip()

    def files(self, commit):
        found = {}
        for record in self("ls-tree", "-r", "-z", commit).split("\0")[:-1]:
            facts, path = record.split("\t")
            mode, _, blob = facts.split()
            if mode != "160000":
                found[path.encode()] = (mode, self("cat-file", "blob", blob).encode())
        return found


KINDS = {EntryKind.FILE: "100644", EntryKind.EXECUTABLE: "100755", EntryKind.SYMLINK: "120000"}


def files_of(repository, snapshot):
    return {
        path: (KINDS[entry.kind], repository.objects.get(entry.blob_id))
        for path, entry in walk(repository.objects, snapshot.root)
        if entry.kind is not EntryKind.FOLDER
    }


@pytest.fixture
def git(tmp_path):
    made = Git(tmp_path / "git")
    made.commit("first", a="1\n", d__x="x\n", d__deep__y="y\n", gone="g\n")
    os.symlink("a", made.folder / "link")
    (made.folder / "a").chmod(0o755)
    made.commit("second: héllo", d__x="xx\n")
    made.commit("third", gone=None, d__deep__y=None)
    shutil.rmtree(made.folder / "d")
    made.commit("a folder becomes a file", d="now a file\n")
    made.commit("nothing changes")
    made("checkout", "-q", "-b", "side", "HEAD~2")
    made.commit("on the side", side="s\n")
    made("checkout", "-q", "main")
    made.count += 1
    made("merge", "-q", "--no-ff", "-m", "merge the side", "side")
    made.commit("last", a="2\n")
    return made


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "work").mkdir()
    with Repository.init(tmp_path / "work", tmp_path / "store") as made:
        yield made


def test_every_commit_becomes_a_snapshot_with_the_same_files(git, repository):
    done = import_git(repository.store, str(git.folder))
    line = list(repository.snapshots())[::-1]
    wanted = git("rev-list", "--reverse", "--topo-order", "HEAD").split()
    assert done.snapshots == len(line) == len(wanted) == 8
    assert [one.extra["git.commit"] for one in line] == wanted
    for one, commit in zip(line, wanted, strict=True):
        assert files_of(repository, one) == git.files(commit)
        assert one.coverage.files + one.coverage.symlinks == len(git.files(commit))
        assert one.coverage.bytes == sum(len(data) for _, data in git.files(commit).values())
    assert line[1].label == f"{wanted[1][:10]} second: héllo"
    assert line[1].author == "A U Thor <a@example.org>"
    assert line[1].time_ns == 1_700_000_120 * 10**9
    (before, same) = (
        next(one for one in line if one.label.endswith(subject))
        for subject in ("a folder becomes a file", "nothing changes")
    )
    assert same.tree == before.tree


def test_a_second_import_brings_only_what_is_new(git, repository):
    import_git(repository.store, str(git.folder))
    again = import_git(repository.store, str(git.folder))
    assert (again.snapshots, again.skipped) == (0, 8)
    commit = git.commit("more", a="3\n", new__file="n\n")
    more = import_git(repository.store, str(git.folder))
    assert (more.snapshots, more.skipped) == (1, 8)
    assert files_of(repository, more.last) == git.files(commit)
    assert more.last.coverage.files + more.last.coverage.symlinks == len(git.files(commit))


def test_ranges_and_first_parents(git, repository):
    done = import_git(repository.store, str(git.folder), revisions="HEAD~2..HEAD", first_parent=True)
    line = list(repository.snapshots())[::-1]
    assert done.snapshots == 2
    assert ["merge the side" in one.label for one in line] == [True, False]
    assert files_of(repository, line[0]) == git.files("HEAD~1")


def test_more_commits_than_one_batch(tmp_path, repository, monkeypatch):
    monkeypatch.setattr("casreplay.history.gitimport.BATCH", 3)
    git = Git(tmp_path / "many")
    commits = [git.commit(f"c{i}", f=f"{i}\n", d__g=f"{i // 2}\n") for i in range(11)]
    assert import_git(repository.store, str(git.folder)).snapshots == 11
    line = list(repository.snapshots())[::-1]
    assert [one.extra["git.commit"] for one in line] == commits
    assert [files_of(repository, one) for one in line] == [git.files(c) for c in commits]


def test_submodules_are_problems_not_failures(git, repository):
    git("update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",vendored")
    git.count += 1
    git("commit", "-q", "-m", "a module")
    done = import_git(repository.store, str(git.folder))
    assert [(p.code, p.path) for p in done.problems] == [("submodule", "vendored")]
    assert b"vendored" not in files_of(repository, done.last)


@pytest.mark.parametrize("revisions", ["no-such-branch", "--all", "HEAD..nowhere"])
def test_ranges_that_mean_nothing_are_refused(git, repository, revisions):
    with pytest.raises(UsageError):
        import_git(repository.store, str(git.folder), revisions=revisions)
    assert repository.head() is None


def test_what_is_exported_comes_back_as_the_same_files(git, repository, tmp_path):
    import_git(repository.store, str(git.folder))
    line = list(repository.snapshots())[::-1]
    export = GitExport(repository.objects, "refs/heads/agent", lambda one: one.label)
    other = Git(tmp_path / "other")
    stream = b"".join(export.stream(line))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=other.folder, input=stream, env=ENV, check=True)
    commits = other("rev-list", "--reverse", "agent").split()
    assert [other.files(c) for c in commits] == [files_of(repository, one) for one in line]
    assert other("log", "-1", "--format=%s|%cn|%ct", "agent").strip() == (
        f"{line[-1].label}|A U Thor|{line[-1].time_ns // 10**9}"
    )
    assert export.left_out == 0


def test_an_import_goes_on_behind_what_was_recorded_in_between(git, repository, tmp_path):
    half, all_of_it = git("rev-list", "--reverse", "--topo-order", "HEAD").split()[3], 8
    assert import_git(repository.store, str(git.folder), revisions=half).snapshots
    (tmp_path / "work" / "own.txt").write_text("mine\n")
    repository.commit(CommitOptions(label="mine"))
    done = import_git(repository.store, str(git.folder))
    assert done.snapshots + done.skipped == all_of_it
    assert done.skipped > 0
    newest = next(iter(repository.snapshots()))
    assert files_of(repository, newest) == git.files("HEAD")
    again = import_git(repository.store, str(git.folder), revisions=half)
    assert again.snapshots == 0


@pytest.mark.parametrize(("into", "merged"), [("main", "side"), ("side", "main")])
def test_a_branch_that_is_merged_after_an_import_is_brought(tmp_path, repository, into, merged):
    """git lists the commits of the second parent last: those of the first come before what is here."""
    git = Git(tmp_path / "forked")
    git.commit("first", a="1\n")
    git("checkout", "-q", "-b", "side")
    side = [git.commit(f"side {i}", s=f"{i}\n") for i in range(3)]
    git("checkout", "-q", "main")
    for i in range(4):
        git.commit(f"main {i}", a=f"{i}\n")
    assert import_git(repository.store, str(git.folder)).snapshots == 5
    git.count += 1
    git("checkout", "-q", into)
    git("merge", "-q", "--no-ff", "-m", "merged", merged)
    assert import_git(repository.store, str(git.folder)).snapshots == 4
    line = list(repository.snapshots())[::-1]
    assert len({one.extra["git.commit"] for one in line}) == 9
    assert [one.extra["git.commit"] for one in line[5:8]] == side
    for one in line:
        assert files_of(repository, one) == git.files(one.extra["git.commit"])
    again = import_git(repository.store, str(git.folder))
    assert (again.snapshots, again.skipped) == (0, 9)


def test_commits_that_were_left_out_stay_out(git, repository):
    every = git("rev-list", "--count", "HEAD").strip()
    main = git("rev-list", "--count", "--first-parent", "HEAD").strip()
    assert main != every
    assert import_git(repository.store, str(git.folder), first_parent=True).snapshots == int(main)
    again = import_git(repository.store, str(git.folder))
    assert (again.snapshots, again.skipped) == (0, int(every))


def test_odd_names_are_quoted():
    assert quoted(b"plain name") == b"plain name"
    assert quoted(b'"a\nb\\') == b'"\\"a\\nb\\\\"'


def test_the_same_culprit_as_git_bisect_run(tmp_path, repository):
    git = Git(tmp_path / "long")
    commits = [git.commit(f"c{i}", f=f"{i}\n", state="bad\n" if i >= 23 else "good\n") for i in range(40)]
    git("bisect", "start", "--no-checkout", commits[-1], commits[0])
    said = git("bisect", "run", "sh", "-c", "git show BISECT_HEAD:state | grep -q good")
    assert f"{commits[23]} is the first bad commit" in said
    import_git(repository.store, str(git.folder))
    line = list(repository.snapshots())[::-1]
    from casreplay.history.bisect_command import bisect_command
    from casreplay.history.bisect_session import BisectRequest
    from casreplay.history.probes import Command

    report = bisect_command(
        repository.store,
        BisectRequest(line[0], line[-1]),
        Command("grep -q good state", environ={"PATH": os.environ["PATH"]}),
    )
    assert report.first_bad.extra["git.commit"] == commits[23]
    assert [c.change.path for c in report.shrunk.culprits] == [b"state"]


def test_a_gc_between_what_a_batch_stored_and_its_log_record_is_refused(tmp_path):
    git = Git(tmp_path / "source")
    git.commit("one", a="first\n", d__b="second\n")
    (tmp_path / "work").mkdir()
    with Repository.init(tmp_path / "work", tmp_path / "store") as repository:
        append = repository.log.append
        refused = []

        def collecting_first(*arguments):
            other = DiskStore.open(str(tmp_path / "store"), wait_s=0)
            try:
                collect(other, [], clock=lambda: 0, rules=GcRules(max_dead_share=0.0, grace_ns=0))
            except LockedError:
                refused.append(True)
            other.close()
            append(*arguments)

        repository.log.append = collecting_first
        assert import_git(repository.store, str(git.folder)).snapshots == 1
        assert refused
        assert fsck(repository.store, data=True).is_clean
        assert files_of(repository, repository.head()) == git.files("HEAD")
