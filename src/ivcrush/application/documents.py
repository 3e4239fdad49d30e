"""The JSON documents of the contract, as plain dictionaries: one truth for the screen, the file and the analysis log.

Says what stands where and how numbers are rounded; never formats text, never reads or writes anything. New fields may
be added; renaming or removing one needs a new schema number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar

from ivcrush.application.metrics.session_clock import entry_closes_at
from ivcrush.application.ranking import Answer
from ivcrush.domain.analysis import (
    Consistency,
    ExecutionQuality,
    HistoryStatistics,
    ImpliedMove,
    Skew,
    Straddle,
    TermStructure,
    TickerAnalysis,
    TickerFailure,
    VrpResult,
)
from ivcrush.domain.enums import SessionState
from ivcrush.domain.errors import AppError, Err, ErrorCode, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import HistoricalMove, MarketSnapshot, MissingMove

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Document: TypeAlias = "dict[str, Json]"
T = TypeVar("T")

ANALYSIS_SCHEMA = "ivcrush.analysis/1"
FAILURE_SCHEMA = "ivcrush.failure/1"
BATCH_SCHEMA = "ivcrush.batch/1"


def analysis_document(analysis: TickerAnalysis) -> Document:
    """One analysis as `ivcrush.analysis/1`; a block that could not be computed is its error."""
    snapshot, request = analysis.snapshot, analysis.snapshot.request
    return {
        "schema": ANALYSIS_SCHEMA,
        "ticker": analysis.ticker,
        "as_of": moment(snapshot.as_of),
        "simulated": snapshot.simulated,
        "exchange": _exchange(snapshot),
        "earnings": {
            "date": request.report_date.isoformat(),
            "timing": request.timing,
            "status": request.status,
            "source": request.source,
            "moved_from": None if request.moved_from is None else request.moved_from.isoformat(),
            "enter_by": moment(entry_closes_at(request.report_date, request.timing, snapshot.calendar)),
        },
        "expiration": analysis.implied_move.expiration.isoformat(),
        "expirations_used": [chain.expiration.isoformat() for chain in snapshot.chains],
        "spot": number(analysis.implied_move.spot),
        "forward": number(analysis.implied_move.forward),
        "implied_move": _implied_move(analysis.implied_move),
        "straddle": _straddle(analysis.straddle),
        "history": _block(analysis.history, _history),
        "vrp": _block(analysis.vrp, _vrp),
        "consistency": _block(analysis.consistency, _consistency),
        "skew": _block(analysis.skew, _skew),
        "term_structure": _block(analysis.term_structure, _term_structure),
        "execution": _block(analysis.execution, _execution),
        "recommendation": analysis.recommendation,
        "tradeable": analysis.tradeable,
        "reasons": list(analysis.reasons),
        "flags": list(analysis.flags),
    }


def failure_document(failure: TickerFailure) -> Document:
    """One ticker without an answer as `ivcrush.failure/1`."""
    return {"schema": FAILURE_SCHEMA, "ticker": failure.ticker, "error": error_document(failure.error)}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run over several tickers was and cost.

    `depth` counts the expirations asked for from the event's on. `resumed` rows had been done by a run that was cut.
    """

    run_id: str
    as_of: datetime
    simulated: bool
    depth: int
    requests: int
    cache_hits: int
    elapsed_s: float
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Several tickers as `ivcrush.batch/1`: its head, and its lists in their order.

    `analyses` are the JSON documents themselves, ranked: there may be thousands, so each is read when it is its turn.
    `rejected` is None for a run that leaves nobody out. `ages_s` are those of the analyses that were taken over from a
    run that was cut, None for one of this run; empty where none was taken over.
    """

    head: Document
    analyses: tuple[bytes, ...]
    failures: tuple[Document, ...]
    rejected: tuple[Document, ...] | None = None
    ages_s: tuple[float | None, ...] = ()


def batch_report(answers: Sequence[Answer], failures: Sequence[Document], facts: RunFacts) -> BatchReport:
    """The report of a run; `answers` come ranked."""
    skipped = sum(1 for failure in failures if _code_of(failure) == ErrorCode.SKIPPED)
    head: Document = {
        "schema": BATCH_SCHEMA,
        "run_id": facts.run_id,
        "as_of": moment(facts.as_of),
        "simulated": facts.simulated,
        "term_structure_depth": facts.depth,
        "summary": {
            "total": len(answers) + len(failures),
            "analysed": len(answers),
            "failed": len(failures) - skipped,
            "skipped": skipped,
            "tradeable": sum(found.tradeable for found in answers),
            "resumed": facts.resumed,
            "requests": facts.requests,
            "cache_hits": facts.cache_hits,
            "elapsed_s": round(facts.elapsed_s, 3),
        },
    }
    ages_s = tuple(found.age_s for found in answers)
    taken_over = any(age_s is not None for age_s in ages_s)
    documents = tuple(found.document for found in answers)
    return BatchReport(head, documents, tuple(failures), ages_s=ages_s if taken_over else ())


def error_document(error: AppError) -> Document:
    """An error as code and message."""
    return {"code": error.code, "message": error.message}


def moment(value: datetime) -> str:
    """ISO 8601 in New York time with offset, to the second."""
    return value.astimezone(NEW_YORK).isoformat(timespec="seconds")


def number(value: float, digits: int = 4) -> float:
    """A number as printed; never minus zero."""
    return round(value, digits) + 0.0


def _code_of(failure: Document) -> Json:
    error = failure["error"]
    return error["code"] if isinstance(error, dict) else None


def _block(result: Result[T], render: Callable[[T], Document]) -> Document:
    return {"error": error_document(result.error)} if isinstance(result, Err) else render(result.value)


def _exchange(snapshot: MarketSnapshot) -> Document:
    """What the exchange was doing, and when it opens next where it was not open."""
    state, here = snapshot.session_state, snapshot.as_of.astimezone(NEW_YORK)
    if state is SessionState.OPEN:
        return {"state": state, "opens_at": None}
    day = snapshot.calendar.session_on_or_after(here.date())
    if snapshot.calendar.opens_at(day) <= here:
        day = snapshot.calendar.next_session(day)
    return {"state": state, "opens_at": moment(snapshot.calendar.opens_at(day))}


def _implied_move(move: ImpliedMove) -> Document:
    low, high = move.event_move_interval_90_pct
    return {
        "atm_strike": number(move.atm_strike),
        "straddle_cost": number(move.straddle_cost),
        "straddle_pct": number(move.straddle_pct),
        "jump_sigma_pct": number(move.jump_sigma_pct),
        "event_sigma_pct": number(move.event_sigma_pct),
        "event_move_pct": number(move.event_move_pct),
        "event_move_se_pct": number(move.event_move_se_pct),
        "event_move_interval_90_pct": [number(low), number(high)],
        "event_share_of_variance": number(move.event_share),
        "ambient_vol_pct": number(move.ambient_vol_pct),
        "lower": number(move.lower, 2),
        "upper": number(move.upper, 2),
        "method": move.method,
        "quotes_used": move.quotes_used,
        "quotes_rejected": [{"reason": reason, "count": count} for reason, count in move.quotes_rejected],
        "flags": list(move.flags),
    }


def _straddle(straddle: Straddle) -> Document:
    return {
        "days": straddle.days,
        "sessions": straddle.sessions,
        "monthly": straddle.monthly,
        "one_sigma": [number(bound, 2) for bound in straddle.one_sigma],
        "two_sigma": [number(bound, 2) for bound in straddle.two_sigma],
        "after_report": number(straddle.after_report),
        "delta": number(straddle.delta),
        "gamma": number(straddle.gamma, 6),
        "vega": number(straddle.vega),
        "theta": number(straddle.theta),
    }


def _history(history: HistoryStatistics) -> Document:
    return {
        "quarters": history.quarters,
        "measure": history.measure,
        "mean_abs_pct": number(history.mean_abs_pct),
        "median_abs_pct": number(history.median_abs_pct),
        "max_abs_pct": number(history.max_abs_pct),
        "inside_implied": history.inside_implied,
        "moves": [_move(move) for move in history.moves],
        "missing": [_missing(missing) for missing in history.missing],
    }


def _move(move: HistoricalMove) -> Document:
    return {
        "earnings_date": move.report_date.isoformat(),
        "timing": move.timing,
        "reaction_session": move.reaction_session.isoformat(),
        "close_to_close_pct": number(move.close_to_close_pct),
        "gap_pct": number(move.gap_pct),
        "open_to_close_pct": number(move.open_to_close_pct),
        "peak_pct": number(move.peak_pct),
        "flags": list(move.flags),
    }


def _missing(missing: MissingMove) -> Document:
    return {"earnings_date": missing.report_date.isoformat(), "timing": missing.timing, "reason": missing.reason}


def _vrp(vrp: VrpResult) -> Document:
    return {
        "ratio": number(vrp.ratio),
        "straddle_ratio": number(vrp.straddle_ratio),
        "shrunk_ratio": number(vrp.shrunk_ratio),
        "interval_90": [number(bound) for bound in vrp.interval_90],
        "probability_above_one": number(vrp.probability_above_one),
        "probability_above_typical": number(vrp.probability_above_typical),
        "inside_probability": number(vrp.inside_probability),
        "edge_score": number(vrp.edge_score),
        "tail_ratio": number(vrp.tail_ratio),
        "quarters": vrp.quarters,
    }


def _consistency(consistency: Consistency) -> Document:
    return {
        "score": number(consistency.score),
        "mad_pct": number(consistency.mad_pct),
        "weighted_mean_abs_pct": number(consistency.weighted_mean_abs_pct),
        "effective_quarters": number(consistency.effective_quarters),
        "trend_pct_per_quarter": number(consistency.trend_pct_per_quarter),
        "trend_se_pct_per_quarter": number(consistency.trend_se_pct_per_quarter),
        "trend": consistency.trend,
    }


def _skew(skew: Skew) -> Document:
    return {
        "risk_reversal_25d_pct": number(skew.risk_reversal_25d_pct),
        "butterfly_25d_pct": number(skew.butterfly_25d_pct),
        "atm_iv_pct": number(skew.atm_iv_pct),
        "slope": number(skew.slope),
        "curvature": number(skew.curvature),
        "direction": skew.direction,
        "concave": skew.concave,
        "points": skew.points,
    }


def _term_structure(term: TermStructure) -> Document:
    return {
        "points": [
            {
                "expiration": point.expiration.isoformat(),
                "atm_iv_pct": number(point.atm_iv_pct),
                "ex_earnings_iv_pct": _optional(point.ex_earnings_iv_pct),
            }
            for point in term.points
        ],
        "slope": number(term.slope),
        "backwardation": term.backwardation,
        "expected_iv_crush_pct": number(term.expected_iv_crush_pct),
        "forward_vols_pct": [_optional(vol) for vol in term.forward_vols_pct],
    }


def _execution(execution: ExecutionQuality) -> Document:
    return {
        "tier": execution.tier,
        "straddle_spread_pct": number(execution.straddle_spread_pct),
        "open_interest": execution.open_interest,
        "volume": execution.volume,
        "depth_contracts": execution.depth_contracts,
        "cost_pct": number(execution.cost_pct),
        "cost_of_event_move_pct": number(execution.cost_of_event_move_pct),
        "strangle_cost_of_event_move_pct": _optional(execution.strangle_cost_of_event_move_pct),
        "net_event_move_pct": number(execution.net_event_move_pct),
        "quote_age_s": _optional(execution.quote_age_s, 0),
    }


def _optional(value: float | None, digits: int = 4) -> Json:
    return None if value is None else number(value, digits)
