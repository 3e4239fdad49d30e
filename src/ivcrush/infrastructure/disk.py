"""What the file system says about a file's place: room, and what makes it unfit for a database. Only looks.

A place that does not exist yet is judged by the nearest directory that does.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.infrastructure.database.failures import file_failure

# The cache grows to 256 MB, its log and the database's each to some tens, a season of analyses to as much again.
NEEDED_FREE_BYTES: Final = 500_000_000
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs"})
_MOUNTS: Final = Path("/proc/self/mounts")


def inspect_space(paths: Iterable[Path], needed_bytes: int = NEEDED_FREE_BYTES) -> Result[str]:
    """The room for those files, a figure a file system. Errors: DBERROR for less than `needed_bytes` on one of them."""
    places: dict[int, Path] = {}
    for path in paths:
        try:
            place = _nearest(path)
            places.setdefault(place.stat().st_dev, place)
        except OSError as error:
            return file_failure(error, path)
    told = []
    for place in places.values():
        free = _free_bytes(place)
        line = f"{place}: {free / 1e9:.2f} GB free, {needed_bytes / 1e9:.2f} GB needed"
        if free < needed_bytes:
            return err(ErrorCode.DBERROR, line, reason="disk_full", path=str(place))
        told.append(line)
    return Ok("; ".join(told))


def peculiarities(path: Path, mounts: Path = _MOUNTS) -> tuple[str, ...]:
    """Why a database file may one day be damaged where it lies: SQLite finds its -wal and locks by the file's name."""
    found = []
    if path.is_symlink():
        found.append("a symbolic link; DB_PATH had better name the file itself")
    links = path.stat().st_nlink
    if links > 1:
        found.append(f"{links} names by hard links; whoever opens another one does not see this one's -wal file")
    kind = _file_system(path.resolve(), mounts)
    if kind in _NETWORK:
        found.append(f"on a network file system ({kind}), whose locks cannot be relied on")
    return tuple(found)


def _nearest(path: Path) -> Path:
    return next(place for place in path.absolute().parents if place.is_dir())


def _free_bytes(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def _file_system(path: Path, mounts: Path) -> str | None:
    """The type of the mount that a real path lies on; None where the system does not tell (no /proc)."""
    if not mounts.exists():
        return None
    rows = (line.split() for line in mounts.read_text("utf-8", "surrogateescape").splitlines())
    kinds = {row[1].replace("\\040", " "): row[2] for row in rows if len(row) > 2}
    return next((kinds[str(place)] for place in path.parents if str(place) in kinds), None)
