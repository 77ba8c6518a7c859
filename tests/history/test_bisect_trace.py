"""Lines of strace to calls, calls to reads: recorded lines, no process."""

from __future__ import annotations

import pytest

from casreplay.history.bisect_layout import Layout, UnknownPlaceError, resolve
from casreplay.history.bisect_strace import Call, descriptor, parse, text
from casreplay.history.bisect_trace import reads_of

TREE = b"/p/tree"
LAYOUT = Layout((TREE,), b"/p", {b"a", b"b", b"d/x", b"l"}, {b"d", b"d/e"}, {b"l": b"d"})


def hexed(content):
    return b'"' + b"".join(b"\\x%02x" % byte for byte in content) + b'"'


def lines(*rows):
    """Recorded lines, with ``'text'`` for what strace writes in hex and ``<path>`` as it is."""
    found = []
    for row in rows:
        parts = row.encode().split(b"'")
        found.append(b"".join(hexed(p) if i % 2 else p for i, p in enumerate(parts)))
    return found


def read(*rows):
    return reads_of(parse(lines(*rows)), LAYOUT)


CWD = "AT_FDCWD</p/tree>"


def test_a_call_with_its_arguments_result_and_error():
    found = list(
        parse([b'7  openat(AT_FDCWD<\\x2f\\x70>, "\\x61\\x2c", O_RDONLY|O_CLOEXEC) = 3<\\x2f\\x70\\x2f>'])
    )
    assert found == [
        Call(
            7,
            "openat",
            (b"AT_FDCWD<\\x2f\\x70>", b'"\\x61\\x2c"', b"O_RDONLY|O_CLOEXEC"),
            3,
            b"<\\x2f\\x70\\x2f>",
        )
    ]
    assert text(found[0].args[1]) == b"a,"
    assert descriptor(found[0].args[0]) == b"/p"
    failed = next(parse([b'7 access("\\x61", R_OK)              = -1 ENOENT (No such file or directory)']))
    assert (failed.name, failed.result, failed.failed) == ("access", -1, True)
    nested = next(parse([b'7 statx(3</p>, "", AT_EMPTY_PATH, STATX_ALL, {stx_mask=0x1, stx_a={1, 2}}) = 0']))
    assert len(nested.args) == 5
    run = next(parse([b'7 execve("\\x61", ["\\x62"..., ""], 0x55 /* 39 vars */) = 0']))
    assert run.args == (b'"\\x61"', b'["\\x62"..., ""]', b"0x55 /* 39 vars */")


def test_a_call_in_two_parts_comes_when_it_begins_and_when_it_ends():
    found = list(
        parse(
            [
                b'7 openat(AT_FDCWD</p>, "\\x61", O_RDONLY <unfinished ...>',
                b"8 +++ exited with 0 +++",
                b"8 --- SIGCHLD {si_signo=SIGCHLD} ---",
                b"7 <... openat resumed>)             = 3</p/a>",
                b"9 wait4(-1,  <unfinished ...>) = ?",
            ]
        )
    )
    assert [(c.name, c.is_begun, c.result) for c in found] == [
        ("openat", True, None),
        ("openat", False, 3),
        ("wait4", False, None),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"no number",
        b"7 nonsense",
        b"7 open(",
        b'7 open("\\x61", O_RDONLY) 3',
        b'7 open("\\x61, O_RDONLY) = 3',
        b"7 <... openat resumed>) = 3",
        b"7 +++ superseded by execve in pid 9 +++",
        b"strace: Process 7 attached",
        b"",
    ],
)
def test_a_line_that_is_not_understood_spoils_the_trace(line):
    assert [call.name for call in parse([line])] == ["?"]
    assert not reads_of(parse([line]), LAYOUT).proves


def test_strings_and_descriptors():
    assert text(b'"\\xff\\x0a"') == b"\xff\n"
    assert text(b'"a\\n\\303\\251\\"\\\\"') == b'a\n\xc3\xa9"\\'
    assert text(b'"\\x61"...') is text(b"NULL") is text(b"0x7ffe") is None
    assert descriptor(b"3</a/b>(deleted)") == descriptor(b"3</a/b (deleted)>") == b"/a/b"
    assert descriptor(b"3<pipe:[12]>") is descriptor(b"3") is descriptor(b"-1") is None


def visit(_path):
    return True


@pytest.mark.parametrize(
    ("path", "follow", "inside"),
    [
        (b"a", True, b"a"),
        (b"./d/../a", True, b"a"),
        (b"l/x", True, b"d/x"),
        (b"l", True, b"d"),
        (b"l", False, b"l"),
        (b"l/", False, b"d"),
        (b"l/../a", True, b"a"),
        (b"../tree/a", True, b"a"),
        (b"..", True, None),
        (b"/p/tree//d/./x", True, b"d/x"),
        (b"/p/tree", True, b""),
        (b"/p/treetop", True, None),
        (b"/etc/passwd", True, None),
        (b"/etc/../p/tree/a", True, b"a"),
    ],
)
def test_paths_are_walked_as_the_kernel_does(path, follow, inside):
    assert resolve(LAYOUT, TREE, path, visit, follow=follow).inside == inside


@pytest.mark.parametrize("path", [b"/proc/self/cwd/a", b"/proc/1/root/p/tree/a", b"/dev/fd/3/a"])
def test_links_of_the_kernel_are_not_followed(path):
    with pytest.raises(UnknownPlaceError):
        resolve(LAYOUT, TREE, path, visit)


def test_links_in_a_circle_end():
    circle = Layout((TREE,), b"/p", {b"m", b"n"}, set(), {b"m": b"n", b"n": b"m"})
    visited = []
    resolve(circle, TREE, b"m", lambda path: not visited.append(path))
    assert set(visited) == {b"m", b"n"}


def test_reads_of_each_kind():
    found = read(
        f"7 openat({CWD}, 'a', O_RDONLY) = 3</p/tree/a>",
        f"7 newfstatat({CWD}, 'none', 0x7ffe, 0) = -1 ENOENT (No such file or directory)",
        "7 access('l/x', R_OK) = 0",
        "7 getdents64(3</p/tree/d>, 0x5 /* 2 entries */, 32768) = 48",
        f"7 openat({CWD}, 'b', O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</p/tree/b>",
        f"7 openat({CWD}, 'b', O_RDONLY) = 3</p/tree/b>",
        f"7 openat({CWD}, '/etc/hosts', O_RDONLY) = 3</etc/hosts>",
        f"7 openat({CWD}, '/p/home/x', O_RDONLY) = 3</p/home/x>",
        "7 getcwd('/p/tree', 4096) = 8",
    )
    assert found.touched == {b"a", b"none", b"l", b"d", b"d/x"}
    assert (found.named, found.listed, found.whole) == ({b"b"}, {b"d"}, frozenset())
    assert (found.files, found.absent, found.outside, found.unclear) == (3, 1, 1, "")


def test_each_process_has_its_working_folder():
    found = read(
        "7 chdir('d') = 0",
        "7 access('x', R_OK) = 0",
        "7 fork( <unfinished ...>",
        "8 access('e', R_OK) = 0",
        "8 chdir('..') = 0",
        "8 access('a', R_OK) = 0",
        "7 <... fork resumed>) = 8",
        "7 access('gone', R_OK) = -1 ENOENT (No such file or directory)",
    )
    assert found.touched == {b"d", b"d/x", b"d/e", b"a", b"d/gone"}


def test_threads_share_their_working_folder_and_both_count_while_it_changes():
    found = read(
        "7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD, stack=0x7} => {parent_tid=[8]}, 88) = 8",
        "8 chdir('d' <unfinished ...>",
        "7 access('x', R_OK) = 0",
        "8 <... chdir resumed>) = 0",
    )
    assert {b"x", b"d/x"} <= found.touched


@pytest.mark.parametrize(
    "row",
    [
        "7 io_uring_setup(8, {flags=0}) = 3<anon_inode:[io_uring]>",
        "7 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path='/run/x'}, 110) = 0",
        "7 connect(3, {sa_family=AF_INET, sin_port=htons(80)}, 16) = -1 EINPROGRESS (Operation)",
        "7 sendto(3, 'x', 1, 0, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 1",
        "7 chroot('.') = 0",
        "7 mount('a', 'd', 'none', MS_BIND, NULL) = 0",
        "7 quotactl(Q_SYNC, 'x', 0, NULL) = 0",
        f"7 openat({CWD}, 'a'..., O_RDONLY) = 3</p/tree/a>",
        "7 openat(5, 'a', O_RDONLY) = 3",
        "7 symlink('.', 'here') = 0",
    ],
)
def test_what_cannot_be_followed_proves_nothing(row):
    assert not read(row).proves


@pytest.mark.parametrize(
    "row",
    [
        "7 connect(3, {sa_family=AF_UNIX, sun_path='/var/run/nscd/socket'}, 110) = -1 ENOENT (No such file)",
        "7 io_uring_setup(8, {flags=0}) = -1 ENOSYS (Function not implemented)",
        "7 sendto(3, 'x', 1, 0, {sa_family=AF_NETLINK, nl_pid=0}, 12) = 1",
        "7 utimensat(3</p/tree/a>, NULL, NULL, 0) = 0",
        "7 openat(5, 'a', O_RDONLY) = -1 EBADF (Bad file descriptor)",
    ],
)
def test_what_failed_or_stays_at_home_spoils_nothing(row):
    assert read(row).proves


def test_moved_and_linked_things_count_as_a_whole():
    found = read(
        "7 rename('d', 'f') = 0",
        "7 link('a', 'q') = 0",
        f"7 renameat2({CWD}, 'b', {CWD}, 'd', RENAME_EXCHANGE) = 0",
        f"7 openat({CWD}, 'f/x', O_RDONLY) = 3</p/tree/f/x>",
    )
    assert {b"d", b"a", b"b"} <= found.whole
    failed = read("7 rename('a', 'd') = -1 EISDIR (Is a directory)")
    assert (failed.touched, failed.listed, failed.whole) == ({b"a", b"d"}, {b"d"}, frozenset())
