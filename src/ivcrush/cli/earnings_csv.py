"""The calendar file of `analyze-batch`: a header, then one report a row, as people and spreadsheets write it.

Taken: a byte order mark, any line ends, blank lines and rows of empty cells, lines that begin with `#`, quotes, commas,
semicolons or tabs. Columns are found by name; `timing` and `expiration_date` may be empty or absent, then the program
finds them. A row that cannot be used stays in its place as an error with its line, so that every row is accounted for
once; only a file without usable rows at all is refused whole. A `#` inside a row is no comment. Looks nothing up.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path

from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.cli.command import InputError
from ivcrush.cli.text_file import read_text
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import SAME_REPORT, Ticker, parse_ticker, same_report
from ivcrush.utils.text import printable
from ivcrush.utils.timezone import parse_date

LARGEST_FILE = 5_000_000  # bytes: 10,000 rows of 500
MOST_ROWS = 20_000  # more than three times all companies with options
_HEADER = "ticker,earnings_date,expiration_date"
_NEEDED = ("ticker", "earnings_date")
_COLUMNS = (*_NEEDED, "expiration_date", "timing")
_SEPARATORS = (",", ";", "\t")
_SESSIONS = (Timing.BMO, Timing.AMC, Timing.DMH)
_LONGEST_LABEL = 20
_LONGEST_VALUE = 40

Lines = Iterator[tuple[int, str]]  # 1-based line of the file, its text


@dataclass(frozen=True, slots=True)
class EarningsRow:
    """One row of the file: what it asks, or why that cannot be known.

    `line` is where the row begins, 1-based. `label` is the ticker as typed, harmless and at most 20 characters, or
    "line 7" where there is none. `ticker` is whose row it is, also of one that cannot be used, None where that cannot
    be read. `place` names the file and the line. Errors: INVALID naming the place, the value and the need.
    """

    line: int
    place: str
    label: str
    ticker: Ticker | None
    question: Result[ReportQuestion]


@dataclass(frozen=True, slots=True)
class EarningsFile:
    """All rows in their order, at least one, and what a person should know about the file."""

    rows: tuple[EarningsRow, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    """Where each known column stands, how many there are in all, what separates them, what was ignored."""

    columns: Mapping[str, int]
    width: int
    separator: str
    remarks: tuple[str, ...]


def read_earnings(path: Path) -> EarningsFile:
    """The rows of a calendar file. Raises InputError, naming the file and the need, for one that has no usable form."""
    lines: Lines = enumerate(io.StringIO(read_text(path, LARGEST_FILE), newline=None), 1)
    header = _header(path, lines)
    seen: dict[Ticker, dict[date, int]] = {}
    rows: list[EarningsRow] = []
    for number, line in _with_data(lines):
        cells = _cells(path, number, line, lines, header.separator)
        if isinstance(cells, Ok) and not any(cells.value):
            continue  # what a spreadsheet makes of a blank line
        if len(rows) == MOST_ROWS:
            raise InputError(f"{path}, line {number}: one row more than the {MOST_ROWS} that are taken")
        rows.append(_row(f"{path.name}, line {number}", number, cells, header, seen))
    if not rows:
        raise InputError(f"{path}: no row below the header; one report a row is needed")
    return EarningsFile(tuple(rows), header.remarks)


def _with_data(lines: Lines) -> Lines:
    return ((number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#"))


def _cells(path: Path, number: int, line: str, following: Lines, separator: str) -> Result[tuple[str, ...]]:
    """The stripped cells of the row that begins with `line`; a quoted cell may take more from `following`.

    Errors: INVALID for a row with broken quotes. Raises InputError where such a row has swallowed others: how many of
    the file's rows it holds cannot be told.
    """
    taken = chain([line], (text for _, text in following))
    reader = csv.reader(taken, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        return Ok(tuple(cell.strip() for cell in next(reader)))
    except csv.Error as error:
        if reader.line_num > 1:
            raise InputError(f"{path}, line {number}: a quote that opens here is not closed: {error}") from None
        return err(ErrorCode.INVALID, f"{path.name}, line {number}: no row of a CSV file: {error}")


def _header(path: Path, lines: Lines) -> _Header:
    """The first row that is no comment. Raises InputError where it is none that names what is needed."""
    number, line = next(_with_data(lines), (0, ""))
    if not number:
        raise InputError(f"{path}: empty; the header {_HEADER} and one report a row are needed")
    separator = max(_SEPARATORS, key=lambda candidate: _known(line, candidate))
    cells = _cells(path, number, line, lines, separator)
    if isinstance(cells, Err):
        raise InputError(f"{path}, line {number}: no header: {cells.error.message}")
    names = [name.lower() for name in cells.value]
    while names and not names[-1]:  # separators that a spreadsheet left at the end
        names.pop()
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(f"{path}, line {number}: no column {' and '.join(missing)}; the header {_HEADER} is needed")
    twice = [name for name in _COLUMNS if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}, line {number}: column {twice[0]} stands there twice; once is needed")
    unknown = [name or f"column {place}" for place, name in enumerate(names, 1) if name not in _COLUMNS]
    remarks = (printable(f"{path.name}: columns ignored: {', '.join(unknown)}"),) if unknown else ()
    return _Header({name: names.index(name) for name in _COLUMNS if name in names}, len(names), separator, remarks)


def _known(line: str, separator: str) -> int:
    """How many of our columns a header names if this is what separates them."""
    return sum(cell.strip(' \t\n"').lower() in _COLUMNS for cell in line.split(separator))


def _row(
    place: str,
    number: int,
    cells: Result[Sequence[str]],
    header: _Header,
    seen: dict[Ticker, dict[date, int]],
) -> EarningsRow:
    """The row as told; a usable one is noted in `seen`, the lines of each company's report dates."""
    nameless = f"line {number}"
    if isinstance(cells, Err):
        return EarningsRow(number, place, nameless, None, cells)
    found = {name: cells.value[index] for name, index in header.columns.items() if index < len(cells.value)}
    label = printable(found.get("ticker", ""), _LONGEST_LABEL) or nameless
    named = parse_ticker(found.get("ticker", ""))
    ticker = named.value if isinstance(named, Ok) else None
    if len(cells.value) < header.width or any(cells.value[header.width :]):
        told = f"{place}: row of length {len(cells.value)}: {header.width} cells are needed, as in the header"
        return EarningsRow(number, place, label, ticker, err(ErrorCode.INVALID, told))
    question = _question(place, found)
    if isinstance(question, Ok):
        question = _unless_known(place, number, question.value, seen)
    return EarningsRow(number, place, label, ticker, question)


def _question(place: str, found: Mapping[str, str]) -> Result[ReportQuestion]:
    if not found["ticker"]:
        return err(ErrorCode.INVALID, f"{place}: ticker is empty; a company is needed (AAPL, BRK.B)")
    ticker = parse_ticker(found["ticker"])
    if isinstance(ticker, Err):
        return err(ErrorCode.INVALID, f"{place}: {ticker.error.message}")
    report_date = _day(place, "earnings_date", found["earnings_date"])
    if isinstance(report_date, Err):
        return report_date
    asked = found.get("expiration_date", "")
    expiration = _day(place, "expiration_date", asked) if asked else Ok(None)
    if isinstance(expiration, Err):
        return expiration
    if expiration.value is not None and expiration.value < report_date.value:
        needed = f"a day on or after the report of {report_date.value} is needed"
        return err(ErrorCode.INVALID, f"{place}: expiration_date {expiration.value}: {needed}")
    timing = _timing(place, found.get("timing", ""))
    if isinstance(timing, Err):
        return timing
    return Ok(ReportQuestion(ticker.value, report_date.value, timing.value, expiration.value))


def _day(place: str, column: str, text: str) -> Result[date]:
    day = parse_date(text)
    return err(ErrorCode.INVALID, f"{place}: {column}: {day.error.message}") if isinstance(day, Err) else day


def _timing(place: str, text: str) -> Result[Timing | None]:
    """The session; None, which is to be found, where the cell is empty."""
    if not text:
        return Ok(None)
    session = next((session for session in _SESSIONS if session.value == text.upper()), None)
    if session is None:
        shown = printable(text, _LONGEST_VALUE)
        return err(ErrorCode.INVALID, f"{place}: timing {shown!r}: BMO, AMC, DMH or nothing is needed")
    return Ok(session)


def _unless_known(
    place: str, number: int, question: ReportQuestion, seen: dict[Ticker, dict[date, int]]
) -> Result[ReportQuestion]:
    """The question, noted; INVALID where an earlier row asks for the same report.

    Two dates too near for two reports are one report with a doubtful date: the earlier row is analysed as it stands,
    and this one says so instead of being believed or dropped.
    """
    ticker, report_date = question.ticker, question.report_date
    assert report_date is not None
    dates = seen.setdefault(ticker, {})
    for other, line in dates.items():
        if other == report_date:
            return err(ErrorCode.INVALID, f"{place}: {ticker} on {report_date} stands in line {line} already")
        if same_report(other, report_date):
            return err(
                ErrorCode.INVALID,
                f"{place}: {ticker} on {report_date}, but on {other} in line {line}; "
                f"reports more than {SAME_REPORT.days} days apart, or one date, are needed",
            )
    dates[report_date] = number
    return Ok(question)
