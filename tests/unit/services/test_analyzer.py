"""One ticker walked over real sockets into a real database, and its figures against what is really true."""

import json
import sqlite3
from datetime import date, datetime, timedelta

import msgspec
import pytest

from ivcrush.application.documents import analysis_document
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.domain.enums import DateStatus, ReportSource, SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON

AUTUMN = datetime(2026, 9, 15, 15, 45, tzinfo=NEW_YORK)


def past_reports_told(desk, ticker, words, *, before=date.max):
    """Let the provider say these sessions of the company's past reports before a day, newest first."""
    reports = [each for each in desk.market.world.past_reports(ticker)[::-1] if each.day < before]
    rows = [
        {
            "fiscalDateEnding": report.fiscal_end.isoformat(),
            "reportedDate": report.day.isoformat(),
            "reportedEPS": "1.1",
            "reportTime": word,
        }
        for report, word in zip(reports, words, strict=False)
    ]
    body = json.dumps({"symbol": ticker, "quarterlyEarnings": rows}).encode()
    desk.market.replay("/query", {"function": "EARNINGS", "symbol": ticker}, body)


def chain_told(desk, ticker, expiration, body, status=200):
    """Let the provider answer this for one chain."""
    asked = {"symbol": ticker, "expiration": expiration, "greeks": "true"}
    desk.market.replay("/v1/markets/options/chains", asked, body, status=status)


@pytest.mark.parametrize("ticker", ["AAPL", "JPM", "NVDA", "AMZN", "KO"])
async def test_the_figures_are_those_of_the_known_truth(desk, world, ticker):
    analysis, true = await desk.analysis(ticker), world.truth(ticker)
    implied = analysis.implied_move
    low, high = implied.event_move_interval_90_pct
    assert low <= true.event_move_pct <= high
    assert implied.event_move_pct == pytest.approx(true.event_move_pct, rel=0.05)
    assert implied.straddle_pct == pytest.approx(true.straddle_pct, rel=0.02)
    assert implied.expiration == true.expiration
    assert implied.spot == pytest.approx(true.spot, rel=0.001)
    assert analysis.snapshot.request.report_date == true.earnings_date
    assert analysis.snapshot.request.timing == true.timing
    assert [move.close_to_close_pct for move in analysis.snapshot.moves] == pytest.approx(
        [each.close_to_close_pct for each in true.past_moves[:12]], abs=0.02
    )


async def test_the_ratio_compares_the_event_move_with_the_mean_past_move(desk, world):
    analysis = await desk.analysis("AAPL")
    true = [abs(each.close_to_close_pct) for each in world.truth("AAPL").past_moves[:12]]
    assert isinstance(analysis.vrp, Ok)
    assert analysis.vrp.value.quarters == 12
    assert analysis.vrp.value.ratio == pytest.approx(analysis.implied_move.event_move_pct / (sum(true) / 12), rel=0.01)


async def test_a_report_on_the_evening_of_an_expiration_is_read_from_the_next_one(desk, world):
    true = world.truth("TSLA")
    assert (true.earnings_date, true.timing) == (date(2026, 5, 15), "AMC")  # an expiration Friday
    analysis = await desk.analysis("TSLA")
    assert date(2026, 5, 15) in analysis.snapshot.expirations
    assert analysis.implied_move.expiration == date(2026, 5, 22)


async def test_a_named_expiration_is_used(desk):
    analysis = await desk.analysis("AAPL", expiration=date(2026, 5, 29))
    assert analysis.implied_move.expiration == date(2026, 5, 29)


async def test_a_named_expiration_that_is_not_listed_is_refused_with_those_that_are(desk):
    error = await desk.refusal("AAPL", expiration=date(2026, 5, 28))
    assert error.code is ErrorCode.INVALID
    assert error.message == "AAPL: expiration 2026-05-28 is not listed; listed are 2026-05-22, 2026-05-29, 2026-06-05"


async def test_a_report_later_than_every_expiration_has_no_answer(desk):
    error = await desk.refusal("AAPL", report_date=date(2031, 1, 2), timing=Timing.BMO)
    assert error.code is ErrorCode.NODATA
    assert error.message == "AAPL: no expiration is listed on or after 2031-01-02"
    error = await desk.refusal("AAPL", report_date=date(2031, 1, 2), timing=Timing.BMO, expiration=date(2031, 1, 17))
    assert error.message == "AAPL: expiration 2031-01-17 is not listed; listed are none after the report"


async def test_a_report_the_stock_already_trades_on_is_refused(desk):
    error = await desk.refusal("AAPL", report_date=date(2026, 5, 14), timing=Timing.AMC)
    assert error.code is ErrorCode.INVALID
    assert "already trades on the report of 2026-05-14" in error.message


async def test_eight_agreeing_past_sessions_stand_in_for_an_unknown_one(desk, world):
    analysis = await desk.analysis("AMZN")
    request = analysis.snapshot.request
    assert (request.timing, request.status) == (Timing.AMC, DateStatus.ESTIMATED)
    assert "session_from_history" in analysis.flags
    assert "session_unknown" not in analysis.flags


async def test_disagreeing_past_sessions_report_the_wider_of_both_and_trade_nothing(desk):
    past_reports_told(desk, "AMZN", ["post-market", "pre-market"] * 10)
    unknown = await desk.analysis("AMZN")
    assert unknown.snapshot.request.timing is Timing.UNKNOWN
    assert "session_unknown" in unknown.flags
    assert not unknown.tradeable
    day = unknown.snapshot.request.report_date
    named = [await desk.analysis("AMZN", report_date=day, timing=timing) for timing in (Timing.BMO, Timing.AMC)]
    widest = max(each.implied_move.event_move_pct for each in named)
    assert unknown.implied_move.event_move_pct == pytest.approx(widest, rel=0.001)


async def test_past_reports_of_unknown_session_are_reported_and_never_computed(desk):
    analysis = await desk.analysis("T")
    assert analysis.snapshot.moves == ()
    assert len(analysis.snapshot.missing) == 12
    assert isinstance(analysis.vrp, Err)
    assert analysis.vrp.error.message == (
        "T: 0 past moves, 4 needed: 12 reports without known session; backfill T --refresh asks for them again"
    )
    assert analysis.snapshot.realised is not None


async def test_history_is_fetched_where_none_is_stored_and_not_again(desk):
    first = await desk.analysis("AAPL")
    again = await desk.analysis("AAPL", desk.run(refresh=True))
    assert again.snapshot.moves == first.snapshot.moves
    assert desk.asked("function=EARNINGS&") == desk.asked("/v1/markets/history") == 1


async def test_a_history_that_cannot_be_had_leaves_the_implied_move(desk, world):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="EARNINGS"),)))
    analysis = await desk.analysis("AAPL")
    assert analysis.snapshot.moves == ()
    assert isinstance(analysis.vrp, Err)
    assert "history_not_fetched" in analysis.flags
    assert "against: past moves could not be fetched" in analysis.reasons
    # Without bars nothing is known of ordinary days but what the other expirations say.
    assert analysis.snapshot.realised is None
    assert analysis.implied_move.event_move_pct == pytest.approx(world.truth("AAPL").event_move_pct, rel=0.1)


async def test_another_quarter_is_fetched_once_it_has_gone_by(desk, world):
    before = await desk.analysis("AAPL")
    assert before.snapshot.moves[0].report_date == date(2026, 2, 9)
    later = world.at(AUTUMN)
    desk.serve(later)
    after = await desk.analysis("AAPL")
    true = [each.earnings_date for each in later.truth("AAPL").past_moves[:12]]
    assert [move.report_date for move in after.snapshot.moves] == true
    assert true[0] > date(2026, 8, 1)


@pytest.mark.parametrize(("hours", "requests"), [(0, 0), (25, 0), (7 * 24 + 1, 1)])
async def test_a_company_long_without_a_new_report_is_asked_for_once_a_week(desk, world, hours, requests):
    desk.serve(world.at(AUTUMN))
    past_reports_told(desk, "AAPL", ["post-market"] * 20, before=date(2026, 5, 1))
    await desk.analysis("AAPL")
    first = desk.asked("function=EARNINGS&")
    later = AUTUMN + timedelta(hours=hours)
    await desk.analysis("AAPL", desk.run(as_of=AUTUMN, now=later, refresh=True))
    assert desk.asked("function=EARNINGS&") - first == requests


async def test_nothing_later_than_the_moment_goes_in(desk, world):
    desk.serve(world.at(AUTUMN))
    stored = await desk.run().backfill.fetch(
        Ticker("AAPL"), AUTUMN, MarketCalendar(), quarters=12, with_dividends=False
    )
    assert isinstance(stored, Ok)
    assert stored.value.moves[0].report_date > FRIDAY_AFTERNOON.date()
    desk.serve(world)
    analysis = await desk.analysis("AAPL", desk.run(as_of=FRIDAY_AFTERNOON, now=AUTUMN))
    true = [each.earnings_date for each in world.truth("AAPL").past_moves]
    assert [move.report_date for move in analysis.snapshot.moves] == true[: len(analysis.snapshot.moves)]
    assert len(analysis.snapshot.moves) >= 10
    assert analysis.snapshot.realised is not None
    assert analysis.snapshot.realised.through <= date(2026, 5, 14)
    assert analysis.snapshot.as_of == FRIDAY_AFTERNOON


async def test_one_request_asks_for_all_quotes_and_answers_keep_their_order(desk):
    run = desk.run()
    tickers = [Ticker(name) for name in ("JPM", "AAPL", "NOSUCH", "KO")]
    results = await run.analyzer.analyze([ReportQuestion(ticker) for ticker in tickers], "run-1")
    assert desk.asked("/v1/markets/quotes") == 1
    found = [result.value.ticker if isinstance(result, Ok) else result.error.message for result in results]
    assert found == ["JPM", "AAPL", "NOSUCH: the market data provider does not know this ticker", "KO"]
    assert run.providers.usage.requests == len(desk.market.log())


async def test_the_log_keeps_document_and_snapshot_and_repeats_to_the_bit(desk):
    run = desk.run(simulated=True)
    analysis = await desk.analysis("AAPL", run)
    kept = run.analyses.snapshot(1)
    assert isinstance(kept, Ok)
    again = evaluate(kept.value)
    assert isinstance(again, Ok)
    assert again.value.implied_move == analysis.implied_move
    with sqlite3.connect(desk.directory / "ivcrush.db") as database:
        rows = database.execute("SELECT run_id, ticker, report_date, document FROM analysis_log").fetchall()
    database.close()
    document = msgspec.json.encode(analysis_document(again.value))
    assert rows == [("run-1", "AAPL", "2026-05-18", document)]
    assert json.loads(document)["simulated"] is True


async def test_an_analysis_that_cannot_be_kept_is_a_storage_failure(desk):
    await desk.analysis("AAPL")
    run = desk.run(DB_TIMEOUT="0")
    holder = sqlite3.connect(desk.directory / "ivcrush.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    error = await desk.refusal("AAPL", run)
    holder.close()
    assert error.code is ErrorCode.DBERROR


async def test_a_history_that_cannot_be_kept_is_a_storage_failure(desk):
    run = desk.run(DB_TIMEOUT="0")
    holder = sqlite3.connect(desk.directory / "ivcrush.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    error = await desk.refusal("AAPL", run)
    holder.close()
    assert error.code is ErrorCode.DBERROR


async def test_quotes_later_than_the_fixed_moment_are_refused(desk):
    early = FRIDAY_AFTERNOON - timedelta(hours=2)
    error = await desk.refusal("AAPL", desk.run(as_of=early, now=FRIDAY_AFTERNOON))
    assert error.code is ErrorCode.INVALID
    assert "later than --as-of 2026-05-15T13:45:00-04:00" in error.message
    assert desk.asked("/options/chains") == 0


async def test_a_fixed_moment_asks_no_clock_and_is_the_analysis_moment(desk):
    analysis = await desk.analysis("AAPL", desk.run(as_of=FRIDAY_AFTERNOON, now=AUTUMN))
    assert analysis.snapshot.as_of == FRIDAY_AFTERNOON
    assert analysis.snapshot.session_state is SessionState.OPEN
    assert desk.asked("/markets/clock") == 0


async def test_a_clock_two_days_off_is_a_configuration_failure(desk):
    error = await desk.refusal("AAPL", desk.run(now=FRIDAY_AFTERNOON + timedelta(2)))
    assert error.code is ErrorCode.CONFIG
    assert "2026-05-17 15:45" in error.message
    assert "2026-05-15 15:45" in error.message
    assert "--as-of" in error.message


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_clock_ten_minutes_off_makes_the_answer_doubtful_and_the_exchanges_counts(desk, minutes):
    analysis = await desk.analysis("AAPL", desk.run(now=FRIDAY_AFTERNOON + timedelta(minutes=minutes)))
    right = await desk.analysis("AAPL", desk.run(now=FRIDAY_AFTERNOON))
    assert abs(analysis.snapshot.as_of - right.snapshot.as_of) < timedelta(minutes=1)
    assert analysis.implied_move.event_move_pct == pytest.approx(right.implied_move.event_move_pct, rel=1e-3)
    assert "host_clock_off" in analysis.flags
    assert "against: this machine's clock is off" in analysis.reasons


async def test_a_clock_that_does_not_answer_is_replaced_by_the_rules(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="clock"), FaultRule("503", path="calendar"))))
    analysis = await desk.analysis("AAPL")
    assert analysis.snapshot.session_state is SessionState.OPEN
    assert analysis.snapshot.calendar.known == {}


async def test_a_refused_token_ends_the_run_with_the_first_answer(desk):
    desk.market.set_switches(Switches(valid_token="another"))
    run = desk.run()
    results = await run.analyzer.analyze([ReportQuestion(Ticker("AAPL")), ReportQuestion(Ticker("KO"))], "run-1")
    assert [result.error.code for result in results if isinstance(result, Err)] == [ErrorCode.AUTH] * 2
    assert desk.asked("/markets/quotes") == 0


async def test_quotes_that_fail_are_the_answer_to_every_question(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="quotes"),)))
    results = await desk.run().analyzer.analyze([ReportQuestion(Ticker("AAPL")), ReportQuestion(Ticker("KO"))], "r")
    assert [result.error.code for result in results if isinstance(result, Err)] == [ErrorCode.EXTERNAL] * 2


async def test_expirations_that_fail_are_the_answer(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="expirations"),)))
    assert (await desk.refusal("AAPL")).code is ErrorCode.EXTERNAL


async def test_without_any_chain_the_first_refusal_is_the_answer(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="chains"),)))
    assert (await desk.refusal("AAPL")).code is ErrorCode.EXTERNAL


async def test_a_later_chain_that_is_missing_costs_only_itself(desk):
    chain_told(desk, "AAPL", "2026-05-29", b'{"options": null}')
    analysis = await desk.analysis("AAPL")
    assert date(2026, 5, 29) not in {chain.expiration for chain in analysis.snapshot.chains}
    assert analysis.implied_move.expiration == date(2026, 5, 22)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b'{"options": null}', 200, ErrorCode.NODATA), (b"oops", 503, ErrorCode.EXTERNAL)],
    ids=["empty", "failed"],
)
async def test_the_events_own_chain_is_indispensable(desk, body, status, code):
    chain_told(desk, "AAPL", "2026-05-22", body, status)
    error = await desk.refusal("AAPL")
    assert error.code is code


async def test_a_closed_exchange_is_said_and_trades_nothing(desk):
    desk.market.set_switches(Switches(session_state="closed"))
    analysis = await desk.analysis("NVDA")
    assert analysis.snapshot.session_state is SessionState.CLOSED
    assert any(reason.startswith("against: the exchange is not open (closed)") for reason in analysis.reasons)
    assert not analysis.tradeable


async def test_the_providers_calendar_corrects_the_rules(desk):
    desk.market.set_switches(Switches(early_close_today=True))
    analysis = await desk.analysis("AAPL")
    assert analysis.snapshot.calendar.closes_at(date(2026, 5, 15)).hour == 13


async def test_the_expiration_before_the_event_is_fetched_beside_it(desk, world):
    analysis = await desk.analysis("NFLX", desk.run(TERM_STRUCTURE_DEPTH="3"))
    reaction = world.truth("NFLX").reaction_session
    days = [chain.expiration for chain in analysis.snapshot.chains]
    assert sum(day < reaction for day in days) == 1
    assert sum(day >= reaction for day in days) == 3
    assert days == sorted(days)


async def test_kept_dividends_go_into_the_snapshot(desk, world):
    run = desk.run()
    await run.backfill.fetch(Ticker("KO"), FRIDAY_AFTERNOON, MarketCalendar(), quarters=12, with_dividends=True)
    analysis = await desk.analysis("KO", run)
    announced = [
        each.ex_date
        for each in world.listing("KO").dividends
        if each.declared <= FRIDAY_AFTERNOON.date() <= each.ex_date
    ]
    assert [each.ex_date for each in analysis.snapshot.dividends] == announced


async def test_a_stored_date_is_named_as_the_source(desk):
    await desk.analysis("AAPL")
    again = await desk.analysis("AAPL")
    assert again.snapshot.request.source is ReportSource.STORED


async def test_only_the_newest_quarters_of_a_longer_history_go_in(desk, world):
    run = desk.run()
    await run.backfill.fetch(Ticker("AAPL"), FRIDAY_AFTERNOON, MarketCalendar(), quarters=20, with_dividends=False)
    analysis = await desk.analysis("AAPL", run)
    true = [each.earnings_date for each in world.truth("AAPL").past_moves[:12]]
    assert [move.report_date for move in analysis.snapshot.moves] == true


async def test_an_unknown_session_before_a_weekend_needs_the_expirations_of_both(desk):
    # Before the open of Friday the expiration of that day reacts; after its close, the next week's.
    analysis = await desk.analysis("T", desk.run(TERM_STRUCTURE_DEPTH="1"), report_date=date(2026, 5, 22))
    days = {chain.expiration for chain in analysis.snapshot.chains}
    assert {date(2026, 5, 22), date(2026, 5, 29)} <= days
    assert "session_unknown" in analysis.flags


async def test_a_run_that_finds_everything_stored_never_misses_a_key(desk):
    first = await desk.analysis("AAPL")
    again = await desk.analysis("AAPL", desk.run(ALPHA_VANTAGE_KEY="", refresh=False))
    assert again.implied_move == first.implied_move
    assert again.vrp == first.vrp
