"""Directories and files that only their owner may read: what a trader analyses is nobody else's business."""

import os
from pathlib import Path

from ivcrush.utils.files import sync_directory


def make_private_directory(directory: Path) -> None:
    """Make a directory and its missing parents, mode 0700; one that exists keeps its mode. Raises OSError.

    They survive a power loss: what is synced in a directory is lost with the directory's own name.
    """
    missing = [step for step in (directory, *directory.parents) if not step.exists()]
    for step in reversed(missing):
        step.mkdir(mode=0o700, exist_ok=True)
        sync_directory(step.parent)


def make_private_file(path: Path) -> None:
    """Make an empty file, mode 0600 (SQLite's -wal and -shm follow it); an existing one stays. Raises OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
