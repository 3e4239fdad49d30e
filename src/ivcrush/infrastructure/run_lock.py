"""One long run at a time for each database: `flock` on a file beside it, which a killed process cannot leave locked.

The file's text names the holder for people; only the lock itself decides. Knows nothing of what a run does.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.infrastructure.database.private_files import make_private_directory

LOCKED = "locked"  # the context `reason` of an error that later goes away by itself
# Whoever asks for the holder has the lock for some microseconds: a run that meets just that looks again.
_LOOKS = 3
_LOOK_AGAIN_S = 0.01


class RunLock:
    """Held from `acquire` until the `with` block ends or the process does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @classmethod
    def beside(cls, database: Path) -> Self:
        """The lock of long runs on that database."""
        return cls(database.with_name(database.name + ".lock"))

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

    def holder(self) -> Result[str | None]:
        """Who holds the lock now, None for nobody; makes no file and keeps no run from starting. Errors: DBERROR."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return Ok(None)
        except OSError as error:
            return err(ErrorCode.DBERROR, f"{self._path}: the run lock cannot be read: {error.strerror}")
        try:
            return Ok(_holder(descriptor, fcntl.LOCK_SH))
        except OSError as error:
            return err(ErrorCode.DBERROR, f"{self._path}: the run lock cannot be asked: {error.strerror}")
        finally:
            os.close(descriptor)

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
    for look in range(_LOOKS):
        if look:
            time.sleep(_LOOK_AGAIN_S)
        other = _holder(descriptor, fcntl.LOCK_EX)
        if other is None:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, holder.encode())
            return None
    return other


def _holder(descriptor: int, kind: int) -> str | None:
    """Who keeps us from a lock of this kind, None where it is ours now. Raises OSError."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "unknown"
    return None
