"""How far a run of many rows is, on stderr: one line rewritten in place on a terminal, a few plain lines elsewhere.

Works only when a row ends: no thread, no timer of its own, nothing to stop. What others write to the same stream stays
whole because the log's handlers on it erase the line first; it comes back with the next row. Nobody listening is no
failure. Never says what the rows mean, and never sleeps.
"""

import logging
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO
from unicodedata import east_asian_width

from ivcrush.utils.text import printable

_BETWEEN_REDRAWS_S = 0.1
# Silent so long where nobody watches: the first line of a short run is its error, not its progress.
_FIRST_LINE_AFTER_S = 10.0
_BETWEEN_LINES_S = 30.0
# The time left is told from this many rows and seconds on, by the pace of the last rows: several rounds of those that
# run at once, and more than a provider's window of a minute lets through.
_FEWEST_ROWS = 3
_SHORTEST_S = 2.0
_ROWS_OF_PACE = 50
_STDERR = 2
_USUAL_WIDTH = 80


def duration_text(seconds: float) -> str:
    """Seconds as people say them, rounded: `0:07`, `1:12`, `2:03:45`."""
    minutes, second = divmod(max(round(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def terminal_width() -> int:
    """The columns of the terminal behind stderr (stdout may be a pipe), 80 where nobody knows."""
    try:
        return os.get_terminal_size(_STDERR).columns or _USUAL_WIDTH
    except OSError:
        return _USUAL_WIDTH


class Progress:
    """Counts the rows that end, and tells of them while the context is open: `57/200  AAPL done  4 failed  1:12 gone`.

    `total` rows are to come, `timer` gives monotonic seconds, `width` the columns of a `terminal`.
    """

    def __init__(
        self,
        total: int,
        *,
        stream: TextIO,
        terminal: bool,
        timer: Callable[[], float],
        width: Callable[[], int] = terminal_width,
    ) -> None:
        self._total = total
        self._stream = stream
        self._line = _RewrittenLine(stream, width) if terminal else None
        self._timer = timer
        self._begun = timer()
        self._next_at = self._begun + (0.0 if terminal else _FIRST_LINE_AFTER_S)
        self._ended_at = deque([self._begun], maxlen=_ROWS_OF_PACE + 1)
        self._done = 0
        self._failed = 0

    def __enter__(self) -> Self:
        if self._line is not None and self._total:
            self._line.open()
            self._line.show(f"0/{self._total}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._line is not None:
            self._line.close()

    def row(self, label: str, *, failed: bool) -> None:
        """One more row ended."""
        now = self._timer()
        self._done += 1
        self._failed += failed
        self._ended_at.append(now)
        if now < self._next_at:
            return
        text = printable(self._text(f"{label} {'failed' if failed else 'done'}", now))
        if self._line is not None:
            self._line.show(text)
            self._next_at = now + _BETWEEN_REDRAWS_S
        else:
            _write(self._stream, f"{text}\n")
            self._next_at = now + _BETWEEN_LINES_S

    def _text(self, last: str, now: float) -> str:
        parts = [f"{self._done}/{self._total}", last]
        if self._failed:
            parts.append(f"{self._failed} failed")
        left_s = self._left_s(now)
        gone = f"{duration_text(now - self._begun)} gone"
        parts.append(gone if left_s is None else f"{gone}, {duration_text(left_s)} left")
        return "  ".join(parts)

    def _left_s(self, now: float) -> float | None:
        """Seconds that the rest takes at the pace of the last rows; None while that would be a guess."""
        if self._done < _FEWEST_ROWS or now - self._begun < _SHORTEST_S:
            return None
        seconds_a_row = (now - self._ended_at[0]) / (len(self._ended_at) - 1)
        return (self._total - self._done) * seconds_a_row


class _RewrittenLine:
    """The last line of a terminal, rewritten with carriage returns and spaces alone, which every terminal knows."""

    def __init__(self, stream: TextIO, width: Callable[[], int]) -> None:
        self._stream = stream
        self._width = width
        self._columns = 0  # that the line shown now takes
        self._handlers: list[logging.Handler] = []

    def open(self) -> None:
        """From now on whatever is logged to this stream finds an empty line."""
        self._handlers = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._stream
        ]
        for handler in self._handlers:
            handler.addFilter(self._make_room)

    def show(self, text: str) -> None:
        """Replace the line; the last column stays free, where some terminals begin a new line by themselves."""
        shown, columns = _cut(text, max(self._width() - 1, 0))
        _write(self._stream, f"\r{shown}{' ' * (self._columns - columns)}")
        self._columns = columns

    def close(self) -> None:
        """Leave no trace."""
        for handler in self._handlers:
            handler.removeFilter(self._make_room)
        self._handlers = []
        self._erase()

    def _make_room(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 — every record that is to be written
        self._erase()
        return True

    def _erase(self) -> None:
        if self._columns:
            _write(self._stream, f"\r{' ' * self._columns}\r")
            self._columns = 0


def _cut(text: str, columns: int) -> tuple[str, int]:
    """As much of the text as fits, and the columns that it takes; wide characters take two."""
    taken = 0
    for place, character in enumerate(text):
        wide = 2 if east_asian_width(character) in "WF" else 1
        if taken + wide > columns:
            return text[:place], taken
        taken += wide
    return text, taken


def _write(stream: TextIO, text: str) -> None:
    with suppress(OSError):
        stream.write(text)
        stream.flush()
