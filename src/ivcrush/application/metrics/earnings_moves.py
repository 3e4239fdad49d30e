"""What the stock did at past reports, and what it does on ordinary days, measured from daily bars.

Works on split-adjusted bars (or makes them so); a move that cannot be measured is named with its reason, never
invented. Bars are not dividend-adjusted: a dividend going ex in a reaction session stays in that session's move.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice, pairwise
from math import prod
from statistics import median

import numpy as np

from ivcrush.application.metrics.session_clock import reaction_session
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import DailyBar, HistoricalMove, MissingMove, PastReport, RealisedVolatility, Split

IMPLAUSIBLE_REPORT_DATE = "implausible_report_date"  # the flag of a report whose date contradicts its fiscal period
DURING_HOURS = "during_hours"
REPORT_ON_CLOSED_DAY = "report_on_closed_day"

SESSIONS_PER_YEAR = 252
MIN_ORDINARY_RETURNS = 20

_IMPLAUSIBLE = "implausible report date for its fiscal period"
_SESSION_UNKNOWN = "session of the report unknown"
_NO_BARS = "no bars for "
_SPLIT_SUSPECTED = "split suspected on "
_SHARED_REACTION = "answered on "
# What a reason begins with, and how it is told of several reports.
_REPORTS_THAT = {
    _SESSION_UNKNOWN: "without known session",
    _IMPLAUSIBLE: "with an implausible date",
    _NO_BARS: "without daily bars",
    _SPLIT_SUSPECTED: "beside a suspected split",
    _SHARED_REACTION: "answered together with another",
}

_SPLIT_FACTORS = (2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
_SPLIT_MIN_RATIO = 1.6  # a night that no list explains: up 60 %, or down by as much in logs (−37.5 %)
_SPLIT_TOLERANCE = 0.03  # how near to a usual split factor a price ratio must lie
_OTHER_SHARES = 0.01  # a session's close that changed by more was not corrected but counted in other shares

_VOLATILITY_HALF_LIFE = 42  # sessions: two months
_VOLATILITY_CLIP = 3.5  # robust standard deviations beyond which one day's news is no ordinary volatility


def measure_moves(
    reports: Sequence[PastReport], bars: Sequence[DailyBar], calendar: MarketCalendar, *, through: date
) -> tuple[tuple[HistoricalMove, ...], tuple[MissingMove, ...]]:
    """Signed moves over the reaction sessions of past reports, and the reports without one; both newest first.

    `through` is the last finished session: a report answered later is in neither list. `bars` are split-adjusted, in
    any order. A move runs from the close of the session immediately before the reaction session, and both must have
    bars. Not computed, with the reason: an unknown session, an implausible report date, a missing bar, a price ratio
    that looks like a split, two reports in one reaction session (the later one counts).
    """
    by_session = {bar.session: bar for bar in bars}
    moves: dict[date, HistoricalMove] = {}
    missing: list[MissingMove] = []
    for report in sorted(reports, key=lambda report: report.report_date, reverse=True):
        reaction = None if _unusable(report) else reaction_session(report.report_date, report.timing, calendar)
        if (reaction or report.report_date) > through:
            continue
        if reaction is None:
            outcome: HistoricalMove | str = _unusable(report)
        elif reaction in moves:
            outcome = f"{_SHARED_REACTION}{reaction}, as the report of {moves[reaction].report_date}"
        else:
            outcome = _measure(report, reaction, by_session, calendar)
        if isinstance(outcome, HistoricalMove):
            moves[outcome.reaction_session] = outcome
        else:
            missing.append(MissingMove(report.report_date, report.timing, outcome))
    return tuple(moves.values()), tuple(missing)


def may_yet_be_measured(report: MissingMove) -> bool:
    """Whether other bars could give the report its move: not where its session or its date is what is wrong."""
    return report.reason not in (_IMPLAUSIBLE, _SESSION_UNKNOWN)


def reasons_counted(missing: Sequence[MissingMove]) -> str:
    """Why reports have no move, for people: `10 reports without known session, 2 without daily bars`; most first."""
    counts = Counter(
        next((words for begins, words in _REPORTS_THAT.items() if each.reason.startswith(begins)), f"({each.reason})")
        for each in missing
    )
    (first, most), *others = counts.most_common()
    return ", ".join([f"{most} report{'s' * (most > 1)} {first}", *(f"{count} {words}" for words, count in others)])


def reports_to_measure_again(moves: Sequence[HistoricalMove], missing: Sequence[MissingMove]) -> tuple[PastReport, ...]:
    """The reports behind an earlier measurement, as `measure_moves` takes them, for measuring on newer bars.

    Those that no bars can help are left out.
    """
    measured = [PastReport(move.report_date, move.timing, None, move.flags) for move in moves]
    waiting = [PastReport(each.report_date, each.timing, None) for each in missing if may_yet_be_measured(each)]
    return (*measured, *waiting)


def in_other_shares(earlier: Sequence[HistoricalMove], later: Sequence[HistoricalMove]) -> bool:
    """Whether the same session's close is another one in a later measurement, by more than 1 %: the stock was split."""
    closes = {move.reaction_session: move.previous_close for move in earlier}
    common = [move for move in later if move.reaction_session in closes]
    return any(abs(move.previous_close / closes[move.reaction_session] - 1) > _OTHER_SHARES for move in common)


def ex_earnings_volatility(
    bars: Sequence[DailyBar],
    reaction_sessions: Collection[date],
    calendar: MarketCalendar,
    *,
    through: date,
    sessions: int = 126,
) -> RealisedVolatility | None:
    """Volatility of ordinary days over the last `sessions` sessions up to `through`; None below 20 returns.

    Annualised over 252 sessions, a fraction: √(252·Σωr²/Σω), r the log close-to-close returns of adjacent sessions,
    mean taken as zero, ω halving every 42 sessions. Returns into a reaction session are left out; the others are
    clipped at 3.5 robust standard deviations (1.4826·median|r|), because one day's news two months ago is no forecast
    of ordinary volatility, while at a normal distribution the clip takes 0.04 % off.
    """
    closes = {bar.session: bar.close for bar in bars}
    window = _sessions_through(through, sessions + 1, calendar)
    ordinary = [
        (age, session, closes[session] / closes[previous])
        for age, (session, previous) in enumerate(pairwise(window))
        if session in closes and previous in closes and session not in reaction_sessions
    ]
    if len(ordinary) < MIN_ORDINARY_RETURNS:
        return None
    returns = np.log([ratio for _, _, ratio in ordinary])
    weights = np.exp2(-np.array([age for age, _, _ in ordinary]) / _VOLATILITY_HALF_LIFE)
    limit = _VOLATILITY_CLIP * 1.4826 * median(np.abs(returns).tolist())  # np.median would load numpy.ma
    clipped = np.clip(returns, -limit, limit) if limit > 0 else returns
    variance = float(np.average(clipped**2, weights=weights))
    return RealisedVolatility((SESSIONS_PER_YEAR * variance) ** 0.5, len(returns), ordinary[0][1])


def adjust_for_splits(raw_bars: Sequence[DailyBar], splits: Sequence[Split]) -> Result[tuple[DailyBar, ...]]:
    """Bars as traded, in today's shares, rising by session: prices divided by every later split factor.

    A spin-off's factor such as 1.046 is applied like any other. Errors: INVALID where an overnight jump of the
    adjusted bars could still be a split (an unlisted split, or one applied to bars that already had it): any beyond
    +60 % or its inverse, because a split's factor times the night's own move lies near no usual factor.
    """
    adjusted = tuple(_in_todays_shares(bar, splits) for bar in sorted(raw_bars, key=lambda bar: bar.session))
    for earlier, later in pairwise(adjusted):
        ratio = later.open / earlier.close
        if max(ratio, 1 / ratio) > _SPLIT_MIN_RATIO:
            return err(
                ErrorCode.INVALID,
                f"daily bars {earlier.session} to {later.session}: price ratio {ratio:.3f} looks like a split that the "
                "list of splits does not explain",
            )
    return Ok(adjusted)


def looks_like_split(price_ratio: float) -> bool:
    """Whether a price ratio lies within 3 % of 2, 3, 4, 5, 10, 20 or an inverse."""
    factor = max(price_ratio, 1 / price_ratio)
    return any(abs(factor / usual - 1) <= _SPLIT_TOLERANCE for usual in _SPLIT_FACTORS)


def _unusable(report: PastReport) -> str:
    """Why a report is not computed whatever the bars say; empty where nothing speaks against it."""
    if IMPLAUSIBLE_REPORT_DATE in report.flags:
        return _IMPLAUSIBLE
    return _SESSION_UNKNOWN if report.timing is Timing.UNKNOWN else ""


def _measure(
    report: PastReport, reaction: date, by_session: Mapping[date, DailyBar], calendar: MarketCalendar
) -> HistoricalMove | str:
    """The move, or why there is none."""
    reference = calendar.previous_session(reaction)
    absent = [session for session in (reference, reaction) if session not in by_session]
    if absent:
        return _NO_BARS + " and ".join(str(session) for session in absent)
    close, bar = by_session[reference].close, by_session[reaction]
    for price in (bar.open, bar.close):
        if looks_like_split(price / close):
            return f"{_SPLIT_SUSPECTED}{reaction}: price ratio {price / close:.3f}"
    extreme = max(bar.high - close, bar.low - close, key=abs)
    return HistoricalMove(
        report_date=report.report_date,
        timing=report.timing,
        reaction_session=reaction,
        previous_close=close,
        close_to_close_pct=(bar.close / close - 1) * 100,
        gap_pct=(bar.open / close - 1) * 100,
        open_to_close_pct=(bar.close / bar.open - 1) * 100,
        peak_pct=extreme / close * 100,
        flags=tuple(dict.fromkeys((*report.flags, *_flags(report, calendar)))),
    )


def _flags(report: PastReport, calendar: MarketCalendar) -> tuple[str, ...]:
    during = (DURING_HOURS,) if report.timing is Timing.DMH else ()
    closed = () if calendar.is_session(report.report_date) else (REPORT_ON_CLOSED_DAY,)
    return during + closed


def _sessions_through(last: date, count: int, calendar: MarketCalendar) -> list[date]:
    """The last `count` sessions up to a day, newest first."""
    days = (last - timedelta(age) for age in range((last - date.min).days))
    return list(islice(filter(calendar.is_session, days), count))


def _in_todays_shares(bar: DailyBar, splits: Sequence[Split]) -> DailyBar:
    factor = prod(split.factor for split in splits if split.effective > bar.session)
    return DailyBar(
        session=bar.session,
        open=bar.open / factor,
        high=bar.high / factor,
        low=bar.low / factor,
        close=bar.close / factor,
        volume=round(bar.volume * factor),
    )
