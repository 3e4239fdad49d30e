"""One ticker, walked: gather everything an analysis needs into a snapshot, think it through, keep it.

Asks what is local and free first, then the market. After the snapshot nothing awaits. Never prints, and never decides
what a number means: that is `metrics/evaluation`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import msgspec
import numpy as np

from ivcrush.application.documents import analysis_document
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.metrics.session_clock import first_expiration, reaction_session
from ivcrush.application.services.company_history import CompanyHistory, Past
from ivcrush.application.services.ground import CLOCK_TOLERANCE, Ground, find_ground
from ivcrush.application.services.request_planner import ReportQuestion, RequestPlanner
from ivcrush.application.services.severity import severity
from ivcrush.application.services.together import together
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.enums import Timing
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
from ivcrush.utils.performance import track_performance

_DAYS_OF_DIVIDENDS = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reach:
    """How much is spent on each company.

    `depth` counts the expirations fetched from the event's on, `before` those before it: they show whether the
    variance jumps where the calendar says. `spends_scarce_calls` is whether a report date may be asked for, a company
    a call, and raw bars where the history of prices fails.
    """

    depth: int
    before: int
    spends_scarce_calls: bool


# One company is looked at as closely as makes sense; of many, each request is minutes of waiting.
ONE = Reach(depth=8, before=1, spends_scarce_calls=True)
MANY = Reach(depth=3, before=0, spends_scarce_calls=False)


@dataclass(frozen=True, slots=True)
class AnalyzerSettings:
    """What holds for every ticker of a run.

    `as_of` None means now. `quote_life` is how long quotes count as of now. `simulated` labels the result.
    """

    evaluation: EvaluationSettings
    reach: Reach
    as_of: datetime | None
    quote_life: timedelta
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class _Chains:
    """The chains that came, rising, and whether those are all that were asked for."""

    found: tuple[OptionChain, ...]
    complete: bool

    @property
    def flags(self) -> tuple[str, ...]:
        """What the analysis has to say of them."""
        return () if self.complete else ("chain_missing",)


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
        """One answer a question, in their order, all at once; each is kept as it ends."""
        ground = await self.ground([question.ticker for question in questions])
        if isinstance(ground, Err):
            return tuple(ground for _ in questions)
        return await together(self._kept(question, ground.value, run_id) for question in questions)

    async def ground(self, tickers: Sequence[Ticker]) -> Result[Ground]:
        """What the analyses of these companies share; errors: those of `find_ground`."""
        chosen = self._settings
        return await find_ground(self._market, tickers, as_of=chosen.as_of, quote_life=chosen.quote_life, now=self._now)

    async def analysis(self, question: ReportQuestion, ground: Ground) -> Result[TickerAnalysis]:
        """One company's answer, not kept. Errors: those of the providers and of the evaluation, DBERROR."""
        snapshot = await self._snapshot(question, ground)
        analysis = snapshot if isinstance(snapshot, Err) else _evaluated(snapshot.value)
        if isinstance(analysis, Err):
            _log.info("%s not analysed: %s", question.ticker, analysis.error)
        return analysis

    async def _kept(self, question: ReportQuestion, ground: Ground, run_id: str) -> Result[TickerAnalysis]:
        analysis = await self.analysis(question, ground)
        if isinstance(analysis, Err):
            return analysis
        document = msgspec.json.encode(analysis_document(analysis.value))
        saved = self._analyses.save_analysis(analysis.value, document, run_id, self._now())
        return saved if isinstance(saved, Err) else analysis

    @track_performance(name="gathering: one company")
    async def _snapshot(self, question: ReportQuestion, ground: Ground) -> Result[MarketSnapshot]:
        """Everything one analysis needs; after it nothing awaits."""
        ticker = question.ticker
        quote = await self._quote(ticker, ground)
        if isinstance(quote, Err):
            return quote
        history = await self._history.at(ticker, ground.as_of, ground.calendar)
        if isinstance(history, Err):
            return history
        request = await self._planner.plan(
            question,
            ground.as_of,
            history.value.sessions,
            ground.calendar,
            ask=self._settings.reach.spends_scarce_calls,
        )
        if isinstance(request, Err):
            return request
        expirations = await self._market.expirations(ticker)
        if isinstance(expirations, Err):
            return expirations
        chains = await self._chains(request.value, expirations.value, ground)
        if isinstance(chains, Err):
            return chains
        return self._assembled(
            ground,
            request=request.value,
            quote=quote.value,
            expirations=expirations.value,
            chains=chains.value,
            history=history.value,
        )

    def _assembled(
        self,
        ground: Ground,
        *,
        request: AnalysisRequest,
        quote: UnderlyingQuote,
        expirations: tuple[date, ...],
        chains: _Chains,
        history: Past,
    ) -> Result[MarketSnapshot]:
        today = ground.as_of.astimezone(NEW_YORK).date()
        dividends = self._earnings_store.dividends(request.ticker, today, today + timedelta(_DAYS_OF_DIVIDENDS))
        if isinstance(dividends, Err):
            return dividends
        recent = history.newest(self._settings.evaluation.max_quarters)
        return Ok(
            MarketSnapshot(
                request=replace(request, flags=(*request.flags, *ground.flags, *history.flags, *chains.flags)),
                as_of=self._stamp(quote, chains.found, ground),
                quote=quote,
                expirations=expirations,
                chains=chains.found,
                moves=recent.moves,
                missing=recent.missing,
                dividends=dividends.value,
                realised=history.realised,
                settings=self._settings.evaluation,
                calendar=ground.calendar,
                session_state=ground.state,
                simulated=self._settings.simulated,
            )
        )

    async def _quote(self, ticker: Ticker, ground: Ground) -> Result[UnderlyingQuote]:
        found = await ground.quotes.quote(ticker)
        if isinstance(found, Err):
            return found
        quote = found.value
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

    async def _chains(self, request: AnalysisRequest, expirations: Sequence[date], ground: Ground) -> Result[_Chains]:
        """The event's expiration and those after it, and the one before; only the event's own is indispensable.

        A chain that a breaker kept from being asked for is no answer with less: the company is asked about again.
        """
        wanted = _wanted(request, expirations, ground, self._settings.reach)
        if isinstance(wanted, Err):
            return wanted
        needed = _event_expirations(request, expirations, ground.calendar)
        days = sorted({*wanted.value, *needed})
        answers = await together(self._market.option_chain(request.ticker, day) for day in days)
        for day, answer in zip(days, answers, strict=True):
            if isinstance(answer, Err) and (day in needed or answer.error.about("breaker") is not None):
                return answer
            if isinstance(answer, Err):
                _log.log(
                    severity(answer.error), "%s: the chain of %s is missing: %s", request.ticker, day, answer.error
                )
        found = tuple(answer.value for answer in answers if isinstance(answer, Ok))
        return Ok(_Chains(found, complete=len(found) == len(days)))

    def _stamp(self, quote: UnderlyingQuote, chains: Sequence[OptionChain], ground: Ground) -> datetime:
        """The fixed moment; or, for now, when the last quote was made, within what clocks may differ."""
        if self._settings.as_of is not None:
            return ground.as_of
        now = self._now() + ground.clock_lag
        made = [float(side.quoted_at.max(initial=0.0)) for chain in chains for side in (chain.calls, chain.puts)]
        if quote.quoted_at is not None:
            made.append(quote.quoted_at.timestamp())
        latest = float(np.clip(max(made, default=0.0), now.timestamp(), (now + CLOCK_TOLERANCE).timestamp()))
        return datetime.fromtimestamp(latest, NEW_YORK)


@track_performance(name="evaluation: one company", threshold_s=1.0)
def _evaluated(snapshot: MarketSnapshot) -> Result[TickerAnalysis]:
    """The evaluation, timed here because the calculators read no clock."""
    return evaluate(snapshot)


def _wanted(
    request: AnalysisRequest, expirations: Sequence[date], ground: Ground, reach: Reach
) -> Result[tuple[date, ...]]:
    """The expirations around the event, rising; of an unknown session, from the earlier reaction on."""
    timing = Timing.BMO if request.timing is Timing.UNKNOWN else request.timing
    reaction = reaction_session(request.report_date, timing, ground.calendar)
    holding = [day for day in expirations if day >= reaction]
    if request.expiration is not None and request.expiration not in expirations:
        shown = ", ".join(map(str, holding[:3])) or "none after the report"
        return err(
            ErrorCode.INVALID, f"{request.ticker}: expiration {request.expiration} is not listed; listed are {shown}"
        )
    if not holding:
        return err(ErrorCode.NODATA, f"{request.ticker}: no expiration is listed on or after {reaction}")
    today = ground.as_of.astimezone(NEW_YORK).date()
    before = [day for day in expirations if today < day < reaction]
    return Ok((*before[max(0, len(before) - reach.before) :], *holding[: reach.depth]))


def _event_expirations(request: AnalysisRequest, expirations: Sequence[date], calendar: MarketCalendar) -> set[date]:
    """The named expiration, or the first after the event; of an unknown session, those of both."""
    if request.expiration is not None:
        return {request.expiration}
    timings = (Timing.BMO, Timing.AMC) if request.timing is Timing.UNKNOWN else (request.timing,)
    firsts = (
        first_expiration(expirations, reaction_session(request.report_date, timing, calendar)) for timing in timings
    )
    return {day for day in firsts if day is not None}
