"""Past moves of one company, summed up by the measure of the settings. Never measures a move itself."""

from collections.abc import Sequence

import numpy as np

from ivcrush.domain.analysis import HistoryStatistics
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import EvaluationSettings, FloatArray, HistoricalMove, MissingMove, Ticker


def summarise_history(
    ticker: Ticker,
    moves: Sequence[HistoricalMove],
    missing: Sequence[MissingMove],
    straddle_pct: float,
    settings: EvaluationSettings,
) -> Result[HistoryStatistics]:
    """Mean, median and maximum of the newest `max_quarters` absolute moves, percent, by `settings.measure`.

    `straddle_pct` is today's straddle in percent of spot; `inside_implied` counts the moves not larger than it. `moves`
    may come in any order. Errors: NODATA below `min_quarters`.
    """
    newest = tuple(sorted(moves, key=lambda move: move.reaction_session, reverse=True)[: settings.max_quarters])
    if len(newest) < settings.min_quarters:
        return err(ErrorCode.NODATA, f"{ticker}: {len(newest)} past moves, {settings.min_quarters} needed")
    sizes = np.array([abs(move.measured(settings.measure)) for move in newest])
    return Ok(
        HistoryStatistics(
            measure=settings.measure,
            mean_abs_pct=float(sizes.mean()),
            median_abs_pct=float(np.median(sizes)),
            max_abs_pct=float(sizes.max()),
            inside_implied=int(np.count_nonzero(sizes <= straddle_pct)),
            moves=newest,
            missing=tuple(sorted(missing, key=lambda report: report.report_date, reverse=True)),
        )
    )


def absolute_moves_pct(history: HistoryStatistics) -> FloatArray:
    """The sizes of the past moves by the history's measure, percent, shape (quarters,), newest first."""
    return np.array([abs(move.measured(history.measure)) for move in history.moves])
