"""Reports, dividends, splits and raw bars out of Alpha Vantage's bytes; what is odd about a date is said."""

import json
from datetime import date
from typing import Any

import pytest

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import DailyBar, Dividend, PastReport, ScheduledReport, Split, Ticker
from ivcrush.infrastructure.api.alpha_vantage_parse import (
    parse_dividends,
    parse_past_reports,
    parse_raw_daily_bars,
    parse_scheduled_reports,
    parse_splits,
)

IBM = Ticker("IBM")
CALENDAR = MarketCalendar()
TODAY = date(2026, 5, 15)


def quarter(fiscal: Any, reported: Any, time: Any = "post-market", eps: Any = "1.5") -> dict[str, Any]:
    return {"fiscalDateEnding": fiscal, "reportedDate": reported, "reportedEPS": eps, "reportTime": time}


def past(*quarters: Any) -> tuple[PastReport, ...]:
    body = json.dumps({"symbol": "IBM", "quarterlyEarnings": list(quarters)}).encode()
    result = parse_past_reports(body, IBM, today=TODAY, calendar=CALENDAR)
    assert isinstance(result, Ok), result
    return result.value


def test_past_reports_come_newest_first_with_their_session() -> None:
    reports = past(
        quarter("2025-09-30", "2025-10-22", "pre-market"),
        quarter("2026-03-31", "2026-04-22"),
        quarter("2025-12-31", "2026-01-28", "POST-MARKET "),
    )
    assert reports == (
        PastReport(date(2026, 4, 22), Timing.AMC, date(2026, 3, 31)),
        PastReport(date(2026, 1, 28), Timing.AMC, date(2025, 12, 31)),
        PastReport(date(2025, 10, 22), Timing.BMO, date(2025, 9, 30)),
    )


@pytest.mark.parametrize("missing", ["None", "", "-", None, " none "])
def test_a_quarter_without_reported_earnings_was_not_reported(missing: Any) -> None:
    reports = past(quarter("2026-03-31", "2026-05-14", eps=missing), quarter("2025-12-31", "2026-01-28", eps=-0.2))
    assert [report.report_date for report in reports] == [date(2026, 1, 28)]


def test_a_report_of_today_is_made_and_one_of_tomorrow_is_not() -> None:
    reports = past(quarter("2026-03-31", "2026-05-15"), quarter("2026-04-30", "2026-05-16"))
    assert [report.report_date for report in reports] == [TODAY]


@pytest.mark.parametrize(
    ("said", "timing"),
    [(None, Timing.UNKNOWN), ("unknown", Timing.UNKNOWN), ("Pre-Market", Timing.BMO), ("during-market", Timing.DMH)],
)
def test_the_session_is_never_assumed(said: Any, timing: Timing) -> None:
    (report,) = past(quarter("2026-03-31", "2026-04-22", said))
    assert report.timing is timing


@pytest.mark.parametrize(
    ("fiscal", "reported", "flags"),
    [
        ("2026-03-31", "2026-04-09", ("implausible_report_date",)),  # 9 days
        ("2026-03-31", "2026-04-10", ()),  # 10 days
        ("2025-12-31", "2026-04-30", ()),  # 120 days
        ("2025-12-31", "2026-05-01", ("implausible_report_date",)),  # 121 days
        ("2026-03-31", "2026-04-18", ("report_on_closed_day",)),  # a Saturday
        ("2025-12-31", "2026-04-03", ("report_on_closed_day",)),  # Good Friday
        (None, "2026-04-22", ()),
    ],
)
def test_odd_dates_are_flagged(fiscal: Any, reported: str, flags: tuple[str, ...]) -> None:
    (report,) = past(quarter(fiscal, reported))
    assert report.flags == flags


def test_of_two_quarters_with_one_report_date_the_one_that_fits_stays() -> None:
    (report,) = past(quarter("2021-09-30", "2021-09-30", None), quarter("2021-06-30", "2021-09-30", None))
    assert report.fiscal_period_end == date(2021, 6, 30)
    assert report.flags == ("duplicate_report_date",)


@pytest.mark.parametrize(
    ("first", "second", "timing"),
    [
        ("pre-market", "post-market", Timing.UNKNOWN),
        ("post-market", None, Timing.AMC),
        (None, None, Timing.UNKNOWN),
    ],
)
def test_rows_of_one_date_that_contradict_leave_the_session_unknown(first: Any, second: Any, timing: Timing) -> None:
    (report,) = past(quarter("2026-03-31", "2026-04-22", first), quarter("2026-03-31", "2026-04-22", second))
    assert report.timing is timing
    assert report.flags == ("duplicate_report_date",)


def test_of_several_dates_of_one_quarter_the_earliest_that_fits_stays() -> None:
    (report,) = past(
        quarter("2025-12-31", "2026-02-10"), quarter("2025-12-31", "2026-01-02"), quarter("2025-12-31", "2026-01-28")
    )
    assert report.report_date == date(2026, 1, 28)
    assert report.flags == ("duplicate_fiscal_period",)


def test_rows_without_a_date_are_left_out() -> None:
    assert len(past(quarter("2026-03-31", "None"), quarter("2026-03-31", 20260422), quarter(None, "2026-04-22"))) == 1


@pytest.mark.parametrize("body", [b"{}", b'{"symbol":"LMAO"}', b'{"quarterlyEarnings":[]}'])
def test_a_company_without_reports_is_nodata(body: bytes) -> None:
    result = parse_past_reports(body, IBM, today=TODAY, calendar=CALENDAR)
    assert isinstance(result, Err)
    assert result.error == AppError(ErrorCode.NODATA, "IBM: Alpha Vantage knows no past report", (("ticker", IBM),))


def scheduled(text: str | bytes) -> tuple[ScheduledReport, ...]:
    result = parse_scheduled_reports(text if isinstance(text, bytes) else text.encode(), calendar=CALENDAR)
    assert isinstance(result, Ok), result
    return result.value


HEADER = "symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay\r\n"


def test_a_date_with_a_session_is_confirmed_and_one_without_is_estimated() -> None:
    ibm, xyz = scheduled(
        HEADER
        + "XYZ,XYZ,2026-07-23,2026-06-30,,USD,\r\nIBM,INTL BUSINESS,2026-07-22,2026-06-30,2.95,USD,post-market\r\n"
    )
    assert (ibm.ticker, ibm.report_date, ibm.timing, ibm.status) == (
        IBM, date(2026, 7, 22), Timing.AMC, DateStatus.CONFIRMED,
    )  # fmt: skip
    assert (ibm.name, ibm.source) == ("INTL BUSINESS", ReportSource.ALPHA_VANTAGE)
    assert (xyz.timing, xyz.status, xyz.flags) == (Timing.UNKNOWN, DateStatus.ESTIMATED, ())


def test_a_closed_day_is_an_estimate_whatever_stands_beside_it() -> None:
    (juneteenth,) = scheduled(HEADER + "ABC,ABC,2026-06-19,2026-03-31,,USD,pre-market\r\n")
    assert (juneteenth.status, juneteenth.flags) == (DateStatus.ESTIMATED, ("report_on_closed_day",))


def test_two_spellings_with_two_dates_stay_and_say_so() -> None:
    first, second = scheduled(
        HEADER + "BF.B,BF,2026-06-04,2026-04-30,,USD,pre-market\r\nBF-B,BF,2026-06-10,2026-04-30,,USD,\r\n"
    )
    assert (first.ticker, second.ticker) == ("BF.B", "BF.B")
    assert first.flags == second.flags == ("date_conflict",)
    assert (first.status, second.status) == (DateStatus.CONFIRMED, DateStatus.ESTIMATED)


def test_two_spellings_with_one_date_are_one_report_with_the_session_that_is_known() -> None:
    (report,) = scheduled(HEADER + "BF-A,BF,2026-06-04,,,USD,\r\nBF.A,BF,2026-06-04,,,USD,pre-market\r\n")
    assert (report.timing, report.flags) == (Timing.BMO, ())


@pytest.mark.parametrize("sessions", [("pre-market", "post-market"), ("post-market", "pre-market")])
def test_two_spellings_with_one_date_and_two_sessions_leave_the_session_unknown(sessions: tuple[str, str]) -> None:
    first, second = sessions
    (report,) = scheduled(HEADER + f"BF-A,BF,2026-06-04,,,USD,{first}\r\nBF.A,BF,2026-06-04,,,USD,{second}\r\n")
    assert (report.timing, report.status) == (Timing.UNKNOWN, DateStatus.ESTIMATED)


@pytest.mark.parametrize(("second", "flags"), [("2026-07-16", ("date_conflict",)), ("2026-07-17", ())])
def test_two_dates_of_one_company_conflict_up_to_45_days_apart(second: str, flags: tuple[str, ...]) -> None:
    reports = scheduled(HEADER + f"BF.B,BF,2026-06-01,,,USD,\r\nBF-B,BF,{second},,,USD,\r\n")
    assert [report.flags for report in reports] == [flags, flags]


def test_a_calendar_without_names_and_with_broken_letters_is_read() -> None:
    (report,) = scheduled(b"symbol,reportDate,what\nIBM,2026-07-22T00:00,\xff\n")
    assert (report.name, report.report_date) == ("", date(2026, 7, 22))


def test_two_quarters_of_one_company_are_no_conflict() -> None:
    reports = scheduled(HEADER + "IBM,I,2026-07-22,2026-06-30,,USD,\r\nIBM,I,2026-10-21,2026-09-30,,USD,\r\n")
    assert [report.flags for report in reports] == [(), ()]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + "IBM,I,2026-07-22,2026-06-30,,USD,post-market\r\n",
        "symbol,reportDate,timeOfTheDay\nIBM,2026-07-22,post-market\n",
        '"symbol", "reportDate", "timeOfTheDay"\nIBM, 2026-07-22, post-market',
        "timeOfTheDay,new,reportDate,symbol\npost-market,x,2026-07-22,ibm\n",
        HEADER + 'IBM,"I, ""B""\nM",2026-07-22,2026-06-30,,USD,post-market',
        HEADER + "IBM,I,2026-07-22,2026-06-30,,USD,post-market,surplus\r\nTOO,SHORT\r\n\r\n",
        HEADER + "NOT A TICKER,x,2026-07-22,,,USD,\r\nXYZ,x,soon,,,USD,\r\nI\0BM,I,2026-07-22,,,USD,post-market\r\n",
    ],
)
def test_columns_are_found_by_name_and_bad_rows_are_left_out(text: str) -> None:
    (report,) = scheduled(text)
    assert (report.ticker, report.report_date, report.timing) == (IBM, date(2026, 7, 22), Timing.AMC)


def test_a_header_alone_means_that_nothing_is_scheduled() -> None:
    assert scheduled(HEADER) == ()


@pytest.mark.parametrize("text", [b"", b"{}", b"symbol,name\nIBM,I\n"])
def test_without_the_needed_columns_it_is_invalid(text: bytes) -> None:
    result = parse_scheduled_reports(text, calendar=CALENDAR)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert result.error.message.endswith(" reportDate")


def test_all_columns_that_are_missing_are_named() -> None:
    result = parse_scheduled_reports(b"name\nI\n", calendar=CALENDAR)
    assert isinstance(result, Err)
    assert result.error.message == "Alpha Vantage: EARNINGS_CALENDAR without column symbol, reportDate"


def test_a_field_past_the_csv_limit_is_invalid() -> None:
    result = parse_scheduled_reports(HEADER.encode() + b"I" * 200_000, calendar=CALENDAR)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert result.error.message.startswith("Alpha Vantage: EARNINGS_CALENDAR unreadable (field larger")


def test_dividends_rise_and_what_has_no_date_or_amount_is_left_out() -> None:
    rows = [
        {"ex_dividend_date": "2026-05-08", "amount": "1.69"},
        {"ex_dividend_date": "2026-02-10 00:00:00", "amount": 0.68},
        {"ex_dividend_date": "None", "amount": "1"},
        {"ex_dividend_date": None, "amount": "1"},
        {"ex_dividend_date": "2025-01-01", "amount": "None"},
        {"ex_dividend_date": "2025-01-01", "amount": "-1"},
        {"ex_dividend_date": "2025-01-01", "amount": "Infinity"},
        "not a row",
    ]
    body = json.dumps({"symbol": "IBM", "data": rows}).encode()
    assert parse_dividends(body, IBM) == Ok((Dividend(date(2026, 2, 10), 0.68), Dividend(date(2026, 5, 8), 1.69)))


def test_splits_rise_with_spin_offs_among_them() -> None:
    rows = [
        {"effective_date": "2021-11-04", "split_factor": "1.0460"},
        {"effective_date": "1999-05-27", "split_factor": "2.0000"},
        {"effective_date": "2000-01-01", "split_factor": "0"},
    ]
    body = json.dumps({"symbol": "IBM", "data": rows}).encode()
    assert parse_splits(body, IBM) == Ok((Split(date(1999, 5, 27), 2.0), Split(date(2021, 11, 4), 1.046)))


def test_no_dividends_and_no_splits_are_empty() -> None:
    assert parse_dividends(b'{"symbol":"X","data":[]}', IBM) == parse_splits(b"{}", IBM) == Ok(())


def bar(close: Any = "121.79", **more: Any) -> dict[str, Any]:
    return {
        "1. open": "122.67",
        "2. high": "122.80",
        "3. low": "121.06",
        "4. close": close,
        "5. volume": "2538547",
    } | more


def test_raw_bars_rise_bad_ones_are_left_out_and_an_absurd_volume_is_none() -> None:
    series = {
        "2020-05-08": bar(),
        "2020-05-07": bar("121.23", **{"5. volume": "NaN"}),
        "2020-05-06": bar("121.30", **{"5. volume": "1e20"}),
        "2020-05-04": bar("None"),
        "2020-05-05": bar("-1"),
        "2020-05-01": bar("0"),
        "2020-04-30": bar("0.5", **{"3. low": "0.4"}),
        "someday": bar(),
    }
    body = json.dumps({"Meta Data": {"2. Symbol": "IBM"}, "Time Series (Daily)": series}).encode()
    result = parse_raw_daily_bars(body, IBM)
    assert isinstance(result, Ok)
    assert result.value == (
        DailyBar(date(2020, 4, 30), 122.67, 122.80, 0.4, 0.5, 2538547),
        DailyBar(date(2020, 5, 6), 122.67, 122.80, 121.06, 121.30, 0),
        DailyBar(date(2020, 5, 7), 122.67, 122.80, 121.06, 121.23, 0),
        DailyBar(date(2020, 5, 8), 122.67, 122.80, 121.06, 121.79, 2538547),
    )


@pytest.mark.parametrize("body", [b"{}", b'{"Time Series (Daily)":null}'])
def test_no_raw_bars_are_nodata(body: bytes) -> None:
    result = parse_raw_daily_bars(body, IBM)
    assert isinstance(result, Err)
    assert result.error == AppError(ErrorCode.NODATA, "IBM: Alpha Vantage has no daily bars", (("ticker", IBM),))


@pytest.mark.parametrize(
    ("parse", "what"),
    [(parse_dividends, "DIVIDENDS"), (parse_splits, "SPLITS"), (parse_raw_daily_bars, "TIME_SERIES_DAILY")],
)
def test_what_is_no_json_is_invalid(parse: Any, what: str) -> None:
    result = parse(b"<html>", IBM)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert result.error.message.startswith(f"Alpha Vantage: {what} of IBM: unreadable JSON")


def test_past_reports_that_are_no_json_are_invalid() -> None:
    result = parse_past_reports(b"<html>", IBM, today=TODAY, calendar=CALENDAR)
    assert isinstance(result, Err)
    assert result.error.message.startswith("Alpha Vantage: EARNINGS of IBM: unreadable JSON")
