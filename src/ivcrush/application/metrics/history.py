"""Past moves of one company, summed up by the measure of the settings. Never measures a move itself."""

from collections.abc import Sequence
from statistics import fmean, median

from ivcrush.application.metrics.earnings_moves import reasons_counted
from ivcrush.domain.analysis import HistoryStatistics
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import EvaluationSettings, HistoricalMove, MissingMove, Ticker


def summarise_history(
    ticker: Ticker,
    moves: Sequence[HistoricalMove],
    missing: Sequence[MissingMove],
    straddle_pct: float,
    settings: EvaluationSettings,
    *,
    fetched: bool = True,
) -> Result[HistoryStatistics]:
    """Mean, median and maximum of the newest `max_quarters` absolute moves, percent, by `settings.measure`.

    `straddle_pct` is today's straddle in percent of spot; `inside_implied` counts the moves not larger than it. `moves`
    may come in any order. `fetched` is False where what is lacking was asked for in vain. Errors: NODATA below
    `min_quarters`, with the reason and what to do.
    """
    newest = tuple(sorted(moves, key=lambda move: move.reaction_session, reverse=True)[: settings.max_quarters])
    if len(newest) < settings.min_quarters:
        lack = f"{len(newest)} past moves, {settings.min_quarters} needed"
        return err(ErrorCode.NODATA, f"{ticker}: {lack}: {_why_too_few(ticker, missing, fetched=fetched)}")
    sizes = [abs(move.measured(settings.measure)) for move in newest]
    return Ok(
        HistoryStatistics(
            measure=settings.measure,
            mean_abs_pct=fmean(sizes),
            median_abs_pct=median(sizes),
            max_abs_pct=max(sizes),
            inside_implied=sum(size <= straddle_pct for size in sizes),
            moves=newest,
            missing=tuple(sorted(missing, key=lambda report: report.report_date, reverse=True)),
        )
    )


def _why_too_few(ticker: Ticker, missing: Sequence[MissingMove], *, fetched: bool) -> str:
    """What became of the others, and the command that may change it."""
    if missing:
        return f"{reasons_counted(missing)}; backfill {ticker} --refresh asks for them again"
    if not fetched:
        return f"none could be fetched; backfill {ticker} asks again"
    return f"no other report is known; backfill {ticker} --refresh asks again"


def absolute_moves_pct(history: HistoryStatistics) -> tuple[float, ...]:
    """The sizes of the past moves by the history's measure, percent, newest first."""
    return tuple(abs(move.measured(history.measure)) for move in history.moves)
