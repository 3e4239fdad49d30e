"""One snapshot, thought through: every calculator in turn, then the verdict with its reasons. Pure and repeatable.

The implied move is required; any other block may be an `Err` in its place. The recommendation follows the point ratio,
as the thresholds of the settings are meant; `tradeable` asks more: sound data, a market one can trade in, and a ratio
that exceeds one by more than chance (the 90 % interval) and more than the cost of trading.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta

from ivcrush.application.metrics.consistency import measure_consistency
from ivcrush.application.metrics.doubts import DOUBTS
from ivcrush.application.metrics.execution_quality import measure_execution
from ivcrush.application.metrics.history import summarise_history
from ivcrush.application.metrics.implied_move import ImpliedMoveReading, implied_move
from ivcrush.application.metrics.skew import measure_skew
from ivcrush.application.metrics.straddle import measure_straddle
from ivcrush.application.metrics.term_structure import measure_term_structure
from ivcrush.application.metrics.vrp import favours_long_volatility, measure_vrp, recommend, shown_below
from ivcrush.domain.analysis import (
    Consistency,
    ExecutionQuality,
    HistoryStatistics,
    ImpliedMove,
    TickerAnalysis,
    VrpResult,
)
from ivcrush.domain.enums import DateStatus, ExecutionTier, Recommendation, ReportSource, SessionState, Timing
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import AnalysisRequest, MarketSnapshot

_TRADEABLE_TIERS = (ExecutionTier.EXCELLENT, ExecutionTier.GOOD)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What speaks for a trade and what against it, in words."""

    supports: tuple[str, ...]
    objections: tuple[str, ...]
    remarks: tuple[str, ...]


def evaluate(snapshot: MarketSnapshot) -> Result[TickerAnalysis]:
    """The whole analysis of one report. Errors: those of `implied_move`; every other block carries its own."""
    reading = implied_move(snapshot)
    if isinstance(reading, Err):
        return reading
    ticker, implied = snapshot.request.ticker, reading.value.move
    fetched = "history_not_fetched" not in snapshot.request.flags
    history = summarise_history(
        ticker, snapshot.moves, snapshot.missing, implied.straddle_pct, snapshot.settings, fetched=fetched
    )
    vrp = _vrp(snapshot, implied, history)
    execution = _execution(snapshot, implied)
    flags = tuple(dict.fromkeys((*snapshot.request.flags, *implied.flags, *_long_volatility(vrp, snapshot))))
    verdict = _verdict(snapshot, reading.value, vrp, execution, flags)
    return Ok(
        TickerAnalysis(
            snapshot=snapshot,
            implied_move=implied,
            straddle=measure_straddle(snapshot, reading.value.event, implied, reading.value.shape),
            history=history,
            vrp=vrp,
            consistency=_consistency(snapshot, history),
            skew=measure_skew(ticker, reading.value.event),
            term_structure=measure_term_structure(ticker, reading.value.surfaces, implied, reading.value.shape),
            execution=execution,
            recommendation=_recommendation(vrp, snapshot),
            tradeable=not verdict.objections,
            reasons=(*verdict.supports, *verdict.objections, *verdict.remarks),
            flags=flags,
        )
    )


def _vrp(snapshot: MarketSnapshot, implied: ImpliedMove, history: Result[HistoryStatistics]) -> Result[VrpResult]:
    if isinstance(history, Err):
        return history
    request = snapshot.request
    sessions = snapshot.calendar.sessions_between(request.report_date, implied.expiration)
    return measure_vrp(request.ticker, implied, history.value, sessions)


def _consistency(snapshot: MarketSnapshot, history: Result[HistoryStatistics]) -> Result[Consistency]:
    return history if isinstance(history, Err) else measure_consistency(snapshot.request.ticker, history.value)


def _execution(snapshot: MarketSnapshot, implied: ImpliedMove) -> Result[ExecutionQuality]:
    chain = next(chain for chain in snapshot.chains if chain.expiration == implied.expiration)
    return measure_execution(chain, implied, snapshot.settings, snapshot.as_of, snapshot.session_state)


def _recommendation(vrp: Result[VrpResult], snapshot: MarketSnapshot) -> Recommendation:
    return Recommendation.SKIP if isinstance(vrp, Err) else recommend(vrp.value.ratio, snapshot.settings)


def _long_volatility(vrp: Result[VrpResult], snapshot: MarketSnapshot) -> Iterator[str]:
    if isinstance(vrp, Ok) and favours_long_volatility(vrp.value, snapshot.settings):
        yield "long_volatility"


def _verdict(
    snapshot: MarketSnapshot,
    reading: ImpliedMoveReading,
    vrp: Result[VrpResult],
    execution: Result[ExecutionQuality],
    flags: tuple[str, ...],
) -> _Verdict:
    """For, against and beside the point; tradeable is what nothing speaks against."""
    richness = _richness(vrp, snapshot)
    dealing = _dealing(execution, snapshot)
    cost = _after_cost(vrp, execution, reading.move)
    doubts = tuple(DOUBTS[flag] for flag in flags if flag in DOUBTS)
    sides = (*richness, *dealing, *cost)
    return _Verdict(
        supports=tuple(f"for: {words}" for speaks_for, words in sides if speaks_for),
        objections=(
            *(f"against: {words}" for speaks_for, words in sides if not speaks_for),
            *(f"against: {words}" for words in doubts),
        ),
        remarks=tuple(
            f"note: {words}" for words in (*_assumed(snapshot.request, reading.timing), *_remarks(vrp, flags))
        ),
    )


def _richness(vrp: Result[VrpResult], snapshot: MarketSnapshot) -> Iterator[tuple[bool, str]]:
    """The ratio against the thresholds."""
    if isinstance(vrp, Err):
        yield False, vrp.error.message
        return
    found, marginal = vrp.value, snapshot.settings.vrp_marginal
    rich = found.ratio >= marginal
    ratio = f"{found.ratio:.2f}" if rich else shown_below(found.ratio, marginal)
    words = f"the event move is {ratio} times the mean of {found.quarters} past moves"
    yield rich, words if rich else f"{words}, {marginal:g} needed"


def _dealing(execution: Result[ExecutionQuality], snapshot: MarketSnapshot) -> Iterator[tuple[bool, str]]:
    """Whether the straddle can be traded now."""
    if snapshot.session_state is not SessionState.OPEN:
        yield False, f"the exchange is not open ({snapshot.session_state}){_quoted(execution, snapshot)}"
    if isinstance(execution, Err):
        yield False, execution.error.message
        return
    found = execution.value
    words = (
        f"execution {found.tier}: straddle spread {found.straddle_spread_pct:.1f} %, "
        f"open interest {found.open_interest}"
    )
    yield found.tier in _TRADEABLE_TIERS, words


def _quoted(execution: Result[ExecutionQuality], snapshot: MarketSnapshot) -> str:
    """When the straddle's older quote was made, by New York's clocks; nothing where the provider dated none."""
    if isinstance(execution, Err) or execution.value.quote_age_s is None:
        return ""
    made_at = snapshot.as_of.astimezone(UTC) - timedelta(seconds=execution.value.quote_age_s)
    return f": quotes are of {made_at.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"


def _after_cost(
    vrp: Result[VrpResult], execution: Result[ExecutionQuality], implied: ImpliedMove
) -> Iterator[tuple[bool, str]]:
    """Whether the ratio exceeds one by more than chance once the spread is paid."""
    if isinstance(vrp, Err) or isinstance(execution, Err):
        return
    kept = execution.value.net_event_move_pct / implied.event_move_pct
    low, high = (bound * kept for bound in vrp.value.interval_90)
    yield low > 1, f"after costs the shrunk ratio lies between {low:.2f} and {high:.2f} (90 %)"


def _assumed(request: AnalysisRequest, timing: Timing) -> Iterator[str]:
    """What was taken for the report's date and session where nobody confirms them."""
    if request.status is DateStatus.UNKNOWN:
        yield "report date as named, not confirmed by the calendar"
    elif "session_from_history" in request.flags:
        date_word = "report date as named, " if request.source is ReportSource.ARGUMENT else ""
        yield f"{date_word}session of the report taken from the company's past ones"
    elif "session_not_in_calendar" in request.flags:
        yield "session as named, the calendar names another one beside the same date"
    elif request.status is not DateStatus.CONFIRMED:
        yield f"report date {request.status}"
    if request.timing is Timing.UNKNOWN:
        yield f"session unknown: computed for {timing}, the wider of those still possible"


def _remarks(vrp: Result[VrpResult], flags: tuple[str, ...]) -> Iterator[str]:
    if isinstance(vrp, Ok):
        yield f"the largest past move was {vrp.value.tail_ratio:.1f} times the mean; a short straddle has no floor"
    if "long_volatility" in flags:
        yield "options look cheap against this company's past: nothing for a seller here"
