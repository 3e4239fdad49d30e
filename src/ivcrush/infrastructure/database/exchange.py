"""One database file put into another's place: the only code that takes a database's name away from it.

Nothing that exists is deleted but what SQLite keeps beside a file, and that only once it has a second name. Whenever
the power fails the place holds the former database or the fresh one, and all of it.
"""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from ivcrush.infrastructure.database.connection import DAMAGE, connect
from ivcrush.infrastructure.database.examination import file_bytes
from ivcrush.infrastructure.database.private_files import make_private_file
from ivcrush.infrastructure.database.write_gate import WriteGate
from ivcrush.utils.files import sync_directory, sync_file

# Where SQLite's connections lock a file for as long as they have it open in WAL mode (sqlite.org, os.h: SHARED_FIRST).
_CONNECTED_AT: Final = 0x40000000 + 2
_CONNECTED_BYTES: Final = 510
_LOOK_AGAIN_S: Final = 0.01
# What SQLite keeps beside a file; two of them hold changes that belong to it.
_LOGS: Final = ("-wal", "-journal")
_COMPANIONS: Final = (*_LOGS, "-shm")


class _InUse(sqlite3.OperationalError):
    """Another process has the database open."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


def exchange(fresh: Path, real: Path, *, suffix: str, busy_timeout_s: float) -> Path | None:
    """Put `fresh`, which lies in a folder of its own on the same disk, into the place; where the former file lies now.

    None where there was none. The former file and what SQLite keeps beside it get names that end in `suffix`. Raises
    sqlite3.OperationalError where others write or are connected for `busy_timeout_s`, OSError.
    """
    with WriteGate(real, busy_timeout_s), _nobody_connected(real, busy_timeout_s) as former:
        whole = None if former is None else _whole(former, real, fresh.parent)
        with nullcontext() if whole is None else _nobody_connected(whole, 0.0):
            return _swap(fresh, whole, real, suffix)


@contextmanager
def _nobody_connected(real: Path, timeout_s: float) -> Iterator[int | None]:
    """Keep every SQLite connection out, once the last one has gone: renaming a file under one would ruin both.

    Gives the open file, None where there is none; closing another descriptor of it would let everybody in (POSIX).
    Raises _InUse after `timeout_s`, OSError where the file cannot be opened.
    """
    if not real.exists():
        yield None
        return
    descriptor = os.open(real, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _wait_for_lock(descriptor, timeout_s)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            raise _InUse(f"open in another process for {timeout_s:g} s")
        time.sleep(_LOOK_AGAIN_S)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _CONNECTED_BYTES, _CONNECTED_AT)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        return False
    return True


def _whole(former: int, real: Path, folder: Path) -> Path | None:
    """The former database in one file, what its logs hold played in; None without a log, or where damage forbids it.

    Raises OSError, sqlite3.DatabaseError where the disk does.
    """
    logs = [log for log in _LOGS if file_bytes(_beside(real, log))]
    if not logs:
        return None
    whole = folder / "whole.db"
    make_private_file(whole)
    with open(former, "rb", closefd=False) as source, whole.open("wb") as target:
        shutil.copyfileobj(source, target)
    for log in logs:
        with (
            _beside(real, log).open("rb") as source,
            _beside(whole, log).open("wb") as target,
        ):
            shutil.copyfileobj(source, target)
    try:
        with closing(connect(whole, 0.0)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # takes a journal back
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGE:
            raise
        return None
    sync_file(whole)
    return whole


def _swap(fresh: Path, whole: Path | None, real: Path, suffix: str) -> Path | None:
    """Put the fresh file into the place; where the former one lies now.

    All of the former has its second name before it loses the first, and the place is never empty. A foreign log would
    be played into the fresh file, so it goes first; before that `whole`, which is the same with it and without it,
    takes the former file's place. So whenever the power fails the place holds one of the two, and all of it. (Of a
    damaged database nothing whole can be made: its log goes first all the same.)
    """
    aside = _beside(real, suffix)
    had_one = real.exists()
    _give_to_owner(fresh, real if had_one else real.parent)
    for companion in ("", *_COMPANIONS):
        former = _beside(real, companion)
        if former.exists():
            _beside(aside, companion).hardlink_to(former)
    sync_directory(real.parent)
    if whole is not None:
        _give_to_owner(whole, real)
        whole.replace(real)
        sync_directory(real.parent)
    for companion in _COMPANIONS:
        _beside(real, companion).unlink(missing_ok=True)
    sync_directory(real.parent)
    fresh.replace(real)
    sync_directory(real.parent)
    return aside if had_one else None


def _give_to_owner(fresh: Path, former: Path) -> None:
    """What root restores must still open for the user whom the service runs as."""
    if os.geteuid() == 0:
        owner = former.stat()
        os.chown(fresh, owner.st_uid, owner.st_gid)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
