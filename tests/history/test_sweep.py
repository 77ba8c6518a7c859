"""Steps counted without entries say what the diff of entries says."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tree_builder import DictObjects, Executable, Symlink, build, put_tree, tree_of
from support.tree_builder import entry as make_entry

from casreplay.codec.manifest import is_boundary
from casreplay.codec.tree_columns import NO_COLUMNS, columns_of, common_ends, differing_rows
from casreplay.errors import CorruptError, MissingObjectError
from casreplay.history import sweep
from casreplay.history.diff import diff_trees
from casreplay.history.sweep import Step, StepCounter, count_steps
from casreplay.history.walk import walk
from casreplay.model.changes import ChangeKind
from casreplay.model.ids import TreeId
from casreplay.model.objects import EntryKind, EntryState, TreeEntry, TreeNode

NAMES = [b"a", b"a-b", b"ab", b"b", b"b.c", b"c"]
leaf = st.one_of(
    st.sampled_from([b"", b"1", b"22"]),
    st.sampled_from([b"", b"1"]).map(Executable),
    st.just(Symlink(b"a")),
    st.sampled_from(["unreadable", "fifo", "mount", "odd mode"]),
)
folders = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), leaf, max_size=5),
    lambda below: st.dictionaries(st.sampled_from(NAMES), st.one_of(leaf, below), max_size=5),
    max_leaves=12,
)


def real(folder):
    """Words in a folder turned into entries that no content gives."""
    made = {}
    for name, value in folder.items():
        special = {
            "unreadable": (EntryKind.FILE, EntryState.UNREADABLE, 0o600, 3, bytes(32)),
            "fifo": (EntryKind.FIFO, EntryState.COMPLETE, 0o644, 0, bytes(32)),
            "odd mode": (EntryKind.FILE, EntryState.TORN, 0o604, 0, b"\1" * 32),
        }
        if isinstance(value, dict):
            made[name] = real(value)
        elif value == "mount":
            objects = DictObjects()
            whole = make_entry(name, {}, objects)
            made[name] = TreeEntry(name, whole.kind, EntryState.MOUNT, 0o755, 0, 0, whole.id, whole.tree_id)
        else:
            made[name] = (
                TreeEntry(name, *special[value][:4], 0, special[value][4]) if value in special else value
            )
    return made


def keep(objects, folder, mtime_ns=0):
    root, content, _ = build(objects, folder, mtime_ns=mtime_ns)
    build(objects, {})
    return root, content


def by_diff(objects, before, after):
    """The step as the entries tell it."""
    kinds = [change.kind for change in diff_trees(objects, before[0] if before else None, after[0])]
    return len(kinds), kinds.count(ChangeKind.DELETED)


def empty_files(objects, root):
    wanted = (EntryKind.FILE, EntryKind.EXECUTABLE)
    return sum(entry.kind in wanted and not entry.size_bytes for _, entry in walk(objects, root[0]))


def check(objects, roots):
    counter = StepCounter(objects)
    total = 0
    for before, after in zip([None, *roots], roots, strict=False):
        step = counter.step(before, after)
        assert (step.changed, step.deleted) == by_diff(objects, before, after)
        total += step.empty
        assert total == empty_files(objects, after)


@given(st.lists(folders, min_size=1, max_size=6))
def test_a_history_of_unrelated_states(states):
    objects = DictObjects()
    check(objects, [keep(objects, real(state), i) for i, state in enumerate(states)])


def edited(rng, folder, depth=0):
    """The folder with something changed: files, whole folders, renames, modes, kinds."""
    made = dict(folder)
    subfolders = [name for name, value in made.items() if isinstance(value, dict)]
    if subfolders and rng.random() < 0.7 and depth < 4:
        name = rng.choice(subfolders)
        made[name] = edited(rng, made[name], depth + 1)
        return made
    act = rng.randrange(7)
    name = rng.choice(sorted(made)) if made else b"first"
    if act == 0 and made:
        del made[name]
    elif act == 1 and made:
        made[b"moved-%d" % rng.randrange(99)] = made.pop(name)
    elif act == 2:
        made[b"folder-%d" % rng.randrange(9)] = {
            b"f%02d" % i: b"x" * rng.randrange(3) for i in range(rng.randrange(5))
        }
    elif act == 3:
        made[name] = rng.choice([Executable(b""), Symlink(b"t"), b"", {}])
    else:
        made[b"f%02d" % rng.randrange(60)] = b"y" * rng.randrange(4)
    return made


@pytest.mark.parametrize("seed", range(8))
def test_a_history_of_edits(seed):
    rng = random.Random(seed)
    folder, states = {b"src": {b"deep": {}}, b"top": b""}, []
    for _ in range(60):
        states.append(folder)
        folder = edited(rng, folder)
    objects = DictObjects()
    check(objects, [keep(objects, state, rng.randrange(3)) for state in states])


def test_a_folder_that_is_split():
    rng = random.Random(3)
    plain = [b"name-%05d" % i for i in range(6000)]
    edges = [name for name in plain if is_boundary(name)]
    assert len(edges) > 2
    big = dict.fromkeys(plain[:5000], b"x")
    states = [big]
    for change in (
        lambda f: f.update({plain[10]: b""}),
        lambda f: f.update({plain[4999]: b"", plain[5000]: b"", plain[1]: Executable(b"x")}),
        lambda f: f.pop(edges[0]),
        lambda f: (f.pop(edges[1]), f.update({edges[0]: b"new"})),
        lambda f: [f.pop(name, None) for name in rng.sample(plain, 4500)],
        lambda f: f.update(dict.fromkeys(plain, b"")),
        lambda f: f.clear(),
        lambda f: f.update({b"only": {b"inner": b""}}),
        lambda f: f.update(dict.fromkeys(plain, b"z")),
    ):
        following = dict(states[-1])
        change(following)
        states.append(following)
    objects = DictObjects()
    check(objects, [keep(objects, {b"log": state, b"other": b"1"}) for state in states])
    check(objects, [keep(objects, state) for state in states])


def test_each_folder_is_read_once_along_a_history():
    states = [{b"d%d" % d: {b"f": b"%d" % ((i - d) // 3)} for d in range(3)} for i in range(30)]
    objects = DictObjects()
    roots = [keep(objects, state) for state in states]
    objects.read.clear()
    counter = StepCounter(objects)
    for before, after in zip([None, *roots], roots, strict=False):
        counter.step(before, after)
    assert len(objects.read) <= 3 + 2 * len(roots)


def test_what_was_seen_is_forgotten_within_bounds(monkeypatch):
    monkeypatch.setattr(sweep, "_HELD_BYTES", 300)
    rng = random.Random(1)
    folder, states = {b"d%d" % d: {b"f%d" % f: b"" for f in range(4)} for d in range(9)}, []
    for _ in range(40):
        states.append(folder)
        folder = edited(rng, folder)
    objects = DictObjects()
    check(objects, [keep(objects, state) for state in states])


def test_processes_give_what_one_gives(monkeypatch):
    monkeypatch.setattr(sweep, "_STEPS_A_PROCESS", 10)
    monkeypatch.setattr(sweep.workers, "count", lambda: 3)
    objects = DictObjects()
    roots = [keep(objects, {b"f": b"x" * (i % 5), b"g%d" % (i % 3): b""}) for i in range(50)]
    pairs = list(zip([None, *roots], roots, strict=False))
    counter = StepCounter(objects)
    assert count_steps(objects, pairs) == [counter.step(*pair) for pair in pairs]
    assert count_steps(objects, []) == []


def test_progress_is_told():
    told = []

    class Telling:
        def stage(self, name, total=0, unit=""):
            told.append((name, total, unit))

        def advance(self, done):
            told.append(done)

    objects = DictObjects()
    root = keep(objects, {b"f": b""})
    count_steps(objects, [(None, root)], monitor=Telling())
    assert told == [("comparing", 1, "snapshots"), 0]


def test_a_missing_and_a_damaged_tree_are_errors():
    objects = DictObjects()
    a, b = keep(objects, {b"d": {b"f": b""}}), keep(objects, {b"d": {b"f": b"1"}})
    assert StepCounter(objects).step(a, b) == Step(1, 0, -1)
    whole = objects.kept[b[0]]
    objects.kept[b[0]] = whole[:-1]
    with pytest.raises(CorruptError):
        StepCounter(objects).step(a, b)
    del objects.kept[b[0]]
    with pytest.raises(MissingObjectError):
        StepCounter(objects).step(a, b)


def test_a_tree_without_end_is_refused():
    objects = DictObjects(verify=False)
    loop = TreeId(b"\7" * 32)
    inner = TreeEntry(b"d", EntryKind.FOLDER, EntryState.COMPLETE, 0o755, 0, 0, b"\1" * 32, loop)
    root, content = put_tree(objects, tree_of([inner]))
    objects.kept[loop] = objects.kept[root]
    with pytest.raises(CorruptError, match="deeper"):
        StepCounter(objects).step(None, (root, content))
    node = TreeNode([b"d"], (1,), b"\1" * 32, loop)
    root, content = put_tree(objects, node)
    objects.kept[loop] = objects.kept[root]
    with pytest.raises(CorruptError, match="levels"):
        StepCounter(objects).step(None, (root, content))


@given(st.binary(max_size=60))
def test_columns_of_anything_are_columns_or_refused(raw):
    for candidate in (raw, b"crT1" + raw, b"crT1\1\0\0\0" + raw, b"crN1\1\0\0\0" + raw):
        try:
            found = columns_of(candidate)
        except CorruptError:
            continue
        assert len(found.ids) == 32 * found.entries
        assert len(found.tree_ids) % 32 == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40), st.integers(1, 9))
def test_differing_rows(pairs, width):
    a = b"".join(x.to_bytes(width, "big") for x, _ in pairs)
    b = b"".join(y.to_bytes(width, "big") for _, y in pairs)
    assert differing_rows(a, b, width) == [i for i, (x, y) in enumerate(pairs) if x != y]


@settings(max_examples=300)
@given(*2 * [st.sets(st.sampled_from([b"a", b"ab", b"b", b"ba", b"bb", b"c"]), min_size=1)])
def test_common_ends_are_common(one, other):
    a, b = sorted(one), sorted(other)
    head, tail = common_ends(b"\0".join(a), b"\0".join(b))
    assert a[:head] == b[:head]
    assert a[len(a) - tail :] == b[len(b) - tail :]
    assert head + tail <= min(len(a), len(b))
    assert columns_of(b"crT1" + bytes(8)) == NO_COLUMNS
