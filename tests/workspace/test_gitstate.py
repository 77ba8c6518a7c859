"""HEAD, branch and refs without git's help, compared with git where it is present."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from casreplay.workspace.gitstate import read_git_state

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="the repositories are made by git")


def git(folder, *words: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    run = subprocess.run(["git", *names, *words], cwd=folder, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def state(folder):
    return read_git_state(os.fsencode(folder))


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def commit(folder, message="m"):
    git(folder, "commit", "-q", "--allow-empty", "-m", message)


def test_a_plain_folder_has_no_state(tmp_path):
    assert state(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert state(tmp_path) is None
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".git").write_text("not a pointer\n")
    assert state(tmp_path / "sub") is None


@needs_git
def test_a_branch_without_commits_has_a_branch_and_no_head(repository):
    assert (state(repository).head, state(repository).branch) == ("", "main")


@needs_git
def test_head_and_branch_are_gits(repository):
    commit(repository)
    git(repository, "switch", "-q", "-c", "topic/one")
    found = state(repository)
    assert (found.head, found.branch) == (git(repository, "rev-parse", "HEAD"), "topic/one")


@needs_git
def test_a_detached_head_has_no_branch(repository):
    commit(repository)
    git(repository, "checkout", "-q", "--detach")
    assert (state(repository).head, state(repository).branch) == (git(repository, "rev-parse", "HEAD"), "")


@needs_git
def test_packing_refs_changes_nothing_and_a_new_ref_changes_the_digest(repository):
    commit(repository)
    git(repository, "tag", "v1")
    before = state(repository)
    git(repository, "pack-refs", "--all")
    assert state(repository) == before
    commit(repository, "second")
    moved = state(repository)
    assert moved.head == git(repository, "rev-parse", "HEAD")
    assert moved.refs_digest != before.refs_digest
    git(repository, "tag", "v2")
    assert state(repository).head == moved.head
    assert state(repository).refs_digest != moved.refs_digest


@needs_git
def test_a_linked_worktree_has_its_own_head_and_the_common_refs(repository, tmp_path):
    commit(repository)
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = state(tmp_path / "side")
    assert side.branch == "side"
    assert side.head == git(repository, "rev-parse", "side")
    assert side.refs_digest == state(repository).refs_digest


def bare_layout(folder, head: bytes):
    (folder / ".git" / "refs" / "heads").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_bytes(head)
    return folder


def test_a_ref_that_climbs_or_holds_no_id_is_not_followed(tmp_path):
    bare_layout(tmp_path, b"ref: refs/heads/../../../secret\n")
    (tmp_path / "secret").write_text("a" * 40)
    assert state(tmp_path).head == ""
    (tmp_path / ".git" / "HEAD").write_bytes(b"password=hunter2\n")
    assert state(tmp_path).head == ""
    assert "hunter2" not in repr(state(tmp_path))


def test_symbolic_refs_in_a_circle_end(tmp_path):
    bare_layout(tmp_path, b"ref: refs/heads/a\n")
    (tmp_path / ".git" / "refs" / "heads" / "a").write_bytes(b"ref: refs/heads/a\n")
    assert (state(tmp_path).head, state(tmp_path).branch) == ("", "a")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_a_fifo_in_place_of_a_file_does_not_block(tmp_path):
    bare_layout(tmp_path, b"ref: refs/heads/a\n")
    os.mkfifo(tmp_path / ".git" / "refs" / "heads" / "a")
    assert state(tmp_path).head == ""


def test_reftable_repositories_have_a_digest_of_their_tables(tmp_path):
    bare_layout(tmp_path, b"ref: refs/heads/.invalid\n")
    tables = tmp_path / ".git" / "reftable"
    tables.mkdir()
    (tables / "tables.list").write_text("0x1-0x1-a.ref\n../../HEAD\n")
    (tables / "0x1-0x1-a.ref").write_bytes(b"REFT1")
    before = state(tmp_path)
    (tables / "0x1-0x1-a.ref").write_bytes(b"REFT2")
    assert before.head == before.branch == ""
    assert state(tmp_path).refs_digest != before.refs_digest
