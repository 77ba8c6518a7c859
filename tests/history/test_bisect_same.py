"""The fingerprint of what was read says the same as a diff seen through the reads."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bisect_line import line_of
from support.tree_builder import Executable, Symlink

from casreplay.history.bisect_model import Verdict
from casreplay.history.bisect_reads import Reads, concerns
from casreplay.history.bisect_same import SameReads
from casreplay.history.bisect_traced import TracedRuns
from casreplay.history.diff import diff_trees
from casreplay.history.observations import Observation, Signature

NAMES = [b"a", b"b", b"c"]
FILES = st.sampled_from([b"1", b"2", Executable(b"1"), Symlink(b"a")])
FOLDERS = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), FILES, max_size=3),
    lambda below: st.dictionaries(st.sampled_from(NAMES), st.one_of(FILES, below), max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from([b"/".join(p) for p in [(x,) for x in NAMES]]) | st.sampled_from(
    [b"a/b", b"a/c", b"b/a", b"a/b/c", b"c/c/c"]
)
SETS = st.frozensets(PATHS, max_size=3)


def with_ways(touched, named, listed, whole):
    """Reads as a trace gives them: every folder on the way was looked at."""
    ways = {path[:i] for group in (touched, named, listed, whole) for path in group for i in range(len(path))
            if path[i : i + 1] == b"/"}  # fmt: skip
    return Reads(touched | ways | listed, named, listed, whole)


@settings(max_examples=300)
@given(FOLDERS, FOLDERS, st.tuples(SETS, SETS, SETS, SETS), st.booleans())
def test_equal_fingerprints_are_what_no_change_concerns(one, other, sets, top):
    touched, named, listed, whole = sets
    reads = with_ways(touched, named, listed | ({b""} if top else frozenset()), whole)
    reads = Reads(reads.touched - {b""}, reads.named, reads.listed, reads.whole)
    objects, (first, second) = line_of(one, other)
    same = SameReads(objects, reads)
    equal = same.value(first.root, first.tree) == same.value(second.root, second.tree)
    changes = diff_trees(objects, first.root, second.root, folders=True)
    assert equal == (not any(concerns(reads, change) for change in changes))


def test_a_run_speaks_for_what_reads_the_same_and_for_nothing_else():
    objects, line = line_of({b"a": b"1", b"n": b"0"}, {b"a": b"1", b"n": b"1"}, {b"a": b"2", b"n": b"2"})
    runs = TracedRuns(objects)
    seen = Observation(Verdict.GOOD, reads=Reads(frozenset((b"a", b"gone")), files=1, absent=1))
    runs.add(0, line[0], seen)
    assert runs.speaks_for(line[1]) is seen
    assert runs.speaks_for(line[2]) is None
    bad = Observation(Verdict.BAD, Signature(1), reads=Reads(frozenset((b"a", b"gone")), files=1, absent=1))
    runs.add(2, line[2], bad)
    assert runs.speaks_for(line[2]) is bad
    assert (runs.reused, runs.reads_at(2), runs.reads_at(1)) == (2, bad.reads, None)


def test_runs_that_prove_nothing_and_timeouts_speak_for_nobody():
    objects, line = line_of({b"a": b"1"})
    runs = TracedRuns(objects)
    deep = frozenset((b"/".join([b"d"] * 300),))
    for reads in (Reads(unclear="cut"), Reads(whole=frozenset((b"",))), Reads(touched=deep)):
        runs.add(0, line[0], Observation(Verdict.GOOD, reads=reads))
    runs.add(0, line[0], Observation(Verdict.SKIP, reads=Reads()))
    runs.add(0, line[0], Observation(Verdict.GOOD))
    assert runs.speaks_for(line[0]) is None
    assert runs.unclear == {"cut": 1, "the whole folder counts": 1, "it looked too deep": 1}


def test_a_listing_of_a_split_folder_and_a_name_in_it():
    names = {b"f%05d" % i: b"x" for i in range(5000)}
    objects, line = line_of({b"d": names}, {b"d": {**names, b"f00007": b"y"}}, {b"d": {**names, b"g": b"x"}})
    listed = SameReads(objects, Reads(frozenset((b"d",)), listed=frozenset((b"d",))))
    touched = SameReads(objects, Reads(frozenset((b"d", b"d/f00007", b"d/none"))))
    by_listing = [listed.value(one.root, one.tree) for one in line]
    by_name = [touched.value(one.root, one.tree) for one in line]
    assert by_listing[0] == by_listing[1] != by_listing[2]
    assert by_name[0] == by_name[2] != by_name[1]
