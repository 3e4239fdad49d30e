"""Foreign text cannot steer a terminal, forge a log line or become a formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.utils.text import csv_cell, printable


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("AAPL\x1b[2J", "AAPL\\x1b[2J"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("price \u202egpj.exe", "price \\u202egpj.exe"),
        ("A\u200bAPL\ufeff", "A\\u200bAPL\\ufeff"),
        ("x\u2028y\u00a0z", "x\\u2028y\\xa0z"),
        ("nul\0", "nul\\x00"),
        ("lone \ud800", "lone \\ud800"),
        ("tag \U000e0041", "tag \\U000e0041"),
    ],
)
def test_controls_bidi_zero_width_and_newlines_are_shown_as_escapes(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


def test_ordinary_text_of_any_script_is_left_alone() -> None:
    assert printable("Société Générale 三菱 −5.1 %") == "Société Générale 三菱 −5.1 %"


def test_a_long_text_is_cut_to_the_limit_and_ends_with_an_ellipsis() -> None:
    assert printable("abcdef", limit=6) == "abcdef"
    assert printable("abcdefg", limit=6) == "abcde…"
    assert printable("\n" * 1_000_000, limit=6) == "\\n\\n\\…"


@given(st.text(alphabet=st.characters()), st.integers(1, 50))
def test_any_text_at_all_becomes_one_printable_line_within_the_limit(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"])
def test_a_text_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    assert csv_cell(start + "HYPERLINK(1)") == "'" + start + "HYPERLINK(1)"


def test_other_text_cells_stay_as_they_are() -> None:
    assert csv_cell("BRK.B") == "BRK.B"
    assert csv_cell("a=b") == "a=b"
    assert csv_cell("") == ""
