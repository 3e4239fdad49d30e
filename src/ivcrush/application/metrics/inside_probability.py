"""How likely a close-to-close move is to stay inside today's straddle: a small model over the pooled base rate.

A company's own share of moves inside is never used raw: of eight moves it is right to ±17 points at best, while
companies hardly differ. The model is a logistic regression on two numbers that are known beforehand:

    logit P = a + b·n/(n+32)·(ln(straddle / mean of n past |moves|) − c) + d·min(sessions to expiration, 4)

32 = (0.85/0.15)² is the number of moves at which a history weighs as much as the market: variation of moves over the
spread of true ratios (see `vrp.py`). The sessions after the report date through the expiration stand for the ordinary
days that the straddle still pays for. The company's own share of moves inside, the straddle's size, weights by age and
curvature bettered no score by more than its noise and are left out.

Source: 1,376 reports of 85 companies, 2022-2026, of EarningsWatcher, https://earnings-watcher.com, CC BY 4.0; fitted on
the 1,036 that have at least four earlier ones, features from earlier reports of the same company only. The data name
no hour and no expiration: the fit takes the Friday of the report's week. `scripts/fit_inside_probability.py` refits the
constants and prints the evaluation over 20 splits by company. What it shows: slightly better than the base rate, far
better than the raw share, with probabilities between 0.6 and 0.8 for nearly every report. No more is claimed.
"""

from dataclasses import dataclass
from math import exp, log

MAX_SESSIONS = 4
HALF_WEIGHT_QUARTERS = 32


@dataclass(frozen=True, slots=True)
class InsideModel:
    """The constants of the logistic model; logits, logits a log ratio, log ratio, logits a session."""

    intercept: float
    ratio_slope: float
    typical_log_ratio: float
    session_slope: float

    def probability(self, straddle_ratio: float, quarters: int, sessions_to_expiration: int) -> float:
        """P(|close-to-close move| <= straddle), in (0, 1)."""
        excess = shrunk_excess(straddle_ratio, quarters, self.typical_log_ratio)
        sessions = session_count(sessions_to_expiration)
        return 1 / (1 + exp(-(self.intercept + self.ratio_slope * excess + self.session_slope * sessions)))


MODEL = InsideModel(intercept=0.4168, ratio_slope=1.5994, typical_log_ratio=0.3437, session_slope=0.1653)


def inside_probability(straddle_ratio: float, quarters: int, sessions_to_expiration: int) -> float:
    """P(|close-to-close move| <= straddle) by the fitted model.

    `straddle_ratio` is straddle over mean absolute past close-to-close move, > 0, `quarters` how many moves were
    averaged (0: the ratio is ignored), `sessions_to_expiration` the sessions after the report date through the
    expiration.
    """
    return MODEL.probability(straddle_ratio, quarters, sessions_to_expiration)


def shrunk_excess(straddle_ratio: float, quarters: int, typical_log_ratio: float) -> float:
    """What a history says beyond the typical ratio, in logs, weighted by its length; 0 without history."""
    if quarters == 0:
        return 0.0
    return quarters / (quarters + HALF_WEIGHT_QUARTERS) * (log(straddle_ratio) - typical_log_ratio)


def session_count(sessions_to_expiration: int) -> int:
    """Sessions as the model counts them: 0 to 4, since the fit saw no more."""
    return min(max(sessions_to_expiration, 0), MAX_SESSIONS)
