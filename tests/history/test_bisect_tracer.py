"""Runs under the real strace: what they are seen to read, and what that saves a search."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from support.tree_builder import DictObjects, Executable, Symlink, root_of

from casreplay.errors import CasreplayError, MissingExtraError, UsageError
from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_reads import concerns
from casreplay.history.bisect_tracer import Tracer, Tracing
from casreplay.history.diff import diff_trees
from casreplay.history.probes import Command, CommandProbe, ProbeArea, Target

ENV = {"PATH": os.environ["PATH"]}


def why_not(folder):
    """Why nothing can be traced here; empty when it can."""
    try:
        Tracer(ENV).check(str(folder))
    except CasreplayError as error:
        return str(error)
    return ""


@pytest.fixture
def bench(tmp_path):
    reason = why_not(tmp_path)
    if reason:
        pytest.skip(f"strace is needed to see what a run reads: {reason}")
    objects = DictObjects()
    with ProbeArea(objects, base=str(tmp_path)) as area:
        yield SimpleNamespace(objects=objects, area=area)


def run(bench, folder, line, timeout_s=30.0):
    root = root_of(bench.objects, folder)
    probe = CommandProbe(bench.area, Command(line, timeout_s, ENV), tracer=Tracer(ENV))
    seen = probe(Target(root, "ab" * 32, "x"), threading.Event())
    return seen, root


def notices(bench, folder, line, other):
    """Whether a run of ``line`` on ``folder`` could tell ``other`` from it."""
    seen, root = run(bench, folder, line)
    assert seen.reads.unclear == ""
    changes = diff_trees(bench.objects, root, root_of(bench.objects, other), folders=True)
    return any(concerns(seen.reads, change) for change in changes)


BASE = {
    b"a": b"1\n",
    b"b": b"2\n",
    b"d": {b"x": b"3\n", b"y": b"4\n", b"e": {b"z": b"5\n"}},
    b"l": Symlink(b"d"),
    b"k": Symlink(b"d/x"),
    b"s": Executable(b"#!/bin/sh\ncat b\n"),
    b"\xff\n": b"6\n",
}

SEES = {
    "a file": ("cat a", {b"a": b"9"}),
    "a name looked for in vain": ("test -e none || true", {b"none": b""}),
    "a folder looked for in vain": ("cat no/such/file || true", {b"no": {b"other": b""}}),
    "a listing": ("ls d >/dev/null", {b"d": {**BASE[b"d"], b"new": b""}}),
    "a listing of the top": ("ls >/dev/null", {b"new": b""}),
    "a script and what it reads": ("./s", {b"b": b"9"}),
    "the script itself": ("./s", {b"s": Executable(b"#!/bin/sh\n:\n")}),
    "the mode": ("test -x a || true", {b"a": Executable(b"1\n")}),
    "through a link to a folder": ("cat l/x", {b"d": {**BASE[b"d"], b"x": b"9"}}),
    "through a link to a file": ("test -s k", {b"d": {**BASE[b"d"], b"x": b"9"}}),
    "the link itself": ("readlink l", {b"l": Symlink(b"d/e")}),
    "below a working folder": ("cd d/e && cat ../x", {b"d": {**BASE[b"d"], b"x": b"9"}}),
    "in a child's working folder": ("(cd d; test -s y) ", {b"d": {**BASE[b"d"], b"y": b"9"}}),
    "by an absolute path": ('cat "$PWD/a"', {b"a": b"9"}),
    "in the background": ("cat a & wait", {b"a": b"9"}),
    "under a new name": ("mv d f && cat f/x", {b"d": {**BASE[b"d"], b"x": b"9"}}),
    "through a link it made": ("ln -s d/x q && test -s q", {b"d": {**BASE[b"d"], b"x": b"9"}}),
    "through a link made outside": (
        'ln -s "$PWD/d" "$TMPDIR/q" && test -s "$TMPDIR/q/x"',
        {b"d": {**BASE[b"d"], b"x": b"9"}},
    ),
    "through a hard link": ("ln a q && test -s q", {b"a": b"9"}),
    "read, then overwritten": ("cat a > b; echo 7 > a", {b"a": b"9"}),
    "added to": ("echo 7 >> a", {b"a": b"9"}),
    "a name of any bytes": ("cat ./??", {b"\xff\n": b"9"}),
    "an emptied folder": ("rm -r d", {b"d": {**BASE[b"d"], b"new": b""}}),
    "overwritten, which has to be there": ("test ! -e b; echo > b", {b"b": None}),
}  # fmt: skip


def changed(other):
    merged = {**BASE, **other}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.mark.parametrize("case", SEES)
def test_what_a_run_depends_on_is_seen(bench, case):
    line, other = SEES[case]
    assert notices(bench, BASE, line, changed(other))


MISSES = {
    "another file": ("cat a", {b"b": b"9"}),
    "a new file, where nothing was listed": ("cat a", {b"new": b"9"}),
    "a file beside it": ("cat d/x", {b"d": {**BASE[b"d"], b"y": b"9", b"n": b""}}),
    "content, where names were listed": ("ls d >/dev/null", {b"d": {**BASE[b"d"], b"x": b"9"}}),
    "what it wrote itself": ("echo 7 > a; cat a", {b"a": b"9"}),
    "what it made": ("mkdir out && echo 7 > out/f && cat out/f && rm -r out", {b"a": b"9"}),
    "what it replaced": (
        f"echo 7 > t && {sys.executable} -Sc \"import os; os.replace('t', 'a')\" && cat a",
        {b"a": b"9"},
    ),
    "what it removed": (f"{sys.executable} -Sc \"import os; os.unlink('a')\"", {b"a": b"9"}),
}


@pytest.mark.parametrize("case", MISSES)
def test_what_a_run_never_looked_at_is_no_matter(bench, case):
    line, other = MISSES[case]
    assert not notices(bench, BASE, line, changed(other))


def test_the_interpreter_of_a_script_may_be_part_of_the_snapshot(bench):
    folder = {**BASE, b"t": Executable(b"#!./s\n")}
    seen, _ = run(bench, folder, "./t || true")
    assert b"s" in seen.reads.touched


def test_python_with_threads_and_children(bench):
    program = (
        "import os, subprocess, sys, threading\n"
        "os.chdir('d')\n"
        "t = threading.Thread(target=lambda: open('y').read()); t.start(); t.join()\n"
        "subprocess.run([sys.executable, '-c', 'import os; os.stat(\"e/z\")'], check=True)\n"
        "fd = os.open('e', os.O_RDONLY); os.fchdir(fd); os.access('gone', 4)\n"
        "os.stat('x', dir_fd=os.open('..', os.O_RDONLY))\n"
    )
    seen, _ = run(bench, {**BASE, b"p.py": program.encode()}, f"{sys.executable} p.py")
    assert (seen.verdict, seen.reads.unclear) == (Verdict.GOOD, "")
    wanted = {b"p.py", b"d", b"d/y", b"d/e/z", b"d/e/gone", b"d/x"}
    assert wanted <= seen.reads.touched
    assert b"a" not in seen.reads.touched
    assert seen.reads.outside > 0


UNCLEAR = {
    "a server": (
        f"{sys.executable} -c \"import socket; s = socket.create_server(('127.0.0.1', 0));"
        ' socket.create_connection(s.getsockname())"'
    ),
    "through /proc": "cat /proc/self/cwd/a",
    "which snapshot it is": "test -n $CASREPLAY_SNAPSHOT",
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_a_run_that_asks_elsewhere_proves_nothing(bench, case):
    seen, _ = run(bench, BASE, UNCLEAR[case])
    assert seen.verdict is Verdict.GOOD
    assert seen.reads.unclear
    assert not seen.reads.proves


def test_exit_codes_signals_and_timeouts_are_those_of_the_command(bench):
    assert run(bench, BASE, "exit 3")[0].signature.exit_code == 3
    assert run(bench, BASE, "exit 125")[0].verdict is Verdict.SKIP
    assert run(bench, BASE, "kill -SEGV $$")[0].verdict is None
    assert "timeout" in run(bench, BASE, "sleep 60", timeout_s=0.3)[0].detail
    left = run(bench, BASE, "sleep 60 & cat a")[0]
    assert (left.verdict, left.reads.unclear) == (Verdict.GOOD, "")


def test_several_runs_at_once_do_not_mix_their_traces(bench):
    roots = [root_of(bench.objects, {**BASE, b"n%d" % i: b""}) for i in range(6)]
    probe = CommandProbe(bench.area, Command("cat n*", 30, ENV), tracer=Tracer(ENV))
    with ThreadPoolExecutor(3) as pool:
        seen = list(pool.map(lambda root: probe(Target(root), threading.Event()), roots))
    for i, one in enumerate(seen):
        assert [p for p in one.reads.touched if p.startswith(b"n")] == [b"n%d" % i]


def test_without_linux_or_strace_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="Linux only"):
        Tracer(ENV, platform="darwin")
    with pytest.raises(MissingExtraError) as caught:
        Tracer({"PATH": str(tmp_path)}, platform="linux")
    assert "package strace" in caught.value.hint


def test_a_tracer_that_may_not_trace_is_found_out(tmp_path):
    fake = tmp_path / "strace"
    fake.write_text("#!/bin/sh\necho 'strace: ptrace(PTRACE_SEIZE): Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(CasreplayError, match="not permitted") as caught:
        Tracer({"PATH": str(tmp_path)}, platform="linux").check(str(tmp_path))
    assert "SYS_PTRACE" in caught.value.hint


@pytest.mark.skipif(sys.platform != "linux", reason="named pipes are polled as Linux does it")
def test_a_trace_that_was_cut_proves_nothing(tmp_path):
    whole = Tracing(str(tmp_path))
    subprocess.run(["sh", "-c", f"printf '1 getcwd(x) = 1\\n' > {whole.pipe}"], check=True)
    assert whole.finish() == [b"1 getcwd(x) = 1"]
    cut = Tracing(str(tmp_path))
    subprocess.run(["sh", "-c", f"printf '1 getcw' > {cut.pipe}"], check=True)
    assert cut.finish() is None
    assert os.listdir(tmp_path) == []
