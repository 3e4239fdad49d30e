"""One writer at a time among all processes: `flock` on a file beside the database, until the checkpoint is done.

SQLite before 3.51.3 can damage a WAL database when two connections write or checkpoint in the same moment
(docs/decisions/0004). Readers never ask here. The lock is the kernel's: a killed holder lets go, a file left behind
means nothing.
"""

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Final

_LOOK_AGAIN_S: Final = 0.001  # flock has no deadline of its own; a transaction takes a few times this long


class GateHeld(sqlite3.OperationalError):
    """Another writer was inside for longer than the wait."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


class WriteGate:
    """Entered by `with`, one thread of a process at a time; every write to the database of that path happens inside."""

    def __init__(self, database: Path, timeout_s: float) -> None:
        real = database.resolve()  # one gate, whichever name the database goes by
        self._path = real.with_name(f"{real.name}.gate")
        self._timeout_s = timeout_s
        self._descriptor = -1

    def __enter__(self) -> None:
        """Waits for at most `timeout_s`. Raises GateHeld after that, OSError where the file cannot be opened."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _wait_for_lock(descriptor, self._timeout_s)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def _wait_for_lock(descriptor: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise GateHeld(f"another writer for {timeout_s:g} s") from None
        time.sleep(_LOOK_AGAIN_S)
