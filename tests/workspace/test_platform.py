"""What the system says of itself, read the way it is used."""

from __future__ import annotations

import os

import pytest

from casreplay.workspace.platform import marks_folders

DEVICE = os.makedev(8, 1)


def _mounts(tmp_path, *lines):
    table = tmp_path / "mountinfo"
    table.write_text("".join(f"{line}\n" for line in lines))
    return str(table)


@pytest.mark.parametrize(
    ("kind", "marks"), [("ext4", True), ("tmpfs", True), ("nfs4", False), ("fuse.sshfs", False)]
)
def test_known_file_systems_mark_their_folders_and_others_are_not_trusted_to(tmp_path, kind, marks):
    table = _mounts(
        tmp_path,
        "21 1 8:2 / /other rw shared:1 - ext4 /dev/sdb rw",
        f"22 1 8:1 / / rw,relatime shared:1 master:7 - {kind} /dev/sda1 rw",
    )
    assert marks_folders(DEVICE, table) is marks


def test_a_device_that_is_not_in_the_table_is_not_trusted(tmp_path):
    assert not marks_folders(DEVICE, _mounts(tmp_path, "22 1 8:11 / / rw - ext4 /dev/sda1 rw"))


def test_lines_cut_short_or_odd_tell_nothing(tmp_path):
    assert not marks_folders(
        DEVICE, _mounts(tmp_path, "22 1 8:1 / / rw -", "", "8:1", "22 1 8:1 / / rw ext4")
    )


def test_without_a_table_no_file_system_is_trusted(tmp_path):
    assert not marks_folders(DEVICE, str(tmp_path / "none"))
