"""Every recorded payload read to what is known of it; expected figures are the recordings', not the parsers'."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ivcrush.domain.enums import DateStatus, SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import OptionChain, Ticker
from ivcrush.infrastructure.api.alpha_vantage_dialect import AlphaVantageDialect
from ivcrush.infrastructure.api.alpha_vantage_parse import (
    parse_dividends,
    parse_past_reports,
    parse_raw_daily_bars,
    parse_scheduled_reports,
    parse_splits,
)
from ivcrush.infrastructure.api.dialect import Answer, RateHeaders, Verdict
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from ivcrush.infrastructure.api.tradier_dialect import TradierDialect
from ivcrush.infrastructure.api.tradier_parse import (
    parse_bars,
    parse_clock,
    parse_expirations,
    parse_quotes,
    parse_session_days,
)

pytestmark = pytest.mark.shared
NOW = datetime(2026, 6, 15, 16, 0, tzinfo=UTC)
IBM = Ticker("IBM")


@pytest.fixture(scope="module")
def tradier(shared_dir: Path) -> Callable[[str], bytes]:
    return lambda name: (shared_dir / "payloads" / "tradier" / name).read_bytes()


@pytest.fixture(scope="module")
def alpha_vantage(shared_dir: Path) -> Callable[[str], bytes]:
    return lambda name: (shared_dir / "payloads" / "alphavantage" / name).read_bytes()


def chain_of(body: bytes, ticker: str) -> OptionChain:
    result = parse_chain(body, Ticker(ticker), date(2026, 1, 1))
    assert isinstance(result, Ok), result
    return result.value


def value(result: Any) -> Any:
    assert isinstance(result, Ok), result
    return result.value


def test_the_whole_vxx_chain_is_86_strikes_with_32_bids_of_zero(tradier: Callable[[str], bytes]) -> None:
    chain = chain_of(tradier("chain_VXX_2022-04-08_nogreeks_afterhours.json"), "VXX")
    assert len(chain.strikes) == chain.calls.present.sum() == chain.puts.present.sum() == 86
    assert (chain.calls.bid == 0).sum() + (chain.puts.bid == 0).sum() == 32
    assert (chain.strikes[0], chain.calls.bid[0], chain.calls.ask[0], chain.puts.ask[0]) == (10.0, 13.25, 15.7, 0.14)
    assert (chain.calls.open_interest[0], chain.calls.bid_size[0], chain.calls.ask_size[0]) == (11, 11, 10)
    assert chain.calls.quoted_at[0] == 1649102429.0
    assert (chain.dropped, chain.greeks_at, chain.expiration_type) == ((), None, "weeklys")
    assert not chain.calls.iv.any()


def test_greeks_of_a_saturday_are_of_fridays_close_in_utc(tradier: Callable[[str], bytes]) -> None:
    chain = chain_of(tradier("chain_PLTR_2024-12-20_greeks_saturday_excerpt.json"), "PLTR")
    assert chain.greeks_at == datetime(2024, 3, 8, 20, 59, 27, tzinfo=UTC)
    assert chain.strikes.tolist() == [3.0, 15.0]


@pytest.mark.parametrize(
    ("name", "ticker", "right", "strike", "iv"),
    [
        ("chain_TLT_2025-10-10_single_in_list.json", "TLT", "puts", 60.0, 0.0),  # bid_iv 0: one-sided
        ("option_PLTR_2025-11-07_weekly_one_as_object.json", "PLTR", "puts", 95.0, 1.864725),
        ("option_GDXJ_2026-09-11_zero_bid_expiry_day.json", "GDXJ", "calls", 129.0, 0.0),
        ("chain_docs_null_last_never_traded.json", "VXX", "puts", 16.0, 0.0),
    ],
)
def test_one_option_is_a_chain_of_one(
    tradier: Callable[[str], bytes], name: str, ticker: str, right: str, strike: float, iv: float
) -> None:
    chain = chain_of(tradier(name), ticker)
    assert chain.strikes.tolist() == [strike]
    assert getattr(chain, right).iv.tolist() == [iv]


def test_a_call_and_a_put_share_their_strike(tradier: Callable[[str], bytes]) -> None:
    chain = chain_of(tradier("chain_TSLA_2024-01-19_two_greeks.json"), "TSLA")
    assert (chain.strikes.tolist(), chain.calls.iv[0], chain.puts.iv[0]) == ([290.0], 0.701844, 0.0)


@pytest.mark.parametrize("name", ["chain_invalid_symbol.json", "expirations_none.json"])
def test_null_containers_are_nodata(tradier: Callable[[str], bytes], name: str) -> None:
    parse = (
        parse_expirations(tradier(name), IBM) if "exp" in name else parse_chain(tradier(name), IBM, date(2026, 1, 1))
    )
    assert isinstance(parse, Err)
    assert parse.error.code is ErrorCode.NODATA


@pytest.mark.parametrize(
    ("name", "ticker", "bid", "ask", "last"),
    [
        ("quote_AAPL_2020-05-01_afterhours_single.json", "AAPL", 290.4, 290.5, 289.07),
        ("quote_AAPL_2024-01-12_open_single.json", "AAPL", 186.08, 186.09, 186.07),
        ("quote_AMZN_2015-08-25_premarket_null_ohlc_two_roots.json", "AMZN", 477.2, 481.16, 463.37),
        ("quotes_C_GS_2024-07-11_adjusted_root.json", "GS", 478.66, 478.93, 478.7975),
        ("quotes_multi_2024-01-12.json", "AAPL", 185.54, 185.55, 185.565),
        ("quotes_one_plus_unmatched.json", "AAPL", 185.74, 185.75, 185.75),
    ],
)
def test_quotes(tradier: Callable[[str], bytes], name: str, ticker: str, bid: float, ask: float, last: float) -> None:
    asked = [Ticker(ticker), Ticker("SEFDF")]
    quotes = value(parse_quotes(tradier(name), asked))
    assert list(quotes) == [ticker]
    quote = quotes[Ticker(ticker)]
    assert (quote.bid, quote.ask, quote.last) == (bid, ask, last)


def test_an_unmatched_symbol_alone_is_no_quote(tradier: Callable[[str], bytes]) -> None:
    assert value(parse_quotes(tradier("quotes_unmatched_only.json"), [Ticker("SEFDF")])) == {}


def test_both_shapes_of_expirations(tradier: Callable[[str], bytes]) -> None:
    plain = value(parse_expirations(tradier("expirations_dates_TSLA.json"), Ticker("TSLA")))
    assert (len(plain), plain[0], plain[-1]) == (22, date(2024, 1, 12), date(2026, 6, 18))
    detailed = value(parse_expirations(tradier("expirations_full_weeklys_standard_quarterlys.json"), Ticker("XYZ")))
    assert detailed == (date(2023, 11, 10), date(2023, 11, 17), date(2023, 12, 29))


@pytest.mark.parametrize(("name", "bars"), [("history_AAPL_docs.json", 3), ("history_single_day_object.json", 1)])
def test_history(tradier: Callable[[str], bytes], name: str, bars: int) -> None:
    read = value(parse_bars(tradier(name), Ticker("AAPL"), date(2019, 1, 1), date(2019, 12, 31)))
    assert len(read) == bars
    assert (read[0].session, read[0].open, read[0].close, read[0].volume) == (
        date(2019, 1, 2),
        154.89,
        157.92,
        37039737,
    )


def test_january_2024_had_21_sessions(tradier: Callable[[str], bytes]) -> None:
    days = value(parse_session_days(tradier("calendar_2024-01.json")))
    assert len(days) == 31
    assert Counter(day.close for day in days) == {time(16, 0): 21, None: 10}
    assert all(MarketCalendar().close_time(day.day) == day.close for day in days)


@pytest.mark.parametrize(
    ("name", "state", "at"),
    [
        ("clock_open_docs.json", SessionState.OPEN, datetime(2019, 5, 6, 15, 36, 28, tzinfo=UTC)),
        ("clock_closed_2013.json", SessionState.CLOSED, datetime(2013, 6, 11, 2, 39, 13, tzinfo=UTC)),
    ],
)
def test_clocks(tradier: Callable[[str], bytes], name: str, state: SessionState, at: datetime) -> None:
    clock = value(parse_clock(tradier(name)))
    assert (clock.state, clock.at) == (state, at)


TRADIER_MEANS = {
    "401_invalid_token": (ErrorCode.AUTH, True),
    "401_no_product": (ErrorCode.AUTH, True),
    "401_fault_expired": (ErrorCode.AUTH, True),
    "401_fault_invalid": (ErrorCode.AUTH, True),
    "500_fault_datastore": (ErrorCode.EXTERNAL, True),
    "too_big_body": (ErrorCode.EXTERNAL, False),
    "429_quota": (ErrorCode.RATELIMIT, True),
    "200_html_docs_page": (ErrorCode.EXTERNAL, True),
    "502_html": (ErrorCode.EXTERNAL, True),
    "400_plain": (ErrorCode.INVALID, False),
    "200_errors": (ErrorCode.EXTERNAL, False),
}


def test_every_recorded_tradier_error_is_classified(tradier: Callable[[str], bytes]) -> None:
    recorded = json.loads(tradier("errors.json"))
    assert recorded.keys() == TRADIER_MEANS.keys()
    for name, entry in recorded.items():
        body = entry["body"] if isinstance(entry["body"], str) else json.dumps(entry["body"])
        status = entry["status"] if isinstance(entry["status"], int) else 500
        verdict = TradierDialect().judge(Answer(status, {}, body.encode(), NOW))
        assert verdict.error is not None, name
        assert (verdict.error.code, verdict.again) == TRADIER_MEANS[name], name


@pytest.mark.parametrize(
    ("name", "left"),
    [("http_quotes_SPY_200.json", (200, 199, 59.0)), ("http_expirations_PLTR_200.json", (200, 198, 1.0))],
)
def test_recorded_headers_name_the_end_of_the_clock_minute(
    tradier: Callable[[str], bytes], name: str, left: tuple[int, int, float]
) -> None:
    response = json.loads(tradier(name))["response"]
    headers = {key.lower(): text for key, text in response["headers"].items()}
    answer = Answer(response["status"], headers, response["body"].encode(), NOW)
    assert TradierDialect().judge(answer) == Verdict()
    rate = TradierDialect().rate_headers(headers)
    assert isinstance(rate, RateHeaders)
    assert answer.served_at is not None
    assert (rate.allowed, rate.available, rate.expires_at_epoch / 1000 - answer.served_at.timestamp()) == left


def test_121_ibm_reports_each_with_its_session(alpha_vantage: Callable[[str], bytes]) -> None:
    body = alpha_vantage("EARNINGS_IBM.json")
    reports = value(parse_past_reports(body, IBM, today=date(2026, 6, 15), calendar=MarketCalendar()))
    assert Counter(report.timing for report in reports) == {Timing.AMC: 100, Timing.BMO: 21}
    assert (reports[0].report_date, reports[0].fiscal_period_end) == (date(2026, 4, 22), date(2026, 3, 31))
    assert all(later.report_date > earlier.report_date for later, earlier in pairwise(reports))


def test_reports_recorded_before_the_session_was_sent_have_none(alpha_vantage: Callable[[str], bytes]) -> None:
    body = alpha_vantage("EARNINGS_IBM_2020_None_excerpt.json")
    reports = value(parse_past_reports(body, IBM, today=date(2021, 1, 1), calendar=MarketCalendar()))
    assert [(report.report_date, report.timing) for report in reports] == [
        (date(2020, 10, 19), Timing.UNKNOWN),
        (date(2020, 7, 20), Timing.UNKNOWN),
        (date(2020, 4, 20), Timing.UNKNOWN),
    ]


def test_dirty_rows_are_left_out_or_flagged(alpha_vantage: Callable[[str], bytes]) -> None:
    body = json.dumps(json.loads(alpha_vantage("EARNINGS_assembled_dirty_rows.json"))["body"]).encode()
    reports = value(parse_past_reports(body, Ticker("SAMPLE"), today=date(2026, 12, 31), calendar=MarketCalendar()))
    assert [(report.report_date, report.fiscal_period_end, report.flags) for report in reports] == [
        (date(2026, 5, 6), date(2026, 3, 31), ()),
        (date(2021, 9, 30), date(2021, 6, 30), ("duplicate_report_date",)),
        (date(2003, 10, 15), date(2003, 9, 30), ()),
    ]


def test_the_full_calendar_of_4526_rows(alpha_vantage: Callable[[str], bytes]) -> None:
    body = alpha_vantage("EARNINGS_CALENDAR_full_3month_2026-05-17.csv")
    reports = value(parse_scheduled_reports(body, calendar=MarketCalendar()))
    assert len(reports) == 4525  # BF.A and BF-A are one company on one date
    sessions = Counter(report.timing for report in reports)
    assert (sessions[Timing.BMO], sessions[Timing.AMC]) == (142, 101)
    closed = Counter(report.report_date for report in reports if "report_on_closed_day" in report.flags)
    assert (closed[date(2026, 5, 25)], closed[date(2026, 6, 19)], closed[date(2026, 7, 3)]) == (26, 14, 4)
    assert sum(count for day, count in closed.items() if day.weekday() >= 5) == 5
    conflicts = {(report.ticker, report.report_date) for report in reports if "date_conflict" in report.flags}
    assert conflicts == {
        ("BF.B", date(2026, 6, 4)),
        ("BF.B", date(2026, 6, 10)),
        ("HEI.A", date(2026, 5, 27)),
        ("HEI.A", date(2026, 6, 2)),
        ("LEN.B", date(2026, 6, 15)),
        ("LEN.B", date(2026, 6, 16)),
    }


def test_the_calendar_of_one_company_with_crlf(alpha_vantage: Callable[[str], bytes]) -> None:
    (report,) = value(
        parse_scheduled_reports(alpha_vantage("EARNINGS_CALENDAR_IBM_12month_crlf.csv"), calendar=MarketCalendar())
    )
    assert (report.report_date, report.timing, report.status) == (date(2026, 7, 22), Timing.AMC, DateStatus.CONFIRMED)


def test_dividends_splits_and_raw_bars(alpha_vantage: Callable[[str], bytes]) -> None:
    dividends = value(parse_dividends(alpha_vantage("DIVIDENDS_IBM.json"), IBM))
    assert (len(dividends), dividends[-1].ex_date, dividends[-1].amount) == (110, date(2026, 5, 8), 1.69)
    splits = value(parse_splits(alpha_vantage("SPLITS_IBM.json"), IBM))
    assert [(split.effective, split.factor) for split in splits] == [
        (date(1999, 5, 27), 2.0),
        (date(2021, 11, 4), 1.046),
    ]
    bars = value(parse_raw_daily_bars(alpha_vantage("TIME_SERIES_DAILY_IBM_2020_excerpt.json"), IBM))
    assert [(bar.session, bar.close) for bar in bars] == [(date(2020, 5, 7), 121.23), (date(2020, 5, 8), 121.79)]


ALPHA_VANTAGE_MEANS = {
    "invalid_symbol_or_params": ErrorCode.NODATA,
    "apikey_missing_or_invalid": ErrorCode.AUTH,
    "legacy_minute_note": ErrorCode.RATELIMIT,
    "daily_quota_25": ErrorCode.QUOTA,
    "per_second_burst_free": ErrorCode.RATELIMIT,
    "premium_endpoint": ErrorCode.EXTERNAL,
    "premium_outputsize_full": ErrorCode.EXTERNAL,
    "premium_burst": ErrorCode.RATELIMIT,
    "demo_key": ErrorCode.CONFIG,
    "premium_artificial_sample": ErrorCode.EXTERNAL,
    "empty_object": None,
    "earnings_symbol_only": None,
    "empty_global_quote": None,
    "historical_options_empty": None,
    "earnings_calendar_none": None,
}


def test_every_recorded_alpha_vantage_error_is_classified(alpha_vantage: Callable[[str], bytes]) -> None:
    recorded = {entry["name"]: entry for entry in json.loads(alpha_vantage("errors.json"))}
    assert recorded.keys() == ALPHA_VANTAGE_MEANS.keys()
    for name, entry in recorded.items():
        if "body_file" in entry:
            body = alpha_vantage(entry["body_file"])
        else:
            body = entry["body_text"].encode() if "body_text" in entry else json.dumps(entry["body"]).encode()
        error = AlphaVantageDialect().judge(Answer(200, {}, body, NOW)).error
        assert (None if error is None else error.code) == ALPHA_VANTAGE_MEANS[name], name


def test_every_recorded_body_of_data_is_judged_to_be_data(shared_dir: Path) -> None:
    invented_or_refused = {"errors.json", "Information_demo_key_only.json"}
    for path in sorted((shared_dir / "payloads").glob("*/*.[jc]s*")):
        skip = path.name in invented_or_refused or "premium" in path.name or path.name.startswith("http_")
        if skip or path.name == "EARNINGS_assembled_dirty_rows.json" or path.name.startswith("corporate_calendars"):
            continue
        dialect = TradierDialect() if path.parent.name == "tradier" else AlphaVantageDialect()
        assert dialect.judge(Answer(200, {}, path.read_bytes(), NOW)) == Verdict(), path.name
