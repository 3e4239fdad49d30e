"""Whose history will be needed soon: the companies of the calendar that a scan would ask for, soonest first.

Only selects; what each of them lacks, and in which order scarce calls are spent, is the backfill's to tell.
"""

import logging
from datetime import datetime

from ivcrush.application.services.scan import days_ahead
from ivcrush.container import Container
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.types import Ticker

MOST_DAYS = 90  # sessions: more than the calendar of everybody reaches
_log = logging.getLogger(__name__)


async def coming_reporters(
    days: int, as_of: datetime, container: Container, *, ask: bool
) -> Result[tuple[Ticker, ...]]:
    """Who reports from today through the `days`-th session after it.

    With `ask`, by today's calendar (one call a day at most) and without those whom a scan leaves out by their quotes;
    else by the calendar as it is stored, unscreened. Errors: those of the refresh where no calendar was ever kept,
    AUTH, DBERROR, CONFIG for a clock that cannot date anything.
    """
    calendar = container.market_calendar
    start, end = days_ahead(days, as_of, calendar)
    if not ask:
        stored = container.scan.stored(start, end, as_of, calendar)
        return stored if isinstance(stored, Err) else Ok(tuple(report.ticker for report in stored.value[0]))
    found = await container.scan.reporters(start, end, as_of, calendar)
    if isinstance(found, Err) or not found.value.reports:
        return found if isinstance(found, Err) else Ok(())
    reports = found.value.reports
    ground = await container.batch.ground([report.ticker for report in reports])
    if isinstance(ground, Err):
        return ground
    screened = await container.scan.screened(reports, ground.value)
    if isinstance(screened, Err):
        return screened
    _log.info("%d report from %s to %s, %d worth a scan", len(reports), start, end, len(screened.value.fit))
    return Ok(tuple(report.ticker for report in screened.value.fit))
