"""Writes a file whole or not at all, whatever happens in between: a full disk, a signal, a power loss.

A reader sees the old file or the new one. Never follows a symbolic link, never writes through a device.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err


def write_whole(path: Path, pieces: Iterable[bytes], mode: int = 0o644) -> Result[None]:
    """Put these pieces, one after the other, under that name, readable as `mode` says whatever the umask.

    Errors: DBERROR naming the path: no such directory, no permission, no space, or something there that is not a plain
    file. The old content is then still in place.
    """
    try:
        obstacle = _obstacle(path)
        if obstacle is not None:
            return _failure(path, obstacle)
        _replace(path, pieces, mode)
    except OSError as error:
        return _failure(path, error.strerror or type(error).__name__)
    return Ok(None)


def sync_directory(directory: Path) -> None:
    """Make a new name in a directory survive a power loss. Raises OSError."""
    _sync(directory, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make what a file holds survive a power loss. Raises OSError."""
    _sync(path, 0)


def _sync(path: Path, kind: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | kind | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _obstacle(path: Path) -> str | None:
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return None if path.parent.is_dir() else f"there is no directory {path.parent}"
    if stat.S_ISLNK(kind):
        return "is a symbolic link; name the file it points to"
    if stat.S_ISDIR(kind):
        return "is a directory; a file name is needed"
    return None if stat.S_ISREG(kind) else "is no plain file"


def _replace(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    unfinished = path.parent / f".ivcrush-{os.urandom(8).hex()}.tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 — a descriptor, not a path; closing reports late errors
            file.writelines(pieces)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        unfinished.replace(path)
    except BaseException:  # a signal too must leave no litter
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_directory(path.parent)


def _failure(path: Path, reason: str) -> Err:
    return err(ErrorCode.DBERROR, f"{path}: cannot be written: {reason}", path=str(path))
