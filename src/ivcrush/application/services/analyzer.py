"""One ticker, walked: gather everything an analysis needs into a snapshot, think it through, keep it.

Asks what is local and free first, then the market. After the snapshot nothing awaits. Never prints, and never decides
what a number means: that is `metrics/evaluation`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import msgspec
import numpy as np

from ivcrush.application.documents import analysis_document
from ivcrush.application.metrics.earnings_moves import ex_earnings_volatility
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.metrics.session_clock import first_expiration, reaction_session
from ivcrush.application.services.history_backfill import HistoryBackfill
from ivcrush.application.services.request_planner import ReportQuestion, RequestPlanner
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.enums import SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import AnalysisStore, EarningsStore, MarketData, PriceStore
from ivcrush.domain.types import (
    AnalysisRequest,
    EvaluationSettings,
    HistoricalMove,
    MarketSnapshot,
    MissingMove,
    OptionChain,
    RealisedVolatility,
    Ticker,
    UnderlyingQuote,
)

# Expirations before the event that are fetched beside it: they show whether the variance jumps where the calendar says.
EXPIRATIONS_BEFORE_EVENT = 1
# After this long without a new report another quarter has gone by, and history is fetched again.
QUARTER = timedelta(days=100)
_REFETCH_AFTER = timedelta(days=1)
_DAYS_OF_CLOSES = 250
_DAYS_OF_DIVIDENDS = 200
# The provider's clock and ours: beyond the first a warning, beyond the second nothing can be dated.
CLOCK_TOLERANCE = timedelta(minutes=5)
CLOCK_LIMIT = timedelta(days=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnalyzerSettings:
    """What holds for every ticker of a run.

    `as_of` None means now. `depth` counts the expirations fetched from the event's on. `simulated` labels the result.
    """

    evaluation: EvaluationSettings
    depth: int
    as_of: datetime | None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class _Moment:
    """The market's day as the run sees it; `clock_lag` is how far this machine's clock is behind, beyond tolerance."""

    as_of: datetime
    calendar: MarketCalendar
    state: SessionState
    flags: tuple[str, ...] = ()
    clock_lag: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class _History:
    """A company's past at a moment, newest first."""

    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    flags: tuple[str, ...] = ()

    @property
    def reports(self) -> list[HistoricalMove | MissingMove]:
        """All of them, measured or not, newest first."""
        every: list[HistoricalMove | MissingMove] = [*self.moves, *self.missing]
        return sorted(every, key=lambda report: report.report_date, reverse=True)

    @property
    def sessions(self) -> tuple[Timing, ...]:
        """When it reported, newest first."""
        return tuple(report.timing for report in self.reports)

    def newest(self, quarters: int) -> "_History":
        """The newest reports, measured or not."""
        if len(self.reports) <= quarters:
            return self
        oldest = self.reports[quarters - 1].report_date
        return _History(
            tuple(move for move in self.moves if move.report_date >= oldest),
            tuple(report for report in self.missing if report.report_date >= oldest),
        )


class Analyzer:
    """Analyses the coming reports of companies; `now` is the real clock."""

    def __init__(
        self,
        *,
        market: MarketData,
        planner: RequestPlanner,
        backfill: HistoryBackfill,
        earnings_store: EarningsStore,
        prices: PriceStore,
        analyses: AnalysisStore,
        settings: AnalyzerSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._market = market
        self._planner = planner
        self._backfill = backfill
        self._earnings_store = earnings_store
        self._prices = prices
        self._analyses = analyses
        self._settings = settings
        self._now = now

    async def analyze(self, questions: Sequence[ReportQuestion], run_id: str) -> tuple[Result[TickerAnalysis], ...]:
        """One answer a question, in their order; each is kept as it ends. One request asks for all quotes."""
        moment = await self._moment()
        if isinstance(moment, Err):
            return tuple(moment for _ in questions)
        quotes = await self._market.quotes([question.ticker for question in questions])
        if isinstance(quotes, Err):
            return tuple(quotes for _ in questions)
        return tuple(
            await asyncio.gather(*(self._one(question, quotes.value, moment.value, run_id) for question in questions))
        )

    async def _one(
        self, question: ReportQuestion, quotes: Mapping[Ticker, UnderlyingQuote], moment: _Moment, run_id: str
    ) -> Result[TickerAnalysis]:
        snapshot = await self._snapshot(question, quotes, moment)
        analysis = snapshot if isinstance(snapshot, Err) else evaluate(snapshot.value)
        if isinstance(analysis, Err):
            _log.info("%s not analysed: %s", question.ticker, analysis.error)
            return analysis
        document = msgspec.json.encode(analysis_document(analysis.value))
        saved = self._analyses.save_analysis(analysis.value, document, run_id, self._now())
        return saved if isinstance(saved, Err) else analysis

    async def _snapshot(
        self, question: ReportQuestion, quotes: Mapping[Ticker, UnderlyingQuote], moment: _Moment
    ) -> Result[MarketSnapshot]:
        """Everything one analysis needs; after it nothing awaits."""
        ticker = question.ticker
        quote = self._quote(ticker, quotes)
        if isinstance(quote, Err):
            return quote
        history = await self._history(ticker, moment)
        if isinstance(history, Err):
            return history
        request = await self._planner.plan(question, moment.as_of, history.value.sessions, moment.calendar)
        if isinstance(request, Err):
            return request
        expirations = await self._market.expirations(ticker)
        if isinstance(expirations, Err):
            return expirations
        chains = await self._chains(request.value, expirations.value, moment)
        if isinstance(chains, Err):
            return chains
        return self._assembled(
            moment,
            request=request.value,
            quote=quote.value,
            expirations=expirations.value,
            chains=chains.value,
            history=history.value,
        )

    def _assembled(
        self,
        moment: _Moment,
        *,
        request: AnalysisRequest,
        quote: UnderlyingQuote,
        expirations: tuple[date, ...],
        chains: tuple[OptionChain, ...],
        history: _History,
    ) -> Result[MarketSnapshot]:
        today = moment.as_of.astimezone(NEW_YORK).date()
        dividends = self._earnings_store.dividends(request.ticker, today, today + timedelta(_DAYS_OF_DIVIDENDS))
        if isinstance(dividends, Err):
            return dividends
        realised = self._realised(request.ticker, history, moment)
        if isinstance(realised, Err):
            return realised
        recent = history.newest(self._settings.evaluation.max_quarters)
        return Ok(
            MarketSnapshot(
                request=replace(request, flags=(*request.flags, *moment.flags, *history.flags)),
                as_of=self._stamp(quote, chains, moment),
                quote=quote,
                expirations=expirations,
                chains=chains,
                moves=recent.moves,
                missing=recent.missing,
                dividends=dividends.value,
                realised=realised.value,
                settings=self._settings.evaluation,
                calendar=moment.calendar,
                session_state=moment.state,
                simulated=self._settings.simulated,
            )
        )

    async def _moment(self) -> Result[_Moment]:
        """When the analysis is made, by which calendar, and whether the exchange is open."""
        fixed = self._settings.as_of
        now = self._now().astimezone(NEW_YORK)
        as_of = now if fixed is None else fixed
        calendar = await self._calendar(as_of)
        if fixed is not None:
            return Ok(_Moment(fixed, calendar, calendar.state_at(fixed)))
        clock = await self._market.clock()
        if isinstance(clock, Err):
            if clock.error.code is ErrorCode.AUTH:
                return clock
            _log.warning("the exchange's clock is not to be had: %s", clock.error)
            return Ok(_Moment(now, calendar, calendar.state_at(now)))
        at = clock.value.at.astimezone(NEW_YORK)
        lag = clock.value.at - now
        if abs(lag) > CLOCK_LIMIT:
            return err(
                ErrorCode.CONFIG,
                f"this machine's clock says {now:%Y-%m-%d %H:%M}, the exchange's {at:%Y-%m-%d %H:%M}: "
                "set the clock, or name the moment with --as-of",
            )
        if abs(lag) > CLOCK_TOLERANCE:  # quotes are dated by the exchange's clock, so the analysis is too
            return Ok(_Moment(at, calendar, clock.value.state, ("host_clock_off",), lag))
        return Ok(_Moment(now, calendar, clock.value.state))

    async def _calendar(self, as_of: datetime) -> MarketCalendar:
        """The rules, corrected by the provider's calendar of this month and the next where it is to be had."""
        day = as_of.astimezone(NEW_YORK).date()
        following = (day.replace(day=1) + timedelta(32)).replace(day=1)
        months = await asyncio.gather(
            self._market.session_days(day.year, day.month),
            self._market.session_days(following.year, following.month),
        )
        for month in months:
            if isinstance(month, Err):
                _log.warning("the exchange's calendar is not to be had, its rules are used: %s", month.error)
        return MarketCalendar({day.day: day.close for month in months if isinstance(month, Ok) for day in month.value})

    def _quote(self, ticker: Ticker, quotes: Mapping[Ticker, UnderlyingQuote]) -> Result[UnderlyingQuote]:
        quote = quotes.get(ticker)
        if quote is None:
            return err(ErrorCode.NODATA, f"{ticker}: the market data provider does not know this ticker")
        fixed = self._settings.as_of
        if fixed is not None and quote.quoted_at is not None and quote.quoted_at > fixed:
            return err(
                ErrorCode.INVALID,
                f"{ticker}: the quote is of {quote.quoted_at.astimezone(NEW_YORK).isoformat()}, later than "
                f"--as-of {fixed.isoformat()}; a moment from then on is needed",
            )
        return Ok(quote)

    async def _history(self, ticker: Ticker, moment: _Moment) -> Result[_History]:
        """What is stored; fetched first where nothing is, or where a quarter has gone by. A failed fetch is no end."""
        stored = self._stored(ticker, moment)
        if isinstance(stored, Err):
            return stored
        last = self._prices.last_backfill(ticker)
        if isinstance(last, Err):
            return last
        if last.value is not None and not self._quarter_missing(stored.value, last.value, moment):
            return stored
        fetched = await self._backfill.fetch(
            ticker,
            moment.as_of,
            moment.calendar,
            quarters=self._settings.evaluation.max_quarters,
            with_dividends=False,
        )
        if isinstance(fetched, Err):
            if fetched.error.code is ErrorCode.DBERROR:
                return fetched
            _log.warning("%s: history not fetched: %s", ticker, fetched.error)
            return Ok(replace(stored.value, flags=("history_not_fetched",)))
        return self._stored(ticker, moment)

    def _quarter_missing(self, history: _History, fetched_at: datetime, moment: _Moment) -> bool:
        newest = history.reports[0].report_date if history.reports else date.min
        old = moment.as_of.astimezone(NEW_YORK).date() - newest > QUARTER
        return old and self._now() - fetched_at > _REFETCH_AFTER

    def _stored(self, ticker: Ticker, moment: _Moment) -> Result[_History]:
        before = moment.calendar.last_finished_session(moment.as_of) + timedelta(1)
        moves = self._prices.moves(ticker, before)
        if isinstance(moves, Err):
            return moves
        missing = self._prices.missing_moves(ticker, before)
        return missing if isinstance(missing, Err) else Ok(_History(moves.value, missing.value))

    def _realised(self, ticker: Ticker, history: _History, moment: _Moment) -> Result[RealisedVolatility | None]:
        """Ordinary volatility of the recent sessions, reaction sessions left out."""
        through = moment.calendar.last_finished_session(moment.as_of)
        bars = self._prices.bars(ticker, through - timedelta(_DAYS_OF_CLOSES), through)
        if isinstance(bars, Err):
            return bars
        reactions = {move.reaction_session for move in history.moves} | {
            reaction_session(report.report_date, timing, moment.calendar)
            for report in history.missing
            for timing in ((Timing.BMO, Timing.AMC) if report.timing is Timing.UNKNOWN else (report.timing,))
        }
        return Ok(ex_earnings_volatility(bars.value, reactions, moment.calendar, through=through))

    async def _chains(
        self, request: AnalysisRequest, expirations: Sequence[date], moment: _Moment
    ) -> Result[tuple[OptionChain, ...]]:
        """The event's expiration and those after it, and the one before; only the event's own is indispensable."""
        wanted = _wanted(request, expirations, moment, self._settings.depth)
        if isinstance(wanted, Err):
            return wanted
        needed = _event_expirations(request, expirations, moment.calendar)
        days = sorted({*wanted.value, *needed})
        answers = await asyncio.gather(*(self._market.option_chain(request.ticker, day) for day in days))
        for day, answer in zip(days, answers, strict=True):
            if isinstance(answer, Err) and day in needed:
                return answer
            if isinstance(answer, Err):
                _log.warning("%s: the chain of %s is missing: %s", request.ticker, day, answer.error)
        return Ok(tuple(answer.value for answer in answers if isinstance(answer, Ok)))

    def _stamp(self, quote: UnderlyingQuote, chains: Sequence[OptionChain], moment: _Moment) -> datetime:
        """The fixed moment; or, for now, when the last quote was made, within what clocks may differ."""
        if self._settings.as_of is not None:
            return moment.as_of
        now = self._now() + moment.clock_lag
        made = [float(side.quoted_at.max(initial=0.0)) for chain in chains for side in (chain.calls, chain.puts)]
        if quote.quoted_at is not None:
            made.append(quote.quoted_at.timestamp())
        latest = float(np.clip(max(made, default=0.0), now.timestamp(), (now + CLOCK_TOLERANCE).timestamp()))
        return datetime.fromtimestamp(latest, NEW_YORK)


def _wanted(
    request: AnalysisRequest, expirations: Sequence[date], moment: _Moment, depth: int
) -> Result[tuple[date, ...]]:
    """The expirations around the event, rising; of an unknown session, from the earlier reaction on."""
    timing = Timing.BMO if request.timing is Timing.UNKNOWN else request.timing
    reaction = reaction_session(request.report_date, timing, moment.calendar)
    holding = [day for day in expirations if day >= reaction]
    if request.expiration is not None and request.expiration not in expirations:
        shown = ", ".join(map(str, holding[:3])) or "none after the report"
        return err(
            ErrorCode.INVALID, f"{request.ticker}: expiration {request.expiration} is not listed; listed are {shown}"
        )
    if not holding:
        return err(ErrorCode.NODATA, f"{request.ticker}: no expiration is listed on or after {reaction}")
    today = moment.as_of.astimezone(NEW_YORK).date()
    before = [day for day in expirations if today < day < reaction][-EXPIRATIONS_BEFORE_EVENT:]
    return Ok((*before, *holding[:depth]))


def _event_expirations(request: AnalysisRequest, expirations: Sequence[date], calendar: MarketCalendar) -> set[date]:
    """The named expiration, or the first after the event; of an unknown session, those of both."""
    if request.expiration is not None:
        return {request.expiration}
    timings = (Timing.BMO, Timing.AMC) if request.timing is Timing.UNKNOWN else (request.timing,)
    firsts = (
        first_expiration(expirations, reaction_session(request.report_date, timing, calendar)) for timing in timings
    )
    return {day for day in firsts if day is not None}
