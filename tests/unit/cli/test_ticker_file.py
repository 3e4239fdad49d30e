"""Files of tickers as people and spreadsheets write them."""

import os
from pathlib import Path

import pytest

from ivcrush.cli.command import InputError
from ivcrush.cli.ticker_file import LARGEST_FILE, read_tickers


def test_byte_order_mark_line_ends_commas_comments_and_case_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "tickers.txt"
    path.write_bytes(b"\xef\xbb\xbfaapl,MSFT\r\n\r# none here: X1\rbrk/b  # Berkshire\nAAPL")
    assert read_tickers(path) == ("AAPL", "MSFT", "BRK.B")


def test_a_ticker_that_spells_a_number_or_a_truth_stays_a_ticker(tmp_path: Path) -> None:
    path = tmp_path / "tickers.txt"
    path.write_text("TRUE\nNAN\nNULL\nA\n")
    assert read_tickers(path) == ("TRUE", "NAN", "NULL", "A")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"AAPL\n\n1\n", "line 3: ticker '1'"),
        ("AAPL\nФ\n".encode(), "line 2: ticker"),
        (b"AAPL\xe9\n", "not UTF-8 at byte 4"),
        (b"A\0B", "holds NUL bytes"),
        (b"", "no ticker in it"),
        (b"A\n" * LARGEST_FILE, "2000000 bytes, at most 1000000 are taken"),
    ],
)
def test_a_file_that_is_no_list_of_tickers_is_refused_whole(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "tickers.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as refused:
        read_tickers(path)
    assert str(path) in str(refused.value)


def test_what_is_no_plain_file_is_refused_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="no regular file"):
            read_tickers(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_tickers(tmp_path / "missing")
