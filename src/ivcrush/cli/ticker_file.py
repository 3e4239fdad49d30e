"""A file with a ticker a line, as people and spreadsheets write it: BOM, CRLF, blank lines, `#` comments, commas.

A file that cannot be read as that is refused whole, with its line; nothing is skipped silently.
"""

import stat
from pathlib import Path

from ivcrush.cli.command import InputError
from ivcrush.domain.errors import Err
from ivcrush.domain.types import Ticker, parse_ticker

LARGEST_FILE = 1_000_000  # bytes: ten times all listed companies


def read_tickers(path: Path) -> tuple[Ticker, ...]:
    """Canonical tickers in their order, each once. Raises InputError naming the file, the line and the need."""
    tickers: dict[Ticker, None] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        for word in filter(None, map(str.strip, line.split("#", 1)[0].split(","))):
            ticker = parse_ticker(word)
            if isinstance(ticker, Err):
                raise InputError(f"{path}, line {number}: {ticker.error.message}")
            tickers[ticker.value] = None
    if not tickers:
        raise InputError(f"{path}: no ticker in it; one a line is needed")
    return tuple(tickers)


def _text(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: no regular file")
        if found.st_size > LARGEST_FILE:
            raise InputError(f"{path}: {found.st_size} bytes, at most {LARGEST_FILE} are taken")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from None
    if "\x00" in text:
        raise InputError(f"{path}: holds NUL bytes; a text file is needed")
    return text
