"""The one mapping from what SQLite and the file system report to an `AppError`.

What the world does (full disk, locked, read-only, corrupt, I/O error) becomes DBERROR with the path and the need.
What we did (wrong SQL, a broken constraint, a closed connection) is raised again: a defect is never an answer.
"""

import errno
import sqlite3
from pathlib import Path

from ivcrush.domain.errors import Err, ErrorCode, err

# Primary result code → (reason for programs, what happened, what is needed).
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_FULL: ("disk_full", "the disk is full", "free space and run again"),
    sqlite3.SQLITE_BUSY: ("locked", "locked by another process", "run again when it has ended"),
    sqlite3.SQLITE_LOCKED: ("locked", "locked by another connection", "run again when it has ended"),
    sqlite3.SQLITE_READONLY: ("read_only", "cannot be written", "a writable file in a writable directory is needed"),
    sqlite3.SQLITE_PERM: ("read_only", "access refused", "a file that this user may read and write is needed"),
    sqlite3.SQLITE_AUTH: ("read_only", "access refused", "a file that this user may read and write is needed"),
    sqlite3.SQLITE_CANTOPEN: ("cannot_open", "cannot be opened", "a file that this user may read and write is needed"),
    sqlite3.SQLITE_CORRUPT: ("corrupt", "damaged", "restore a backup"),
    sqlite3.SQLITE_NOTADB: ("corrupt", "not a database", "restore a backup, or name another path"),
    sqlite3.SQLITE_IOERR: ("io_error", "reading or writing failed", "check the disk"),
    sqlite3.SQLITE_PROTOCOL: ("io_error", "the locking protocol failed", "keep it on a local disk"),
    sqlite3.SQLITE_NOLFS: ("io_error", "too large for this file system", "keep it on another disk"),
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


def storage_failure(error: sqlite3.DatabaseError, path: Path) -> Err:
    """DBERROR naming the path, what happened and what is needed; context `reason`, `path` and `happened`.

    Raises the error again where it tells of a defect of ours.
    """
    code = getattr(error, "sqlite_errorcode", None)  # absent where the sqlite3 module itself complains
    known = None if code is None else _BY_SQLITE_CODE.get(code & 0xFF)
    if known is None:
        raise error
    reason, happened, need = known
    return unusable(path, f"{happened} ({error})", need, reason)


def file_failure(error: OSError, path: Path) -> Err:
    """DBERROR for a file or directory that cannot be made, read or linked."""
    if error.errno in _FULL:
        reason, need = "disk_full", "free space and run again"
    elif error.errno in _REFUSED:
        reason, need = "read_only", "a writable file in a writable directory is needed"
    elif error.errno in _NO_DESCRIPTOR:
        reason, need = "cannot_open", "fewer open files or a higher limit (ulimit -n) is needed"
    elif error.errno == errno.EIO:
        reason, need = "io_error", "check the disk"
    else:
        reason, need = "cannot_open", "a local file in a directory is needed"
    return unusable(path, error.strerror or type(error).__name__, need, reason)


def unusable(path: Path, happened: str, need: str, reason: str) -> Err:
    """DBERROR for a file that opens and still is not what this program keeps its data in."""
    return err(ErrorCode.DBERROR, f"{path}: {happened}; {need}", reason=reason, path=str(path), happened=happened)
