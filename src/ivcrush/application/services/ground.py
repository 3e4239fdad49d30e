"""What the companies of one run stand on: the market's day as the run sees it, and one board of everybody's quotes.

The exchange's clock and calendar where they are to be had, our own and the rules where they are not. Knows no company
and no option.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ivcrush.application.services.quote_board import QuoteBoard
from ivcrush.application.services.together import together
from ivcrush.domain.enums import SessionState
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import MarketData
from ivcrush.domain.types import Ticker

# The provider's clock and ours: beyond the first a warning, beyond the second nothing can be dated.
CLOCK_TOLERANCE = timedelta(minutes=5)
CLOCK_LIMIT = timedelta(days=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the companies of a run have in common: the market's day as the run sees it, and everybody's quotes.

    `clock_lag` is how far this machine's clock is behind the exchange's, beyond tolerance.
    """

    quotes: QuoteBoard
    as_of: datetime
    calendar: MarketCalendar
    state: SessionState
    flags: tuple[str, ...] = ()
    clock_lag: timedelta = timedelta(0)


async def find_ground(
    market: MarketData,
    tickers: Sequence[Ticker],
    *,
    as_of: datetime | None,
    quote_life: timedelta,
    now: Callable[[], datetime],
) -> Result[Ground]:
    """The ground of the analyses of these companies; their quotes are asked for with the first of them.

    `as_of` None means now, by the real clock `now`; `quote_life` is how long quotes count as of now. Errors: AUTH,
    CONFIG for a clock that cannot date anything.
    """
    quotes = QuoteBoard(market, tickers, life=quote_life, now=now)
    here = now().astimezone(NEW_YORK)
    calendar = await _calendar(market, here if as_of is None else as_of)
    if as_of is not None:
        return Ok(Ground(quotes, as_of, calendar, calendar.state_at(as_of)))
    clock = await market.clock()
    if isinstance(clock, Err):
        if clock.error.code is ErrorCode.AUTH:
            return clock
        _log.warning("the exchange's clock is not to be had: %s", clock.error)
        return Ok(Ground(quotes, here, calendar, calendar.state_at(here)))
    at = clock.value.at.astimezone(NEW_YORK)
    lag = clock.value.at - here
    if abs(lag) > CLOCK_LIMIT:
        return err(
            ErrorCode.CONFIG,
            f"this machine's clock says {here:%Y-%m-%d %H:%M}, the exchange's {at:%Y-%m-%d %H:%M}: "
            "set the clock, or name the moment with --as-of",
        )
    if abs(lag) > CLOCK_TOLERANCE:  # quotes are dated by the exchange's clock, so the analysis is too
        return Ok(Ground(quotes, at, calendar, clock.value.state, ("host_clock_off",), lag))
    return Ok(Ground(quotes, here, calendar, clock.value.state))


async def _calendar(market: MarketData, as_of: datetime) -> MarketCalendar:
    """The rules, corrected by the provider's calendar of this month and the next where it is to be had."""
    day = as_of.astimezone(NEW_YORK).date()
    following = (day.replace(day=1) + timedelta(32)).replace(day=1)
    months = await together(market.session_days(month.year, month.month) for month in (day, following))
    failed = next((month for month in months if isinstance(month, Err)), None)
    if failed is not None:
        _log.warning("the exchange's calendar is not to be had, its rules are used: %s", failed.error)
    return MarketCalendar({day.day: day.close for month in months if isinstance(month, Ok) for day in month.value})
