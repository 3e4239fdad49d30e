"""stdout for the result, stderr for everything else, whoever listens: a terminal, a pipe, a full disk, nobody.

Everything is UTF-8, whatever the terminal claims, because programs read it. Imports next to nothing: `--help` uses it.
"""

import errno
import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from ivcrush.utils.text import printable

_LONGEST_MESSAGE = 2_000


def write_stdout(pieces: Iterable[str]) -> str | None:
    """Write all and flush; why it could not be done, None where it was. A reader who has gone away is no failure."""
    if sys.stdout is None:  # closed by whoever started us
        return None
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # writes out what it holds first
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except OSError as error:
        return stdout_failure(error)
    return None


def stdout_failure(error: OSError) -> str | None:
    """What writing to stdout met, as a reason; None for a reader who has seen enough, as `| head -1` has.

    Stdout points at nothing from then on, so that the interpreter's own flush at exit finds nothing to complain about.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    if isinstance(error, BrokenPipeError):
        return None
    return "the disk is full" if error.errno == errno.ENOSPC else error.strerror


def say(message: str) -> None:
    """One line on stderr, harmless on a terminal; nobody listening is no failure."""
    if sys.stderr is None:  # print would choose stdout then
        return
    with suppress(OSError):
        print(printable(message, _LONGEST_MESSAGE), file=sys.stderr, flush=True)


def on_terminal() -> bool:
    """Whether a person sees stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def read_together() -> bool:
    """Whether one person sees stdout and stderr in the same window."""
    return on_terminal() and sys.stderr is not None and sys.stderr.isatty()


def in_journal() -> bool:
    """Whether the system's journal keeps our stderr; the log goes there then, so nobody is told twice.

    The variable names the stream, because it is inherited by programs whose stderr goes elsewhere (systemd.exec(5)).
    """
    try:
        stream = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"
