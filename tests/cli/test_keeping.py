"""prune, gc, stats, fsck and repair as people use them."""

from __future__ import annotations

import os

import pytest

from casreplay.cli.text import clock_time, iso_time


@pytest.fixture
def long_history(cli):
    """Ten snapshots, the third tagged good."""
    for number in range(10):
        cli.write("a.txt", f"{number}\n" * 100)
        cli("commit --tag good" if number == 2 else f"commit -m s{number}")
    return cli


def test_prune_says_why_each_snapshot_stays(long_history):
    result = long_history("prune --keep-last 2 --keep-tag good --dry-run")
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert [line.split()[0] for line in lines[:-1]] == ["keep"] * 3 + ["remove"] * 7
    assert lines[0].endswith("newest, last")
    assert lines[2].endswith("tag good")
    assert lines[-1] == "Would remove 7 snapshots; 3 stay. Nothing was changed"
    assert len(long_history("log --json").json) == 10


def test_prune_and_gc_leave_what_is_kept_whole(long_history):
    kept = long_history("log --json").json
    result = long_history("prune --keep-last 2 --keep-tag good")
    assert result.out == "Removed 7 snapshots from history; 3 stay. Free their space with: casreplay gc\n"
    before = long_history("stats --json").json["parts"]["segments"]
    long_history("gc")
    assert long_history("stats --json").json["parts"]["segments"] < before
    rows = long_history("log --json").json
    assert [row["id"] for row in rows] == [kept[0]["id"], kept[1]["id"], kept[7]["id"]]
    assert long_history("cat good a.txt").out == "2\n" * 100
    assert long_history("cat @~1 a.txt").out == "8\n" * 100
    assert "is needed" not in long_history("gc").err


def test_prune_without_a_rule_is_refused(long_history):
    assert "--keep-last" in long_history("prune", code=2).err
    assert len(long_history("log --json").json) == 10


def test_prune_obeys_the_configuration(long_history):
    long_history.write("casreplay.json", '{"MAX_SNAPSHOTS": 4}')
    long_history("prune")
    assert len(long_history("log --json").json) == 4


def test_prune_by_time(long_history):
    assert len(long_history("prune --keep-within 5s --dry-run --json").json["kept"]) < 10
    kept = long_history("prune --keep-within 1h --dry-run --json").json
    assert (len(kept["kept"]), kept["removed"]) == (10, [])
    long_history("prune --keep-within soon", code=2)


def test_a_dry_gc_changes_nothing(long_history):
    long_history("prune --keep-last 1")
    before = long_history("stats --json").json["store_bytes"]
    assert "Nothing was changed" in long_history("gc --dry-run").out
    assert long_history("stats --json").json["store_bytes"] == before


def test_gc_says_what_stays_and_until_when_and_how_it_goes(long_history):
    """A killed commit's segment; its file is of now, the test's clock of some time before."""
    store = long_history("status --json").json["store"]
    left = os.path.join(store, "segments", "00000077.seg")
    with open(left, "wb") as file:
        file.write(b"casreplay seg 1\n" + b"x" * 5000)
    ripe = os.stat(left).st_mtime_ns + 600 * 10**9
    for line in ("gc --dry-run", "gc"):
        result = long_history(line)
        assert result.out.startswith(("Would free 0 B", "Freed 0 B"))
        assert f"what a commit wrote that did not finish; they stay until {clock_time(ripe)}" in result.out
        assert "To free them now: casreplay gc --grace 0\n" in result.out
        assert "what a commit" not in long_history(line + " --quiet").out
    fields = long_history("gc --json").json
    assert (fields["freed_bytes"], fields["unfinished_bytes"]) == (0, 5016)
    assert fields["unfinished_until"] == iso_time(ripe)
    fields = long_history("gc --grace 0 --json").json
    assert (fields["freed_bytes"], fields["unfinished_bytes"], fields["unfinished_until"]) == (5016, 0, None)
    assert not os.path.exists(left)
    assert long_history("gc").out.count("\n") == 1


def test_gc_says_that_a_little_is_not_worth_writing_anew(long_history):
    long_history("prune --keep-last 9")
    result = long_history("gc --max-dead 100")
    spared = long_history("gc --max-dead 100 --json").json["spared_bytes"]
    assert spared > 0
    assert "lie among much that is needed and stay. To write that anew" in result.out
    assert result.out.endswith("without them: casreplay gc --max-dead 0\n")
    fields = long_history("gc --max-dead 0 --json").json
    assert (fields["freed_bytes"], fields["spared_bytes"]) == (spared, 0)
    assert long_history("gc --max-dead 0 --dry-run").out.count("\n") == 1
    long_history("gc --grace soon", code=2)


def test_stats_add_up(long_history):
    fields = long_history("stats --objects --json").json
    assert fields["snapshots"] == 10
    assert fields["newest_bytes"] == 200
    assert fields["copies_bytes"] == 2000
    assert fields["objects"]["blobs"] == 10
    assert sum(fields["parts"].values()) == fields["store_bytes"]
    assert "10" in long_history("stats").out


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def segment(cli):
    (store,) = (cli.folder.parent / "data" / "casreplay" / "stores").iterdir()
    return max((store / "segments").iterdir(), key=lambda path: path.stat().st_size)


def test_a_sound_store(history):
    assert history("fsck").out.startswith("The store is sound: 3 snapshots, ")
    assert "read and hashed" in history("fsck --data").out
    assert history("fsck -q").out == ""


def test_damage_is_named_with_what_it_costs_and_exits_13(cli):
    cli.write("noise.bin", bytes(range(256)) * 64 + b"tail" * 999)
    cli("commit -m one")
    path = segment(cli)
    flip(path, path.stat().st_size // 2)
    report = cli("fsck --data --json", code=13).json
    assert report["clean"] is False
    assert report["problems"]
    text = cli("fsck --data", code=13)
    assert "damaged:" in text.out
    assert "lose something" in text.out


def test_an_index_is_built_anew(history):
    import shutil

    (store,) = (history.folder.parent / "data" / "casreplay" / "stores").iterdir()
    before = history("ls -r good").out
    shutil.rmtree(store / "index")
    (store / "index").mkdir()
    assert "Wrote the index anew" in history("repair --rebuild-index").out
    assert history("ls -r good").out == before
    history("fsck --data")


def test_repair_wants_to_know_what(history):
    assert "--rebuild-index" in history("repair", code=2).err


def test_snapshots_of_an_open_incident_stay(long_history):
    from casreplay.incidents.database import Draft, IncidentDatabase

    rows = long_history("log --json").json
    (store,) = (long_history.folder.parent / "data" / "casreplay" / "stores").iterdir()
    with IncidentDatabase(str(store / "incidents.db")) as incidents:
        incidents.create(Draft(title="totals are wrong", good=rows[6]["id"], bad=rows[4]["id"]))
    kept = long_history("prune --keep-last 1 --json").json["kept"]
    assert {one["id"]: one["reasons"] for one in kept} == {
        rows[0]["id"]: ["newest", "last"],
        rows[4]["id"]: ["pinned"],
        rows[6]["id"]: ["pinned"],
    }


def test_snapshots_an_open_bisect_names_stay_until_it_is_over(long_history):
    rows = long_history("log --json").json
    long_history("bisect start @~8 @~1")
    long_history("bisect skip @~3")
    kept = long_history("prune --keep-last 1 --json").json["kept"]
    assert {one["id"]: one["reasons"] for one in kept} == {
        rows[0]["id"]: ["newest", "last"],
        rows[1]["id"]: ["bisect"],
        rows[3]["id"]: ["bisect"],
        rows[8]["id"]: ["bisect"],
    }
    assert long_history("bisect next --json", code=20).json["first_bad"] == rows[1]["id"]
    assert [one["id"] for one in long_history("prune --keep-last 1 --json").json["kept"]] == [rows[0]["id"]]


SECRET = "hunter2-" + "0123456789abcdef" * 4


def test_a_purged_secret_is_gone_from_everything_but_the_record(cli):
    cli.write("keep.txt", "stays\n" * 50)
    cli.write("conf/key.env", f"KEY={SECRET}\n")
    cli("commit --tag leaked")
    cli.write("conf/key.env", f"KEY={SECRET}\nMORE=1\n")
    cli("commit -m more")
    cli.remove("conf/key.env")
    cli("commit -m removed")
    plan = cli("purge conf/key.env --dry-run")
    assert "2 contents" in plan.out
    assert "conf/key.env" in plan.out
    assert cli("cat leaked conf/key.env").out == f"KEY={SECRET}\n"
    assert "Erased 2 objects" in cli("purge conf/key.env --reason 'leaked key'").out
    assert cli("cat leaked conf/key.env", code=None).code in {1, 13}
    assert cli("cat leaked keep.txt").out == "stays\n" * 50
    assert len(cli("log --json").json) == 3
    cli("fsck --data")
    assert "note:" in cli("fsck").out
    (store,) = (cli.folder.parent / "data" / "casreplay" / "stores").iterdir()
    held = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert SECRET.encode() not in held
    assert "nothing left" in cli("purge conf/key.env", code=1).err


def test_after_a_purge_history_is_still_compared(cli):
    secret = "".join(f"line {i}\n" for i in range(30))
    cli.write("key.env", secret)
    cli.write("other", "1\n")
    cli("commit -m 1")
    cli.remove("key.env")
    cli.write("moved.env", secret + "more\n")
    cli.write("other", "2\n")
    cli("commit -m 2")
    assert "R0" in cli("diff 1 2").out
    cli("purge key.env")
    assert cli("diff 1 2").out == "D\tkey.env\nA\tmoved.env\nM\tother\n"
    assert cli("diff 1 2 --json").json["summary"]["total"] == 3
    patch = cli("diff 1 2 --patch").out
    assert "deleted file mode 100644\nContent of a/key.env was purged\ndiff --git" in patch
    assert "-1\n+2\n" in patch
    assert "key.env   | 230 B -> none" in cli("diff 1 2 --stat").out
    assert "1 added, 1 modified, 1 deleted" in cli("log --stat -n 1").out
    assert "D\tkey.env" in cli("show 2").out
    assert "deleted key.env" in cli("timeline 1 2").out
    cli("analyze 1 2")


def test_what_was_purged_is_no_obstacle_and_no_finding(cli):
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5"[:36]
    files = (
        ("conf.json", '{"a": 1}\n', '{"a": 2}\n'),
        ("app.log", "ERROR one\n", "ERROR one\nERROR two\nDecision: keep it\n"),
        ("NOTES.md", "Decision: use a cache because it is slow\n", "Decision: no cache\n"),
        ("s.env", f"TOKEN={token}\n", f"TOKEN={token}\nmore\n"),
    )
    for label, column in (("old", 1), ("new", 2)):
        for one in files:
            cli.write(one[0], one[column])
        cli(f"commit -m {label}")
    assert "s.env" in cli("secrets new").out
    for one in files:
        cli(f"purge {one[0]}")
    for snapshot in ("old", "new", "old..new"):
        assert cli(f"secrets {snapshot}").out == "No secrets found\n"
    assert cli("check old new").out == "No findings\n"
    assert cli("loss old new").out == "Nothing was lost\n"
    assert "app.log was purged: no decisions can be read from it" in cli("decisions new").err
    cli("decisions old..new")
    assert "modified conf.json" in cli("timeline old new").out
    assert "0 decisions found" in cli("analyze old new").out


def test_a_purge_by_id(history):
    blob = history("show good:a.txt --json").json["blob"]
    assert history(f"purge --blob {blob[:12]} --json").json["blobs"] == [blob]
    history("cat two a.txt")
    history(f"purge --blob {'0' * 12}", code=1)


@pytest.mark.parametrize("line", ["purge", "purge a.txt --blob 1234", "purge no/such"])
def test_what_cannot_be_purged_is_refused(history, line):
    assert history(line, code=None).code in {1, 2}
    history("fsck --data")


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"casreplay store 9\nid 00\n", 12, "newer casreplay"),
        (b"casreplay store 1\nid zz\n", 13, "damaged"),
        (b"something else\n", 13, "damaged"),
    ],
)
def test_stores_that_cannot_be_read_are_refused_unchanged(history, content, code, said):
    (store,) = (history.folder.parent / "data" / "casreplay" / "stores").iterdir()
    (store / "format").write_bytes(content)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    for line in ("log", "commit", "restore good --force", "fsck"):
        assert said in history(line, code=code).err
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    assert history("log --json", code=code).err.startswith("{")


def test_fsck_counts_names_that_other_systems_cannot_hold_in_one_line(cli):
    for name in ("aux", "b:c", "con.txt"):
        cli.write(f"odd/{name}", name)
    cli("commit")
    few = cli("fsck").out
    assert few.count("note:") == 3
    for name in ("d?", "e*", "nul", "trailing."):
        cli.write(f"odd/{name}", name)
    cli("commit")
    (line,) = [line for line in cli("fsck").out.splitlines() if line.startswith("note:")]
    assert "7 names" in line
    assert "aux, b:c, con.txt and 4 more" in line
    assert {note["path"] for note in cli("fsck --json").json["notes"]} == {
        "aux",
        "b:c",
        "con.txt",
        "d?",
        "e*",
        "nul",
        "trailing.",
    }
