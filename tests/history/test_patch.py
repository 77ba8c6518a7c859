from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree_builder import DictObjects, Executable, Symlink, root_of

from casreplay.history.diff import diff_trees
from casreplay.history.lines import split_lines
from casreplay.history.patch import BINARY, LineCounts, hunks, is_binary, line_counts, patch, quote
from casreplay.history.renames import detect_renames

TEN = b"".join(b"line %d\n" % i for i in range(10))


def patched(before, after, *, renames=False):
    objects = DictObjects()
    changes = list(diff_trees(objects, root_of(objects, before), root_of(objects, after)))
    if renames:
        changes = list(detect_renames(changes, objects.get).changes)
    return b"".join(line for change in changes for line in patch(change, objects.get))


def test_a_changed_line_with_its_context():
    assert patched({b"f": TEN}, {b"f": TEN.replace(b"line 5", b"LINE 5")}) == (
        b"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -3,7 +3,7 @@\n line 2\n line 3\n line 4\n"
        b"-line 5\n+LINE 5\n line 6\n line 7\n line 8\n"
    )


def test_far_apart_edits_are_two_hunks_and_near_ones_one():
    text = b"".join(b"%d\n" % i for i in range(40))
    far = text.replace(b"\n5\n", b"\nx\n").replace(b"\n30\n", b"\ny\n")
    near = text.replace(b"\n5\n", b"\nx\n").replace(b"\n12\n", b"\ny\n")
    assert sum(line.startswith(b"@@") for line in hunks(text, far)) == 2
    assert sum(line.startswith(b"@@") for line in hunks(text, near)) == 1


def test_new_and_deleted_files():
    assert patched({}, {b"f": b"a\n"}) == (
        b"diff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n"
    )
    assert patched({b"f": b"a\n"}, {}) == (
        b"diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    )
    assert patched({}, {b"f": b""}) == b"diff --git a/f b/f\nnew file mode 100644\n"


def test_a_missing_newline_at_the_end_is_said():
    assert patched({b"f": b"a"}, {b"f": b"a\n"}).endswith(b"-a\n\\ No newline at end of file\n+a\n")


def test_mode_and_type():
    assert patched({b"f": b"a"}, {b"f": Executable(b"a")}) == (
        b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\n"
    )
    both = patched({b"f": b"a\n"}, {b"f": Symlink(b"g")})
    assert both.count(b"diff --git") == 2
    assert b"deleted file mode 100644" in both
    assert b"new file mode 120000" in both


def test_binary_files_are_said_to_differ():
    assert patched({b"f": b"\0a"}, {b"f": b"\0b"}).endswith(b"Binary files a/f and b/f differ\n")
    assert is_binary(b"x" * 7999 + b"\0")
    assert not is_binary(b"x" * 8000 + b"\0")


def test_a_rename_names_both_paths():
    shown = patched({b"old": TEN}, {b"new": TEN.replace(b"line 5", b"LINE 5")}, renames=True)
    assert shown.startswith(
        b"diff --git a/old b/new\nsimilarity index 90%\nrename from old\nrename to new\n---"
    )
    shown = patched({b"old": TEN}, {b"new": TEN}, renames=True)
    assert shown == b"diff --git a/old b/new\nsimilarity index 100%\nrename from old\nrename to new\n"


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        (b"plain name", b"plain name"),
        (b"tab\there", b'"tab\\there"'),
        ("ä".encode(), b'"\\303\\244"'),
        (b'say "hi"\\', b'"say \\"hi\\"\\\\"'),
        (b"\x1b[31m", b'"\\033[31m"'),
    ],
)
def test_names_are_quoted_as_git_does(name, quoted):
    assert quote(name) == quoted


def test_lines_are_counted():
    assert line_counts(b"a\nb\nc\n", b"a\nx\nc\nd\n") == LineCounts(2, 1)
    assert line_counts(b"", b"\0") == BINARY


def apply(before, lines):
    """A patch program of ten lines: what ``hunks`` says, applied."""
    old, out, at, last = split_lines(before), [], 0, b""
    for line in lines:
        if line.startswith(b"@@"):
            start, _, count = line.split()[1][1:].partition(b",")
            first = int(start) - (count != b"0")
            out += old[at:first]
            at = first
        elif line.startswith(b"\\"):
            out[-1:] = [out[-1][:-1]] if out and last != b"-" else out[-1:]
        elif line.startswith(b"-"):
            assert old[at].rstrip(b"\n") == line[1:-1]
            at += 1
        else:
            out.append(line[1:])
            at += line.startswith(b" ")
        last = line[:1]
    return b"".join(out + old[at:])


texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"{\n", b"\n", b"c\n"]), max_size=40).map(b"".join)
ends = st.sampled_from([b"", b"end"])


@given(texts, ends, texts, ends, st.integers(min_value=0, max_value=4))
def test_a_patch_applied_gives_the_new_text(before, end_before, after, end_after, context):
    before, after = before + end_before, after + end_after
    found = list(hunks(before, after, context=context))
    assert apply(before, found) == after
    assert bool(found) == (before != after)


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git apply, which is not installed")
def test_git_applies_what_is_written(tmp_path):
    before = {b"keep": TEN, b"gone": b"x\n", b"old name": TEN * 2, b"run": b"#!\n"}
    after = {
        b"keep": TEN.replace(b"line 5\n", b"") + b"more",
        b"new\tname": TEN * 2 + b"tail\n",
        b"run": Executable(b"#!\n"),
        b"fresh": b"no newline",
    }
    for name, content in before.items():
        (tmp_path / name.decode()).write_bytes(content)
    text = patched(before, after, renames=True)
    subprocess.run(["git", "apply", "-"], input=text, cwd=tmp_path, check=True)
    assert {p.name.encode(): p.read_bytes() for p in tmp_path.iterdir()} == after
    assert (tmp_path / "run").stat().st_mode & 0o100


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git apply, which is not installed")
@pytest.mark.parametrize("next_name", [b"fresh", b"old"])
def test_git_reads_on_past_a_binary_file(tmp_path, next_name):
    before = {b"image": b"\0a", b"old": b"1\n"}
    after = {**before, b"image": b"\0b", next_name: b"2\n"}
    for name, content in before.items():
        (tmp_path / name.decode()).write_bytes(content)
    text = patched(before, after)
    subprocess.run(["git", "apply", "--exclude=image", "-"], input=text, cwd=tmp_path, check=True)
    left = {**after, b"image": b"\0a"}
    assert {p.name.encode(): p.read_bytes() for p in tmp_path.iterdir()} == left
