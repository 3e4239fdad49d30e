"""Calendar files as people and spreadsheets write them."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.cli.command import InputError
from ivcrush.cli.earnings_csv import LARGEST_FILE, MOST_ROWS, EarningsFile, read_earnings
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import Ticker

HEADER = "ticker,earnings_date,expiration_date\n"
IBM = ReportQuestion(Ticker("IBM"), date(2026, 5, 20), None, date(2026, 5, 22))
NVDA = ReportQuestion(Ticker("NVDA"), date(2026, 5, 27))


def read(directory: Path, content: str | bytes) -> EarningsFile:
    path = directory / "calendar.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_earnings(path)


def questions(file: EarningsFile) -> list[tuple[int, ReportQuestion]]:
    return [(row.line, row.question.value) for row in file.rows if isinstance(row.question, Ok)]


def told(file: EarningsFile) -> list[tuple[int, str, str]]:
    """Line, label and message of the rows that cannot be used."""
    rows = [(row, row.question.error) for row in file.rows if isinstance(row.question, Err)]
    assert {error.code for _, error in rows} <= {ErrorCode.INVALID}
    return [(row.line, row.label, error.message) for row, error in rows]


@pytest.mark.parametrize(
    "content",
    [
        HEADER + "IBM,2026-05-20,2026-05-22\nNVDA,2026-05-27,\n",
        HEADER + "IBM,2026-05-20,2026-05-22\nNVDA,2026-05-27,",
        "\ufeff" + (HEADER + "IBM,2026-05-20,2026-05-22\nNVDA,2026-05-27,\n").replace("\n", "\r\n"),
        (HEADER + "IBM,2026-05-20,2026-05-22\nNVDA,2026-05-27,\n").replace("\n", "\r"),
        (HEADER + "IBM,2026-05-20,2026-05-22\nNVDA,2026-05-27,\n").replace(",", ";"),
        (HEADER + "IBM,2026-05-20,2026-05-22\nNVDA,2026-05-27,\n").replace(",", "\t"),
        '"ticker";"earnings_date";"expiration_date"\n"IBM";"2026-05-20";"2026-05-22"\n"NVDA";"2026-05-27";""\n',
        " Expiration_Date , TICKER,Earnings_date\n 2026-05-22 , ibm , 2026-05-20\n,\tnvda,2026-05-27\n",
        HEADER + '  "IBM",  "2026-05-20", "2026-05-22"\n "NVDA", "2026-05-27",\n',
        "ticker,earnings_date,expiration_date,,\nIBM,2026-05-20,2026-05-22,,\nNVDA,2026-05-27,,,\n",
    ],
    ids=[
        "plain",
        "no last newline",
        "BOM and CRLF",
        "CR",
        "semicolons",
        "tabs",
        "quotes",
        "order",
        "quotes after spaces",
        "empty columns",
    ],
)
def test_the_same_two_reports_are_read_however_the_file_is_written(tmp_path: Path, content: str) -> None:
    file = read(tmp_path, content)
    assert questions(file) == [(2, IBM), (3, NVDA)]
    assert file.remarks == ()


def test_comments_and_blank_rows_are_no_rows_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    content = '# May; "quoted\n\n' + HEADER + "\n  # note\nIBM,2026-05-20,2026-05-22\n , ,\n,,\nNVDA,2026-05-27,\n"
    assert questions(read(tmp_path, content)) == [(6, IBM), (9, NVDA)]


def test_a_comment_may_be_indented_and_dates_alone_are_enough(tmp_path: Path) -> None:
    file = read(tmp_path, "ticker,earnings_date\n   # next week\nNVDA,2026-05-27\n")
    assert (questions(file), told(file)) == ([(3, NVDA)], [])


def test_an_expiration_on_the_day_of_the_report_is_taken(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "IBM,2026-05-22,2026-05-22\n")
    assert questions(file) == [(2, ReportQuestion(Ticker("IBM"), date(2026, 5, 22), None, date(2026, 5, 22)))]


def test_a_number_sign_inside_a_row_begins_no_comment(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "IBM,2026-05-20,2026-05-22 # sure\n")
    reason = "expiration_date: date '2026-05-22 # sure': a calendar day as YYYY-MM-DD is needed"
    assert told(file) == [(2, "IBM", f"calendar.csv, line 2: {reason}")]


def test_a_quoted_newline_belongs_to_its_cell_and_the_next_row_keeps_its_line(tmp_path: Path) -> None:
    content = 'ticker,note,earnings_date\nIBM,"two\r\n# lines, here",2026-05-20\nNVDA,"say ""so""",2026-05-27\n'
    file = read(tmp_path, content)
    assert [(row.line, row.label) for row in file.rows] == [(2, "IBM"), (4, "NVDA")]
    assert told(file) == []


def test_unknown_columns_are_ignored_with_one_remark_that_names_them(tmp_path: Path) -> None:
    file = read(tmp_path, "sector,ticker,,earnings_date,\x1bEPS\nTech,IBM,x,2026-05-20,1.2\n")
    assert file.remarks == ("calendar.csv: columns ignored: sector, column 3, \\x1beps",)
    assert questions(file) == [(2, ReportQuestion(Ticker("IBM"), date(2026, 5, 20)))]


def test_the_session_is_taken_in_any_case_and_left_to_be_found_where_it_is_empty(tmp_path: Path) -> None:
    rows = "A,2026-05-20,bmo\nB,2026-05-20,Amc\nC,2026-05-20,DMH\nD,2026-05-20,\n"
    file = read(tmp_path, "ticker,earnings_date,timing\n" + rows)
    assert [question.timing for _, question in questions(file)] == [Timing.BMO, Timing.AMC, Timing.DMH, None]


def test_a_ticker_that_spells_a_number_or_a_truth_stays_a_ticker(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "TRUE,2026-05-20,\nnan,2026-05-20,\nNULL,2026-05-20,\nbrk/b,2026-05-20,\n")
    assert [question.ticker for _, question in questions(file)] == ["TRUE", "NAN", "NULL", "BRK.B"]
    assert [row.label for row in file.rows] == ["TRUE", "nan", "NULL", "brk/b"]


DAY_NEEDED = "a calendar day as YYYY-MM-DD is needed"


@pytest.mark.parametrize(
    ("row", "label", "reason"),
    [
        (",2026-05-20,,", "line 3", "ticker is empty; a company is needed (AAPL, BRK.B)"),
        ("1,2026-05-20,,", "1", "ticker '1': 1 to 6 letters with an optional class are needed (AAPL, BRK.B)"),
        ("IBM,,,", "IBM", f"earnings_date: date '': {DAY_NEEDED}"),
        ("IBM,05/20/2026,,", "IBM", f"earnings_date: date '05/20/2026': {DAY_NEEDED}"),
        ("IBM,20260520,,", "IBM", f"earnings_date: date '20260520': {DAY_NEEDED}"),
        ("IBM,2026-02-30,,", "IBM", f"earnings_date: date '2026-02-30': {DAY_NEEDED}"),
        ("IBM,2026-05-20,soon,", "IBM", f"expiration_date: date 'soon': {DAY_NEEDED}"),
        (
            "IBM,2026-05-20,2026-05-19,",
            "IBM",
            "expiration_date 2026-05-19: a day on or after the report of 2026-05-20 is needed",
        ),
        ("IBM,2026-05-20,,UNKNOWN", "IBM", "timing 'UNKNOWN': BMO, AMC, DMH or nothing is needed"),
        ("IBM,2026-05-20,,\x1b[2J", "IBM", "timing '\\\\x1b[2J': BMO, AMC, DMH or nothing is needed"),
        ("IBM,2026-05-20", "IBM", "row of length 2: 4 cells are needed, as in the header"),
        ("IBM,2026-05-20,,,BMO", "IBM", "row of length 5: 4 cells are needed, as in the header"),
        ("IBM;2026-05-20;;", "IBM;2026-05-20;;", "row of length 1: 4 cells are needed, as in the header"),
        ('IBM,"2026-05-20"x,,', "line 3", "no row of a CSV file: ',' expected after '\"'"),
        ("IBM," + "9" * 200_000 + ",,", "line 3", "no row of a CSV file: field larger than field limit (131072)"),
    ],
)
def test_a_bad_row_is_an_error_of_its_own_with_its_line_and_the_others_stay(
    tmp_path: Path, row: str, label: str, reason: str
) -> None:
    file = read(tmp_path, f"ticker,earnings_date,expiration_date,timing\nAAPL,2026-05-20,,\n{row}\nMSFT,2026-05-20,,\n")
    assert told(file) == [(3, label, f"calendar.csv, line 3: {reason}")]
    assert [(line, question.ticker) for line, question in questions(file)] == [(2, "AAPL"), (4, "MSFT")]


def test_a_label_is_harmless_and_at_most_20_characters(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + f"\x1b]0;x\u202e,2026-05-20,\n{'A' * 500},2026-05-20,\n")
    assert [label for _, label, _ in told(file)] == ["\\x1b]0;x\\u202e", "A" * 19 + "…"]


def test_the_same_report_again_is_an_error_that_names_the_first_line(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "BRK.B,2026-05-20,\nIBM,2026-05-20,\nbrk-b,2026-05-20,2026-05-22\n")
    assert told(file) == [(4, "brk-b", "calendar.csv, line 4: BRK.B on 2026-05-20 stands in line 2 already")]


def test_one_company_on_two_dates_needs_more_than_45_days_between_them(tmp_path: Path) -> None:
    # 2026-05-20 is day 140 of the year, 2026-07-04 day 185, 2026-07-05 day 186.
    file = read(tmp_path, HEADER + "IBM,2026-07-04,\nIBM,2026-05-20,\nA,2026-05-20,\nA,2026-07-05,\n")
    reason = "IBM on 2026-05-20, but on 2026-07-04 in line 2; reports more than 45 days apart, or one date, are needed"
    assert told(file) == [(3, "IBM", f"calendar.csv, line 3: {reason}")]
    assert [line for line, _ in questions(file)] == [2, 4, 5]


def test_a_row_that_cannot_be_used_is_no_first_one_of_its_report(tmp_path: Path) -> None:
    file = read(tmp_path, HEADER + "IBM,2026-05-20,never\nIBM,2026-05-20,2026-05-22\n")
    assert questions(file) == [(3, IBM)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", ": empty; the header ticker,earnings_date,expiration_date and one report a row are needed"),
        (b"\n# nothing\n", ": empty; the header"),
        (HEADER, ": no row below the header; one report a row is needed"),
        (HEADER + "\n,,\n", ": no row below the header"),
        ("IBM,2026-05-20,\n", ", line 1: no column ticker and earnings_date; the header ticker,earnings_date,exp"),
        ("\n# x\nticker,date\nIBM,2026-05-20\n", ", line 3: no column earnings_date; the header"),
        ("ticker,earnings_date, Ticker\nA,2026-05-20,B\n", ", line 1: column ticker stands there twice"),
        ('"ticker"x,earnings_date\nA,2026-05-20\n', ", line 1: no header: "),
        (HEADER + 'A,2026-05-20,\nB,"2026-05-20,\nC,2026-05-20,\n', ", line 3: a quote that opens here is not closed"),
        ((HEADER + "A,2026-05-20,\n").encode("utf-16"), ": not UTF-8 at byte 0; a UTF-8 text file is needed"),
        ((HEADER + "A,2026-05-20,\n").encode("utf-16-le"), ": holds NUL bytes; a UTF-8 text file is needed"),
        (HEADER.encode() + b"\xc9A,2026-05-20,\n", ": not UTF-8 at byte 37"),
        (b"A" * (LARGEST_FILE + 1), ": 5000001 bytes, at most 5000000 are taken"),
        (HEADER + "A,2026-05-20,\n" * (MOST_ROWS + 1), ", line 20002: one row more than the 20000 that are taken"),
    ],
)
def test_a_file_without_a_usable_form_is_refused_whole(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, content)
    assert str(refused.value).startswith(f"{tmp_path / 'calendar.csv'}{reason}")


def test_what_is_no_plain_file_is_refused_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match=f"{path}: no regular file"):
            read_earnings(path)
    with pytest.raises(InputError, match=r"missing: cannot be read: No such file"):
        read_earnings(tmp_path / "missing")
    with pytest.raises(InputError, match=r"cannot be read: "):
        read_earnings(Path("/proc/self/mem"))


def test_ten_thousand_companies_fit_and_keep_their_order(tmp_path: Path) -> None:
    letters = "ABCDEFGHIJ"
    names = [f"{a}{b}{c}{d}" for a in letters for b in letters for c in letters for d in letters]
    note = "x" * 400
    file = read(tmp_path, "ticker,earnings_date,note\n" + "".join(f"{name},2026-05-20,{note}\n" for name in names))
    assert [question.ticker for _, question in questions(file)] == names


CELLS = st.sampled_from(
    ["", " ", "IBM", "ibm", "brk/b", "\u2603", "2026-05-20", "2026-05-22", "05/20/2026", "BMO", "x", "#", "\x0b"]
)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=5).map(",".join), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.sampled_from(["\n", "\r", "\r\n"]))
def test_every_row_that_holds_anything_and_is_no_comment_is_accounted_for_once(
    tmp_path: Path, rows: list[str], line_end: str
) -> None:
    expected = [line for line, row in enumerate(rows, 2) if row.strip(", \x0b") and not row.strip().startswith("#")]
    content = line_end.join([HEADER.strip(), *rows])
    if not expected:
        with pytest.raises(InputError):
            read(tmp_path, content)
    else:
        assert [row.line for row in read(tmp_path, content).rows] == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["", HEADER, HEADER.replace(",", ";")]), st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_are_rows_or_a_refusal(tmp_path: Path, header: str, content: bytes) -> None:
    try:
        file = read(tmp_path, header.encode() + content)
    except InputError:
        return
    lines = [row.line for row in file.rows]
    assert lines == sorted(set(lines))
    assert all(0 < len(row.label) <= 20 and row.label.isprintable() for row in file.rows)
    dates = [(question.ticker, question.report_date) for _, question in questions(file)]
    assert len(dates) == len(set(dates))
