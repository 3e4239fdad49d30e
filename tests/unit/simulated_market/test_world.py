"""The world holds what its truth says: bars with the jumps in them, quotes around the true values."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from math import log, sqrt

import numpy as np
import pytest

from simulated_market import World
from simulated_market.companies import Timing, invented_ticker
from simulated_market.session_calendar import is_session, next_session
from tests.unit.simulated_market.conftest import FRIDAY_AFTERNOON, NEW_YORK


def test_the_same_seed_gives_the_same_company_however_many_there_are(world: World) -> None:
    alone = World(seed=7, as_of=FRIDAY_AFTERNOON, size=60)
    assert alone.truth("SMAAC") == world.truth("SMAAC")
    assert World(seed=8, as_of=FRIDAY_AFTERNOON, size=60).truth("SMAAC") != world.truth("SMAAC")


def test_apple_reports_on_the_next_session_with_twenty_quarters_behind_it(world: World) -> None:
    truth = world.truth("AAPL")
    assert (truth.earnings_date, truth.timing) == (date(2026, 5, 18), "AMC")
    assert truth.reaction_session == date(2026, 5, 19)
    assert truth.expiration == date(2026, 5, 22)
    assert len(truth.past_moves) == 20


def test_a_friday_evening_report_is_not_in_that_friday_s_options(world: World) -> None:
    truth = world.truth("TSLA")  # reports after the close of the day the market stands in
    assert (truth.earnings_date, truth.timing) == (date(2026, 5, 15), "AMC")
    assert truth.expiration == date(2026, 5, 22)
    variances = dict(truth.atm_variances)
    assert variances[date(2026, 5, 15)] < 0.0001 < truth.jump_sigma_pct**2 / 1e4 < variances[date(2026, 5, 22)]


def test_apple_reports_on_a_thursday_rather_than_a_friday_evening() -> None:
    thursday = World(seed=7, as_of=datetime(2026, 5, 14, 15, 0, tzinfo=NEW_YORK), size=1)
    assert thursday.truth("AAPL").earnings_date == date(2026, 5, 14)


def test_bars_span_more_than_four_years_of_sessions_and_never_contradict_themselves(world: World) -> None:
    for ticker in world.tickers[:60]:
        bars = world.bars(ticker)
        assert bars.days[-1] == date(2026, 5, 15)
        assert (bars.days[-1] - bars.days[0]).days > 4 * 366
        assert all(is_session(day) for day in bars.days[-300:])
        assert (bars.low <= np.minimum(bars.open, bars.close)).all()
        assert (bars.high >= np.maximum(bars.open, bars.close)).all()
        assert bars.volume.min() > 0


def test_past_moves_of_the_truth_are_in_the_bars_of_the_reaction_session(world: World) -> None:
    for ticker in ("AAPL", "JPM", "NVDA", "T"):
        bars = world.bars(ticker)
        for move in world.truth(ticker).past_moves:
            expected = next_session(move.earnings_date) if move.timing == "AMC" else move.earnings_date
            row = bars.index(expected)
            assert move.reaction_session == expected
            assert row is not None
            assert move.close_to_close_pct == pytest.approx(100 * (bars.close[row] / bars.close[row - 1] - 1), abs=1e-9)


def test_overnight_reports_show_in_the_gap_and_those_in_market_hours_after_it(world: World) -> None:
    def mean_sizes(ticker: str) -> tuple[float, float]:
        moves = world.truth(ticker).past_moves
        return (
            sum(abs(move.gap_pct) for move in moves) / len(moves),
            sum(abs(move.open_to_close_pct) for move in moves) / len(moves),
        )

    for ticker in ("SNOW", "NFLX", "JPM"):
        gap, inside = mean_sizes(ticker)
        assert gap > 1.5 * inside, ticker
    gap, inside = mean_sizes("T")
    assert inside > 1.5 * gap


def test_moves_past_are_the_implied_size_over_the_true_risk_premium_on_average(world: World) -> None:
    ratios = []
    for ticker in world.tickers:
        if ticker == "SPY" or len(world.listing(ticker).reports) < 20:
            continue
        truth = world.truth(ticker)
        past = sum(abs(move.close_to_close_pct) for move in truth.past_moves) / len(truth.past_moves)
        ratios.append(log(truth.event_move_pct / past / truth.true_vrp))
    assert abs(sum(ratios) / len(ratios)) < 0.06


def test_ordinary_days_are_as_volatile_as_the_company_s_level(world: World) -> None:
    bars, company = world.bars("KO"), world.listing("KO").company
    reactions = {report.reaction_session for report in world.past_reports("KO")}
    returns = np.diff(np.log(bars.close))
    ordinary = [r for r, day in zip(returns, bars.days[1:], strict=True) if day not in reactions]
    assert float(np.std(ordinary)) * sqrt(252) == pytest.approx(company.ambient_vol, rel=0.1)


def test_a_lognormal_event_s_variance_is_ambient_plus_jump_squared(world: World) -> None:
    truth, volatility = world.truth("AAPL"), world.volatility("AAPL")
    day = date(2026, 5, 22)
    expected = volatility.ambient_variance(day) + (truth.jump_sigma_pct / 100) ** 2
    assert dict(truth.atm_variances)[day] == pytest.approx(expected, rel=1e-9)


def test_the_term_structure_integrates_to_level_squared_times_time_without_a_tilt(world: World) -> None:
    volatility = world.volatility("MSFT")
    flat = World(seed=7, as_of=FRIDAY_AFTERNOON, idle_day_weight=0.0).volatility("MSFT")
    month = flat.ambient_variance(date(2026, 6, 15))
    tilt = flat.company.short_end_tilt
    assert month < volatility.ambient_variance(date(2026, 6, 15))  # weekends count for something by default
    sessions = 19 + 15 / 390  # May 18 to June 15 less Memorial Day, and what is left of this Friday
    low, high = sorted((1.0, 1.0 + tilt))
    assert low**2 <= month / (flat.company.ambient_vol**2 * sessions / 252) <= high**2


def test_every_quote_brackets_its_true_value_and_sits_on_a_tick(world: World) -> None:
    for ticker in world.tickers[::7]:
        for expiration in world.expirations(ticker):
            chain = world.chain(ticker, expiration.day)
            assert chain is not None
            assert len(chain.strikes) >= 9
            assert (chain.bid <= chain.fair + 1e-9).all()
            assert (chain.ask >= chain.fair - 1e-9).all()
            assert (chain.ask > chain.bid).all()
            cents = np.round(np.stack([chain.bid, chain.ask]) * 100, 6)
            assert (cents == np.round(cents)).all()


def test_the_true_straddle_lies_between_the_bids_and_the_asks(world: World) -> None:
    for ticker in ("AAPL", "TSLA", "SNOW", "JPM", "KO", "NFLX"):
        truth = world.truth(ticker)
        assert truth.expiration is not None
        assert truth.straddle_pct is not None
        chain = world.chain(ticker, truth.expiration)
        assert chain is not None
        forward = dict(truth.forwards)[truth.expiration]
        bid = np.interp(forward, chain.strikes, chain.bid.sum(axis=0))
        ask = np.interp(forward, chain.strikes, chain.ask.sum(axis=0))
        straddle = truth.straddle_pct / 100 * truth.spot
        assert bid - 0.02 <= straddle <= ask, ticker


def test_put_call_parity_gives_the_true_forward_within_the_spreads(world: World) -> None:
    truth = world.truth("MSFT")
    for expiration, forward in truth.forwards[:4]:
        chain = world.chain("MSFT", expiration)
        assert chain is not None
        row = int(np.argmin(np.abs(chain.strikes - forward)))
        discount = chain.maturity.discount
        low = (chain.bid[0, row] - chain.ask[1, row]) / discount
        high = (chain.ask[0, row] - chain.bid[1, row]) / discount
        assert low <= forward - chain.strikes[row] <= high


def test_calls_fall_and_are_convex_in_the_strike(world: World) -> None:
    for ticker in world.tickers[::9]:
        for expiration in world.expirations(ticker)[:6]:
            chain = world.chain(ticker, expiration.day)
            assert chain is not None
            slopes = np.diff(chain.fair[0]) / np.diff(chain.strikes)
            assert (slopes < 1e-9).all()
            assert (np.diff(slopes) > -1e-3).all(), (ticker, expiration)  # lattice noise, far inside the spreads


def test_wings_have_zero_bids_and_then_no_bid_volatility(world: World) -> None:
    chain = world.chain("AAPL", date(2026, 5, 22))
    assert chain is not None
    nothing = chain.bid == 0.0
    assert nothing.any()
    assert (chain.greeks.bid_iv[nothing] == 0.0).all()


def test_vendor_volatilities_at_the_money_agree_with_the_true_variance(world: World) -> None:
    truth = world.truth("AAPL")
    day = date(2026, 5, 22)
    chain = world.chain("AAPL", day)
    assert chain is not None
    row = int(np.argmin(np.abs(chain.strikes - dict(truth.forwards)[day])))
    expected = sqrt(dict(truth.atm_variances)[day] / chain.maturity.years)
    assert float(chain.greeks.smv_vol[row]) == pytest.approx(expected, rel=0.02)


def test_company_without_weeklies_lists_third_fridays_only(world: World) -> None:
    days = [one.day for one in world.expirations("BF.B")]
    assert days[:3] == [date(2026, 5, 15), date(2026, 6, 18), date(2026, 7, 17)]
    assert {one.kind for one in world.expirations("BF.B")} == {"standard"}


def test_a_fund_lists_quarter_ends_beside_weeklies_and_monthlies(world: World) -> None:
    ends = [one.day for one in world.expirations("SPY") if one.kind == "quarterlys"]
    assert ends == [date(2026, 6, 30), date(2026, 9, 30), date(2026, 12, 31)]


def test_a_company_without_options_reports_all_the_same() -> None:
    many = World(seed=7, as_of=FRIDAY_AFTERNOON, size=400)
    bare = next(ticker for ticker in many.tickers if not many.listing(ticker).company.has_options)
    truth = many.truth(bare)
    assert many.expirations(bare) == ()
    assert (truth.expiration, truth.straddle_pct) == (None, None)
    assert truth.event_move_pct > 0.0


def test_the_expiring_series_is_gone_after_the_close() -> None:
    evening = World(seed=7, as_of=datetime(2026, 5, 15, 16, 5, tzinfo=NEW_YORK), size=2)
    assert evening.expirations("AAPL")[0].day == date(2026, 5, 22)
    assert evening.chain("AAPL", date(2026, 5, 15)) is None


def test_a_market_that_stands_later_shows_the_same_past_and_moves_on(world: World) -> None:
    later = world.at(datetime(2026, 5, 20, 11, 0, tzinfo=NEW_YORK))
    then, now = world.bars("AAPL"), later.bars("AAPL")
    assert now.days[: len(then.days) - 1] == then.days[:-1]
    assert (now.close[: len(then.days) - 1] == then.close[:-1]).all()
    assert later.truth("AAPL").past_moves[0].earnings_date == date(2026, 5, 18)
    assert later.truth("AAPL").earnings_date > date(2026, 8, 1)


def test_the_jump_leaves_the_options_when_the_report_is_in_the_price() -> None:
    before = World(seed=7, as_of=datetime(2026, 5, 18, 17, 0, tzinfo=NEW_YORK), anchor=date(2026, 5, 15), size=1)
    after = before.at(datetime(2026, 5, 19, 9, 45, tzinfo=NEW_YORK))
    week = date(2026, 5, 22)
    assert dict(before.truth("AAPL").atm_variances)[week] > 0.0018  # the close's quotes still wait for the morning
    assert dict(after.truth("AAPL").atm_variances)[week] < 0.001


def test_a_report_in_market_hours_counts_from_noon(world: World) -> None:
    report = world.upcoming("T")
    assert report is not None
    assert report.timing is Timing.DMH
    morning = world.at(datetime.combine(report.day, datetime.min.time(), NEW_YORK) + timedelta(hours=11))
    afternoon = world.at(datetime.combine(report.day, datetime.min.time(), NEW_YORK) + timedelta(hours=13))
    assert morning.upcoming("T") == report
    assert afternoon.upcoming("T") != report


def test_a_weekend_shows_friday_s_close() -> None:
    sunday = World(seed=7, as_of=datetime(2026, 5, 17, 12, 0, tzinfo=NEW_YORK), size=1)
    assert sunday.quoted_at == datetime(2026, 5, 15, 16, 0, tzinfo=NEW_YORK)
    assert sunday.bars("AAPL").days[-1] == date(2026, 5, 15)


def test_before_the_open_the_last_bar_is_yesterday_s() -> None:
    early = World(seed=7, as_of=datetime(2026, 5, 15, 8, 0, tzinfo=NEW_YORK), size=1)
    assert early.bars("AAPL").days[-1] == date(2026, 5, 14)


def test_reporters_are_the_tickers_whose_next_report_falls_in_the_days(world: World) -> None:
    tonight = world.reporters(date(2026, 5, 15), date(2026, 5, 15))
    assert "TSLA" in tonight
    assert "AAPL" not in tonight
    assert all(world.truth(ticker).earnings_date == date(2026, 5, 15) for ticker in tonight)


def test_report_dates_are_about_a_quarter_apart_and_follow_their_quarter_s_end(world: World) -> None:
    for ticker in world.tickers[:50]:
        reports = world.listing(ticker).reports
        gaps = [(later.day - earlier.day).days for earlier, later in pairwise(reports)]
        assert all(70 <= gap <= 112 for gap in gaps), ticker
        assert all(8 <= (report.day - report.fiscal_end).days <= 125 for report in reports)
        assert all(is_session(report.day) and is_session(report.reaction_session) for report in reports)


def test_dividends_never_fall_on_a_reaction_session_and_open_lower(world: World) -> None:
    bars, drops = world.bars("KO"), []
    reactions = {report.reaction_session for report in world.listing("KO").reports}
    for dividend in world.listing("KO").dividends:
        assert dividend.ex_date not in reactions
        row = bars.index(dividend.ex_date)
        if row:
            drops.append(float(bars.open[row] / bars.close[row - 1] - 1))
    assert sum(drops) / len(drops) < -0.002  # 2.8 % a year is 0.7 % a quarter, less a day's noise


def test_a_fund_reports_nothing_and_unlisted_tickers_are_refused(world: World) -> None:
    with pytest.raises(LookupError, match="SPY: reports no earnings"):
        world.truth("SPY")
    with pytest.raises(LookupError, match="NOPE: not listed"):
        world.truth("NOPE")
    assert world.upcoming("SPY") is None
    assert world.listing("SPY").dividends


def test_invented_tickers_are_distinct_words_of_five_letters() -> None:
    names = [invented_ticker(index) for index in (0, 1, 25, 26, 676, 5999)]
    assert names == ["SMAAA", "SMAAB", "SMAAZ", "SMABA", "SMBAA", "SMIWT"]


def test_a_moment_without_zone_or_before_the_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        World(seed=1, as_of=datetime(2026, 5, 15, 15, 45))  # noqa: DTZ001
    with pytest.raises(ValueError, match="before the anchor"):
        World(seed=1, as_of=FRIDAY_AFTERNOON, anchor=date(2026, 6, 1))
