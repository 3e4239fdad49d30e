"""One long run at a time for each database: `flock` on a file beside it, which a killed process cannot leave locked.

The file's text names the holder for people; only the lock itself decides. Knows nothing of what a run does.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.infrastructure.database.private_files import make_private_directory

LOCKED = "locked"  # the context `reason` of an error that later goes away by itself


class RunLock:
    """Held from `acquire` until the `with` block ends or the process does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, holder: str) -> Result[None]:
        """Take the lock for `holder` (who and since when, one line). Errors: DBERROR, reason `locked` where held."""
        try:
            make_private_directory(self._path.parent)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            return err(ErrorCode.DBERROR, f"{self._path}: the run lock cannot be opened: {error.strerror}")
        try:
            other = _other_holder(descriptor, holder)
        except OSError as error:
            os.close(descriptor)
            return err(ErrorCode.DBERROR, f"{self._path}: the run lock cannot be taken: {error.strerror}")
        if other is not None:
            os.close(descriptor)
            return err(ErrorCode.DBERROR, f"another run holds {self._path}: {other}; try later", reason=LOCKED)
        self._descriptor = descriptor
        return Ok(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _other_holder(descriptor: int, holder: str) -> str | None:
    """Who holds the lock, None once it is ours and bears our name. Raises OSError where the file cannot serve."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 200).decode("utf-8", "replace").strip() or "unknown"
    os.ftruncate(descriptor, 0)
    os.write(descriptor, holder.encode())
    return None
