"""A file of market capitalisations as screeners write it: what can be read is, and what cannot is named by its line."""

from pathlib import Path

import pytest

from ivcrush.cli.command import InputError
from ivcrush.cli.market_caps import LARGEST_FILE, MarketCaps, read_market_caps

HEADER = "ticker,market_cap_millions\n"


def read(directory: Path, content: str | bytes) -> MarketCaps:
    path = directory / "caps.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_market_caps(path)


def told(found: MarketCaps) -> list[tuple[str, str]]:
    return [(each.ticker, each.error.message) for each in found.unusable]


def test_a_company_a_line_with_millions_of_dollars(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + "AAPL,3100000\nbrk-b,985000.5\n")
    assert (found.caps_millions, found.unusable) == ({"AAPL": 3_100_000.0, "BRK.B": 985_000.5}, ())


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfticker,market_cap_millions\r\nIBM,215000\r\n",
        b"# from the screener\n\nTicker;Name;Market_Cap_Millions\nIBM;Big Blue, Inc.;215000\n;;\n",
        b'"ticker"\t"market_cap_millions"\nIBM\t215000\n',
        b'market_cap_millions,ticker\n"215,000",IBM\n',
        b'ticker,market_cap_millions\nIBM,"$215,000.00"\nIBM,215000\n',
        b"ticker, market_cap_millions\n IBM , 215000. \n",
    ],
    ids=["mark and CRLF", "semicolons and more columns", "tabs and quotes", "other order", "dollars, twice", "spaces"],
)
def test_the_usual_spellings_are_one(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == MarketCaps({"IBM": 215_000.0}, ())  # type: ignore[dict-item]


@pytest.mark.parametrize("text", ["", "-", "N/A", "null"])
def test_an_unknown_capitalisation_is_no_fault_and_none_is_kept(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, f"{HEADER}IBM,{text}\nAAPL,1\n")
    assert (found.caps_millions, found.unusable) == ({"AAPL": 1.0}, ())


@pytest.mark.parametrize(
    ("line", "need"),
    [
        ("IBM,215B", "IBM: market_cap_millions '215B': millions of dollars, above 0 and up to 100,000,000, are needed"),
        ("IBM,0", "IBM: market_cap_millions '0': millions of dollars, above 0 and up to 100,000,000, are needed"),
        ("IBM,-5", "IBM: market_cap_millions '-5': millions"),
        ("IBM,215000000000", "IBM: market_cap_millions '215000000000': millions"),
        ("IBM,nan", "IBM: market_cap_millions 'nan': millions"),
        ("IBM,1e5", "IBM: market_cap_millions '1e5': millions"),
        ('IBM,"12,34"', "IBM: market_cap_millions '12,34': millions"),
        ("IBM", "1 cells, a ticker and an amount are needed"),
        ("^SPX,5", "ticker '^SPX': 1 to 6 letters"),
        ('IBM,"5', "no row of a CSV file: "),
        ("AAPL,2", "AAPL: 2 here and 1 further up; one is needed"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_others_count(tmp_path: Path, line: str, need: str) -> None:
    found = read(tmp_path, f"{HEADER}AAPL,1\n\n{line}\nMSFT,3\n")
    assert found.caps_millions == {"AAPL": 1.0, "MSFT": 3.0}
    ((label, message),) = told(found)
    assert label == "line 4"
    assert message.startswith(f"caps.csv, line 4: {need}")


@pytest.mark.parametrize(
    ("content", "need"),
    [
        ("", "line 1: the header ticker,market_cap_millions is needed"),
        ("AAPL,3100000\n", "line 1: the header ticker,market_cap_millions is needed"),
        ("\nticker,market_cap\nAAPL,1\n", "line 2: the header ticker,market_cap_millions is needed"),
        ("ticker,ticker,market_cap_millions\nA,A,1\n", "line 1: the header"),
        (HEADER, "no market capitalisation in it; one company a line is needed"),
        (HEADER + "IBM,big\n", "one company a line is needed; caps.csv, line 2: IBM: market_cap_millions 'big'"),
    ],
)
def test_a_file_without_any_is_refused_whole(tmp_path: Path, content: str, need: str) -> None:
    with pytest.raises(InputError, match=r"caps\.csv") as refused:
        read(tmp_path, content)
    assert need in str(refused.value)


def test_a_file_of_any_other_size_or_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most"):
        read(tmp_path, HEADER + " " * LARGEST_FILE)
    with pytest.raises(InputError, match="no regular file"):
        read_market_caps(tmp_path)
