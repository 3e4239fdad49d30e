"""What of a company's history is stored at a moment, and what of it has to be asked for: decided on this machine.

Asks no provider and writes nothing. A history is whole where it holds the reports that are wanted, or all that the
provider had; it stays fresh until the next report is due by the stored calendar, or passed over by it, or until a
quarter has gone by. A report that is due and still not to be had is asked for again at intervals that grow from a day
to a week.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from ivcrush.application.metrics.earnings_moves import may_yet_be_measured
from ivcrush.application.metrics.session_clock import latest_reaction
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import EarningsStore, PriceStore
from ivcrush.domain.types import SAME_REPORT, HistoricalMove, MissingMove, ScheduledReport, StoredReports, Ticker

# After this long without a new report another quarter has gone by.
QUARTER = timedelta(days=100)
# A report that is due is asked for about once a day at first: a timer may run a little early.
ASK_AGAIN_AFTER = timedelta(hours=20)
# The interval then grows with the time that it is overdue, up to this.
ASK_AGAIN_WITHIN = timedelta(days=7)
# A company without any report (a fund, a newcomer) is asked about again after this long.
WITHOUT_REPORTS = timedelta(days=30)
# Announced dividends are asked for again after this long, where they are wanted.
DIVIDENDS_LIFE = timedelta(days=30)
# Ordinary volatility is of recent sessions: bars further behind are fetched again.
OLDEST_BAR_SESSIONS = 10
_DAYS_LOOKED_BACK_FOR_BARS = 30
_HORIZON = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Standing:
    """One company's stored moves and reports without one, newest first, and what is lacking.

    `asked_at` is when its reports were last asked for, `expected` the day of its next one by the stored calendar, None
    where unknown. Reports and dividends cost a scarce call each; bars, which come with new reports, a plentiful one.
    """

    ticker: Ticker
    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    asked_at: datetime | None
    expected: date | None
    lacks_reports: bool
    lacks_bars: bool
    lacks_dividends: bool

    @property
    def scarce_calls(self) -> int:
        """Calls to the provider of report dates that would make it whole."""
        return self.lacks_reports + self.lacks_dividends

    @property
    def plentiful_calls(self) -> int:
        """Calls to the provider of prices that would make it whole."""
        return int(self.lacks_reports or self.lacks_bars)

    @property
    def calls(self) -> int:
        """Calls in all."""
        return self.scarce_calls + self.plentiful_calls


def stored_reports(prices: PriceStore, ticker: Ticker, through: date) -> Result[StoredReports]:
    """What the stock had answered, or was to answer, by the end of that session. Errors: DBERROR."""
    before = through + timedelta(1)
    moves = prices.moves(ticker, before)
    if isinstance(moves, Err):
        return moves
    missing = prices.missing_moves(ticker, before)
    return missing if isinstance(missing, Err) else Ok(StoredReports(moves.value, missing.value))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is remembered of asking: when last, and how far back the provider's reports go."""

    at: datetime
    oldest_report: date | None


class HistoryNeeds:
    """Reads the stores; `now` is the real clock."""

    def __init__(self, prices: PriceStore, earnings_store: EarningsStore, *, now: Callable[[], datetime]) -> None:
        self._prices = prices
        self._earnings_store = earnings_store
        self._now = now

    def standing(
        self,
        ticker: Ticker,
        as_of: datetime,
        calendar: MarketCalendar,
        *,
        quarters: int,
        with_dividends: bool = False,
        refresh: bool = False,
    ) -> Result[Standing]:
        """How the company stands at `as_of` where `quarters` reports are wanted; `refresh` wants all anew.

        Errors: DBERROR.
        """
        through = calendar.last_finished_session(as_of)
        stored = stored_reports(self._prices, ticker, through)
        if isinstance(stored, Err):
            return stored
        moves, missing = stored.value.moves, stored.value.missing
        dates = sorted((report.report_date for report in stored.value.all), reverse=True)
        asked = self._asked(ticker)
        if isinstance(asked, Err):
            return asked
        expected = self._expected(ticker, dates, as_of)
        if isinstance(expected, Err):
            return expected
        bars_old = self._bars_are_old(ticker, missing, through, calendar)
        if isinstance(bars_old, Err):
            return bars_old
        known_at = min(self._now(), as_of)
        dividends_old = self._dividends_are_old(ticker, known_at) if with_dividends else Ok(False)
        if isinstance(dividends_old, Err):
            return dividends_old
        today = as_of.astimezone(NEW_YORK).date()
        lacks_reports = (
            refresh
            or asked.value is None
            or _reaches_too_short(dates, asked.value, quarters, today)
            or _is_due(dates, asked.value, expected.value, known_at=known_at, now=self._now(), calendar=calendar)
        )
        return Ok(
            Standing(
                ticker=ticker,
                moves=moves,
                missing=missing,
                asked_at=None if asked.value is None else asked.value.at,
                expected=min((each.report_date for each in expected.value if each.report_date >= today), default=None),
                lacks_reports=lacks_reports,
                lacks_bars=bool(dates) and bars_old.value,
                lacks_dividends=with_dividends and (lacks_reports or bool(dates)) and (refresh or dividends_old.value),
            )
        )

    def _asked(self, ticker: Ticker) -> Result[_Asked | None]:
        at = self._prices.last_backfill(ticker)
        if isinstance(at, Err) or at.value is None:
            return at if isinstance(at, Err) else Ok(None)
        oldest = self._prices.oldest_report(ticker)
        return oldest if isinstance(oldest, Err) else Ok(_Asked(at.value, oldest.value))

    def _expected(self, ticker: Ticker, dates: Sequence[date], as_of: datetime) -> Result[tuple[ScheduledReport, ...]]:
        """What the stored calendar expects after the newest stored report, made or still to come."""
        today = as_of.astimezone(NEW_YORK).date()
        after = dates[0] if dates else today - _HORIZON
        return self._earnings_store.scheduled(ticker, after + timedelta(1), today + _HORIZON)

    def _bars_are_old(
        self, ticker: Ticker, missing: Sequence[MissingMove], through: date, calendar: MarketCalendar
    ) -> Result[bool]:
        """Whether newer bars are to be had, or might give a recent report the move that it still has not."""
        bars = self._prices.bars(ticker, through - timedelta(_DAYS_LOOKED_BACK_FOR_BARS), through)
        if isinstance(bars, Err):
            return bars
        if not bars.value or _is_old(bars.value[-1].session, through, calendar):
            return Ok(True)
        waiting = (report.report_date for report in missing if may_yet_be_measured(report))
        return Ok(any(not _is_old(day, through, calendar) for day in waiting))

    def _dividends_are_old(self, ticker: Ticker, known_at: datetime) -> Result[bool]:
        seen = self._earnings_store.dividends_seen_at(ticker)
        return seen if isinstance(seen, Err) else Ok(seen.value is None or known_at - seen.value > DIVIDENDS_LIFE)


def _is_old(day: date, through: date, calendar: MarketCalendar) -> bool:
    long_ago = (through - day).days > _DAYS_LOOKED_BACK_FOR_BARS
    return long_ago or calendar.sessions_between(day, through) > OLDEST_BAR_SESSIONS


def _reaches_too_short(dates: Sequence[date], asked: _Asked, quarters: int, today: date) -> bool:
    """Whether fewer reports are stored than wanted, and the provider has older ones; `dates` fall."""
    if len(dates) >= quarters or asked.oldest_report is None:
        return False
    return asked.oldest_report < (dates[-1] if dates else today)


def _is_due(
    dates: Sequence[date],
    asked: _Asked,
    expected: Sequence[ScheduledReport],
    *,
    known_at: datetime,
    now: datetime,
    calendar: MarketCalendar,
) -> bool:
    """Whether a report newer than the stored ones should be there at `known_at`, and it is time to ask for it."""
    passed = [due for due in _due(dates, asked, expected, calendar) if due <= known_at]
    if not passed:
        return False
    waited = asked.at - max(passed)
    return waited < timedelta(0) or now - asked.at > min(max(ASK_AGAIN_AFTER, waited), ASK_AGAIN_WITHIN)


def _due(
    dates: Sequence[date], asked: _Asked, expected: Sequence[ScheduledReport], calendar: MarketCalendar
) -> Iterator[datetime]:
    """When the next report should be there: once the stock has closed on it by the calendar, or a quarter went by.

    Where the calendar's first is the one after next, the next was made by a quarter before it, unseen.
    """
    if dates:
        after = dates[0] + SAME_REPORT
        yield _midnight(dates[0] + QUARTER)
    else:
        after = asked.at.astimezone(NEW_YORK).date()
        yield asked.at + WITHOUT_REPORTS
    coming = [each for each in expected if each.report_date > after]
    if dates and coming and coming[0].report_date > after + QUARTER:
        yield _midnight(coming[0].report_date - QUARTER)
    yield from (_answered_at(each, calendar) for each in coming)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, NEW_YORK)


def _answered_at(report: ScheduledReport, calendar: MarketCalendar) -> datetime:
    """The close of the session that reacts to an expected report; of an unknown session, of the later one."""
    return calendar.closes_at(latest_reaction(report.report_date, report.timing, calendar))
