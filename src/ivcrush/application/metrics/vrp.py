"""How much more the options imply than past reports delivered, and how far chance alone could have made that up.

Works on an implied move and a history that exist already; never looks at a quote and never decides whether to trade.

The model (all logs natural). R = implied event move / true mean |move|, ln R ~ N(μ, τ²) across companies. The observed
point ratio is lr = ln(event move / mean of n past |moves|), whose noise is mostly that of a mean of few moves:

    c² = (n·cv² + 8·0.85²) / (n + 8)      coefficient of variation of |moves|, shrunk to a fat-tailed norm
    v_history = c²/n · (1 + c²/2n)         variance of ln(mean of n moves);  lr is too high by v_history/2 on average
    v = v_history + (se(event move)/event move)²
    B = τ²/(τ² + v),   ln R | data ~ N(μ + B·(lr − v_history/2 − μ), B·v)

A normal posterior: simulated over half-normal and over fat-tailed moves, its 90 % interval covers 90 %.

The prior is of the *event* move (ordinary volatility removed), which no public table holds; straddle tables do.

μ = 0.10. Over the 1,376 reports of EarningsWatcher (https://earnings-watcher.com, CC BY 4.0; 85 companies, 2022-2026)
mean |move|/straddle is 0.80, but that straddle still holds the ordinary sessions up to its Friday: by weekday of the
report, Monday to Friday, it is 0.59, 0.76, 0.77, 0.87, 0.94. The 515 reports of Thursdays and Fridays, with at most one
ordinary session left, give −ln 0.884 = 0.12, of which that session explains some 0.02. ORATS' long-run actual/implied
of 0.85 says 0.16; the two complete tables of Market Chameleon of April 2019 (34 companies) say −0.07.

τ = 0.15. The companies' own mean |move|/straddle in the 1,376 reports spread by 0.17 in logs beyond their sampling
noise, and what comes back of an apparent ratio in the next report is what τ = 0.13 leaves of it; the 34 companies of
2019 spread no more than noise alone. With 0.07 for not knowing today's μ, the prior's standard deviation is
√(0.15² + 0.07²) = 0.17. `scripts/fit_inside_probability.py` prints the figures of the 1,376 reports anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, log, sqrt
from statistics import fmean

from ivcrush.application.metrics.history import absolute_moves_pct
from ivcrush.application.metrics.inside_probability import inside_probability
from ivcrush.application.metrics.quantiles import NORMAL_95
from ivcrush.domain.analysis import HistoryStatistics, ImpliedMove, VrpResult
from ivcrush.domain.enums import MoveMeasure, Recommendation
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import EvaluationSettings, Ticker

TYPICAL_LOG_RATIO = 0.10
LOG_RATIO_SPREAD = 0.17
TYPICAL_VARIATION = 0.85
VARIATION_WEIGHT = 8


@dataclass(frozen=True, slots=True)
class LogRatioPosterior:
    """What is believed of ln R after seeing one company's history: a normal distribution."""

    mean: float
    stdev: float

    def probability_above(self, log_ratio: float) -> float:
        """P(ln R > log_ratio)."""
        return 0.5 * erfc((log_ratio - self.mean) / (self.stdev * sqrt(2)))

    def interval_90(self) -> tuple[float, float]:
        """The central 90 % of R itself, no longer in logs."""
        reach = NORMAL_95 * self.stdev
        return exp(self.mean - reach), exp(self.mean + reach)


def measure_vrp(
    ticker: Ticker, implied: ImpliedMove, history: HistoryStatistics, sessions_to_expiration: int
) -> Result[VrpResult]:
    """The point ratio, the raw straddle's ratio beside it, and the posterior of the ratio.

    `sessions_to_expiration` counts the sessions after the report date through the expiration. `edge_score` is the
    posterior mean of ln R in its standard deviations: it rises exactly with `probability_above_one`, and claims nothing
    about costs. `inside_probability` is always about close-to-close moves, whatever the history's measure. Errors:
    NODATA where every past move is zero.
    """
    moves = absolute_moves_pct(history)
    closes_pct = fmean(abs(move.measured(MoveMeasure.CLOSE_TO_CLOSE)) for move in history.moves)
    if history.mean_abs_pct <= 0 or closes_pct <= 0:
        return err(ErrorCode.NODATA, f"{ticker}: {history.quarters} past moves, all of them zero; no ratio")
    ratio = point_ratio(implied.event_move_pct, history.mean_abs_pct)
    posterior = posterior_log_ratio(ratio, moves, implied.event_move_se_pct / implied.event_move_pct)
    return Ok(
        VrpResult(
            ratio=ratio,
            straddle_ratio=point_ratio(implied.straddle_pct, history.mean_abs_pct),
            shrunk_ratio=exp(posterior.mean),
            interval_90=posterior.interval_90(),
            probability_above_one=posterior.probability_above(0.0),
            probability_above_typical=posterior.probability_above(TYPICAL_LOG_RATIO),
            inside_probability=inside_probability(
                implied.straddle_pct / closes_pct, history.quarters, sessions_to_expiration
            ),
            edge_score=posterior.mean / posterior.stdev,
            tail_ratio=history.max_abs_pct / history.mean_abs_pct,
            quarters=history.quarters,
        )
    )


def point_ratio(implied_pct: float, mean_abs_past_pct: float) -> float:
    """Implied mean absolute move over the mean absolute past move, both percent, `mean_abs_past_pct` > 0."""
    return implied_pct / mean_abs_past_pct


def posterior_log_ratio(ratio: float, moves: Sequence[float], implied_relative_se: float) -> LogRatioPosterior:
    """The posterior of ln R (formulas in the head of this file).

    `moves` are the n >= 1 past absolute moves behind the ratio, not all zero; `implied_relative_se` is the standard
    error of the event move over the event move.
    """
    quarters = len(moves)
    variation = (quarters * _squared_variation(moves) + VARIATION_WEIGHT * TYPICAL_VARIATION**2) / (
        quarters + VARIATION_WEIGHT
    )
    history_variance = variation / quarters * (1 + variation / (2 * quarters))
    noise = history_variance + implied_relative_se**2
    weight = LOG_RATIO_SPREAD**2 / (LOG_RATIO_SPREAD**2 + noise)
    surprise = log(ratio) - history_variance / 2 - TYPICAL_LOG_RATIO
    return LogRatioPosterior(TYPICAL_LOG_RATIO + weight * surprise, sqrt(weight * noise))


def recommend(ratio: float, settings: EvaluationSettings) -> Recommendation:
    """The point ratio against the thresholds of the settings; a threshold belongs to the better side."""
    if ratio >= settings.vrp_excellent:
        return Recommendation.EXCELLENT
    if ratio >= settings.vrp_good:
        return Recommendation.GOOD
    return Recommendation.MARGINAL if ratio >= settings.vrp_marginal else Recommendation.SKIP


def favours_long_volatility(vrp: VrpResult, settings: EvaluationSettings) -> bool:
    """Whether the options imply too little: the ratio is as far below one as `vrp_marginal` is above it, and the
    posterior, too, finds a ratio below one the likelier.
    """
    return vrp.ratio <= 1 / settings.vrp_marginal and vrp.probability_above_one < 0.5


def _squared_variation(moves: Sequence[float]) -> float:
    """Sample variance over squared mean; that of the norm for a single move."""
    if len(moves) == 1:
        return TYPICAL_VARIATION**2
    mean = fmean(moves)
    return sum((move - mean) ** 2 for move in moves) / (len(moves) - 1) / mean**2


def shown_below(ratio: float, needed: float) -> str:
    """A ratio that falls short, with as many digits, two at least, as show that it does."""
    for digits in range(2, 6):
        shown = f"{ratio:.{digits}f}"
        if float(shown) < needed:
            return shown
    return f"{ratio:g}"
