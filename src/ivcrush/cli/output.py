"""Where the result goes: stdout, or the file of `--output`, written whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ivcrush.cli.command import UsageError
from ivcrush.cli.streams import write_stdout
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.utils.files import write_whole
from ivcrush.utils.performance import track_performance
from ivcrush.utils.text import printable

_FORMS: Final = MappingProxyType({".json": "json", ".csv": "csv"})


def named_file(flag: str, text: str | None) -> Result[Path | None]:
    """The file that a flag names, asked before anything is spent whether it can be written; None where none is named.

    Raises UsageError for what cannot be meant. Errors: DBERROR for a place that cannot be written.
    """
    if text is None:
        return Ok(None)
    path, shown = Path(text), f"{flag} {printable(text)}".rstrip()
    if not text or path.is_dir():
        raise UsageError(f"{shown}: a file name is needed" + (", this is a directory" if text else ""))
    if not path.parent.is_dir():
        raise UsageError(f"{shown}: {printable(str(path.parent))} is no directory; an existing one is needed")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return err(ErrorCode.DBERROR, f"{shown}: is no plain file; the name of one is needed")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return err(ErrorCode.DBERROR, f"{shown}: its directory cannot be written; a writable one is needed")
    return Ok(path)


def form_of(asked: str | None, output: Path | None) -> str:
    """The form of a result: the one asked for, else what the file's name says that it is, else a table."""
    if asked is not None:
        return asked
    return "table" if output is None else _FORMS.get(output.suffix.lower(), "table")


@track_performance(name="rendering and writing")
def write_result(pieces: Iterable[str], output: Path | None) -> Result[None]:
    """Put the result there. Errors: DBERROR."""
    if output is not None:
        return write_whole(output, (piece.encode() for piece in pieces))
    reason = write_stdout(pieces)
    if reason is None:
        return Ok(None)
    return err(ErrorCode.DBERROR, f"stdout: cannot be written: {reason}; what was fetched is kept in the database")
