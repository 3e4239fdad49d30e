"""Room and peculiarities of places, on real files; mounts by a written table."""

import os
from pathlib import Path

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.infrastructure.disk import inspect_space, peculiarities


def test_room_is_told_once_for_files_on_one_file_system(tmp_path: Path) -> None:
    found = inspect_space((tmp_path / "data" / "a.db", tmp_path / "b.db"), needed_bytes=1)
    free = os.statvfs(tmp_path)
    assert isinstance(found, Ok)
    assert found.value.startswith(f"{tmp_path}: ")
    assert found.value.endswith(" GB free, 0.00 GB needed")
    assert found.value.count("free") == 1
    shown = float(found.value.split(": ")[1].split(" GB")[0])
    assert abs(shown - free.f_bavail * free.f_frsize / 1e9) < 0.5


def test_too_little_room_is_refused_with_what_is_there_and_what_is_needed(tmp_path: Path) -> None:
    found = inspect_space((tmp_path / "a.db",), needed_bytes=10**18)
    assert isinstance(found, Err)
    assert found.error.code is ErrorCode.DBERROR
    assert found.error.about("reason") == "disk_full"
    assert found.error.message.endswith(" GB free, 1000000000.00 GB needed")


def test_a_plain_file_on_a_local_disk_has_no_peculiarity(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    assert peculiarities(path, tmp_path / "no such table") == ()


def test_symbolic_links_hard_links_and_network_disks_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    (tmp_path / "link.db").symlink_to(path)
    (tmp_path / "second.db").hardlink_to(path)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nhost:/x {tmp_path.resolve()} nfs4 rw 0 0\n")
    assert peculiarities(tmp_path / "link.db", mounts) == (
        "a symbolic link; DB_PATH had better name the file itself",
        "2 names by hard links; whoever opens another one does not see this one's -wal file",
        "on a network file system (nfs4), whose locks cannot be relied on",
    )
    mounts.write_text("disk / ext4 rw 0 0\n")
    assert len(peculiarities(path, mounts)) == 1
