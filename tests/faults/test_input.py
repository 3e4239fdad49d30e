"""Faults 63 to 67: input files of every making, and hostile text in what others wrote."""

import csv
import io
import os
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from simulated_market import Switches
from tests.faults.verdict import ends
from tests.integration.conftest import Desk

HEADER = "ticker,earnings_date,expiration_date\n"
GIGABYTE = 1_000_000_000
# Escape sequence, C1 control, bidirectional override, zero-width space, line and paragraph separators.
INVISIBLE = "\x1b]0;owned\x07\x9b31m\u202e\u200b\u2028\u2029"


def calendar(desk: Desk, text: str, encoding: str = "utf-8") -> tuple[str, ...]:
    """The command over a calendar file of that text."""
    desk.file("earnings.csv", text.encode(encoding))
    return ("analyze-batch", "--earnings-file", "earnings.csv", "--continue-on-error", "--format", "csv")


def report_day(desk: Desk, ticker: str) -> str:
    report = desk.market.world.upcoming(ticker)
    assert report is not None
    return report.day.isoformat()


def invisible(text: str) -> list[str]:
    """The characters that a terminal would obey or hide, line ends left out."""
    return [each for each in text if each != "\n" and unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp", "Cs"}]


# --- files ---

WRITTEN: dict[str, Callable[[str], bytes]] = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR alone": lambda text: text.replace("\n", "\r").encode(),
    "no last newline": lambda text: text.rstrip("\n").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "quotes": lambda text: "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines()
    ).encode(),
    "quoted newline": lambda text: text.replace("AAPL", '"AAPL\n"').encode(),
}


@pytest.mark.fault(63)
@pytest.mark.parametrize("writing", WRITTEN)
def test_a_calendar_file_is_read_however_it_was_written(desk: Desk, writing: str) -> None:
    text = f"{HEADER}AAPL,{report_day(desk, 'AAPL')},\n"
    desk.file("earnings.csv", WRITTEN[writing](text))
    finished = ends(desk.run("analyze-batch", "--earnings-file", "earnings.csv", "--format", "csv"), 0)
    assert [row["ticker"] for row in csv.DictReader(io.StringIO(finished.out))] == ["AAPL"]


UNUSABLE: dict[str, tuple[bytes, str]] = {
    "UTF-16": (f"{HEADER}AAPL,2026-05-20,\n".encode("utf-16"), "not UTF-8 at byte 0"),
    "Latin-1": (f"{HEADER}AAPL,2026-05-20,caf\xe9\n".encode("latin-1"), "not UTF-8 at byte "),
    "NUL": (f"{HEADER}AAPL\0,2026-05-20,\n".encode(), "holds NUL bytes"),
    "no header": (b"AAPL,2026-05-20,\n", "line 1: no column ticker and earnings_date"),
    "no row": (HEADER.encode(), "no row below the header"),
    "nothing": (b"", "empty"),
    "open quote": (f'{HEADER}"AAPL,2026-05-20,\nKO,2026-05-20,\n'.encode(), "line 2: a quote that opens here"),
}


@pytest.mark.fault(63)
@pytest.mark.parametrize("making", UNUSABLE)
def test_a_calendar_file_that_cannot_be_used_ends_with_65_its_name_and_the_reason(desk: Desk, making: str) -> None:
    content, reason = UNUSABLE[making]
    desk.file("earnings.csv", content)
    before = desk.market.stats()["requests"]
    ends(desk.run("analyze-batch", "--earnings-file", "earnings.csv"), 65, "earnings.csv", reason)
    assert desk.market.stats()["requests"] == before


@pytest.mark.fault(63)
@pytest.mark.parametrize(
    "flag", [("backfill", "--file"), ("analyze-batch", "--earnings-file")], ids=lambda flag: flag[0]
)
def test_what_is_no_file_or_far_too_large_is_refused_at_once(desk: Desk, flag: tuple[str, str]) -> None:
    os.mkfifo(desk.directory / "pipe")
    os.truncate(desk.file("huge", b""), GIGABYTE)  # sparse: it takes no room
    ends(desk.run(*flag, "."), 65, ".: no regular file")
    ends(desk.run(*flag, "pipe"), 65, "pipe: no regular file")
    ends(desk.run(*flag, "/dev/zero"), 65, "/dev/zero: no regular file")
    ends(desk.run(*flag, "huge"), 65, f"huge: {GIGABYTE} bytes, at most ")
    ends(desk.run(*flag, "missing"), 65, "missing: cannot be read: No such file or directory")


@pytest.mark.fault(63)
def test_a_row_that_stands_there_twice_is_a_failure_that_names_both_lines(desk: Desk) -> None:
    row = f"AAPL,{report_day(desk, 'AAPL')},\n"
    finished = desk.run(*calendar(desk, HEADER + row + row))
    ends(finished, 3, "AAPL: INVALID: earnings.csv, line 3", "stands in line 2 already")


# --- spreadsheets, terminals, file names ---


@pytest.mark.fault(64)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "＝"])
def test_no_text_cell_is_a_formula_and_a_negative_number_stays_one(desk: Desk, start: str) -> None:
    hostile = f'"{start}HYPERLINK(""http://x.invalid"")",2026-05-20,\n'
    finished = desk.run(*calendar(desk, f"{HEADER}{hostile}AAPL,{report_day(desk, 'AAPL')},\n"))
    ends(finished, 3)
    rows = list(csv.DictReader(io.StringIO(finished.out)))
    assert len(rows) == 2
    for cell in (cell for row in rows for cell in row.values() if cell and cell.startswith(tuple("=+-@\t\r＝"))):
        float(cell)  # raises for any text that a spreadsheet would run
    assert any(cell and cell.startswith("'") for row in rows for cell in row.values())


@pytest.mark.fault(65)
def test_nothing_that_a_terminal_would_obey_comes_from_a_file_to_terminal_or_log(desk: Desk) -> None:
    command = calendar(desk, f"{HEADER}{INVISIBLE}AAPL,2026-05-20,\nAAPL,{report_day(desk, 'AAPL')},{INVISIBLE}\n")
    for form in ("table", "csv", "json"):
        finished = desk.run(*command[:-1], form, "--log-level", "DEBUG", LOG_FILE="own.log", LOG_LEVEL="DEBUG")
        ends(finished, 1)
        assert invisible(finished.out.replace("\r\n", "\n")) == []
        assert invisible(finished.err) == []
    log = (desk.directory / "own.log").read_text()
    assert invisible(log) == []
    assert all(line.startswith("20") for line in log.splitlines())  # an event is a line, and a line an event


@pytest.mark.fault(65)
def test_nothing_that_a_terminal_would_obey_comes_from_a_provider(desk: Desk) -> None:
    desk.market.set_switches(Switches(hostile_names=True))
    for form in ("table", "json", "csv"):
        finished = desk.run("scan", "--days", "5", "--format", form, LOG_FILE="own.log", LOG_LEVEL="DEBUG")
        assert finished.code in {0, 3}, finished.err
        assert invisible(finished.out.replace("\r\n", "\n")) == []
        assert invisible(finished.err) == []
    assert invisible((desk.directory / "own.log").read_text()) == []


@pytest.mark.fault(66)
@pytest.mark.parametrize("ticker", ["../../etc/x", "/etc/passwd", "A" * 300, "A/../B", "..", "~root"])
def test_no_path_is_a_ticker(desk: Desk, ticker: str) -> None:
    ends(desk.run("analyze", ticker), 2, "ticker '", "1 to 6 letters")
    assert list(desk.directory.iterdir()) == []


@pytest.mark.fault(66)
def test_a_report_goes_to_a_plain_file_whole_readable_and_nowhere_else(desk: Desk) -> None:
    target = desk.file("precious", b"precious\n")
    (desk.directory / "link").symlink_to(target)
    old = desk.file("old.json", b"yesterday's\n")
    command = ("analyze", "AAPL", "--format", "json", "--output")
    ends(desk.run(*command, "link"), 74, "--output link: is no plain file")
    ends(desk.run(*command, "/dev/null"), 74, "--output /dev/null: is no plain file")
    ends(desk.run(*command, "no/where.json"), 2, "no is no directory")
    ends(desk.run(*command, "."), 2, "a file name is needed")
    ends(desk.run(*command, "old.json"), 0)
    assert target.read_bytes() == b"precious\n"
    assert old.read_bytes().startswith(b"{")
    assert stat.S_IMODE(old.stat().st_mode) == 0o644
    assert sorted(path.name for path in desk.directory.iterdir()) == ["data", "link", "old.json", "precious"]


@pytest.mark.fault(66)
def test_what_is_kept_is_for_its_owner_alone(desk: Desk) -> None:
    ends(desk.run("analyze", "AAPL", LOG_FILE="own.log"), 0)
    data = desk.directory / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    files: list[Path] = [*data.iterdir(), desk.directory / "own.log"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.fault(67)
@pytest.mark.parametrize("form", ["html", "markdown"])
def test_a_report_has_no_form_in_which_a_name_could_be_markup(desk: Desk, form: str) -> None:
    # Escaping for HTML or Markdown is nobody's task here: table, JSON and CSV are all there is.
    ends(desk.run("analyze", "AAPL", "--format", form), 2, "--format", "table")
