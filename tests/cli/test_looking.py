"""log, show, cat, ls, find, diff and names as people use them."""

from __future__ import annotations

import base64
import os
from datetime import datetime

import pytest


def test_log_lists_snapshots_newest_first(history, normal):
    times = [row["time"] for row in history("log --json").json]
    assert times == sorted(times, reverse=True)
    shown = [f"2026-09-21 {clock}" for clock in _local_clocks(times)]
    assert normal(history("log --oneline").out).splitlines() == [
        f"<1> {shown[0]}",
        f"<2> {shown[1]} two",
        f"<3> {shown[2]} (good) one",
    ]


def _local_clocks(times):
    moments = [datetime.fromisoformat(one).astimezone() for one in times]
    return [f"{moment:%H:%M:%S}" for moment in moments]


def test_log_paragraphs(history, normal):
    text = normal(history("log").out)
    assert "    one\n" in text
    assert "Session: run-7" in text
    assert text.count("snapshot <") == 3


def test_log_stat(history):
    lines = history("log --oneline --stat").out.splitlines()
    assert lines[1].strip() == "0 added, 0 modified, 1 deleted, 1 renamed"
    assert lines[3].strip() == "1 added, 1 modified, 0 deleted, 0 renamed"


def test_log_of_a_path(history):
    assert [row["label"] for row in history("log a.txt --json").json] == ["two", "one"]
    assert [row["label"] for row in history("log src --json").json] == ["", "two", "one"]
    assert [row["label"] for row in history("log new.py --json", cwd=history.folder / "src").json] == ["two"]
    assert history("log never.txt --json").json == []


def test_log_limits(history):
    assert len(history("log -n 2 --json").json) == 2
    assert len(history("log --since 1h --json").json) == 3
    assert history("log --since 2026-09-22 --json").json == []
    history("log --since gibberish", code=2)


def test_show_tells_what_a_snapshot_changed(history, normal):
    text = normal(history("show two").out)
    assert "Number:  2" in text
    assert text.endswith("\nM\ta.txt\nA\tsrc/new.py\n")


def test_show_prints_files_and_folders(history):
    assert history("show good:a.txt").out == "one\n"
    assert history("show good:src").out == "src/main.py\n"
    row = history("show good:a.txt --json").json
    assert (row["path"], row["size"], row["kind"]) == ("a.txt", 4, "file")


@pytest.mark.parametrize("line", ["cat good a.txt", "cat good:a.txt", "cat @~2 a.txt", "cat one ./a.txt"])
def test_cat(history, line):
    assert history(line).out == "one\n"


def test_cat_writes_bytes_unchanged(history):
    assert history("cat good data/big.bin").raw == b"\0\1\2" * 100


def test_cat_in_a_subfolder_looks_there_first(history):
    folder = history.folder / "src"
    assert history("cat @ app.py", cwd=folder).out.startswith("print(1)")
    assert history("cat @ a.txt", cwd=folder).out == "one\ntwo\n"


def test_cat_refuses_what_is_no_file(history):
    assert "casreplay ls" in history("cat @ src", code=2).err
    assert "holds nothing at" in history("cat @ nope", code=1).err
    history("cat @ ../../etc/passwd", code=2)


def test_ls(history):
    assert history("ls").out == "a.txt\ndata/\nsrc/\n"
    assert history("ls -r good").out == "a.txt\ndata/\ndata/big.bin\nsrc/\nsrc/main.py\n"
    assert history("ls good data").out == "data/big.bin\n"
    long = history("ls -l good data").out.split()
    assert (long[0], long[1], long[-1]) == ("100644", "300", "data/big.bin")


def test_find_says_from_when_to_when(history, normal):
    text = normal(history("find '*.py'").out)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0].startswith("src/app.py from <1> ")
    assert lines[0].endswith("still there")
    assert "gone after" in next(line for line in lines if line.startswith("src/main.py"))


def test_find_without_a_match_exits_1(history):
    assert history("find nothing.here", code=1).out == ""
    assert history("find nothing.here --json", code=1).json == {"pattern": "nothing.here", "matches": []}


def test_diff_is_a_letter_and_a_path(history):
    assert history("diff good @").out == (
        "M\ta.txt\nD\tdata/big.bin\nR100\tsrc/main.py\tsrc/app.py\nA\tsrc/new.py\n"
    )
    for span in ("good..@", "good..", "'@{2027-01-01}..@'"):
        assert history(f"diff {span}").out == history("diff good @" if "good" in span else "diff @ @").out
    assert history("diff good @ --name-status").out == history("diff good @").out


@pytest.mark.parametrize(
    ("line", "code", "hint"),
    [
        ("diff src", 1, "It is a path; those are given so: casreplay diff -- src"),
        ("diff good src", 1, "casreplay diff good -- src"),
        ("diff good @ src", 2, "Paths come after --: casreplay diff A B -- src"),
        ("restore a.txt", 1, "casreplay restore @ a.txt"),
        ("ls src", 1, "casreplay ls @ src"),
        ("diff sr", 1, "casreplay log lists the snapshots"),
    ],
)
def test_a_path_where_a_snapshot_belongs_is_told_its_place(history, line, code, hint):
    assert hint in history(line, code=code).err


def test_a_path_by_another_name_of_the_workspace_is_the_same_path(history):
    link = history.folder.parent / "another name"
    link.symlink_to(history.folder)
    below = history.folder.parent / "source"
    below.symlink_to(history.folder / "src")
    assert history(f"log --oneline '{link}/a.txt'").out == history("log --oneline a.txt").out != ""
    assert history(f"log --oneline '{link}'").out == history("log --oneline .").out
    assert history(f"ls @ '{below}/app.py'").out == "src/app.py\n"
    history(f"log '{history.folder.parent}/other'", code=2)


def test_diff_against_the_folder_now(history):
    assert history("diff").out == "M\ta.txt\n"
    assert history("diff @").out == "M\ta.txt\n"
    assert "+three\n" in history("diff --patch").out
    history("diff @~1 @~1 --exit-code")
    history("diff --exit-code", code=1)


def test_diff_of_paths(history):
    assert history("diff good @ -- src").out == "R100\tsrc/main.py\tsrc/app.py\nA\tsrc/new.py\n"
    assert history("diff good @ -- a.txt data").out == "M\ta.txt\nD\tdata/big.bin\n"
    assert history("diff good @ -- new.py", cwd=history.folder / "src").out == "A\tsrc/new.py\n"


def test_diff_stat(history):
    lines = history("diff good @ --stat").out.splitlines()
    assert lines[0] == " a.txt                     |     1 +"
    assert lines[1] == " data/big.bin              | 300 B -> none"
    assert lines[2] == " src/main.py => src/app.py | same content"
    assert lines[-1] == (
        " 4 paths: 1 added, 1 modified, 1 deleted, 1 renamed; 292 B less; 2 lines added, 0 lines removed"
    )


def test_diff_summary(history):
    assert history("diff good @ --summary").out == (
        "4 paths: 1 added, 1 modified, 1 deleted, 1 renamed; 292 B less\n"
    )
    assert history("diff @ @ --summary").out == "Nothing differs\n"


def test_diff_patch_can_be_applied(history):
    patch = history("diff good two --patch -- a.txt").out
    assert patch == "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1,2 @@\n one\n+two\n"
    assert "Binary files a/data/big.bin and /dev/null differ" in history("diff good @ --patch").out


def test_diff_json_has_exactly_the_promised_keys(history):
    data = history("diff good @ --json").json
    assert list(data) == ["from", "to", "changes", "summary"]
    for row in data["changes"]:
        assert list(row) == [
            "path",
            "kind",
            "old_path",
            "size_before",
            "size_after",
            "blob_before",
            "blob_after",
            "mode_before",
            "mode_after",
        ]
    renamed = next(row for row in data["changes"] if row["kind"] == "renamed")
    assert (renamed["old_path"], renamed["path"]) == ("src/main.py", "src/app.py")
    assert renamed["blob_before"] == renamed["blob_after"]
    assert history("diff good --json").json["to"] is None


def test_diff_knows_every_kind(cli):
    cli.write("mode.sh", "x\n")
    cli.write("type", "x\n")
    cli.write("gone", "1\n")
    cli.write("old", "some content that moves\n" * 9)
    cli.write("text", "1\n")
    cli("commit")
    os.chmod(cli.folder / "mode.sh", 0o755)
    cli.remove("type")
    os.symlink("text", cli.folder / "type")
    cli.remove("gone")
    os.rename(cli.folder / "old", cli.folder / "new")
    cli.write("text", "2\n")
    cli.write("added", "brand new\n")
    kinds = {row["path"]: row["kind"] for row in cli("diff --json").json["changes"]}
    assert kinds == {
        "mode.sh": "mode",
        "type": "type",
        "gone": "deleted",
        "new": "renamed",
        "text": "modified",
        "added": "added",
    }
    assert "m\tmode.sh" in cli("diff").out.splitlines()


def test_names_that_are_not_utf8_are_escaped_and_carried(cli):
    name = b"bad\xff\x1b[2Jname"
    cli("commit -m empty")
    cli.write(name, "x")
    result = cli("diff")
    assert result.out == "A\tbad\\xff\\x1b[2Jname\n"
    row = cli("diff --json").json["changes"][0]
    assert row["path"] == "bad\\xff\\x1b[2Jname"
    assert base64.b64decode(row["path_b64"]) == name
    cli("commit")
    assert cli(f"cat @ '{row['path']}'").out == "x"


def test_names_resolve_to_what_they_say(history):
    rows = history("log --json").json
    assert history("show @ --json").json["id"] == rows[0]["id"]
    assert history("show @~2 --json").json["id"] == rows[2]["id"]
    assert history("show good --json").json["id"] == rows[2]["id"]
    assert history("show two --json").json["id"] == rows[1]["id"]
    assert history(f"show {rows[1]['id'][:10]} --json").json["id"] == rows[1]["id"]
    assert history("show '@{2026-09-22}' --json").json["id"] == rows[0]["id"]
    assert history("show '@{0s ago}' --json").json["id"] == rows[0]["id"]
    assert history("show two~1 --json").json["id"] == rows[2]["id"]
    assert history("show '@{2026-09-01}'", code=1).out == ""


def test_an_ambiguous_name_lists_the_candidates(history):
    history("tag good @")
    result = history("show good", code=2)
    for row in (history("log --json").json[0], history("log --json").json[2]):
        assert row["id"][:12] in result.err


def test_an_unknown_name_exits_1(history):
    assert "casreplay log" in history("show nonesuch", code=1).err


def test_tags_labels_and_notes_change_without_a_new_snapshot(history):
    assert history("tag better @").out.endswith("has the tag better\n")
    assert history("show better --json").json["tags"] == ["better"]
    assert "better" in history("tag").out
    history("tag --delete better")
    history("show better", code=1)
    history("tag --delete better", code=2)
    history("label @ 'a better label'")
    assert history("show 'a better label' --json").json["label"] == "a better label"
    history("note @ 'seen by Rosa'")
    assert history("note @").out.endswith("  seen by Rosa\n")
    assert "seen by Rosa" in history("show").out
    assert len(history("log --json").json) == 3


def test_a_tag_given_twice_is_said_to_name_nothing(history):
    assert history("tag fresh").err == ""
    assert "'good' fits 2 snapshots, so it names none of them now" in history("tag good").err
    history("diff good", code=2)
    history("tag --delete good")
    assert history("tag good").err == ""
    assert history("diff good --summary").code == 0


def test_what_has_no_content_is_said_in_words(cli):
    os.mkfifo(cli.folder / "pipe")
    cli.write("big", "x" * 10)
    cli.write("casreplay.json", '{"MAX_FILE_SIZE": 9}')
    cli("commit")
    assert "holds no content of pipe: it is a fifo\n" in cli("cat @ pipe", code=1).err
    assert "holds no content of big: it was too large\n" in cli("cat @ big", code=1).err


@pytest.mark.parametrize("line", ["tag @x", "label @ 'two\nlines'", "tag ''"])
def test_names_that_cannot_be_are_refused(history, line):
    history(line, code=2)


def test_a_hostile_label_cannot_reach_the_terminal(history):
    result = history("commit -m 'x\x1b[2Jy'", code=2)
    assert "\x1b" not in result.out + result.err
    assert len(history("log --json").json) == 3


def test_the_second_line_of_a_message_becomes_a_note(history):
    assert history("commit -m 'subject\n\nand why' --json").json["label"] == "subject"
    assert history("note @ --json").json["notes"][0]["text"] == "and why"


def test_places_in_snapshots_named_by_time(history):
    assert history("show '@{2026-09-22 10:00}:a.txt'").out == "one\ntwo\n"
    assert history("ls '@{2026-09-22 10:00}:src'").out == "src/app.py\nsrc/new.py\n"
    assert history("ls '@{2026-09-22 10:00}'").out == "a.txt\ndata/\nsrc/\n"
    assert history("show :a.txt").out == "one\ntwo\n"
    assert "Say which file" in history("cat '@{2026-09-22 10:00}'", code=2).err


def test_the_first_snapshot_is_not_listed_whole(history):
    assert "casreplay ls -r" in history("show good").out


def test_a_path_that_no_snapshot_changed_is_said_to_be_one(history):
    result = history("log no/such/path")
    assert result.out == ""
    assert "No snapshot changed no/such/path" in result.err
    assert history("log no/such/path --json").json == []


def test_every_line_of_advice_is_indented(cli):
    lines = cli("doctor").out.splitlines()
    assert len(lines) > 5
    assert all(line.startswith(("ok ", "warn ", "FAIL ", "fail ", "      ")) for line in lines)


def test_a_log_of_no_entries_does_not_claim_that_there_are_none(history):
    result = history("log -n 0")
    assert (result.out, result.err) == ("", "")
    assert history("log nope").err == "No snapshot changed nope\n"


def test_json_tells_where_git_stood_of_a_git_workspace_only(cli):
    cli.write("a.txt")
    cli("commit -m plain")
    cli.write(".git/HEAD", "ref: refs/heads/trunk\n")
    cli.write(".git/refs/heads/trunk", "12" * 20 + "\n")
    cli("commit -m in-git")
    now, before = cli("log --json").json
    assert (now["git"]["head"], now["git"]["branch"]) == ("12" * 20, "trunk")
    assert len(bytes.fromhex(now["git"]["refs_digest"])) == 32
    assert "git" not in before
    assert cli("show in-git --json").json == now


def test_a_git_folder_without_a_commit_is_said_to_have_none(cli):
    cli.write(".git/HEAD", "ref: refs/heads/trunk\n")
    cli("commit")
    assert "Git:     no commit yet (trunk)\n" in cli("show").out
    cli.write(".git/HEAD", "\xff")
    cli("commit -m unreadable")
    assert "Git:     HEAD could not be read\n" in cli("show").out
    cli.write(".git/HEAD", "12" * 20 + "\n")
    cli("commit -m detached")
    assert f"Git:     {'12' * 20} (detached)\n" in cli("show").out
