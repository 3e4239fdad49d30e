"""What the ratio of implied to realised is, and what it is worth. Never looks at a quote."""

from ivcrush.domain.enums import Recommendation
from ivcrush.domain.types import EvaluationSettings


def point_ratio(implied_pct: float, mean_abs_past_pct: float) -> float:
    """Implied mean absolute move over the mean absolute past move, both percent, `mean_abs_past_pct` > 0."""
    return implied_pct / mean_abs_past_pct


def recommend(ratio: float, settings: EvaluationSettings) -> Recommendation:
    """The point ratio against the thresholds of the settings; a threshold belongs to the better side."""
    if ratio >= settings.vrp_excellent:
        return Recommendation.EXCELLENT
    if ratio >= settings.vrp_good:
        return Recommendation.GOOD
    return Recommendation.MARGINAL if ratio >= settings.vrp_marginal else Recommendation.SKIP
