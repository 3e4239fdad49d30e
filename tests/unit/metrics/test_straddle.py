"""The straddle as a position. Expected sensitivities are differences of Black's formula, worked outside of ivcrush."""

from datetime import date

import numpy as np
import pytest

from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.straddle import is_monthly, measure_straddle
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.analysis import ImpliedMove, Straddle
from ivcrush.domain.market_calendar import MarketCalendar
from tests.unit.metrics.snapshots import snapshot

FRIDAY = date(2026, 5, 29)
EMPTY = np.zeros(0)


def measured(*, variance: float = 0.01, jump_sigma_pct: float = 5.0, ambient_vol_pct: float = 30.0) -> Straddle:
    surface = ExpirationSurface(
        FRIDAY, 0.04, 100.0, 0.98, EMPTY, EMPTY, EMPTY, EMPTY, np.zeros(0, dtype=np.bool_), variance, 0.0, 7.816, 1,
        (), (),
    )  # fmt: skip
    move = ImpliedMove(
        FRIDAY, 100.0, 100.0, 100.0, 7.816, 7.816, jump_sigma_pct, 5.3, 4.2, 0.2, (3.9, 4.6), ambient_vol_pct, 0.25,
        "by hand", 40, (), (),
    )  # fmt: skip
    return measure_straddle(snapshot(), surface, move, JumpShape(reference=variance))


def test_its_sensitivities_are_the_differences_of_blacks_formula() -> None:
    found = measured()
    assert found.delta == pytest.approx(0.0390801, abs=1e-7)
    assert found.gamma == pytest.approx(0.0780950, abs=1e-6)
    assert found.vega == pytest.approx(0.1561900, abs=1e-7)
    assert found.theta == pytest.approx(-0.1407264, abs=1e-7)


def test_after_the_report_it_is_worth_what_ordinary_volatility_is() -> None:
    assert measured().after_report == pytest.approx(6.7695698, abs=1e-6)
    assert measured(jump_sigma_pct=10.0).after_report == pytest.approx(0.0, abs=1e-6)


def test_its_volatility_bounds_the_stock() -> None:
    found = measured()
    assert found.one_sigma == pytest.approx((90.483742, 110.517092), abs=1e-6)
    assert found.two_sigma == pytest.approx((81.873075, 122.140276), abs=1e-6)


def test_a_session_cannot_take_more_than_there_is() -> None:
    assert measured(variance=0.0001, ambient_vol_pct=50.0, jump_sigma_pct=0.5).theta == pytest.approx(-0.7820, abs=1e-3)


def test_time_is_counted_in_days_and_in_sessions_without_memorial_day() -> None:
    found = measured()  # from Friday the 15th
    assert (found.days, found.sessions, found.monthly) == (14, 9, False)


@pytest.mark.parametrize(
    ("expiration", "monthly"),
    [
        (date(2026, 5, 15), True),
        (date(2026, 5, 22), False),
        (date(2026, 6, 18), True),  # the third Friday is Juneteenth
        (date(2026, 6, 19), False),
        (date(2026, 8, 21), True),
        (date(2025, 4, 17), True),  # Good Friday
    ],
)
def test_the_standard_expiration_is_the_third_friday_or_the_session_before(expiration: date, monthly: bool) -> None:
    assert is_monthly(expiration, MarketCalendar()) is monthly
