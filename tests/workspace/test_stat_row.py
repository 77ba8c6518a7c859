from __future__ import annotations

import os
import stat
from array import array
from types import SimpleNamespace

import pytest

from casreplay.workspace import scanner
from casreplay.workspace.scanner import COLUMNS, NO_STAMP, list_folder
from casreplay.workspace.stat_row import EARLIEST_NS, LATEST_NS, held_time, raw_row, stat_row

YEAR_2400_NS = 13_569_465_600 * 10**9


def status(*, mtime=5, ctime=7, inode=9):
    return SimpleNamespace(
        st_mode=stat.S_IFREG | 0o644, st_size=3, st_mtime_ns=mtime, st_ctime_ns=ctime, st_ino=inode
    )


def test_what_fits_is_kept_as_it_is():
    found = status(mtime=-5, ctime=LATEST_NS, inode=LATEST_NS)
    assert stat_row(found) == raw_row(found) == (stat.S_IFREG | 0o644, 3, -5, LATEST_NS, LATEST_NS)


@pytest.mark.parametrize(
    ("time_ns", "held"),
    [(YEAR_2400_NS, LATEST_NS), (-YEAR_2400_NS, EARLIEST_NS), (LATEST_NS, LATEST_NS), (0, 0)],
)
def test_times_are_held_within_64_bits(time_ns, held):
    assert held_time(time_ns) == held
    assert stat_row(status(mtime=time_ns, ctime=time_ns))[2:4] == (held, held)


def test_an_inode_of_64_bits_fits_and_stays_apart_from_others():
    rows = [stat_row(status(inode=inode)) for inode in (2**64 - 1, 2**63, 2**63 - 1, 1)]
    assert len(set(rows)) == 4
    assert len(array("q", [value for row in rows for value in row])) == 20


def test_a_listing_holds_files_whose_status_does_not_fit(tmp_path, monkeypatch):
    """The file system of the test may not hold such times: the status is made up, the listing is not."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x")
    real = scanner.raw_row

    def far(found):
        row = real(found)
        return (*row[:2], YEAR_2400_NS, *row[3:]) if found.st_ino == odd else row

    odd = os.stat(tmp_path / "b").st_ino
    before = columns_of(tmp_path)
    monkeypatch.setattr(scanner, "raw_row", far)
    monkeypatch.setattr("casreplay.workspace.stat_row.raw_row", far)
    after = columns_of(tmp_path)
    assert after.pop("b") == (*before["b"][:2], LATEST_NS, *before.pop("b")[3:])
    assert after == before


def columns_of(folder):
    fd = os.open(folder, os.O_RDONLY)
    try:
        listing = list_folder(fd, b"", os.fstat(fd).st_dev)
    finally:
        os.close(fd)
    columns = array("q")
    columns.frombytes(listing.stats)
    rows = [tuple(columns[i : i + COLUMNS]) for i in range(0, len(columns), COLUMNS)]
    return dict(zip(listing.names.decode().split("/"), rows, strict=True))


def test_a_folder_whose_own_times_do_not_fit_has_no_stamp():
    assert scanner._stamp(status(mtime=YEAR_2400_NS)) == NO_STAMP
    assert scanner._stamp(status()) != NO_STAMP
