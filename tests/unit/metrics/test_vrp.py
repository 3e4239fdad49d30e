"""The ratio of implied to realised and what it is worth."""

import pytest

from ivcrush.application.metrics.vrp import point_ratio, recommend
from ivcrush.domain.enums import Recommendation
from ivcrush.domain.types import EvaluationSettings


def test_the_point_ratio_is_implied_over_realised():
    assert point_ratio(4.5, 3.0) == 1.5


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (2.0, Recommendation.EXCELLENT),
        (1.99, Recommendation.GOOD),
        (1.5, Recommendation.GOOD),
        (1.2, Recommendation.MARGINAL),
        (1.19, Recommendation.SKIP),
        (0.0, Recommendation.SKIP),
    ],
)
def test_a_ratio_on_a_threshold_belongs_to_the_better_side(ratio, expected):
    assert recommend(ratio, EvaluationSettings()) is expected
