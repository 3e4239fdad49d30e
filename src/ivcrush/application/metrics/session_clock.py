"""Which session answers a report: the one place where a report's hour becomes a trading day.

Never guesses an unknown hour.
"""

from datetime import date

from ivcrush.domain.enums import Timing
from ivcrush.domain.market_calendar import MarketCalendar


def reaction_session(report_date: date, timing: Timing, calendar: MarketCalendar) -> date:
    """The session whose close first knows the report: the next one after an AMC report, else that day's own.

    A BMO or DMH report on a closed day is answered by the next session. Raises ValueError for UNKNOWN: callers decide
    what an unknown hour means, and a past one is never computed.
    """
    if timing is Timing.UNKNOWN:
        raise ValueError(f"report of {report_date}: no reaction session without its timing")
    if timing is Timing.AMC:
        return calendar.next_session(report_date)
    return calendar.session_on_or_after(report_date)
