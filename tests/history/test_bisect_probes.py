from __future__ import annotations

import os
import select
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bisect_line import line_of
from support.tree_builder import DictObjects, Executable, Symlink, root_of

from casreplay.history.bisect_folder import EPOCH_S, SPREAD_S, WorkFolder
from casreplay.history.bisect_model import Verdict
from casreplay.history.observations import Signature, same_failure, signature_of, verdict_of
from casreplay.history.probes import PREFIX, Command, CommandProbe, ProbeArea, Target

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def area(tmp_path):
    objects = DictObjects()
    with ProbeArea(objects, base=str(tmp_path)) as made:
        made.objects_for_test = objects
        yield made
    assert not os.path.exists(made.path)


def probe(area, line, timeout_s=20.0):
    return CommandProbe(area, Command(line, timeout_s, ENV))


def run(area, folder, line, **kwargs):
    root = root_of(area.objects_for_test, folder)
    return probe(area, line, **kwargs)(Target(root, "ab" * 32, "the label"), threading.Event())


def test_exit_codes_mean_what_git_hg_and_jj_users_expect(area):
    assert run(area, {b"a": b"1"}, "test -f a").verdict is Verdict.GOOD
    assert run(area, {b"a": b"1"}, "exit 3").verdict is Verdict.BAD
    assert run(area, {b"a": b"1"}, "exit 125").verdict is Verdict.SKIP
    assert run(area, {b"a": b"1"}, "no-such-command-here").verdict is None
    assert run(area, {b"a": b"1"}, "kill -SEGV $$").verdict is None
    assert [verdict_of(c) for c in (1, 124, 126, 127, 128, -9)] == [Verdict.BAD] * 3 + [None] * 3


def test_a_run_sees_its_snapshot_and_a_clean_environment(area):
    folder = {b"a": b"1", b"d": {b"x": Executable(b"#!/bin/sh\necho ran\n")}, b"l": Symlink(b"a")}
    line = (
        'test "$CASREPLAY_LABEL" = "the label" && test ${#CASREPLAY_SNAPSHOT} = 64 && test "$(./d/x)" = ran'
        ' && test -L l && test -z "$(ls -A "$HOME")" && test -z "$(ls -A "$TMPDIR")"'
        ' && touch "$HOME/h" "$TMPDIR/t"'
    )
    for _ in range(2):
        seen = run(area, folder, line)
        assert (seen.verdict, seen.detail) == (Verdict.GOOD, "")


def test_what_a_run_leaves_or_changes_is_gone_in_the_next(area):
    folder = {b"a": b"1", b"d": {b"x": b"2"}, b"ro": {b"f": b"3"}}
    spoil = (
        "rm -r d; mkdir -p new/deep; echo x > new/deep/f; echo changed > a; chmod 000 ro/f; chmod 500 ro;"
        " mkdir d; mkdir locked && touch locked/f && chmod 000 locked"
    )
    assert run(area, folder, spoil).verdict is Verdict.GOOD
    check = 'test "$(cat a d/x ro/f)" = 123 && test "$(ls)" = "a\nd\nro" && touch ro/g'
    assert run(area, folder, check).verdict is Verdict.GOOD
    area.settle()
    assert area.leftovers > 5


def test_stale_bytecode_never_decides(area):
    line = "python3 -c 'import m; raise SystemExit(m.value)'"
    for value in (b"0", b"1", b"0", b"1"):
        seen = run(area, {b"m.py": b"value = " + value + b"\n"}, line)
        assert seen.verdict is (Verdict.BAD if value == b"1" else Verdict.GOOD)


def test_modification_times_follow_from_the_content(tmp_path):
    objects = DictObjects()
    stamps = []
    for content in (b"one", b"two", b"one"):
        folder = WorkFolder(os.fsencode(tmp_path / f"f{len(stamps)}"))
        os.mkdir(folder.path)
        folder.switch(objects, root_of(objects, {b"f": content}))
        stamps.append(os.stat(os.path.join(folder.path, b"f")).st_mtime)
    assert stamps[0] == stamps[2] != stamps[1]
    assert all(EPOCH_S <= s < EPOCH_S + SPREAD_S for s in stamps)


def ends(number):
    """Wait until the process is gone: its pidfd becomes readable when it ends."""
    try:
        handle = os.pidfd_open(int(number))
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0]) or not is_running(number)
    finally:
        os.close(handle)


def is_running(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_timeout_is_a_skip_and_kills_the_whole_group(area, tmp_path):
    pid = tmp_path / "pid"
    seen = run(area, {b"a": b""}, f"sleep 60 & echo $! > {pid}; wait", timeout_s=0.4)
    assert seen.verdict is Verdict.SKIP
    assert "timeout" in seen.detail
    assert ends(pid.read_text())


def test_background_processes_do_not_outlive_their_run(area, tmp_path):
    pid = tmp_path / "pid"
    assert run(area, {b"a": b""}, f"sleep 60 & echo $! > {pid}").verdict is Verdict.GOOD
    assert ends(pid.read_text())


def test_a_daemon_that_left_its_group_dies_with_the_area(tmp_path):
    objects = DictObjects()
    pid = tmp_path / "pid"
    with ProbeArea(objects, base=str(tmp_path)) as area:
        area.objects_for_test = objects
        assert (
            run(area, {b"a": b""}, f"setsid sh -c 'echo $$ > {pid}; exec sleep 60' &\n sleep 0.2").verdict
            is Verdict.GOOD
        )
        assert is_running(pid.read_text().strip())
    assert ends(pid.read_text())


def test_a_cancelled_run_ends_at_once_and_counts_for_nothing(area, tmp_path):
    stop = threading.Event()
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    made = probe(area, f"echo > {begun}; sleep 60")
    root = root_of(area.objects_for_test, {b"a": b""})
    results = []
    thread = threading.Thread(target=lambda: results.append(made(Target(root), stop)))
    thread.start()
    begun.read_bytes()  # blocks until the run has opened the other end
    made.cancel(stop)
    thread.join(10)
    assert results[0].cancelled
    assert results[0].verdict is None


def test_areas_of_killed_processes_are_removed_by_the_next(tmp_path):
    dead = tmp_path / f"{PREFIX}999999999-x"
    (dead / "worker-1").mkdir(parents=True)
    alive = tmp_path / f"{PREFIX}{os.getpid()}-y"
    alive.mkdir()
    ProbeArea(DictObjects(), base=str(tmp_path)).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [alive.name]


names = st.sampled_from([b"a", b"b", b"c"])
values = st.one_of(
    st.binary(max_size=2),
    st.binary(max_size=2).map(Executable),
    st.binary(min_size=1, max_size=2).filter(lambda t: b"\0" not in t).map(Symlink),
)
folders = st.dictionaries(
    names, st.recursive(values, lambda c: st.dictionaries(names, c, max_size=3), max_leaves=8), max_size=3
)


def on_disk(path):
    found = {}
    for item in os.scandir(path):
        if item.is_symlink():
            found[item.name] = Symlink(os.readlink(item.path))
        elif item.is_dir():
            found[item.name] = on_disk(item.path)
        else:
            with open(item.path, "rb") as file:
                data = file.read()
            found[item.name] = Executable(data) if item.stat().st_mode & 0o100 else data
    return found


def typed(value):
    if isinstance(value, dict):
        return {name: typed(v) for name, v in value.items()}
    return type(value).__name__, bytes(value)


@settings(max_examples=40)
@given(st.lists(folders, min_size=1, max_size=4), st.booleans())
def test_switching_gives_exactly_the_tree_whatever_was_there_before(tmp_path_factory, trees, spoil):
    objects = DictObjects()
    folder = WorkFolder(os.fsencode(tmp_path_factory.mktemp("w")))
    for tree in trees:
        folder.switch(objects, root_of(objects, tree))
        if spoil:
            for name in os.listdir(folder.path)[:1]:
                full = os.path.join(folder.path, name)
                os.rename(full, full + b"-moved")
            folder.restore(objects)
        assert typed(on_disk(folder.path)) == typed(tree)
        assert folder.restore(objects) == []


PYTHON = b'Traceback (most recent call last):\n  File "/x/a.py", line 3, in f\n    g()\nKeyError: 7\n'
PYTEST = b"E   AssertionError: x\n\ntests/test_a.py:9: AssertionError\n=== 1 failed in 0.3s ===\n"
NODE = b"TypeError: x is not\n    at run (/srv/app.js:3:9)\n    at main (/srv/app.js:9:1)\n"


@pytest.mark.parametrize(
    ("output", "exception", "place"),
    [
        (PYTHON, "KeyError", "a.py:f"),
        (PYTEST, "AssertionError", "test_a.py"),
        (NODE, "TypeError", "app.js:run"),
        (b"0 errors\nfine\n", "", ""),
    ],
)
def test_signatures_name_exception_and_place(output, exception, place):
    found = signature_of(1, output)
    assert (found.exception, found.place) == (exception, place)


def test_the_same_failure_survives_numbers_paths_and_line_numbers():
    one = signature_of(1, b"wrong total 17 in /tmp/abc/x at 0x7f31\n")
    assert same_failure(one, signature_of(1, b"noise\nwrong total 9 in /tmp/zzz/y at 0x55aa\n\n"))
    assert not same_failure(one, signature_of(2, b"wrong total 17 in /tmp/abc/x at 0x7f31\n"))
    assert not same_failure(one, signature_of(1, b"SyntaxError: nope\n"))
    assert same_failure(Signature(1, "KeyError", "a.py:f", "x"), Signature(1, "KeyError", "", "y"))


def test_a_step_between_snapshots_of_many_files_writes_only_what_differs(tmp_path):
    base = {b"d%02d" % d: {b"f%02d" % f: b"%d %d" % (d, f) for f in range(50)} for d in range(40)}
    other = {**base, b"d07": {**base[b"d07"], b"f09": b"changed"}}
    objects, line = line_of(base, other)
    folder = WorkFolder(os.fsencode(tmp_path))
    assert folder.switch(objects, line[0].root) == 2040
    assert folder.switch(objects, line[1].root) == 1
    assert (tmp_path / "d07" / "f09").read_bytes() == b"changed"
