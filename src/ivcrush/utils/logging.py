"""One event, one line: the standard library's logging, with every line dated, traceable, redacted and harmless.

Modules log a sentence for people; what programs should find by name in it stands beside it:

    _log = logging.getLogger(__name__)
    _log.info("attempt failed: %s", error, extra=fields(attempt=2, wait_s=1.0))

Each line carries the UTC time, level, logger and correlation id, then the fields, then an exception with its
traceback. Every text in it, tracebacks included, passes the redactor first and `printable` second. Logging never
stops the program: a log file that cannot be written costs one line on stderr. Nothing here decides what is logged.
"""

import json
import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.text import printable
from ivcrush.utils.tracing import correlation_id

TERMINAL_LEVEL = "WARNING"
# Libraries that at INFO and below write whole URLs, and so keys, or a line for every byte received.
_QUIET_LIBRARIES = ("httpx", "httpcore", "asyncio")
_LONGEST_VALUE = 2_000
_LONGEST_TRACEBACK = 20_000

Scalar = str | int | float | bool | None


class LogFormat(StrEnum):
    """How a line is written."""

    TEXT = "text"
    JSON = "json"


def fields(**values: object) -> dict[str, dict[str, object]]:
    """What belongs to an event by name, for `extra=`; numbers stay numbers in JSON, everything else becomes text."""
    return {"fields": values}


def configure_logging(
    *,
    level: str,
    log_format: LogFormat,
    log_file: Path | None,
    terminal_level: str | None,
    journal: bool,
    redact: Redactor,
    stderr: TextIO,
) -> Result[None]:
    """Send every logger's lines to stderr and to the file; calling again replaces what the last call set up.

    `level` is for the file, and for stderr where it is the `journal`, which is told each line's priority; elsewhere
    people read it: warnings, and no traceback below DEBUG. What `terminal_level` names wins on stderr. Errors: DBERROR
    where the file cannot be opened; stderr is set up all the same.
    """
    logging.raiseExceptions = False  # else a failing handler prints what it could not write, unredacted
    _remove_ours()
    shown = terminal_level or (level if journal else TERMINAL_LEVEL)
    formatter = _JournalFormatter if journal else LineFormatter
    on_stderr = formatter(log_format, redact, tracebacks=journal or shown == "DEBUG")
    _install(logging.StreamHandler(stderr), on_stderr, shown)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    if log_file is None:
        return Ok(None)
    try:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _install(_LogFile(log_file), LineFormatter(log_format, redact), level)
    except OSError as error:
        return err(ErrorCode.DBERROR, f"LOG_FILE {log_file}: cannot be written: {error.strerror}", path=str(log_file))
    return Ok(None)


class LineFormatter(logging.Formatter):
    """A record as one line of `key=value` or JSON, redacted before it is escaped and cut."""

    def __init__(self, log_format: LogFormat, redact: Redactor, *, tracebacks: bool = True) -> None:
        super().__init__()
        self._format = log_format
        self._tracebacks = tracebacks
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        values = dict(self._values(record))
        if self._format is LogFormat.JSON:
            return json.dumps(values, allow_nan=False)
        moment = values.pop("time")
        return " ".join([str(moment), *(f"{key}={_quoted(value)}" for key, value in values.items())])

    def _values(self, record: logging.LogRecord) -> Iterator[tuple[str, Scalar]]:
        moment = datetime.fromtimestamp(record.created, UTC)
        yield "time", moment.isoformat(timespec="milliseconds")
        yield "level", record.levelname
        yield "logger", self._safe(record.name)
        yield "correlation_id", self._safe(correlation_id())
        yield "event", self._safe(_message(record))
        extra = getattr(record, "fields", None)
        if isinstance(extra, Mapping):
            for key, value in extra.items():
                yield f"field_{key}" if key in _OWN_KEYS else self._safe(str(key)), self._scalar(value)
        if self._tracebacks and record.exc_info and record.exc_info[0] is not None:
            yield "exception", self._safe(self.formatException(record.exc_info), _LONGEST_TRACEBACK)
        if record.stack_info:
            yield "stack", self._safe(record.stack_info, _LONGEST_TRACEBACK)

    def _scalar(self, value: object) -> Scalar:
        if value is None or isinstance(value, bool):
            return value
        shown = _text(value)
        text = self._safe(shown)
        if text != shown:  # digits that hold a secret are masked like any text
            return text
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else text
        return int(value) if isinstance(value, int) else text

    def _safe(self, text: str, limit: int = _LONGEST_VALUE) -> str:
        return printable(self._redact(text), limit)


class _JournalFormatter(LineFormatter):
    """Begins with the event's syslog priority, which the journal takes off the line and files it by (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)
        return f"<{priority}>{super().format(record)}"


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
_OWN_KEYS = frozenset({"time", "level", "logger", "correlation_id", "event", "exception", "stack"})


class _LogFile(logging.FileHandler):
    """Made readable by its owner only; a failing disk is told of once on stderr, and logging goes on."""

    def __init__(self, path: Path) -> None:
        self._told = False
        super().__init__(path)

    def _open(self) -> TextIOWrapper:
        return open(  # the handler closes it
            self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=_created_private
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 — the standard library's names
        """Called while the exception of the failed write is being handled."""
        error = sys.exc_info()[1]
        if not self._told and isinstance(error, OSError):
            self._told = True
            with suppress(OSError):
                sys.stderr.write(f"LOG_FILE {self.baseFilename}: {error.strerror}: lines are being lost\n")


def _created_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # for a new file; an existing one keeps the mode its owner chose


def _install(handler: logging.Handler, formatter: LineFormatter, level: str) -> None:
    handler.setFormatter(formatter)
    handler.setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(ours.level for ours in root.handlers if isinstance(ours.formatter, LineFormatter)))


def _remove_ours() -> None:
    root = logging.getLogger()
    for handler in [ours for ours in root.handlers if isinstance(ours.formatter, LineFormatter)]:
        root.removeHandler(handler)
        with suppress(OSError):  # the last lines of a full disk
            handler.close()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 — a library's `%d` met a text, or a `__str__` failed: the rest of the line is worth having
        return f"{_text(record.msg)} (its arguments do not fit)"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 — a value that cannot be shown must not cost the line
        return f"<{type(value).__name__}>"


def _quoted(value: Scalar) -> str:
    text = str(value)
    plain = text != "" and not any(character in ' "=' for character in text)
    return text if plain else '"' + text.replace('"', '\\"') + '"'
