"""One ticker, walked: gather everything an analysis needs into a snapshot, think it through, keep it.

Asks what is local and free first, then the market. After the snapshot nothing awaits. Never prints, and never decides
what a number means: that is `metrics/evaluation`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import msgspec
import numpy as np

from ivcrush.application.documents import analysis_document
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.metrics.session_clock import first_expiration, reaction_session
from ivcrush.application.services.company_history import CompanyHistory, Past
from ivcrush.application.services.request_planner import ReportQuestion, RequestPlanner
from ivcrush.application.services.together import together
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.enums import SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import AnalysisStore, EarningsStore, MarketData
from ivcrush.domain.types import (
    AnalysisRequest,
    EvaluationSettings,
    MarketSnapshot,
    OptionChain,
    Ticker,
    UnderlyingQuote,
)

# Expirations before the event that are fetched beside it: they show whether the variance jumps where the calendar says.
EXPIRATIONS_BEFORE_EVENT = 1
# After this long without a new report another quarter has gone by, and history is fetched again.
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


class Analyzer:
    """Analyses the coming reports of companies; `now` is the real clock."""

    def __init__(
        self,
        *,
        market: MarketData,
        planner: RequestPlanner,
        history: CompanyHistory,
        earnings_store: EarningsStore,
        analyses: AnalysisStore,
        settings: AnalyzerSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._market = market
        self._planner = planner
        self._history = history
        self._earnings_store = earnings_store
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
        return await together(self._one(question, quotes.value, moment.value, run_id) for question in questions)

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
        history = await self._history.at(ticker, moment.as_of, moment.calendar)
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
        history: Past,
    ) -> Result[MarketSnapshot]:
        today = moment.as_of.astimezone(NEW_YORK).date()
        dividends = self._earnings_store.dividends(request.ticker, today, today + timedelta(_DAYS_OF_DIVIDENDS))
        if isinstance(dividends, Err):
            return dividends
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
                realised=history.realised,
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
        months = await together(self._market.session_days(month.year, month.month) for month in (day, following))
        for month in months:
            if isinstance(month, Err):
                _log.warning("the exchange's calendar is not to be had, its rules are used: %s", month.error)
        return MarketCalendar({day.day: day.close for month in months if isinstance(month, Ok) for day in month.value})

    def _quote(self, ticker: Ticker, quotes: Mapping[Ticker, UnderlyingQuote]) -> Result[UnderlyingQuote]:
        quote = quotes.get(ticker)
        if quote is None:
            return err(ErrorCode.NODATA, f"{ticker}: the market data provider does not know this ticker")
        fixed = self._settings.as_of
        made = max((at for at in (quote.quoted_at, quote.traded_at) if at is not None), default=None)
        if fixed is not None and made is not None and made > fixed:
            return err(
                ErrorCode.INVALID,
                f"{ticker}: the quote is of {made.astimezone(NEW_YORK).isoformat()}, later than "
                f"--as-of {fixed.isoformat()}; a moment from then on is needed",
            )
        return Ok(quote)

    async def _chains(
        self, request: AnalysisRequest, expirations: Sequence[date], moment: _Moment
    ) -> Result[tuple[OptionChain, ...]]:
        """The event's expiration and those after it, and the one before; only the event's own is indispensable."""
        wanted = _wanted(request, expirations, moment, self._settings.depth)
        if isinstance(wanted, Err):
            return wanted
        needed = _event_expirations(request, expirations, moment.calendar)
        days = sorted({*wanted.value, *needed})
        answers = await together(self._market.option_chain(request.ticker, day) for day in days)
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
