"""Statements, moves and whole worlds of scored reports for tests: the truth is known, because it is drawn here."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from math import erf, exp, pi, sqrt

import numpy as np

from ivcrush.domain.analysis import StatedRatio, Statement
from ivcrush.domain.enums import Recommendation, Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.score import ScoredReport
from ivcrush.domain.types import HistoricalMove, Ticker

WEDNESDAY = date(2026, 5, 20)
THURSDAY, FRIDAY = WEDNESDAY + timedelta(1), WEDNESDAY + timedelta(2)
IBM = Statement(
    number=1,
    ticker=Ticker("IBM"),
    report_date=WEDNESDAY,
    timing=Timing.AMC,
    as_of=datetime.combine(WEDNESDAY, time(15, 45), NEW_YORK),
    simulated=False,
    expiration=FRIDAY,
    event_move_pct=4.0,
    straddle_pct=5.0,
    cost_pct=0.5,
    stated=StatedRatio(ratio=1.3, shrunk_ratio=1.25, inside_probability=0.7),
    recommendation=Recommendation.MARGINAL,
    tradeable=True,
)


def move(
    day: date = WEDNESDAY, timing: Timing = Timing.AMC, reaction: date = THURSDAY, pct: float = -3.0
) -> HistoricalMove:
    """A move over a reaction session, percent."""
    return HistoricalMove(day, timing, reaction, 100.0, pct, 0.0, pct, pct)


def world(reports: int, companies: int, *, implied_over_true: float, seed: int) -> list[ScoredReport]:
    """Reports with normal moves of lognormal scale, ten a session, straddles a tenth above the event move.

    Options imply `implied_over_true` times the true mean move, give or take 20 %, which the ratios know; so does the
    probability, which is exact: erf(straddle / (σ√2)).
    """
    random = np.random.default_rng(seed)
    calendar, session = MarketCalendar(), date(2025, 1, 6)
    found = []
    for number in range(reports):
        session = calendar.next_session(session) if number % 10 == 0 else session
        sigma = 6 * exp(0.4 * random.normal())
        ratio = implied_over_true * exp(0.2 * random.normal())
        implied = ratio * sigma * sqrt(2 / pi)
        said = replace(
            IBM,
            number=number + 1,
            ticker=company(number % companies),
            report_date=session,
            timing=Timing.BMO,
            as_of=datetime.combine(calendar.previous_session(session), time(15, 45), NEW_YORK),
            expiration=calendar.next_session(session),
            event_move_pct=implied,
            straddle_pct=1.1 * implied,
            cost_pct=0.3,
            stated=StatedRatio(ratio, ratio, erf(1.1 * implied / (sigma * sqrt(2)))),
            recommendation=_recommended(ratio),
            tradeable=ratio >= 1.2,
        )
        found.append(ScoredReport(said, move(session, Timing.BMO, session, sigma * random.normal())))
    return found


def company(number: int) -> Ticker:
    """AA, AB, and so on to ZZ."""
    return Ticker(chr(ord("A") + number // 26) + chr(ord("A") + number % 26))


def _recommended(ratio: float) -> Recommendation:
    if ratio >= 1.5:
        return Recommendation.GOOD
    return Recommendation.MARGINAL if ratio >= 1.2 else Recommendation.SKIP
