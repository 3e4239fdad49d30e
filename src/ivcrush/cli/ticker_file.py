"""A file with a ticker a line, as people and spreadsheets write it: BOM, CRLF, blank lines, `#` comments, commas.

What is no ticker is named with its line and leaves the others alone; only a file without any ticker is refused whole.
"""

from dataclasses import dataclass
from pathlib import Path

from ivcrush.cli.command import InputError
from ivcrush.cli.text_file import read_text
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode
from ivcrush.domain.types import Ticker, parse_ticker
from ivcrush.utils.text import printable

LARGEST_FILE = 1_000_000  # bytes: ten times all listed companies
_LONGEST_LABEL = 20


@dataclass(frozen=True, slots=True)
class TickerFile:
    """Canonical tickers in their order, each once, at least one; and what else stands there, INVALID with its line."""

    tickers: tuple[Ticker, ...]
    unusable: tuple[TickerFailure, ...]


def read_tickers(path: Path) -> TickerFile:
    """Everything in the file. Raises InputError naming the file and the need, and the first line that is no ticker."""
    tickers: dict[Ticker, None] = {}
    unusable: list[TickerFailure] = []
    for number, line in enumerate(read_text(path, LARGEST_FILE).splitlines(), 1):
        for word in filter(None, map(str.strip, line.split("#", 1)[0].split(","))):
            ticker = parse_ticker(word)
            if isinstance(ticker, Err):
                told = f"{path.name}, line {number}: {ticker.error.message}"
                unusable.append(TickerFailure(printable(word, _LONGEST_LABEL), AppError(ErrorCode.INVALID, told)))
            else:
                tickers[ticker.value] = None
    if not tickers:
        first = f": {unusable[0].error.message}" if unusable else ""
        raise InputError(f"{path}: no ticker in it; one a line is needed{first}")
    return TickerFile(tuple(tickers), tuple(unusable))
