"""A file of market capitalisations: the header `ticker,market_cap_millions`, then one company a line.

Taken: what spreadsheets and screeners write: a byte order mark, any line ends, blank lines, lines that begin with `#`,
quotes, commas, semicolons or tabs, other columns. A line that cannot be used is named and leaves the others alone; an
empty one, or `-` or `n/a`, means unknown. Asks nobody.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ivcrush.cli.command import InputError
from ivcrush.cli.text_file import read_text
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import Ticker, parse_ticker
from ivcrush.utils.text import printable

LARGEST_FILE = 5_000_000  # bytes: ten times all listed companies
LARGEST_CAP_MILLIONS = 100_000_000.0  # above it somebody wrote dollars
_COLUMNS = ("ticker", "market_cap_millions")
_HEADER = ",".join(_COLUMNS)
_SEPARATORS = (",", ";", "\t")
_UNKNOWN = frozenset({"", "-", "n/a", "na", "none", "null"})
_AMOUNT = re.compile(r"\$? ?(?P<whole>[0-9]{1,3}(,[0-9]{3})+|[0-9]{1,15})(?P<part>\.[0-9]{0,15})?")


@dataclass(frozen=True, slots=True)
class MarketCaps:
    """Millions of dollars by company, and the lines that cannot be used, each named."""

    caps_millions: Mapping[Ticker, float]
    unusable: tuple[TickerFailure, ...]


@dataclass(frozen=True, slots=True)
class _Columns:
    separator: str
    ticker: int
    cap: int


def read_market_caps(path: Path) -> MarketCaps:
    """The file's capitalisations. Raises InputError, naming the file and the need, for one without any."""
    lines = _with_data(read_text(path, LARGEST_FILE))
    columns = _columns(path, lines)
    caps: dict[Ticker, float] = {}
    unusable: list[TickerFailure] = []
    for number, line in lines:
        row = _row(line, columns)
        if isinstance(row, Ok) and row.value is not None:
            ticker, cap = row.value
            if caps.setdefault(ticker, cap) == cap:
                continue
            row = err(ErrorCode.INVALID, f"{ticker}: {cap:g} here and {caps[ticker]:g} further up; one is needed")
        if isinstance(row, Err):
            place = f"line {number}"
            unusable.append(
                TickerFailure(place, AppError(row.error.code, f"{path.name}, {place}: {row.error.message}"))
            )
    if not caps:
        first = f"; {unusable[0].error.message}" if unusable else ""
        raise InputError(f"{path}: no market capitalisation in it; one company a line is needed{first}")
    return MarketCaps(caps, tuple(unusable))


def _with_data(text: str) -> Iterator[tuple[int, str]]:
    """1-based numbers and texts of the lines that are neither blank nor comments."""
    return (
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip(' \t,;"') and not line.lstrip().startswith("#")
    )


def _columns(path: Path, lines: Iterator[tuple[int, str]]) -> _Columns:
    number, line = next(lines, (1, ""))
    for separator in _SEPARATORS:
        names = [name.strip(' "').lower() for name in line.split(separator)]
        if all(names.count(column) == 1 for column in _COLUMNS):
            return _Columns(separator, *map(names.index, _COLUMNS))
    raise InputError(f"{path}, line {number}: the header {_HEADER} is needed")


def _row(line: str, columns: _Columns) -> Result[tuple[Ticker, float] | None]:
    """A line's company and capitalisation, None where that is unknown. Errors: INVALID."""
    try:
        cells = next(csv.reader([line], delimiter=columns.separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        return err(ErrorCode.INVALID, f"no row of a CSV file: {error}")
    if len(cells) <= max(columns.ticker, columns.cap):
        return err(ErrorCode.INVALID, f"{len(cells)} cells, a ticker and an amount are needed")
    ticker = parse_ticker(cells[columns.ticker])
    if isinstance(ticker, Err):
        return ticker
    text = cells[columns.cap].strip()
    if text.lower() in _UNKNOWN:
        return Ok(None)
    found = _AMOUNT.fullmatch(text)
    cap = 0.0 if found is None else float(found["whole"].replace(",", "") + (found["part"] or ""))
    if not 0 < cap <= LARGEST_CAP_MILLIONS:
        need = f"millions of dollars, above 0 and up to {LARGEST_CAP_MILLIONS:,.0f}, are needed"
        return err(ErrorCode.INVALID, f"{ticker.value}: market_cap_millions {printable(text, 40)!r}: {need}")
    return Ok((ticker.value, cap))
