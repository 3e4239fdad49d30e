"""Files of tickers as people and spreadsheets write them."""

import os
from pathlib import Path

import pytest

from ivcrush.cli.command import InputError
from ivcrush.cli.ticker_file import LARGEST_FILE, read_tickers


def test_byte_order_mark_line_ends_commas_comments_and_case_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "tickers.txt"
    path.write_bytes(b"\xef\xbb\xbfaapl,MSFT\r\n\r# none here: X1\rbrk/b  # Berkshire\nAAPL")
    assert read_tickers(path).tickers == ("AAPL", "MSFT", "BRK.B")


def test_a_ticker_that_spells_a_number_or_a_truth_stays_a_ticker(tmp_path: Path) -> None:
    path = tmp_path / "tickers.txt"
    path.write_text("TRUE\nNAN\nNULL\nA\n")
    assert read_tickers(path).tickers == ("TRUE", "NAN", "NULL", "A")


def test_what_is_no_ticker_is_named_with_its_line_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "tickers.txt"
    path.write_bytes("AAPL\n\n1, MSFT\n\x1b[2J Ф and much more than twenty\n".encode())
    found = read_tickers(path)
    assert found.tickers == ("AAPL", "MSFT")
    assert found.unusable[0].ticker == "1"
    assert all(len(each.ticker) <= 20 and each.ticker.isprintable() for each in found.unusable)
    messages = [(each.error.code, each.error.message.split(": ")[0]) for each in found.unusable]
    assert messages == [("INVALID", "tickers.txt, line 3"), ("INVALID", "tickers.txt, line 4")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\n\n1\n?\n", "no ticker in it; one a line is needed: tickers.txt, line 3: ticker '1'"),
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
