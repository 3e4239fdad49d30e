"""A file with a ticker a line, as people and spreadsheets write it: BOM, CRLF, blank lines, `#` comments, commas.

A file that cannot be read as that is refused whole, with its line; nothing is skipped silently.
"""

from pathlib import Path

from ivcrush.cli.command import InputError
from ivcrush.cli.text_file import read_text
from ivcrush.domain.errors import Err
from ivcrush.domain.types import Ticker, parse_ticker

LARGEST_FILE = 1_000_000  # bytes: ten times all listed companies


def read_tickers(path: Path) -> tuple[Ticker, ...]:
    """Canonical tickers in their order, each once. Raises InputError naming the file, the line and the need."""
    tickers: dict[Ticker, None] = {}
    for number, line in enumerate(read_text(path, LARGEST_FILE).splitlines(), 1):
        for word in filter(None, map(str.strip, line.split("#", 1)[0].split(","))):
            ticker = parse_ticker(word)
            if isinstance(ticker, Err):
                raise InputError(f"{path}, line {number}: {ticker.error.message}")
            tickers[ticker.value] = None
    if not tickers:
        raise InputError(f"{path}: no ticker in it; one a line is needed")
    return tuple(tickers)
