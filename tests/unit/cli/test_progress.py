"""Progress on a terminal and elsewhere, by an injected timer; a terminal is replayed to see what a person would."""

import io
import logging
import os
import pty
import struct
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from unicodedata import east_asian_width

import pytest

from ivcrush.cli.progress import Progress, duration_text, terminal_width
from ivcrush.utils.logging import LogFormat, configure_logging
from ivcrush.utils.redaction import Redactor


class Timer:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def seen(written: str) -> list[str]:
    """The lines a terminal shows after these characters, without spaces at their ends; wide ones take two cells."""
    lines: list[dict[int, str]] = [{}]
    column = 0
    for character in written:
        if character == "\n":
            lines.append({})
            column = 0
        elif character == "\r":
            column = 0
        else:
            cells = [character, ""] if east_asian_width(character) == "W" else [character]
            lines[-1].update(enumerate(cells, column))
            column += len(cells)
    return ["".join(cells[column] for column in sorted(cells)).rstrip() for cells in lines]


def on_terminal(total: int, timer: Timer, stream: io.StringIO, width: int = 80) -> Progress:
    return Progress(total, stream=stream, terminal=True, timer=timer, width=lambda: width)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (59.6, "1:00"),
        (72, "1:12"),
        (3_599.6, "1:00:00"),
        (7_425, "2:03:45"),
        (93_784, "26:03:04"),
        (-1, "0:00"),
    ],
)
def test_a_duration_is_told_in_minutes_and_from_an_hour_on_in_hours(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_terminal_shows_one_line_with_count_last_row_failures_and_times() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(200, timer, stream) as progress:
        assert seen(stream.getvalue()) == ["0/200"]
        for row in range(1, 51):  # one a second
            timer.now += 1
            progress.row("AAPL", failed=row <= 4)
            if row == 2:
                assert seen(stream.getvalue()) == ["2/200  AAPL failed  2 failed  0:02 gone"]
        assert seen(stream.getvalue()) == ["50/200  AAPL done  4 failed  0:50 gone, 2:30 left"]
    assert seen(stream.getvalue()) == [""]
    assert "\n" not in stream.getvalue()


def test_no_time_left_is_told_before_3_rows_and_2_seconds() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(10, timer, stream) as progress:
        for gone in (0.5, 1.0, 1.4):
            timer.now = 1_000 + gone
            progress.row("A", failed=False)
        assert seen(stream.getvalue()) == ["3/10  A done  0:01 gone"]
        timer.now = 1_002
        progress.row("A", failed=False)  # 4 rows in 2 s, so 6 more in 3 s
        assert seen(stream.getvalue()) == ["4/10  A done  0:02 gone, 0:03 left"]


def test_the_time_left_follows_the_last_50_rows() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(200, timer, stream) as progress:
        for _ in range(100):  # kept answers
            progress.row("A", failed=False)
        for _ in range(50):
            timer.now += 2
            progress.row("A", failed=False)
        assert seen(stream.getvalue()) == ["150/200  A done  1:40 gone, 1:40 left"]


def test_rows_that_end_together_are_drawn_at_most_10_times_a_second() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(10_000, timer, stream) as progress:
        drawn_before = stream.getvalue().count("\r")
        for row in range(1, 4_097):  # binary fractions of a second add up exactly: 4 seconds
            timer.now = 1_000 + row / 1_024
            progress.row("A", failed=False)
        assert 36 <= stream.getvalue().count("\r") - drawn_before <= 41


def test_the_line_is_cut_to_one_less_than_the_width_also_where_characters_are_wide() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(7, timer, stream, width=12) as progress:
        progress.row("ABCDEFGHIJKL", failed=False)
        assert seen(stream.getvalue()) == ["1/7  ABCDEF"]
        timer.now += 1
        progress.row("苹果苹果", failed=False)  # three of them fill columns 6 to 11
        assert seen(stream.getvalue()) == ["2/7  苹果苹"]
    with on_terminal(7, timer, io.StringIO(), width=0) as progress:
        progress.row("A", failed=False)


def test_a_label_cannot_steer_the_terminal() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(2, timer, stream) as progress:
        progress.row("\x1b[2J\nX", failed=True)
        assert seen(stream.getvalue()) == ["1/2  \\x1b[2J\\nX failed  1 failed  0:00 gone"]


def test_a_log_line_is_whole_and_the_progress_comes_back_with_the_next_row() -> None:
    timer, stream = Timer(), io.StringIO()
    root = logging.getLogger()
    level = root.level
    configure_logging(
        level="INFO",
        log_format=LogFormat.TEXT,
        log_file=None,
        terminal_level="WARNING",
        journal=False,
        redact=Redactor(()),
        stderr=stream,
    )
    (handler,) = [each for each in root.handlers if isinstance(each, logging.StreamHandler) and each.stream is stream]
    handler.setFormatter(logging.Formatter("%(message)s"))
    try:
        with on_terminal(9, timer, stream) as progress:
            logging.getLogger("test").warning("slow")
            assert seen(stream.getvalue()) == ["slow", ""]
            timer.now += 1
            progress.row("IBM", failed=False)
            logging.getLogger("test").info("not for the terminal")
            assert seen(stream.getvalue()) == ["slow", "1/9  IBM done  0:01 gone"]
            logging.getLogger("test").error("worse")
            assert seen(stream.getvalue()) == ["slow", "worse", ""]
        before = stream.getvalue()
        logging.getLogger("test").error("after")
        assert stream.getvalue() == before + "after\n"
        assert handler.filters == []
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_elsewhere_nothing_is_told_for_10_seconds_and_then_a_plain_line_every_30() -> None:
    timer, stream = Timer(), io.StringIO()
    with Progress(100, stream=stream, terminal=False, timer=timer) as progress:
        for gone in range(1, 76):
            timer.now = 1_000 + gone
            progress.row("A", failed=gone == 20)
            if gone == 9:
                assert stream.getvalue() == ""
    assert stream.getvalue().splitlines() == [
        "10/100  A done  0:10 gone, 1:30 left",
        "40/100  A done  1 failed  0:40 gone, 1:00 left",
        "70/100  A done  1 failed  1:10 gone, 0:30 left",
    ]


def test_a_run_of_no_rows_and_one_that_fails_leave_the_terminal_as_it_was() -> None:
    timer, stream = Timer(), io.StringIO()
    with on_terminal(0, timer, stream):
        pass
    assert stream.getvalue() == ""
    with pytest.raises(KeyError), on_terminal(5, timer, stream):
        raise KeyError
    assert seen(stream.getvalue()) == [""]


def test_a_stream_that_cannot_be_written_is_no_failure() -> None:
    timer = Timer()
    with Path("/dev/full").open("w") as stream:
        with Progress(5, stream=stream, terminal=True, timer=timer, width=lambda: 80) as progress:
            progress.row("A", failed=False)
        with Path(os.devnull).open("wb") as nowhere:  # what is still buffered finds its end there
            os.dup2(nowhere.fileno(), stream.fileno())


def test_the_width_is_that_of_the_terminal_behind_stderr_and_80_without_one() -> None:
    kept = os.dup(2)
    main, terminal = pty.openpty()
    try:
        ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", 24, 133, 0, 0))
        os.dup2(terminal, 2)
        assert terminal_width() == 133
        ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert terminal_width() == 80
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        assert terminal_width() == 80
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, main, terminal):
            os.close(descriptor)
