"""Snapshots to store: one written out by hand, and a strategy for any that the domain allows."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ivcrush.domain.analysis import ImpliedMove, Straddle, TickerAnalysis
from ivcrush.domain.enums import DateStatus, Recommendation, ReportSource, SessionState, Timing
from ivcrush.domain.errors import ErrorCode, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    Dividend,
    EvaluationSettings,
    HistoricalMove,
    MarketSnapshot,
    MissingMove,
    OptionChain,
    OptionColumns,
    RealisedVolatility,
    Ticker,
    UnderlyingQuote,
)

_MARKET_DAYS = st.dates(date(2013, 1, 1), date(2035, 12, 31))
_FLOATS = st.floats(allow_nan=False, width=64)
_MOMENTS = st.datetimes(
    datetime(2013, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2035, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, NEW_YORK, timezone(timedelta(hours=9))]),
)
_WORDS = st.text(max_size=12)
_FLAGS = st.lists(_WORDS, max_size=3).map(tuple)


def columns(strategy_draw: st.DrawFn, strikes: int) -> OptionColumns:
    floats = hnp.arrays(np.float64, strikes, elements=_FLOATS)
    counts = hnp.arrays(np.int64, strikes)
    return OptionColumns(
        present=strategy_draw(hnp.arrays(np.bool_, strikes)),
        bid=strategy_draw(floats),
        ask=strategy_draw(floats),
        bid_size=strategy_draw(counts),
        ask_size=strategy_draw(counts),
        volume=strategy_draw(counts),
        open_interest=strategy_draw(counts),
        iv=strategy_draw(floats),
        quoted_at=strategy_draw(floats),
    )


@st.composite
def chains(draw: st.DrawFn) -> OptionChain:
    strikes = draw(st.integers(1, 6))
    return OptionChain(
        ticker=Ticker("BRK.B"),
        expiration=draw(_MARKET_DAYS),
        strikes=draw(hnp.arrays(np.float64, strikes, elements=_FLOATS)),
        calls=columns(draw, strikes),
        puts=columns(draw, strikes),
        dropped=draw(st.lists(st.tuples(_WORDS, st.integers(0, 9)), max_size=2).map(tuple)),
        greeks_at=draw(st.none() | _MOMENTS),
    )


_MOVES = st.builds(
    HistoricalMove,
    report_date=_MARKET_DAYS,
    timing=st.sampled_from(Timing),
    reaction_session=_MARKET_DAYS,
    previous_close=_FLOATS,
    close_to_close_pct=_FLOATS,
    gap_pct=_FLOATS,
    open_to_close_pct=_FLOATS,
    peak_pct=_FLOATS,
    flags=_FLAGS,
)

snapshots = st.builds(
    MarketSnapshot,
    request=st.builds(
        AnalysisRequest,
        ticker=st.just(Ticker("BRK.B")),
        report_date=_MARKET_DAYS,
        timing=st.sampled_from(Timing),
        status=st.sampled_from(DateStatus),
        source=st.sampled_from(ReportSource),
        expiration=st.none() | _MARKET_DAYS,
        next_report_date=st.none() | _MARKET_DAYS,
        flags=_FLAGS,
        moved_from=st.none() | _MARKET_DAYS,
    ),
    as_of=_MOMENTS,
    quote=st.builds(
        UnderlyingQuote,
        ticker=st.just(Ticker("BRK.B")),
        bid=_FLOATS,
        ask=_FLOATS,
        last=st.none() | _FLOATS,
        previous_close=st.none() | _FLOATS,
        quoted_at=st.none() | _MOMENTS,
        traded_at=st.none() | _MOMENTS,
        average_volume=st.integers(0, 2**62),
        description=_WORDS,
    ),
    expirations=st.lists(_MARKET_DAYS, max_size=3).map(tuple),
    chains=st.lists(chains(), min_size=1, max_size=2).map(tuple),
    moves=st.lists(_MOVES, max_size=2).map(tuple),
    missing=st.lists(
        st.builds(MissingMove, report_date=_MARKET_DAYS, timing=st.sampled_from(Timing), reason=_WORDS), max_size=2
    ).map(tuple),
    dividends=st.lists(st.builds(Dividend, ex_date=_MARKET_DAYS, amount=_FLOATS), max_size=2).map(tuple),
    realised=st.none()
    | st.builds(RealisedVolatility, annual=_FLOATS, returns=st.integers(0, 400), through=_MARKET_DAYS),
    settings=st.builds(EvaluationSettings, vrp_excellent=_FLOATS, min_open_interest=st.integers(0, 9)),
    calendar=st.builds(
        MarketCalendar, known=st.dictionaries(_MARKET_DAYS, st.none() | st.just(time(13, 0)), max_size=3)
    ),
    session_state=st.sampled_from(SessionState),
    simulated=st.booleans(),
)


def _side(bid: list[float]) -> OptionColumns:
    numbers, counts = np.array(bid), np.full(len(bid), 7, dtype=np.int64)
    present = np.ones(len(bid), dtype=np.bool_)
    return OptionColumns(present, numbers, numbers + 0.1, counts, counts, counts, counts, numbers / 9, numbers)


def ibm_snapshot() -> MarketSnapshot:
    """IBM five days before a report, one chain of two strikes."""
    return MarketSnapshot(
        request=AnalysisRequest(
            Ticker("IBM"), date(2026, 5, 20), Timing.AMC, DateStatus.CONFIRMED, ReportSource.ALPHA_VANTAGE
        ),
        as_of=datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK),
        quote=UnderlyingQuote(Ticker("IBM"), 231.3, 231.5, 231.4, 230.0, None, None),
        expirations=(date(2026, 5, 22),),
        chains=(
            OptionChain(
                Ticker("IBM"), date(2026, 5, 22), np.array([230.0, 232.5]), _side([6.1, 4.7]), _side([5.2, 6.4])
            ),
        ),
        moves=(),
        missing=(),
        dividends=(),
        realised=None,
        settings=EvaluationSettings(),
    )


def ibm_analysis() -> TickerAnalysis:
    """An analysis with nothing but its required block, of `ibm_snapshot`."""
    missing = err(ErrorCode.NODATA, "IBM: 0 past moves, 4 needed")
    return TickerAnalysis(
        snapshot=ibm_snapshot(),
        implied_move=ImpliedMove(
            expiration=date(2026, 5, 22),
            spot=231.4,
            forward=231.6,
            atm_strike=230.0,
            straddle_cost=11.9,
            straddle_pct=5.14,
            jump_sigma_pct=5.3,
            event_sigma_pct=5.6,
            event_move_pct=4.45,
            event_move_se_pct=0.3,
            event_move_interval_90_pct=(3.9, 5.0),
            ambient_vol_pct=24.1,
            event_share=0.9,
            method="two expirations",
            quotes_used=40,
            quotes_rejected=(("zero_bid", 3),),
            flags=(),
        ),
        straddle=Straddle(
            days=7,
            sessions=5,
            monthly=False,
            one_sigma=(216.0, 248.0),
            two_sigma=(202.0, 266.0),
            after_report=5.1,
            delta=0.03,
            gamma=0.05,
            vega=0.26,
            theta=-0.4,
        ),
        history=missing,
        vrp=missing,
        consistency=missing,
        skew=missing,
        term_structure=missing,
        execution=missing,
        recommendation=Recommendation.SKIP,
        tradeable=False,
        reasons=(),
        flags=(),
    )
