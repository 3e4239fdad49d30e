"""Report and dividend dates of a company: about quarterly, fixed by the anchor day, the same whichever day the market
stands at.

A report of session AMC moves the price of the *next* session; one before or during market hours moves its own. It knows
no prices but the spot that sizes a dividend.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from simulated_market.companies import Company, Timing
from simulated_market.seeding import stream
from simulated_market.session_calendar import (
    EASTERN,
    next_session,
    opening_moment,
    previous_session,
    session_on_or_after,
    session_on_or_before,
    sessions_ahead,
)

_FRIDAY = 4
_QUARTER = timedelta(days=91)
_FUTURE_QUARTERS = 5


@dataclass(frozen=True, slots=True)
class Report:
    """One quarter's report: its day and session, and the session whose bar shows it."""

    day: date
    timing: Timing
    fiscal_end: date
    reaction_session: date  # the session whose close is the first after the news

    @property
    def price_moment(self) -> datetime:
        """When the traded price first contains the news: the reaction session's open, noon for a report in market
        hours.
        """
        if self.timing is Timing.DMH:
            return datetime.combine(self.day, time(12, 0), EASTERN)
        return opening_moment(self.reaction_session)


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash dividend: the ex-date is the session that opens lower by `amount` (dollars, in today's shares)."""

    ex_date: date
    declared: date
    paid: date
    amount: float


def reports(seed: int, company: Company, anchor: date) -> tuple[Report, ...]:
    """Past reports, the next one and the following quarters, oldest first; empty for a fund."""
    if not company.reports:
        return ()
    coming = _coming_day(company, anchor)
    random = stream(seed, company.ticker, "reports")
    fiscal_end = _fiscal_quarter_end(coming)
    wobbles = random.choice((-7, -1, 0, 0, 0, 0, 1, 7), company.past_quarters).tolist()
    days = {0: coming}
    for quarter, wobble in enumerate(wobbles, start=1):
        days[-quarter] = _usual_day(coming - quarter * _QUARTER + timedelta(days=wobble), company.timing)
    for quarter in range(1, _FUTURE_QUARTERS):
        days[quarter] = _usual_day(coming + quarter * _QUARTER, company.timing)
    return tuple(
        _report(days[quarter], company.timing, _quarters_later(fiscal_end, quarter)) for quarter in sorted(days)
    )


def dividends(company: Company, schedule: tuple[Report, ...], anchor: date) -> tuple[Dividend, ...]:
    """A dividend a quarter, a fixed number of days after the report, raised by 4 % a year; oldest first."""
    if company.dividend_yield == 0.0:
        return ()
    lag = timedelta(days=company.days_from_report_to_dividend)
    starts = [report.day for report in schedule] or [anchor + n * _QUARTER for n in range(-20, _FUTURE_QUARTERS)]
    busy = {report.reaction_session for report in schedule}
    return tuple(_dividend(company, start + lag, anchor, busy) for start in starts)


def moved_to(report: Report, day: date) -> Report:
    """The same quarter's report on another day."""
    return report if day == report.day else _report(day, report.timing, report.fiscal_end)


def _report(day: date, timing: Timing, fiscal_end: date) -> Report:
    return Report(day, timing, fiscal_end, next_session(day) if timing is Timing.AMC else day)


def _fiscal_quarter_end(day: date) -> date:
    """The last day of the calendar quarter that a report on `day` speaks of, three weeks or more before it."""
    reference = day - timedelta(days=21)
    return date(reference.year, 3 * ((reference.month - 1) // 3) + 1, 1) - timedelta(days=1)


def _quarters_later(quarter_end: date, quarters: int) -> date:
    first_month = quarter_end.year * 12 + quarter_end.month + 3 * quarters
    return date(first_month // 12, first_month % 12 + 1, 1) - timedelta(days=1)


def _coming_day(company: Company, anchor: date) -> date:
    session = session_on_or_after(anchor)
    day = sessions_ahead(session, company.sessions_to_report)
    if company.ticker == "AAPL" and day.weekday() == _FRIDAY:
        return session  # nobody reports on a Friday evening: tonight instead of tomorrow
    return day


def _usual_day(day: date, timing: Timing) -> date:
    session = session_on_or_before(day)
    return previous_session(session) if timing is Timing.AMC and session.weekday() == _FRIDAY else session


def _dividend(company: Company, day: date, anchor: date, busy: set[date]) -> Dividend:
    ex_date = session_on_or_after(day)
    while ex_date in busy:
        ex_date = next_session(ex_date)
    years_ago = (anchor - ex_date).days / 365.0
    amount = max(round(company.spot * company.dividend_yield / 4.0 / 1.04**years_ago, 2), 0.01)
    return Dividend(ex_date, ex_date - timedelta(days=21), ex_date + timedelta(days=25), amount)
